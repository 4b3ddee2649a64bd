use std::time::Duration;

use testserver::{BEHAVIOURS, Server, Step};
use tokio::time::Instant;

use crate::client::{Client, ask, json};

const HOUR: Duration = Duration::from_secs(3600);

#[tokio::test]
async fn the_root_answers_ok_and_names_the_server() {
    let server = Server::builder().name("a").start().await.unwrap();
    let mut client = Client::to(&server).await;
    client.get("/").await;
    assert_eq!(
        client.until(r#""ok"}"#).await,
        "HTTP/1.1 200 OK\r\nx-test-server: a\r\ncontent-type: application/json\r\n\
         content-length: 16\r\n\r\n{\"message\":\"ok\"}"
    );
}

#[tokio::test]
async fn only_the_root_is_delayed_and_the_delay_can_change() {
    let server = Server::builder().delay(HOUR).start().await.unwrap();
    assert!(ask(&server, "GET /health HTTP/1.1", "").await.ends_with(r#"{"message":"ok"}"#));
    let delay = Duration::from_millis(30);
    server.set_delay(delay);
    let start = Instant::now();
    assert!(ask(&server, "GET / HTTP/1.1", "").await.ends_with(r#"{"message":"ok"}"#));
    assert!(start.elapsed() >= delay);
}

#[tokio::test]
async fn any_path_can_be_delayed_by_its_query() {
    let server = Server::builder().start().await.unwrap();
    let start = Instant::now();
    assert!(ask(&server, "GET /bytes/3?delay=30ms HTTP/1.1", "").await.ends_with("abc"));
    assert!(start.elapsed() >= Duration::from_millis(30));
    let answer = ask(&server, "GET /?delay=soon HTTP/1.1", "").await;
    assert!(answer.starts_with("HTTP/1.1 400 ") && answer.contains("for example"), "{answer}");
}

#[tokio::test]
async fn pipelined_requests_are_answered_in_order_on_one_connection() {
    let server = Server::builder().name("a").start().await.unwrap();
    let mut client = Client::to(&server).await;
    let body = "POST /sink HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc";
    let get = "GET /status/204 HTTP/1.1\r\nHost: x\r\n\r\n";
    client.send([body, get, body].concat()).await;
    for expected in ["200 OK", "204 No Content", "200 OK"] {
        let head = client.head().await;
        assert!(head.contains(expected), "{head}");
        if expected == "200 OK" {
            assert_eq!(client.until("}").await, r#"{"length":3,"pattern":true,"trailers":[]}"#);
        } else {
            assert_eq!(head, "HTTP/1.1 204 No Content\r\nx-test-server: a\r\n\r\n");
        }
    }
    assert_eq!(server.counts().connections, 1);
}

#[tokio::test]
async fn a_head_request_gets_the_head_alone() {
    let server = Server::builder().start().await.unwrap();
    let whole = ask(&server, "GET /echo HTTP/1.1", "").await;
    assert!(whole.len() > 200);
    for path in ["/", "/bytes/1000", "/bytes/1000?chunked", "/trickle", "/trailers", "/echo"] {
        let answer = ask(&server, &format!("HEAD {path} HTTP/1.1"), "").await;
        assert!(answer.starts_with("HTTP/1.1 200 OK") && answer.ends_with("\r\n\r\n"), "{answer}");
    }
}

#[tokio::test]
async fn an_http_1_0_client_gets_no_chunks_and_keeps_its_connection_only_on_request() {
    let server = Server::builder().start().await.unwrap();
    let mut client = Client::to(&server).await;
    client.send("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n").await;
    assert!(client.until("}").await.contains("\r\nconnection: keep-alive\r\n"));
    client.send("GET /bytes/3?chunked HTTP/1.0\r\n\r\n").await;
    let (answer, _) = client.rest().await;
    assert!(answer.ends_with("\r\n\r\nabc") && !answer.contains("chunked"), "{answer}");
}

#[tokio::test]
async fn echo_shows_what_came_in_the_order_and_spelling_it_came() {
    let server = Server::builder().name("a").start().await.unwrap();
    let mut client = Client::to(&server).await;
    client.send("GET /echo HTTP/1.1\r\nHost: x\r\n\r\n").await;
    // The body that follows it stands before the next head.
    client.until("\r\n\r\n").await;
    client
        .send(
            "POST /echo?a=%2F HTTP/1.1\r\nHost: x\r\nX-B: 2\r\nx-a: \u{e9}\r\nX-b: 1\r\n\
             Transfer-Encoding: chunked\r\nConnection: close\r\n\r\n\
             3;ext=1\r\nabc\r\n2\r\nde\r\n0\r\nX-Trailer: t\r\n\r\n",
        )
        .await;
    let (answer, _) = client.rest().await;
    assert_eq!(
        json(&answer),
        serde_json::json!({
            "server": "a", "connection": 1, "request": 2,
            "method": "POST", "target": "/echo?a=%2F", "version": "HTTP/1.1",
            "headers": [
                ["Host", "x"], ["X-B", "2"], ["x-a", "\u{c3}\u{a9}"], ["X-b", "1"],
                ["Transfer-Encoding", "chunked"], ["Connection", "close"],
            ],
            "body": { "length": 5, "text": "abcde" },
            "trailers": [["X-Trailer", "t"]],
        })
    );
}

#[tokio::test]
async fn echo_shows_a_body_that_is_no_text_in_hexadecimal() {
    let server = Server::builder().start().await.unwrap();
    let mut client = Client::to(&server).await;
    client.send("PUT /echo HTTP/1.0\r\nContent-Length: 3\r\n\r\n").await;
    client.send([0xff, 0x00, 0x0a]).await;
    let answer = json(&client.rest().await.0);
    assert_eq!(answer["body"], serde_json::json!({ "length": 3, "hex": "ff000a" }));
    assert_eq!(answer["version"], "HTTP/1.0");
}

#[tokio::test]
async fn a_status_is_answered_as_asked_and_never_a_1xx() {
    let server = Server::builder().start().await.unwrap();
    let answer = ask(&server, "GET /status/503 HTTP/1.1", "").await;
    assert!(answer.starts_with("HTTP/1.1 503 Service Unavailable\r\n"), "{answer}");
    assert!(ask(&server, "GET /status/799 HTTP/1.1", "").await.starts_with("HTTP/1.1 799 "));
    for wrong in ["100", "1000", "x", ""] {
        let answer = ask(&server, &format!("GET /status/{wrong} HTTP/1.1"), "").await;
        assert!(answer.starts_with("HTTP/1.1 400 "), "{answer}");
    }
}

#[tokio::test]
async fn a_request_that_could_be_understood_in_two_ways_is_refused_and_the_connection_closed() {
    let server = Server::builder().name("a").start().await.unwrap();
    let mut client = Client::to(&server).await;
    client
        .send(
            "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n\
             0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: x\r\n\r\n",
        )
        .await;
    let (answer, _) = client.rest().await;
    assert!(answer.starts_with("HTTP/1.1 400 Bad Request\r\nx-test-server: a\r\n"), "{answer}");
    assert_eq!((server.counts().requests, server.requests_to("/smuggled")), (0, 0));
}

#[tokio::test]
async fn a_malformed_chunk_is_refused() {
    let server = Server::builder().start().await.unwrap();
    for body in ["x\r\n", "+1\r\na\r\n", "1\nab", "1\r\nab\r\n", "0\r\nno colon\r\n\r\n", "\r\n"] {
        let answer = ask(&server, "POST /sink HTTP/1.1\r\nTransfer-Encoding: chunked", body).await;
        assert!(answer.starts_with("HTTP/1.1 400 "), "{body:?}: {answer}");
    }
}

#[tokio::test]
async fn every_path_of_the_table_is_there_and_others_are_not() {
    let server = Server::builder().start().await.unwrap();
    server.release();
    let mut paths = 0;
    for line in BEHAVIOURS.lines().filter(|line| line.starts_with('/')) {
        let path = line.split([' ', '?']).next().unwrap();
        let path = path.replace("NNN", "200").replace("/N", "/10").replace("WHAT", "two-lengths");
        let mut client = Client::to(&server).await;
        client.send(format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")).await;
        let (answer, _) = client.rest().await;
        assert!(!answer.contains(" 404 "), "{path}: {answer}");
        paths += 1;
    }
    assert!(paths >= 20);
    for path in ["/nothing", "/hold/more", "*", "/", "/malformed/nothing"] {
        let answer = ask(&server, &format!("GET {path} HTTP/1.1"), "").await;
        let expected = match path {
            "/" => "200",
            "/malformed/nothing" => "400",
            _ => "404",
        };
        assert!(answer.starts_with(&format!("HTTP/1.1 {expected} ")), "{path}: {answer}");
    }
}

#[test]
fn the_table_fits_a_terminal() {
    assert!(BEHAVIOURS.lines().all(|line| line.len() <= 80));
}

#[tokio::test]
async fn a_script_takes_the_place_of_a_path_until_it_is_taken_away() {
    let server = Server::builder().name("a").start().await.unwrap();
    server.script("/health", [Step::answer(503, "down")]);
    let mut client = Client::to(&server).await;
    client.get("/health?x").await;
    assert_eq!(
        client.until("down").await,
        "HTTP/1.1 503 Service Unavailable\r\nx-test-server: a\r\ncontent-length: 4\r\n\r\ndown"
    );
    server.script("/health", [Step::send("HTTP/1.1 200 OK\r\n"), Step::Reset]);
    client.get("/health").await;
    assert_eq!(client.rest().await.1, crate::client::Ended::Reset);
    server.unscript("/health");
    assert!(ask(&server, "GET /health HTTP/1.1", "").await.starts_with("HTTP/1.1 200 "));
}
