//! Turns by weight, as evenly spread as can be.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// Whose turn it is, endlessly: at every moment each has had less than one turn more or less than its exact share, and
/// after as many turns as the weights add up to exactly its weight.
///
/// Each turn has a window: that in which an exact share would have given it. Of those whose window is open, the one that
/// closes first is next (Tijdeman, "The chairman assignment problem", 1980; Baruah et al., "Proportionate progress", 1996). A turn
/// costs the logarithm of the number of weights.
#[derive(Debug)]
pub(super) struct Turns<'a> {
    weights: &'a [u64],
    total: u64,
    /// The present turn.
    now: u64,
    /// The turns that each has had.
    had: Vec<u64>,
    /// When the next window of each opens that is not open yet.
    closed: BinaryHeap<Reverse<(u64, usize)>>,
    /// When the open window of each closes.
    open: BinaryHeap<Reverse<(u64, usize)>>,
}

impl<'a> Turns<'a> {
    /// The turns of those with these weights; those with weight 0 get none.
    pub(super) fn new(weights: &'a [u64]) -> Self {
        let mut turns = Self {
            weights,
            total: weights.iter().sum(),
            now: 0,
            had: vec![0; weights.len()],
            closed: BinaryHeap::with_capacity(weights.len()),
            open: BinaryHeap::new(),
        };
        let weighted = (0..weights.len()).filter(|index| weights[*index] > 0);
        turns.open = weighted.map(|index| Reverse((turns.closes(index), index))).collect();
        turns
    }

    fn opens(&self, index: usize) -> u64 {
        self.had[index] * self.total / self.weights[index]
    }

    fn closes(&self, index: usize) -> u64 {
        ((self.had[index] + 1) * self.total).div_ceil(self.weights[index])
    }
}

impl Iterator for Turns<'_> {
    type Item = usize;

    /// `None` only when there is no weight at all: as the exact shares add up to one turn per turn, some window is always
    /// open.
    fn next(&mut self) -> Option<usize> {
        while let Some(Reverse((opens, index))) = self.closed.peek().copied() {
            if opens > self.now {
                break;
            }
            self.closed.pop();
            self.open.push(Reverse((self.closes(index), index)));
        }
        let Reverse((_, index)) = self.open.pop()?;
        self.now += 1;
        self.had[index] += 1;
        self.closed.push(Reverse((self.opens(index), index)));
        Some(index)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(128) })]

        #[test]
        fn everyone_is_within_one_turn_of_its_share_all_the_time(
            weights in prop::collection::vec(0u64..=1000, 1..40),
        ) {
            let total: u64 = weights.iter().sum();
            prop_assume!(total > 0);
            let mut had = vec![0; weights.len()];
            for (turns, index) in (1..=2 * total).zip(Turns::new(&weights)) {
                had[index] += 1;
                for (had, weight) in had.iter().zip(&weights) {
                    prop_assert!((had * total).abs_diff(turns * weight) < total);
                }
            }
            let twice: Vec<_> = weights.iter().map(|weight| 2 * weight).collect();
            prop_assert_eq!(had, twice);
        }
    }

    /// Where nginx's algorithm says a a b a c a a, this one says the same as smoothly, in another order.
    #[test]
    fn turns_of_the_heavy_are_not_in_one_row() {
        let turns = |weights: &[u64], count| Turns::new(weights).take(count).collect::<Vec<_>>();
        assert_eq!(turns(&[5, 1, 1], 7), [0, 0, 0, 1, 0, 0, 2]);
        assert_eq!(turns(&[1, 2], 3), [1, 0, 1]);
        assert!(turns(&[0, 0], 3).is_empty());
    }
}
