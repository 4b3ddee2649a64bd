//! The bound on the load that one endpoint may have for its keys' sake.
//!
//! Mirrokni, Thorup and Zadimoghaddam, "Consistent hashing with bounded loads" (2018): no endpoint takes a request that would give
//! it more than `ceil(c × mean)` in flight, where the mean is that of all endpoints with this request, by weight.
//! With c ≥ 1 there is always one that may take it.

use super::Candidates;
use crate::model::Ratio;

/// The bound at one moment.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bound {
    /// c, in millionths, times the requests in flight with this one.
    load: u128,
    /// The sum of the weights, times a million.
    weights: u128,
}

impl Bound {
    /// The bound for one request more. Looks at every candidate: the price of a bound that is exact.
    pub(super) fn new(candidates: &Candidates, c: Ratio) -> Self {
        let in_flight = candidates.list().iter().map(|candidate| candidate.endpoint.in_flight());
        let load = in_flight.map(u128::from).sum::<u128>() + 1;
        Self {
            load: load * (c.value() * 1e6).round() as u128,
            weights: u128::from(candidates.tickets().total()) * 1_000_000,
        }
    }

    /// Whether an endpoint that has so many in flight and so many of the tickets may take one more.
    pub(super) fn allows(self, in_flight: u32, tickets: u64) -> bool {
        // For whole numbers, less than x is less than ceil(x).
        u128::from(in_flight) * self.weights < self.load * u128::from(tickets)
    }
}
