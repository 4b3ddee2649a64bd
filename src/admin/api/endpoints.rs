//! `/api/v1/endpoints`: the live state of each endpoint.

use super::backends::Backend;
use super::{Context, Query, rounded, share};
use crate::admin::refusal::Refusal;
use crate::backend::Member;
use crate::clock::Nanos;
use crate::endpoint::{Change, Standing};
use crate::telemetry::metrics::CODE_CLASSES;
use crate::telemetry::rfc3339;
use axum::extract::State;
use axum::http::StatusCode;
use axum::{Extension, Json};
use schemars::JsonSchema;
use serde::Serialize;
use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

/// One address of a backend, and its live state.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(in crate::admin) struct Endpoint {
    url: String,
    weight: u32,
    /// The zone in which it is, where Kubernetes tells that.
    zone: Option<String>,
    health: Health,
    /// Whether it gets requests now.
    eligible: bool,
    /// For how much longer it is passed over, because a connect failed.
    passed_over_ms: Option<u64>,
    in_flight: u32,
    /// Decayed average of the time to the response's head; null before the first sample.
    latency_ms: Option<f64>,
    /// Requests that it answered, by class of status code.
    requests: BTreeMap<&'static str, u64>,
    requests_total: u64,
    /// Requests given to it, tries included.
    picks: u64,
    /// Its part of all picks of the backend's present endpoints, 1 being all.
    share: f64,
    addresses: Vec<String>,
    resolve_error: Option<String>,
    /// Its last changes of health and its last pass-overs, the latest last.
    history: Vec<HealthChange>,
}

/// An endpoint of a backend that is named.
#[derive(Debug, Serialize, JsonSchema)]
pub(in crate::admin) struct EndpointOfBackend {
    backend: String,
    #[serde(flatten)]
    endpoint: Endpoint,
}

#[derive(Debug, Serialize, JsonSchema)]
struct Health {
    /// `unknown`, `healthy` or `unhealthy`.
    state: &'static str,
    reason: Option<String>,
    since: Option<String>,
}

/// A change of an endpoint's health, or the begin or end of a pass-over.
#[derive(Debug, Serialize, JsonSchema)]
struct HealthChange {
    at: String,
    /// `unknown`, `healthy`, `unhealthy`, `passed over` or `serving`.
    from: &'static str,
    to: &'static str,
    reason: Option<String>,
}

pub(in crate::admin) async fn list(
    State(context): Context,
    Extension(query): Query,
) -> Result<Json<Vec<EndpointOfBackend>>, Refusal> {
    let snapshot = context.store.load();
    let wanted = query.one("backend");
    if let Some(wanted) = wanted.filter(|wanted| snapshot.backend(wanted).is_none()) {
        let error = format!("there is no backend {wanted:?}");
        let names = snapshot.backends.iter().map(|backend| backend.name().to_string());
        return Err(Refusal::new(StatusCode::BAD_REQUEST, error).allow(names));
    }
    let is_wanted = |name: &str| wanted.is_none_or(|wanted| wanted == name);
    let health = query.one("health");
    let backends = snapshot.backends.iter().filter(|backend| is_wanted(backend.name()));
    let endpoints = backends.flat_map(|backend| {
        let Backend { name, endpoints, .. } = Backend::of(backend);
        let named = move |endpoint| EndpointOfBackend { backend: name.clone(), endpoint };
        endpoints.into_iter().map(named)
    });
    let fits =
        |one: &EndpointOfBackend| health.is_none_or(|health| health == one.endpoint.health.state);
    Ok(Json(endpoints.filter(fits).collect()))
}

impl Endpoint {
    pub(super) fn of(member: &Member, zone: Option<&str>, eligible: bool, all_picks: u64) -> Self {
        let (endpoint, now) = (&member.endpoint, Nanos::now());
        let report = endpoint.health_report();
        let passed_over = endpoint.passed_over_until().since(now);
        let requests = member.endpoint.requests().totals();
        let picks = endpoint.picks();
        let resolution = endpoint.resolution();
        Self {
            url: endpoint.url().to_string(),
            weight: member.weight,
            zone: zone.map(str::to_owned),
            health: Health {
                state: report.health.name(),
                reason: report.reason.as_deref().map(str::to_owned),
                since: (report.since > Nanos(0)).then(|| rfc3339(wall_clock(report.since, now))),
            },
            eligible,
            passed_over_ms: (passed_over > Duration::ZERO)
                .then(|| u64::try_from(passed_over.as_millis()).unwrap_or(u64::MAX)),
            in_flight: endpoint.in_flight(),
            latency_ms: endpoint.latency().map(|latency| rounded(latency.as_secs_f64() * 1e3)),
            requests: by_class(requests),
            requests_total: requests.iter().sum(),
            picks,
            share: share(picks, all_picks),
            addresses: resolution.addresses.iter().map(ToString::to_string).collect(),
            resolve_error: resolution.error.clone(),
            history: endpoint.history().iter().map(HealthChange::of).collect(),
        }
    }
}

impl HealthChange {
    fn of(change: &Change) -> Self {
        let Change { at, from, to, reason } = change;
        Self {
            at: rfc3339(*at),
            from: Standing::name(*from),
            to: Standing::name(*to),
            reason: reason.as_deref().map(str::to_owned),
        }
    }
}

fn wall_clock(moment: Nanos, now: Nanos) -> SystemTime {
    SystemTime::now().checked_sub(now.since(moment)).unwrap_or(SystemTime::UNIX_EPOCH)
}

/// Without the classes that did not occur.
pub(super) fn by_class(totals: [u64; CODE_CLASSES.len()]) -> BTreeMap<&'static str, u64> {
    CODE_CLASSES.into_iter().zip(totals).filter(|(_, total)| *total > 0).collect()
}
