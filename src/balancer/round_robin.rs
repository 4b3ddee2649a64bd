//! Round robin, smoothly by weight: the turns of one cycle, laid out once as a sequence.

use super::draw::Tickets;
use super::turns::Turns;
use super::{Candidates, Evidence, Picked};

/// The longest sequence for up to [`LONGEST`] `/` [`LEAST_TURNS`] endpoints. Shares are exact as long as the reduced weights add up to no more;
/// above, weights are scaled down to fit, which is off by less than one in a thousand picks.
const LONGEST: u64 = 8192;

/// So many turns per endpoint are there at least when there are more endpoints: the sequence then has at most one turn
/// more than this for each, and an endpoint with less than a quarter of the mean weight gets a quarter.
const LEAST_TURNS: u64 = 4;

/// Who is next at each position of a cycle.
///
/// The position belongs to the balancer, counts all picks of all workers and is never reset, so that a change of
/// candidates goes on in the middle of the new cycle instead of with the first endpoint (R3).
#[derive(Debug)]
pub(super) enum Cycle {
    /// All weights are equal: in the order of the list.
    InOrder,
    /// By index, one for each turn.
    Sequence(Box<[u32]>),
}

impl Cycle {
    pub(super) fn new(tickets: &Tickets) -> Self {
        if tickets.equal() {
            return Self::InOrder;
        }
        let weights = (0..tickets.holders()).map(|index| tickets.of(index)).collect();
        let weights = scaled(weights, tickets.total());
        let length: u64 = weights.iter().sum();
        let turns = Turns::new(&weights).take(length as usize);
        Self::Sequence(turns.map(|index| index as u32).collect())
    }
}

/// `weights` that add up to about the longest sequence if they added up to more; none becomes 0.
fn scaled(mut weights: Vec<u64>, total: u64) -> Vec<u64> {
    let longest = LONGEST.max(LEAST_TURNS * weights.len() as u64);
    if total > longest {
        for weight in &mut weights {
            *weight = ((*weight * longest + total / 2) / total).max(1);
        }
    }
    weights
}

pub(super) fn pick(candidates: &Candidates, position: u64, evidence: &mut impl Evidence) -> Picked {
    let index = match candidates.cycle() {
        Cycle::InOrder => {
            let count = candidates.list().len() as u64;
            evidence.draw(position % count, count);
            (position % count) as usize
        }
        Cycle::Sequence(sequence) => {
            let count = sequence.len() as u64;
            evidence.draw(position % count, count);
            sequence[(position % count) as usize] as usize
        }
    };
    Picked { index, expected: None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weights_that_do_not_fit_are_scaled_and_nobody_is_lost() {
        let weights = vec![1000, 999, 1, 998, 997, 991, 983, 977, 971, 967, 953, 947];
        let total: u64 = weights.iter().sum();
        let scaled = scaled(weights.clone(), total);
        let length: u64 = scaled.iter().sum();
        assert!(length.abs_diff(LONGEST) < 12, "{length}");
        for (before, after) in weights.iter().zip(&scaled) {
            let (before, after) = (*before as f64 / total as f64, *after as f64 / length as f64);
            assert!(after > 0.0 && (before - after).abs() < 1e-3, "{before} {after}");
        }
    }

    /// More endpoints than turns: the sequence grows with them, and weights still count.
    #[test]
    fn for_many_endpoints_the_sequence_is_bounded_and_weights_count() {
        let weights = (0..10_000).map(|index| if index < 10 { 1000 } else { 1 + index % 2 });
        let tickets = Tickets::new(weights);
        let Cycle::Sequence(sequence) = Cycle::new(&tickets) else { panic!("weights are unequal") };
        assert!(sequence.len() <= 5 * 10_000, "{}", sequence.len());
        let mut turns = vec![0; 10_000];
        sequence.iter().for_each(|index| turns[*index as usize] += 1);
        assert!(turns.iter().all(|turns| *turns >= 1));
        let heavy: u32 = turns[..10].iter().sum();
        let (due, got) = (1e4 / (1e4 + 14_985.0), f64::from(heavy) / sequence.len() as f64);
        assert!((due - got).abs() < 0.05, "{got} instead of {due}");
    }
}
