//! A request's body on its way to an endpoint: bounded in size, watched for pauses, and kept for another attempt as long as
//! it is small.

use super::client::ClientState;
use super::error::ProxyError;
use super::headers;
use bytes::Bytes;
use http_body::{Body, Frame};
use hyper::body::Incoming;
use std::future::poll_fn;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::time::Instant;

/// The most that is kept of a body for another attempt, in bytes.
pub const REPLAY_LIMIT: usize = 64 * 1024;

/// A request's body.
#[derive(Debug)]
pub struct RequestBody {
    incoming: Incoming,
    client: Rc<ClientState>,
    limit: Option<u64>,
    received: u64,
    /// What was sent already, for another attempt; `None` once it is too much.
    kept: Option<Vec<Kept>>,
    kept_bytes: usize,
    /// How much of `kept` the present attempt has sent.
    replayed: usize,
    ended: bool,
    /// Since when we wait for the client's next piece.
    waiting_since: Option<Instant>,
    failure: Option<ProxyError>,
}

/// A piece of a body.
#[derive(Clone, Debug)]
enum Kept {
    Data(Bytes),
    Trailers(http::HeaderMap),
}

/// Stands for [`RequestBody::take_failure`].
#[derive(Debug)]
pub struct Failed;

impl RequestBody {
    /// Wraps a client's body that may be `limit` bytes long.
    pub fn new(incoming: Incoming, client: Rc<ClientState>, limit: Option<u64>) -> Self {
        let ended = incoming.is_end_stream();
        Self {
            incoming,
            client,
            limit,
            received: 0,
            kept: Some(Vec::new()),
            kept_bytes: 0,
            replayed: 0,
            ended,
            waiting_since: None,
            failure: None,
        }
    }

    /// Whether the body can begin anew: nothing of it is gone.
    pub fn can_rewind(&self) -> bool {
        self.kept.is_some() || self.received == 0
    }

    /// Makes the body begin anew. `false` if too much of it is gone.
    pub fn rewind(&mut self) -> bool {
        self.replayed = 0;
        self.can_rewind()
    }

    /// No other attempt will be made: nothing needs to be kept any more.
    pub fn forget(&mut self) {
        if self.kept.as_ref().is_none_or(|kept| self.replayed >= kept.len()) {
            self.kept = None;
        }
    }

    /// When the client has paused for longer than `timeout`; `None` while we do not wait for it.
    pub fn pause_ends(&self, timeout: Option<Duration>) -> Option<Instant> {
        self.waiting_since.zip(timeout).map(|(since, timeout)| since + timeout)
    }

    /// Why the body failed, if it did.
    pub fn take_failure(&mut self) -> Option<ProxyError> {
        self.failure.take()
    }

    /// Reads on until the end, if that comes before `limit` bytes; `None` if it does not. Fails when the client pauses for
    /// longer than `pause`.
    pub async fn collect(
        &mut self,
        limit: usize,
        pause: Option<Duration>,
    ) -> Result<Option<Vec<u8>>, Failed> {
        let mut all = Vec::new();
        loop {
            let next = poll_fn(|cx| Pin::new(&mut *self).poll_frame(cx));
            let next = match pause {
                None => next.await,
                Some(pause) => match tokio::time::timeout(pause, next).await {
                    Ok(next) => next,
                    Err(_) => {
                        self.failure = Some(ProxyError::BodyTimeout(pause));
                        return Err(Failed);
                    }
                },
            };
            let Some(frame) = next else { return Ok(Some(all)) };
            if let Ok(data) = frame?.into_data() {
                all.extend_from_slice(&data);
            }
            if all.len() > limit {
                return Ok(None);
            }
        }
    }

    fn keep(&mut self, piece: Kept) {
        let Some(kept) = &mut self.kept else { return };
        if let Kept::Data(data) = &piece {
            self.kept_bytes += data.len();
        }
        if self.kept_bytes <= REPLAY_LIMIT {
            kept.push(piece);
            self.replayed = kept.len();
        } else {
            self.kept = None;
        }
    }

    fn end(&mut self) {
        self.ended = true;
        self.client.request_body_ended();
    }

    fn fail(&mut self, failure: ProxyError) -> Poll<Option<Result<Frame<Bytes>, Failed>>> {
        self.failure = Some(failure);
        Poll::Ready(Some(Err(Failed)))
    }
}

impl Body for RequestBody {
    type Data = Bytes;
    type Error = Failed;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Failed>>> {
        let this = &mut *self;
        if let Some(piece) = this.kept.as_ref().and_then(|kept| kept.get(this.replayed)) {
            this.replayed += 1;
            return Poll::Ready(Some(Ok(match piece.clone() {
                Kept::Data(data) => Frame::data(data),
                Kept::Trailers(trailers) => Frame::trailers(trailers),
            })));
        }
        if this.ended {
            return Poll::Ready(None);
        }
        let polled = Pin::new(&mut this.incoming).poll_frame(cx);
        if polled.is_pending() {
            this.waiting_since.get_or_insert_with(Instant::now);
        } else {
            this.waiting_since = None;
        }
        match ready!(polled) {
            None => {
                this.end();
                Poll::Ready(None)
            }
            Some(Err(error)) => {
                let cause = std::error::Error::source(&error).map(ToString::to_string);
                this.fail(ProxyError::BodyBroken(cause.unwrap_or_else(|| error.to_string())))
            }
            Some(Ok(mut frame)) => {
                if let Some(data) = frame.data_ref() {
                    this.received += data.len() as u64;
                    if let Some(limit) = this.limit.filter(|limit| this.received > *limit) {
                        return this.fail(ProxyError::BodyTooLarge { limit });
                    }
                    this.keep(Kept::Data(data.clone()));
                    // Who knows the length does not ask for more.
                    if this.incoming.is_end_stream() {
                        this.end();
                    }
                } else if let Some(trailers) = frame.trailers_mut() {
                    *trailers = headers::trailers_to_pass(trailers);
                    this.keep(Kept::Trailers(trailers.clone()));
                    this.end();
                }
                Poll::Ready(Some(Ok(frame)))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.ended && self.kept.as_ref().is_none_or(|kept| self.replayed >= kept.len())
    }
}
