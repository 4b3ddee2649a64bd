//! The seed's scene under each algorithm, with counted requests: eight endpoints, the first two slow.
//!
//! Bounds on shares by chance are wide enough that a right program crosses them once in a million runs or less.

use crate::scene::Scene;
use e2e::Load;
use std::time::Duration;

/// Slow beside an answer at once, also on a busy machine.
const SLOW: Duration = Duration::from_millis(300);

#[tokio::test]
async fn under_round_robin_every_endpoint_gets_exactly_its_share() {
    let scene = Scene::start("RoundRobin", SLOW).await;
    let tally = Load::on(scene.outrigger.address()).connections(8).requests(160).await;
    tally.assert_all_ok();
    for server in scene.slow().chain(scene.fast()) {
        assert_eq!(tally.of(server), 20, "{tally:#?}");
    }
}

#[tokio::test]
async fn under_least_response_time_one_client_hardly_meets_the_slow() {
    let scene = Scene::start("LeastResponseTime", SLOW).await;
    scene.until_measured().await;
    let tally = Load::on(scene.outrigger.address()).requests(2000).await;
    tally.assert_all_ok();
    let slow: f64 = scene.slow().map(|server| tally.share(server)).sum();
    assert!(slow < 0.01, "{tally:#?}");
    for server in scene.fast() {
        assert!(tally.share(server) >= 0.05, "{server}: {tally:#?}");
    }
}
