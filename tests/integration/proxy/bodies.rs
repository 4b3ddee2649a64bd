//! Bodies stream both ways, are nowhere kept as a whole, and keep their trailers.

use super::client::{Client, Ended};
use super::harness::{Config, Proxy, eventually, received, server};
use std::time::Duration;
use testserver::Step;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::time::timeout;

/// A body that no buffers on its way could hold, and what they may hold at most: the kernel's, mostly.
const LARGE: usize = 48 << 20;
const BUFFERED: usize = 24 << 20;

/// Writes until nothing is taken for a while. A machine that is merely slow makes the count smaller.
async fn write_until_stalled(stream: &mut TcpStream) -> usize {
    let piece = testserver::pattern(26 * 2520);
    let mut written = 0;
    while written < LARGE {
        let next = &piece[written % 26..piece.len().min(written % 26 + LARGE - written)];
        match timeout(Duration::from_millis(300), stream.write(next)).await {
            Ok(count) => written += count.unwrap(),
            Err(_) => break,
        }
    }
    written
}

async fn write_rest(stream: &mut (impl AsyncWriteExt + Unpin), mut written: usize) {
    let piece = testserver::pattern(26 * 2520);
    while written < LARGE {
        let next = &piece[written % 26..piece.len().min(written % 26 + LARGE - written)];
        written += stream.write(next).await.unwrap();
    }
}

async fn read_all(stream: &mut (impl AsyncReadExt + Unpin), mut from: usize) {
    let mut buffer = vec![0; 256 * 1024];
    let pattern = testserver::pattern(26 + buffer.len());
    while from < LARGE {
        let count = stream.read(&mut buffer).await.unwrap();
        assert!(count > 0, "closed after {from}");
        assert!(pattern[from % 26..].starts_with(&buffer[..count]), "after {from}");
        from += count;
    }
}

/// An endpoint of the test's own hand, so that it can count what it gets rid of.
async fn by_hand() -> (TcpListener, Proxy) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    (listener, Config::to_urls(vec![url]).start())
}

async fn client_with_small_buffers(proxy: &Proxy) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(64 * 1024).unwrap();
    socket.set_send_buffer_size(64 * 1024).unwrap();
    socket.connect(proxy.address).await.unwrap()
}

async fn read_head(stream: &mut TcpStream) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.unwrap());
    }
    String::from_utf8(head).unwrap()
}

#[tokio::test]
async fn a_large_response_waits_for_a_client_that_does_not_read() {
    let (listener, proxy) = by_hand().await;
    let mut client = client_with_small_buffers(&proxy).await;
    client.write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").await.unwrap();
    let (mut endpoint, _) = listener.accept().await.unwrap();
    read_head(&mut endpoint).await;
    endpoint
        .write_all(format!("HTTP/1.1 200 OK\r\ncontent-length: {LARGE}\r\n\r\n").as_bytes())
        .await
        .unwrap();
    let written = write_until_stalled(&mut endpoint).await;
    assert!(written < BUFFERED, "{written} bytes were taken for a client that reads none");
    let head = read_head(&mut client).await;
    assert!(head.starts_with("HTTP/1.1 200 OK\r\n"), "{head}");
    tokio::join!(write_rest(&mut endpoint, written), read_all(&mut client, 0));
}

#[tokio::test]
async fn a_large_upload_waits_for_an_endpoint_that_does_not_read() {
    let (listener, proxy) = by_hand().await;
    let mut client = client_with_small_buffers(&proxy).await;
    let head = format!("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: {LARGE}\r\n\r\n");
    client.write_all(head.as_bytes()).await.unwrap();
    let (mut endpoint, _) = listener.accept().await.unwrap();
    read_head(&mut endpoint).await;
    let written = write_until_stalled(&mut client).await;
    assert!(written < BUFFERED, "{written} bytes were taken for an endpoint that reads none");
    tokio::join!(write_rest(&mut client, written), read_all(&mut endpoint, 0));
    endpoint.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await.unwrap();
    assert!(read_head(&mut client).await.starts_with("HTTP/1.1 200 OK\r\n"));
}

