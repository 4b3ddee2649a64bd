//! Settings that take effect at once, those that wait for a restart, and endpoints that go.

use crate::edit::{one_backend, serves};
use crate::scene::config;
use e2e::{Connection, Load, Outrigger, PORTS, eventually, in_time};
use std::time::Duration;
use testserver::Server;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

#[tokio::test]
async fn what_needs_a_restart_is_said_and_the_rest_of_the_file_runs() {
    let server = Server::builder().start().await.unwrap();
    let text = |workers| format!("workers: {workers}\n{}", config("Random", &[server.url()], ""));
    let outrigger = Outrigger::start(&text(1)).await;
    let edited = text(2).replace("Random", "RoundRobin");
    let status = outrigger.reload(&edited).await;
    assert_eq!((status.workers, status.generation, status.config_in_sync), (1, 2, true));
    assert_eq!(status.backend("demo").algorithm, "RoundRobin");
    let line = outrigger.logged("reload: generation 2: ").await;
    assert!(line.contains("workers: needs a restart, 1 go on running"), "{line}");
    serves(outrigger.address()).await;

    // Back to the number that runs: nothing needs a restart any more.
    outrigger.reload(&edited.replace("workers: 2", "workers: 1")).await;
    let line = outrigger.logged("reload: generation 3: ").await;
    assert!(!line.contains("needs a restart"), "{line}");
    outrigger.stop().await;
}

#[tokio::test]
async fn the_access_log_can_be_turned_off_and_on_while_it_runs() {
    let server = Server::builder().start().await.unwrap();
    let text = |enabled| {
        let top = format!("{PORTS}telemetry: {{ accessLog: {{ enabled: {enabled} }} }}\n");
        one_backend(&top, &server)
    };
    let outrigger = Outrigger::start(&text(true)).await;
    let load = |path| Load::on(outrigger.address()).path(path);
    load("/health?1").requests(3).await.assert_all_ok();
    outrigger.access_log().wait_for(3).await;
    outrigger.reload(&text(false)).await;
    outrigger.logged("telemetry.accessLog.enabled true → false").await;
    // A worker that has not woken up yet may log a request or two.
    eventually("a request without a line", async || {
        let before = outrigger.access_log().count();
        load("/health?2").requests(1).await.assert_all_ok();
        load("/health?2").requests(1).await.assert_all_ok();
        tokio::time::sleep(Duration::from_millis(30)).await;
        (outrigger.access_log().count() == before).then_some(())
    })
    .await;
    outrigger.reload(&text(true)).await;
    let before = outrigger.access_log().count();
    load("/health?3").requests(3).await.assert_all_ok();
    outrigger.access_log().wait_for(before + 1).await;
    outrigger.stop().await;
}

#[tokio::test]
async fn a_removed_endpoint_gets_nothing_new_and_finishes_what_it_has() {
    let [stays, goes] =
        [Server::builder().start().await.unwrap(), Server::builder().start().await.unwrap()];
    let both = config("RoundRobin", &[stays.url(), goes.url()], "");
    let outrigger = Outrigger::start(&both).await;
    let requests = [(); 2].map(|()| {
        let address = outrigger.address();
        tokio::spawn(
            async move { Connection::open(address).await.unwrap().get("/hold").await.unwrap() },
        )
    });
    eventually("a held request on each", async || {
        (stays.counts().in_flight == 1 && goes.counts().in_flight == 1).then_some(())
    })
    .await;

    outrigger.reload(&config("RoundRobin", &[stays.url()], "")).await;
    outrigger
        .logged(&format!(
            "backend demo: endpoint {} removed, drains for up to 30s; 0 connections closed, 1 requests",
            goes.url()
        ))
        .await;
    let before = goes.counts().requests;
    Load::on(outrigger.address()).connections(4).requests(40).await.assert_all_ok();
    assert_eq!(goes.counts().requests, before);
    for server in [&stays, &goes] {
        server.release();
    }
    for request in requests {
        let answer = in_time("the held requests", request).await.unwrap();
        assert_eq!((answer.status, answer.header("connection")), (200, ""));
    }
    eventually("its connections to be closed", async || {
        (goes.counts().open_connections == 0).then_some(())
    })
    .await;
    outrigger.stop().await;
}

/// A conversation with a removed endpoint, and a response that streams for ever, end with the drain timeout.
#[tokio::test]
async fn what_a_removed_endpoint_streams_ends_after_the_drain_timeout() {
    let [stays, goes] =
        [Server::builder().start().await.unwrap(), Server::builder().start().await.unwrap()];
    let text = |server: &Server| {
        one_backend(&format!("{PORTS}shutdown: {{ drainTimeout: 300ms }}\n"), server)
    };
    let outrigger = Outrigger::start(&text(&goes)).await;
    let mut streams = Vec::new();
    for head in [
        "GET /upgrade HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: echo\r\n\r\n",
        "GET /trickle?pieces=0&every=10ms HTTP/1.1\r\nHost: a\r\n\r\n",
    ] {
        let mut stream = TcpStream::connect(outrigger.address()).await.unwrap();
        stream.write_all(head.as_bytes()).await.unwrap();
        let mut first = [0; 12];
        stream.read_exact(&mut first).await.unwrap();
        streams.push(stream);
    }
    let mut idle = Connection::open(outrigger.address()).await.unwrap();
    idle.get("/health").await.unwrap();
    let reloaded = tokio::time::Instant::now();
    outrigger.reload(&text(&stays)).await;
    for mut stream in streams {
        let mut rest = Vec::new();
        // A cut is a cut, by FIN or by RST.
        let _ = in_time("the end of the stream", stream.read_to_end(&mut rest)).await;
        assert!(reloaded.elapsed() >= Duration::from_millis(300));
    }
    assert!(idle.is_open(), "a client's connection has nothing to do with endpoints");
    assert_eq!(idle.get("/health").await.unwrap().status, 200);
    let ended = outrigger.stop().await;
    let cut = ended.access_log.iter().filter(|line| line.reason == "removed");
    assert_eq!(cut.count(), 2, "{:#?}", ended.access_log);
}
