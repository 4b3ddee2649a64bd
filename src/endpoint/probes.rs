//! How often an endpoint was probed, and what came of it.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// The two kinds of probe.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProbeKind {
    /// Whether the endpoint is healthy.
    Health,
    /// How quickly it answers.
    Latency,
}

/// How a probe ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProbeResult {
    /// As it should.
    Pass,
    /// It did not.
    Fail,
}

/// Probes of an endpoint, by kind and result.
#[derive(Debug, Default)]
pub struct ProbeCounter([[AtomicU64; 2]; 2]);

impl ProbeKind {
    /// Both, in the order of their numbers.
    pub const ALL: [Self; 2] = [Self::Health, Self::Latency];

    /// Its name in metrics.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Health => "health",
            Self::Latency => "latency",
        }
    }
}

impl ProbeResult {
    /// Both, in the order of their numbers.
    pub const ALL: [Self; 2] = [Self::Pass, Self::Fail];

    /// Its name in metrics.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Pass => "pass",
            Self::Fail => "fail",
        }
    }
}

impl ProbeCounter {
    /// Counts a probe.
    pub fn record(&self, kind: ProbeKind, result: ProbeResult) {
        self.0[kind as usize][result as usize].fetch_add(1, Relaxed);
    }

    /// Probes of this kind, by result.
    pub fn totals(&self, kind: ProbeKind) -> impl Iterator<Item = (ProbeResult, u64)> {
        let counts = &self.0[kind as usize];
        ProbeResult::ALL.into_iter().zip(counts.iter().map(|count| count.load(Relaxed)))
    }
}
