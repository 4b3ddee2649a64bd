//! A client's socket, which tells the connection's state what passes.

use super::client::ClientState;
use crate::tls::Stream;
use bytes::Bytes;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// Responses up to this size, in bytes, are written in one piece.
const JOIN_LIMIT: usize = 1024;
/// What a client of HTTP/2 begins with (RFC 9113, section 3.4).
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// A client's socket, which tells the connection's state what passes.
#[derive(Debug)]
pub struct ClientIo {
    stream: Stream,
    /// What was read before and is to be read again.
    unread: Bytes,
    /// Whether nothing was read before.
    is_fresh: bool,
    state: Rc<ClientState>,
}

impl ClientIo {
    /// Wraps `stream`.
    pub fn new(stream: Stream, state: Rc<ClientState>) -> Self {
        Self { stream, unread: Bytes::new(), is_fresh: true, state }
    }

    /// Makes `bytes`, which were read last, those that are read next.
    pub fn unread(&mut self, bytes: Bytes) {
        self.unread = bytes;
    }

    /// Ready when there is something to read, or its end.
    pub fn poll_readable(&self, cx: &mut Context<'_>) -> Poll<()> {
        if self.unread.is_empty() && !self.stream.is_ahead() {
            self.stream.socket().poll_read_ready(cx).map(drop)
        } else {
            Poll::Ready(())
        }
    }

    /// Reads the client's first bytes. If they are those of HTTP/2 they are kept for who speaks it.
    fn poll_first(
        &mut self,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let start = buffer.filled().len();
        buffer.put_slice(&std::mem::take(&mut self.unread));
        loop {
            let before = buffer.filled().len();
            let polled = Pin::new(&mut self.stream).poll_read(cx, buffer)?;
            let first = &buffer.filled()[start..];
            let length = first.len().min(PREFACE.len());
            let may_be_http2 = first[..length] == PREFACE[..length];
            let came = &buffer.filled()[before..];
            if polled.is_ready() {
                self.state.bytes_in(came);
                if came.is_empty() || !may_be_http2 {
                    self.is_fresh = false;
                    return Poll::Ready(Ok(()));
                }
            }
            let is_http2 = may_be_http2 && length == PREFACE.len();
            if is_http2 || polled.is_pending() {
                self.unread = Bytes::copy_from_slice(first);
                buffer.set_filled(start);
            }
            if is_http2 {
                self.is_fresh = false;
                self.state.speaks_http2.set(true);
                cx.waker().wake_by_ref();
            }
            if is_http2 || polled.is_pending() {
                return Poll::Pending;
            }
        }
    }

    /// Writes what must go before the bytes that hyper is about to write.
    fn poll_before(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.state.interim.poll_write(&mut self.stream, cx)
    }
}

impl AsyncRead for ClientIo {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.is_fresh {
            return self.poll_first(cx, buffer);
        }
        if !self.unread.is_empty() {
            let size = self.unread.len().min(buffer.remaining());
            buffer.put_slice(&self.unread.split_to(size));
            return Poll::Ready(Ok(()));
        }
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.stream).poll_read(cx, buffer))?;
        self.state.bytes_in(&buffer.filled()[before..]);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for ClientIo {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = match self.poll_before(cx) {
            Poll::Ready(Ok(())) => Pin::new(&mut self.stream).poll_write(cx, bytes),
            not_yet => not_yet.map_ok(|()| 0),
        };
        self.state.interim.message_goes_on();
        self.state.wrote(written, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let mut joined = [0; JOIN_LIMIT];
        let before = self.poll_before(cx);
        let stream = Pin::new(&mut self.stream);
        let written = match (before, join(slices, &mut joined)) {
            (Poll::Ready(Ok(())), Some(bytes)) => stream.poll_write(cx, bytes),
            (Poll::Ready(Ok(())), None) => stream.poll_write_vectored(cx, slices),
            (not_yet, _) => not_yet.map_ok(|()| 0),
        };
        self.state.interim.message_goes_on();
        self.state.wrote(written, slices.first().map_or(&[], |slice| slice))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    /// hyper comes here whenever it has nothing left to write.
    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        // TLS may hold back what the socket did not take.
        if Pin::new(&mut self.stream).poll_flush(cx)?.is_pending() {
            self.state.is_blocked();
            return Poll::Pending;
        }
        self.state.interim.message_is_written();
        self.state.all_written();
        // Meanwhile hyper may have read the next request. It gives it to nobody before all is written, and does not come back
        // to that by itself.
        if self.state.unblocked() {
            cx.waker().wake_by_ref();
        }
        self.poll_before(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

/// The slices in one piece, if they fit: a plain write of a small response costs the kernel less than a vectored one.
fn join<'a>(slices: &[io::IoSlice<'_>], joined: &'a mut [u8]) -> Option<&'a [u8]> {
    let mut length = 0;
    for slice in slices {
        joined.get_mut(length..length + slice.len())?.copy_from_slice(slice);
        length += slice.len();
    }
    Some(&joined[..length])
}
