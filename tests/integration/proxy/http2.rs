//! Clients that speak HTTP/2, by prior knowledge: their requests go the same way as all others, and no client costs more than
//! its share.

#[path = "http2/shared.rs"]
mod shared;

use super::client::PATIENCE;
use super::harness::{Config, Proxy, eventually, received, server};
use bytes::Bytes;
use h2::client::{ResponseFuture, SendRequest};
use h2::{Reason, RecvStream, SendStream};
use http::{HeaderMap, Request, Response};
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::time::timeout;

/// A client's connection.
struct Client {
    send: SendRequest<Bytes>,
    /// Ends with the connection.
    connection: tokio::task::JoinHandle<Result<(), h2::Error>>,
}

impl Client {
    async fn to(proxy: &Proxy) -> Self {
        Self::with(proxy, h2::client::Builder::new()).await
    }

    async fn with(proxy: &Proxy, builder: h2::client::Builder) -> Self {
        let socket = TcpStream::connect(proxy.address).await.unwrap();
        let (send, connection) = builder.handshake(socket).await.unwrap();
        Self { send, connection: tokio::spawn(connection) }
    }

    /// Sends a request whose body is still to come unless `ends`.
    async fn begin(
        &mut self,
        request: http::request::Builder,
        ends: bool,
    ) -> (ResponseFuture, SendStream<Bytes>) {
        let mut send = timeout(PATIENCE, self.send.clone().ready()).await.unwrap().unwrap();
        send.send_request(request.body(()).unwrap(), ends).unwrap()
    }

    async fn get(&mut self, path: &str) -> Whole {
        let (response, _) = self.begin(get(path), true).await;
        whole(response).await
    }
}

fn get(path: &str) -> http::request::Builder {
    Request::builder().uri(format!("http://a.example{path}"))
}

/// A response to its end.
#[derive(Debug)]
struct Whole {
    head: Response<()>,
    body: Vec<u8>,
    trailers: Option<HeaderMap>,
}

impl Whole {
    fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|_| panic!("{self:?}"))
    }
}

async fn whole(response: ResponseFuture) -> Whole {
    let (head, body) = timeout(PATIENCE, response).await.unwrap().unwrap().into_parts();
    let (body, trailers) = rest(body).await;
    Whole { head: Response::from_parts(head, ()), body, trailers }
}

async fn rest(mut body: RecvStream) -> (Vec<u8>, Option<HeaderMap>) {
    let mut all = Vec::new();
    while let Some(data) = timeout(PATIENCE, body.data()).await.unwrap() {
        let data = data.unwrap();
        all.extend_from_slice(&data);
        body.flow_control().release_capacity(data.len()).unwrap();
    }
    (all, timeout(PATIENCE, body.trailers()).await.unwrap().unwrap())
}

async fn upload(stream: &mut SendStream<Bytes>, mut body: Bytes, ends: bool) {
    while !body.is_empty() {
        stream.reserve_capacity(body.len());
        let capacity = timeout(PATIENCE, std::future::poll_fn(|cx| stream.poll_capacity(cx)));
        let capacity = capacity.await.unwrap().unwrap().unwrap();
        let piece = body.split_to(capacity.min(body.len()));
        stream.send_data(piece, ends && body.is_empty()).unwrap();
    }
}

#[tokio::test]
async fn a_request_reaches_an_endpoint_of_http_1_as_one_of_its_own() {
    let server = server().await;
    let proxy = Proxy::before(&[&server]);
    let mut client = Client::to(&proxy).await;
    let request = get("/echo?a=b")
        .method("PUT")
        .header("x-custom", "1")
        .header("cookie", "a=1")
        .header("cookie", "b=2")
        .header("x-forwarded-for", "192.0.2.1");
    let (response, mut body) = client.begin(request, false).await;
    upload(&mut body, Bytes::from_static(b"hello"), true).await;
    let answer = whole(response).await;
    assert_eq!(answer.head.status(), 200);
    assert!(answer.head.headers().contains_key("date"));
    let echo = answer.json();
    assert_eq!((&echo["method"], &echo["target"]), (&"PUT".into(), &"/echo?a=b".into()));
    let received = &received(&server)[0];
    for line in ["host: a.example", "cookie: a=1; b=2", "x-custom: 1", "via: 2.0 outrigger"] {
        assert_eq!(received.matches(&format!("\r\n{line}\r\n")).count(), 1, "{line} {received}");
    }
    assert!(!received.contains("192.0.2.1"), "{received}");
    assert!(received.contains("\r\nx-forwarded-proto: http\r\n"), "{received}");
    assert!(received.ends_with("\r\n\r\n5\r\nhello\r\n0\r\n\r\n"), "{received}");
}

