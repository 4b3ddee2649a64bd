//! What everything else rests on: it starts, serves, logs, and ends.

use crate::scene::config;
use e2e::{Load, Outrigger};
use testserver::Server;

#[tokio::test]
async fn a_process_serves_logs_and_ends_well() {
    let server = Server::builder().name("one").start().await.unwrap();
    let outrigger = Outrigger::start(&config("RoundRobin", &[server.url()], "")).await;
    let tally = Load::on(outrigger.address()).connections(2).path("/echo").requests(20).await;
    tally.assert_all_ok();
    assert_eq!(tally.of("one"), 20);

    let ended = outrigger.stop().await;
    assert_eq!(ended.access_log.len(), 20);
    for line in &ended.access_log {
        assert_eq!(
            (line.status, line.path.as_str(), line.generation),
            (200, "/echo", 1),
            "{}",
            line.text
        );
        assert_eq!(line.url.as_deref(), Some(format!("{}/", server.url()).as_str()));
    }
}

#[tokio::test]
async fn a_process_that_cannot_start_says_why() {
    let ended = Outrigger::try_launch("listeners: []\n").await.unwrap_err();
    assert_eq!(ended.status.code(), Some(3), "{}", ended.log);
    assert!(ended.log.contains("config.yaml"), "{}", ended.log);
}
