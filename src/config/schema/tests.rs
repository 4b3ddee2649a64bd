//! An editor that follows the schema says what `outrigger check` says, as far as a schema can.

use super::*;
use crate::config::docs::hold_in_step;
use crate::config::tests::load;
use jsonschema::Validator;

/// Every key at least once.
const FULL: &str = include_str!("../../../docs/full.yaml");

fn validator() -> Validator {
    jsonschema::draft202012::new(&schema()).unwrap()
}

fn json(yaml: &str) -> Value {
    serde_yaml::from_str(yaml).unwrap()
}

/// What the loader makes of a document: JSON is YAML.
fn loads(document: &Value) -> Result<crate::model::Model, String> {
    let text = document.to_string();
    let loaded = load(text.as_bytes(), "config.yaml", &|_| None);
    loaded.map(|loaded| loaded.model).map_err(|problems| problems.to_string())
}

#[test]
fn the_schema_in_the_repository_is_the_one_that_is_printed() {
    hold_in_step("docs/outrigger.schema.json", &text());
}

#[test]
fn the_schema_is_a_schema() {
    assert!(jsonschema::meta::is_valid(&schema()));
    assert!(text().ends_with("}\n"));
}

#[test]
fn every_example_of_the_documentation_is_accepted_by_schema_and_loader() {
    let validator = validator();
    let mut files = vec![
        ("config.yaml".to_owned(), include_str!("../../../config.yaml").to_owned()),
        ("docs/full.yaml".to_owned(), FULL.to_owned()),
    ];
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut pages = vec![root.join("README.md")];
    pages.extend(std::fs::read_dir(root.join("docs")).unwrap().map(|entry| entry.unwrap().path()));
    pages.retain(|page| page.extension().is_some_and(|extension| extension == "md"));
    // Its examples are values of the chart and manifests, which the chart's own tests try.
    pages.retain(|page| !page.ends_with("docs/kubernetes.md"));
    for page in pages {
        let text = std::fs::read_to_string(&page).unwrap();
        // What has it under `config` are values of the chart.
        let examples = text.split("```yaml\n").skip(1).filter(|rest| !rest.starts_with("config:"));
        files.extend(examples.map(|rest| {
            (page.display().to_string(), rest.split("```").next().unwrap().to_owned())
        }));
    }
    assert!(files.len() > 10);
    for (name, example) in files {
        let loaded = load(example.as_bytes(), &name, &|_| None);
        let warnings = loaded.unwrap_or_else(|problems| panic!("{problems}\n{example}")).warnings;
        assert!(warnings.list().is_empty(), "{warnings}\n{example}");
        if let Err(error) = validator.validate(&json(&example)) {
            panic!("{name}: {}: {error}\n{example}", error.instance_path());
        }
    }
}

/// The maps of `document`, each with its pointer and its schema.
fn maps(document: &Value) -> Vec<(String, Value)> {
    fn visit(
        value: &Value,
        schema: &Value,
        pointer: &str,
        definitions: &Value,
        found: &mut Vec<(String, Value)>,
    ) {
        let schema = match schema["$ref"].as_str() {
            Some(reference) => &definitions[reference.rsplit('/').next().unwrap()],
            None => schema,
        };
        match value {
            Value::Object(entries) => {
                found.push((pointer.to_owned(), schema.clone()));
                for (key, value) in entries {
                    visit(
                        value,
                        &schema["properties"][key],
                        &format!("{pointer}/{key}"),
                        definitions,
                        found,
                    );
                }
            }
            Value::Array(items) => {
                for (index, item) in items.iter().enumerate() {
                    visit(
                        item,
                        &schema["items"],
                        &format!("{pointer}/{index}"),
                        definitions,
                        found,
                    );
                }
            }
            _ => {}
        }
    }
    let mut found = Vec::new();
    let schema = typed();
    visit(document, &schema, "", &schema["$defs"], &mut found);
    found
}

fn map<'a>(document: &'a mut Value, pointer: &str) -> &'a mut Map<String, Value> {
    document.pointer_mut(pointer).unwrap().as_object_mut().unwrap()
}

