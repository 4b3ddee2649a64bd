//! Interim responses (RFC 9110, section 15.2) on their way to the client. For HTTP/1 hyper sends none but its own 100, so they
//! are written around it, where one message has ended and the next has not begun.

use crate::backend::http1::response::encode_interim;
use bytes::{Buf, BytesMut};
use http::{HeaderMap, StatusCode};
use std::cell::{Cell, RefCell};
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use tokio::io::AsyncWrite;

/// The most bytes that wait for a client that does not read: what comes beyond is dropped, for a client can do without.
const MAX_WAITING: usize = 16 * 1024;

/// The most interim responses that wait on a stream.
const MAX_HEADS: usize = 16;

/// The interim responses that one connection, or one stream, has still to write.
#[derive(Debug, Default)]
pub struct Interim {
    waiting: RefCell<BytesMut>,
    /// Those of a stream; `None` for a connection of HTTP/1.
    heads: Option<RefCell<Vec<Head>>>,
    /// Whether hyper has begun to write something, and not yet all of it.
    mid_message: Cell<bool>,
}

/// The head of an interim response.
type Head = (StatusCode, HeaderMap);

impl Interim {
    /// Those of a stream, which gives them to who writes its frames.
    pub fn of_stream() -> Self {
        Self { heads: Some(RefCell::default()), ..Self::default() }
    }

    /// Takes those that wait on a stream.
    pub fn take(&self) -> Vec<Head> {
        self.heads.as_ref().map(RefCell::take).unwrap_or_default()
    }

    /// Passes an interim response on, before the response to the present request has begun. What would land inside of the
    /// response before is dropped.
    pub fn pass(&self, status: StatusCode, headers: HeaderMap) {
        if let Some(heads) = &self.heads {
            let mut heads = heads.borrow_mut();
            if heads.len() < MAX_HEADS {
                heads.push((status, headers));
            }
            return;
        }
        let mut waiting = self.waiting.borrow_mut();
        let before = waiting.len();
        encode_interim(status, &headers, &mut waiting);
        if self.mid_message.get() || waiting.len() > MAX_WAITING {
            waiting.truncate(before);
        }
    }

    /// Writes what waits.
    pub fn poll_write(
        &self,
        stream: &mut (impl AsyncWrite + Unpin),
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<()>> {
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
    use tokio::net::{TcpListener, TcpStream};

    #[tokio::test]
    async fn nothing_is_written_inside_of_a_message() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mut client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let (mut stream, _) = listener.accept().await.unwrap();
        let interim = Interim::default();
        let hint = || {
            let mut headers = HeaderMap::new();
            headers.insert("link", http::HeaderValue::from_static("</a>"));
            (StatusCode::EARLY_HINTS, headers)
        };
        let pass = |(status, headers)| interim.pass(status, headers);
        pass(hint());
        poll_fn(|cx| interim.poll_write(&mut stream, cx)).await.unwrap();
        interim.message_goes_on();
        pass((StatusCode::PROCESSING, HeaderMap::new()));
        interim.message_is_written();
        let mut large = HeaderMap::new();
        large.insert("link", http::HeaderValue::from_bytes(&[b'a'; MAX_WAITING]).unwrap());
        pass((StatusCode::EARLY_HINTS, large));
        pass(hint());
        poll_fn(|cx| interim.poll_write(&mut stream, cx)).await.unwrap();
        drop(stream);
        let mut all = String::new();
        client.read_to_string(&mut all).await.unwrap();
        assert_eq!(all, "HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n".repeat(2));
    }
}
