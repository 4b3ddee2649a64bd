//! The JSON Schema of the configuration file (2020-12), from the types that decode it.
//!
//! The types of [`super::file`] give keys, descriptions, defaults and what is required; `words` gives the single values.
//! What holds for the whole language is added here, in one pass: a map may be written as the value of its main key, a
//! variable may stand for any single value, and a key may be written without a value.

pub(super) mod notes;
mod words;

use super::file::{File, SHORTHANDS};
use schemars::generate::SchemaSettings;
use serde_json::{Map, Value, json};

/// The identity of the schema: a name, not a place to fetch it from.
const ID: &str = "urn:outrigger:configuration";

/// The keys of a schema that describe; all others demand something.
const ANNOTATIONS: &[&str] = &["title", "description", "default", "examples"];

/// The schema, as `outrigger schema` prints it, with a line break at its end.
pub fn text() -> String {
    // A tree of maps with text for keys: nothing in it can fail to be written.
    let text = serde_json::to_string_pretty(&schema()).unwrap_or_default();
    text + "\n"
}

/// The schema.
pub fn schema() -> Value {
    let Value::Object(mut typed) = typed() else { return Value::Null };
    let mut definitions = match typed.remove("$defs") {
        Some(Value::Object(definitions)) => definitions,
        _ => Map::new(),
    };
    for definition in definitions.values_mut() {
        complete(definition);
    }
    for (name, key, _) in SHORTHANDS {
        if let Some(definition) = definitions.get_mut(*name) {
            allow_shorthand(definition, key);
        }
    }
    if let Some(algorithm) = definitions.get_mut("Algorithm") {
        notes::only_a_consistent_hash_has_a_key(algorithm);
    }
    definitions.insert("Variable".into(), variable());
    let mut root = Value::Object(typed);
    complete(&mut root);
    let Value::Object(typed) = root else { return Value::Null };

    let mut schema = Map::new();
    schema.insert("$schema".into(), json!("https://json-schema.org/draft/2020-12/schema"));
    schema.insert("$id".into(), json!(ID));
    schema.insert("title".into(), json!("Configuration of Outrigger"));
    schema.insert(
        "description".into(),
        json!("One YAML file, followed while Outrigger serves: a saved change counts at once, a file with a mistake changes nothing."),
    );
    schema.insert(
        "examples".into(),
        json!([{
            "listeners": [{ "name": "http", "address": "127.0.0.1:8080" }],
            "backends": [{ "name": "demo", "endpoints": ["http://localhost:8081", "http://localhost:8082"] }]
        }]),
    );
    schema.extend(typed.into_iter().filter(|(key, _)| !schema_says(key)));
    schema.insert("$defs".into(), Value::Object(definitions));
    Value::Object(schema)
}

/// Whether the schema says this about itself already.
fn schema_says(key: &str) -> bool {
    ["$schema", "title", "description"].contains(&key)
}

/// The schema of the types alone.
pub(super) fn typed() -> Value {
    SchemaSettings::draft2020_12().into_generator().into_root_schema_for::<File>().to_value()
}

fn variable() -> Value {
    json!({
        "title": "variable",
        "description": "Text with `${NAME}` or `${NAME:-default}`: the environment's variable stands for the value or for a part of it.",
        "examples": ["${NAME}", "${NAME:-default}"],
        "type": "string",
        "pattern": r"\$\{[A-Za-z_][A-Za-z0-9_]*(?::-[^}]*)?\}"
    })
}

/// Adds to a schema and to those in it what holds for every value of its kind.
fn complete(schema: &mut Value) {
    let Value::Object(map) = schema else { return };
    if let Some(items) = map.get_mut("items") {
        complete(items);
    }
    let alone = chosen_alone(map);
    let required: Vec<_> = names(map.get("required")).map(str::to_owned).collect();
    if let Some(Value::Object(properties)) = map.get_mut("properties") {
        for (key, property) in properties {
            complete(property);
            if !required.contains(key) && !alone.contains(key) {
                add_alternative(property, json!({ "type": "null" }));
            }
        }
    }
    if is_word(map) {
        add_alternative(schema, json!({ "$ref": "#/$defs/Variable" }));
    } else {
        describe_first(map);
    }
}

/// Puts what a schema says of itself before what it demands.
fn describe_first(map: &mut Map<String, Value>) {
    let (says, demands): (Map<_, _>, Map<_, _>) =
        std::mem::take(map).into_iter().partition(|(key, _)| ANNOTATIONS.contains(&&**key));
    map.extend(says);
    map.extend(demands);
}

/// The keys of which a map has exactly one.
pub(super) fn chosen_alone(map: &Map<String, Value>) -> Vec<String> {
    let one_of = map.get("oneOf").and_then(Value::as_array);
    let one_of = one_of.filter(|_| map.contains_key("properties")).into_iter().flatten();
    one_of.flat_map(|one| names(one.get("required"))).map(str::to_owned).collect()
}

fn names(list: Option<&Value>) -> impl Iterator<Item = &str> {
    list.and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str)
}

/// Whether a schema is of a single value, and does not take a variable for one already.
fn is_word(map: &Map<String, Value>) -> bool {
    let any_text = map.get("type") == Some(&json!("string"))
        && map.keys().all(|key| key == "type" || ANNOTATIONS.contains(&&**key));
    let demands = |key: &str| map.contains_key(key);
    let typed = map.get("type").is_some_and(|kind| kind != "object" && kind != "array");
    !any_text && (typed || demands("anyOf") || (demands("oneOf") && !demands("properties")))
}

/// Allows `other` besides what `schema` demands. What it says of itself stays outside.
fn add_alternative(schema: &mut Value, other: Value) {
    let Value::Object(map) = schema else { return };
    let (says, mut demands): (Map<_, _>, Map<_, _>) =
        std::mem::take(map).into_iter().partition(|(key, _)| ANNOTATIONS.contains(&&**key));
    // Values of which one is chosen differ from each other, and from `other`.
    let only = |map: &Map<String, Value>, key: &str| map.len() == 1 && map.contains_key(key);
    let choices = match () {
        () if only(&demands, "anyOf") => demands.remove("anyOf"),
        () if only(&demands, "oneOf") => demands.remove("oneOf"),
        () => None,
    };
    let mut choices = match choices {
        Some(Value::Array(choices)) => choices,
        _ => vec![Value::Object(demands)],
    };
    choices.push(other);
    map.extend(says);
    map.insert("anyOf".into(), Value::Array(choices));
}

/// Allows the value of `key` instead of the map.
fn allow_shorthand(schema: &mut Value, key: &str) {
    let Some(mut word) = schema.pointer(&format!("/properties/{key}")).cloned() else { return };
    if let Value::Object(word) = &mut word {
        word.retain(|key, _| !ANNOTATIONS.contains(&&**key));
    }
    add_alternative(schema, word);
}

#[cfg(test)]
mod tests;
