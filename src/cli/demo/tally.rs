//! Counts what became of the demo's requests, by generation.

use crate::telemetry::observe::{Completed, Observer};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// So many durations of a generation are kept; beyond that, a random sample of this size.
const KEPT: usize = 100_000;

/// What became of the requests so far.
#[derive(Debug, Default)]
pub(super) struct Tally(Mutex<BTreeMap<u64, Generation>>);

/// The requests that one generation served.
#[derive(Debug, Default)]
pub(super) struct Generation {
    /// The algorithm of its backend.
    pub(super) algorithm: &'static str,
    /// Requests.
    pub(super) requests: u64,
    /// Those of them whose answer was an error of ours or of an endpoint (status 500 and above).
    pub(super) failures: u64,
    /// Requests by the URL of the endpoint.
    pub(super) endpoints: BTreeMap<Arc<str>, u64>,
    durations: Vec<Duration>,
    rng: Sampler,
}

/// Chance with a fixed seed: the same requests give the same table.
#[derive(Debug)]
struct Sampler(fastrand::Rng);

impl Default for Sampler {
    fn default() -> Self {
        Self(fastrand::Rng::with_seed(1))
    }
}

impl Tally {
    /// The observer that feeds `tally`.
    pub(super) fn observer(tally: &Arc<Self>) -> Observer {
        let tally = Arc::clone(tally);
        Arc::new(move |completed| tally.record(completed))
    }

    /// Counts one request.
    pub(super) fn record(&self, completed: &Completed) {
        let mut generations = self.generations();
        let generation = generations.entry(completed.generation).or_default();
        generation.algorithm = completed.algorithm;
        generation.requests += 1;
        generation.failures += u64::from(completed.status >= 500);
        if let Some(endpoint) = &completed.endpoint {
            *generation.endpoints.entry(Arc::clone(endpoint)).or_default() += 1;
        }
        generation.keep(completed.duration);
    }

    /// The generations that served requests, by number.
    pub(super) fn generations(&self) -> MutexGuard<'_, BTreeMap<u64, Generation>> {
        // Counting cannot panic half-way.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Generation {
    /// Reservoir sampling: algorithm R of Vitter, "Random Sampling with a Reservoir" (1985).
    fn keep(&mut self, duration: Duration) {
        if self.durations.len() < KEPT {
            self.durations.push(duration);
        } else if let Ok(at) = usize::try_from(self.rng.0.u64(0..self.requests))
            && let Some(slot) = self.durations.get_mut(at)
        {
            *slot = duration;
        }
    }

    /// The durations within which each of `shares` (0 to 1) of the requests ended, by nearest rank; zero without requests.
    pub(super) fn percentiles<const N: usize>(&self, shares: [f64; N]) -> [Duration; N] {
        let mut sorted = self.durations.clone();
        sorted.sort_unstable();
        shares.map(|share| {
            let rank = (share * sorted.len() as f64).ceil() as usize;
            sorted.get(rank.saturating_sub(1)).copied().unwrap_or_default()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn completed(generation: u64, milliseconds: u64) -> Completed {
        Completed {
            generation,
            algorithm: "RoundRobin",
            endpoint: Some(Arc::from("http://localhost:8083")),
            duration: Duration::from_millis(milliseconds),
            status: 200,
        }
    }

    #[test]
    fn percentiles_are_those_of_the_generation() {
        let tally = Tally::default();
        for milliseconds in (1..=100).rev() {
            tally.record(&completed(1, milliseconds));
            tally.record(&completed(2, 7));
        }
        let generations = tally.generations();
        let [p50, p99] = generations[&1].percentiles([0.5, 0.99]);
        assert_eq!((p50.as_millis(), p99.as_millis()), (50, 99));
        assert_eq!(generations[&2].percentiles([0.5])[0].as_millis(), 7);
    }

    #[test]
    fn a_generation_without_requests_has_percentiles_of_zero() {
        assert_eq!(Generation::default().percentiles([0.5]), [Duration::ZERO]);
    }

    #[test]
    fn memory_stays_bounded_and_the_sample_fair() {
        let tally = Tally::default();
        // The later half is slower: a sample that kept the first durations only would miss it.
        for index in 0..2 * KEPT {
            tally.record(&completed(1, if index < KEPT { 1 } else { 100 }));
        }
        let generations = tally.generations();
        assert_eq!(generations[&1].durations.len(), KEPT);
        let slow = generations[&1].durations.iter().filter(|d| d.as_millis() == 100).count();
        assert!((KEPT * 48 / 100..KEPT * 52 / 100).contains(&slow), "{slow}");
    }

    #[test]
    fn requests_without_an_endpoint_count_as_requests_and_failures() {
        let tally = Tally::default();
        tally.record(&Completed { endpoint: None, status: 503, ..completed(1, 1) });
        let generations = tally.generations();
        let generation = &generations[&1];
        assert_eq!((generation.requests, generation.failures), (1, 1));
        assert!(generation.endpoints.is_empty());
    }
}
