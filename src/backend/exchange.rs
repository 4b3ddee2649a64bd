//! One request and its response, whichever protocol carries them: what forwarding sees of HTTP/1 and HTTP/2.

use super::connection::Connection;
use super::counters::OpenConnection;
use super::http1::response::Head;
use super::http2::{Place, Tunnel, Unprocessed};
use super::{http1, http2};
use crate::tls::Stream;
use bytes::{Buf, Bytes, BytesMut};
use http::{HeaderMap, StatusCode};
use http_body::{Body, Frame};
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// One request and its response. Dropping it before its end closes what carries it.
#[derive(Debug)]
#[expect(
    clippy::large_enum_variant,
    reason = "HTTP/1 is what most requests go by: no allocation for it"
)]
pub enum Exchange<B> {
    /// On a connection of its own.
    Http1(http1::Exchange<B>),
    /// On a stream of a shared connection.
    Http2(Box<http2::Exchange<B>>),
}

/// What carries an exchange.
#[derive(Debug)]
pub enum Carrier {
    /// A connection.
    Http1(Connection),
    /// A place on a shared connection.
    Http2(Place),
}

impl Carrier {
    /// Whether it carried something before, so that the endpoint may just be closing it.
    pub fn is_reused(&self) -> bool {
        match self {
            Self::Http1(connection) => connection.is_reused,
            Self::Http2(place) => place.is_reused,
        }
    }
}

/// An interim response (1xx, neither 100 nor 101) for the client: its status, and the fields to pass on.
pub type Interim = (StatusCode, HeaderMap);

/// Why an exchange failed.
#[derive(Debug, thiserror::Error)]
pub enum ExchangeError {
    /// Closed or reset before the first byte of a response.
    #[error("the connection was closed before the response{}", because(.0))]
    NoResponse(Option<io::Error>),
    /// Closed or reset in the middle of the response's head.
    #[error("the connection was closed in the middle of the response's head{}", because(.0))]
    HeadCut(Option<io::Error>),
    /// Closed or reset in the middle of the response's body.
    #[error("the connection was closed in the middle of the response's body{}", because(.0))]
    BodyCut(Option<io::Error>),
    /// The response is not HTTP, or could be understood in two ways.
    #[error("the response is not valid: {0}")]
    Malformed(&'static str),
    /// The response's head is larger than we accept.
    #[error("the response's head is larger than {} bytes", http1::MAX_HEAD)]
    HeadTooLarge,
    /// The request's body could not be read from the client.
    #[error("the request's body could not be read")]
    RequestBody,
    /// The endpoint said that it did nothing with the request.
    #[error("{0}")]
    Unprocessed(Unprocessed),
    /// The request asks for a WebSocket, and the endpoint takes none over HTTP/2.
    #[error("the endpoint takes no WebSocket over HTTP/2: it does not offer RFC 8441")]
    NoTunnel,
}

fn because(error: &Option<io::Error>) -> String {
    error.as_ref().map_or_else(String::new, |error| format!(": {error}"))
}

/// The same call, whichever it is.
macro_rules! either {
    ($self:expr, $exchange:ident => $call:expr) => {
        match $self {
            Self::Http1($exchange) => $call,
            Self::Http2($exchange) => $call,
        }
    };
}

impl<B: Body<Data = Bytes> + Unpin> Exchange<B> {
    /// Sends the request and waits for the response's head. Interim responses (1xx but 101) are kept for
    /// [`Exchange::take_interim`], but for 100, which lets the body go.
    #[inline]
    pub fn poll_head(&mut self, cx: &mut Context<'_>) -> Poll<Result<Head, ExchangeError>> {
        either!(self, exchange => exchange.poll_head(cx))
    }

    /// The interim responses that came since the last call.
    #[inline]
    pub fn take_interim(&mut self) -> Vec<Interim> {
        either!(self, exchange => exchange.take_interim())
    }

    /// There was no response in time: what others share may not be worth to be shared any more.
    pub fn waited_in_vain(&self) {
        match self {
            // Its connection ends with it.
            Self::Http1(_) => {}
            Self::Http2(exchange) => exchange.waited_in_vain(),
        }
    }

