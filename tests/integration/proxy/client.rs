//! A client that sends bytes and takes answers apart.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// How long anything may take before a test fails instead of hanging.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// How a connection ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    Closed,
    Reset,
}

pub struct Client {
    pub stream: TcpStream,
    received: Vec<u8>,
}

/// A whole answer. Its body is freed of chunks.
#[derive(Clone, Debug)]
pub struct Answer {
    pub status: u16,
    pub head: String,
    pub body: Vec<u8>,
    /// The lines after the last chunk.
    pub trailers: String,
}

impl Answer {
    /// The values of all fields of this name.
    pub fn fields(&self, name: &str) -> Vec<&str> {
        let lines = self.head.lines().skip(1).filter_map(|line| line.split_once(": "));
        lines.filter(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, value)| value).collect()
    }

    /// The value of the only field of this name.
    pub fn field(&self, name: &str) -> Option<&str> {
        let fields = self.fields(name);
        assert!(fields.len() <= 1, "{name} twice in {}", self.head);
        fields.first().copied()
    }

    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }

    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|_| panic!("{self:?}"))
    }

    /// The reason in one of our own answers.
    pub fn reason(&self) -> String {
        self.json()["reason"].as_str().unwrap_or_default().to_owned()
    }
}

impl Client {
    pub async fn to(address: SocketAddr) -> Self {
        Self::around(TcpStream::connect(address).await.unwrap())
    }

    pub fn around(stream: TcpStream) -> Self {
        Self { stream, received: vec![] }
    }

    pub async fn send(&mut self, bytes: impl AsRef<[u8]>) {
        timeout(PATIENCE, self.stream.write_all(bytes.as_ref())).await.unwrap().unwrap();
    }

    /// Closes our half.
    pub async fn finish(&mut self) {
        self.stream.shutdown().await.unwrap();
    }

    /// Sends a GET request and reads its answer.
    pub async fn get(&mut self, target: &str) -> Answer {
        self.send(format!("GET {target} HTTP/1.1\r\nHost: a.example\r\n\r\n")).await;
        self.answer().await
    }

    /// Sends a POST request with a body of known length and reads its answer.
    pub async fn post(&mut self, target: &str, body: &str) -> Answer {
        let length = body.len();
        self.send(format!(
            "POST {target} HTTP/1.1\r\nHost: a.example\r\nContent-Length: {length}\r\n\r\n{body}"
        ))
        .await;
        self.answer().await
    }

    async fn fill(&mut self) -> io::Result<usize> {
        timeout(PATIENCE, self.stream.read_buf(&mut self.received)).await.unwrap_or_else(|_| {
            panic!("nothing more after {:?}", String::from_utf8_lossy(&self.received))
        })
    }

    async fn fill_more(&mut self) {
        match self.fill().await {
            Ok(1..) => {}
            ended => panic!("{ended:?} after {:?}", String::from_utf8_lossy(&self.received)),
        }
    }

    /// What comes up to and with a text.
    pub async fn until(&mut self, text: &str) -> String {
        loop {
            let found = self.received.windows(text.len()).position(|w| w == text.as_bytes());
            if let Some(at) = found {
                let bytes = self.take(at + text.len());
                return String::from_utf8_lossy(&bytes).into_owned();
            }
            self.fill_more().await;
        }
    }

    pub async fn head(&mut self) -> String {
        self.until("\r\n\r\n").await
    }

    /// The next so many bytes.
    pub async fn exactly(&mut self, length: usize) -> Vec<u8> {
        while self.received.len() < length {
            self.fill_more().await;
        }
        self.take(length)
    }

    fn take(&mut self, length: usize) -> Vec<u8> {
        let rest = self.received.split_off(length);
        std::mem::replace(&mut self.received, rest)
    }

    /// The next answer to a request that was not HEAD.
    pub async fn answer(&mut self) -> Answer {
        let head = self.head().await;
        self.body_of(head).await
    }

    /// The next answer to a HEAD request.
    pub async fn answer_without_body(&mut self) -> Answer {
        let head = self.head().await;
        Answer { status: status(&head), head, body: vec![], trailers: String::new() }
    }

    /// The answer whose head was read already.
    pub async fn body_of(&mut self, head: String) -> Answer {
        let status = status(&head);
        let mut answer = Answer { status, head, body: vec![], trailers: String::new() };
        if matches!(status, 100..200 | 204 | 304) {
            return answer;
        }
        if answer.field("transfer-encoding") == Some("chunked") {
            assert_eq!(answer.field("content-length"), None, "{}", answer.head);
            loop {
                let line = self.until("\r\n").await;
                let size = usize::from_str_radix(line.trim_end(), 16)
                    .unwrap_or_else(|_| panic!("not a chunk's size: {line:?}"));
                if size == 0 {
                    break;
                }
                answer.body.extend(self.exactly(size).await);
                assert_eq!(self.exactly(2).await, b"\r\n");
            }
            loop {
                let line = self.until("\r\n").await;
                if line == "\r\n" {
                    break;
                }
                answer.trailers.push_str(&line);
            }
        } else if let Some(length) = answer.field("content-length") {
            let length = length.parse().unwrap();
            answer.body = self.exactly(length).await;
        } else {
            let (rest, ended) = self.rest().await;
            assert_eq!(ended, Ended::Closed);
            answer.body = rest;
        }
        answer
    }

    /// Everything up to the end of the connection.
    pub async fn rest(&mut self) -> (Vec<u8>, Ended) {
        let ended = loop {
            match self.fill().await {
                Ok(0) => break Ended::Closed,
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::ConnectionReset => break Ended::Reset,
                Err(error) => panic!("{error}"),
            }
        };
        (std::mem::take(&mut self.received), ended)
    }

    /// Checks that the connection is closed, gently and without another byte.
    pub async fn is_closed(&mut self) {
        let (rest, ended) = self.rest().await;
        assert_eq!((String::from_utf8_lossy(&rest).as_ref(), ended), ("", Ended::Closed));
    }
}

fn status(head: &str) -> u16 {
    let code = head.strip_prefix("HTTP/1.").and_then(|rest| rest.get(2..5));
    code.and_then(|code| code.parse().ok()).unwrap_or_else(|| panic!("not an answer: {head:?}"))
}
