//! Latencies, in a histogram whose size does not grow with their number.

use std::time::Duration;

/// Buckets per power of two: a latency is known to within 1/64.
const BUCKETS: u64 = 64;

#[derive(Debug, Default)]
pub(crate) struct Latencies {
    /// How many fell in each bucket; at most 59 times [`BUCKETS`].
    buckets: Vec<u64>,
    count: u64,
    /// In microseconds, exact.
    max: u64,
}

impl Latencies {
    pub(crate) fn add(&mut self, latency: Duration) {
        let micros = u64::try_from(latency.as_micros()).unwrap_or(u64::MAX);
        let bucket = bucket(micros);
        if self.buckets.len() <= bucket {
            self.buckets.resize(bucket + 1, 0);
        }
        self.buckets[bucket] += 1;
        self.count += 1;
        self.max = self.max.max(micros);
    }

    /// The latency in milliseconds that this share, from 0 to 1, of all does not exceed; none without any.
    pub(crate) fn quantile(&self, share: f64) -> Option<f64> {
        let rank = ((self.count as f64 * share).ceil() as u64).max(1);
        let mut seen = 0;
        let bucket = self.buckets.iter().position(|&count| {
            seen += count;
            seen >= rank
        })?;
        Some(milliseconds(highest(bucket).min(self.max)))
    }

    /// The longest, in milliseconds.
    pub(crate) fn max(&self) -> Option<f64> {
        (self.count > 0).then(|| milliseconds(self.max))
    }
}

fn milliseconds(micros: u64) -> f64 {
    micros as f64 / 1000.0
}

/// The first [`BUCKETS`] hold one value each; from there on, each power of two has as many.
fn bucket(micros: u64) -> usize {
    let shift = (u64::BITS - micros.leading_zeros()).saturating_sub(BUCKETS.ilog2() + 1);
    // At most 59 * BUCKETS.
    (u64::from(shift) * BUCKETS + (micros >> shift)) as usize
}

/// The highest value of a bucket.
fn highest(bucket: usize) -> u64 {
    let bucket = bucket as u64;
    let shift = (bucket / BUCKETS).saturating_sub(1);
    let first = bucket - shift * BUCKETS;
    (first << shift) | ((1 << shift) - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_follow_each_other_and_are_as_narrow_as_said() {
        let mut below = None;
        for bucket in 0..bucket(u64::MAX) {
            let high = highest(bucket);
            assert_eq!((super::bucket(high), super::bucket(high + 1)), (bucket, bucket + 1));
            let low = below.map_or(0, |below: u64| below + 1);
            assert!((high - low) <= low / BUCKETS, "{low} to {high}");
            below = Some(high);
        }
        assert_eq!(highest(bucket(u64::MAX)), u64::MAX);
    }

    #[test]
    fn quantiles_are_of_all_latencies() {
        let mut latencies = Latencies::default();
        assert_eq!((latencies.quantile(0.5), latencies.max()), (None, None));
        for micros in 1..=1000 {
            latencies.add(Duration::from_micros(micros));
        }
        let within = |share, exact: f64| {
            let found = latencies.quantile(share).unwrap();
            assert!(found >= exact && found <= exact * 1.02, "{share}: {found}");
        };
        within(0.0, 0.001);
        within(0.5, 0.5);
        within(0.99, 0.99);
        within(1.0, 1.0);
        assert_eq!(latencies.max(), Some(1.0));
    }
}
