//! A request's attempts: pick an endpoint, send, wait for the response's head, and try again where that is safe.

mod again;
mod attempt;
mod connect;

use super::affinity;
use super::body::SharedExchange;
use super::error::ProxyError;
use super::filters::rewrite_path;
use super::grpc;
use super::hash_key::{self, Hashed};
use super::headers;
use super::present::Present;
use super::record::Record;
use super::request_body::{Incoming, RequestBody};
use super::service::Context;
use super::tries::{Evidence, Try};
use crate::backend::decision::Decision;
use crate::backend::exchange::Upgraded;
use crate::backend::http1::Framing;
use crate::backend::http1::response::Head;
use crate::backend::{Ask, Backend};
use crate::clock::Nanos;
use crate::endpoint::{Endpoint, InFlight};
use crate::router::{Route, Target};
use crate::telemetry::context::SpanId;
use again::{Failure, Next};
use bytes::Bytes;
use http::{HeaderValue, Response, Version, request::Parts};
use smallvec::SmallVec;
use std::borrow::Cow;
use std::future::Future;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;
use tokio::time::Instant;

/// The pause before an endpoint that has just failed for this request is tried again; doubles each time.
const SAME_ENDPOINT_PAUSE: Duration = Duration::from_millis(25);

/// A request whose route is known.
pub struct Inbound<'a> {
    /// Its head, as the client sent it.
    pub parts: &'a Parts,
    /// Which fields that has.
    pub present: Present,
    /// Its checked `Host`; empty if it named none.
    pub host: HeaderValue,
    /// Its path in the normal form; or `*`.
    pub path: Cow<'a, str>,
    /// How much of the path was matched by a prefix.
    pub prefix: Option<usize>,
    /// Its route.
    pub route: &'a Route,
}

/// What a request is answered.
pub enum Answer {
    /// The route's own response: no endpoint was asked.
    Own(Response<Bytes>),
    /// A response that is here to its end.
    Whole(Head, Bytes),
    /// A response whose body is still arriving, and may pause for this long.
    Stream(Head, SharedExchange, Option<Duration>),
    /// A 101: what carried the request is the client's now. Both sides may be silent for this long.
    Upgrade(Head, Box<Upgraded>, Option<Duration>),
}

/// What became of an attempt.
enum Attempt {
    /// An answer for the client.
    Answered(Answer),
    /// An answer whose status is a reason to try again; the request's body is ready for that.
    Discarded(RequestBody),
    /// None.
    Failed(Failure),
}

/// One request on its way.
struct Journey<'a> {
    context: &'a Context,
    inbound: &'a Inbound<'a>,
    /// The path for the endpoint.
    path: &'a str,
    framing: Framing,
    target: &'a Target,
    /// The target's backend with the endpoints that it had at the last retry, if they were others by then.
    renewed: Option<Arc<Backend>>,
    /// The hash of the request's key, if the backend hashes and the request has one.
    hash: Option<u64>,
    /// The endpoint that the client was given before.
    pinned: Option<u64>,
    record: &'a mut Record,
    tried: SmallVec<[u64; 2]>,
    retries: u32,
    replayed: bool,
    /// When the request was first sent to its end, or without a body, when it had come: `timeouts.request` counts from here.
    sent_at: Option<Instant>,
    /// How long the caller waits, from the start, if it is a call of gRPC that says so.
    patience: Option<Duration>,
}

