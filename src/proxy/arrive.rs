//! Before the first request: who the client is, if a proxy in front of us says so, and the TLS handshake.

use super::client::ClientState;
use super::timer::Alarm;
use super::worker::Worker;
use crate::model::ProxyProtocol;
use crate::proxy_protocol::{self, Parsed};
use crate::telemetry::metrics::{Handshake, Refusal};
use crate::tls;
use crate::tls::Stream;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use rustls::{HandshakeKind, ProtocolVersion};
use std::future::{Future, poll_fn};
use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::Instant;

/// The answer to HTTP where TLS is spoken.
const NOT_TLS: &[u8] = b"HTTP/1.1 400 Bad Request\r\n\
    content-type: text/plain; charset=utf-8\r\ncontent-length: 81\r\nconnection: close\r\n\
    proxy-status: outrigger; error=tls_protocol_error\r\n\r\n\
    400 Bad Request\nthis port speaks TLS: ask it with https://\nreason: not_encrypted\n";

/// How long a header of the PROXY protocol that has come in part is left alone. It comes in one piece, in practice.
const PARTIAL_PAUSE: Duration = Duration::from_millis(5);

/// How long a client that is to go may take until it has gone, when it asks for nothing more; and how long it may still take to
/// begin, for it may have been on its way.
pub const FAREWELL: Duration = Duration::from_secs(2);

/// A connection that may begin to speak.
#[derive(Debug)]
pub struct Arrived {
    /// The socket.
    pub stream: Stream,
    /// Whether it was agreed to speak HTTP/2.
    pub is_http2: bool,
    /// The client's certificate for endpoints: the value of `Client-Cert` (RFC 9440).
    pub certificate: Option<String>,
}

/// Receives a client: `None` if it does not come to a first request.
pub async fn arrive(
    mut socket: TcpStream,
    worker: &Worker,
    state: &ClientState,
    alarm: &mut Alarm,
) -> Option<Arrived> {
    let timeout = state.listener.limits.get().handshake_timeout;
    let deadline = timeout.map(|timeout| Instant::now() + timeout);
    if state.listener.proxy_protocol.get() != ProxyProtocol::Disabled {
        let announced = Box::pin(announce(&mut socket, state));
        let announced = within(announced, deadline, worker, state, alarm).await;
        if announced.is_none() && is_over(deadline) {
            state.listener.counters.refuses(Refusal::Timeout);
        }
        match announced? {
            Ok(None) => {}
            Ok(Some(client)) => state.peer.set(client),
            Err(reason) => {
                state.listener.counters.refuses(Refusal::ProxyProtocol);
                turn_away(state, &format!("its header of the PROXY protocol: {reason}"));
                return None;
            }
        }
    }
    let tls = state.listener.tls.borrow().clone();
    let Some(server) = tls else {
        let stream = Stream::Plain(socket);
        return Some(Arrived { stream, is_http2: false, certificate: None });
    };
    let shaking = Box::pin(shake_hands(socket, server));
    let shaken = within(shaking, deadline, worker, state, alarm).await;
    if shaken.is_none() && is_over(deadline) {
        state.listener.counters.shakes_hands(Handshake::TimedOut);
        state.listener.counters.refuses(Refusal::Timeout);
    }
    match shaken? {
        Ok(stream) => {
            let (_, session) = stream.get_ref();
            state.listener.counters.shakes_hands(how(session));
            let is_http2 = session.alpn_protocol() == Some(b"h2");
            let certificate = session
                .peer_certificates()
                .filter(|_| state.listener.forward_certificate.get())
                .and_then(|chain| chain.first())
                .map(|certificate| format!(":{}:", BASE64_STANDARD.encode(certificate)));
            let stream = Stream::Tls(Box::new(stream.into()));
            Some(Arrived { stream, is_http2, certificate })
        }
        Err(error) => {
            state.listener.counters.shakes_hands(Handshake::Failed);
            state.listener.counters.refuses(Refusal::Tls);
            turn_away(state, &format!("the TLS handshake failed: {error}"));
            None
        }
    }
}

