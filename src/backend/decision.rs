//! Why an endpoint was picked: the evidence of one pick, kept as it comes and put into words only when somebody asks.

use super::Eligible;
use super::eligible::Excluded;
use crate::balancer::{Candidate, Evidence};
use crate::endpoint::Endpoint;
use serde_json::{Value, json};
use smallvec::SmallVec;
use std::sync::Arc;

/// How many candidates, and how many excluded endpoints, are told of at most.
const TOLD: usize = 32;

/// Who wants to know how a pick was made; `()` does not, and costs nothing.
pub trait Witness: Evidence {
    /// The choice was among these; to be told once more when it is made again.
    fn among(&mut self, eligible: &Arc<Eligible>);
}

impl Witness for () {
    fn among(&mut self, _eligible: &Arc<Eligible>) {}
}

/// The evidence of one pick.
#[derive(Debug, Default)]
pub struct Decision {
    eligible: Option<Arc<Eligible>>,
    /// The place of a candidate, and its score. Lower is better.
    scores: SmallVec<[(u32, f32); 8]>,
    equals: u32,
    draw: Option<(u64, u64)>,
    hash: Option<Hash>,
    pinned: bool,
    tried: SmallVec<[u64; 2]>,
}

/// A look-up by hash.
#[derive(Clone, Copy, Debug)]
struct Hash {
    value: u64,
    from_key: bool,
    passed_over: usize,
}

impl Witness for Decision {
    fn among(&mut self, eligible: &Arc<Eligible>) {
        self.scores.clear();
        (self.equals, self.draw, self.hash, self.pinned) = (0, None, None, false);
        self.eligible = Some(Arc::clone(eligible));
    }
}

impl Evidence for Decision {
    fn score(&mut self, index: usize, score: f64) {
        self.scores.push((index as u32, score as f32));
    }

    fn equals(&mut self, count: usize) {
        self.equals = count as u32;
    }

    fn draw(&mut self, ticket: u64, of: u64) {
        self.draw = Some((ticket, of));
    }

    fn hashed(&mut self, hash: u64, key: bool, passed_over: usize) {
        self.hash = Some(Hash { value: hash, from_key: key, passed_over });
    }

    fn pinned(&mut self) {
        self.pinned = true;
    }
}

impl Decision {
    /// The evidence of a pick that endpoints `tried`, by id, are passed over in.
    pub fn new(tried: &[u64]) -> Self {
        Self { tried: SmallVec::from_slice(tried), ..Self::default() }
    }

    /// The candidates that are told of, each with its score if it was compared: the compared ones, the best first, then others.
    pub fn candidates(&self) -> impl Iterator<Item = (&Candidate, Option<f32>)> {
        let list = self.list();
        let mut compared: SmallVec<[(u32, f32); 8]> = self.scores.clone();
        compared.sort_by(|one, other| one.1.total_cmp(&other.1));
        let is_compared: SmallVec<[u32; 8]> = compared.iter().map(|(index, _)| *index).collect();
        let others = (0..list.len() as u32).filter(move |index| !is_compared.contains(index));
        let scored = compared.into_iter().map(|(index, score)| (index, Some(score)));
        scored
            .chain(others.map(|index| (index, None)))
            .filter_map(|(index, score)| Some((list.get(index as usize)?, score)))
            .take(TOLD)
    }

    /// How many candidates there were.
    pub fn count(&self) -> usize {
        self.list().len()
    }

    /// The endpoints that were no candidates, as far as they are told of, each with the reason.
    pub fn excluded(&self) -> impl Iterator<Item = (&Endpoint, String)> {
        let excluded = self.eligible.iter().flat_map(|eligible| &eligible.excluded);
        let excluded = excluded.map(|Excluded { endpoint, why }| (&**endpoint, why.to_string()));
        let tried = self.list().iter().filter(|one| self.tried.contains(&one.endpoint.id()));
        let tried = tried.map(|one| (&*one.endpoint, "has failed for this request".to_owned()));
        tried.chain(excluded).take(TOLD)
    }

    /// How many endpoints were no candidates.
    pub fn excluded_count(&self) -> usize {
        self.eligible.as_ref().map_or(0, |eligible| eligible.excluded.len()) + self.tried.len()
    }

    /// Whether all endpoints counted as healthy, because too few were.
    pub fn panic(&self) -> bool {
        self.eligible.as_ref().is_some_and(|eligible| eligible.panic)
    }

    /// What decided, as a sentence without its end.
    pub fn how(&self, chosen: Option<&Endpoint>) -> String {
        let Some(chosen) = chosen else { return "there was nobody to choose".to_owned() };
        if self.pinned {
            return "the client stays with the endpoint that it was given before".to_owned();
        }
        if let Some(Hash { from_key, passed_over, .. }) = self.hash {
            let of = match from_key {
                true => "the place of the hash of the request's key",
                false => "a place drawn by chance, for the request has no key",
            };
            return match passed_over {
                0 => of.to_owned(),
                count => format!("{of}, after {count} that were passed over"),
            };
        }
        match (self.scores.len(), self.equals, self.draw) {
            (0, _, None) => "the only one".to_owned(),
            (0, _, Some((ticket, of))) => format!("number {} of {of}", ticket + 1),
            (1, ..) => "the only one that was compared".to_owned(),
            (count, 0 | 1, _) => format!("the lowest score of {count}"),
            (count, equals, _) => {
                let index = self.list().iter().position(|one| one.endpoint.id() == chosen.id());
                let score = self.scores.iter().find(|(at, _)| Some(*at as usize) == index);
                let least = self.scores.iter().map(|(_, score)| *score).fold(f32::MAX, f32::min);
                let so = match score.is_some_and(|(_, score)| *score > least) {
                    true => "near enough to the lowest score to count as equal",
                    false => "the lowest score",
                };
                format!("{so} of {count}: one of {equals} equals, by load and chance")
            }
        }
    }

    /// All of it, for people and programs.
    pub fn tell(&self, chosen: Option<&Endpoint>) -> Value {
        let candidates = self.candidates().map(|(candidate, score)| {
            json!({
                "endpoint": candidate.endpoint.name(),
                "score": score,
                "weight": candidate.weight,
            })
        });
        let excluded = self
            .excluded()
            .map(|(endpoint, reason)| json!({ "endpoint": endpoint.name(), "reason": reason }));
        json!({
            "candidates": candidates.collect::<Vec<_>>(),
            "moreCandidates": self.count().saturating_sub(TOLD),
            "excluded": excluded.collect::<Vec<_>>(),
            "moreExcluded": self.excluded_count().saturating_sub(TOLD),
            "chosen": chosen.map(Endpoint::name),
            "equals": self.equals,
            "draw": self.draw.map(|(ticket, of)| json!({ "ticket": ticket, "of": of })),
            "hash": self.hash.map(|hash| json!({
                // As text: a program may hold numbers in 53 bits.
                "value": format!("{:016x}", hash.value),
                "fromKey": hash.from_key,
                "passedOver": hash.passed_over,
            })),
            "pinned": self.pinned,
            "panic": self.panic(),
            "how": self.how(chosen),
        })
    }

    fn list(&self) -> &[Candidate] {
        self.eligible.as_ref().map_or(&[], |eligible| eligible.candidates.list())
    }
}
