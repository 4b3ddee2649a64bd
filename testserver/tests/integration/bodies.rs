use testserver::{Server, Step, pattern};

use crate::client::{Client, Ended, ask, eventually, json};

/// The answer's head and its body, chunks put together, with what follows the last chunk.
fn split(answer: &str) -> (String, Vec<u8>, String) {
    let (head, mut rest) = answer.split_once("\r\n\r\n").unwrap();
    let mut body = Vec::new();
    loop {
        let (size, after) = rest.split_once("\r\n").unwrap();
        let size = usize::from_str_radix(size, 16).unwrap();
        if size == 0 {
            return (head.to_owned(), body, after.to_owned());
        }
        body.extend_from_slice(&after.as_bytes()[..size]);
        assert_eq!(&after[size..size + 2], "\r\n");
        rest = &after[size + 2..];
    }
}

#[tokio::test]
async fn bytes_come_in_every_length_and_framing() {
    let server = Server::builder().start().await.unwrap();
    for length in [0, 1, 27, 65_520, 65_521, 1_000_000] {
        let expected = String::from_utf8(pattern(length)).unwrap();

        let answer = ask(&server, &format!("GET /bytes/{length} HTTP/1.1"), "").await;
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        assert!(head.ends_with(&format!("content-length: {length}")), "{head}");
        assert!(body == expected, "{length}");

        let answer = ask(&server, &format!("GET /bytes/{length}?chunked HTTP/1.1"), "").await;
        let (head, body, after) = split(&answer);
        assert!(head.contains("transfer-encoding: chunked") && !head.contains("content-length"));
        assert!(body == expected.as_bytes() && after == "\r\n", "{length}");

        let mut client = Client::to(&server).await;
        client.get(&format!("/bytes/{length}?close")).await;
        let (answer, ended) = client.rest().await;
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        assert!(head.contains("connection: close") && !head.contains("content-length"), "{head}");
        assert!(body == expected && ended == Ended::Closed, "{length}");
    }
}

#[tokio::test]
async fn a_trickle_comes_piece_by_piece() {
    let server = Server::builder().start().await.unwrap();
    let mut client = Client::to(&server).await;
    client.get("/trickle?pieces=0&every=5ms").await;
    assert!(client.head().await.contains("content-type: text/event-stream\r\n"));
    for piece in ["1", "2", "3"] {
        assert_eq!(client.until("\n\n\r\n").await, format!("9\r\ndata: {piece}\n\n\r\n"));
    }
    // An endless answer ends when its client does.
    drop(client);
    eventually(&server, |counts| counts.in_flight == 0 && counts.abandoned == 1).await;

    let answer = ask(&server, "GET /trickle?pieces=2&every=1ms&length HTTP/1.1", "").await;
    assert!(answer.contains("content-length: 18\r\n"), "{answer}");
    assert!(answer.ends_with("\r\n\r\ndata: 1\n\ndata: 2\n\n"), "{answer}");
    let answer = ask(&server, "GET /trickle?pieces=1&close HTTP/1.1", "").await;
    assert!(answer.ends_with("\r\n\r\ndata: 1\n\n") && !answer.contains("length"), "{answer}");
}

#[tokio::test]
async fn trailers_follow_the_last_chunk_declared_or_not() {
    let server = Server::builder().start().await.unwrap();
    for (query, declared) in [("", true), ("?undeclared", false)] {
        let answer = ask(&server, &format!("GET /trailers{query} HTTP/1.1"), "").await;
        let (head, body, after) = split(&answer);
        assert_eq!(head.contains("trailer: x-checksum, x-pieces"), declared);
        assert_eq!(body, b"with trailers\n");
        assert_eq!(after, "x-checksum: 42\r\nx-pieces: 2\r\n\r\n");
    }
}

#[tokio::test]
async fn sink_counts_and_checks_a_body_of_any_size() {
    let server = Server::builder().start().await.unwrap();
    let mut body = String::from_utf8(pattern(3_000_000)).unwrap();
    let lines = "POST /sink HTTP/1.1\r\nContent-Length: 3000000";
    let answer = json(&ask(&server, lines, &body).await);
    assert_eq!((&answer["length"], &answer["pattern"]), (&3_000_000.into(), &true.into()));
    body.replace_range(2_000_000..2_000_001, "!");
    assert_eq!(json(&ask(&server, lines, &body).await)["pattern"], false);
}

