//! What is wrong with keys: the exact text of every class of error.

use super::*;

#[test]
fn a_file_that_is_no_map_is_refused() {
    refuses(
        "- a\n",
        &[
            "config.yaml:1:1: wrong type: found a list",
            "  allowed: a map with the keys admin, probes, workers, shutdown, telemetry, listeners, backends",
        ],
    );
    refuses(
        "hello\n",
        &[
            "config.yaml:1:1: wrong type: found the text `hello`",
            "  allowed: a map with the keys admin, probes, workers, shutdown, telemetry, listeners, backends",
        ],
    );
}

#[test]
fn an_unknown_key_is_refused() {
    refuses(
        &top("workrs: 2"),
        &[
            "config.yaml:5:1: workrs: unknown key `workrs`",
            "  allowed: admin, probes, workers, shutdown, telemetry, listeners, backends",
            "  did you mean `workers`?",
        ],
    );
    refuses(
        &backend("algoritm: Random"),
        &[
            "config.yaml:5:5: backends[0].algoritm: unknown key `algoritm`",
            "  allowed: name, algorithm, endpoints, healthProbe, latencyProbe, timeouts, retry",
            "  did you mean `algorithm`?",
        ],
    );
    refuses(
        &backend("servers: []"),
        &[
            "config.yaml:5:5: backends[0].servers: unknown key `servers`",
            "  allowed: name, algorithm, endpoints, healthProbe, latencyProbe, timeouts, retry",
            "  did you mean `endpoints`?",
        ],
    );
    refuses(
        &top("zzz: 1"),
        &[
            "config.yaml:5:1: zzz: unknown key `zzz`",
            "  allowed: admin, probes, workers, shutdown, telemetry, listeners, backends",
        ],
    );
    refuses(
        &top(r#""a\u202eb c": 1"#),
        &[
            r#"config.yaml:5:1: ["a\u{202e}b c"]: unknown key `a\u{202e}b c`"#,
            "  allowed: admin, probes, workers, shutdown, telemetry, listeners, backends",
        ],
    );
}

#[test]
fn a_duplicate_key_is_refused() {
    refuses(
        &top("workers: 1\nworkers: 2"),
        &[
            "config.yaml:6:1: duplicate key `workers`",
            "  allowed: each key once; the first is in line 5",
        ],
    );
    refuses(
        "listeners:\n  - name: a\n    name: b\n    address: 127.0.0.1:1\nbackends: [{ name: demo, endpoints: [http://a] }]\n",
        &[
            "config.yaml:3:5: listeners[0]: duplicate key `name`",
            "  allowed: each key once; the first is in line 2",
        ],
    );
}

#[test]
fn a_missing_key_is_refused() {
    refuses(
        "{}\n",
        &[
            "config.yaml:1:1: missing key `listeners`",
            "  allowed: a list with at least one item",
            "config.yaml:1:1: missing key `backends`",
            "  allowed: a list with at least one item",
        ],
    );
    refuses(
        "listeners: [{}]\nbackends: [{}]\n",
        &[
            "config.yaml:1:13: listeners[0]: missing key `name`",
            "  allowed: a name: letters, digits, `-`, `_` and `.`, first a letter or digit, at most 253",
            "config.yaml:1:13: listeners[0]: missing key `address`",
            "  allowed: an IP address and a port, such as `127.0.0.1:8080`, `0.0.0.0:8080` or `[::]:8080`",
            "config.yaml:2:12: backends[0]: missing key `name`",
            "  allowed: a name: letters, digits, `-`, `_` and `.`, first a letter or digit, at most 253",
            "config.yaml:2:12: backends[0]: missing key `endpoints`",
            "  allowed: a list with at least one item",
        ],
    );
    refuses(
        &backend("algorithm: {}"),
        &[
            "config.yaml:5:16: backends[0].algorithm: missing key `name`",
            "  allowed: RoundRobin, Random, LeastConnections, LeastResponseTime, PowerOfTwoChoices, PeakEwma",
        ],
    );
    refuses(
        &top("probes: {}"),
        &[
            "config.yaml:5:9: probes: missing key `address`",
            "  allowed: an IP address and a port, such as `127.0.0.1:8080`, `0.0.0.0:8080` or `[::]:8080`",
        ],
    );
}

#[test]
fn a_key_without_its_value_is_refused_where_it_is_needed() {
    refuses(
        "listeners:\nbackends: [{ name: , endpoints: [ ] }]\n",
        &[
            "config.yaml:1:1: listeners: the key `listeners` has no value",
            "  allowed: a list with at least one item",
            "config.yaml:2:14: backends[0].name: the key `name` has no value",
            "  allowed: a name: letters, digits, `-`, `_` and `.`, first a letter or digit, at most 253",
            "config.yaml:2:33: backends[0].endpoints: an empty list",
            "  allowed: at least one item",
        ],
    );
    refuses(
        "listeners:\n  -\nbackends: [{ name: demo, endpoints: [http://a] }]\n",
        &[
            "config.yaml:2:4: listeners[0]: an item without a value",
            "  allowed: a value after each `-`",
        ],
    );
}

#[test]
fn what_is_not_available_yet_is_refused() {
    refuses(
        &top("routes: []\ntelemetry: { traces: {}, metrics: {} }"),
        &[
            "config.yaml:5:1: routes: `routes` is not available yet",
            "  allowed: admin, probes, workers, shutdown, telemetry, listeners, backends",
            "config.yaml:6:14: telemetry.traces: `traces` is not available yet",
            "  allowed: accessLog",
            "config.yaml:6:26: telemetry.metrics: `metrics` is not available yet",
            "  allowed: accessLog",
        ],
    );
    refuses(
        &backend(
            "dns: {}\n    service: {}\n    protocol: Http1\n    tls: {}\n    sessionAffinity: {}\n    outlierDetection: {}\n    circuitBreaker: {}\n    slowStart: {}\n    connections: {}",
        ),
        &[
            "config.yaml:5:5: backends[0].dns: `dns` is not available yet",
            "  allowed: name, algorithm, endpoints, healthProbe, latencyProbe, timeouts, retry",
            "config.yaml:6:5: backends[0].service: `service` is not available yet",
            "  allowed: name, algorithm, endpoints, healthProbe, latencyProbe, timeouts, retry",
            "config.yaml:7:5: backends[0].protocol: `protocol` is not available yet",
            "  allowed: name, algorithm, endpoints, healthProbe, latencyProbe, timeouts, retry",
            "config.yaml:8:5: backends[0].tls: `tls` is not available yet",
            "  allowed: name, algorithm, endpoints, healthProbe, latencyProbe, timeouts, retry",
            "config.yaml:9:5: backends[0].sessionAffinity: `sessionAffinity` is not available yet",
            "  allowed: name, algorithm, endpoints, healthProbe, latencyProbe, timeouts, retry",
            "config.yaml:10:5: backends[0].outlierDetection: `outlierDetection` is not available yet",
            "  allowed: name, algorithm, endpoints, healthProbe, latencyProbe, timeouts, retry",
            "config.yaml:11:5: backends[0].circuitBreaker: `circuitBreaker` is not available yet",
            "  allowed: name, algorithm, endpoints, healthProbe, latencyProbe, timeouts, retry",
            "config.yaml:12:5: backends[0].slowStart: `slowStart` is not available yet",
            "  allowed: name, algorithm, endpoints, healthProbe, latencyProbe, timeouts, retry",
            "config.yaml:13:5: backends[0].connections: `connections` is not available yet",
            "  allowed: name, algorithm, endpoints, healthProbe, latencyProbe, timeouts, retry",
        ],
    );
    refuses(
        "listeners: [{ name: http, address: 127.0.0.1:8080, tls: {}, proxyProtocol: Disabled, protocol: Http, limits: { maxConnections: 1, maxConcurrentStreams: 1 } }]\nbackends: [{ name: demo, endpoints: [http://a], retry: { statuses: [503] } }]\n",
        &[
            "config.yaml:1:52: listeners[0].tls: `tls` is not available yet",
            "  allowed: name, address, limits",
            "config.yaml:1:61: listeners[0].proxyProtocol: `proxyProtocol` is not available yet",
            "  allowed: name, address, limits",
            "config.yaml:1:86: listeners[0].protocol: `protocol` is not available yet",
            "  allowed: name, address, limits",
            "config.yaml:1:112: listeners[0].limits.maxConnections: `maxConnections` is not available yet",
            "  allowed: headerTimeout, bodyTimeout, idleTimeout, maxHeaderBytes, maxHeaders, maxBodyBytes",
            "config.yaml:1:131: listeners[0].limits.maxConcurrentStreams: `maxConcurrentStreams` is not available yet",
            "  allowed: headerTimeout, bodyTimeout, idleTimeout, maxHeaderBytes, maxHeaders, maxBodyBytes",
            "config.yaml:2:58: backends[0].retry.statuses: `statuses` is not available yet",
            "  allowed: attempts, conditions, budget",
        ],
    );
    refuses(
        &backend("algorithm: SourceIpHash"),
        &[
            "config.yaml:5:16: backends[0].algorithm: `SourceIpHash` is not available yet",
            "  allowed: RoundRobin, Random, LeastConnections, LeastResponseTime, PowerOfTwoChoices, PeakEwma",
        ],
    );
    refuses(
        &backend("algorithm: { name: ConsistentHash, key: { header: a }, boundedLoad: 1.25 }"),
        &[
            "config.yaml:5:24: backends[0].algorithm.name: `ConsistentHash` is not available yet",
            "  allowed: RoundRobin, Random, LeastConnections, LeastResponseTime, PowerOfTwoChoices, PeakEwma",
            "config.yaml:5:40: backends[0].algorithm.key: `key` is not available yet",
            "  allowed: name",
            "config.yaml:5:60: backends[0].algorithm.boundedLoad: `boundedLoad` is not available yet",
            "  allowed: name",
        ],
    );
    refuses(
        "listeners: [{ name: http, address: 127.0.0.1:8080 }]\nbackends: [{ name: demo, dns: { name: a } }]\n",
        &[
            "config.yaml:2:26: backends[0].dns: `dns` is not available yet",
            "  allowed: name, algorithm, endpoints, healthProbe, latencyProbe, timeouts, retry",
        ],
    );
}
