//! What is wrong with single values.

use super::*;

#[test]
fn a_bad_enum_value_is_refused() {
    refused(
        "unknown_value",
        &[
            &backend("algorithm: LeastConnection"),
            &backend("algorithm: { name: roundrobin }"),
            &backend("algorithm: least"),
            &top("telemetry: { accessLog: { output: stdout } }"),
            &backend("retry: { conditions: [Timeout] }"),
        ],
    );
}

#[test]
fn a_bad_duration_is_refused() {
    refused(
        "bad_duration",
        &[
            &top("shutdown: { drainDelay: 5 }"),
            &top("shutdown: { drainDelay: 5 sec }"),
            &top("shutdown: { drainDelay: 1d }"),
            &top("shutdown: { drainDelay: 5x }"),
            &top("shutdown: { drainDelay: -5s }"),
            &top(r#"shutdown: { drainDelay: "" }"#),
            &top("shutdown: { drainDelay: soon }"),
            &top("shutdown: { drainDelay: 9000h }"),
            &top("shutdown: { drainDelay: 1m30 }"),
        ],
    );
}

#[test]
fn a_bad_quantity_is_refused() {
    refused(
        "bad_quantity",
        &[
            &limits("maxBodyBytes: 64KB"),
            &limits("maxBodyBytes: 64Kb 1"),
            &limits("maxBodyBytes: 1.5Gi"),
            &limits("maxBodyBytes: -1"),
            &limits("maxBodyBytes: 99999999999Gi"),
            &limits("maxHeaderBytes: 1Ki"),
        ],
    );
}

#[test]
fn a_bad_share_is_refused() {
    refused(
        "bad_share",
        &[
            &top("telemetry: { accessLog: { sample: 101% } }"),
            &top("telemetry: { accessLog: { sample: 20 } }"),
            &top("telemetry: { accessLog: { sample: -0.1 } }"),
            &top("telemetry: { accessLog: { sample: half } }"),
        ],
    );
}

#[test]
fn a_bad_number_is_refused() {
    refused(
        "bad_number",
        &[
            &top("workers: 1025"),
            &top("workers: -1"),
            &top("workers: 2.5"),
            &top("workers: 010"),
            &top("workers: two"),
            &top("workers: 99999999999999999999999"),
            &backend("retry: { attempts: 11 }"),
        ],
    );
}

#[test]
fn a_bad_name_is_refused() {
    refused(
        "bad_name",
        &[r#"listeners: [{ name: "a b", address: 127.0.0.1:8080 }]
backends: [{ name: "", endpoints: [http://a] }]
"#],
    );
}
