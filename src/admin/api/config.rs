//! `/api/v1/config`: the running configuration with every default, and without secrets.

use super::Context;
use crate::config::write;
use crate::telemetry::rfc3339;
use axum::Json;
use axum::extract::State;
use schemars::JsonSchema;
use serde::Serialize;

/// The running configuration.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(in crate::admin) struct Config {
    generation: u64,
    /// SHA-256 of the file that runs.
    hash: String,
    loaded_at: Option<String>,
    /// The file's path.
    source: String,
    /// All that holds, defaults included, as a file; a secret is `…` there.
    yaml: String,
}

pub(in crate::admin) async fn get(State(context): Context) -> Json<Config> {
    let (snapshot, source) = (context.store.load(), context.source.load());
    Json(Config {
        generation: snapshot.generation,
        hash: snapshot.config_hash.clone(),
        loaded_at: source.loaded_at.map(rfc3339),
        source: source.path.clone(),
        yaml: write::redacted(&snapshot.model),
    })
}
