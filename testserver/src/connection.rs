//! One connection: requests in, answers out, until one side ends it.

use std::future::Future;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Buf, Bytes, BytesMut};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::watch;
use tokio::time::{sleep, timeout};

use crate::behaviours;
use crate::counters::InFlight;
use crate::request::{BodyFraming, Request};
use crate::response::Response;
use crate::server::Shared;
use crate::stream::Stream;

/// Bytes read at once.
const READ: usize = 64 * 1024;

/// Bytes read ahead while an answer waits; beyond, the client feels back-pressure.
const READ_AHEAD: usize = 64 * 1024;

/// How long the client may take to notice our close before the rest of what it sends meets a reset.
const LINGER: Duration = Duration::from_secs(1);

/// How a connection ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// Closed at once. What the client sent and we did not read turns it into a reset.
    Close,
    /// Our half closed, what still comes read and dropped for a while, so that the answer arrives.
    Linger,
    /// Reset.
    Reset,
}

/// What happens after an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Next {
    /// The next request.
    Request,
    End(End),
}

pub(crate) struct Connection {
    pub(crate) stream: Stream,
    /// Bytes received and not used yet.
    pub(crate) buffer: BytesMut,
    pub(crate) shared: Arc<Shared>,
    /// The number of the connection, counted from 1.
    pub(crate) number: u64,
    /// If set, what is sent goes a byte at a time, this far apart.
    pub(crate) drip: Option<Duration>,
}

impl Connection {
    pub(crate) fn new(stream: Stream, shared: Arc<Shared>, number: u64) -> Self {
        Self { stream, buffer: BytesMut::new(), shared, number, drip: None }
    }

    /// Answers requests until the connection is to end.
    pub(crate) async fn serve(&mut self) -> End {
        for number in 1.. {
            let mut request = match self.request(number).await {
                Ok(Some(request)) => request,
                // What the client sends before it sees our close must not turn it into a reset.
                Ok(None) if *self.shared.draining.borrow() => return End::Linger,
                Ok(None) => return End::Close,
                Err(error) => return self.refuse(&error).await,
            };
            let mut in_flight = Some(InFlight::new(&self.shared.counters, request.path()));
            match behaviours::answer(self, &mut request, &mut in_flight).await {
                Ok(Next::Request) if !request.keep_alive => return End::Linger,
                // The client still waits for a 100 that will not come: nobody knows what it sends next.
                Ok(Next::Request) if !request.body_read && request.expects_continue => {
                    return End::Linger;
                }
                Ok(Next::Request) => {}
                Ok(Next::End(end)) => return end,
                Err(error) => {
                    if in_flight.is_some() {
                        self.shared.counters.abandon();
                    }
                    return self.refuse(&error).await;
                }
            }
            drop(in_flight);
            if !request.body_read && self.discard_body(&mut request).await.is_err() {
                return End::Close;
            }
        }
        End::Close
    }

    /// Says what is wrong with what came; an error of any other kind means that nobody listens.
    async fn refuse(&mut self, error: &io::Error) -> End {
        if error.kind() != io::ErrorKind::InvalidData {
            return End::Close;
        }
        let answer = Response::new(&self.shared.name, 400)
            .header("connection", "close")
            .json(serde_json::json!({ "message": error.to_string() }).to_string().as_bytes());
        let _ = self.send(&answer).await;
        End::Linger
    }

    /// Ends the connection, at once if the server does meanwhile.
    pub(crate) async fn end(mut self, end: End, ends: &mut watch::Receiver<End>) {
        match end {
            End::Close => {}
            // Only a dead socket refuses this.
            End::Reset => drop(self.stream.set_zero_linger()),
            End::Linger => {
                let drain = async {
                    self.stream.shutdown().await?;
                    while self.fill().await? > 0 {
                        self.buffer.clear();
                    }
                    io::Result::Ok(())
                };
                tokio::select! {
                    _ = timeout(LINGER, drain) => {}
                    _ = ends.changed() => {}
                }
                if *ends.borrow() == End::Reset {
                    drop(self.stream.set_zero_linger());
                }
            }
        }
    }

    async fn request(&mut self, number: u64) -> io::Result<Option<Request>> {
        loop {
            if !self.buffer.is_empty()
                && let Some(request) = Request::take(&mut self.buffer, number).map_err(invalid)?
            {
                return Ok(Some(request));
            }
            let read = if !self.buffer.is_empty() {
                self.fill().await?
            } else if let Some(idle) = self.shared.idle {
                timeout(idle, self.begins()).await.unwrap_or(Ok(0))?
            } else {
                self.begins().await?
            };
            if read == 0 {
                return Ok(None);
            }
        }
    }

    /// Reads what there is, at least a byte, into the buffer; 0 is the end. Can be cancelled.
    pub(crate) async fn fill(&mut self) -> io::Result<usize> {
        self.buffer.reserve(READ);
        let before = self.buffer.len();
        let read = self.stream.read_buf(&mut self.buffer).await?;
        self.shared.record(self.number, &self.buffer[before..]);
        Ok(read)
    }

    /// Reads the beginning of the next request into the buffer; 0 is the end, also if the server drains. Can
    /// be cancelled.
    pub(crate) async fn begins(&mut self) -> io::Result<usize> {
        let mut draining = self.shared.draining.subscribe();
        tokio::select! {
            biased;
            read = self.fill() => read,
            // An error means that the server is gone; then the connection ends anyway.
            _ = draining.wait_for(|draining| *draining) => Ok(0),
        }
    }

