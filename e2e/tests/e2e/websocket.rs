//! WebSockets: over HTTP/1.1 by an upgrade (RFC 6455), over HTTP/2 by an extended CONNECT (RFC 8441), with TLS and without.

use crate::scene::config;
use crate::secure::{HOST, Secure};
use bytes::{Bytes, BytesMut};
use e2e::{Connection, Dial, Io, Outrigger, in_time};
use futures_util::{SinkExt, StreamExt};
use h2::ext::Protocol;
use http::{Method, Request};
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use testserver::Server;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::Role;
use tokio_tungstenite::{WebSocketStream, client_async};

/// The two halves of a stream as one.
struct Tunnel {
    send: h2::SendStream<Bytes>,
    receive: h2::RecvStream,
    read: BytesMut,
}

fn broken(error: h2::Error) -> io::Error {
    io::Error::other(error)
}

impl AsyncRead for Tunnel {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        while this.read.is_empty() {
            match ready!(this.receive.poll_data(context)) {
                None => return Poll::Ready(Ok(())),
                Some(piece) => {
                    let piece = piece.map_err(broken)?;
                    this.receive.flow_control().release_capacity(piece.len()).map_err(broken)?;
                    this.read.extend_from_slice(&piece);
                }
            }
        }
        let some = this.read.len().min(buffer.remaining());
        buffer.put_slice(&this.read.split_to(some));
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Tunnel {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        this.send.reserve_capacity(bytes.len());
        let free = match ready!(this.send.poll_capacity(context)) {
            None => return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into())),
            Some(free) => free.map_err(broken)?.min(bytes.len()),
        };
        this.send.send_data(Bytes::copy_from_slice(&bytes[..free]), false).map_err(broken)?;
        Poll::Ready(Ok(free))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(self.get_mut().send.send_data(Bytes::new(), true).map_err(broken))
    }
}

async fn by_upgrade(dial: &Dial) -> WebSocketStream<Box<dyn Io>> {
    let stream = dial.connect().await.unwrap();
    client_async(format!("ws://{HOST}/ws"), stream).await.unwrap().0
}

/// Waits until the server has said that it takes an extended CONNECT, and sends one.
async fn by_connect(dial: &Dial) -> WebSocketStream<Box<dyn Io>> {
    let connection = Connection::open(dial.clone().http2()).await.unwrap();
    let mut sender = connection.h2().ready().await.unwrap();
    let said = async || sender.is_extended_connect_protocol_enabled().then_some(());
    e2e::eventually("the setting that allows an extended CONNECT", said).await;
    let request = Request::builder()
        .method(Method::CONNECT)
        .uri(format!("{}://{HOST}/ws", dial.scheme()))
        .extension(Protocol::from_static("websocket"))
        .header("sec-websocket-version", "13")
        .header("origin", format!("{}://{HOST}", dial.scheme()));
    let (response, send) = sender.send_request(request.body(()).unwrap(), false).unwrap();
    let response = in_time("the answer", response).await.unwrap();
    assert_eq!(response.status(), 200, "{response:?}");
    assert!(!response.headers().contains_key("sec-websocket-accept"), "{response:?}");
    let tunnel = Tunnel { send, receive: response.into_body(), read: BytesMut::new() };
    let tunnel: Box<dyn Io> = Box::new(tunnel);
    WebSocketStream::from_raw_socket(tunnel, Role::Client, None).await
}

async fn echoes(socket: &mut WebSocketStream<Box<dyn Io>>) {
    for length in [0, 1, 125, 126, 65_536, 300_000] {
        let message = Message::binary(testserver::pattern(length));
        socket.send(message.clone()).await.unwrap();
        let answer = in_time("the echo", socket.next()).await;
        assert!(answer.unwrap().unwrap() == message, "of {length} bytes");
    }
    socket.send(Message::text("text")).await.unwrap();
    let answer = in_time("the echo", socket.next()).await;
    assert_eq!(answer.unwrap().unwrap(), Message::text("text"));
}