#[tokio::test]
async fn a_client_that_expects_a_100_gets_it_before_it_sends_its_body() {
    let server = Server::builder().start().await.unwrap();
    let mut client = Client::to(&server).await;
    client
        .send("POST /sink HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n")
        .await;
    assert_eq!(client.head().await, "HTTP/1.1 100 Continue\r\n\r\n");
    client.send("abc").await;
    assert!(client.until("}").await.starts_with("HTTP/1.1 200 OK"));
}

#[tokio::test]
async fn no_continue_reads_the_body_without_a_100() {
    let server = Server::builder().start().await.unwrap();
    let lines = "POST /no-continue HTTP/1.1\r\nContent-Length: 3\r\nExpect: 100-continue";
    assert!(ask(&server, lines, "abc").await.starts_with("HTTP/1.1 200 OK"));
}

#[tokio::test]
async fn reject_answers_before_the_body_and_without_a_100() {
    let server = Server::builder().name("a").start().await.unwrap();
    let mut client = Client::to(&server).await;
    client
        .send(
            "PUT /reject HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\nExpect: 100-continue\r\n\r\n",
        )
        .await;
    let (answer, ended) = client.rest().await;
    assert_eq!(ended, Ended::Closed);
    assert_eq!(
        answer,
        "HTTP/1.1 413 Payload Too Large\r\nx-test-server: a\r\nconnection: close\r\n\
         content-type: application/json\r\ncontent-length: 23\r\n\r\n{\"message\":\"too large\"}"
    );
}

#[tokio::test]
async fn reject_in_the_middle_of_an_upload_lingers_so_that_its_answer_arrives() {
    let server = Server::builder().start().await.unwrap();
    let mut client = Client::to(&server).await;
    client
        .send("PUT /reject?after=1000 HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\n")
        .await;
    client.send(pattern(1000)).await;
    assert!(client.head().await.starts_with("HTTP/1.1 413 "));
    // Still taken off the wire, though nobody reads it.
    client.send(pattern(500_000)).await;
    let (answer, ended) = client.rest().await;
    assert_eq!((answer.as_str(), ended), (r#"{"message":"too large"}"#, Ended::Closed));
}

#[tokio::test]
async fn an_abrupt_reject_resets_the_upload() {
    let server = Server::builder().start().await.unwrap();
    let mut client = Client::to(&server).await;
    client
        .send("PUT /reject?abrupt HTTP/1.1\r\nHost: x\r\nContent-Length: 100000000\r\n\r\n")
        .await;
    let piece = pattern(1_000_000);
    loop {
        if let Err(error) = tokio::io::AsyncWriteExt::write_all(&mut client.stream, &piece).await {
            assert!(
                matches!(
                    error.kind(),
                    std::io::ErrorKind::ConnectionReset | std::io::ErrorKind::BrokenPipe
                ),
                "{error}"
            );
            break;
        }
    }
}

#[tokio::test]
async fn half_a_body_waits_for_the_release() {
    let server = Server::builder().start().await.unwrap();
    for (query, rest) in [("", "bytes long.\n"), ("?chunked", "c\r\nbytes long.\n\r\n0\r\n\r\n")] {
        server.hold();
        let mut client = Client::to(&server).await;
        client.get(&format!("/hold-body{query}")).await;
        client.until("twenty-four ").await;
        assert_eq!(server.counts().in_flight, 1);
        server.release();
        assert_eq!(client.until(rest).await.trim_start(), rest);
        eventually(&server, |counts| counts.in_flight == 0).await;
    }
}

#[tokio::test]
async fn a_body_that_is_not_read_makes_the_client_wait() {
    let server = Server::builder().start().await.unwrap();
    let mut client = Client::to(&server).await;
    client.send("PUT /sink?hold HTTP/1.1\r\nHost: x\r\nContent-Length: 40000000\r\n\r\n").await;
    let piece = pattern(1_000_000);
    let mut sent = tokio::spawn(async move {
        for _ in 0..40 {
            client.send(&piece).await;
        }
        client
    });
    let stuck = tokio::time::timeout(std::time::Duration::from_millis(300), &mut sent).await;
    assert!(stuck.is_err(), "40 MB fitted into the buffers");
    server.release();
    let mut client = sent.await.unwrap();
    assert!(client.until("}").await.contains(r#""length":40000000"#));
}

#[tokio::test]
async fn a_script_can_read_a_part_of_the_body() {
    let server = Server::builder().start().await.unwrap();
    server.script("/part", [Step::ReadBytes(2), Step::answer(200, "got two"), Step::Linger]);
    let mut client = Client::to(&server).await;
    client
        .send("PUT /part HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n")
        .await;
    assert_eq!(client.head().await, "HTTP/1.1 100 Continue\r\n\r\n");
    client.send("ab").await;
    assert!(client.rest().await.0.ends_with("got two"));
}
