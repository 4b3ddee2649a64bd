//! By chance, each with the probability of its weight.

use super::{Candidates, Evidence, Pick, Picked};

pub(super) fn pick(
    candidates: &Candidates,
    pick: &mut Pick<'_>,
    evidence: &mut impl Evidence,
) -> Picked {
    let tickets = candidates.tickets();
    let ticket = pick.rng.u64(0..tickets.total());
    evidence.draw(ticket, tickets.total());
    Picked { index: tickets.holder(ticket), expected: None }
}
