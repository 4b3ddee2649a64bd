//! `/status`: what runs, as people and scripts read it.

use super::AdminContext;
use crate::backend::{Backend, Member};
use crate::clock::Nanos;
use crate::snapshot::Snapshot;
use crate::telemetry::metrics::CODE_CLASSES;
use crate::tls::Certificate;
use serde::Serialize;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, SystemTime};

/// Everything about this process.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Status {
    version: &'static str,
    commit: &'static str,
    pid: u32,
    started_at: String,
    uptime_seconds: u64,
    ready: bool,
    not_ready: Vec<String>,
    generation: u64,
    config_hash: String,
    config_in_sync: bool,
    running_since: Option<String>,
    source: Source,
    refused: Option<Refused>,
    reloads: Reloads,
    workers: usize,
    live_snapshots: usize,
    listeners: Vec<Listener>,
    backends: Vec<BackendStatus>,
}

/// What was read last, whether it runs or not.
#[derive(Debug, Serialize)]
struct Source {
    path: String,
    hash: Option<String>,
}

/// The configuration that was refused last, while it does not run.
#[derive(Debug, Serialize)]
struct Refused {
    hash: Option<String>,
    at: String,
    errors: serde_json::Value,
    /// Errors besides those listed.
    more: usize,
}

/// What became of the changes seen so far.
#[derive(Debug, Serialize)]
struct Reloads {
    accepted: u64,
    refused: u64,
    unchanged: u64,
}

#[derive(Debug, Serialize)]
struct Listener {
    name: String,
    address: String,
    /// None where no TLS is spoken.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    certificates: Vec<CertificateStatus>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct CertificateStatus {
    names: Vec<String>,
    file: String,
    not_before: String,
    not_after: String,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct BackendStatus {
    name: String,
    algorithm: &'static str,
    /// Too few endpoints are healthy, so that all count as healthy.
    panic: bool,
    /// Requests that no endpoint answered, by the class of our own answer.
    unanswered: BTreeMap<&'static str, u64>,
    retries: u64,
    retries_refused: u64,
    endpoints: Vec<EndpointStatus>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct EndpointStatus {
    url: String,
    weight: u32,
    health: Health,
    /// Whether it gets requests now.
    eligible: bool,
    /// For how much longer it is passed over, because a connect failed.
    passed_over_ms: Option<u64>,
    in_flight: u32,
    /// Decayed average of the time to the response's head; nothing before the first sample.
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
}

#[derive(Debug, Serialize)]
struct Health {
    state: &'static str,
    reason: Option<String>,
    since: Option<String>,
}

impl Status {
    pub(super) fn of(context: &AdminContext) -> Self {
        let (snapshot, source) = (context.store.load(), context.source.load());
        let (accepted, refused, unchanged) = context.source.counts();
        let not_ready = context.not_ready();
        let uptime = SystemTime::now().duration_since(context.started_at).unwrap_or_default();
        let listeners = (context.listeners)().into_iter();
        Self {
            version: context.version,
            commit: context.commit,
            pid: std::process::id(),
            started_at: time(context.started_at),
            uptime_seconds: uptime.as_secs(),
            ready: not_ready.is_empty(),
            not_ready,
            generation: snapshot.generation,
            config_hash: snapshot.config_hash.clone(),
            config_in_sync: source.in_sync(),
            running_since: source.loaded_at.map(time),
            source: Source { path: source.path.clone(), hash: source.hash.clone() },
            refused: source.refused.as_ref().map(|refused| Refused {
                hash: refused.hash.clone(),
                at: time(refused.at),
                errors: refused.errors.clone(),
                more: refused.more,
            }),
            reloads: Reloads { accepted, refused, unchanged },
            workers: context.workers,
            live_snapshots: Snapshot::live(),
            listeners: listeners
                .map(|bound| Listener {
                    name: bound.name.to_string(),
                    address: bound.address.to_string(),
                    certificates: certificates(&snapshot, &bound.name),
                })
                .collect(),
            backends: snapshot.backends.iter().map(|backend| BackendStatus::of(backend)).collect(),
        }
    }
}

fn certificates(snapshot: &Snapshot, listener: &str) -> Vec<CertificateStatus> {
    let certificates = snapshot.tls(listener).into_iter().flat_map(|tls| &tls.certificates);
    let status = |certificate: &Arc<Certificate>| CertificateStatus {
        names: certificate.names.clone(),
        file: certificate.path.display().to_string(),
        not_before: time(certificate.not_before),
        not_after: time(certificate.not_after),
    };
    certificates.map(status).collect()
}

impl BackendStatus {
    fn of(backend: &Backend) -> Self {
        let eligible = backend.eligible();
        let ids: Vec<_> =
            eligible.candidates.list().iter().map(|candidate| candidate.endpoint.id()).collect();
        let members = backend.members().iter();
        let picks = members.clone().map(|member| member.endpoint.picks()).sum();
        let counters = backend.counters();
        Self {
            name: backend.name().to_string(),
            algorithm: backend.model().algorithm.name(),
            panic: eligible.panic,
            unanswered: by_class(counters.unanswered.totals()),
            retries: counters.retries.load(Relaxed),
            retries_refused: counters.retries_refused.load(Relaxed),
            endpoints: members
                .map(|member| {
                    EndpointStatus::of(member, ids.contains(&member.endpoint.id()), picks)
                })
                .collect(),
        }
    }
}

impl EndpointStatus {
    fn of(member: &Member, eligible: bool, all_picks: u64) -> Self {
        let (endpoint, now) = (&member.endpoint, Nanos::now());
        let report = endpoint.health_report();
        let passed_over = endpoint.passed_over_until().since(now);
        let requests = member.endpoint.requests().totals();
        let picks = endpoint.picks();
        let resolution = endpoint.resolution();
        Self {
            url: endpoint.url().to_string(),
            weight: member.weight,
            health: Health {
                state: report.health.name(),
                reason: report.reason.as_deref().map(str::to_owned),
                since: (report.since > Nanos(0)).then(|| time(wall_clock(report.since, now))),
            },
            eligible,
            passed_over_ms: (passed_over > Duration::ZERO)
                .then(|| u64::try_from(passed_over.as_millis()).unwrap_or(u64::MAX)),
            in_flight: endpoint.in_flight(),
            latency_ms: endpoint.latency().map(|latency| rounded(latency.as_secs_f64() * 1e3)),
            requests: by_class(requests),
            requests_total: requests.iter().sum(),
            picks,
            share: if all_picks == 0 { 0.0 } else { rounded(picks as f64 / all_picks as f64) },
            addresses: resolution.addresses.iter().map(ToString::to_string).collect(),
            resolve_error: resolution.error.clone(),
        }
    }
}

/// Without the classes that did not occur.
fn by_class(totals: [u64; CODE_CLASSES.len()]) -> BTreeMap<&'static str, u64> {
    CODE_CLASSES.into_iter().zip(totals).filter(|(_, total)| *total > 0).collect()
}

fn wall_clock(moment: Nanos, now: Nanos) -> SystemTime {
    SystemTime::now().checked_sub(now.since(moment)).unwrap_or(SystemTime::UNIX_EPOCH)
}

/// RFC 3339, in UTC, to the millisecond.
fn time(at: SystemTime) -> String {
    match jiff::Timestamp::try_from(at) {
        Ok(at) => format!("{at:.3}"),
        Err(error) => error.to_string(),
    }
}

/// To four decimals.
fn rounded(value: f64) -> f64 {
    (value * 1e4).round() / 1e4
}
