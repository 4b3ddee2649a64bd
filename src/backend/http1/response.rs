//! The head of a response: parsed, checked for ambiguity, and freed of what concerns only this connection.
//!
//! Source: RFC 9112, section 6; RFC 9110, section 7.6.1.

use super::{Framing, MAX_HEAD};
use crate::backend::exchange::ExchangeError;
use bytes::{Bytes, BytesMut};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use smallvec::SmallVec;
use std::mem::MaybeUninit;
use std::ops::Range;

/// The most header fields of a response.
const MAX_FIELDS: usize = 128;

/// A final response's head.
#[derive(Debug)]
pub struct Head {
    /// The status code.
    pub status: StatusCode,
    /// The reason phrase, where it is not the usual one.
    pub reason: Option<Bytes>,
    /// The fields to pass on. `Upgrade` is among them only for 101 and 426.
    pub headers: HeaderMap,
    /// How the body is delimited.
    pub framing: Framing,
    /// Whether the endpoint keeps the connection open after the body.
    pub keep_alive: bool,
    /// Whether the endpoint speaks HTTP/1.0.
    pub is_http10: bool,
}

/// What the bytes at hand contain.
#[derive(Debug)]
pub enum Parsed {
    /// A final response's head, now taken out of the buffer.
    Final(Head),
    /// An interim response (1xx) and the fields to pass on, now taken out of the buffer.
    Interim(StatusCode, HeaderMap),
    /// Not yet a whole head.
    Partial,
}

/// What the fields say about the connection and the body.
#[derive(Debug, Default)]
struct Signals {
    content_length: Option<u64>,
    chunked: bool,
    close: bool,
    keep_alive: bool,
    /// Further fields that concern only this connection.
    nominated: Vec<HeaderName>,
}

/// Parses the head at the beginning of `buffer`, if all of it is there.
pub fn parse(buffer: &mut BytesMut, is_head_request: bool) -> Result<Parsed, ExchangeError> {
    if buffer.is_empty() {
        return Ok(Parsed::Partial);
    }
    let mut fields = [const { MaybeUninit::uninit() }; MAX_FIELDS];
    let mut response = httparse::Response::new(&mut []);
    let parser = httparse::ParserConfig::default();
    let length = match parser.parse_response_with_uninit_headers(&mut response, buffer, &mut fields)
    {
        // It may have come in one piece.
        Ok(httparse::Status::Complete(length)) if length > MAX_HEAD => {
            return Err(ExchangeError::HeadTooLarge);
        }
        Ok(httparse::Status::Complete(length)) => length,
        Ok(httparse::Status::Partial) => return Ok(Parsed::Partial),
        Err(error) => return Err(ExchangeError::Malformed(describe(error))),
    };
    let status = response.code.and_then(|code| StatusCode::from_u16(code).ok());
    let status = status.ok_or(ExchangeError::Malformed("its status code"))?;
    let is_http10 = response.version == Some(0);
    let spans: Spans = response.headers.iter().map(|field| Span::of(field, buffer)).collect();
    let reason = unusual_reason(response.reason.unwrap_or_default(), status);
    // The values are slices of the buffer, which is whole again when the response is gone: mostly before the next one comes.
    let head = buffer.split_to(length).freeze();
    let (mut headers, signals) = collect(&spans, &head, status)?;
    if status.is_informational() && status != StatusCode::SWITCHING_PROTOCOLS {
        // It has no body, whatever it says (RFC 9110, section 8.6).
        headers.remove(header::CONTENT_LENGTH);
        return Ok(Parsed::Interim(status, headers));
    }
    let framing = framing(&signals, status, is_head_request, is_http10)?;
    let keep_alive =
        !signals.close && (!is_http10 || signals.keep_alive) && framing != Framing::UntilClose;
    Ok(Parsed::Final(Head { status, reason, headers, framing, keep_alive, is_http10 }))
}

/// Where a field's name and its value stand in a head.
#[derive(Debug)]
struct Span {
    name: Range<usize>,
    value: Range<usize>,
}

/// The fields of a head; most responses have no more than fit here.
type Spans = SmallVec<[Span; 16]>;

impl Span {
    /// Where `field`, which was parsed from the head at the beginning of `buffer`, stands in it.
    fn of(field: &httparse::Header<'_>, buffer: &[u8]) -> Self {
        let range = |part: &[u8]| {
            let start = part.as_ptr() as usize - buffer.as_ptr() as usize;
            start..start + part.len()
        };
        Self { name: range(field.name.as_bytes()), value: range(field.value) }
    }
}

/// Turns the fields of `head` into a map, with values that share its memory.
fn collect(
    fields: &[Span],
    head: &Bytes,
    status: StatusCode,
) -> Result<(HeaderMap, Signals), ExchangeError> {
    let mut signals = Signals::default();
    let mut headers = HeaderMap::with_capacity(fields.len() + 1);
    for field in fields {
        let name = HeaderName::from_bytes(&head[field.name.clone()])
            .map_err(|_| ExchangeError::Malformed("the name of a header field"))?;
        let value = head.slice(field.value.clone());
        let value = HeaderValue::from_maybe_shared(value)
            .map_err(|_| ExchangeError::Malformed("the value of a header field"))?;
        if signals.note(&name, &value)? || name == header::UPGRADE && names_protocols(status) {
            headers.append(name, value);
        }
    }
    for name in &signals.nominated {
        if !(*name == header::UPGRADE && names_protocols(status)) {
            headers.remove(name);
        }
    }
    Ok((headers, signals))
}

