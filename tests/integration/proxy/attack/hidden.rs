//! Requests inside of others: in bodies that one reader does not expect, before an answer, or behind a promise to switch protocols.

use super::{Arrive, HIDDEN, Must, attack};

/// S1
#[tokio::test]
async fn a_body_is_a_body_whatever_the_method() {
    let mut vectors: Vec<(Vec<u8>, Must)> = Vec::new();
    for method in ["GET", "HEAD", "DELETE", "OPTIONS", "TRACE", "get", "PUT"] {
        let length = HIDDEN.len();
        vectors.push((
            format!(
                "{method} {{it}} HTTP/1.1\r\nHost: a\r\nContent-Length: {length}\r\n\r\n{HIDDEN}"
            )
            .into_bytes(),
            Arrive(HIDDEN),
        ));
        vectors.push((
            format!(
                "{method} {{it}} HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n{length:x}\r\n{HIDDEN}\r\n0\r\n\r\n"
            )
            .into_bytes(),
            Arrive(HIDDEN),
        ));
    }
    attack(vectors).await;
}

/// S1: an expectation changes nothing of where the body ends, whoever asks for it.
#[tokio::test]
async fn an_expectation_hides_nothing() {
    let length = HIDDEN.len();
    let with = |fields: &str| {
        let head = format!(
            "POST {{it}} HTTP/1.1\r\nHost: a\r\n{fields}\r\nContent-Length: {length}\r\n\r\n"
        );
        (format!("{head}{HIDDEN}").into_bytes(), Arrive(HIDDEN))
    };
    attack(vec![
        with("Expect: 100-continue"),
        with("Expect: 100-Continue"),
        with("Expect: 100-continue\r\nConnection: expect"),
        with("Expect:\t100-continue "),
    ])
    .await;
}

/// S1: no tunnel before the 101, and none for who does not get one.
#[tokio::test]
async fn a_wish_to_switch_protocols_hides_nothing() {
    let length = HIDDEN.len();
    let mut vectors: Vec<(Vec<u8>, Must)> = Vec::new();
    for protocol in [
        "websocket",
        "echo",
        "h2c",
        "HTTP/2.0",
        "TLS/1.0",
        "x",
        "x, h2c",
        "x,\u{a0}h2c",
        "x;h2c",
        "x h2c",
        "x/1/h2c",
        "\"h2c\"",
    ] {
        let fields = format!("Connection: upgrade\r\nUpgrade: {protocol}");
        vectors.push((
            format!("POST {{it}} HTTP/1.1\r\nHost: a\r\n{fields}\r\nContent-Length: {length}\r\n\r\n{HIDDEN}").into_bytes(),
            Arrive(HIDDEN),
        ));
        vectors.push((
            format!("GET {{it}} HTTP/1.1\r\nHost: a\r\n{fields}\r\n\r\n").into_bytes(),
            Arrive(""),
        ));
    }
    let settings =
        "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__";
    vectors.push((
        format!("GET {{it}} HTTP/1.1\r\nHost: a\r\n{settings}\r\n\r\n").into_bytes(),
        Arrive(""),
    ));
    for request in attack(vectors).await.into_iter().flatten() {
        assert_eq!(request.values("http2-settings"), Vec::<&str>::new());
        assert!(!request.values("upgrade").concat().contains("h2c"), "{request:?}");
    }
}
