//! Session affinity: the cookie by which a client comes back to the endpoint that it was given first.
//!
//! The cookie is set when a client did not bring the one of an endpoint that it may stay with, and not again: its time counts
//! from the day that the endpoint was given, and a response carries no field that says nothing new. Whose endpoint is still
//! there keeps it also when a retry was answered by another: one failure must not move a session for good.

use super::cookie::cookie;
use super::record::Record;
use crate::backend::{Backend, affinity};
use crate::model::SessionAffinity;
use http::{HeaderMap, HeaderValue, header};
use std::fmt::Write;

/// The endpoint that the client was given before, as its cookie names it.
pub fn pinned(backend: &Backend, headers: &HeaderMap) -> Option<u64> {
    let settings = backend.model().session_affinity.as_ref()?;
    affinity::parse(cookie(headers, &settings.cookie)?)
}

/// Whether the client's cookie names an endpoint of this backend.
pub fn is_kept(backend: &Backend, headers: &HeaderMap) -> bool {
    pinned(backend, headers).is_some_and(|token| backend.has_token(token))
}

/// Gives the client the cookie of the endpoint that answered, unless it has it.
pub fn keep(response: &mut HeaderMap, request: &HeaderMap, record: &Record) {
    let Some(backend) = record.backend() else { return };
    let Some(settings) = &backend.model().session_affinity else { return };
    let Some(pick) = &record.in_flight else { return };
    let token = backend.affinity_token(pick.endpoint());
    if pinned(backend, request).is_some_and(|own| own == token || backend.may_stay(own)) {
        return;
    }
    if let Ok(cookie) = HeaderValue::from_str(&set_cookie(settings, token)) {
        response.append(header::SET_COOKIE, cookie);
    }
}

/// The cookie for the client: no script sees it, and no other site sends it along with what it makes a browser post.
fn set_cookie(settings: &SessionAffinity, token: u64) -> String {
    let SessionAffinity { cookie, ttl, path } = settings;
    let token = affinity::encode(token);
    let token = token.escape_ascii();
    let mut text = format!("{cookie}={token}; Path={path}; HttpOnly; SameSite=Lax");
    if let Some(ttl) = ttl {
        // Writing to memory cannot fail. A part of a second counts as one: 0 would delete the cookie.
        let _ = write!(text, "; Max-Age={}", ttl.as_millis().div_ceil(1000));
    }
    text
}
