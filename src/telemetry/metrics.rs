//! Every metric: its name, its meaning, and the counters behind it.

use super::sharded::Sharded;
use std::time::Duration;

/// Upper bounds of the duration histogram's buckets, in seconds; the last bucket has no bound.
pub const DURATION_BUCKETS: [f64; 14] =
    [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];

const BUCKETS: usize = DURATION_BUCKETS.len() + 1;
const SUM: usize = BUCKETS;

/// The classes that requests are counted by: 1xx to 5xx, and requests that ended without a response's head.
pub const CODE_CLASSES: [&str; 6] = ["1xx", "2xx", "3xx", "4xx", "5xx", "none"];

/// Requests by class of status code.
#[derive(Debug)]
pub struct RequestCounter(Sharded<{ CODE_CLASSES.len() }>);

impl RequestCounter {
    /// Counters for `workers` workers.
    pub fn new(workers: usize) -> Self {
        Self(Sharded::new(workers))
    }

    /// Counts a request that was answered with `status`; `None` when it never was.
    pub fn record(&self, worker: usize, status: Option<u16>) {
        let class = match status {
            Some(status @ 100..600) => usize::from(status / 100 - 1),
            Some(_) | None => CODE_CLASSES.len() - 1,
        };
        self.0.add(worker, class, 1);
    }

    /// Requests per class, in the order of [`CODE_CLASSES`].
    pub fn totals(&self) -> [u64; CODE_CLASSES.len()] {
        self.0.totals()
    }
}

/// A histogram of durations.
#[derive(Debug)]
pub struct DurationHistogram(Sharded<{ SUM + 1 }>);

impl DurationHistogram {
    /// Counters for `workers` workers.
    pub fn new(workers: usize) -> Self {
        Self(Sharded::new(workers))
    }

    /// Counts one duration.
    pub fn record(&self, worker: usize, duration: Duration) {
        let seconds = duration.as_secs_f64();
        let bucket = DURATION_BUCKETS.partition_point(|bound| *bound < seconds);
        self.0.add(worker, bucket, 1);
        self.0.add(worker, SUM, duration.as_nanos() as u64);
    }

    /// Counts per bucket (not cumulative; the last has no bound) and the sum in seconds.
    pub fn totals(&self) -> ([u64; BUCKETS], f64) {
        let all = self.0.totals();
        let buckets = std::array::from_fn(|i| all[i]);
        (buckets, all[SUM] as f64 / 1e9)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_on_a_bound_counts_below_it() {
        let histogram = DurationHistogram::new(1);
        histogram.record(0, Duration::from_micros(500));
        histogram.record(0, Duration::from_secs(60));
        let (buckets, sum) = histogram.totals();
        assert_eq!(buckets[0], 1);
        assert_eq!(buckets[BUCKETS - 1], 1);
        assert!((sum - 60.0005).abs() < 1e-9);
    }

    #[test]
    fn requests_without_a_response_have_a_class() {
        let counter = RequestCounter::new(1);
        counter.record(0, Some(204));
        counter.record(0, None);
        assert_eq!(counter.totals(), [0, 1, 0, 0, 0, 1]);
    }
}
