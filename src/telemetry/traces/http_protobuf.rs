//! OTLP over HTTP: what a response says.
//!
//! Source: the OpenTelemetry protocol's specification, "OTLP/HTTP".

use super::outcome::Outcome;
use http::{HeaderMap, StatusCode, header};
use jiff::Timestamp;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceResponse;
use prost::Message;
use std::time::Duration;

/// What a response of `status` says of the export.
pub(super) fn outcome(status: StatusCode, headers: &HeaderMap, body: &[u8]) -> Outcome {
    let because = || format!("it answers {status}");
    match status {
        status if status.is_success() => taken(body),
        StatusCode::TOO_MANY_REQUESTS
        | StatusCode::BAD_GATEWAY
        | StatusCode::SERVICE_UNAVAILABLE
        | StatusCode::GATEWAY_TIMEOUT => {
            Outcome::Later { after: retry_after(headers, Timestamp::now()), because: because() }
        }
        _ => Outcome::Refused { because: because() },
    }
}

/// What the message of a success says. One that cannot be read is a success all the same.
pub(super) fn taken(message: &[u8]) -> Outcome {
    let response = ExportTraceServiceResponse::decode(message).unwrap_or_default();
    let partial = response.partial_success.unwrap_or_default();
    Outcome::Taken {
        rejected: usize::try_from(partial.rejected_spans).unwrap_or(0),
        because: partial.error_message,
    }
}

/// How long we shall wait (RFC 9110, 10.2.3).
fn retry_after(headers: &HeaderMap, now: Timestamp) -> Option<Duration> {
    let value = headers.get(header::RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = value.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let date = jiff::fmt::rfc2822::parse(value).ok()?.timestamp();
    Some(Duration::try_from(date.duration_since(now)).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answered(status: u16, retry_after: Option<&'static str>) -> Outcome {
        let mut headers = HeaderMap::new();
        if let Some(value) = retry_after {
            headers.insert(header::RETRY_AFTER, value.parse().unwrap());
        }
        outcome(StatusCode::from_u16(status).unwrap(), &headers, &[])
    }

    #[test]
    fn only_what_may_pass_is_tried_again() {
        for status in [429, 502, 503, 504] {
            assert!(
                matches!(answered(status, None), Outcome::Later { after: None, .. }),
                "{status}"
            );
        }
        for status in [400, 401, 404, 408, 413, 500, 501, 301] {
            assert!(matches!(answered(status, None), Outcome::Refused { .. }), "{status}");
        }
        for status in [200, 202] {
            let taken = Outcome::Taken { rejected: 0, because: String::new() };
            assert_eq!(answered(status, None), taken, "{status}");
        }
    }

    #[test]
    fn the_collector_says_how_long_to_wait() {
        let after = |value| match answered(503, Some(value)) {
            Outcome::Later { after, .. } => after,
            other => panic!("{other:?}"),
        };
        assert_eq!(after("7"), Some(Duration::from_secs(7)));
        assert_eq!(after("Wed, 21 Oct 2015 07:28:00 GMT"), Some(Duration::ZERO));
        assert_eq!(after("soon"), None);
    }
}
