//! What is wrong with probes and with values that do not fit together.

use super::*;

#[test]
fn a_bad_probe_is_refused() {
    refused(
        "bad_probe",
        &[
            &backend("healthProbe: { interval: 5s }"),
            &backend("healthProbe: { tcp: }"),
            &backend("healthProbe: { http: }"),
            &backend("healthProbe: { http: { statuses: [200-100, 700-600] } }"),
            &backend("healthProbe: { http: {}, tcp: {} }"),
            &backend("healthProbe: { tcp: {}, interval: 0s, timeout: 1ms }"),
            &backend(
                r#"healthProbe: { http: { path: health, host: "a b", statuses: [2xx, 299-200, 100, ok], body: "" } }"#,
            ),
            &backend(r#"latencyProbe: { http: { path: "/a b", statuses: [] } }"#),
            &backend(r#"latencyProbe: { http: { path: "/a#b" } }"#),
            &backend(r#"latencyProbe: { http: { path: "http://a/" } }"#),
            &backend("healthProbe: { tcp: {}, healthyAfter: 0 }"),
        ],
    );
}

#[test]
fn a_second_of_what_must_be_unique_is_refused() {
    refused(
        "duplicate",
        &[
            "listeners: [{ name: a, address: 127.0.0.1:8080 }, { name: a, address: 127.0.0.1:8080 }]\nadmin: { address: 127.0.0.1:8080 }\nprobes: { address: 127.0.0.1:8080 }\nbackends: [{ name: demo, endpoints: [http://LocalHost:80/a/./b/, { url: http://localhost/a/b }] }]\n",
        ],
    );
}

#[test]
fn a_clash_with_the_default_admin_port_is_told_where_it_was_typed() {
    let taken = address("127.0.0.1:9900");
    refused("default_admin_port", &[&taken, &format!("{taken}admin: {{}}\n")]);
    assert!(read(&format!("{taken}admin: {{ address: \"\" }}\n")).is_ok());
}

#[test]
fn combinations_that_cannot_work_are_refused() {
    refused(
        "impossible_combination",
        &[
            "listeners: [{ name: a, address: 127.0.0.1:8080 }]\nbackends: [{ name: a, endpoints: [http://a] }, { name: b, endpoints: [http://a] }]\n",
            "listeners: [{ name: a, address: 127.0.0.1:8080 }]\nbackends: [{ name: a, endpoints: [{ url: http://a, weight: 0 }] }]\n",
            &backend("timeouts: { attempt: 70s }"),
            &backend("timeouts: { attempt: 1m30s, request: 1m }"),
            "listeners: []\nbackends: []\n",
        ],
    );
}

#[test]
fn retries_without_a_condition_are_refused() {
    refused(
        "empty_retry",
        &[&backend("retry: { conditions: [] }"), &backend("retry: { conditions: [~] }")],
    );
}
