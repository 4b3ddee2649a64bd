//! An endpoint that speaks HTTP/2, with or without TLS, and does with each request as it is told.

use bytes::Bytes;
use h2::RecvStream;
use h2::server::{Builder, SendResponse};
use http::{HeaderMap, Request, Response};
use rustls::ServerConfig;
use std::future::{Future, poll_fn};
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpSocket};
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

pub type Respond = SendResponse<Bytes>;
type Answering = Pin<Box<dyn Future<Output = ()> + Send>>;
type Answer = dyn Fn(Request<RecvStream>, Respond) -> Answering + Send + Sync;

/// What an endpoint is like.
#[derive(Default)]
pub struct Manner {
    /// Streams that it allows at once.
    pub max_streams: Option<u32>,
    /// It closes a connection (GOAWAY) after so many requests.
    pub requests_per_connection: Option<u64>,
    /// Whether it takes tunnels.
    pub tunnels: bool,
    pub tls: Option<ServerConfig>,
}

/// Counts of what came.
#[derive(Debug, Default)]
pub struct Came {
    pub connections: AtomicU64,
    pub requests: AtomicU64,
}

/// A running endpoint; it ends with all its connections when this is dropped.
pub struct Http2Endpoint {
    pub address: SocketAddr,
    pub came: Arc<Came>,
    scheme: &'static str,
    manner: Arc<Manner>,
    answer: Arc<Answer>,
    accepting: tokio::task::JoinHandle<()>,
}

impl Http2Endpoint {
    pub async fn start<F, A>(manner: Manner, answer: F) -> Self
    where
        F: Fn(Request<RecvStream>, Respond) -> A + Send + Sync + 'static,
        A: Future<Output = ()> + Send + 'static,
    {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let scheme = if manner.tls.is_some() { "https" } else { "http" };
        let answer: Arc<Answer> =
            Arc::new(move |request, respond| Box::pin(answer(request, respond)));
        let (manner, came) = (Arc::new(manner), Arc::default());
        let accepting = tokio::spawn(accept(
            listener,
            Arc::clone(&manner),
            Arc::clone(&answer),
            Arc::clone(&came),
        ));
        Self { address, came, scheme, manner, answer, accepting }
    }

    pub fn url(&self) -> String {
        format!("{}://{}", self.scheme, self.address)
    }

    pub fn connections(&self) -> u64 {
        self.came.connections.load(Relaxed)
    }

    pub fn requests(&self) -> u64 {
        self.came.requests.load(Relaxed)
    }

    /// Ends with all its connections, at once, and begins anew on the same port.
    pub async fn restart(&mut self) {
        self.accepting.abort();
        let _ = (&mut self.accepting).await;
        let socket = TcpSocket::new_v4().unwrap();
        socket.set_reuseaddr(true).unwrap();
        socket.bind(self.address).unwrap();
        let listener = socket.listen(128).unwrap();
        let (manner, answer) = (Arc::clone(&self.manner), Arc::clone(&self.answer));
        self.accepting = tokio::spawn(accept(listener, manner, answer, Arc::clone(&self.came)));
    }
}

impl Drop for Http2Endpoint {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

async fn accept(listener: TcpListener, manner: Arc<Manner>, answer: Arc<Answer>, came: Arc<Came>) {
    // They end with this task.
    let mut connections = JoinSet::new();
    let acceptor = manner.tls.clone().map(|config| TlsAcceptor::from(Arc::new(config)));
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        let _ = stream.set_nodelay(true);
        let (manner, answer, came) = (Arc::clone(&manner), Arc::clone(&answer), Arc::clone(&came));
        let acceptor = acceptor.clone();
        connections.spawn(async move {
            match acceptor {
                None => serve(stream, &manner, answer, &came).await,
                Some(acceptor) => {
                    if let Ok(stream) = acceptor.accept(stream).await {
                        serve(stream, &manner, answer, &came).await;
                    }
                }
            }
        });
        while connections.try_join_next().is_some() {}
    }
}

async fn serve(
    stream: impl AsyncRead + AsyncWrite + Unpin,
    manner: &Manner,
    answer: Arc<Answer>,
    came: &Came,
) {
    let mut builder = Builder::new();
    if let Some(most) = manner.max_streams {
        builder.max_concurrent_streams(most);
    }
    if manner.tunnels {
        builder.enable_connect_protocol();
    }
    let Ok(mut connection) = builder.handshake(stream).await else { return };
    came.connections.fetch_add(1, Relaxed);
    let (mut served, mut streams) = (0, JoinSet::new());
    while let Some(Ok((request, respond))) = connection.accept().await {
        came.requests.fetch_add(1, Relaxed);
        streams.spawn(answer(request, respond));
        served += 1;
        if manner.requests_per_connection == Some(served) {
            connection.graceful_shutdown();
        }
    }
}

/// Answers 200 with this body.
pub async fn answer(mut respond: Respond, body: impl Into<Bytes>) {
    let body = body.into();
    let response = Response::builder().header("content-length", body.len());
    if let Ok(mut stream) = respond.send_response(response.body(()).unwrap(), false) {
        let _ = send(&mut stream, body, true).await;
    }
}

/// Sends `data` as the windows let it go.
pub async fn send(stream: &mut h2::SendStream<Bytes>, mut data: Bytes, end: bool) -> Option<()> {
    while !data.is_empty() {
        stream.reserve_capacity(data.len());
        let room = poll_fn(|cx| stream.poll_capacity(cx)).await?.ok()?;
        let part = data.split_to(room.min(data.len()));
        stream.send_data(part, end && data.is_empty()).ok()?;
    }
    Some(())
}

/// Reads a request's body to its end.
pub async fn read(body: &mut RecvStream) -> (Vec<u8>, Option<HeaderMap>) {
    let mut all = Vec::new();
    while let Some(Ok(data)) = body.data().await {
        let _ = body.flow_control().release_capacity(data.len());
        all.extend_from_slice(&data);
    }
    (all, body.trailers().await.ok().flatten())
}
