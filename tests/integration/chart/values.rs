//! The values of the chart: their schema, and the page that lists them.

use super::{cases, hold_in_step, read};
use serde_json::Value;
use std::collections::BTreeSet;

const MARK: &str = "<!-- Generated from values.schema.json and values.yaml: UPDATE_DOCS=1 cargo test --test integration chart:: -->\n";

fn schema() -> Value {
    serde_json::from_str(&read("charts/outrigger/values.schema.json")).unwrap()
}

fn yaml(text: &str) -> Value {
    serde_yaml::from_str(text).unwrap()
}

fn defaults() -> Value {
    yaml(&read("charts/outrigger/values.yaml"))
}

/// A value of the chart.
struct Row {
    key: String,
    default: Option<Value>,
    description: String,
}

/// The values that a schema knows, down to those that it does not look into.
fn rows(prefix: &str, schema: &Value, defaults: Option<&Value>, rows: &mut Vec<Row>) {
    for (name, property) in schema["properties"].as_object().unwrap() {
        let key = if prefix.is_empty() { name.clone() } else { format!("{prefix}.{name}") };
        let default = defaults.and_then(|defaults| defaults.get(name));
        if property["properties"].is_object() {
            self::rows(&key, property, default, rows);
        } else {
            let description = property["description"].as_str();
            let description =
                description.unwrap_or_else(|| panic!("{key}: what is it?")).to_owned();
            rows.push(Row { key, default: default.cloned(), description });
        }
    }
}

fn all_rows() -> Vec<Row> {
    let mut found = Vec::new();
    rows("", &schema(), Some(&defaults()), &mut found);
    found
}

#[test]
fn the_readme_lists_all_values() {
    let page = read("charts/outrigger/README.md");
    let (head, _) = page.split_once(MARK).expect("the mark");
    let mut table = String::from("\n| value | default | |\n|---|---|---|\n");
    for Row { key, default, description } in all_rows() {
        let default = match default {
            None | Some(Value::Null) => String::new(),
            Some(value) => match value.to_string() {
                long if long.len() > 100 => "see [values.yaml](values.yaml)".to_owned(),
                short => format!("`{short}`"),
            },
        };
        table.push_str(&format!("| `{key}` | {default} | {description} |\n"));
    }
    hold_in_step("charts/outrigger/README.md", &format!("{head}{MARK}{table}"), "UPDATE_DOCS");
}

#[test]
fn every_default_is_known_to_the_schema_and_every_value_has_its_place_in_the_file() {
    let schema = schema();
    let faults: Vec<_> = jsonschema::validator_for(&schema)
        .unwrap()
        .iter_errors(&defaults())
        .map(|error| format!("{}: {error}", error.instance_path()))
        .collect();
    assert!(faults.is_empty(), "{faults:#?}");
    // What is not in the file is of a parent chart, or of Kubernetes.
    let missing: BTreeSet<_> = all_rows()
        .into_iter()
        .filter(|row| row.default.is_none())
        .map(|row| row.key)
        .filter(|key| !key.contains("Probe."))
        .collect();
    assert_eq!(missing, BTreeSet::from(["enabled", "global"].map(str::to_owned)));
}

#[test]
fn a_typo_is_refused_and_what_parent_charts_and_anchors_need_is_not() {
    let schema = schema();
    let validator = jsonschema::validator_for(&schema).unwrap();
    for case in cases() {
        let values = yaml(&read(&format!("charts/outrigger/ci/{case}-values.yaml")));
        assert!(validator.is_valid(&values), "{case}");
    }
    for fine in [
        "{}",
        "global: { anything: { at: all } }",
        "enabled: false",
        "x-labels: &labels { a: b }\npodLabels: *labels",
        "config: { whatever: it says }",
        "terminationGracePeriodSeconds: null",
        "service: { ports: { any-name: 80, other: { port: 81, nodePort: 30081 } } }",
    ] {
        assert!(validator.is_valid(&yaml(fine)), "{fine}");
    }
    for typo in [
        "replica: 3",
        "replicas: '3'",
        "mode: sidecar",
        "kind: StatefulSet",
        "config: []",
        "image: { repo: x }",
        "image: { digest: 'sha256:abc' }",
        "service: { port: 80 }",
        "service: { ports: { http: '80' } }",
        "service: { ports: { http: { nodeport: 30080, port: 80 } } }",
        "service: { externalTrafficPolicy: local }",
        "metrics: { podMonitor: { enable: true } }",
        "metrics: { podMonitor: { enabled: 'true' } }",
        "tls: { secrets: [{ name: x }] }",
        "tls: { secrets: [a/b] }",
        "livenessProbe: { httpGet: { path: / } }",
        "rbac: { scope: Namespace }",
        "commonLabels: { a: 1 }",
    ] {
        assert!(!validator.is_valid(&yaml(typo)), "{typo}");
    }
}

#[test]
fn the_chart_installs_the_version_that_it_is_of() {
    let chart = yaml(&read("charts/outrigger/Chart.yaml"));
    assert_eq!(chart["appVersion"], outrigger::VERSION);
    assert!(read("Dockerfile").contains(&format!("ARG VERSION={}\n", outrigger::VERSION)));
}
