//! What requests are counted by, and how durations are.

use crate::telemetry::sharded::Sharded;
use std::time::Duration;

/// Upper bounds of the buckets of every histogram of durations, in seconds; the last bucket has no bound.
///
/// From an endpoint on the same machine that answers at once (0.1 ms) to the timeouts that people set (a minute). Each is at most
/// two and a half times the one before where answers usually lie, so that a quantile that is read off, which lies somewhere
/// in a bucket, is wrong by no more than that; up to 10 s they hold the bounds that Prometheus' own libraries have, so that
/// usual objectives (100 ms, 250 ms, 1 s) are exact.
pub const DURATION_BUCKETS: [f64; 18] = [
    0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5,
    5.0, 10.0, 30.0, 60.0,
];

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

/// The classes that occurred, and those that are shown from the start, or the first would not be an increase.
pub fn occurred(
    totals: [u64; CODE_CLASSES.len()],
    always: &[&'static str],
) -> impl Iterator<Item = (&'static str, u64)> {
    let all = CODE_CLASSES.into_iter().zip(totals);
    all.filter(move |(class, total)| *total > 0 || always.contains(class))
}

/// A histogram of durations.
#[derive(Debug)]
pub struct DurationHistogram(Sharded<{ SUM + 1 }>);

/// What a histogram has counted.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Counts {
    /// How many fell into each bucket, not cumulative; the last has no bound.
    pub buckets: [u64; BUCKETS],
    /// Their sum, in seconds.
    pub sum: f64,
}

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

    /// What all workers counted.
    pub fn totals(&self) -> Counts {
        Counts::of(self.0.totals())
    }

    /// What each worker counted.
    pub fn by_worker(&self) -> impl Iterator<Item = Counts> {
        self.0.by_worker().map(Counts::of)
    }
}

impl Counts {
    fn of(all: [u64; SUM + 1]) -> Self {
        Self { buckets: std::array::from_fn(|i| all[i]), sum: all[SUM] as f64 / 1e9 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_on_a_bound_counts_below_it() {
        let histogram = DurationHistogram::new(1);
        histogram.record(0, Duration::from_micros(100));
        histogram.record(0, Duration::from_secs(60));
        histogram.record(0, Duration::from_secs(61));
        let Counts { buckets, sum } = histogram.totals();
        assert_eq!((buckets[0], buckets[BUCKETS - 2], buckets[BUCKETS - 1]), (1, 1, 1));
        assert!((sum - 121.0001).abs() < 1e-9);
    }

    #[test]
    fn a_quantile_that_is_read_off_is_wrong_by_a_factor_of_two_and_a_half_at_most() {
        let usual = DURATION_BUCKETS.windows(2).filter(|pair| pair[1] <= 10.0);
        assert!(usual.map(|pair| pair[1] / pair[0]).all(|factor| factor <= 2.5 + 1e-9));
    }

    #[test]
    fn requests_without_a_response_have_a_class() {
        let counter = RequestCounter::new(1);
        counter.record(0, Some(204));
        counter.record(0, None);
        assert_eq!(counter.totals(), [0, 1, 0, 0, 0, 1]);
    }
}
