//! After an attempt: whose failure it was, and whether the request is tried again.

use super::Journey;
use crate::backend::connection::ConnectError;
use crate::backend::exchange::{Exchange, ExchangeError};
use crate::backend::http2::Unprocessed;
use crate::clock::Nanos;
use crate::endpoint::Endpoint;
use crate::proxy::error::ProxyError;
use crate::proxy::request_body::RequestBody;
use http::StatusCode;
use std::sync::atomic::Ordering::Relaxed;

/// A failed attempt.
pub(super) struct Failure {
    pub(super) error: ProxyError,
    pub(super) cause: Cause,
    /// Whether the endpoint may have acted on the request.
    pub(super) processed: bool,
    pub(super) body: RequestBody,
}

/// What kind of failure it was, as far as trying again is concerned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cause {
    /// No connection was made.
    Connect,
    /// A connection that had carried requests before was closed by the endpoint as we began to use it.
    Stale,
    /// Closed, reset or too slow before the response's head.
    Reset,
    /// Not to be tried again.
    Fatal,
}

/// What to do after a failure.
pub(super) enum Next {
    GiveUp,
    /// The same endpoint on a new connection.
    Replay,
    /// Another endpoint, if there is one.
    Retry,
    /// An endpoint that was not tried, which is not counted: nothing was sent yet.
    Elsewhere,
}

impl Journey<'_> {
    /// Lets the endpoint's record show the failure, unless it was the client's or a stale connection's.
    pub(super) fn judge(&self, endpoint: &Endpoint, failure: &Failure) {
        let is_endpoints = match failure.error {
            ProxyError::Connect(ConnectError::Exhausted(_))
            | ProxyError::Exchange(ExchangeError::NoTunnel) => false,
            ProxyError::Connect(_)
            | ProxyError::Exchange(_)
            | ProxyError::RequestTimeout(_)
            | ProxyError::AttemptTimeout(_)
            | ProxyError::UploadStalled(_) => failure.cause != Cause::Stale,
            ProxyError::BadRequest(_)
            | ProxyError::BadPath(_)
            | ProxyError::UnknownCoding
            | ProxyError::Misdirected
            | ProxyError::Loop
            | ProxyError::NoRoute
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
    pub(super) fn next(&self, failure: &mut Failure) -> Next {
        let safe = self.inbound.parts.method.is_idempotent() || !failure.processed;
        if failure.cause == Cause::Fatal || !safe || !failure.body.rewind() {
            return Next::GiveUp;
        }
        if failure.cause == Cause::Stale && !self.replayed {
            return Next::Replay;
        }
        let conditions = self.target.retry.conditions;
        let wanted = match failure.cause {
            Cause::Connect => conditions.connect_failure,
            Cause::Stale | Cause::Reset => conditions.reset,
            Cause::Fatal => false,
        };
        if !wanted {
            Next::GiveUp
        } else if self.may_go_elsewhere(failure) {
            Next::Elsewhere
        } else if self.may_retry(failure.processed) {
            Next::Retry
        } else {
            Next::GiveUp
        }
    }

    /// Whether the connect was refused, and there is an endpoint left that may accept. When many pods end at once, their addresses
    /// refuse one after the other; each does so at once, and only until it is passed over, so that not many connects come of it.
    fn may_go_elsewhere(&self, failure: &Failure) -> bool {
        let was_refused = matches!(failure.error, ProxyError::Connect(ConnectError::Failed { .. }));
        let turned_off = self.target.retry.attempts == 0;
        was_refused && !turned_off && self.backend().has_untried(&self.tried, Nanos::now())
    }

    /// Whether attempts are left, and the budget allows another; takes it out of the budget.
    fn may_retry(&self, processed: bool) -> bool {
        if self.retries >= self.target.retry.attempts {
            return false;
        }
        // What was certainly not processed costs the endpoints nothing.
        let allowed = !processed || self.backend().budget().withdraw(Nanos::now());
        if !allowed {
            self.backend().counters().retries_refused.fetch_add(1, Relaxed);
        }
        allowed
    }

    /// Whether an answer of this status is to be thrown away for another try. What the endpoint answered it has processed:
    /// only an idempotent request is sent again, and only out of the budget. A try that could not even begin in time would take
    /// from the client the answer that there is.
    pub(super) fn retries_status(&self, status: StatusCode, body: &RequestBody) -> bool {
        let code = status.as_u16();
        let statuses = &self.target.retry.statuses;
        statuses.iter().any(|(from, to)| (*from..=*to).contains(&code))
            && status != StatusCode::SWITCHING_PROTOCOLS
            && self.inbound.parts.method.is_idempotent()
            && body.can_rewind()
            && self.has_time_to_retry()
            && self.may_retry(true)
    }
}

/// The failure of an exchange.
pub(super) fn failure(
    exchange: Exchange<RequestBody>,
    error: ProxyError,
    may_be_stale: bool,
) -> Failure {
    let processed = exchange.may_be_processed();
    if let ProxyError::RequestTimeout(_)
    | ProxyError::AttemptTimeout(_)
    | ProxyError::UploadStalled(_) = error
    {
        exchange.waited_in_vain();
    }
    let mut body = exchange.into_body();
    let error = body.take_failure().unwrap_or(error);
    Failure { cause: cause(&error, may_be_stale), error, processed, body }
}

/// What kind of failure `error` is, as far as trying again is concerned.
pub(super) fn cause(error: &ProxyError, may_be_stale: bool) -> Cause {
    match error {
        ProxyError::Connect(_) => Cause::Connect,
        ProxyError::Exchange(ExchangeError::NoResponse(_)) if may_be_stale => Cause::Stale,
        // It closes what we began to use: another connection will do.
        ProxyError::Exchange(ExchangeError::Unprocessed(Unprocessed::GoneAway)) => Cause::Stale,
        ProxyError::Exchange(
            ExchangeError::NoResponse(_)
            | ExchangeError::HeadCut(_)
            | ExchangeError::Unprocessed(Unprocessed::Refused),
        )
        | ProxyError::AttemptTimeout(_) => Cause::Reset,
        ProxyError::Exchange(
            ExchangeError::BodyCut(_)
            | ExchangeError::Malformed(_)
            | ExchangeError::HeadTooLarge
            | ExchangeError::RequestBody
            | ExchangeError::NoTunnel,
        )
        | ProxyError::BadRequest(_)
        | ProxyError::BadPath(_)
        | ProxyError::UnknownCoding
        | ProxyError::Misdirected
        | ProxyError::Loop
        | ProxyError::NoRoute
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
