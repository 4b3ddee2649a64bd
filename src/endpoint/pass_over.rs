//! How long an endpoint is passed over after connects that failed.

use crate::clock::Nanos;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

/// The first pass-over: long enough that a burst of requests fails once, short enough that a restart goes unnoticed.
const FIRST: Duration = Duration::from_millis(100);

/// The longest: what an endpoint that comes back after hours waits at most for its first request.
const LONGEST: Duration = Duration::from_secs(5);

/// The low bits of the word hold the number of failures; the moment is exact to their 256 ns.
const FAILURES: u64 = 0xff;

/// The pass-over of one endpoint: 0, or until when and after how many failures in a row. One word, so that of connects
/// that fail together exactly one lengthens it.
#[derive(Debug, Default)]
pub(super) struct PassOver(AtomicU64);

impl PassOver {
    /// Takes note of a failed connect at `now`; returns until when the endpoint is passed over, and whether this failure is
    /// the first since a success. Failures while it is passed over were under way before and change nothing. `id` tells
    /// endpoints apart, so that they do not come back in step.
    pub(super) fn failed(&self, now: Nanos, id: u64) -> (Nanos, bool) {
        let lengthen = |word: u64| {
            (word & !FAILURES <= now.0).then(|| {
                let failures = (word & FAILURES) + 1;
                let until = now + back_off(failures, id);
                (until.0 & !FAILURES) | failures.min(FAILURES)
            })
        };
        let before = self.0.fetch_update(Relaxed, Relaxed, lengthen);
        (self.until(), before == Ok(0))
    }

    /// Takes note of an established connection; returns how many pass-overs in a row that ended, up to 255.
    pub(super) fn succeeded(&self) -> u32 {
        // The load alone is what nearly every connect pays.
        if self.0.load(Relaxed) == 0 { 0 } else { (self.0.swap(0, Relaxed) & FAILURES) as u32 }
    }

    /// Until when the endpoint is passed over; 0 when no connect failed since the last success.
    pub(super) fn until(&self) -> Nanos {
        Nanos(self.0.load(Relaxed) & !FAILURES)
    }

    /// Pass-overs in a row, up to 255.
    pub(super) fn in_a_row(&self) -> u32 {
        (self.0.load(Relaxed) & FAILURES) as u32
    }
}

/// Doubles with each failure, between three quarters and five quarters by endpoint and failure.
fn back_off(failures: u64, id: u64) -> Duration {
    let exponent = (failures - 1).min(16) as u32;
    let full = FIRST.saturating_mul(1 << exponent).min(LONGEST);
    // Fibonacci hashing: the golden ratio spreads neighbouring numbers.
    let hash = (id.wrapping_mul(31).wrapping_add(failures)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    full.mul_f64(0.75 + (hash >> 40) as f64 / (1u64 << 25) as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: Nanos = Nanos(1_000_000_000);

    /// B4: an endpoint that refuses connections is left alone, longer each time, but never for good.
    #[test]
    fn the_pass_over_doubles_up_to_its_longest() {
        let pass_over = PassOver::default();
        let mut now = START;
        for failures in 1..300u32 {
            let (until, is_first) = pass_over.failed(now, 7);
            assert_eq!(is_first, failures == 1);
            let full = FIRST.mul_f64(2f64.powi(failures.min(20) as i32 - 1)).min(LONGEST);
            let ratio = until.since(now).as_secs_f64() / full.as_secs_f64();
            assert!((0.74..1.26).contains(&ratio), "{failures}: {ratio}");
            assert_eq!(pass_over.in_a_row(), failures.min(255));
            now = until + Duration::from_micros(1);
        }
    }

    #[test]
    fn connects_that_fail_together_count_once() {
        let pass_over = PassOver::default();
        let (until, is_first) = pass_over.failed(START, 1);
        assert!(is_first);
        for later in 0..64 {
            let again = pass_over.failed(START + Duration::from_micros(later), 1);
            assert_eq!(again, (until, false));
        }
        assert_eq!(pass_over.in_a_row(), 1);
    }

    #[test]
    fn a_success_ends_it_and_the_next_failure_starts_over() {
        let pass_over = PassOver::default();
        assert_eq!(pass_over.succeeded(), 0);
        let (first, _) = pass_over.failed(START, 1);
        pass_over.failed(first, 1);
        assert_eq!(pass_over.succeeded(), 2);
        assert_eq!(pass_over.succeeded(), 0);
        assert_eq!(pass_over.until(), Nanos(0));
        assert!(pass_over.failed(START, 1).0 <= START + FIRST.mul_f64(1.25));
    }

    #[test]
    fn endpoints_that_fail_together_do_not_come_back_in_step() {
        let mut moments: Vec<_> =
            (1..=8).map(|id| PassOver::default().failed(START, id).0).collect();
        moments.sort_unstable();
        moments.dedup();
        assert_eq!(moments.len(), 8);
    }
}
