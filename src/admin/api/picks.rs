//! `/api/v1/picks`: requests worth a look, with the evidence of their picks.

use super::{Context, rounded};
use axum::Json;
use axum::extract::State;
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;

/// Requests that are kept, the latest first.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(in crate::admin) struct Picks {
    /// The share of requests that are kept though nothing is special about them.
    sample: f64,
    /// From when on a request is slow; null for never.
    slower_than_ms: Option<f64>,
    /// Those that failed, were tried again or were slow.
    #[schemars(with = "Vec<Request>")]
    notable: Vec<Value>,
    /// Those that chance chose.
    #[schemars(with = "Vec<Request>")]
    sampled: Vec<Value>,
}

pub(in crate::admin) async fn get(State(context): Context) -> Json<Picks> {
    let decisions = &context.store.load().model.decisions;
    let requests = &context.outlets.requests;
    Json(Picks {
        sample: decisions.sample.value(),
        slower_than_ms: decisions.slower_than.map(|time| rounded(time.as_secs_f64() * 1e3)),
        notable: requests.notable(),
        sampled: requests.sampled(),
    })
}

/// A request that has ended.
#[derive(JsonSchema)]
#[schemars(rename_all = "camelCase", deny_unknown_fields)]
#[expect(dead_code, reason = "it describes what the data plane tells")]
struct Request {
    at: String,
    request_id: String,
    #[schemars(skip_serializing_if = "Option::is_none")]
    trace_id: Option<String>,
    /// Whether its trace was sent.
    sampled: bool,
    #[schemars(skip_serializing_if = "Option::is_none")]
    listener: Option<String>,
    #[schemars(skip_serializing_if = "Option::is_none")]
    method: Option<String>,
    #[schemars(skip_serializing_if = "Option::is_none")]
    host: Option<String>,
    #[schemars(skip_serializing_if = "Option::is_none")]
    path: Option<String>,
    #[schemars(skip_serializing_if = "Option::is_none")]
    route: Option<String>,
    #[schemars(skip_serializing_if = "Option::is_none")]
    backend: Option<String>,
    #[schemars(skip_serializing_if = "Option::is_none")]
    algorithm: Option<String>,
    generation: u64,
    #[schemars(skip_serializing_if = "Option::is_none")]
    status: Option<u16>,
    /// As in the access log.
    #[schemars(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    #[schemars(skip_serializing_if = "Option::is_none")]
    detail: Option<String>,
    duration_ms: f64,
    #[schemars(skip_serializing_if = "Option::is_none")]
    client: Option<String>,
    /// Why it is kept: `error`, `retry`, `slow` or `sample`.
    kept: Vec<String>,
    attempts: Vec<Attempt>,
}

/// One try of a request.
#[derive(JsonSchema)]
#[schemars(rename_all = "camelCase", deny_unknown_fields)]
#[expect(dead_code, reason = "it describes what the data plane tells")]
struct Attempt {
    #[schemars(skip_serializing_if = "Option::is_none")]
    endpoint: Option<String>,
    /// From the begin of the request.
    start_ms: f64,
    #[schemars(skip_serializing_if = "Option::is_none")]
    duration_ms: Option<f64>,
    #[schemars(skip_serializing_if = "Option::is_none")]
    status: Option<u16>,
    #[schemars(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
    #[schemars(skip_serializing_if = "Option::is_none")]
    pick: Option<Pick>,
}

/// Why an endpoint was picked.
#[derive(JsonSchema)]
#[schemars(rename_all = "camelCase", deny_unknown_fields)]
#[expect(dead_code, reason = "it describes what the data plane tells")]
struct Pick {
    candidates: Vec<Candidate>,
    /// Candidates besides those listed.
    more_candidates: usize,
    excluded: Vec<Excluded>,
    /// Endpoints that were excluded, besides those listed.
    more_excluded: usize,
    #[schemars(skip_serializing_if = "Option::is_none")]
    chosen: Option<String>,
    /// How many were as good as the one that was chosen, it included.
    #[schemars(skip_serializing_if = "Option::is_none")]
    equals: Option<usize>,
    #[schemars(skip_serializing_if = "Option::is_none")]
    draw: Option<Draw>,
    #[schemars(skip_serializing_if = "Option::is_none")]
    hash: Option<Hash>,
    /// The client was given this endpoint before, and stays.
    pinned: bool,
    /// Too few endpoints were healthy, so that all counted as healthy.
    panic: bool,
    /// In a sentence.
    how: String,
}

#[derive(JsonSchema)]
#[schemars(rename = "PickCandidate", deny_unknown_fields)]
#[expect(dead_code, reason = "it describes what the data plane tells")]
struct Candidate {
    endpoint: String,
    /// What the algorithm compared.
    #[schemars(skip_serializing_if = "Option::is_none")]
    score: Option<f64>,
    weight: f64,
}

#[derive(JsonSchema)]
#[schemars(rename = "PickExcluded", deny_unknown_fields)]
#[expect(dead_code, reason = "it describes what the data plane tells")]
struct Excluded {
    endpoint: String,
    reason: String,
}

/// What chance said.
#[derive(JsonSchema)]
#[schemars(rename = "PickDraw", deny_unknown_fields)]
#[expect(dead_code, reason = "it describes what the data plane tells")]
struct Draw {
    ticket: u64,
    of: u64,
}

#[derive(JsonSchema)]
#[schemars(rename = "PickHash", rename_all = "camelCase", deny_unknown_fields)]
#[expect(dead_code, reason = "it describes what the data plane tells")]
struct Hash {
    /// In hexadecimal.
    value: Value,
    /// Whether the request had the key; without one the hash is by chance.
    from_key: bool,
    /// Endpoints that were passed over because of their load.
    passed_over: Value,
}
