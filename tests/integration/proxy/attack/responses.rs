//! Endpoints that mean harm: a client gets one answer that can be read in one way, an error instead, or one that is visibly
//! cut; and never an answer to somebody else's request.

use super::super::harness::{Config, eventually, server};
use super::reader::{self, status};
use futures_util::future::join_all;
use testserver::Step;

/// What a client must get.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Must {
    /// This body.
    Arrive(&'static str),
    /// An error of ours.
    BeRefused,
    /// An error, or an answer that ends before it says that it does.
    BeCut,
}
use Must::{Arrive, BeCut, BeRefused};

/// An answer that hides in another.
const HIDDEN: &str = "HTTP/1.1 200 OK\r\ncontent-length: 8\r\n\r\nsmuggled";

/// Has an endpoint send these, each to a request of its own, and asks for something else on the same connections. Gives what
/// clients got of each: its fields, as one text.
async fn answered(vectors: Vec<(String, Must)>) -> Vec<String> {
    let server = server().await;
    let proxy = Config::to(&[&server]).timeouts("streamIdle: 1s, request: 2s").start();
    for (number, (bytes, _)) in vectors.iter().enumerate() {
        server.script(
            format!("/{number}"),
            [Step::ReadBody, Step::send(bytes.clone().into_bytes()), Step::Linger],
        );
    }
    let ask = async |number: usize, bytes: &str, must: Must| {
        let context = || format!("{must:?}: {:.300}", bytes.escape_debug().to_string());
        let mut client = proxy.client().await;
        client
            .send(format!("GET /{number} HTTP/1.1\r\nHost: a\r\n\r\nGET /echo?{number} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"))
            .await;
        let (got, _) = client.rest().await;
        let (answers, is_cut) = reader::responses(&got, &["GET", "GET"]);
        let finals: Vec<_> = answers.iter().filter(|answer| status(&answer.line) >= 200).collect();
        match must {
            Arrive(body) => {
                assert_eq!(String::from_utf8_lossy(&finals[0].body), body, "{}", context());
                assert!(!is_cut && status(&finals[0].line) != 502, "{}", context());
            }
            BeRefused => assert_eq!(status(&finals[0].line), 502, "{}", context()),
            BeCut => {
                let is_refused = finals.first().is_some_and(|answer| status(&answer.line) == 502);
                assert!(is_refused || is_cut && finals.is_empty(), "{}: {answers:?}", context());
            }
        }
        if let Some(next) = finals.get(1) {
            let echo: serde_json::Value = serde_json::from_slice(&next.body).unwrap();
            assert_eq!(echo["target"], format!("/echo?{number}"), "{}", context());
        } else {
            assert!(must == BeCut, "{}: {answers:?}", context());
        }
        // Somebody else, on a connection that may be left over.
        let other = proxy.get(&format!("/echo?other={number}")).await;
        assert_eq!(other.json()["target"], format!("/echo?other={number}"), "{}", context());
        finals.first().map_or_else(String::new, |answer| format!("{:?}", answer.fields))
    };
    let mut all = Vec::new();
    for (at, some) in vectors.chunks(16).enumerate() {
        let some = some.iter().enumerate().map(|(i, (bytes, must))| ask(16 * at + i, bytes, *must));
        all.extend(join_all(some).await);
    }
    eventually(&server, |counts| counts.in_flight == 0).await;
    all
}

fn head(fields: &str, body: &str) -> String {
    format!("HTTP/1.1 200 OK\r\n{fields}\r\n\r\n{body}")
}

/// S1: a length that counts for one reader and not for another splits an answer in two.
#[tokio::test]
async fn an_answer_whose_end_is_in_doubt_is_refused() {
    let chunked = "5\r\nhello\r\n0\r\n\r\n";
    let mut vectors = Vec::new();
    for fields in [
        "Content-Length: 5\r\nTransfer-Encoding: chunked",
        "Transfer-Encoding: chunked\r\nContent-Length: 5",
        "Content-Length: 5\r\nContent-Length: 6",
        "Content-Length: 5, 6",
        "Content-Length: 5, 5",
        "Content-Length: +5",
        "Content-Length: -1",
        "Content-Length: 0x5",
        "Content-Length: 5 5",
        "Content-Length: five",
        "Content-Length:",
        "Content-Length: 99999999999999999999999",
        "Content-Length : 5",
        "Content-Length:\r\n 5",
        "Transfer-Encoding: chunked, chunked",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked",
        "Transfer-Encoding: xchunked",
        "Transfer-Encoding: identity",
        "Transfer-Encoding: gzip",
        "Transfer-Encoding: chunked, gzip",
        "Transfer-Encoding: gzip, chunked",
        "Transfer-Encoding: \x0bchunked",
        "Transfer-Encoding : chunked",
        "Transfer-Encoding:\r\n chunked",
        "Transfer-Encoding:",
    ] {
        vectors.push((head(fields, &format!("{chunked}{HIDDEN}")), BeRefused));
    }
    for fields in ["Content-Length: 5", "Content-Length: 5\r\nContent-Length: 5"] {
        vectors.push((head(fields, &format!("hello{HIDDEN}")), Arrive("hello")));
    }
    vectors
        .push((head("Transfer-Encoding: chunked", &format!("{chunked}{HIDDEN}")), Arrive("hello")));
    vectors.push((head("X-A: 1", "to the end"), Arrive("to the end")));
    // What has no body has none, whatever is said of it.
    for status in ["204 No Content", "304 Not Modified"] {
        for fields in ["Content-Length: 60", "X-A: 1"] {
            vectors.push((format!("HTTP/1.1 {status}\r\n{fields}\r\n\r\n{HIDDEN}"), Arrive("")));
        }
    }
    answered(vectors).await;
}

