//! One keep-alive connection to a proxy, a test server or the admin port.

use bytes::Bytes;
use http::{HeaderMap, Method, Request, header};
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use std::error::Error;
use std::net::SocketAddr;
use tokio::net::TcpStream;

/// An open connection, on which one request goes after the other.
#[derive(Debug)]
pub struct Connection {
    address: SocketAddr,
    sender: SendRequest<Full<Bytes>>,
}

/// A whole response.
#[derive(Clone, Debug)]
pub struct Answer {
    /// Its status.
    pub status: u16,
    /// Its headers.
    pub headers: HeaderMap,
    /// All of its body.
    pub body: Bytes,
}

impl Connection {
    /// Connects, over TCP.
    ///
    /// # Errors
    /// Nobody listens, or too many do.
    pub async fn open(address: SocketAddr) -> Result<Self, String> {
        let stream = TcpStream::connect(address).await.map_err(|error| chain(&error))?;
        stream.set_nodelay(true).map_err(|error| chain(&error))?;
        let (sender, connection) =
            handshake(TokioIo::new(stream)).await.map_err(|error| chain(&error))?;
        // Its errors come out at the request that they hit.
        tokio::spawn(async move { drop(connection.await) });
        Ok(Self { address, sender })
    }

    /// Whether the other side has kept it open.
    pub fn is_open(&self) -> bool {
        !self.sender.is_closed()
    }

    /// Sends a GET and reads the whole answer.
    ///
    /// # Errors
    /// The connection ended before the end of the answer.
    pub async fn get(&mut self, path: &str) -> Result<Answer, String> {
        let request = Request::builder().method(Method::GET).uri(path);
        self.send(request.body(Full::default()).map_err(|error| chain(&error))?).await
    }

    /// Sends a request, with the address for its `Host` unless it has one, and reads the whole answer.
    ///
    /// # Errors
    /// The connection ended before the end of the answer.
    pub async fn send(&mut self, mut request: Request<Full<Bytes>>) -> Result<Answer, String> {
        if !request.headers().contains_key(header::HOST) {
            let host = self.address.to_string().parse().map_err(|error| chain(&error))?;
            request.headers_mut().insert(header::HOST, host);
        }
        self.sender.ready().await.map_err(|error| format!("not ready: {}", chain(&error)))?;
        let response = self.sender.send_request(request).await;
        let response = response.map_err(|error| format!("no response: {}", chain(&error)))?;
        let (head, body) = response.into_parts();
        let body = body.collect().await;
        let body = body.map_err(|error| format!("half a body: {}", chain(&error)))?.to_bytes();
        Ok(Answer { status: head.status.as_u16(), headers: head.headers, body })
    }
}

impl Answer {
    /// A header's value; empty if it is missing.
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or("")
    }

    /// The name of the test server that answered; empty if none did.
    pub fn server(&self) -> &str {
        self.header("x-test-server")
    }

    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

/// An error and all that caused it.
fn chain(error: &dyn Error) -> String {
    let causes = std::iter::successors(Some(error), |error: &&dyn Error| (**error).source());
    causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}
