//! `/api/v1/explain`: where a request would go, and why, as `outrigger explain --format json` tells it of a file.

use super::{Context, Query};
use crate::admin::ExplainQuery;
use crate::admin::refusal::Refusal;
use axum::extract::State;
use axum::http::{Method, StatusCode};
use axum::{Extension, Json};
use schemars::JsonSchema;
use serde_json::Value;
use std::str::FromStr;

pub(in crate::admin) async fn get(
    State(context): Context,
    Extension(query): Query,
) -> Result<Json<Value>, Refusal> {
    let wrong = |error: String| Refusal::new(StatusCode::BAD_REQUEST, error);
    let method = parsed(&query, "method", "a method").map_err(wrong)?;
    let asked = ExplainQuery {
        url: query.one("url").unwrap_or_default().to_owned(),
        method: method.unwrap_or(Method::GET),
        headers: query.all("header").map(str::to_owned).collect(),
        listener: query.one("listener").map(str::to_owned),
        client_address: parsed(&query, "clientAddress", "an IP address").map_err(wrong)?,
    };
    (context.explain)(&asked).map(Json).map_err(wrong)
}

fn parsed<T: FromStr>(
    query: &super::super::query::Query,
    name: &str,
    what: &str,
) -> Result<Option<T>, String> {
    let parse = |text: &str| text.parse().map_err(|_| format!("{name}: {text:?} is not {what}"));
    query.one(name).map(parse).transpose()
}

/// Where a request would go, and why.
#[derive(JsonSchema)]
#[schemars(rename_all = "camelCase", deny_unknown_fields)]
#[expect(dead_code, reason = "it describes what the explanation tells")]
pub(in crate::admin) struct Explanation {
    method: String,
    url: String,
    /// The listener that the request comes by.
    listener: String,
    /// The host that routes are chosen by.
    host: Option<String>,
    /// The path in its normal form; null where it has none.
    path: Option<String>,
    /// The form in which it is compared.
    compared_path: Option<String>,
    client: Option<String>,
    /// The route that takes it; null where none does.
    route: Option<String>,
    #[schemars(rename = "match")]
    matched: Option<Matched>,
    /// What the route does to it, in words.
    filters: Vec<String>,
    /// What it is answered without a backend; null where one answers.
    answer: Option<OwnAnswer>,
    /// The path and query that endpoints get, below their own path.
    sent: Option<String>,
    backends: Vec<ExplainedBackend>,
    /// The matches that do not take it, the nearest first.
    others: Vec<Other>,
}

/// The match that takes the request.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
#[expect(dead_code, reason = "it describes what the explanation tells")]
struct Matched {
    /// In the route, counted from 0.
    position: usize,
    words: String,
}

#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
#[expect(dead_code, reason = "it describes what the explanation tells")]
struct OwnAnswer {
    status: u16,
    #[schemars(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    #[schemars(skip_serializing_if = "Option::is_none")]
    location: Option<String>,
    #[schemars(skip_serializing_if = "Option::is_none")]
    body: Option<String>,
}

#[derive(JsonSchema)]
#[schemars(rename_all = "camelCase", deny_unknown_fields)]
#[expect(dead_code, reason = "it describes what the explanation tells")]
struct ExplainedBackend {
    name: String,
    weight: u32,
    /// Of the route's requests, such as `90%`.
    share: String,
    algorithm: String,
    algorithm_how: String,
    /// What is hashed, and how, in words.
    hashing: Option<String>,
    endpoints: Vec<ExplainedEndpoint>,
}

#[derive(JsonSchema)]
#[schemars(rename_all = "camelCase", deny_unknown_fields)]
#[expect(dead_code, reason = "it describes what the explanation tells")]
struct ExplainedEndpoint {
    url: String,
    weight: u32,
    /// Whether its weight allows requests.
    has_weight: bool,
}

/// A match that does not take the request.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
#[expect(dead_code, reason = "it describes what the explanation tells")]
struct Other {
    route: String,
    position: usize,
    words: String,
    /// It fits, but another one is more specific.
    fits: bool,
    mismatches: Vec<Mismatch>,
    /// What the one has that takes the request, where this one fits, too.
    decided: Option<String>,
}

#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
#[expect(dead_code, reason = "it describes what the explanation tells")]
struct Mismatch {
    /// `host`, `path`, `method`, `header` or `query`.
    kind: String,
    words: String,
}
