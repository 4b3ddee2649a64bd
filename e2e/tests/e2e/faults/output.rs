//! Outputs that take nothing: a full disk, a reader that is gone, a reader that does not read.

use super::scene::{Scene, TOP};
use crate::edit::metric;
use e2e::{Access, Load, Outrigger, Signal, eventually};

/// The queue of the access log (8 MiB) and what the allocator adds to it.
const MOST_KIB: u64 = 16 << 10;

async fn dropped(outrigger: &Outrigger) -> u64 {
    metric(outrigger, "outrigger_access_log_dropped_total").await.parse().unwrap()
}

async fn until_dropped(outrigger: &Outrigger, lines: u64) {
    eventually("lines to be dropped", async || (dropped(outrigger).await >= lines).then_some(()))
        .await;
}

/// Requests whose lines are long, so that outputs fill quickly.
async fn fill(outrigger: &Outrigger, requests: u64) {
    let path = format!("/health?{}", "x".repeat(8000));
    Load::on(outrigger.address())
        .connections(8)
        .path(path)
        .requests(requests)
        .await
        .assert_all_ok();
}

#[tokio::test]
async fn a_full_disk_under_the_access_log_costs_its_lines_and_no_request() {
    let mut scene = Scene::start_by(r#"exec "$@" >/dev/full"#, TOP, "").await;
    let before = dropped(&scene.outrigger).await;
    scene.others_are_served().await;
    until_dropped(&scene.outrigger, before + 10).await;
    let line = scene.outrigger.logged("lines of the access log were dropped").await;
    assert!(line.contains("No space left on device"), "{line}");
    scene.end(MOST_KIB).await.stop().await;
}

#[tokio::test]
async fn a_closed_standard_output_costs_no_request() {
    let mut scene = Scene::start_by(r#"exec "$@" >&-"#, TOP, "").await;
    scene.others_are_served().await;
    scene.end(MOST_KIB).await.stop().await;
}

#[tokio::test]
async fn a_reader_of_the_access_log_that_goes_away_costs_its_lines_and_no_request() {
    let mut scene = Scene::start(TOP, "").await;
    scene.outrigger.access_log().close();
    until_dropped(&scene.outrigger, 10).await;
    scene.others_are_served().await;
    let line = scene.outrigger.logged("lines of the access log were dropped").await;
    assert!(line.contains("Broken pipe"), "{line}");
    scene.end(MOST_KIB).await;
}

#[tokio::test]
async fn a_reader_of_the_access_log_that_does_not_read_costs_lines_and_no_request() {
    let mut scene = Scene::start(TOP, "").await;
    scene.outrigger.access_log().pause();
    while dropped(&scene.outrigger).await == 0 {
        fill(&scene.outrigger, 200).await;
        scene.look();
    }
    scene.others_are_served().await;
    // Whoever reads again finds whole lines: `Access::parse` says so. The last to come is of a request after all this.
    scene.outrigger.access_log().resume();
    scene.outrigger.logged("lines of the access log were dropped: its output is too slow").await;
    let is_new = |line: &Access| line.path == "/health?new";
    eventually("a line of a new request", async || {
        Load::on(scene.outrigger.address()).path("/health?new").requests(1).await.assert_all_ok();
        scene.outrigger.access_log().all().iter().any(is_new).then_some(())
    })
    .await;
    scene.end(MOST_KIB).await.stop().await;
}

/// Both outputs are one pipe that nobody reads, as when a container's logs are not collected any more: neither requests nor
/// the control plane, which has something to say of each reload, may wait for it.
#[tokio::test]
async fn a_reader_of_the_log_that_does_not_read_stops_neither_requests_nor_reloads() {
    let top = format!("{TOP}telemetry: {{ accessLog: {{ output: Stderr }} }}\n");
    let mut scene = Scene::start(&top, "timeouts: { connect: 2s },").await;
    scene.outrigger.log().pause();
    while dropped(&scene.outrigger).await == 0 {
        fill(&scene.outrigger, 200).await;
        scene.look();
    }
    let text = std::fs::read_to_string(scene.outrigger.config()).unwrap();
    for round in 0..5 {
        let edited = text.replace("connect: 2s", &format!("connect: {}s", 3 + round));
        assert_ne!(edited, text);
        scene.outrigger.reload(&edited).await;
        scene.others_are_served().await;
    }
    let outrigger = scene.end(MOST_KIB).await;
    // It ends, too, without waiting long for the reader.
    outrigger.signal(Signal::INT);
    let ended = outrigger.ended().await;
    assert!(ended.status.success(), "{}", ended.status);
}
