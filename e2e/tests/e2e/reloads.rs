//! Many reloads under load.

use crate::scene::{SLOW, Scene, config};
use e2e::{Load, alone};
use std::cell::Cell;
use std::time::Duration;
use tokio::time::Instant;

/// R8: what grows with every reload is seen after a thousand. Each changes the algorithm, an endpoint's presence or a
/// limit, and is awaited in `/status`.
#[tokio::test]
async fn a_thousand_reloads_under_load_fail_no_request_and_leave_nothing_behind() {
    let _alone = alone().await;
    let scene = Scene::start("Random", Duration::ZERO).await;
    let (outrigger, urls) = (&scene.outrigger, scene.fleet.urls());
    let load = Load::on(outrigger.address()).connections(8).start();
    let started = Instant::now();
    let (mut after_200, most_snapshots) = (0, Cell::new(0));
    for round in 1..=1000 {
        let algorithm = ["LeastConnections", "RoundRobin", "LeastResponseTime"][round % 3];
        let urls = if round % 2 == 0 { &urls[..] } else { &urls[SLOW..] };
        let probe = format!(
            "    healthProbe: {{ http: {{ path: /health }}, interval: {}s }}\n",
            5 + round % 5
        );
        outrigger.write(&config(algorithm, urls, &probe));
        let status = outrigger
            .until("the next generation", |status| {
                // At every look, not only after the swap.
                assert!(status.live_snapshots <= status.workers + 1, "{status:?}");
                most_snapshots.set(most_snapshots.get().max(status.live_snapshots));
                status.generation > round as u64 && status.config_in_sync
            })
            .await;
        assert_eq!(status.generation, round as u64 + 1);
        if round == 200 {
            after_200 = outrigger.resident_kib();
        }
    }
    let after_1000 = outrigger.resident_kib();
    let took = started.elapsed();
    let tally = load.stop().await;
    println!(
        "1,000 reloads in {took:.1?}, {} requests, {} failed; {after_200} KiB after 200, {after_1000} after 1,000; \
         at most {} snapshots",
        tally.total(),
        tally.failed(),
        most_snapshots.get()
    );
    tally.assert_all_ok();
    assert!(after_1000 as f64 <= after_200 as f64 * 1.05, "{after_200} KiB, then {after_1000}");
}
