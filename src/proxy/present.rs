//! Which of the fields that mean something to us a request has.
//!
//! Most requests have hardly one of them: to pass over the few names that are there once costs less than to look for each.

use http::{HeaderMap, header};

/// The fields that a request has, of those that most requests do not have.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Present {
    /// `Connection`.
    pub connection: bool,
    /// `Expect`.
    pub expect: bool,
    /// `TE`.
    pub te: bool,
    /// `Transfer-Encoding`.
    pub transfer_encoding: bool,
    /// `Upgrade`.
    pub upgrade: bool,
    /// `Via`.
    pub via: bool,
    /// `X-Request-Id`.
    pub request_id: bool,
    /// One that may tell of a trace.
    pub trace: bool,
    /// `X-Outrigger-Debug`.
    pub debug: bool,
}

impl Present {
    /// Those in `headers`.
    pub fn of(headers: &HeaderMap) -> Self {
        let mut present = Self::default();
        for name in headers.keys() {
            match *name {
                header::CONNECTION => present.connection = true,
                header::EXPECT => present.expect = true,
                header::TE => present.te = true,
                header::TRANSFER_ENCODING => present.transfer_encoding = true,
                header::UPGRADE => present.upgrade = true,
                header::VIA => present.via = true,
                _ => match name.as_str().as_bytes() {
                    b"traceparent" | b"tracestate" | b"b3" | [b'x', b'-', b'b', b'3', b'-', ..] => {
                        present.trace = true;
                    }
                    b"x-request-id" => present.request_id = true,
                    b"x-outrigger-debug" => present.debug = true,
                    _ => {}
                },
            }
        }
        present
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    #[test]
    fn each_field_is_seen_and_no_other() {
        let of = |names: &[&'static str]| {
            let value = HeaderValue::from_static("x");
            Present::of(&names.iter().map(|name| (name.parse().unwrap(), value.clone())).collect())
        };
        assert_eq!(of(&["host", "accept", "x-request", "cookie"]), Present::default());
        let seen = [
            of(&["connection"]).connection,
            of(&["expect"]).expect,
            of(&["te"]).te,
            of(&["transfer-encoding"]).transfer_encoding,
            of(&["upgrade"]).upgrade,
            of(&["via"]).via,
            of(&["accept", "x-request-id"]).request_id,
            of(&["traceparent"]).trace,
            of(&["tracestate"]).trace,
            of(&["b3"]).trace,
            of(&["x-b3-sampled"]).trace,
            of(&["x-outrigger-debug"]).debug,
        ];
        assert_eq!(seen, [true; 12]);
    }
}
