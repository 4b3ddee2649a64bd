//! What is remembered of each attempt of a request, for its trace and for people.

use super::error::ProxyError;
use crate::backend::decision::Decision;
use crate::endpoint::Endpoint;
use crate::telemetry::context::SpanId;
use http::StatusCode;
use std::sync::Arc;
use tokio::time::Instant;

/// A pick and what came of it.
#[derive(Debug)]
pub struct Try {
    /// The endpoint; `None` when there was none to pick.
    pub endpoint: Option<Arc<Endpoint>>,
    /// Why this endpoint; `None` when the one before is tried again on a new connection.
    pub decision: Option<Decision>,
    /// Its span's id, if there is a trace.
    pub span: Option<SpanId>,
    /// When the endpoint was picked.
    pub started: Instant,
    /// When the endpoint had answered with a head, or the attempt had failed.
    pub headed: Option<Instant>,
    /// What the endpoint answered.
    pub status: Option<StatusCode>,
    /// Why it did not.
    pub failure: Option<Failure>,
}

/// Why there was no answer.
#[derive(Debug)]
pub struct Failure {
    /// Stable, for machines.
    pub reason: &'static str,
    /// For people.
    pub detail: String,
}

impl Try {
    /// A try that begins.
    pub fn new(
        endpoint: Option<Arc<Endpoint>>,
        decision: Option<Decision>,
        started: Instant,
    ) -> Self {
        Self { endpoint, decision, span: None, started, headed: None, status: None, failure: None }
    }

    /// Takes note of the endpoint's answer.
    pub fn answered(&mut self, status: StatusCode, now: Instant) {
        (self.status, self.headed) = (Some(status), Some(now));
    }

    /// Takes note of the attempt's failure.
    pub fn failed(&mut self, error: &ProxyError, now: Instant) {
        self.headed = Some(now);
        let reason = error.verdict().reason;
        self.failure = Some(Failure { reason, detail: error.to_string() });
    }
}
