//! Why an endpoint was picked: the evidence of one pick, noted as it comes, and put into words only for requests that are kept.

use super::Eligible;
use super::eligible::Excluded;
use crate::balancer::{Candidate, Evidence};
use crate::endpoint::{self, Endpoint};
use serde_json::{Value, json};
use smallvec::SmallVec;
use std::sync::Arc;

/// How many candidates, and how many excluded endpoints, are told of at most.
pub const TOLD: usize = 32;

/// Who wants to know how a pick was made; `()` does not, and costs nothing.
pub trait Witness: Evidence {
    /// The choice was among these; to be told once more when it is made again.
    fn among(&mut self, eligible: &Arc<Eligible>);
}

impl Witness for () {
    fn among(&mut self, _eligible: &Arc<Eligible>) {}
}

/// The evidence of one pick. It holds on to all who were eligible: what is to last takes its [`Account`].
#[derive(Debug, Default)]
pub struct Decision {
    eligible: Option<Arc<Eligible>>,
    /// The place of a candidate, and its score. Lower is better. As many as are compared at most: no pick allocates for it.
    scores: SmallVec<[(u32, f32); TOLD]>,
    equals: u32,
    draw: Option<(u64, u64)>,
    hash: Option<Hash>,
    pinned: bool,
    tried: SmallVec<[u64; 2]>,
}

/// What is told of a pick. It holds names only, so that it keeps no endpoint alive.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Account {
    /// The candidates: where some were compared these, the best first.
    pub candidates: Vec<Rated>,
    /// How many candidates there were.
    pub count: usize,
    /// The endpoints that were no candidates, each with the reason.
    pub excluded: Vec<(Arc<str>, String)>,
    /// How many there were.
    pub excluded_count: usize,
    /// Whether all endpoints counted as healthy, because too few were.
    pub panic: bool,
    /// What decided, as a sentence without its end.
    pub how: String,
    equals: u32,
    draw: Option<(u64, u64)>,
    hash: Option<Hash>,
    pinned: bool,
}

/// A candidate.
#[derive(Clone, Debug, PartialEq)]
pub struct Rated {
    /// Its URL as logs show it.
    pub label: Arc<str>,
    /// What it was compared by, if it was. Lower is better.
    pub score: Option<f32>,
    /// Its weight.
    pub weight: u32,
}

/// A look-up by hash.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Hash {
    value: u64,
    from_key: bool,
    passed_over: usize,
}

impl Witness for Decision {
    fn among(&mut self, eligible: &Arc<Eligible>) {
        self.scores.clear();
        (self.equals, self.draw, self.hash, self.pinned) = (0, None, None, false);
        if !self.eligible.as_ref().is_some_and(|known| Arc::ptr_eq(known, eligible)) {
            self.eligible = Some(Arc::clone(eligible));
        }
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

    /// What is told of it, of which `chosen` came.
    pub fn account(&self, chosen: Option<&Endpoint>) -> Account {
        let candidates = self.candidates();
        let excluded = self.eligible.iter().flat_map(|eligible| &eligible.excluded);
        let excluded = excluded
            .map(|Excluded { endpoint, why }| (Arc::clone(endpoint.label()), why.to_string()));
        let failed = self.list().iter().filter(|one| self.is_passed_over(&one.endpoint));
        let failed = failed.map(|one| {
            (Arc::clone(one.endpoint.label()), "has failed for this request".to_owned())
        });
        let all: Vec<_> = failed.chain(excluded).collect();
        Account {
            count: self.list().iter().filter(|one| !self.is_passed_over(&one.endpoint)).count(),
            candidates,
            excluded_count: all.len(),
            excluded: all.into_iter().take(TOLD).collect(),
            panic: self.eligible.as_ref().is_some_and(|eligible| eligible.panic),
            how: self.how(chosen),
            equals: self.equals,
            draw: self.draw,
            hash: self.hash,
            pinned: self.pinned,
        }
    }

    /// The candidates that are told of.
    fn candidates(&self) -> Vec<Rated> {
        let list = self.list();
        let rated = |one: &Candidate, score| Rated {
            label: Arc::clone(one.endpoint.label()),
            score,
            weight: one.weight,
        };
        if self.scores.is_empty() {
            let all = list.iter().filter(|one| !self.is_passed_over(&one.endpoint)).take(TOLD);
            return all.map(|one| rated(one, None)).collect();
        }
        let mut compared = self.scores.clone();
        compared.sort_by(|one, other| one.1.total_cmp(&other.1));
        let compared = compared.into_iter().take(TOLD);
        compared
            .filter_map(|(index, score)| Some(rated(list.get(index as usize)?, Some(score))))
            .collect()
    }

    /// Whether a candidate has failed for this request, and there is another that has not.
    fn is_passed_over(&self, endpoint: &Endpoint) -> bool {
        let has_failed = |endpoint: &Endpoint| self.tried.contains(&endpoint.id());
        has_failed(endpoint) && self.list().iter().any(|one| !has_failed(&one.endpoint))
    }

    fn how(&self, chosen: Option<&Endpoint>) -> String {
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

    fn list(&self) -> &[Candidate] {
        self.eligible.as_ref().map_or(&[], |eligible| eligible.candidates.list())
    }
}

impl Account {
    /// All of it, for people and programs, with so many candidates and excluded endpoints at most. `chosen` is the endpoint's
    /// label.
    pub fn tell(&self, chosen: Option<&str>, most: usize) -> Value {
        let candidates = self.candidates.iter().take(most).map(
            |one| json!({ "endpoint": endpoint::name(&one.label), "score": one.score, "weight": one.weight }),
        );
        let excluded = self.excluded.iter().take(most);
        let excluded = excluded
            .map(|(label, reason)| json!({ "endpoint": endpoint::name(label), "reason": reason }));
        let (candidates, excluded): (Vec<_>, Vec<_>) = (candidates.collect(), excluded.collect());
        json!({
            "moreCandidates": self.count.saturating_sub(candidates.len()),
            "candidates": candidates,
            "moreExcluded": self.excluded_count.saturating_sub(excluded.len()),
            "excluded": excluded,
            "chosen": chosen.map(endpoint::name),
            "equals": self.equals,
            "draw": self.draw.map(|(ticket, of)| json!({ "ticket": ticket, "of": of })),
            "hash": self.hash.map(|hash| json!({
                // As text: a program may hold numbers in 53 bits.
                "value": format!("{:016x}", hash.value),
                "fromKey": hash.from_key,
                "passedOver": hash.passed_over,
            })),
            "pinned": self.pinned,
            "panic": self.panic,
            "how": self.how,
        })
    }
}
