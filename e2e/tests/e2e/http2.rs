//! HTTP/2 as clients speak it: curl, nghttp, h2load and the h2 library.

use crate::edit::until_closed;
use crate::scene::config;
use crate::secure::{HOST, Secure};
use bytes::Bytes;
use e2e::{Connection, Dial, Load, Outrigger, has_tool, in_time, run_tool};
use http::Request;
use serde_json::Value;
use std::time::Duration;
use testserver::{Server, pattern};

#[tokio::test]
async fn curl_speaks_http_2_without_tls() {
    if !has_tool("curl") {
        return;
    }
    let server = Server::builder().start().await.unwrap();
    let outrigger = Outrigger::start(&config("RoundRobin", &[server.url()], "")).await;
    let url = format!("http://{}/bytes/1000000", outrigger.address());
    let format = "%{http_version} %{response_code} %{size_download}\n";
    // One request: curl 7.88 cannot use such a connection again, whoever serves it.
    let arguments = ["-sS", "--http2-prior-knowledge", "-w", format, "-o", "/dev/null", &url];
    let said = run_tool("curl", arguments).await;
    assert_eq!(said.out, "2 200 1000000\n", "{said:#?}");
    outrigger.stop().await;
}

#[tokio::test]
async fn nghttp_gets_a_page_over_tls() {
    if !has_tool("nghttp") {
        return;
    }
    let scene = Secure::start().await;
    let url = format!("https://localhost:{}/bytes/100000", scene.outrigger.address().port());
    // It verifies nobody, and says so.
    let said = run_tool("nghttp", ["-nv", "--no-verify-peer", "-d", "/dev/null", &url]).await;
    assert!(said.out.contains(":status: 200"), "{said:#?}");
    assert!(!said.out.contains("GOAWAY frame <length=8, flags=0x00, stream_id=0>\n          (last_stream_id=0, error_code=PROTOCOL_ERROR"), "{said:#?}");
    outrigger_says_nothing_wrong(&scene.outrigger);
    scene.outrigger.stop().await;
}

fn outrigger_says_nothing_wrong(outrigger: &Outrigger) {
    let wrong = outrigger
        .log()
        .all()
        .into_iter()
        .find(|it| it.contains("ERROR") || it.contains("panicked"));
    assert!(wrong.is_none(), "{wrong:?}");
}

#[tokio::test]
async fn h2load_gets_every_answer_over_tls_and_without() {
    if !has_tool("h2load") {
        return;
    }
    let scene = Secure::start().await;
    let plain = Outrigger::start(&config("RoundRobin", &[scene.server.url()], "")).await;
    for url in [
        format!("https://localhost:{}/health", scene.outrigger.address().port()),
        format!("http://{}/health", plain.address()),
        format!("http://{}/bytes/100000", plain.address()),
    ] {
        let said = run_tool("h2load", ["-n", "2000", "-c", "8", "-m", "16", &url]).await;
        let succeeded =
            "2000 total, 2000 started, 2000 done, 2000 succeeded, 0 failed, 0 errored, 0 timeout";
        assert!(said.out.contains(succeeded), "{url}: {said:#?}");
        assert!(said.out.contains("2000 2xx, 0 3xx, 0 4xx, 0 5xx"), "{url}: {said:#?}");
    }
    plain.stop().await;
    scene.outrigger.stop().await;
}

/// One connection, many requests at once, none of which waits for another.
#[tokio::test]
async fn streams_of_a_connection_do_not_wait_for_each_other() {
    let scene = Secure::start().await;
    let mut connection = Connection::open(scene.dial().http2()).await.unwrap();
    let mut held = tokio::task::JoinSet::new();
    for _ in 0..50 {
        let mut connection = connection.another();
        held.spawn(async move { connection.get("/hold").await });
    }
    in_time("50 requests in flight", scene.server.wait_for_in_flight(50)).await;
    assert_eq!(connection.get("/health").await.unwrap().status, 200);
    let large = connection.get("/bytes/3000000").await.unwrap();
    assert_eq!(large.body, pattern(3_000_000));
    scene.server.release();
    for answer in in_time("the answers", held.join_all()).await {
        assert_eq!(answer.unwrap().status, 200);
    }
    scene.outrigger.stop().await;
}

