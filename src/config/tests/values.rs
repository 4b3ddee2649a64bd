//! What is wrong with single values: the exact text of every class of error.

use super::*;

#[test]
fn a_bad_enum_value_is_refused() {
    refuses(
        &backend("algorithm: LeastConnection"),
        &[
            "config.yaml:5:16: backends[0].algorithm: unknown algorithm `LeastConnection`",
            "  allowed: RoundRobin, Random, LeastConnections, LeastResponseTime, PowerOfTwoChoices, PeakEwma",
            "  did you mean `LeastConnections`?",
        ],
    );
    refuses(
        &backend("algorithm: { name: roundrobin }"),
        &[
            "config.yaml:5:24: backends[0].algorithm.name: unknown algorithm `roundrobin`",
            "  allowed: RoundRobin, Random, LeastConnections, LeastResponseTime, PowerOfTwoChoices, PeakEwma",
            "  did you mean `RoundRobin`?",
        ],
    );
    refuses(
        &backend("algorithm: least"),
        &[
            "config.yaml:5:16: backends[0].algorithm: unknown algorithm `least`",
            "  allowed: RoundRobin, Random, LeastConnections, LeastResponseTime, PowerOfTwoChoices, PeakEwma",
        ],
    );
    refuses(
        &top("telemetry: { accessLog: { output: stdout } }"),
        &[
            "config.yaml:5:35: telemetry.accessLog.output: unknown output `stdout`",
            "  allowed: Stdout, Stderr",
            "  did you mean `Stdout`?",
        ],
    );
    refuses(
        &backend("retry: { conditions: [Timeout] }"),
        &[
            "config.yaml:5:27: backends[0].retry.conditions[0]: unknown condition `Timeout`",
            "  allowed: ConnectFailure, Reset",
        ],
    );
}

