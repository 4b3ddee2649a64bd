//! The demo's client: requests at a steady rate, none of which waits for another.

use bytes::Bytes;
use http::{Request, header};
use http_body_util::{BodyExt, Empty};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;
use tokio::sync::Semaphore;
use tokio::time::MissedTickBehavior;

/// So many requests wait for their answers at most: beyond that the demo would run out of files to open.
const MOST_IN_FLIGHT: usize = 512;

/// Requests that the load balancer cannot know of.
#[derive(Debug, Default)]
pub(super) struct Lost {
    /// Sent, but the connection failed before the end of the answer.
    pub(super) unanswered: AtomicU64,
    /// Not sent, because too many others were waiting.
    pub(super) unsent: AtomicU64,
}

/// Sends `per_second` requests every second, for as long as it is polled, to where `address` says then. Requests on their
/// way are tasks of the runtime and go on after that.
pub(super) async fn send(
    address: impl Fn() -> SocketAddr,
    per_second: NonZeroU32,
    lost: Arc<Lost>,
) {
    let client = Client::builder(TokioExecutor::new()).build_http::<Empty<Bytes>>();
    let places = Arc::new(Semaphore::new(MOST_IN_FLIGHT));
    let mut ticks = tokio::time::interval(Duration::from_secs(1) / per_second.get());
    // After a pause (a laptop that slept) the rate goes on, the missed requests stay unsent.
    ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
    loop {
        ticks.tick().await;
        let Ok(place) = Arc::clone(&places).try_acquire_owned() else {
            lost.unsent.fetch_add(1, Relaxed);
            continue;
        };
        let (client, address, lost) = (client.clone(), address(), Arc::clone(&lost));
        tokio::spawn(async move {
            if request(&client, address).await.is_err() {
                lost.unanswered.fetch_add(1, Relaxed);
            }
            drop(place);
        });
    }
}

type Failure = Box<dyn std::error::Error + Send + Sync>;

/// One request and its whole answer, whatever the status.
async fn request(
    client: &Client<HttpConnector, Empty<Bytes>>,
    address: SocketAddr,
) -> Result<(), Failure> {
    let request = Request::get(format!("http://{address}/"))
        .header(header::USER_AGENT, concat!("outrigger-demo/", env!("CARGO_PKG_VERSION")))
        .body(Empty::new())?;
    let mut body = client.request(request).await?.into_body();
    while let Some(frame) = body.frame().await {
        frame?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::{TcpListener, TcpSocket, TcpStream};
    use tokio::sync::mpsc;

    /// Reads one request's head; false when the connection ended before.
    async fn head(stream: &mut TcpStream) -> bool {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            match stream.read_u8().await {
                Ok(byte) => head.push(byte),
                Err(_) => return false,
            }
        }
        true
    }

    #[tokio::test]
    async fn a_slow_answer_does_not_delay_the_next_request() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let rate = NonZeroU32::new(500).unwrap();
        let sending = tokio::spawn(send(move || address, rate, Arc::default()));
        // Nobody is answered, and yet all of these come.
        let mut unanswered = Vec::new();
        for _ in 0..20 {
            let (mut stream, _) = listener.accept().await.unwrap();
            assert!(head(&mut stream).await);
            unanswered.push(stream);
        }
        sending.abort();
    }

    #[tokio::test]
    async fn a_connection_is_used_again() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (connected, mut connections) = mpsc::channel(8);
        let server = tokio::spawn(async move {
            loop {
                let (mut stream, _) = listener.accept().await.unwrap();
                connected.send(()).await.unwrap();
                tokio::spawn(async move {
                    while head(&mut stream).await {
                        stream
                            .write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok")
                            .await
                            .unwrap();
                    }
                });
            }
        });
        let client = Client::builder(TokioExecutor::new()).build_http();
        for _ in 0..10 {
            request(&client, address).await.unwrap();
        }
        assert!(connections.recv().await.is_some());
        assert!(connections.try_recv().is_err(), "a second connection");
        server.abort();
    }

    #[tokio::test]
    async fn a_refused_connection_is_counted_and_not_the_end() {
        // Bound, so that nobody else gets the port, but not listening.
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let address = socket.local_addr().unwrap();
        let lost = Arc::new(Lost::default());
        let rate = NonZeroU32::new(500).unwrap();
        let sending = tokio::spawn(send(move || address, rate, Arc::clone(&lost)));
        while lost.unanswered.load(Relaxed) < 3 {
            tokio::task::yield_now().await;
        }
        sending.abort();
    }
}
