//! One connection of the client, and the answer it is reading.

use crate::Result;
use crate::exchange::{Exchange, content_length, field, head_end};
use crate::tls;
use rustls::{ClientConfig, ClientConnection};
use socket2::SockRef;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// The longest head that is read.
const MAX_HEAD: usize = 16 << 10;

pub(super) struct Connection {
    stream: TcpStream,
    /// Between the stream and what is sent and read, if it is.
    tls: Option<Box<ClientConnection>>,
    /// The head of the answer that is being read.
    head: Vec<u8>,
    /// How much of the answer's body has come; `None` while its head has not.
    body: Option<usize>,
    /// How much of the request's body is sent.
    sent: usize,
    /// When the request that is on its way was (or should have been) sent.
    pub(super) since: Option<Instant>,
}

/// What reading brought.
pub(super) enum Received {
    /// Not all of an answer.
    Nothing,
    /// A whole answer to the request that was sent then; `last` when it says that the connection closes.
    Answer { since: Instant, last: bool },
    /// The other side closed the connection.
    Closed,
}

impl Connection {
    pub(super) fn open(address: SocketAddr, tls: Option<&Arc<ClientConfig>>) -> Result<Connection> {
        // On loopback it is established at once, or the proxy does not accept.
        let stream = TcpStream::connect_timeout(&address, Duration::from_secs(5))
            .map_err(|error| format!("cannot connect: {error}"))?;
        stream.set_nodelay(true)?;
        stream.set_nonblocking(true)?;
        let tls =
            tls.map(|config| ClientConnection::new(config.clone(), tls::name())).transpose()?;
        Ok(Connection {
            stream,
            tls: tls.map(Box::new),
            head: Vec::with_capacity(1024),
            body: None,
            sent: 0,
            since: None,
        })
    }

    /// To be told when it is ready.
    pub(super) fn socket(&self) -> &TcpStream {
        &self.stream
    }

    /// The group by which both sides agreed on their keys, once they have.
    pub(super) fn group(&self) -> Option<String> {
        Some(tls::group(self.tls.as_ref()?.negotiated_key_exchange_group()?.name()))
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let Some(tls) = &mut self.tls else { return self.stream.write(bytes) };
        // Before the handshake is done it is kept until it may be sent, which reading finds.
        let count = tls.writer().write(bytes)?;
        flush(tls, &mut self.stream)?;
        if count == 0 { Err(ErrorKind::WouldBlock.into()) } else { Ok(count) }
    }

    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let Some(tls) = &mut self.tls else { return self.stream.read(buffer) };
        tls.read_tls(&mut self.stream)?;
        let taken = tls.process_new_packets();
        flush(tls, &mut self.stream)?;
        taken.map_err(io::Error::other)?;
        tls.reader().read(buffer)
    }

    /// Closes it with a reset, so that its port is free at once: thousands per second would use them up.
    pub(super) fn reset(self) -> Result<()> {
        Ok(SockRef::from(&self.stream).set_linger(Some(Duration::ZERO))?)
    }

    /// Sends the next request; says whether all of it went.
    pub(super) fn send(
        &mut self,
        since: Instant,
        head: &[u8],
        exchange: &Exchange,
    ) -> Result<bool> {
        self.since = Some(since);
        self.sent = 0;
        match self.write(head) {
            Ok(count) if count == head.len() => self.go_on(exchange),
            Ok(_) => Err("a request did not fit into an empty socket buffer".into()),
            Err(error) => Err(format!("a request could not be sent: {error}").into()),
        }
    }

    /// Sends what is left of the request's body; says whether that was all.
    pub(super) fn go_on(&mut self, exchange: &Exchange) -> Result<bool> {
        while self.sent < exchange.upload.len() {
            match self.write(&exchange.upload[self.sent..]) {
                Ok(count) => self.sent += count,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(false),
                Err(error) => return Err(format!("a body could not be sent: {error}").into()),
            }
        }
        Ok(true)
    }

    /// Reads once into `buffer` and checks what came.
    pub(super) fn receive(&mut self, buffer: &mut [u8], expected: &[u8]) -> Result<Received> {
        let count = match self.read(buffer) {
            Ok(0) => return Ok(Received::Closed),
            Ok(count) => count,
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(Received::Nothing),
            Err(error) if error.kind() == ErrorKind::ConnectionReset => {
                return Ok(Received::Closed);
            }
            Err(error) => return Err(format!("no answer: {error}").into()),
        };
        let mut bytes = &buffer[..count];
        if self.body.is_none() {
            self.head.extend_from_slice(bytes);
            let status = b"HTTP/1.1 200 ";
            if !status.starts_with(&self.head[..self.head.len().min(status.len())]) {
                return Err(self.unexpected());
            }
            let Some(end) = head_end(&self.head) else {
                let room = self.head.len() < MAX_HEAD;
                return if room { Ok(Received::Nothing) } else { Err(self.unexpected()) };
            };
            if content_length(&self.head[..end]) != Some(expected.len()) {
                return Err(self.unexpected());
            }
            bytes = &bytes[count - (self.head.len() - end)..];
            self.body = Some(0);
        }
        let before = self.body.unwrap_or(0);
        let after = before + bytes.len();
        if expected.get(before..after) != Some(bytes) {
            return Err(self.unexpected());
        }
        if after < expected.len() {
            self.body = Some(after);
            return Ok(Received::Nothing);
        }
        let last = field(&self.head, "connection")
            .is_some_and(|value| value.eq_ignore_ascii_case("close"));
        self.head.clear();
        self.body = None;
        let since = self.since.take().ok_or("an answer to no request")?;
        Ok(Received::Answer { since, last })
    }

    /// Says that what was read is not what should have come.
    pub(super) fn unexpected(&self) -> Box<dyn std::error::Error + Send + Sync> {
        if self.head.is_empty() {
            return "a request has no answer".into();
        }
        let text = String::from_utf8_lossy(&self.head[..self.head.len().min(400)]).into_owned();
        let body = self.body.map(|count| format!(", {count} bytes of body")).unwrap_or_default();
        format!("not the answer expected: {text:?}{body}").into()
    }
}

/// Sends what TLS has to say; what finds no room stays for the next time.
fn flush(tls: &mut ClientConnection, stream: &mut TcpStream) -> io::Result<()> {
    while tls.wants_write() {
        match tls.write_tls(stream) {
            Ok(_) => {}
            Err(error) if error.kind() == ErrorKind::WouldBlock => break,
            Err(error) => return Err(error),
        }
    }
    Ok(())
}
