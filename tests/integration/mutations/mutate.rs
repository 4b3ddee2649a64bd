//! One change after the other to a file that uses every key.

use fastrand::Rng;
use serde_json::{Map, Value, json};
use std::sync::LazyLock;

const FULL: &str = include_str!("../../../docs/full.yaml");

/// What is put where it may not belong.
const PIECES: &[&str] = &[
    "a",
    "-",
    "- ",
    ": ",
    ":",
    "?",
    "[",
    "]",
    "{",
    "}",
    ",",
    "#",
    "\"",
    "'",
    "|",
    ">",
    "&a ",
    "*a",
    "!!str ",
    "!t ",
    "<<",
    "~",
    "%",
    "@",
    "`",
    "\\",
    "\n",
    "\n\n",
    "\r",
    "\r\n",
    "\t",
    " ",
    "  ",
    "---\n",
    "...\n",
    "\u{0}",
    "\u{1b}",
    "\u{7f}",
    "\u{85}",
    "\u{a0}",
    "\u{2028}",
    "\u{feff}",
    "\u{fffd}",
    "é",
    "日本",
    "😀",
    "e\u{301}",
    "${SET}",
    "${UNSET:-1}",
    "${UNSET}",
    "${",
    "$${",
    "0",
    "-1",
    "1e309",
    "99999999999999999999999999",
    "0x10",
    "010",
    ".5",
    "1_000",
    "12:30",
    "null",
    "true",
    "no",
    "0s",
    "9000h",
];

/// A file: some parts of the full example with up to three changes.
pub fn source(rng: &mut Rng) -> Vec<u8> {
    let mut document = part(rng);
    let in_the_tree = rng.u8(..4) > 0;
    if in_the_tree {
        for _ in 0..rng.choice([1, 1, 1, 2, 3]).unwrap() {
            change(&mut document, rng);
        }
    }
    let text = match rng.u8(..8) {
        // JSON is YAML.
        0 => document.to_string(),
        _ => serde_yaml::to_string(&document).unwrap(),
    };
    let mut bytes = text.into_bytes();
    if rng.u8(..64) == 0 {
        bytes = FULL.as_bytes().to_vec();
    }
    if !in_the_tree {
        for _ in 0..rng.choice([1, 1, 1, 2, 3]).unwrap() {
            change_bytes(&mut bytes, rng);
        }
    }
    bytes
}

/// The full example with one or two of its routes, and with the backends that they name: most files are small.
fn part(rng: &mut Rng) -> Value {
    static DOCUMENT: LazyLock<Value> = LazyLock::new(|| serde_yaml::from_str(FULL).unwrap());
    let mut document = DOCUMENT.clone();
    let routes = document["routes"].as_array_mut().unwrap();
    rng.shuffle(routes);
    routes.truncate(rng.usize(1..=2));
    let routes = document["routes"].to_string();
    let named = |backend: &Value| routes.contains(&backend["name"].to_string());
    let backends = document["backends"].as_array_mut().unwrap();
    let first = backends[0].clone();
    backends.retain(named);
    if backends.is_empty() {
        backends.push(first);
    }
    thin(&mut document, rng);
    document
}

/// Leaves out half of what a file need not have.
fn thin(value: &mut Value, rng: &mut Rng) {
    const OPTIONAL: &[&str] = &[
        "admin",
        "clientAuth",
        "clientCertificate",
        "headers",
        "healthProbe",
        "hosts",
        "latencyProbe",
        "limits",
        "maxBodyBytes",
        "method",
        "probes",
        "proxyProtocol",
        "retry",
        "sessionAffinity",
        "shutdown",
        "slowStart",
        "telemetry",
        "timeouts",
        "tls",
        "workers",
    ];
    match value {
        Value::Object(entries) => entries.retain(|key, value| {
            let kept = rng.bool() || !OPTIONAL.contains(&&**key);
            if kept {
                thin(value, rng);
            }
            kept
        }),
        Value::Array(items) => items.iter_mut().for_each(|item| thin(item, rng)),
        _ => {}
    }
}

/// The pointer of some value below the document.
fn some_pointer(document: &Value, rng: &mut Rng) -> Option<String> {
    let (mut pointer, mut value) = (String::new(), document);
    loop {
        let step = match value {
            Value::Object(entries) if !entries.is_empty() => {
                let index = rng.usize(..entries.len());
                entries.keys().nth(index)?.replace('~', "~0").replace('/', "~1")
            }
            Value::Array(items) if !items.is_empty() => rng.usize(..items.len()).to_string(),
            _ => break,
        };
        pointer = format!("{pointer}/{step}");
        value = document.pointer(&pointer)?;
        if rng.u8(..4) == 0 {
            break;
        }
    }
    (!pointer.is_empty()).then_some(pointer)
}

