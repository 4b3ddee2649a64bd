//! What a backend counts as a whole: it survives every reload that keeps the backend's name.

use super::connection::ConnectError;
use super::imbalance::Imbalance;
use crate::model::Algorithm;
use crate::telemetry::metrics::{DurationHistogram, RequestCounter};
use crate::telemetry::sharded::Sharded;
use std::io::ErrorKind;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

/// What a backend counts as a whole.
#[derive(Debug)]
pub struct Counters {
    /// Requests that no endpoint answered, by the class of our own answer.
    pub unanswered: RequestCounter,
    /// Time from the request's head to the end of the response.
    pub duration: DurationHistogram,
    /// Time from a request sent to an endpoint to the head of the response.
    pub response_head: DurationHistogram,
    /// Tries after the first.
    pub retries: AtomicU64,
    /// Retries that the budget forbade.
    pub retries_refused: AtomicU64,
    /// How long probes took, by [`ProbeKind`](crate::endpoint::ProbeKind).
    pub probes: [DurationHistogram; 2],
    /// How evenly its endpoints were picked lately.
    pub(super) imbalance: Imbalance,
    picks: Sharded<{ Algorithm::ALL.len() }>,
    bytes: Sharded<2>,
    failures: Sharded<{ ConnectFailure::ALL.len() }>,
    connections: Sharded<4>,
}

/// Why a connection to an endpoint failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConnectFailure {
    /// Nobody listens there.
    Refused,
    /// It was not there in time, its handshake included.
    Timeout,
    /// Its name does not resolve.
    Dns,
    /// There is no TLS with it, or it is not whom we mean.
    Tls,
    /// There is no socket or port left here.
    Local,
    /// Anything else.
    Other,
}

const RECEIVED: usize = 0;
const SENT: usize = 1;

const TRIED: usize = 0;
const OPEN: usize = 1;
const IDLE: usize = 2;
const STREAMS: usize = 3;

/// What a backend's connections are at a moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Connections {
    /// Those that were ever tried.
    pub tried: u64,
    /// Those that are open.
    pub open: u64,
    /// Those of them that carry nothing, as of the last second.
    pub idle: u64,
    /// Open streams of HTTP/2.
    pub streams: u64,
}

/// An open connection to an endpoint; counts as long as it lives. To be dropped by the worker that made it.
#[derive(Debug)]
pub struct OpenConnection {
    counters: Arc<Counters>,
    worker: usize,
}

impl Counters {
    /// Zeroed counters for `workers` workers.
    pub fn new(workers: usize) -> Self {
        Self {
            unanswered: RequestCounter::new(workers),
            duration: DurationHistogram::new(workers),
            response_head: DurationHistogram::new(workers),
            retries: AtomicU64::new(0),
            retries_refused: AtomicU64::new(0),
            probes: std::array::from_fn(|_| DurationHistogram::new(1)),
            imbalance: Imbalance::default(),
            picks: Sharded::new(workers),
            bytes: Sharded::new(workers),
            failures: Sharded::new(workers),
            connections: Sharded::new(workers),
        }
    }

    /// Counts a pick of an endpoint.
    pub fn picked(&self, worker: usize, by: Algorithm) {
        self.picks.add(worker, by as usize, 1);
    }

    /// Picks so far, by algorithm.
    pub fn picks(&self) -> impl Iterator<Item = (Algorithm, u64)> {
        Algorithm::ALL.into_iter().zip(self.picks.totals())
    }

    /// Counts bytes from endpoints.
    pub fn receives(&self, worker: usize, bytes: usize) {
        self.bytes.add(worker, RECEIVED, bytes as u64);
    }

    /// Counts bytes to endpoints.
    pub fn sends(&self, worker: usize, bytes: usize) {
        self.bytes.add(worker, SENT, bytes as u64);
    }

