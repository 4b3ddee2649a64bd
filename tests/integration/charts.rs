//! Holds the board and the alerts to the metrics that there are.

use outrigger::telemetry::metrics::{ALL, Kind, Metric};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;

/// What Prometheus itself adds to every series; the namespace comes with a PodMonitor or ServiceMonitor.
const TARGET: [&str; 3] = ["job", "instance", "namespace"];

fn file(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("charts/outrigger/files").join(name)
}

fn board() -> Value {
    let text = std::fs::read_to_string(file("dashboards/outrigger.json")).unwrap();
    serde_json::from_str(&text).unwrap()
}

fn rules() -> Vec<Value> {
    let text = std::fs::read_to_string(file("rules/outrigger.yaml")).unwrap();
    let rules: Value = serde_yaml::from_str(&text).unwrap();
    let groups = rules["groups"].as_array().unwrap().clone();
    groups.iter().flat_map(|group| group["rules"].as_array().unwrap().clone()).collect()
}

/// All texts that stand at `key`, however deep.
fn texts(value: &Value, key: &str, found: &mut Vec<String>) {
    match value {
        Value::Object(map) => {
            for (name, value) in map {
                match value {
                    Value::String(text) if name == key => found.push(text.clone()),
                    _ => texts(value, key, found),
                }
            }
        }
        Value::Array(list) => list.iter().for_each(|value| texts(value, key, found)),
        _ => {}
    }
}

/// What an expression of PromQL says of our metrics.
struct Expression {
    /// The metrics, and the labels that are asked of each.
    metrics: Vec<(String, Vec<String>)>,
    /// The labels that it groups by.
    grouped: BTreeSet<String>,
}

fn understand(text: &str) -> Expression {
    let name = regex::Regex::new(r"\b((?:outrigger|process)_\w+)\s*(?:\{([^}]*)\})?").unwrap();
    let matcher = regex::Regex::new(r#"(\w+)\s*(?:=~|!~|!=|=)\s*""#).unwrap();
    let grouping = regex::Regex::new(r"\b(?:by|on|ignoring|without)\s*\(([^)]*)\)").unwrap();
    let metrics = name.captures_iter(text).map(|found| {
        let labels = found.get(2).map_or("", |labels| labels.as_str());
        let labels = matcher.captures_iter(labels).map(|found| found[1].to_owned());
        (found[1].to_owned(), labels.collect())
    });
    let grouped = grouping.captures_iter(text).flat_map(|found| {
        found[1].split(',').map(|label| label.trim().to_owned()).collect::<Vec<_>>()
    });
    Expression { metrics: metrics.collect(), grouped: grouped.collect() }
}

/// The metric of a series: those of a histogram have names of their own.
fn metric(series: &str) -> Option<&'static Metric> {
    let plain = ALL.iter().find(|metric| metric.name == series && metric.kind != Kind::Histogram);
    plain.or_else(|| {
        let suffixes = ["_bucket", "_sum", "_count"].into_iter();
        let base = suffixes.filter_map(|suffix| series.strip_suffix(suffix)).next()?;
        ALL.iter().find(|metric| metric.name == base && metric.kind == Kind::Histogram)
    })
}

/// The labels that what `text` gives may have, and what is wrong with it.
fn labels_of(text: &str, faults: &mut Vec<String>) -> BTreeSet<String> {
    let mut known: BTreeSet<_> = TARGET.map(str::to_owned).into();
    let Expression { metrics, grouped } = understand(text);
    assert!(!metrics.is_empty(), "no metric of ours in {text}");
    for (series, asked) in metrics {
        let Some(metric) = metric(&series) else {
            faults.push(format!("there is no {series}: {text}"));
            continue;
        };
        let mut own: BTreeSet<_> = metric.labels.iter().map(|label| (*label).to_owned()).collect();
        if series.ends_with("_bucket") {
            own.insert("le".to_owned());
        }
        for label in asked.iter().filter(|label| !own.contains(*label)) {
            if !TARGET.contains(&label.as_str()) {
                faults.push(format!("{series} has no label {label}: {text}"));
            }
        }
        known.extend(own);
    }
    for label in grouped.iter().filter(|label| !label.is_empty() && !known.contains(*label)) {
        faults.push(format!("nothing has a label {label}: {text}"));
    }
    known
}

/// The labels that a template of Grafana or Prometheus shows.
fn shown(template: &str) -> Vec<String> {
    let pattern = regex::Regex::new(r"\{\{\s*\$?(?:labels\.)?(\w+)[^}]*\}\}").unwrap();
    pattern.captures_iter(template).map(|found| found[1].to_owned()).collect()
}

#[test]
fn the_board_shows_metrics_that_there_are() {
    let mut faults = Vec::new();
    let board = board();
    let mut expressions = 0;
    for panel in board["panels"].as_array().unwrap() {
        for target in panel["targets"].as_array().unwrap_or(&vec![]) {
            let text = target["expr"].as_str().unwrap();
            let known = labels_of(text, &mut faults);
            let legend = target["legendFormat"].as_str().unwrap_or_default();
            for label in shown(legend).iter().filter(|label| !known.contains(*label)) {
                faults.push(format!("{} shows {label}, which {text} has not", panel["title"]));
            }
            expressions += 1;
        }
    }
    let mut queries = Vec::new();
    texts(&board["templating"], "definition", &mut queries);
    texts(&board["annotations"], "expr", &mut queries);
    for query in &queries {
        labels_of(query, &mut faults);
    }
    assert!(faults.is_empty(), "{faults:#?}");
    assert!(expressions > 50 && queries.len() >= 4);
}

