//! HTTP/2 as a client: many exchanges share a connection, each on a stream of its own.
//!
//! An [`Exchange`] is one request and its response, as that of [`super::http1`] is, and is used in the same way. What the
//! frames are, how windows are kept and headers compressed is the `h2` crate's business; what a failure means for the
//! request is ours: a stream that the endpoint says it did not look at may be sent again, whatever its method.
//!
//! Source: RFC 9113; RFC 8441 for tunnels.

pub mod connection;
pub mod connections;
#[cfg(test)]
mod tests;
mod tunnel;
mod upload;

pub use connection::Place;
pub use tunnel::Tunnel;
pub use upload::room;

use super::exchange::{ExchangeError, Interim};
use super::http1::Framing;
use super::http1::chunked::is_allowed_trailer;
use super::http1::response::Head;
use bytes::Bytes;
use h2::client::ResponseFuture;
use h2::{Reason, RecvStream};
use http::{HeaderMap, HeaderValue, Method, StatusCode, header, response};
use http_body::{Body, Frame};
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, Waker, ready};
use upload::Upload;

/// The most of a body that is collected before its response is passed on, in bytes.
const MAX_WHOLE: u64 = 64 * 1024;

/// One request and its response on a stream. Dropping it before its end cancels the stream.
#[derive(Debug)]
pub struct Exchange<B> {
    upload: Upload<B>,
    download: Download,
    interim: Vec<Interim>,
    is_head_request: bool,
    /// What the answer to a tunnel is called in HTTP/1.
    switch: Option<Switch>,
    /// Whether the endpoint said that it did nothing with the request.
    is_unprocessed: bool,
    /// Gives the stream's place back at the end.
    place: Place,
}

/// What a new exchange sends.
#[derive(Debug)]
pub struct Request<B> {
    /// The head.
    pub head: http::Request<()>,
    /// How the body is delimited.
    pub framing: Framing,
    /// The body; not polled when the framing is empty.
    pub body: B,
    /// Whether the body waits for a 100 (Continue).
    pub hold_body: bool,
    /// There when the head asks for a tunnel (RFC 8441, section 4).
    pub switch: Option<Switch>,
}

/// What a client of HTTP/1 is told when its tunnel stands: the fields of a 101.
#[derive(Clone, Debug)]
pub struct Switch {
    /// `Upgrade`.
    pub protocol: HeaderValue,
    /// `Sec-WebSocket-Accept`, if it gave a key.
    pub accept: Option<HeaderValue>,
}

/// How far the response is.
#[derive(Debug)]
enum Download {
    /// The request is not sent yet.
    Nothing,
    Head(ResponseFuture),
    Body {
        stream: RecvStream,
        /// What is to come, if the head said so.
        left: Option<u64>,
        /// What was received already.
        early: Option<Bytes>,
    },
    /// A tunnel stands.
    Tunnel(RecvStream),
    Done,
}

impl<B: Body<Data = Bytes> + Unpin> Exchange<B> {
    /// Begins an exchange; nothing is sent before the first poll.
    pub fn new(place: Place, request: Request<B>) -> Self {
        let is_head_request = request.head.method() == Method::HEAD;
        let is_tunnel = request.switch.is_some();
        Self {
            is_head_request,
            switch: request.switch,
            upload: Upload::new(
                place.sender(),
                request.head,
                request.framing,
                request.body,
                request.hold_body,
                is_tunnel,
            ),
            download: Download::Nothing,
            interim: Vec::new(),
            is_unprocessed: false,
            place,
        }
    }

