//! One attempt: a connection, the request's head and body, and the wait for the response's head.

use super::again::{Cause, Failure, cause, failure};
use super::{Answer, Attempt, Inbound, Journey};
use crate::backend::connection::{ConnectError, Connection};
use crate::backend::http1::response::Head;
use crate::backend::http1::{Exchange, Framing, Request};
use crate::clock::Nanos;
use crate::endpoint::Endpoint;
use crate::proxy::error::ProxyError;
use crate::proxy::filters::takes_away;
use crate::proxy::forwarded::Forwarded;
use crate::proxy::headers::{self, Outbound};
use crate::proxy::request_body::{REPLAY_LIMIT, RequestBody};
use crate::proxy::service::scheme;
use http::{Method, StatusCode, Version, header};
use std::cell::RefCell;
use std::future::poll_fn;
use std::rc::Rc;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;
use tokio::time::Instant;

/// How long an endpoint may keep a client's body waiting for its 100 (Continue); many never send one.
const CONTINUE_WAIT: Duration = Duration::from_secs(1);
/// How soon a connection that the endpoint had closed while it idled shows it: what we write meets a close on its way to us, or
/// a reset comes back for it, within one round trip. This is one between most continents. Whatever fails later is the work
/// of an endpoint that had the request, and is held to the rules of retries.
const STALE_WITHIN: Duration = Duration::from_millis(250);
/// How often a socket is looked for when there is none left, and for how long if `timeouts.connect` does not say.
const EXHAUSTED_PAUSE: Duration = Duration::from_millis(10);
const EXHAUSTED_AT_MOST: Duration = Duration::from_secs(2);

