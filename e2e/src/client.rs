//! One connection to a proxy, a test server or the admin port: HTTP/1.1 or HTTP/2, with TLS or without.

use crate::dial::{Dial, Io};
use bytes::Bytes;
use http::{HeaderMap, Method, Request, Response, header};
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use std::error::Error;
use std::net::SocketAddr;
use tokio::sync::watch;

/// What may be sent on a connection of HTTP/2 before it is read, in bytes.
const WINDOW: u32 = 16 * 1024 * 1024;

/// An open connection. Over HTTP/1.1, one request goes after the other; over HTTP/2, clones send theirs at once.
#[derive(Debug)]
pub struct Connection {
    address: SocketAddr,
    scheme: &'static str,
    sender: Sender,
}

#[derive(Debug)]
enum Sender {
    Http1(http1::SendRequest<Full<Bytes>>),
    Http2(Http2),
}

/// The sender of a connection of HTTP/2.
#[derive(Clone, Debug)]
struct Http2 {
    sender: h2::client::SendRequest<Bytes>,
    /// How the connection ended; empty while it has not.
    end: watch::Receiver<Option<String>>,
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
    /// What came after the body.
    pub trailers: HeaderMap,
}

impl Connection {
    /// Connects.
    ///
    /// # Errors
    /// Nobody listens, too many do, or no TLS is agreed on.
    pub async fn open(to: impl Into<Dial>) -> Result<Self, String> {
        let dial = to.into();
        let stream = dial.connect().await?;
        let scheme = dial.scheme();
        let sender = if dial.http2 {
            Sender::Http2(Http2::over(stream).await?)
        } else {
            let handshake = http1::handshake(TokioIo::new(stream)).await;
            let (sender, connection) = handshake.map_err(|error| chain(&error))?;
            // Its errors come out at the request that they hit.
            tokio::spawn(async move { drop(connection.with_upgrades().await) });
            Sender::Http1(sender)
        };
        Ok(Self { address: dial.address, scheme, sender })
    }

    /// Another sender of requests on the same connection of HTTP/2.
    ///
    /// # Panics
    /// It speaks HTTP/1.1.
    pub fn another(&self) -> Self {
        let Sender::Http2(http2) = &self.sender else { panic!("HTTP/1.1 has no streams") };
        let sender = Sender::Http2(http2.clone());
        Self { address: self.address, scheme: self.scheme, sender }
    }

    /// The h2 library's handle, for what requests and answers cannot say.
    ///
    /// # Panics
    /// It speaks HTTP/1.1.
    pub fn h2(&self) -> h2::client::SendRequest<Bytes> {
        let Sender::Http2(http2) = &self.sender else { panic!("HTTP/1.1 has no streams") };
        http2.sender.clone()
    }

    /// Whether the other side has kept it open.
    pub fn is_open(&self) -> bool {
        match &self.sender {
            Sender::Http1(sender) => !sender.is_closed(),
            Sender::Http2(http2) => http2.end.borrow().is_none(),
        }
    }

    /// Whether another request may be sent: it is open, and the last answer did not ask for its close.
    pub(crate) fn is_reusable(&self, last: &Answer) -> bool {
        self.is_open() && !last.header("connection").eq_ignore_ascii_case("close")
    }

    /// Sends a GET and reads the whole answer.
    ///
    /// # Errors
    /// The connection ended before the end of the answer.
    pub async fn get(&mut self, path: &str) -> Result<Answer, String> {
        let request = Request::builder().method(Method::GET).uri(path);
        self.send(request.body(Full::default()).map_err(|error| chain(&error))?).await
    }

    /// Sends a request, with the address for its `Host` or `:authority` unless it has one, and reads the whole answer.
    ///
    /// # Errors
    /// The connection ended before the end of the answer.
    pub async fn send(&mut self, mut request: Request<Full<Bytes>>) -> Result<Answer, String> {
        match &mut self.sender {
            Sender::Http1(sender) => {
                if !request.headers().contains_key(header::HOST) {
                    let host = self.address.to_string().parse().map_err(|error| chain(&error))?;
                    request.headers_mut().insert(header::HOST, host);
                }
                sender.ready().await.map_err(|error| format!("not ready: {}", chain(&error)))?;
                let response = sender.send_request(request).await;
                let response =
                    response.map_err(|error| format!("no response: {}", chain(&error)))?;
                let (head, body) = response.into_parts();
                let body = body.collect().await;
                let body = body.map_err(|error| format!("half a body: {}", chain(&error)))?;
                let trailers = body.trailers().cloned().unwrap_or_default();
                let body = body.to_bytes();
                Ok(Answer { status: head.status.as_u16(), headers: head.headers, body, trailers })
            }
            Sender::Http2(http2) => {
                if request.uri().authority().is_none() {
                    let host = request.headers_mut().remove(header::HOST);
                    let host = host.and_then(|host| host.to_str().ok().map(ToOwned::to_owned));
                    let host = host.unwrap_or_else(|| self.address.to_string());
                    let path = request.uri().path_and_query().map_or("/", |path| path.as_str());
                    let uri = format!("{}://{host}{path}", self.scheme);
                    *request.uri_mut() = uri.parse().map_err(|error| chain(&error))?;
                }
                http2.send(request).await
            }
        }
    }
}

impl Http2 {
    async fn over(stream: Box<dyn Io>) -> Result<Self, String> {
        // As browsers do: a stream that is not read takes no other's part of the connection's window.
        let mut builder = h2::client::Builder::new();
        builder.initial_connection_window_size(WINDOW);
        let handshake = builder.handshake(stream).await;
        let (sender, connection) = handshake.map_err(|error| chain(&error))?;
        let (ended, end) = watch::channel(None);
        tokio::spawn(async move {
            let end = connection.await.map_or_else(|error| chain(&error), |()| "closed".to_owned());
            ended.send_replace(Some(end));
        });
        Ok(Self { sender, end })
    }

    async fn send(&mut self, request: Request<Full<Bytes>>) -> Result<Answer, String> {
        let (head, body) = request.into_parts();
        let body = body.collect().await.unwrap_or_else(|never| match never {}).to_bytes();
        let ready = self.sender.clone().ready().await;
        self.sender = ready.map_err(|error| format!("not ready: {}", chain(&error)))?;
        let sent = self.sender.send_request(Request::from_parts(head, ()), body.is_empty());
        let (response, mut stream) =
            sent.map_err(|error| format!("not sent: {}", chain(&error)))?;
        if !body.is_empty() {
            // The whole at once: the library waits for the windows.
            let sent = stream.send_data(body, true);
            sent.map_err(|error| format!("no body: {}", chain(&error)))?;
        }
        let response = response.await.map_err(|error| format!("no response: {}", chain(&error)))?;
        whole(response).await.map_err(|error| format!("half a body: {}", chain(&error)))
    }
}

async fn whole(response: Response<h2::RecvStream>) -> Result<Answer, h2::Error> {
    let (head, mut stream) = response.into_parts();
    let mut body = Vec::new();
    while let Some(piece) = stream.data().await {
        let piece = piece?;
        body.extend_from_slice(&piece);
        stream.flow_control().release_capacity(piece.len())?;
    }
    let trailers = stream.trailers().await?.unwrap_or_default();
    Ok(Answer { status: head.status.as_u16(), headers: head.headers, body: body.into(), trailers })
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
pub(crate) fn chain(error: &dyn Error) -> String {
    let causes = std::iter::successors(Some(error), |error: &&dyn Error| (**error).source());
    causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}
