//! Faults of clients, endpoints and of the machine, and what others see of them: nothing. `docs/faults.md` is the list.
//!
//! Here: endpoints that restart or close.

#[path = "faults/clients.rs"]
mod clients;
#[path = "faults/clock.rs"]
mod clock;
#[path = "faults/endpoints.rs"]
mod endpoints;
#[path = "faults/files.rs"]
mod files;
#[path = "faults/output.rs"]
mod output;
#[path = "faults/scene.rs"]
mod scene;
#[path = "faults/watch.rs"]
mod watch;

use crate::scene::config;
use e2e::{Connection, Load, Outrigger, alone};
use std::time::Duration;
use testserver::Server;

/// What a client sees of an endpoint's restart is nothing. `/` is asked by GET, which is idempotent, and answered in
/// one piece, so that no answer has begun when its connection ends.
#[tokio::test]
async fn an_endpoint_that_restarts_again_and_again_fails_no_idempotent_request() {
    let _alone = alone().await;
    let delay = Duration::from_millis(5);
    let steady = Server::builder().name("steady").delay(delay).start().await.unwrap();
    let restarting = Server::builder().name("restarting").delay(delay).start().await.unwrap();
    let yaml = config("RoundRobin", &[steady.url(), restarting.url()], "");
    let outrigger = Outrigger::start(&yaml).await;
    let load = Load::on(outrigger.address()).connections(32).start();
    for round in 0..20 {
        // Busy before it ends, and missed while it is gone.
        let before = restarting.counts().requests;
        restarting.wait_for_requests(before + 50).await;
        if round % 2 == 0 {
            restarting.stop().await
        } else {
            restarting.stop_by_reset().await
        }
        load.wait_for_more(200).await;
        restarting.restart().unwrap();
    }
    let tally = load.stop().await;
    let status = outrigger.status().await;
    let backend = status.backend("demo");
    println!(
        "{} requests, {} failed, {} retries, {} refused; {:?}",
        tally.total(),
        tally.failed(),
        backend.retries,
        backend.retries_refused,
        tally.answers
    );
    tally.assert_all_ok();
    // Of the 50 in each round, at most 32 were in flight at its end.
    assert!(tally.of("restarting") >= 20 * 18, "{tally:#?}");
    assert!(backend.retries > 0, "it was never busy when it stopped: {backend:#?}");
}

/// B7: the endpoint closes an idle connection before our pool does.
#[tokio::test]
async fn an_idle_connection_that_the_endpoint_closed_gives_no_502() {
    let server = Server::builder().idle(Duration::from_millis(10)).start().await.unwrap();
    let outrigger = Outrigger::start(&config("RoundRobin", &[server.url()], "")).await;
    let mut client = Connection::open(outrigger.address()).await.unwrap();
    for _ in 0..20 {
        assert_eq!(client.get("/").await.unwrap().status, 200);
        server.wait_until(|counts| counts.open_connections == 0).await;
    }
}

/// B7, at its worst: the endpoint closes just as our request arrives, so that no look at the connection can tell.
#[tokio::test]
async fn an_idle_connection_that_closes_under_the_request_gives_no_502() {
    let server = Server::builder().start().await.unwrap();
    let outrigger = Outrigger::start(&config("RoundRobin", &[server.url()], "")).await;
    for path in ["/close-next", "/close-next?reset"] {
        let tally = Load::on(outrigger.address()).connections(4).path(path).requests(200).await;
        tally.assert_all_ok();
    }
}
