//! What streams of one connection must not do to each other, nor to an endpoint, nor the connection's end to them.

use super::super::client::PATIENCE;
use super::super::harness::{Config, Proxy, server, until};
use super::super::http2_endpoint::{self, Http2Endpoint, Manner};
use super::{Client, get, upload, whole};
use bytes::Bytes;
use h2::Reason;
use http::HeaderMap;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;

/// RFC 8441, section 5: a reset says that nobody is there any more, while an endpoint may go on after the end of what it hears.
#[tokio::test]
async fn a_websocket_that_its_client_resets_ends_at_the_endpoint_too() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let proxy = Config::to_urls(vec![url]).start();
    let client = Client::to(&proxy).await;
    let mut request = get("/ws").method("CONNECT").body(()).unwrap();
    request.extensions_mut().insert(h2::ext::Protocol::from_static("websocket"));
    until_tunnels(&client).await;
    let mut send = client.send.clone().ready().await.unwrap();
    let (response, mut out) = send.send_request(request, false).unwrap();
    let (mut endpoint, _) = timeout(PATIENCE, listener.accept()).await.unwrap().unwrap();
    let switch =
        "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n";
    endpoint.write_all(switch.as_bytes()).await.unwrap();
    assert_eq!(timeout(PATIENCE, response).await.unwrap().unwrap().status(), 200);
    out.send_reset(Reason::CANCEL);
    proxy.ended(1).await;
    assert_eq!(proxy.backend().members()[0].endpoint.in_flight(), 0);
}

/// Waits for the settings that allow tunnels.
async fn until_tunnels(client: &Client) {
    until(|| client.send.is_extended_connect_protocol_enabled(), "the settings").await;
}

/// S2: they may be other people's whom the same proxy serves.
#[tokio::test]
async fn uploads_that_stall_stop_nobody_elses() {
    let stalls = Http2Endpoint::start(Manner::default(), |request, _| async move {
        std::future::pending::<()>().await;
        drop(request);
    })
    .await;
    let server = server().await;
    let routes = "{ name: stalls, matches: [{ path: { prefix: /stalls } }], backends: [test] }, \
                  { name: all, backends: [quick] }";
    let proxy = Config::to_urls(vec![stalls.url()])
        .keys("protocol: H2c")
        .backend("quick", &[&server], "")
        .routes(routes)
        .start();
    let mut client = Client::to(&proxy).await;
    client.get("/").await;
    let post = |path: &str| get(path).method("POST");
    let mut stalled = Vec::new();
    for _ in 0..16 {
        let (response, mut stream) = client.begin(post("/stalls"), false).await;
        upload(&mut stream, Bytes::from(vec![0; 120_000]), false).await;
        stalled.push((response, stream));
    }
    let (response, mut stream) = client.begin(post("/"), false).await;
    upload(&mut stream, Bytes::from(vec![0; 100_000]), true).await;
    assert_eq!(whole(response).await.head.status(), 200);
}

#[tokio::test]
async fn trailers_behind_a_known_length_go_on_and_bring_nothing_that_the_route_takes_away() {
    let endpoint = Http2Endpoint::start(Manner::default(), |request, respond| async move {
        let mut body = request.into_body();
        let (data, trailers) = http2_endpoint::read(&mut body).await;
        http2_endpoint::answer(respond, format!("{} {trailers:?}", data.len())).await;
    })
    .await;
    let routes =
        "{ name: all, filters: [{ requestHeaders: { remove: [x-user] } }], backends: [test] }";
    let proxy = Config::to_urls(vec![endpoint.url()]).keys("protocol: H2c").routes(routes).start();
    let mut client = Client::to(&proxy).await;
    for length in [0, 4] {
        let request = get("/").method("POST").header("content-length", length);
        let (response, mut stream) = client.begin(request, false).await;
        if length > 0 {
            upload(&mut stream, Bytes::from(vec![0; length]), false).await;
        }
        let mut trailers = HeaderMap::new();
        trailers.insert("x-sum", "1".parse().unwrap());
        trailers.insert("x-user", "admin".parse().unwrap());
        stream.send_trailers(trailers).unwrap();
        let body = whole(response).await.body;
        let expected = format!("{length} Some({{\"x-sum\": \"1\"}})");
        assert_eq!(String::from_utf8_lossy(&body), expected);
    }
}

/// What the system still sends when we are done is not lost because the client says something meanwhile.
#[tokio::test]
async fn a_client_that_is_slow_to_read_gets_all_of_the_last_answer() {
    const LENGTH: usize = 600_000;
    let server = server().await;
    let proxy = Proxy::before(&[&server]);
    let mut socket = TcpStream::connect(proxy.address).await.unwrap();
    let path = format!("/bytes/{LENGTH}");
    let mut bytes = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
    let mut frame = |kind: u8, flags: u8, stream: u8, payload: &[u8]| {
        bytes.extend([0, 0, payload.len() as u8, kind, flags, 0, 0, 0, stream]);
        bytes.extend(payload);
    };
    // Windows for all of it, the request, and GOAWAY.
    frame(4, 0, 0, &[0, 4, 0x10, 0, 0, 0]);
    frame(8, 0, 0, &[0x10, 0, 0, 0]);
    let head = [b"\x82\x86\x04", &[path.len() as u8][..], path.as_bytes(), b"\x01\x01a"].concat();
    frame(1, 5, 1, &head);
    frame(7, 0, 0, &[0; 8]);
    socket.write_all(&bytes).await.unwrap();
    proxy.ended(1).await;
    tokio::time::sleep(Duration::from_millis(100)).await;
    let mut received = 0;
    let mut piece = vec![0; 16 * 1024];
    loop {
        // PING.
        let _ = socket.write_all(&[0, 0, 8, 6, 0, 0, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8]).await;
        match timeout(PATIENCE, socket.read(&mut piece)).await.unwrap() {
            Ok(0) => break,
            Ok(count) => received += count,
            Err(error) => panic!("after {received} bytes: {error}"),
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    assert!(received > LENGTH, "{received}");
}

/// S2: rapid reset, slowly enough that the endpoint has each request.
#[tokio::test]
async fn a_client_that_resets_most_of_its_requests_is_sent_away() {
    let server = server().await;
    let proxy = Proxy::before(&[&server]);
    let client = Client::to(&proxy).await;
    let mut begun = 0;
    let error = loop {
        assert!(begun < 1000, "it may go on");
        let Ok(mut send) = client.send.clone().ready().await else {
            break client.connection.await.unwrap().unwrap_err();
        };
        let (_, mut stream) = send.send_request(get("/hold").body(()).unwrap(), true).unwrap();
        begun += 1;
        until(
            || server.counts().requests >= begun || client.connection.is_finished(),
            "the request, or the end",
        )
        .await;
        stream.send_reset(Reason::CANCEL);
    };
    assert_eq!(error.reason(), Some(Reason::ENHANCE_YOUR_CALM));
    assert!(begun >= 500, "{begun}");
    proxy.ended(begun - 1).await;
    assert_eq!(proxy.get("/").await.status, 200);
}
