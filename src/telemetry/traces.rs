//! Spans on their way to a collector, by OTLP.
//!
//! Whoever has a complete trace hands it over and goes on. A thread of its own makes spans of it, gathers them into
//! batches and sends those, so that a collector that is slow or gone costs memory up to a bound and spans, which are
//! counted, but no request.

mod collector;
mod connector;
mod grpc;
mod http_protobuf;
mod options;
mod outcome;
mod queue;
#[cfg(test)]
mod tests;

pub use options::{Options, Protocol};

use arc_swap::ArcSwapOption;
use opentelemetry_sdk::trace::SpanData;
use queue::{Ending, Queue};
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::time::Instant;

/// The longest that spans which wait are still sent, after a reload named another collector or the process began to end.
pub const FLUSH_AT_MOST: Duration = Duration::from_secs(5);

/// A trace that is complete, in whatever form its maker holds it.
pub trait Finished: Send + Sync {
    /// How many spans it has: as many as [`Finished::spans`] adds.
    fn count(&self) -> usize;

    /// Adds its spans to `out`. Called by the exporting thread, so that no worker does this work.
    fn spans(&self, out: &mut Vec<SpanData>);
}

/// What became of spans. Every span that was handed over comes to be counted once.
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
#[derive(Clone, Default)]
pub struct Exporter(Arc<Inner>);

#[derive(Default)]
struct Inner {
    queue: ArcSwapOption<Queue>,
    /// Queues that no trace comes to any more; held while one is replaced, too, so that none is forgotten.
    ending: Mutex<Vec<Ending>>,
    counters: Arc<Counters>,
}

#[derive(Debug, Default)]
struct Counters {
    exported: AtomicU64,
    failed: AtomicU64,
    dropped: AtomicU64,
}

impl Exporter {
    /// Hands over a trace without waiting. When too many spans wait, or there is no collector, it is dropped and counted.
    pub fn submit(&self, trace: Arc<dyn Finished>) {
        match &*self.0.queue.load() {
            Some(queue) => queue.submit(trace),
            None => count(&self.0.counters.dropped, trace.count()),
        }
    }

    /// What became of all spans so far.
    pub fn counts(&self) -> SpanCounts {
        let Counters { exported, failed, dropped } = &*self.0.counters;
        SpanCounts {
            exported: exported.load(Relaxed),
            failed: failed.load(Relaxed),
            dropped: dropped.load(Relaxed),
        }
    }

    /// Whether there is a collector.
    pub fn is_on(&self) -> bool {
        self.0.queue.load().is_some()
    }

    /// Has all traces from now on sent as `options` say; nowhere if there are none. What waits is still sent where it was
    /// to go, for [`FLUSH_AT_MOST`]. Does not wait.
    pub fn apply(&self, options: Option<Options>) {
        let mut ending = self.ending();
        ending.retain(|ending| !ending.is_over());
        let next = options.and_then(|options| {
            let endpoint = Arc::clone(&options.endpoint);
            match Queue::start(options, Arc::clone(&self.0.counters)) {
                Ok(queue) => Some(Arc::new(queue)),
                Err(error) => {
                    tracing::error!(%error, "traces are not sent to {endpoint}");
                    None
                }
            }
        });
        if let Some(queue) = self.0.queue.swap(next) {
            ending.push(queue.end(Instant::now() + FLUSH_AT_MOST));
        }
    }

    /// Sends what waits, for `timeout` or [`FLUSH_AT_MOST`], whichever is shorter, and then no more. Blocks meanwhile. What
    /// could not be sent in time has failed. Called again meanwhile it may leave less time, but not more.
    pub fn shutdown(&self, timeout: Duration) {
        let until = Instant::now() + timeout.min(FLUSH_AT_MOST);
        // Not under the lock, so that another call comes through.
        let ending = {
            let mut ending = self.ending();
            if let Some(queue) = self.0.queue.swap(None) {
                ending.push(queue.end(until));
            }
            ending.clone()
        };
        ending.iter().for_each(|queue| queue.shorten(until));
        ending.iter().for_each(|queue| queue.join(until));
    }

    fn ending(&self) -> MutexGuard<'_, Vec<Ending>> {
        self.0.ending.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Exporter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let is_on = self.is_on();
        f.debug_struct("Exporter").field("is_on", &is_on).field("counts", &self.counts()).finish()
    }
}

fn count(counter: &AtomicU64, spans: usize) {
    counter.fetch_add(spans as u64, Relaxed);
}