/// A stream that nobody reads holds up no other, nor more memory than its window.
#[tokio::test]
async fn a_stream_that_is_not_read_holds_up_no_other() {
    let scene = Secure::start().await;
    let mut connection = Connection::open(scene.dial().http2()).await.unwrap();
    let before = scene.outrigger.resident_kib();
    let mut stuck = Vec::new();
    for _ in 0..3 {
        let request = Request::get(format!("https://{HOST}/bytes/50000000")).body(()).unwrap();
        let (response, _) =
            connection.h2().ready().await.unwrap().send_request(request, true).unwrap();
        stuck.push(in_time("the head", response).await.unwrap());
    }
    for _ in 0..20 {
        assert_eq!(connection.get("/health").await.unwrap().status, 200);
    }
    let grown = scene.outrigger.resident_kib().saturating_sub(before);
    assert!(grown < 20_000, "{grown} KiB more for bodies that nobody reads");
    drop(stuck);
    scene.outrigger.stop().await;
}

/// What the endpoint of HTTP/1.1 receives is one clear request: names as they were, cookies in one field, no `:` fields.
#[tokio::test]
async fn a_request_of_http_2_is_one_clear_request_of_http_1_1() {
    let scene = Secure::start().await;
    let mut connection = Connection::open(scene.dial().http2()).await.unwrap();
    let request = Request::post(format!("https://{HOST}/echo?q=1"))
        .header("cookie", "a=1")
        .header("cookie", "b=2")
        .header("cookie", "c=3")
        .header("te", "trailers")
        .header("x-own", "value");
    let answer = connection.send(request.body("hello".into()).unwrap()).await.unwrap();
    let echo: Value = serde_json::from_slice(&answer.body).unwrap();
    let fields = |name: &str| {
        let all = echo["headers"].as_array().unwrap().iter();
        let found = all.filter(|it| it[0].as_str().unwrap().eq_ignore_ascii_case(name));
        found.map(|it| it[1].as_str().unwrap()).collect::<Vec<_>>()
    };
    assert_eq!((&echo["method"], &echo["target"]), (&"POST".into(), &"/echo?q=1".into()));
    assert_eq!((&echo["version"], &echo["body"]["text"]), (&"HTTP/1.1".into(), &"hello".into()));
    assert_eq!(fields("host"), [HOST]);
    assert_eq!(fields("cookie"), ["a=1; b=2; c=3"]);
    assert_eq!(fields("x-own"), ["value"]);
    assert_eq!(fields("x-forwarded-proto"), ["https"]);
    assert!(fields("x-forwarded-for").len() == 1 && fields(":path").is_empty(), "{echo:#}");
    scene.outrigger.stop().await;
}

/// What a client of HTTP/2 may not send (RFC 9113, section 8.2.2) reaches no endpoint.
#[tokio::test]
async fn fields_of_a_connection_and_a_host_that_differs_are_refused() {
    let scene = Secure::start().await;
    for (name, value) in [
        ("connection", "close"),
        ("transfer-encoding", "chunked"),
        ("upgrade", "websocket"),
        ("keep-alive", "timeout=5"),
        ("proxy-connection", "close"),
        ("te", "gzip"),
        ("host", "other.example"),
    ] {
        let connection = Connection::open(scene.dial().http2()).await.unwrap();
        let request = Request::get(format!("https://{HOST}/echo")).header(name, value);
        let before = scene.server.counts().requests;
        let mut sender = connection.h2().ready().await.unwrap();
        // The library may refuse to send it, too; the attacks send it in raw frames.
        let Ok((response, _)) = sender.send_request(request.body(()).unwrap(), true) else {
            continue;
        };
        let refused = match in_time("the answer", response).await {
            Ok(response) => response.status().is_client_error(),
            Err(error) => error.is_reset() || error.is_go_away(),
        };
        assert!(refused, "{name}: {value}");
        assert_eq!(scene.server.counts().requests, before, "{name}: {value}");
    }
    scene.outrigger.stop().await;
}

