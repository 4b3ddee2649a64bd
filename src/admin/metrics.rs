//! `/metrics`: adds up what the workers count, only when somebody asks.
//!
//! Series are made from the running snapshot at each scrape, so that those of what was removed go with it: endpoints, backends,
//! routes and listeners.

mod families;

use super::{AdminContext, BoundListener, process};
use crate::backend::Backend;
use crate::backend::counters::Counters;
use crate::clock::Nanos;
use crate::endpoint::{Endpoint, Health, ProbeKind};
use crate::snapshot::history::Outcome;
use crate::snapshot::{Snapshot, User};
use crate::telemetry::metrics::{self as names, Handshake, Protocol, occurred};
use families::Families;
use rustc_hash::FxHashSet;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{SystemTime, UNIX_EPOCH};

/// Classes that are shown from the start, or the first error would not be an increase.
const USUAL: &[&str] = &["2xx", "5xx"];

/// All numbers in Prometheus' classic text format.
pub(super) fn text(context: &AdminContext) -> prometheus::Result<String> {
    let mut families = Families::default();
    of_process(&mut families);
    of_program(context, &mut families);
    of_source(context, &mut families);
    let snapshot = context.store.load();
    for listener in (context.listeners)() {
        of_listener(&listener, snapshot.tls(&listener.name).is_some(), &mut families);
    }
    for route in snapshot.router.routes() {
        let counted = occurred(route.requests.totals(), USUAL);
        families.each(&names::ROUTE_REQUESTS, &[&route.model.name], counted);
    }
    for backend in &snapshot.backends {
        of_backend(backend, &mut families);
    }
    of_certificates(&snapshot, &mut families);
    for sample in (context.extra)() {
        families.sample(&sample);
    }
    families.encode()
}

fn of_program(context: &AdminContext, families: &mut Families) {
    families.one(&names::BUILD_INFO, &[context.version, context.commit], 1.0);
    families.one(&names::READY, &[], flag(context.not_ready().is_empty()));
    families.one(&names::WORKERS, &[], context.workers as f64);
    families.one(&names::LIVE_SNAPSHOTS, &[], Snapshot::live() as f64);
    families.one(&names::PROCESS_START, &[], seconds(context.started_at));
}

fn of_source(context: &AdminContext, families: &mut Families) {
    let (source, running) = (context.source.load(), context.store.load());
    families.one(&names::CONFIG_GENERATION, &[], running.generation as f64);
    families.one(&names::CONFIG_INFO, &[&running.config_hash], 1.0);
    families.one(&names::CONFIG_IN_SYNC, &[], flag(source.in_sync()));
    families.maybe(&names::CONFIG_LOADED, &[], source.loaded_at.map(seconds));
    let (accepted, refused, unchanged) = context.source.counts();
    let results = Outcome::ALL.map(Outcome::name).into_iter();
    families.each(&names::RELOADS, &[], results.clone().zip([accepted, refused, unchanged]));
    let timing = context.source.timing();
    for (result, at) in results.zip(timing.last) {
        families.maybe(&names::RELOAD_AT, &[result], at.map(seconds));
    }
    families.histogram(&names::RELOAD_DURATION, &[], &context.source.durations().totals());
    let took = timing.took.map(|took| took.as_secs_f64());
    families.maybe(&names::LAST_RELOAD_DURATION, &[], took);
}

fn of_process(families: &mut Families) {
    families.maybe(&names::PROCESS_CPU, &[], process::cpu_seconds());
    families.maybe(&names::PROCESS_FILES, &[], process::open_files());
    families.one(&names::PROCESS_MAX_FILES, &[], process::max_files());
    if let Some(status) = process::Status::read() {
        families.maybe(&names::PROCESS_MEMORY, &[], status.resident_bytes());
        families.maybe(&names::PROCESS_VIRTUAL_MEMORY, &[], status.virtual_bytes());
        families.maybe(&names::PROCESS_THREADS, &[], status.threads());
    }
}

fn of_listener(listener: &BoundListener, speaks_tls: bool, families: &mut Families) {
    let (name, counters) = (&*listener.name, &listener.counters);
    for protocol in Protocol::ALL {
        let totals = counters.requests(protocol);
        // Without TLS few clients speak HTTP/2.
        let is_shown = protocol == Protocol::Http1 || totals.iter().any(|total| *total > 0);
        let counted = occurred(totals, if is_shown { USUAL } else { &[] });
        families.each(&names::LISTENER_REQUESTS, &[name, protocol.name()], counted);
    }
    families.one(&names::LISTENER_IN_FLIGHT, &[name], counters.in_flight() as f64);
    families.one(&names::LISTENER_RECEIVED, &[name], counters.received() as f64);
    families.one(&names::LISTENER_SENT, &[name], counters.sent() as f64);
    families.one(&names::LISTENER_CONNECTIONS, &[name], counters.open() as f64);
    families.one(&names::CONNECTIONS_ACCEPTED, &[name], counters.accepted() as f64);
    let refused = counters.refused().map(|(why, count)| (why.name(), count));
    families.each(&names::CONNECTIONS_REFUSED, &[name], refused);
    let pauses = counters.pauses().map(|(why, count)| (why.name(), count));
    families.each(&names::ACCEPT_PAUSES, &[name], pauses);
    for (how, count) in counters.handshakes() {
        let (result, version) = how.names();
        let is_usual = match how {
            Handshake::Full13 | Handshake::Failed => speaks_tls,
            Handshake::Full12
            | Handshake::Resumed12
            | Handshake::Resumed13
            | Handshake::TimedOut => false,
        };
        if is_usual || count > 0 {
            families.one(&names::TLS_HANDSHAKES, &[name, result, version], count as f64);
        }
    }
}

