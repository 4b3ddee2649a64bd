//! The algorithms that pick an endpoint: pure functions of what they are shown.
//!
//! A [`Balancer`] is an algorithm with its own state (a round-robin position), shared by all workers, and lives as
//! long as the algorithm of its backend does. It does no I/O and reads no clock.

use crate::clock::Nanos;
use crate::endpoint::Endpoint;
use crate::model::Algorithm;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

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
}

impl Candidates {
    /// Prepares `list` for `algorithm`.
    pub fn new(_algorithm: Algorithm, list: Vec<Candidate>) -> Self {
        Self { list }
    }

    /// The endpoints.
    pub fn list(&self) -> &[Candidate] {
        &self.list
    }
}

/// What one pick is made from, besides the candidates.
#[derive(Debug)]
pub struct Pick<'a> {
    /// The present moment.
    pub now: Nanos,
    /// The source of all chance; seeded in tests.
    pub rng: &'a mut fastrand::Rng,
}

/// Where an algorithm tells why it chose; `()` does not want to know and costs nothing.
pub trait Evidence {
    /// The candidate at `index` was compared with this score (lower is better).
    fn score(&mut self, index: usize, score: f64);
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

    /// Picks one of `candidates`; `None` only when there are none.
    pub fn pick(
        &self,
        candidates: &Candidates,
        _pick: &mut Pick<'_>,
        _evidence: &mut impl Evidence,
    ) -> Option<Picked> {
        let count = candidates.list.len() as u64;
        let position = self.position.fetch_add(1, Relaxed);
        (count > 0).then(|| Picked { index: (position % count) as usize, expected: None })
    }
}