    async fn fill_more(&mut self) -> io::Result<()> {
        if self.fill().await? == 0 { Err(io::ErrorKind::UnexpectedEof.into()) } else { Ok(()) }
    }

    pub(crate) async fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        let Some(apart) = self.drip else { return self.stream.write_all(bytes).await };
        for byte in bytes {
            self.stream.write_all(&[*byte]).await?;
            sleep(apart).await;
        }
        Ok(())
    }

    /// Waits for something, or until the client goes away, which is an error.
    pub(crate) async fn wait<T>(&mut self, event: impl Future<Output = T>) -> io::Result<T> {
        tokio::pin!(event);
        loop {
            if self.buffer.len() >= READ_AHEAD {
                return Ok(event.await);
            }
            tokio::select! {
                biased;
                value = &mut event => return Ok(value),
                read = self.fill() => if read? == 0 {
                    return Err(io::ErrorKind::ConnectionAborted.into());
                },
            }
        }
    }

    /// Waits until the server is released.
    pub(crate) async fn held(&mut self) -> io::Result<()> {
        let mut released = self.shared.released.subscribe();
        // An error means that the server is gone; then the connection ends anyway.
        self.wait(async move { drop(released.wait_for(|released| *released).await) }).await
    }

    /// Reads a body to its end, after sending 100 Continue to a client that waits for it. Returns the
    /// trailers.
    pub(crate) async fn read_body(
        &mut self,
        request: &mut Request,
        mut sink: impl FnMut(&[u8]),
    ) -> io::Result<Vec<(String, String)>> {
        if request.body_read {
            return Ok(Vec::new());
        }
        self.send_continue(request).await?;
        let mut trailers = Vec::new();
        match request.framing {
            BodyFraming::Length(length) => self.read_exactly(length, &mut sink).await?,
            BodyFraming::Chunked => loop {
                let line = self.read_line().await?;
                let size = chunk_size(&line)?;
                if size == 0 {
                    loop {
                        let line = self.read_line().await?;
                        if line.is_empty() {
                            break;
                        }
                        trailers.push(field(&line)?);
                    }
                    break;
                }
                self.read_exactly(size, &mut sink).await?;
                if !self.read_line().await?.is_empty() {
                    return Err(invalid("a chunk is longer than its size says"));
                }
            },
        }
        request.body_read = true;
        Ok(trailers)
    }

    /// Sends 100 Continue to a client that waits for it, once.
    pub(crate) async fn send_continue(&mut self, request: &mut Request) -> io::Result<()> {
        if std::mem::take(&mut request.expects_continue) && request.minor == 1 {
            self.send(b"HTTP/1.1 100 Continue\r\n\r\n").await?;
        }
        Ok(())
    }

    pub(crate) async fn discard_body(&mut self, request: &mut Request) -> io::Result<()> {
        self.read_body(request, |_| {}).await.map(drop)
    }

    async fn read_exactly(&mut self, length: u64, sink: &mut impl FnMut(&[u8])) -> io::Result<()> {
        let mut left = length;
        while left > 0 {
            if self.buffer.is_empty() {
                self.fill_more().await?;
            }
            let piece = usize::try_from(left).unwrap_or(usize::MAX).min(self.buffer.len());
            sink(&self.buffer[..piece]);
            self.buffer.advance(piece);
            left -= piece as u64;
        }
        Ok(())
    }

    async fn read_line(&mut self) -> io::Result<Bytes> {
        loop {
            if let Some(end) = self.buffer.iter().position(|&byte| byte == b'\n') {
                let line = self.buffer.split_to(end + 1).freeze();
                return match line.strip_suffix(b"\r\n") {
                    Some(line_without_end) if !line_without_end.contains(&b'\r') => {
                        Ok(line.slice(..line_without_end.len()))
                    }
                    _ => Err(invalid("a line of a chunked body does not end in CR LF")),
                };
            }
            if self.buffer.len() > READ {
                return Err(invalid("a line of a chunked body is too long"));
            }
            self.fill_more().await?;
        }
    }
}

pub(crate) fn invalid(what: impl Into<String>) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what.into())
}

/// The size of a chunk, from the line in front of it.
pub(crate) fn chunk_size(line: &[u8]) -> io::Result<u64> {
    let digits = line.split(|&byte| byte == b';').next().unwrap_or_default();
    // from_str_radix would take a sign.
    let hex = !digits.is_empty() && digits.iter().all(u8::is_ascii_hexdigit);
    std::str::from_utf8(digits)
        .ok()
        .filter(|_| hex)
        .and_then(|digits| u64::from_str_radix(digits, 16).ok())
        .ok_or_else(|| invalid("the size of a chunk is not a hexadecimal number"))
}

fn field(line: &[u8]) -> io::Result<(String, String)> {
    let text = crate::request::latin1(line);
    let (name, value) = text.split_once(':').ok_or_else(|| invalid("a trailer has no colon"))?;
    if name.is_empty() || name.contains([' ', '\t']) {
        return Err(invalid("a trailer's name is malformed"));
    }
    Ok((name.to_owned(), value.trim().to_owned()))
}
