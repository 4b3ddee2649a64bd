//! Probes: the checks we send, so that endpoints are known before a request meets them.
//!
//! One task per endpoint and kind of probe follows the running snapshot: a reload starts, restarts and ends only
//! the probers whose endpoint or configuration changed. All run on the control runtime, none on a worker.

mod check;
mod panics;
mod prober;
mod resolve;
#[cfg(test)]
mod tests;

pub use resolve::resolve_all;

use crate::backend::Backend;
use crate::clock::Nanos;
use crate::endpoint::{Endpoint, Health, Thresholds};
use crate::lifecycle::ReadyGuard;
use crate::model::{self, Probe};
use crate::snapshot::{Snapshot, Store};
use crate::telemetry::events::Events;
use check::Failure;
use panics::Panics;
use prober::Prober;
use std::collections::HashMap;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout};

/// How long readiness waits for the first answers: a slow or dead endpoint must not keep the others from serving.
const FIRST_ROUND: Duration = Duration::from_secs(5);

/// The running probers; they end when this is dropped.
#[derive(Debug)]
pub struct Probes {
    _supervisor: Task,
}

/// Starts the probers of the running snapshot and of all that follow it, on the present runtime.
///
/// Changes of health are told to `events`. Drops `ready` when every endpoint has had the first answer of each of its probes,
/// good or bad: after five seconds at the latest, and at once where there is no probe.
pub fn start(store: Arc<Store>, events: Arc<Events>, ready: ReadyGuard) -> Probes {
    start_on(System, store, events, ready)
}

fn start_on(
    network: impl Network,
    store: Arc<Store>,
    events: Arc<Events>,
    ready: ReadyGuard,
) -> Probes {
    let (first_answer, mut first_answers) = mpsc::channel(1);
    let mut supervisor = Supervisor {
        first_answer: first_answer.downgrade(),
        swapped: store.subscribe(),
        store,
        network,
        running: HashMap::new(),
        panics: Panics::new(Arc::clone(&events)),
        events,
    };
    supervisor.reconcile();
    drop(first_answer);
    let (started, running) = (Instant::now(), Arc::clone(&supervisor.store));
    let first_round = async move {
        // Ends when the last of the probers has dropped its sender.
        let over = timeout(FIRST_ROUND, first_answers.recv()).await.is_ok();
        log_first_round(&running.load(), over, started.elapsed());
        drop(ready);
    };
    Probes {
        _supervisor: Task(tokio::spawn(async move {
            tokio::join!(first_round, supervisor.follow());
        })),
    }
}

fn log_first_round(snapshot: &Snapshot, over: bool, after: Duration) {
    let probed = snapshot.backends.iter().filter(|backend| {
        backend.model().health_probe.is_some() || backend.model().latency_probe.is_some()
    });
    let health: Vec<_> = probed
        .flat_map(|backend| backend.members())
        .map(|member| member.endpoint.health())
        .collect();
    let (all, unhealthy) =
        (health.len(), health.iter().filter(|health| **health == Health::Unhealthy).count());
    match (over, all) {
        (true, 0) => {}
        (true, _) => tracing::info!(
            "first probe round over after {after:.1?}: {unhealthy} of {all} endpoints unhealthy"
        ),
        (false, _) => tracing::warn!(
            "first probe round not over after {after:.1?}, not waiting any longer: {unhealthy} of {all} endpoints unhealthy so far"
        ),
    }
}

/// Keeps one prober per endpoint and kind of probe.
struct Supervisor<N> {
    store: Arc<Store>,
    swapped: tokio::sync::watch::Receiver<u64>,
    network: N,
    running: HashMap<(u64, Kind), Running>,
    panics: Panics,
    events: Arc<Events>,
    /// Held by every prober until its first answer; cannot be had any more when the first round is over.
    first_answer: mpsc::WeakSender<()>,
}

/// What a prober is for. An endpoint has at most one of each.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Kind {
    Resolve,
    Health,
    Latency,
}

/// What a prober does; it is restarted when this changes.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Job {
    /// Looks the host name up.
    Resolve,
    /// Finds out whether the endpoint is healthy.
    Health { probe: Probe, thresholds: Thresholds },
    /// Measures its latency.
    Latency { probe: Probe },
}

struct Running {
    job: Job,
    _task: Task,
}

/// A task that ends when this is dropped.
#[derive(Debug)]
struct Task(JoinHandle<()>);

