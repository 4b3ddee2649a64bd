//! Trace contexts: what a caller says of the trace that its request belongs to, and what the next one is told.
//!
//! Sources: W3C Trace Context, level 1 (<https://www.w3.org/TR/trace-context-1/>) and level 2
//! (<https://www.w3.org/TR/trace-context-2/>), and B3 (<https://github.com/openzipkin/b3-propagation>).
//!
//! Written here, because the propagator of `opentelemetry_sdk` 0.33 takes `00-abc-1-01` for a trace and the first of two
//! `traceparent`s for the right one, and allocates for each.

mod b3;
mod hex;
#[cfg(any(test, fuzzing))]
pub mod property;
#[cfg(test)]
mod tests;
mod traceparent;
mod tracestate;

use http::{HeaderMap, HeaderName};
use std::fmt;
pub use tracestate::tracestate;

/// The trace, of W3C Trace Context.
const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
/// What tracing systems want to find again, of W3C Trace Context.
pub const TRACESTATE: HeaderName = HeaderName::from_static("tracestate");
/// The trace, of B3 with one field.
const B3: HeaderName = HeaderName::from_static("b3");
/// The trace's id, of B3 with several fields.
const X_B3_TRACE_ID: HeaderName = HeaderName::from_static("x-b3-traceid");
/// The caller's span's id, of B3 with several fields.
const X_B3_SPAN_ID: HeaderName = HeaderName::from_static("x-b3-spanid");
/// Whether the trace is kept, of B3 with several fields.
const X_B3_SAMPLED: HeaderName = HeaderName::from_static("x-b3-sampled");
/// Whether somebody wants to see this very trace, of B3 with several fields.
const X_B3_FLAGS: HeaderName = HeaderName::from_static("x-b3-flags");

/// The id of a trace. Those that are read or made here are not zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct TraceId(pub u128);

/// The id of a span. Those that are read or made here are not zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct SpanId(pub u64);

/// A form in which a trace is passed on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// `traceparent` and `tracestate` (W3C Trace Context).
    TraceContext,
    /// `b3` (one field).
    B3,
    /// `X-B3-TraceId` and the like (several fields).
    B3Multi,
}

/// The forms that are read and written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Forms {
    /// [`Form::TraceContext`].
    pub trace_context: bool,
    /// [`Form::B3`].
    pub b3: bool,
    /// [`Form::B3Multi`].
    pub b3_multi: bool,
}

/// The span of a caller, which is the parent of ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Parent {
    /// Its trace.
    pub trace: TraceId,
    /// Its own id.
    pub span: SpanId,
    /// Whether the trace is kept. `None` where that is left to us, which only B3 can say.
    pub sampled: Option<bool>,
    /// Whether the trace's id is random in its last seven bytes at least (level 2). Goes on as it came.
    pub random: bool,
    /// How it was said.
    pub form: Form,
}

/// What the fields of a request say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Found {
    /// Nothing, or nothing valid: a trace begins, and whether it is kept is ours to decide.
    Nothing,
    /// No trace, but whether the one that begins is kept (B3).
    Decision(bool),
    /// A trace that goes on.
    Parent(Parent),
}

/// Reads what `headers` say, in the first of the `forms` in which they say something valid: W3C, B3 with one field, with several.
pub fn read(headers: &HeaderMap, forms: Forms) -> Found {
    if forms.trace_context
        && let Some(parent) = traceparent::read(headers)
    {
        return Found::Parent(parent);
    }
    if forms.b3
        && let Some(found) = b3::read_single(headers)
    {
        return found;
    }
    if forms.b3_multi
        && let Some(found) = b3::read_multi(headers)
    {
        return found;
    }
    Found::Nothing
}

/// Has `put` write the fields that tell the next one of `span`, each once: all of `forms` but `tracestate`, for which see
/// [`tracestate()`].
pub fn write(
    forms: Forms,
    trace: TraceId,
    span: SpanId,
    sampled: bool,
    random: bool,
    mut put: impl FnMut(&HeaderName, &[u8]),
) {
    if forms.trace_context {
        put(&TRACEPARENT, &traceparent::traceparent(trace, span, sampled, random));
    }
    if forms.b3 {
        put(&B3, &b3::single(trace, span, sampled));
    }
    if forms.b3_multi {
        put(&X_B3_TRACE_ID, &trace.digits());
        put(&X_B3_SPAN_ID, &span.digits());
        put(&X_B3_SAMPLED, if sampled { b"1" } else { b"0" });
    }
}

/// Whether a request that is sent on must not keep this field as it came, because [`write()`] or [`tracestate()`] says it anew.
/// `baggage` is nobody's but the applications'.
pub fn is_ours(name: &HeaderName, forms: Forms) -> bool {
    match name.as_str().as_bytes() {
        b"traceparent" | b"tracestate" => forms.trace_context,
        b"b3" => forms.b3,
        [b'x', b'-', b'b', b'3', b'-', ..] => forms.b3_multi,
        _ => false,
    }
}

/// Whether `trace` is among the `ratio` (0 to 1) of all traces that are kept.
///
/// Decides as `TraceIdRatioBased` does in the SDKs of OpenTelemetry, so that services with the same ratio keep the same traces.
pub fn ratio_keeps(trace: TraceId, ratio: f64) -> bool {
    // A float becomes an integer by saturation: less than nothing is nothing, and so is NaN.
    let bound = (ratio * (1_u64 << 63) as f64) as u64;
    (trace.0 as u64) >> 1 < bound
}

/// Ids for a trace that begins, and for its first span. They are random in all bytes: the trace's flag for that is set.
pub fn new_ids(rng: &mut fastrand::Rng) -> (TraceId, SpanId) {
    (TraceId(rng.u128(..).max(1)), SpanId::new(rng))
}

impl TraceId {
    /// Its 32 digits, as all forms write it.
    pub fn digits(self) -> [u8; 32] {
        hex::digits(&self.0.to_be_bytes())
    }
}

impl SpanId {
    /// An id for one more span.
    pub fn new(rng: &mut fastrand::Rng) -> Self {
        Self(rng.u64(..).max(1))
    }

    /// Its 16 digits, as all forms write it.
    pub fn digits(self) -> [u8; 16] {
        hex::digits(&self.0.to_be_bytes())
    }
}

impl fmt::Display for TraceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

impl fmt::Display for SpanId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

/// A field that may be there once and is there several times: which of them counts is anybody's guess.
struct Several;

/// The value of the field, without white space around it.
fn one(headers: &HeaderMap, name: HeaderName) -> Result<Option<&[u8]>, Several> {
    let mut values = headers.get_all(name).iter();
    let first = values.next();
    match values.next() {
        None => Ok(first.map(|value| value.as_bytes().trim_ascii())),
        Some(_) => Err(Several),
    }
}