/// Forwards a request to an endpoint of one of its route's backends.
pub async fn forward(
    context: &Context,
    inbound: Inbound<'_>,
    body: Incoming,
    record: &mut Record,
) -> Result<Answer, ProxyError> {
    let Inbound { parts, route, .. } = inbound;
    let index = choose_target(context, &inbound);
    let index =
        index.ok_or_else(|| ProxyError::NoEndpoint(format!("route {}", route.model.name)))?;
    let target = &route.targets[index];
    record.target = Some(index);
    let listeners = || context.client.listener.limits.get().max_body_bytes;
    let limit = route.model.overrides.max_body_bytes.unwrap_or_else(listeners);
    let framing = framing(&body);
    if let (Framing::Length(length), Some(limit)) = (framing, limit)
        && length > limit
    {
        return Err(ProxyError::BodyTooLarge { limit });
    }
    // HTTP/1 has trailers only behind chunks, HTTP/2 behind every body.
    let barred = match framing {
        Framing::Length(_) if parts.version != Version::HTTP_2 => Vec::new(),
        Framing::Empty | Framing::UntilClose => Vec::new(),
        Framing::Chunked | Framing::Length(_) => {
            headers::not_in_trailers(&parts.headers, &route.model.filters.request_headers)
        }
    };
    let body = RequestBody::new(body, Rc::clone(&context.client), limit, barred)
        .counted(target.backend.counters(), context.worker.id);
    let sent_at = (framing == Framing::Empty).then_some(record.started);
    let hash = target.backend.model().hashing.as_ref().and_then(|hashing| {
        let request = Hashed {
            headers: &parts.headers,
            path: &inbound.path,
            query: parts.uri.query(),
            client: record.client_address.unwrap_or(context.peer.address),
        };
        hash_key::hash(&hashing.key, &request)
    });
    let rewritten = match &route.model.filters.rewrite.path {
        Some(rewrite) if inbound.path != "*" => {
            Some(rewrite_path(rewrite, &inbound.path, inbound.prefix))
        }
        Some(_) | None => None,
    };
    record.rewritten = rewritten.as_deref().map(Into::into);
    let journey = Journey {
        context,
        path: rewritten.as_deref().unwrap_or(&inbound.path),
        inbound: &inbound,
        framing,
        target,
        renewed: None,
        hash,
        pinned: affinity::pinned(&target.backend, &parts.headers),
        record,
        tried: SmallVec::new(),
        retries: 0,
        replayed: false,
        sent_at,
        patience: grpc::is_call(&parts.headers).then(|| grpc::timeout(&parts.headers)).flatten(),
    };
    journey.run(body).await
}

/// The target of a request: the one whose endpoint the client was given before, else one by chance and weight.
fn choose_target(context: &Context, inbound: &Inbound<'_>) -> Option<usize> {
    let targets = &inbound.route.targets;
    if let [only] = targets.as_slice() {
        return (only.weight > 0).then_some(0);
    }
    let headers = &inbound.parts.headers;
    let is_kept =
        |target: &Target| target.weight > 0 && affinity::is_kept(&target.backend, headers);
    targets.iter().position(is_kept).or_else(|| {
        let chosen = inbound.route.pick_target(&mut context.worker.rng.borrow_mut())?;
        targets.iter().position(|target| std::ptr::eq(target, chosen))
    })
}

/// The pause before the `retry`th try (counted from 1) when it goes to an endpoint that has failed before.
fn pause(retry: u32) -> Duration {
    SAME_ENDPOINT_PAUSE * 2_u32.pow(retry.min(6))
}

/// How the client's body is delimited.
pub fn framing(body: &Incoming) -> Framing {
    if body.is_end_stream() {
        Framing::Empty
    } else {
        body.size_hint().exact().map_or(Framing::Chunked, Framing::Length)
    }
}

