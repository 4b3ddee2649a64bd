//! An answer: its head, and what is remembered of it.

use bytes::{Buf, BytesMut};

/// Fields that a head may have.
const MAX_FIELDS: usize = 128;

/// Bytes that a head may have.
const MAX_HEAD: usize = 64 * 1024;

/// Bytes of a body that are remembered, to be shown if the request failed.
const SHOWN: usize = 200;

/// Bytes of a server's name that are remembered.
const NAME: usize = 100;

/// What came of an answer so far.
#[derive(Debug, Default)]
pub(crate) struct Answer {
    /// None before the head is whole.
    pub(crate) status: Option<u16>,
    /// The header `x-test-server`.
    pub(crate) server: Option<String>,
    /// The beginning of the body.
    pub(super) body: Vec<u8>,
}

impl Answer {
    /// Takes up to `most` bytes of the body off a buffer; returns how many.
    pub(crate) fn read(&mut self, buffer: &mut BytesMut, most: u64) -> u64 {
        let length = usize::try_from(most).unwrap_or(usize::MAX).min(buffer.len());
        let shown = length.min(SHOWN - self.body.len());
        self.body.extend_from_slice(&buffer[..shown]);
        buffer.advance(length);
        length as u64
    }

    /// The beginning of the body, as text.
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

/// How the end of the body is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Framing {
    Length(u64),
    Chunked,
    /// By the end of the connection.
    Close,
}

/// What matters of the head of an answer.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Head {
    pub(crate) status: u16,
    pub(crate) framing: Framing,
    /// Whether the connection may be used again.
    pub(crate) keep_alive: bool,
    pub(crate) server: Option<String>,
}

impl Head {
    /// Takes a head off the front of a buffer; none if it is not whole yet. How its body ends is as RFC 9112,
    /// section 6.3, says for an answer to GET or POST.
    pub(crate) fn take(buffer: &mut BytesMut) -> Result<Option<Self>, String> {
        let mut fields = [httparse::EMPTY_HEADER; MAX_FIELDS];
        let mut parsed = httparse::Response::new(&mut fields);
        let length = match parsed.parse(buffer) {
            Ok(httparse::Status::Complete(length)) => length,
            Ok(httparse::Status::Partial) if buffer.len() <= MAX_HEAD => return Ok(None),
            Ok(httparse::Status::Partial) => {
                return Err("the head of the answer is too large".to_owned());
            }
            Err(error) => return Err(format!("the head of the answer is malformed: {error}")),
        };
        // Complete means that version and status were found.
        let status = parsed.code.unwrap_or(0);
        let mut keep_alive = parsed.version == Some(1);
        let (mut content_length, mut chunked, mut server) = (None, false, None);
        for field in parsed.headers.iter() {
            let value = String::from_utf8_lossy(field.value);
            let has = |token: &str| value.split(',').any(|t| t.trim().eq_ignore_ascii_case(token));
            if field.name.eq_ignore_ascii_case("content-length") {
                let found = Some(value.parse::<u64>()).filter(|_| !value.starts_with('+'));
                let Some(Ok(found)) = found else {
                    return Err(format!("Content-Length is '{value}'"));
                };
                if content_length.replace(found).is_some_and(|before| before != found) {
                    return Err("Content-Length is given twice".to_owned());
                }
            } else if field.name.eq_ignore_ascii_case("transfer-encoding") {
                if !value.eq_ignore_ascii_case("chunked") {
                    return Err(format!("Transfer-Encoding is '{value}'"));
                }
                chunked = true;
            } else if field.name.eq_ignore_ascii_case("connection") {
                keep_alive = (keep_alive || has("keep-alive")) && !has("close");
            } else if field.name.eq_ignore_ascii_case("x-test-server") {
                server = Some(value.chars().take(NAME).collect());
            }
        }
        let framing = match (content_length, chunked) {
            _ if status < 200 || matches!(status, 204 | 304) => Framing::Length(0),
            (Some(_), true) => {
                return Err("Content-Length and Transfer-Encoding are both given".to_owned());
            }
            (None, true) => Framing::Chunked,
            (Some(length), false) => Framing::Length(length),
            (None, false) => Framing::Close,
        };
        buffer.advance(length);
        Ok(Some(Self { status, framing, keep_alive, server }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head(text: &str) -> Result<Option<Head>, String> {
        Head::take(&mut BytesMut::from(format!("{text}\r\n\r\nrest").as_bytes()))
    }

    #[test]
    fn a_head_says_how_its_body_ends_and_whether_the_connection_is_kept() {
        for (text, framing, keep_alive) in [
            ("HTTP/1.1 200 OK\r\nContent-Length: 3", Framing::Length(3), true),
            (
                "HTTP/1.1 200 OK\r\nContent-Length: 3\r\nConnection: x, Close",
                Framing::Length(3),
                false,
            ),
            ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked", Framing::Chunked, true),
            ("HTTP/1.1 200 OK", Framing::Close, true),
            ("HTTP/1.1 204 No Content", Framing::Length(0), true),
            ("HTTP/1.0 200 OK\r\nContent-Length: 3", Framing::Length(3), false),
            (
                "HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 3",
                Framing::Length(3),
                true,
            ),
        ] {
            let head = head(text).unwrap().unwrap();
            assert_eq!((head.framing, head.keep_alive), (framing, keep_alive), "{text}");
        }
        assert_eq!(
            head("HTTP/1.1 200 OK\r\nX-Test-Server: a").unwrap().unwrap().server.as_deref(),
            Some("a")
        );
        assert_eq!(Head::take(&mut BytesMut::from("HTTP/1.1 200 OK\r\nContent-")), Ok(None));
    }

    #[test]
    fn a_head_that_can_be_read_in_two_ways_is_an_error() {
        for text in [
            "HTTP/1.1 2x0 OK",
            "HTTP/1.1 200 OK\r\nContent-Length: +3",
            "HTTP/1.1 200 OK\r\nContent-Length: 3\r\nContent-Length: 4",
            "HTTP/1.1 200 OK\r\nContent-Length: 3\r\nTransfer-Encoding: chunked",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip",
        ] {
            assert!(head(text).is_err(), "{text}");
        }
        let endless = format!("HTTP/1.1 200 OK\r\nx: {}", "x".repeat(MAX_HEAD));
        assert!(Head::take(&mut BytesMut::from(endless.as_bytes())).is_err());
    }
}
