//! The head that an endpoint receives: written anew from what was understood, never passed through.
//!
//! Removed: what concerns only the client's connection (RFC 9110, section 7.6.1), and what clients claim about themselves
//! (`Forwarded`, `X-Forwarded-*`, also spelt with underscores), unless a trusted proxy says it. Added: who the client is,
//! `Via` (RFC 9110, section 7.6.3) and the request's id. A route's filter has the last word on all of these, but not on
//! `Host`, the framing and the connection.

mod sink;
mod websocket;

pub use sink::{Fields, Sink};

use super::error::ProxyError;
use super::filters::is_same_variable;
use super::forwarded::Forwarded;
use super::hops;
use super::present::Present;
use super::trace::PassedOn;
use crate::backend::http1::Framing;
use crate::backend::http1::chunked::is_allowed_trailer;
use crate::backend::http2::Switch;
use crate::model::{EndpointUrl, HeaderChanges, Scheme};
use bytes::{BufMut, BytesMut};
use h2::ext::Protocol;
use http::uri::{Authority, PathAndQuery, Uri};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Version, header, request::Parts};
use sink::field;
use smallvec::SmallVec;

/// The field with a request's id.
pub const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// The field with the addresses that a request came by.
pub const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
/// The field with the scheme that the client used.
pub const X_FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
/// The field with the host that the client asked for.
pub const X_FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");

/// The field in which a client shows that it may know how its endpoint is picked.
pub const X_OUTRIGGER_DEBUG: HeaderName = HeaderName::from_static("x-outrigger-debug");
/// The field that tells how it was.
pub const X_OUTRIGGER_DECISION: HeaderName = HeaderName::from_static("x-outrigger-decision");

/// The field with the certificate of a client (RFC 9440).
pub const CLIENT_CERT: HeaderName = HeaderName::from_static("client-cert");

/// The longest request id that is taken over from a client.
const MAX_REQUEST_ID: usize = 128;

/// A request to be written, besides its own head.
#[derive(Clone, Copy, Debug)]
pub struct Outbound<'a> {
    /// The request's head, as the client sent it.
    pub parts: &'a Parts,
    /// Which fields that has.
    pub present: Present,
    /// The `Host` for the endpoint; empty if the client named none.
    pub host: &'a HeaderValue,
    /// The path for the endpoint, below that of its URL; or `*`.
    pub path: &'a str,
    /// The query, without the `?`.
    pub query: Option<&'a str>,
    /// Where it goes.
    pub url: &'a EndpointUrl,
    /// How its body is delimited.
    pub framing: Framing,
    /// What it is told of the client.
    pub forwarded: Forwarded<'a>,
    /// The request's id.
    pub request_id: &'a str,
    /// The protocol to switch to, if the request asks for one that may be passed on.
    pub upgrade: Option<&'a HeaderValue>,
    /// What the endpoint is told of the request's trace, if there are traces.
    pub trace: Option<PassedOn<'a>>,
    /// What the route changes in the fields.
    pub changes: &'a HeaderChanges,
}

/// The head of a request for HTTP/2.
#[derive(Debug)]
pub struct Http2Head {
    /// The head.
    pub head: http::Request<()>,
    /// There when it asks for a tunnel.
    pub switch: Option<Switch>,
}

