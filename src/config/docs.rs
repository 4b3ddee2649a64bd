//! `docs/configuration.md`: prose from `docs/configuration.in.md`, tables of keys from the schema of the types.
//!
//! `<!-- keys: a b without a.c -->` stands for the table of all keys below the paths `a` and `b`, `<!-- values: Type -->` for
//! the values of a type with names for values, and `<!-- later -->` for the keys whose features do not exist yet.

use super::file::{LATER, SHORTHANDS};
use super::schema::{chosen_alone, typed};
use serde_json::{Map, Value};
use std::fmt::Write;
use std::path::Path;

/// Holds the file `name` of the repository to `content`; with UPDATE_DOCS in the environment it is written instead.
pub(super) fn hold_in_step(name: &str, content: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(name);
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(path, content).unwrap();
        return;
    }
    let found = std::fs::read_to_string(path).unwrap_or_default();
    let differing = found.lines().zip(content.lines()).position(|(found, new)| found != new);
    let line = differing.unwrap_or(found.lines().count().min(content.lines().count())) + 1;
    assert!(
        found == content,
        "{name} is not what the sources say, from line {line} on; this rewrites it:\n  UPDATE_DOCS=1 cargo test --lib config::"
    );
}

#[test]
fn the_page_is_what_the_sources_say() {
    let page = page(include_str!("../../docs/configuration.in.md"));
    hold_in_step("docs/configuration.md", &page);
}

#[test]
fn the_page_has_a_row_for_every_key() {
    let page = page(include_str!("../../docs/configuration.in.md"));
    let types = Types::new();
    let mut rows = Vec::new();
    types.rows("", &types.root, &[], &mut rows);
    assert!(rows.len() > 100, "{}", rows.len());
    for Row { key, .. } in rows {
        assert_eq!(page.matches(&format!("\n| `{key}` |")).count(), 1, "{key}");
    }
}

/// The page that `template` makes.
fn page(template: &str) -> String {
    let types = Types::new();
    let mut out = String::new();
    for line in template.lines() {
        let directive = line.strip_prefix("<!-- ").and_then(|line| line.strip_suffix(" -->"));
        match directive.map(|text| text.split_once(": ").unwrap_or((text, ""))) {
            None => out.push_str(line),
            Some(("note", _)) => {
                out.push_str("<!-- Generated from configuration.in.md and the sources: UPDATE_DOCS=1 cargo test --lib config:: -->");
            }
            Some(("keys", paths)) => out.push_str(&types.keys(paths)),
            Some(("values", name)) => out.push_str(&types.values(name)),
            Some(("later", _)) => out.push_str(&types.later()),
            Some((unknown, _)) => panic!("what is `{unknown}`?"),
        }
        out.push('\n');
    }
    out
}

struct Row {
    key: String,
    kind: String,
    default: String,
    description: String,
}

/// The schema of the types.
struct Types {
    root: Value,
    definitions: Map<String, Value>,
}

impl Types {
    fn new() -> Self {
        let mut root = typed();
        let definitions = root["$defs"].take().as_object().unwrap().clone();
        Self { root, definitions }
    }

