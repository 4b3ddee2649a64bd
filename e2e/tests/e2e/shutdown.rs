//! The end of the process (K4): unready at once, still serving for a while, then closing without dropping a request.

use crate::edit::{held, one_backend, serves, until_closed};
use e2e::{Connection, Load, Outrigger, PORTS, Signal, eventually, in_time};
use std::net::SocketAddr;
use std::time::Duration;
use testserver::Server;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::Instant;

/// Longer than any test waits.
const NEVER: &str = "10m";

async fn start(delay: &str, timeout: &str, server: &Server) -> Outrigger {
    let top = format!("{PORTS}shutdown: {{ drainDelay: {delay}, drainTimeout: {timeout} }}\n");
    Outrigger::start(&one_backend(&top, server)).await
}

async fn until_refused(address: SocketAddr) {
    eventually("the socket to be closed", async || {
        std::net::TcpStream::connect(address).is_err().then_some(())
    })
    .await;
}

async fn until_unready(outrigger: &Outrigger) {
    eventually("the process to be unready", async || {
        (outrigger.ask("/readyz").await.unwrap().status == 503).then_some(())
    })
    .await;
}

/// K4
#[tokio::test]
async fn a_terminated_process_is_unready_at_once_and_serves_as_before_for_the_delay() {
    let server = Server::builder().start().await.unwrap();
    let outrigger = start(NEVER, NEVER, &server).await;
    let mut kept = Connection::open(outrigger.address()).await.unwrap();
    kept.get("/").await.unwrap();
    outrigger.signal(Signal::TERM);
    until_unready(&outrigger).await;
    let answer = outrigger.ask("/readyz").await.unwrap();
    assert_eq!(answer.text(), "not ready: stopping\n");
    assert_eq!(outrigger.ask("/livez").await.unwrap().status, 200);
    for _ in 0..10 {
        serves(outrigger.address()).await;
        assert_eq!(kept.get("/").await.unwrap().header("connection"), "");
    }
    // An edit still takes effect.
    let edited = std::fs::read_to_string(outrigger.config()).unwrap();
    let edited = edited.replace("name: demo,", "name: demo, algorithm: Random,");
    outrigger.reload(&edited).await;
    outrigger.signal(Signal::TERM);
    let ended = outrigger.ended().await;
    assert_eq!(ended.status.code(), Some(0), "{}", ended.log);
    assert!(ended.log.contains("second signal: ending at once"), "{}", ended.log);
}

/// K4
#[tokio::test]
async fn after_the_delay_every_answer_closes_and_what_is_in_flight_is_finished() {
    let server = Server::builder().start().await.unwrap();
    let outrigger = start("200ms", NEVER, &server).await;
    let address = outrigger.address();
    let mut idle = Connection::open(address).await.unwrap();
    idle.get("/").await.unwrap();
    let request = held(address, &server).await;
    let told = Instant::now();
    outrigger.signal(Signal::TERM);
    until_refused(address).await;
    assert!(told.elapsed() >= Duration::from_millis(200), "{:?}", told.elapsed());

    // What runs can still be asked.
    assert_eq!(outrigger.ask("/readyz").await.unwrap().status, 503);
    assert_eq!(outrigger.status().await.backend("demo").in_flight(), [1]);
    assert!(idle.is_open(), "an idle client is told with its next answer");
    let answer = idle.get("/").await.unwrap();
    assert_eq!((answer.status, answer.header("connection")), (200, "close"));
    until_closed("the idle connection", &idle).await;
    assert!(!request.is_finished());
    server.release();
    let answer = in_time("the held request", request).await.unwrap();
    assert_eq!((answer.status, answer.header("connection")), (200, "close"));
    let ended = outrigger.ended().await;
    assert_eq!(ended.status.code(), Some(0), "{}", ended.log);
    assert_eq!(ended.access_log.len(), 3, "{:#?}", ended.access_log);
}

