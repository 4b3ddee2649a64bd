//! The seed's scene under each algorithm, with counted requests: eight endpoints, the first two slow.
//!
//! Bounds on what chance does are such that a right program crosses them once in a million runs or less; each says
//! how it was found. Nothing depends on how fast the machine is.

use crate::scene::{SLOW as SLOW_ONES, Scene};
use e2e::{Load, Running, Tally, alone};
use std::time::Duration;

/// Slow beside an answer at once, also on a busy machine.
const SLOW: Duration = Duration::from_millis(300);

/// For algorithms that do not look at time, so that the test need not wait.
const HARDLY_SLOW: Duration = Duration::from_millis(5);

/// A chi-square with 7 degrees of freedom is above this once in a million times.
const CHI_SQUARE_7: f64 = 40.5;

/// How far the counts of the eight are from equal shares.
fn chi_square(scene: &Scene, tally: &Tally) -> f64 {
    let expected = tally.total() as f64 / 8.0;
    let distance = |server| (tally.of(server) as f64 - expected).powi(2) / expected;
    scene.slow().chain(scene.fast()).map(distance).sum()
}

/// The share of the slow two.
fn slow_share(scene: &Scene, tally: &Tally) -> f64 {
    scene.slow().map(|server| tally.share(server)).sum()
}

/// Requests that stay in flight, `count` at once: waits until `/status` shows them all.
async fn hold(scene: &Scene, count: u32) -> (Running, Vec<u32>) {
    let load = Load::on(scene.outrigger.address()).path("/hold");
    let load = load.connections(count as usize).start();
    let all_held = |status: &e2e::Status| {
        let in_flight = status.backend("demo").in_flight();
        assert!(in_flight.iter().sum::<u32>() <= count, "{in_flight:?}");
        in_flight.iter().sum::<u32>() == count
    };
    let status = scene.outrigger.until("all requests to be in flight", all_held).await;
    (load, status.backend("demo").in_flight())
}

/// Lets requests of [`hold`] go.
async fn release(scene: &Scene, load: Running) {
    let stopping = tokio::spawn(load.stop());
    scene.fleet.servers().iter().for_each(testserver::Server::release);
    stopping.await.unwrap().assert_all_ok();
    scene.fleet.servers().iter().for_each(testserver::Server::hold);
}

#[tokio::test]
async fn under_round_robin_every_endpoint_gets_exactly_its_share() {
    let scene = Scene::start("RoundRobin", HARDLY_SLOW).await;
    for connections in [1, 64] {
        let load = Load::on(scene.outrigger.address()).connections(connections);
        let tally = load.requests(800).await;
        tally.assert_all_ok();
        for server in scene.slow().chain(scene.fast()) {
            assert_eq!(tally.of(server), 100, "{tally:#?}");
        }
    }
}

/// The fast ones take a while, too, so that what the machine adds now and then is within the band of equal scores.
#[tokio::test]
async fn under_least_response_time_the_slow_are_hardly_met_one_by_one() {
    const FAST: Duration = Duration::from_millis(10);
    let _alone = alone().await;
    let scene = Scene::with("LeastResponseTime", FAST, SLOW, FAST * 10).await;
    scene.until_measured().await;
    let tally = Load::on(scene.outrigger.address()).requests(200).await;
    assert_slow_are_spared(&scene, &tally);

    let settled = |status: &e2e::Status| {
        let fast = &status.backend("demo").endpoints[SLOW_ONES..];
        fast.iter().all(|endpoint| endpoint.latency_ms.is_some_and(|ms| ms < 15.0))
    };
    scene.outrigger.until("no fast endpoint to look slow by accident", settled).await;
    let tally = Load::on(scene.outrigger.address()).requests(800).await;
    assert_slow_are_spared(&scene, &tally);
    assert_fast_share(&scene, &tally);
}

