//! `/status`: what runs, as people and scripts read it.

use super::Context;
use super::backends::Backend;
use super::endpoints::by_class;
use super::listeners::Certificate;
use crate::admin::AdminContext;
use crate::model::{Listener, Traces};
use crate::snapshot::Snapshot;
use crate::telemetry::rfc3339;
use axum::Json;
use axum::extract::State;
use schemars::JsonSchema;
use serde::Serialize;
use std::collections::BTreeMap;
use std::time::SystemTime;

/// Everything about this process.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(in crate::admin) struct Status {
    version: &'static str,
    commit: &'static str,
    pid: u32,
    started_at: String,
    uptime_seconds: u64,
    ready: bool,
    not_ready: Vec<String>,
    /// The number of the running configuration in this process, counted from 1.
    generation: u64,
    /// SHA-256 of the file that runs.
    config_hash: String,
    /// Whether what runs is what the file says.
    config_in_sync: bool,
    running_since: Option<String>,
    source: Source,
    refused: Option<Refused>,
    reloads: ReloadCounts,
    traces: TraceCounts,
    workers: usize,
    /// Configurations in memory: the running one, and those that somebody still holds.
    live_snapshots: usize,
    /// How many routes there are.
    routes: usize,
    listeners: Vec<ListenerStatus>,
    backends: Vec<Backend>,
}

/// What was read last, whether it runs or not.
#[derive(Debug, Serialize, JsonSchema)]
struct Source {
    path: String,
    hash: Option<String>,
}

/// The configuration that was refused last, while it does not run.
#[derive(Debug, Serialize, JsonSchema)]
struct Refused {
    hash: Option<String>,
    at: String,
    #[schemars(with = "Vec<super::reloads::ConfigError>")]
    errors: serde_json::Value,
    /// Errors besides those listed.
    more: usize,
}

/// What became of the changes seen so far.
#[derive(Debug, Serialize, JsonSchema)]
struct ReloadCounts {
    accepted: u64,
    refused: u64,
    unchanged: u64,
}

/// Whether requests are traced, and what became of the spans.
#[derive(Debug, Serialize, JsonSchema)]
struct TraceCounts {
    enabled: bool,
    /// The collector, without what may be secret in its URL.
    endpoint: Option<String>,
    /// Spans that the collector took.
    exported: u64,
    /// Spans that it refused, or that were not sent in time.
    failed: u64,
    /// Spans that were never sent: too many waited.
    dropped: u64,
}

/// A listener in short.
#[derive(Debug, Serialize, JsonSchema)]
struct ListenerStatus {
    name: String,
    address: String,
    /// `http`, or `https` where TLS is spoken.
    protocol: &'static str,
    connections: usize,
    /// Requests that ended, by class of status code: those that were refused, or that a route answered itself, too.
    requests: BTreeMap<&'static str, u64>,
    /// None where no TLS is spoken.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    certificates: Vec<Certificate>,
}

pub(in crate::admin) async fn get(State(context): Context) -> Json<Status> {
    Json(Status::of(&context))
}

impl Status {
    pub(in crate::admin) fn of(context: &AdminContext) -> Self {
        let (snapshot, source) = (context.store.load(), context.source.load());
        let (accepted, refused, unchanged) = context.source.counts();
        let not_ready = context.not_ready();
        let uptime = SystemTime::now().duration_since(context.started_at).unwrap_or_default();
        let listeners = (context.listeners)().into_iter();
        Self {
            version: context.version,
            commit: context.commit,
            pid: std::process::id(),
            started_at: rfc3339(context.started_at),
            uptime_seconds: uptime.as_secs(),
            ready: not_ready.is_empty(),
            not_ready,
            generation: snapshot.generation,
            config_hash: snapshot.config_hash.clone(),
            config_in_sync: source.in_sync(),
            running_since: source.loaded_at.map(rfc3339),
            source: Source { path: source.path.clone(), hash: source.hash.clone() },
            refused: source.refused.as_ref().map(|refused| Refused {
                hash: refused.hash.clone(),
                at: rfc3339(refused.at),
                errors: refused.errors.clone(),
                more: refused.more,
            }),
            reloads: ReloadCounts { accepted, refused, unchanged },
            traces: TraceCounts::of(context, &snapshot),
            workers: context.workers,
            live_snapshots: Snapshot::live(),
            routes: snapshot.model.routes.len(),
            listeners: listeners
                .map(|bound| ListenerStatus {
                    name: bound.name.to_string(),
                    address: bound.address.to_string(),
                    protocol: protocol(&snapshot, &bound.name),
                    connections: bound.counters.open(),
                    requests: by_class(bound.counters.all_requests()),
                    certificates: Certificate::of(&snapshot, &bound.name),
                })
                .collect(),
            backends: snapshot.backends.iter().map(|backend| Backend::of(backend)).collect(),
        }
    }
}

/// What the listener of this name speaks.
pub(super) fn protocol(snapshot: &Snapshot, name: &str) -> &'static str {
    let speaks_tls = |listener: &Listener| *listener.name == *name && listener.tls.is_some();
    if snapshot.model.listeners.iter().any(speaks_tls) { "https" } else { "http" }
}

impl TraceCounts {
    fn of(context: &AdminContext, snapshot: &Snapshot) -> Self {
        let counts = context.outlets.exporter.counts();
        let traces = snapshot.model.traces.as_ref();
        Self {
            enabled: traces.is_some(),
            endpoint: traces.map(|Traces { exporter, .. }| without_secrets(&exporter.endpoint)),
            exported: counts.exported,
            failed: counts.failed,
            dropped: counts.dropped,
        }
    }
}

/// A URL without user, password and query, in which keys are passed.
fn without_secrets(url: &str) -> String {
    let url = url.split(['?', '#']).next().unwrap_or_default();
    let Some((scheme, rest)) = url.split_once("://") else { return url.to_owned() };
    let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    format!("{scheme}://{host}{path}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_collectors_url_is_shown_without_what_may_be_secret() {
        for (url, shown) in [
            ("http://collector:4317", "http://collector:4317"),
            (
                "https://me:s3cret@otlp.example/v1/traces?key=s3cret",
                "https://otlp.example/v1/traces",
            ),
            ("https://me:s3@cret@otlp.example?key=s3cret", "https://otlp.example"),
        ] {
            assert_eq!(without_secrets(url), shown);
        }
    }
}