/// Whether a response of this status must have an `Upgrade` field (RFC 9110, sections 15.2.2 and 15.5.22).
fn names_protocols(status: StatusCode) -> bool {
    status == StatusCode::SWITCHING_PROTOCOLS || status == StatusCode::UPGRADE_REQUIRED
}

/// The reason phrase, unless it says what the status says already.
fn unusual_reason(reason: &str, status: StatusCode) -> Option<Bytes> {
    match status.canonical_reason() {
        Some(usual) if reason.is_empty() || reason == usual => None,
        Some(_) | None => Some(Bytes::copy_from_slice(reason.as_bytes())),
    }
}

/// Writes an interim response.
pub fn encode_interim(status: StatusCode, headers: &HeaderMap, out: &mut BytesMut) {
    out.extend_from_slice(b"HTTP/1.1 ");
    out.extend_from_slice(status.as_str().as_bytes());
    out.extend_from_slice(b" ");
    out.extend_from_slice(status.canonical_reason().unwrap_or_default().as_bytes());
    out.extend_from_slice(b"\r\n");
    for (name, value) in headers {
        out.extend_from_slice(name.as_str().as_bytes());
        out.extend_from_slice(b": ");
        out.extend_from_slice(value.as_bytes());
        out.extend_from_slice(b"\r\n");
    }
    out.extend_from_slice(b"\r\n");
}

impl Signals {
    /// Reads a field's meaning for the connection; returns whether it is to be passed on.
    fn note(&mut self, name: &HeaderName, value: &HeaderValue) -> Result<bool, ExchangeError> {
        match *name {
            header::CONTENT_LENGTH => self.note_length(value),
            header::TRANSFER_ENCODING => {
                if self.chunked || !value.as_bytes().trim_ascii().eq_ignore_ascii_case(b"chunked") {
                    return Err(ExchangeError::Malformed("a Transfer-Encoding other than chunked"));
                }
                self.chunked = true;
                Ok(false)
            }
            header::CONNECTION => {
                self.note_connection(value);
                Ok(false)
            }
            header::UPGRADE | header::TE => Ok(false),
            _ => Ok(!matches!(name.as_str(), "keep-alive" | "proxy-connection")),
        }
    }

    fn note_length(&mut self, value: &HeaderValue) -> Result<bool, ExchangeError> {
        let digits = value.as_bytes();
        let valid = !digits.is_empty() && digits.iter().all(u8::is_ascii_digit);
        let length = value.to_str().ok().filter(|_| valid).and_then(|text| text.parse().ok());
        let length = length.ok_or(ExchangeError::Malformed("its Content-Length"))?;
        match self.content_length.replace(length) {
            None => Ok(true),
            // Twice the same means the same; one of them goes on.
            Some(before) if before == length => Ok(false),
            Some(_) => Err(ExchangeError::Malformed("two Content-Lengths that differ")),
        }
    }

    fn note_connection(&mut self, value: &HeaderValue) {
        for token in value.as_bytes().split(|byte| *byte == b',').map(<[u8]>::trim_ascii) {
            if token.eq_ignore_ascii_case(b"close") {
                self.close = true;
            } else if token.eq_ignore_ascii_case(b"keep-alive") {
                self.keep_alive = true;
            } else if let Ok(name) = HeaderName::from_bytes(token) {
                // What frames the message is not the endpoint's to take away.
                if name != header::CONTENT_LENGTH {
                    self.nominated.push(name);
                }
            }
        }
    }
}

/// How the body is delimited (RFC 9112, section 6.3).
fn framing(
    signals: &Signals,
    status: StatusCode,
    is_head_request: bool,
    is_http10: bool,
) -> Result<Framing, ExchangeError> {
    if signals.chunked && signals.content_length.is_some() {
        return Err(ExchangeError::Malformed("both Content-Length and Transfer-Encoding"));
    }
    if signals.chunked && is_http10 {
        return Err(ExchangeError::Malformed("Transfer-Encoding in HTTP/1.0"));
    }
    let has_no_body = is_head_request
        || status.is_informational()
        || status == StatusCode::NO_CONTENT
        || status == StatusCode::NOT_MODIFIED;
    Ok(match (has_no_body, signals.chunked, signals.content_length) {
        (true, ..) => Framing::Empty,
        (false, true, _) => Framing::Chunked,
        (false, false, Some(length)) => Framing::Length(length),
        (false, false, None) => Framing::UntilClose,
    })
}

fn describe(error: httparse::Error) -> &'static str {
    match error {
        httparse::Error::HeaderName => "the name of a header field",
        httparse::Error::HeaderValue => "the value of a header field",
        httparse::Error::NewLine => "the end of a line",
        httparse::Error::Status => "its status line",
        httparse::Error::Token => "a character that is not allowed",
        httparse::Error::TooManyHeaders => "more than 128 header fields",
        httparse::Error::Version => "its HTTP version",
    }
}
