//! The live state of one endpoint: what survives every reload that keeps the endpoint.
//!
//! All workers and the prober share one [`Endpoint`]; every field is atomic. The identity is the backend's
//! name and the URL as configured, never an address.

use crate::clock::Nanos;
use crate::model::EndpointUrl;
use arc_swap::ArcSwap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering::Relaxed};
use std::time::Duration;

static NEXT_ID: AtomicU64 = AtomicU64::new(1);

/// The live state of one endpoint.
#[derive(Debug)]
pub struct Endpoint {
    id: u64,
    url: EndpointUrl,
    addresses: ArcSwap<Resolution>,
    in_flight: AtomicU32,
    picks: AtomicU64,
    speaks_http10: AtomicBool,
}

/// What is known of the addresses behind an endpoint's host.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Resolution {
    /// The addresses to try, in order; empty when the name never resolved.
    pub addresses: Vec<SocketAddr>,
    /// Why the last look-up failed, in the operator's words.
    pub error: Option<String>,
}

/// What health probes found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Health {
    /// Not probed yet; eligible.
    Unknown,
    /// Passed its probes, or there is no health probe.
    Healthy,
    /// Failed its probes.
    Unhealthy,
}

impl Endpoint {
    /// The state of an endpoint that was never seen before.
    pub fn new(url: EndpointUrl) -> Self {
        Self {
            id: NEXT_ID.fetch_add(1, Relaxed),
            url,
            addresses: ArcSwap::default(),
            in_flight: AtomicU32::new(0),
            picks: AtomicU64::new(0),
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

    /// What is known of its addresses.
    pub fn resolution(&self) -> arc_swap::Guard<Arc<Resolution>> {
        self.addresses.load()
    }

    /// Requests that were given to it and have not ended, pending connects included.
    pub fn in_flight(&self) -> u32 {
        self.in_flight.load(Relaxed)
    }

    /// Requests ever given to it.
    pub fn picks(&self) -> u64 {
        self.picks.load(Relaxed)
    }

    /// Counts one more request in flight until the guard is dropped.
    pub fn begin(self: &Arc<Self>) -> InFlight {
        let before = self.in_flight.fetch_add(1, Relaxed);
        self.began(before)
    }

    /// Like [`Endpoint::begin`], but only if exactly `expected` requests are in flight: a comparison of counts
    /// that was overtaken by another worker must be made again.
    pub fn begin_if(self: &Arc<Self>, expected: u32) -> Option<InFlight> {
        self.in_flight.compare_exchange(expected, expected + 1, Relaxed, Relaxed).ok()?;
        Some(self.began(expected))
    }

    fn began(self: &Arc<Self>, before: u32) -> InFlight {
        self.picks.fetch_add(1, Relaxed);
        InFlight { endpoint: Arc::clone(self), before }
    }

    /// Takes note of the time to a response's head, measured at `now` by a request or a latency probe.
    pub fn record_latency(&self, now: Nanos, sample: Duration) {
        let _ = (now, sample);
    }

    /// Takes note of a failure (refused, reset, timed out, failed latency probe), which counts as a slow
    /// answer, never as the quick one that it was.
    pub fn record_failure(&self, now: Nanos) {
        let _ = now;
    }

    /// The decayed average of the time to the response's head; `None` before the first sample.
    pub fn latency(&self) -> Option<Duration> {
        None
    }

    /// What its health probes found, and why.
    pub fn health(&self) -> Health {
        Health::Healthy
    }

    /// Takes note of a connection that could not be established: the endpoint is passed over from now on,
    /// longer with each failure in a row. Returns the moment until when.
    pub fn connect_failed(&self, now: Nanos) -> Nanos {
        now
    }

    /// Takes note of an established connection; returns whether that ended a pass-over.
    pub fn connected(&self) -> bool {
        false
    }

    /// Until when it is passed over; `Nanos(0)` when it is not.
    pub fn passed_over_until(&self) -> Nanos {
        Nanos(0)
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
        self.endpoint.in_flight.fetch_sub(1, Relaxed);
    }
}
