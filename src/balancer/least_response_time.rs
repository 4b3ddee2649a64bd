//! The least expected time: `latency × (requests in flight + 1) / weight`, where nearly equal is equal. Weights are those relative to
//! the mean weight, so that the score is a time.
//!
//! A measured latency is noise as much as truth. Were the very least to win, of equal endpoints the one with the luckiest
//! past would get everything until its load shows, and then the next: a herd. So all scores within a band of the best
//! are equal, and among those the requests in flight decide, for their weight, then chance by weight. Here the requests in
//! flight are compared without the one to come: the band has already said that the endpoints are as good with it, and
//! idle ones of different weights then share by weight.
//!
//! The latency is [`estimate`](crate::endpoint::ResponseTime::estimate), which takes care of endpoints of which little or
//! nothing recent is known.

use super::candidates::Asked;
use super::draw::{Least, compare};
use super::{Candidates, DRAWS, Evidence, FULL_SCAN, Pick, Picked};

/// The band relative to the best score.
const BAND: f32 = 0.25;

/// The band at least, in nanoseconds: what a scheduler or a garbage collector may add to any quick answer.
const LEAST_BAND: f32 = 500_000.0;

/// What was seen of one candidate; loads change while we look, and the comparison must be of one moment.
#[derive(Clone, Copy, Debug, Default)]
struct Seen {
    score: f32,
    in_flight: u32,
}

pub(super) fn pick(
    candidates: &Candidates,
    pick: &mut Pick<'_>,
    evidence: &mut impl Evidence,
) -> Picked {
    let count = candidates.list().len();
    if count <= FULL_SCAN {
        least(candidates, 0..count, pick, evidence)
    } else {
        let drawn = candidates.tickets().distinct::<DRAWS>(pick.rng);
        least(candidates, drawn, pick, evidence)
    }
}

fn least(
    candidates: &Candidates,
    indices: impl IntoIterator<Item = usize> + Clone,
    pick: &mut Pick<'_>,
    evidence: &mut impl Evidence,
) -> Picked {
    let asked = Asked { now: pick.now, median: candidates.median(pick.now) };
    let mut seen = [Seen::default(); FULL_SCAN];
    let mut best = f32::INFINITY;
    for (seen, index) in seen.iter_mut().zip(indices.clone()) {
        let in_flight = candidates.list()[index].endpoint.in_flight();
        let score = candidates.expected_time(index, in_flight, asked);
        evidence.score(index, f64::from(score));
        *seen = Seen { score, in_flight };
        best = best.min(score);
    }
    let limit = best + (best * BAND).max(LEAST_BAND);
    let mut least = Least::default();
    for (seen, index) in seen.iter().zip(indices) {
        if seen.score <= limit {
            let weight = candidates.list()[index].weight;
            least.offer((index, seen.in_flight, weight), weight, pick.rng, |one, best| {
                compare(one.1, one.2, best.1, best.2)
            });
        }
    }
    let (least, equals) = least.take();
    evidence.equals(equals);
    let (index, in_flight, _) = least.expect("the best score is within its own band");
    Picked { index, expected: Some(in_flight) }
}
