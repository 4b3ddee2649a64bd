//! The chunked coding of a response's body, read strictly: a size that could be read in two ways is refused.
//!
//! Source: RFC 9112, section 7.1.

use super::take;
use bytes::{Buf, Bytes, BytesMut};
use http::{HeaderMap, HeaderName, HeaderValue};

/// The longest line with a chunk's size and extensions.
const MAX_SIZE_LINE: usize = 1024;
/// The most bytes of trailers.
const MAX_TRAILERS: usize = 16 * 1024;
const MAX_TRAILER_FIELDS: usize = 64;

/// Where in the coding the next byte stands.
#[derive(Debug, Default)]
pub struct ChunkedDecoder {
    state: State,
}

#[derive(Debug, Default)]
enum State {
    #[default]
    Size,
    Data(u64),
    DataEnd,
    Trailers,
}

/// What came out of the bytes at hand.
#[derive(Debug, PartialEq, Eq)]
pub enum Step {
    /// Part of the body.
    Data(Bytes),
    /// The end, with its trailers if there are any.
    End(Option<HeaderMap>),
    /// More bytes are needed.
    More,
}

impl ChunkedDecoder {
    /// Takes the next step; the error says what is wrong with the coding.
    pub fn decode(&mut self, buffer: &mut BytesMut) -> Result<Step, &'static str> {
        loop {
            match &mut self.state {
                State::Size => match read_size(buffer)? {
                    None => return Ok(Step::More),
                    Some(0) => self.state = State::Trailers,
                    Some(size) => self.state = State::Data(size),
                },
                State::Data(_) if buffer.is_empty() => return Ok(Step::More),
                State::Data(left) => {
                    let size = (*left).min(buffer.len() as u64) as usize;
                    *left -= size as u64;
                    if *left == 0 {
                        self.state = State::DataEnd;
                    }
                    return Ok(Step::Data(take(buffer, size)));
                }
                State::DataEnd => {
                    if !b"\r\n".starts_with(&buffer[..buffer.len().min(2)]) {
                        return Err("a chunk does not end where its size says");
                    }
                    if buffer.len() < 2 {
                        return Ok(Step::More);
                    }
                    buffer.advance(2);
                    self.state = State::Size;
                }
                State::Trailers => return read_trailers(buffer),
            }
        }
    }
}

/// A chunk's size; `None` if its line is not here yet.
fn read_size(buffer: &mut BytesMut) -> Result<Option<u64>, &'static str> {
    let Some(end) = buffer.iter().position(|byte| *byte == b'\n') else {
        return if buffer.len() > MAX_SIZE_LINE {
            Err("a chunk's size line is too long")
        } else {
            Ok(None)
        };
    };
    if end > MAX_SIZE_LINE {
        return Err("a chunk's size line is too long");
    }
    let line =
        buffer[..end].strip_suffix(b"\r").ok_or("a chunk's size line ends with a bare LF")?;
    let digits = line.iter().take_while(|byte| byte.is_ascii_hexdigit()).count();
    let (digits, rest) = line.split_at(digits);
    let rest = rest.trim_ascii_start();
    if digits.is_empty() || digits.len() > 16 || !(rest.is_empty() || rest[0] == b';') {
        return Err("a chunk's size is not a number");
    }
    if rest.contains(&b'\r') {
        return Err("a chunk's size line contains a bare CR");
    }
    let value = |digit: &u8| u64::from((*digit as char).to_digit(16).unwrap_or_default());
    let size = digits.iter().fold(0, |size, digit| size << 4 | value(digit));
    buffer.advance(end + 1);
    Ok(Some(size))
}

