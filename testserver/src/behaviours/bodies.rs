//! Bodies of every length, framing and speed.

use std::time::Duration;

use serde_json::json;
use tokio::time::sleep;

use super::{Failed, respond, say};
use crate::connection::{Connection, End, Next};
use crate::request::Request;
use crate::response::{Response, chunk};

/// The pattern's period. It divides no power of two, so a buffer's worth lost or sent twice shows.
const PERIOD: usize = 26;

/// Bytes sent at once: a whole number of periods near 64 KiB.
const BLOCK: usize = PERIOD * 2520;

/// The first bytes of what `/bytes/N` sends: a to z, again and again.
pub fn pattern(length: usize) -> Vec<u8> {
    (b'a'..=b'z').cycle().take(length).collect()
}

/// How an answer's body ends.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Framing {
    Length(u64),
    Chunked,
    Close,
}

impl Framing {
    /// HTTP/1.0 knows no chunks.
    fn for_version(self, minor: u8) -> Self {
        if self == Self::Chunked && minor == 0 { Self::Close } else { self }
    }

    fn head(self, response: Response) -> Vec<u8> {
        match self {
            Self::Length(length) => response.header("content-length", length).head(),
            Self::Chunked => response.header("transfer-encoding", "chunked").head(),
            Self::Close => response.head(),
        }
    }

    fn piece(self, piece: &[u8]) -> Vec<u8> {
        if self == Self::Chunked { chunk(piece) } else { piece.to_vec() }
    }

    /// The end of the body, and what becomes of the connection.
    fn end(self) -> (&'static [u8], Next) {
        match self {
            Self::Length(_) => (b"", Next::Request),
            Self::Chunked => (b"0\r\n\r\n", Next::Request),
            Self::Close => (b"", Next::End(End::Linger)),
        }
    }
}

pub(super) async fn bytes(
    connection: &mut Connection,
    request: &mut Request,
    length: &str,
) -> Result<Next, Failed> {
    let length: u64 = length.parse().map_err(|_| format!("'{length}' is not a number of bytes"))?;
    let framing = if request.flag("chunked") {
        Framing::Chunked
    } else if request.flag("close") {
        Framing::Close
    } else {
        Framing::Length(length)
    };
    let framing = begin(connection, request, framing).await?;
    let head = framing
        .head(respond(connection, request, 200).header("content-type", "application/octet-stream"));
    let (last, next) = framing.end();
    if request.is_head() {
        connection.send(&head).await?;
        return Ok(next);
    }
    let block = pattern(usize::try_from(length).unwrap_or(BLOCK).min(BLOCK));
    // The head travels with the first piece, and so does the end of a body that is one piece.
    let mut bytes = head;
    let mut left = length;
    while left > 0 {
        let piece = usize::try_from(left).unwrap_or(BLOCK).min(BLOCK);
        bytes.extend_from_slice(&framing.piece(&block[..piece]));
        left -= piece as u64;
        if left > 0 {
            connection.send(&bytes).await?;
            bytes.clear();
        }
    }
    bytes.extend_from_slice(last);
    connection.send(&bytes).await?;
    Ok(next)
}

/// Reads the request's body and settles how the answer's will end, which may be by the close.
async fn begin(
    connection: &mut Connection,
    request: &mut Request,
    framing: Framing,
) -> Result<Framing, Failed> {
    connection.discard_body(request).await?;
    let framing = framing.for_version(request.minor);
    if framing == Framing::Close {
        request.keep_alive = false;
    }
    Ok(framing)
}

pub(super) async fn trickle(
    connection: &mut Connection,
    request: &mut Request,
) -> Result<Next, Failed> {
    let pieces = request.number_of("pieces", 5)?;
    let every = request.duration_of("every", Duration::from_millis(100))?;
    let event = |number: u64| format!("data: {number}\n\n");
    let framing = if request.flag("length") {
        if !(1..=1_000_000).contains(&pieces) {
            return Err("with ?length there are 1 to 1000000 pieces".to_owned().into());
        }
        Framing::Length((1..=pieces).map(|number| event(number).len() as u64).sum())
    } else if request.flag("close") {
        Framing::Close
    } else {
        Framing::Chunked
    };
    let framing = begin(connection, request, framing).await?;
    let head =
        framing.head(respond(connection, request, 200).header("content-type", "text/event-stream"));
    connection.send(&head).await?;
    let (last, next) = framing.end();
    if request.is_head() {
        return Ok(next);
    }
    let pieces = if pieces == 0 { u64::MAX } else { pieces };
    for number in 1..=pieces {
        if number > 1 {
            connection.wait(sleep(every)).await?;
        }
        connection.send(&framing.piece(event(number).as_bytes())).await?;
    }
    connection.send(last).await?;
    Ok(next)
}

pub(super) async fn trailers(
    connection: &mut Connection,
    request: &mut Request,
) -> Result<Next, Failed> {
    if begin(connection, request, Framing::Chunked).await? != Framing::Chunked {
        return Err("HTTP/1.0 has no trailers".to_owned().into());
    }
    let mut response = respond(connection, request, 200).header("content-type", "text/plain");
    if !request.flag("undeclared") {
        response = response.header("trailer", "x-checksum, x-pieces");
    }
    let mut answer = Framing::Chunked.head(response);
    if !request.is_head() {
        answer.extend(chunk(b"with "));
        answer.extend(chunk(b"trailers\n"));
        answer.extend_from_slice(b"0\r\nx-checksum: 42\r\nx-pieces: 2\r\n\r\n");
    }
    connection.send(&answer).await?;
    Ok(Next::Request)
}

pub(super) async fn sink(
    connection: &mut Connection,
    request: &mut Request,
) -> Result<Next, Failed> {
    let (mut length, mut intact) = (0, true);
    let block = pattern(BLOCK + PERIOD);
    let trailers = connection
        .read_body(request, |piece| {
            for part in piece.chunks(BLOCK) {
                let from = length % PERIOD;
                intact &= part == &block[from..from + part.len()];
                length += part.len();
            }
        })
        .await?;
    let answer = json!({ "length": length, "pattern": intact, "trailers": trailers });
    Ok(say(connection, request, 200, &answer).await?)
}
