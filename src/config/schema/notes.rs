//! What the types of the file say to their schema beyond their fields.

use crate::config::scalar::Quantity;
use schemars::Schema;
use serde_json::{Value, json};

/// A map with exactly one of `keys`.
pub(in crate::config) fn exactly_one(
    keys: &'static [&'static str],
) -> impl FnMut(&mut Schema) + use<> {
    move |schema| {
        let each: Vec<_> = keys.iter().map(|key| json!({ "required": [key] })).collect();
        schema.insert("oneOf".into(), Value::from(each));
    }
}

/// A value that also has another spelling.
pub(in crate::config) fn also_spelt(spelling: &'static str) -> impl FnMut(&mut Schema) + use<> {
    move |schema| {
        if let Some(word) = schema.remove("const") {
            schema.insert("enum".into(), json!([word, spelling]));
        }
    }
}

/// A number of bytes as a file has it.
pub(in crate::config) fn bytes(count: usize) -> Quantity<0, { u64::MAX }> {
    Quantity(count as u64)
}