/// A client that gives up a request ends it at the endpoint, too.
#[tokio::test]
async fn a_stream_that_the_client_resets_is_cancelled_at_the_endpoint() {
    let scene = Secure::start().await;
    let connection = Connection::open(scene.dial().http2()).await.unwrap();
    let request = Request::get(format!("https://{HOST}/hold")).body(()).unwrap();
    let (response, mut stream) =
        connection.h2().ready().await.unwrap().send_request(request, true).unwrap();
    in_time("1 requests in flight", scene.server.wait_for_in_flight(1)).await;
    stream.send_reset(h2::Reason::CANCEL);
    drop(response);
    in_time("the end at the endpoint", scene.server.wait_for_in_flight(0)).await;
    let idle = |status: &e2e::Status| status.backend("demo").in_flight() == [0];
    scene.outrigger.until("no request in flight", idle).await;
    assert!(connection.is_open());
    scene.outrigger.stop().await;
}

/// The answer's end before the request's (RFC 9113, section 8.1): the client gets the whole answer, not a reset.
#[tokio::test]
async fn an_early_answer_to_an_upload_reaches_the_client() {
    let scene = Secure::start().await;
    let connection = Connection::open(scene.dial().http2()).await.unwrap();
    let request = Request::post(format!("https://{HOST}/reject?after=1000")).body(()).unwrap();
    let (response, mut body) =
        connection.h2().ready().await.unwrap().send_request(request, false).unwrap();
    let sending = tokio::spawn(async move {
        for _ in 0..1000 {
            if body.send_data(Bytes::from_static(&[b'x'; 1000]), false).is_err() {
                return;
            }
            tokio::task::yield_now().await;
        }
        drop(std::future::poll_fn(|context| body.poll_reset(context)).await);
    });
    let response = in_time("the answer", response).await.unwrap();
    assert_eq!(response.status(), 413);
    let mut body = response.into_body();
    let mut text = Vec::new();
    while let Some(piece) = in_time("the body", body.data()).await {
        text.extend_from_slice(&piece.unwrap());
    }
    assert!(!text.is_empty());
    sending.abort();
    assert!(connection.is_open());
    scene.outrigger.stop().await;
}

/// An endpoint's death in the middle of a body is an error at the client, never a short body that looks whole.
#[tokio::test]
async fn a_body_cut_short_is_a_reset_of_the_stream_alone() {
    let scene = Secure::start().await;
    let mut connection = Connection::open(scene.dial().http2()).await.unwrap();
    for place in ["mid-body", "mid-chunk"] {
        let cut = connection.get(&format!("/close?at={place}")).await;
        assert!(cut.is_err(), "{place}: {cut:?}");
    }
    assert_eq!(connection.get("/health").await.unwrap().status, 200);
    scene.outrigger.stop().await;
}

/// The end of the process: GOAWAY first, then what is in flight is answered.
#[tokio::test]
async fn a_process_that_ends_answers_all_streams_and_then_goes_away() {
    let scene = Secure::start().await;
    let connection = Connection::open(scene.dial().http2()).await.unwrap();
    let mut held = tokio::task::JoinSet::new();
    for _ in 0..10 {
        let mut connection = connection.another();
        held.spawn(async move { connection.get("/hold").await });
    }
    in_time("10 requests in flight", scene.server.wait_for_in_flight(10)).await;
    scene.outrigger.signal(e2e::Signal::INT);
    // A stream that comes after the GOAWAY is refused, so that the client may send it elsewhere: not answered by silence.
    scene.server.release();
    for answer in in_time("the answers", held.join_all()).await {
        assert_eq!(answer.unwrap().status, 200);
    }
    until_closed("the connection", &connection).await;
    let ended = scene.outrigger.ended().await;
    assert!(ended.status.success(), "{}", ended.log);
}

