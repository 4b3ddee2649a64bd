//! Whether a request is what a match asks for, one part at a time.

use super::Asked;
use crate::model::{HeaderMatch, HostPattern, Match, PathMatch, QueryMatch, ValueMatch};
use http::{HeaderMap, Method};
use percent_encoding::percent_decode_str;
use smallvec::SmallVec;
use std::borrow::Cow;
use std::ops::Deref;

/// A request's host as it is compared: in lower case, without a port and without one trailing dot.
pub(super) struct Host<'a> {
    came: &'a [u8],
    /// Empty when it came without capitals, as nearly all do. A very long one goes to the heap.
    lowered: SmallVec<[u8; 64]>,
}

impl<'a> Host<'a> {
    pub(super) fn of(host: &'a str) -> Self {
        let host = host.as_bytes();
        // A port is digits behind a colon; the colons of an IPv6 address stand before its bracket.
        let digits = host.iter().rev().take_while(|byte| byte.is_ascii_digit()).count();
        let colon = host.len().checked_sub(digits + 1).filter(|colon| host[*colon] == b':');
        let host = &host[..colon.unwrap_or(host.len())];
        let came = host.strip_suffix(b".").unwrap_or(host);
        let lowered = match came.iter().any(u8::is_ascii_uppercase) {
            true => came.iter().map(u8::to_ascii_lowercase).collect(),
            false => SmallVec::new(),
        };
        Self { came, lowered }
    }
}

impl Deref for Host<'_> {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        if self.lowered.is_empty() { self.came } else { &self.lowered }
    }
}

/// Whether `pattern` takes `host`.
pub(super) fn host_fits(pattern: &HostPattern, host: &[u8]) -> bool {
    match pattern {
        HostPattern::Exact(name) => host == name.as_bytes(),
        HostPattern::Wildcard(suffix) => {
            host.len() > suffix.len() && host.ends_with(suffix.as_bytes())
        }
    }
}

/// Whether `wanted` takes `path`.
pub(super) fn path_fits(wanted: &PathMatch, path: &str) -> bool {
    match wanted {
        PathMatch::Exact(text) => path == &**text,
        PathMatch::Prefix(prefix) if &**prefix == "/" => true,
        PathMatch::Prefix(prefix) => path
            .strip_prefix(&**prefix)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with('/')),
        PathMatch::Regex(regex) => regex.is_match(path.as_bytes()),
    }
}

/// Whether a match that asks for `wanted` takes `method`.
pub(super) fn method_fits(wanted: Option<&Method>, method: &Method) -> bool {
    wanted.is_none_or(|wanted| wanted == method)
}

/// Whether `headers` have what is wanted.
pub(super) fn header_fits(wanted: &HeaderMatch, headers: &HeaderMap) -> bool {
    let mut values = headers.get_all(&wanted.name).iter();
    let Some(first) = values.next() else { return value_fits(&wanted.value, None) };
    let Some(second) = values.next() else {
        return value_fits(&wanted.value, Some(first.as_bytes()));
    };
    // A recipient may join them like that without changing what they mean (RFC 9110, section 5.3).
    let mut joined = first.as_bytes().to_vec();
    for value in std::iter::once(second).chain(values) {
        joined.extend_from_slice(b", ");
        joined.extend_from_slice(value.as_bytes());
    }
    value_fits(&wanted.value, Some(&joined))
}

/// Whether `query` has what is wanted.
pub(super) fn query_fits(wanted: &QueryMatch, query: Option<&str>) -> bool {
    let value = query.and_then(|query| parameter(query, &wanted.name));
    value_fits(&wanted.value, value.as_deref())
}

/// Whether the request is all that `wanted` asks for besides the path.
pub(super) fn rest_fits(wanted: &Match, asked: &Asked<'_>) -> bool {
    method_fits(wanted.method.as_ref(), asked.method)
        && wanted.headers.iter().all(|header| header_fits(header, asked.headers))
        && wanted.query.iter().all(|parameter| query_fits(parameter, asked.query))
}

fn value_fits(wanted: &ValueMatch, value: Option<&[u8]>) -> bool {
    match wanted {
        ValueMatch::Exact(text) => value.is_some_and(|value| value == text.as_bytes()),
        ValueMatch::Regex(regex) => value.is_some_and(|value| regex.is_match(value)),
        ValueMatch::Present => value.is_some(),
        ValueMatch::Absent => value.is_none(),
    }
}

/// The value of the first parameter of `query` that is called `name`, both percent-decoded. A parameter without `=` has an
/// empty value; a `+` stays one; a `%` without two hexadecimal digits stands for itself.
pub fn parameter<'a>(query: &'a str, name: &str) -> Option<Cow<'a, [u8]>> {
    query.split('&').find_map(|part| {
        let (key, value) = part.split_once('=').unwrap_or((part, ""));
        percent_decode_str(key).eq(name.bytes()).then(|| percent_decode_str(value).into())
    })
}
