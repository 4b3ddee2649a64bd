//! Where a message begins and ends (RFC 9112, sections 2, 6 and 7).

use super::super::harness::{Proxy, eventually, received, server};
use super::{answered, answered_to, forward, values};
use testserver::Step;

/// The part behind the first head.
fn body(message: &str) -> &str {
    message.split_once("\r\n\r\n").map_or("", |(_, body)| body)
}

#[tokio::test]
async fn empty_lines_before_a_request_are_skipped() {
    for lines in ["\r\n", "\r\n\r\n", "\n"] {
        let (answer, upstream) = forward(format!("{lines}GET / HTTP/1.1\r\nHost: a\r\n\r\n")).await;
        assert_eq!(answer.status, 200, "{lines:?}");
        assert!(upstream.starts_with("GET / HTTP/1.1\r\n"), "{upstream}");
    }
}

/// Old clients put a line more behind a body.
#[tokio::test]
async fn an_empty_line_behind_a_body_is_skipped() {
    let server = server().await;
    let proxy = Proxy::before(&[&server]);
    let mut client = proxy.client().await;
    for _ in 0..2 {
        client.send("POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi\r\n").await;
        assert_eq!(client.answer().await.json()["body"]["text"], "hi");
    }
    assert_eq!(received(&server).concat().matches("hi").count(), 2);
    assert!(!received(&server).concat().contains("hi\r\n"));
}

/// The length is not passed on, and nothing behind such a request is believed.
#[tokio::test]
async fn a_request_with_a_length_and_chunks_is_the_last_of_its_connection() {
    for fields in [
        "Content-Length: 5\r\nTransfer-Encoding: chunked",
        "Transfer-Encoding: chunked\r\nContent-Length: 5",
    ] {
        let server = server().await;
        let proxy = Proxy::before(&[&server]);
        let mut client = proxy.client().await;
        client
            .send(format!(
                "POST /echo HTTP/1.1\r\nHost: a\r\n{fields}\r\n\r\n2\r\nhi\r\n0\r\n\r\n\
                 GET /next HTTP/1.1\r\nHost: a\r\n\r\n"
            ))
            .await;
        let answer = client.answer().await;
        assert_eq!((answer.status, answer.field("connection")), (200, Some("close")));
        client.is_closed().await;
        let upstream = received(&server).concat();
        assert_eq!(values(&upstream, "content-length"), Vec::<&str>::new());
        assert_eq!(values(&upstream, "transfer-encoding"), ["chunked"]);
        assert_eq!(body(&upstream), "2\r\nhi\r\n0\r\n\r\n");
    }
}

#[tokio::test]
async fn a_transfer_coding_that_is_not_known_is_not_implemented() {
    for coding in [
        "gzip, chunked",
        "identity, chunked",
        "x;a=1, Chunked",
        "gzip\r\nTransfer-Encoding: chunked",
    ] {
        let server = server().await;
        let proxy = Proxy::before(&[&server]);
        let mut client = proxy.client().await;
        client
            .send(format!(
                "POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: {coding}\r\n\r\n0\r\n\r\n"
            ))
            .await;
        let answer = client.answer().await;
        let reason = "unknown_transfer_coding".to_owned();
        assert_eq!((answer.status, answer.reason()), (501, reason), "{coding}");
        assert_eq!(server.counts().requests, 0);
    }
}

#[tokio::test]
async fn a_coding_that_chunks_do_not_end_is_a_bad_request_and_the_end() {
    for coding in ["gzip", "identity", "chunked, gzip", "chunked, chunked"] {
        let server = server().await;
        let proxy = Proxy::before(&[&server]);
        let mut client = proxy.client().await;
        client
            .send(format!(
                "POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: {coding}\r\n\r\n\
                 0\r\n\r\nGET /next HTTP/1.1\r\nHost: a\r\n\r\n"
            ))
            .await;
        let answer = client.answer().await;
        assert_eq!((answer.status, answer.field("connection")), (400, Some("close")), "{coding}");
        client.is_closed().await;
        assert_eq!(server.counts().requests, 0);
    }
}

#[tokio::test]
async fn chunks_lose_their_extensions() {
    let (answer, upstream) = forward(
        "POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n\
         2;a=1;b=\"two words\"\r\nhi\r\n0;last\r\n\r\n",
    )
    .await;
    assert_eq!(answer.json()["body"]["text"], "hi");
    assert_eq!(body(&upstream), "2\r\nhi\r\n0\r\n\r\n");
    let bytes = answered(
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2;a=1\r\nhi\r\n0;last\r\n\r\n",
    )
    .await;
    assert_eq!(body(&bytes), "2\r\nhi\r\n0\r\n\r\n");
}

#[tokio::test]
async fn extensions_without_end_are_refused() {
    let long = "x".repeat(20_000);
    let (answer, upstream) = forward(format!(
        "POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n2;{long}\r\nhi\r\n0\r\n\r\n"
    ))
    .await;
    assert_eq!((answer.status, answer.reason()), (400, "body_broken".to_owned()));
    assert!(!upstream.contains("hi"), "{upstream}");
    let bytes = answered(format!(
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2;{long}\r\nhi\r\n0\r\n\r\n"
    ))
    .await;
    assert_eq!(body(&bytes), "");
}

