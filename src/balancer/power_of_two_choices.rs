//! The better of two distinct draws by `(requests in flight + 1) / weight`.
//!
//! Mitzenmacher, "The Power of Two Choices in Randomized Load Balancing" (1996): nearly as even as looking at all, at the
//! price of two looks. The two are always different: two draws of the same endpoint would be one choice (B5).
//!
//! Draws are by weight, too. Were they uniform, an endpoint among n could never get more than 2/n of the requests, whatever
//! its weight; drawn by weight it is seen as often as it deserves, and the score keeps its load in proportion.

use super::draw::{compare, lesser_of_two};
use super::{Candidates, Evidence, Pick, Picked};

pub(super) fn pick(
    candidates: &Candidates,
    pick: &mut Pick<'_>,
    evidence: &mut impl Evidence,
) -> Picked {
    let look = |index: usize| {
        let candidate = &candidates.list()[index];
        let (in_flight, weight) = (candidate.endpoint.in_flight(), candidate.weight);
        evidence.score(index, f64::from(in_flight + 1) / f64::from(weight));
        (index, in_flight, weight)
    };
    let ((index, in_flight, _), equals) =
        lesser_of_two(candidates.tickets(), pick.rng, look, |one, two| {
            compare(one.1 + 1, one.2, two.1 + 1, two.2)
        });
    evidence.equals(equals);
    Picked { index, expected: Some(in_flight) }
}
