//! What is wrong with probes and with values that do not fit together: the exact text of every class of error.

use super::*;

#[test]
fn a_bad_probe_is_refused() {
    refuses(
        &backend("healthProbe: { interval: 5s }"),
        &[
            "config.yaml:5:18: backends[0].healthProbe: neither `http` nor `tcp`",
            "  allowed: exactly one of `http` and `tcp`",
        ],
    );
    for key in ["tcp", "http"] {
        refuses(
            &backend(&format!("healthProbe: {{ {key}: }}")),
            &[
                &format!(
                    "config.yaml:5:20: backends[0].healthProbe.{key}: the key `{key}` has no value"
                ),
                "  allowed: a map, which may be empty: `{}`",
                &format!("  did you mean `{key}: {{}}`?"),
            ],
        );
    }
    refuses(
        &backend("healthProbe: { http: { statuses: [200-100, 700-600] } }"),
        &[
            "config.yaml:5:39: backends[0].healthProbe.http.statuses[0]: `200-100` is a range that ends before it begins",
            "  allowed: a status such as `200`, or a range such as `200-299`, from 200 to 599",
            "config.yaml:5:48: backends[0].healthProbe.http.statuses[1]: `700-600` is a range that ends before it begins",
            "  allowed: a status such as `200`, or a range such as `200-299`, from 200 to 599",
        ],
    );
    refuses(
        &backend("healthProbe: { http: {}, tcp: {} }"),
        &[
            "config.yaml:5:30: backends[0].healthProbe.tcp: both `http` and `tcp`",
            "  allowed: exactly one of `http` and `tcp`",
        ],
    );
    refuses(
        &backend("healthProbe: { tcp: {}, interval: 0s, timeout: 1ms }"),
        &[
            "config.yaml:5:39: backends[0].healthProbe.interval: `0s` is out of range",
            "  allowed: `10ms` or more",
            "config.yaml:5:52: backends[0].healthProbe.timeout: `1ms` is out of range",
            "  allowed: `10ms` or more",
        ],
    );
    refuses(
        &backend(
            r#"healthProbe: { http: { path: health, host: "a b", statuses: [2xx, 299-200, 100, ok], body: "" } }"#,
        ),
        &[
            "config.yaml:5:34: backends[0].healthProbe.http.path: `health` is not a path: it does not begin with `/`",
            "  allowed: a path that begins with `/`, with or without a query, such as `/health?full=1`",
            "  did you mean `/health`?",
            "config.yaml:5:48: backends[0].healthProbe.http.host: `a b` is not a host: the host is malformed",
            "  allowed: a host name or IP address, with or without a port",
            "config.yaml:5:66: backends[0].healthProbe.http.statuses[0]: `2xx` is not a status",
            "  allowed: a status such as `200`, or a range such as `200-299`, from 200 to 599",
            "  did you mean `200-299`?",
            "config.yaml:5:71: backends[0].healthProbe.http.statuses[1]: `299-200` is a range that ends before it begins",
            "  allowed: a status such as `200`, or a range such as `200-299`, from 200 to 599",
            "  did you mean `200-299`?",
            "config.yaml:5:80: backends[0].healthProbe.http.statuses[2]: `100` is out of range",
            "  allowed: a status such as `200`, or a range such as `200-299`, from 200 to 599",
            "config.yaml:5:85: backends[0].healthProbe.http.statuses[3]: `ok` is not a status",
            "  allowed: a status such as `200`, or a range such as `200-299`, from 200 to 599",
            r#"config.yaml:5:96: backends[0].healthProbe.http.body: `""` is empty"#,
            "  allowed: text, not empty",
        ],
    );
    refuses(
        &backend(r#"latencyProbe: { http: { path: "/a b", statuses: [] } }"#),
        &[
            "config.yaml:5:35: backends[0].latencyProbe.http.path: `/a b` is not a path: a space or special character has to be percent-encoded",
            "  allowed: a path that begins with `/`, with or without a query, such as `/health?full=1`",
            "config.yaml:5:53: backends[0].latencyProbe.http.statuses: an empty list",
            "  allowed: at least one item",
        ],
    );
    refuses(
        &backend(r#"latencyProbe: { http: { path: "/a#b" } }"#),
        &[
            "config.yaml:5:35: backends[0].latencyProbe.http.path: `/a#b` is not a path: a fragment (`#…`) is never sent",
            "  allowed: a path that begins with `/`, with or without a query, such as `/health?full=1`",
        ],
    );
    refuses(
        &backend(r#"latencyProbe: { http: { path: "http://a/" } }"#),
        &[
            "config.yaml:5:35: backends[0].latencyProbe.http.path: `http://a/` is not a path: it is a URL",
            "  allowed: a path that begins with `/`, with or without a query, such as `/health?full=1`",
        ],
    );
    refuses(
        &backend("healthProbe: { tcp: {}, healthyAfter: 0 }"),
        &[
            "config.yaml:5:43: backends[0].healthProbe.healthyAfter: `0` is out of range",
            "  allowed: a whole number, 1 to 1000",
        ],
    );
}

#[test]
fn a_second_of_what_must_be_unique_is_refused() {
    refuses(
        "listeners: [{ name: a, address: 127.0.0.1:8080 }, { name: a, address: 127.0.0.1:8080 }]\nadmin: { address: 127.0.0.1:8080 }\nprobes: { address: 127.0.0.1:8080 }\nbackends: [{ name: demo, endpoints: [http://LocalHost:80/a/./b/, { url: http://localhost/a/b }] }]\n",
        &[
            "config.yaml:1:59: listeners[1].name: duplicate name `a`",
            "  allowed: each name once; the first is at listeners[0].name",
            "config.yaml:1:71: listeners[1].address: duplicate address `127.0.0.1:8080`",
            "  allowed: each address once; the first is at listeners[0].address",
            "config.yaml:2:19: admin.address: duplicate address `127.0.0.1:8080`",
            "  allowed: each address once; the first is at listeners[0].address",
            "config.yaml:3:20: probes.address: duplicate address `127.0.0.1:8080`",
            "  allowed: each address once; the first is at listeners[0].address",
            "config.yaml:4:73: backends[0].endpoints[1].url: duplicate endpoint `http://localhost/a/b`",
            "  allowed: each endpoint once; the first is at backends[0].endpoints[0]",
        ],
    );
}

#[test]
fn a_clash_with_the_default_admin_port_is_told_where_it_was_typed() {
    let lines = [
        "config.yaml:1:36: listeners[0].address: duplicate address `127.0.0.1:9900`: it is the default of `admin.address`",
        r#"  allowed: another port here, another `admin.address`, or `admin: { address: "" }` for no admin port"#,
    ];
    refuses(&address("127.0.0.1:9900"), &lines);
    refuses(&format!("{}admin: {{}}\n", address("127.0.0.1:9900")), &lines);
    assert!(read(&format!("{}admin: {{ address: \"\" }}\n", address("127.0.0.1:9900"))).is_ok());
}

#[test]
fn combinations_that_cannot_work_are_refused() {
    refuses(
        "listeners: [{ name: a, address: 127.0.0.1:8080 }]\nbackends: [{ name: a, endpoints: [http://a] }, { name: b, endpoints: [http://a] }]\n",
        &[
            "config.yaml:2:48: backends[1]: no request could reach a second backend: `routes` is not available yet",
            "  allowed: exactly one backend",
        ],
    );
    refuses(
        "listeners: [{ name: a, address: 127.0.0.1:8080 }]\nbackends: [{ name: a, endpoints: [{ url: http://a, weight: 0 }] }]\n",
        &[
            "config.yaml:2:34: backends[0].endpoints: no endpoint gets requests: every weight is 0",
            "  allowed: at least one weight from 1",
        ],
    );
    refuses(
        &backend("timeouts: { attempt: 70s }"),
        &[
            "config.yaml:5:26: backends[0].timeouts.attempt: an attempt may take longer (70s) than its request (60s, the default)",
            "  allowed: at most 60s, or a longer `request`",
        ],
    );
    refuses(
        &backend("timeouts: { attempt: 1m30s, request: 1m }"),
        &[
            "config.yaml:5:26: backends[0].timeouts.attempt: an attempt may take longer (1m30s) than its request (1m)",
            "  allowed: at most 1m, or a longer `request`",
        ],
    );
    refuses(
        "listeners: []\nbackends: []\n",
        &[
            "config.yaml:1:12: listeners: an empty list",
            "  allowed: at least one item",
            "config.yaml:2:11: backends: an empty list",
            "  allowed: at least one item",
        ],
    );
}

#[test]
fn retries_without_a_condition_are_refused() {
    refuses(
        &backend("retry: { conditions: [] }"),
        &[
            "config.yaml:5:26: backends[0].retry.conditions: an empty list",
            "  allowed: at least one item",
        ],
    );
    refuses(
        &backend("retry: { conditions: [~] }"),
        &[
            "config.yaml:5:27: backends[0].retry.conditions[0]: an item without a value",
            "  allowed: a value after each `-`",
        ],
    );
}
