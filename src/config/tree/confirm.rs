//! A second opinion: an unrelated reader of YAML, of the family that Helm and kubectl use, has to read the same in a
//! file before it runs. Where the two disagree, somebody would misread the file.

use super::{At, Entry, Kind, Node, Place};
use crate::config::problem::{Collector, Fault, shown};
use serde_yaml::Value;

/// Compares the document of `source` with `root`, in which nothing wrong was found.
pub(in crate::config) fn confirm(source: &[u8], root: &Node, problems: &Collector) {
    // Its byte order mark would be a document of its own to this reader.
    let source = source.strip_prefix("\u{feff}".as_bytes()).unwrap_or(source);
    match serde_yaml::from_slice::<Value>(source) {
        Ok(value) => agree(&At::root(root), &value, problems),
        Err(error) => {
            let at = error.location();
            let place =
                at.map_or(Place::START, |at| Place { line: at.line(), column: at.column() });
            let fault = Fault::new(format!("not valid YAML 1.1: {}", shown(&error.to_string())));
            problems.add(place, "", fault.allow("what YAML 1.1 and 1.2 both allow"));
        }
    }
}

/// Bare words are compared as text only where the second reader takes them for text: what else they are depends on
/// their key, and was decided before.
fn agree(at: &At<'_>, value: &Value, problems: &Collector) {
    let same = match (&at.node.kind, value) {
        (Kind::Scalar(scalar), Value::String(text)) => scalar.as_typed() == text,
        (Kind::Scalar(scalar), Value::Null | Value::Bool(_) | Value::Number(_)) => scalar.plain,
        (Kind::List(items), Value::Sequence(values)) => {
            for (index, value) in values.iter().enumerate().take(items.len()) {
                agree(&at.index(index), value, problems);
            }
            items.len() == values.len()
        }
        (Kind::Map(entries), Value::Mapping(values)) => {
            let key = |entry: &Entry, key: &Value| key.as_str().is_none_or(|key| key == entry.key);
            for (entry, (_, value)) in entries.iter().zip(values) {
                agree(&at.entry(entry), value, problems);
            }
            entries.len() == values.len()
                && entries.iter().zip(values.keys()).all(|(e, k)| key(e, k))
        }
        _ => false,
    };
    if !same {
        let fault = Fault::new("YAML 1.1 and 1.2 read this differently");
        problems.value(at, fault.allow("a simpler spelling, such as text in quotes"));
    }
}
