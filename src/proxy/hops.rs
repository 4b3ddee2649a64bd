//! How far a request may go: what its `Max-Forwards` allows, and where a loop ends.
//!
//! Source: RFC 9110, sections 7.6 and 7.6.2.

use super::error::ProxyError;
use super::headers::tokens;
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, Response, StatusCode, header, request::Parts};

/// How often a request may come by load balancers of this name: more than any that are set up one behind the other, few
/// enough to end a loop before it costs much.
const MAX_ROUNDS: usize = 16;

/// How often a request may still be forwarded, if it says so in a way that counts: only TRACE and OPTIONS can.
///
/// # Errors
/// When what it says is not one number.
pub fn left(parts: &Parts) -> Result<Option<u64>, ProxyError> {
    if parts.method != Method::OPTIONS && parts.method != Method::TRACE {
        return Ok(None);
    }
    let mut fields = parts.headers.get_all(header::MAX_FORWARDS).into_iter();
    let Some(field) = fields.next() else { return Ok(None) };
    let text = field.to_str().unwrap_or_default();
    let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if !is_number || fields.next().is_some() {
        return Err(ProxyError::BadRequest("the Max-Forwards field is not a number"));
    }
    // More than fits is as good as no end.
    Ok(Some(text.parse().unwrap_or(u64::MAX)))
}

/// What `Max-Forwards` says to the next, if it counts.
pub fn after_this(parts: &Parts) -> Option<u64> {
    left(parts).ok()?.map(|left| left.saturating_sub(1))
}

/// The answer to a request that goes no further: ours, as if we were whom it is for. TRACE, which shows a client what it sent,
/// cookies and all, we do not know.
pub fn final_answer(method: &Method) -> Response<Bytes> {
    let mut response = Response::new(Bytes::new());
    if *method == Method::TRACE {
        *response.status_mut() = StatusCode::METHOD_NOT_ALLOWED;
        response.headers_mut().insert(header::ALLOW, HeaderValue::from_static("OPTIONS"));
    }
    response
}

/// Refuses a request that has been here too often.
///
/// # Errors
/// [`ProxyError::Loop`].
pub fn check_loop(headers: &HeaderMap) -> Result<(), ProxyError> {
    let is_us = |hop: &&[u8]| {
        hop.split(|byte| *byte == b' ').nth(1).is_some_and(|name| name == b"outrigger")
    };
    let rounds = headers.get_all(header::VIA).into_iter().flat_map(tokens).filter(is_us).count();
    if rounds > MAX_ROUNDS { Err(ProxyError::Loop) } else { Ok(()) }
}
