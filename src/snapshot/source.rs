//! What is known of the configuration's source: a refused file is never shown as the running one.

use super::history::{History, Outcome};
use crate::telemetry::metrics::DurationHistogram;
use arc_swap::ArcSwap;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

/// The state of the source, beside the running snapshot.
#[derive(Clone, Debug, Default)]
pub struct Source {
    /// The file's full path, for people.
    pub path: String,
    /// Hash of the bytes read last; `None` while the file is missing.
    pub hash: Option<String>,
    /// When the running snapshot came to be.
    pub loaded_at: Option<SystemTime>,
    /// Why the bytes read last do not run; `None` when they do.
    pub refused: Option<Refused>,
}

/// A source that was refused.
#[derive(Clone, Debug)]
pub struct Refused {
    /// Hash of its bytes; `None` when it could not be read.
    pub hash: Option<String>,
    /// When it was refused.
    pub at: SystemTime,
    /// Why: a JSON array with an object per error.
    pub errors: serde_json::Value,
    /// How many errors there are besides those.
    pub more: usize,
}

/// The source's state and the count of what became of its changes; shared by control and admin.
#[derive(Debug, Default)]
pub struct SourceStatus {
    current: ArcSwap<Source>,
    /// Changes that became a generation.
    pub accepted: AtomicU64,
    /// Changes that were refused.
    pub refused: AtomicU64,
    /// Changes that left the model as it was.
    pub unchanged: AtomicU64,
    /// The last of them.
    pub history: History,
    timing: Mutex<Timing>,
    durations: Durations,
}

/// When changes of the source came to their ends.
#[derive(Clone, Copy, Debug, Default)]
pub struct Timing {
    /// When each outcome was last seen, in the order of [`Outcome::ALL`].
    pub last: [Option<SystemTime>; Outcome::ALL.len()],
    /// How long the last change took.
    pub took: Option<Duration>,
}

/// How long changes took.
#[derive(Debug)]
struct Durations(DurationHistogram);

impl Default for Durations {
    fn default() -> Self {
        Self(DurationHistogram::new(1))
    }
}

impl SourceStatus {
    /// The present state.
    pub fn load(&self) -> Arc<Source> {
        self.current.load_full()
    }

    /// Replaces the present state.
    pub fn store(&self, source: Source) {
        self.current.store(Arc::new(source));
    }

    /// A change has come to its end, after it `took` so long.
    pub fn ends(&self, outcome: Outcome, took: Duration) {
        let count = match outcome {
            Outcome::Accepted => &self.accepted,
            Outcome::Refused => &self.refused,
            Outcome::Unchanged => &self.unchanged,
        };
        count.fetch_add(1, Relaxed);
        // Only control counts here.
        self.durations.0.record(0, took);
        let mut timing = self.lock();
        timing.last[outcome as usize] = Some(SystemTime::now());
        timing.took = Some(took);
    }

    /// When changes came to their ends.
    pub fn timing(&self) -> Timing {
        *self.lock()
    }

    /// How long changes took.
    pub fn durations(&self) -> &DurationHistogram {
        &self.durations.0
    }

    fn lock(&self) -> MutexGuard<'_, Timing> {
        self.timing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes so far: accepted, refused, without effect.
    pub fn counts(&self) -> (u64, u64, u64) {
        (self.accepted.load(Relaxed), self.refused.load(Relaxed), self.unchanged.load(Relaxed))
    }
}

impl Source {
    /// Whether what runs is what the source says.
    pub fn in_sync(&self) -> bool {
        self.refused.is_none() && self.hash.is_some()
    }
}