#[tokio::test]
async fn after_an_upgrade_each_side_waits_for_a_reader_that_does_not_read() {
    let (listener, proxy) = by_hand().await;
    let mut client = client_with_small_buffers(&proxy).await;
    let upgrade = "connection: upgrade\r\nupgrade: echo\r\n\r\n";
    client.write_all(format!("GET / HTTP/1.1\r\nHost: a\r\n{upgrade}").as_bytes()).await.unwrap();
    let (mut endpoint, _) = listener.accept().await.unwrap();
    read_head(&mut endpoint).await;
    let switching = format!("HTTP/1.1 101 Switching Protocols\r\n{upgrade}");
    endpoint.write_all(switching.as_bytes()).await.unwrap();
    assert!(read_head(&mut client).await.starts_with("HTTP/1.1 101 "));
    let down = write_until_stalled(&mut endpoint).await;
    assert!(down < BUFFERED, "{down} bytes were taken for a client that reads none");
    let up = write_until_stalled(&mut client).await;
    assert!(up < BUFFERED, "{up} bytes were taken for an endpoint that reads none");
    let ((mut client_reads, mut client_writes), (mut endpoint_reads, mut endpoint_writes)) =
        (client.split(), endpoint.split());
    tokio::join!(
        write_rest(&mut client_writes, up),
        read_all(&mut endpoint_reads, 0),
        write_rest(&mut endpoint_writes, down),
        read_all(&mut client_reads, 0),
    );
}

