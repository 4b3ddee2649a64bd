//! A request's body on its way to an endpoint: bounded in size, watched for pauses, and kept for another attempt as long as
//! it is small.

use super::client::ClientState;
use super::error::ProxyError;
use super::headers;
use crate::backend::counters::Counters;
use bytes::{Bytes, BytesMut};
use h2::RecvStream;
use http::HeaderName;
use http_body::{Body, Frame, SizeHint};
use std::future::poll_fn;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;
use tokio::time::Instant;

/// The most that is kept of a body for another attempt, in bytes.
pub const REPLAY_LIMIT: usize = 64 * 1024;

/// Pieces up to this size, in bytes, are kept in one: a chunk of one byte must not cost an entry, nor the buffer that it came in.
const JOIN_LIMIT: usize = 1024;

/// A request's body. Most requests have none, and move no memory for it.
#[derive(Debug)]
pub struct RequestBody(Option<Box<Upload>>);

/// A body that is there.
#[derive(Debug)]
struct Upload {
    incoming: Incoming,
    client: Rc<ClientState>,
    limit: Option<u64>,
    /// What no trailer may be called; empty unless the body has chunks.
    barred: Vec<HeaderName>,
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
    /// Whose endpoints get it, and the worker that counts that.
    counted: Option<(Arc<Counters>, usize)>,
}

/// A client's body as it comes in.
#[derive(Debug)]
pub enum Incoming {
    /// There is none.
    Empty,
    /// By HTTP/1.
    Http1(hyper::body::Incoming),
    /// By HTTP/2.
    Http2(Http2Body),
}

/// A body that comes in by a stream of HTTP/2.
#[derive(Debug)]
pub struct Http2Body {
    stream: RecvStream,
    client: Rc<ClientState>,
    /// The bytes that are still to come, where their number was told.
    left: Option<u64>,
    /// Whether only trailers may come.
    data_ended: bool,
    /// Whether the client waits for a 100 before it sends anything.
    expects: bool,
}

impl Http2Body {
    /// The body of a request with `headers`.
    pub fn new(stream: RecvStream, client: Rc<ClientState>, headers: &http::HeaderMap) -> Self {
        // h2 has checked that there are no two, and checks that it is right.
        let length = headers.get(http::header::CONTENT_LENGTH);
        let left = length.and_then(|length| length.to_str().ok()?.parse().ok());
        let expects = headers
            .get(http::header::EXPECT)
            .is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"100-continue"));
        Self { stream, client, left, data_ended: false, expects }
    }

    fn poll_frame(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, h2::Error>>> {
        if std::mem::take(&mut self.expects) {
            self.client.interim.pass(http::StatusCode::CONTINUE, http::HeaderMap::new());
            self.client.wake();
        }
        if !self.data_ended {
            if let Some(data) = ready!(self.stream.poll_data(cx)?) {
                self.client.progresses();
                // What is read may be followed by as much again: a slow endpoint holds the client back.
                let _ = self.stream.flow_control().release_capacity(data.len());
                self.left = self.left.map(|left| left.saturating_sub(data.len() as u64));
                return Poll::Ready(Some(Ok(Frame::data(data))));
            }
            self.data_ended = true;
        }
        let trailers = ready!(self.stream.poll_trailers(cx)?);
        Poll::Ready(trailers.map(|trailers| Ok(Frame::trailers(trailers))))
    }
}

impl Incoming {
    fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, String>>> {
        match self {
            Self::Empty => Poll::Ready(None),
            Self::Http1(body) => Pin::new(body).poll_frame(cx).map_err(|error| {
                let cause = std::error::Error::source(&error).map(ToString::to_string);
                cause.unwrap_or_else(|| error.to_string())
            }),
            Self::Http2(body) => body.poll_frame(cx).map_err(|error| error.to_string()),
        }
    }

    /// Whether all of it has been read, or there is none.
    pub fn is_end_stream(&self) -> bool {
        match self {
            Self::Empty => true,
            Self::Http1(body) => body.is_end_stream(),
            Self::Http2(body) => body.stream.is_end_stream(),
        }
    }