#[tokio::test]
async fn a_body_of_known_length_keeps_it() {
    let server = server().await;
    let proxy = Proxy::before(&[&server]);
    let mut client = Client::to(&proxy).await;
    let request = get("/sink").method("POST").header("content-length", "5");
    let (response, mut body) = client.begin(request, false).await;
    upload(&mut body, Bytes::from_static(b"hello"), true).await;
    assert_eq!(whole(response).await.head.status(), 200);
    assert!(received(&server)[0].ends_with("\r\n\r\nhello"));
    assert!(received(&server)[0].contains("\r\ncontent-length: 5\r\n"));
}

#[tokio::test]
async fn bodies_of_all_sizes_go_both_ways_at_once() {
    let server = server().await;
    let proxy = Proxy::before(&[&server]);
    let mut client = Client::to(&proxy).await;
    let sizes = [0, 1, 16_384, 65_536, 300_000, 3_000_000];
    let mut answers = Vec::new();
    for size in sizes {
        for framing in ["", "?chunked", "?close"] {
            let (response, _) = client.begin(get(&format!("/bytes/{size}{framing}")), true).await;
            answers.push(async move {
                assert!(whole(response).await.body == testserver::pattern(size), "{size}");
            });
        }
    }
    let downloads = futures_util::future::join_all(answers);
    let uploads = async {
        for size in sizes {
            let (response, mut body) = client.begin(get("/sink").method("POST"), size == 0).await;
            upload(&mut body, testserver::pattern(size).into(), true).await;
            let answer = whole(response).await.json();
            assert_eq!((&answer["length"], &answer["pattern"]), (&size.into(), &true.into()));
        }
    };
    tokio::join!(downloads, uploads);
}

#[tokio::test]
async fn trailers_go_both_ways() {
    let server = server().await;
    let proxy = Proxy::before(&[&server]);
    let mut client = Client::to(&proxy).await;
    let answer = {
        let (response, _) = client.begin(get("/trailers").header("te", "trailers"), true).await;
        whole(response).await
    };
    assert_eq!(answer.trailers.unwrap().len(), 2);
    let (response, mut body) = client.begin(get("/echo").method("POST"), false).await;
    upload(&mut body, Bytes::from_static(b"x"), false).await;
    let mut trailers = HeaderMap::new();
    trailers.insert("x-checksum", "1".parse().unwrap());
    trailers.insert("x-forwarded-for", "192.0.2.1".parse().unwrap());
    body.send_trailers(trailers).unwrap();
    let echo = whole(response).await.json();
    assert_eq!(echo["trailers"], serde_json::json!([["x-checksum", "1"]]), "{echo}");
}

#[tokio::test]
async fn a_head_request_and_an_empty_answer_have_no_body() {
    let server = server().await;
    let proxy = Proxy::before(&[&server]);
    let mut client = Client::to(&proxy).await;
    let (response, _) = client.begin(get("/bytes/5").method("HEAD"), true).await;
    let answer = whole(response).await;
    assert_eq!(
        (answer.head.headers()["content-length"].as_bytes(), answer.body.len()),
        (&b"5"[..], 0)
    );
    let answer = client.get("/status/204").await;
    assert!(!answer.head.headers().contains_key("content-length"), "{answer:?}");
    // Our own answers, too.
    let (response, _) = client.begin(get("/%00").method("HEAD"), true).await;
    let answer = whole(response).await;
    assert_eq!((answer.head.status().as_u16(), answer.body.len()), (400, 0));
    proxy.ended(3).await;
}

#[tokio::test]
async fn interim_responses_are_passed_on() {
    let server = server().await;
    let proxy = Proxy::before(&[&server]);
    let mut client = Client::to(&proxy).await;
    let (mut response, _) = client.begin(get("/early-hints"), true).await;
    let hint = std::future::poll_fn(|cx| response.poll_informational(cx));
    let hint = timeout(PATIENCE, hint).await.unwrap().unwrap().unwrap();
    assert_eq!(hint.status(), 103);
    assert!(hint.headers().contains_key("link"));
    assert_eq!(whole(response).await.head.status(), 200);
}

#[tokio::test]
async fn a_body_that_waits_for_a_100_gets_it() {
    let server = server().await;
    let proxy = Proxy::before(&[&server]);
    let mut client = Client::to(&proxy).await;
    let request = get("/echo").method("POST").header("expect", "100-continue");
    let (mut response, mut body) = client.begin(request, false).await;
    let hint = std::future::poll_fn(|cx| response.poll_informational(cx));
    assert_eq!(timeout(PATIENCE, hint).await.unwrap().unwrap().unwrap().status(), 100);
    upload(&mut body, Bytes::from_static(b"x"), true).await;
    assert_eq!(whole(response).await.json()["body"]["text"], "x");
}