    /// Bytes from endpoints and to them.
    pub fn bytes(&self) -> (u64, u64) {
        let bytes = self.bytes.totals();
        (bytes[RECEIVED], bytes[SENT])
    }

    /// Counts a connection that was tried, and how that ended.
    pub fn connected<T>(&self, worker: usize, outcome: &Result<T, ConnectError>) {
        self.connections.add(worker, TRIED, 1);
        if let Err(error) = outcome {
            self.failures.add(worker, ConnectFailure::of(error) as usize, 1);
        }
    }

    /// Counts a connection that was tried and given up, because the request's own time was over.
    pub fn cut_off(&self, worker: usize) {
        self.connections.add(worker, TRIED, 1);
        self.failures.add(worker, ConnectFailure::Timeout as usize, 1);
    }

    /// Connections that failed, by reason.
    pub fn connect_failures(&self) -> impl Iterator<Item = (ConnectFailure, u64)> {
        ConnectFailure::ALL.into_iter().zip(self.failures.totals())
    }

    /// Its connections.
    pub fn connections(&self) -> Connections {
        let all = self.connections.totals();
        Connections { tried: all[TRIED], open: all[OPEN], idle: all[IDLE], streams: all[STREAMS] }
    }

    /// Says how many idle connections a worker has.
    pub fn idle(&self, worker: usize, count: usize) {
        self.connections.set(worker, IDLE, count as u64);
    }
}

impl ConnectFailure {
    /// All, in the order of their numbers.
    pub const ALL: [Self; 6] =
        [Self::Refused, Self::Timeout, Self::Dns, Self::Tls, Self::Local, Self::Other];

    /// Its name in metrics.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Refused => "refused",
            Self::Timeout => "timeout",
            Self::Dns => "dns",
            Self::Tls => "tls",
            Self::Local => "local",
            Self::Other => "other",
        }
    }

    fn of(error: &ConnectError) -> Self {
        match error {
            ConnectError::NoAddress(_) => Self::Dns,
            ConnectError::Failed { source, .. } => match source.kind() {
                ErrorKind::ConnectionRefused => Self::Refused,
                ErrorKind::TimedOut => Self::Timeout,
                _ => Self::Other,
            },
            ConnectError::Exhausted(_) => Self::Local,
            ConnectError::TimedOut { .. } | ConnectError::HandshakeTimedOut { .. } => Self::Timeout,
            ConnectError::Tls { .. } => Self::Tls,
            ConnectError::Http2 { .. } => Self::Other,
        }
    }
}

impl OpenConnection {
    /// Counts a connection that `worker` has opened.
    pub fn new(counters: &Arc<Counters>, worker: usize) -> Self {
        counters.connections.add(worker, OPEN, 1);
        Self { counters: Arc::clone(counters), worker }
    }

    /// A stream begins on it.
    pub fn stream_begins(&self) {
        self.counters.connections.add(self.worker, STREAMS, 1);
    }

    /// A stream that had begun on it has ended.
    pub fn stream_ends(&self) {
        self.counters.connections.subtract(self.worker, STREAMS, 1);
    }
}

impl Drop for OpenConnection {
    fn drop(&mut self) {
        self.counters.connections.subtract(self.worker, OPEN, 1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_in_the_order_of_the_numbers() {
        assert!(Algorithm::ALL.into_iter().enumerate().all(|(at, one)| one as usize == at));
        assert!(ConnectFailure::ALL.into_iter().enumerate().all(|(at, one)| one as usize == at));
    }

    #[test]
    fn a_connection_is_open_until_it_is_dropped_on_whichever_worker() {
        let counters = Arc::new(Counters::new(2));
        let open = [0, 1].map(|worker| OpenConnection::new(&counters, worker));
        open[1].stream_begins();
        let now = counters.connections();
        assert_eq!((now.open, now.streams), (2, 1));
        open[1].stream_ends();
        drop(open);
        let now = counters.connections();
        assert_eq!((now.open, now.streams), (0, 0));
    }
}
