//! What is remembered of each attempt of a request, for its trace and for people.

use super::error::ProxyError;
use crate::backend::decision::{Account, Decision};
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
    /// Why this endpoint.
    pub evidence: Evidence,
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

/// Why an endpoint was picked.
#[derive(Debug)]
#[expect(
    clippy::large_enum_variant,
    reason = "nearly all are of the large one, and none is to ask for memory"
)]
pub enum Evidence {
    /// It was not: the one before is tried again on a new connection.
    Again,
    /// As it was noted.
    Noted(Decision),
    /// Of a request that lives on.
    Told(Box<Account>),
}

/// Why there was no answer.
#[derive(Clone, Debug)]
pub struct Failure {
    /// Stable, for machines.
    pub reason: &'static str,
    /// For people.
    pub detail: String,
}

/// A try that is over. It holds names only, so that it keeps nothing alive.
#[derive(Debug)]
pub struct Past {
    /// The endpoint; `None` when there was none to pick.
    pub endpoint: Option<Named>,
    /// Why this endpoint; `None` when the one before was tried again on a new connection.
    pub account: Option<Account>,
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

/// An endpoint by name.
#[derive(Clone, Debug)]
pub struct Named {
    /// Its URL as logs show it.
    pub label: Arc<str>,
    /// Its host.
    pub host: Arc<str>,
    /// Its port.
    pub port: u16,
}

impl Try {
    /// A try that begins.
    pub fn new(endpoint: Option<Arc<Endpoint>>, evidence: Evidence, started: Instant) -> Self {
        Self { endpoint, evidence, span: None, started, headed: None, status: None, failure: None }
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

    /// Lets go of what a request that lives on has no need to hold.
    pub fn settle(&mut self) {
        if let Evidence::Noted(decision) = &self.evidence {
            let account = decision.account(self.endpoint.as_deref());
            self.evidence = Evidence::Told(Box::new(account));
        }
    }

    /// What is told of it.
    pub fn past(&self) -> Past {
        let endpoint = self.endpoint.as_deref();
        Past {
            endpoint: endpoint.map(|endpoint| Named {
                label: Arc::clone(endpoint.label()),
                host: Arc::clone(&endpoint.url().host),
                port: endpoint.url().port,
            }),
            account: match &self.evidence {
                Evidence::Again => None,
                Evidence::Noted(decision) => Some(decision.account(endpoint)),
                Evidence::Told(account) => Some((**account).clone()),
            },
            span: self.span,
            started: self.started,
            headed: self.headed,
            status: self.status,
            failure: self.failure.clone(),
        }
    }
}