impl Outbound<'_> {
    /// Writes the head for an endpoint into `out`, which is empty.
    pub fn encode(&self, out: &mut BytesMut) {
        out.reserve(512);
        self.encode_line(out);
        if self.host.is_empty() {
            // A client of HTTP/1.0 that named none; HTTP/1.1 must.
            field(out, b"host", self.url.authority().as_bytes());
        } else {
            field(out, b"host", self.host.as_bytes());
        }
        self.encode_fields(out);
        self.encode_connection(out);
        out.put_slice(b"\r\n");
    }

    /// The head for an endpoint that speaks HTTP/2 (RFC 9113, section 8.3.1). A WebSocket is asked for by extended CONNECT (RFC
    /// 8441, section 5); another protocol cannot be.
    ///
    /// # Errors
    /// When the host is none that a URL could have.
    pub fn for_http2(&self) -> Result<Http2Head, ProxyError> {
        let (mut head, ()) = http::Request::new(()).into_parts();
        head.version = Version::HTTP_2;
        head.method = self.parts.method.clone();
        head.uri = self.uri()?;
        head.headers.reserve(self.parts.headers.len() + 8);
        self.encode_fields(&mut head.headers);
        if self.present.te && accepts_trailers(&self.parts.headers) {
            head.headers.insert(header::TE, HeaderValue::from_static("trailers"));
        }
        let asks = |protocol: &&HeaderValue| {
            protocol.as_bytes().eq_ignore_ascii_case(websocket::NAME.as_bytes())
        };
        let switch = self.upgrade.filter(asks).map(|protocol| {
            head.method = Method::CONNECT;
            head.extensions.insert(Protocol::from_static(websocket::NAME));
            let key = head.headers.remove(header::SEC_WEBSOCKET_KEY);
            Switch {
                protocol: protocol.clone(),
                accept: key.map(|key| websocket::accept(key.as_bytes())),
            }
        });
        Ok(Http2Head { head: http::Request::from_parts(head, ()), switch })
    }

    fn uri(&self) -> Result<Uri, ProxyError> {
        let authority = match self.host.is_empty() {
            true => Authority::try_from(self.url.authority()),
            false => Authority::try_from(self.host.as_bytes()),
        };
        let (path, query) = (&self.url.path, self.query);
        let target = if self.path == "*" && path.is_empty() {
            Ok(PathAndQuery::from_static("*"))
        } else {
            let path = [&**path, if self.path == "*" { "" } else { self.path }].concat();
            PathAndQuery::try_from(match query {
                Some(query) => [&path, "?", query].concat(),
                None => path,
            })
        };
        let mut parts = http::uri::Parts::default();
        parts.scheme = Some(match self.url.scheme {
            Scheme::Http => http::uri::Scheme::HTTP,
            Scheme::Https => http::uri::Scheme::HTTPS,
        });
        let invalid = |_| ProxyError::BadRequest("the Host or the target is not valid in a URL");
        parts.authority = Some(authority.map_err(invalid)?);
        parts.path_and_query = Some(target.map_err(invalid)?);
        Uri::from_parts(parts)
            .map_err(|_| ProxyError::BadRequest("the target is not valid in a URL"))
    }

    /// Writes all fields but `Host` and those that concern the connection.
    fn encode_fields<S: Sink>(&self, out: &mut S) {
        let nominated = match self.present.connection {
            true => nominated(&self.parts.headers),
            false => SmallVec::new(),
        };
        let replaced = self.trace.filter(|_| self.present.trace);
        let passes = |name: &HeaderName| {
            (!is_dropped(name) || self.forwarded.is_believed() && is_hearsay(name.as_str()))
                && !replaced.is_some_and(|trace| trace.replaces(name))
        };
        // HTTP/2 lets clients cut cookies into pieces, HTTP/1 does not (RFC 9113, section 8.2.3).
        let joins_cookies = S::IS_HTTP1 && self.parts.version == Version::HTTP_2;
        let mut fields = Fields::new(out, self.changes);
        for (name, value) in &self.parts.headers {
            if passes(name) && !nominated.contains(name) {
                match *name {
                    header::EXPECT if !self.may_expect(value) => {}
                    header::MAX_FORWARDS => match hops::after_this(self.parts) {
                        Some(left) => fields.put(name, itoa::Buffer::new().format(left).as_bytes()),
                        None => fields.keep(name, value),
                    },
                    header::COOKIE if joins_cookies => {
                        let mut pieces = self.parts.headers.get_all(name).iter();
                        // All of them where the first is.
                        if pieces.next().is_some_and(|first| std::ptr::eq(first, value)) {
                            put_cookies(&self.parts.headers, &mut fields);
                        }
                    }
                    _ => fields.keep(name, value),
                }
            }
        }
        self.encode_framing(fields.out);
        self.forwarded.encode(&self.parts.headers, &mut fields);
        let via: &[u8] = match self.parts.version {
            Version::HTTP_10 => b"1.0 outrigger",
            Version::HTTP_2 => b"2.0 outrigger",
            _ => b"1.1 outrigger",
        };
        if self.present.via {
            for before in self.parts.headers.get_all(header::VIA) {
                fields.keep(&header::VIA, before);
            }
        }
        fields.put(&header::VIA, via);
        fields.put(&X_REQUEST_ID, self.request_id.as_bytes());
        if let Some(trace) = self.trace {
            trace.write(|name, value| fields.put(name, value));
        }
        fields.finish();
    }

    fn encode_line(&self, out: &mut BytesMut) {
        out.put_slice(self.parts.method.as_str().as_bytes());
        out.put_u8(b' ');
        out.put_slice(self.url.path.as_bytes());
        // `*` (RFC 9112, section 3.2.4) is no path.
        if self.path != "*" || self.url.path.is_empty() {
            out.put_slice(self.path.as_bytes());
        }
        if let Some(query) = self.query {
            out.put_u8(b'?');
            out.put_slice(query.as_bytes());
        }
        out.put_slice(b" HTTP/1.1\r\n");
    }

    /// Whether an expectation goes on: 100 (Continue) is not to be expected for no body, nor on behalf of HTTP/1.0 (RFC
    /// 9110, section 10.1.1).
    fn may_expect(&self, expectation: &HeaderValue) -> bool {
        let awaited = self.framing != Framing::Empty && self.parts.version != Version::HTTP_10;
        awaited || !expectation.as_bytes().eq_ignore_ascii_case(b"100-continue")
    }

    fn encode_framing<S: Sink>(&self, out: &mut S) {
        match self.framing {
            Framing::Length(length) => {
                out.put(&header::CONTENT_LENGTH, itoa::Buffer::new().format(length).as_bytes());
            }
            // HTTP/2 frames every body.
            Framing::Chunked if S::IS_HTTP1 => out.put(&header::TRANSFER_ENCODING, b"chunked"),
            // Some servers insist on a length where a body would be usual.
            Framing::Empty
                if [Method::POST, Method::PUT, Method::PATCH].contains(&self.parts.method) =>
            {
                out.put(&header::CONTENT_LENGTH, b"0");
            }
            Framing::Empty | Framing::Chunked | Framing::UntilClose => {}
        }
    }

    fn encode_connection(&self, out: &mut BytesMut) {
        let trailers = self.present.te && accepts_trailers(&self.parts.headers);
        if trailers {
            field(out, b"te", b"trailers");
        }
        match (self.upgrade, trailers) {
            (Some(protocol), _) => {
                field(out, b"upgrade", protocol.as_bytes());
                field(out, b"connection", if trailers { b"upgrade, te" } else { b"upgrade" });
            }
            (None, true) => field(out, b"connection", b"te"),
            (None, false) => {}
        }
    }
}

