//! A receiver of OTLP that lives in the test: what it is sent, it writes down, and it may be told to answer nothing.

use super::Otlp;
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Request, Response};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use prost::Message;
use std::convert::Infallible;
use std::io::Write;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use tokio::net::TcpListener;
use tokio::task::{JoinHandle, JoinSet};

/// A running receiver; dropping it closes its connections.
#[derive(Debug)]
pub struct Receiver {
    otlp: Otlp,
    address: SocketAddr,
    shared: Arc<Shared>,
    accepting: JoinHandle<()>,
}

#[derive(Debug, Default)]
struct Shared {
    headers: Mutex<Vec<HeaderMap>>,
    hangs: AtomicBool,
    file: Option<PathBuf>,
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

impl Receiver {
    /// One on a port that is free.
    pub async fn start(otlp: Otlp) -> Self {
        Self::start_at(otlp, 0, None).await
    }

    pub(super) async fn start_at(otlp: Otlp, port: u16, file: Option<&Path>) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", port)).await.expect("the port is free");
        let address = listener.local_addr().expect("it is bound");
        let shared = Arc::new(Shared { file: file.map(Path::to_owned), ..Shared::default() });
        let accepting = tokio::spawn(accept(otlp, listener, Arc::clone(&shared)));
        Self { otlp, address, shared, accepting }
    }

    /// Its URL, as the configuration wants it.
    pub fn endpoint(&self) -> String {
        format!("http://{}{}", self.address, self.otlp.path())
    }

    /// The fields of every export that it got.
    pub fn headers(&self) -> Vec<HeaderMap> {
        self.shared.headers.lock().expect("nobody panics").clone()
    }

    /// Has it answer nothing any more.
    pub fn hang(&self) {
        self.shared.hangs.store(true, Relaxed);
    }
}

async fn accept(otlp: Otlp, listener: TcpListener, shared: Arc<Shared>) {
    let mut connections = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        let shared = Arc::clone(&shared);
        let service = service_fn(move |request| {
            let shared = Arc::clone(&shared);
            async move { Ok::<_, Infallible>(answer(otlp, &shared, request).await) }
        });
        let io = TokioIo::new(stream);
        connections.spawn(async move {
            // Its errors come out at the client.
            let _ = match otlp {
                Otlp::Grpc => {
                    let server = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
                    server.serve_connection(io, service).await
                }
                Otlp::Http => {
                    let server = hyper::server::conn::http1::Builder::new();
                    server.serve_connection(io, service).await
                }
            };
        });
    }
}

async fn answer(
    otlp: Otlp,
    shared: &Shared,
    request: Request<Incoming>,
) -> Response<UnsyncBoxBody<Bytes, Infallible>> {
    let (head, body) = request.into_parts();
    let body = body.collect().await.map(|body| body.to_bytes()).unwrap_or_default();
    shared.headers.lock().expect("nobody panics").push(head.headers);
    if shared.hangs.load(Relaxed) {
        std::future::pending::<()>().await;
    }
    let message = match otlp {
        Otlp::Grpc => body.slice(5.min(body.len())..),
        Otlp::Http => body,
    };
    let export = ExportTraceServiceRequest::decode(message).expect("an export");
    if let Some(file) = &shared.file {
        let line = serde_json::to_string(&export).expect("it is JSON") + "\n";
        let file = std::fs::OpenOptions::new().create(true).append(true).open(file);
        file.and_then(|mut file| file.write_all(line.as_bytes())).expect("it takes a line");
    }
    match otlp {
        Otlp::Http => Response::new(Full::default().boxed_unsync()),
        Otlp::Grpc => {
            let mut trailers = HeaderMap::new();
            trailers.insert("grpc-status", HeaderValue::from_static("0"));
            let frames = [Frame::data(Bytes::from_static(&[0; 5])), Frame::trailers(trailers)];
            let frames = frames.map(Ok::<_, Infallible>);
            Response::new(StreamBody::new(futures_util::stream::iter(frames)).boxed_unsync())
        }
    }
}
