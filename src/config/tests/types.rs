//! What is wrong with types and variables: the exact text of every class of error.

use super::*;

#[test]
fn a_wrong_type_is_refused() {
    refuses(
        &top("workers: []"),
        &[
            "config.yaml:5:10: workers: wrong type: found a list",
            "  allowed: a whole number, 0 to 1024",
        ],
    );
    refuses(
        &top(r#"workers: "2""#),
        &[
            r#"config.yaml:5:10: workers: wrong type: found the text `"2"`"#,
            "  allowed: a whole number, 0 to 1024",
            "  did you mean `2`?",
        ],
    );
    refuses(
        &top("admin: 127.0.0.1:9900"),
        &[
            "config.yaml:5:8: admin: wrong type: found the text `127.0.0.1:9900`",
            "  allowed: a map with the key address",
        ],
    );
    refuses(
        &top("shutdown: [a]"),
        &[
            "config.yaml:5:11: shutdown: wrong type: found a list",
            "  allowed: a map with the keys drainDelay, drainTimeout",
        ],
    );
    refuses(
        &top("telemetry: { accessLog: { enabled: yes } }"),
        &[
            "config.yaml:5:36: telemetry.accessLog.enabled: wrong type: found the boolean `yes`",
            "  allowed: `true` or `false`",
            "  did you mean `true`?",
        ],
    );
    refuses(
        &top(r#"telemetry: { accessLog: { enabled: "true" } }"#),
        &[
            r#"config.yaml:5:36: telemetry.accessLog.enabled: wrong type: found the text `"true"`"#,
            "  allowed: `true` or `false`",
            "  did you mean `true`?",
        ],
    );
    refuses(
        &backend("algorithm: [Random]"),
        &[
            "config.yaml:5:16: backends[0].algorithm: wrong type: found a list",
            "  allowed: the name of an algorithm, or a map with the key name",
        ],
    );
    refuses(
        "listeners: { name: http }\nbackends: [{ name: demo, endpoints: http://a }]\n",
        &[
            "config.yaml:1:12: listeners: wrong type: found a map",
            "  allowed: a list",
            "config.yaml:2:37: backends[0].endpoints: wrong type: found the text `http://a`",
            "  allowed: a list",
            "  did you mean `[http://a]`?",
        ],
    );
    refuses(
        &backend("latencyProbe: { tcp: true }"),
        &[
            "config.yaml:5:26: backends[0].latencyProbe.tcp: wrong type: found the boolean `true`",
            "  allowed: an empty map: `{}`",
        ],
    );
    refuses(
        &backend("timeouts: { connect: {} }"),
        &[
            "config.yaml:5:26: backends[0].timeouts.connect: wrong type: found a map",
            "  allowed: a duration such as `250ms`, `5s` or `1m30s` (units: ns, us, ms, s, m, h)",
        ],
    );
}

#[test]
fn what_yaml_takes_for_a_number_or_boolean_is_no_text() {
    refuses(
        "listeners: [{ name: 8080, address: 127.0.0.1:8080 }]\nbackends: [{ name: on, endpoints: [http://a] }]\n",
        &[
            "config.yaml:1:21: listeners[0].name: wrong type: found the number `8080`",
            "  allowed: a name: letters, digits, `-`, `_` and `.`, first a letter or digit, at most 253",
            r#"  did you mean `"8080"`?"#,
            "config.yaml:2:20: backends[0].name: wrong type: found the boolean `on`",
            "  allowed: a name: letters, digits, `-`, `_` and `.`, first a letter or digit, at most 253",
            r#"  did you mean `"on"`?"#,
        ],
    );
    refuses(
        "listeners: [{ name: 12:30, address: 127.0.0.1:8080 }]\nbackends: [{ name: 0x1F, endpoints: [8081] }]\n",
        &[
            "config.yaml:1:21: listeners[0].name: wrong type: found the number `12:30`",
            "  allowed: a name: letters, digits, `-`, `_` and `.`, first a letter or digit, at most 253",
            r#"  did you mean `"12:30"`?"#,
            "config.yaml:2:20: backends[0].name: wrong type: found the number `0x1F`",
            "  allowed: a name: letters, digits, `-`, `_` and `.`, first a letter or digit, at most 253",
            r#"  did you mean `"0x1F"`?"#,
            "config.yaml:2:38: backends[0].endpoints[0]: `8081` is not a URL of an endpoint: the scheme is missing",
            "  allowed: a URL such as `http://localhost:8081` or `http://10.0.0.1:8080/shop`",
            "  did you mean `http://localhost:8081`?",
        ],
    );
}

#[test]
fn an_unset_variable_is_refused() {
    refuses(
        &top("workers: ${UNSET}"),
        &[
            "config.yaml:5:10: workers: the variable `UNSET` is not set",
            "  allowed: a variable that is set, or a default: `${UNSET:-…}`",
        ],
    );
}

#[test]
fn a_malformed_variable_is_refused() {
    refuses(
        &top("workers: ${SET"),
        &[
            "config.yaml:5:10: workers: malformed `${`: the closing `}` is missing",
            "  allowed: `${NAME}` or `${NAME:-default}`; `$${` for a literal `${`",
        ],
    );
    refuses(
        &top("workers: ${1}"),
        &[
            "config.yaml:5:10: workers: malformed `${`: a name of letters, digits and `_` is wanted",
            "  allowed: `${NAME}` or `${NAME:-default}`; `$${` for a literal `${`",
        ],
    );
    refuses(
        &top("workers: ${}"),
        &[
            "config.yaml:5:10: workers: malformed `${`: a name of letters, digits and `_` is wanted",
            "  allowed: `${NAME}` or `${NAME:-default}`; `$${` for a literal `${`",
        ],
    );
    refuses(
        &top("workers: ${SET-1}"),
        &[
            "config.yaml:5:10: workers: malformed `${`: a name of letters, digits and `_` is wanted",
            "  allowed: `${NAME}` or `${NAME:-default}`; `$${` for a literal `${`",
        ],
    );
    refuses(
        &top("workers: ${UNSET:-${SET}}"),
        &[
            "config.yaml:5:10: workers: malformed `${`: a default cannot hold another variable",
            "  allowed: `${NAME}` or `${NAME:-default}`; `$${` for a literal `${`",
        ],
    );
}

#[test]
fn a_variable_s_value_is_never_shown() {
    refuses(
        &top(r#"workers: ${SECRET}
shutdown: { drainDelay: "${SECRET}" }"#),
        &[
            "config.yaml:5:10: workers: `${SECRET}` is not a whole number",
            "  allowed: a whole number, 0 to 1024",
            "config.yaml:6:25: shutdown.drainDelay: `${SECRET}` is not a duration: a number and a unit are wanted",
            "  allowed: a duration such as `250ms`, `5s` or `1m30s` (units: ns, us, ms, s, m, h)",
        ],
    );
    refuses(
        &backend("algorithm: ${SECRET}"),
        &[
            "config.yaml:5:16: backends[0].algorithm: unknown algorithm `${SECRET}`",
            "  allowed: RoundRobin, Random, LeastConnections, LeastResponseTime, PowerOfTwoChoices, PeakEwma",
        ],
    );
    refuses(
        &top(r#"telemetry: { accessLog: { enabled: "${SECRET}" } }"#),
        &[
            r#"config.yaml:5:36: telemetry.accessLog.enabled: wrong type: found the text `"${SECRET}"`"#,
            "  allowed: `true` or `false`",
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
