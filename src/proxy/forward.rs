//! A request's attempts: pick an endpoint, send, wait for the response's head, and try again where that is safe.

use super::error::ProxyError;
use super::headers::{self, Outbound};
use super::record::Record;
use super::request_body::{REPLAY_LIMIT, RequestBody};
use super::service::Context;
use crate::backend::connection::Connection;
use crate::backend::http1::response::Head;
use crate::backend::http1::{Exchange, ExchangeError, Framing, Request};
use crate::backend::{Ask, Backend};
use crate::clock::Nanos;
use crate::endpoint::Endpoint;
use bytes::Bytes;
use http::{HeaderValue, Method, StatusCode, request::Parts};
use http_body::Body;
use hyper::body::Incoming;
use smallvec::SmallVec;
use std::future::{Future, poll_fn};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::task::Poll;
use std::time::Duration;
use tokio::time::Instant;

/// How long an endpoint may keep a client's body waiting for its 100 (Continue); many never send one.
const CONTINUE_WAIT: Duration = Duration::from_secs(1);
/// The pause before an endpoint that has just failed for this request is tried again; doubles each time.
const SAME_ENDPOINT_PAUSE: Duration = Duration::from_millis(25);

/// What an endpoint answered.
pub enum Answer {
    /// A response that is here to its end.
    Whole(Head, Bytes),
    /// A response whose body is still arriving, and may pause for this long.
    Stream(Head, Box<Exchange<RequestBody>>, Option<Duration>),
    /// A 101: the connection is the client's now. Both sides may be silent for this long.
    Upgrade(Head, Connection, Option<Duration>),
}

/// A failed attempt.
struct Failure {
    error: ProxyError,
    cause: Cause,
    /// Whether the endpoint may have acted on the request.
    processed: bool,
    body: RequestBody,
}

/// What kind of failure it was, as far as trying again is concerned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Cause {
    /// No connection was made.
    Connect,
    /// A connection that had idled was closed by the endpoint as we began to use it.
    Stale,
    /// Closed, reset or too slow before the response's head.
    Reset,
    /// Not to be tried again.
    Fatal,
}

/// What to do after a failure.
enum Next {
    GiveUp,
    /// The same endpoint on a new connection.
    Replay,
    /// Another endpoint, if there is one.
    Retry,
}

/// One request on its way.
struct Journey<'a> {
    context: &'a Context,
    parts: &'a Parts,
    host: HeaderValue,
    framing: Framing,
    backend: Arc<Backend>,
    record: &'a mut Record,
    tried: SmallVec<[u64; 2]>,
    retries: u32,
    replayed: bool,
    /// When the request was first sent to its end, or without a body, when it had come: `timeouts.request` counts from here.
    sent_at: Option<Instant>,
}

/// Forwards a request to an endpoint of its route's backend.
pub async fn forward(
    context: &Context,
    parts: &Parts,
    host: HeaderValue,
    body: Incoming,
    record: &mut Record,
) -> Result<Answer, ProxyError> {
    let Some(route) = &record.route else {
        return Err(ProxyError::NoEndpoint("(none)".to_owned()));
    };
    let Some(target) = route.targets.first() else {
        return Err(ProxyError::NoEndpoint("(none)".to_owned()));
    };
    let backend = Arc::clone(&target.backend);
    let limit = context.client.listener.limits.get().max_body_bytes;
    let framing = framing(&body);
    if let (Framing::Length(length), Some(limit)) = (framing, limit)
        && length > limit
    {
        return Err(ProxyError::BodyTooLarge { limit });
    }
    let body = RequestBody::new(body, Rc::clone(&context.client), limit);
    let sent_at = (framing == Framing::Empty).then_some(record.started);
    let journey = Journey {
        context,
        parts,
        host,
        framing,
        backend,
        record,
        tried: SmallVec::new(),
        retries: 0,
        replayed: false,
        sent_at,
    };
    journey.run(body).await
}

/// How the client's body is delimited.
fn framing(body: &Incoming) -> Framing {
    if body.is_end_stream() {
        Framing::Empty
    } else {
        body.size_hint().exact().map_or(Framing::Chunked, Framing::Length)
    }
}

