//! A request: its head, read strictly, and the framing of its body.

use std::time::Duration;

use bytes::{Buf, Bytes, BytesMut};

use crate::parse_duration;

/// Fields that a head may have: more than proxies let through.
const MAX_FIELDS: usize = 256;

/// Bytes that a head may have.
pub(crate) const MAX_HEAD: usize = 1024 * 1024;

/// How the end of a request's body is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BodyFraming {
    Length(u64),
    Chunked,
}

/// A request's head.
#[derive(Debug)]
pub(crate) struct Request {
    head: Bytes,
    /// HTTP/1.0 or HTTP/1.1.
    pub(crate) minor: u8,
    /// Whether the connection goes on after the answer.
    pub(crate) keep_alive: bool,
    /// Whether the client waits for `100 Continue` before it sends the body.
    pub(crate) expects_continue: bool,
    pub(crate) framing: BodyFraming,
    /// Whether the body has been read to its end.
    pub(crate) body_read: bool,
    /// The number of the request on its connection, counted from 1.
    pub(crate) number: u64,
}

impl Request {
    /// Takes a head off the front of a buffer; `None` if it is not complete yet.
    ///
    /// # Errors
    /// What is wrong with it. Whatever two readers could understand differently is wrong.
    pub(crate) fn take(buffer: &mut BytesMut, number: u64) -> Result<Option<Self>, String> {
        let mut fields = [httparse::EMPTY_HEADER; MAX_FIELDS];
        let mut parsed = httparse::Request::new(&mut fields);
        let length = match parsed.parse(buffer) {
            Ok(httparse::Status::Complete(length)) => length,
            Ok(httparse::Status::Partial) if buffer.len() > MAX_HEAD => {
                return Err("the head is too large".to_owned());
            }
            Ok(httparse::Status::Partial) => return Ok(None),
            Err(error) => return Err(format!("the head is malformed: {error}")),
        };
        // Complete means that version, method and path were found.
        let minor = parsed.version.unwrap_or(1);
        let mut keep_alive = minor == 1;
        let (mut expects_continue, mut hosts) = (false, 0);
        let (mut content_length, mut chunked) = (None, false);
        for field in parsed.headers.iter() {
            let value = field.value;
            if field.name.eq_ignore_ascii_case("host") {
                hosts += 1;
            } else if field.name.eq_ignore_ascii_case("content-length") {
                let found = length_of(value)?;
                if content_length.replace(found).is_some() {
                    return Err("Content-Length is given twice".to_owned());
                }
            } else if field.name.eq_ignore_ascii_case("transfer-encoding") {
                if chunked || !value.eq_ignore_ascii_case(b"chunked") {
                    return Err("Transfer-Encoding is not just 'chunked'".to_owned());
                }
                chunked = true;
            } else if field.name.eq_ignore_ascii_case("connection") {
                if has_token(value, "close") {
                    keep_alive = false;
                } else if minor == 0 && has_token(value, "keep-alive") {
                    keep_alive = true;
                }
            } else if field.name.eq_ignore_ascii_case("expect") {
                expects_continue = value.eq_ignore_ascii_case(b"100-continue");
            }
        }
        let framing = match (content_length, chunked) {
            (Some(_), true) => {
                return Err("Content-Length and Transfer-Encoding are both given".to_owned());
            }
            (None, true) if minor == 0 => {
                return Err("HTTP/1.0 has no Transfer-Encoding".to_owned());
            }
            (None, true) => BodyFraming::Chunked,
            (length, false) => BodyFraming::Length(length.unwrap_or(0)),
        };
        if minor == 1 && hosts != 1 {
            return Err(format!("Host is given {hosts} times, not once"));
        }
        let mut before = 0;
        for &byte in &buffer[..length] {
            if byte == b'\n' && before != b'\r' {
                return Err("a line of the head ends in a bare LF".to_owned());
            }
            before = byte;
        }
        // Empty lines before the request line are allowed and are not part of the head.
        let blank = buffer.iter().take_while(|byte| matches!(byte, b'\r' | b'\n')).count();
        buffer.advance(blank);
        Ok(Some(Self {
            head: buffer.split_to(length - blank).freeze(),
            minor,
            keep_alive,
            expects_continue,
            framing,
            body_read: framing == BodyFraming::Length(0),
            number,
        }))
    }

    fn line(&self) -> (&str, &str) {
        let end = self.head.iter().position(|&byte| byte == b'\r').unwrap_or(0);
        // httparse let only visible ASCII through, or UTF-8 in the target.
        let line = std::str::from_utf8(&self.head[..end]).unwrap_or_default();
        let mut parts = line.split(' ');
        (parts.next().unwrap_or_default(), parts.next().unwrap_or_default())
    }

    pub(crate) fn method(&self) -> &str {
        self.line().0
    }

    /// The target as it was sent: path and query, or whatever else came.
    pub(crate) fn target(&self) -> &str {
        self.line().1
    }

    /// The target up to its query.
    pub(crate) fn path(&self) -> &str {
        let target = self.target();
        target.split_once('?').map_or(target, |(path, _)| path)
    }

