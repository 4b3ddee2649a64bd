//! The table of paths for programs: OpenAPI 3.1, whose schemas are JSON Schema 2020-12.

use super::paths::{Answer, Content, Operation, PATHS, Parameter, Path, Place, Verb};
use axum::Json;
use schemars::SchemaGenerator;
use schemars::generate::SchemaSettings;
use serde_json::{Map, Value, json};

const SCHEMAS: &str = "/components/schemas";

pub(super) async fn get() -> Json<Value> {
    Json(document())
}

/// The document.
pub(super) fn document() -> Value {
    let settings = SchemaSettings::draft2020_12().for_serialize();
    let settings = settings.with(|settings| settings.definitions_path = SCHEMAS.into());
    let mut generator = settings.into_generator();
    let paths: Map<String, Value> =
        PATHS.iter().map(|path| (path.path.to_owned(), item(path, &mut generator))).collect();
    let schemas = generator.take_definitions(true);
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "The admin port of Outrigger",
            "version": crate::VERSION,
            "description": "Everything about one process. Times are RFC 3339 in UTC, times that something takes are in milliseconds.",
        },
        "paths": paths,
        "components": { "schemas": schemas },
    })
}

fn item(path: &Path, generator: &mut SchemaGenerator) -> Value {
    let operations = path.operations.iter();
    let told = |one: &Operation| (one.verb.name().to_lowercase(), operation(path, one, generator));
    operations.map(told).collect::<Map<_, _>>().into()
}

fn operation(path: &Path, operation: &Operation, generator: &mut SchemaGenerator) -> Value {
    let Operation { verb, summary, parameters, body, answers } = operation;
    let mut parameters: Vec<_> = parameters.iter().map(parameter).collect();
    if verb.changes() {
        parameters.push(json!({
            "name": super::routes::WRITE_HEADER,
            "in": "header",
            "required": true,
            "description": "any value: no page of another site can send it",
            "schema": { "type": "string" },
        }));
    }
    let answers = answers.iter().map(|one| (one.status.to_string(), answer(one, generator)));
    let mut told = json!({
        "operationId": id(*verb, path.path),
        "summary": summary,
        "parameters": parameters,
        "responses": answers.collect::<Map<_, _>>(),
    });
    if let Some(body) = body {
        told["requestBody"] = json!({
            "description": body,
            "required": true,
            "content": { "text/plain": { "schema": { "type": "string" } } },
        });
    }
    told
}

/// `getApiV1Backends`.
fn id(verb: Verb, path: &str) -> String {
    let words = path.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| !word.is_empty());
    words.fold(verb.name().to_lowercase(), |id, word| {
        let (first, rest) = word.split_at(1);
        id + &first.to_uppercase() + rest
    })
}

fn parameter(parameter: &Parameter) -> Value {
    let Parameter { name, place, summary, example, values, required, repeats } = parameter;
    let mut schema = match values {
        [] => json!({ "type": "string" }),
        values => json!({ "type": "string", "enum": values }),
    };
    if *repeats {
        schema = json!({ "type": "array", "items": schema });
    }
    let place = match place {
        Place::Path => "path",
        Place::Query => "query",
        Place::Header => "header",
    };
    json!({
        "name": name,
        "in": place,
        "required": required,
        "description": summary,
        "example": if *repeats { json!([example]) } else { json!(example) },
        "schema": schema,
    })
}

fn answer(answer: &Answer, generator: &mut SchemaGenerator) -> Value {
    let Answer { status: _, summary, contents } = answer;
    let mut told = json!({ "description": summary });
    let content = |content: &Content| match content {
        Content::Text => ("text/plain".to_owned(), json!({ "schema": { "type": "string" } })),
        Content::Stream => {
            ("text/event-stream".to_owned(), json!({ "schema": { "type": "string" } }))
        }
        Content::Json(schema) => {
            ("application/json".to_owned(), json!({ "schema": schema(generator) }))
        }
    };
    if !contents.is_empty() {
        told["content"] = contents.iter().map(content).collect::<Map<_, _>>().into();
    }
    told
}
