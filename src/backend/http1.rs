//! HTTP/1.1 as a client, on one connection and in the task of the request: no channel, no task of its own.
//!
//! hyper's client would do, but costs more and cannot show us what we must know: whether a request on a reused
//! connection was read at all, an early answer in the middle of an upload, a 100 (Continue).
//!
//! An [`Exchange`] is one request and its response. It sends and receives at the same time, whichever of the two can go on.
//!
//! Source: RFC 9112.

pub mod chunked;
pub mod outgoing;
#[cfg(any(test, fuzzing))]
pub mod property;
pub mod response;

use super::connection::Connection;
use super::exchange::{ExchangeError, Interim};
use bytes::{Buf, Bytes, BytesMut};
use chunked::{ChunkedDecoder, Step};
use http_body::{Body, Frame};
use outgoing::Outgoing;
use response::{Head, Parsed};
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

/// The largest response head that is accepted, in bytes.
pub(super) const MAX_HEAD: usize = 64 * 1024;
/// The first read's size, and the largest: reads adapt to bodies that keep filling them.
const MIN_READ: usize = 8 * 1024;
const MAX_READ: usize = 400 * 1024;
/// Bodies up to this size are copied, so that the read buffer can be used again at once.
const COPY_LIMIT: usize = 4 * 1024;

/// How a message's body is delimited.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Framing {
    /// There is none.
    Empty,
    /// By Content-Length.
    Length(u64),
    /// By chunks.
    Chunked,
    /// By the end of the connection (responses only).
    UntilClose,
}

/// One request and its response on a connection. Dropping it closes the connection.
#[derive(Debug)]
pub struct Exchange<B> {
    connection: Connection,
    outgoing: Outgoing,
    body: B,
    upload: Upload,
    download: Download,
    /// Interim responses for the client.
    interim: Vec<Interim>,
    keep_alive: bool,
    is_head_request: bool,
    wants_upgrade: bool,
    read_size: usize,
}

/// How far the request is.
#[derive(Debug)]
enum Upload {
    /// The body waits for the endpoint's 100 (Continue).
    Held,
    /// The head or the body is on its way.
    Sending,
    /// All of it has been written.
    Done,
    /// The endpoint takes no more; it may have answered all the same.
    Refused(io::Error),
}

/// How far the response is.
#[derive(Debug)]
enum Download {
    Head,
    Length(u64),
    Chunked(ChunkedDecoder),
    UntilClose,
    Done,
}

/// What a new exchange sends.
#[derive(Debug)]
pub struct Request<B> {
    /// The encoded head, to the empty line.
    pub head: BytesMut,
    /// How the body is delimited.
    pub framing: Framing,
    /// The body; not polled when the framing is empty.
    pub body: B,
    /// Whether the body waits for a 100 (Continue).
    pub hold_body: bool,
    /// Whether the method is HEAD, whose response has no body.
    pub is_head: bool,
    /// Whether the head asks for an upgrade, so that 101 is a valid answer.
    pub wants_upgrade: bool,
}

impl<B: Body<Data = Bytes> + Unpin> Exchange<B> {
    /// Begins an exchange; nothing is written before the first poll.
    pub fn new(connection: Connection, request: Request<B>) -> Self {
        let hold = request.hold_body && request.framing != Framing::Empty;
        Self {
            connection,
            outgoing: Outgoing::new(request.head, request.framing),
            body: request.body,
            upload: if hold { Upload::Held } else { Upload::Sending },
            download: Download::Head,
            interim: Vec::new(),
            keep_alive: false,
            is_head_request: request.is_head,
            wants_upgrade: request.wants_upgrade,
            read_size: MIN_READ,
        }
    }

    /// Sends the request and waits for the response's head. Interim responses (1xx but 101) are kept for
    /// [`Exchange::take_interim`], but for 100, which lets the body go.
    pub fn poll_head(&mut self, cx: &mut Context<'_>) -> Poll<Result<Head, ExchangeError>> {
        self.poll_upload(cx)?;
        loop {
            match response::parse(&mut self.connection.received, self.is_head_request)? {
                Parsed::Final(head) => return Poll::Ready(self.accept(head)),
                Parsed::Interim(http::StatusCode::CONTINUE, _) => {
                    if self.release_body() {
                        self.poll_upload(cx)?;
                    }
                }
                Parsed::Interim(status, headers) => {
                    self.interim.push((status, headers));
                }
                Parsed::Partial => {
                    if self.connection.received.len() > MAX_HEAD {
                        return Poll::Ready(Err(ExchangeError::HeadTooLarge));
                    }
                    match ready!(self.poll_receive(cx)) {
                        Ok(1..) => {}
                        Ok(0) => return Poll::Ready(Err(self.closed_in_head(None))),
                        Err(error) => return Poll::Ready(Err(self.closed_in_head(Some(error)))),
                    }
                }
            }
        }
    }

