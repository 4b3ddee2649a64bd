//! What a server has seen: counters that tests read and wait for.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::Notify;

/// Distinct paths that are counted on their own, so that a server that runs for weeks stays small.
const MAX_PATHS: usize = 1024;

/// The counters of a server at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Requests whose head was read, since the start.
    pub requests: u64,
    /// Requests whose answer has not been sent in full yet; open upgrades and WebSockets count.
    pub in_flight: u64,
    /// The most requests ever in flight at once.
    pub max_in_flight: u64,
    /// Requests that ended by an error: the client went away, or sent what is not HTTP.
    pub abandoned: u64,
    /// Connections accepted since the start.
    pub connections: u64,
    /// Connections open now.
    pub open_connections: u64,
}

#[derive(Default)]
pub(crate) struct Counters {
    requests: AtomicU64,
    in_flight: AtomicU64,
    max_in_flight: AtomicU64,
    abandoned: AtomicU64,
    connections: AtomicU64,
    open: AtomicU64,
    paths: Mutex<HashMap<String, u64>>,
    changed: Notify,
}

impl Counters {
    pub(crate) fn now(&self) -> Counts {
        Counts {
            requests: self.requests.load(Relaxed),
            in_flight: self.in_flight.load(Relaxed),
            max_in_flight: self.max_in_flight.load(Relaxed),
            abandoned: self.abandoned.load(Relaxed),
            connections: self.connections.load(Relaxed),
            open_connections: self.open.load(Relaxed),
        }
    }

    pub(crate) fn requests_to(&self, path: &str) -> u64 {
        let paths = self.paths.lock().unwrap_or_else(PoisonError::into_inner);
        paths.get(path).copied().unwrap_or(0)
    }

    pub(crate) async fn wait_until(&self, mut reached: impl FnMut(&Counts) -> bool) -> Counts {
        loop {
            let changed = self.changed.notified();
            tokio::pin!(changed);
            // Registered before the look, so that a change between the two is not missed.
            changed.as_mut().enable();
            let counts = self.now();
            if reached(&counts) {
                return counts;
            }
            changed.await;
        }
    }

    pub(crate) fn abandon(&self) {
        self.abandoned.fetch_add(1, Relaxed);
        self.changed.notify_waiters();
    }

    fn count_path(&self, path: &str) {
        let mut paths = self.paths.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = paths.get_mut(path) {
            *count += 1;
        } else if paths.len() < MAX_PATHS {
            paths.insert(path.to_owned(), 1);
        }
    }
}

/// A request in flight, until dropped.
pub(crate) struct InFlight(Arc<Counters>);

impl InFlight {
    pub(crate) fn new(counters: &Arc<Counters>, path: &str) -> Self {
        counters.count_path(path);
        let now = counters.in_flight.fetch_add(1, Relaxed) + 1;
        counters.max_in_flight.fetch_max(now, Relaxed);
        counters.requests.fetch_add(1, Relaxed);
        counters.changed.notify_waiters();
        Self(counters.clone())
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.in_flight.fetch_sub(1, Relaxed);
        self.0.changed.notify_waiters();
    }
}

/// An open connection, until dropped.
pub(crate) struct Open {
    counters: Arc<Counters>,
    /// The number of the connection, counted from 1.
    pub(crate) number: u64,
}

impl Open {
    pub(crate) fn new(counters: &Arc<Counters>) -> Self {
        let number = counters.connections.fetch_add(1, Relaxed) + 1;
        counters.open.fetch_add(1, Relaxed);
        counters.changed.notify_waiters();
        Self { counters: counters.clone(), number }
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.counters.open.fetch_sub(1, Relaxed);
        self.counters.changed.notify_waiters();
    }
}
