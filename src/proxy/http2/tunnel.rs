//! A WebSocket on a stream: extended CONNECT (RFC 8441) is understood as the request that asks HTTP/1.1 for the same.

use super::super::body::ProxyBody;
use super::super::client::ClientState;
use crate::backend::http2::room;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use bytes::{Buf, Bytes};
use h2::ext::Protocol;
use h2::server::SendResponse;
use h2::{Reason, RecvStream, SendStream};
use http::{HeaderValue, Method, Response, StatusCode, Version, header, request::Parts};
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// The most that is written at once, in bytes.
const MAX_WRITE: usize = 16 * 1024;

/// Whether a request asks for a WebSocket.
pub fn asks_for_websocket(parts: &Parts) -> bool {
    let protocol = parts.extensions.get::<Protocol>();
    parts.method == Method::CONNECT
        && protocol.is_some_and(|protocol| protocol.as_str() == "websocket")
}

/// The request as HTTP/1.1 has it (RFC 6455, section 4.1).
pub fn as_http1(parts: &mut Parts) {
    parts.method = Method::GET;
    parts.version = Version::HTTP_11;
    let headers = &mut parts.headers;
    headers.insert(header::CONNECTION, HeaderValue::from_static("upgrade"));
    headers.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
    let key = BASE64_STANDARD.encode(fastrand::u128(..).to_be_bytes());
    if let Ok(key) = HeaderValue::try_from(key) {
        headers.insert(header::SEC_WEBSOCKET_KEY, key);
    }
    if let Some(authority) = parts.uri.authority().map(|authority| authority.as_str())
        && let Ok(host) = HeaderValue::from_str(authority)
    {
        headers.insert(header::HOST, host);
    }
    // HTTP/1.1 has only the path in its first line.
    if let Some(target) = parts.uri.path_and_query() {
        parts.uri = target.clone().into();
    }
}

/// Accepts with the head of a 101.
pub fn accept(
    response: Response<ProxyBody>,
    mut respond: SendResponse<Bytes>,
) -> Option<SendStream<Bytes>> {
    let (mut head, _) = response.into_parts();
    head.status = StatusCode::OK;
    head.version = Version::HTTP_2;
    head.extensions.clear();
    for name in [header::CONNECTION, header::UPGRADE, header::SEC_WEBSOCKET_ACCEPT] {
        head.headers.remove(name);
    }
    respond.send_response(Response::from_parts(head, ()), false).ok()
}

/// What both sides send on a stream.
pub struct Tunnel {
    send: SendStream<Bytes>,
    receive: RecvStream,
    received: Bytes,
    is_shut: bool,
    client: Rc<ClientState>,
}

impl Tunnel {
    /// The tunnel on these halves of a stream.
    pub fn new(send: SendStream<Bytes>, receive: RecvStream, client: Rc<ClientState>) -> Self {
        Self { send, receive, received: Bytes::new(), is_shut: false, client }
    }
}

fn failed(error: h2::Error) -> io::Error {
    if error.is_io() {
        return error.into_io().unwrap_or_else(|| io::ErrorKind::BrokenPipe.into());
    }
    io::Error::new(io::ErrorKind::ConnectionReset, error)
}

impl AsyncRead for Tunnel {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        while this.received.is_empty() {
            match ready!(this.receive.poll_data(cx)) {
                None => return Poll::Ready(Ok(())),
                Some(Ok(data)) => this.received = data,
                // Both sides have said what they had to say. Before that it is what a reset is to a connection (RFC 8441, section
                // 5): nobody is there any more to hear what the endpoint might say.
                Some(Err(error))
                    if this.is_shut
                        && matches!(error.reason(), Some(Reason::NO_ERROR | Reason::CANCEL)) =>
                {
                    return Poll::Ready(Ok(()));
                }
                Some(Err(error)) => return Poll::Ready(Err(failed(error))),
            }
        }
        let size = this.received.len().min(buffer.remaining());
        buffer.put_slice(&this.received[..size]);
        this.received.advance(size);
        this.client.progresses();
        let _ = this.receive.flow_control().release_capacity(size);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Tunnel {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let wanted = bytes.len().min(MAX_WRITE);
        if wanted == 0 {
            return Poll::Ready(Ok(0));
        }
        let size = ready!(room(&mut self.send, wanted, cx)).map_err(failed)?.min(wanted);
        self.client.progresses();
        let data = Bytes::copy_from_slice(&bytes[..size]);
        self.send.send_data(data, false).map_err(failed)?;
        Poll::Ready(Ok(size))
    }

    fn poll_flush(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.is_shut = true;
        Poll::Ready(self.send.send_data(Bytes::new(), true).map_err(failed))
    }
}
