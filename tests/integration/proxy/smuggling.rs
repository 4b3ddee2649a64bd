//! S1: requests that two readers could understand differently. Each is refused, or arrives as exactly one request that can
//! be understood in one way only.

use super::harness::{Proxy, received, server};

/// What came of some bytes.
struct Outcome {
    /// The statuses of all answers, in order.
    statuses: Vec<u16>,
    /// What the endpoint received.
    upstream: String,
}

/// Sends bytes and the client's end; takes all answers.
async fn send(bytes: impl AsRef<[u8]>) -> Outcome {
    let server = server().await;
    let proxy = Proxy::before(&[&server]);
    let mut client = proxy.client().await;
    client.send(bytes).await;
    let mut statuses = Vec::new();
    // A request of our own, which tells that everything before was read, or the close does.
    let end = b"GET /status/299 HTTP/1.1\r\nHost: end\r\nConnection: close\r\n\r\n";
    let _ = tokio::io::AsyncWriteExt::write_all(&mut client.stream, end).await;
    let (answers, _) = client.rest().await;
    let answers = String::from_utf8_lossy(&answers).into_owned();
    for (at, _) in answers.match_indices("HTTP/1.1 ") {
        statuses.push(answers[at + 9..at + 12].parse().unwrap());
    }
    Outcome { statuses, upstream: received(&server).concat() }
}

/// A request that is refused, be it as not implemented, and after which nothing more of the connection is believed.
async fn is_refused(bytes: impl AsRef<[u8]> + std::fmt::Debug) {
    let outcome = send(&bytes).await;
    let status = outcome.statuses.first().copied().unwrap_or(0);
    assert!((400..500).contains(&status) || status == 501, "{bytes:?}: {:?}", outcome.statuses);
    assert!(!outcome.upstream.contains("smuggled"), "{bytes:?}: {}", outcome.upstream);
    assert!(!outcome.upstream.contains("GET /echo?first"), "{bytes:?}: {}", outcome.upstream);
    assert!(!outcome.upstream.contains("POST /echo?first"), "{bytes:?}: {}", outcome.upstream);
}

/// The head of the first request that arrived, and what came after it, up to the next.
fn first(upstream: &str) -> (String, String) {
    let (head, rest) = upstream.split_once("\r\n\r\n").unwrap_or_else(|| panic!("{upstream:?}"));
    let body = rest.split("GET /status/299").next().unwrap();
    (head.to_owned(), body.to_owned())
}

#[tokio::test]
async fn a_length_beside_chunks_does_not_smuggle_in_either_order() {
    // Read by its length, the first request ends early or late, and `smuggled` is a request of its own.
    for (one, two) in [
        ("Content-Length: 4", "Transfer-Encoding: chunked"),
        ("Transfer-Encoding: chunked", "Content-Length: 4"),
        ("Content-Length: 60", "Transfer-Encoding: chunked"),
        ("Transfer-Encoding: chunked", "Content-Length: 60"),
    ] {
        let outcome = send(format!(
            "POST /echo?first HTTP/1.1\r\nHost: a\r\n{one}\r\n{two}\r\n\r\n\
             5\r\nhello\r\n0\r\n\r\n"
        ))
        .await;
        if (400..500).contains(&outcome.statuses[0]) {
            assert!(!outcome.upstream.contains("/echo?first"), "{}", outcome.upstream);
            continue;
        }
        let (head, body) = first(&outcome.upstream);
        assert!(head.starts_with("POST /echo?first HTTP/1.1\r\n"), "{head}");
        assert!(head.contains("\r\ntransfer-encoding: chunked"), "{head}");
        assert!(!head.to_lowercase().contains("content-length"), "{head}");
        assert_eq!(body, "5\r\nhello\r\n0\r\n\r\n");
    }
}

#[tokio::test]
async fn chunks_that_hide_a_request_are_one_body() {
    let hidden = "GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n";
    let outcome = send(format!(
        "POST /echo?first HTTP/1.1\r\nHost: a\r\nContent-Length: 6\r\nTransfer-Encoding: chunked\r\n\r\n\
         {:x}\r\n{hidden}\r\n0\r\n\r\n",
        hidden.len()
    ))
    .await;
    if outcome.statuses[0] < 400 || outcome.upstream.contains("/echo?first") {
        let (head, _) = first(&outcome.upstream);
        assert!(head.contains("\r\ntransfer-encoding: chunked"), "{head}");
        assert!(!head.to_lowercase().contains("content-length"), "{head}");
        let body = format!("{:x}\r\n{hidden}\r\n0\r\n\r\n", hidden.len());
        assert!(outcome.upstream.contains(&body), "{}", outcome.upstream);
    }
    assert!(outcome.statuses.len() <= 2, "{:?}", outcome.statuses);
}

