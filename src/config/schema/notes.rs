//! What the types of the file say to their schema beyond their fields.

use crate::config::scalar::Quantity;
use crate::model;
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

/// A route has backends, or a filter that answers.
pub(in crate::config) fn answered_or_sent(schema: &mut Schema) {
    let answers = json!({ "anyOf": [{ "required": ["redirect"] }, { "required": ["respond"] }] });
    schema.insert(
        "if".into(),
        json!({
            "properties": { "filters": { "type": "array", "contains": answers } },
            "required": ["filters"]
        }),
    );
    schema.insert("then".into(), json!({ "properties": { "backends": { "type": "null" } } }));
    let backends = json!({ "properties": { "backends": { "not": { "type": "null" } } }, "required": ["backends"] });
    schema.insert("else".into(), backends);
}

/// Who says who the client is has to be trusted.
pub(in crate::config) fn proxy_protocol_needs_trust(schema: &mut Schema) {
    let spoken = json!({ "enum": ["Accept", "Require"] });
    let spoken =
        json!({ "properties": { "proxyProtocol": spoken }, "required": ["proxyProtocol"] });
    schema.insert("if".into(), spoken);
    let trusted = json!({ "type": "array", "minItems": 1 });
    let trusted =
        json!({ "properties": { "trustedProxies": trusted }, "required": ["trustedProxies"] });
    schema.insert("then".into(), trusted);
}

/// gRPC is not spoken over HTTP/1.1.
pub(in crate::config) fn grpc_needs_http2(schema: &mut Schema) {
    let probed = |probe: &str| {
        let grpc = json!({
            "type": "object",
            "properties": { "grpc": { "not": { "type": "null" } } },
            "required": ["grpc"]
        });
        json!({ "properties": { probe: grpc }, "required": [probe] })
    };
    schema.insert("if".into(), json!({ "anyOf": [probed("healthProbe"), probed("latencyProbe")] }));
    let http2 = json!({ "not": { "enum": ["Http1", null] } });
    let http2 = json!({ "properties": { "protocol": http2 }, "required": ["protocol"] });
    schema.insert("then".into(), http2);
}

/// Without routes, nothing could reach a second backend.
pub(in crate::config) fn second_backend_needs_routes(schema: &mut Schema) {
    let routes = json!({ "properties": { "routes": { "type": "array" } }, "required": ["routes"] });
    schema.insert("if".into(), routes);
    schema.insert("else".into(), json!({ "properties": { "backends": { "maxItems": 1 } } }));
}

/// A consistent hash has a key, so it is no bare name, and the other algorithms have none. `algorithm` is the schema that
/// allows both a map and a name.
pub(super) fn only_a_consistent_hash_has_a_key(algorithm: &mut Value) {
    let named = |names: Value| json!({ "properties": { "name": names }, "required": ["name"] });
    let others = model::Algorithm::ALL.into_iter().filter(|one| *one != HASH);
    let others: Vec<_> = others.map(model::Algorithm::name).chain(["lc", "lr"]).collect();
    let none = json!({ "type": "null" });
    let conditions = json!([
        { "if": named(json!({ "const": HASH.name() })), "then": { "required": ["key"] } },
        {
            "if": named(json!({ "enum": others })),
            "then": { "properties": { "key": none, "table": none, "boundedLoad": none } }
        }
    ]);
    let choices = algorithm.get_mut("anyOf").and_then(Value::as_array_mut);
    for choice in choices.into_iter().flatten().filter_map(Value::as_object_mut) {
        match choice.contains_key("properties") {
            true => choice.insert("allOf".into(), conditions.clone()),
            false => choice.insert("not".into(), json!({ "const": HASH.name() })),
        };
    }
}

const HASH: model::Algorithm = model::Algorithm::ConsistentHash;
