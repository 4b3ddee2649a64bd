//! A collector of traces: takes what comes by OTLP over gRPC and counts it.
//!
//! It reads no span, but counts them: it shares its core with the client and must not be what limits the rate.

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
    spans: Arc<AtomicU64>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Collector {
    /// Starts one on a free loopback port and on `core`.
    pub(crate) fn start(core: usize) -> Result<Collector> {
        let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let spans = Arc::new(AtomicU64::new(0));
        let (stop, stopped) = oneshot::channel();
        let counted = Arc::clone(&spans);
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
        Ok(Collector { address, spans, stop: Some(stop), thread: Some(thread) })
    }

    /// Where it listens.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Spans so far.
    pub(crate) fn spans(&self) -> u64 {
        self.spans.load(Relaxed)
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

async fn serve(listener: std::net::TcpListener, spans: Arc<AtomicU64>) -> Result<()> {
    let listener = tokio::net::TcpListener::from_std(listener)?;
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        let spans = Arc::clone(&spans);
        // A connection that fails is the client's to tell.
        tokio::spawn(async move {
            let mut builder = Builder::new();
            builder.initial_window_size(WINDOW).initial_connection_window_size(WINDOW);
            let Ok(mut connection) = builder.handshake::<_, Bytes>(stream).await else { return };
            while let Some(Ok((request, respond))) = connection.accept().await {
                tokio::spawn(take(request.into_body(), respond, Arc::clone(&spans)));
            }
        });
    }
}

async fn take(mut body: h2::RecvStream, mut respond: SendResponse<Bytes>, spans: Arc<AtomicU64>) {
    let mut message = Vec::new();
    while let Some(Ok(data)) = body.data().await {
        message.extend_from_slice(&data);
        let _ = body.flow_control().release_capacity(data.len());
    }
    // Behind the five bytes with which gRPC begins a message.
    spans.fetch_add(message.get(5..).map_or(0, |message| count(message, &SPANS)), Relaxed);
    let mut response = Response::new(());
    let grpc = HeaderValue::from_static("application/grpc");
    response.headers_mut().insert(http::header::CONTENT_TYPE, grpc);
    let Ok(mut stream) = respond.send_response(response, false) else { return };
    let status = (HeaderName::from_static("grpc-status"), HeaderValue::from_static("0"));
    let _ = stream.send_data(Bytes::from_static(TAKEN), false);
    let _ = stream.send_trailers(HeaderMap::from_iter([status]));
}

/// The numbers of the fields on the way from a request of OTLP to its spans: `resource_spans`, `scope_spans`, `spans`.
const SPANS: [u64; 3] = [1, 2, 2];

/// How many fields are at the end of `way` in a message of protobuf, all of whose fields on this level have a length.
fn count(mut message: &[u8], way: &[u64]) -> u64 {
    let Some((wanted, rest)) = way.split_first() else { return 1 };
    let mut found = 0;
    while let Some((key, length)) = varint(&mut message).zip(varint(&mut message)) {
        let Some((field, after)) = message.split_at_checked(length as usize) else { break };
        message = after;
        if key >> 3 == *wanted {
            found += count(field, rest);
        }
    }
    found
}

fn varint(bytes: &mut &[u8]) -> Option<u64> {
    let mut value = 0;
    for shift in (0..64).step_by(7) {
        let (first, rest) = bytes.split_first()?;
        *bytes = rest;
        value |= u64::from(first & 0x7f) << shift;
        if first & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_counted_wherever_they_are() {
        let field = |number: u8, content: &[u8]| {
            [&[number << 3 | 2, content.len() as u8], content].concat()
        };
        let span = field(2, b"anything");
        let scope = field(2, &[field(1, b"name"), span.clone(), span.clone()].concat());
        let one = field(1, &[field(1, b"resource"), scope].concat());
        let other = field(1, &field(2, &span));
        assert_eq!(count(&[one, other].concat(), &SPANS), 3);
        assert_eq!(count(b"", &SPANS), 0);
        assert_eq!(varint(&mut &[0xac, 0x02][..]), Some(300));
    }
}