#[test]
fn a_bad_duration_is_refused() {
    refuses(
        &top("shutdown: { drainDelay: 5 }"),
        &[
            "config.yaml:5:25: shutdown.drainDelay: `5` is not a duration: the unit is missing",
            "  allowed: a duration such as `250ms`, `5s` or `1m30s` (units: ns, us, ms, s, m, h)",
            "  did you mean `5s`?",
        ],
    );
    refuses(
        &top("shutdown: { drainDelay: 5 sec }"),
        &[
            "config.yaml:5:25: shutdown.drainDelay: `5 sec` is not a duration: the unit is unknown",
            "  allowed: a duration such as `250ms`, `5s` or `1m30s` (units: ns, us, ms, s, m, h)",
            "  did you mean `5s`?",
        ],
    );
    refuses(
        &top("shutdown: { drainDelay: 1d }"),
        &[
            "config.yaml:5:25: shutdown.drainDelay: `1d` is not a duration: the unit is unknown",
            "  allowed: a duration such as `250ms`, `5s` or `1m30s` (units: ns, us, ms, s, m, h)",
            "  did you mean `24h`?",
        ],
    );
    refuses(
        &top("shutdown: { drainDelay: 5x }"),
        &[
            "config.yaml:5:25: shutdown.drainDelay: `5x` is not a duration: the unit is unknown",
            "  allowed: a duration such as `250ms`, `5s` or `1m30s` (units: ns, us, ms, s, m, h)",
        ],
    );
    refuses(
        &top("shutdown: { drainDelay: -5s }"),
        &[
            "config.yaml:5:25: shutdown.drainDelay: `-5s` is not a duration: it is negative",
            "  allowed: a duration such as `250ms`, `5s` or `1m30s` (units: ns, us, ms, s, m, h)",
        ],
    );
    refuses(
        &top(r#"shutdown: { drainDelay: "" }"#),
        &[
            r#"config.yaml:5:25: shutdown.drainDelay: `""` is not a duration: it is empty"#,
            "  allowed: a duration such as `250ms`, `5s` or `1m30s` (units: ns, us, ms, s, m, h)",
        ],
    );
    refuses(
        &top("shutdown: { drainDelay: soon }"),
        &[
            "config.yaml:5:25: shutdown.drainDelay: `soon` is not a duration: a number and a unit are wanted",
            "  allowed: a duration such as `250ms`, `5s` or `1m30s` (units: ns, us, ms, s, m, h)",
        ],
    );
    refuses(
        &top("shutdown: { drainDelay: 9000h }"),
        &[
            "config.yaml:5:25: shutdown.drainDelay: `9000h` is out of range",
            "  allowed: at most a year, which is `8760h`",
        ],
    );
    refuses(
        &top("shutdown: { drainDelay: 1m30 }"),
        &[
            "config.yaml:5:25: shutdown.drainDelay: `1m30` is not a duration: the unit is missing",
            "  allowed: a duration such as `250ms`, `5s` or `1m30s` (units: ns, us, ms, s, m, h)",
        ],
    );
}

#[test]
fn a_bad_quantity_is_refused() {
    refuses(
        &limits("maxBodyBytes: 64KB"),
        &[
            "config.yaml:1:76: listeners[0].limits.maxBodyBytes: `64KB` is not a quantity: the suffix is unknown",
            "  allowed: a quantity such as `64Ki`, `10Mi`, `1k` or `512` (suffixes: Ki, Mi, Gi, Ti, k, M, G, T)",
            "  did you mean `64Ki`?",
        ],
    );
    refuses(
        &limits("maxBodyBytes: 64Kb 1"),
        &[
            "config.yaml:1:76: listeners[0].limits.maxBodyBytes: `64Kb 1` is not a quantity: the suffix is unknown",
            "  allowed: a quantity such as `64Ki`, `10Mi`, `1k` or `512` (suffixes: Ki, Mi, Gi, Ti, k, M, G, T)",
        ],
    );
    refuses(
        &limits("maxBodyBytes: 1.5Gi"),
        &[
            "config.yaml:1:76: listeners[0].limits.maxBodyBytes: `1.5Gi` is not a quantity: the suffix is unknown",
            "  allowed: a quantity such as `64Ki`, `10Mi`, `1k` or `512` (suffixes: Ki, Mi, Gi, Ti, k, M, G, T)",
        ],
    );
    refuses(
        &limits("maxBodyBytes: -1"),
        &[
            "config.yaml:1:76: listeners[0].limits.maxBodyBytes: `-1` is not a quantity: a whole number is wanted",
            "  allowed: a quantity such as `64Ki`, `10Mi`, `1k` or `512` (suffixes: Ki, Mi, Gi, Ti, k, M, G, T)",
        ],
    );
    refuses(
        &limits("maxBodyBytes: 99999999999Gi"),
        &[
            "config.yaml:1:76: listeners[0].limits.maxBodyBytes: `99999999999Gi` is out of range",
            "  allowed: 0 or more",
        ],
    );
    refuses(
        &limits("maxHeaderBytes: 1Ki"),
        &[
            "config.yaml:1:78: listeners[0].limits.maxHeaderBytes: `1Ki` is out of range",
            "  allowed: 8Ki to 1Mi",
        ],
    );
}

#[test]
fn a_bad_share_is_refused() {
    refuses(
        &top("telemetry: { accessLog: { sample: 101% } }"),
        &[
            "config.yaml:5:35: telemetry.accessLog.sample: `101%` is out of range",
            "  allowed: a percentage from `0%` to `100%`, or a number from 0 to 1",
        ],
    );
    refuses(
        &top("telemetry: { accessLog: { sample: 20 } }"),
        &[
            "config.yaml:5:35: telemetry.accessLog.sample: `20` is out of range",
            "  allowed: a percentage from `0%` to `100%`, or a number from 0 to 1",
            "  did you mean `20%`?",
        ],
    );
    refuses(
        &top("telemetry: { accessLog: { sample: -0.1 } }"),
        &[
            "config.yaml:5:35: telemetry.accessLog.sample: `-0.1` is out of range",
            "  allowed: a percentage from `0%` to `100%`, or a number from 0 to 1",
        ],
    );
    refuses(
        &top("telemetry: { accessLog: { sample: half } }"),
        &[
            "config.yaml:5:35: telemetry.accessLog.sample: `half` is not a share",
            "  allowed: a percentage from `0%` to `100%`, or a number from 0 to 1",
        ],
    );
}

#[test]
fn a_bad_number_is_refused() {
    refuses(
        &top("workers: 1025"),
        &[
            "config.yaml:5:10: workers: `1025` is out of range",
            "  allowed: a whole number, 0 to 1024",
        ],
    );
    refuses(
        &top("workers: -1"),
        &[
            "config.yaml:5:10: workers: `-1` is out of range",
            "  allowed: a whole number, 0 to 1024",
        ],
    );
    refuses(
        &top("workers: 2.5"),
        &[
            "config.yaml:5:10: workers: `2.5` is not a whole number",
            "  allowed: a whole number, 0 to 1024",
        ],
    );
    refuses(
        &top("workers: 010"),
        &[
            "config.yaml:5:10: workers: `010` is not a whole number: it begins with 0",
            "  allowed: a whole number, 0 to 1024",
        ],
    );
    refuses(
        &top("workers: two"),
        &[
            "config.yaml:5:10: workers: `two` is not a whole number",
            "  allowed: a whole number, 0 to 1024",
        ],
    );
    refuses(
        &top("workers: 99999999999999999999999"),
        &[
            "config.yaml:5:10: workers: `99999999999999999999999` is out of range",
            "  allowed: a whole number, 0 to 1024",
        ],
    );
    refuses(
        &backend("retry: { attempts: 11 }"),
        &[
            "config.yaml:5:24: backends[0].retry.attempts: `11` is out of range",
            "  allowed: a whole number, 0 to 10",
        ],
    );
}

#[test]
fn a_bad_name_is_refused() {
    refuses(
        r#"listeners: [{ name: "a b", address: 127.0.0.1:8080 }]
backends: [{ name: "", endpoints: [http://a] }]
"#,
        &[
            "config.yaml:1:21: listeners[0].name: `a b` is not a name",
            "  allowed: a name: letters, digits, `-`, `_` and `.`, first a letter or digit, at most 253",
            r#"config.yaml:2:20: backends[0].name: `""` is not a name"#,
            "  allowed: a name: letters, digits, `-`, `_` and `.`, first a letter or digit, at most 253",
        ],
    );
}
