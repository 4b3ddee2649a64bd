//! The least `(requests in flight + 1) / weight`: the load that an endpoint would have *with* this request.
//!
//! Without the 1, idle endpoints of any weight would be equal, and at low load shares would be off by 10 to 20 % (B9). With
//! it, a client that sends one request after the other meets the heaviest endpoints only, equal ones equally often.

use super::draw::{Least, compare};
use super::{Candidates, DRAWS, Evidence, FULL_SCAN, Pick, Picked};

pub(super) fn pick(
    candidates: &Candidates,
    pick: &mut Pick<'_>,
    evidence: &mut impl Evidence,
) -> Picked {
    let count = candidates.list().len();
    if count <= FULL_SCAN {
        least(candidates, 0..count, pick.rng, evidence)
    } else {
        let drawn = candidates.tickets().distinct::<DRAWS>(pick.rng);
        least(candidates, drawn, pick.rng, evidence)
    }
}

fn least(
    candidates: &Candidates,
    indices: impl IntoIterator<Item = usize>,
    rng: &mut fastrand::Rng,
    evidence: &mut impl Evidence,
) -> Picked {
    let mut least = Least::default();
    for index in indices {
        let candidate = &candidates.list()[index];
        let (in_flight, weight) = (candidate.endpoint.in_flight(), candidate.weight);
        evidence.score(index, f64::from(in_flight + 1) / f64::from(weight));
        least.offer((index, in_flight, weight), weight, rng, |one, best| {
            compare(one.1 + 1, one.2, best.1 + 1, best.2)
        });
    }
    let (best, equals) = least.take();
    evidence.equals(equals);
    let (index, in_flight, _) = best.expect("the balancer asks only if there are candidates");
    Picked { index, expected: Some(in_flight) }
}