/// B8
#[tokio::test]
async fn requests_of_one_connection_are_balanced_one_by_one() {
    let (one, two) = (server().await, server().await);
    let proxy = Proxy::before(&[&one, &two]);
    let mut client = Client::to(&proxy).await;
    for _ in 0..10 {
        assert_eq!(client.get("/").await.head.status(), 200);
    }
    assert_eq!((one.counts().requests, two.counts().requests), (5, 5));
}

#[tokio::test]
async fn a_client_that_gives_up_frees_the_endpoint() {
    let server = server().await;
    let proxy = Proxy::before(&[&server]);
    let mut client = Client::to(&proxy).await;
    let (response, mut stream) = client.begin(get("/?hold"), true).await;
    server.wait_for_requests(1).await;
    stream.send_reset(Reason::CANCEL);
    drop(response);
    eventually(&server, |counts| counts.open_connections == 0).await;
    proxy.ended(1).await;
    assert_eq!(proxy.backend().members()[0].endpoint.in_flight(), 0);
    // The connection goes on.
    assert_eq!(client.get("/").await.head.status(), 200);
}

#[tokio::test]
async fn a_response_that_is_cut_is_reset_and_not_ended() {
    let server = server().await;
    let proxy = Proxy::before(&[&server]);
    let mut client = Client::to(&proxy).await;
    let (response, _) = client.begin(get("/close?at=mid-body"), true).await;
    let mut body = timeout(PATIENCE, response).await.unwrap().unwrap().into_body();
    let error = loop {
        match timeout(PATIENCE, body.data()).await.unwrap() {
            Some(Ok(_)) => {}
            Some(Err(error)) => break error,
            None => panic!("it looks as if it were whole"),
        }
    };
    assert_eq!(error.reason(), Some(Reason::INTERNAL_ERROR));
}

/// S2
#[tokio::test]
async fn more_fields_than_allowed_are_refused_crumbs_of_cookies_included() {
    let server = server().await;
    let proxy = Config::to(&[&server]).limits("maxHeaders: 20").start();
    let mut client = Client::to(&proxy).await;
    let with = |count: usize| (0..count).fold(get("/"), |request, _| request.header("cookie", "a"));
    let (response, _) = client.begin(with(21), true).await;
    assert_eq!(whole(response).await.head.status(), 431);
    let (response, _) = client.begin(with(20), true).await;
    assert_eq!(whole(response).await.head.status(), 200);
    assert_eq!(server.counts().requests, 1);
}

/// S2
#[tokio::test]
async fn no_more_streams_than_allowed_are_served_at_once() {
    let server = server().await;
    let proxy = Config::to(&[&server]).limits("maxConcurrentStreams: 2").start();
    let mut client = Client::to(&proxy).await;
    client.get("/").await;
    let mut held = Vec::new();
    for _ in 0..2 {
        held.push(client.begin(get("/?hold"), true).await);
    }
    server.wait_for_requests(3).await;
    // The third waits for its turn, with the client.
    let mut ready = client.send.clone();
    let third =
        std::future::poll_fn(|cx| std::task::Poll::Ready(ready.poll_ready(cx).is_pending()));
    let third = third.await || {
        let (response, _) = ready.send_request(get("/").body(()).unwrap(), true).unwrap();
        timeout(Duration::from_millis(50), response).await.is_err()
    };
    assert!(third);
    server.release();
    for (response, _) in held {
        assert_eq!(whole(response).await.head.status(), 200);
    }
}

/// S2: a client that opens no window holds a stream and what was read for it, for as long as `writeTimeout`.
#[tokio::test]
async fn a_client_that_takes_nothing_is_cut_off_after_the_write_timeout() {
    let server = server().await;
    let proxy = Config::to(&[&server]).limits("writeTimeout: 200ms").start();
    let mut builder = h2::client::Builder::new();
    builder.initial_window_size(0);
    let mut client = Client::with(&proxy, builder).await;
    for target in ["/bytes/10", "/bytes/3000000"] {
        let (response, _) = client.begin(get(target), true).await;
        let mut body = timeout(PATIENCE, response).await.unwrap().unwrap().into_body();
        let error = timeout(PATIENCE, body.data()).await.unwrap().unwrap().unwrap_err();
        assert_eq!(error.reason(), Some(Reason::CANCEL), "{target}");
    }
    proxy.ended(2).await;
    assert_eq!(proxy.backend().members()[0].endpoint.in_flight(), 0);
}

#[tokio::test]
async fn a_connection_without_a_request_is_closed_after_the_idle_timeout() {
    let server = server().await;
    let proxy = Config::to(&[&server]).limits("idleTimeout: 200ms").start();
    let mut client = Client::to(&proxy).await;
    let (response, _) = client.begin(get("/?delay=500ms"), true).await;
    // Not while it waits.
    assert_eq!(whole(response).await.head.status(), 200);
    timeout(PATIENCE, client.connection).await.unwrap().unwrap().unwrap();
}

