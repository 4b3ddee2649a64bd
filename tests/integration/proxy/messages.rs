//! Which messages have bodies, and in which order they go.

use super::harness::{Proxy, received, server};

#[tokio::test]
async fn a_head_request_has_the_fields_of_get_and_no_body() {
    let server = server().await;
    let proxy = Proxy::before(&[&server]);
    let mut client = proxy.client().await;
    client.send("HEAD /bytes/1000 HTTP/1.1\r\nHost: a\r\n\r\n").await;
    let answer = client.answer_without_body().await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.field("content-length"), Some("1000"));
    client.send("HEAD /bytes/1000?chunked HTTP/1.1\r\nHost: a\r\n\r\n").await;
    let answer = client.answer_without_body().await;
    assert_eq!(answer.field("content-length"), None, "{answer:?}");
    // Both connections live on.
    assert_eq!(client.get("/").await.status, 200);
    assert_eq!(server.counts().connections, 1);
}

#[tokio::test]
async fn answers_204_and_304_have_no_body() {
    let server = server().await;
    let scripted = "HTTP/1.1 304 Not Modified\r\ncontent-length: 1000\r\netag: \"x\"\r\n\r\n";
    server.script("/304", [testserver::Step::send(scripted)]);
    let proxy = Proxy::before(&[&server]);
    let mut client = proxy.client().await;
    for (target, status) in [("/status/204", 204), ("/status/304", 304), ("/304", 304)] {
        let answer = client.get(target).await;
        assert_eq!((answer.status, answer.fields("transfer-encoding")), (status, vec![]));
        if status == 204 {
            assert_eq!(answer.field("content-length"), None);
        }
    }
    assert_eq!(client.get("/").await.status, 200);
    assert_eq!(server.counts().connections, 1);
}

#[tokio::test]
async fn pipelined_requests_are_answered_in_order() {
    let server = server().await;
    let proxy = Proxy::before(&[&server]);
    let mut client = proxy.client().await;
    client
        .send(
            "GET /status/201?hold HTTP/1.1\r\nHost: a\r\n\r\n\
             POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc\
             POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\ndef\r\n0\r\n\r\n\
             HEAD /bytes/9 HTTP/1.1\r\nHost: a\r\n\r\n\
             GET /status/404 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
        )
        .await;
    server.wait_for_requests(1).await;
    server.release();
    assert_eq!(client.answer().await.status, 201);
    assert_eq!(client.answer().await.json()["body"]["text"], "abc");
    assert_eq!(client.answer().await.json()["body"]["text"], "def");
    assert_eq!(client.answer_without_body().await.field("content-length"), Some("9"));
    assert_eq!(client.answer().await.status, 404);
    client.is_closed().await;
    assert_eq!(server.counts().max_in_flight, 1);
}

#[tokio::test]
async fn connect_is_refused_and_reaches_no_endpoint() {
    let server = server().await;
    let proxy = Proxy::before(&[&server]);
    let answer = proxy.ask("CONNECT a.example:443 HTTP/1.1\r\nHost: a.example:443\r\n\r\n").await;
    assert_eq!((answer.status, answer.reason()), (501, "connect_method".to_owned()));
    assert_eq!(server.counts().connections, 0);
}

#[tokio::test]
async fn interim_answers_are_not_taken_for_the_final_one() {
    let server = server().await;
    let proxy = Proxy::before(&[&server]);
    for target in ["/early-hints", "/early-hints?between=1ms"] {
        let mut client = proxy.client().await;
        assert_eq!(client.get(target).await.status, 103);
        let answer = client.answer().await;
        assert_eq!((answer.status, answer.text()), (200, "twenty-four bytes long.\n"));
    }
}

#[tokio::test]
async fn the_target_arrives_in_its_normal_form() {
    let server = server().await;
    let proxy = Proxy::before(&[&server]);
    for (sent, expected) in [
        ("/echo?q=%20%2F&q=a+b", "/echo?q=%20%2F&q=a+b"),
        ("http://a.example/echo?x", "/echo?x"),
        ("http://a.example", "/"),
        ("/a//b/%2e/./c;d=e", "/a//b/c;d=e"),
    ] {
        proxy.ask(format!("GET {sent} HTTP/1.1\r\nHost: a.example\r\n\r\n")).await;
        let line = format!("GET {expected} HTTP/1.1\r\n");
        let all = received(&server).concat();
        assert!(all[all.rfind("GET ").unwrap()..].starts_with(&line), "{sent}: {all}");
    }
    proxy.ask("OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n").await;
    assert!(received(&server).concat().contains("OPTIONS * HTTP/1.1\r\n"));
}
