//! What holds for all bytes of an endpoint. Tests and `fuzz/` look for those for which it does not.

use super::chunked::{ChunkedDecoder, Step};
use super::response::{self, Parsed};
use super::{Framing, MAX_HEAD};
use bytes::BytesMut;
use http::HeaderMap;

/// A response reads the same in whatever pieces it comes, has one end, and names nothing of its connection.
pub fn holds(bytes: &[u8]) {
    let is_head_request = bytes.len() % 2 == 1;
    let whole = head(bytes, is_head_request);
    for end in pieces(bytes) {
        let part = head(&bytes[..end], is_head_request);
        assert!(part.is_none() || part == whole, "{part:?} of {end} bytes, {whole:?} of all");
    }
    let mut body = BytesMut::from(bytes);
    if let Ok(Parsed::Final(head)) = response::parse(&mut body, is_head_request) {
        for name in ["connection", "keep-alive", "proxy-connection", "transfer-encoding", "te"] {
            assert!(!head.headers.contains_key(name), "{head:?}");
        }
        let length = head.headers.get_all("content-length").iter();
        let length = length.map(|value| value.to_str().unwrap().parse().unwrap());
        let length = length.collect::<Vec<u64>>();
        match head.framing {
            Framing::Length(told) => assert_eq!(length, [told]),
            Framing::Chunked | Framing::UntilClose => assert!(length.is_empty(), "{head:?}"),
            // A response to HEAD says how long it would be.
            Framing::Empty => assert!(length.len() <= 1, "{head:?}"),
        }
        chunks(&body);
    }
    chunks(bytes);
}

/// Chunks give the same body, trailers and fault in whatever pieces they come.
fn chunks(bytes: &[u8]) {
    let whole = body(&[bytes]);
    let cut = bytes.len() / 3;
    assert_eq!(body(&[&bytes[..cut], &bytes[cut..]]), whole);
    assert_eq!(body(&bytes.chunks(1).collect::<Vec<_>>()), whole);
}

/// Ends of some of the pieces that begin at the first byte.
fn pieces(bytes: &[u8]) -> impl Iterator<Item = usize> {
    (0..bytes.len()).step_by(1 + bytes.len() / 128)
}

/// What a head is read as, in words; `None` if it is not there yet.
fn head(bytes: &[u8], is_head_request: bool) -> Option<String> {
    let mut buffer = BytesMut::from(bytes);
    match response::parse(&mut buffer, is_head_request) {
        Ok(Parsed::Partial) => None,
        Ok(parsed) => {
            let length = bytes.len() - buffer.len();
            assert!(length <= MAX_HEAD);
            Some(format!("{parsed:?} in {length} bytes"))
        }
        Err(error) => Some(error.to_string()),
    }
}

/// The body that chunks hold, and how they end: with trailers, with a fault, or not yet.
fn body(pieces: &[&[u8]]) -> (Vec<u8>, Result<Option<Option<HeaderMap>>, &'static str>) {
    let (mut decoder, mut buffer) = (ChunkedDecoder::default(), BytesMut::new());
    let mut data = Vec::new();
    for piece in pieces {
        buffer.extend_from_slice(piece);
        loop {
            match decoder.decode(&mut buffer) {
                Ok(Step::Data(more)) => data.extend_from_slice(&more),
                Ok(Step::End(trailers)) => return (data, Ok(Some(trailers))),
                Ok(Step::More) => break,
                Err(fault) => return (data, Err(fault)),
            }
        }
    }
    (data, Ok(None))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::collection::vec;
    use proptest::prelude::*;
    use proptest::sample::select;

    fn piece() -> impl Strategy<Value = Vec<u8>> {
        let pieces: Vec<&[u8]> = vec![
            b"HTTP/1.1 200 OK\r\n",
            b"HTTP/1.0 204 X\r\n",
            b"HTTP/1.1 103 Y\r\n",
            b"HTTP/1.1 101 Z\r\n",
            b"HTTP/1.1 426\r\n",
            b"Content-Length: 5\r\n",
            b"Content-Length: 05\r\n",
            b"Content-Length: 5, 5\r\n",
            b"Content-Length: +5\r\n",
            b"Transfer-Encoding: chunked\r\n",
            b"Transfer-Encoding: gzip, chunked\r\n",
            b"Connection: close, x-a\r\n",
            b"Connection: upgrade, content-length\r\n",
            b"Upgrade: x\r\n",
            b"X-A: 1\r\n",
            b"X-A: \xFF\n",
            b" folded\r\n",
            b"Keep-Alive: 1\r\n",
            b"TE: x\r\n",
            b"\r\n",
            b"\n",
            b"\r",
            b"5\r\nhello\r\n",
            b"5;a=\"b\"\r\n",
            b"hello",
            b"0\r\n",
            b"00",
            b" ",
            b"fffffffffffffffff\r\n",
            b";",
            b"\0",
        ];
        prop_oneof![9 => select(pieces).prop_map(<[u8]>::to_vec), 1 => vec(any::<u8>(), 1..3)]
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2_000))]

        /// S1
        #[test]
        fn a_response_reads_the_same_in_whatever_pieces_it_comes(
            begins in any::<bool>(), pieces in vec(piece(), 0..10),
        ) {
            let line: &[u8] = if begins { b"HTTP/1.1 200 OK\r\n" } else { b"" };
            holds(&[line, &pieces.concat()].concat());
        }
    }

    #[test]
    fn what_is_too_large_is_refused_in_one_piece_too() {
        let long = "x".repeat(MAX_HEAD);
        holds(format!("HTTP/1.1 200 OK\r\nX-A: {long}\r\n\r\n").as_bytes());
        let trailers = format!("0\r\nX-A: {long}\r\n\r\n");
        assert_eq!(body(&[trailers.as_bytes()]).1, Err("trailers are too large"));
    }
}
