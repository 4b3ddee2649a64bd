//! The sending half of an exchange: what is staged to be written, in order.

use super::Framing;
use crate::tls::Stream;
use bytes::{Buf, Bytes, BytesMut};
use http_body::Frame;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use tokio::io::AsyncWrite;

/// Pieces up to this size are copied behind what is staged already, so that one write takes all.
const COPY_LIMIT: usize = 8 * 1024;

/// A request on its way out.
#[derive(Debug)]
pub struct Outgoing {
    /// The head, sizes of chunks, small pieces.
    small: BytesMut,
    /// A large piece, written after `small`.
    large: Bytes,
    /// What ends the large piece.
    tail: &'static [u8],
    head_left: usize,
    left: Left,
}

/// What is still to be staged.
#[derive(Debug)]
enum Left {
    Nothing,
    Length(u64),
    Chunks,
}

/// The body does not have the length that the head promised.
#[derive(Debug)]
pub struct WrongLength;

impl Outgoing {
    /// Stages a head.
    pub fn new(head: BytesMut, framing: Framing) -> Self {
        let left = match framing {
            Framing::Empty | Framing::UntilClose | Framing::Length(0) => Left::Nothing,
            Framing::Length(length) => Left::Length(length),
            Framing::Chunked => Left::Chunks,
        };
        Self { head_left: head.len(), small: head, large: Bytes::new(), tail: b"", left }
    }

    /// Whether the head was written to its end.
    pub fn head_written(&self) -> bool {
        self.head_left == 0
    }

    /// Whether everything was staged and written.
    pub fn is_complete(&self) -> bool {
        matches!(self.left, Left::Nothing) && self.is_written()
    }

    /// The memory of the head, emptied.
    pub fn into_scratch(mut self) -> BytesMut {
        self.small.clear();
        self.small
    }

    fn is_written(&self) -> bool {
        self.small.is_empty() && self.large.is_empty() && self.tail.is_empty()
    }

    /// Stages a piece of the body or its trailers. Everything staged before must have been written.
    pub fn stage(&mut self, frame: Frame<Bytes>) -> Result<(), WrongLength> {
        match frame.into_data() {
            Ok(data) if data.is_empty() => Ok(()),
            Ok(data) => self.stage_data(data),
            Err(frame) => match frame.into_trailers() {
                Ok(trailers) => self.stage_trailers(&trailers),
                Err(_unknown) => Ok(()),
            },
        }
    }

    /// Stages the end of the body.
    pub fn stage_end(&mut self) -> Result<(), WrongLength> {
        match self.left {
            Left::Nothing => {}
            Left::Length(_) => return Err(WrongLength),
            Left::Chunks => self.small.extend_from_slice(b"0\r\n\r\n"),
        }
        self.left = Left::Nothing;
        Ok(())
    }

    fn stage_data(&mut self, data: Bytes) -> Result<(), WrongLength> {
        match &mut self.left {
            Left::Nothing => return Err(WrongLength),
            Left::Length(left) => {
                *left = left.checked_sub(data.len() as u64).ok_or(WrongLength)?;
                if *left == 0 {
                    self.left = Left::Nothing;
                }
            }
            Left::Chunks => {
                let size = format!("{:x}\r\n", data.len());
                self.small.extend_from_slice(size.as_bytes());
                self.tail = b"\r\n";
            }
        }
        if data.len() <= COPY_LIMIT {
            self.small.extend_from_slice(&data);
            self.small.extend_from_slice(std::mem::take(&mut self.tail));
        } else {
            self.large = data;
        }
        Ok(())
    }

    fn stage_trailers(&mut self, trailers: &http::HeaderMap) -> Result<(), WrongLength> {
        match self.left {
            // A body whose length was promised has no place for trailers.
            Left::Nothing => return Ok(()),
            Left::Length(_) => return Err(WrongLength),
            Left::Chunks => {}
        }
        self.small.extend_from_slice(b"0\r\n");
        for (name, value) in trailers {
            self.small.extend_from_slice(name.as_str().as_bytes());
            self.small.extend_from_slice(b": ");
            self.small.extend_from_slice(value.as_bytes());
            self.small.extend_from_slice(b"\r\n");
        }
        self.small.extend_from_slice(b"\r\n");
        self.left = Left::Nothing;
        Ok(())
    }

    /// Writes everything that is staged, to the wire.
    pub fn poll_write(
        &mut self,
        stream: &mut Stream,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<()>> {
        while !self.is_written() {
            let stream = Pin::new(&mut *stream);
            let written = if self.large.is_empty() && self.tail.is_empty() {
                ready!(stream.poll_write(cx, &self.small))?
            } else {
                let slices = [&self.small[..], &self.large[..], self.tail].map(IoSlice::new);
                ready!(stream.poll_write_vectored(cx, &slices))?
            };
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.advance(written);
        }
        Pin::new(stream).poll_flush(cx)
    }

    fn advance(&mut self, mut written: usize) {
        self.head_left = self.head_left.saturating_sub(written);
        let small = written.min(self.small.len());
        self.small.advance(small);
        written -= small;
        let large = written.min(self.large.len());
        self.large.advance(large);
        written -= large;
        self.tail = &self.tail[written..];
    }
}
