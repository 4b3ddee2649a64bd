//! The data plane: workers that accept, forward and answer.
//!
//! The life of a request, each step in its own file:
//!
//! 1. `listener`: a worker accepts the connection, or hands it to a worker with less to do.
//! 2. `arrive`: the header of the PROXY protocol and the TLS handshake, where there are such. `connection`: hyper reads the head
//!    (or `http2`, which has a stream for each request); timers watch slow and idle clients.
//! 3. `service`: the request gets its id, its record and its place in a `trace`; whatever happens from here on is answered and logged.
//! 4. `validate`: what could be understood in two ways is refused, and the path gets its normal form; `hops` ends loops.
//! 5. `worker`: the running snapshot gives the route, and is let go. A route may answer itself (`redirect`, `respond`).
//! 6. `forward`: a backend picks an endpoint (by `hash_key` or `affinity` where these are asked for), a pooled or new
//!    connection carries the request (`headers`, `forwarded`, `filters`); failures that may be tried again are, and interim
//!    responses are passed on (`interim`).
//! 7. `body`: the response streams to the client, or `upgrade`: both sides talk freely.
//! 8. `record`: metrics (`tally`, and `gauges` once in a second) and the access log; what is traced, or worth a look, is `kept` with
//!    the evidence of its `tries`.

mod affinity;
mod arrive;
mod body;
mod client;
pub mod client_address;
mod client_io;
mod connection;
mod cookie;
pub mod error;
pub mod filters;
mod forward;
mod forwarded;
mod gauges;
mod grpc;
pub mod hash_key;
mod headers;
mod hops;
mod http2;
mod interim;
mod kept;
mod listener;
mod observed;
mod present;
#[cfg(any(test, fuzzing))]
pub mod property;
mod record;
pub mod redirect;
mod request_body;
mod respond;
mod service;
mod tally;
mod timer;
mod trace;
mod tries;
mod upgrade;
mod validate;
pub mod worker;

use crate::snapshot::Store;
use crate::telemetry::Outlets;
use crate::telemetry::access_log::AccessLog;
use crate::telemetry::metrics::{DurationHistogram, ListenerCounters, RequestCounter};
use crate::telemetry::observe::Observer;
use std::net::TcpListener;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;
use tokio::runtime::RuntimeMetrics;
use tokio::sync::mpsc;
use tokio::time::Instant;
use worker::Command;

/// What all workers share.
pub struct Shared {
    /// The running snapshot.
    pub store: Arc<Store>,
    /// Where the access log goes.
    pub access_log: Arc<AccessLog>,
    /// Where traces, events and requests worth a look go.
    pub outlets: Outlets,
    /// Told of every request that ended.
    pub observer: Option<Observer>,
    /// What was refused before it reached a backend.
    pub refused: RequestCounter,
    /// What routes answered without a backend.
    pub own_answers: RequestCounter,
    /// How late workers get to their work.
    pub delays: DurationHistogram,
    workers: Vec<WorkerLink>,
    max_connections: usize,
    /// When it was last said that nobody can be accepted.
    exhaustion_said: Mutex<Option<Instant>>,
}

/// How workers reach each other.
#[derive(Debug)]
struct WorkerLink {
    commands: mpsc::UnboundedSender<Command>,
    /// Its client connections, those on their way to it included; from [`GONE`] up if it has ended.
    connections: AtomicUsize,
}

/// More connections than a worker can have.
const GONE: usize = usize::MAX / 2;

/// The running workers, to be told what to do; clones tell the same ones.
#[derive(Clone)]
pub struct Proxy {
    shared: Arc<Shared>,
    /// The numbers of the workers' runtimes.
    runtimes: Arc<[RuntimeMetrics]>,
}

/// The workers' threads.
#[derive(Debug)]
pub struct Threads(Vec<JoinHandle<()>>);

