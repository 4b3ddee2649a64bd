//! One probe: a connection of its own, one question, one verdict.
//!
//! Every probe connects anew, so that a health probe finds out whether the endpoint still accepts connections.
//! Latency counts from the request's start on the established connection to the response's head: traffic
//! usually finds a kept connection, and an answer's time is to be compared with an answer's time.

mod http2;

use crate::backend::Backend;
use crate::backend::connection::ConnectError;
use crate::endpoint::{Endpoint, Resolution};
use crate::model::{Probe, ProbeCheck};
use crate::tls::Stream;
use bytes::Bytes;
use http::{Request, StatusCode, Version, header};
use http_body::Body;
use http_body_util::{BodyExt, Empty};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;
use thiserror::Error;
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout, timeout_at};

/// How much of a body is read, in bytes.
const MAX_BODY: usize = 64 * 1024;

/// How long the rest of a body that nobody judges is read. Small bodies come with the head; to read them spares the
/// endpoint a broken connection in its log.
const DRAIN: Duration = Duration::from_millis(100);

/// Why a probe failed, in the operator's words.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub(super) enum Failure {
    /// There is no address to connect to.
    #[error("its host name has no address: {0}")]
    Unresolved(String),
    /// The system's reason why the connection was not established.
    #[error("{0}")]
    Connect(String),
    /// The connection was not established in time.
    #[error("no connection within {0:?}")]
    ConnectTimeout(Duration),
    /// The answer was not there in time.
    #[error("no answer within {0:?}")]
    AnswerTimeout(Duration),
    /// The connection broke, or what came was not HTTP.
    #[error("{0}")]
    Broken(String),
    /// A call of gRPC had another answer than it should.
    #[error("{0}")]
    Grpc(String),
    /// The answer has another status.
    #[error("status {0}, expected {1}")]
    Status(u16, String),
    /// The answer's body is another.
    #[error("the first 64 KiB of the body do not contain {0:?}")]
    Body(Arc<str>),
    /// The probe cannot be written as an HTTP request.
    #[error("not a valid HTTP request: {0}")]
    Request(String),
}

/// Probes `endpoint` of `backend` once. Gives the latency: to the response's head, or to the connection for a TCP probe.
pub(super) async fn check(
    backend: &Backend,
    endpoint: &Endpoint,
    probe: &Probe,
) -> Result<Duration, Failure> {
    let started = Instant::now();
    let deadline = started + probe.timeout;
    let resolution = Arc::clone(&endpoint.resolution());
    let (socket, address) = connect(&resolution, probe.timeout, deadline).await?;
    if probe.check == ProbeCheck::Tcp {
        return Ok(started.elapsed());
    }
    let dial = backend.dial(endpoint, &resolution, None);
    let stream = dial.begin(socket, address, Some(deadline)).await;
    let stream = stream.map_err(|error| not_begun(error, probe.timeout))?;
    timeout_at(deadline, ask(endpoint, stream, dial.http2, probe))
        .await
        .unwrap_or(Err(Failure::AnswerTimeout(probe.timeout)))
}

/// Asks what the probe asks.
async fn ask(
    endpoint: &Endpoint,
    stream: Stream,
    is_http2: bool,
    probe: &Probe,
) -> Result<Duration, Failure> {
    let url = endpoint.url();
    match &probe.check {
        ProbeCheck::Http { path, host, statuses, body } => {
            let host = host.as_ref().map_or_else(|| url.authority(), ToString::to_string);
            let request = Request::get(match is_http2 {
                true => format!("{}://{host}{}{path}", url.scheme.as_str(), url.path),
                false => format!("{}{path}", url.path),
            })
            .header(header::USER_AGENT, "outrigger-probe")
            .header(header::ACCEPT, "*/*");
            if is_http2 {
                let request = request.body(()).map_err(invalid)?;
                // Whatever it spoke before.
                endpoint.set_speaks_http10(false);
                return http2::get(stream, request, statuses, body.as_ref()).await;
            }
            let request = request
                .header(header::HOST, host)
                .header(header::CONNECTION, "close")
                .body(Empty::<Bytes>::new())
                .map_err(invalid)?;
            exchange(endpoint, stream, request, statuses, body.as_ref()).await
        }
        ProbeCheck::Grpc { service } => http2::grpc(stream, url, service).await,
        ProbeCheck::Tcp => Ok(Duration::ZERO),
    }
}

fn invalid(error: http::Error) -> Failure {
    Failure::Request(error.to_string())
}

/// Why nothing could be asked on a socket that was connected.
fn not_begun(error: ConnectError, limit: Duration) -> Failure {
    match error {
        ConnectError::Tls { fault, .. } => Failure::Connect(fault.to_string()),
        ConnectError::Failed { source, .. } => Failure::Connect(in_words(&source)),
        ConnectError::TimedOut { .. } | ConnectError::HandshakeTimedOut { .. } => {
            Failure::ConnectTimeout(limit)
        }
        ConnectError::Http2 { reason, .. } => Failure::Connect(reason),
        ConnectError::NoAddress(_) | ConnectError::Exhausted(_) => {
            Failure::Connect(error.to_string())
        }
    }
}

