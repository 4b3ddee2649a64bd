//! A client's connection as its timers and its requests see it, and the socket that keeps it up to date.

use super::body::SharedExchange;
use super::interim::Interim;
use super::record::Record;
use super::upgrade::Upgrade;
use crate::model::{Limits, ProxyProtocol};
use crate::router::Router;
use crate::telemetry::metrics::ListenerTally;
use crate::tls;
use ipnet::IpNet;
use std::cell::{Cell, RefCell};
use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;
use tokio::time::Instant;

/// How many of the last bytes are remembered, to see where one request ends and the next begins.
const TAIL: usize = 4;

/// A listener as one worker knows it.
#[derive(Debug)]
pub struct ListenerState {
    /// Its name.
    pub name: Arc<str>,
    /// Its limits; follow the running snapshot.
    pub limits: Cell<Limits>,
    /// Whose word on the client is believed; follows the running snapshot.
    pub trusted_proxies: RefCell<Vec<IpNet>>,
    /// TLS, if its clients speak it; follows the running snapshot.
    pub tls: RefCell<Option<Arc<tls::Server>>>,
    /// Whether endpoints are told of clients' certificates; follows the running snapshot.
    pub forward_certificate: Cell<bool>,
    /// Whether proxies name the client in front of a connection; follows the running snapshot.
    pub proxy_protocol: Cell<ProxyProtocol>,
    /// The routes of the last configuration that knew it: they go on to hold for its connections when it is removed.
    pub router: RefCell<Arc<Router>>,
    /// When the listener is removed: its connections close with their next response, at the latest then.
    pub closes_at: Cell<Option<Closing>>,
    /// What it counts.
    pub counters: ListenerTally,
}

impl ListenerState {
    /// Whether it has as many connections as it may.
    pub fn is_full(&self) -> bool {
        let most = self.limits.get().max_connections;
        most.is_some_and(|most| self.counters.open() >= most)
    }
}

/// The end of a removed listener.
#[derive(Clone, Copy, Debug)]
pub struct Closing {
    /// When its last connection closes.
    pub at: Instant,
    /// How long that is after the removal.
    pub after: Duration,
}

/// What a connection is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Between requests.
    Idle,
    /// A request's head has begun to arrive.
    Head,
    /// A request waits for its response; the request has timers of its own.
    Request,
    /// A response is on its way, until its last byte is written; it may pause for this long.
    Streaming(Option<Duration>),
}

/// One client's connection, or one stream of it where HTTP/2 is spoken: each serves one request at a time.
pub struct ClientState {
    /// The client's address.
    pub peer: Cell<SocketAddr>,
    /// The address that it came to, once known.
    pub local: Cell<Option<SocketAddr>>,
    /// How it came.
    pub listener: Rc<ListenerState>,
    /// By chance, from 0 to 1: where it stands among connections that are to close one by one.
    turn: f32,
    /// When it came.
    opened: Instant,
    /// What it is doing.
    phase: Cell<Phase>,
    /// Since when it does that.
    since: Cell<Instant>,
    /// When bytes last went in or out.
    progress: Cell<Instant>,
    /// The endpoint whose response is streaming.
    streams_from: Cell<Option<u64>>,
    /// Whether bytes have come that belong to the next request: the beginning of its head.
    early_bytes: Cell<bool>,
    /// Whether the request's body has not been read to its end.
    body_open: Cell<bool>,
    /// The last bytes that came in.
    tail: Cell<[u8; TAIL]>,
    /// Whether a response was handed over to its end, and is not yet written to its end.
    unwritten: Cell<bool>,
    /// Whether the socket took less than it was offered.
    stalled: Cell<bool>,
    /// Whether it did so since hyper had last written everything.
    blocked: Cell<bool>,
    /// Since when it takes nothing.
    blocked_since: Cell<Option<Instant>>,
    /// The request whose response streamed and is not yet written to its end.
    finished: RefCell<Option<Box<Record>>>,
    /// The last status that was written while no request was being served: hyper's own answer to a bad head.
    own_status: Cell<Option<u16>>,
    /// Whether the client has closed its side.
    pub peer_closed: Cell<bool>,
    /// Whether its first bytes were those of HTTP/2.
    pub speaks_http2: Cell<bool>,
    /// Whether the connection is to be dropped now.
    pub abort: Cell<bool>,
    /// Why it was dropped, for the record of the request that it cut off.
    pub abort_reason: Cell<Option<&'static str>>,
    /// The connection, if this is a stream of one.
    connection: Option<Rc<ClientState>>,
    /// Interim responses to the present request.
    pub interim: Interim,
    /// The exchange whose upload goes on while its response streams.
    uploading: RefCell<Option<SharedExchange>>,
    /// What the connection turns into once the 101 is written.
    pub upgrade: RefCell<Option<Box<Upgrade>>>,
    waker: RefCell<Option<Waker>>,
}

