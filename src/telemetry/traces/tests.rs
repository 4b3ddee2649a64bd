//! The exporter beside collectors that take, refuse, hang and go.

mod collector;

use super::queue::Queue;
use super::{Exporter, Finished, Options, Protocol, SpanCounts};
use crate::telemetry::control_span;
use collector::{Answer, FakeCollector};
use opentelemetry::trace::{
    SpanContext, SpanId, SpanKind, Status, TraceFlags, TraceId, TraceState,
};
use opentelemetry_sdk::trace::{SpanData, SpanEvents, SpanLinks};
use std::sync::Arc;
use std::time::{Duration, SystemTime};
use tokio::time::Instant;
use tracing_subscriber::layer::SubscriberExt;

/// Long enough for anything that comes at all.
const PATIENCE: Duration = Duration::from_secs(20);

const PROTOCOLS: [Protocol; 2] = [Protocol::Grpc, Protocol::HttpProtobuf];

/// As many spans of one trace.
struct Spans {
    name: String,
    count: usize,
}

fn spans(name: &str, count: usize) -> Arc<Spans> {
    Arc::new(Spans { name: name.to_owned(), count })
}

impl Finished for Spans {
    fn count(&self) -> usize {
        self.count
    }

    fn spans(&self, out: &mut Vec<SpanData>) {
        let span = |number: usize| SpanData {
            span_context: SpanContext::new(
                TraceId::from(7),
                SpanId::from(number as u64 + 1),
                TraceFlags::SAMPLED,
                false,
                TraceState::NONE,
            ),
            parent_span_id: SpanId::INVALID,
            parent_span_is_remote: false,
            span_kind: SpanKind::Server,
            name: self.name.clone().into(),
            start_time: SystemTime::now(),
            end_time: SystemTime::now(),
            attributes: Vec::new(),
            dropped_attributes_count: 0,
            events: SpanEvents::default(),
            links: SpanLinks::default(),
            status: Status::Unset,
            instrumentation_scope: Default::default(),
        };
        out.extend((0..self.count).map(span));
    }
}

fn options(collector: &FakeCollector) -> Options {
    let endpoint = collector.url();
    Options {
        uri: endpoint.parse().unwrap(),
        endpoint: endpoint.into(),
        protocol: collector.protocol(),
        headers: vec![(http::HeaderName::from_static("x-team"), "blue".parse().unwrap())],
        gzip: false,
        timeout: Duration::from_secs(10),
        tls: None,
        max_queue_size: 100,
        max_batch_size: 10,
        batch_delay: Duration::from_millis(10),
        resource: vec![("service.name".into(), "edge".into())],
    }
}