/// Both sides see the end, and nothing is left.
async fn closes(mut socket: WebSocketStream<Box<dyn Io>>, server: &Server, outrigger: &Outrigger) {
    socket.close(None).await.unwrap();
    while let Some(Ok(_)) = in_time("the end", socket.next()).await {}
    drop(socket);
    in_time("the end at the endpoint", server.wait_for_in_flight(0)).await;
    let idle = |status: &e2e::Status| status.backend("demo").in_flight() == [0];
    outrigger.until("no request in flight", idle).await;
}

async fn echoes_both_ways(dial: &Dial, server: &Server, outrigger: &Outrigger) {
    let mut socket = by_upgrade(dial).await;
    echoes(&mut socket).await;
    closes(socket, server, outrigger).await;
    let mut socket = by_connect(dial).await;
    echoes(&mut socket).await;
    closes(socket, server, outrigger).await;
}

#[tokio::test]
async fn a_websocket_echoes_without_tls_by_upgrade_and_by_connect() {
    let server = Server::builder().start().await.unwrap();
    let outrigger = Outrigger::start(&config("RoundRobin", &[server.url()], "")).await;
    echoes_both_ways(&Dial::to(outrigger.address()), &server, &outrigger).await;
    outrigger.stop().await;
}

#[tokio::test]
async fn a_websocket_echoes_over_tls_by_upgrade_and_by_connect() {
    let scene = Secure::start().await;
    echoes_both_ways(&scene.dial(), &scene.server, &scene.outrigger).await;
    scene.outrigger.stop().await;
}

#[tokio::test]
async fn a_websocket_over_http_2_survives_reloads_that_keep_its_endpoint_and_others_on_its_connection()
 {
    let scene = Secure::start().await;
    let mut socket = by_connect(&scene.dial()).await;
    echoes(&mut socket).await;
    for timeout in ["3s", "4s"] {
        let backend = format!("    timeouts: {{ connect: {timeout} }}\n");
        let yaml = crate::secure::config("", &[scene.server.url()], &backend);
        scene.outrigger.reload(&yaml).await;
        echoes(&mut socket).await;
    }
    let renewed = scene.authority.leaf(&[HOST]);
    let files = [("a.crt", &*renewed.cert), ("a.key", &*renewed.key)];
    e2e::Put::Rename.put(scene.outrigger.directory(), &files);
    scene.outrigger.until("the renewal", |status| status.generation == 4).await;
    echoes(&mut socket).await;
    closes(socket, &scene.server, &scene.outrigger).await;
    scene.outrigger.stop().await;
}

/// An endpoint that refuses the upgrade: the client gets its answer, not a tunnel.
#[tokio::test]
async fn no_tunnel_opens_before_the_endpoint_agrees() {
    let server = Server::builder().start().await.unwrap();
    let outrigger = Outrigger::start(&config("RoundRobin", &[server.url()], "")).await;
    let dial = Dial::to(outrigger.address()).http2();
    let connection = Connection::open(dial).await.unwrap();
    let mut sender = connection.h2().ready().await.unwrap();
    let said = async || sender.is_extended_connect_protocol_enabled().then_some(());
    e2e::eventually("the setting that allows an extended CONNECT", said).await;
    for (path, protocol) in
        [("/status/403", "websocket"), ("/status/200", "websocket"), ("/ws", "connect-udp")]
    {
        let request = Request::builder()
            .method(Method::CONNECT)
            .uri(format!("http://{HOST}{path}"))
            .extension(Protocol::from(protocol))
            .header("sec-websocket-version", "13");
        let (response, _send) = sender.send_request(request.body(()).unwrap(), false).unwrap();
        let response = in_time("the answer", response).await.unwrap();
        println!("{path} {protocol}: {}", response.status());
        // A success would tell the client that its tunnel is open (RFC 8441, section 4), and this endpoint has agreed to
        // none.
        assert!(!response.status().is_success(), "{path} {protocol}: {response:?}");
    }
    // A plain CONNECT is for forward proxies.
    let request = Request::builder().method(Method::CONNECT).uri("example.org:443");
    let (response, _send) = sender.send_request(request.body(()).unwrap(), false).unwrap();
    match in_time("the answer", response).await {
        Ok(response) => assert!(!response.status().is_success(), "{response:?}"),
        Err(error) => assert!(error.is_reset(), "{error:?}"),
    }
    assert_eq!(server.counts().in_flight, 0);
    outrigger.stop().await;
}