/// Connects to the first address that accepts; each gets an equal part of the time that is left.
async fn connect(
    resolution: &Resolution,
    limit: Duration,
    deadline: Instant,
) -> Result<(TcpStream, SocketAddr), Failure> {
    let mut first_failure = None;
    for (index, address) in resolution.addresses.iter().enumerate() {
        let left = (resolution.addresses.len() - index) as u32;
        let part = deadline.saturating_duration_since(Instant::now()) / left;
        let failure = match timeout(part, TcpStream::connect(address)).await {
            Ok(Ok(stream)) => return Ok((stream, *address)),
            Ok(Err(error)) => Failure::Connect(in_words(&error)),
            Err(_) => Failure::ConnectTimeout(limit),
        };
        // The first address is the one that people mean: `::1` refuses differently where there is no IPv6.
        first_failure.get_or_insert(failure);
    }
    Err(first_failure.unwrap_or_else(|| {
        let error = resolution.error.as_deref().unwrap_or("not looked up yet");
        Failure::Unresolved(error.to_owned())
    }))
}

async fn exchange(
    endpoint: &Endpoint,
    stream: Stream,
    request: Request<Empty<Bytes>>,
    statuses: &[(u16, u16)],
    text: Option<&Arc<str>>,
) -> Result<Duration, Failure> {
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(broken)?;
    let answer = async move {
        let started = Instant::now();
        let response = sender.send_request(request).await.map_err(broken)?;
        let latency = started.elapsed();
        // So that the first upload to it needs not find out.
        endpoint.set_speaks_http10(response.version() == Version::HTTP_10);
        let (head, body) = response.into_parts();
        judge(head.status, body, statuses, text, broken).await.map(|()| latency)
    };
    let (mut connection, mut answer) = (pin!(connection), pin!(answer));
    tokio::select! {
        biased;
        verdict = &mut answer => return verdict,
        _ = &mut connection => {}
    }
    // The endpoint closed; what came before that is still to be judged.
    answer.await
}

async fn judge<B: Body<Data = Bytes> + Unpin>(
    status: StatusCode,
    body: B,
    statuses: &[(u16, u16)],
    text: Option<&Arc<str>>,
    broken: impl Fn(B::Error) -> Failure,
) -> Result<(), Failure> {
    let expected = is_expected(status, statuses);
    match text {
        Some(text) if expected => match search(body, Some(text.as_bytes())).await {
            Ok(true) => Ok(()),
            Ok(false) => Err(Failure::Body(Arc::clone(text))),
            Err(error) => Err(broken(error)),
        },
        _ => {
            let _ = timeout(DRAIN, search(body, None)).await;
            if expected { Ok(()) } else { Err(unexpected(status, statuses)) }
        }
    }
}

fn is_expected(status: StatusCode, statuses: &[(u16, u16)]) -> bool {
    statuses.iter().any(|(low, high)| (*low..=*high).contains(&status.as_u16()))
}

fn unexpected(status: StatusCode, statuses: &[(u16, u16)]) -> Failure {
    let range = |(low, high): &(u16, u16)| {
        if low == high { low.to_string() } else { format!("{low}-{high}") }
    };
    let expected: Vec<_> = statuses.iter().map(range).collect();
    Failure::Status(status.as_u16(), expected.join(", "))
}

/// Reads until `text` has been seen, or to the end, or to the limit.
async fn search<B: Body<Data = Bytes> + Unpin>(
    mut body: B,
    text: Option<&[u8]>,
) -> Result<bool, B::Error> {
    if text.is_some_and(<[u8]>::is_empty) {
        return Ok(true);
    }
    let mut seen = Vec::new();
    while let Some(frame) = body.frame().await {
        let Ok(data) = frame?.into_data() else { continue };
        let searched = seen.len();
        seen.extend_from_slice(&data[..data.len().min(MAX_BODY - searched)]);
        if let Some(text) = text {
            // The text may have begun in the piece before.
            let from = searched.saturating_sub(text.len() - 1);
            if seen[from..].windows(text.len()).any(|window| window == text) {
                return Ok(true);
            }
        }
        if seen.len() == MAX_BODY {
            break;
        }
    }
    Ok(false)
}

fn broken(error: hyper::Error) -> Failure {
    let io =
        std::error::Error::source(&error).and_then(|source| source.downcast_ref::<io::Error>());
    Failure::Broken(if error.is_incomplete_message() {
        "the connection was closed before the answer was complete".to_owned()
    } else if error.is_parse() {
        format!("the answer is not HTTP: {error}")
    } else if let Some(io) = io {
        in_words(io)
    } else {
        error.to_string()
    })
}

fn in_words(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::ConnectionRefused => "connection refused".to_owned(),
        io::ErrorKind::ConnectionReset => "connection reset".to_owned(),
        io::ErrorKind::HostUnreachable => "no route to the host".to_owned(),
        io::ErrorKind::NetworkUnreachable => "no route to its network".to_owned(),
        _ => error.to_string(),
    }
}

#[cfg(test)]
mod tests;
