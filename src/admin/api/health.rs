//! Whether the process lives and is ready, and its metrics: what the probes port has, too.

use super::Context;
use crate::admin::metrics;
use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use schemars::JsonSchema;
use serde::Serialize;

/// Whether clients should be sent here.
#[derive(Debug, Serialize, JsonSchema)]
pub(in crate::admin) struct Readiness {
    ready: bool,
    /// Why not.
    reasons: Vec<String>,
}

pub(in crate::admin) async fn livez() -> Response {
    text(StatusCode::OK, "alive\n")
}

pub(in crate::admin) async fn readyz(State(context): Context, headers: HeaderMap) -> Response {
    let reasons = context.not_ready();
    let ready = reasons.is_empty();
    let status = if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    if accepts(&headers, "json") {
        return (status, Json(Readiness { ready, reasons })).into_response();
    }
    if ready {
        return text(status, "ready\n");
    }
    text(status, format!("not ready: {}\n", reasons.join("; ")))
}

pub(in crate::admin) async fn scrape(State(context): Context) -> Response {
    match metrics::text(&context) {
        Ok(body) => ([(header::CONTENT_TYPE, prometheus::TEXT_FORMAT)], body).into_response(),
        Err(error) => text(StatusCode::INTERNAL_SERVER_ERROR, format!("metrics: {error}\n")),
    }
}

fn text(status: StatusCode, body: impl Into<String>) -> Response {
    (status, body.into()).into_response()
}

/// Whether the client asks for this kind of answer by name.
pub(super) fn accepts(headers: &HeaderMap, kind: &str) -> bool {
    let accept = headers.get(header::ACCEPT).and_then(|value| value.to_str().ok());
    accept.is_some_and(|accept| accept.contains(kind))
}