/// B8
#[tokio::test]
async fn a_connection_that_is_old_goes_without_a_lost_request() {
    let server = server().await;
    let proxy = Config::to(&[&server]).limits("maxConnectionAge: 100ms").start();
    let mut client = Client::to(&proxy).await;
    let (response, _) = client.begin(get("/?delay=400ms"), true).await;
    assert_eq!(whole(response).await.head.status(), 200);
    timeout(PATIENCE, client.connection).await.unwrap().unwrap().unwrap();
    // By HTTP/1, too.
    let mut client = proxy.client().await;
    assert_eq!(client.get("/").await.field("connection"), None);
    tokio::time::sleep(Duration::from_millis(120)).await;
    assert_eq!(client.get("/").await.field("connection"), Some("close"));
    client.is_closed().await;
}

#[tokio::test]
async fn a_preface_that_comes_in_pieces_is_understood_and_so_is_what_only_looks_like_one() {
    let server = server().await;
    let proxy = Proxy::before(&[&server]);
    let mut client = proxy.client().await;
    for piece in ["PRI * HT", "TP/2.0\r\n", "\r\nSM\r\n\r", "\n\0\0\0\x04\0\0\0\0\0"] {
        client.send(piece).await;
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    // SETTINGS.
    assert_eq!(client.exactly(9).await[3], 4);
    let mut client = proxy.client().await;
    for piece in ["P", "RI", " / HTTP/1.1\r\nHost: a\r\n\r\n"] {
        client.send(piece).await;
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(client.answer().await.status, 200);
    assert!(received(&server)[0].starts_with("PRI / HTTP/1.1\r\n"));
}

#[tokio::test]
async fn requests_that_are_not_http_are_refused() {
    let server = server().await;
    let proxy = Proxy::before(&[&server]);
    let mut client = Client::to(&proxy).await;
    let refused = [
        (Request::builder().uri("ftp://a.example/"), 400),
        (Request::builder().method("CONNECT").uri("a.example:443"), 501),
        (get("/").header("host", "b.example"), 400),
        (get("/a/%2e%2e/%2e%2e/b"), 400),
    ];
    for (request, status) in refused {
        let shown = format!("{request:?}");
        let (response, _) = client.begin(request, true).await;
        let answer = whole(response).await;
        assert_eq!(answer.head.status(), status, "{shown} {}", answer.json());
    }
    assert_eq!(server.counts().requests, 0);
}

/// RFC 8441
#[tokio::test]
async fn a_websocket_on_a_stream_reaches_an_endpoint_of_http_1() {
    let server = server().await;
    let proxy = Proxy::before(&[&server]);
    let mut client = Client::to(&proxy).await;
    client.get("/").await;
    assert!(client.send.is_extended_connect_protocol_enabled());
    let mut request =
        get("/ws").method("CONNECT").header("sec-websocket-version", "13").body(()).unwrap();
    request.extensions_mut().insert(h2::ext::Protocol::from_static("websocket"));
    let mut send = client.send.clone().ready().await.unwrap();
    let (response, mut out) = send.send_request(request, false).unwrap();
    let response = timeout(PATIENCE, response).await.unwrap().unwrap();
    assert_eq!(response.status(), 200);
    assert!(!response.headers().contains_key("upgrade"), "{response:?}");
    let mut body = response.into_body();
    // A message whose mask changes nothing, and a close (RFC 6455, section 5.2).
    out.send_data(Bytes::from_static(b"\x81\x85\0\0\0\0hello"), false).unwrap();
    let echo = timeout(PATIENCE, body.data()).await.unwrap().unwrap().unwrap();
    assert_eq!(echo, &b"\x81\x05hello"[..]);
    out.send_data(Bytes::from_static(b"\x88\x80\0\0\0\0"), true).unwrap();
    assert_eq!(rest(body).await.0, b"\x88\0");
    proxy.ended(2).await;
    assert_eq!(proxy.backend().members()[0].endpoint.in_flight(), 0);
    // A success without a tunnel is none.
    let mut request = get("/").method("CONNECT").body(()).unwrap();
    request.extensions_mut().insert(h2::ext::Protocol::from_static("websocket"));
    let mut send = client.send.clone().ready().await.unwrap();
    let (response, _out) = send.send_request(request, false).unwrap();
    let response = timeout(PATIENCE, response).await.unwrap().unwrap();
    assert_eq!(response.status(), 502);
    assert_eq!(response.headers()["proxy-status"], "outrigger; error=http_upgrade_failed");
    assert!(!rest(response.into_body()).await.0.is_empty());
}
