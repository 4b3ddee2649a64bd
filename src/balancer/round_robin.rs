//! Round robin, smoothly by weight: nginx's algorithm, laid out once as a sequence.

use super::draw::Tickets;
use super::{Candidates, Evidence, Picked};

/// The longest sequence. Shares are exact as long as the reduced weights add up to no more; above, weights are scaled down
/// to fit, which is off by less than one in a thousand picks.
const LONGEST: u64 = 8192;

/// Who is next at each position of a cycle.
///
/// The position belongs to the balancer, counts all picks of all workers and is never reset, so that a change of
/// candidates goes on in the middle of the new cycle instead of with the first endpoint (R3).
#[derive(Debug)]
pub(super) enum Turns {
    /// All weights are equal: in the order of the list.
    InOrder,
    /// By index, one for each ticket.
    Sequence(Box<[u32]>),
}

impl Turns {
    pub(super) fn new(tickets: &Tickets) -> Self {
        if tickets.equal() {
            return Self::InOrder;
        }
        let weights: Vec<u64> = (0..tickets.holders()).map(|index| tickets.of(index)).collect();
        Self::Sequence(smooth(scaled(weights, tickets.total())))
    }
}

/// `weights` that add up to about [`LONGEST`] if they added up to more; none becomes 0.
fn scaled(mut weights: Vec<u64>, total: u64) -> Vec<u64> {
    if total > LONGEST {
        for weight in &mut weights {
            *weight = ((*weight * LONGEST + total / 2) / total).max(1);
        }
    }
    weights
}

/// nginx's smooth weighted round robin ("Upstream: smooth weighted round-robin balancing", 2012): everybody's credit grows by his weight, who has
/// most is next and pays the total. In each cycle everyone has exactly his weight in turns, spread evenly: weights 5, 1, 1
/// give a a b a c a a.
fn smooth(weights: Vec<u64>) -> Box<[u32]> {
    let total: u64 = weights.iter().sum();
    let mut credits = vec![0i64; weights.len()];
    let turn = |_| {
        let mut next = 0;
        for (index, weight) in weights.iter().enumerate() {
            credits[index] += *weight as i64;
            if credits[index] > credits[next] {
                next = index;
            }
        }
        credits[next] -= total as i64;
        next as u32
    };
    (0..total).map(turn).collect()
}

pub(super) fn pick(candidates: &Candidates, position: u64, evidence: &mut impl Evidence) -> Picked {
    let index = match candidates.turns() {
        Turns::InOrder => {
            let count = candidates.list().len() as u64;
            evidence.draw(position % count, count);
            (position % count) as usize
        }
        Turns::Sequence(sequence) => {
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
    fn the_sequence_is_that_of_nginx() {
        assert_eq!(*smooth(vec![5, 1, 1]), [0, 0, 1, 0, 2, 0, 0]);
        assert_eq!(*smooth(vec![1, 2]), [1, 0, 1]);
    }

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
}
