//! `/api/v1/reloads`: what became of each look at the configuration.

use super::{Context, rounded};
use crate::snapshot::history::{self, Cause};
use crate::telemetry::rfc3339;
use axum::Json;
use axum::extract::State;
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;

/// The last reloads, the latest first.
#[derive(Debug, Serialize, JsonSchema)]
pub(in crate::admin) struct Reloads {
    reloads: Vec<Reload>,
}

/// One look at the configuration, and what came of it.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct Reload {
    at: String,
    /// `accepted`, `refused` or `unchanged`.
    outcome: &'static str,
    /// The generation that runs after it; after a refusal that which went on serving.
    generation: u64,
    /// SHA-256 of the file that was looked at; null where it could not be read.
    hash: Option<String>,
    /// `start`, `file`, `certificates` or `signal`.
    cause: &'static str,
    /// What changed, in the words of the log and of `outrigger diff`.
    changes: Vec<String>,
    /// Connections that were told to close.
    connections_closed: usize,
    /// Requests in flight on endpoints that stayed.
    requests_kept: u32,
    duration_ms: f64,
    #[schemars(with = "Vec<ConfigError>")]
    errors: Value,
    /// Errors besides those listed.
    more: usize,
}

/// Something that is wrong with a configuration.
#[derive(JsonSchema)]
#[expect(dead_code, reason = "it describes what others serialise")]
pub(super) struct ConfigError {
    message: String,
    #[schemars(skip_serializing_if = "Option::is_none")]
    file: Option<String>,
    #[schemars(skip_serializing_if = "Option::is_none")]
    line: Option<usize>,
    #[schemars(skip_serializing_if = "Option::is_none")]
    column: Option<usize>,
    #[schemars(skip_serializing_if = "Option::is_none")]
    path: Option<String>,
    /// What is allowed instead.
    #[schemars(skip_serializing_if = "Option::is_none")]
    allowed: Option<String>,
    /// What was probably meant.
    #[schemars(skip_serializing_if = "Option::is_none")]
    suggestion: Option<String>,
}

pub(in crate::admin) async fn get(State(context): Context) -> Json<Reloads> {
    let reloads = context.source.history.list();
    Json(Reloads { reloads: reloads.iter().map(|reload| Reload::of(reload)).collect() })
}

impl Reload {
    fn of(reload: &history::Reload) -> Self {
        Self {
            at: rfc3339(reload.at),
            outcome: reload.outcome.name(),
            generation: reload.generation,
            hash: reload.hash.clone(),
            cause: match reload.cause {
                Cause::Start => "start",
                Cause::File => "file",
                Cause::Certificates => "certificates",
                Cause::Signal => "signal",
            },
            changes: reload.changes.clone(),
            connections_closed: reload.connections_closed,
            requests_kept: reload.requests_kept,
            duration_ms: rounded(reload.duration.as_secs_f64() * 1e3),
            errors: reload.errors.clone(),
            more: reload.more,
        }
    }
}