fn read_trailers(buffer: &mut BytesMut) -> Result<Step, &'static str> {
    let mut fields = [httparse::EMPTY_HEADER; MAX_TRAILER_FIELDS];
    let parsed =
        httparse::parse_headers(buffer, &mut fields).map_err(|_| "trailers are not valid")?;
    let httparse::Status::Complete((length, fields)) = parsed else {
        return if buffer.len() > MAX_TRAILERS {
            Err("trailers are too large")
        } else {
            Ok(Step::More)
        };
    };
    // They may have come in one piece.
    if length > MAX_TRAILERS {
        return Err("trailers are too large");
    }
    let mut trailers = HeaderMap::with_capacity(fields.len());
    for field in fields {
        let name = HeaderName::from_bytes(field.name.as_bytes());
        let value = HeaderValue::from_bytes(field.value);
        let (Ok(name), Ok(value)) = (name, value) else { return Err("trailers are not valid") };
        if is_allowed_trailer(&name) {
            trailers.append(name, value);
        }
    }
    buffer.advance(length);
    Ok(Step::End((!trailers.is_empty()).then_some(trailers)))
}

/// Fields that frame, route or control a message must not arrive after it (RFC 9110, section 6.5.1).
pub fn is_allowed_trailer(name: &HeaderName) -> bool {
    use http::header;
    ![
        header::CONTENT_LENGTH,
        header::TRANSFER_ENCODING,
        header::HOST,
        header::CONNECTION,
        header::UPGRADE,
        header::TE,
        header::TRAILER,
        header::AUTHORIZATION,
        header::SET_COOKIE,
        header::CONTENT_TYPE,
        header::CONTENT_ENCODING,
        header::CONTENT_RANGE,
        header::CACHE_CONTROL,
        header::EXPECT,
        header::MAX_FORWARDS,
    ]
    .contains(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decode_in_pieces(
        bytes: &[u8],
        piece: usize,
    ) -> Result<(Vec<u8>, Option<HeaderMap>), &'static str> {
        let (mut decoder, mut buffer, mut body) =
            (ChunkedDecoder::default(), BytesMut::new(), Vec::new());
        for piece in bytes.chunks(piece) {
            buffer.extend_from_slice(piece);
            loop {
                match decoder.decode(&mut buffer)? {
                    Step::Data(data) => body.extend_from_slice(&data),
                    Step::End(trailers) => return Ok((body, trailers)),
                    Step::More => break,
                }
            }
        }
        Err("incomplete")
    }

    #[test]
    fn a_body_is_the_same_however_it_arrives() {
        let bytes = b"4\r\nWiki\r\n6;name=value\r\npedia \r\nE\r\nin \r\n\r\nchunks.\r\n0\r\nx-sum: 7\r\n\r\n";
        for piece in 1..bytes.len() {
            let (body, trailers) = decode_in_pieces(bytes, piece).unwrap();
            assert_eq!(body, b"Wikipedia in \r\n\r\nchunks.");
            assert_eq!(trailers.unwrap()["x-sum"], "7");
        }
    }

    #[test]
    fn ambiguous_chunks_are_refused() {
        for (bytes, what) in [
            (&b"4\nWiki\r\n"[..], "a chunk's size line ends with a bare LF"),
            (b"x\r\n", "a chunk's size is not a number"),
            (b"-1\r\n", "a chunk's size is not a number"),
            (b"\r\n", "a chunk's size is not a number"),
            (b"4 4\r\nWiki\r\n", "a chunk's size is not a number"),
            (b"00000000000000001\r\n", "a chunk's size is not a number"),
            (b"4\r\nWikipedia\r\n", "a chunk does not end where its size says"),
            (b"4;a\rb\r\nWiki\r\n", "a chunk's size line contains a bare CR"),
        ] {
            assert_eq!(decode_in_pieces(bytes, bytes.len()), Err(what), "{bytes:?}");
        }
    }

    #[test]
    fn trailers_cannot_smuggle_framing() {
        let (_, trailers) = decode_in_pieces(b"0\r\ncontent-length: 5\r\n\r\n", 64).unwrap();
        assert_eq!(trailers, None);
    }

    #[test]
    fn an_endless_size_line_is_refused() {
        let bytes = vec![b'1'; MAX_SIZE_LINE + 2];
        assert_eq!(decode_in_pieces(&bytes, 100), Err("a chunk's size line is too long"));
    }
}
