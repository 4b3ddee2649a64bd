//! Maglev's table (Eisenbud et al., "Maglev: A fast and reliable software network load balancer", 2016, section 3.4).
//!
//! Every endpoint has a permutation of all places, made of its identity; they take turns, and each turn takes the first place
//! of the endpoint's permutation that is free. Shares are exact to a place or two. When an endpoint is removed from the
//! configuration, its places go to the others and few more change hands: of 3 to 600 endpoints, under 1 % of the keys of the
//! others move.
//!
//! Weights are respected by giving turns by weight.

use super::Owner;
use crate::balancer::hash::random_number;
use crate::balancer::turns::Turns;

/// The paper's two sizes; primes, so that every step leads through all places.
///
/// Which one depends on the number of endpoints alone: on a change of size nearly every key moves, and the weight of a canary is
/// changed more often than the 656th endpoint is added.
const SIZES: [usize; 2] = [65_537, 655_373];

/// The paper: a table with a hundred places per endpoint is even to 1 %.
const PLACES_PER_ENDPOINT: usize = 100;

const NOBODY: u32 = u32::MAX;

/// Who owns each place; nothing without owners. Everybody owns one, as long as there are more places
/// than twice the endpoints.
pub(super) fn places(owners: &[Owner]) -> Box<[u32]> {
    let [size, larger] = SIZES;
    let size = if owners.len() * PLACES_PER_ENDPOINT <= size { size } else { larger };
    let mut permutations: Vec<_> =
        owners.iter().map(|owner| Permutation::new(owner.identity, size)).collect();
    let whole: u64 = owners.iter().map(|owner| u64::from(owner.weight)).sum();
    // A share of less than a place is a place.
    let least = 2 * whole / size as u64;
    let weights: Vec<_> = owners.iter().map(|owner| u64::from(owner.weight).max(least)).collect();
    let mut places = vec![NOBODY; if owners.is_empty() { 0 } else { size }];
    for turn in Turns::new(&weights).take(size) {
        let permutation = &mut permutations[turn];
        while places[permutation.place] != NOBODY {
            permutation.advance(size);
        }
        places[permutation.place] = owners[turn].index;
    }
    places.into()
}

/// The place of `hash` among `count`, and the step by which its key goes on.
///
/// Each key has a step of its own. Neighbouring places are not independent of each other: with one step for all, the keys
/// of an endpoint that is gone would fall upon some endpoints much more than upon others.
pub(super) fn walk(hash: u64, count: usize) -> (usize, usize) {
    let step = below(count.saturating_sub(1), random_number(hash, 0)) + 1;
    (below(count, hash), step)
}

/// A number less than `limit`, each for as many values of `hash`: a multiplication in the place of a division (Lemire, "Fast
/// random integer generation in an interval", 2019).
fn below(limit: usize, hash: u64) -> usize {
    ((u128::from(hash) * limit as u128) >> 64) as usize
}

/// An endpoint's permutation of the places, at one of them.
#[derive(Clone, Copy, Debug)]
struct Permutation {
    place: usize,
    step: usize,
}

impl Permutation {
    fn new(identity: u64, size: usize) -> Self {
        Self {
            place: below(size, random_number(identity, 0)),
            step: below(size - 1, random_number(identity, 1)) + 1,
        }
    }

    fn advance(&mut self, size: usize) {
        self.place += self.step;
        if self.place >= size {
            self.place -= size;
        }
    }
}
