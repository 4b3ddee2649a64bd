//! Nobody keeps anybody waiting for ever.

use super::harness::{Config, Proxy, dead_port, eventually, server};
use std::time::Duration;
use testserver::Step;

#[tokio::test]
async fn a_slow_head_gets_a_408_and_the_close() {
    let server = server().await;
    let proxy = Config::to(&[&server]).limits("headerTimeout: 100ms").start();
    let mut client = proxy.client().await;
    client.send("GET / HTTP/1.1\r\nHost: a\r\nX-Slow").await;
    let answer = client.answer().await;
    assert_eq!((answer.status, answer.field("connection")), (408, Some("close")));
    assert_eq!(answer.field("proxy-status"), Some("outrigger; error=http_request_error"));
    assert!(answer.text().ends_with("\nreason: header_timeout\n"), "{}", answer.text());
    client.is_closed().await;
    assert_eq!(server.counts().connections, 0);
}

/// S3
#[tokio::test]
async fn a_head_that_trickles_is_as_slow_as_one_that_stops() {
    let server = server().await;
    let proxy = Config::to(&[&server]).limits("headerTimeout: 100ms").start();
    let mut client = proxy.client().await;
    client.send("GET / HTTP/1.1\r\nHost: a\r\nX-Slow: ").await;
    let (mut read, mut write) = client.stream.split();
    let trickle = async {
        use tokio::io::AsyncWriteExt;
        while write.write_all(b"x").await.is_ok() {
            // The pace itself is meant.
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    let answer = async {
        use tokio::io::AsyncReadExt;
        let mut head = [0; 12];
        read.read_exact(&mut head).await.unwrap();
        head
    };
    tokio::select! {
        () = trickle => panic!("closed without an answer"),
        head = answer => assert_eq!(&head, b"HTTP/1.1 408"),
    }
}

#[tokio::test]
async fn the_second_head_of_a_connection_is_watched_like_the_first() {
    let server = server().await;
    let proxy = Config::to(&[&server]).limits("headerTimeout: 100ms").start();
    let mut client = proxy.client().await;
    assert_eq!(client.post("/echo", "body").await.status, 200);
    client.send("GET / HT").await;
    assert_eq!(client.answer().await.status, 408);
    client.is_closed().await;
}

#[tokio::test]
async fn an_idle_connection_is_closed_without_a_word() {
    let server = server().await;
    // A head's time is shorter: an idle connection must not be taken for a slow head.
    let proxy = Config::to(&[&server]).limits("idleTimeout: 500ms, headerTimeout: 50ms").start();
    let chunked = "POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
    let length = "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\n";
    for (head, body) in [
        ("", ""),
        ("GET / HTTP/1.1\r\nHost: a\r\n\r\n", ""),
        (length, "body"),
        (chunked, "4\r\nbody\r\n0\r\n\r\n"),
        (chunked, "4\r\nbody\r\n0\r\nx-sum: 1\r\n\r\n"),
    ] {
        let mut client = proxy.client().await;
        let before = server.counts().requests;
        client.send(head).await;
        if !body.is_empty() {
            // Head and body come apart, as they do from most clients.
            server.wait_for_requests(before + 1).await;
            client.send(body).await;
        }
        if !head.is_empty() {
            assert_eq!(client.answer().await.status, 200);
        }
        client.is_closed().await;
    }
}

/// The beginning of a head came together with what is before it.
#[tokio::test]
async fn a_head_that_began_early_is_as_slow_as_any_other() {
    let server = server().await;
    let proxy = Config::to(&[&server]).limits("headerTimeout: 100ms").start();
    let post = "POST /echo HTTP/1.1\r\nHost: a\r\n";
    for request in [
        "GET / HTTP/1.1\r\nHost: a\r\n\r\n".to_owned(),
        format!("{post}Content-Length: 4\r\n\r\nbody"),
        format!("{post}Transfer-Encoding: chunked\r\n\r\n4\r\nbody\r\n0\r\n\r\n"),
        format!("{post}Transfer-Encoding: chunked\r\n\r\n4\r\nbody\r\n0\r\nx-sum: 1\r\n\r\n"),
    ] {
        let mut client = proxy.client().await;
        client.send(format!("{request}GET / HT")).await;
        assert_eq!(client.answer().await.status, 200);
        assert_eq!(client.answer().await.status, 408);
        client.is_closed().await;
    }
}

/// The body was here before the answer, and nobody read it.
#[tokio::test]
async fn a_body_that_nobody_read_is_not_taken_for_the_next_head() {
    let (_reserved, dead) = dead_port();
    let proxy = Config::to_urls(vec![dead])
        .limits("idleTimeout: 500ms, headerTimeout: 50ms")
        .retry("attempts: 3")
        .start();
    let mut client = proxy.client().await;
    assert_eq!(client.get("/").await.status, 502);
    client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\n").await;
    // Apart from the head, and in one of the pauses between two attempts.
    tokio::time::sleep(Duration::from_millis(20)).await;
    client.send("body").await;
    let answer = client.answer().await;
    assert_eq!((answer.status, answer.field("connection")), (502, None));
    client.is_closed().await;
}

/// The body of an answer to HEAD is thrown away, but not the connection's timers.
#[tokio::test]
async fn a_connection_idles_after_an_error_to_a_head_request_like_after_any_other() {
    let (_reserved, dead) = dead_port();
    let proxy = Config::to_urls(vec![dead]).limits("idleTimeout: 100ms").start();
    let mut client = proxy.client().await;
    client.send("HEAD / HTTP/1.1\r\nHost: a\r\n\r\n").await;
    assert_eq!(client.answer_without_body().await.status, 502);
    client.is_closed().await;
}

#[tokio::test]
async fn a_slow_body_gets_a_408() {
    let server = server().await;
    let proxy = Config::to(&[&server]).limits("bodyTimeout: 100ms").start();
    for framing in ["Content-Length: 100", "Transfer-Encoding: chunked"] {
        let mut client = proxy.client().await;
        client.send(format!("POST /sink HTTP/1.1\r\nHost: a\r\n{framing}\r\n\r\n4\r\n")).await;
        let answer = client.answer().await;
        assert_eq!((answer.status, answer.reason()), (408, "body_timeout".to_owned()));
        client.is_closed().await;
    }
    eventually(&server, |counts| counts.open_connections == 0).await;
    assert_eq!(proxy.retries(), (0, 0));
}

#[tokio::test]
async fn a_slow_body_that_must_be_measured_first_gets_a_408() {
    let server = server().await;
    let proxy = Config::to(&[&server]).limits("bodyTimeout: 100ms").start();
    let mut client = proxy.client().await;
    // From now on the endpoint is known to take no chunks.
    assert_eq!(client.get("/http10").await.status, 200);
    client.send("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n4\r\n").await;
    let answer = client.answer().await;
    assert_eq!((answer.status, answer.reason()), (408, "body_timeout".to_owned()));
}

#[tokio::test]
async fn an_endpoint_that_does_not_accept_is_a_504() {
    // A queue that is full: the system drops what would connect to it.
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
    let any: std::net::SocketAddr = "127.0.0.1:0".parse().unwrap();
    socket.bind(&any.into()).unwrap();
    socket.listen(0).unwrap();
    let address = socket.local_addr().unwrap();
    let _waiting: Vec<_> = (0..4)
        .map(|_| {
            let client =
                socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
            client.set_nonblocking(true).unwrap();
            let _ = client.connect(&address);
            client
        })
        .collect();
    let url = format!("http://{}", address.as_socket().unwrap());
    let proxy = Config::to_urls(vec![url]).timeouts("connect: 100ms").retry("attempts: 0").start();
    let answer = proxy.get("/").await;
    assert_eq!((answer.status, answer.reason()), (504, "connect_timeout".to_owned()));
    assert_eq!(answer.field("proxy-status"), Some("outrigger; error=connection_timeout"));
}

#[tokio::test]
async fn an_endpoint_that_does_not_answer_is_a_504() {
    let server = server().await;
    for (timeouts, reason) in
        [("request: 100ms", "request_timeout"), ("attempt: 100ms", "attempt_timeout")]
    {
        let before = server.counts().abandoned;
        let proxy = Config::to(&[&server]).timeouts(timeouts).retry("attempts: 0").start();
        let answer = proxy.get("/hold").await;
        assert_eq!((answer.status, answer.reason()), (504, reason.to_owned()));
        assert_eq!(answer.field("proxy-status"), Some("outrigger; error=http_response_timeout"));
        eventually(&server, |counts| counts.abandoned == before + 1).await;
    }
}

#[tokio::test]
async fn the_time_of_a_request_covers_all_its_attempts() {
    let server = server().await;
    let proxy = Config::to(&[&server])
        .timeouts("request: 300ms, attempt: 200ms")
        .retry("attempts: 10")
        .start();
    let answer = proxy.get("/hold").await;
    assert_eq!((answer.status, answer.reason()), (504, "request_timeout".to_owned()));
    assert!(server.counts().requests <= 2, "{:?}", server.counts());
}

#[tokio::test]
async fn the_time_of_a_request_covers_its_connects() {
    let (_reserved, dead) = dead_port();
    // With the pauses before an endpoint is tried again, ten attempts would take many seconds.
    let proxy =
        Config::to_urls(vec![dead]).timeouts("request: 100ms").retry("attempts: 10").start();
    let answer = proxy.get("/").await;
    assert_eq!((answer.status, answer.reason()), (504, "request_timeout".to_owned()));
    assert!(proxy.retries().0 < 10);
}

#[tokio::test]
async fn a_response_that_stalls_is_cut() {
    let server = server().await;
    let proxy = Config::to(&[&server]).timeouts("streamIdle: 100ms").start();
    let mut client = proxy.client().await;
    client.send("GET /hold-body HTTP/1.1\r\nHost: a\r\n\r\n").await;
    let (bytes, _) = client.rest().await;
    assert!(bytes.ends_with(b"\r\n\r\ntwenty-four "), "{}", String::from_utf8_lossy(&bytes));
    eventually(&server, |counts| counts.abandoned == 1).await;
}

#[tokio::test]
async fn a_response_that_goes_on_is_not_cut() {
    let server = server().await;
    let proxy = Config::to(&[&server])
        .timeouts("streamIdle: 300ms, request: 300ms, attempt: 300ms")
        .start();
    // Longer in all than any timeout, but never still for long.
    let answer = proxy.get("/trickle?pieces=20&every=30ms").await;
    assert!(answer.text().ends_with("data: 20\n\n"));
}

#[tokio::test]
async fn an_upload_that_goes_on_is_not_a_slow_request() {
    let server = server().await;
    let proxy = Config::to(&[&server])
        .limits("bodyTimeout: 300ms, headerTimeout: 300ms, idleTimeout: 300ms")
        .timeouts("request: 300ms, attempt: 300ms, streamIdle: 300ms")
        .start();
    let mut client = proxy.client().await;
    client.send("POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 20\r\n\r\n").await;
    for _ in 0..20 {
        client.send("x").await;
        // The pace itself is meant.
        tokio::time::sleep(Duration::from_millis(30)).await;
    }
    assert_eq!(client.answer().await.json()["body"]["length"], 20);
}

#[tokio::test]
async fn an_endpoint_that_stops_reading_is_a_504() {
    let server = server().await;
    server.script("/stall", [Step::ReadBytes(1), Step::Hold]);
    let proxy = Config::to(&[&server]).timeouts("streamIdle: 200ms").start();
    let mut client = proxy.client().await;
    let size = 64 << 20;
    client.send(format!("POST /stall HTTP/1.1\r\nHost: a\r\nContent-Length: {size}\r\n\r\n")).await;
    let (mut read, mut write) = client.stream.split();
    let piece = vec![b'x'; 64 * 1024];
    let upload = async {
        use tokio::io::AsyncWriteExt;
        while write.write_all(&piece).await.is_ok() {}
        std::future::pending::<()>().await;
    };
    let answer = async {
        use tokio::io::AsyncReadExt;
        let mut head = [0; 12];
        read.read_exact(&mut head).await.unwrap();
        head
    };
    tokio::select! {
        () = upload => {}
        head = answer => assert_eq!(&head, b"HTTP/1.1 504"),
    }
}

#[tokio::test]
async fn a_silent_upgraded_connection_is_closed() {
    let server = server().await;
    let proxy = Config::to(&[&server]).timeouts("upgradedIdle: 100ms").start();
    let mut client = proxy.client().await;
    client
        .send("GET /upgrade HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: echo\r\n\r\n")
        .await;
    assert!(client.head().await.starts_with("HTTP/1.1 101 "));
    client.is_closed().await;
    eventually(&server, |counts| counts.open_connections == 0).await;
}

#[tokio::test]
async fn defaults_leave_a_slow_answer_alone() {
    let server = server().await;
    let proxy = Proxy::before(&[&server]);
    assert_eq!(proxy.get("/?delay=300ms").await.status, 200);
}
