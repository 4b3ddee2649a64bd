//! `traceparent`, section 3.2 of W3C Trace Context.

use super::{Form, Parent, SpanId, TRACEPARENT, TraceId, hex, one};
use http::HeaderMap;

/// Flags, all that are known.
const SAMPLED: u64 = 0x01;
const RANDOM: u64 = 0x02;

/// The length of version 00, and the part of later versions that is known.
const LENGTH: usize = 55;

/// The field, if it is there once and valid.
pub fn read(headers: &HeaderMap) -> Option<Parent> {
    parse(one(headers, TRACEPARENT).ok()??)
}

fn parse(value: &[u8]) -> Option<Parent> {
    let (known, rest) = value.split_first_chunk::<LENGTH>()?;
    // Version 00 ends here. Those that come may go on with another dash. There will be no version ff.
    let ends_well = match hex::lower(&known[..2])? {
        0x00 => rest.is_empty(),
        0xFF => false,
        _ => rest.first().is_none_or(|byte| *byte == b'-'),
    };
    if !ends_well || [2, 35, 52].iter().any(|at| known[*at] != b'-') {
        return None;
    }
    let (high, low) = (hex::lower(&known[3..19])?, hex::lower(&known[19..35])?);
    let trace = u128::from(high) << 64 | u128::from(low);
    let span = hex::lower(&known[36..52])?;
    let flags = hex::lower(&known[53..])?;
    (trace != 0 && span != 0).then_some(Parent {
        trace: TraceId(trace),
        span: SpanId(span),
        sampled: Some(flags & SAMPLED != 0),
        random: flags & RANDOM != 0,
        form: Form::TraceContext,
    })
}

/// The field of version 00, whatever version came in. Flags that nobody has told us of are zero, as the standard wants it.
pub fn traceparent(trace: TraceId, span: SpanId, sampled: bool, random: bool) -> [u8; LENGTH] {
    let mut value = *b"00-00000000000000000000000000000000-0000000000000000-00";
    value[3..35].copy_from_slice(&trace.digits());
    value[36..52].copy_from_slice(&span.digits());
    value[LENGTH - 1] += u8::from(sampled) + 2 * u8::from(random);
    value
}
