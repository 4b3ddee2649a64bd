//! The live state of one endpoint: what survives every reload that keeps the endpoint.
//!
//! All workers and the prober share one [`Endpoint`]; every field is atomic. The identity is the backend's
//! name and the URL as configured, never an address.

mod health;
mod history;
mod pass_over;
mod probes;
mod response_time;

pub use health::{Health, HealthReport, Thresholds, Transition};
pub use history::{Change, Standing};
pub use probes::{ProbeCounter, ProbeKind, ProbeResult};
pub use response_time::{ResponseTime, Sensitivity};

use crate::clock::Nanos;
use crate::model::{EndpointUrl, LatencyProbe};
use crate::telemetry::metrics::RequestCounter;
use arc_swap::ArcSwap;
use history::History;
use pass_over::PassOver;
use std::fmt;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU32, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

static NEXT_ID: AtomicU64 = AtomicU64::new(1);

/// So many pass-overs in a row are an outage (about 0.7 s without a connection): what answers after it was started anew.
/// Fewer are a hiccup, such as a full accept queue.
const OUTAGE: u32 = 3;

/// The live state of one endpoint.
#[derive(Debug)]
pub struct Endpoint {
    hot: Hot,
    id: u64,
    url: EndpointUrl,
    label: Arc<str>,
    requests: RequestCounter,
    probes: ProbeCounter,
    addresses: ArcSwap<Resolution>,
    pass_over: PassOver,
    /// `health.health` once more, to be read without a lock.
    health_now: AtomicU8,
    health: Mutex<HealthReport>,
    history: History,
    /// A [`Nanos`]; 0 when there was no slow start.
    slow_start_since: AtomicU64,
    speaks_http10: AtomicBool,
}

/// What every pick reads and every request writes: one cache line, shared with nothing else.
#[derive(Debug, Default)]
#[repr(align(64))]
struct Hot {
    in_flight: AtomicU32,
    picks: AtomicU64,
    response_time: ResponseTime,
}

/// What is known of the addresses behind an endpoint's host.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Resolution {
    /// The addresses to try, in order; empty when the name never resolved.
    pub addresses: Vec<SocketAddr>,
    /// Why the last look-up failed, in the operator's words.
    pub error: Option<String>,
}

/// The URL of the endpoint with this [label](Endpoint::label), in the form of [`Endpoint::url`].
pub fn name(label: &str) -> &str {
    label.strip_suffix('/').unwrap_or(label)
}

impl Endpoint {
    /// The state of an endpoint that was never seen before, counted by `workers` workers.
    pub fn new(url: EndpointUrl, workers: usize) -> Self {
        Self {
            hot: Hot::default(),
            id: NEXT_ID.fetch_add(1, Relaxed),
            label: format!("{url}/").into(),
            requests: RequestCounter::new(workers),
            probes: ProbeCounter::default(),
            url,
            addresses: ArcSwap::default(),
            pass_over: PassOver::default(),
            health_now: AtomicU8::new(Health::Unknown as u8),
            health: Mutex::default(),
            history: History::default(),
            slow_start_since: AtomicU64::new(0),
            speaks_http10: AtomicBool::new(false),
        }
    }

    /// A number that no other endpoint of this process ever had: the key of connection pools and probers.
    pub fn id(&self) -> u64 {
        self.id
    }

    /// Its URL as configured.
    pub fn url(&self) -> &EndpointUrl {
        &self.url
    }

    /// Its URL in the form of [`Endpoint::url`].
    pub fn name(&self) -> &str {
        name(&self.label)
    }

    /// Its URL as logs and tables show it.
    pub fn label(&self) -> &Arc<str> {
        &self.label
    }

    /// The requests that it answered, by class of status code.
    pub fn requests(&self) -> &RequestCounter {
        &self.requests
    }

    /// How often it was probed.
    pub fn probes(&self) -> &ProbeCounter {
        &self.probes
    }

    /// What is known of its addresses.
    pub fn resolution(&self) -> arc_swap::Guard<Arc<Resolution>> {
        self.addresses.load()
    }

    /// Takes note of what a look-up of its host found.
    pub fn set_resolution(&self, resolution: Resolution) {
        self.addresses.store(Arc::new(resolution));
    }

    /// Requests that were given to it and have not ended, pending connects included.
    pub fn in_flight(&self) -> u32 {
        self.hot.in_flight.load(Relaxed)
    }

    /// Requests ever given to it.
    pub fn picks(&self) -> u64 {
        self.hot.picks.load(Relaxed)
    }

    /// Counts one more request in flight until the guard is dropped.
    pub fn begin(self: &Arc<Self>) -> InFlight {
        let before = self.hot.in_flight.fetch_add(1, Relaxed);
        self.began(before)
    }

