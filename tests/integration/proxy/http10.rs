//! HTTP/1.0 at either end: no chunks, and the connection's end where it is not asked to stay.

use super::harness::{Proxy, received, server};

#[tokio::test]
async fn an_old_client_gets_no_chunks_and_the_close() {
    let server = server().await;
    let proxy = Proxy::before(&[&server]);
    for target in ["/bytes/100", "/bytes/100?chunked", "/bytes/100?close", "/trailers"] {
        let mut client = proxy.client().await;
        client.send(format!("GET {target} HTTP/1.0\r\nTE: trailers\r\n\r\n")).await;
        let answer = client.answer().await;
        assert_eq!(answer.field("transfer-encoding"), None, "{}", answer.head);
        match target {
            "/trailers" => assert_eq!(answer.text(), "with trailers\n"),
            _ => assert_eq!(answer.body, testserver::pattern(100)),
        }
        client.is_closed().await;
    }
    // Upstream it is HTTP/1.1 all the same.
    let line_and_host = format!("GET /bytes/100 HTTP/1.1\r\nhost: {}\r\n", server.address());
    assert!(received(&server)[0].starts_with(&line_and_host));
    assert!(received(&server)[0].contains("via: 1.0 outrigger\r\n"));
}

#[tokio::test]
async fn an_old_client_may_ask_for_its_connection_to_stay() {
    let server = server().await;
    let proxy = Proxy::before(&[&server]);
    let mut client = proxy.client().await;
    for _ in 0..3 {
        client.send("GET /bytes/5 HTTP/1.0\r\nHost: a\r\nConnection: keep-alive\r\n\r\n").await;
        let answer = client.answer().await;
        assert_eq!(answer.field("connection"), Some("keep-alive"), "{}", answer.head);
        assert_eq!(answer.text(), "abcde");
    }
    // A body whose length nobody knows can only end with the connection.
    client.send("GET /bytes/5?chunked HTTP/1.0\r\nHost: a\r\nConnection: keep-alive\r\n\r\n").await;
    let answer = client.answer().await;
    assert_ne!(answer.field("connection"), Some("keep-alive"), "{}", answer.head);
    assert_eq!(answer.text(), "abcde");
    client.is_closed().await;
}

#[tokio::test]
async fn an_old_client_waits_for_no_100_and_cannot_upgrade() {
    let server = server().await;
    let proxy = Proxy::before(&[&server]);
    let answer = proxy
        .ask("POST /echo HTTP/1.0\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\nhi")
        .await;
    assert_eq!((answer.status, &answer.json()["body"]["text"]), (200, &"hi".into()));
    let answer =
        proxy.ask("GET /upgrade HTTP/1.0\r\nConnection: upgrade\r\nUpgrade: echo\r\n\r\n").await;
    assert_eq!(answer.status, 200);
    assert!(!received(&server).concat().contains("upgrade: echo"));
}

#[tokio::test]
async fn an_old_endpoint_is_understood() {
    let server = server().await;
    let proxy = Proxy::before(&[&server]);
    let mut client = proxy.client().await;
    for target in ["/http10", "/http10?keepalive", "/http10?keepalive", "/http10"] {
        assert_eq!(client.get(target).await.text(), "twenty-four bytes long.\n");
    }
    // The close ends the first; three share the second, which asked to stay.
    assert_eq!(server.counts().connections, 2);
}

#[tokio::test]
async fn an_old_endpoint_gets_no_chunks() {
    let server = server().await;
    let proxy = Proxy::before(&[&server]);
    let mut client = proxy.client().await;
    client.get("/http10?keepalive").await;
    client
        .send(
            "POST /http10?keepalive HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n\
             3\r\nabc\r\n4\r\ndefg\r\n0\r\nx-sum: 1\r\n\r\n",
        )
        .await;
    assert_eq!(client.answer().await.status, 200);
    let second = received(&server).concat();
    let second = &second[second.rfind("POST").unwrap()..];
    assert!(second.contains("\r\ncontent-length: 7\r\n"), "{second}");
    assert!(!second.contains("transfer-encoding"), "{second}");
    assert!(second.ends_with("\r\n\r\nabcdefg"), "{second}");
}

#[tokio::test]
async fn an_upload_that_an_old_endpoint_cannot_take_is_a_411() {
    let server = server().await;
    let proxy = Proxy::before(&[&server]);
    proxy.get("/http10").await;
    let mut client = proxy.client().await;
    let body = "x".repeat(70_000);
    client
        .send(format!(
            "POST /sink HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n{:x}\r\n{body}\r\n0\r\n\r\n",
            body.len()
        ))
        .await;
    let answer = client.answer().await;
    assert_eq!((answer.status, answer.reason()), (411, "length_required".to_owned()));
    assert_eq!(server.requests_to("/sink"), 0);
    // With a length it goes through.
    let answer = proxy.client().await.post("/sink", &body).await;
    assert_eq!(answer.json()["length"], 70_000);
}