impl Journey<'_> {
    /// One attempt on `endpoint`.
    pub(super) async fn attempt(
        &mut self,
        endpoint: &Arc<Endpoint>,
        mut body: RequestBody,
    ) -> Attempt {
        self.record.attempts += 1;
        let framing = match self.framing_for(endpoint, &mut body).await {
            Ok(framing) => framing,
            Err(error) => {
                let cause = Cause::Fatal;
                return Attempt::Failed(Failure { error, cause, processed: false, body });
            }
        };
        let connection = match self.connect(endpoint).await {
            Ok(connection) => connection,
            Err(error) => {
                let cause = cause(&error, false);
                return Attempt::Failed(Failure { error, cause, processed: false, body });
            }
        };
        let is_reused = connection.is_reused;
        let started = if is_reused && self.record.attempts == 1 && self.framing == Framing::Empty {
            self.record.started
        } else {
            Instant::now()
        };
        let mut exchange = self.exchange(endpoint, connection, framing, body);
        match self.await_head(&mut exchange, started).await {
            Ok(head) => {
                let now = Instant::now();
                self.note(endpoint, &exchange, &head, started, now);
                if self.retries_status(head.status, exchange.body()) {
                    return Attempt::Discarded(self.discard(endpoint, exchange, now));
                }
                Attempt::Answered(self.accept(endpoint, exchange, head, now))
            }
            Err(error) => {
                let at_once = is_reused && started.elapsed() < STALE_WITHIN;
                Attempt::Failed(failure(exchange, error, at_once))
            }
        }
    }

    /// The exchange of an attempt, ready to be sent.
    fn exchange(
        &self,
        endpoint: &Endpoint,
        mut connection: Connection,
        framing: Framing,
        body: RequestBody,
    ) -> Exchange<RequestBody> {
        let mut head = std::mem::take(&mut connection.scratch);
        let Inbound { parts, present, host, route, .. } = self.inbound;
        let filters = &route.model.filters;
        let upgrade = present.upgrade.then(|| headers::upgrade(parts)).flatten();
        let client = self.record.client_address;
        let scheme = match client {
            Some(_) => scheme(self.context, &parts.headers),
            None => self.context.peer.scheme,
        };
        let forwarded = Forwarded { peer: &self.context.peer, client, scheme, host };
        self.record.request_id.with(|request_id| {
            Outbound {
                parts,
                present: *present,
                host: filters.rewrite.host.as_ref().unwrap_or(host),
                path: self.path,
                query: parts.uri.query(),
                url: endpoint.url(),
                framing,
                forwarded,
                request_id,
                upgrade,
                changes: &filters.request_headers,
            }
            .encode(&mut head);
        });
        let request = Request {
            head,
            framing,
            body,
            // HTTP/1.0 knows no 100.
            hold_body: present.expect
                && headers::expects_continue(parts)
                && !endpoint.speaks_http10()
                && !takes_away(&filters.request_headers, &header::EXPECT),
            is_head: parts.method == Method::HEAD,
            wants_upgrade: upgrade.is_some(),
        };
        Exchange::new(connection, request)
    }

    /// How the body is delimited towards `endpoint`. HTTP/1.0 knows no chunks, so a small body's length is found out first.
    async fn framing_for(
        &self,
        endpoint: &Endpoint,
        body: &mut RequestBody,
    ) -> Result<Framing, ProxyError> {
        if self.framing != Framing::Chunked || !endpoint.speaks_http10() {
            return Ok(self.framing);
        }
        let body_timeout = self.context.client.listener.limits.get().body_timeout;
        match body.collect(REPLAY_LIMIT, body_timeout).await {
            Ok(Some(all)) if body.rewind() => Ok(Framing::Length(all.len() as u64)),
            Ok(_) => Err(ProxyError::LengthRequired),
            Err(_) => Err(body.take_failure().unwrap_or(ProxyError::LengthRequired)),
        }
    }

    /// A connection to `endpoint`: one that idles, or a new one.
    async fn connect(&mut self, endpoint: &Arc<Endpoint>) -> Result<Connection, ProxyError> {
        if !self.replayed {
            // What must not be sent twice is worth a closer look at the connection first.
            let thorough = !self.inbound.parts.method.is_idempotent();
            let mut pool = self.context.worker.pool.borrow_mut();
            if let Some(connection) = pool.take(endpoint.id(), self.record.started, thorough) {
                return Ok(connection);
            }
        }
        let connecting = Box::pin(self.open(endpoint));
        let connected = self.in_time(connecting).await?;
        match &connected {
            Ok(_) => {
                let now = Nanos::now();
                if endpoint.connected(now) {
                    self.backend().refresh(now);
                }
            }
            // Our own want says nothing about the endpoint.
            Err(ConnectError::Exhausted(_)) => {}
            Err(
                ConnectError::NoAddress(_)
                | ConnectError::Failed { .. }
                | ConnectError::TimedOut { .. },
            ) => {
                let now = Nanos::now();
                endpoint.connect_failed(now);
                self.backend().refresh(now);
            }
        }
        Ok(connected?)
    }

    /// A new connection to `endpoint`. When there is no socket left here, whoever was accepted waits for one to become free, or
    /// for a connection to `endpoint`, for as long as a connect may take: others' responses end meanwhile.
    async fn open(&self, endpoint: &Endpoint) -> Result<Connection, ConnectError> {
        let timeout = self.target.timeouts.connect;
        let until = Instant::now() + timeout.unwrap_or(EXHAUSTED_AT_MOST);
        loop {
            let connected = Connection::connect(&endpoint.resolution(), timeout).await;
            let is_exhausted = matches!(connected, Err(ConnectError::Exhausted(_)));
            if !is_exhausted || Instant::now() >= until {
                return connected;
            }
            // What only idles gives way.
            self.context.worker.pool.borrow_mut().retain(|id| id == endpoint.id());
            tokio::time::sleep(EXHAUSTED_PAUSE).await;
            if !self.replayed {
                let mut pool = self.context.worker.pool.borrow_mut();
                if let Some(connection) = pool.take(endpoint.id(), Instant::now(), true) {
                    return Ok(connection);
                }
            }
        }
    }

    /// Drives the exchange until the response's head is there, or one of its deadlines has passed.
    async fn await_head(
        &mut self,
        exchange: &mut Exchange<RequestBody>,
        started: Instant,
    ) -> Result<Head, ProxyError> {
        poll_fn(|cx| {
            loop {
                let polled = exchange.poll_head(cx);
                self.pass_interim(exchange);
                if let Poll::Ready(result) = polled {
                    return Poll::Ready(result.map_err(ProxyError::from));
                }
                if self.sent_at.is_none() && exchange.is_sent() {
                    self.sent_at = Some(Instant::now());
                }
                let Some((deadline, error)) = self.deadline(exchange, started) else {
                    return Poll::Pending;
                };
                if self.context.alarm.borrow_mut().poll(Some(deadline), cx).is_pending() {
                    return Poll::Pending;
                }
                match error {
                    Some(error) => return Poll::Ready(Err(error)),
                    // The endpoint leaves its 100 out: the body goes without it.
                    None => exchange.release_body(),
                };
            }
        })
        .await
    }

    /// Passes interim responses on to a client that can know them (RFC 9110, section 15.2).
    fn pass_interim(&self, exchange: &mut Exchange<RequestBody>) {
        for (status, headers) in exchange.take_interim() {
            if self.inbound.parts.version != Version::HTTP_10 {
                self.context.client.interim.pass(status, headers);
            }
        }
    }

    /// The next deadline, and the error when it passes; without an error the body has been held for long enough.
    fn deadline(
        &self,
        exchange: &Exchange<RequestBody>,
        started: Instant,
    ) -> Option<(Instant, Option<ProxyError>)> {
        let timeouts = &self.target.timeouts;
        let request = self.request_ends_at();
        let request = request.map(|(at, timeout)| (at, Some(ProxyError::RequestTimeout(timeout))));
        if exchange.holds_body() {
            return Some((started + CONTINUE_WAIT, None));
        }
        if let Some(sent_at) = self.sent_at.filter(|_| exchange.is_sent()) {
            let attempt = timeouts.attempt.map(|timeout| {
                (started.max(sent_at) + timeout, Some(ProxyError::AttemptTimeout(timeout)))
            });
            return [request, attempt].into_iter().flatten().min_by_key(|(at, _)| *at);
        }
        let body_timeout = self.context.client.listener.limits.get().body_timeout;
        let upload = match exchange.body().pause_ends(body_timeout) {
            Some(at) => Some((at, Some(ProxyError::BodyTimeout(body_timeout.unwrap_or_default())))),
            None => timeouts.stream_idle.map(|idle| {
                let progress = self.context.client.progress().max(started);
                (progress + idle, Some(ProxyError::UploadStalled(idle)))
            }),
        };
        [request, upload].into_iter().flatten().min_by_key(|(at, _)| *at)
    }

    /// Takes note of what the endpoint answered.
    fn note(
        &self,
        endpoint: &Endpoint,
        exchange: &Exchange<RequestBody>,
        head: &Head,
        started: Instant,
        now: Instant,
    ) {
        if is_failure(head.status) {
            endpoint.record_failure(Nanos::at(now));
        } else if exchange.is_sent() {
            let since = self.sent_at.unwrap_or(started).max(started);
            endpoint.record_latency(Nanos::at(now), now - since);
        }
        endpoint.set_speaks_http10(head.is_http10);
    }

    /// Throws an answer away. Its connection lives on if that is all of it; who waits for the rest waits for nothing.
    fn discard(
        &self,
        endpoint: &Endpoint,
        mut exchange: Exchange<RequestBody>,
        now: Instant,
    ) -> RequestBody {
        let _ = exchange.take_whole_body();
        let (connection, mut body) = exchange.into_parts();
        if let Some(connection) = connection {
            self.context.worker.pool.borrow_mut().put(endpoint.id(), connection, now);
        }
        body.rewind();
        body
    }

    /// Passes on what the endpoint answered.
    fn accept(
        &self,
        endpoint: &Endpoint,
        mut exchange: Exchange<RequestBody>,
        head: Head,
        now: Instant,
    ) -> Answer {
        let timeouts = &self.target.timeouts;
        if head.status == StatusCode::SWITCHING_PROTOCOLS {
            return Answer::Upgrade(head, exchange.into_upgraded(), timeouts.upgraded_idle);
        }
        match exchange.take_whole_body() {
            Some(bytes) => {
                if let Some(connection) = exchange.into_reusable() {
                    self.context.worker.pool.borrow_mut().put(endpoint.id(), connection, now);
                }
                Answer::Whole(head, bytes)
            }
            None => {
                exchange.body_mut().forget();
                Answer::Stream(head, Rc::new(RefCell::new(exchange)), timeouts.stream_idle)
            }
        }
    }
}

/// Whether a status says that the endpoint failed. Its quick answer must not make it look fast.
fn is_failure(status: StatusCode) -> bool {
    status.is_server_error()
        && status != StatusCode::NOT_IMPLEMENTED
        && status != StatusCode::HTTP_VERSION_NOT_SUPPORTED
}