#[tokio::test]
async fn lengths_that_differ_or_are_none_are_refused() {
    for lengths in [
        "Content-Length: 5\r\nContent-Length: 6",
        "Content-Length: 5, 6",
        "Content-Length: +5",
        "Content-Length: -5",
        "Content-Length: 0x5",
        "Content-Length: 5 5",
        "Content-Length: five",
        "Content-Length: ",
        "Content-Length: 99999999999999999999999",
        "Content-Length: 5;a",
    ] {
        is_refused(format!("POST /echo?first HTTP/1.1\r\nHost: a\r\n{lengths}\r\n\r\nhello")).await;
    }
}

#[tokio::test]
async fn lengths_that_agree_are_one() {
    for lengths in ["Content-Length: 5\r\nContent-Length: 5", "Content-Length: 5, 5"] {
        let outcome =
            send(format!("POST /echo?first HTTP/1.1\r\nHost: a\r\n{lengths}\r\n\r\nhello")).await;
        if (400..500).contains(&outcome.statuses[0]) && !outcome.upstream.contains("/echo?first") {
            continue;
        }
        let (head, body) = first(&outcome.upstream);
        assert_eq!(head.matches("content-length: ").count(), 1, "{head}");
        assert!(head.contains("\r\ncontent-length: 5"), "{head}");
        assert_eq!(body, "hello");
    }
}