    /// Sends the request and waits for the response's head. Interim responses are kept for [`Exchange::take_interim`], but for
    /// 100, which lets the body go.
    pub fn poll_head(&mut self, cx: &mut Context<'_>) -> Poll<Result<Head, ExchangeError>> {
        self.poll_upload(cx)?;
        loop {
            let Download::Head(response) = &mut self.download else {
                // Not sent: there is no place for the stream yet, or there never will be.
                return match self.upload.take_refusal() {
                    Some(error) => Poll::Ready(Err(self.failed(error))),
                    None => Poll::Pending,
                };
            };
            let error = match ready!(response.poll_informational(cx)) {
                Some(Ok(interim)) => {
                    if interim.status() == StatusCode::CONTINUE {
                        if self.release_body() {
                            self.poll_upload(cx)?;
                        }
                    } else if interim.status() != StatusCode::SWITCHING_PROTOCOLS {
                        let (parts, ()) = interim.into_parts();
                        let response::Parts { status, mut headers, .. } = parts;
                        // It has no body, whatever it says (RFC 9110, section 8.6).
                        headers.remove(header::CONTENT_LENGTH);
                        self.interim.push((status, headers));
                    } else {
                        // RFC 9113, section 8.6.
                        return Poll::Ready(Err(ExchangeError::Malformed("101 in HTTP/2")));
                    }
                    continue;
                }
                Some(Err(error)) => error,
                None => match ready!(Pin::new(response).poll(cx)) {
                    Ok(response) => return Poll::Ready(self.accept(response)),
                    Err(error) => error,
                },
            };
            return Poll::Ready(Err(self.failed(error)));
        }
    }

    /// There was no response in time.
    pub fn waited_in_vain(&self) {
        self.place.waited_in_vain();
    }

    /// The interim responses that came since the last call.
    pub fn take_interim(&mut self) -> Vec<Interim> {
        std::mem::take(&mut self.interim)
    }

    /// Lets a held body go. Returns whether it was held.
    pub fn release_body(&mut self) -> bool {
        self.upload.release()
    }

    /// Whether the body still waits for a 100 (Continue).
    pub fn holds_body(&self) -> bool {
        self.upload.is_held()
    }

    /// Whether the whole request has been handed to the connection.
    pub fn is_sent(&self) -> bool {
        self.upload.is_done()
    }

    /// Whether the endpoint may have acted on the request.
    pub fn may_be_processed(&self) -> bool {
        self.upload.has_begun() && !self.is_unprocessed
    }

    /// The whole body, if it has a known length and all of it is here already. Most small responses.
    pub fn take_whole_body(&mut self) -> Option<Bytes> {
        if let Download::Done = self.download {
            return Some(Bytes::new());
        }
        let Download::Body { stream, left: Some(left), early } = &mut self.download else {
            return None;
        };
        if *left > MAX_WHOLE || early.is_some() {
            return None;
        }
        let mut cx = Context::from_waker(Waker::noop());
        if let Poll::Ready(Some(Ok(data))) = stream.poll_data(&mut cx) {
            release(stream, data.len());
            *left = left.saturating_sub(data.len() as u64);
            if *left == 0 && stream.is_end_stream() {
                self.download = Download::Done;
                return Some(data);
            }
            *early = Some(data);
        }
        None
    }

