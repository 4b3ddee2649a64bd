//! One HTTP/2 connection: how it begins, and who has a place on it.

use crate::backend::connection::{ConnectError, Dial};
use crate::backend::counters::OpenConnection;
use crate::tls::Stream;
use bytes::Bytes;
use h2::client::{Connection as Driver, SendRequest};
use std::cell::Cell;
use std::future::poll_fn;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use tokio::time::Instant;

/// How much of a response an endpoint may send before we have passed it on, in bytes: enough for a few ms at a few Gbit/s, and
/// what a client that reads nothing can make us hold.
const STREAM_WINDOW: u32 = 256 * 1024;
/// The most requests at once on a connection, whatever the endpoint allows.
const MAX_STREAMS: usize = 100;
/// The same for all of a connection's responses together: so much that no client that reads nothing stops the others.
const CONNECTION_WINDOW: u32 = STREAM_WINDOW * MAX_STREAMS as u32;
/// The largest response head that is accepted, in bytes (RFC 9113, section 6.5.2).
const MAX_HEAD: u32 = 64 * 1024;
/// How much of a request's body waits in our memory for the endpoint, in bytes.
const SEND_BUFFER: usize = 64 * 1024;

/// An HTTP/2 connection that takes streams. It ends by itself when this is gone and its last stream has ended.
#[derive(Debug)]
pub struct Connection {
    sender: SendRequest<Bytes>,
    streams: Rc<Streams>,
    /// From when on it takes no further stream.
    expires_at: Option<Instant>,
}

/// The streams of a connection.
#[derive(Debug)]
struct Streams {
    count: Cell<usize>,
    /// When the last of them ended, or when the connection began.
    idle_since: Cell<Instant>,
    /// Whether one has ended.
    is_used: Cell<bool>,
    /// How many responses have begun.
    answered: Cell<u64>,
    /// Whether a request waited in vain while nobody else was answered: the other side may be gone without a word.
    is_suspect: Cell<bool>,
    /// Where the connection and its streams are counted.
    open: Option<OpenConnection>,
}

/// The right to a stream on a connection; given back when dropped.
#[derive(Debug)]
pub struct Place {
    sender: SendRequest<Bytes>,
    streams: Rc<Streams>,
    /// Whether the connection carried streams before.
    pub is_reused: bool,
    /// How many responses had begun before.
    answered_before: u64,
}

impl Connection {
    /// A connection whose handshake is over.
    pub fn new(
        sender: SendRequest<Bytes>,
        expires_at: Option<Instant>,
        now: Instant,
        open: Option<OpenConnection>,
    ) -> Self {
        let streams = Streams {
            count: Cell::new(0),
            idle_since: Cell::new(now),
            is_used: Cell::new(false),
            answered: Cell::new(0),
            is_suspect: Cell::new(false),
            open,
        };
        Self { sender, streams: Rc::new(streams), expires_at }
    }

    /// How many streams it may have at once.
    pub fn limit(&self) -> usize {
        self.sender.current_max_send_streams().min(MAX_STREAMS)
    }

    /// A place for one more stream, unless it has as many as the endpoint allows.
    pub fn place(&self) -> Option<Place> {
        let before = self.streams.count.get();
        if before >= self.limit() {
            return None;
        }
        self.streams.count.set(before + 1);
        if let Some(open) = &self.streams.open {
            open.stream_begins();
        }
        Some(Place {
            sender: self.sender.clone(),
            streams: Rc::clone(&self.streams),
            is_reused: before > 0 || self.streams.is_used.get(),
            answered_before: self.streams.answered.get(),
        })
    }

    /// Whether it takes further streams: it stands, the endpoint has not said that it closes it, nobody waited in vain, and it is
    /// not too old.
    pub fn is_usable(&mut self, now: Instant) -> bool {
        let mut cx = Context::from_waker(Waker::noop());
        self.expires_at.is_none_or(|at| now < at)
            && !self.streams.is_suspect.get()
            && !matches!(self.sender.poll_ready(&mut cx), Poll::Ready(Err(_)))
    }

    /// Since when it has had no stream; `None` while it has one.
    pub fn idle_since(&self) -> Option<Instant> {
        (self.streams.count.get() == 0).then(|| self.streams.idle_since.get())
    }
}

impl Place {
    /// What sends on the connection.
    pub(super) fn sender(&self) -> SendRequest<Bytes> {
        self.sender.clone()
    }

    /// A response has begun.
    pub(super) fn is_answered(&self) {
        self.streams.answered.update(|answered| answered + 1);
    }

    /// There was no response in time. If nobody else's came either, the connection takes no further streams: when the endpoint's
    /// machine or the way to it is gone, TCP finds that out only after a quarter of an hour.
    pub(super) fn waited_in_vain(&self) {
        if self.streams.answered.get() == self.answered_before {
            self.streams.is_suspect.set(true);
        }
    }

    /// Whether the endpoint takes tunnels (RFC 8441, section 3).
    pub fn allows_tunnels(&self) -> bool {
        self.sender.is_extended_connect_protocol_enabled()
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let left = self.streams.count.get() - 1;
        self.streams.count.set(left);
        self.streams.is_used.set(true);
        if let Some(open) = &self.streams.open {
            open.stream_ends();
        }
        if left == 0 {
            self.streams.idle_since.set(Instant::now());
        }
    }
}

impl Dial<'_> {
    /// Connects, and waits for what the endpoint allows (its SETTINGS): before that, nobody knows how many streams it takes, nor
    /// whether it speaks HTTP/2 at all. The connection works as long as the second part is polled.
    ///
    /// # Errors
    /// As [`Dial::connect`], and when the endpoint does not speak HTTP/2.
    pub async fn connect_http2(
        &self,
    ) -> Result<(SendRequest<Bytes>, Driver<Stream, Bytes>), ConnectError> {
        let deadline = self.deadline();
        let (stream, address) = self.connect_by(deadline).await?;
        let opened = self.in_time(deadline, address, Box::pin(shake_hands(stream))).await?;
        opened.map_err(|reason| ConnectError::Http2 { address, reason })
    }
}

/// Says what we allow, and waits for what the endpoint does. The connection works as long as the second part is polled.
///
/// # Errors
/// Why the endpoint cannot be spoken HTTP/2 to, in an operator's words.
pub async fn shake_hands(
    stream: Stream,
) -> Result<(SendRequest<Bytes>, Driver<Stream, Bytes>), String> {
    let handshake = h2::client::Builder::new()
        .initial_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_header_list_size(MAX_HEAD)
        .max_send_buffer_size(SEND_BUFFER)
        .enable_push(false)
        // None before we know how many.
        .initial_max_send_streams(0)
        .handshake(stream);
    let (sender, mut driver) = handshake.await.map_err(in_words)?;
    poll_fn(|cx| match Pin::new(&mut driver).poll(cx) {
        Poll::Ready(Ok(())) => Poll::Ready(Err("it closed the connection at once".to_owned())),
        Poll::Ready(Err(error)) => Poll::Ready(Err(in_words(error))),
        Poll::Pending if sender.current_max_send_streams() > 0 => Poll::Ready(Ok(())),
        Poll::Pending => Poll::Pending,
    })
    .await?;
    Ok((sender, driver))
}

/// Why an endpoint cannot be spoken HTTP/2 to.
fn in_words(error: h2::Error) -> String {
    if error.is_io() {
        format!("it closed the connection instead of speaking HTTP/2: {error}")
    } else if error.is_library() {
        "what it says is not HTTP/2: set protocol: Http1".to_owned()
    } else {
        format!("it does not speak HTTP/2 with us: {error}")
    }
}