#[tokio::test]
async fn both_bodies_flow_at_the_same_time() {
    let (listener, proxy) = by_hand().await;
    let mut client = proxy.client().await;
    client
        .send("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nping\r\n")
        .await;
    let (mut endpoint, _) = listener.accept().await.unwrap();
    read_head(&mut endpoint).await;
    let mut piece = [0; 9];
    endpoint.read_exact(&mut piece).await.unwrap();
    assert_eq!(&piece, b"4\r\nping\r\n");
    endpoint
        .write_all(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n4\r\npong\r\n")
        .await
        .unwrap();
    assert!(client.until("4\r\npong\r\n").await.starts_with("HTTP/1.1 200 OK\r\n"));
    client.send("3\r\nend\r\n0\r\n\r\n").await;
    let mut rest = [0; 13];
    endpoint.read_exact(&mut rest).await.unwrap();
    assert_eq!(&rest, b"3\r\nend\r\n0\r\n\r\n");
    endpoint.write_all(b"3\r\nEND\r\n0\r\n\r\n").await.unwrap();
    assert_eq!(client.until("0\r\n\r\n").await, "3\r\nEND\r\n0\r\n\r\n");
}

/// The endpoint answers with the first byte that it gets; the client reads when it has sent everything.
#[tokio::test]
async fn an_upload_goes_on_while_nobody_reads_the_response() {
    let (listener, proxy) = by_hand().await;
    let mut client = client_with_small_buffers(&proxy).await;
    let head = format!("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: {LARGE}\r\n\r\n");
    client.write_all(head.as_bytes()).await.unwrap();
    let (mut endpoint, _) = listener.accept().await.unwrap();
    read_head(&mut endpoint).await;
    endpoint
        .write_all(format!("HTTP/1.1 200 OK\r\ncontent-length: {LARGE}\r\n\r\n").as_bytes())
        .await
        .unwrap();
    let written = write_until_stalled(&mut endpoint).await;
    let both = async {
        let (mut receive, mut send) = endpoint.split();
        tokio::join!(read_all(&mut receive, 0), write_rest(&mut send, written))
    };
    let client = async {
        write_rest(&mut client, 0).await;
        assert!(read_head(&mut client).await.starts_with("HTTP/1.1 200 OK\r\n"));
        read_all(&mut client, 0).await;
        // Both went to their end: the connections can be used again.
        client.write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").await.unwrap();
    };
    let done = timeout(super::client::PATIENCE, async { tokio::join!(both, client) }).await;
    assert!(done.is_ok(), "one waits for the other");
    assert!(read_head(&mut endpoint).await.starts_with("GET / HTTP/1.1\r\n"));
}

#[tokio::test]
async fn a_response_arrives_whole_however_it_is_delimited() {
    let server = server().await;
    let proxy = Proxy::before(&[&server]);
    let mut client = proxy.client().await;
    for size in [0, 1, 8 * 1024, 70_000, 1 << 20] {
        let expected = testserver::pattern(size);
        let answer = client.get(&format!("/bytes/{size}")).await;
        assert_eq!(answer.field("content-length"), Some(&*size.to_string()));
        assert!(answer.body == expected, "{size} with a length");
        let answer = client.get(&format!("/bytes/{size}?chunked")).await;
        assert_eq!(answer.field("transfer-encoding"), Some("chunked"));
        assert!(answer.body == expected, "{size} in chunks");
        // The endpoint's close ends its body, not the client's connection.
        let answer = client.get(&format!("/bytes/{size}?close")).await;
        assert_eq!(answer.field("transfer-encoding"), Some("chunked"));
        assert!(answer.body == expected, "{size} up to the close");
    }
}

#[tokio::test]
async fn an_upload_arrives_whole_however_it_is_delimited() {
    let server = server().await;
    let proxy = Proxy::before(&[&server]);
    let mut client = proxy.client().await;
    for size in [0, 1, 70_000, 1 << 20] {
        let body = testserver::pattern(size);
        let expected = serde_json::json!({ "length": size, "pattern": true, "trailers": [] });
        let head = "POST /sink HTTP/1.1\r\nHost: a\r\n";
        client.send(format!("{head}Content-Length: {size}\r\n\r\n")).await;
        client.send(&body).await;
        assert_eq!(client.answer().await.json(), expected);
        client.send(format!("{head}Transfer-Encoding: chunked\r\n\r\n")).await;
        for chunk in body.chunks(10_007) {
            client.send(format!("{:x};extension=1\r\n", chunk.len())).await;
            client.send(chunk).await;
            client.send("\r\n").await;
        }
        client.send("0\r\n\r\n").await;
        assert_eq!(client.answer().await.json(), expected);
    }
}

#[tokio::test]
async fn a_piece_of_a_stream_does_not_wait_for_the_next() {
    let server = server().await;
    let proxy = Proxy::before(&[&server]);
    let mut client = proxy.client().await;
    client.send("GET /hold-body?chunked HTTP/1.1\r\nHost: a\r\n\r\n").await;
    client.until("C\r\ntwenty-four \r\n").await;
    server.release();
    client.until("C\r\nbytes long.\n\r\n0\r\n\r\n").await;
}

#[tokio::test]
async fn trailers_of_a_response_arrive_where_they_are_wanted() {
    let server = server().await;
    let proxy = Proxy::before(&[&server]);
    let wanted = "GET /trailers HTTP/1.1\r\nHost: a\r\nTE: trailers\r\nConnection: TE\r\n\r\n";
    let answer = proxy.ask(wanted).await;
    assert_eq!(answer.text(), "with trailers\n");
    assert_eq!(answer.trailers, "x-checksum: 42\r\nx-pieces: 2\r\n");
    assert!(received(&server)[0].contains("te: trailers\r\nconnection: te\r\n"));
    // Elsewhere they are left out, and nothing else changes.
    let answer = proxy.get("/trailers").await;
    assert_eq!((answer.text(), &*answer.trailers), ("with trailers\n", ""));
}

#[tokio::test]
async fn trailers_of_a_request_arrive_and_cannot_smuggle() {
    let server = server().await;
    let proxy = Proxy::before(&[&server]);
    let answer = proxy
        .ask(
            "POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nTrailer: x-sum\r\n\r\n\
             2\r\nhi\r\n0\r\nx-sum: 7\r\ncontent-length: 3\r\ntransfer-encoding: chunked\r\n\
             host: b\r\nx-forwarded-for: 9.9.9.9\r\nconnection: close\r\n\r\n",
        )
        .await;
    assert_eq!(answer.status, 200, "{answer:?}");
    assert_eq!(answer.json()["body"]["text"], "hi");
    assert_eq!(answer.json()["trailers"], serde_json::json!([["x-sum", "7"]]));
}

#[tokio::test]
async fn a_response_cut_short_does_not_look_complete() {
    let server = server().await;
    let proxy = Proxy::before(&[&server]);
    for (target, part) in [
        ("/close?at=after-head", ""),
        ("/close?at=mid-body", "twenty-four "),
        ("/close?at=mid-body&reset&pause=1ms", ""),
        ("/close?at=mid-chunk", "twenty-four "),
    ] {
        let mut client = proxy.client().await;
        client.send(format!("GET {target} HTTP/1.1\r\nHost: a\r\n\r\n")).await;
        let (bytes, _) = client.rest().await;
        let text = String::from_utf8(bytes).unwrap();
        assert!(text.starts_with("HTTP/1.1 200 OK\r\n"), "{target}: {text}");
        assert!(text.contains(part), "{target}: {text}");
        assert!(!text.contains("0\r\n\r\n"), "{target}: {text}");
        assert!(!text.contains("twenty-four bytes long.\n"), "{target}: {text}");
    }
    assert_eq!(proxy.retries(), (0, 0), "part of it was sent to the client");
}

#[tokio::test]
async fn a_client_that_goes_away_ends_the_endpoints_work() {
    let server = server().await;
    let proxy = Proxy::before(&[&server]);
    for (number, target) in
        ["/hold", "/hold-body", "/trickle?pieces=0&every=1ms"].iter().enumerate()
    {
        let mut client = proxy.client().await;
        client.send(format!("GET {target} HTTP/1.1\r\nHost: a\r\n\r\n")).await;
        eventually(&server, |counts| counts.in_flight == 1).await;
        drop(client);
        let reached = |counts: &testserver::Counts| {
            counts.abandoned == number as u64 + 1 && counts.in_flight == 0
        };
        eventually(&server, reached).await;
    }
    proxy.ended(3).await;
    assert_eq!(proxy.backend().members()[0].endpoint.in_flight(), 0);
}

#[tokio::test]
async fn a_client_that_goes_away_in_its_upload_ends_the_endpoints_work() {
    let server = server().await;
    let proxy = Proxy::before(&[&server]);
    let mut client: Client = proxy.client().await;
    client.send("POST /sink HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\nhalf").await;
    eventually(&server, |counts| counts.in_flight == 1).await;
    drop(client);
    eventually(&server, |counts| counts.abandoned == 1 && counts.open_connections == 0).await;
    proxy.ended(1).await;
    assert_eq!(proxy.retries(), (0, 0));
}

#[tokio::test]
async fn an_answer_in_the_middle_of_an_upload_arrives_and_no_reset() {
    let server = server().await;
    let proxy = Proxy::before(&[&server]);
    for query in ["", "?after=100000", "?abrupt&after=100000"] {
        let mut client = proxy.client().await;
        let size = 64 << 20;
        client
            .send(format!(
                "POST /reject{query} HTTP/1.1\r\nHost: a\r\nContent-Length: {size}\r\n\r\n"
            ))
            .await;
        // As a simple client does it: it writes until it may not, and reads then.
        let piece = vec![b'x'; 64 * 1024];
        let mut left = size;
        while left > 0 && client.stream.write_all(&piece).await.is_ok() {
            left -= piece.len();
        }
        let answer = client.answer().await;
        assert_eq!(answer.status, 413, "{query}");
        assert_eq!(answer.json()["message"], "too large");
    }
    assert_eq!(proxy.retries(), (0, 0));
}

/// A reset would take the answer away from a client that has not read it yet.
#[tokio::test]
async fn a_client_that_goes_on_sending_after_the_answer_is_not_reset() {
    let server = server().await;
    let proxy = Proxy::before(&[&server]);
    let mut client = proxy.client().await;
    client.send("POST /reject HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\nsome").await;
    let started = tokio::time::Instant::now();
    // The pace itself is meant: longer in all than any pause may be.
    while started.elapsed() < Duration::from_millis(2600) {
        client.send("more").await;
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(client.answer().await.status, 413);
    client.is_closed().await;
}

/// The connection cannot be used again when the rest of the request is still to come, and the client must hear of it.
#[tokio::test]
async fn an_answer_before_the_end_of_the_request_says_that_the_connection_closes() {
    let server = server().await;
    let refusal = "HTTP/1.1 401 Unauthorized\r\ntransfer-encoding: chunked\r\n\r\n";
    let steps = [Step::send(refusal), Step::send("2\r\nno\r\n0\r\n\r\n"), Step::Linger];
    server.script("/stream", steps);
    let proxy = Config::to(&[&server]).limits("maxBodyBytes: 2000, bodyTimeout: 100ms").start();
    for (request, status) in [
        ("POST /reject HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\nsome", 413),
        ("POST /stream HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\nsome", 401),
        ("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2001\r\n\r\nsome", 413),
        ("POST /sink HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\nsome", 408),
        ("POST / HTTP/1.1\r\nContent-Length: 1000\r\n\r\nsome", 400),
        ("POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 2001\r\n\r\n", 413),
    ] {
        let mut client = proxy.client().await;
        client.send(request).await;
        let answer = client.answer().await;
        assert_eq!(
            (answer.status, answer.field("connection")),
            (status, Some("close")),
            "{request}"
        );
        client.is_closed().await;
    }
    // What has been read to its end leaves the connection as it was.
    let mut client = proxy.client().await;
    for body in ["", "body"] {
        let answer = client.post("/status/413", body).await;
        assert_eq!((answer.status, answer.field("connection")), (413, None));
    }
}

#[tokio::test]
async fn after_an_answer_in_the_middle_of_an_upload_the_connection_ends_gently() {
    let server = server().await;
    let proxy = Proxy::before(&[&server]);
    let mut client = proxy.client().await;
    client.send("POST /reject HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\nsome").await;
    assert_eq!(client.answer().await.status, 413);
    // What was still under way when the answer came does no harm.
    client.send("more").await;
    assert_eq!(client.rest().await, (vec![], Ended::Closed));
}
