//! The algorithms that pick an endpoint: pure functions of what they are shown.
//!
//! A [`Balancer`] is an algorithm with its own state (a round-robin position), shared by all workers, and lives as
//! long as the algorithm of its backend does. It does no I/O and reads no clock. One file per algorithm; ties are broken
//! at random, never "first wins".

mod bounded_load;
mod candidates;
mod consistent_hash;
mod draw;
mod hash;
mod least_connections;
mod least_response_time;
mod peak_ewma;
mod power_of_two_choices;
mod random;
mod round_robin;
mod table;
#[cfg(test)]
mod tests;
mod turns;

pub use candidates::{Candidate, Candidates};
pub use hash::hash_key;
pub use table::Table;

use crate::clock::Nanos;
use crate::model::Algorithm;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// Up to so many candidates the algorithms that look for the least look at all; above, at [`DRAWS`] of them.
const FULL_SCAN: usize = 32;

/// How many distinct draws stand for all when there are many: the best of d draws is already nearly the best of all for
/// d = 2 (Mitzenmacher, "The Power of Two Choices in Randomized Load Balancing", 1996).
const DRAWS: usize = 8;

/// What one pick is made from, besides the candidates.
#[derive(Debug)]
pub struct Pick<'a> {
    /// The present moment.
    pub now: Nanos,
    /// The hash of the request's key, for algorithms that hash; `None` when the request has no such key.
    pub hash: Option<u64>,
    /// The ids of endpoints that failed for this request: picked only if there is no other.
    pub tried: &'a [u64],
    /// The source of all chance; seeded in tests.
    pub rng: &'a mut fastrand::Rng,
}

/// Where an algorithm tells why it chose; `()` does not want to know and costs nothing.
///
/// Indices are those of [`Candidates::list`].
pub trait Evidence {
    /// The candidate at `index` was compared with this score (lower is better). Its unit is the algorithm's: requests
    /// in flight for its weight, or nanoseconds.
    fn score(&mut self, index: usize, score: f64);

    /// So many of the compared candidates were equal, and chance decided among them by weight.
    fn equals(&mut self, count: usize) {
        let _ = count;
    }

    /// Of the tickets `0..of`, of which each candidate holds as many as its weight says, `ticket` was drawn by chance or
    /// was next in turn.
    fn draw(&mut self, ticket: u64, of: u64) {
        let _ = (ticket, of);
    }

    /// The place was looked up by `hash`, that of the request's `key` or, without one, a hash drawn by chance; so many places
    /// were passed over because their endpoints are not eligible, were tried, or have all the load that they may have.
    fn hashed(&mut self, hash: u64, key: bool, passed_over: usize) {
        let _ = (hash, key, passed_over);
    }

    /// No algorithm was asked: the client stays with the endpoint that it was given before.
    fn pinned(&mut self) {}
}

impl Evidence for () {
    fn score(&mut self, _index: usize, _score: f64) {}
}

/// A choice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Picked {
    /// Index in [`Candidates::list`].
    pub index: usize,
    /// For algorithms that compare load: the number of requests in flight that the choice was based on. When
    /// another worker has changed it since, the choice is to be made again.
    pub expected: Option<u32>,
}

/// An algorithm with its own state.
#[derive(Debug)]
pub struct Balancer {
    algorithm: Algorithm,
    position: AtomicU64,
}

impl Balancer {
    /// A fresh balancer.
    pub fn new(algorithm: Algorithm) -> Self {
        Self { algorithm, position: AtomicU64::new(0) }
    }

    /// Its algorithm.
    pub fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// Picks one of `candidates`, of those that were not tried if there are any; `None` only when there are none at all.
    pub fn pick(
        &self,
        candidates: &Candidates,
        pick: &mut Pick<'_>,
        evidence: &mut impl Evidence,
    ) -> Option<Picked> {
        if candidates.list().is_empty() {
            return None;
        }
        if let Some(places) = candidates.places() {
            return Some(consistent_hash::pick(candidates, places, pick, evidence));
        }
        Some(if pick.tried.is_empty() {
            self.choose(candidates, pick, evidence)
        } else {
            self.choose_again(candidates, pick, evidence)
        })
    }

    /// Chooses for a retry. Apart, so that first tries do not carry its weight.
    #[cold]
    fn choose_again(
        &self,
        candidates: &Candidates,
        pick: &mut Pick<'_>,
        evidence: &mut impl Evidence,
    ) -> Picked {
        let (untried, indices) = candidates.without(pick.tried);
        if indices.is_empty() {
            return self.choose(candidates, pick, evidence);
        }
        let picked = self.choose(&untried, pick, &mut OfAll { evidence, indices: &indices });
        Picked { index: indices[picked.index], ..picked }
    }

    fn choose(
        &self,
        candidates: &Candidates,
        pick: &mut Pick<'_>,
        evidence: &mut impl Evidence,
    ) -> Picked {
        match self.algorithm {
            // A turn is nobody's to take for a second time: who is next stays next, and a retry goes to anyone.
            Algorithm::RoundRobin if !pick.tried.is_empty() => {
                random::pick(candidates, pick, evidence)
            }
            Algorithm::RoundRobin => {
                let position = self.position.fetch_add(1, Relaxed);
                round_robin::pick(candidates, position, evidence)
            }
            Algorithm::Random | Algorithm::SourceIpHash | Algorithm::ConsistentHash => {
                random::pick(candidates, pick, evidence)
            }
            Algorithm::LeastConnections => least_connections::pick(candidates, pick, evidence),
            Algorithm::LeastResponseTime => least_response_time::pick(candidates, pick, evidence),
            Algorithm::PowerOfTwoChoices => power_of_two_choices::pick(candidates, pick, evidence),
            Algorithm::PeakEwma => peak_ewma::pick(candidates, pick, evidence),
        }
    }
}

/// Evidence about some of the candidates, told as of all.
#[derive(Debug)]
struct OfAll<'a, E> {
    evidence: &'a mut E,
    indices: &'a [usize],
}

impl<E: Evidence> Evidence for OfAll<'_, E> {
    fn score(&mut self, index: usize, score: f64) {
        self.evidence.score(self.indices[index], score);
    }

    fn equals(&mut self, count: usize) {
        self.evidence.equals(count);
    }

    fn draw(&mut self, ticket: u64, of: u64) {
        self.evidence.draw(ticket, of);
    }
}
