//! `/api/v1/backends`: sets of endpoints, and how they pick.

use super::Context;
use super::endpoints::{Endpoint, by_class};
use crate::admin::refusal::Refusal;
use crate::backend;
use crate::model::EndpointSource;
use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use schemars::JsonSchema;
use serde::Serialize;
use std::collections::{BTreeMap, HashSet};
use std::sync::atomic::Ordering::Relaxed;

/// A set of endpoints.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(in crate::admin) struct Backend {
    pub(super) name: String,
    algorithm: &'static str,
    /// How the algorithm decides, in a sentence.
    algorithm_how: &'static str,
    /// The Service of Kubernetes that its endpoints are of: namespace, name, port; null where they are listed.
    service: Option<String>,
    /// How unevenly the endpoints are loaded: the coefficient of variation; null where that is not known.
    imbalance: Option<f64>,
    /// Too few endpoints are healthy, so that all count as healthy.
    panic: bool,
    /// Requests that came to it, whoever answered them.
    requests_total: u64,
    /// Requests that no endpoint answered, by the class of our own answer.
    unanswered: BTreeMap<&'static str, u64>,
    retries: u64,
    retries_refused: u64,
    pub(super) endpoints: Vec<Endpoint>,
}

pub(in crate::admin) async fn list(State(context): Context) -> Json<Vec<Backend>> {
    Json(context.store.load().backends.iter().map(|backend| Backend::of(backend)).collect())
}

pub(in crate::admin) async fn one(
    State(context): Context,
    Path(name): Path<String>,
) -> Result<Json<Backend>, Refusal> {
    let snapshot = context.store.load();
    match snapshot.backend(&name) {
        Some(backend) => Ok(Json(Backend::of(backend))),
        None => {
            let error = format!("there is no backend {name:?}");
            let names = snapshot.backends.iter().map(|backend| backend.name().to_string());
            Err(Refusal::new(StatusCode::NOT_FOUND, error).allow(names))
        }
    }
}

impl Backend {
    pub(super) fn of(backend: &backend::Backend) -> Self {
        let eligible = backend.eligible();
        let candidates = eligible.candidates.list().iter();
        let ids: HashSet<_> = candidates.map(|candidate| candidate.endpoint.id()).collect();
        let members = backend.members().iter();
        let picks = members.clone().map(|member| member.endpoint.picks()).sum();
        let counters = backend.counters();
        let durations = counters.duration.totals().buckets;
        Self {
            name: backend.name().to_string(),
            algorithm: backend.model().algorithm.name(),
            algorithm_how: backend.model().algorithm.how(),
            service: match &backend.model().source {
                EndpointSource::Static => None,
                EndpointSource::Service(service) => Some(service.to_string()),
            },
            imbalance: backend.imbalance(),
            panic: eligible.panic,
            requests_total: durations.iter().sum(),
            unanswered: by_class(counters.unanswered.totals()),
            retries: counters.retries.load(Relaxed),
            retries_refused: counters.retries_refused.load(Relaxed),
            endpoints: members
                .zip(&backend.model().endpoints)
                .map(|(member, endpoint)| {
                    let eligible = ids.contains(&member.endpoint.id());
                    Endpoint::of(member, endpoint.zone.as_deref(), eligible, picks)
                })
                .collect(),
        }
    }
}
