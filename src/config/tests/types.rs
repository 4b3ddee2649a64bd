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
    refuses(
        &url("http://${SECRET}:1\n      - http://${SECRET}:1/"),
        &[
            "config.yaml:6:9: backends[0].endpoints[1]: duplicate endpoint `http://${SECRET}:1/`",
            "  allowed: each endpoint once; the first is at backends[0].endpoints[0]",
        ],
    );
    refuses(
        "listeners:\n  - { name: \"${SECRET}\", address: \"127.0.0.${SET}:1\" }\n  - { name: \"${SECRET}\", address: \"127.0.0.${SET}:1\" }\nbackends: [{ name: a, endpoints: [http://a] }]\n",
        &[
            "config.yaml:3:13: listeners[1].name: duplicate name `${SECRET}`",
            "  allowed: each name once; the first is at listeners[0].name",
            "config.yaml:3:35: listeners[1].address: duplicate address `127.0.0.${SET}:1`",
            "  allowed: each address once; the first is at listeners[0].address",
        ],
    );
    refuses(
        &backend(r#"timeouts: { attempt: "9${SET}s", request: "${SET}s" }"#),
        &[
            "config.yaml:5:26: backends[0].timeouts.attempt: an attempt may take longer (9${SET}s) than its request (${SET}s)",
            "  allowed: at most ${SET}s, or a longer `request`",
        ],
    );
    refuses(
        &backend(r#"timeouts: { attempt: "9${SET}s" }"#),
        &[
            "config.yaml:5:26: backends[0].timeouts.attempt: an attempt may take longer (9${SET}s) than its request (60s, the default)",
            "  allowed: at most 60s, or a longer `request`",
        ],
    );
    refuses(
        &format!("{}probes: {{ address: \"127.0.0.1:990${{ZERO}}\" }}\n", BASE),
        &[
            "config.yaml:5:20: probes.address: duplicate address `127.0.0.1:990${ZERO}`: it is the default of `admin.address`",
            r#"  allowed: another port here, another `admin.address`, or `admin: { address: "" }` for no admin port"#,
        ],
    );
}

/// Within an anchored value, what is wrong stands where it was typed; the value as a whole is wrong where it is used.
#[test]
fn an_alias_of_the_wrong_type_is_refused_where_it_stands() {
    refuses(
        &format!(
            "{}workers: *list\n",
            BASE.replace("[http://localhost:8081]", "&list [http://localhost:8081]")
        ),
        &[
            "config.yaml:5:10: workers: wrong type: found a list",
            "  allowed: a whole number, 0 to 1024",
        ],
    );
    refuses(
        &backend("timeouts: &t { connect: x }\n    retry: { budget: *t }"),
        &[
            "config.yaml:5:20: backends[0].retry.budget.connect: unknown key `connect`",
            "  allowed: ratio, minPerSecond",
            "config.yaml:5:29: backends[0].timeouts.connect: `x` is not a duration: a number and a unit are wanted",
            "  allowed: a duration such as `250ms`, `5s` or `1m30s` (units: ns, us, ms, s, m, h)",
        ],
    );
}
