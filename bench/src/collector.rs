//! A collector of traces: takes what comes by OTLP over gRPC and counts it.
//!
//! It reads no span: it shares its core with the client and must not be what limits the rate.

use crate::Result;
use crate::process::pin_this_thread;
use bytes::Bytes;
use h2::server::{Builder, SendResponse};
use http::{HeaderMap, HeaderName, HeaderValue, Response};
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::thread::JoinHandle;
use tokio::sync::oneshot;

/// How much it may be sent that is not read yet.
const WINDOW: u32 = 4 << 20;

/// An empty message of gRPC: all was taken.
const TAKEN: &[u8] = &[0; 5];

/// A running collector; it stops when dropped.
pub(crate) struct Collector {
    address: SocketAddr,
    bytes: Arc<AtomicU64>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Collector {
    /// Starts one on a free loopback port and on `core`.
    pub(crate) fn start(core: usize) -> Result<Collector> {
        let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let bytes = Arc::new(AtomicU64::new(0));
        let (stop, stopped) = oneshot::channel();
        let counted = Arc::clone(&bytes);
        let thread = std::thread::Builder::new().name("collector".into()).spawn(move || {
            let serving = pin_this_thread(Some(core)).and_then(|()| {
                let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
                runtime.block_on(async {
                    tokio::select! {
                        served = serve(listener, counted) => served,
                        _ = stopped => Ok(()),
                    }
                })
            });
            if let Err(error) = serving {
                eprintln!("bench: the collector failed: {error}");
            }
        })?;
        Ok(Collector { address, bytes, stop: Some(stop), thread: Some(thread) })
    }

    /// Where it listens.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Bytes of exports so far.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes.load(Relaxed)
    }
}

impl Drop for Collector {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

async fn serve(listener: std::net::TcpListener, bytes: Arc<AtomicU64>) -> Result<()> {
    let listener = tokio::net::TcpListener::from_std(listener)?;
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        let bytes = Arc::clone(&bytes);
        // A connection that fails is the client's to tell.
        tokio::spawn(async move {
            let mut builder = Builder::new();
            builder.initial_window_size(WINDOW).initial_connection_window_size(WINDOW);
            let Ok(mut connection) = builder.handshake::<_, Bytes>(stream).await else { return };
            while let Some(Ok((request, respond))) = connection.accept().await {
                tokio::spawn(take(request.into_body(), respond, Arc::clone(&bytes)));
            }
        });
    }
}

async fn take(mut body: h2::RecvStream, mut respond: SendResponse<Bytes>, bytes: Arc<AtomicU64>) {
    while let Some(Ok(data)) = body.data().await {
        bytes.fetch_add(data.len() as u64, Relaxed);
        let _ = body.flow_control().release_capacity(data.len());
    }
    let mut response = Response::new(());
    let grpc = HeaderValue::from_static("application/grpc");
    response.headers_mut().insert(http::header::CONTENT_TYPE, grpc);
    let Ok(mut stream) = respond.send_response(response, false) else { return };
    let status = (HeaderName::from_static("grpc-status"), HeaderValue::from_static("0"));
    let _ = stream.send_data(Bytes::from_static(TAKEN), false);
    let _ = stream.send_trailers(HeaderMap::from_iter([status]));
}
