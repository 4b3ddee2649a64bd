//! The live switch: an edit of `algorithm` under load.

use crate::scene::{Scene, config};
use e2e::{Connection, Load, alone};
use std::time::Duration;

const ALGORITHMS: [&str; 6] = [
    "LeastConnections",
    "RoundRobin",
    "PeakEwma",
    "LeastResponseTime",
    "PowerOfTwoChoices",
    "Random",
];

#[tokio::test]
async fn ten_switches_under_load_fail_no_request_and_rule_the_next_ones() {
    let _alone = alone().await;
    let scene = Scene::start("Random", Duration::from_millis(20)).await;
    let outrigger = &scene.outrigger;
    let load = Load::on(outrigger.address()).connections(32).start();
    load.wait_for_more(1000).await;

    let mut client = Connection::open(outrigger.address()).await.unwrap();
    for (algorithm, generation) in ALGORITHMS.iter().cycle().zip(2..=11) {
        let status = outrigger.reload(&config(algorithm, &scene.fleet.urls(), "")).await;
        assert_eq!(status.generation, generation);
        assert_eq!(status.backend("demo").algorithm, *algorithm);

        // Both workers follow: of so many connections, each has some.
        let next = outrigger.access_log().count();
        client.get(&format!("/echo?generation={generation}")).await.unwrap();
        load.wait_for_more(1900).await;
        let path = format!("/echo?generation={generation}");
        let line = outrigger
            .access_log()
            .find("the line of our own request", |line| line.path == path)
            .await;
        assert_eq!(line.generation, generation, "{}", line.text);
        assert_eq!(line.algorithm.as_deref(), Some(*algorithm), "{}", line.text);
        // Requests that were in flight at the switch end under the generation they began with.
        let lines = outrigger.access_log().since(next + 200);
        let old = lines.iter().find(|line| line.generation != generation);
        assert!(old.is_none() && !lines.is_empty(), "{old:?}");
        outrigger
            .logged(&format!("reload: generation {generation}: backend demo: algorithm "))
            .await;
    }
    load.wait_for(20_000).await;
    let tally = load.stop().await;
    println!("{} requests, {} failed", tally.total(), tally.failed());
    tally.assert_all_ok();
    assert!(tally.total() >= 20_000);
}