    /// Like [`Endpoint::begin`], but only if exactly `expected` requests are in flight: a comparison of counts
    /// that was overtaken by another worker must be made again.
    pub fn begin_if(self: &Arc<Self>, expected: u32) -> Option<InFlight> {
        self.hot.in_flight.compare_exchange(expected, expected + 1, Relaxed, Relaxed).ok()?;
        Some(self.began(expected))
    }

    fn began(self: &Arc<Self>, before: u32) -> InFlight {
        self.hot.picks.fetch_add(1, Relaxed);
        InFlight { endpoint: Arc::clone(self), before }
    }

    /// Takes note of the time to a response's head, measured at `now` by a request or a latency probe.
    pub fn record_latency(&self, now: Nanos, sample: Duration) {
        self.hot.response_time.record(now, sample);
    }

    /// Takes note of a failure (refused, reset, timed out, failed latency probe), which counts as a slow
    /// answer, never as the quick one that it was.
    pub fn record_failure(&self, now: Nanos) {
        self.hot.response_time.record_failure(now);
    }

    /// The decayed average of the time to the response's head, of what was answered; `None` before the first answer. Algorithms see
    /// failures besides, as slow answers: [`Endpoint::response_time`].
    pub fn latency(&self) -> Option<Duration> {
        let nanos = self.hot.response_time.answers()?;
        Some(Duration::from_nanos(nanos as u64))
    }

    /// What is known of its time to response head, for algorithms.
    #[inline]
    pub fn response_time(&self) -> &ResponseTime {
        &self.hot.response_time
    }

    /// Tells it which latency probe it gets, which says how long samples stay good.
    pub fn set_latency_probe(&self, probe: Option<&LatencyProbe>) {
        let period = probe.map(|latency| latency.probe.interval + latency.probe.timeout);
        self.hot.response_time.expect_sample_every(period);
    }

    /// What its health probes found.
    pub fn health(&self) -> Health {
        const HEALTHY: u8 = Health::Healthy as u8;
        const UNHEALTHY: u8 = Health::Unhealthy as u8;
        match self.health_now.load(Relaxed) {
            HEALTHY => Health::Healthy,
            UNHEALTHY => Health::Unhealthy,
            _ => Health::Unknown,
        }
    }

    /// What its health probes found, since when and why.
    pub fn health_report(&self) -> HealthReport {
        self.lock_health().clone()
    }

    /// Takes note of a health probe that ended at `now`: it passed, or failed for a reason in the operator's words.
    /// Returns the change of health, if it made one.
    ///
    /// Latency probes have no say here: they go to [`Endpoint::record_latency`] and [`Endpoint::record_failure`].
    pub fn record_probe(
        &self,
        now: Nanos,
        outcome: Result<(), &str>,
        thresholds: Thresholds,
    ) -> Option<Transition> {
        let mut report = self.lock_health();
        let transition = report.record(now, outcome, thresholds)?;
        self.health_now.store(transition.to as u8, Relaxed);
        self.note(transition.from.into(), transition.to.into(), transition.reason.clone());
        if (transition.from, transition.to) == (Health::Unhealthy, Health::Healthy) {
            self.hot.response_time.forget();
            self.begin_slow_start(now);
        }
        Some(transition)
    }

    /// Makes its health unknown again at `now`: its backend has no health probe any more, or another one, or its name
    /// resolves at last. An unhealthy endpoint is eligible by that, and begins slowly. Returns what changed by that.
    pub fn forget_health(&self, now: Nanos) -> Option<Transition> {
        let mut report = self.lock_health();
        if report.health == Health::Unhealthy {
            self.begin_slow_start(now);
        }
        let (from, to) = (report.health, Health::Unknown);
        *report = HealthReport::default();
        self.health_now.store(to as u8, Relaxed);
        (from != to).then(|| {
            self.note(from.into(), to.into(), None);
            Transition { from, to, in_a_row: 0, reason: None }
        })
    }

    fn lock_health(&self) -> MutexGuard<'_, HealthReport> {
        // A panic of another thread leaves a report that is at worst one probe old.
        self.health.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The last changes of its health and the last pass-overs, the latest last.
    pub fn history(&self) -> Vec<Change> {
        self.history.list()
    }

    fn note(&self, from: Standing, to: Standing, reason: Option<Arc<str>>) {
        self.history.note(Change { at: SystemTime::now(), from, to, reason });
    }