#[tokio::test]
async fn idle_and_busy_connections_are_closed_after_the_drain_timeout() {
    let server = Server::builder().start().await.unwrap();
    let outrigger = start("0s", "300ms", &server).await;
    let address = outrigger.address();
    let mut idle = Connection::open(address).await.unwrap();
    idle.get("/").await.unwrap();
    let mut busy = TcpStream::connect(address).await.unwrap();
    busy.write_all(b"GET /hold HTTP/1.1\r\nHost: a\r\n\r\n").await.unwrap();
    let mut upgraded = TcpStream::connect(address).await.unwrap();
    let head = "GET /upgrade HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: echo\r\n\r\n";
    upgraded.write_all(head.as_bytes()).await.unwrap();
    let mut first = [0; 12];
    upgraded.read_exact(&mut first).await.unwrap();
    assert_eq!(&first, b"HTTP/1.1 101");
    eventually("the held request", async || (server.counts().in_flight >= 2).then_some(())).await;

    let told = Instant::now();
    outrigger.signal(Signal::TERM);
    until_closed("the idle connection", &idle).await;
    assert!(told.elapsed() >= Duration::from_millis(300), "{:?}", told.elapsed());
    let ended = outrigger.ended().await;
    assert_eq!(ended.status.code(), Some(4), "{}", ended.log);
    assert!(ended.log.contains("still busy after the drain timeout"), "{}", ended.log);
    assert!(ended.log.contains("outrigger: ended in the middle of 2 requests\n"), "{}", ended.log);
    assert!(ended.log.contains("shutdown.drainTimeout"), "{}", ended.log);
    let mut rest = Vec::new();
    let _ = in_time("the end of the busy connection", busy.read_to_end(&mut rest)).await;
    // Each request has its line, the cut ones with the reason.
    let reasons = ended.access_log.iter().map(|line| (line.path.as_str(), line.reason.as_str()));
    let mut reasons: Vec<_> = reasons.collect();
    reasons.sort_unstable();
    assert_eq!(reasons, [("/", "ok"), ("/hold", "shutdown"), ("/upgrade", "shutdown")]);
}

/// That clients stay connected is no request that was cut.
#[tokio::test]
async fn an_idle_client_that_is_closed_after_the_drain_timeout_is_a_good_end() {
    let server = Server::builder().start().await.unwrap();
    let outrigger = start("0s", "100ms", &server).await;
    let mut idle = Connection::open(outrigger.address()).await.unwrap();
    idle.get("/").await.unwrap();
    outrigger.signal(Signal::TERM);
    until_closed("the idle connection", &idle).await;
    let ended = outrigger.ended().await;
    assert_eq!(ended.status.code(), Some(0), "{}", ended.log);
}

#[tokio::test]
async fn an_interrupt_does_not_wait_for_the_delay() {
    let server = Server::builder().start().await.unwrap();
    let outrigger = start(NEVER, NEVER, &server).await;
    let request = held(outrigger.address(), &server).await;
    outrigger.signal(Signal::INT);
    until_refused(outrigger.address()).await;
    server.release();
    let answer = in_time("the held request", request).await.unwrap();
    assert_eq!((answer.status, answer.header("connection")), (200, "close"));
    assert_eq!(outrigger.ended().await.status.code(), Some(0));
}

#[tokio::test]
async fn a_second_signal_ends_at_once_whatever_is_in_flight() {
    let server = Server::builder().start().await.unwrap();
    for second in [Signal::TERM, Signal::INT] {
        server.hold();
        let outrigger = start("0s", NEVER, &server).await;
        let address = outrigger.address();
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(b"GET /hold HTTP/1.1\r\nHost: a\r\n\r\n").await.unwrap();
        eventually("the held request", async || (server.counts().in_flight > 0).then_some(()))
            .await;
        outrigger.signal(Signal::TERM);
        until_refused(address).await;
        outrigger.signal(second);
        let ended = outrigger.ended().await;
        assert_eq!(ended.status.code(), Some(4), "{}", ended.log);
        assert!(ended.log.contains("ended in the middle of a request\n"), "{}", ended.log);
        eventually("the request to be given up", async || {
            (server.counts().in_flight == 0).then_some(())
        })
        .await;
    }
}