impl Proxy {
    /// Starts `workers` threads. They accept nothing before [`Proxy::listen`], and no more than about `max_connections` clients
    /// at once.
    pub fn start(
        workers: usize,
        store: Arc<Store>,
        access_log: Arc<AccessLog>,
        outlets: Outlets,
        observer: Option<Observer>,
        max_connections: usize,
    ) -> std::io::Result<(Self, Threads)> {
        let (links, commands): (Vec<_>, Vec<_>) = (0..workers.max(1))
            .map(|_| {
                let (sender, receiver) = mpsc::unbounded_channel();
                (WorkerLink { commands: sender, connections: AtomicUsize::new(0) }, receiver)
            })
            .unzip();
        let shared = Arc::new(Shared {
            store,
            access_log,
            outlets,
            observer,
            refused: RequestCounter::new(workers),
            own_answers: RequestCounter::new(workers),
            delays: DurationHistogram::new(workers),
            workers: links,
            max_connections,
            exhaustion_said: Mutex::new(None),
        });
        let started: Vec<_> = commands
            .into_iter()
            .enumerate()
            .map(|(id, commands)| worker::spawn(id, Arc::clone(&shared), commands))
            .collect::<Result<_, _>>()?;
        let (threads, runtimes): (_, Vec<_>) = started.into_iter().unzip();
        Ok((Self { shared, runtimes: runtimes.into() }, Threads(threads)))
    }

    /// What the workers share.
    pub fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }

    /// Accepts on `sockets`, one per worker, as the listener `name`, which counts in `counters`.
    pub fn listen(
        &self,
        name: &Arc<str>,
        sockets: Vec<TcpListener>,
        counters: &Arc<ListenerCounters>,
    ) {
        // The first that accepts may hand a connection to any other at once: all must know the listener before.
        self.command(|| Command::Listen { name: Arc::clone(name), counters: Arc::clone(counters) });
        for (link, socket) in self.shared.workers.iter().zip(sockets) {
            link.send(Command::Accept { name: Arc::clone(name), socket });
        }
    }

    /// Stops accepting on the sockets that listener `name` has had until now. With `drain`, the connections that came
    /// by them are told to close, and are closed after that time.
    pub fn unlisten(&self, name: &Arc<str>, drain: Option<Duration>) {
        self.command(|| Command::Unlisten { name: Arc::clone(name), drain });
    }

    /// Asks every client to close: each response says `Connection: close`, and listening sockets close once nobody waits in
    /// them. A worker whose last connection has closed ends.
    pub fn close(&self) {
        self.command(|| Command::Close);
    }

    /// Ends every worker at once, with whatever it still has in flight.
    pub fn end(&self) {
        self.command(|| Command::End);
    }

    fn command(&self, command: impl Fn() -> Command) {
        for link in &self.shared.workers {
            link.send(command());
        }
    }

    /// Tasks of all workers that have not ended: one for each connection, each accepting socket and each worker's log.
    pub fn tasks(&self) -> usize {
        self.runtimes.iter().map(RuntimeMetrics::num_alive_tasks).sum()
    }

    /// Open client connections.
    pub fn connections(&self) -> usize {
        self.shared.connections()
    }
}

impl Shared {
    /// Open client connections.
    fn connections(&self) -> usize {
        self.workers.iter().map(|link| link.load()).filter(|load| *load < GONE).sum()
    }

    /// Whether there are as many client connections as there may be.
    fn is_full(&self) -> bool {
        self.connections() >= self.max_connections
    }

    /// Whether it is time to say, once for all workers and listeners, that nobody can be accepted; `reminder` after the last
    /// time it is again.
    fn is_exhaustion_news(&self, reminder: Duration) -> bool {
        let now = Instant::now();
        let mut said = self.exhaustion_said.lock().unwrap_or_else(PoisonError::into_inner);
        let is_news = said.is_none_or(|said| now.duration_since(said) >= reminder);
        if is_news {
            *said = Some(now);
        }
        is_news
    }
}

impl Threads {
    /// Waits until every worker has ended, see [`Proxy::close`] and [`Proxy::end`].
    pub fn join(self) {
        for thread in self.0 {
            // A worker that panicked has said so on its way down.
            let _ = thread.join();
        }
    }
}

impl WorkerLink {
    /// How many connections the worker has; more than any other if it has ended.
    fn load(&self) -> usize {
        self.connections.load(Relaxed)
    }

    /// Counts a connection more; false if the worker has ended.
    fn enter(&self) -> bool {
        self.connections.fetch_add(1, Relaxed) < GONE
    }

    /// Counts a connection less.
    fn leave(&self) {
        self.connections.fetch_sub(1, Relaxed);
    }

    /// Ends the worker if it has no connection: from then on none is handed to it.
    fn end_if_unused(&self) -> bool {
        self.connections.compare_exchange(0, GONE, Relaxed, Relaxed).is_ok()
    }

    fn send(&self, command: Command) {
        // A worker that has ended needs no commands.
        let _ = self.commands.send(command);
    }
}

#[cfg(test)]
mod tests;
