//! The manual tells what the code does.

use outrigger::model::defaults;
use std::path::Path;
use std::time::Duration;

/// As Go writes it, as far as the defaults need it.
fn go(duration: Duration) -> String {
    match duration.as_secs() {
        hours if hours % 3600 == 0 => format!("{}h", hours / 3600),
        minutes if minutes % 60 == 0 && minutes > 60 => format!("{}m", minutes / 60),
        seconds => format!("{seconds}s"),
    }
}

#[test]
fn the_defaults_in_the_manual_are_those_of_the_code() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/configuration.md");
    let text = std::fs::read_to_string(path).unwrap();
    let cells = |key: &str| {
        let start = format!("| `{key}` |");
        let mut rows = text.lines().filter(|line| line.starts_with(&start));
        let row = rows.next().unwrap_or_else(|| panic!("the manual has no row of {key}"));
        assert_eq!(rows.next(), None, "{key} is there twice");
        row.split('|').map(|cell| cell.trim().trim_matches('`').to_owned()).collect::<Vec<_>>()
    };
    let (from, to) = defaults::PROBE_STATUSES;
    let statuses = format!("{from}-{to}");
    for (key, default) in [
        ("admin.address", defaults::ADMIN_ADDRESS.to_owned()),
        ("shutdown.drainDelay", go(defaults::DRAIN_DELAY)),
        ("shutdown.drainTimeout", go(defaults::DRAIN_TIMEOUT)),
        ("listeners[].limits.headerTimeout", go(defaults::HEADER_TIMEOUT)),
        ("listeners[].limits.bodyTimeout", go(defaults::BODY_TIMEOUT)),
        ("listeners[].limits.idleTimeout", go(defaults::IDLE_TIMEOUT)),
        ("listeners[].limits.maxHeaderBytes", format!("{}Ki", defaults::MAX_HEADER_BYTES / 1024)),
        ("listeners[].limits.maxHeaders", defaults::MAX_HEADERS.to_string()),
        ("backends[].endpoints[].weight", defaults::WEIGHT.to_string()),
        ("backends[].timeouts.connect", go(defaults::CONNECT_TIMEOUT)),
        ("backends[].timeouts.request", go(defaults::REQUEST_TIMEOUT)),
        ("backends[].timeouts.streamIdle", go(defaults::STREAM_IDLE_TIMEOUT)),
        ("backends[].timeouts.upgradedIdle", go(defaults::UPGRADED_IDLE_TIMEOUT)),
        ("backends[].retry.attempts", defaults::RETRY_ATTEMPTS.to_string()),
        ("backends[].retry.budget.ratio", format!("{}%", defaults::retry_ratio().value() * 100.0)),
        ("backends[].retry.budget.minPerSecond", defaults::RETRY_MIN_PER_SECOND.to_string()),
        ("http.statuses[]", statuses.clone()),
        ("interval", go(defaults::HEALTH_PROBE_INTERVAL)),
        ("timeout", go(defaults::HEALTH_PROBE_TIMEOUT)),
        ("healthyAfter", defaults::HEALTHY_AFTER.to_string()),
        ("unhealthyAfter", defaults::UNHEALTHY_AFTER.to_string()),
    ] {
        assert_eq!(cells(key)[3], default, "{key}");
    }
    for (key, of_latency_probe) in [
        ("http.statuses[]", statuses),
        ("interval", go(defaults::LATENCY_PROBE_INTERVAL)),
        ("timeout", go(defaults::LATENCY_PROBE_TIMEOUT)),
    ] {
        assert_eq!(cells(key)[4], of_latency_probe, "{key} of latencyProbe");
    }
    assert!(
        cells("backends[].endpoints[].weight")[2]
            .ends_with(&format!("to {}", defaults::MAX_WEIGHT))
    );
}

/// The same file without a key that has a default says the same as the file with the default written out.
#[test]
fn the_defaults_in_the_manual_change_nothing_when_they_are_written_out() {
    let base = "\
listeners: [{ name: http, address: '127.0.0.1:8080' LIMITS }]
backends: [{ name: demo, endpoints: ['http://127.0.0.1:1'] BACKEND, healthProbe: { tcp: {} HEALTH }, latencyProbe: { http: {STATUSES} LATENCY } }]
";
    let load = |text: &str| outrigger::config::load(text.as_bytes(), "test", &|_| None);
    let bare = ["LIMITS", "BACKEND", "HEALTH", "LATENCY", "STATUSES"]
        .iter()
        .fold(base.to_owned(), |text, place| text.replace(place, ""));
    let written = base
        .replace("LIMITS", ", limits: { headerTimeout: 10s, bodyTimeout: 30s, idleTimeout: 75s, maxHeaderBytes: 64Ki, maxHeaders: 128 }")
        .replace("BACKEND", ", algorithm: RoundRobin, timeouts: { connect: 2s, request: 60s, attempt: 0s, streamIdle: 5m, upgradedIdle: 1h }, retry: { attempts: 2, conditions: [ConnectFailure, Reset], budget: { ratio: 20%, minPerSecond: 3 } }")
        .replace("HEALTH", ", interval: 5s, timeout: 2s, healthyAfter: 2, unhealthyAfter: 3, minimumHealthy: 0%")
        .replace("LATENCY", ", interval: 1s, timeout: 5s")
        .replace("STATUSES", " path: /, statuses: [200-399] ");
    let top = "admin: { address: 127.0.0.1:9900 }\nworkers: 0\nshutdown: { drainDelay: 5s, drainTimeout: 30s }\n\
        telemetry: { accessLog: { enabled: true, output: Stdout, sample: 100% } }\n";
    let written = load(&format!("{top}{written}")).unwrap_or_else(|problems| panic!("{problems}"));
    assert_eq!(load(&bare).unwrap_or_else(|problems| panic!("{problems}")), written);
}
