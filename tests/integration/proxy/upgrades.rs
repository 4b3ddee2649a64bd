//! After a 101 both sides talk freely, and not a byte before it.

use super::client::{Client, Ended};
use super::harness::{Config, Proxy, eventually, received, server};
use futures_util::{SinkExt, StreamExt};
use testserver::Step;
use tokio_tungstenite::tungstenite::Message;

const UPGRADE: &str = "Connection: upgrade\r\nUpgrade: echo\r\n\r\n";

async fn upgraded(proxy: &Proxy, target: &str) -> Client {
    let mut client = proxy.client().await;
    client.send(format!("GET {target} HTTP/1.1\r\nHost: a\r\n{UPGRADE}")).await;
    let head = client.head().await;
    assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
    assert!(head.contains("\r\nconnection: upgrade\r\n"), "{head}");
    assert!(head.contains("\r\nupgrade: echo\r\n"), "{head}");
    client
}

#[tokio::test]
async fn a_websocket_echoes_messages_of_all_sizes() {
    let server = server().await;
    let proxy = Proxy::before(&[&server]);
    let stream = proxy.client().await.stream;
    let (mut socket, answer) =
        tokio_tungstenite::client_async("ws://a.example/ws", stream).await.unwrap();
    assert_eq!(answer.status(), 101);
    for size in [0, 1, 125, 126, 65_535, 65_536, 1 << 20] {
        let message = Message::binary(testserver::pattern(size));
        socket.send(message.clone()).await.unwrap();
        assert_eq!(socket.next().await.unwrap().unwrap(), message);
    }
    socket.close(None).await.unwrap();
    assert!(socket.next().await.unwrap().unwrap().is_close());
    assert!(socket.next().await.is_none());
    drop(socket);
    proxy.ended(1).await;
    assert_eq!(proxy.backend().members()[0].endpoint.in_flight(), 0);
}

#[tokio::test]
async fn an_open_conversation_counts_as_in_flight() {
    let server = server().await;
    let proxy = Proxy::before(&[&server]);
    let mut client = upgraded(&proxy, "/upgrade").await;
    assert_eq!(proxy.backend().members()[0].endpoint.in_flight(), 1);
    client.finish().await;
    client.is_closed().await;
    proxy.ended(1).await;
    assert_eq!(proxy.backend().members()[0].endpoint.in_flight(), 0);
}

#[tokio::test]
async fn the_clients_half_close_leaves_the_other_direction_open() {
    let server = server().await;
    let proxy = Proxy::before(&[&server]);
    let mut client = upgraded(&proxy, "/upgrade?after-eof=goodbye").await;
    client.send("hello").await;
    assert_eq!(client.exactly(5).await, b"hello");
    client.finish().await;
    assert_eq!(client.rest().await, (b"goodbye".to_vec(), Ended::Closed));
}

#[tokio::test]
async fn the_endpoints_half_close_leaves_the_other_direction_open() {
    let server = server().await;
    let proxy = Proxy::before(&[&server]);
    let mut client = upgraded(&proxy, "/upgrade?finish-first").await;
    client.is_closed().await;
    client.send("still heard").await;
    client.finish().await;
    eventually(&server, |counts| counts.open_connections == 0).await;
    assert!(received(&server)[0].ends_with("still heard"));
}

#[tokio::test]
async fn bytes_sent_early_wait_for_the_101() {
    let server = server().await;
    let proxy = Proxy::before(&[&server]);
    let mut client = proxy.client().await;
    client.send(format!("GET /upgrade?hold HTTP/1.1\r\nHost: a\r\n{UPGRADE}early")).await;
    server.wait_for_requests(1).await;
    assert!(received(&server)[0].ends_with("\r\n\r\n"), "tunnelled before the 101");
    server.release();
    assert!(client.head().await.starts_with("HTTP/1.1 101 "));
    assert_eq!(client.exactly(5).await, b"early");
    client.send(" and late").await;
    assert_eq!(client.exactly(9).await, b" and late");
}

/// S1: what comes behind a refused upgrade is a request, with all that is done to requests.
#[tokio::test]
async fn bytes_behind_a_refused_upgrade_are_the_next_request() {
    let server = server().await;
    let proxy = Proxy::before(&[&server]);
    let mut client = proxy.client().await;
    client
        .send(format!(
            "GET /upgrade?refuse HTTP/1.1\r\nHost: a\r\n{UPGRADE}\
             GET /echo HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: 9.9.9.9\r\n\r\n"
        ))
        .await;
    assert_eq!(client.answer().await.json()["message"], "ok");
    assert_eq!(client.answer().await.json()["target"], "/echo");
    assert!(!received(&server).concat().contains("9.9.9.9"));
    // The connection is an ordinary one.
    assert_eq!(client.get("/").await.status, 200);
    assert_eq!(server.counts().connections, 1);
}

/// S1: an endpoint that switched to HTTP/2 would take requests that nobody checked.
#[tokio::test]
async fn h2c_is_not_offered_to_endpoints() {
    let server = server().await;
    let proxy = Proxy::before(&[&server]);
    for upgrade in ["h2c", "H2C", "websocket, h2c", "h2c-14"] {
        let answer = proxy
            .ask(format!(
                "GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: {upgrade}\r\n\
                 HTTP2-Settings: AAMAAABkAAQAAP__\r\n\r\n"
            ))
            .await;
        assert_eq!(answer.status, 200);
    }
    let all = received(&server).concat().to_lowercase();
    assert!(!all.contains("h2c") && !all.contains("http2-settings"), "{all}");
}

#[tokio::test]
async fn a_body_before_the_101_is_sent_to_its_end() {
    let server = server().await;
    let switching =
        "HTTP/1.1 101 Switching Protocols\r\nupgrade: echo\r\nconnection: upgrade\r\n\r\n";
    server.script("/post", [Step::ReadBody, Step::send(switching), Step::Hold]);
    server.script("/hasty", [Step::send(switching), Step::Linger]);
    let proxy = Config::to(&[&server]).retry("attempts: 0").start();
    let head = |target: &str| {
        format!("POST {target} HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n{UPGRADE}")
    };
    let mut client = proxy.client().await;
    client.send(head("/post") + "body").await;
    assert!(client.head().await.starts_with("HTTP/1.1 101 "));
    // Switching in the middle of a body: where it ends would be anybody's guess.
    let mut client = proxy.client().await;
    client.send(head("/hasty") + "bo").await;
    let answer = client.answer().await;
    assert_eq!((answer.status, answer.reason()), (502, "response_malformed".to_owned()));
}

#[tokio::test]
async fn both_directions_wait_for_their_readers_and_lose_nothing() {
    const LARGE: usize = 24 << 20;
    let server = server().await;
    let proxy = Proxy::before(&[&server]);
    let client = upgraded(&proxy, "/upgrade").await;
    let (mut read, mut write) = client.stream.into_split();
    let all = testserver::pattern(LARGE);
    // The echo stops when its reader does: everything can only arrive if each direction waits for its own reader.
    let upload = tokio::spawn(async move {
        use tokio::io::AsyncWriteExt;
        write.write_all(&all).await.unwrap();
        write.shutdown().await.unwrap();
    });
    let mut back = Vec::new();
    tokio::io::AsyncReadExt::read_to_end(&mut read, &mut back).await.unwrap();
    upload.await.unwrap();
    assert!(back == testserver::pattern(LARGE), "{} bytes", back.len());
}
