//! `/api/v1/events`: what happened lately, as a list or as a stream that goes on.

use super::health::accepts;
use super::{Context, Query};
use crate::admin::refusal::Refusal;
use crate::admin::status_texts::DISTANCE;
use crate::admin::stream::{Streams, Wanted};
use crate::config::scalar;
use crate::telemetry::events::Event;
use crate::telemetry::rfc3339;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use schemars::JsonSchema;
use serde::Serialize;
use std::sync::Arc;
use std::time::Duration;

/// How often `/status` may be sent on a stream.
const INTERVALS: std::ops::RangeInclusive<Duration> = DISTANCE..=Duration::from_secs(60);

/// What happened lately, the latest last, and to whom: numbers are counted anew in each process.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(in crate::admin) struct Events {
    started_at: String,
    pid: u32,
    events: Vec<Arc<Event>>,
}

pub(in crate::admin) async fn get(
    State(context): Context,
    Extension(query): Query,
    Extension(streams): Extension<Streams>,
    headers: HeaderMap,
) -> Result<Response, Refusal> {
    let after = query.one("after").map(number).transpose()?;
    let status = query.one("status").map(interval).transpose()?;
    if !accepts(&headers, "text/event-stream") {
        let (events, _) = context.outlets.events.since(after.unwrap_or(0));
        let started_at = rfc3339(context.started_at);
        let list = Events { started_at, pid: std::process::id(), events };
        return Ok(Json(list).into_response());
    }
    // A browser that connects again says where it was; what it says first does not change.
    let last = headers.get("last-event-id").and_then(|id| id.to_str().ok()?.parse().ok());
    streams.open(context, Wanted { after: last.or(after), status })
}

fn number(text: &str) -> Result<u64, Refusal> {
    let error = || format!("{text:?} is not the number of an event");
    text.parse().map_err(|_| Refusal::new(StatusCode::BAD_REQUEST, error()))
}

fn interval(text: &str) -> Result<Duration, Refusal> {
    let parsed = scalar::Duration::read(text).map(|scalar::Duration(interval)| interval);
    parsed.filter(|interval| INTERVALS.contains(interval)).ok_or_else(|| {
        let error = format!("status={text}: an interval from 250ms to 60s is wanted, such as 1s");
        Refusal::new(StatusCode::BAD_REQUEST, error)
    })
}