    /// The next piece of the response's body; `None` at its end. Goes on with the upload at the same time.
    pub fn poll_body(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, ExchangeError>>> {
        // A failing upload does not take the response away: what the endpoint still says is worth more.
        let _ = self.poll_upload(cx);
        loop {
            let Download::Body { stream, left, early } = &mut self.download else {
                return Poll::Ready(None);
            };
            if let Some(data) = early.take() {
                return Poll::Ready(Some(Ok(Frame::data(data))));
            }
            let end: Result<Option<HeaderMap>, h2::Error> = match ready!(stream.poll_data(cx)) {
                Some(Ok(data)) => {
                    // Who asks for a piece has passed on the one before: so much may follow.
                    release(stream, data.len());
                    if let Some(left) = left {
                        *left = left.saturating_sub(data.len() as u64);
                    }
                    if stream.is_end_stream() {
                        self.download = Download::Done;
                    }
                    if data.is_empty() {
                        continue;
                    }
                    return Poll::Ready(Some(Ok(Frame::data(data))));
                }
                Some(Err(error)) => Err(error),
                None => ready!(stream.poll_trailers(cx)),
            };
            let is_whole = left.is_none_or(|left| left == 0);
            return Poll::Ready(match end {
                Ok(trailers) if is_whole => {
                    self.download = Download::Done;
                    let trailers = trailers.map(passable).filter(|trailers| !trailers.is_empty());
                    trailers.map(|trailers| Ok(Frame::trailers(trailers)))
                }
                // An answer in the middle of an upload: that is refused, the answer is not (RFC 9113, section 8.1).
                Err(error) if is_whole && error.reason() == Some(Reason::NO_ERROR) => {
                    self.download = Download::Done;
                    None
                }
                Ok(_) => Some(Err(ExchangeError::BodyCut(None))),
                Err(error) => Some(Err(ExchangeError::BodyCut(Some(into_io(error))))),
            });
        }
    }

    /// Whether the response has been received to its end.
    pub fn is_complete(&self) -> bool {
        matches!(self.download, Download::Done)
    }

    /// The length of what is left of the body, where it is known.
    pub fn remaining(&self) -> Option<u64> {
        match &self.download {
            Download::Done => Some(0),
            Download::Body { left, early, .. } => {
                left.map(|left| left + early.as_ref().map_or(0, |data| data.len() as u64))
            }
            Download::Nothing | Download::Head(_) | Download::Tunnel(_) => None,
        }
    }

    /// The two ways of the tunnel, after a 101.
    pub fn into_tunnel(self) -> Tunnel {
        let receive = match self.download {
            Download::Tunnel(stream) => Some(stream),
            Download::Nothing | Download::Head(_) | Download::Body { .. } | Download::Done => None,
        };
        Tunnel::new(self.upload.into_stream().zip(receive), self.place)
    }

    /// The request's body, for another attempt.
    pub fn into_body(self) -> B {
        self.upload.body
    }

    /// The request's body.
    pub fn body_mut(&mut self) -> &mut B {
        &mut self.upload.body
    }

    /// The request's body.
    pub fn body(&self) -> &B {
        &self.upload.body
    }

    /// Goes on with the upload alone, while nobody asks for the response's next piece. Ready when there is no more to send.
    pub fn poll_rest_of_upload(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        // The same as in poll_body: what fails here shows in the response.
        let _ = self.poll_upload(cx);
        if self.upload.is_over() { Poll::Ready(()) } else { Poll::Pending }
    }

    fn poll_upload(&mut self, cx: &mut Context<'_>) -> Result<(), ExchangeError> {
        if let Some(response) = self.upload.poll(cx)? {
            self.download = Download::Head(response);
        }
        Ok(())
    }

    fn accept(&mut self, response: http::Response<RecvStream>) -> Result<Head, ExchangeError> {
        self.place.is_answered();
        let (parts, stream) = response.into_parts();
        let response::Parts { status, mut headers, .. } = parts;
        if status.is_success()
            && let Some(switch) = &self.switch
        {
            self.download = Download::Tunnel(stream);
            headers.remove(header::CONTENT_LENGTH);
            headers.insert(header::UPGRADE, switch.protocol.clone());
            if let Some(accept) = &switch.accept {
                headers.insert(header::SEC_WEBSOCKET_ACCEPT, accept.clone());
            }
            return Ok(head(StatusCode::SWITCHING_PROTOCOLS, headers, Framing::Empty));
        }
        let length = content_length(&mut headers)?;
        let has_no_body = self.is_head_request
            || status == StatusCode::NO_CONTENT
            || status == StatusCode::NOT_MODIFIED;
        let framing = match length {
            _ if has_no_body => Framing::Empty,
            Some(length) => Framing::Length(length),
            None if stream.is_end_stream() => Framing::Length(0),
            None => Framing::Chunked,
        };
        self.download = match framing {
            // Its end may be on its way.
            Framing::Empty => Download::Done,
            Framing::Length(_) | Framing::Chunked | Framing::UntilClose => {
                match stream.is_end_stream() {
                    true => Download::Done,
                    false => Download::Body { stream, left: length, early: None },
                }
            }
        };
        Ok(head(status, headers, framing))
    }

    /// What `error` before the response's head means for the request.
    fn failed(&mut self, error: h2::Error) -> ExchangeError {
        let error = before_head(error);
        self.is_unprocessed = matches!(error, ExchangeError::Unprocessed(_));
        error
    }
}

fn head(status: StatusCode, headers: HeaderMap, framing: Framing) -> Head {
    Head { status, reason: None, headers, framing, keep_alive: true, is_http10: false }
}

/// The length that a head says, once.
fn content_length(headers: &mut HeaderMap) -> Result<Option<u64>, ExchangeError> {
    let mut values = headers.get_all(header::CONTENT_LENGTH).iter();
    let Some(first) = values.next().cloned() else { return Ok(None) };
    let is_repeated = values.next().is_some();
    let digits = first.as_bytes();
    let valid = !digits.is_empty() && digits.iter().all(u8::is_ascii_digit);
    let length = first.to_str().ok().filter(|_| valid).and_then(|text| text.parse().ok());
    let length = length.ok_or(ExchangeError::Malformed("its Content-Length"))?;
    if is_repeated {
        // h2 has seen to it that they are equal.
        headers.insert(header::CONTENT_LENGTH, first);
    }
    Ok(Some(length))
}

/// The trailers that may be passed on.
fn passable(trailers: HeaderMap) -> HeaderMap {
    if trailers.keys().all(is_allowed_trailer) {
        return trailers;
    }
    let kept = trailers.iter().filter(|(name, _)| is_allowed_trailer(name));
    kept.map(|(name, value)| (name.clone(), value.clone())).collect()
}

/// Lets the endpoint send as much again.
fn release(stream: &mut RecvStream, size: usize) {
    // It fails only when the stream is over, and then nothing is to come.
    let _ = stream.flow_control().release_capacity(size);
}

/// What an error before the response's head means.
fn before_head(error: h2::Error) -> ExchangeError {
    if error.is_go_away() && error.is_remote() {
        return ExchangeError::Unprocessed(Unprocessed::GoneAway);
    }
    match error.reason() {
        Some(Reason::REFUSED_STREAM) if error.is_remote() => {
            ExchangeError::Unprocessed(Unprocessed::Refused)
        }
        // h2 does not tell the one from the other.
        Some(_) if error.is_library() => ExchangeError::Malformed(
            "it breaks the rules of HTTP/2, or its head is larger than 64 KiB",
        ),
        Some(_) | None => ExchangeError::NoResponse(Some(into_io(error))),
    }
}

/// How an endpoint said that it did nothing with a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unprocessed {
    /// It takes no more streams on this connection (GOAWAY).
    #[error("the endpoint closes the connection (GOAWAY)")]
    GoneAway,
    /// It took this one not (REFUSED_STREAM).
    #[error("the endpoint took no further stream (REFUSED_STREAM)")]
    Refused,
}

/// `error`, in an operator's words where it has some.
fn into_io(error: h2::Error) -> io::Error {
    if error.is_io() {
        return error.into_io().unwrap_or_else(|| io::ErrorKind::BrokenPipe.into());
    }
    match error.reason() {
        Some(Reason::HTTP_1_1_REQUIRED) => {
            io::Error::other("the endpoint wants HTTP/1.1 for this: set protocol: Http1")
        }
        Some(reason) if error.is_reset() => {
            let code = format!("{reason:?}");
            io::Error::other(format!("the stream was reset ({code}: {reason})"))
        }
        Some(_) | None => io::Error::other(error),
    }
}