/// Writes a client's cookies as one field.
fn put_cookies<S: Sink>(headers: &HeaderMap, fields: &mut Fields<'_, S>) {
    let pieces: SmallVec<[_; 4]> = headers.get_all(header::COOKIE).iter().collect();
    match pieces.as_slice() {
        [only] => fields.keep(&header::COOKIE, only),
        several => {
            let several: Vec<_> = several.iter().map(|piece| piece.as_bytes()).collect();
            fields.put(&header::COOKIE, &several.join(&b"; "[..]));
        }
    }
}

/// Whether a request's field is not passed on as it is: because it concerns only this connection, is written anew, or
/// is a client's claim about itself.
fn is_dropped(name: &HeaderName) -> bool {
    match *name {
        header::HOST
        | header::CONNECTION
        | header::CONTENT_LENGTH
        | header::TRANSFER_ENCODING
        | header::TE
        | header::UPGRADE
        | header::PROXY_AUTHORIZATION
        | header::PROXY_AUTHENTICATE
        | header::FORWARDED
        | header::VIA => true,
        _ => is_claim(name.as_str()),
    }
}

/// Whether a field that is no standard one concerns the connection, or is the client's claim about itself.
fn is_claim(name: &str) -> bool {
    const CONNECTION: [&str; 3] = ["keep-alive", "proxy-connection", "http2-settings"];
    const CERTIFICATE: [&str; 2] = ["client-cert", "client-cert-chain"];
    const ID: [&str; 4] = ["x-request-id", "x_request_id", "x-request_id", "x_request-id"];
    match name.as_bytes() {
        [b'x', b'-' | b'_', b'f', ..] => {
            let start = name.get(..11);
            start == Some("x-forwarded") || start == Some("x_forwarded")
        }
        [b'x', b'-' | b'_', b'r', ..] => ID.contains(&name),
        // The token is ours alone.
        [b'x', b'-' | b'_', b'o', ..] => is_spelt(name, "x-outrigger-debug"),
        [b'k' | b'p' | b'h', ..] => CONNECTION.contains(&name),
        [b'c', ..] => CERTIFICATE.iter().any(|claim| is_spelt(name, claim)),
        _ => false,
    }
}

/// Whether `name` is `claim`, whose hyphens may be underscores: many applications take the two for one.
fn is_spelt(name: &str, claim: &str) -> bool {
    name.len() == claim.len()
        && name.bytes().zip(claim.bytes()).all(|(a, b)| a == b || a == b'_' && b == b'-')
}

