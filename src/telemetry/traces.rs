//! Spans on their way to a collector.

use opentelemetry_sdk::trace::SpanData;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// A trace that is complete, in whatever form its maker holds it.
pub trait Finished: Send + Sync {
    /// How many spans it has.
    fn count(&self) -> usize;

    /// Adds its spans to `out`. Called by the exporting thread, so that no worker does this work.
    fn spans(&self, out: &mut Vec<SpanData>);
}

/// What became of spans.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SpanCounts {
    /// Taken by the collector.
    pub exported: u64,
    /// Refused by it, or not sent in time.
    pub failed: u64,
    /// Never sent: too many waited.
    pub dropped: u64,
}

/// The way to the collector that the running configuration names, if it names one; clones lead to the same.
#[derive(Clone, Debug, Default)]
pub struct Exporter(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    dropped: AtomicU64,
}

impl Exporter {
    /// Hands over a trace without waiting. When too many spans wait, it is dropped and counted.
    pub fn submit(&self, trace: Arc<dyn Finished>) {
        self.0.dropped.fetch_add(trace.count() as u64, Relaxed);
    }

    /// What became of all spans so far.
    pub fn counts(&self) -> SpanCounts {
        SpanCounts { dropped: self.0.dropped.load(Relaxed), ..SpanCounts::default() }
    }
}