/// Waits until as many spans are counted as were submitted.
async fn settled(exporter: &Exporter, submitted: u64) -> SpanCounts {
    let until = Instant::now() + PATIENCE;
    loop {
        let counts = exporter.counts();
        let sum = counts.exported + counts.failed + counts.dropped;
        assert!(sum <= submitted, "{counts:?} of {submitted}");
        if sum == submitted {
            return counts;
        }
        assert!(Instant::now() < until, "{counts:?} of {submitted}");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

async fn shut_down(exporter: &Exporter, timeout: Duration) -> Duration {
    let (exporter, before) = (exporter.clone(), Instant::now());
    tokio::task::spawn_blocking(move || exporter.shutdown(timeout)).await.unwrap();
    before.elapsed()
}

#[tokio::test]
async fn spans_arrive_with_what_is_said_of_the_process() {
    for protocol in PROTOCOLS {
        for gzip in [false, true] {
            let collector = FakeCollector::start(protocol, |_| Answer::Take).await;
            let exporter = Exporter::default();
            exporter.apply(Some(Options { gzip, ..options(&collector) }));
            exporter.submit(spans("GET shop", 2));
            let counts = settled(&exporter, 2).await;
            assert_eq!(counts, SpanCounts { exported: 2, ..SpanCounts::default() });
            let exports = collector.exports();
            let [export] = &exports[..] else { panic!("{exports:?}") };
            assert_eq!(export.spans, ["GET shop", "GET shop"]);
            assert_eq!(export.resource, [("service.name".to_owned(), "edge".to_owned())]);
            assert_eq!(export.headers["x-team"], "blue");
            let agent = export.headers["user-agent"].to_str().unwrap();
            assert!(agent.starts_with("Outrigger/"), "{agent}");
        }
    }
}

/// On the control runtime a panic would end the process.
#[tokio::test]
async fn a_thread_that_cannot_be_had_is_an_error_and_no_panic() {
    let collector = FakeCollector::start(Protocol::Grpc, |_| Answer::Take).await;
    let impossible = std::thread::Builder::new().stack_size(isize::MAX as usize);
    assert!(Queue::start_on(impossible, options(&collector), Arc::default()).is_err());
}

#[tokio::test]
async fn no_export_has_more_spans_than_it_may_and_none_waits_for_more() {
    let collector = FakeCollector::start(Protocol::HttpProtobuf, |_| Answer::Take).await;
    let exporter = Exporter::default();
    exporter.apply(Some(options(&collector)));
    for _ in 0..9 {
        exporter.submit(spans("three", 3));
    }
    settled(&exporter, 27).await;
    let sizes: Vec<_> = collector.exports().iter().map(|export| export.spans.len()).collect();
    assert!(sizes.iter().all(|size| *size <= 10), "{sizes:?}");
}

/// A batch that is full goes at once, whatever the delay.
#[tokio::test]
async fn enough_spans_do_not_wait() {
    let collector = FakeCollector::start(Protocol::HttpProtobuf, |_| Answer::Take).await;
    let exporter = Exporter::default();
    exporter.apply(Some(Options { batch_delay: PATIENCE * 10, ..options(&collector) }));
    // The first tick of the delay is at once.
    exporter.submit(spans("first", 5));
    for _ in 0..10 {
        exporter.submit(spans("full", 5));
    }
    let until = Instant::now() + PATIENCE;
    while exporter.counts().exported < 50 {
        assert!(Instant::now() < until, "{:?}", exporter.counts());
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

/// O3: rejected in part, refused, failed for good, dropped: every span is counted, and once.
#[tokio::test]
async fn every_span_is_counted_once_whatever_becomes_of_it() {
    for protocol in PROTOCOLS {
        let answers = |number: usize| match number % 4 {
            0 => Answer::Take,
            1 => Answer::Reject(3),
            2 => Answer::Refuse,
            _ => Answer::Later(None),
        };
        let collector = FakeCollector::start(protocol, answers).await;
        let exporter = Exporter::default();
        exporter.apply(Some(options(&collector)));
        let submitters: Vec<_> = (0..4)
            .map(|_| {
                let exporter = exporter.clone();
                std::thread::spawn(move || {
                    for number in 0..100 {
                        exporter.submit(spans("any", number % 5));
                    }
                })
            })
            .collect();
        tokio::task::spawn_blocking(|| submitters.into_iter().for_each(|one| one.join().unwrap()))
            .await
            .unwrap();
        shut_down(&exporter, Duration::from_secs(5)).await;
        let counts = settled(&exporter, 800).await;
        let [taken, rejected] = [collector.taken(), collector.rejected()];
        assert_eq!(counts.exported, taken, "{counts:?} {rejected}");
        assert!(counts.failed >= rejected, "{counts:?} {rejected}");
    }
}

#[tokio::test]
async fn what_may_pass_is_tried_again_and_what_may_not_is_not() {
    for protocol in PROTOCOLS {
        let once = |first: Answer| {
            move |number: usize| if number == 0 { first.clone() } else { Answer::Take }
        };
        let wait = Some(Duration::from_secs(1));
        for first in [Answer::Later(None), Answer::Later(wait), Answer::Close] {
            let collector = FakeCollector::start(protocol, once(first.clone())).await;
            let exporter = Exporter::default();
            let before = Instant::now();
            exporter.apply(Some(options(&collector)));
            exporter.submit(spans("again", 4));
            let counts = settled(&exporter, 4).await;
            assert_eq!(counts.exported, 4, "{protocol:?} {first:?}");
            if first == Answer::Later(wait) {
                assert!(before.elapsed() >= Duration::from_secs(1), "{:?}", before.elapsed());
            }
        }
        let collector = FakeCollector::start(protocol, once(Answer::Refuse)).await;
        let exporter = Exporter::default();
        exporter.apply(Some(options(&collector)));
        exporter.submit(spans("refused", 4));
        assert_eq!(settled(&exporter, 4).await.failed, 4);
        exporter.submit(spans("taken", 4));
        assert_eq!(settled(&exporter, 8).await.exported, 4);
        assert_eq!(collector.requests(), 2);
    }
}

/// O3: handing over takes no time and memory has a bound, and neither does the end of the process wait for ever.
#[tokio::test]
async fn a_collector_that_hangs_costs_spans_and_no_time() {
    for protocol in PROTOCOLS {
        let collector = FakeCollector::start(protocol, |_| Answer::Hang).await;
        let exporter = Exporter::default();
        exporter.apply(Some(options(&collector)));
        let before = Instant::now();
        for _ in 0..10_000 {
            exporter.submit(spans("many", 1));
        }
        assert!(before.elapsed() < Duration::from_secs(2), "{:?}", before.elapsed());
        let counts = exporter.counts();
        // A batch may be on its way, and its spans wait no more.
        assert!(counts.dropped >= 10_000 - 100 - 10 * 2, "{counts:?}");
        let took = shut_down(&exporter, Duration::from_millis(300)).await;
        assert!(took < Duration::from_secs(2), "{took:?}");
        let counts = settled(&exporter, 10_000).await;
        assert_eq!(counts.exported, 0);
        exporter.submit(spans("late", 1));
        assert_eq!(exporter.counts().dropped, counts.dropped + 1);
    }
}

/// O3.
#[tokio::test]
async fn what_waits_is_sent_before_the_end() {
    for protocol in PROTOCOLS {
        let collector = FakeCollector::start(protocol, |_| Answer::Take).await;
        let exporter = Exporter::default();
        exporter.apply(Some(Options { batch_delay: PATIENCE * 10, ..options(&collector) }));
        for _ in 0..25 {
            exporter.submit(spans("last", 3));
        }
        let took = shut_down(&exporter, Duration::from_secs(5)).await;
        assert!(took < Duration::from_secs(4), "{took:?}");
        assert_eq!(exporter.counts().exported, 75);
    }
}

#[tokio::test]
async fn a_collector_that_is_gone_does_not_delay_the_end() {
    let collector = FakeCollector::start(Protocol::Grpc, |_| Answer::Take).await;
    let options = options(&collector);
    drop(collector);
    let exporter = Exporter::default();
    exporter.apply(Some(options));
    exporter.submit(spans("lost", 3));
    let took = shut_down(&exporter, Duration::from_secs(5)).await;
    assert!(took < Duration::from_secs(3), "{took:?}");
    assert_eq!(settled(&exporter, 3).await.failed, 3);
}

#[tokio::test]
async fn a_reload_sends_what_comes_elsewhere_and_what_waits_where_it_was_to_go() {
    let before = FakeCollector::start(Protocol::Grpc, |_| Answer::Take).await;
    let after = FakeCollector::start(Protocol::HttpProtobuf, |_| Answer::Take).await;
    let exporter = Exporter::default();
    exporter.apply(Some(Options { batch_delay: PATIENCE * 10, ..options(&before) }));
    exporter.submit(spans("before", 3));
    exporter.apply(Some(options(&after)));
    exporter.submit(spans("after", 4));
    exporter.apply(None);
    exporter.submit(spans("nowhere", 5));
    let counts = settled(&exporter, 12).await;
    assert_eq!(counts, SpanCounts { exported: 7, failed: 0, dropped: 5 });
    assert_eq!(before.names(), ["before"; 3]);
    assert_eq!(after.names(), ["after"; 4]);
}

/// And nothing of the log goes with them.
#[tokio::test]
async fn spans_of_the_control_plane_go_where_those_of_requests_go() {
    let collector = FakeCollector::start(Protocol::HttpProtobuf, |_| Answer::Take).await;
    let exporter = Exporter::default();
    exporter.apply(Some(options(&collector)));
    let live = || {
        control_span::Reload::begin().done(2, 1);
        let probe = control_span::probe("health", "shop", "http://127.0.0.1:1", true);
        probe.in_scope(|| {
            tracing::error!("a line");
            control_span::probed(Some(&"status 500"));
        });
        drop(probe);
        control_span::probe("health", "shop", "http://127.0.0.1:1", false).in_scope(|| {});
        tracing::info_span!("another's").in_scope(|| {});
    };
    let subscriber = tracing_subscriber::Registry::default().with(control_span::layer());
    let dispatch = tracing::Dispatch::new(subscriber);
    tracing::dispatcher::with_default(&dispatch, live);
    assert_eq!(exporter.counts(), SpanCounts::default());
    control_span::export_by(Some(exporter.clone()));
    tracing::dispatcher::with_default(&dispatch, live);
    control_span::export_by(None);
    tracing::dispatcher::with_default(&dispatch, live);
    assert_eq!(settled(&exporter, 2).await.exported, 2);
    assert_eq!(collector.names(), ["reload", "probe"]);
}

#[tokio::test]
async fn reloads_lose_no_span_that_is_handed_over_meanwhile() {
    let collector = FakeCollector::start(Protocol::Grpc, |_| Answer::Take).await;
    let exporter = Exporter::default();
    let options = Options { max_queue_size: 1_000_000, ..options(&collector) };
    exporter.apply(Some(options.clone()));
    let submitter = {
        let exporter = exporter.clone();
        std::thread::spawn(move || {
            for _ in 0..2000 {
                exporter.submit(spans("any", 2));
                std::thread::yield_now();
            }
        })
    };
    for _ in 0..20 {
        exporter.apply(Some(options.clone()));
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    tokio::task::spawn_blocking(move || submitter.join().unwrap()).await.unwrap();
    let counts = settled(&exporter, 4000).await;
    assert_eq!(counts, SpanCounts { exported: 4000, ..SpanCounts::default() });
}
