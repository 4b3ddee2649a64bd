//! A client's connection as its timers and its requests see it, and the socket that keeps it up to date.

use super::upgrade::Upgrade;
use crate::model::Limits;
use ipnet::IpNet;
use std::cell::{Cell, RefCell};
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::Instant;

/// Responses up to this size, in bytes, are written in one piece.
const JOIN_LIMIT: usize = 1024;

/// A listener as one worker knows it.
#[derive(Debug)]
pub struct ListenerState {
    /// Its name.
    pub name: Arc<str>,
    /// Its limits; follow the running snapshot.
    pub limits: Cell<Limits>,
    /// Whose word on the client is believed; follows the running snapshot.
    pub trusted_proxies: RefCell<Vec<IpNet>>,
    /// When the listener is removed: its connections close with their next response, at the latest then.
    pub closes_at: Cell<Option<Instant>>,
    /// Its open connections, those of other workers included.
    pub open: Arc<AtomicUsize>,
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
    /// A response is streaming; it may pause for this long.
    Streaming(Option<Duration>),
}

/// One client's connection.
#[derive(Debug)]
pub struct ClientState {
    /// The client's address.
    pub peer: SocketAddr,
    /// How it came.
    pub listener: Rc<ListenerState>,
    /// What it is doing.
    phase: Cell<Phase>,
    /// Since when it does that.
    since: Cell<Instant>,
    /// When bytes last went in or out.
    progress: Cell<Instant>,
    /// The endpoint whose response is streaming.
    streams_from: Cell<Option<u64>>,
    /// Whether bytes came since the request's body was read to its end: the beginning of the next head.
    early_bytes: Cell<bool>,
    /// The last status that was written while no request was being served: hyper's own answer to a bad head.
    own_status: Cell<Option<u16>>,
    /// Whether the client has closed its side.
    pub peer_closed: Cell<bool>,
    /// Whether the connection is to be dropped now.
    pub abort: Cell<bool>,
    /// Why it was dropped, for the record of the request that it cut off.
    pub abort_reason: Cell<Option<&'static str>>,
    /// What the connection turns into once the 101 is written.
    pub upgrade: RefCell<Option<Upgrade>>,
    waker: RefCell<Option<Waker>>,
}

impl ClientState {
    /// The state of a connection that was just accepted.
    pub fn new(peer: SocketAddr, listener: Rc<ListenerState>, now: Instant) -> Self {
        Self {
            peer,
            listener,
            phase: Cell::new(Phase::Idle),
            since: Cell::new(now),
            progress: Cell::new(now),
            streams_from: Cell::new(None),
            early_bytes: Cell::new(false),
            own_status: Cell::new(None),
            peer_closed: Cell::new(false),
            abort: Cell::new(false),
            abort_reason: Cell::new(None),
            upgrade: RefCell::new(None),
            waker: RefCell::new(None),
        }
    }

    /// What it is doing.
    pub fn phase(&self) -> Phase {
        self.phase.get()
    }

    /// A request's head was read.
    pub fn request_begins(&self, now: Instant) {
        self.enter(Phase::Request, now);
        self.early_bytes.set(false);
    }

    /// The request's body was read to its end: what comes now belongs to the next request.
    pub fn request_body_ended(&self) {
        self.early_bytes.set(false);
    }

    /// A response begins to stream from `endpoint`, and may pause for `idle`.
    pub fn streaming_begins(&self, endpoint: Option<u64>, idle: Option<Duration>, now: Instant) {
        self.streams_from.set(endpoint);
        self.enter(Phase::Streaming(idle), now);
        self.progress.set(now);
    }

    /// The response was handed over to its end.
    pub fn request_ends(&self, now: Instant) {
        self.own_status.set(None);
        self.streams_from.set(None);
        self.enter(if self.early_bytes.get() { Phase::Head } else { Phase::Idle }, now);
    }

    fn enter(&self, phase: Phase, now: Instant) {
        self.phase.set(phase);
        self.since.set(now);
    }

    /// When the connection has been too slow in what it is doing.
    pub fn deadline(&self) -> Option<Instant> {
        let limits = self.listener.limits.get();
        match self.phase.get() {
            Phase::Idle => limits.idle_timeout.map(|timeout| self.since.get() + timeout),
            Phase::Head => limits.header_timeout.map(|timeout| self.since.get() + timeout),
            Phase::Request => None,
            Phase::Streaming(idle) => idle.map(|idle| self.progress.get() + idle),
        }
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

    fn bytes_in(&self, count: usize) {
        if count == 0 {
            self.peer_closed.set(true);
            return;
        }
        let now = Instant::now();
        self.progress.set(now);
        self.early_bytes.set(true);
        if self.phase.get() == Phase::Idle {
            self.enter(Phase::Head, now);
        }
    }

    fn bytes_out(&self, bytes: &[u8]) {
        match self.phase.get() {
            Phase::Streaming(_) => self.progress.set(Instant::now()),
            Phase::Idle | Phase::Head => self.own_status.set(status_of(bytes)),
            Phase::Request => {}
        }
    }
}

/// The slices in one piece, if they fit: a plain write of a small response costs the kernel less than a vectored one.
fn join<'a>(slices: &[io::IoSlice<'_>], joined: &'a mut [u8]) -> Option<&'a [u8]> {
    let mut length = 0;
    for slice in slices {
        joined.get_mut(length..length + slice.len())?.copy_from_slice(slice);
        length += slice.len();
    }
    Some(&joined[..length])
}

/// The status code of a response that begins with `bytes`.
fn status_of(bytes: &[u8]) -> Option<u16> {
    let digits = bytes.strip_prefix(b"HTTP/1.")?.get(2..5)?;
    std::str::from_utf8(digits).ok()?.parse().ok()
}

/// A client's socket, which tells the connection's state what passes.
#[derive(Debug)]
pub struct ClientIo {
    stream: TcpStream,
    state: Rc<ClientState>,
}

impl ClientIo {
    /// Wraps `stream`.
    pub fn new(stream: TcpStream, state: Rc<ClientState>) -> Self {
        Self { stream, state }
    }
}

impl AsyncRead for ClientIo {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.stream).poll_read(cx, buffer))?;
        self.state.bytes_in(buffer.filled().len() - before);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for ClientIo {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = ready!(Pin::new(&mut self.stream).poll_write(cx, bytes))?;
        self.state.bytes_out(bytes);
        Poll::Ready(Ok(written))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let mut joined = [0; JOIN_LIMIT];
        let stream = Pin::new(&mut self.stream);
        let written = match join(slices, &mut joined) {
            Some(bytes) => ready!(stream.poll_write(cx, bytes)),
            None => ready!(stream.poll_write_vectored(cx, slices)),
        }?;
        self.state.bytes_out(slices.first().map_or(&[], |slice| slice));
        Poll::Ready(Ok(written))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
