mod chance;
mod hashing;
mod properties;
mod scenes;
mod simulation;

use super::{Balancer, Candidate, Candidates, Evidence, Pick, Picked};
use crate::clock::Nanos;
use crate::endpoint::{Endpoint, InFlight};
use crate::model::{Algorithm, EndpointUrl};
use std::sync::Arc;

const START: Nanos = Nanos(1_000_000_000);

fn endpoint(port: u16) -> Arc<Endpoint> {
    let url = EndpointUrl {
        scheme: crate::model::Scheme::Http,
        host: "localhost".into(),
        port,
        path: "".into(),
    };
    Arc::new(Endpoint::new(url, 1))
}

/// Fresh endpoints with these weights.
fn list(weights: &[u32]) -> Vec<Candidate> {
    let candidate = |(index, weight): (usize, &u32)| Candidate {
        endpoint: endpoint(8081 + index as u16),
        weight: *weight,
    };
    weights.iter().enumerate().map(candidate).collect()
}

fn candidates(algorithm: Algorithm, weights: &[u32]) -> Candidates {
    Candidates::new(algorithm, list(weights))
}

/// Guards that put so many requests in flight on each endpoint.
fn load(list: &[Candidate], in_flight: &[u32]) -> Vec<InFlight> {
    let begin = |(candidate, count): (&Candidate, &u32)| {
        (0..*count).map(|_| candidate.endpoint.begin()).collect::<Vec<_>>()
    };
    list.iter().zip(in_flight).flat_map(begin).collect()
}

/// How often each of the candidates is picked when nothing changes between picks.
fn counts(
    balancer: &Balancer,
    candidates: &Candidates,
    picks: u32,
    rng: &mut fastrand::Rng,
) -> Vec<u32> {
    let mut counts = vec![0; candidates.list().len()];
    for _ in 0..picks {
        let mut pick = Pick { now: START, hash: None, tried: &[], rng };
        counts[balancer.pick(candidates, &mut pick, &mut ()).unwrap().index] += 1;
    }
    counts
}

/// Evidence as a test wants it.
#[derive(Debug, Default)]
struct Told {
    scores: Vec<(usize, f64)>,
    equals: usize,
    draw: Option<(u64, u64)>,
    hashed: Option<(u64, bool, usize)>,
}

impl Evidence for Told {
    fn score(&mut self, index: usize, score: f64) {
        self.scores.push((index, score));
    }

    fn equals(&mut self, count: usize) {
        self.equals = count;
    }

    fn draw(&mut self, ticket: u64, of: u64) {
        self.draw = Some((ticket, of));
    }

    fn hashed(&mut self, hash: u64, key: bool, passed_over: usize) {
        self.hashed = Some((hash, key, passed_over));
    }
}

fn pick_told(
    balancer: &Balancer,
    candidates: &Candidates,
    rng: &mut fastrand::Rng,
) -> (Option<Picked>, Told) {
    let mut told = Told::default();
    let picked =
        balancer.pick(candidates, &mut Pick { now: START, hash: None, tried: &[], rng }, &mut told);
    (picked, told)
}
