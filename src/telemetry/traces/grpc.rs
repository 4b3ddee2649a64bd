//! OTLP over gRPC: how a message is framed, and what the end of a call says.
//!
//! An export is the simplest call there is: one message there, one back. Doing it on the HTTP client that serves OTLP over
//! HTTP, too, keeps the bytes of a batch the same for every try.
//!
//! Sources: the gRPC project's "gRPC over HTTP2" and "HTTP to gRPC status code mapping"; the OpenTelemetry protocol's
//! specification, "OTLP/gRPC".

use super::http_protobuf::taken;
use super::outcome::Outcome;
use base64::Engine;
use base64::prelude::BASE64_STANDARD_NO_PAD;
use bytes::{BufMut, Bytes, BytesMut};
use http::{HeaderMap, HeaderValue, StatusCode};
use percent_encoding::percent_decode;
use prost::Message;
use std::time::Duration;

/// The path of the call.
pub(super) const EXPORT: &str = "/opentelemetry.proto.collector.trace.v1.TraceService/Export";

const GRPC_STATUS: &str = "grpc-status";
const GRPC_MESSAGE: &str = "grpc-message";
const DETAILS: &str = "grpc-status-details-bin";

/// The flag and the length before a message.
const PREFIX: usize = 5;

/// A message as it travels.
pub(super) fn frame(message: &[u8], is_compressed: bool) -> Bytes {
    let mut framed = BytesMut::with_capacity(PREFIX + message.len());
    framed.put_u8(is_compressed.into());
    framed.put_u32(message.len() as u32);
    framed.put_slice(message);
    framed.freeze()
}

/// What the end of the call says of the export. A call that fails before it begins has its status in its headers.
pub(super) fn outcome(
    status: StatusCode,
    headers: &HeaderMap,
    trailers: Option<&HeaderMap>,
    body: &[u8],
) -> Outcome {
    let ends = trailers.filter(|trailers| trailers.contains_key(GRPC_STATUS)).unwrap_or(headers);
    let code = ends.get(GRPC_STATUS).map(HeaderValue::as_bytes).map(Code::parse);
    let Some(code) = code else {
        let because = format!("it answers {status}, not as gRPC does");
        return match Code::of(status) {
            Code::Unavailable => Outcome::Later { after: None, because },
            _ => Outcome::Refused { because },
        };
    };
    let message = ends.get(GRPC_MESSAGE).map(HeaderValue::as_bytes).unwrap_or_default();
    let message = percent_decode(message).decode_utf8_lossy();
    let because = match message.is_empty() {
        true => format!("it answers {code:?}"),
        false => format!("it answers {code:?}: {message}"),
    };
    let after = ends.get(DETAILS).and_then(|details| retry_delay(details.as_bytes()));
    match code {
        Code::Ok => taken(body.get(PREFIX..).unwrap_or_default()),
        Code::Cancelled
        | Code::DeadlineExceeded
        | Code::Aborted
        | Code::OutOfRange
        | Code::Unavailable
        | Code::DataLoss => Outcome::Later { after, because },
        // Only the collector knows whether there will be room again.
        Code::ResourceExhausted if after.is_some() => Outcome::Later { after, because },
        Code::ResourceExhausted
        | Code::Unknown
        | Code::InvalidArgument
        | Code::NotFound
        | Code::AlreadyExists
        | Code::PermissionDenied
        | Code::FailedPrecondition
        | Code::Unimplemented
        | Code::Internal
        | Code::Unauthenticated => Outcome::Refused { because },
    }
}

/// The statuses of gRPC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Code {
    Ok,
    Cancelled,
    Unknown,
    InvalidArgument,
    DeadlineExceeded,
    NotFound,
    AlreadyExists,
    PermissionDenied,
    ResourceExhausted,
    FailedPrecondition,
    Aborted,
    OutOfRange,
    Unimplemented,
    Internal,
    Unavailable,
    DataLoss,
    Unauthenticated,
}

impl Code {
    /// By number, in this order.
    const ALL: [Self; 17] = [
        Self::Ok,
        Self::Cancelled,
        Self::Unknown,
        Self::InvalidArgument,
        Self::DeadlineExceeded,
        Self::NotFound,
        Self::AlreadyExists,
        Self::PermissionDenied,
        Self::ResourceExhausted,
        Self::FailedPrecondition,
        Self::Aborted,
        Self::OutOfRange,
        Self::Unimplemented,
        Self::Internal,
        Self::Unavailable,
        Self::DataLoss,
        Self::Unauthenticated,
    ];

    fn parse(value: &[u8]) -> Self {
        let number: Option<usize> = std::str::from_utf8(value).ok().and_then(|v| v.parse().ok());
        number.and_then(|number| Self::ALL.get(number)).copied().unwrap_or(Self::Unknown)
    }

    /// What an answer means that has no status of gRPC: something in between gave it.
    fn of(status: StatusCode) -> Self {
        match status.as_u16() {
            429 | 502 | 503 | 504 => Self::Unavailable,
            _ => Self::Unknown,
        }
    }
}

