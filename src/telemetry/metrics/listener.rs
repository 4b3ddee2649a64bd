//! What a listener counts: its clients' connections, their handshakes, requests and bytes.

use super::{CODE_CLASSES, RequestCounter};
use crate::telemetry::sharded::Sharded;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

/// What clients speak.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// HTTP/1.0 or HTTP/1.1.
    Http1,
    /// HTTP/2.
    Http2,
}

/// Why an accepted connection does not come to a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// The header of the PROXY protocol is not as it must be.
    ProxyProtocol,
    /// The TLS handshake failed.
    Tls,
    /// Neither was over in time.
    Timeout,
}

/// Why nobody is accepted for a moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pause {
    /// The listener has as many connections as it may.
    Limit,
    /// The process has no file descriptors left.
    Files,
}

/// How a TLS handshake ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Handshake {
    /// In full, with TLS 1.2.
    Full12,
    /// In full, with TLS 1.3.
    Full13,
    /// An earlier session was resumed, with TLS 1.2.
    Resumed12,
    /// An earlier session was resumed, with TLS 1.3.
    Resumed13,
    /// It failed.
    Failed,
    /// It was not over in time.
    TimedOut,
}

impl Protocol {
    /// All, in the order of their numbers.
    pub const ALL: [Self; 2] = [Self::Http1, Self::Http2];

    /// Its name in metrics.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Http1 => "http1",
            Self::Http2 => "http2",
        }
    }
}

impl Refusal {
    /// All, in the order of their numbers.
    pub const ALL: [Self; 3] = [Self::ProxyProtocol, Self::Tls, Self::Timeout];

    /// Its name in metrics.
    pub const fn name(self) -> &'static str {
        match self {
            Self::ProxyProtocol => "proxy_protocol",
            Self::Tls => "tls",
            Self::Timeout => "timeout",
        }
    }
}

impl Pause {
    /// All, in the order of their numbers.
    pub const ALL: [Self; 2] = [Self::Limit, Self::Files];

    /// Its name in metrics.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Limit => "limit",
            Self::Files => "files",
        }
    }
}

impl Handshake {
    /// All, in the order of their numbers.
    pub const ALL: [Self; 6] = [
        Self::Full12,
        Self::Full13,
        Self::Resumed12,
        Self::Resumed13,
        Self::Failed,
        Self::TimedOut,
    ];

    /// Its result and the version of TLS in metrics.
    pub const fn names(self) -> (&'static str, &'static str) {
        match self {
            Self::Full12 => ("ok", "1.2"),
            Self::Full13 => ("ok", "1.3"),
            Self::Resumed12 => ("resumed", "1.2"),
            Self::Resumed13 => ("resumed", "1.3"),
            Self::Failed => ("failed", "none"),
            Self::TimedOut => ("timeout", "none"),
        }
    }
}

const BEGUN: usize = 0;
const RECEIVED: usize = 1;
const SENT: usize = 2;
const ACCEPTED: usize = 3;

/// What all workers counted for a listener.
#[derive(Debug)]
pub struct ListenerCounters {
    /// Open connections, exactly: a limit is held by it.
    open: AtomicUsize,
    requests: [RequestCounter; 2],
    traffic: Sharded<4>,
    refused: Sharded<3>,
    pauses: Sharded<2>,
    handshakes: Sharded<6>,
}

/// One worker's way to a listener's counters.
#[derive(Clone, Debug)]
pub struct ListenerTally {
    counters: Arc<ListenerCounters>,
    worker: usize,
}

impl ListenerCounters {
    /// Counters for `workers` workers.
    pub fn new(workers: usize) -> Self {
        Self {
            open: AtomicUsize::new(0),
            requests: std::array::from_fn(|_| RequestCounter::new(workers)),
            traffic: Sharded::new(workers),
            refused: Sharded::new(workers),
            pauses: Sharded::new(workers),
            handshakes: Sharded::new(workers),
        }
    }

    /// Open connections.
    pub fn open(&self) -> usize {
        self.open.load(Relaxed)
    }

    /// Requests that ended, by class of status code.
    pub fn requests(&self, protocol: Protocol) -> [u64; CODE_CLASSES.len()] {
        self.requests[protocol as usize].totals()
    }

    /// Requests that ended, whatever the client spoke, by class of status code.
    pub fn all_requests(&self) -> [u64; CODE_CLASSES.len()] {
        let [http1, http2] = Protocol::ALL.map(|protocol| self.requests(protocol));
        std::array::from_fn(|class| http1[class] + http2[class])
    }

