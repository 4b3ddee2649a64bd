//! The eligible endpoints of a backend, and what can be prepared once for many picks.

use super::Table;
use super::draw::Tickets;
use super::round_robin::Cycle;
use crate::clock::Nanos;
use crate::endpoint::{Endpoint, Sensitivity};
use crate::model::{Algorithm, Ratio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed};
use std::time::Duration;

/// One eligible endpoint.
#[derive(Clone, Debug)]
pub struct Candidate {
    /// Its live state.
    pub endpoint: Arc<Endpoint>,
    /// Its weight, at least 1.
    pub weight: u32,
}

/// The eligible endpoints of a backend, prepared for an algorithm: made anew when eligibility changes, never per pick.
#[derive(Debug)]
pub struct Candidates {
    list: Vec<Candidate>,
    tickets: Tickets,
    cycle: Cycle,
    places: Option<Places>,
    /// The mean weight: that for which the score of an endpoint is a time.
    mean_weight: f32,
    sensitivity: Sensitivity,
    median: Median,
}

impl Candidates {
    /// Prepares `list` for `algorithm`; an algorithm that hashes wants [`Candidates::with_table`] besides.
    pub fn new(algorithm: Algorithm, list: Vec<Candidate>) -> Self {
        let tickets = Tickets::new(list.iter().map(|candidate| candidate.weight));
        let (cycle, sensitivity) = match algorithm {
            Algorithm::RoundRobin => (Cycle::new(&tickets), Sensitivity::Average),
            Algorithm::PeakEwma => (Cycle::InOrder, Sensitivity::Peak),
            Algorithm::Random
            | Algorithm::LeastConnections
            | Algorithm::LeastResponseTime
            | Algorithm::PowerOfTwoChoices
            | Algorithm::SourceIpHash
            | Algorithm::ConsistentHash => (Cycle::InOrder, Sensitivity::Average),
        };
        Self::prepared(list, tickets, cycle, sensitivity)
    }

    fn prepared(
        list: Vec<Candidate>,
        tickets: Tickets,
        cycle: Cycle,
        sensitivity: Sensitivity,
    ) -> Self {
        let weights: f32 = list.iter().map(|candidate| candidate.weight as f32).sum();
        let mean_weight = weights / list.len().max(1) as f32;
        let (places, median) = (None, Median::default());
        Self { list, tickets, cycle, places, mean_weight, sensitivity, median }
    }

    /// Lets them be found by hash in `table`, which was made of them and of endpoints that are not eligible now. `candidates` says
    /// at which place of the list each endpoint of the table is, `bounded_load` how much more than the mean load each may have.
    pub fn with_table(
        mut self,
        table: Arc<Table>,
        candidates: Box<[Option<u32>]>,
        bounded_load: Option<Ratio>,
    ) -> Self {
        self.places = Some(Places { table, candidates, bounded_load });
        self
    }

    /// Those whose ids are not in `tried`, and their indices in this list. Good for a draw or a comparison, made for one request:
    /// neither a cycle nor places are laid out.
    pub(super) fn without(&self, tried: &[u64]) -> (Self, Vec<usize>) {
        let untried = |index: &usize| !tried.contains(&self.list[*index].endpoint.id());
        let indices: Vec<_> = (0..self.list.len()).filter(untried).collect();
        let list: Vec<_> = indices.iter().map(|index| self.list[*index].clone()).collect();
        let tickets = Tickets::new(list.iter().map(|candidate| candidate.weight));
        (Self::prepared(list, tickets, Cycle::InOrder, self.sensitivity), indices)
    }

    /// The endpoints.
    pub fn list(&self) -> &[Candidate] {
        &self.list
    }

    /// Their shares.
    pub(super) fn tickets(&self) -> &Tickets {
        &self.tickets
    }

    /// Their turns.
    pub(super) fn cycle(&self) -> &Cycle {
        &self.cycle
    }

    /// Where they are found by hash; `None` when the algorithm does not hash.
    pub(super) fn places(&self) -> Option<&Places> {
        self.places.as_ref()
    }

    /// The median of what is known of their time to response head, in nanoseconds.
    pub(super) fn median(&self, now: Nanos) -> f32 {
        self.median.get(now, &self.list, self.sensitivity)
    }

    /// What a request to the candidate at `index` is expected to take, in nanoseconds, with those in flight on it
    /// before it, for its weight relative to the mean weight: only ratios of weights count.
    #[inline]
    pub(super) fn expected_time(&self, index: usize, in_flight: u32, pick: Asked) -> f32 {
        let candidate = &self.list[index];
        let time = candidate.endpoint.response_time();
        let estimate = time.estimate(self.sensitivity, pick.now, pick.median);
        estimate * (in_flight + 1) as f32 * (self.mean_weight / candidate.weight as f32)
    }
}

