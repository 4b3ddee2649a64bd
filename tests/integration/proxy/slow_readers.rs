//! A client that reads slowly is neither silent nor slow to send: its response goes out whole, or ends without a word.

use super::client::Client;
use super::harness::{Config, Proxy, server};
use std::time::Duration;
use tokio::net::TcpSocket;

/// How much the kernel holds for a client that reads nothing differs; of one of these the end waits in this process.
fn sizes() -> impl Iterator<Item = usize> {
    (400_000..4_000_000).step_by(200_000)
}

async fn client_with_a_tiny_buffer(proxy: &Proxy) -> Client {
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(4 * 1024).unwrap();
    Client::around(socket.connect(proxy.address).await.unwrap())
}

/// The end of the body waits in this process while the client already sends its next request.
#[tokio::test]
async fn an_answer_to_a_slow_head_never_lands_inside_of_a_body() {
    let server = server().await;
    let proxy = Config::to(&[&server]).limits("headerTimeout: 100ms, idleTimeout: 20s").start();
    let ask = async |size: usize| {
        let mut client = client_with_a_tiny_buffer(&proxy).await;
        client.send(format!("GET /bytes/{size} HTTP/1.1\r\nHost: a\r\n\r\n")).await;
        // Time itself is meant, here and below: all is handed over by then.
        tokio::time::sleep(Duration::from_millis(100)).await;
        client.send("GET / HT").await;
        // Longer than a head may take.
        tokio::time::sleep(Duration::from_millis(400)).await;
        let answer = client.answer().await;
        assert_eq!(answer.status, 200);
        assert!(answer.body == testserver::pattern(size), "{size}");
        // Now the head is waited for, and for as long as any other.
        assert_eq!(client.answer().await.status, 408);
        client.is_closed().await;
    };
    // A few at a time: a machine that is busy with all of them would make clients slower than they are meant to be.
    for some in sizes().collect::<Vec<_>>().chunks(6) {
        futures_util::future::join_all(some.iter().map(|size| ask(*size))).await;
    }
}

#[tokio::test]
async fn a_request_sent_while_the_answer_before_is_read_slowly_is_answered() {
    let server = server().await;
    let proxy = Config::to(&[&server]).limits("headerTimeout: 100ms, idleTimeout: 100ms").start();
    let mut client = client_with_a_tiny_buffer(&proxy).await;
    client.send("GET /bytes/600000 HTTP/1.1\r\nHost: a\r\n\r\n").await;
    server.wait_for_requests(1).await;
    client.send("GET /status/404 HTTP/1.1\r\nHost: a\r\n\r\n").await;
    tokio::time::sleep(Duration::from_millis(400)).await;
    assert!(client.answer().await.body == testserver::pattern(600_000));
    assert_eq!(client.answer().await.status, 404);
    client.is_closed().await;
}

#[tokio::test]
async fn a_response_that_nobody_reads_is_cut_after_stream_idle_wherever_its_end_is() {
    let server = server().await;
    let proxy =
        Config::to(&[&server]).limits("idleTimeout: 20s").timeouts("streamIdle: 300ms").start();
    let mut clients = Vec::new();
    for size in sizes() {
        let mut client = client_with_a_tiny_buffer(&proxy).await;
        client
            .send(format!("GET /bytes/{size} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"))
            .await;
        clients.push((client, size));
    }
    proxy.ended(clients.len() as u64).await;
    let mut cut = 0;
    for (mut client, size) in clients {
        let (bytes, _) = client.rest().await;
        let head = bytes.windows(4).position(|bytes| bytes == b"\r\n\r\n").unwrap() + 4;
        assert!(testserver::pattern(size).starts_with(&bytes[head..]), "{size}");
        cut += usize::from(bytes.len() - head < size);
    }
    assert!(cut > 0);
}