impl Journey<'_> {
    async fn run(mut self, mut body: RequestBody) -> Result<Answer, ProxyError> {
        self.backend().budget().deposit(Nanos::at(self.record.started));
        let mut endpoint = self.pick().await?;
        loop {
            let mut failure = match self.attempt(&endpoint, body).await {
                Attempt::Answered(answer) => return Ok(answer),
                Attempt::Discarded(again) => {
                    endpoint = self.retry(&endpoint).await?;
                    body = again;
                    continue;
                }
                Attempt::Failed(failure) => failure,
            };
            self.fail_try(&failure.error);
            self.judge(&endpoint, &failure);
            match self.next(&mut failure) {
                Next::GiveUp => return Err(failure.error),
                Next::Replay => {
                    self.replayed = true;
                    self.begin_try(Some(&endpoint), Evidence::Again, Instant::now());
                }
                Next::Retry => endpoint = self.retry(&endpoint).await?,
                Next::Elsewhere => endpoint = self.go_elsewhere(&endpoint).await?,
            }
            body = failure.body;
        }
    }

    fn backend(&self) -> &Arc<Backend> {
        self.renewed.as_ref().unwrap_or(&self.target.backend)
    }

    /// Picks the endpoint of a retry, after `failed`.
    async fn retry(&mut self, failed: &Endpoint) -> Result<Arc<Endpoint>, ProxyError> {
        self.retries += 1;
        self.go_elsewhere(failed).await
    }

    /// Picks the endpoint of another try, after `failed`, whether that counts or not.
    async fn go_elsewhere(&mut self, failed: &Endpoint) -> Result<Arc<Endpoint>, ProxyError> {
        // The pods that there were when the request came may all be gone.
        let worker = &self.context.worker;
        let now = worker.backend(self.target.backend.name(), self.record.generation);
        self.renewed = now.or(self.renewed.take());
        self.backend().counters().retries.fetch_add(1, Relaxed);
        self.tried.push(failed.id());
        self.pick().await
    }

    /// Picks an endpoint, another than before if there is one.
    async fn pick(&mut self) -> Result<Arc<Endpoint>, ProxyError> {
        // A first pick follows the head at once; later ones need to know the time.
        let now = if self.tried.is_empty() { self.record.started } else { Instant::now() };
        let mut decision = Decision::new(&self.tried);
        let pick = {
            let mut rng = self.context.worker.rng.borrow_mut();
            let Self { hash, pinned, .. } = *self;
            let ask = Ask { now: Nanos::at(now), hash, pinned, tried: &self.tried };
            self.backend().pick(&ask, &mut rng, &mut decision)
        };
        let endpoint = pick.as_ref().map(InFlight::endpoint);
        self.begin_try(endpoint, Evidence::Noted(decision), now);
        let pick = pick
            .ok_or_else(|| ProxyError::NoEndpoint(format!("backend {}", self.backend().name())))?;
        let algorithm = self.backend().model().algorithm;
        self.backend().counters().picked(self.context.worker.id, algorithm);
        let endpoint = Arc::clone(pick.endpoint());
        self.record.in_flight = Some(pick);
        if self.tried.contains(&endpoint.id()) {
            // There is no other. It may be restarting: an instant is often all it needs.
            let paused = self.in_time(tokio::time::sleep(pause(self.retries))).await;
            if let Err(error) = &paused {
                self.fail_try(error);
            }
            paused?;
        }
        Ok(endpoint)
    }

    /// Remembers a try that begins, with a span of its own where there is a trace.
    fn begin_try(&mut self, endpoint: Option<&Arc<Endpoint>>, evidence: Evidence, now: Instant) {
        let mut one = Try::new(endpoint.map(Arc::clone), evidence, now);
        if endpoint.is_some() && self.record.trace.is_some() {
            one.span = Some(SpanId::new(&mut self.context.worker.rng.borrow_mut()));
        }
        self.record.tries.push(one);
    }

    fn fail_try(&mut self, error: &ProxyError) {
        if let Some(last) = self.record.tries.last_mut() {
            last.failed(error, Instant::now());
        }
    }

    /// Whether what is left of the request's time is longer than the pause that another try would begin with.
    fn has_time_to_retry(&self) -> bool {
        let Some((ends_at, _)) = self.request_ends_at() else {
            return true;
        };
        let failed = self.record.in_flight.as_ref().map(|pick| pick.endpoint().id());
        let is_fresh = |id: u64| Some(id) != failed && !self.tried.contains(&id);
        let eligible = self.backend().eligible();
        let mut others = eligible.candidates.list().iter();
        let pause = match others.any(|other| is_fresh(other.endpoint.id())) {
            true => Duration::ZERO,
            false => pause(self.retries + 1),
        };
        Instant::now() + pause < ends_at
    }

    /// When the time of the request is over, and how long it was.
    fn request_ends_at(&self) -> Option<(Instant, Duration)> {
        let ours = self.sent_at.zip(self.target.timeouts.request);
        let callers = self.patience.map(|patience| (self.record.started, patience));
        let ends = [ours, callers].into_iter().flatten();
        ends.map(|(from, timeout)| (from + timeout, timeout)).min_by_key(|(at, _)| *at)
    }

    /// Waits for `step` until the time of the request is over.
    async fn in_time<T>(&self, step: impl Future<Output = T>) -> Result<T, ProxyError> {
        match self.request_ends_at() {
            None => Ok(step.await),
            Some((ends_at, timeout)) => tokio::time::timeout_at(ends_at, step)
                .await
                .map_err(|_| ProxyError::RequestTimeout(timeout)),
        }
    }
}