    /// What is known of its length.
    pub fn size_hint(&self) -> SizeHint {
        match self {
            Self::Empty => SizeHint::with_exact(0),
            Self::Http1(body) => body.size_hint(),
            Self::Http2(body) => body.left.map_or_else(SizeHint::default, SizeHint::with_exact),
        }
    }
}

/// A piece of a body.
#[derive(Debug)]
enum Kept {
    Data(Bytes),
    /// Small pieces that followed each other.
    Joined(BytesMut),
    Trailers(http::HeaderMap),
}

/// Stands for [`RequestBody::take_failure`].
#[derive(Debug)]
pub struct Failed;

impl RequestBody {
    /// Wraps a client's body that may be `limit` bytes long, and whose trailers may have any names but those of `barred`.
    pub fn new(
        incoming: Incoming,
        client: Rc<ClientState>,
        limit: Option<u64>,
        barred: Vec<HeaderName>,
    ) -> Self {
        if incoming.is_end_stream() {
            return Self(None);
        }
        Self(Some(Box::new(Upload {
            incoming,
            client,
            limit,
            barred,
            received: 0,
            kept: Some(Vec::new()),
            kept_bytes: 0,
            replayed: 0,
            ended: false,
            waiting_since: None,
            failure: None,
            counted: None,
        })))
    }

    /// The same, counted in `counters` by `worker` on its way to an endpoint.
    pub fn counted(mut self, counters: &Arc<Counters>, worker: usize) -> Self {
        if let Some(upload) = &mut self.0 {
            upload.counted = Some((Arc::clone(counters), worker));
        }
        self
    }

    /// Whether the body can begin anew: nothing of it is gone.
    pub fn can_rewind(&self) -> bool {
        self.0.as_ref().is_none_or(|upload| upload.kept.is_some() || upload.received == 0)
    }

    /// Makes the body begin anew. `false` if too much of it is gone.
    pub fn rewind(&mut self) -> bool {
        if let Some(upload) = &mut self.0 {
            upload.replayed = 0;
        }
        self.can_rewind()
    }

    /// No other attempt will be made: nothing needs to be kept any more.
    pub fn forget(&mut self) {
        if let Some(upload) = &mut self.0
            && upload.kept.as_ref().is_none_or(|kept| upload.replayed >= kept.len())
        {
            upload.kept = None;
        }
    }

    /// When the client has paused for longer than `timeout`; `None` while we do not wait for it.
    pub fn pause_ends(&self, timeout: Option<Duration>) -> Option<Instant> {
        let since = self.0.as_ref()?.waiting_since;
        since.zip(timeout).map(|(since, timeout)| since + timeout)
    }

    /// Why the body failed, if it did.
    pub fn take_failure(&mut self) -> Option<ProxyError> {
        self.0.as_mut()?.failure.take()
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
                        if let Some(upload) = &mut self.0 {
                            upload.failure = Some(ProxyError::BodyTimeout(pause));
                        }
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
}

impl Upload {
    /// A piece goes to the endpoint.
    fn count(&self, bytes: usize) {
        if let Some((counters, worker)) = &self.counted {
            counters.sends(*worker, bytes);
        }
    }

    fn keep(&mut self, data: &Bytes) {
        let Some(kept) = &mut self.kept else { return };
        self.kept_bytes += data.len();
        if self.kept_bytes > REPLAY_LIMIT {
            self.kept = None;
            return;
        }
        join(kept, data);
        self.replayed = kept.len();
    }

    fn keep_trailers(&mut self, trailers: &http::HeaderMap) {
        let Some(kept) = &mut self.kept else { return };
        kept.push(Kept::Trailers(trailers.clone()));
        self.replayed = kept.len();
    }

    /// Takes note of the end: this piece, or what comes after the last chunk.
    fn end(&mut self, piece: Option<&[u8]>) {
        self.ended = true;
        self.client.request_body_ended(piece);
    }

    fn fail(&mut self, failure: ProxyError) -> Poll<Option<Result<Frame<Bytes>, Failed>>> {
        self.failure = Some(failure);
        Poll::Ready(Some(Err(Failed)))
    }

    fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Failed>>> {
        if let Some(piece) = self.kept.as_ref().and_then(|kept| kept.get(self.replayed)) {
            self.replayed += 1;
            let frame = match piece {
                Kept::Data(data) => Frame::data(data.clone()),
                Kept::Joined(joined) => Frame::data(Bytes::copy_from_slice(joined)),
                Kept::Trailers(trailers) => Frame::trailers(trailers.clone()),
            };
            self.count(frame.data_ref().map_or(0, Bytes::len));
            return Poll::Ready(Some(Ok(frame)));
        }
        if self.ended {
            return Poll::Ready(None);
        }
        let polled = self.incoming.poll_frame(cx);
        if polled.is_pending() {
            self.waiting_since.get_or_insert_with(Instant::now);
        } else {
            self.waiting_since = None;
        }
        match ready!(polled) {
            None => {
                self.end(None);
                Poll::Ready(None)
            }
            Some(Err(error)) => self.fail(ProxyError::BodyBroken(error)),
            Some(Ok(mut frame)) => {
                if let Some(data) = frame.data_ref() {
                    self.received += data.len() as u64;
                    self.client.listener.counters.receives(data.len());
                    if let Some(limit) = self.limit.filter(|limit| self.received > *limit) {
                        return self.fail(ProxyError::BodyTooLarge { limit });
                    }
                    self.count(data.len());
                    self.keep(data);
                    // Who knows the length does not ask for more.
                    if self.incoming.is_end_stream() {
                        self.end(Some(data));
                    }
                } else if let Some(trailers) = frame.trailers_mut() {
                    *trailers = headers::trailers_to_pass(trailers, &self.barred);
                    self.keep_trailers(trailers);
                    self.end(None);
                }
                Poll::Ready(Some(Ok(frame)))
            }
        }
    }
}

/// Adds `data` to what is kept: to the piece before it if both are small.
fn join(kept: &mut Vec<Kept>, data: &Bytes) {
    let is_small = data.len() <= JOIN_LIMIT;
    match kept.last_mut() {
        Some(Kept::Joined(joined)) if is_small => joined.extend_from_slice(data),
        Some(Kept::Data(first)) if is_small && first.len() <= JOIN_LIMIT => {
            let joined = [&**first, data].concat();
            kept.pop();
            kept.push(Kept::Joined(BytesMut::from(&*joined)));
        }
        Some(Kept::Data(_) | Kept::Joined(_) | Kept::Trailers(_)) | None => {
            kept.push(Kept::Data(data.clone()));
        }
    }
}

/// A body that nobody read may be here all the same, with its head: then the connection can go on.
impl Drop for Upload {
    fn drop(&mut self) {
        if self.ended || self.failure.is_some() {
            return;
        }
        let mut cx = Context::from_waker(Waker::noop());
        if let Incoming::Http1(_) = self.incoming
            && let Poll::Ready(Some(Ok(frame))) = self.incoming.poll_frame(&mut cx)
            && self.incoming.is_end_stream()
        {
            self.end(frame.data_ref().map(|data| &**data));
        }
    }
}

impl Body for RequestBody {
    type Data = Bytes;
    type Error = Failed;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Failed>>> {
        self.0.as_mut().map_or(Poll::Ready(None), |upload| upload.poll_frame(cx))
    }

    fn is_end_stream(&self) -> bool {
        self.0.as_ref().is_none_or(|upload| {
            upload.ended && upload.kept.as_ref().is_none_or(|kept| upload.replayed >= kept.len())
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chunks_of_one_byte_take_no_entry_each() {
        let (mut kept, mut all) = (Vec::new(), Vec::new());
        let large = vec![b'-'; JOIN_LIMIT + 1];
        let one = || (0..30_000).map(|n| vec![b'a' + (n % 26) as u8]);
        for piece in one().chain([large]).chain(one()) {
            all.extend_from_slice(&piece);
            join(&mut kept, &piece.into());
        }
        assert_eq!(kept.len(), 3);
        let bytes = kept.iter().flat_map(|piece| match piece {
            Kept::Data(data) => data.to_vec(),
            Kept::Joined(joined) => joined.to_vec(),
            Kept::Trailers(_) => vec![],
        });
        assert!(bytes.eq(all));
    }
}