/// Whether a field is a claim about the client that is passed on as it is when a trusted proxy makes it: `X-Forwarded-Port`
/// and the like, in the usual spelling. The others of that family are written anew.
fn is_hearsay(name: &str) -> bool {
    name.strip_prefix("x-forwarded-")
        .is_some_and(|what| !matches!(what, "for" | "proto" | "host") && !what.contains('_'))
}

/// The fields that may not come in behind the head of a request with `headers`, as little as in it: those that the route
/// takes away, and those that its `Connection` field names.
pub fn not_in_trailers(headers: &HeaderMap, changes: &HeaderChanges) -> Vec<HeaderName> {
    let set = changes.set.iter().map(|(name, _)| name);
    changes.remove.iter().chain(set).cloned().chain(nominated(headers)).collect()
}

/// The trailers of a request that may be passed on: neither framing, nor a client's claims, nor one of `barred` can come in
/// behind the head.
pub fn trailers_to_pass(trailers: &HeaderMap, barred: &[HeaderName]) -> HeaderMap {
    let is_barred = |name: &HeaderName| barred.iter().any(|one| is_same_variable(one, name));
    let passes =
        |name: &HeaderName| !is_dropped(name) && is_allowed_trailer(name) && !is_barred(name);
    let kept = trailers.iter().filter(|(name, _)| passes(name));
    kept.map(|(name, value)| (name.clone(), value.clone())).collect()
}

/// Fields that the client's `Connection` field declares to concern only this connection.
fn nominated(headers: &HeaderMap) -> SmallVec<[HeaderName; 2]> {
    let mut names = SmallVec::new();
    for value in headers.get_all(header::CONNECTION) {
        for token in tokens(value) {
            if !token.eq_ignore_ascii_case(b"close") && !token.eq_ignore_ascii_case(b"keep-alive") {
                names.extend(HeaderName::from_bytes(token));
            }
        }
    }
    names
}

/// The comma-separated items of a field's value.
pub fn tokens(value: &HeaderValue) -> impl Iterator<Item = &[u8]> {
    value
        .as_bytes()
        .split(|byte| *byte == b',')
        .map(<[u8]>::trim_ascii)
        .filter(|token| !token.is_empty())
}

fn has_token(headers: &HeaderMap, name: HeaderName, token: &[u8]) -> bool {
    headers.get_all(name).into_iter().flat_map(tokens).any(|item| item.eq_ignore_ascii_case(token))
}

/// Whether the client can take trailers.
fn accepts_trailers(headers: &HeaderMap) -> bool {
    has_token(headers, header::TE, b"trailers")
}

/// The protocol that the request asks to switch to, if it may be passed on. `h2c` may not: an endpoint that switched to
/// HTTP/2 would take requests that we never saw. Nor may what is no list of protocols: who forgives more than we do could read
/// one in it.
pub fn upgrade(parts: &Parts) -> Option<&HeaderValue> {
    let protocol = parts.headers.get(header::UPGRADE)?;
    let asked = parts.version == Version::HTTP_11
        && has_token(&parts.headers, header::CONNECTION, b"upgrade")
        && tokens(protocol)
            .all(|token| is_protocol(token) && !token.to_ascii_lowercase().starts_with(b"h2c"));
    asked.then_some(protocol)
}

/// A name, and perhaps a version (RFC 9110, section 7.8).
fn is_protocol(item: &[u8]) -> bool {
    let is_token_byte =
        |byte: &u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(byte);
    let mut parts = item.splitn(2, |byte| *byte == b'/');
    parts.all(|part| !part.is_empty() && part.iter().all(is_token_byte))
}

/// Whether the client waits for a 100 before it sends the body, and the endpoint hears of it.
pub fn expects_continue(parts: &Parts) -> bool {
    parts.version != Version::HTTP_10
        && parts
            .headers
            .get(header::EXPECT)
            .is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"100-continue"))
        && !has_token(&parts.headers, header::CONNECTION, b"expect")
}

/// The id that the client gave its request, if it is fit to be logged and passed on.
pub fn client_request_id(headers: &HeaderMap) -> Option<&str> {
    let id = headers.get(X_REQUEST_ID)?.to_str().ok()?;
    let fit = !id.is_empty()
        && id.len() <= MAX_REQUEST_ID
        && id.bytes().all(|byte| byte.is_ascii_graphic());
    fit.then_some(id)
}

#[cfg(test)]
mod tests;
