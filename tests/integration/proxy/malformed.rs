//! Answers of endpoints that are not valid, or could be understood in two ways.

use super::harness::{Proxy, eventually, server};
use testserver::Step;

#[tokio::test]
async fn a_malformed_answer_is_a_502_and_the_end_of_its_connection() {
    let server = server().await;
    let proxy = Proxy::before(&[&server]);
    let mut client = proxy.client().await;
    for (number, (what, reason)) in [
        ("status-line", "response_malformed"),
        ("two-lengths", "response_malformed"),
        ("length-and-chunked", "response_malformed"),
        ("bad-length", "response_malformed"),
        ("obs-fold", "response_malformed"),
        ("name-space", "response_malformed"),
        ("nul", "response_malformed"),
        ("not-http", "response_malformed"),
        ("huge-header", "response_head_too_large"),
    ]
    .into_iter()
    .enumerate()
    {
        let answer = client.get(&format!("/malformed/{what}")).await;
        assert_eq!((answer.status, &*answer.reason()), (502, reason), "{what}");
        let error = match reason {
            "response_head_too_large" => "http_response_header_section_size",
            _ => "http_protocol_error",
        };
        assert_eq!(answer.field("proxy-status"), Some(&*format!("outrigger; error={error}")));
        eventually(&server, |counts| counts.open_connections == 0).await;
        assert_eq!(server.counts().requests, number as u64 + 1, "{what} was tried again");
    }
}

#[tokio::test]
async fn bare_line_feeds_in_an_answer_become_lines_for_everybody() {
    let server = server().await;
    let proxy = Proxy::before(&[&server]);
    let answer = proxy.get("/malformed/bare-lf").await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.field("x-bare"), Some("one"));
    assert_eq!(answer.field("x-smuggled"), Some("two"));
    assert!(!answer.head.replace("\r\n", "").contains('\n'), "{:?}", answer.head);
}

#[tokio::test]
async fn a_malformed_chunk_cuts_the_answer_short() {
    let server = server().await;
    let proxy = Proxy::before(&[&server]);
    let mut client = proxy.client().await;
    client.send("GET /malformed/bad-chunk HTTP/1.1\r\nHost: a\r\n\r\n").await;
    let (bytes, _) = client.rest().await;
    let text = String::from_utf8(bytes).unwrap();
    assert!(text.starts_with("HTTP/1.1 200 OK\r\n") && text.ends_with("\r\n\r\n"), "{text}");
    assert!(!text.contains("0\r\n\r\n"), "{text}");
    eventually(&server, |counts| counts.open_connections == 0).await;
}

/// An answer that nobody asked for must never become the answer to somebody else's request.
#[tokio::test]
async fn an_answer_too_many_is_given_to_nobody() {
    let server = server().await;
    let one = "HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\none";
    let two = "HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\ntwo";
    server.script("/later", [Step::send(one), Step::Hold, Step::send(two)]);
    let proxy = Proxy::before(&[&server]);
    let mut client = proxy.client().await;
    for _ in 0..3 {
        // Both in one piece.
        assert_eq!(client.get("/malformed/surplus").await.text(), "twenty-four bytes long.\n");
        assert_eq!(client.get("/").await.json()["message"], "ok");
        // The second while the connection idles.
        server.hold();
        assert_eq!(client.get("/later").await.text(), "one");
        server.release();
        eventually(&server, |counts| counts.in_flight == 0).await;
        assert_eq!(client.get("/").await.json()["message"], "ok");
    }
}

#[tokio::test]
async fn an_upgrade_that_nobody_asked_for_is_a_502() {
    let server = server().await;
    let switching = "HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\nconnection: upgrade\r\n\r\n";
    server.script("/101", [Step::send(switching), Step::Linger]);
    let proxy = Proxy::before(&[&server]);
    let answer = proxy.get("/101").await;
    assert_eq!((answer.status, answer.reason()), (502, "response_malformed".to_owned()));
}

#[tokio::test]
async fn a_bodyless_answer_with_a_body_does_not_leak_into_the_next() {
    let server = server().await;
    let smuggled = "HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nevil";
    let head = "HTTP/1.1 204 No Content\r\ncontent-length: 43\r\n\r\n";
    server.script("/204", [Step::send(format!("{head}{smuggled}"))]);
    let proxy = Proxy::before(&[&server]);
    let mut client = proxy.client().await;
    assert_eq!(client.get("/204").await.status, 204);
    assert_eq!(client.get("/").await.json()["message"], "ok");
}
