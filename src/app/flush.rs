//! The last spans.

use crate::lifecycle::{Lifecycle, Phase};
use crate::telemetry::traces::{Exporter, FLUSH_AT_MOST};
use std::time::Duration;
use tokio::task::JoinHandle;

/// How long the last spans are sent though the drain timeout is over, or somebody insisted on the end before there were no more.
const FLUSH_AFTER_END: Duration = Duration::from_secs(1);

/// Sends the last spans: within the drain timeout, and a moment beyond it; no more once somebody insists on the end from here on.
/// Those that are left are counted.
pub(super) async fn flush(lifecycle: &Lifecycle, exporter: &Exporter) {
    let insisted = lifecycle.insisted();
    // On a thread of its own, since it blocks: signals and `/metrics` are served meanwhile.
    let shutdown = |at_most| -> JoinHandle<()> {
        let exporter = exporter.clone();
        tokio::task::spawn_blocking(move || exporter.shutdown(at_most))
    };
    tokio::select! {
        _ = shutdown(FLUSH_AT_MOST) => return,
        () = lifecycle.wait_for(Phase::Ended) => {}
    }
    tokio::select! {
        // Whoever insists has ended it by that.
        biased;
        () = insisted => {}
        _ = shutdown(FLUSH_AFTER_END) => return,
    }
    let _ = shutdown(Duration::ZERO).await;
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lifecycle::{Drain, Signal};
    use crate::telemetry::traces::{Finished, Options, Protocol, SpanCounts};
    use opentelemetry::trace::{SpanContext, SpanId, SpanKind, Status};
    use opentelemetry_sdk::trace::{SpanData, SpanEvents, SpanLinks};
    use std::sync::Arc;
    use std::time::SystemTime;
    use tokio::net::TcpListener;
    use tokio::time::Instant;

    struct One;

    impl Finished for One {
        fn count(&self) -> usize {
            1
        }

        fn spans(&self, out: &mut Vec<SpanData>) {
            out.push(SpanData {
                span_context: SpanContext::NONE,
                parent_span_id: SpanId::INVALID,
                parent_span_is_remote: false,
                span_kind: SpanKind::Server,
                name: "one".into(),
                start_time: SystemTime::now(),
                end_time: SystemTime::now(),
                attributes: Vec::new(),
                dropped_attributes_count: 0,
                events: SpanEvents::default(),
                links: SpanLinks::default(),
                status: Status::Unset,
                instrumentation_scope: Default::default(),
            });
        }
    }

    /// The exporter before a collector that takes connections and never answers, with a span on its way there.
    async fn hanging() -> (Exporter, TcpListener) {
        let collector = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let endpoint = format!("http://{}/v1/traces", collector.local_addr().unwrap());
        let exporter = Exporter::default();
        exporter.apply(Some(Options {
            uri: endpoint.parse().unwrap(),
            endpoint: endpoint.into(),
            protocol: Protocol::HttpProtobuf,
            headers: Vec::new(),
            gzip: false,
            timeout: Duration::from_secs(600),
            tls: None,
            max_queue_size: 10,
            max_batch_size: 1,
            batch_delay: Duration::from_millis(1),
            resource: Vec::new(),
        }));
        exporter.submit(Arc::new(One));
        (exporter, collector)
    }

    /// Stops as by a signal, with the drain timeout; gives how long the flush took.
    async fn flushed(
        exporter: &Exporter,
        timeout: Duration,
        insists: Option<Duration>,
    ) -> Duration {
        let lifecycle = Lifecycle::new();
        lifecycle.set_drain(Drain { delay: Duration::ZERO, timeout });
        let before = Instant::now();
        lifecycle.on_signal(Signal::Terminate);
        if let Some(after) = insists {
            let lifecycle = lifecycle.clone();
            tokio::spawn(async move {
                tokio::time::sleep(after).await;
                lifecycle.on_signal(Signal::Terminate);
            });
        }
        flush(&lifecycle, exporter).await;
        before.elapsed()
    }

    const LEFT: SpanCounts = SpanCounts { exported: 0, failed: 1, dropped: 0 };

    /// O3
    #[tokio::test]
    async fn spans_have_a_moment_beyond_the_drain_timeout_whenever_that_ends() {
        let (exporter, _collector) = hanging().await;
        let timeout = Duration::from_millis(200);
        let took = flushed(&exporter, timeout, None).await;
        assert!(took >= timeout + FLUSH_AFTER_END && took < FLUSH_AT_MOST, "{took:?}");
        assert_eq!(exporter.counts(), LEFT);
    }

    /// O3
    #[tokio::test]
    async fn who_insists_waits_for_no_span_and_what_is_left_is_counted() {
        for timeout in [Duration::from_secs(600), Duration::from_millis(50)] {
            let (exporter, _collector) = hanging().await;
            let took = flushed(&exporter, timeout, Some(Duration::from_millis(100))).await;
            assert!(took < FLUSH_AFTER_END, "{took:?}");
            assert_eq!(exporter.counts(), LEFT);
        }
    }
}
