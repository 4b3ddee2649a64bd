//! The document is true: each path answers what its schema says.

use super::*;
use crate::admin::openapi::document;
use crate::admin::paths::{PATHS, Verb};

/// Whether `value` is what the schema at `pointer` of the document says.
fn check(document: &Value, schema: &Value, value: &Value) -> Result<(), String> {
    let mut schema = schema.clone();
    // References are into the document.
    schema["components"] = document["components"].clone();
    let validator = jsonschema::draft202012::new(&schema).map_err(|error| error.to_string())?;
    let errors: Vec<_> = validator
        .iter_errors(value)
        .map(|error| format!("{}: {error}", error.instance_path()))
        .collect();
    if errors.is_empty() { Ok(()) } else { Err(errors.join("\n")) }
}

#[tokio::test]
async fn every_path_answers_what_its_schema_says() {
    let (context, _guard) = secure_context();
    context.source.history.note(crate::snapshot::history::Reload::new(
        crate::snapshot::history::Outcome::Accepted,
        crate::snapshot::history::Cause::Start,
        1,
        None,
    ));
    let backend = "demo".into();
    context.outlets.events.publish(crate::telemetry::events::Happened::to_endpoint(
        crate::telemetry::events::EventKind::Health,
        &backend,
        &"http://127.0.0.1:8081",
        "unhealthy",
    ));
    let server = start(loopback(), context).unwrap();
    let (code, body) = get(server.address(), "/openapi.json").await;
    assert_eq!(code, 200);
    let document: Value = serde_json::from_str(&body).unwrap();
    assert_eq!(document["openapi"], "3.1.0");
    let mut checked = 0;
    for (path, item) in document["paths"].as_object().unwrap() {
        let Some(operation) = item.get("get") else { continue };
        let mut query = Vec::new();
        let mut asked = path.clone();
        for parameter in operation["parameters"].as_array().unwrap() {
            let (name, example) = (parameter["name"].as_str().unwrap(), &parameter["example"]);
            let example = example.as_str().or(example[0].as_str()).unwrap();
            assert!(!example.is_empty(), "{path}: {name} has no example");
            match parameter["in"].as_str().unwrap() {
                "path" => asked = asked.replace(&format!("{{{name}}}"), example),
                "query" => query.push(format!("{name}={}", example.replace(' ', "+"))),
                _ => {}
            }
        }
        if !query.is_empty() {
            asked = format!("{asked}?{}", query.join("&"));
        }
        let head = format!(
            "GET {asked} HTTP/1.1\r\nHost: 127.0.0.1\r\nAccept: application/json\r\nConnection: close\r\n\r\n"
        );
        let (code, body) = split(&raw(server.address(), &head).await);
        let response = &operation["responses"][code.to_string()];
        assert!(!response.is_null(), "{asked} answered {code}, which is not documented: {body}");
        let schema = &response["content"]["application/json"]["schema"];
        if !schema.is_null() {
            let value: Value = serde_json::from_str(&body).unwrap();
            check(&document, schema, &value)
                .unwrap_or_else(|error| panic!("{asked}: {error}\n{body}"));
            checked += 1;
        }
    }
    assert!(checked > 8, "{checked}");
}

#[test]
fn a_document_that_is_wrong_is_noticed() {
    let document = document();
    let schema = &document["paths"]["/status"]["get"]["responses"]["200"];
    let schema = &schema["content"]["application/json"]["schema"];
    assert!(check(&document, schema, &json!({ "version": 1 })).is_err());
}

#[test]
fn the_document_names_every_operation_once() {
    let document = document();
    let mut ids = Vec::new();
    for path in PATHS {
        for operation in path.operations {
            let verb = operation.verb.name().to_lowercase();
            let told = &document["paths"][path.path][&verb];
            ids.push(told["operationId"].as_str().unwrap().to_owned());
            let wants_header = told["parameters"].to_string().contains("X-Outrigger-Admin");
            assert_eq!(wants_header, operation.verb != Verb::Get, "{}", path.path);
            for segment in path.path.split('/').filter(|part| part.starts_with('{')) {
                let name = segment.trim_matches(['{', '}']);
                assert!(operation.parameters.iter().any(|one| one.name == name), "{}", path.path);
            }
        }
    }
    let all = ids.len();
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), all, "an operationId twice");
    assert!(ids.contains(&"getApiV1BackendsName".to_owned()), "{ids:?}");
}

#[test]
fn the_manual_names_every_operation_and_every_parameter() {
    let manual = include_str!("../../../docs/admin.md");
    for path in PATHS {
        for operation in path.operations {
            let name = format!("`{} {}`", operation.verb.name(), path.path);
            assert!(manual.contains(&name), "{name} is missing in docs/admin.md");
            for parameter in operation.parameters {
                assert!(manual.contains(parameter.name), "{name}: {}", parameter.name);
            }
        }
        // An example of each.
        let example = path.path.replace("{name}", "demo");
        let called = manual.matches(&format!("http://127.0.0.1:9900{example}")).count();
        assert!(called > 0 || path.on_probes, "docs/admin.md has no example of {}", path.path);
    }
}

#[tokio::test]
async fn a_404_lists_every_operation() {
    let (context, _guard) = context();
    let server = start(loopback(), context).unwrap();
    let (_, body) = get(server.address(), "/nothing").await;
    for path in PATHS {
        for operation in path.operations {
            let verb = Some(operation.verb.name()).filter(|verb| *verb != "GET");
            let name = verb.map_or(path.path.to_owned(), |verb| format!("{verb} {}", path.path));
            let is_listed =
                |line: &str| line.starts_with(&name) && line.ends_with(operation.summary);
            assert!(body.lines().any(is_listed), "{name} in\n{body}");
        }
    }
}
