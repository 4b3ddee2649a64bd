//! One stream: a request, its response, and what must end when either side has had enough.

use super::super::body::ProxyBody;
use super::super::client::ClientState;
use super::super::request_body::{Http2Body, Incoming};
use super::super::service::{self, Context};
use super::super::upgrade;
use super::OpenStream;
use super::tunnel::{self, Tunnel};
use crate::backend::http2::room;
use bytes::Bytes;
use h2::server::SendResponse;
use h2::{Reason, RecvStream, SendStream};
use http::{HeaderValue, Method, Response, StatusCode, header, request::Parts};
use http_body::Body;
use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{Poll, ready};
use tokio::time::Instant;

/// Serves one request to its end.
pub async fn serve(
    connection: Rc<Context>,
    mut parts: Parts,
    body: RecvStream,
    respond: SendResponse<Bytes>,
    open: OpenStream,
) {
    let state = Rc::new(connection.client.stream(Instant::now()));
    let worker = Rc::clone(&connection.worker);
    let key = worker.clients.borrow_mut().insert(Rc::clone(&state));
    let _registered = Registered { worker: Rc::clone(&worker), key };
    let context = Rc::new(Context::new(worker, state, Rc::clone(&connection.peer)));
    join_cookies(&mut parts);
    let is_head = parts.method == Method::HEAD;
    if tunnel::asks_for_websocket(&parts) {
        // Boxed, so that other requests do not move memory for it.
        return Box::pin(serve_websocket(&context, &open, parts, body, respond)).await;
    }
    let body = Http2Body::new(body, Rc::clone(&context.client), &parts.headers);
    let response = answer(&context, &open, parts, Incoming::Http2(body), respond).await;
    let Some((response, respond)) = response else { return };
    pass_on(&context, response, respond, is_head).await;
}

/// Serves a request that asks for a WebSocket.
async fn serve_websocket(
    context: &Rc<Context>,
    open: &OpenStream,
    mut parts: Parts,
    body: RecvStream,
    respond: SendResponse<Bytes>,
) {
    tunnel::as_http1(&mut parts);
    let response = answer(context, open, parts, Incoming::Empty, respond).await;
    let Some((response, respond)) = response else { return };
    let upgrade = context.client.upgrade.take();
    match upgrade {
        Some(upgrade) => {
            let Some(send) = tunnel::accept(response, respond) else { return };
            let tunnel = Tunnel::new(send, body, Rc::clone(&context.client));
            upgrade::converse(*upgrade, tunnel, Rc::clone(&context.client)).await;
        }
        None => pass_on(context, refused(response), respond, false).await,
    }
}

/// The answer of an endpoint that opens no tunnel. A success would say that there is one (RFC 8441, section 5).
fn refused(mut response: Response<ProxyBody>) -> Response<ProxyBody> {
    if response.status().is_success() {
        *response.status_mut() = StatusCode::BAD_GATEWAY;
        let status = HeaderValue::from_static("outrigger; error=http_upgrade_failed");
        response.headers_mut().insert("proxy-status", status);
    }
    response
}

/// Waits for the response's head; `None` if the client wants it no more.
async fn answer(
    context: &Rc<Context>,
    open: &OpenStream,
    parts: Parts,
    body: Incoming,
    mut respond: SendResponse<Bytes>,
) -> Option<(Response<ProxyBody>, SendResponse<Bytes>)> {
    let state = &context.client;
    let mut service = pin!(service::serve(Rc::clone(context), parts, body));
    let response = poll_fn(|cx| {
        state.register(cx);
        if is_given_up(context) {
            state.abort_reason.set(Some("shutdown"));
            return Poll::Ready(None);
        }
        if respond.poll_reset(cx).is_ready() {
            open.is_abandoned();
            return Poll::Ready(None);
        }
        let polled = service.as_mut().poll(cx);
        for (status, headers) in state.interim.take() {
            let mut interim = Response::new(());
            *interim.status_mut() = status;
            *interim.headers_mut() = headers;
            // A client that is gone shows below.
            let _ = respond.send_informational(interim);
        }
        polled.map(Some)
    })
    .await;
    match response {
        Some(response) => Some((response, respond)),
        None => {
            respond.send_reset(Reason::CANCEL);
            None
        }
    }
}

/// Whether the connection's time is over.
fn is_given_up(context: &Context) -> bool {
    context.client.abort.get() || context.worker.is_ending()
}

