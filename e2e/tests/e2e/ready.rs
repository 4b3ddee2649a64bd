//! When a process says that it is ready.

use crate::scene::config;
use e2e::{Connection, Outrigger};
use testserver::Server;

/// R7: traffic that is sent to a ready process meets endpoints that are known.
#[tokio::test]
async fn a_process_is_not_ready_before_its_first_probe_round_but_serves() {
    let server = Server::builder().start().await.unwrap();
    let probe =
        "    healthProbe: { http: { path: \"/health?hold\" }, interval: 1h, timeout: 1h }\n";
    let outrigger = Outrigger::launch(&config("RoundRobin", &[server.url()], probe)).await;
    server.wait_until(|counts| counts.in_flight == 1).await;
    let answer = outrigger.ask("/readyz").await.unwrap();
    assert_eq!(answer.status, 503, "{}", answer.text());
    let status = outrigger.status().await;
    assert!(status.not_ready[0].contains("first probe round"), "{:?}", status.not_ready);
    assert_eq!(outrigger.ask("/livez").await.unwrap().status, 200);
    let mut client = Connection::open(outrigger.address()).await.unwrap();
    assert_eq!(client.get("/").await.unwrap().status, 200);
    assert!(!outrigger.is_ready().await);

    server.release();
    outrigger.until_ready().await;
    assert_eq!(outrigger.status().await.backends[0].endpoints[0].health.state, "healthy");
}

/// R7: one endpoint that never answers keeps nobody waiting for more than five seconds.
#[tokio::test]
async fn an_endpoint_that_never_answers_its_probe_does_not_keep_a_process_unready() {
    let server = Server::builder().start().await.unwrap();
    let probe =
        "    healthProbe: { http: { path: \"/health?hold\" }, interval: 1h, timeout: 1h }\n";
    let outrigger = Outrigger::start(&config("RoundRobin", &[server.url()], probe)).await;
    assert_eq!(server.counts().in_flight, 1);
    outrigger.logged("first probe round not over").await;
}
