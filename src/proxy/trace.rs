//! A request's place in a trace: read from what its caller sent, decided upon, and passed on to endpoints.

use super::present::Present;
use crate::model::{self, Parents, Sampling};
use crate::telemetry::context::{self, Forms, Found, Parent, SpanId, TraceId};
use http::{HeaderMap, HeaderName, HeaderValue, Version, request::Parts};
use subtle::ConstantTimeEq;

/// What the configuration says of traces.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// Which requests are traced.
    pub sampling: Sampling,
    /// In which forms a trace is read and passed on.
    pub forms: Forms,
}

impl From<&model::Traces> for Settings {
    fn from(traces: &model::Traces) -> Self {
        let model::Propagation { trace_context, b3, b3_multi } = traces.propagation;
        Self { sampling: traces.sampling, forms: Forms { trace_context, b3, b3_multi } }
    }
}

/// A request's place in a trace.
#[derive(Debug)]
pub struct Trace {
    /// The trace.
    pub id: TraceId,
    /// The request's own span.
    pub span: SpanId,
    /// The caller's span, if the trace is the caller's.
    pub parent: Option<SpanId>,
    /// Whether the trace is recorded: what endpoints are told.
    pub sampled: bool,
    /// Whether its id is random (W3C Trace Context, level 2).
    pub random: bool,
    /// Whether it may be kept though it is not sampled: nobody else has decided that it is not.
    pub may_be_kept: bool,
    /// In which forms it is passed on.
    pub forms: Forms,
    /// What others said along the trace, if it is the caller's and valid.
    pub state: Option<HeaderValue>,
    /// The request's version.
    pub version: Version,
    /// Who the client says it is; for sampled requests only.
    pub user_agent: Option<HeaderValue>,
}

impl Trace {
    /// The place of the request with this head.
    pub fn begin(
        settings: &Settings,
        parts: &Parts,
        present: Present,
        rng: &mut fastrand::Rng,
    ) -> Self {
        let found = match present.trace {
            true => context::read(&parts.headers, settings.forms),
            false => Found::Nothing,
        };
        let Sampling { ratio, parents, .. } = settings.sampling;
        let by_chance = |id| context::ratio_keeps(id, ratio.value());
        let state = match &found {
            Found::Parent(parent) => context::tracestate(&parts.headers, parent),
            Found::Decision(_) | Found::Nothing => None,
        };
        let (id, parent, sampled, may_be_kept, random) = match found {
            Found::Parent(Parent { trace, span, sampled, random, .. }) => {
                let theirs = sampled.filter(|_| parents == Parents::Follow);
                let sampled = theirs.unwrap_or_else(|| by_chance(trace));
                (trace, Some(span), sampled, theirs.is_none(), random)
            }
            Found::Decision(theirs) => {
                let id = context::new_ids(rng).0;
                let theirs = Some(theirs).filter(|_| parents == Parents::Follow);
                let sampled = theirs.unwrap_or_else(|| by_chance(id));
                (id, None, sampled, theirs.is_none(), true)
            }
            Found::Nothing => {
                let id = context::new_ids(rng).0;
                (id, None, by_chance(id), true, true)
            }
        };
        Self {
            id,
            span: SpanId::new(rng),
            parent,
            sampled,
            random,
            may_be_kept,
            forms: settings.forms,
            state,
            version: parts.version,
            user_agent: sampled
                .then(|| parts.headers.get(http::header::USER_AGENT).cloned())
                .flatten(),
        }
    }

    /// What an endpoint is told, whose own parent is the attempt with span `span`.
    pub fn passed_on(&self, span: SpanId) -> PassedOn<'_> {
        PassedOn { trace: self, span }
    }
}

/// What an endpoint is told of a trace.
#[derive(Clone, Copy, Debug)]
pub struct PassedOn<'a> {
    trace: &'a Trace,
    span: SpanId,
}

impl PassedOn<'_> {
    /// Whether a field of the request is written anew.
    pub fn replaces(&self, name: &HeaderName) -> bool {
        context::is_ours(name, self.trace.forms)
    }

    /// Has `put` write the fields.
    pub fn write(&self, mut put: impl FnMut(&HeaderName, &[u8])) {
        let Trace { id, sampled, random, forms, state, .. } = self.trace;
        context::write(*forms, *id, self.span, *sampled, *random, &mut put);
        if let Some(state) = state {
            put(&context::TRACESTATE, state.as_bytes());
        }
    }
}

/// Whether a client may be told how its endpoint was picked: it knows the token.
pub fn may_know(headers: &HeaderMap, token: &str) -> bool {
    let Some(said) = headers.get(super::headers::X_OUTRIGGER_DEBUG) else { return false };
    // Takes as long for a token that is wrong at its end as for one that is wrong at its beginning.
    said.as_bytes().ct_eq(token.as_bytes()).into()
}

#[cfg(test)]
mod tests;
