//! One client: a kept connection, on which requests follow each other.

use std::io;
use std::mem::MaybeUninit;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use bytes::{Buf, BytesMut};
use socket2::SockRef;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::answer::{Answer, Framing, Head};
use super::target::Target;
use crate::connection::chunk_size;

/// Bytes read at once, and the most that a line of a chunked body may have.
const READ: usize = 16 * 1024;

const IN_BODY: &str = "within the body of the answer";

/// Sends one request after the other on one connection, as long as that is kept.
pub(crate) struct Client {
    target: Arc<Target>,
    /// Connections opened, by all clients.
    opened: Arc<AtomicU64>,
    kept: Option<Connection>,
}

impl Client {
    pub(crate) fn new(target: Arc<Target>, opened: Arc<AtomicU64>) -> Self {
        Self { target, opened, kept: None }
    }

    /// Waits until the peer ends the kept connection, or sends on it what nobody asked for, and gives it
    /// up. Without one it waits for ever. Can be cancelled.
    pub(crate) async fn idle(&mut self) {
        match &self.kept {
            Some(connection) => connection.ended().await,
            None => std::future::pending().await,
        }
        self.kept = None;
    }

    /// Sends a request and fills in what comes of its answer; an error, in words, unless that is whole. When
    /// cancelled, the connection is closed.
    pub(crate) async fn ask(&mut self, request: &[u8], answer: &mut Answer) -> Result<(), String> {
        let mut connection = match self.kept.take().filter(Connection::is_usable) {
            Some(kept) => kept,
            None => self.connect().await.map_err(|error| format!("cannot connect: {error}"))?,
        };
        connection.requests += 1;
        let number = connection.requests;
        let keep = connection.exchange(request, answer).await.map_err(|what| match number {
            1 => format!("{what}, on a new connection"),
            _ => format!("{what}, on a connection kept after request {}", number - 1),
        })?;
        if keep {
            self.kept = Some(connection);
        }
        Ok(())
    }

    /// The name is resolved anew for each connection; all its addresses are tried in turn.
    async fn connect(&self) -> io::Result<Connection> {
        let stream = TcpStream::connect((&*self.target.host, self.target.port)).await?;
        stream.set_nodelay(true)?;
        self.opened.fetch_add(1, Relaxed);
        Ok(Connection { stream, buffer: BytesMut::new(), requests: 0 })
    }
}

struct Connection {
    stream: TcpStream,
    /// Bytes received and not used yet.
    buffer: BytesMut,
    /// Requests sent so far.
    requests: u64,
}

impl Connection {
    /// Whether an idle connection is still open. The system is asked, since the runtime hears of a close only
    /// when it next waits.
    fn is_usable(&self) -> bool {
        let peeked = SockRef::from(&self.stream).peek(&mut [MaybeUninit::uninit()]);
        peeked.is_err_and(|error| error.kind() == io::ErrorKind::WouldBlock)
    }

    /// Waits, on an idle connection, for anything to come from the peer.
    async fn ended(&self) {
        while self.stream.readable().await.is_ok() {
            // The runtime may know of bytes that were read long ago; then this sets it right.
            match self.stream.try_read(&mut [0]) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Ok(_) | Err(_) => return,
            }
        }
    }

    /// Returns whether the connection can be used again.
    async fn exchange(&mut self, request: &[u8], answer: &mut Answer) -> Result<bool, String> {
        // Whatever ended the connection, there may be an answer before the end.
        let written = self.stream.write_all(request).await;
        let head = loop {
            match Head::take(&mut self.buffer)? {
                Some(head) if (100..200).contains(&head.status) => {
                    if head.status == 101 {
                        return Err("an upgrade that nobody asked for".to_owned());
                    }
                }
                Some(head) => break head,
                None if self.buffer.is_empty() => self.fill("before any byte of an answer").await?,
                None => self.fill("within the head of the answer").await?,
            }
        };
        answer.status = Some(head.status);
        answer.server = head.server;
        match head.framing {
            Framing::Length(length) => self.read(length, answer).await?,
            Framing::Chunked => self.read_chunks(answer).await?,
            Framing::Close => loop {
                answer.read(&mut self.buffer, u64::MAX);
                if !self.more(IN_BODY).await? {
                    return Ok(false);
                }
            },
        }
        Ok(head.keep_alive && written.is_ok() && self.buffer.is_empty())
    }

    /// Reads what there is, at least a byte, into the buffer; false is the end.
    async fn more(&mut self, when: &str) -> Result<bool, String> {
        self.buffer.reserve(READ);
        match self.stream.read_buf(&mut self.buffer).await {
            Ok(read) => Ok(read > 0),
            Err(error) if error.kind() == io::ErrorKind::ConnectionReset => {
                Err(format!("reset {when}"))
            }
            Err(error) => Err(format!("{error} {when}")),
        }
    }

    async fn fill(&mut self, when: &str) -> Result<(), String> {
        if self.more(when).await? { Ok(()) } else { Err(format!("closed {when}")) }
    }

    async fn fill_body(&mut self) -> Result<(), String> {
        self.fill(IN_BODY).await
    }

    async fn read(&mut self, length: u64, answer: &mut Answer) -> Result<(), String> {
        let mut left = length;
        while left > 0 {
            if self.buffer.is_empty() {
                self.fill_body().await?;
            }
            left -= answer.read(&mut self.buffer, left);
        }
        Ok(())
    }

    async fn read_chunks(&mut self, answer: &mut Answer) -> Result<(), String> {
        loop {
            let size = chunk_size(&self.line().await?).map_err(|error| error.to_string())?;
            if size == 0 {
                // Trailers, to the empty line.
                while !self.line().await?.is_empty() {}
                return Ok(());
            }
            self.read(size, answer).await?;
            if !self.line().await?.is_empty() {
                return Err("a chunk is longer than its size says".to_owned());
            }
        }
    }

    /// A line, without its CR LF.
    async fn line(&mut self) -> Result<BytesMut, String> {
        loop {
            if let Some(length) = self.buffer.windows(2).position(|pair| pair == b"\r\n") {
                let line = self.buffer.split_to(length);
                self.buffer.advance(2);
                return Ok(line);
            }
            if self.buffer.len() > READ {
                return Err("a line of a chunked body is too long".to_owned());
            }
            self.fill_body().await?;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::TcpListener;
    use std::sync::mpsc;

    use super::*;

    #[tokio::test]
    async fn a_close_is_seen_that_the_runtime_has_not_heard_of_yet() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/", listener.local_addr().unwrap());
        let target = Arc::new(Target::parse(&url).unwrap());
        let (close, closing) = mpsc::channel();
        let (closed, is_closed) = mpsc::channel();
        let server = std::thread::spawn(move || {
            for _ in 0..2 {
                let mut stream = listener.accept().unwrap().0;
                let _ = stream.read(&mut [0; 1000]).unwrap();
                stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").unwrap();
                closing.recv().unwrap();
                drop(stream);
                closed.send(()).unwrap();
            }
        });
        let opened = Arc::default();
        let mut client = Client::new(Arc::clone(&target), Arc::clone(&opened));
        for connection in 1..=2 {
            assert_eq!(client.ask(&target.get(), &mut Answer::default()).await, Ok(()));
            assert_eq!(opened.load(Relaxed), connection);
            close.send(()).unwrap();
            // The thread stands still, and the runtime with it.
            is_closed.recv().unwrap();
        }
        server.join().unwrap();
    }
}
