//! One client's connection: hyper speaks HTTP/1 on it while there is something to say, or [`http2`] HTTP/2. One alarm watches it,
//! and its end is made gentle.

use super::arrive::{self, Arrived};
use super::client::{ClientState, ListenerState, Phase};
use super::client_io::ClientIo;
use super::forwarded::Peer;
use super::http2;
use super::request_body::Incoming;
use super::service::{self, Context};
use super::timer::Alarm;
use super::upgrade;
use super::worker::Worker;
use crate::tls::Stream;
use http::Request;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use jiff::Timestamp;
use jiff::fmt::rfc2822::DateTimePrinter;
use std::convert::Infallible;
use std::future::{Future, poll_fn};
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::Poll;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout, timeout_at};

/// How long a connection that we close may pause while it still sends: closing it with bytes unread would reset it, and the
/// client might never see our last answer.
const LINGER: Duration = Duration::from_secs(2);
/// How long it may go on sending.
const LINGER_AT_MOST: Duration = Duration::from_secs(30);
/// How long a connection idles before it gives back what it only needs at work: hyper alone holds two buffers of 8 KiB. Long enough
/// for a busy client's pauses, short enough that few connections at a time hold what they do not use.
const REST_AFTER: Duration = Duration::from_millis(250);
/// The smallest buffer that hyper accepts.
const MIN_BUFFER: usize = 8 * 1024;

/// The answer to a head that took too long, without its date.
const HEADER_TIMEOUT_ANSWER: [&str; 2] = [
    "HTTP/1.1 408 Request Timeout\r\n\
     content-type: text/plain; charset=utf-8\r\ncontent-length: 76\r\nconnection: close\r\n\
     proxy-status: outrigger; error=http_request_error\r\ndate: ",
    "\r\n\r\n408 Request Timeout\nthe request's head took too long\nreason: header_timeout\n",
];

