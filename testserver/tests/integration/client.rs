//! A client that sends bytes and shows bytes.

use std::io;
use std::time::Duration;

use testserver::Server;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// How long anything may take before a test fails instead of hanging.
pub(crate) const PATIENCE: Duration = Duration::from_secs(10);

/// How a connection ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ended {
    Closed,
    Reset,
}

pub(crate) struct Client {
    pub(crate) stream: TcpStream,
    received: Vec<u8>,
}

impl Client {
    pub(crate) async fn to(server: &Server) -> Self {
        Self { stream: TcpStream::connect(server.address()).await.unwrap(), received: vec![] }
    }

    pub(crate) async fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.stream.write_all(bytes.as_ref()).await.unwrap();
    }

    /// Sends a GET request without a body.
    pub(crate) async fn get(&mut self, target: &str) {
        self.send(format!("GET {target} HTTP/1.1\r\nHost: test\r\n\r\n")).await;
    }

    async fn fill(&mut self) -> io::Result<usize> {
        timeout(PATIENCE, self.stream.read_buf(&mut self.received))
            .await
            .expect("no answer in 10 s")
    }

    /// What comes up to and with a text.
    pub(crate) async fn until(&mut self, text: &str) -> String {
        loop {
            let found = self.received.windows(text.len()).position(|w| w == text.as_bytes());
            if let Some(at) = found {
                let rest = self.received.split_off(at + text.len());
                let bytes = std::mem::replace(&mut self.received, rest);
                return String::from_utf8_lossy(&bytes).into_owned();
            }
            if self.fill().await.unwrap() == 0 {
                panic!("closed after {:?}", String::from_utf8_lossy(&self.received));
            }
        }
    }

    pub(crate) async fn head(&mut self) -> String {
        self.until("\r\n\r\n").await
    }

    /// Everything up to the end of the connection.
    pub(crate) async fn rest(&mut self) -> (String, Ended) {
        let ended = loop {
            match self.fill().await {
                Ok(0) => break Ended::Closed,
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::ConnectionReset => break Ended::Reset,
                Err(error) => panic!("{error}"),
            }
        };
        (String::from_utf8_lossy(&std::mem::take(&mut self.received)).into_owned(), ended)
    }
}

/// Sends a request that asks for the close, and returns the whole answer. `lines` is the request line and
/// the fields but for `Host` and `Connection`.
pub(crate) async fn ask(server: &Server, lines: &str, body: &str) -> String {
    let mut client = Client::to(server).await;
    client.send(format!("{lines}\r\nHost: test\r\nConnection: close\r\n\r\n{body}")).await;
    let (answer, ended) = client.rest().await;
    assert_eq!(ended, Ended::Closed);
    answer
}

/// Waits for a condition on a server, and fails with its counters when that takes too long.
pub(crate) async fn eventually(server: &Server, reached: impl Fn(&testserver::Counts) -> bool) {
    if timeout(PATIENCE, server.wait_until(reached)).await.is_err() {
        panic!("not reached: {server:?}");
    }
}

/// The body of an answer, as JSON.
pub(crate) fn json(answer: &str) -> serde_json::Value {
    serde_json::from_str(answer.split_once("\r\n\r\n").unwrap().1).unwrap()
}
