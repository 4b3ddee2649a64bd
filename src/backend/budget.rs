//! The retry budget: what keeps retries from multiplying an outage.
//!
//! When every endpoint fails, each client's request would become several, at the moment when the endpoints can bear
//! it least. So a backend may retry only a share of what it was asked in the last ten seconds, besides a small
//! floor that keeps quiet backends able to retry at all.

use crate::clock::Nanos;
use crate::model;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

/// Seconds that the budget looks back.
const WINDOW: u64 = 10;
const SECOND: u64 = Duration::from_secs(1).as_nanos() as u64;

/// A backend's retry budget, shared by all workers.
///
/// Counts are kept per second. Workers that meet in the same instant may overdraw it by one each, which is fine
/// for a guard against storms.
#[derive(Debug)]
pub struct RetryBudget {
    ratio: f64,
    floor: f64,
    seconds: [Second; WINDOW as usize],
}

#[derive(Debug, Default)]
struct Second {
    number: AtomicU64,
    requests: AtomicU64,
    retries: AtomicU64,
}

impl RetryBudget {
    /// A budget without a past.
    pub fn new(budget: model::RetryBudget) -> Self {
        Self {
            ratio: budget.ratio.value(),
            floor: f64::from(budget.min_per_second) * WINDOW as f64,
            seconds: Default::default(),
        }
    }

    /// Counts a request, which earns its share of a retry.
    pub fn deposit(&self, now: Nanos) {
        self.second(now).requests.fetch_add(1, Relaxed);
    }

    /// Takes one retry out; `false` when the budget is spent.
    pub fn withdraw(&self, now: Nanos) -> bool {
        let allowed = self.balance(now) > 0.0;
        if allowed {
            self.second(now).retries.fetch_add(1, Relaxed);
        }
        allowed
    }

    /// How many retries it allows at `now`.
    pub fn remaining(&self, now: Nanos) -> u64 {
        // What is left of one allows a whole one.
        self.balance(now).ceil().max(0.0) as u64
    }

    fn balance(&self, now: Nanos) -> f64 {
        let oldest = (now.0 / SECOND).saturating_sub(WINDOW - 1);
        let (mut requests, mut retries) = (0, 0);
        for second in self.seconds.iter().filter(|second| second.number.load(Relaxed) >= oldest) {
            requests += second.requests.load(Relaxed);
            retries += second.retries.load(Relaxed);
        }
        self.ratio * requests as f64 + self.floor - retries as f64
    }

    /// The counts of the present second, begun anew if they are those of an earlier one.
    fn second(&self, now: Nanos) -> &Second {
        let number = now.0 / SECOND;
        let second = &self.seconds[(number % WINDOW) as usize];
        let seen = second.number.load(Relaxed);
        if seen < number && second.number.compare_exchange(seen, number, Relaxed, Relaxed).is_ok() {
            second.requests.store(0, Relaxed);
            second.retries.store(0, Relaxed);
        }
        second
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Ratio;

    fn budget(ratio: f64, min_per_second: u32) -> RetryBudget {
        RetryBudget::new(model::RetryBudget { ratio: Ratio::new(ratio), min_per_second })
    }

    fn at(second: u64) -> Nanos {
        Nanos(second * SECOND)
    }

    #[test]
    fn retries_never_exceed_the_ratio_of_requests() {
        let budget = budget(0.2, 0);
        for _ in 0..100 {
            budget.deposit(at(5));
        }
        assert_eq!(budget.remaining(at(5)), 20);
        let granted = (0..100).filter(|_| budget.withdraw(at(5))).count();
        assert_eq!((granted, budget.remaining(at(5))), (20, 0));
    }

    #[test]
    fn a_quiet_backend_may_still_retry() {
        let budget = budget(0.2, 3);
        let granted = (0..100).filter(|_| budget.withdraw(at(5))).count();
        assert_eq!(granted, 30);
    }

    #[test]
    fn what_is_older_than_the_window_is_forgotten() {
        let budget = budget(0.2, 0);
        for _ in 0..100 {
            budget.deposit(at(5));
        }
        assert!(budget.withdraw(at(14)));
        assert!(!budget.withdraw(at(15)));
        assert!(!budget.withdraw(at(25)), "the same slot, a later second");
    }
}
