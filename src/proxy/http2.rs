//! HTTP/2 with a client: one connection, a task for each of its streams. A request and its response go the same way as by HTTP/1.
//!
//! What one client may cost is bounded: streams at once, the size and number of a request's fields, streams that are reset (by
//! either side), small frames, what is buffered, and the time for which it may take nothing.
//!
//! Source: RFC 9113; RFC 8441 for WebSockets.

mod stream;
mod tunnel;

use super::arrive::{FAREWELL, within};
use super::client::ClientState;
use super::client_io::ClientIo;
use super::service::Context;
use super::timer::Alarm;
use bytes::Bytes;
use h2::server::{Connection, SendResponse};
use h2::{Reason, RecvStream};
use http::Request;
use std::cell::Cell;
use std::future::poll_fn;
use std::rc::Rc;
use std::task::Poll;
use tokio::time::Instant;

/// How much of a request's body may come before an endpoint takes it, in bytes. That of the connection has room for as many as there
/// may be streams, so that uploads that stall, be they other people's whom the same proxy serves, stop nobody else's: a client that
/// uses all of it costs 16 MiB.
const STREAM_WINDOW: u32 = 128 * 1024;
/// The largest window that there can be (RFC 9113, section 6.9.1).
const MAX_WINDOW: u32 = (1 << 31) - 1;
/// How much of a response is handed over to h2 before it is written, in bytes.
const SEND_BUFFER: usize = 64 * 1024;
/// How many streams a client may reset while they have not even been looked at, and how many it may make us reset ("rapid reset",
/// CVE-2023-44487; "MadeYouReset", CVE-2025-8671), before the connection is closed.
const MAX_RESETS: usize = 64;
const MAX_OUR_RESETS: usize = 256;

/// How many requests a client may give up before they are answered, if they are most of its requests: each may have cost an endpoint
/// its work. As in Envoy.
const MAX_ABANDONED: u64 = 500;

/// What the streams of a connection have in common.
struct Streams {
    open: Cell<usize>,
    begun: Cell<u64>,
    /// How many the client gave up before they were answered.
    abandoned: Cell<u64>,
    /// When the last one ended.
    idle_since: Cell<Instant>,
}

impl Streams {
    fn new() -> Self {
        Self {
            open: Cell::new(0),
            begun: Cell::new(0),
            abandoned: Cell::new(0),
            idle_since: Cell::new(Instant::now()),
        }
    }

    /// Whether the client gives most requests up.
    fn are_too_many_abandoned(&self) -> bool {
        let abandoned = self.abandoned.get();
        abandoned >= MAX_ABANDONED && abandoned * 2 > self.begun.get()
    }
}

/// One open stream.
struct OpenStream {
    streams: Rc<Streams>,
    connection: Rc<ClientState>,
}

impl OpenStream {
    fn new(streams: &Rc<Streams>, connection: &Rc<ClientState>) -> Self {
        streams.open.update(|open| open + 1);
        streams.begun.update(|begun| begun + 1);
        Self { streams: Rc::clone(streams), connection: Rc::clone(connection) }
    }

    /// The client has given it up before it was answered.
    fn is_abandoned(&self) {
        self.streams.abandoned.update(|abandoned| abandoned + 1);
        if self.streams.are_too_many_abandoned() {
            self.connection.wake();
        }
    }
}

impl Drop for OpenStream {
    fn drop(&mut self) {
        let left = self.streams.open.get() - 1;
        self.streams.open.set(left);
        if left == 0 {
            self.streams.idle_since.set(Instant::now());
            self.connection.wake();
        }
    }
}