/// A handshake that is in flight when the process begins to close must not be answered by half.
#[tokio::test]
async fn an_upgrade_while_closing_is_whole() {
    let server = Server::builder().start().await.unwrap();
    let outrigger = start("0s", NEVER, &server).await;
    let mut stream = TcpStream::connect(outrigger.address()).await.unwrap();
    let head =
        "GET /upgrade?hold HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: echo\r\n\r\n";
    stream.write_all(head.as_bytes()).await.unwrap();
    eventually("the held request", async || (server.counts().in_flight > 0).then_some(())).await;
    outrigger.signal(Signal::TERM);
    until_refused(outrigger.address()).await;
    server.release();
    let mut answer = Vec::new();
    while !answer.ends_with(b"\r\n\r\n") {
        answer.push(in_time("the head", stream.read_u8()).await.unwrap());
    }
    let answer = String::from_utf8(answer).unwrap().to_ascii_lowercase();
    assert!(answer.starts_with("http/1.1 101 "), "{answer}");
    assert!(answer.contains("\r\nconnection: upgrade\r\n"), "{answer}");
    stream.write_all(b"hello").await.unwrap();
    let mut echo = [0; 5];
    in_time("the echo", stream.read_exact(&mut echo)).await.unwrap();
    assert_eq!(&echo, b"hello");
    drop(stream);
    assert_eq!(outrigger.ended().await.status.code(), Some(0));
}

const GET_HEALTH: &[u8] = b"GET /health HTTP/1.1\r\nHost: a\r\n\r\n";

/// The next answer to [`GET_HEALTH`], in lower case.
async fn whole_answer(stream: &mut TcpStream) -> String {
    let mut answer = Vec::new();
    while !answer.ends_with(b"}") {
        match in_time("the answer", stream.read_u8()).await {
            Ok(byte) => answer.push(byte),
            Err(error) => panic!("{error} after {:?}", String::from_utf8_lossy(&answer)),
        }
    }
    String::from_utf8_lossy(&answer).to_ascii_lowercase()
}

/// Closing a socket resets who waits in its queue: nobody may be left there, however many come at that moment.
#[tokio::test]
async fn who_waits_to_be_accepted_is_served_when_the_sockets_close() {
    let server = Server::builder().start().await.unwrap();
    for round in 0..5 {
        let outrigger = start("0s", NEVER, &server).await;
        let address = outrigger.address();
        // Stopped, it accepts nothing: these all wait in the queue when the signal comes.
        outrigger.signal(Signal::STOP);
        let mut waiting = Vec::new();
        for _ in 0..100 {
            let mut stream = TcpStream::connect(address).await.unwrap();
            stream.write_all(GET_HEALTH).await.unwrap();
            waiting.push(stream);
        }
        outrigger.signal(Signal::TERM);
        outrigger.signal(Signal::CONT);
        let mut answers = 0;
        for mut stream in waiting {
            // A worker may go on a little before the signal is seen: an answer of that moment asks for no close yet.
            let last = loop {
                let answer = whole_answer(&mut stream).await;
                answers += 1;
                assert!(answer.starts_with("http/1.1 200 ok\r\n"), "round {round}: {answer:?}");
                if answer.contains("\r\nconnection: close\r\n") {
                    break in_time("the close", stream.read(&mut [0])).await;
                }
                stream.write_all(GET_HEALTH).await.unwrap();
            };
            assert!(matches!(last, Ok(0)), "round {round}: {last:?}");
        }
        let ended = outrigger.ended().await;
        assert_eq!(ended.status.code(), Some(0), "{}", ended.log);
        assert_eq!(ended.access_log.len(), answers);
    }
}

/// New connections are refused from some moment on; whoever was let in before is answered.
#[tokio::test]
async fn no_request_under_load_is_dropped_by_the_end() {
    let server = Server::builder().start().await.unwrap();
    let outrigger = start("100ms", NEVER, &server).await;
    let load = Load::on(outrigger.address()).connections(16).start();
    load.wait_for(200).await;
    outrigger.signal(Signal::TERM);
    let ended = outrigger.ended().await;
    assert_eq!(ended.status.code(), Some(0), "{}", ended.log);
    let tally = load.stop().await;
    let dropped: Vec<_> =
        tally.told.iter().filter(|told| !told.starts_with("no connection")).collect();
    assert!(dropped.is_empty(), "{dropped:#?}");
    assert_eq!(tally.failed(), tally.errors);
}