impl Journey<'_> {
    async fn run(mut self, mut body: RequestBody) -> Result<Answer, ProxyError> {
        self.backend.budget().deposit(Nanos::at(self.record.started));
        let mut endpoint = self.pick().await?;
        loop {
            let mut failure = match self.attempt(&endpoint, body).await {
                Ok(answer) => return Ok(answer),
                Err(failure) => failure,
            };
            self.judge(&endpoint, &failure);
            match self.next(&mut failure) {
                Next::GiveUp => return Err(failure.error),
                Next::Replay => self.replayed = true,
                Next::Retry => {
                    self.backend.counters().retries.fetch_add(1, Relaxed);
                    self.retries += 1;
                    self.tried.push(endpoint.id());
                    endpoint = self.pick().await?;
                }
            }
            body = failure.body;
        }
    }

    /// Picks an endpoint, another than before if there is one.
    async fn pick(&mut self) -> Result<Arc<Endpoint>, ProxyError> {
        // A first pick follows the head at once; later ones need to know the time.
        let now = if self.tried.is_empty() { self.record.started } else { Instant::now() };
        let pick = {
            let mut rng = self.context.worker.rng.borrow_mut();
            let ask = Ask { now: Nanos::at(now), hash: None, pinned: None, tried: &self.tried };
            self.backend.pick(&ask, &mut rng, &mut ())
        };
        let pick = pick.ok_or_else(|| ProxyError::NoEndpoint(self.backend.name().to_string()))?;
        let endpoint = Arc::clone(pick.endpoint());
        self.record.in_flight = Some(pick);
        if self.tried.contains(&endpoint.id()) {
            // There is no other. It may be restarting: an instant is often all it needs.
            let pause = SAME_ENDPOINT_PAUSE * 2_u32.pow(self.retries.min(6));
            self.in_time(tokio::time::sleep(pause)).await?;
        }
        Ok(endpoint)
    }

    /// One attempt on `endpoint`.
    async fn attempt(
        &mut self,
        endpoint: &Arc<Endpoint>,
        mut body: RequestBody,
    ) -> Result<Answer, Failure> {
        self.record.attempts += 1;
        let framing = match self.framing_for(endpoint, &mut body).await {
            Ok(framing) => framing,
            Err(error) => {
                return Err(Failure { error, cause: Cause::Fatal, processed: false, body });
            }
        };
        let connection = match self.connect(endpoint).await {
            Ok(connection) => connection,
            Err(error) => {
                let cause = cause(&error, false);
                return Err(Failure { error, cause, processed: false, body });
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
            Ok(head) => Ok(self.accept(endpoint, exchange, head, started)),
            Err(error) => Err(failure(exchange, error, is_reused)),
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
        let upgrade = headers::upgrade(self.parts);
        self.record.request_id.with(|request_id| {
            Outbound {
                parts: self.parts,
                host: &self.host,
                url: endpoint.url(),
                framing,
                forwarded: &self.context.forwarded,
                request_id,
                upgrade,
            }
            .encode(&mut head);
        });
        let request = Request {
            head,
            framing,
            body,
            // HTTP/1.0 knows no 100.
            hold_body: headers::expects_continue(self.parts) && !endpoint.speaks_http10(),
            is_head: self.parts.method == Method::HEAD,
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
            let thorough = !self.parts.method.is_idempotent();
            let mut pool = self.context.worker.pool.borrow_mut();
            if let Some(connection) = pool.take(endpoint.id(), self.record.started, thorough) {
                return Ok(connection);
            }
        }
        let resolution = endpoint.resolution();
        let timeout = self.backend.model().timeouts.connect;
        let connecting = Box::pin(Connection::connect(&resolution, timeout));
        let connected = self.in_time(connecting).await?;
        match &connected {
            Ok(_) => {
                let now = Nanos::now();
                if endpoint.connected(now) {
                    self.backend.refresh(now);
                }
            }
            Err(_) => {
                let now = Nanos::now();
                endpoint.connect_failed(now);
                self.backend.refresh(now);
            }
        }
        Ok(connected?)
    }

    /// Waits for `step` until the time of the request is over.
    async fn in_time<T>(&self, step: impl Future<Output = T>) -> Result<T, ProxyError> {
        match self.sent_at.zip(self.backend.model().timeouts.request) {
            None => Ok(step.await),
            Some((sent_at, timeout)) => tokio::time::timeout_at(sent_at + timeout, step)
                .await
                .map_err(|_| ProxyError::RequestTimeout(timeout)),
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
                if let Poll::Ready(result) = exchange.poll_head(cx) {
                    return Poll::Ready(result.map_err(ProxyError::from));
                }
                if self.sent_at.is_none() && exchange.is_sent() {
                    self.sent_at = Some(Instant::now());
                }
                let Some((deadline, error)) = self.deadline(exchange, started) else {
                    return Poll::Pending;
                };
                if self.context.timer.borrow_mut().poll(Some(deadline), cx).is_pending() {
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

    /// The next deadline, and the error when it passes; without an error the body has been held for long enough.
    fn deadline(
        &self,
        exchange: &Exchange<RequestBody>,
        started: Instant,
    ) -> Option<(Instant, Option<ProxyError>)> {
        let timeouts = &self.backend.model().timeouts;
        if exchange.holds_body() {
            return Some((started + CONTINUE_WAIT, None));
        }
        if let Some(sent_at) = self.sent_at.filter(|_| exchange.is_sent()) {
            let request = timeouts
                .request
                .map(|timeout| (sent_at + timeout, Some(ProxyError::RequestTimeout(timeout))));
            let attempt = timeouts.attempt.map(|timeout| {
                (started.max(sent_at) + timeout, Some(ProxyError::AttemptTimeout(timeout)))
            });
            return [request, attempt].into_iter().flatten().min_by_key(|(at, _)| *at);
        }
        let body_timeout = self.context.client.listener.limits.get().body_timeout;
        if let Some(at) = exchange.body().pause_ends(body_timeout) {
            return Some((at, Some(ProxyError::BodyTimeout(body_timeout.unwrap_or_default()))));
        }
        let idle = timeouts.stream_idle?;
        let progress = self.context.client.progress().max(started);
        Some((progress + idle, Some(ProxyError::UploadStalled(idle))))
    }

    /// Takes note of what the endpoint answered, and passes it on.
    fn accept(
        &mut self,
        endpoint: &Endpoint,
        mut exchange: Exchange<RequestBody>,
        head: Head,
        started: Instant,
    ) -> Answer {
        let now = Instant::now();
        if is_failure(head.status) {
            endpoint.record_failure(Nanos::at(now));
        } else if exchange.is_sent() {
            let since = self.sent_at.unwrap_or(started).max(started);
            endpoint.record_latency(Nanos::at(now), now - since);
        }
        endpoint.set_speaks_http10(head.is_http10);
        let timeouts = &self.backend.model().timeouts;
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
                Answer::Stream(head, Box::new(exchange), timeouts.stream_idle)
            }
        }
    }

    /// Lets the endpoint's record show the failure, unless it was the client's or a stale connection's.
    fn judge(&self, endpoint: &Endpoint, failure: &Failure) {
        let is_endpoints = match failure.error {
            ProxyError::Connect(_)
            | ProxyError::Exchange(_)
            | ProxyError::RequestTimeout(_)
            | ProxyError::AttemptTimeout(_)
            | ProxyError::UploadStalled(_) => failure.cause != Cause::Stale,
            ProxyError::BadRequest(_)
            | ProxyError::ConnectRefused
            | ProxyError::BodyTooLarge { .. }
            | ProxyError::BodyTimeout(_)
            | ProxyError::BodyBroken(_)
            | ProxyError::LengthRequired
            | ProxyError::NoEndpoint(_) => false,
        };
        if is_endpoints {
            endpoint.record_failure(Nanos::now());
        }
    }

    /// What to do after `failure`. Rewinds the body if there is to be another attempt.
    fn next(&self, failure: &mut Failure) -> Next {
        let safe = self.parts.method.is_idempotent() || !failure.processed;
        if failure.cause == Cause::Fatal || !safe || !failure.body.rewind() {
            return Next::GiveUp;
        }
        if failure.cause == Cause::Stale && !self.replayed {
            return Next::Replay;
        }
        let retry = &self.backend.model().retry;
        let wanted = match failure.cause {
            Cause::Connect => retry.conditions.connect_failure,
            Cause::Stale | Cause::Reset => retry.conditions.reset,
            Cause::Fatal => false,
        };
        if !wanted || self.retries >= retry.attempts {
            return Next::GiveUp;
        }
        // What was certainly not processed costs the endpoints nothing.
        if failure.processed && !self.backend.budget().withdraw(Nanos::now()) {
            self.backend.counters().retries_refused.fetch_add(1, Relaxed);
            return Next::GiveUp;
        }
        Next::Retry
    }
}

fn failure(exchange: Exchange<RequestBody>, error: ProxyError, is_reused: bool) -> Failure {
    let processed = exchange.may_be_processed();
    let mut body = exchange.into_body();
    let error = body.take_failure().unwrap_or(error);
    Failure { cause: cause(&error, is_reused), error, processed, body }
}

fn cause(error: &ProxyError, is_reused: bool) -> Cause {
    match error {
        ProxyError::Connect(_) => Cause::Connect,
        ProxyError::Exchange(ExchangeError::NoResponse(_)) if is_reused => Cause::Stale,
        ProxyError::Exchange(ExchangeError::NoResponse(_) | ExchangeError::HeadCut(_))
        | ProxyError::AttemptTimeout(_) => Cause::Reset,
        ProxyError::Exchange(
            ExchangeError::BodyCut(_)
            | ExchangeError::Malformed(_)
            | ExchangeError::HeadTooLarge
            | ExchangeError::RequestBody,
        )
        | ProxyError::BadRequest(_)
        | ProxyError::ConnectRefused
        | ProxyError::BodyTooLarge { .. }
        | ProxyError::BodyTimeout(_)
        | ProxyError::BodyBroken(_)
        | ProxyError::LengthRequired
        | ProxyError::NoEndpoint(_)
        | ProxyError::RequestTimeout(_)
        | ProxyError::UploadStalled(_) => Cause::Fatal,
    }
}

/// Whether a status says that the endpoint failed. Its quick answer must not make it look fast.
fn is_failure(status: StatusCode) -> bool {
    status.is_server_error()
        && status != StatusCode::NOT_IMPLEMENTED
        && status != StatusCode::HTTP_VERSION_NOT_SUPPORTED
}