/// Speaks HTTP/2 with a client until the connection ends. Returns whether that was by agreement: then the last answer may still be on
/// its way.
pub async fn speak(context: &Rc<Context>, client: &mut ClientIo, alarm: &mut Alarm) -> bool {
    let Context { worker, client: state, .. } = &**context;
    let Some(mut connection) = begin(context, client, alarm).await else { return false };
    let streams = Rc::new(Streams::new());
    let mut is_sent_away = false;
    let mut told_at: Option<Instant> = None;
    poll_fn(|cx| {
        state.register(cx);
        if state.abort.get() || worker.is_ending() {
            state.abort_reason.set(Some("shutdown"));
            return Poll::Ready(false);
        }
        loop {
            if !is_sent_away && streams.are_too_many_abandoned() {
                is_sent_away = true;
                connection.abrupt_shutdown(Reason::ENHANCE_YOUR_CALM);
            }
            match connection.poll_accept(cx) {
                Poll::Ready(Some(Ok((request, respond)))) => {
                    let open = OpenStream::new(&streams, state);
                    serve(context, request, respond, open);
                    // There may be more, of which nobody would tell us again.
                    continue;
                }
                Poll::Ready(Some(Err(error))) => {
                    let (listener, peer) = (&*state.listener.name, state.peer.get());
                    tracing::debug!(listener, %peer, %error, "an HTTP/2 connection failed");
                    return Poll::Ready(false);
                }
                Poll::Ready(None) => return Poll::Ready(true),
                Poll::Pending => {}
            }
            let idle_since = (streams.open.get() == 0).then(|| streams.idle_since.get());
            let idles_until = || {
                let timeout = state.listener.limits.get().idle_timeout;
                idle_since.zip(timeout).map(|(since, timeout)| since + timeout)
            };
            let goes_at = match told_at {
                None => [idles_until(), state.ages_at()].into_iter().flatten().min(),
                Some(told_at) => idle_since.map(|since| since.max(told_at) + FAREWELL),
            };
            let cut_at = [state.write_deadline(), state.closes_at()].into_iter().flatten().min();
            let asked_to_go = told_at.is_none()
                && (worker.closing.get() || state.listener.closes_at.get().is_some());
            if !asked_to_go
                && alarm.poll([goes_at, cut_at].into_iter().flatten().min(), cx).is_pending()
            {
                return Poll::Pending;
            }
            let now = Instant::now();
            if cut_at.is_some_and(|at| at <= now) {
                let stalls = state.write_deadline().is_some_and(|at| at <= now);
                state.abort_reason.set(Some(if stalls { "write_timeout" } else { "removed" }));
                return Poll::Ready(false);
            }
            if told_at.is_some() {
                return Poll::Ready(true);
            }
            told_at = Some(now);
            connection.graceful_shutdown();
        }
    })
    .await
}

/// Exchanges the first frames.
async fn begin<'a>(
    context: &Context,
    client: &'a mut ClientIo,
    alarm: &mut Alarm,
) -> Option<Connection<&'a mut ClientIo, Bytes>> {
    let Context { worker, client: state, .. } = context;
    let limits = state.listener.limits.get();
    let handshake = h2::server::Builder::new()
        .initial_window_size(STREAM_WINDOW)
        .initial_connection_window_size(
            limits.max_concurrent_streams.saturating_mul(STREAM_WINDOW).min(MAX_WINDOW),
        )
        .max_concurrent_streams(limits.max_concurrent_streams)
        .max_header_list_size(u32::try_from(limits.max_header_bytes).unwrap_or(u32::MAX))
        .max_send_buffer_size(SEND_BUFFER)
        .max_pending_accept_reset_streams(MAX_RESETS)
        .max_local_error_reset_streams(Some(MAX_OUR_RESETS))
        .enable_connect_protocol()
        .handshake::<_, Bytes>(client);
    let deadline = limits.header_timeout.map(|timeout| Instant::now() + timeout);
    within(handshake, deadline, worker, state, alarm).await?.ok()
}

fn serve(
    context: &Rc<Context>,
    request: Request<RecvStream>,
    mut respond: SendResponse<Bytes>,
    open: OpenStream,
) {
    let (parts, body) = request.into_parts();
    // With each crumb of a cookie a field (RFC 9113, section 8.2.3), few bytes make many fields.
    if parts.headers.len() > context.client.listener.limits.get().max_headers {
        let worker = &context.worker;
        super::service::record_refusal(worker, &context.client, 431, "headers_too_large");
        let mut response = http::Response::new(());
        *response.status_mut() = http::StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE;
        if respond.send_response(response, true).is_err() {
            respond.send_reset(Reason::CANCEL);
        }
        return;
    }
    // Boxed, because tokio moves what a task is when it begins and when it ends.
    tokio::task::spawn_local(Box::pin(stream::serve(
        Rc::clone(context),
        parts,
        body,
        respond,
        open,
    )));
}
