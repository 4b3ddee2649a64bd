use testserver::Server;

use crate::client::{Client, Ended, ask};

const HEAD: &str = "HTTP/1.1 200 OK\r\nx-test-server: a\r\n";
const BODY: &str = "twenty-four bytes long.\n";

async fn server() -> Server {
    Server::builder().name("a").start().await.unwrap()
}

async fn get(server: &Server, target: &str) -> (String, Ended) {
    let mut client = Client::to(server).await;
    client.get(target).await;
    client.rest().await
}

#[tokio::test]
async fn a_connection_ends_at_the_chosen_point_by_close_or_by_reset() {
    let server = server().await;
    for (at, sent) in [
        ("request", String::new()),
        ("before-head", String::new()),
        ("mid-head", "HTTP/1.1 200 OK\r\nx-test-serv".to_owned()),
        ("after-head", format!("{HEAD}content-length: 24\r\n\r\n")),
        ("mid-body", format!("{HEAD}content-length: 24\r\n\r\ntwenty-four ")),
        (
            "mid-chunk",
            format!(
                "{HEAD}transfer-encoding: chunked\r\n\r\nc\r\ntwenty-four \r\n18\r\ntwenty-four by"
            ),
        ),
    ] {
        assert_eq!(get(&server, &format!("/close?at={at}")).await, (sent.clone(), Ended::Closed));
        let (received, ended) = get(&server, &format!("/close?at={at}&reset&pause=1ms")).await;
        assert_eq!((received, ended), (sent, Ended::Reset), "{at}");
    }
    assert!(ask(&server, "GET /close?at=noon HTTP/1.1", "").await.contains("'at=noon'"));
}

#[tokio::test]
async fn a_connection_ends_with_the_body_of_the_request_unread() {
    let server = server().await;
    let mut client = Client::to(&server).await;
    client
        .send("PUT /close?at=request HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n")
        .await;
    assert_eq!(client.rest().await, (String::new(), Ended::Closed));
}

