//! Spans as a collector got them.

use serde_json::Value;
use std::collections::BTreeMap;
use std::path::Path;

/// A span.
#[derive(Clone, Debug, PartialEq)]
pub struct Span {
    /// Its trace, in hexadecimal digits.
    pub trace: String,
    /// Its own id.
    pub id: String,
    /// Its parent's; empty where it has none.
    pub parent: String,
    /// Its name.
    pub name: String,
    /// `SERVER`, `CLIENT` or `INTERNAL`.
    pub kind: &'static str,
    /// What others said along the trace.
    pub state: String,
    /// When it began, in nanoseconds since 1970.
    pub start: u64,
    /// When it ended.
    pub end: u64,
    /// Whether it is marked as an error.
    pub is_error: bool,
    /// What it says.
    pub attributes: BTreeMap<String, Value>,
    /// What happened in it.
    pub events: Vec<Happening>,
    /// What it says of its process.
    pub resource: BTreeMap<String, Value>,
}

/// What happened in a span.
#[derive(Clone, Debug, PartialEq)]
pub struct Happening {
    /// Its name.
    pub name: String,
    /// What it says.
    pub attributes: BTreeMap<String, Value>,
}

impl Span {
    /// An attribute; null if there is none.
    pub fn get(&self, name: &str) -> &Value {
        self.attributes.get(name).unwrap_or(&Value::Null)
    }
}

impl Happening {
    /// An attribute; null if there is none.
    pub fn get(&self, name: &str) -> &Value {
        self.attributes.get(name).unwrap_or(&Value::Null)
    }
}

/// The spans of a file of exports. A line that is not whole yet is left for the next time.
pub(super) fn read(file: &Path) -> Vec<Span> {
    let text = std::fs::read_to_string(file).unwrap_or_default();
    let whole = text.rfind('\n').map_or("", |end| &text[..end]);
    let mut spans = Vec::new();
    for line in whole.lines() {
        let export: Value = serde_json::from_str(line).expect("a line is JSON");
        for of_resource in list(&export["resourceSpans"]) {
            let resource = attributes(&of_resource["resource"]["attributes"]);
            let scopes = list(&of_resource["scopeSpans"]);
            let all = scopes.iter().flat_map(|scope| list(&scope["spans"]));
            spans.extend(all.map(|span| Span { resource: resource.clone(), ..one(span) }));
        }
    }
    spans
}

fn one(span: &Value) -> Span {
    let events = list(&span["events"]).iter().map(|event| Happening {
        name: text(&event["name"]),
        attributes: attributes(&event["attributes"]),
    });
    Span {
        trace: text(&span["traceId"]),
        id: text(&span["spanId"]),
        parent: text(&span["parentSpanId"]),
        name: text(&span["name"]),
        kind: match number(&span["kind"]) {
            2 => "SERVER",
            3 => "CLIENT",
            _ => "INTERNAL",
        },
        state: text(&span["traceState"]),
        start: number(&span["startTimeUnixNano"]),
        end: number(&span["endTimeUnixNano"]),
        is_error: number(&span["status"]["code"]) == 2,
        attributes: attributes(&span["attributes"]),
        events: events.collect(),
        resource: BTreeMap::new(),
    }
}

fn attributes(of: &Value) -> BTreeMap<String, Value> {
    list(of).iter().map(|pair| (text(&pair["key"]), value(&pair["value"]))).collect()
}

fn value(of: &Value) -> Value {
    let Some((kind, value_of)) = of.as_object().and_then(|fields| fields.iter().next()) else {
        return Value::Null;
    };
    match &**kind {
        "intValue" => number(value_of).into(),
        "arrayValue" => list(&value_of["values"]).iter().map(value).collect(),
        _ => value_of.clone(),
    }
}

/// Large numbers are strings in OTLP's JSON.
fn number(of: &Value) -> u64 {
    of.as_u64().or_else(|| of.as_str()?.parse().ok()).unwrap_or(0)
}

fn text(of: &Value) -> String {
    of.as_str().unwrap_or_default().to_owned()
}

fn list(of: &Value) -> &[Value] {
    of.as_array().map_or(&[], |values| values)
}
