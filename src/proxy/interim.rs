//! Interim responses (RFC 9110, section 15.2) on their way to the client. hyper sends none but its own 100, so they are
//! written around it, where one message has ended and the next has not begun.

use bytes::{Buf, BytesMut};
use std::cell::{Cell, RefCell};
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use tokio::io::AsyncWrite;
use tokio::net::TcpStream;

/// The most bytes that wait for a client that does not read: what comes beyond is dropped, for a client can do without.
const MAX_WAITING: usize = 16 * 1024;

/// The interim responses that one connection has still to write.
#[derive(Debug, Default)]
pub struct Interim {
    waiting: RefCell<BytesMut>,
    /// Whether hyper has begun to write something, and not yet all of it.
    mid_message: Cell<bool>,
}

impl Interim {
    /// Passes whole interim responses on, before the response to the present request has begun. What would land inside of
    /// the response before is dropped.
    pub fn pass(&self, responses: &[u8]) {
        let mut waiting = self.waiting.borrow_mut();
        if !self.mid_message.get() && waiting.len() + responses.len() <= MAX_WAITING {
            waiting.extend_from_slice(responses);
        }
    }

    /// Writes what waits.
    pub fn poll_write(&self, stream: &mut TcpStream, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut waiting = self.waiting.borrow_mut();
        if waiting.is_empty() {
            return Poll::Ready(Ok(()));
        }
        while !waiting.is_empty() {
            let written = ready!(Pin::new(&mut *stream).poll_write(cx, &waiting))?;
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            waiting.advance(written);
        }
        *waiting = BytesMut::new();
        Poll::Ready(Ok(()))
    }

    /// hyper has more to write.
    pub fn message_goes_on(&self) {
        self.mid_message.set(true);
    }

    /// hyper has written all that it had.
    pub fn message_is_written(&self) {
        self.mid_message.set(false);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::future::poll_fn;
    use tokio::io::AsyncReadExt;
    use tokio::net::TcpListener;

    #[tokio::test]
    async fn nothing_is_written_inside_of_a_message() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mut client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let (mut stream, _) = listener.accept().await.unwrap();
        let interim = Interim::default();
        interim.pass(b"before ");
        poll_fn(|cx| interim.poll_write(&mut stream, cx)).await.unwrap();
        interim.message_goes_on();
        interim.pass(b"inside ");
        interim.message_is_written();
        interim.pass(&[0; MAX_WAITING + 1]);
        interim.pass(b"after");
        poll_fn(|cx| interim.poll_write(&mut stream, cx)).await.unwrap();
        drop(stream);
        let mut all = String::new();
        client.read_to_string(&mut all).await.unwrap();
        assert_eq!(all, "before after");
    }
}