/// Where candidates are found by hash.
#[derive(Debug)]
pub(super) struct Places {
    table: Arc<Table>,
    /// By endpoint of the table, its index among the candidates if it is one.
    candidates: Box<[Option<u32>]>,
    bounded_load: Option<Ratio>,
}

impl Places {
    /// The candidates that own a place from that of `hash` on, as often as they do, each with the number of places that were
    /// passed over before it.
    pub(super) fn eligible_from(&self, hash: u64) -> impl Iterator<Item = (usize, usize)> {
        let candidate = |(passed_over, owner): (usize, usize)| {
            self.candidates[owner].map(|index| (passed_over, index as usize))
        };
        self.table.owners_from(hash).enumerate().filter_map(candidate)
    }

    /// How much more than the mean load each may have.
    pub(super) fn bounded_load(&self) -> Option<Ratio> {
        self.bounded_load
    }
}

/// What estimates of one pick have in common.
#[derive(Clone, Copy, Debug)]
pub(super) struct Asked {
    pub(super) now: Nanos,
    pub(super) median: f32,
}

/// The median of the candidates' latencies, each weighing as much as it has recent samples; computed at most every [`Median::FRESH`].
#[derive(Debug, Default)]
struct Median {
    /// Nanoseconds, bits of an `f32`; 0 when no candidate has answered yet.
    nanos: AtomicU32,
    /// When it is to be computed again.
    due: AtomicU64,
}

impl Median {
    const FRESH: Duration = Duration::from_millis(100);

    /// Of so many candidates at most; of more, evenly spaced ones stand for all.
    const MOST: usize = 32;

    /// What stands for the median when nobody has answered yet: those without a sample are equal, and better than those
    /// that only ever failed.
    const UNKNOWN: f32 = 1e6;

    #[inline]
    fn get(&self, now: Nanos, list: &[Candidate], sensitivity: Sensitivity) -> f32 {
        let known = self.nanos.load(Relaxed);
        if known != 0 && now.0 < self.due.load(Relaxed) {
            return f32::from_bits(known);
        }
        self.refresh(now, list, sensitivity)
    }

    /// Two workers may do this at once: both find nearly the same, and either may win.
    #[cold]
    fn refresh(&self, now: Nanos, list: &[Candidate], sensitivity: Sensitivity) -> f32 {
        let mut measured = [(0.0, 0.0); Self::MOST];
        let mut count = 0;
        for candidate in list.iter().step_by(list.len().div_ceil(Self::MOST).max(1)) {
            let time = candidate.endpoint.response_time();
            if let Some(found) = time.measured(sensitivity, now) {
                measured[count] = found;
                count += 1;
            }
        }
        let Some(median) = weighted_median(&mut measured[..count]) else { return Self::UNKNOWN };
        self.nanos.store(median.to_bits(), Relaxed);
        self.due.store((now + Self::FRESH).0, Relaxed);
        median
    }
}

/// The value up to which half of the weight lies; of two such values the lower.
///
/// The weight is the number of recent samples. Were all equal, the stale bad figures of starved endpoints would be the
/// measure by which they stay starved: one lucky endpoint would look better than the median for good.
fn weighted_median(measured: &mut [(f32, f32)]) -> Option<f32> {
    measured.sort_unstable_by(|one, two| one.0.total_cmp(&two.0));
    let half = measured.iter().map(|(_, weight)| weight).sum::<f32>() / 2.0;
    let mut below = 0.0;
    let reaches_half = |(_, weight): &&(f32, f32)| {
        below += weight;
        below >= half
    };
    measured.iter().find(reaches_half).or(measured.last()).map(|(value, _)| *value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_goes_by_recent_samples_and_takes_the_lower_of_two() {
        assert_eq!(weighted_median(&mut []), None);
        assert_eq!(weighted_median(&mut [(7.0, 1.0)]), Some(7.0));
        assert_eq!(weighted_median(&mut [(4000.0, 1.0), (1.0, 1.0)]), Some(1.0));
        assert_eq!(
            weighted_median(&mut [(9.0, 0.5), (8.0, 0.5), (9.0, 0.5), (5.0, 64.0)]),
            Some(5.0)
        );
        assert_eq!(weighted_median(&mut [(3.0, 1.0), (1.0, 1.0), (2.0, 1.0)]), Some(2.0));
    }

    /// After days without a request all weights are 0.
    #[test]
    fn weights_of_zero_leave_a_median() {
        assert_eq!(weighted_median(&mut [(3.0, 0.0), (1.0, 0.0)]), Some(1.0));
    }
}