fn change(document: &mut Value, rng: &mut Rng) {
    let Some(pointer) = some_pointer(document, rng) else { return };
    let Some(other) = some_pointer(document, rng) else { return };
    let (parent, step) = pointer.rsplit_once('/').unwrap();
    match rng.u8(..8) {
        0 | 1 => match document.pointer_mut(parent).unwrap() {
            Value::Object(entries) => drop(entries.shift_remove(step)),
            Value::Array(items) => drop(items.remove(step.parse().unwrap())),
            _ => {}
        },
        2 => {
            // The same once more: an item beside it, or a value in a value.
            let value = document.pointer(&pointer).unwrap().clone();
            match document.pointer_mut(parent).unwrap() {
                Value::Array(items) => items.push(value),
                Value::Object(entries) => drop(entries.insert(step.to_owned(), json!([value]))),
                _ => {}
            }
        }
        3 => {
            if let Value::Object(entries) = document.pointer_mut(parent).unwrap() {
                let other = other.rsplit('/').next().unwrap();
                let mut name: String = rng.choice([other, step, "colour", ""]).unwrap().to_owned();
                if name == step {
                    name.pop();
                }
                let renamed = std::mem::take(entries)
                    .into_iter()
                    .map(|(key, value)| (if key == step { name.clone() } else { key }, value));
                *entries = renamed.collect::<Map<_, _>>();
            }
        }
        4 => {
            let other = document.pointer(&other).unwrap().clone();
            *document.pointer_mut(&pointer).unwrap() = other;
        }
        5 => {
            let value = document.pointer_mut(&pointer).unwrap();
            *value = match &*value {
                Value::String(text) => {
                    text.parse::<u64>().map_or(json!({ "name": text }), |number| json!(number))
                }
                Value::Array(items) => items.first().cloned().unwrap_or(json!({})),
                Value::Object(entries) => Value::Array(entries.values().cloned().collect()),
                other => json!(other.to_string()),
            };
        }
        6 => {
            let numbers = [
                json!(0),
                json!(1),
                json!(2),
                json!(-1),
                json!(u64::MAX),
                json!(1e300),
                json!(0.5),
                json!(404),
            ];
            let others = [
                json!(null),
                json!(true),
                json!(false),
                json!([]),
                json!({}),
                json!(""),
                json!("x".repeat(300)),
            ];
            *document.pointer_mut(&pointer).unwrap() =
                rng.choice(numbers.into_iter().chain(others).collect::<Vec<_>>()).unwrap();
        }
        _ => {
            if let Value::String(text) = document.pointer_mut(&pointer).unwrap() {
                let mut at = rng.usize(0..=text.len());
                while !text.is_char_boundary(at) {
                    at -= 1;
                }
                text.insert_str(at, rng.choice(PIECES).unwrap());
            }
        }
    }
}

fn change_bytes(bytes: &mut Vec<u8>, rng: &mut Rng) {
    let at = rng.usize(0..=bytes.len());
    match rng.u8(..8) {
        0 => bytes.truncate(at),
        1 => {
            if let Some(byte) = bytes.get_mut(at) {
                *byte ^= 1 << rng.u8(..8);
            }
        }
        2 | 3 => drop(bytes.splice(at..at, rng.choice(PIECES).unwrap().bytes())),
        4 => {
            let end = bytes.len().min(at + rng.usize(1..20));
            bytes.drain(at.min(end)..end);
        }
        _ => {
            let text = String::from_utf8_lossy(bytes).into_owned();
            let mut lines: Vec<_> = text.lines().map(str::to_owned).collect();
            if lines.is_empty() {
                return;
            }
            let (one, other) = (rng.usize(..lines.len()), rng.usize(..lines.len()));
            match rng.u8(..4) {
                0 => drop(lines.remove(one)),
                1 => lines.insert(other, lines[one].clone()),
                2 => lines.swap(one, other),
                _ => lines[one].insert_str(0, rng.choice([" ", "  ", "- ", "# ", "\t"]).unwrap()),
            }
            *bytes = (lines.join("\n") + "\n").into_bytes();
        }
    }
}
