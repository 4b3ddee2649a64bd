//! What concerns one connection only, and when it ends (RFC 9112, section 9; RFC 9110, sections 7.6.1 and 7.8).

use super::super::harness::{Config, Proxy, eventually, received, server};
use super::{answered, forward, values};
use tokio::net::{TcpListener, TcpStream};

#[tokio::test]
async fn nothing_behind_a_request_that_closes_is_answered() {
    for close in ["close", "Close", "x-a, CLOSE", "keep-alive, close"] {
        let server = server().await;
        let proxy = Proxy::before(&[&server]);
        let mut client = proxy.client().await;
        client
            .send(format!(
                "GET / HTTP/1.1\r\nHost: a\r\nConnection: {close}\r\n\r\n\
                 GET /next HTTP/1.1\r\nHost: a\r\n\r\n"
            ))
            .await;
        let answer = client.answer().await;
        assert_eq!((answer.status, answer.field("connection")), (200, Some("close")), "{close}");
        client.is_closed().await;
        assert!(!received(&server).concat().contains("/next"), "{close}");
    }
}

#[tokio::test]
async fn fields_that_connection_names_end_here_however_it_is_written() {
    let fields = "X-A: 1\r\nConnection: , X-A ,,x-B\r\nCONNECTION: X-C\r\nX-B: 2\r\nx-c: 3\r\nX-D: 4\r\nX-A: 5\r\n";
    let (_, upstream) = forward(format!("GET / HTTP/1.1\r\nHost: a\r\n{fields}\r\n")).await;
    for name in ["x-a", "x-b", "x-c", "connection"] {
        assert_eq!(values(&upstream, name), Vec::<&str>::new(), "{upstream}");
    }
    assert_eq!(values(&upstream, "x-d"), ["4"]);
    let head = answered(format!("HTTP/1.1 200 OK\r\n{fields}Content-Length: 0\r\n\r\n"))
        .await
        .to_lowercase();
    for name in ["x-a", "x-b", "x-c"] {
        assert_eq!(values(&head, name), Vec::<&str>::new(), "{head}");
    }
    assert_eq!((values(&head, "x-d"), values(&head, "connection")), (vec!["4"], vec!["close"]));
}

/// What frames and routes a message is not for a client to take away.
#[tokio::test]
async fn connection_takes_away_neither_framing_nor_host() {
    for framing in
        ["Content-Length: 2\r\n\r\nhi", "Transfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n"]
    {
        let (answer, upstream) = forward(format!(
            "POST /echo HTTP/1.1\r\nHost: a\r\nVia: 1.1 one\r\n\
             Connection: host, content-length, transfer-encoding, via, connection\r\n{framing}"
        ))
        .await;
        assert_eq!(answer.json()["body"]["text"], "hi");
        assert_eq!(values(&upstream, "host"), ["a"]);
        assert_eq!(values(&upstream, "via").join(", "), "1.1 one, 1.1 outrigger");
    }
    let bytes = answered(
        "HTTP/1.1 200 OK\r\nConnection: content-length, transfer-encoding\r\nContent-Length: 2\r\n\r\nhi",
    )
    .await;
    assert_eq!(values(&bytes, "content-length"), ["2"]);
    assert!(bytes.ends_with("\r\n\r\nhi"), "{bytes}");
}

#[tokio::test]
async fn an_upgrade_that_connection_does_not_name_is_not_passed_on() {
    for fields in ["Upgrade: echo\r\n", "Upgrade: echo\r\nConnection: x-upgrade\r\n"] {
        let (answer, upstream) =
            forward(format!("GET /upgrade HTTP/1.1\r\nHost: a\r\n{fields}\r\n")).await;
        assert_eq!(answer.status, 200);
        assert_eq!(values(&upstream, "upgrade"), Vec::<&str>::new());
    }
}

#[tokio::test]
async fn a_426_says_what_to_upgrade_to() {
    let server = server().await;
    let step = testserver::Step::send(
        "HTTP/1.1 426 Upgrade Required\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nContent-Length: 0\r\n\r\n",
    );
    server.script("/it", [step]);
    let proxy = Proxy::before(&[&server]);
    let mut client = proxy.client().await;
    let answer = client.get("/it").await;
    assert_eq!((answer.status, answer.field("upgrade")), (426, Some("websocket")));
    assert_eq!(answer.field("connection"), Some("upgrade"));
    // It says so without the end of the connection, and with it.
    client.send("GET /it HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").await;
    let answer = client.answer().await;
    assert_eq!(answer.field("connection"), Some("upgrade, close"));
    client.is_closed().await;
}

#[tokio::test]
async fn a_client_that_closes_its_half_while_it_waits_has_gone() {
    let server = server().await;
    let proxy = Proxy::before(&[&server]);
    let mut client = proxy.client().await;
    client.send("GET /hold HTTP/1.1\r\nHost: a\r\n\r\n").await;
    server.wait_for_in_flight(1).await;
    client.finish().await;
    eventually(&server, |counts| counts.abandoned == 1).await;
    client.is_closed().await;
}

#[tokio::test]
async fn a_request_that_goes_round_in_circles_is_ended() {
    let rounds = |count: usize| {
        let via = vec!["1.1 outrigger"; count].join(", ");
        format!("GET / HTTP/1.1\r\nHost: a\r\nVia: 1.1 other\r\nVia: {via}\r\n\r\n")
    };
    let (answer, upstream) = forward(rounds(16)).await;
    assert_eq!((answer.status, upstream.matches("outrigger").count()), (200, 17));
    let (answer, upstream) = forward(rounds(17)).await;
    assert_eq!((answer.status, answer.reason(), &*upstream), (502, "loop".to_owned(), ""));
    assert_eq!(answer.field("proxy-status"), Some("outrigger; error=proxy_loop_detected"));
}

#[tokio::test]
async fn a_load_balancer_before_itself_comes_to_an_end() {
    let back = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let proxy = Config::to_urls(vec![format!("http://{}", back.local_addr().unwrap())]).start();
    let address = proxy.address;
    let relay = tokio::spawn(async move {
        loop {
            let (mut from, _) = back.accept().await.unwrap();
            tokio::spawn(async move {
                let mut to = TcpStream::connect(address).await.unwrap();
                tokio::io::copy_bidirectional(&mut from, &mut to).await
            });
        }
    });
    let answer = proxy.get("/").await;
    assert_eq!((answer.status, answer.reason()), (502, "loop".to_owned()));
    relay.abort();
}

/// An endpoint that does not hear of the expectation sends no 100.
#[tokio::test]
async fn an_expectation_that_ends_here_is_not_waited_for() {
    let server = server().await;
    let proxy = Proxy::before(&[&server]);
    let mut client = proxy.client().await;
    let started = tokio::time::Instant::now();
    client
        .send(
            "POST /echo HTTP/1.1\r\nHost: a\r\nConnection: expect\r\nExpect: 100-continue\r\n\
             Content-Length: 2\r\n\r\n",
        )
        .await;
    assert_eq!(client.head().await, "HTTP/1.1 100 Continue\r\n\r\n");
    assert!(started.elapsed() < std::time::Duration::from_millis(900), "it was waited for");
    client.send("hi").await;
    assert_eq!(client.answer().await.json()["body"]["text"], "hi");
}