#[tokio::test]
async fn any_transfer_encoding_but_chunked_is_refused() {
    for coding in [
        "Transfer-Encoding: xchunked",
        "Transfer-Encoding: gzip, chunked",
        "Transfer-Encoding: chunked, identity",
        "Transfer-Encoding: identity",
        "Transfer-Encoding: chunked, chunked",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: x",
        "Transfer-Encoding: x\r\nTransfer-Encoding: chunked",
        "Transfer-Encoding: \"chunked\"",
        "Transfer-Encoding: chunked;a=1",
        "Transfer-Encoding: \x0bchunked",
        "Transfer-Encoding : chunked",
        "Transfer-Encoding\t: chunked",
        "Transfer-Encoding:\r\n chunked",
    ] {
        is_refused(format!("POST /echo?first HTTP/1.1\r\nHost: a\r\n{coding}\r\n\r\n0\r\n\r\n"))
            .await;
        is_refused(format!(
            "POST /echo?first HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n{coding}\r\n\r\n0\r\n\r\n"
        ))
        .await;
    }
    is_refused(
        "POST /echo?first HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    )
    .await;
}

#[tokio::test]
async fn malformed_fields_are_refused() {
    for field in [
        "X-Folded: one\r\n two",
        "X-Folded: one\r\n\ttwo",
        " X-Leading: 1",
        "X-Space : 1",
        "X-Nul: a\0b",
        "X-N\0ul: 1",
        "X-Cr: a\rb",
        "X-Cr: a\rGET /smuggled HTTP/1.1",
        "No-Colon",
        ": no-name",
        "X-(): 1",
        "X-Control: a\x01b",
        "X-Delete: a\x7fb",
    ] {
        is_refused(format!("GET /echo?first HTTP/1.1\r\nHost: a\r\n{field}\r\n\r\n")).await;
    }
}

#[tokio::test]
async fn malformed_request_lines_are_refused() {
    for line in [
        "GET /echo?first",
        "GET  /echo?first HTTP/1.1",
        "GET /echo?first  HTTP/1.1",
        "GET /echo?first HTTP/1.1 ",
        "GET /echo?first HTTP/1.2",
        "GET /echo?first HTTP/2.0",
        "GET /echo?first HTTP/11",
        "GET /echo?first http/1.1",
        "GET /fi rst HTTP/1.1",
        "GET /echo?first\0 HTTP/1.1",
        "GET\t/echo?first HTTP/1.1",
        "G@T /echo?first HTTP/1.1",
        "GET first HTTP/1.1",
        "GET a:80 HTTP/1.1",
        "GET a HTTP/1.1",
        "GET * HTTP/1.1",
        "GET a/echo?first HTTP/1.1",
        "PRI * HTTP/2.0",
    ] {
        is_refused(format!("{line}\r\nHost: a\r\n\r\n")).await;
    }
}

/// hyper reads these; then one unambiguous request upstream is the bar.
#[tokio::test]
async fn bare_line_feeds_become_proper_lines() {
    let outcome = send("GET /echo?first HTTP/1.1\nHost: a\nX-One: 1\n\n").await;
    if (400..500).contains(&outcome.statuses[0]) {
        return;
    }
    let (head, body) = first(&outcome.upstream);
    assert!(head.contains("\r\nx-one: 1\r\n"), "{head}");
    assert_eq!((head.matches('\n').count(), &*body), (head.matches("\r\n").count(), ""));
}

#[tokio::test]
async fn a_request_has_one_host() {
    for head in [
        "GET /echo?first HTTP/1.1\r\n",
        "GET /echo?first HTTP/1.1\r\nHost: a\r\nHost: a\r\n",
        "GET /echo?first HTTP/1.1\r\nHost: a\r\nHost: b\r\n",
        "GET /echo?first HTTP/1.1\r\nHost: a, b\r\n",
        "GET /echo?first HTTP/1.1\r\nHost: a b\r\n",
        "GET /echo?first HTTP/1.1\r\nHost: a/b\r\n",
        "GET /echo?first HTTP/1.1\r\nHost: user@a\r\n",
        "GET /echo?first HTTP/1.1\r\nHost: a\\b\r\n",
        "GET http://b/echo?first HTTP/1.1\r\nHost: a\r\n",
        "GET http://a:81/echo?first HTTP/1.1\r\nHost: a\r\n",
        "GET http://user@a/echo?first HTTP/1.1\r\nHost: a\r\n",
        "GET http:///echo?first HTTP/1.1\r\nHost: a\r\n",
    ] {
        is_refused(format!("{head}\r\n")).await;
    }
}

#[tokio::test]
async fn an_absolute_target_and_its_host_arrive_as_one() {
    let outcome = send("GET http://A.example/echo?first HTTP/1.1\r\nHost: a.Example\r\n\r\n").await;
    let (head, _) = first(&outcome.upstream);
    assert!(head.starts_with("GET /echo?first HTTP/1.1\r\nhost: A.example\r\n"), "{head}");
    assert_eq!(head.matches("host: ").count(), 2, "host and x-forwarded-host: {head}");
}

#[tokio::test]
async fn malformed_chunks_end_the_upload() {
    for chunks in [
        "x\r\n",
        "-1\r\na\r\n0\r\n\r\n",
        "+1\r\na\r\n0\r\n\r\n",
        "0x1\r\na\r\n0\r\n\r\n",
        "1 1\r\na\r\n0\r\n\r\n",
        "ffffffffffffffff1\r\na\r\n0\r\n\r\n",
        "1\r\nab\r\n0\r\n\r\n",
        "1\nab\r\n0\r\n\r\n",
        "1;a\nb\r\na\r\n0\r\n\r\n",
        "0\r\nx-folded: 1\r\n 2\r\n\r\n",
        "0\r\nno-colon\r\n\r\n",
    ] {
        let outcome = send(format!(
            "POST /echo?first HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n{chunks}"
        ))
        .await;
        assert_eq!(outcome.statuses, [400], "{chunks:?}: {}", outcome.upstream);
        let body = outcome.upstream.split_once("\r\n\r\n").map_or("", |(_, body)| body);
        assert!(!body.contains("0\r\n"), "{chunks:?}: {}", outcome.upstream);
    }
}

#[tokio::test]
async fn what_follows_a_body_is_the_next_request_and_no_part_of_it() {
    let outcome = send("POST /echo?first HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi").await;
    assert_eq!(outcome.statuses, [200, 299]);
    let (head, body) = first(&outcome.upstream);
    assert!(head.contains("\r\ncontent-length: 2"), "{head}");
    assert_eq!(body, "hi");
}

#[tokio::test]
async fn a_get_with_a_body_keeps_its_body() {
    let outcome = send("GET /echo?first HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi").await;
    assert_eq!(outcome.statuses, [200, 299]);
    assert_eq!(first(&outcome.upstream).1, "hi");
}