/// How a connection came to its end.
enum End {
    /// hyper is done with it: closed by agreement, or turned into something else.
    Done(Result<(), hyper::Error>),
    /// A head took too long.
    HeaderTimeout,
    /// Nothing happened for too long, or it must not live on.
    Close,
    /// A response stalled, or the time of the listener, the endpoint or the process is over.
    Abort(&'static str),
    /// Nothing happened for a while: hyper is not needed until something does.
    Rest,
    /// The client's first bytes are those of HTTP/2.
    Http2,
}

/// What comes after HTTP/1.
enum Next {
    /// Nothing: the connection has ended.
    Nothing,
    /// HTTP/1 again, once there is something to read.
    Rest(ClientIo),
    /// HTTP/2.
    Http2(ClientIo),
}

/// Serves a connection to its end. It is counted already.
pub async fn serve(
    worker: Rc<Worker>,
    stream: TcpStream,
    peer: SocketAddr,
    listener: Rc<ListenerState>,
) {
    let state =
        Rc::new(ClientState::new(peer, listener, worker.rng.borrow_mut().f32(), Instant::now()));
    state.local.set(stream.local_addr().ok());
    let key = worker.clients.borrow_mut().insert(Rc::clone(&state));
    let _registered = Registered { worker: Rc::clone(&worker), key };
    let mut alarm = Alarm::new(Rc::clone(&worker.timers));
    let arrived = arrive::arrive(stream, &worker, &state, &mut alarm).await;
    let Some(Arrived { stream, is_http2, certificate }) = arrived else { return };
    let is_tls = matches!(stream, Stream::Tls(_));
    let peer = Peer::new(state.peer.get().ip(), is_tls, certificate.as_deref());
    let context = Rc::new(Context::new(worker, Rc::clone(&state), Rc::new(peer)));
    let mut client = ClientIo::new(stream, state);
    if is_http2 {
        return Box::pin(speak_http2(&context, client, &mut alarm)).await;
    }
    while rest(&context, &client, &mut alarm).await {
        // Boxed, so that a connection that rests does not hold the memory that it needs at work.
        match Box::pin(speak(&context, client, &mut alarm)).await {
            Next::Nothing => return,
            Next::Rest(resting) => client = resting,
            Next::Http2(client) => {
                return Box::pin(speak_http2(&context, client, &mut alarm)).await;
            }
        }
    }
}

/// Lets h2 speak HTTP/2 with the client until the connection ends.
async fn speak_http2(context: &Rc<Context>, mut client: ClientIo, alarm: &mut Alarm) {
    if http2::speak(context, &mut client, alarm).await {
        // The answers that the system still sends would be lost with the first window that the client opens meanwhile.
        linger(client, b"", &context.client).await;
    }
}

/// Waits until there is something to read; `false` when the connection's time is over before.
async fn rest(context: &Context, client: &ClientIo, alarm: &mut Alarm) -> bool {
    let Context { worker, client: state, .. } = context;
    poll_fn(|cx| {
        state.register(cx);
        if state.abort.get() || worker.is_ending() {
            return Poll::Ready(false);
        }
        if client.poll_readable(cx).is_ready() {
            return Poll::Ready(true);
        }
        let deadline = [state.deadline(), state.closes_at()].into_iter().flatten().min();
        alarm.poll(deadline, cx).map(|()| false)
    })
    .await
}

/// Lets hyper speak HTTP/1 with the client until the connection ends, or until it has idled for a while.
async fn speak(context: &Rc<Context>, client: ClientIo, alarm: &mut Alarm) -> Next {
    let Context { worker, client: state, .. } = &**context;
    let limits = state.listener.limits.get();
    let service = {
        let context = Rc::clone(context);
        service_fn(move |request: Request<hyper::body::Incoming>| {
            let (parts, body) = request.into_parts();
            let served = service::serve(Rc::clone(&context), parts, Incoming::Http1(body));
            async { Ok::<_, Infallible>(served.await) }
        })
    };
    let mut connection = http1::Builder::new()
        .max_headers(limits.max_headers)
        .max_buf_size(limits.max_header_bytes.max(MIN_BUFFER))
        .serve_connection(TokioIo::new(client), service);
    let end = poll_fn(|cx| {
        state.register(cx);
        if state.abort.get() || worker.is_ending() {
            return Poll::Ready(End::Abort("shutdown"));
        }
        if let Poll::Ready(result) = Pin::new(&mut connection).poll(cx) {
            return Poll::Ready(End::Done(result));
        }
        if state.speaks_http2.get() {
            return Poll::Ready(End::Http2);
        }
        state.poll_upload(cx);
        let retires = state.streams_from().and_then(|endpoint| worker.retires_at(endpoint));
        let removal = [retires, state.closes_at()].into_iter().flatten().min();
        let rests_at = state.idles_since().map(|since| since + REST_AFTER);
        let deadline = [state.deadline(), removal, rests_at].into_iter().flatten().min();
        if alarm.poll(deadline, cx).is_pending() {
            return Poll::Pending;
        }
        let now = Instant::now();
        if removal.is_some_and(|removal| removal <= now) {
            return Poll::Ready(End::Abort("removed"));
        }
        if state.deadline().is_none_or(|deadline| now < deadline) {
            return Poll::Ready(End::Rest);
        }
        Poll::Ready(match state.phase() {
            Phase::Head => End::HeaderTimeout,
            Phase::Idle | Phase::Request => End::Close,
            Phase::Streaming(_) if state.write_deadline().is_some_and(|at| at <= now) => {
                End::Abort("write_timeout")
            }
            Phase::Streaming(_) => End::Abort("stream_idle"),
        })
    })
    .await;

    match end {
        End::Rest => {
            let parts = connection.into_parts();
            let mut client = parts.io.into_inner();
            client.unread(parts.read_buf);
            return Next::Rest(client);
        }
        End::Http2 => return Next::Http2(connection.into_parts().io.into_inner()),
        End::Abort(reason) => {
            state.abort_reason.set(Some(reason));
            drop(connection);
        }
        End::Close => drop(connection),
        End::HeaderTimeout => {
            service::record_refusal(worker, state, 408, "header_timeout");
            let client = connection.into_parts().io.into_inner();
            // A head is waited for only when hyper has nothing left to write: this cannot land inside of a response.
            let farewell = HEADER_TIMEOUT_ANSWER.join(&http_date(Timestamp::now()));
            Box::pin(linger(client, farewell.as_bytes(), state)).await;
        }
        End::Done(result) => {
            if let Err(error) = &result {
                record_bad_head(worker, state, error);
            }
            let parts = connection.into_parts();
            let mut client = parts.io.into_inner();
            let upgrade = state.upgrade.take();
            match upgrade {
                // Boxed, so that other connections do not hold memory for it.
                Some(upgrade) => {
                    client.unread(parts.read_buf);
                    Box::pin(upgrade::converse(*upgrade, client, Rc::clone(state))).await;
                }
                None => {
                    state.give_up();
                    Box::pin(linger(client, b"", state)).await;
                }
            }
        }
    }
    Next::Nothing
}

/// hyper has answered a head that it could not parse; we count and log it.
fn record_bad_head(worker: &Rc<Worker>, state: &Rc<ClientState>, error: &hyper::Error) {
    let Some(status) = state.own_status().filter(|_| error.is_parse()) else { return };
    let reason = match status {
        414 => "uri_too_long",
        431 => "headers_too_large",
        _ => "head_malformed",
    };
    service::record_refusal(worker, state, status, reason);
}

/// A time as the `Date` field has it (RFC 9110, section 5.6.7).
fn http_date(time: Timestamp) -> String {
    // It has a form for every year of four digits.
    DateTimePrinter::new().timestamp_to_rfc9110_string(&time).unwrap_or_default()
}

/// Closes gently: says `farewell` and no more, but reads what the client still sends, until it pauses for [`LINGER`]. Ends
/// after [`LINGER_AT_MOST`], with the listener's time, and when the process ends.
async fn linger(mut client: ClientIo, farewell: &[u8], state: &ClientState) {
    let until = Instant::now() + LINGER_AT_MOST;
    let until = state.closes_at().map_or(until, |closes_at| closes_at.min(until));
    let mut goodbye = pin!(async {
        // A client that reads nothing is not waited for.
        match timeout(LINGER, client.write_all(farewell)).await {
            Ok(Ok(())) => {}
            Ok(Err(_)) | Err(_) => return,
        }
        if client.shutdown().await.is_err() || state.peer_closed.get() {
            return;
        }
        let mut sink = [0; 4096];
        while let Ok(Ok(1..)) = timeout(LINGER, client.read(&mut sink)).await {}
    });
    let ended = poll_fn(|cx| {
        state.register(cx);
        if state.abort.get() { Poll::Ready(()) } else { goodbye.as_mut().poll(cx) }
    });
    let _ = timeout_at(until, ended).await;
}

/// A connection's entry in its worker's books.
struct Registered {
    worker: Rc<Worker>,
    key: usize,
}

impl Drop for Registered {
    fn drop(&mut self) {
        let client = self.worker.clients.borrow_mut().remove(self.key);
        client.give_up();
        client.listener.counters.closes();
        self.worker.leave();
    }
}
