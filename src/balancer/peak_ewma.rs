//! The better of two distinct draws by `peak latency × (requests in flight + 1) / weight`.
//!
//! Finagle's "P2C + Peak EWMA", also linkerd's: the average jumps up to a slower sample at once and comes down with a time
//! constant of 10 s, so that an endpoint that begins to stall is left alone before its average knows. Two things differ:
//! an endpoint without recent samples drifts to the median of its peers and not to 0, which would flood it, and draws
//! are by weight, for the reason told at [`PowerOfTwoChoices`](super::power_of_two_choices).

use super::candidates::Asked;
use super::draw::lesser_of_two;
use super::{Candidates, Evidence, Pick, Picked};

pub(super) fn pick(
    candidates: &Candidates,
    pick: &mut Pick<'_>,
    evidence: &mut impl Evidence,
) -> Picked {
    let asked = Asked { now: pick.now, median: candidates.median(pick.now) };
    let look = |index: usize| {
        let in_flight = candidates.list()[index].endpoint.in_flight();
        let score = candidates.expected_time(index, in_flight, asked);
        evidence.score(index, f64::from(score));
        (index, in_flight, score)
    };
    let ((index, in_flight, _), equals) =
        lesser_of_two(candidates.tickets(), pick.rng, look, |one, two| one.2.total_cmp(&two.2));
    evidence.equals(equals);
    Picked { index, expected: Some(in_flight) }
}
