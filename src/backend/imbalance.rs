//! How evenly a backend's endpoints were picked lately.
//!
//! Every [`WINDOW`] the picks of each endpoint since the last look are divided by its weight. The imbalance is the coefficient of
//! variation of these: their standard deviation divided by their mean. 0 is even by weight; with two endpoints of one weight, 1 says
//! that one had everything. Draws by chance scatter: with `n` picks per endpoint about 1/√n is nothing to worry about. Algorithms
//! that look at load or latency are uneven on purpose where endpoints differ, and those that hash where keys do.

use super::Backend;
use crate::endpoint::Endpoint;
use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// How long picks are counted for one value.
pub const WINDOW: Duration = Duration::from_secs(10);

/// Fewer picks per endpoint than this in a window say nothing.
const FEW: f64 = 10.0;

/// How evenly a backend's endpoints were picked.
#[derive(Debug, Default)]
pub(super) struct Imbalance(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    /// The picks of each endpoint that was eligible at the last look, by its id.
    before: HashMap<u64, u64>,
    last: Option<f64>,
}

impl Imbalance {
    fn lock(&self) -> MutexGuard<'_, State> {
        // A panic of another thread leaves a value that is at worst one window old.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Backend {
    /// How unevenly its endpoints were picked in the last [`WINDOW`]: 0 is even. `None` with fewer than two endpoints that were eligible
    /// all the time, and with too little traffic.
    pub fn imbalance(&self) -> Option<f64> {
        self.counters.imbalance.lock().last
    }

    /// Ends a window and begins the next: to be called every [`WINDOW`].
    pub fn look_at_balance(&self) {
        let eligible = self.eligible();
        let endpoints = eligible.candidates.list().iter();
        let now: Vec<_> = endpoints
            .map(|candidate| (&candidate.endpoint, self.weight_of(&candidate.endpoint)))
            .map(|(endpoint, weight)| (endpoint.id(), endpoint.picks(), f64::from(weight)))
            .collect();
        let mut state = self.counters.imbalance.lock();
        let picked = now.iter().filter_map(|(id, picks, weight)| {
            let before = state.before.get(id)?;
            Some((picks.saturating_sub(*before) as f64, *weight))
        });
        let picked: Vec<_> = picked.collect();
        state.last = coefficient_of_variation(&picked);
        state.before = now.into_iter().map(|(id, picks, _)| (id, picks)).collect();
    }

    /// The weight in the configuration: what a slow start takes off it shows as imbalance, which it is.
    fn weight_of(&self, endpoint: &Endpoint) -> u32 {
        self.member(endpoint.url()).map_or(1, |member| member.weight)
    }
}

/// The coefficient of variation of picks by weight, from pairs of both; `None` where there is too little to say.
fn coefficient_of_variation(picked: &[(f64, f64)]) -> Option<f64> {
    let count = picked.len() as f64;
    let total: f64 = picked.iter().map(|(picks, _)| picks).sum();
    if picked.len() < 2 || total < FEW * count {
        return None;
    }
    let by_weight = || picked.iter().map(|(picks, weight)| picks / weight);
    let mean = by_weight().sum::<f64>() / count;
    let variance = by_weight().map(|share| (share - mean).powi(2)).sum::<f64>() / count;
    Some(variance.sqrt() / mean)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn by_weight_even_is_zero_and_all_to_one_of_two_is_one() {
        assert_eq!(coefficient_of_variation(&[(100.0, 1.0), (300.0, 3.0)]), Some(0.0));
        assert_eq!(coefficient_of_variation(&[(100.0, 1.0), (0.0, 1.0)]), Some(1.0));
        let uneven = coefficient_of_variation(&[(60.0, 1.0), (40.0, 1.0)]).unwrap();
        assert!((uneven - 0.2).abs() < 1e-9, "{uneven}");
    }

    #[test]
    fn one_endpoint_or_little_traffic_says_nothing() {
        assert_eq!(coefficient_of_variation(&[(100.0, 1.0)]), None);
        assert_eq!(coefficient_of_variation(&[(10.0, 1.0), (9.0, 1.0)]), None);
        assert_eq!(coefficient_of_variation(&[]), None);
    }
}