    /// Requests that have begun and not ended.
    pub fn in_flight(&self) -> u64 {
        // In this order: one that ends meanwhile is still counted.
        let ended: u64 = self.all_requests().iter().sum();
        self.traffic.totals()[BEGUN].saturating_sub(ended)
    }

    /// Bytes from clients.
    pub fn received(&self) -> u64 {
        self.traffic.totals()[RECEIVED]
    }

    /// Bytes to clients.
    pub fn sent(&self) -> u64 {
        self.traffic.totals()[SENT]
    }

    /// Connections that were accepted.
    pub fn accepted(&self) -> u64 {
        self.traffic.totals()[ACCEPTED]
    }

    /// Connections that did not come to a request, by reason.
    pub fn refused(&self) -> impl Iterator<Item = (Refusal, u64)> {
        Refusal::ALL.into_iter().zip(self.refused.totals())
    }

    /// Times that nobody was accepted, by reason.
    pub fn pauses(&self) -> impl Iterator<Item = (Pause, u64)> {
        Pause::ALL.into_iter().zip(self.pauses.totals())
    }

    /// TLS handshakes, by how they ended.
    pub fn handshakes(&self) -> impl Iterator<Item = (Handshake, u64)> {
        Handshake::ALL.into_iter().zip(self.handshakes.totals())
    }
}

impl ListenerTally {
    /// The way of `worker` to `counters`.
    pub fn new(counters: Arc<ListenerCounters>, worker: usize) -> Self {
        Self { counters, worker }
    }

    /// Open connections, those of other workers included.
    pub fn open(&self) -> usize {
        self.counters.open()
    }

    /// A connection begins to be served.
    pub fn opens(&self) {
        self.counters.open.fetch_add(1, Relaxed);
    }

    /// It has ended.
    pub fn closes(&self) {
        self.counters.open.fetch_sub(1, Relaxed);
    }

    /// A connection was accepted, by whomever it will be served.
    pub fn accepts(&self) {
        self.counters.traffic.add(self.worker, ACCEPTED, 1);
    }

    /// A connection does not come to a request.
    pub fn refuses(&self, why: Refusal) {
        self.counters.refused.add(self.worker, why as usize, 1);
    }

    /// Nobody is accepted for a moment.
    pub fn pauses(&self, why: Pause) {
        self.counters.pauses.add(self.worker, why as usize, 1);
    }

    /// A TLS handshake has ended.
    pub fn shakes_hands(&self, how: Handshake) {
        self.counters.handshakes.add(self.worker, how as usize, 1);
    }

    /// A request has begun. It must end.
    pub fn request_begins(&self) {
        self.counters.traffic.add(self.worker, BEGUN, 1);
    }

    /// A request that had begun has ended.
    pub fn request_ends(&self, protocol: Protocol, status: Option<u16>) {
        self.counters.requests[protocol as usize].record(self.worker, status);
    }

    /// So many bytes came from a client.
    pub fn receives(&self, bytes: usize) {
        self.counters.traffic.add(self.worker, RECEIVED, bytes as u64);
    }

    /// So many bytes go to a client.
    pub fn sends(&self, bytes: usize) {
        self.counters.traffic.add(self.worker, SENT, bytes as u64);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_in_the_order_of_the_numbers() {
        assert!(Protocol::ALL.into_iter().enumerate().all(|(at, one)| one as usize == at));
        assert!(Refusal::ALL.into_iter().enumerate().all(|(at, one)| one as usize == at));
        assert!(Pause::ALL.into_iter().enumerate().all(|(at, one)| one as usize == at));
        assert!(Handshake::ALL.into_iter().enumerate().all(|(at, one)| one as usize == at));
    }

    #[test]
    fn what_has_begun_and_not_ended_is_in_flight_whichever_worker_it_is_with() {
        let counters = Arc::new(ListenerCounters::new(2));
        let workers = [0, 1].map(|worker| ListenerTally::new(Arc::clone(&counters), worker));
        workers[0].request_begins();
        workers[1].request_begins();
        workers[1].request_begins();
        workers[1].request_ends(Protocol::Http2, Some(200));
        workers[0].request_ends(Protocol::Http1, None);
        assert_eq!(counters.in_flight(), 1);
        assert_eq!(counters.requests(Protocol::Http1), [0, 0, 0, 0, 0, 1]);
        assert_eq!(counters.all_requests(), [0, 1, 0, 0, 0, 1]);
    }
}
