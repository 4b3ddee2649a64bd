//! What is wrong with keys.

use super::*;

#[test]
fn a_file_that_is_no_map_is_refused() {
    refused("no_map", &["- a\n", "hello\n"]);
}

#[test]
fn an_unknown_key_is_refused() {
    refused(
        "unknown_key",
        &[
            &top("workrs: 2"),
            &backend("algoritm: Random"),
            &backend("servers: []"),
            &top("zzz: 1"),
            &top(r#""a\u202eb c": 1"#),
        ],
    );
}

#[test]
fn a_duplicate_key_is_refused() {
    refused(
        "duplicate_key",
        &[
            &top("workers: 1\nworkers: 2"),
            "listeners:\n  - name: a\n    name: b\n    address: 127.0.0.1:1\nbackends: [{ name: demo, endpoints: [http://a] }]\n",
        ],
    );
}

#[test]
fn a_missing_key_is_refused() {
    refused(
        "missing_key",
        &[
            "{}\n",
            "listeners: [{}]\nbackends: [{}]\n",
            &backend("algorithm: {}"),
            &top("probes: {}"),
        ],
    );
}

#[test]
fn a_key_without_its_value_is_refused_where_it_is_needed() {
    refused(
        "missing_value",
        &[
            "listeners:\nbackends: [{ name: , endpoints: [ ] }]\n",
            "listeners:\n  -\nbackends: [{ name: demo, endpoints: [http://a] }]\n",
        ],
    );
}

#[test]
fn what_is_not_available_yet_is_refused() {
    refused(
        "not_available_yet",
        &[
            &top("telemetry: { metrics: {} }"),
            &backend(
                "dns: {}\n    outlierDetection: {}\n    circuitBreaker: {}\n    connections: {}",
            ),
            &address("127.0.0.1:8080, protocol: Http"),
            &filters("{ mirror: {} }"),
            "listeners: [{ name: http, address: 127.0.0.1:8080 }]\nbackends: [{ name: demo, dns: { name: a } }]\n",
        ],
    );
}