    /// The interim responses that came since the last call.
    pub fn take_interim(&mut self) -> Vec<Interim> {
        std::mem::take(&mut self.interim)
    }

    /// Lets a held body go. Returns whether it was held.
    pub fn release_body(&mut self) -> bool {
        let held = matches!(self.upload, Upload::Held);
        if held {
            self.upload = Upload::Sending;
        }
        held
    }

    /// Whether the body still waits for a 100 (Continue).
    pub fn holds_body(&self) -> bool {
        matches!(self.upload, Upload::Held)
    }

    /// Whether the whole request has been written.
    pub fn is_sent(&self) -> bool {
        matches!(self.upload, Upload::Done)
    }

    /// Whether the endpoint may have understood the request: its head was written to the end.
    pub fn may_be_processed(&self) -> bool {
        self.outgoing.head_written()
    }

    /// The whole body, if it has a known length and all of it is here already. Most small responses.
    pub fn take_whole_body(&mut self) -> Option<Bytes> {
        match self.download {
            Download::Done => Some(Bytes::new()),
            Download::Length(length) if length <= self.connection.received.len() as u64 => {
                self.download = Download::Done;
                // Not copied: the head holds on to the same memory, and both go together.
                Some(self.connection.received.split_to(length as usize).freeze())
            }
            _ => None,
        }
    }

