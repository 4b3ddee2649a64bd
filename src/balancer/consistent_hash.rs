//! By the hash of the request's key: the first endpoint on its way through the [places](super::Table) that may have it.
//!
//! A request without a key gets one by chance, which gives every endpoint the share of its weight.

use super::bounded_load::Bound;
use super::candidates::Places;
use super::{Candidates, Evidence, Pick, Picked, random};

/// So many places of eligible endpoints are looked at, one after the other. When none of them may be picked (nearly everybody
/// is at the bound, or an endpoint that was tried owns nearly everything), the list is looked through instead.
const LOOKS: usize = 1024;

pub(super) fn pick(
    candidates: &Candidates,
    places: &Places,
    pick: &mut Pick<'_>,
    evidence: &mut impl Evidence,
) -> Picked {
    let hash = pick.hash.unwrap_or_else(|| pick.rng.u64(..));
    let Some((passed_over, index)) = places.eligible_from(hash).next() else {
        // There are more endpoints than places, and none of the eligible ones owns any.
        return random::pick(candidates, pick, evidence);
    };
    let mut chosen = Chosen { index, passed_over, in_flight: None };
    if !pick.tried.is_empty() || places.bounded_load().is_some() {
        chosen = next_that_may(candidates, places, hash, pick.tried).unwrap_or(chosen);
    }
    evidence.hashed(hash, pick.hash.is_some(), chosen.passed_over);
    Picked { index: chosen.index, expected: chosen.in_flight }
}

#[derive(Clone, Copy, Debug)]
struct Chosen {
    index: usize,
    /// Places before its own.
    passed_over: usize,
    /// What the bound was held against.
    in_flight: Option<u32>,
}

/// The first endpoint that was not tried and is not at its bound; if there is none, a retry would rather go to one at its
/// bound than to one that failed.
fn next_that_may(
    candidates: &Candidates,
    places: &Places,
    hash: u64,
    tried: &[u64],
) -> Option<Chosen> {
    let bound = places.bounded_load().map(|c| Bound::new(candidates, c));
    let look = |(passed_over, index): (usize, usize)| {
        let in_flight = bound.map(|_| candidates.list()[index].endpoint.in_flight());
        Chosen { index, passed_over, in_flight }
    };
    let near = || places.eligible_from(hash).take(LOOKS).map(look);
    let listed = || (0..candidates.list().len()).map(|index| look((LOOKS, index)));
    let first = |may: &dyn Fn(&Chosen) -> bool| {
        near().find(|one| may(one)).or_else(|| listed().find(|one| may(one)))
    };
    let untried = |one: &Chosen| !tried.contains(&candidates.list()[one.index].endpoint.id());
    let allowed = |one: &Chosen| {
        let tickets = candidates.tickets().of(one.index);
        bound.zip(one.in_flight).is_none_or(|(bound, load)| bound.allows(load, tickets))
    };
    first(&|one| untried(one) && allowed(one))
        .or_else(|| first(&untried))
        .or_else(|| first(&allowed))
}
