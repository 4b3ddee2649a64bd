use futures_util::{SinkExt, StreamExt};
use testserver::Server;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message;

use crate::client::{Client, Ended, ask, eventually};

const ECHO: &str =
    "GET /upgrade HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n";
const SWITCHED: &str = "HTTP/1.1 101 Switching Protocols\r\nx-test-server: a\r\n\
                        upgrade: echo\r\nconnection: upgrade\r\n\r\n";

async fn server() -> Server {
    Server::builder().name("a").record().start().await.unwrap()
}

async fn websocket(server: &Server, query: &str) -> tokio_tungstenite::WebSocketStream<TcpStream> {
    let stream = TcpStream::connect(server.address()).await.unwrap();
    let url = format!("ws://{}/ws{query}", server.address());
    let (socket, answer) = tokio_tungstenite::client_async(url, stream).await.unwrap();
    assert_eq!(answer.headers()["x-test-server"], "a");
    socket
}

#[tokio::test]
async fn a_websocket_echoes_messages_pings_and_the_close() {
    let server = server().await;
    let mut socket = websocket(&server, "").await;
    for message in [Message::text("hello"), Message::binary(vec![7; 100_000])] {
        socket.send(message.clone()).await.unwrap();
        assert_eq!(socket.next().await.unwrap().unwrap(), message);
    }
    socket.send(Message::Ping("p".into())).await.unwrap();
    assert_eq!(socket.next().await.unwrap().unwrap(), Message::Pong("p".into()));
    assert_eq!(server.counts().in_flight, 1);
    socket.close(None).await.unwrap();
    assert!(socket.next().await.unwrap().unwrap().is_close());
    assert!(socket.next().await.is_none());
    drop(socket);
    eventually(&server, |counts| counts.open_connections == 0).await;
}

#[tokio::test]
async fn a_websocket_is_closed_by_the_server_after_so_many_messages() {
    let server = server().await;
    let mut socket = websocket(&server, "?close-after=1").await;
    socket.send(Message::text("only")).await.unwrap();
    assert_eq!(socket.next().await.unwrap().unwrap(), Message::text("only"));
    assert!(socket.next().await.unwrap().unwrap().is_close());
}

#[tokio::test]
async fn the_handshake_is_that_of_the_rfc() {
    let server = server().await;
    let fields =
        "Connection: keep-alive, Upgrade\r\nUpgrade: WebSocket\r\nSec-WebSocket-Version: 13\r\n";
    let mut client = Client::to(&server).await;
    // The key and its answer are those of RFC 6455, section 1.3; a frame of "Hello" follows at once.
    client
        .send(format!(
            "GET /ws HTTP/1.1\r\nHost: x\r\n{fields}Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
             Sec-WebSocket-Protocol: chat, other\r\n\r\n"
        ))
        .await;
    client.send([0x81, 0x85, 0x37, 0xfa, 0x21, 0x3d, 0x7f, 0x9f, 0x4d, 0x51, 0x58]).await;
    let head = client.head().await;
    assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
    assert!(head.contains("sec-websocket-accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"), "{head}");
    assert!(head.contains("sec-websocket-protocol: chat\r\n"), "{head}");
    assert!(client.until("Hello").await.ends_with("\u{5}Hello"));

    let wrong = ask(&server, "GET /ws HTTP/1.1\r\nSec-WebSocket-Version: 13", "").await;
    assert!(wrong.starts_with("HTTP/1.1 400 "), "{wrong}");
    let old = ask(&server, "GET /ws HTTP/1.1\r\nSec-WebSocket-Version: 8", "").await;
    assert!(old.starts_with("HTTP/1.1 426 "), "{old}");
}

#[tokio::test]
async fn an_upgrade_echoes_bytes_from_the_first_one_on() {
    let server = server().await;
    let mut client = Client::to(&server).await;
    // What follows the head at once belongs to the new protocol.
    client.send(format!("{ECHO}early")).await;
    assert_eq!(client.until("early").await, format!("{SWITCHED}early"));
    client.send("\0late\n").await;
    assert_eq!(client.until("\n").await, "\0late\n");
    assert_eq!(server.received(), [format!("{ECHO}early\0late\n").into_bytes()]);
}

#[tokio::test]
async fn the_server_still_speaks_after_the_clients_half_close() {
    let server = server().await;
    let mut client = Client::to(&server).await;
    client.send(ECHO.replace("/upgrade", "/upgrade?after-eof=bye")).await;
    client.send("last").await;
    client.stream.shutdown().await.unwrap();
    assert_eq!(client.rest().await, (format!("{SWITCHED}lastbye"), Ended::Closed));
}

#[tokio::test]
async fn the_client_still_speaks_after_the_servers_half_close() {
    let server = server().await;
    let mut client = Client::to(&server).await;
    client.send(ECHO.replace("/upgrade", "/upgrade?finish-first")).await;
    assert_eq!(client.rest().await, (SWITCHED.to_owned(), Ended::Closed));
    client.send("still here").await;
    client.stream.shutdown().await.unwrap();
    eventually(&server, |counts| counts.open_connections == 0).await;
    assert!(server.received()[0].ends_with(b"\r\n\r\nstill here"));
}

#[tokio::test]
async fn a_refused_upgrade_goes_on_as_http() {
    let server = server().await;
    let mut client = Client::to(&server).await;
    for _ in 0..2 {
        client.send(ECHO.replace("/upgrade", "/upgrade?refuse")).await;
        assert!(client.until("}").await.starts_with("HTTP/1.1 200 OK"));
    }
    assert_eq!(server.counts().requests, 2);
}