fn of_backend(backend: &Backend, families: &mut Families) {
    let (name, eligible) = (&**backend.name(), backend.eligible());
    of_counters(backend, backend.counters(), families);
    let left = backend.budget().remaining(Nanos::now());
    families.one(&names::RETRY_BUDGET, &[name], left as f64);
    families.maybe(&names::BACKEND_IMBALANCE, &[name], backend.imbalance());
    families.one(&names::BACKEND_PANIC, &[name], flag(eligible.panic));
    let probes = [
        (ProbeKind::Health, backend.model().health_probe.is_some()),
        (ProbeKind::Latency, backend.model().latency_probe.is_some()),
    ];
    let probes = probes.into_iter().filter_map(|(kind, is_there)| is_there.then_some(kind));
    for kind in probes.clone() {
        let durations = backend.counters().probes[kind as usize].totals();
        families.histogram(&names::PROBE_DURATION, &[name, kind.name()], &durations);
    }
    let ids: FxHashSet<_> =
        eligible.candidates.list().iter().map(|candidate| candidate.endpoint.id()).collect();
    for member in backend.members() {
        let endpoint = &member.endpoint;
        let is_eligible = ids.contains(&endpoint.id());
        of_endpoint(name, endpoint, is_eligible, probes.clone(), families);
    }
}

fn of_counters(backend: &Backend, counters: &Arc<Counters>, families: &mut Families) {
    let name = &**backend.name();
    let unanswered = occurred(counters.unanswered.totals(), USUAL);
    families.each(&names::REQUESTS, &[name, "none"], unanswered);
    families.histogram(&names::REQUEST_DURATION, &[name], &counters.duration.totals());
    families.histogram(&names::RESPONSE_HEAD, &[name], &counters.response_head.totals());
    let (received, sent) = counters.bytes();
    families.one(&names::BACKEND_RECEIVED, &[name], received as f64);
    families.one(&names::BACKEND_SENT, &[name], sent as f64);
    families.one(&names::RETRIES, &[name], counters.retries.load(Relaxed) as f64);
    let refused = counters.retries_refused.load(Relaxed);
    families.one(&names::RETRIES_REFUSED, &[name], refused as f64);
    let present = backend.model().algorithm;
    let picks = counters.picks().filter(|(by, count)| *count > 0 || *by == present);
    families.each(&names::PICKS, &[name], picks.map(|(by, count)| (by.name(), count)));
    let connections = counters.connections();
    families.one(&names::UPSTREAM_CONNECTS, &[name], connections.tried as f64);
    let failures = counters.connect_failures().map(|(why, count)| (why.name(), count));
    families.each(&names::UPSTREAM_FAILURES, &[name], failures);
    families.one(&names::UPSTREAM_CONNECTIONS, &[name], connections.open as f64);
    families.one(&names::UPSTREAM_IDLE, &[name], connections.idle as f64);
    families.one(&names::UPSTREAM_STREAMS, &[name], connections.streams as f64);
}

fn of_endpoint(
    backend: &str,
    endpoint: &Endpoint,
    is_eligible: bool,
    probes: impl Iterator<Item = ProbeKind>,
    families: &mut Families,
) {
    let url = endpoint.url().to_string();
    let labels = [backend, &url];
    let latency = endpoint.latency().map(|latency| latency.as_secs_f64());
    let requests = occurred(endpoint.requests().totals(), USUAL);
    families.each(&names::REQUESTS, &labels, requests);
    let healthy = endpoint.health() != Health::Unhealthy;
    families.one(&names::ENDPOINT_HEALTHY, &labels, flag(healthy));
    families.one(&names::ENDPOINT_ELIGIBLE, &labels, flag(is_eligible));
    families.one(&names::ENDPOINT_IN_FLIGHT, &labels, endpoint.in_flight().into());
    families.one(&names::ENDPOINT_PICKS, &labels, endpoint.picks() as f64);
    families.maybe(&names::ENDPOINT_LATENCY, &labels, latency);
    for kind in probes {
        let counts = endpoint.probes().totals(kind);
        let counts = counts.map(|(result, count)| (result.name(), count));
        families.each(&names::PROBES, &[backend, &url, kind.name()], counts);
    }
}

fn of_certificates(snapshot: &Snapshot, families: &mut Families) {
    for (user, certificate) in snapshot.certificates() {
        let file = certificate.path.display().to_string();
        let name = certificate.names.first().map_or("", String::as_str);
        let (listener, backend) = match user {
            User::Listener(listener) => (listener, ""),
            User::Backend(backend) => ("", backend),
        };
        let not_after = seconds(certificate.not_after);
        families.one(&names::CERTIFICATE_NOT_AFTER, &[listener, backend, &file, name], not_after);
    }
}

fn flag(is: bool) -> f64 {
    f64::from(u8::from(is))
}

fn seconds(at: SystemTime) -> f64 {
    at.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64()
}