    /// Lets a held body go. Returns whether it was held.
    pub fn release_body(&mut self) -> bool {
        either!(self, exchange => exchange.release_body())
    }

    /// Whether the body still waits for a 100 (Continue).
    pub fn holds_body(&self) -> bool {
        either!(self, exchange => exchange.holds_body())
    }

    /// Whether the whole request has been sent.
    pub fn is_sent(&self) -> bool {
        either!(self, exchange => exchange.is_sent())
    }

    /// Whether the endpoint may have acted on the request.
    pub fn may_be_processed(&self) -> bool {
        either!(self, exchange => exchange.may_be_processed())
    }

    /// The whole body, if it has a known length and all of it is here already. Most small responses.
    pub fn take_whole_body(&mut self) -> Option<Bytes> {
        either!(self, exchange => exchange.take_whole_body())
    }

    /// The next piece of the response's body; `None` at its end. Goes on with the upload at the same time.
    #[inline]
    pub fn poll_body(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, ExchangeError>>> {
        either!(self, exchange => exchange.poll_body(cx))
    }

    /// Whether the response has been received to its end.
    pub fn is_complete(&self) -> bool {
        either!(self, exchange => exchange.is_complete())
    }

    /// The length of what is left of the body, where it is known.
    pub fn remaining(&self) -> Option<u64> {
        either!(self, exchange => exchange.remaining())
    }

    /// The connection, if it can carry another request and is nobody else's.
    pub fn into_reusable(self) -> Option<Connection> {
        self.into_parts().0
    }

    /// The connection, if it can carry another request and is nobody else's, and the request's body for another attempt.
    pub fn into_parts(self) -> (Option<Connection>, B) {
        match self {
            Self::Http1(exchange) => exchange.into_parts(),
            Self::Http2(exchange) => (None, exchange.into_body()),
        }
    }

    /// What the endpoint says and hears after a 101.
    pub fn into_upgraded(self) -> Upgraded {
        match self {
            Self::Http1(exchange) => {
                let Connection { stream, received, open, .. } = exchange.into_upgraded();
                Upgraded::Http1 { stream, received, _open: open }
            }
            Self::Http2(exchange) => Upgraded::Http2(exchange.into_tunnel()),
        }
    }

    /// The request's body, for another attempt.
    pub fn into_body(self) -> B {
        either!(self, exchange => exchange.into_body())
    }

    /// The request's body.
    pub fn body_mut(&mut self) -> &mut B {
        either!(self, exchange => exchange.body_mut())
    }

    /// The request's body.
    pub fn body(&self) -> &B {
        either!(self, exchange => exchange.body())
    }

    /// Goes on with the upload alone, while nobody asks for the response's next piece. Ready when there is no more to send.
    pub fn poll_rest_of_upload(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        either!(self, exchange => exchange.poll_rest_of_upload(cx))
    }
}

/// The endpoint's side of a conversation in another protocol.
#[derive(Debug)]
pub enum Upgraded {
    /// A connection, and what was received beyond the head.
    Http1 {
        /// The connection.
        stream: Stream,
        /// What is to be read first.
        received: BytesMut,
        /// Its place among the backend's open connections.
        _open: Option<OpenConnection>,
    },
    /// A stream of a shared connection.
    Http2(Tunnel),
}

impl AsyncRead for Upgraded {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Http1 { received, .. } if !received.is_empty() => {
                let size = received.len().min(buffer.remaining());
                buffer.put_slice(&received[..size]);
                received.advance(size);
                Poll::Ready(Ok(()))
            }
            Self::Http1 { stream, .. } => Pin::new(stream).poll_read(cx, buffer),
            Self::Http2(tunnel) => Pin::new(tunnel).poll_read(cx, buffer),
        }
    }
}

impl AsyncWrite for Upgraded {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Http1 { stream, .. } => Pin::new(stream).poll_write(cx, bytes),
            Self::Http2(tunnel) => Pin::new(tunnel).poll_write(cx, bytes),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Http1 { stream, .. } => Pin::new(stream).poll_flush(cx),
            Self::Http2(tunnel) => Pin::new(tunnel).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Http1 { stream, .. } => Pin::new(stream).poll_shutdown(cx),
            Self::Http2(tunnel) => Pin::new(tunnel).poll_shutdown(cx),
        }
    }
}