#[test]
fn every_alert_watches_a_metric_that_there_is_and_says_what_to_do() {
    let mut faults = Vec::new();
    let mut names = BTreeSet::new();
    for rule in rules() {
        let name = rule["alert"].as_str().unwrap();
        assert!(names.insert(name.to_owned()), "{name} twice");
        let known = labels_of(rule["expr"].as_str().unwrap(), &mut faults);
        let severity = rule["labels"]["severity"].as_str().unwrap();
        assert!(["critical", "warning"].contains(&severity), "{name}: {severity}");
        for annotation in ["summary", "description"] {
            let text = rule["annotations"][annotation].as_str().unwrap();
            assert!(text.ends_with(['.', '?']), "{name}: {text}");
            let labels = shown(text).into_iter().filter(|label| label != "value");
            faults.extend(
                labels
                    .filter(|label| !known.contains(label))
                    .map(|label| format!("{name} shows {label}, which it has not")),
            );
        }
        assert!(rule["annotations"]["description"].as_str().unwrap().len() > 100, "{name}");
    }
    assert!(faults.is_empty(), "{faults:#?}");
    // Each is tried.
    let tests = std::fs::read_to_string(file("rules/tests/outrigger.yaml")).unwrap();
    let untried: Vec<_> =
        names.iter().filter(|name| !tests.contains(&format!("\"{name}\""))).collect();
    assert!(untried.is_empty(), "{untried:?}");
}

#[test]
fn panels_have_ids_of_their_own_and_do_not_overlap() {
    let board = board();
    let panels = board["panels"].as_array().unwrap();
    let mut ids = BTreeSet::new();
    let mut cells = BTreeMap::new();
    let mut rows = Vec::new();
    for panel in panels {
        assert!(ids.insert(panel["id"].as_u64().unwrap()), "id {} twice", panel["id"]);
        let title = panel["title"].as_str().unwrap();
        let at = |key: &str| panel["gridPos"][key].as_u64().unwrap();
        assert!(at("x") + at("w") <= 24, "{title} is too wide");
        for (x, y) in (at("x")..at("x") + at("w"))
            .flat_map(|x| (at("y")..at("y") + at("h")).map(move |y| (x, y)))
        {
            let other = cells.insert((x, y), title);
            assert_eq!(other, None, "{title} lies on it");
        }
        match panel["type"].as_str().unwrap() {
            "row" => rows.push(title),
            _ => assert_eq!(panel["datasource"]["uid"], "${datasource}", "{title}"),
        }
    }
    let expected =
        ["Overview", "Backends", "Configuration", "TLS", "Process and workers", "Traces"];
    assert_eq!(rows, expected);
}

#[test]
fn promtool_finds_no_fault_with_the_alerts() {
    for arguments in [
        ["check", "rules", "rules/outrigger.yaml"],
        ["test", "rules", "rules/tests/outrigger.yaml"],
    ] {
        let [command, kind, name] = arguments;
        match Command::new("promtool").args([command, kind]).arg(file(name)).output() {
            Ok(output) => assert!(
                output.status.success(),
                "{}{}",
                String::from_utf8_lossy(&output.stdout),
                String::from_utf8_lossy(&output.stderr)
            ),
            Err(error) if std::env::var_os("REQUIRE_TOOLS").is_none_or(|value| value != "1") => {
                return eprintln!("skipped: promtool (Debian package prometheus): {error}");
            }
            Err(error) => panic!("promtool (Debian package prometheus): {error}"),
        }
    }
}

// The checks above are worth what these are worth.

#[test]
fn what_is_wrong_with_an_expression_is_seen() {
    for (text, fault) in [
        ("rate(outrigger_requests_total{nope=\"1\"}[5m])", "has no label nope"),
        ("sum by (route) (outrigger_requests_total)", "nothing has a label route"),
        ("outrigger_no_such_total", "there is no outrigger_no_such_total"),
        ("outrigger_requests_total_bucket", "there is no"),
        ("outrigger_request_duration_seconds", "there is no"),
        ("sum by (le) (outrigger_request_duration_seconds_count)", "nothing has a label le"),
    ] {
        let mut faults = Vec::new();
        labels_of(text, &mut faults);
        assert!(faults.len() == 1 && faults[0].contains(fault), "{text}: {faults:?}");
    }
    let fine = "sum by (backend, le) (rate(outrigger_request_duration_seconds_bucket{job=~\"$job\", backend=\"a\"}[5m]))";
    let mut faults = Vec::new();
    assert!(labels_of(fine, &mut faults).contains("le"));
    assert!(faults.is_empty(), "{faults:?}");
    assert_eq!(
        shown("{{backend}} {{ $labels.endpoint }} {{ $value | x }}"),
        ["backend", "endpoint", "value"]
    );
}