/// `google.rpc.Status`, as far as we read it.
#[derive(Clone, PartialEq, prost::Message)]
struct Status {
    #[prost(message, repeated, tag = "3")]
    details: Vec<Any>,
}

/// `google.protobuf.Any`.
#[derive(Clone, PartialEq, prost::Message)]
struct Any {
    #[prost(string, tag = "1")]
    type_url: String,
    #[prost(bytes = "vec", tag = "2")]
    value: Vec<u8>,
}

/// `google.rpc.RetryInfo`.
#[derive(Clone, PartialEq, prost::Message)]
struct RetryInfo {
    #[prost(message, optional, tag = "1")]
    retry_delay: Option<Delay>,
}

/// `google.protobuf.Duration`.
#[derive(Clone, PartialEq, prost::Message)]
struct Delay {
    #[prost(int64, tag = "1")]
    seconds: i64,
    #[prost(int32, tag = "2")]
    nanos: i32,
}

/// How long we shall wait, if the details of a status say so. They are base64, with or without padding.
fn retry_delay(details: &[u8]) -> Option<Duration> {
    let unpadded = details.trim_ascii_end();
    let end = unpadded.iter().rposition(|byte| *byte != b'=').map_or(0, |last| last + 1);
    let status = Status::decode(&*BASE64_STANDARD_NO_PAD.decode(&unpadded[..end]).ok()?).ok()?;
    let is_info = |any: &&Any| any.type_url.ends_with("/google.rpc.RetryInfo");
    let info = RetryInfo::decode(&*status.details.iter().find(is_info)?.value).ok()?;
    let Delay { seconds, nanos } = info.retry_delay?;
    let delay = Duration::new(u64::try_from(seconds).ok()?, u32::try_from(nanos).ok()?);
    (!delay.is_zero()).then_some(delay)
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use base64::prelude::BASE64_STANDARD;

    fn ended(code: usize, details: Option<&str>) -> Outcome {
        let mut trailers = HeaderMap::new();
        trailers.insert(GRPC_STATUS, HeaderValue::from(code));
        trailers.insert(GRPC_MESSAGE, HeaderValue::from_static("no%20room"));
        if let Some(details) = details {
            trailers.insert(DETAILS, details.parse().unwrap());
        }
        outcome(StatusCode::OK, &HeaderMap::new(), Some(&trailers), &[])
    }

    /// The details of a status that ask us to wait.
    pub(in super::super) fn details(after: Duration) -> HeaderValue {
        let (seconds, nanos) = (after.as_secs() as i64, after.subsec_nanos() as i32);
        let info = RetryInfo { retry_delay: Some(Delay { seconds, nanos }) };
        let type_url = "type.googleapis.com/google.rpc.RetryInfo".to_owned();
        let status = Status { details: vec![Any { type_url, value: info.encode_to_vec() }] };
        BASE64_STANDARD.encode(status.encode_to_vec()).parse().unwrap()
    }

    /// As the table of the specification has it.
    #[test]
    fn only_what_may_pass_is_tried_again() {
        let later: Vec<_> =
            (0..=16).filter(|code| matches!(ended(*code, None), Outcome::Later { .. })).collect();
        assert_eq!(later, [1, 4, 10, 11, 14, 15]);
        assert_eq!(
            ended(8, None),
            Outcome::Refused { because: "it answers ResourceExhausted: no room".to_owned() }
        );
        assert!(matches!(ended(99, None), Outcome::Refused { .. }));
    }

    #[test]
    fn the_collector_says_how_long_to_wait() {
        let after = |code, details: &str| match ended(code, Some(details)) {
            Outcome::Later { after, .. } => after,
            other => panic!("{other:?}"),
        };
        let details = |after| details(after).to_str().unwrap().to_owned();
        let asked = Duration::from_millis(1500);
        assert_eq!(after(8, &details(asked)), Some(asked));
        assert_eq!(after(14, &details(asked)), Some(asked));
        assert_eq!(after(14, details(asked).trim_end_matches('=')), Some(asked));
        assert_eq!(after(14, &details(Duration::ZERO)), None);
        assert_eq!(after(14, "nonsense"), None);
    }

    #[test]
    fn a_call_that_fails_before_it_begins_has_its_status_in_its_headers() {
        let mut headers = HeaderMap::new();
        headers.insert(GRPC_STATUS, HeaderValue::from_static("16"));
        let refused = outcome(StatusCode::OK, &headers, None, &[]);
        assert_eq!(refused, Outcome::Refused { because: "it answers Unauthenticated".to_owned() });
    }

    #[test]
    fn an_answer_that_is_not_of_grpc_is_judged_by_its_status() {
        let answered = |status| outcome(status, &HeaderMap::new(), None, b"<html>");
        assert!(matches!(answered(StatusCode::SERVICE_UNAVAILABLE), Outcome::Later { .. }));
        assert!(matches!(answered(StatusCode::NOT_FOUND), Outcome::Refused { .. }));
        // A server of something else.
        assert!(matches!(answered(StatusCode::OK), Outcome::Refused { .. }));
    }

    #[test]
    fn a_frame_says_how_long_its_message_is() {
        assert_eq!(&*frame(b"abc", true), b"\x01\0\0\0\x03abc");
    }
}