impl ClientState {
    /// The state of a connection that was just accepted.
    pub fn new(peer: SocketAddr, listener: Rc<ListenerState>, turn: f32, now: Instant) -> Self {
        Self {
            peer: Cell::new(peer),
            local: Cell::new(None),
            listener,
            turn,
            opened: now,
            phase: Cell::new(Phase::Idle),
            since: Cell::new(now),
            progress: Cell::new(now),
            streams_from: Cell::new(None),
            early_bytes: Cell::new(false),
            body_open: Cell::new(false),
            tail: Cell::new([0; TAIL]),
            unwritten: Cell::new(false),
            stalled: Cell::new(false),
            blocked: Cell::new(false),
            blocked_since: Cell::new(None),
            finished: RefCell::new(None),
            own_status: Cell::new(None),
            peer_closed: Cell::new(false),
            speaks_http2: Cell::new(false),
            abort: Cell::new(false),
            abort_reason: Cell::new(None),
            connection: None,
            interim: Interim::default(),
            uploading: RefCell::new(None),
            upgrade: RefCell::new(None),
            waker: RefCell::new(None),
        }
    }

    /// The state of a stream of this connection.
    pub fn stream(self: &Rc<Self>, now: Instant) -> Self {
        let fresh = Self::new(self.peer.get(), Rc::clone(&self.listener), self.turn, now);
        fresh.local.set(self.local.get());
        let connection = Some(Rc::clone(self));
        Self { opened: self.opened, interim: Interim::of_stream(), connection, ..fresh }
    }

    /// Whether it is a stream of a connection of HTTP/2.
    pub fn is_stream(&self) -> bool {
        self.connection.is_some()
    }