impl Drop for Task {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl<N: Network> Supervisor<N> {
    async fn follow(&mut self) {
        // The store is ours too, so that this never ends by itself.
        while self.swapped.changed().await.is_ok() {
            self.reconcile();
        }
    }

    /// Starts, restarts and ends probers until they are those of the running snapshot.
    fn reconcile(&mut self) {
        let snapshot = self.store.load();
        let mut before = std::mem::take(&mut self.running);
        for backend in &snapshot.backends {
            for member in backend.members() {
                let endpoint = &member.endpoint;
                endpoint.set_latency_probe(backend.model().latency_probe.as_ref());
                for job in jobs(endpoint, backend.model()) {
                    let key = (endpoint.id(), job.kind());
                    let running = match before.remove(&key) {
                        Some(running) if running.job == job => running,
                        replaced => {
                            if replaced.is_some_and(|replaced| replaced.job.asks_else(&job)) {
                                resolve::forget_health(endpoint);
                            }
                            self.begin(endpoint, backend.name(), job)
                        }
                    };
                    self.running.insert(key, running);
                }
                if before.contains_key(&(endpoint.id(), Kind::Health)) {
                    resolve::forget_health(endpoint);
                }
            }
            // What a prober found while this backend was being compiled was told to the one before.
            backend.refresh(Nanos::now());
            self.panics.look(backend);
        }
        self.panics.retain(&snapshot);
    }

    fn begin(&self, endpoint: &Arc<Endpoint>, backend: &Arc<str>, job: Job) -> Running {
        let prober = Prober {
            endpoint: Arc::clone(endpoint),
            backend: Arc::clone(backend),
            store: Arc::clone(&self.store),
            network: self.network.clone(),
            panics: self.panics.clone(),
            events: Arc::clone(&self.events),
        };
        // Readiness does not wait for DNS: a name that does not resolve fails its probes.
        let first_answer = self.first_answer.upgrade().filter(|_| job.kind() != Kind::Resolve);
        let task = tokio::spawn(prober.run(job.clone(), first_answer));
        Running { job, _task: Task(task) }
    }
}

/// The jobs that an endpoint of `backend` needs.
fn jobs(endpoint: &Endpoint, backend: &model::Backend) -> impl Iterator<Item = Job> {
    let resolve = resolve::without_lookup(endpoint.url()).is_none().then_some(Job::Resolve);
    let health = backend.health_probe.as_ref();
    let health =
        health.map(|health| Job::Health { probe: health.probe.clone(), thresholds: health.into() });
    let latency = backend.latency_probe.as_ref();
    let latency = latency.map(|latency| Job::Latency { probe: latency.probe.clone() });
    [resolve, health, latency].into_iter().flatten()
}

impl Job {
    fn kind(&self) -> Kind {
        match self {
            Self::Resolve => Kind::Resolve,
            Self::Health { .. } => Kind::Health,
            Self::Latency { .. } => Kind::Latency,
        }
    }

    /// Whether `other` is a health probe that asks something else, so that what this one found is not its answer.
    fn asks_else(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Health { probe, .. }, Self::Health { probe: other, .. }) => {
                probe.check != other.check
            }
            _ => false,
        }
    }

    fn interval(&self) -> Duration {
        match self {
            Self::Resolve => resolve::INTERVAL,
            Self::Health { probe, .. } | Self::Latency { probe } => probe.interval,
        }
    }
}

/// The world outside, as probers see it; tests have their own.
trait Network: Clone + Send + Sync + 'static {
    /// Probes an endpoint of `backend` once and gives the latency.
    fn check(
        &self,
        backend: &Backend,
        endpoint: &Endpoint,
        probe: &Probe,
    ) -> impl Future<Output = Result<Duration, Failure>> + Send;

    /// Looks a name up.
    fn lookup(
        &self,
        host: Arc<str>,
        port: u16,
    ) -> impl Future<Output = io::Result<Vec<SocketAddr>>> + Send;
}

/// The real one.
#[derive(Clone)]
struct System;

impl Network for System {
    async fn check(
        &self,
        backend: &Backend,
        endpoint: &Endpoint,
        probe: &Probe,
    ) -> Result<Duration, Failure> {
        check::check(backend, endpoint, probe).await
    }

    async fn lookup(&self, host: Arc<str>, port: u16) -> io::Result<Vec<SocketAddr>> {
        Ok(tokio::net::lookup_host((&*host, port)).await?.collect())
    }
}