    pub(crate) fn is_head(&self) -> bool {
        self.method() == "HEAD"
    }

    /// The fields in the order they came, names as they were spelt. Each byte of a value becomes one
    /// character, so that none is lost.
    pub(crate) fn fields(&self) -> Vec<(String, String)> {
        let mut fields = [httparse::EMPTY_HEADER; MAX_FIELDS];
        let mut parsed = httparse::Request::new(&mut fields);
        // It was parsed before, so there is no error to see.
        let _ = parsed.parse(&self.head);
        parsed.headers.iter().map(|f| (f.name.to_owned(), latin1(f.value))).collect()
    }

    /// The first field of a name.
    pub(crate) fn field(&self, name: &str) -> Option<String> {
        self.fields()
            .into_iter()
            .find(|(n, _)| n.eq_ignore_ascii_case(name))
            .map(|(_, value)| value)
    }

    /// Whether the client asks for a switch to this protocol.
    pub(crate) fn asks_upgrade(&self, protocol: &str) -> bool {
        let has = |name: &str, token: &str| {
            self.fields()
                .iter()
                .any(|(n, v)| n.eq_ignore_ascii_case(name) && has_token(v.as_bytes(), token))
        };
        self.method() == "GET" && has("connection", "upgrade") && has("upgrade", protocol)
    }

    /// A parameter of the query; the empty string for one without a value.
    pub(crate) fn parameter(&self, name: &str) -> Option<&str> {
        let (_, query) = self.target().split_once('?')?;
        query
            .split('&')
            .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
            .find_map(|(found, value)| (found == name).then_some(value))
    }

    /// Whether the query has a parameter.
    pub(crate) fn flag(&self, name: &str) -> bool {
        self.parameter(name).is_some()
    }

    /// A parameter that is a number.
    pub(crate) fn number_of(&self, name: &str, otherwise: u64) -> Result<u64, String> {
        self.parameter(name).map_or(Ok(otherwise), |text| {
            text.parse().map_err(|_| format!("'{name}={text}' is not a whole number"))
        })
    }

    /// A parameter that is a duration.
    pub(crate) fn duration_of(&self, name: &str, otherwise: Duration) -> Result<Duration, String> {
        self.parameter(name).map_or(Ok(otherwise), parse_duration)
    }
}

/// Bytes as text, each byte one character.
pub(crate) fn latin1(bytes: &[u8]) -> String {
    bytes.iter().map(|&byte| char::from(byte)).collect()
}

fn length_of(value: &[u8]) -> Result<u64, String> {
    let digits = !value.is_empty() && value.iter().all(u8::is_ascii_digit);
    std::str::from_utf8(value)
        .ok()
        .filter(|_| digits)
        .and_then(|text| text.parse().ok())
        .ok_or_else(|| format!("Content-Length '{}' is not a number", latin1(value)))
}

fn has_token(value: &[u8], token: &str) -> bool {
    value
        .split(|&byte| byte == b',')
        .any(|part| part.trim_ascii().eq_ignore_ascii_case(token.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn take(head: &str) -> Result<Option<Request>, String> {
        Request::take(&mut BytesMut::from(head), 1)
    }

    #[test]
    fn a_head_in_two_pieces_is_waited_for() {
        assert!(take("GET / HTTP/1.1\r\nhost:").unwrap().is_none());
        let request = take("\r\nGET /a?b=1&c HTTP/1.1\r\nHost: x\r\n\r\nrest").unwrap().unwrap();
        assert_eq!((request.method(), request.path()), ("GET", "/a"));
        assert_eq!((request.parameter("b"), request.parameter("c")), (Some("1"), Some("")));
        assert!(request.keep_alive && request.body_read && !request.flag("d"));
    }

    #[test]
    fn what_two_readers_could_understand_differently_is_refused() {
        for fields in [
            "Host: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n",
            "Host: a\r\nContent-Length: 1\r\nContent-Length: 1\r\n",
            "Host: a\r\nContent-Length: +1\r\n",
            "Host: a\r\nContent-Length: 1, 1\r\n",
            "Host: a\r\nTransfer-Encoding: gzip, chunked\r\n",
            "Host: a\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
            "Host: a\r\nHost: b\r\n",
            "Host : a\r\n",
            "Host: a\nx: y\r\n",
            "x: y\r\n",
        ] {
            assert!(take(&format!("POST / HTTP/1.1\r\n{fields}\r\n")).is_err(), "{fields}");
        }
    }

    #[test]
    fn an_http_1_0_client_is_not_kept_alive_unless_it_asks() {
        assert!(!take("GET / HTTP/1.0\r\n\r\n").unwrap().unwrap().keep_alive);
        assert!(
            take("GET / HTTP/1.0\r\nConnection: x, Keep-Alive\r\n\r\n")
                .unwrap()
                .unwrap()
                .keep_alive
        );
        assert!(
            !take("GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
                .unwrap()
                .unwrap()
                .keep_alive
        );
    }
}