    /// Takes note of a connection that could not be established, and why: the endpoint is passed over from now on,
    /// longer with each failure in a row. Returns the moment until when, and whether this failure is the first in the row.
    pub fn connect_failed(&self, now: Nanos, reason: &dyn fmt::Display) -> (Nanos, bool) {
        let (until, is_first) = self.pass_over.failed(now, self.id);
        if is_first {
            let reason = Some(reason.to_string().into());
            self.note(Standing::Serving, Standing::PassedOver, reason);
        }
        (until, is_first)
    }

    /// Takes note of a connection that was established at `now`; returns whether that ended a pass-over.
    ///
    /// What answers then is most likely a new process, so that the old one's latency is forgotten. After an outage it begins
    /// slowly, too; after a hiccup it does not, which would take its share away for the whole window.
    pub fn connected(&self, now: Nanos) -> bool {
        let pass_overs = self.pass_over.succeeded();
        if pass_overs > 0 {
            self.hot.response_time.forget();
            self.note(Standing::PassedOver, Standing::Serving, None);
        }
        if pass_overs >= OUTAGE {
            self.begin_slow_start(now);
        }
        pass_overs > 0
    }

    /// Starts its slow-start clock: it is new in a backend that runs, or can serve again after it could not.
    ///
    /// The clock runs whether or not its backend has a slow start, is read by nobody but the backend, and knows nothing of other
    /// endpoints: no reload and no change of membership ends it or starts it anew (B6).
    pub fn begin_slow_start(&self, now: Nanos) {
        self.slow_start_since.store(now.0, Relaxed);
    }

    /// When it last began slowly; `Nanos(0)` when it never did.
    pub fn slow_start_since(&self) -> Nanos {
        Nanos(self.slow_start_since.load(Relaxed))
    }

    /// Until when it is passed over; `Nanos(0)` when it is not.
    pub fn passed_over_until(&self) -> Nanos {
        self.pass_over.until()
    }

    /// Pass-overs since the last established connection, up to 255.
    pub fn pass_overs_in_a_row(&self) -> u32 {
        self.pass_over.in_a_row()
    }

    /// Whether its last answer was HTTP/1.0, which must not be sent a chunked body.
    pub fn speaks_http10(&self) -> bool {
        self.speaks_http10.load(Relaxed)
    }

    /// Takes note of the HTTP version of its last answer.
    pub fn set_speaks_http10(&self, is: bool) {
        if self.speaks_http10() != is {
            self.speaks_http10.store(is, Relaxed);
        }
    }
}

/// One request in flight on an endpoint; ends when dropped, on cancellation too.
#[derive(Debug)]
pub struct InFlight {
    endpoint: Arc<Endpoint>,
    before: u32,
}

impl InFlight {
    /// The endpoint.
    pub fn endpoint(&self) -> &Arc<Endpoint> {
        &self.endpoint
    }

