//! B3, with one field and with several: <https://github.com/openzipkin/b3-propagation>.

use super::{
    B3, Form, Found, Parent, SpanId, TraceId, X_B3_FLAGS, X_B3_SAMPLED, X_B3_SPAN_ID,
    X_B3_TRACE_ID, hex, one,
};
use http::HeaderMap;

/// What `b3` says, if it is there once and valid.
pub fn read_single(headers: &HeaderMap) -> Option<Found> {
    let value = one(headers, B3).ok()??;
    if let Some(sampled) = decision(value) {
        return Some(Found::Decision(sampled));
    }
    let mut parts = value.split(|byte| *byte == b'-');
    let (trace, span) = (trace_id(parts.next()?)?, span_id(parts.next()?)?);
    let (sampled, grandparent) = match parts.next() {
        None => (None, None),
        Some(part) => match decision(part) {
            Some(sampled) => (Some(sampled), parts.next()),
            // Brave writes the parent's parent behind an undecided trace, too.
            None => (None, Some(part)),
        },
    };
    // It is nothing to us, but what cannot be one makes the field another.
    let ends_well = grandparent.is_none_or(|id| id.len() == 16 && hex::any(id).is_some());
    (ends_well && parts.next().is_none()).then_some(Found::Parent(Parent {
        trace,
        span,
        sampled,
        random: false,
        form: Form::B3,
    }))
}

/// What the fields `X-B3-…` say, if they are there once and valid. `X-B3-ParentSpanId` is nothing to us.
pub fn read_multi(headers: &HeaderMap) -> Option<Found> {
    let field = |name| one(headers, name).ok();
    let (trace, span) = (field(X_B3_TRACE_ID)?, field(X_B3_SPAN_ID)?);
    let (sampled, flags) = (field(X_B3_SAMPLED)?, field(X_B3_FLAGS)?);
    let sampled = match sampled {
        None => None,
        Some(b"1") => Some(true),
        Some(b"0") => Some(false),
        // What was written before there was a standard.
        Some(word) if word.eq_ignore_ascii_case(b"true") => Some(true),
        Some(word) if word.eq_ignore_ascii_case(b"false") => Some(false),
        Some(_) => return None,
    };
    // Somebody wants to see this very trace; which implies that it is kept.
    let sampled = if flags == Some(b"1") { Some(true) } else { sampled };
    match (trace, span) {
        (None, None) => sampled.map(Found::Decision),
        (Some(trace), Some(span)) => {
            let (trace, span) = (trace_id(trace)?, span_id(span)?);
            let form = Form::B3Multi;
            Some(Found::Parent(Parent { trace, span, sampled, random: false, form }))
        }
        (Some(_), None) | (None, Some(_)) => None,
    }
}

/// The field `b3` that tells of `span`.
pub fn single(trace: TraceId, span: SpanId, sampled: bool) -> [u8; 51] {
    let mut value = *b"00000000000000000000000000000000-0000000000000000-0";
    value[..32].copy_from_slice(&trace.digits());
    value[33..49].copy_from_slice(&span.digits());
    value[50] += u8::from(sampled);
    value
}

/// `d` is for debugging: somebody wants to see this very trace.
fn decision(part: &[u8]) -> Option<bool> {
    match part {
        b"1" | b"d" => Some(true),
        b"0" => Some(false),
        _ => None,
    }
}

/// Of 64 or 128 bits.
fn trace_id(digits: &[u8]) -> Option<TraceId> {
    let trace = match digits.len() {
        16 => u128::from(hex::any(digits)?),
        32 => u128::from(hex::any(&digits[..16])?) << 64 | u128::from(hex::any(&digits[16..])?),
        _ => return None,
    };
    (trace != 0).then_some(TraceId(trace))
}

fn span_id(digits: &[u8]) -> Option<SpanId> {
    let span = if digits.len() == 16 { hex::any(digits)? } else { return None };
    (span != 0).then_some(SpanId(span))
}
