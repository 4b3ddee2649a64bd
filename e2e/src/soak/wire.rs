//! A connection on which every byte is written by hand: for what a well-behaved library does not send.

use std::net::SocketAddr;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;

/// An open connection.
#[derive(Debug)]
pub struct Wire(BufReader<TcpStream>);

/// A response.
#[derive(Debug, Default)]
pub struct Reply {
    pub status: u16,
    pub fields: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Reply {
    /// A header field's value; empty if it is missing.
    pub fn field(&self, name: &str) -> &str {
        let found = self.fields.iter().find(|(known, _)| known.eq_ignore_ascii_case(name));
        found.map_or("", |(_, value)| value)
    }

    /// What is wrong with it, unless it is a 200.
    pub fn ok(self) -> Result<Self, String> {
        if self.status == 200 {
            return Ok(self);
        }
        Err(format!("{}: {}", self.status, String::from_utf8_lossy(&self.body)))
    }
}

impl Wire {
    /// Connects.
    pub async fn open(address: SocketAddr) -> Result<Self, String> {
        let stream = TcpStream::connect(address).await;
        let stream = stream.map_err(|error| format!("no connection: {error}"))?;
        let _ = stream.set_nodelay(true);
        Ok(Self(BufReader::new(stream)))
    }

    /// Sends these bytes.
    pub async fn send(&mut self, bytes: &[u8]) -> Result<(), String> {
        self.0.get_mut().write_all(bytes).await.map_err(|error| format!("sending: {error}"))
    }

    /// Reads some bytes, at most so many, and says how many came; 0 is the end.
    pub async fn read(&mut self, most: usize) -> Result<Vec<u8>, String> {
        let mut some = vec![0; most];
        let read = self.0.read(&mut some).await.map_err(|error| format!("reading: {error}"))?;
        some.truncate(read);
        Ok(some)
    }

    /// Goes away by a reset.
    pub fn reset(self) {
        // Only a dead socket refuses this.
        let _ = self.0.get_ref().set_zero_linger();
    }

    /// Reads a response to a request that was no HEAD.
    pub async fn reply(&mut self) -> Result<Reply, String> {
        let mut reply = self.head().await?;
        if reply.field("transfer-encoding").eq_ignore_ascii_case("chunked") {
            loop {
                let size = self.line().await?;
                let size = usize::from_str_radix(size.trim(), 16);
                let size = size.map_err(|error| format!("the size of a chunk: {error}"))?;
                self.exactly(size, &mut reply.body).await?;
                if !self.line().await?.is_empty() {
                    return Err("no line after a chunk".to_owned());
                }
                if size == 0 {
                    return Ok(reply);
                }
            }
        }
        let length = reply.field("content-length").parse();
        let length = length.map_err(|_| format!("a {} without length", reply.status))?;
        self.exactly(length, &mut reply.body).await?;
        Ok(reply)
    }

    /// Reads the head of a response, interim ones passed over.
    pub async fn head(&mut self) -> Result<Reply, String> {
        loop {
            let first = self.line().await?;
            let status = first.split(' ').nth(1).and_then(|status| status.parse().ok());
            let status = status.ok_or_else(|| format!("no status in {first:?}"))?;
            let mut reply = Reply { status, ..Reply::default() };
            loop {
                let line = self.line().await?;
                if line.is_empty() {
                    break;
                }
                let (name, value) =
                    line.split_once(':').ok_or_else(|| format!("no field: {line:?}"))?;
                reply.fields.push((name.to_owned(), value.trim().to_owned()));
            }
            if !(100..200).contains(&status) {
                return Ok(reply);
            }
        }
    }

    async fn line(&mut self) -> Result<String, String> {
        let mut line = String::new();
        let read = self.0.read_line(&mut line).await.map_err(|error| format!("a line: {error}"))?;
        if read == 0 {
            return Err("the connection ended before a line of a response".to_owned());
        }
        line.truncate(line.trim_end_matches(['\r', '\n']).len());
        Ok(line)
    }

    async fn exactly(&mut self, length: usize, into: &mut Vec<u8>) -> Result<(), String> {
        let read = (&mut self.0).take(length as u64).read_to_end(into).await;
        match read.map_err(|error| format!("a body: {error}"))? {
            read if read == length => Ok(()),
            read => Err(format!("a body's part of {length} bytes ended after {read}")),
        }
    }
}
