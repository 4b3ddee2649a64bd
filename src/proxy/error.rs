//! Why a request was not answered by an endpoint, and what the client is told.

use crate::backend::connection::{ConnectError, TlsFault};
use crate::backend::exchange::ExchangeError;
use http::StatusCode;
use std::io::ErrorKind;
use std::time::Duration;

/// Why a request was not answered by an endpoint.
#[derive(Debug, thiserror::Error)]
pub enum ProxyError {
    /// The request could be understood in two ways, or not at all.
    #[error("{0}")]
    BadRequest(&'static str),
    /// The request's path could be understood in two ways, or leads above the root.
    #[error("the request's path {0}")]
    BadPath(&'static str),
    /// The request's body is in a transfer coding that we do not know.
    #[error("the request's Transfer-Encoding is not just `chunked`")]
    UnknownCoding,
    /// The request is for an `https` URL and came unencrypted.
    #[error("the request is for an https URL and did not come by TLS")]
    Misdirected,
    /// The request came by here again and again.
    #[error("the request goes round in circles")]
    Loop,
    /// No route takes the request.
    #[error("no route takes this request")]
    NoRoute,
    /// A CONNECT request: this is not a forward proxy.
    #[error("CONNECT is not supported: this proxy forwards to its own backends only")]
    ConnectRefused,
    /// The request's body is larger than the `maxBodyBytes` of its route or listener.
    #[error("the request's body is larger than the {limit} bytes allowed")]
    BodyTooLarge {
        /// `maxBodyBytes`.
        limit: u64,
    },
    /// The request's body paused for longer than `bodyTimeout`.
    #[error("the request's body paused for longer than {0:?}")]
    BodyTimeout(Duration),
    /// The request's body ended early or was malformed.
    #[error("the request's body could not be read: {0}")]
    BodyBroken(String),
    /// The endpoint speaks HTTP/1.0, so the body's length must be known beforehand.
    #[error("the endpoint speaks HTTP/1.0 and needs a Content-Length")]
    LengthRequired,
    /// The backend has no endpoint that could be asked, or the route no backend.
    #[error("{0} has no endpoint with a weight above 0")]
    NoEndpoint(String),
    /// No connection to an endpoint could be made.
    #[error("{0}")]
    Connect(#[from] ConnectError),
    /// The exchange with the endpoint failed.
    #[error("{0}")]
    Exchange(#[from] ExchangeError),
    /// The response's head did not come in time.
    #[error("no response within {0:?}")]
    RequestTimeout(Duration),
    /// The response's head did not come in the time of one attempt.
    #[error("no response within {0:?} in this attempt")]
    AttemptTimeout(Duration),
    /// The endpoint stopped reading the request.
    #[error("the endpoint read nothing of the request for {0:?}")]
    UploadStalled(Duration),
}

/// What a client and the access log are told about a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// The response's status.
    pub status: StatusCode,
    /// The reason in the access log and in the body: stable, for machines.
    pub reason: &'static str,
    /// The error type of the `proxy-status` field (RFC 9209, section 2.3).
    pub proxy_status: &'static str,
}

const fn verdict(status: StatusCode, reason: &'static str, proxy_status: &'static str) -> Verdict {
    Verdict { status, reason, proxy_status }
}

impl ProxyError {
    /// What the client and the access log are told.
    pub fn verdict(&self) -> Verdict {
        use StatusCode as S;
        match self {
            Self::BadRequest(_) => verdict(S::BAD_REQUEST, "bad_request", "http_request_error"),
            Self::BadPath(_) => verdict(S::BAD_REQUEST, "bad_path", "http_request_error"),
            Self::UnknownCoding => {
                verdict(S::NOT_IMPLEMENTED, "unknown_transfer_coding", "http_request_error")
            }
            Self::Misdirected => {
                verdict(S::MISDIRECTED_REQUEST, "misdirected", "http_request_error")
            }
            Self::Loop => verdict(S::BAD_GATEWAY, "loop", "proxy_loop_detected"),
            Self::NoRoute => verdict(S::NOT_FOUND, "no_route", "destination_not_found"),
            Self::ConnectRefused => {
                verdict(S::NOT_IMPLEMENTED, "connect_method", "http_request_denied")
            }
            Self::BodyTooLarge { .. } => {
                verdict(S::PAYLOAD_TOO_LARGE, "body_too_large", "http_request_error")
            }
            Self::BodyTimeout(_) => {
                verdict(S::REQUEST_TIMEOUT, "body_timeout", "http_request_error")
            }
            Self::BodyBroken(_) => verdict(S::BAD_REQUEST, "body_broken", "http_request_error"),
            Self::LengthRequired => {
                verdict(S::LENGTH_REQUIRED, "length_required", "http_request_error")
            }
            Self::NoEndpoint(_) => {
                verdict(S::SERVICE_UNAVAILABLE, "no_endpoint", "destination_unavailable")
            }
            Self::Connect(error) => connect_verdict(error),
            Self::Exchange(error) => exchange_verdict(error),
            Self::RequestTimeout(_) => {
                verdict(S::GATEWAY_TIMEOUT, "request_timeout", "http_response_timeout")
            }
            Self::AttemptTimeout(_) => {
                verdict(S::GATEWAY_TIMEOUT, "attempt_timeout", "http_response_timeout")
            }
            Self::UploadStalled(_) => {
                verdict(S::GATEWAY_TIMEOUT, "upload_stalled", "connection_write_timeout")
            }
        }
    }
}

fn connect_verdict(error: &ConnectError) -> Verdict {
    match error {
        ConnectError::Exhausted(_) => {
            verdict(StatusCode::SERVICE_UNAVAILABLE, "out_of_sockets", "connection_limit_reached")
        }
        ConnectError::NoAddress(_) => verdict(StatusCode::BAD_GATEWAY, "dns_error", "dns_error"),
        ConnectError::TimedOut { .. } | ConnectError::HandshakeTimedOut { .. } => {
            verdict(StatusCode::GATEWAY_TIMEOUT, "connect_timeout", "connection_timeout")
        }
        ConnectError::Http2 { .. } => {
            verdict(StatusCode::BAD_GATEWAY, "http2_failed", "http_protocol_error")
        }
        ConnectError::Tls { fault, .. } => {
            let proxy_status = match fault {
                TlsFault::Certificate(_) => "tls_certificate_error",
                TlsFault::Protocol(_) => "tls_protocol_error",
            };
            verdict(StatusCode::BAD_GATEWAY, "tls_failed", proxy_status)
        }
        ConnectError::Failed { source, .. } => match source.kind() {
            ErrorKind::ConnectionRefused => {
                verdict(StatusCode::BAD_GATEWAY, "connect_refused", "connection_refused")
            }
            ErrorKind::TimedOut => {
                verdict(StatusCode::GATEWAY_TIMEOUT, "connect_timeout", "connection_timeout")
            }
            _ => verdict(StatusCode::BAD_GATEWAY, "connect_failed", "destination_ip_unroutable"),
        },
    }
}

fn exchange_verdict(error: &ExchangeError) -> Verdict {
    let bad_gateway = |reason, proxy_status| verdict(StatusCode::BAD_GATEWAY, reason, proxy_status);
    match error {
        ExchangeError::NoResponse(_) => bad_gateway("connection_closed", "connection_terminated"),
        ExchangeError::HeadCut(_) | ExchangeError::BodyCut(_) => {
            bad_gateway("response_cut", "http_response_incomplete")
        }
        ExchangeError::Malformed(_) => bad_gateway("response_malformed", "http_protocol_error"),
        ExchangeError::HeadTooLarge => {
            bad_gateway("response_head_too_large", "http_response_header_section_size")
        }
        ExchangeError::Unprocessed(_) => bad_gateway("request_refused", "connection_terminated"),
        ExchangeError::NoTunnel => bad_gateway("upgrade_unsupported", "http_upgrade_failed"),
        ExchangeError::RequestBody => {
            verdict(StatusCode::BAD_REQUEST, "body_broken", "http_request_error")
        }
    }
}