    /// Why it was dropped, or the connection that it is a stream of; `None` if not by us.
    pub fn why_dropped(&self) -> Option<&'static str> {
        let connections = || self.connection.as_ref()?.abort_reason.get();
        self.abort_reason.get().or_else(connections)
    }

    /// When it has been open for long enough. Not all that came together go together.
    pub fn ages_at(&self) -> Option<Instant> {
        let age = self.listener.limits.get().max_connection_age?;
        Some(self.opened + age.mul_f32(0.9 + self.turn / 5.0))
    }

    /// When it must close because its listener is removed. Connections that idle close one by one in the second half of the
    /// time, so that their clients do not come back all at once.
    pub fn closes_at(&self) -> Option<Instant> {
        let Closing { at, after } = self.listener.closes_at.get()?;
        Some(match self.phase.get() {
            Phase::Idle => at - after.mul_f32(self.turn / 2.0),
            Phase::Head | Phase::Request | Phase::Streaming(_) => at,
        })
    }

    /// What it is doing.
    pub fn phase(&self) -> Phase {
        self.phase.get()
    }

    /// Since when it idles; `None` if it does anything.
    pub fn idles_since(&self) -> Option<Instant> {
        // Of a body that is not read to its end hyper reads on.
        let idles = self.phase.get() == Phase::Idle && !self.body_open.get();
        idles.then_some(self.since.get())
    }

    /// Since when it does that.
    pub fn since(&self) -> Instant {
        self.since.get()
    }

    /// A request's head was read; returns when.
    pub fn request_begins(&self, has_body: bool) -> Instant {
        self.listener.counters.request_begins();
        let now = if self.unwritten.replace(false) {
            // It was pipelined and read before the answer to the one before was written.
            self.end_written();
            Instant::now()
        } else {
            // It is understood as soon as its last byte has come, or as the answer to the one before is written.
            self.progress.get()
        };
        self.enter(Phase::Request, now);
        self.body_open.set(has_body);
        self.early_bytes.set(!has_body && !ends_with_empty_line(&self.tail.get()));
        now
    }

    /// The request's body was read to its end, which was this `piece`, or an empty line after chunks. What came after that
    /// belongs to the next request, and so does what comes from now on.
    pub fn request_body_ended(&self, piece: Option<&[u8]>) {
        self.body_open.set(false);
        let tail = self.tail.get();
        let is_last = match piece {
            // Only the last bytes are compared: a beginning of a head that ends like the body is taken for nothing, and has
            // the time of an idle connection.
            Some(piece) => {
                let length = piece.len().min(TAIL);
                piece[piece.len() - length..] == tail[TAIL - length..]
            }
            None => ends_with_empty_line(&tail),
        };
        self.early_bytes.set(!is_last);
    }

    /// Whether the present request's body has not been read to its end.
    pub fn request_body_is_open(&self) -> bool {
        self.body_open.get()
    }

    /// A response begins to stream from `endpoint`, and may pause for `idle`.
    pub fn streaming_begins(&self, endpoint: Option<u64>, idle: Option<Duration>, now: Instant) {
        self.streams_from.set(endpoint);
        self.enter(Phase::Streaming(idle), now);
        self.progress.set(now);
    }

    /// The upload of `exchange` goes on while its response streams.
    pub fn upload_goes_on(&self, exchange: SharedExchange) {
        self.uploading.replace(Some(exchange));
    }

    /// Goes on with an upload whose response has begun, and whether or not the client reads it.
    pub fn poll_upload(&self, cx: &mut Context<'_>) {
        let mut uploading = self.uploading.borrow_mut();
        if let Some(exchange) = &*uploading
            && exchange.borrow_mut().poll_rest_of_upload(cx).is_ready()
        {
            *uploading = None;
        }
    }

    /// The response has ended, and with it the upload.
    pub fn upload_ends(&self) {
        self.uploading.take();
    }

    /// The response was handed over to its end. Until it is written the client is one that reads slowly, not one that is
    /// silent.
    pub fn request_ends(&self, record: Box<Record>, now: Instant) {
        self.streams_from.set(None);
        self.stalled.set(false);
        self.progress.set(now);
        self.unwritten.set(true);
        match self.phase.get() {
            Phase::Streaming(_) => {
                self.finished.replace(Some(record));
            }
            Phase::Idle | Phase::Head | Phase::Request => {
                let idle = match record.backend() {
                    Some(backend) => backend.model().timeouts.stream_idle,
                    None => self.listener.limits.get().idle_timeout,
                };
                self.enter(Phase::Streaming(idle), now);
                if self.connection.is_some() {
                    // The client may have opened no window for it.
                    self.finished.replace(Some(record));
                    return;
                }
                // Small and whole, it fits into the socket's buffer: this is the end, and the client may hear of it.
                let mut record = record;
                record.complete = true;
                record.ended = Some(now);
            }
        }
    }

    /// Whether a response that was handed over is not yet written to its end.
    pub fn is_unwritten(&self) -> bool {
        self.unwritten.get()
    }

    /// What a stream was given has been handed over: who writes its frames loses nothing of it.
    pub fn handed_over(&self) {
        self.unwritten.set(false);
    }

    /// Everything that was handed over has been written.
    pub fn all_written(&self) {
        if self.unwritten.replace(false) {
            self.own_status.set(None);
            let next = if self.early_bytes.get() { Phase::Head } else { Phase::Idle };
            self.enter(next, self.progress.get());
            self.end_written();
        }
    }

    fn end_written(&self) {
        if let Some(mut record) = self.finished.take() {
            record.complete = true;
        }
    }

    /// The connection is over: lets go of what only it could have brought to its end. These know the connection in turn, so
    /// they would keep each other for ever.
    pub fn give_up(&self) {
        drop(self.uploading.take());
        drop(self.finished.take());
        drop(self.upgrade.take());
    }

    fn enter(&self, phase: Phase, now: Instant) {
        self.phase.set(phase);
        self.since.set(now);
    }

    /// When the client has taken nothing for too long.
    pub fn write_deadline(&self) -> Option<Instant> {
        let since = self.blocked_since.get()?;
        self.listener.limits.get().write_timeout.map(|timeout| since + timeout)
    }

    /// When the connection has been too slow in what it is doing.
    pub fn deadline(&self) -> Option<Instant> {
        let limits = self.listener.limits.get();
        let deadline = match self.phase.get() {
            Phase::Idle => limits.idle_timeout.map(|timeout| self.since.get() + timeout),
            Phase::Head => limits.header_timeout.map(|timeout| self.since.get() + timeout),
            Phase::Request => None,
            Phase::Streaming(idle) => idle.map(|idle| self.progress.get() + idle),
        };
        [deadline, self.write_deadline()].into_iter().flatten().min()
    }

    /// The endpoint whose response is streaming.
    pub fn streams_from(&self) -> Option<u64> {
        self.streams_from.get()
    }

    /// When bytes last went in or out.
    pub fn progress(&self) -> Instant {
        self.progress.get()
    }

    /// The status of an answer that was written without a request: hyper's own.
    pub fn own_status(&self) -> Option<u16> {
        self.own_status.get()
    }

    /// Remembers whom to wake when something outside the connection changes.
    pub fn register(&self, cx: &Context<'_>) {
        let mut waker = self.waker.borrow_mut();
        if !waker.as_ref().is_some_and(|waker| waker.will_wake(cx.waker())) {
            *waker = Some(cx.waker().clone());
        }
    }

    /// Wakes the connection's task.
    pub fn wake(&self) {
        if let Some(waker) = self.waker.borrow().as_ref() {
            waker.wake_by_ref();
        }
    }

    /// Takes note of what came in; nothing is its end.
    pub fn bytes_in(&self, bytes: &[u8]) {
        if bytes.is_empty() {
            self.peer_closed.set(true);
            return;
        }
        let mut tail = self.tail.get();
        let length = bytes.len().min(TAIL);
        tail.rotate_left(length);
        tail[TAIL - length..].copy_from_slice(&bytes[bytes.len() - length..]);
        self.tail.set(tail);
        let now = Instant::now();
        // What a client sends does not excuse that it reads nothing.
        if !self.unwritten.get() {
            self.progress.set(now);
        }
        if !self.body_open.get() {
            self.early_bytes.set(true);
        }
        if self.phase.get() == Phase::Idle {
            self.enter(Phase::Head, now);
        }
    }

    /// A stream's peer has sent or taken something.
    pub fn progresses(&self) {
        self.blocked_since.set(None);
        self.progress.set(Instant::now());
    }

    /// The client takes nothing more at present.
    pub fn is_blocked(&self) {
        self.stalled.set(true);
        self.blocked.set(true);
        if self.blocked_since.get().is_none() {
            self.blocked_since.set(Some(Instant::now()));
        }
    }

    /// Everything is written; says whether it was not before.
    pub fn unblocked(&self) -> bool {
        self.blocked_since.set(None);
        self.blocked.replace(false)
    }

    /// Takes note of a write of `bytes`, of which the beginning is enough.
    pub fn wrote(&self, written: Poll<io::Result<usize>>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match &written {
            Poll::Ready(Ok(_)) => {
                self.blocked_since.set(None);
                self.bytes_out(bytes);
            }
            Poll::Ready(Err(_)) => {}
            Poll::Pending => self.is_blocked(),
        }
        written
    }

    fn bytes_out(&self, bytes: &[u8]) {
        match self.phase.get() {
            // The whole of a response in one write needs no other time than that of its end.
            Phase::Streaming(_) if self.unwritten.get() && !self.stalled.get() => {}
            Phase::Streaming(_) => self.progress.set(Instant::now()),
            Phase::Idle | Phase::Head => self.own_status.set(status_of(bytes)),
            Phase::Request => {}
        }
    }
}

impl std::fmt::Debug for ClientState {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (peer, phase) = (&self.peer, &self.phase);
        f.debug_struct("ClientState")
            .field("peer", peer)
            .field("phase", phase)
            .finish_non_exhaustive()
    }
}

/// Whether what came last was the end of a head without a body, or of a body in chunks (RFC 9112, sections 2.1 and 7.1).
fn ends_with_empty_line(tail: &[u8; TAIL]) -> bool {
    tail.ends_with(b"\n\r\n") || tail.ends_with(b"\n\n")
}

/// The status code of a response that begins with `bytes`.
fn status_of(bytes: &[u8]) -> Option<u16> {
    let digits = bytes.strip_prefix(b"HTTP/1.")?.get(2..5)?;
    std::str::from_utf8(digits).ok()?.parse().ok()
}
