//! Before the first request: who the client is, if a proxy in front of us says so, and the TLS handshake.

use super::client::ClientState;
use super::stream::ClientStream;
use super::timer::Alarm;
use super::worker::Worker;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use std::future::{Future, poll_fn};
use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::time::Instant;
use tokio_rustls::TlsAcceptor;

/// The answer to HTTP where TLS is spoken.
const NOT_TLS: &[u8] = b"HTTP/1.1 400 Bad Request\r\n\
    content-type: text/plain; charset=utf-8\r\ncontent-length: 82\r\nconnection: close\r\n\
    proxy-status: outrigger; error=tls_protocol_error\r\n\r\n\
    400 Bad Request\nthis port speaks TLS: ask it with https://\nreason: not_encrypted\n\n\n";

/// A connection that may begin to speak.
#[derive(Debug)]
pub struct Arrived {
    /// The socket.
    pub stream: ClientStream,
    /// Whether it was agreed to speak HTTP/2.
    pub is_http2: bool,
    /// The client's certificate for endpoints: the value of `Client-Cert` (RFC 9440).
    pub certificate: Option<String>,
}

/// Receives a client: `None` if it does not come to a first request.
pub async fn arrive(
    socket: TcpStream,
    worker: &Worker,
    state: &ClientState,
    alarm: &mut Alarm,
) -> Option<Arrived> {
    let tls = state.listener.tls.borrow().clone();
    let Some(config) = tls else {
        let stream = ClientStream::Plain(socket);
        return Some(Arrived { stream, is_http2: false, certificate: None });
    };
    let timeout = state.listener.limits.get().handshake_timeout;
    let deadline = timeout.map(|timeout| Instant::now() + timeout);
    let shaking = Box::pin(shake_hands(socket, config));
    match within(shaking, deadline, worker, state, alarm).await? {
        Ok(stream) => {
            let (_, session) = stream.get_ref();
            let is_http2 = session.alpn_protocol() == Some(b"h2");
            let certificate = session
                .peer_certificates()
                .filter(|_| state.listener.forward_certificate.get())
                .and_then(|chain| chain.first())
                .map(|certificate| format!(":{}:", BASE64_STANDARD.encode(certificate)));
            let stream = ClientStream::Tls(Box::new(stream));
            Some(Arrived { stream, is_http2, certificate })
        }
        Err(error) => {
            let (listener, peer) = (&*state.listener.name, state.peer.get());
            tracing::debug!(listener, %peer, %error, "the TLS handshake failed");
            None
        }
    }
}

async fn shake_hands(
    mut socket: TcpStream,
    config: Arc<rustls::ServerConfig>,
) -> io::Result<tokio_rustls::server::TlsStream<TcpStream>> {
    let mut first = [0];
    socket.peek(&mut first).await?;
    // No record of TLS begins with a letter, and every request does.
    if first[0].is_ascii_uppercase() {
        socket.write_all(NOT_TLS).await?;
        return Err(io::Error::other("the client does not speak TLS"));
    }
    TlsAcceptor::from(config).accept(socket).await
}

/// Waits for `step`, until `deadline` or until the connection's time is over.
async fn within<T>(
    step: impl Future<Output = T>,
    deadline: Option<Instant>,
    worker: &Worker,
    state: &ClientState,
    alarm: &mut Alarm,
) -> Option<T> {
    let mut step = pin!(step);
    poll_fn(|cx| {
        state.register(cx);
        if state.abort.get() || worker.is_ending() {
            return Poll::Ready(None);
        }
        if let Poll::Ready(done) = step.as_mut().poll(cx) {
            return Poll::Ready(Some(done));
        }
        let deadline = [deadline, state.closes_at()].into_iter().flatten().min();
        alarm.poll(deadline, cx).map(|()| None)
    })
    .await
}
