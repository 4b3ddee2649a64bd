//! One attempt: a connection, the request's head and body, and the wait for the response's head.

use super::again::{Cause, Failure, cause, failure};
use super::{Answer, Attempt, Inbound, Journey};
use crate::backend::exchange::{Carrier, Exchange, ExchangeError};
use crate::backend::http1::response::Head;
use crate::backend::http1::{self, Framing};
use crate::backend::http2;
use crate::clock::Nanos;
use crate::endpoint::Endpoint;
use crate::proxy::error::ProxyError;
use crate::proxy::filters::takes_away;
use crate::proxy::forwarded::Forwarded;
use crate::proxy::headers::{self, Http2Head, Outbound};
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
        let carrier = match self.connect(endpoint).await {
            Ok(carrier) => carrier,
            Err(error) => {
                let cause = cause(&error, false);
                return Attempt::Failed(Failure { error, cause, processed: false, body });
            }
        };
        let is_reused = carrier.is_reused();
        let started = if is_reused && self.record.attempts == 1 && self.framing == Framing::Empty {
            self.record.started
        } else {
            Instant::now()
        };
        let mut exchange = match self.exchange(endpoint, carrier, framing, body) {
            Ok(exchange) => exchange,
            Err(failed) => {
                let (error, body) = *failed;
                let cause = Cause::Fatal;
                return Attempt::Failed(Failure { error, cause, processed: false, body });
            }
        };
        match self.await_head(&mut exchange, started).await {
            Ok(head) => {
                let now = Instant::now();
                self.note(endpoint, &exchange, &head, started, now);
                if let Some(last) = self.record.tries.last_mut() {
                    last.answered(head.status, now);
                }
                if self.retries_status(head.status, exchange.body()) {
                    return Attempt::Discarded(self.discard(exchange, now));
                }
                Attempt::Answered(self.accept(exchange, head, now))
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
        carrier: Carrier,
        framing: Framing,
        body: RequestBody,
    ) -> Result<Exchange<RequestBody>, Box<(ProxyError, RequestBody)>> {
        let Inbound { parts, present, host, route, .. } = self.inbound;
        let filters = &route.model.filters;
        let client = self.record.client_address;
        let scheme = match client {
            Some(_) => scheme(self.context, &parts.headers),
            None => self.context.peer.scheme,
        };
        let outbound = Outbound {
            parts,
            present: *present,
            host: filters.rewrite.host.as_ref().unwrap_or(host),
            path: self.path,
            query: parts.uri.query(),
            url: endpoint.url(),
            framing,
            forwarded: Forwarded { peer: &self.context.peer, client, scheme, host },
            request_id: "",
            upgrade: present.upgrade.then(|| headers::upgrade(parts)).flatten(),
            trace: self.record.passed_on(),
            changes: &filters.request_headers,
        };
        // HTTP/1.0 knows no 100.
        let hold_body = present.expect
            && headers::expects_continue(parts)
            && !endpoint.speaks_http10()
            && !takes_away(&filters.request_headers, &header::EXPECT);
        match carrier {
            Carrier::Http1(mut connection) => {
                let mut head = std::mem::take(&mut connection.scratch);
                self.record.request_id.with(|request_id| {
                    Outbound { request_id, ..outbound }.encode(&mut head);
                });
                let is_head = parts.method == Method::HEAD;
                let wants_upgrade = outbound.upgrade.is_some();
                let request =
                    http1::Request { head, framing, body, hold_body, is_head, wants_upgrade };
                Ok(Exchange::Http1(http1::Exchange::new(connection, request)))
            }
            Carrier::Http2(place) => {
                let id = &self.record.request_id;
                match id.with(|request_id| Outbound { request_id, ..outbound }.for_http2()) {
                    Ok(Http2Head { switch: Some(_), .. }) if !place.allows_tunnels() => {
                        Err(Box::new((ExchangeError::NoTunnel.into(), body)))
                    }
                    Ok(Http2Head { head, switch }) => {
                        let request = http2::Request { head, framing, body, hold_body, switch };
                        Ok(Exchange::Http2(Box::new(http2::Exchange::new(place, request))))
                    }
                    Err(error) => Err(Box::new((error, body))),
                }
            }
        }
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
        let since = self.sent_at.unwrap_or(started).max(started);
        let counters = self.backend().counters();
        counters.response_head.record(self.context.worker.id, now - since);
        if is_failure(head.status) {
            endpoint.record_failure(Nanos::at(now));
        } else if exchange.is_sent() {
            endpoint.record_latency(Nanos::at(now), now - since);
        }
        endpoint.set_speaks_http10(head.is_http10);
    }

    /// Throws an answer away. Its connection lives on if that is all of it; who waits for the rest waits for nothing.
    fn discard(&self, mut exchange: Exchange<RequestBody>, now: Instant) -> RequestBody {
        let _ = exchange.take_whole_body();
        let (connection, mut body) = exchange.into_parts();
        if let Some(connection) = connection {
            self.context.worker.pool.borrow_mut().put(connection, now);
        }
        body.rewind();
        body
    }

    /// Passes on what the endpoint answered.
    fn accept(&self, mut exchange: Exchange<RequestBody>, head: Head, now: Instant) -> Answer {
        let timeouts = &self.target.timeouts;
        if head.status == StatusCode::SWITCHING_PROTOCOLS {
            let upgraded = Box::new(exchange.into_upgraded());
            return Answer::Upgrade(head, upgraded, timeouts.upgraded_idle);
        }
        match exchange.take_whole_body() {
            Some(bytes) => {
                if let Some(connection) = exchange.into_reusable() {
                    self.context.worker.pool.borrow_mut().put(connection, now);
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