/// S1
#[tokio::test]
async fn an_answer_with_malformed_chunks_never_looks_whole() {
    let long = "x".repeat(20_000);
    let vectors = [
        "0x5\r\nhello\r\n0\r\n\r\n",
        "+5\r\nhello\r\n0\r\n\r\n",
        "-1\r\nhello\r\n0\r\n\r\n",
        " 5\r\nhello\r\n0\r\n\r\n",
        "5 5\r\nhello\r\n0\r\n\r\n",
        "5\0\r\nhello\r\n0\r\n\r\n",
        "\r\nhello\r\n0\r\n\r\n",
        "5\nhello\r\n0\r\n\r\n",
        "5\rhello\r\n0\r\n\r\n",
        "fffffffffffffffff\r\nhello\r\n0\r\n\r\n",
        "ffffffffffffffff\r\nhello\r\n0\r\n\r\n",
        "4\r\nhello\r\n0\r\n\r\n",
        "6\r\nhello\r\n0\r\n\r\n",
        "5\r\nhello0\r\n\r\n",
        "5\r\nhello\n0\r\n\r\n",
        "5;a\nb\r\nhello\r\n0\r\n\r\n",
        "5;a\rb\r\nhello\r\n0\r\n\r\n",
        "5\r\nhello\r\n0\r\n",
        "5\r\nhello\r\n",
        "5\r\nhello\r\n0\r\nX A: 1\r\n\r\n",
        "5\r\nhello\r\n0\r\nX-A: a\0b\r\n\r\n",
        "5\r\nhello\r\n0\r\nX-A: 1\r\n 2\r\n\r\n",
        &format!("5;{long}\r\nhello\r\n0\r\n\r\n"),
        &format!("5\r\nhello\r\n0\r\nX-A: {long}{long}{long}{long}\r\n\r\n"),
    ]
    .map(|chunks| (head("Transfer-Encoding: chunked", chunks), BeCut));
    answered(vectors.into()).await;
    let short = [(head("Content-Length: 50", "hello"), BeCut)];
    answered(short.into()).await;
}

/// S1: as with requests; a field that breaks its line becomes a field, or an answer, for the client's reader.
#[tokio::test]
async fn an_answer_with_a_malformed_head_is_refused() {
    let long = "x".repeat(100_000);
    let many = "X-A: 1\r\n".repeat(1_000);
    let mut vectors: Vec<(String, Must)> = [
        "X-A: 1\r\n 2",
        "X-A: 1\r\n\t2",
        " X-A: 1",
        "X-A : 1",
        "X A: 1",
        "X-A: a\0b",
        "X-A: a\x01b",
        "X-A: a\x7fb",
        "X-A: a\rb",
        "X-A: a\rSet-Cookie: smuggled=1",
        "X\0A: 1",
        "X-A",
        ": 1",
        &format!("X-A: {long}"),
        &many,
    ]
    .map(|field| (head(&format!("{field}\r\nContent-Length: 5"), "hello"), BeRefused))
    .into();
    for line in [
        "HTTP/1.1 20 OK",
        "HTTP/1.1 2000 OK",
        "HTTP/1.1 +20 OK",
        "HTTP/1.1 abc OK",
        "HTTP/1.1 099 OK",
        "HTTP/1.1200 OK",
        "HTTP/2 200 OK",
        "HTTP/2.0 200 OK",
        "HTTP/1.2 200 OK",
        "HTTP/0.9 200 OK",
        "http/1.1 200 OK",
        "ICY 200 OK",
        " HTTP/1.1 200 OK",
        "HTTP/1.1 200 O\0K",
        "HTTP/1.1 200 O\rK",
        "<html>",
        "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: x",
    ] {
        vectors.push((format!("{line}\r\nContent-Length: 5\r\n\r\nhello"), BeRefused));
    }
    answered(vectors).await;
}

/// S1, S4: what concerns the endpoint's connection is not the client's, and no field can name another that frames the answer.
#[tokio::test]
async fn an_endpoint_cannot_take_framing_away() {
    let got = answered(vec![
        (head("Connection: content-length, transfer-encoding\r\nContent-Length: 5", "hello"), Arrive("hello")),
        (head("Connection: transfer-encoding\r\nTransfer-Encoding: chunked", "5\r\nhello\r\n0\r\n\r\n"), Arrive("hello")),
        (head("Keep-Alive: timeout=1\r\nProxy-Connection: x\r\nUpgrade: h2c\r\nContent-Length: 5", "hello"), Arrive("hello")),
        (
            head("Transfer-Encoding: chunked", "5\r\nhello\r\n0\r\nContent-Length: 9\r\nTransfer-Encoding: x\r\nSet-Cookie: smuggled=1\r\n\r\n"),
            Arrive("hello"),
        ),
    ])
    .await;
    for fields in got {
        let fields = fields.to_lowercase();
        for gone in ["keep-alive", "proxy-connection", "upgrade", "smuggled"] {
            assert!(!fields.contains(gone), "{fields}");
        }
    }
}

/// S1, S3: interim answers without end are an endpoint's fault, not the client's.
#[tokio::test]
async fn interim_answers_hide_nothing() {
    let interim = "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n";
    let last = head("Content-Length: 5", "hello");
    let with_length = "HTTP/1.1 103 Early Hints\r\nContent-Length: 100\r\n\r\n";
    let chunked = "HTTP/1.1 100 Continue\r\nTransfer-Encoding: chunked\r\n\r\n";
    answered(vec![
        (format!("{interim}{last}"), Arrive("hello")),
        (format!("{with_length}{last}"), Arrive("hello")),
        (format!("{chunked}{last}"), Arrive("hello")),
        (format!("{interim}{interim}"), BeRefused),
    ])
    .await;
}
