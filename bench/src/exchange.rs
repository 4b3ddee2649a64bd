//! What requests and their answers are, on both sides, and the little of HTTP that both read.

use std::sync::{Arc, LazyLock};

/// The body of small answers: 100 bytes.
pub(crate) const BODY: &[u8; 100] = b"0123456789012345678901234567890123456789\
    01234567890123456789012345678901234567890123456789outrigger\n";

/// Whom requests are for where that does not matter.
pub(crate) const HOST: &str = "bench.example";

/// The longest body.
const LONGEST: usize = 10 << 20;

static PATTERN: LazyLock<Vec<u8>> =
    LazyLock::new(|| BODY.iter().copied().cycle().take(LONGEST).collect());

/// A gRPC message as it travels: not compressed, its length, and [`BODY`].
static MESSAGE: [u8; 105] = {
    let mut message = [0; 105];
    message[4] = 100;
    let mut index = 0;
    while index < BODY.len() {
        message[5 + index] = BODY[index];
        index += 1;
    }
    message
};

/// A body of `length` bytes: [`BODY`] again and again, at most 10 MiB.
pub(crate) fn body(length: usize) -> &'static [u8] {
    &PATTERN[..length]
}

/// The method that gRPC requests call.
pub(crate) const METHOD: &str = "/bench.Shop/Order";

/// What the client speaks, with or without TLS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Protocol {
    /// HTTP/1.1, as the endpoint does.
    Http1,
    /// HTTP/2; the endpoint speaks HTTP/1.1.
    Http2,
    /// gRPC, and the endpoint too, which means HTTP/2 on both sides; without TLS at the endpoint.
    Grpc,
}

/// Requests, and what is sent along and answered.
#[derive(Clone, Debug)]
pub(crate) struct Exchange {
    pub(crate) protocol: Protocol,
    /// HTTP/1.1 only:
    /// Whole heads; each request takes the next.
    pub(crate) heads: Arc<[Vec<u8>]>,
    /// The request's body.
    pub(crate) upload: &'static [u8],
    /// The answer's body.
    pub(crate) download: &'static [u8],
}

impl Exchange {
    /// `upload` bytes there, `download` bytes back. The requests go to `hosts` in turn, or all to one when there are none.
    pub(crate) fn new(upload: usize, download: usize, hosts: &[String]) -> Exchange {
        let head = |host: &str| {
            let (method, length) = match upload {
                0 => ("GET", String::new()),
                length => ("POST", format!("Content-Length: {length}\r\n")),
            };
            format!(
                "{method} /api/bench HTTP/1.1\r\nHost: {host}\r\nUser-Agent: outrigger-bench\r\nAccept: */*\r\n{length}\r\n"
            )
            .into_bytes()
        };
        let heads = match hosts {
            [] => vec![head(HOST)],
            hosts => hosts.iter().map(|host| head(host)).collect(),
        };
        let protocol = Protocol::Http1;
        Exchange { protocol, heads: heads.into(), upload: body(upload), download: body(download) }
    }

    /// A call of a gRPC method with one message there and one back, of 100 bytes each.
    pub(crate) fn grpc() -> Exchange {
        Exchange {
            protocol: Protocol::Grpc,
            upload: &MESSAGE,
            download: &MESSAGE,
            ..Exchange::small()
        }
    }

    /// A small request and a small answer.
    pub(crate) fn small() -> Exchange {
        Exchange::new(0, BODY.len(), &[])
    }

    /// What the endpoint answers. A `Date` is there so that no proxy has to make one, which some do.
    pub(crate) fn answer(&self) -> Vec<u8> {
        let head = format!(
            "HTTP/1.1 200 OK\r\nDate: Thu, 01 Jan 2026 00:00:00 GMT\r\nContent-Type: text/plain\r\n\
             Content-Length: {}\r\n\r\n",
            self.download.len()
        );
        [head.as_bytes(), self.download].concat()
    }
}

/// Where a head ends: behind its empty line.
pub(crate) fn head_end(bytes: &[u8]) -> Option<usize> {
    bytes.windows(4).position(|window| window == b"\r\n\r\n").map(|start| start + 4)
}

/// The value of a field of `head`. Its name in lower case, please.
pub(crate) fn field<'a>(head: &'a [u8], name: &str) -> Option<&'a str> {
    let head = std::str::from_utf8(head).ok()?;
    head.split("\r\n").skip(1).find_map(|line| {
        let (own, value) = line.split_once(':')?;
        own.eq_ignore_ascii_case(name).then_some(value.trim())
    })
}

/// The length of the body that `head` announces.
pub(crate) fn content_length(head: &[u8]) -> Option<usize> {
    field(head, "content-length")?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_ends_behind_its_empty_line_and_tells_the_length_of_its_body() {
        let head = b"HTTP/1.1 200 OK\r\nX: 1\r\ncontent-LENGTH:  7\r\n\r\nbody";
        assert_eq!(head_end(head), Some(head.len() - 4));
        assert_eq!(content_length(head), Some(7));
        assert_eq!(head_end(&head[..20]), None);
        assert_eq!(content_length(b"HTTP/1.1 200 OK\r\n\r\n"), None);
    }

    #[test]
    fn a_message_follows_its_prefix() {
        let Exchange { upload, download, .. } = Exchange::grpc();
        assert_eq!(upload, download);
        assert_eq!(upload[..5], [0, 0, 0, 0, 100]);
        assert_eq!(upload[5..], BODY[..]);
    }

    #[test]
    fn every_host_has_its_turn() {
        let exchange = Exchange::new(3, 100, &["a".into(), "b".into()]);
        assert_eq!(exchange.heads.len(), 2);
        assert!(exchange.heads[1].starts_with(b"POST /api/bench HTTP/1.1\r\nHost: b\r\n"));
        assert_eq!(exchange.upload, b"012");
        assert!(exchange.answer().ends_with(BODY));
    }
}
