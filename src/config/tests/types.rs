//! What is wrong with types and variables.

use super::*;

#[test]
fn a_wrong_type_is_refused() {
    refused(
        "wrong_type",
        &[
            &top("workers: []"),
            &top(r#"workers: "2""#),
            &top("admin: 127.0.0.1:9900"),
            &top("shutdown: [a]"),
            &top("telemetry: { accessLog: { enabled: yes } }"),
            &top(r#"telemetry: { accessLog: { enabled: "true" } }"#),
            &backend("algorithm: [Random]"),
            "listeners: { name: http }\nbackends: [{ name: demo, endpoints: http://a }]\n",
            &backend("latencyProbe: { tcp: true }"),
            &backend("timeouts: { connect: {} }"),
        ],
    );
}

#[test]
fn what_yaml_takes_for_a_number_or_boolean_is_no_text() {
    refused(
        "no_text",
        &[
            "listeners: [{ name: 8080, address: 127.0.0.1:8080 }]\nbackends: [{ name: on, endpoints: [http://a] }]\n",
            "listeners: [{ name: 12:30, address: 127.0.0.1:8080 }]\nbackends: [{ name: 0x1F, endpoints: [8081] }]\n",
        ],
    );
}

#[test]
fn an_unset_variable_is_refused() {
    refused("unset_variable", &[&top("workers: ${UNSET}")]);
}

#[test]
fn a_malformed_variable_is_refused() {
    refused(
        "malformed_variable",
        &[
            &top("workers: ${SET"),
            &top("workers: ${1}"),
            &top("workers: ${}"),
            &top("workers: ${SET-1}"),
            &top("workers: ${UNSET:-${SET}}"),
        ],
    );
}

#[test]
fn a_variable_s_value_is_never_shown() {
    refused(
        "secret_variable",
        &[
            &top(r#"workers: ${SECRET}
shutdown: { drainDelay: "${SECRET}" }"#),
            &backend("algorithm: ${SECRET}"),
            &top(r#"telemetry: { accessLog: { enabled: "${SECRET}" } }"#),
        ],
    );
    refused(
        "variables_in_messages",
        &[
            &url("http://${SECRET}:1\n      - http://${SECRET}:1/"),
            "listeners:\n  - { name: \"${SECRET}\", address: \"127.0.0.${SET}:1\" }\n  - { name: \"${SECRET}\", address: \"127.0.0.${SET}:1\" }\nbackends: [{ name: a, endpoints: [http://a] }]\n",
            &backend(r#"timeouts: { attempt: "9${SET}s", request: "${SET}s" }"#),
            &backend(r#"timeouts: { attempt: "9${SET}s" }"#),
            &format!("{}probes: {{ address: \"127.0.0.1:990${{ZERO}}\" }}\n", BASE),
        ],
    );
}

/// Within an anchored value, what is wrong stands where it was typed; the value as a whole is wrong where it is used.
#[test]
fn an_alias_of_the_wrong_type_is_refused_where_it_stands() {
    refused(
        "alias_of_the_wrong_type",
        &[
            &format!(
                "{}workers: *list\n",
                BASE.replace("[http://localhost:8081]", "&list [http://localhost:8081]")
            ),
            &backend("timeouts: &t { connect: x }\n    retry: { budget: *t }"),
        ],
    );
}
