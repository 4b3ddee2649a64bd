//! The endpoint of gRPC calls: HTTP/2 without TLS, by a library, on a runtime of its own thread.

use super::Shared;
use crate::Result;
use crate::exchange::{Exchange, METHOD};
use bytes::Bytes;
use h2::RecvStream;
use h2::server::{Builder, SendResponse};
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode};
use std::fmt::Write;
use std::net::TcpListener;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::task::LocalSet;

/// How long it may sleep before it sees that it should stop.
const STOP_CHECK: Duration = Duration::from_millis(50);

/// How much a connection may be sent that is not read yet: so much that none ever waits for it.
const WINDOW: u32 = 4 << 20;

/// Serves until it should stop.
pub(super) fn serve(listener: TcpListener, exchange: &Exchange, shared: Arc<Shared>) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let server = Rc::new(Server {
        upload: exchange.upload,
        answer: Bytes::from_static(exchange.download),
        trailers: HeaderMap::from_iter([(
            http::HeaderName::from_static("grpc-status"),
            HeaderValue::from_static("0"),
        )]),
        shared,
    });
    let tasks = LocalSet::new();
    tasks.block_on(&runtime, async {
        listener.set_nonblocking(true)?;
        let listener = tokio::net::TcpListener::from_std(listener)?;
        while !server.shared.stop.load(Ordering::Relaxed) {
            let Ok(accepted) = tokio::time::timeout(STOP_CHECK, listener.accept()).await else {
                continue;
            };
            let (stream, _) = accepted?;
            stream.set_nodelay(true)?;
            // A connection that fails is the client's to tell.
            tokio::task::spawn_local(server.clone().connection(stream));
        }
        Ok(())
    })
}

struct Server {
    upload: &'static [u8],
    answer: Bytes,
    trailers: HeaderMap,
    shared: Arc<Shared>,
}

impl Server {
    async fn connection(self: Rc<Self>, stream: tokio::net::TcpStream) -> Result<()> {
        let mut builder = Builder::new();
        builder.initial_connection_window_size(WINDOW);
        let mut connection = builder.handshake(stream).await?;
        let mut fresh = true;
        while let Some(accepted) = connection.accept().await {
            let (request, respond) = accepted?;
            if std::mem::take(&mut fresh) {
                self.shared.keep(head(&request));
            }
            tokio::task::spawn_local(self.clone().call(request, respond));
        }
        Ok(())
    }

    /// Answers a call as it must be, and any other with an error that no client expects.
    async fn call(
        self: Rc<Self>,
        request: Request<RecvStream>,
        mut respond: SendResponse<Bytes>,
    ) -> Result<()> {
        let (head, mut body) = request.into_parts();
        let mut rest = Some(self.upload);
        while let Some(data) = body.data().await {
            let data = data?;
            rest = rest.and_then(|rest| rest.strip_prefix(&*data));
            body.flow_control().release_capacity(data.len())?;
        }
        let grpc = head.headers.get("content-type").is_some_and(|kind| kind == "application/grpc");
        if head.method != Method::POST || head.uri.path() != METHOD || !grpc || rest != Some(&[]) {
            let answer = Response::builder().status(StatusCode::BAD_REQUEST).body(())?;
            respond.send_response(answer, true)?;
            return Ok(());
        }
        let answer = Response::builder()
            .header("content-type", "application/grpc")
            .header("date", "Thu, 01 Jan 2026 00:00:00 GMT")
            .body(())?;
        let mut stream = respond.send_response(answer, false)?;
        stream.send_data(self.answer.clone(), false)?;
        stream.send_trailers(self.trailers.clone())?;
        Ok(())
    }
}

/// As HTTP/1.1 would send it, in lower case.
fn head(request: &Request<RecvStream>) -> String {
    let mut text = format!("{} {}\r\n", request.method(), request.uri().path());
    for (name, value) in request.headers() {
        let _ = write!(text, "{name}: {}\r\n", String::from_utf8_lossy(value.as_bytes()));
    }
    text.to_lowercase()
}