/// Whether the time of the handshakes is over; else it was the connection's.
fn is_over(deadline: Option<Instant>) -> bool {
    deadline.is_some_and(|deadline| deadline <= Instant::now())
}

/// How a handshake went that has ended well.
fn how(session: &rustls::ServerConnection) -> Handshake {
    let is_resumed = session.handshake_kind() == Some(HandshakeKind::Resumed);
    match (is_resumed, session.protocol_version() == Some(ProtocolVersion::TLSv1_2)) {
        (false, true) => Handshake::Full12,
        (false, false) => Handshake::Full13,
        (true, true) => Handshake::Resumed12,
        (true, false) => Handshake::Resumed13,
    }
}

/// Says why a client does not come to a request. Strangers try a lot: it is for who looks for it.
fn turn_away(state: &ClientState, reason: &str) {
    let (listener, peer) = (&*state.listener.name, state.peer.get());
    tracing::debug!(listener, %peer, "a client is turned away: {reason}");
}

/// Reads the header that names the client, if there is one. Nothing behind it is taken from the socket.
async fn announce(
    socket: &mut TcpStream,
    state: &ClientState,
) -> Result<Option<SocketAddr>, String> {
    let is_required = state.listener.proxy_protocol.get() == ProxyProtocol::Require;
    let peer = state.peer.get().ip().to_canonical();
    let trusts = |network: &ipnet::IpNet| network.contains(&peer);
    if !state.listener.trusted_proxies.borrow().iter().any(trusts) {
        let untrusted = "it is required, and the peer is not among trustedProxies";
        return if is_required { Err(untrusted.to_owned()) } else { Ok(None) };
    }
    let mut bytes = [0; proxy_protocol::MAX_LENGTH];
    loop {
        let length = socket.peek(&mut bytes).await.map_err(|error| error.to_string())?;
        match proxy_protocol::parse(&bytes[..length]) {
            Ok(Parsed::Header { length, source, .. }) => {
                let read = socket.read_exact(&mut bytes[..length]).await;
                return read.map(|_| source).map_err(|error| error.to_string());
            }
            Ok(Parsed::Absent) if is_required => return Err("there is none".to_owned()),
            Ok(Parsed::Absent) => return Ok(None),
            // The system does not tell of more while there is something to look at.
            Ok(Parsed::Partial) if length > 0 => tokio::time::sleep(PARTIAL_PAUSE).await,
            Ok(Parsed::Partial) => return Err("the connection ended before it".to_owned()),
            Err(error) => return Err(error.to_string()),
        }
    }
}

async fn shake_hands(
    mut socket: TcpStream,
    server: Arc<tls::Server>,
) -> io::Result<tokio_rustls::server::TlsStream<TcpStream>> {
    let mut first = [0];
    socket.peek(&mut first).await?;
    // No record of TLS begins with a letter, and every request does.
    if first[0].is_ascii_uppercase() {
        socket.write_all(NOT_TLS).await?;
        return Err(io::Error::other("the client does not speak TLS"));
    }
    server.accept(socket).await
}

/// Waits for `step`, until `deadline` or until the connection's time is over. A drain does not wait for who says nothing.
pub async fn within<T>(
    step: impl Future<Output = T>,
    deadline: Option<Instant>,
    worker: &Worker,
    state: &ClientState,
    alarm: &mut Alarm,
) -> Option<T> {
    let mut step = pin!(step);
    let mut hurries_since = None;
    poll_fn(|cx| {
        state.register(cx);
        if state.abort.get() || worker.is_ending() {
            return Poll::Ready(None);
        }
        if let Poll::Ready(done) = step.as_mut().poll(cx) {
            return Poll::Ready(Some(done));
        }
        if worker.closing.get() || state.listener.closes_at.get().is_some() {
            hurries_since.get_or_insert_with(Instant::now);
        }
        let hurry = hurries_since.map(|since| since + FAREWELL);
        let deadline = [deadline, hurry, state.closes_at()].into_iter().flatten().min();
        alarm.poll(deadline, cx).map(|()| None)
    })
    .await
}