/// Sends a response to its end.
async fn pass_on(
    context: &Context,
    response: Response<ProxyBody>,
    mut respond: SendResponse<Bytes>,
    is_head: bool,
) {
    let (mut head, body) = response.into_parts();
    finish_head(&mut head, &body, context);
    let ends = is_head || body.is_end_stream();
    let state = &context.client;
    // The endpoint's reason phrase has no place in HTTP/2.
    let Ok(mut send) = respond.send_response(http::Response::from_parts(head, ()), ends) else {
        return;
    };
    if ends {
        drop(body);
        return state.all_written();
    }
    let mut body = pin!(body);
    let mut chunk = Bytes::new();
    let end = poll_fn(|cx| {
        state.register(cx);
        if is_given_up(context) {
            return Poll::Ready(End::Cut("shutdown"));
        }
        if send.poll_reset(cx).is_ready() {
            return Poll::Ready(End::Gone);
        }
        state.poll_upload(cx);
        if let Poll::Ready(end) = poll_send(state, &mut send, body.as_mut(), &mut chunk, cx) {
            return Poll::Ready(end);
        }
        let retires = state.streams_from().and_then(|id| context.worker.retires_at(id));
        let removal = [retires, state.closes_at()].into_iter().flatten().min();
        let deadline = [state.deadline(), removal].into_iter().flatten().min();
        ready!(context.alarm.borrow_mut().poll(deadline, cx));
        let now = Instant::now();
        Poll::Ready(End::Cut(match state.write_deadline() {
            _ if removal.is_some_and(|at| at <= now) => "removed",
            Some(at) if at <= now => "write_timeout",
            Some(_) | None => "stream_idle",
        }))
    })
    .await;
    match end {
        End::Sent => state.all_written(),
        End::Gone => {}
        End::Failed => {
            // A reset takes back what the connection has not written yet.
            tokio::task::yield_now().await;
            send.send_reset(Reason::INTERNAL_ERROR);
        }
        End::Cut(reason) => {
            state.abort_reason.set(Some(reason));
            send.send_reset(Reason::CANCEL);
        }
    }
}

/// How a response came to its end.
enum End {
    /// All of it was sent.
    Sent,
    /// The client does not want it any more.
    Gone,
    /// The endpoint did not give the rest.
    Failed,
    /// We give up, and why.
    Cut(&'static str),
}

/// Sends what the client takes of `body`. No more is asked of the endpoint before what came has been taken.
fn poll_send(
    state: &ClientState,
    send: &mut SendStream<Bytes>,
    mut body: Pin<&mut ProxyBody>,
    chunk: &mut Bytes,
    cx: &mut std::task::Context<'_>,
) -> Poll<End> {
    loop {
        while !chunk.is_empty() {
            let size = match room(send, chunk.len(), cx) {
                Poll::Ready(Ok(room)) => room.min(chunk.len()),
                Poll::Ready(Err(_)) => return Poll::Ready(End::Gone),
                Poll::Pending => {
                    state.is_blocked();
                    return Poll::Pending;
                }
            };
            let piece = chunk.split_to(size);
            let ends = chunk.is_empty() && body.is_end_stream();
            state.progresses();
            if send.send_data(piece, ends).is_err() {
                return Poll::Ready(End::Gone);
            }
            if ends {
                return Poll::Ready(End::Sent);
            }
        }
        let frame = match body.as_mut().poll_frame(cx) {
            Poll::Ready(frame) => frame,
            // It was cut, and the body wants to know first that nothing is lost.
            Poll::Pending if state.is_unwritten() => {
                state.handed_over();
                continue;
            }
            Poll::Pending => return Poll::Pending,
        };
        match frame {
            None => {
                let sent = send.send_data(Bytes::new(), true);
                return Poll::Ready(if sent.is_ok() { End::Sent } else { End::Gone });
            }
            Some(Err(_)) => return Poll::Ready(End::Failed),
            Some(Ok(frame)) => match frame.into_data() {
                Ok(data) => *chunk = data,
                Err(frame) => {
                    let trailers = frame.into_trailers().unwrap_or_default();
                    let sent = send.send_trailers(trailers);
                    return Poll::Ready(if sent.is_ok() { End::Sent } else { End::Gone });
                }
            },
        }
    }
}

/// Completes a head as hyper does for HTTP/1: with the date, and the length of what is known.
fn finish_head(head: &mut http::response::Parts, body: &ProxyBody, context: &Context) {
    head.version = http::Version::HTTP_2;
    head.extensions.clear();
    let headers = &mut head.headers;
    // What only HTTP/1 says of a connection (RFC 9113, section 8.2.2), by a filter for example.
    for name in [header::CONNECTION, header::UPGRADE, header::TRANSFER_ENCODING] {
        headers.remove(name);
    }
    for name in ["keep-alive", "proxy-connection"] {
        headers.remove(name);
    }
    if !headers.contains_key(header::DATE) {
        headers.insert(header::DATE, context.worker.date());
    }
    let has_length = headers.contains_key(header::CONTENT_LENGTH);
    let may_have_length =
        head.status != StatusCode::NO_CONTENT && head.status != StatusCode::NOT_MODIFIED;
    if let Some(length) = body.size_hint().exact().filter(|_| !has_length && may_have_length) {
        headers.insert(header::CONTENT_LENGTH, HeaderValue::from(length));
    }
}

/// Puts the crumbs of a cookie together: endpoints of HTTP/1 want one field (RFC 9113, section 8.2.3).
fn join_cookies(parts: &mut Parts) {
    let http::header::Entry::Occupied(entry) = parts.headers.entry(header::COOKIE) else { return };
    if entry.iter().nth(1).is_none() {
        return;
    }
    let crumbs: Vec<_> = entry.iter().map(HeaderValue::as_bytes).collect();
    let cookie = HeaderValue::from_bytes(&crumbs.join(&b"; "[..]));
    // Every part was a value, and so is the whole.
    if let Ok(cookie) = cookie {
        parts.headers.insert(header::COOKIE, cookie);
    }
}

/// A stream's entry in its worker's books.
struct Registered {
    worker: Rc<super::super::worker::Worker>,
    key: usize,
}

impl Drop for Registered {
    fn drop(&mut self) {
        self.worker.clients.borrow_mut().remove(self.key).give_up();
        self.worker.stream_ended();
    }
}
