//! Holds `docs/metrics.md` to the table of metrics.

use super::{ALL, DURATION_BUCKETS, Kind, Metric};
use std::fmt::Write;
use std::path::Path;

/// What the page begins with.
const INTRODUCTION: &str = "\
<!-- Generated from src/telemetry/metrics.rs: UPDATE_DOCS=1 cargo test --lib telemetry::metrics -->

# Metrics

`GET /metrics` on the admin port and on the probes port gives all of them in Prometheus' text format. They are counted per worker
and added up when somebody asks, so that a scrape costs the requests nothing.

Labels are names out of the configuration (`listener`, `route`, `backend`, `endpoint`: its URL) or from short fixed lists. Nothing that
a client sends becomes a label. The series of a listener, route, backend or endpoint go with the reload that removes it, and stay,
with their values, over every reload that keeps its name. `code` is the class of the status (`1xx` to `5xx`), or `none` where the client
went away before there was an answer.

`charts/outrigger/files/dashboards/outrigger.json` is a Grafana board of them, `charts/outrigger/files/rules/outrigger.yaml` has alerts.
";

/// What is said of the buckets, after they are listed.
const BUCKETS: &str = "\
They begin with what an endpoint on the same machine takes that answers at once, and end with the timeouts that people set. Up to 10 s
each is at most two and a half times the one before, and a quantile that is read off is wrong by no more than that; it is exact
for the usual objectives (100 ms, 250 ms, 1 s), which are bounds. A histogram is 21 series: those of requests are kept per backend, not
per endpoint or route, and an endpoint's latency is a gauge.
";

/// Groups of the page: what they are called, and how the names of their metrics begin.
const GROUPS: &[(&str, &[&str])] = &[
    ("Requests", &["requests", "route", "request_duration", "response_head", "retr"]),
    ("Listeners", &["listener", "connections", "accept", "tls", "client_connections"]),
    ("Backends and endpoints", &["backend", "picks", "endpoint", "probe"]),
    ("Connections to endpoints", &["upstream"]),
    ("Traces and logs", &["spans", "log", "access_log"]),
    ("Configuration", &["config", "reload", "last_reload", "live", "certificate"]),
    ("Kubernetes", &["kubernetes"]),
];

#[test]
fn the_page_is_what_the_sources_say() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/metrics.md");
    let page = page();
    if std::env::var_os("UPDATE_DOCS").is_some() {
        return std::fs::write(path, page).unwrap();
    }
    let found = std::fs::read_to_string(path).unwrap_or_default();
    assert!(
        found == page,
        "docs/metrics.md is not what the sources say; this rewrites it:\n  UPDATE_DOCS=1 cargo test --lib telemetry::metrics"
    );
}

#[test]
fn the_page_has_a_row_for_every_metric() {
    let page = page();
    for metric in ALL {
        assert_eq!(page.matches(&format!("\n| `{}` |", metric.name)).count(), 1, "{}", metric.name);
    }
}

fn page() -> String {
    let mut page = INTRODUCTION.to_owned();
    for (title, _) in GROUPS {
        table(&mut page, title, &|metric| group(metric) == Some(title));
    }
    table(&mut page, "The process", &|metric| group(metric).is_none());
    let bounds: Vec<_> = DURATION_BUCKETS.iter().map(ToString::to_string).collect();
    let bounds = bounds.join(", ");
    write!(
        page,
        "\n## Buckets of the histograms\n\nUpper bounds in seconds: {bounds}.\n\n{BUCKETS}"
    )
    .unwrap();
    page
}

fn group(metric: &Metric) -> Option<&'static str> {
    let name = metric.name.strip_prefix("outrigger_")?;
    let is_in = |prefixes: &[&str]| prefixes.iter().any(|prefix| name.starts_with(prefix));
    GROUPS.iter().find(|(_, prefixes)| is_in(prefixes)).map(|(title, _)| *title)
}

fn table(page: &mut String, title: &str, takes: &dyn Fn(&Metric) -> bool) {
    write!(page, "\n## {title}\n\n| metric | type | labels | meaning |\n|---|---|---|---|\n")
        .unwrap();
    for metric in ALL.iter().filter(|metric| takes(metric)) {
        let Metric { name, help, kind, labels } = metric;
        let kind = match kind {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
            Kind::Histogram => "histogram",
        };
        let labels: Vec<_> = labels.iter().map(|label| format!("`{label}`")).collect();
        writeln!(page, "| `{name}` | {kind} | {} | {help} |", labels.join(", ")).unwrap();
    }
}
