//! Connections to endpoints are used again, and those that endpoints close in between hurt nobody.

use super::harness::{Config, Proxy, eventually, server};
use testserver::Step;

#[tokio::test]
async fn one_connection_carries_request_after_request() {
    let server = server().await;
    let proxy = Proxy::before(&[&server]);
    let mut client = proxy.client().await;
    for target in ["/", "/bytes/100000", "/bytes/10?chunked", "/trailers", "/status/404"] {
        client.get(target).await;
        client.post("/echo", "body").await;
    }
    // Another client's requests go the same way.
    proxy.get("/").await;
    assert_eq!((server.counts().connections, server.counts().requests), (1, 11));
}

#[tokio::test]
async fn requests_at_the_same_time_have_connections_of_their_own() {
    let server = server().await;
    let proxy = Proxy::before(&[&server]);
    let (mut one, mut two) = (proxy.client().await, proxy.client().await);
    let both = async { tokio::join!(one.get("/hold"), two.get("/hold")) };
    let release = async {
        server.wait_for_in_flight(2).await;
        server.release();
    };
    let ((one, two), ()) = tokio::join!(both, release);
    assert_eq!((one.status, two.status, server.counts().connections), (200, 200, 2));
}

#[tokio::test]
async fn a_connection_that_the_endpoint_is_to_close_is_not_used_again() {
    let server = server().await;
    server.script(
        "/close",
        [Step::send("HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 2\r\n\r\nok")],
    );
    let proxy = Proxy::before(&[&server]);
    let mut client = proxy.client().await;
    for connections in 1..4 {
        assert_eq!(client.get("/close").await.text(), "ok");
        eventually(&server, |counts| counts.open_connections == 0).await;
        assert_eq!(server.counts().connections, connections);
    }
}

/// B7: the endpoint closed first, and everybody could know it.
#[tokio::test]
async fn a_connection_closed_while_idle_costs_no_request() {
    for reset in ["", "&reset"] {
        let server = server().await;
        let proxy = Config::to(&[&server]).retry("attempts: 0").start();
        let mut client = proxy.client().await;
        for number in 1..=10 {
            assert_eq!(client.get(&format!("/close-idle?after=1ms{reset}")).await.status, 200);
            eventually(&server, |counts| counts.open_connections == 0).await;
            // Not idempotent: it must not even be risked on the old connection.
            let answer = client.post("/echo", "body").await;
            assert_eq!((answer.status, &answer.json()["body"]["text"]), (200, &"body".into()));
            assert_eq!(server.requests_to("/echo"), number);
            server.close_connections();
            eventually(&server, |counts| counts.open_connections == 0).await;
        }
    }
}

/// B7: the endpoint closes just as the request arrives.
#[tokio::test]
async fn an_idempotent_request_that_meets_a_closing_connection_is_sent_again() {
    for reset in ["", "?reset"] {
        let server = server().await;
        let proxy = Config::to(&[&server]).retry("attempts: 0").start();
        let mut client = proxy.client().await;
        for _ in 0..10 {
            assert_eq!(client.get(&format!("/close-next{reset}")).await.status, 200);
            let request = "PUT /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nbody";
            client.send(request).await;
            assert_eq!(client.answer().await.json()["body"]["text"], "body");
        }
    }
}

/// A connection that fails in the middle of the work is not one that had been closed while it idled.
#[tokio::test]
async fn a_request_that_kills_its_endpoint_is_not_sent_to_it_again() {
    for step in [Step::Close, Step::Reset] {
        let server = server().await;
        let pause = std::time::Duration::from_millis(400);
        server.script("/echo", [Step::ReadBody, Step::Pause(pause), step]);
        let proxy = Config::to(&[&server]).retry("attempts: 0").start();
        let mut client = proxy.client().await;
        assert_eq!(client.get("/").await.status, 200);
        let answer = client.get("/echo").await;
        assert_eq!((answer.status, answer.reason()), (502, "connection_closed".to_owned()));
        assert_eq!((server.requests_to("/echo"), server.counts().connections), (1, 1));
    }
}

#[tokio::test]
async fn a_post_that_meets_a_closing_connection_is_not_sent_twice() {
    let server = server().await;
    let proxy = Proxy::before(&[&server]);
    let mut client = proxy.client().await;
    assert_eq!(client.get("/close-next").await.status, 200);
    let answer = client.post("/echo", "body").await;
    assert_eq!((answer.status, answer.reason()), (502, "connection_closed".to_owned()));
    assert_eq!(server.requests_to("/echo"), 0);
    assert_eq!(server.counts().connections, 1);
}

#[tokio::test]
async fn a_client_asks_for_the_end_of_its_own_connection_only() {
    let server = server().await;
    let proxy = Proxy::before(&[&server]);
    for _ in 0..3 {
        let mut client = proxy.client().await;
        client.send("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").await;
        assert_eq!(client.answer().await.field("connection"), Some("close"));
        client.is_closed().await;
    }
    assert_eq!(server.counts().connections, 1);
}