#[tokio::test]
async fn an_idle_connection_is_ended_after_its_time() {
    let server = server().await;
    for (query, ended) in [("", Ended::Closed), ("&reset", Ended::Reset)] {
        let (answer, how) = get(&server, &format!("/close-idle?after=20ms{query}")).await;
        assert!(answer.ends_with(BODY) && !answer.contains("connection:"), "{answer}");
        assert_eq!(how, ended);
    }
    // One that is not idle goes on.
    let mut client = Client::to(&server).await;
    client.get("/close-idle?after=1m").await;
    client.until(BODY).await;
    client.get("/health").await;
    assert!(client.until("}").await.ends_with(r#"{"message":"ok"}"#));
}

#[tokio::test]
async fn the_next_request_meets_a_closed_connection() {
    let server = server().await;
    for (query, ended) in [("", Ended::Closed), ("?reset", Ended::Reset)] {
        let mut client = Client::to(&server).await;
        client.get(&format!("/close-next{query}")).await;
        client.until(BODY).await;
        server.wait_for_in_flight(0).await;
        client.get("/").await;
        assert_eq!(client.rest().await, (String::new(), ended));
    }
    assert_eq!(server.requests_to("/"), 0);
}

#[tokio::test]
async fn early_hints_precede_the_answer() {
    let server = server().await;
    let mut client = Client::to(&server).await;
    client.get("/early-hints?between=5ms").await;
    assert_eq!(
        client.head().await,
        "HTTP/1.1 103 Early Hints\r\nx-test-server: a\r\n\
         link: </style.css>; rel=preload; as=style\r\n\r\n"
    );
    assert_eq!(client.until(BODY).await, format!("{HEAD}content-length: 24\r\n\r\n{BODY}"));
}

#[tokio::test]
async fn an_http_1_0_answer_ends_by_the_close_or_keeps_the_connection() {
    let server = server().await;
    let (answer, ended) = get(&server, "/http10").await;
    assert_eq!(answer, format!("HTTP/1.0 200 OK\r\nx-test-server: a\r\n\r\n{BODY}"));
    assert_eq!(ended, Ended::Closed);

    let mut client = Client::to(&server).await;
    for _ in 0..2 {
        client.get("/http10?keepalive").await;
        assert_eq!(
            client.until(BODY).await,
            format!(
                "HTTP/1.0 200 OK\r\nx-test-server: a\r\nconnection: keep-alive\r\n\
                 content-length: 24\r\n\r\n{BODY}"
            )
        );
    }
}

#[tokio::test]
async fn malformed_answers_are_malformed_as_named() {
    let server = server().await;
    let huge = format!("{HEAD}x-huge: {}\r\ncontent-length: 24\r\n\r\n{BODY}", "h".repeat(3000));
    for (what, expected) in [
        (
            "status-line",
            format!("HTTP/1.1 2x0 OK\r\nx-test-server: a\r\ncontent-length: 24\r\n\r\n{BODY}"),
        ),
        ("two-lengths", format!("{HEAD}content-length: 24\r\ncontent-length: 5\r\n\r\n{BODY}")),
        (
            "length-and-chunked",
            format!(
                "{HEAD}content-length: 24\r\ntransfer-encoding: chunked\r\n\r\n\
                 18\r\n{BODY}\r\n0\r\n\r\n"
            ),
        ),
        ("bad-length", format!("{HEAD}content-length: +24\r\n\r\n{BODY}")),
        ("bad-chunk", format!("{HEAD}transfer-encoding: chunked\r\n\r\nzz\r\n{BODY}")),
        ("obs-fold", format!("{HEAD}x-folded: one\r\n two\r\ncontent-length: 24\r\n\r\n{BODY}")),
        ("name-space", format!("{HEAD}x-space : one\r\ncontent-length: 24\r\n\r\n{BODY}")),
        (
            "bare-lf",
            format!("{HEAD}x-bare: one\nx-smuggled: two\r\ncontent-length: 24\r\n\r\n{BODY}"),
        ),
        ("nul", format!("{HEAD}x-nul: o\0ne\r\ncontent-length: 24\r\n\r\n{BODY}")),
        ("huge-header?size=3000", huge),
        ("not-http", "220 a ready for mail\r\n".to_owned()),
    ] {
        let received = get(&server, &format!("/malformed/{what}")).await;
        assert_eq!(received, (expected, Ended::Closed), "{what}");
    }
}

#[tokio::test]
async fn a_surplus_answer_stays_on_a_connection_that_goes_on() {
    let server = server().await;
    let mut client = Client::to(&server).await;
    client.get("/malformed/surplus").await;
    assert_eq!(client.until(BODY).await, format!("{HEAD}content-length: 24\r\n\r\n{BODY}"));
    assert!(client.until("nobody asked for this\n").await.contains("x-surplus: 1"));
    client.get("/").await;
    assert!(client.until("}").await.starts_with(HEAD));
}

#[tokio::test]
async fn an_answer_can_drip_a_byte_at_a_time() {
    let server = server().await;
    let mut client = Client::to(&server).await;
    let begun = tokio::time::Instant::now();
    let answer = ask(&server, "GET /bytes/26?drip=1ms HTTP/1.1", "").await;
    assert!(answer.ends_with("\r\n\r\nabcdefghijklmnopqrstuvwxyz"), "{answer}");
    // Of the head, too: it alone has more than as many bytes again.
    assert!(begun.elapsed().as_millis() >= 52, "{:?}", begun.elapsed());
    // The next request on a connection is answered as ever.
    client
        .send("GET /bytes/1?drip=1ms HTTP/1.1\r\nHost: x\r\n\r\nGET /bytes/26 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        .await;
    let (answers, _) = client.rest().await;
    assert!(answers.ends_with("abcdefghijklmnopqrstuvwxyz"), "{answers}");
}
