//! Session affinity: the cookie by which a client comes back to the endpoint that it was given first.
//!
//! The cookie is set when a client did not bring the one of the endpoint that answered, and not again: its time counts from
//! the day that the endpoint was given, and a response carries no field that says nothing new.

use super::cookie::cookie;
use crate::backend::Backend;
use crate::endpoint::Endpoint;
use crate::model::SessionAffinity;
use http::{HeaderMap, HeaderValue};

/// The endpoint that the client was given before, as its cookie names it.
pub fn pinned(backend: &Backend, headers: &HeaderMap) -> Option<u64> {
    None
}
pub fn is_kept(backend: &Backend, headers: &HeaderMap) -> bool {
    false
}
pub fn keep(response: &mut HeaderMap, request: &HeaderMap, record: &super::record::Record) {
}
