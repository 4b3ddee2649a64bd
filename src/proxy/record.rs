//! What is known of one request, and what becomes of it at the end: counters, a log line, the observer's call.

use super::client::ClientState;
use super::kept::{self, Kept, Why};
use super::trace::{PassedOn, Trace};
use super::tries::Try;
use super::worker::Worker;
use crate::backend::Backend;
use crate::endpoint::InFlight;
use crate::model::Scheme;
use crate::router::Route;
use crate::telemetry::context::TraceId;
use crate::telemetry::observe::Completed;
use http::{HeaderValue, Method, Uri};
use serde::{Serialize, Serializer};
use smallvec::SmallVec;
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, SystemTime};
use tokio::time::Instant;

/// The status that the log shows for a client that went away before there was an answer.
pub const CLIENT_CLOSED: u16 = 499;

/// One request, from its head to the end of its response. Whatever way it ends, dropping the record reports it.
pub struct Record {
    /// The worker that serves it.
    pub worker: Rc<Worker>,
    /// When its head had been read; when it had begun if it never was.
    pub started: Instant,
    /// When it ended, if not just now.
    pub ended: Option<Instant>,
    /// Who sent it.
    pub client: Rc<ClientState>,
    /// Its method and its target; `None` if its head could not be read.
    pub head: Option<(Method, Uri)>,
    /// Its scheme.
    pub scheme: Scheme,
    /// Its `Host`, once checked.
    pub host: Option<HeaderValue>,
    /// Its id.
    pub request_id: RequestId,
    /// The configuration that it is served by.
    pub generation: u64,
    /// Its route, once found.
    pub route: Option<Arc<Route>>,
    /// Which of the route's targets it goes to, once chosen.
    pub target: Option<usize>,
    /// Whether the route itself answers, without a backend.
    pub is_own_answer: bool,
    /// Its client's address, if a trusted proxy named it; else the client is the peer.
    pub client_address: Option<IpAddr>,
    /// Its place on the endpoint that it was given to last.
    pub in_flight: Option<InFlight>,
    /// Attempts so far.
    pub attempts: u32,
    /// Its tries so far: each attempt, and a pick that found nobody.
    pub tries: SmallVec<[Try; 1]>,
    /// Its place in a trace; `None` when there are no traces.
    pub trace: Option<Trace>,
    /// The path that endpoints are sent, if it is another than the client's.
    pub rewritten: Option<Box<str>>,
    /// Whether the client may be told how its endpoint was picked.
    pub is_debugged: bool,
    /// The status of the response; `None` before there is one.
    pub status: Option<u16>,
    /// Bytes of the response's body handed to the client.
    pub bytes: u64,
    /// Why it went otherwise than it should; stable, for machines.
    pub reason: Option<&'static str>,
    /// The same for people.
    pub detail: Option<String>,
    /// Whether the status came from the endpoint.
    pub answered: bool,
    /// Whether the response went out to its end.
    pub complete: bool,
}

/// A request's id: taken over from the client, or made.
#[derive(Clone, Debug)]
pub enum RequestId {
    /// The client's.
    Theirs(Box<str>),
    /// A UUID version 7 (RFC 9562).
    Ours(uuid::fmt::Hyphenated),
}

impl RequestId {
    /// Calls `f` with the id's text.
    pub fn with<T>(&self, f: impl FnOnce(&str) -> T) -> T {
        match self {
            Self::Theirs(id) => f(id),
            Self::Ours(id) => f(id.encode_lower(&mut [0; uuid::fmt::Hyphenated::LENGTH])),
        }
    }
}

impl Serialize for RequestId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.with(|id| serializer.serialize_str(id))
    }
}

/// Whether a response that has begun was cut off, for this reason, by its endpoint's fault. A client that goes, reads nothing or
/// is asked to go is not.
fn is_endpoints_fault(reason: &str) -> bool {
    matches!(reason, "response_cut" | "stream_idle")
}

/// One line of the access log. The first fields are those of the project's first day.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Line<'a> {
    level: &'static str,
    msg: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    url: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    connections: Option<u32>,
    time: Rfc3339,
    #[serde(skip_serializing_if = "Option::is_none")]
    method: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    host: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    path: Option<&'a str>,
    status: u16,
    duration_ms: f64,
    bytes: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    route: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    backend: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    algorithm: Option<&'static str>,
    generation: u64,
    attempts: u32,
    reason: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<&'a str>,
    request_id: &'a RequestId,
    /// The trace, if it is sent.
    #[serde(skip_serializing_if = "Option::is_none")]
    trace_id: Option<Shown<TraceId>>,
    client: Client,
    /// The proxy that named the client.
    #[serde(skip_serializing_if = "Option::is_none")]
    peer: Option<SocketAddr>,
}

