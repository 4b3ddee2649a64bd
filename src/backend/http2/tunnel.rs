//! A stream that carries another protocol, such as WebSocket, both ways.
//!
//! Source: RFC 8441.

use super::connection::Place;
use super::upload::room;
use super::{into_io, release};
use bytes::{Buf, Bytes};
use h2::{Reason, RecvStream, SendStream};
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// The most that one write hands over.
const MAX_WRITE: usize = 16 * 1024;

/// Both ways of a stream.
#[derive(Debug)]
pub struct Tunnel {
    /// Both ways of the stream.
    ways: Option<(SendStream<Bytes>, RecvStream)>,
    /// Received and not yet read.
    received: Bytes,
    is_shut: bool,
    _place: Place,
}

impl Tunnel {
    /// A tunnel on a stream; without one it is at its end.
    pub(super) fn new(ways: Option<(SendStream<Bytes>, RecvStream)>, place: Place) -> Self {
        Self { ways, received: Bytes::new(), is_shut: false, _place: place }
    }
}

impl AsyncRead for Tunnel {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        let Some((_, receive)) = &mut this.ways else { return Poll::Ready(Ok(())) };
        while this.received.is_empty() {
            match ready!(receive.poll_data(cx)) {
                Some(Ok(data)) => this.received = data,
                Some(Err(error)) if error.reason() == Some(Reason::NO_ERROR) => {
                    return Poll::Ready(Ok(()));
                }
                Some(Err(error)) => return Poll::Ready(Err(into_io(error))),
                None => return Poll::Ready(Ok(())),
            }
        }
        let size = this.received.len().min(buffer.remaining());
        buffer.put_slice(&this.received[..size]);
        this.received.advance(size);
        // What the client has not taken yet is not asked for again.
        release(receive, size);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Tunnel {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        if bytes.is_empty() {
            return Poll::Ready(Ok(0));
        }
        let Some((send, _)) = &mut self.ways else {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        };
        let wanted = bytes.len().min(MAX_WRITE);
        let room = ready!(room(send, wanted, cx)).map_err(into_io)?;
        let part = Bytes::copy_from_slice(&bytes[..room.min(wanted)]);
        let size = part.len();
        Poll::Ready(send.send_data(part, false).map(|()| size).map_err(into_io))
    }

    fn poll_flush(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        // The connection's own task sends.
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if !std::mem::replace(&mut self.is_shut, true)
            && let Some((send, _)) = &mut self.ways
        {
            send.send_data(Bytes::new(), true).map_err(into_io)?;
        }
        Poll::Ready(Ok(()))
    }
}
