//! `/api/v1/listeners`: where clients come in.

use super::Context;
use super::endpoints::by_class;
use super::status::protocol;
use crate::admin::BoundListener;
use crate::model::{self, ListenerTls};
use crate::snapshot::Snapshot;
use crate::telemetry::rfc3339;
use crate::tls;
use axum::Json;
use axum::extract::State;
use schemars::JsonSchema;
use serde::Serialize;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// An address that clients connect to.
#[derive(Debug, Serialize, JsonSchema)]
pub(in crate::admin) struct Listener {
    name: String,
    /// Where it is bound.
    address: String,
    /// Where the configuration says; its port may be 0, for any.
    configured: String,
    /// `http`, or `https` where TLS is spoken.
    protocol: &'static str,
    tls: Option<Tls>,
    connections: usize,
    /// Requests that ended, by class of status code: those that were refused, or that a route answered itself, too.
    requests: BTreeMap<&'static str, u64>,
    limits: Limits,
}

#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct Tls {
    /// The oldest version that is spoken.
    min_version: String,
    /// Whether clients show certificates, `Required` or `Optional`; null where they do not.
    client_auth: Option<String>,
    certificates: Vec<Certificate>,
}

/// A certificate that is shown to clients.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Certificate {
    names: Vec<String>,
    file: String,
    not_before: String,
    not_after: String,
}

/// What clients may ask of it; null is no limit.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct Limits {
    handshake_timeout_ms: Option<f64>,
    header_timeout_ms: Option<f64>,
    body_timeout_ms: Option<f64>,
    idle_timeout_ms: Option<f64>,
    write_timeout_ms: Option<f64>,
    max_connection_age_ms: Option<f64>,
    max_connections: Option<usize>,
    max_concurrent_streams: u32,
    max_header_bytes: usize,
    max_headers: usize,
    max_body_bytes: Option<u64>,
}

pub(in crate::admin) async fn get(State(context): Context) -> Json<Vec<Listener>> {
    let snapshot = context.store.load();
    let bound = (context.listeners)();
    Json(bound.iter().filter_map(|bound| Listener::of(&snapshot, bound)).collect())
}

impl Listener {
    /// None where a reload is just taking it away.
    fn of(snapshot: &Snapshot, bound: &BoundListener) -> Option<Self> {
        let listeners = &snapshot.model.listeners;
        let model = listeners.iter().find(|listener| listener.name == bound.name)?;
        Some(Self {
            name: bound.name.to_string(),
            address: bound.address.to_string(),
            configured: bound.configured.to_string(),
            protocol: protocol(snapshot, &bound.name),
            tls: model.tls.as_ref().map(|tls| Tls::of(snapshot, &bound.name, tls)),
            connections: bound.counters.open(),
            requests: by_class(bound.counters.all_requests()),
            limits: Limits::of(&model.limits),
        })
    }
}

impl Tls {
    fn of(snapshot: &Snapshot, listener: &str, tls: &ListenerTls) -> Self {
        Self {
            min_version: tls.min_version.to_string(),
            client_auth: tls.client_auth.as_ref().map(|auth| auth.mode.to_string()),
            certificates: Certificate::of(snapshot, listener),
        }
    }
}

impl Certificate {
    /// Those of the listener of this name.
    pub(super) fn of(snapshot: &Snapshot, listener: &str) -> Vec<Self> {
        let certificates = snapshot.tls(listener).into_iter().flat_map(|tls| &tls.certificates);
        let told = |certificate: &Arc<tls::Certificate>| Self {
            names: certificate.names.clone(),
            file: certificate.path.display().to_string(),
            not_before: rfc3339(certificate.not_before),
            not_after: rfc3339(certificate.not_after),
        };
        certificates.map(told).collect()
    }
}

impl Limits {
    fn of(limits: &model::Limits) -> Self {
        let millis = |limit: Option<Duration>| limit.map(|limit| limit.as_secs_f64() * 1e3);
        let model::Limits {
            handshake_timeout,
            header_timeout,
            body_timeout,
            idle_timeout,
            write_timeout,
            max_connection_age,
            max_connections,
            max_concurrent_streams,
            max_header_bytes,
            max_headers,
            max_body_bytes,
        } = *limits;
        Self {
            handshake_timeout_ms: millis(handshake_timeout),
            header_timeout_ms: millis(header_timeout),
            body_timeout_ms: millis(body_timeout),
            idle_timeout_ms: millis(idle_timeout),
            write_timeout_ms: millis(write_timeout),
            max_connection_age_ms: millis(max_connection_age),
            max_connections,
            max_concurrent_streams,
            max_header_bytes,
            max_headers,
            max_body_bytes,
        }
    }
}