    /// The next piece of the response's body; `None` at its end. Goes on with the upload at the same time.
    pub fn poll_body(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, ExchangeError>>> {
        // A failing upload does not take the response away: what the endpoint still says is worth more.
        let _ = self.poll_upload(cx);
        loop {
            let received = &mut self.connection.received;
            match &mut self.download {
                Download::Head | Download::Done => return Poll::Ready(None),
                Download::Length(left) if !received.is_empty() => {
                    let size = (*left).min(received.len() as u64) as usize;
                    *left -= size as u64;
                    if *left == 0 {
                        self.download = Download::Done;
                    }
                    return Poll::Ready(Some(Ok(Frame::data(take(received, size)))));
                }
                Download::UntilClose if !received.is_empty() => {
                    let size = received.len();
                    return Poll::Ready(Some(Ok(Frame::data(take(received, size)))));
                }
                Download::Chunked(decoder) => match decoder.decode(received) {
                    Ok(Step::Data(data)) => return Poll::Ready(Some(Ok(Frame::data(data)))),
                    Ok(Step::End(trailers)) => {
                        self.download = Download::Done;
                        return Poll::Ready(trailers.map(|trailers| Ok(Frame::trailers(trailers))));
                    }
                    Ok(Step::More) => {}
                    Err(what) => {
                        return Poll::Ready(Some(Err(ExchangeError::Malformed(what))));
                    }
                },
                Download::Length(_) | Download::UntilClose => {}
            }
            let until_close = matches!(self.download, Download::UntilClose);
            match ready!(self.poll_receive(cx)) {
                Ok(1..) => {}
                Ok(0) if until_close => {
                    self.download = Download::Done;
                    return Poll::Ready(None);
                }
                Ok(0) => return Poll::Ready(Some(Err(ExchangeError::BodyCut(None)))),
                Err(error) => return Poll::Ready(Some(Err(ExchangeError::BodyCut(Some(error))))),
            }
        }
    }

    /// Whether the response has been received to its end.
    pub fn is_complete(&self) -> bool {
        matches!(self.download, Download::Done)
    }

    /// The length of what is left of the body, where it is known.
    pub fn remaining(&self) -> Option<u64> {
        match self.download {
            Download::Done => Some(0),
            Download::Length(left) => Some(left),
            Download::Head | Download::Chunked(_) | Download::UntilClose => None,
        }
    }

    /// The connection, if it can carry another request, and the request's body for another attempt.
    pub fn into_parts(self) -> (Option<Connection>, B) {
        let reusable = self.keep_alive
            && self.is_complete()
            && self.is_sent()
            // Bytes that nobody asked for could be taken for the next answer.
            && self.connection.received.is_empty();
        let mut connection = self.connection;
        connection.scratch = self.outgoing.into_scratch();
        (reusable.then_some(connection), self.body)
    }

    /// The connection after a 101, with what was received beyond the head.
    pub fn into_upgraded(self) -> Connection {
        self.connection
    }

    /// The request's body, for another attempt.
    pub fn into_body(self) -> B {
        self.body
    }

    /// The request's body.
    pub fn body_mut(&mut self) -> &mut B {
        &mut self.body
    }

    /// The request's body.
    pub fn body(&self) -> &B {
        &self.body
    }

    /// Goes on with the upload alone, while nobody asks for the response's next piece. Ready when there is no more to send.
    pub fn poll_rest_of_upload(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        // The same as in poll_body: what fails here shows in the response.
        let _ = self.poll_upload(cx);
        match self.upload {
            Upload::Done | Upload::Refused(_) => Poll::Ready(()),
            Upload::Held | Upload::Sending => Poll::Pending,
        }
    }

    fn accept(&mut self, head: Head) -> Result<Head, ExchangeError> {
        if head.status == http::StatusCode::SWITCHING_PROTOCOLS && !self.wants_upgrade {
            return Err(ExchangeError::Malformed("101 to a request that asked for no upgrade"));
        }
        if head.status == http::StatusCode::SWITCHING_PROTOCOLS && !self.is_sent() {
            // Where the request ends and the new protocol begins would be anybody's guess.
            return Err(ExchangeError::Malformed("101 before the end of the request"));
        }
        self.keep_alive = head.keep_alive;
        self.download = match head.framing {
            Framing::Empty | Framing::Length(0) => Download::Done,
            Framing::Length(length) => Download::Length(length),
            Framing::Chunked => Download::Chunked(ChunkedDecoder::default()),
            Framing::UntilClose => Download::UntilClose,
        };
        Ok(head)
    }

    /// Writes what can be written. Only a failure of the client's side is an error: an endpoint that takes no more may have
    /// answered already.
    fn poll_upload(&mut self, cx: &mut Context<'_>) -> Result<(), ExchangeError> {
        loop {
            if matches!(self.upload, Upload::Done | Upload::Refused(_)) {
                return Ok(());
            }
            match self.outgoing.poll_write(&mut self.connection.stream, cx) {
                Poll::Ready(Ok(())) => {}
                Poll::Ready(Err(error)) => {
                    self.upload = Upload::Refused(error);
                    return Ok(());
                }
                Poll::Pending => return Ok(()),
            }
            if self.outgoing.is_complete() {
                self.upload = Upload::Done;
                return Ok(());
            }
            if self.holds_body() {
                return Ok(());
            }
            match Pin::new(&mut self.body).poll_frame(cx) {
                Poll::Ready(Some(Ok(frame))) => {
                    self.outgoing.stage(frame).map_err(|_| ExchangeError::RequestBody)?;
                }
                Poll::Ready(Some(Err(_))) => {
                    self.upload = Upload::Refused(io::Error::other("the request's body failed"));
                    return Err(ExchangeError::RequestBody);
                }
                Poll::Ready(None) => {
                    self.outgoing.stage_end().map_err(|_| ExchangeError::RequestBody)?;
                }
                Poll::Pending => return Ok(()),
            }
        }
    }

    fn poll_receive(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        let received = &mut self.connection.received;
        received.reserve(self.read_size);
        let room = received.capacity() - received.len();
        let stream = Pin::new(&mut self.connection.stream);
        let size = ready!(tokio_util::io::poll_read_buf(stream, cx, received))?;
        if size == room && self.read_size < MAX_READ {
            self.read_size = (self.read_size * 2).min(MAX_READ);
        }
        Poll::Ready(Ok(size))
    }

    fn closed_in_head(&mut self, error: Option<io::Error>) -> ExchangeError {
        let error = match std::mem::replace(&mut self.upload, Upload::Done) {
            Upload::Refused(refusal) => error.or(Some(refusal)),
            Upload::Held | Upload::Sending | Upload::Done => error,
        };
        if self.connection.received.is_empty() {
            ExchangeError::NoResponse(error)
        } else {
            ExchangeError::HeadCut(error)
        }
    }
}

/// The next `size` bytes: copied if few, so that the buffer stays whole; else cut off without a copy.
fn take(buffer: &mut BytesMut, size: usize) -> Bytes {
    if size <= COPY_LIMIT {
        let copy = Bytes::copy_from_slice(&buffer[..size]);
        buffer.advance(size);
        copy
    } else {
        buffer.split_to(size).freeze()
    }
}

#[cfg(test)]
mod tests;