/// A client's address; its port is known only if it is the peer.
#[derive(Serialize)]
#[serde(untagged)]
enum Client {
    Peer(SocketAddr),
    Named(IpAddr),
}

/// Something as people read it.
struct Shown<T>(T);

impl<T: fmt::Display> Serialize for Shown<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}

/// The present time to the millisecond.
struct Rfc3339(jiff::Timestamp);

impl Serialize for Rfc3339 {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&format_args!("{:.3}", self.0))
    }
}

impl Record {
    /// Notes a failure on its way to the client.
    pub fn fail(&mut self, status: u16, reason: &'static str, detail: String) {
        self.status = Some(status);
        self.reason = Some(reason);
        self.detail = Some(detail);
        self.answered = false;
    }

    fn finish(&mut self) {
        if !self.complete && self.reason.is_none() {
            self.reason = Some(self.client.why_dropped().unwrap_or("client_closed"));
        }
        self.status.get_or_insert(CLIENT_CLOSED);
        let duration =
            self.ended.unwrap_or_else(Instant::now).saturating_duration_since(self.started);
        self.count(duration);
        let why = self.why(duration);
        let is_traced = self.is_traced(why, duration);
        if self.worker.logs_this() {
            let worker = Rc::clone(&self.worker);
            worker.log_line(|out| self.write_line(duration, is_traced, out));
        }
        if let Some(observer) = &self.worker.shared.observer {
            observer(&Completed {
                generation: self.generation,
                algorithm: self.algorithm().unwrap_or(""),
                endpoint: self.in_flight.as_ref().map(|pick| Arc::clone(pick.endpoint().label())),
                duration,
                status: self.status.unwrap_or(CLIENT_CLOSED),
            });
        }
        if is_traced || why != Why::default() {
            self.keep(why, is_traced, duration);
        }
    }

    /// What makes it worth keeping.
    fn why(&self, duration: Duration) -> Why {
        let observed = self.worker.observed();
        let status = self.status.unwrap_or(CLIENT_CLOSED);
        let is_cut = self.reason.is_some_and(is_endpoints_fault);
        let to_head = self.to_head(duration);
        Why {
            error: status >= 500 || is_cut,
            retry: self.attempts > 1,
            // Who sends no request waits for no answer.
            slow: self.head.is_some() && observed.slower_than.is_some_and(|limit| to_head > limit),
            sample: self.attempts > 0 && observed.keeps(&mut self.worker.rng.borrow_mut()),
        }
    }

    /// The time to the response's head, or to the end if there was none.
    fn to_head(&self, duration: Duration) -> Duration {
        let headed = self.tries.last().and_then(|last| last.headed);
        headed.map_or(duration, |headed| headed.saturating_duration_since(self.started))
    }

    /// Whether its trace is exported.
    fn is_traced(&self, why: Why, duration: Duration) -> bool {
        let Some((trace, settings)) = self.trace.as_ref().zip(self.worker.observed().traces) else {
            return false;
        };
        let keep = settings.sampling.keep;
        let is_slow = keep.slower_than.is_some_and(|limit| self.to_head(duration) > limit);
        let is_special = keep.errors && why.error || keep.retries && why.retry || is_slow;
        trace.sampled || trace.may_be_kept && is_special
    }

