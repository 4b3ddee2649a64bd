//! Our own answers: their status, their form, and a reason for machines.

use super::harness::{Config, Proxy, dead_port, server};

#[tokio::test]
async fn an_error_is_json_unless_text_is_wanted() {
    let (_reserved, dead) = dead_port();
    let proxy = Config::to_urls(vec![dead.clone()]).start();
    let ask = async |accept: &str| {
        proxy.ask(format!("GET / HTTP/1.1\r\nHost: a\r\n{accept}X-Request-Id: id-1\r\n\r\n")).await
    };
    for accept in ["", "Accept: */*\r\n", "Accept: application/json\r\n"] {
        let answer = ask(accept).await;
        assert_eq!(answer.field("content-type"), Some("application/json"));
        let expected = serde_json::json!({
            "status": 502,
            "error": "Bad Gateway",
            "reason": "connect_refused",
            "message": "no endpoint could be reached",
            "requestId": "id-1",
        });
        assert_eq!((answer.status, answer.json()), (502, expected));
        assert_eq!(answer.field("proxy-status"), Some("outrigger; error=connection_refused"));
    }
    let answer = ask("Accept: text/html,*/*;q=0.8\r\n").await;
    assert_eq!(answer.field("content-type"), Some("text/plain; charset=utf-8"));
    let expected = "502 Bad Gateway\nno endpoint could be reached\nreason: connect_refused\nrequest id: id-1\n";
    assert_eq!((answer.status, answer.text()), (502, expected));
}

#[tokio::test]
async fn an_error_says_the_id_that_was_made_and_no_address() {
    let (_reserved, dead) = dead_port();
    let proxy = Config::to_urls(vec![dead.clone()]).start();
    let answer = proxy.get("/").await;
    let id = answer.json()["requestId"].as_str().unwrap().to_owned();
    assert_eq!(uuid::Uuid::parse_str(&id).unwrap().get_version_num(), 7);
    let port = dead.rsplit(':').next().unwrap();
    assert!(!answer.text().contains(port), "{}", answer.text());
}

#[tokio::test]
async fn an_error_to_a_head_request_has_no_body() {
    let (_reserved, dead) = dead_port();
    let proxy = Config::to_urls(vec![dead]).start();
    let mut client = proxy.client().await;
    client.send("HEAD / HTTP/1.1\r\nHost: a\r\n\r\n").await;
    assert_eq!(client.answer_without_body().await.status, 502);
    client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n").await;
    assert_eq!(client.answer().await.status, 502);
}

#[tokio::test]
async fn answers_of_endpoints_are_not_touched() {
    let server = server().await;
    let proxy = Proxy::before(&[&server]);
    for status in [400, 404, 408, 413, 431, 500, 502, 503, 504] {
        let answer = proxy.get(&format!("/status/{status}")).await;
        assert_eq!((answer.status, &answer.json()["status"]), (status, &status.into()));
        assert_eq!(answer.field("proxy-status"), None);
    }
    assert_eq!(server.counts().requests, 9);
}

#[tokio::test]
async fn a_body_may_be_as_large_as_the_limit_and_no_larger() {
    let server = server().await;
    let proxy = Config::to(&[&server]).limits("maxBodyBytes: 10").start();
    let mut client = proxy.client().await;
    assert_eq!(client.post("/echo", "0123456789").await.json()["body"]["length"], 10);
    let chunked = "POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
    client.send(format!("{chunked}5\r\n01234\r\n5\r\n56789\r\n0\r\n\r\n")).await;
    assert_eq!(client.answer().await.json()["body"]["length"], 10);

    let requests = server.counts().requests;
    let answer = proxy.client().await.post("/echo", "0123456789a").await;
    assert_eq!((answer.status, answer.reason()), (413, "body_too_large".to_owned()));
    assert_eq!(server.counts().requests, requests, "its length was known beforehand");

    let mut client = proxy.client().await;
    client.send(format!("{chunked}5\r\n01234\r\n6\r\n56789a\r\n0\r\n\r\n")).await;
    let answer = client.answer().await;
    assert_eq!((answer.status, answer.reason()), (413, "body_too_large".to_owned()));
    assert_eq!(proxy.retries(), (0, 0));
}

/// Limits of the head are kept by hyper, whose answers have no body.
#[tokio::test]
async fn a_head_may_be_as_large_as_its_limits_and_no_larger() {
    let server = server().await;
    let proxy = Config::to(&[&server])
        .limits("maxHeaders: 10, maxHeaderBytes: 8Ki, headerTimeout: 20s")
        .start();
    let fields = |count: usize| {
        let fields: String = (0..count).map(|n| format!("X-{n}: {n}\r\n")).collect();
        format!("GET / HTTP/1.1\r\nHost: a\r\n{fields}\r\n")
    };
    assert_eq!(proxy.ask(fields(9)).await.status, 200);
    assert_eq!(proxy.ask(fields(10)).await.status, 431);
    let large =
        |size: usize| format!("GET / HTTP/1.1\r\nHost: a\r\nX-Large: {}\r\n\r\n", "x".repeat(size));
    assert_eq!(proxy.ask(large(7 * 1024)).await.status, 200);
    let mut client = proxy.client().await;
    client.send(large(9 * 1024)).await;
    assert_eq!(client.answer().await.status, 431);
    client.is_closed().await;
    assert_eq!(server.counts().requests, 2);
}

#[tokio::test]
async fn a_target_that_is_too_long_is_a_414() {
    let server = server().await;
    let proxy = Config::to(&[&server]).limits("maxHeaderBytes: 128Ki").start();
    let mut client = proxy.client().await;
    client.send(format!("GET /{} HTTP/1.1\r\nHost: a\r\n\r\n", "x".repeat(70_000))).await;
    assert_eq!(client.answer().await.status, 414);
    client.is_closed().await;
    assert_eq!(server.counts().requests, 0);
}
