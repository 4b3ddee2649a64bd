//! What gRPC wants otherwise: our own answers as a status of its own, and the deadline that a call brings.
//!
//! Source: the gRPC project's "gRPC over HTTP2" and "HTTP to gRPC status code mapping".

use super::error::Verdict;
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode, header};
use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};
use std::time::Duration;

const GRPC_STATUS: HeaderName = HeaderName::from_static("grpc-status");
const GRPC_MESSAGE: HeaderName = HeaderName::from_static("grpc-message");
const GRPC_TIMEOUT: HeaderName = HeaderName::from_static("grpc-timeout");

/// What `grpc-message` may not have as it is.
const NOT_IN_MESSAGE: &AsciiSet = &CONTROLS.add(b'%');

/// Whether a request with `headers` is a call of gRPC. (gRPC-Web is not: it takes an HTTP status.)
pub fn is_call(headers: &HeaderMap) -> bool {
    let content_type = headers.get(header::CONTENT_TYPE).map(HeaderValue::as_bytes);
    let rest = content_type.and_then(|value| value.strip_prefix(b"application/grpc"));
    rest.is_some_and(|rest| matches!(rest.first(), None | Some(b'+' | b';' | b' ')))
}

/// How long the caller waits, if the call says it.
pub fn timeout(headers: &HeaderMap) -> Option<Duration> {
    let value = headers.get(GRPC_TIMEOUT)?.to_str().ok()?;
    let (digits, unit) = value.split_at_checked(value.len().checked_sub(1)?)?;
    // At most eight digits, so nothing overflows.
    let is_number = (1..=8).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_digit());
    let count: u64 = digits.parse().ok().filter(|_| is_number)?;
    Some(match unit {
        "H" => Duration::from_secs(count * 3600),
        "M" => Duration::from_secs(count * 60),
        "S" => Duration::from_secs(count),
        "m" => Duration::from_millis(count),
        "u" => Duration::from_micros(count),
        "n" => Duration::from_nanos(count),
        _ => return None,
    })
}

/// Our own answer to a call: a status without a body ("trailers only").
pub fn error_response(verdict: Verdict, message: &str) -> Response<Bytes> {
    let mut response = Response::new(Bytes::new());
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
    headers.insert(GRPC_STATUS, HeaderValue::from(status(verdict.status)));
    let message = utf8_percent_encode(message, NOT_IN_MESSAGE).to_string();
    if let Ok(message) = HeaderValue::try_from(message) {
        headers.insert(GRPC_MESSAGE, message);
    }
    response
}

/// The number of the gRPC status that says what `status` says.
fn status(status: StatusCode) -> u16 {
    const DEADLINE_EXCEEDED: u16 = 4;
    const PERMISSION_DENIED: u16 = 7;
    const RESOURCE_EXHAUSTED: u16 = 8;
    const UNIMPLEMENTED: u16 = 12;
    const INTERNAL: u16 = 13;
    const UNAVAILABLE: u16 = 14;
    const UNAUTHENTICATED: u16 = 16;
    const UNKNOWN: u16 = 2;
    match status {
        StatusCode::UNAUTHORIZED => UNAUTHENTICATED,
        StatusCode::FORBIDDEN => PERMISSION_DENIED,
        StatusCode::NOT_FOUND | StatusCode::NOT_IMPLEMENTED => UNIMPLEMENTED,
        // A limit of ours, which another try would meet again.
        StatusCode::PAYLOAD_TOO_LARGE | StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE => {
            RESOURCE_EXHAUSTED
        }
        StatusCode::GATEWAY_TIMEOUT | StatusCode::REQUEST_TIMEOUT => DEADLINE_EXCEEDED,
        StatusCode::TOO_MANY_REQUESTS
        | StatusCode::BAD_GATEWAY
        | StatusCode::SERVICE_UNAVAILABLE => UNAVAILABLE,
        status if status.is_client_error() => INTERNAL,
        _ => UNKNOWN,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(name: HeaderName, value: &str) -> HeaderMap {
        [(name, HeaderValue::from_str(value).unwrap())].into_iter().collect()
    }

    #[test]
    fn calls_are_told_from_other_requests() {
        for (value, is) in [
            ("application/grpc", true),
            ("application/grpc+proto", true),
            ("application/grpc;charset=x", true),
            ("application/grpc-web", false),
            ("application/grpc-web+proto", false),
            ("application/json", false),
        ] {
            assert_eq!(is_call(&headers(header::CONTENT_TYPE, value)), is, "{value}");
        }
        assert!(!is_call(&HeaderMap::new()));
    }

    #[test]
    fn deadlines_have_at_most_eight_digits_and_a_unit() {
        for (value, timeout_is) in [
            ("1H", Some(Duration::from_secs(3600))),
            ("2M", Some(Duration::from_secs(120))),
            ("3S", Some(Duration::from_secs(3))),
            ("100m", Some(Duration::from_millis(100))),
            ("5u", Some(Duration::from_micros(5))),
            ("99999999n", Some(Duration::from_nanos(99_999_999))),
            ("999999999S", None),
            ("S", None),
            ("", None),
            ("1", None),
            ("+1S", None),
            ("1s", None),
            ("1\u{e9}", None),
        ] {
            let value = HeaderValue::from_bytes(value.as_bytes()).unwrap();
            let headers = [(GRPC_TIMEOUT, value.clone())].into_iter().collect();
            assert_eq!(timeout(&headers), timeout_is, "{value:?}");
        }
    }

    #[test]
    fn messages_are_text_without_controls() {
        let verdict = Verdict {
            status: StatusCode::SERVICE_UNAVAILABLE,
            reason: "no_endpoint",
            proxy_status: "destination_unavailable",
        };
        let response = error_response(verdict, "100 % of \u{e4}\n");
        assert_eq!(response.status(), 200);
        assert_eq!(response.headers()[GRPC_STATUS], "14");
        assert_eq!(response.headers()[GRPC_MESSAGE], "100 %25 of %C3%A4%0A");
    }
}