    /// Hands it to those who want it.
    #[cold]
    fn keep(&mut self, why: Why, is_traced: bool, duration: Duration) {
        let ended = self.ended.unwrap_or_else(Instant::now);
        let now = SystemTime::now() - ended.elapsed();
        let backend = self.backend().map(|backend| Arc::clone(backend.name()));
        let algorithm = self.algorithm();
        // What is kept holds nothing but its own: slices of the connection's buffer would keep all of that.
        let own = |value: HeaderValue| HeaderValue::from_bytes(value.as_bytes()).unwrap_or(value);
        let kept = Arc::new(Kept {
            why,
            is_sent: is_traced,
            started: self.started,
            at: now - duration,
            duration,
            trace: self.trace.take().map(|trace| Trace {
                state: trace.state.map(own),
                user_agent: trace.user_agent.map(own),
                ..trace
            }),
            request_id: self.request_id.with(str::to_owned),
            target: self.head.take().map(|(method, uri)| kept::Target {
                method,
                path: uri.path().into(),
                query: uri.query().map(Into::into),
            }),
            rewritten: self.rewritten.take(),
            scheme: self.scheme,
            host: self.host.take().map(own),
            listener: Arc::clone(&self.client.listener.name),
            route: self.route.as_ref().map(|route| Arc::clone(&route.model.name)),
            backend,
            algorithm,
            generation: self.generation,
            status: self.status.unwrap_or(CLIENT_CLOSED),
            reason: self.reason,
            detail: self.detail.take(),
            client: self.client_address.unwrap_or(self.client.peer.get().ip()),
            peer: self.client.peer.get(),
            tries: self.tries.iter().map(Try::past).collect(),
        });
        let outlets = &self.worker.shared.outlets;
        for sort in why.sorts() {
            outlets.requests.keep(sort, Arc::clone(&kept) as _);
        }
        if is_traced {
            outlets.exporter.submit(kept);
        }
    }

    /// What the endpoint of the present attempt is told of its trace.
    pub fn passed_on(&self) -> Option<PassedOn<'_>> {
        Some(self.trace.as_ref()?.passed_on(self.tries.last()?.span?))
    }

    /// How its endpoints were picked, as a field's value.
    pub fn decision(&self) -> HeaderValue {
        self.request_id.with(|id| {
            kept::decision(&kept::Decided {
                request_id: id,
                route: self.route.as_ref().map(|route| &*route.model.name),
                backend: self.backend().map(|backend| &**backend.name()),
                algorithm: self.algorithm(),
                generation: self.generation,
                tries: &self.tries,
                started: self.started,
            })
        })
    }

    fn count(&self, duration: Duration) {
        self.tally();
        let worker = self.worker.id;
        let Some(backend) = self.backend() else {
            let shared = &self.worker.shared;
            let counter = if self.is_own_answer { &shared.own_answers } else { &shared.refused };
            counter.record(worker, self.status);
            return;
        };
        let counters = backend.counters();
        counters.duration.record(worker, duration);
        match &self.in_flight {
            Some(pick) if self.answered => pick.endpoint().requests().record(worker, self.status),
            _ => counters.unanswered.record(worker, self.answer()),
        }
    }

    /// The status that the client was answered with, if it was.
    pub fn answer(&self) -> Option<u16> {
        self.status.filter(|status| self.answered || *status != CLIENT_CLOSED)
    }

    fn algorithm(&self) -> Option<&'static str> {
        self.backend().map(|backend| backend.model().algorithm.name())
    }

    /// The backend that it goes to.
    pub fn backend(&self) -> Option<&Arc<Backend>> {
        self.route.as_ref()?.targets.get(self.target?).map(|target| &target.backend)
    }

    fn write_line(&self, duration: Duration, is_traced: bool, out: &mut Vec<u8>) {
        let line = Line {
            level: "info",
            msg: if self.in_flight.is_some() { "access to endpoint" } else { "access" },
            url: self.in_flight.as_ref().map(|pick| &**pick.endpoint().label()),
            connections: self.in_flight.as_ref().map(InFlight::before),
            time: Rfc3339(jiff::Timestamp::now()),
            method: self.head.as_ref().map(|(method, _)| method.as_str()),
            host: self.host.as_ref().and_then(|host| host.to_str().ok()),
            path: self
                .head
                .as_ref()
                .map(|(_, uri)| uri.path_and_query().map_or("/", |target| target.as_str())),
            status: self.status.unwrap_or(CLIENT_CLOSED),
            duration_ms: kept::millis(duration),
            bytes: self.bytes,
            route: self.route.as_ref().map(|route| &*route.model.name),
            backend: self.backend().map(|backend| &**backend.name()),
            algorithm: self.algorithm(),
            generation: self.generation,
            attempts: self.attempts,
            reason: self.reason.unwrap_or("ok"),
            detail: self.detail.as_deref(),
            request_id: &self.request_id,
            trace_id: self.trace.as_ref().filter(|_| is_traced).map(|trace| Shown(trace.id)),
            client: self.client_address.map_or(Client::Peer(self.client.peer.get()), Client::Named),
            peer: self.client_address.map(|_| self.client.peer.get()),
        };
        // Writing to memory cannot fail, and neither can these types.
        let _ = serde_json::to_writer(&mut *out, &line);
        out.push(b'\n');
    }
}

impl Drop for Record {
    fn drop(&mut self) {
        self.finish();
    }
}