/// The slow ones take as long as the seed's. With 64 requests in flight on it, a machine that does nothing else makes
/// its fast endpoints wait for each other, and were the slow ones not far slower, a right program would use them.
#[tokio::test]
async fn under_least_response_time_the_slow_are_hardly_met_under_load() {
    let scene = Scene::start("LeastResponseTime", Duration::from_secs(4)).await;
    scene.until_measured().await;
    let _alone = alone().await;
    let load = Load::on(scene.outrigger.address()).connections(64);
    let tally = load.requests(6000).await;
    assert_slow_are_spared(&scene, &tally);
    assert_fast_share(&scene, &tally);
}

fn assert_slow_are_spared(scene: &Scene, tally: &Tally) {
    tally.assert_all_ok();
    let slow = slow_share(scene, tally);
    println!("slow: {slow:.4} of {}", tally.total());
    assert!(slow < 0.01, "{slow}: {tally:#?}");
}

fn assert_fast_share(scene: &Scene, tally: &Tally) {
    let shares: Vec<_> = scene.fast().map(|server| tally.share(server)).collect();
    println!("fast: {shares:.3?}");
    assert!(shares.iter().all(|share| *share >= 0.05), "{shares:.3?}: {tally:#?}");
}

/// All counts are 0 when a lone client's request is given to somebody, so that chance decides among all eight.
#[tokio::test]
async fn under_least_connections_a_lone_client_meets_the_slow_a_quarter_of_the_time() {
    let scene = Scene::start("LeastConnections", HARDLY_SLOW).await;
    let tally = Load::on(scene.outrigger.address()).requests(1600).await;
    tally.assert_all_ok();
    let (chi_square, slow) = (chi_square(&scene, &tally), slow_share(&scene, &tally));
    println!("slow: {slow:.4}; chi-square {chi_square:.1}");
    assert!(chi_square < CHI_SQUARE_7, "{tally:#?}");
    // 4.9 standard deviations of a binomial share.
    assert!((slow - 0.25).abs() < 4.9 * (0.25 * 0.75 / 1600_f64).sqrt(), "{tally:#?}");
}

#[tokio::test]
async fn under_least_connections_no_endpoint_is_more_than_one_off_the_mean() {
    let scene = Scene::start("LeastConnections", SLOW).await;
    for count in [64, 61] {
        let (load, in_flight) = hold(&scene, count).await;
        println!("{count}: {in_flight:?}");
        let mean = f64::from(count) / 8.0;
        let off = |count: &u32| (f64::from(*count) - mean).abs();
        assert!(in_flight.iter().all(|count| off(count) <= 1.0), "{in_flight:?}");
        release(&scene, load).await;
    }
}

#[tokio::test]
async fn under_random_all_shares_are_equal_but_for_chance() {
    let scene = Scene::start("Random", HARDLY_SLOW).await;
    let tally = Load::on(scene.outrigger.address()).connections(8).requests(1600).await;
    tally.assert_all_ok();
    assert!(chi_square(&scene, &tally) < CHI_SQUARE_7, "{tally:#?}");
}

/// Of 200,000 simulated runs none had more than 11 on one endpoint; `Random` has 13 or more in most.
#[tokio::test]
async fn under_two_choices_nobody_is_crowded_and_a_lone_client_meets_all_equally() {
    let scene = Scene::start("PowerOfTwoChoices", HARDLY_SLOW).await;
    let tally = Load::on(scene.outrigger.address()).requests(1600).await;
    tally.assert_all_ok();
    assert!(chi_square(&scene, &tally) < CHI_SQUARE_7, "{tally:#?}");
    let (load, in_flight) = hold(&scene, 64).await;
    assert!(in_flight.iter().all(|count| *count <= 12), "{in_flight:?}");
    release(&scene, load).await;
}

/// Both draws are slow once in 28 times, and then one must be taken.
#[tokio::test]
async fn under_peak_ewma_the_slow_are_met_only_where_both_draws_are_slow() {
    let _alone = alone().await;
    let scene = Scene::start("PeakEwma", SLOW).await;
    scene.until_measured().await;
    let tally = Load::on(scene.outrigger.address()).requests(300).await;
    tally.assert_all_ok();
    let slow = slow_share(&scene, &tally);
    println!("slow: {slow:.4}");
    // Of 300 at 1/28, more than 30 are slow once in a million times.
    assert!(slow <= 0.1, "{tally:#?}");
}
