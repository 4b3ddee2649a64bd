//! Collectors that are away, hang or change: no request suffers, and every span is counted (O3).

use crate::traces::{backend, traced};
use e2e::{Collector, Load, Otlp, Outrigger, PORTS, Receiver, Signal, eventually, in_time};
use std::time::Duration;
use testserver::Server;
use tokio::time::Instant;

/// The end does not wait until no new clients come.
const AT_ONCE: &str = "shutdown: { drainDelay: 0s }\n";

/// `outrigger_spans_total`: exported, failed, dropped.
async fn counts(outrigger: &Outrigger) -> [u64; 3] {
    let text = outrigger.ask("/metrics").await.unwrap().text();
    ["exported", "failed", "dropped"].map(|outcome| {
        let name = format!("outrigger_spans_total{{outcome=\"{outcome}\"}} ");
        let value = text.lines().find_map(|line| line.strip_prefix(&*name));
        value.unwrap_or_else(|| panic!("no {name} in\n{text}")).parse().unwrap()
    })
}

/// Waits until every span of as many requests, two for each, is counted.
async fn settled(outrigger: &Outrigger, requests: u64) -> [u64; 3] {
    eventually("all spans to be counted", async || {
        let counts = counts(outrigger).await;
        let sum: u64 = counts.iter().sum();
        assert!(sum <= 2 * requests, "{counts:?} of {requests} requests");
        (sum == 2 * requests).then_some(counts)
    })
    .await
}

/// O3
#[tokio::test]
async fn a_stopped_collector_costs_no_request_and_gets_spans_again_when_it_is_back() {
    let endpoint = Server::builder().start().await.unwrap();
    let mut collector = Collector::start().await;
    for otlp in Otlp::ALL {
        let more = "    queue: { maxSpans: 64, maxBatch: 16, delay: 20ms }\n";
        let yaml = traced(otlp, &collector.endpoint(otlp), "", &[endpoint.url()])
            .replace("    queue: { delay: 20ms }\n", more);
        let outrigger = Outrigger::start(&yaml).await;
        let load = |requests| Load::on(outrigger.address()).connections(2).requests(requests);
        load(10).await.assert_all_ok();
        assert_eq!(settled(&outrigger, 10).await, [20, 0, 0]);

        collector.stop().await;
        load(1000).await.assert_all_ok();
        let [exported, failed, dropped] = counts(&outrigger).await;
        assert_eq!(exported, 20);
        assert!(failed + dropped >= 2000 - 64 - 2 * 16, "{failed} {dropped}");
        outrigger.logged("spans are lost").await;

        collector.restart().await;
        outrigger.logged("takes spans again").await;
        load(10).await.assert_all_ok();
        let [exported, failed, dropped] = settled(&outrigger, 1020).await;
        assert!(exported >= 40, "{exported} {failed} {dropped}");
        let ended = outrigger.stop().await;
        assert_eq!(ended.log.matches("spans are lost").count(), 1, "{}", ended.log);
    }
}

/// O3: the process ends in time though the collector never answers.
#[tokio::test]
async fn a_collector_that_hangs_does_not_keep_the_process_from_ending() {
    let endpoint = Server::builder().start().await.unwrap();
    for otlp in Otlp::ALL {
        let receiver = Receiver::start(otlp).await;
        receiver.hang();
        let yaml = traced(otlp, &receiver.endpoint(), "    timeout: 10m\n", &[endpoint.url()]);
        let outrigger = Outrigger::start(&format!("{yaml}{AT_ONCE}")).await;
        Load::on(outrigger.address()).connections(2).requests(100).await.assert_all_ok();
        eventually("an export", async || receiver.headers().pop()).await;
        let told = Instant::now();
        outrigger.signal(Signal::TERM);
        let ended = in_time("the end", outrigger.ended()).await;
        assert!(told.elapsed() < Duration::from_secs(9), "{:?}", told.elapsed());
        assert_eq!(ended.status.code(), Some(0), "{}", ended.log);
    }
}

/// O3: a second signal ends the process at once.
#[tokio::test]
async fn nobody_who_insists_waits_for_a_collector() {
    let endpoint = Server::builder().start().await.unwrap();
    let receiver = Receiver::start(Otlp::Grpc).await;
    receiver.hang();
    let yaml = traced(Otlp::Grpc, &receiver.endpoint(), "    timeout: 10m\n", &[endpoint.url()]);
    let outrigger = Outrigger::start(&format!("{yaml}{AT_ONCE}")).await;
    Load::on(outrigger.address()).connections(1).requests(10).await.assert_all_ok();
    eventually("an export", async || receiver.headers().pop()).await;
    outrigger.signal(Signal::TERM);
    outrigger.logged("stopping").await;
    let told = Instant::now();
    outrigger.signal(Signal::TERM);
    let ended = in_time("the end", outrigger.ended()).await;
    assert!(told.elapsed() < Duration::from_secs(4), "{:?}", told.elapsed());
    assert_eq!(ended.status.code(), Some(0), "{}", ended.log);
}

/// O3: the last spans are sent before the end.
#[tokio::test]
async fn the_last_spans_are_sent_before_the_end() {
    let endpoint = Server::builder().start().await.unwrap();
    let collector = Collector::start().await;
    let yaml = traced(Otlp::Http, &collector.endpoint(Otlp::Http), "", &[endpoint.url()])
        .replace("delay: 20ms", "delay: 1h");
    let outrigger = Outrigger::start(&yaml).await;
    Load::on(outrigger.address()).connections(2).requests(50).await.assert_all_ok();
    outrigger.stop().await;
    collector.until("all spans", |spans| (spans.len() == 100).then_some(())).await;
}

#[tokio::test]
async fn turning_traces_on_elsewhere_and_off_fails_no_request() {
    let endpoint = Server::builder().start().await.unwrap();
    let collectors = [Collector::start().await, Collector::start().await];
    let off = format!("{PORTS}{}", backend(&[endpoint.url()]));
    let to =
        |which: usize, otlp| traced(otlp, &collectors[which].endpoint(otlp), "", &[endpoint.url()]);
    let outrigger = Outrigger::start(&off).await;
    let load = Load::on(outrigger.address()).connections(4).start();
    load.wait_for_more(20).await;
    assert_eq!(counts(&outrigger).await, [0, 0, 0]);
    for (which, otlp) in [(0, Otlp::Grpc), (1, Otlp::Http), (1, Otlp::Grpc), (0, Otlp::Http)] {
        let before = collectors[which].spans().len();
        outrigger.reload(&to(which, otlp)).await;
        load.wait_for_more(20).await;
        let more = |spans: &[_]| (spans.len() > before + 20).then_some(());
        collectors[which].until("spans where they go now", more).await;
    }
    outrigger.reload(&off).await;
    load.wait_for_more(20).await;
    load.stop().await.assert_all_ok();
    let [exported, failed, _] = eventually("nothing to be on its way", async || {
        let now = counts(&outrigger).await;
        let there: usize = collectors.iter().map(|collector| collector.spans().len()).sum();
        (now[0] == there as u64).then_some(now)
    })
    .await;
    assert!(exported > 80 && failed == 0, "{exported} {failed}");
    outrigger.stop().await;
}