#[test]
fn the_full_example_has_every_key() {
    let full = json(FULL);
    let mut used = std::collections::BTreeSet::new();
    let mut all = std::collections::BTreeSet::new();
    for (pointer, schema) in maps(&full) {
        let of = schema["description"].to_string();
        let keys = schema["properties"].as_object().into_iter().flat_map(Map::keys);
        all.extend(keys.map(|key| (of.clone(), key.clone())));
        let map = full.pointer(&pointer).unwrap().as_object().unwrap();
        used.extend(map.keys().map(|key| (of.clone(), key.clone())));
    }
    let types = typed()["$defs"]
        .as_object()
        .unwrap()
        .values()
        .filter(|schema| schema["properties"].is_object())
        .count();
    let seen: std::collections::BTreeSet<_> = all.iter().map(|(of, _)| of).collect();
    // The file itself is no definition; a map without keys is not counted.
    assert_eq!(seen.len(), types + 1, "a map of some kind is missing");
    assert_eq!(all.difference(&used).collect::<Vec<_>>(), Vec::<&(String, String)>::new());
}

#[test]
fn what_the_schema_calls_a_default_is_what_the_loader_fills_in() {
    let validator = validator();
    let full = json(FULL);
    let mut count = 0;
    for (pointer, schema) in maps(&full) {
        for (key, property) in schema["properties"].as_object().into_iter().flatten() {
            let Some(default) = property.get("default") else { continue };
            let (mut with, mut without) = (full.clone(), full.clone());
            map(&mut with, &pointer).insert(key.clone(), default.clone());
            map(&mut without, &pointer).remove(key);
            if !validator.is_valid(&with) {
                // Something else in this map wants another value: without its filters, the route would want backends.
                assert!(loads(&with).is_err(), "{pointer}/{key}");
                continue;
            }
            assert_eq!(loads(&with), loads(&without), "{pointer}/{key}");
            assert!(loads(&with).is_ok(), "{pointer}/{key}: {:?}", loads(&with));
            count += 1;
        }
    }
    assert!(count > 80, "{count}");
}

#[test]
fn a_key_without_a_default_means_something_else_when_it_is_absent() {
    let full = json(FULL);
    let model = loads(&full).unwrap();
    for (pointer, schema) in maps(&full) {
        let keys: Vec<_> =
            full.pointer(&pointer).unwrap().as_object().unwrap().keys().cloned().collect();
        for key in keys {
            let property = &schema["properties"][&key];
            let mut without = full.clone();
            let value = map(&mut without, &pointer).remove(&key).unwrap();
            // Maps and lists of defaults may say nothing.
            if property.get("default").is_none() && !value.is_object() {
                assert_ne!(loads(&without).ok(), Some(model.clone()), "{pointer}/{key}");
            }
        }
    }
}

#[test]
fn schema_and_loader_agree_on_which_keys_may_be_left_out() {
    let validator = validator();
    let full = json(FULL);
    for (pointer, _) in maps(&full) {
        let keys: Vec<_> =
            full.pointer(&pointer).unwrap().as_object().unwrap().keys().cloned().collect();
        for key in keys {
            let mut without = full.clone();
            map(&mut without, &pointer).remove(&key);
            let loaded = loads(&without);
            assert_eq!(validator.is_valid(&without), loaded.is_ok(), "{pointer}/{key}: {loaded:?}");
        }
    }
}

#[test]
fn no_key_takes_every_kind_of_value_and_no_unknown_key_is_allowed() {
    let validator = validator();
    let full = json(FULL);
    for (pointer, _) in maps(&full) {
        let mut more = full.clone();
        map(&mut more, &pointer).insert("colour".into(), json!("red"));
        assert!(!validator.is_valid(&more) && loads(&more).is_err(), "{pointer}");
        let keys: Vec<_> =
            full.pointer(&pointer).unwrap().as_object().unwrap().keys().cloned().collect();
        // One value of a wrong kind for each: there are many keys, and most occur more than once.
        let wrong = [json!([[]]), json!({ "colour": "red" }), json!(-1)];
        for (key, wrong) in keys.into_iter().zip(wrong.iter().cycle()) {
            let mut other = full.clone();
            map(&mut other, &pointer).insert(key.clone(), wrong.clone());
            let told = validator.is_valid(&other);
            assert_eq!(told, loads(&other).is_ok(), "{pointer}/{key}: {wrong}");
        }
    }
}