/// B8: connections end after a while, each at its own time, so that new processes get their share; no request is lost.
#[tokio::test]
async fn connections_end_at_their_greatest_age_without_a_lost_request() {
    let scene = Secure::with("    limits: { maxConnectionAge: 300ms }\n", "").await;
    let load = Load::on(scene.dial().http2()).connections(4).streams(4).start();
    let plain = Load::on(scene.dial()).connections(4).start();
    tokio::time::sleep(Duration::from_millis(1500)).await;
    let (streams, plain) = (load.stop().await, plain.stop().await);
    println!("{} and {} connections", streams.opened, plain.opened);
    assert!(plain.opened > 8, "{plain:?}");
    plain.assert_all_ok();
    assert!(streams.opened > 8, "{streams:?}");
    // A stream sent at the moment of the GOAWAY is refused as not processed, which clients try again: none may be lost
    // otherwise.
    let lost = streams.told.iter().filter(|it| {
        !it.contains("REFUSED_STREAM")
            && !it.contains("not a result of an error")
            && !it.contains("not ready")
    });
    assert_eq!(lost.count(), 0, "{:#?}", streams.told);
    scene.outrigger.stop().await;
}

/// A client with more streams than it may have waits for its turn, or is refused; others are served.
#[tokio::test]
async fn no_more_streams_at_once_than_the_listener_allows() {
    let scene = Secure::with("    limits: { maxConcurrentStreams: 4 }\n", "").await;
    let connection = Connection::open(scene.dial().http2()).await.unwrap();
    assert_eq!(connection.another().get("/health").await.unwrap().status, 200);
    let mut held = tokio::task::JoinSet::new();
    for _ in 0..12 {
        let mut connection = connection.another();
        held.spawn(async move { connection.get("/hold").await });
    }
    in_time("4 requests in flight", scene.server.wait_for_in_flight(4)).await;
    let mut other = Connection::open(scene.dial().http2()).await.unwrap();
    for _ in 0..20 {
        assert_eq!(other.get("/health").await.unwrap().status, 200);
    }
    assert_eq!(scene.server.counts().in_flight, 4);
    scene.server.release();
    for answer in in_time("the answers", held.join_all()).await {
        assert_eq!(answer.unwrap().status, 200);
    }
    scene.outrigger.stop().await;
}

/// Both protocols of the same port, told apart by the first bytes, however they are cut.
#[tokio::test]
async fn a_preface_in_pieces_is_http_2_and_a_request_that_looks_like_one_is_not() {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let server = Server::builder().start().await.unwrap();
    let outrigger = Outrigger::start(&config("RoundRobin", &[server.url()], "")).await;
    let mut stream = tokio::net::TcpStream::connect(outrigger.address()).await.unwrap();
    stream.set_nodelay(true).unwrap();
    for byte in b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0" {
        stream.write_all(&[*byte]).await.unwrap();
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    let mut frame = [0; 9];
    in_time("the server's preface", stream.read_exact(&mut frame)).await.unwrap();
    assert_eq!(frame[3], 4, "the first frame is SETTINGS: {frame:?}");

    let mut stream = tokio::net::TcpStream::connect(outrigger.address()).await.unwrap();
    stream.write_all(b"PROPFIND / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n").await.unwrap();
    let mut answer = String::new();
    in_time("the answer", stream.read_to_string(&mut answer)).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    let mut client = Connection::open(Dial::to(outrigger.address()).http2()).await.unwrap();
    assert_eq!(client.get("/health").await.unwrap().status, 200);
    outrigger.stop().await;
}