#[tokio::test]
async fn sizes_of_chunks_are_read_in_all_their_digits() {
    let chunks = "000000000000000A\r\n0123456789\r\n0b\r\n0123456789a\r\n00\r\n\r\n";
    let rewritten = "a\r\n0123456789\r\nb\r\n0123456789a\r\n0\r\n\r\n";
    let server = server().await;
    let proxy = Proxy::before(&[&server]);
    let answer = proxy
        .ask(format!(
            "POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n{chunks}"
        ))
        .await;
    assert_eq!(answer.json()["body"]["text"], "01234567890123456789a");
    assert_eq!(body(&received(&server).concat()), rewritten);
    let bytes =
        answered(format!("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{chunks}")).await;
    assert_eq!(body(&bytes).to_lowercase(), rewritten);
}

#[tokio::test]
async fn a_request_cut_short_never_looks_whole() {
    for (fields, part) in
        [("Content-Length: 10", "half"), ("Transfer-Encoding: chunked", "4\r\nhalf\r\n")]
    {
        let server = server().await;
        let proxy = Proxy::before(&[&server]);
        let mut client = proxy.client().await;
        client.send(format!("POST /sink HTTP/1.1\r\nHost: a\r\n{fields}\r\n\r\n{part}")).await;
        eventually(&server, |counts| counts.in_flight == 1).await;
        client.finish().await;
        eventually(&server, |counts| counts.abandoned == 1 && counts.open_connections == 0).await;
        let upstream = received(&server).concat();
        assert!(part.starts_with(body(&upstream)), "{upstream}");
    }
}

#[tokio::test]
async fn an_answer_up_to_the_close_is_whole_unless_the_close_is_a_reset() {
    let server = server().await;
    let head = "HTTP/1.1 200 OK\r\n\r\npart";
    for (target, last) in [("/closed", Step::Close), ("/reset", Step::Reset)] {
        server.script(target, [Step::ReadBody, Step::send(head), Step::Hold, last]);
    }
    let proxy = Proxy::before(&[&server]);
    for (target, is_whole) in [("/closed", true), ("/reset", false)] {
        server.hold();
        let mut client = proxy.client().await;
        client.send(format!("GET {target} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")).await;
        let head = client.until("4\r\npart\r\n").await;
        assert!(head.contains("\r\ntransfer-encoding: chunked\r\n"), "{head}");
        server.release();
        let (rest, _) = client.rest().await;
        assert_eq!(rest == b"0\r\n\r\n", is_whole, "{target}: {rest:?}");
    }
}

#[tokio::test]
async fn a_request_without_a_length_has_no_body() {
    let server = server().await;
    let proxy = Proxy::before(&[&server]);
    let mut client = proxy.client().await;
    client
        .send("POST /echo HTTP/1.1\r\nHost: a\r\n\r\nGET /next HTTP/1.1\r\nHost: a\r\n\r\n")
        .await;
    assert_eq!(client.answer().await.json()["body"]["length"], 0);
    client.answer().await;
    let upstream = received(&server).concat();
    assert_eq!(values(&upstream, "content-length"), ["0"]);
    assert!(body(&upstream).starts_with("GET /next HTTP/1.1\r\n"), "{upstream}");
    // Where a body would be a surprise, its length is not told.
    let (_, upstream) = forward("DELETE / HTTP/1.1\r\nHost: a\r\n\r\n").await;
    assert_eq!(values(&upstream, "content-length"), Vec::<&str>::new());
}

#[tokio::test]
async fn trailers_of_an_answer_cannot_frame_nor_control() {
    let bytes = answered_to(
        "GET /it HTTP/1.1\r\nHost: a\r\nTE: trailers\r\nConnection: TE, close\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\
         Trailer: x-sum, content-length, host, set-cookie, cache-control\r\n\r\n\
         2\r\nhi\r\n0\r\nx-sum: 7\r\ncontent-length: 9\r\nhost: b\r\nset-cookie: a=1\r\n\
         cache-control: public\r\n\r\n",
    )
    .await;
    assert_eq!(body(&bytes), "2\r\nhi\r\n0\r\nx-sum: 7\r\n\r\n");
}

#[tokio::test]
async fn trailers_of_a_request_cannot_control() {
    let (answer, upstream) = forward(
        "POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\
         X-Sum: 7\r\nMax-Forwards: 0\r\nCache-Control: no-store\r\nExpect: 100-continue\r\n\r\n",
    )
    .await;
    assert_eq!(answer.status, 200);
    assert_eq!(body(&upstream), "2\r\nhi\r\n0\r\nx-sum: 7\r\n\r\n");
}

#[tokio::test]
async fn an_answer_in_a_coding_that_was_not_asked_for_is_a_502() {
    for coding in ["gzip, chunked", "gzip", "chunked\r\nTransfer-Encoding: chunked"] {
        let bytes = answered(format!(
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: {coding}\r\n\r\n2\r\nhi\r\n0\r\n\r\n"
        ))
        .await;
        assert!(bytes.starts_with("HTTP/1.1 502 Bad Gateway\r\n"), "{coding}: {bytes}");
    }
    let bytes =
        answered("HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n").await;
    assert!(bytes.starts_with("HTTP/1.1 502 Bad Gateway\r\n"), "{bytes}");
}