    /// Requests in flight on it just before this one.
    pub fn before(&self) -> u32 {
        self.before
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.endpoint.hot.in_flight.fetch_sub(1, Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn endpoint() -> Arc<Endpoint> {
        let url = EndpointUrl {
            scheme: crate::model::Scheme::Http,
            host: "localhost".into(),
            port: 8081,
            path: "".into(),
        };
        Arc::new(Endpoint::new(url, 1))
    }

    const THRESHOLDS: Thresholds = Thresholds { healthy_after: 1, unhealthy_after: 1 };

    #[test]
    fn what_every_pick_reads_is_one_cache_line() {
        assert_eq!((size_of::<Hot>(), align_of::<Hot>()), (64, 64));
    }

    #[test]
    fn a_dropped_guard_ends_the_request() {
        let endpoint = endpoint();
        let (first, second) = (endpoint.begin(), endpoint.begin());
        assert_eq!((first.before(), second.before(), endpoint.in_flight()), (0, 1, 2));
        drop((first, second));
        assert_eq!((endpoint.in_flight(), endpoint.picks()), (0, 2));
    }

    #[test]
    fn a_count_that_another_worker_changed_is_refused() {
        let endpoint = endpoint();
        let guard = endpoint.begin_if(0).unwrap();
        assert!(endpoint.begin_if(0).is_none());
        assert_eq!((endpoint.in_flight(), endpoint.picks()), (1, 1));
        drop(guard);
        assert!(endpoint.begin_if(0).is_some());
    }

    /// H2: the two kinds of probe share no state.
    #[test]
    fn a_failed_latency_probe_leaves_health_alone_and_a_failed_health_probe_latency() {
        let endpoint = endpoint();
        endpoint.record_probe(Nanos(1), Ok(()), THRESHOLDS);
        endpoint.record_failure(Nanos(2));
        assert_eq!(endpoint.health(), Health::Healthy);
        let latency = endpoint.latency();
        endpoint.record_probe(Nanos(3), Err("refused"), THRESHOLDS);
        assert_eq!((endpoint.health(), endpoint.latency()), (Health::Unhealthy, latency));
    }

    #[test]
    fn health_without_a_probe_is_unknown_again() {
        let endpoint = endpoint();
        assert_eq!(endpoint.health(), Health::Unknown);
        endpoint.record_probe(Nanos(3), Err("refused"), THRESHOLDS);
        assert_eq!(endpoint.health_report().reason.as_deref(), Some("refused"));
        let change = endpoint.forget_health(Nanos(4)).unwrap();
        assert_eq!((change.from, change.to), (Health::Unhealthy, Health::Unknown));
        assert_eq!(endpoint.forget_health(Nanos(5)), None);
        assert_eq!(endpoint.health(), Health::Unknown);
        assert_eq!(endpoint.health_report(), HealthReport::default());
    }

    /// B2: what comes back is a new process, and the penalties of the old one must not starve it.
    #[test]
    fn an_endpoint_that_comes_back_is_measured_anew() {
        let endpoint = endpoint();
        endpoint.record_failure(Nanos(1));
        assert!(!endpoint.connected(Nanos(1)));
        assert!(endpoint.response_time().nanos(Sensitivity::Average).is_some());
        endpoint.record_latency(Nanos(1), Duration::from_millis(1));
        assert!(endpoint.latency().is_some());
        endpoint.connect_failed(Nanos(2), &"refused");
        assert!(endpoint.connected(Nanos(3)));
        assert_eq!((endpoint.latency(), endpoint.passed_over_until()), (None, Nanos(0)));
        endpoint.record_failure(Nanos(4));
        endpoint.record_probe(Nanos(5), Err("refused"), THRESHOLDS);
        endpoint.record_probe(Nanos(6), Ok(()), THRESHOLDS);
        assert_eq!(endpoint.latency(), None);
    }

    #[test]
    fn what_can_serve_again_after_it_could_not_begins_slowly() {
        let endpoint = endpoint();
        endpoint.record_probe(Nanos(1), Ok(()), THRESHOLDS);
        endpoint.forget_health(Nanos(2));
        assert_eq!(endpoint.slow_start_since(), Nanos(0), "it could serve all the time");
        endpoint.record_probe(Nanos(3), Err("refused"), THRESHOLDS);
        assert_eq!(endpoint.slow_start_since(), Nanos(0));
        endpoint.record_probe(Nanos(4), Ok(()), THRESHOLDS);
        endpoint.record_probe(Nanos(5), Ok(()), THRESHOLDS);
        assert_eq!(endpoint.slow_start_since(), Nanos(4));
        endpoint.record_probe(Nanos(6), Err("does not resolve"), THRESHOLDS);
        endpoint.forget_health(Nanos(7));
        assert_eq!(endpoint.slow_start_since(), Nanos(7));
    }

    #[test]
    fn after_an_outage_it_begins_slowly_and_after_a_hiccup_it_does_not() {
        let endpoint = endpoint();
        let (until, _) = endpoint.connect_failed(Nanos(1000), &"refused");
        endpoint.connect_failed(until, &"refused");
        endpoint.connected(until);
        assert_eq!(endpoint.slow_start_since(), Nanos(0));
        let back = (0..3).fold(until, |now, _| endpoint.connect_failed(now, &"refused").0);
        assert!(back.since(until) > Duration::from_millis(500));
        endpoint.connected(back);
        assert_eq!(endpoint.slow_start_since(), back);
    }

    #[test]
    fn its_history_tells_each_change_of_health_and_each_row_of_pass_overs_once() {
        let endpoint = endpoint();
        endpoint.record_probe(Nanos(1), Ok(()), THRESHOLDS);
        endpoint.record_probe(Nanos(2), Ok(()), THRESHOLDS);
        endpoint.record_probe(Nanos(3), Err("status 503"), THRESHOLDS);
        let (until, _) = endpoint.connect_failed(Nanos(1000), &"connection refused");
        endpoint.connect_failed(until, &"timed out");
        endpoint.connected(until);
        endpoint.connected(until);
        endpoint.forget_health(until + Duration::from_secs(1));
        endpoint.forget_health(until + Duration::from_secs(2));
        let told: Vec<_> = endpoint
            .history()
            .iter()
            .map(|change| {
                let reason = change.reason.as_deref().unwrap_or("");
                format!("{} → {} {reason}", change.from.name(), change.to.name())
            })
            .collect();
        let expected = [
            "unknown → healthy ",
            "healthy → unhealthy status 503",
            "serving → passed over connection refused",
            "passed over → serving ",
            "unhealthy → unknown ",
        ];
        assert_eq!(told, expected);
    }
}
