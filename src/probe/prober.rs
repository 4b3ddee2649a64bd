//! One prober: a loop that does one job for one endpoint, and never two at once.

use super::check::Failure;
use super::panics::Panics;
use super::resolve::Found;
use super::{Job, Network, resolve};
use crate::clock::Nanos;
use crate::endpoint::{Endpoint, Health, ProbeKind, ProbeResult, Thresholds, Transition};
use crate::model::Probe;
use crate::snapshot::Store;
use crate::telemetry::control_span;
use crate::telemetry::events::{EventKind, Events, Happened};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep, sleep_until};
use tracing::{Instrument, Span};

/// The first probes of all endpoints are spread over this time: soon, because readiness waits for them, but not in
/// the same instant.
const SPREAD: Duration = Duration::from_millis(50);

/// No prober begins more often than this, whatever its interval.
const MIN_INTERVAL: Duration = Duration::from_millis(10);

pub(super) struct Prober<N> {
    pub(super) endpoint: Arc<Endpoint>,
    pub(super) backend: Arc<str>,
    pub(super) store: Arc<Store>,
    pub(super) network: N,
    pub(super) panics: Panics,
    pub(super) events: Arc<Events>,
}

impl<N: Network> Prober<N> {
    /// Does `job` until it is aborted; drops `first_answer` after the first time.
    pub(super) async fn run(self, job: Job, mut first_answer: Option<mpsc::Sender<()>>) {
        let mut rng = fastrand::Rng::new();
        let interval = job.interval().max(MIN_INTERVAL);
        sleep(self.delay(&job, &mut rng)).await;
        let (mut first, mut failing) = (true, false);
        loop {
            let started = Instant::now();
            let span = self.span(&job, &mut rng);
            match &job {
                Job::Resolve => self.resolve().await,
                Job::Health { probe, thresholds } => {
                    self.health(probe, *thresholds).instrument(span).await;
                }
                Job::Latency { probe } => {
                    failing = self.latency(probe, failing).instrument(span).await;
                }
            }
            drop(first_answer.take());
            // The second time spreads the probes of many endpoints, and of many processes started together.
            let factor = if first { 0.5 + 0.5 * rng.f64() } else { 0.9 + 0.2 * rng.f64() };
            first = false;
            sleep_until(started + interval.mul_f64(factor)).await;
        }
    }

    /// How long the first time is put off.
    fn delay(&self, job: &Job, rng: &mut fastrand::Rng) -> Duration {
        let spread = match job {
            // What was looked up before the snapshot was swapped in is still fresh.
            Job::Resolve if !self.endpoint.resolution().addresses.is_empty() => resolve::INTERVAL,
            Job::Resolve | Job::Health { .. } | Job::Latency { .. } => SPREAD,
        };
        spread.mul_f64(rng.f64())
    }

    /// The span of the next probe, where there are traces and chance has it sampled.
    fn span(&self, job: &Job, rng: &mut fastrand::Rng) -> Span {
        let kind = match job {
            Job::Resolve => return Span::none(),
            Job::Health { .. } => "health",
            Job::Latency { .. } => "latency",
        };
        let Some(sampling) = self.store.load().model.traces.as_ref().map(|traces| traces.sampling)
        else {
            return Span::none();
        };
        let is_sampled = rng.f64() < sampling.ratio.value();
        control_span::probe(kind, &self.backend, self.endpoint.name(), is_sampled)
    }

    async fn resolve(&self) {
        let found = resolve::resolve(&self.network, &self.endpoint, &self.backend).await;
        let Found::News(change) = found else { return };
        self.refresh();
        // What a health probe changed during the look-up, that probe has told.
        if let Some(Transition { from, to, reason, .. }) = change {
            let (url, backend) = (self.endpoint.url(), &self.backend);
            let (from, to) = (from.name(), to.name());
            let why = reason.as_deref().unwrap_or("its name resolves");
            let text = format!("endpoint {url} of backend {backend}: {from} → {to}: {why}");
            self.events.publish(Happened::to_endpoint(EventKind::Health, backend, url, text));
        }
    }

    /// Probes once, as the running configuration speaks to the endpoint; `None` when its backend is gone.
    async fn check(&self, probe: &Probe, kind: ProbeKind) -> Option<Result<Duration, Failure>> {
        let backend = Arc::clone(self.store.load().backend(&self.backend)?);
        let started = Instant::now();
        let found = self.network.check(&backend, &self.endpoint, probe).await;
        control_span::probed(found.as_ref().err().map(|failure| failure as _));
        // The control runtime is the only one that counts here.
        backend.counters().probes[kind as usize].record(0, started.elapsed());
        let result = if found.is_ok() { ProbeResult::Pass } else { ProbeResult::Fail };
        self.endpoint.probes().record(kind, result);
        Some(found)
    }

    async fn health(&self, probe: &Probe, thresholds: Thresholds) {
        let Some(found) = self.check(probe, ProbeKind::Health).await else { return };
        let failure = found.err().map(|failure| failure.to_string());
        let outcome = failure.as_deref().map_or(Ok(()), Err);
        let change = self.endpoint.record_probe(Nanos::now(), outcome, thresholds);
        if let Some(change) = change {
            self.tell(&change);
            self.refresh();
        }
    }

    /// Says it in the log and to those who look on.
    fn tell(&self, change: &Transition) {
        let (url, backend) = (self.endpoint.url(), &self.backend);
        let (from, to) = (change.from.name(), change.to.name());
        let probes = match change.in_a_row {
            1 => "a probe".to_owned(),
            count => format!("{count} probes in a row"),
        };
        let outcome = match (&change.reason, change.in_a_row) {
            (None, _) => "passed".to_owned(),
            (Some(reason), 1) => format!("failed: {reason}"),
            (Some(reason), _) => format!("failed, the last with: {reason}"),
        };
        let text =
            format!("endpoint {url} of backend {backend}: {from} → {to}: {probes} {outcome}");
        match &change.reason {
            // What was to be expected is no news.
            None if change.from == Health::Unknown => tracing::debug!("{text}"),
            None => tracing::info!("{text}"),
            Some(_) => tracing::warn!("{text}"),
        }
        self.events.publish(Happened::to_endpoint(EventKind::Health, backend, url, text));
    }

    /// Returns whether the probe failed, which is logged only when it is new.
    async fn latency(&self, probe: &Probe, failing: bool) -> bool {
        let Some(found) = self.check(probe, ProbeKind::Latency).await else { return failing };
        let (url, backend, now) = (self.endpoint.url(), &self.backend, Nanos::now());
        match found {
            Ok(latency) => {
                self.endpoint.record_latency(now, latency);
                if failing {
                    tracing::info!(
                        "endpoint {url} of backend {backend}: answers its latency probe again"
                    );
                }
                false
            }
            Err(failure) => {
                self.endpoint.record_failure(now);
                if !failing {
                    tracing::warn!(
                        "endpoint {url} of backend {backend}: latency probe failed: {failure}"
                    );
                }
                true
            }
        }
    }

    /// Lets the running backend decide anew who is eligible.
    fn refresh(&self) {
        let snapshot = self.store.load();
        let Some(backend) = snapshot.backend(&self.backend) else { return };
        backend.refresh(Nanos::now());
        self.panics.look(backend);
    }
}