#[test]
fn a_variable_may_stand_for_every_single_value() {
    let validator = validator();
    let full = json(FULL);
    for (pointer, _) in maps(&full) {
        let entries = full.pointer(&pointer).unwrap().as_object().unwrap().clone();
        for (key, value) in entries {
            if value.is_object() || value.is_array() {
                continue;
            }
            for written in ["${NAME}", "${NAME:-}"] {
                let mut other = full.clone();
                map(&mut other, &pointer).insert(key.clone(), json!(written));
                assert!(validator.is_valid(&other), "{pointer}/{key}");
            }
        }
    }
}

/// Whether a schema can see a mistake.
enum Seen {
    Yes,
    /// Not, and why.
    No(&'static str),
}
use Seen::{No, Yes};

/// Changes of the full example, as pointer and value, that the loader refuses.
const BROKEN: &[(&str, &str, Seen)] = &[
    ("/workers", "1025", Yes),
    ("/workers", "-1", Yes),
    ("/workers", "2.5", Yes),
    ("/workers", r#""2""#, Yes),
    ("/shutdown/drainDelay", r#""5""#, Yes),
    ("/shutdown/drainDelay", "5", Yes),
    ("/shutdown/drainDelay", r#""5 s""#, Yes),
    ("/shutdown/drainDelay", r#""1d""#, Yes),
    ("/shutdown/drainDelay", r#""9000h""#, No("a pattern adds no numbers up")),
    ("/telemetry/accessLog/enabled", r#""yes""#, Yes),
    ("/telemetry/accessLog/output", r#""stdout""#, Yes),
    ("/telemetry/accessLog/sample", r#""half""#, Yes),
    ("/telemetry/accessLog/sample", "1.5", Yes),
    ("/telemetry/accessLog/sample", r#""101%""#, No("a pattern compares no numbers")),
    ("/telemetry/metrics", "{}", Yes),
    ("/telemetry/traces/endpoint", r#""otel:4317""#, Yes),
    ("/telemetry/traces/endpoint", r#""http://otel/?x=1""#, Yes),
    ("/telemetry/traces/protocol", r#""HttpJson""#, Yes),
    ("/telemetry/traces/headers/0/name", r#""x team""#, Yes),
    ("/telemetry/traces/headers/0/name", r#""content-type""#, No("it has the shape of a name")),
    ("/telemetry/traces/headers/0/value", r#""Bearer é""#, Yes),
    ("/telemetry/traces/headers/0/value", "null", Yes),
    ("/telemetry/traces/compression", r#""gzip""#, Yes),
    ("/telemetry/traces/timeout", r#""1ms""#, No("a pattern compares no numbers")),
    ("/telemetry/traces/tls/clientCertificate", r#"{ "certFile": "a.crt" }"#, Yes),
    ("/telemetry/traces/tls/caFile", r#""missing.crt""#, No("it reads no files")),
    ("/telemetry/traces/sample", "2", Yes),
    ("/telemetry/traces/parents", r#""follow""#, Yes),
    ("/telemetry/traces/keep/errors", r#""true""#, Yes),
    ("/telemetry/traces/propagation/0", r#""W3C""#, Yes),
    ("/telemetry/traces/propagation", r#"["B3", "B3"]"#, No("two places")),
    ("/telemetry/traces/serviceName", r#""""#, Yes),
    ("/telemetry/traces/resourceAttributes/0/value", "1", Yes),
    ("/telemetry/traces/resourceAttributes/0/name", r#""service.name""#, No("one name of many")),
    ("/telemetry/traces/queue/maxSpans", "0", Yes),
    ("/telemetry/traces/queue/maxBatch", "20000", No("two places")),
    ("/telemetry/decisions/debugToken", r#""hunter2""#, Yes),
    ("/telemetry/decisions/debugToken", r#""with spaces in its middle""#, Yes),
    ("/listeners", "[]", Yes),
    ("/listeners/0/name", r#""a b""#, Yes),
    ("/listeners/0/name", "8080", Yes),
    ("/listeners/0/address", r#""localhost:8080""#, Yes),
    ("/listeners/0/address", r#""127.0.0.1""#, Yes),
    ("/listeners/0/address", r#""999.0.0.1:80""#, No("a pattern compares no numbers")),
    ("/listeners/1/name", r#""public""#, No("two places")),
    ("/listeners/1/address", r#""0.0.0.0:8080""#, No("two places")),
    ("/listeners/0/limits/maxHeaderBytes", r#""64KB""#, Yes),
    ("/listeners/0/limits/maxHeaderBytes", "1024", Yes),
    ("/listeners/0/limits/maxHeaderBytes", r#""1Ki""#, No("a pattern compares no numbers")),
    ("/listeners/0/limits/maxConnections", "-1", Yes),
    ("/listeners/0/limits/maxConcurrentStreams", "0", Yes),
    ("/listeners/0/proxyProtocol", r#""V1""#, Yes),
    ("/listeners/0/trustedProxies", "[]", Yes),
    ("/listeners/1/tls", "{}", Yes),
    ("/listeners/1/tls/certificates", "[]", Yes),
    ("/listeners/1/tls/certificates/0/keyFile", "null", Yes),
    ("/listeners/1/tls/certificates/0/keyFile", r#""""#, Yes),
    ("/listeners/1/tls/certificates/0/keyFile", r#""tls/missing.key""#, No("it reads no files")),
    ("/listeners/1/tls/clientAuth/mode", r#""optional""#, Yes),
    ("/listeners/1/tls/minVersion", r#""TLSv1.1""#, Yes),
    ("/listeners/0/trustedProxies/0", r#""example.com""#, Yes),
    ("/listeners/0/trustedProxies/0", r#""10.0.0.1/8""#, No("a pattern counts no bits")),
    ("/routes/0/hosts", "[]", Yes),
    ("/routes/0/hosts/0", r#""shop.example.com:80""#, Yes),
    ("/routes/0/hosts/0", r#""shop.*.com""#, Yes),
    ("/routes/0/listeners/0", r#""nobody""#, No("a reference")),
    ("/routes/0/backends/0/name", r#""nobody""#, No("a reference")),
    ("/routes/0/backends", "null", Yes),
    ("/routes/3/backends", r#"["stable"]"#, Yes),
    ("/routes/1/matches/0/path", "{}", Yes),
    ("/routes/1/matches/0/path", r#"{ "exact": "/a", "prefix": "/a" }"#, Yes),
    ("/routes/1/matches/0/path/prefix", r#""api""#, Yes),
    ("/routes/1/matches/0/path/prefix", r#""/api?x=1""#, Yes),
    ("/routes/1/matches/0/path/prefix", r#""/a%""#, Yes),
    ("/routes/1/matches/0/path/prefix", r#""/a%2Fb""#, No("it has the shape of a path")),
    ("/routes/1/matches/0/path/prefix", r#""/../a""#, No("it has the shape of a path")),
    ("/routes/1/matches/0/method", r#""post""#, Yes),
    ("/routes/1/matches/0/method", r#""CONNECT""#, Yes),
    ("/routes/1/matches/0/headers/0/name", r#""x user""#, Yes),
    ("/routes/1/matches/0/headers/0/exact", r#"" 7""#, Yes),
    ("/routes/1/matches/0/headers/0/present", "true", Yes),
    ("/routes/2/matches/0/path/regex", r#""/v[0-9""#, No("expressions have a syntax of their own")),
    ("/routes/1/filters/0/mirror", "{}", Yes),
    ("/routes/1/filters/0/respond", "{}", Yes),
    ("/routes/1/filters/0", "{}", Yes),
    ("/routes/3/filters/0/redirect/status", "200", Yes),
    ("/routes/3/filters/0/redirect/host", r#""www.example.com:80""#, Yes),
    ("/routes/3/filters/0/redirect/port", "0", Yes),
    ("/routes/3/filters/0/redirect/scheme", r#""ftp""#, Yes),
    ("/routes/3/filters/0/redirect/path/prefix", r#""/a""#, Yes),
    ("/routes/4/filters/0/respond/status", "100", Yes),
    ("/routes/4/filters/0/respond/status", "204", No("two places")),
    ("/routes/1/retry/conditions/0", r#""Timeout""#, Yes),
    ("/routes/1/retry/statuses/0", "100", Yes),
    ("/routes/1/timeouts/attempt", r#""2h""#, No("two places")),
    ("/routes", "null", Yes),
    ("/backends/0/algorithm", r#""LeastConnection""#, Yes),
    ("/backends/0/algorithm", r#""ConsistentHash""#, Yes),
    ("/backends/0/algorithm", r#"{ "name": "ConsistentHash" }"#, Yes),
    ("/backends/0/algorithm", r#"{ "name": "Random", "key": "Path" }"#, Yes),
    (
        "/backends/0/algorithm",
        r#"{ "name": "ConsistentHash", "key": { "header": "a", "cookie": "b" } }"#,
        Yes,
    ),
    ("/backends/1/algorithm/boundedLoad", "0.5", Yes),
    ("/backends/0/endpoints", "[]", Yes),
    ("/backends/0/endpoints/0", r#""ftp://a""#, Yes),
    ("/backends/0/tls", "{}", No("two places")),
    ("/backends/0/proxyProtocol", r#""Accept""#, Yes),
    ("/backends/2/protocol", r#""Http1""#, Yes),
    ("/backends/2/protocol", r#""H2c""#, No("two places")),
    ("/backends/2/endpoints/0", r#""http://a""#, No("two places")),
    ("/backends/2/tls/serverName", r#""shop:443""#, Yes),
    ("/backends/2/tls/clientCertificate", r#"{ "certFile": "a.crt" }"#, Yes),
    ("/backends/0/endpoints/0", r#""a:80""#, Yes),
    ("/backends/0/endpoints/0", r#""http://a?x=1""#, Yes),
    ("/backends/0/endpoints/1/url", r#""http://10.0.0.1:8080/""#, No("two places")),
    ("/backends/0/endpoints/1/weight", "1001", Yes),
    ("/backends/2/endpoints/0", r#"{ "url": "http://a", "weight": 0 }"#, No("the sum of all")),
    ("/backends/0/sessionAffinity", "{}", Yes),
    ("/backends/0/sessionAffinity/cookie/name", r#""a b""#, Yes),
    (
        "/backends/0/slowStart/window",
        r#""0s""#,
        No("one duration of many has another meaning here"),
    ),
    ("/backends/0/healthProbe/tcp", "{}", Yes),
    ("/backends/0/healthProbe/http/statuses/0", r#""2xx""#, Yes),
    (
        "/backends/0/healthProbe/http/statuses/0",
        r#""299-200""#,
        No("a pattern compares no numbers"),
    ),
    ("/backends/0/healthProbe/http/path", r#""/a b""#, Yes),
    ("/backends/0/healthProbe/http/host", r#""a/b""#, Yes),
    ("/backends/0/healthProbe/http/body", r#""""#, Yes),
    ("/backends/0/healthProbe/interval", r#""1ms""#, No("a pattern compares no numbers")),
    ("/backends/0/retry/attempts", "11", Yes),
    ("/backends/0/retry/conditions", "[]", Yes),
];

#[test]
fn the_schema_refuses_what_check_refuses_as_far_as_a_schema_can() {
    let validator = validator();
    for (pointer, value, seen) in BROKEN {
        let mut broken = json(FULL);
        let (parent, key) = pointer.rsplit_once('/').unwrap();
        let value: Value = serde_json::from_str(value).unwrap();
        match broken.pointer_mut(parent).unwrap() {
            Value::Array(items) => items[key.parse::<usize>().unwrap()] = value.clone(),
            parent => parent[key] = value.clone(),
        }
        assert!(loads(&broken).is_err(), "{pointer}: {value} is valid");
        match seen {
            Yes => assert!(!validator.is_valid(&broken), "{pointer}: {value} is not seen"),
            No(why) => {
                assert!(validator.is_valid(&broken), "{pointer}: {value} is seen, though: {why}")
            }
        }
    }
}

#[test]
fn other_spellings_are_allowed_where_the_loader_allows_them() {
    let validator = validator();
    for (pointer, value) in [
        ("/backends/0/algorithm", json!("lc")),
        ("/backends/0/algorithm", json!({ "name": "lr" })),
        ("/backends/0/algorithm", Value::Null),
        ("/backends/0/endpoints/0", json!({ "url": "HTTP://[::1]:81/a%20b/" })),
        ("/backends/1/algorithm/key", json!("ClientAddress")),
        ("/routes/3/filters/0/redirect/scheme", json!("https")),
        ("/routes/0/backends/0", json!("shop-v1")),
        ("/shutdown/drainDelay", json!(0)),
        ("/shutdown/drainDelay", json!("1.5h.5s")),
        ("/telemetry/accessLog/sample", json!(0.25)),
        ("/listeners/0/limits/maxBodyBytes", json!(0)),
        ("/admin/address", json!("")),
    ] {
        let mut other = json(FULL);
        *other.pointer_mut(pointer).unwrap() = value.clone();
        assert!(loads(&other).is_ok(), "{pointer}: {value}: {:?}", loads(&other));
        assert!(validator.is_valid(&other), "{pointer}: {value}");
    }
}