    /// The schema behind a reference, and its name.
    fn behind<'a>(&'a self, schema: &'a Value) -> (&'a Value, &'a str) {
        match schema["$ref"].as_str() {
            Some(reference) => {
                let name = reference.rsplit('/').next().unwrap();
                (&self.definitions[name], name)
            }
            None => (schema, ""),
        }
    }

    /// A row for every key below `schema`, whose path is `path`; none for `skipped` paths and what is below them.
    fn rows(&self, path: &str, schema: &Value, skipped: &[&str], rows: &mut Vec<Row>) {
        let (schema, _) = self.behind(schema);
        let alone = chosen_alone(schema.as_object().unwrap());
        let required = schema["required"].as_array().cloned().unwrap_or_default();
        for (key, property) in schema["properties"].as_object().unwrap() {
            let is_list = property["type"] == "array";
            let value = if is_list { &property["items"] } else { property };
            let separator = if path.is_empty() { "" } else { "." };
            let path = format!("{path}{separator}{key}{}", if is_list { "[]" } else { "" });
            if skipped.contains(&&*path) {
                continue;
            }
            let default = match &property["default"] {
                _ if required.contains(&Value::from(&**key)) && is_list => "at least one".into(),
                _ if required.contains(&Value::from(&**key)) => "required".into(),
                _ if alone.contains(key) => "exactly one".into(),
                Value::Null if self.is_map(value) && !is_list => String::new(),
                Value::Null => "absent".into(),
                Value::Array(items) if items.is_empty() => "none".into(),
                default => format!("`{}`", bare(default)),
            };
            let description = property["description"].as_str().unwrap().to_owned();
            rows.push(Row { key: path.clone(), kind: self.kind(value), default, description });
            if self.is_map(value) {
                self.rows(&path, value, skipped, rows);
            }
        }
    }

    fn is_map(&self, schema: &Value) -> bool {
        self.behind(schema).0["properties"].is_object()
    }

    fn kind(&self, schema: &Value) -> String {
        let (schema, name) = self.behind(schema);
        if let Some((_, key, _)) = SHORTHANDS.iter().find(|(of, ..)| *of == name) {
            return format!("{}, or a map", self.kind(&schema["properties"][key]));
        }
        match &schema["title"] {
            Value::String(title) => title.clone(),
            _ if schema["type"] == "boolean" => "`true`, `false`".into(),
            _ if schema["type"] == "object" => "map".into(),
            _ => {
                let names: Vec<_> = named(schema).map(|(names, _)| names[0].clone()).collect();
                match names.len() {
                    0 => panic!("no kind: {schema}"),
                    1..=4 => {
                        names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
                    }
                    _ => "name from the list below".into(),
                }
            }
        }
    }

    fn keys(&self, paths: &str) -> String {
        let (paths, skipped) = paths.split_once(" without ").unwrap_or((paths, ""));
        let skipped: Vec<_> = skipped.split_whitespace().collect();
        let mut all = Vec::new();
        self.rows("", &self.root, &skipped, &mut all);
        let mut out = String::from("| key | kind | default | |\n|---|---|---|---|");
        for path in paths.split_whitespace() {
            let below = |key: &str| {
                key.strip_prefix(path).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
            };
            let rows: Vec<_> = all.iter().filter(|row| below(&row.key)).collect();
            assert!(!rows.is_empty(), "no key `{path}`");
            for Row { key, kind, default, description } in rows {
                write!(out, "\n| `{key}` | {kind} | {default} | {description} |").unwrap();
            }
        }
        out
    }

    fn values(&self, name: &str) -> String {
        let mut out = String::from("| value | |\n|---|---|");
        for (names, description) in named(&self.definitions[name]) {
            write!(out, "\n| `{}` | {description} |", names[0]).unwrap();
        }
        out
    }

    fn later(&self) -> String {
        let mut paths = Vec::new();
        self.paths_of("", &self.root, "File", &mut paths);
        let mut out = Vec::new();
        for (struct_name, keys) in LATER {
            let (_, path) = paths.iter().find(|(name, _)| name == struct_name).unwrap();
            out.extend(keys.iter().map(|key| format!("`{path}.{key}`")));
        }
        out.join(", ")
    }

    /// Where the maps of each type stand.
    fn paths_of(&self, path: &str, schema: &Value, name: &str, paths: &mut Vec<(String, String)>) {
        paths.push((name.to_owned(), path.to_owned()));
        for (key, property) in schema["properties"].as_object().unwrap() {
            let is_list = property["type"] == "array";
            let value = if is_list { &property["items"] } else { property };
            let separator = if path.is_empty() { "" } else { "." };
            let path = format!("{path}{separator}{key}{}", if is_list { "[]" } else { "" });
            if self.is_map(value) {
                let (schema, name) = self.behind(value);
                self.paths_of(&path, schema, name, paths);
            }
        }
    }
}

/// The values of a type with names for values: the spellings of each, and its description.
fn named(schema: &Value) -> impl Iterator<Item = (Vec<String>, &str)> {
    schema["oneOf"].as_array().into_iter().flatten().map(|value| {
        let names = match value["enum"].as_array() {
            Some(names) => names.iter().map(bare).collect(),
            None => vec![bare(&value["const"])],
        };
        (names, value["description"].as_str().unwrap_or_default())
    })
}

/// A value as it stands in a file.
fn bare(value: &Value) -> String {
    match value {
        Value::String(text) if text.is_empty() => "\"\"".into(),
        Value::String(text) => text.clone(),
        Value::Array(items) => {
            format!("[{}]", items.iter().map(bare).collect::<Vec<_>>().join(", "))
        }
        Value::Object(entries) => {
            let entries: Vec<_> =
                entries.iter().map(|(key, value)| format!("{key}: {}", bare(value))).collect();
            format!("{{ {} }}", entries.join(", "))
        }
        other => other.to_string(),
    }
}
