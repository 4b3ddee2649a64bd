//! Drawing by weight, with and without repetition, and the comparison of loads by weight.

use std::cmp::Ordering;

/// Each candidate holds as many tickets as its weight, reduced by the weights' greatest common divisor.
#[derive(Debug)]
pub(super) struct Tickets {
    /// Where each candidate's tickets end; those of the next begin there.
    ends: Box<[u64]>,
}

impl Tickets {
    pub(super) fn new(weights: impl Iterator<Item = u32> + Clone) -> Self {
        let divisor = weights.clone().map(u64::from).fold(0, gcd).max(1);
        let mut end = 0;
        let ends = weights.map(|weight| {
            end += u64::from(weight) / divisor;
            end
        });
        Self { ends: ends.collect() }
    }

    /// The number of candidates.
    pub(super) fn holders(&self) -> usize {
        self.ends.len()
    }

    /// The number of tickets.
    pub(super) fn total(&self) -> u64 {
        self.ends.last().copied().unwrap_or(0)
    }

    /// Whether all hold one ticket.
    pub(super) fn equal(&self) -> bool {
        self.total() == self.ends.len() as u64
    }

    /// How many tickets the candidate at `index` holds.
    pub(super) fn of(&self, index: usize) -> u64 {
        self.ends[index] - self.start(index)
    }

    /// Who holds `ticket`, which must be less than [`Tickets::total`].
    #[inline]
    pub(super) fn holder(&self, ticket: u64) -> usize {
        if self.equal() { ticket as usize } else { self.ends.partition_point(|end| *end <= ticket) }
    }

    fn start(&self, index: usize) -> u64 {
        index.checked_sub(1).map_or(0, |before| self.ends[before])
    }

    /// `N` different candidates, in the order in which they were drawn; there must be as many.
    ///
    /// Each draw is by weight among those not drawn yet. It needs no repetition, however unequal the weights: the ticket
    /// is drawn from the remaining ones and then steps over those of the candidates drawn before.
    #[inline]
    pub(super) fn distinct<const N: usize>(&self, rng: &mut fastrand::Rng) -> [usize; N] {
        let mut drawn = [0; N];
        let mut sorted = [0; N];
        let mut remaining = self.total();
        for (count, drawn) in drawn.iter_mut().enumerate() {
            let mut ticket = rng.u64(0..remaining);
            let mut place = 0;
            while place < count && ticket >= self.start(sorted[place]) {
                ticket += self.of(sorted[place]);
                place += 1;
            }
            let index = self.holder(ticket);
            *drawn = index;
            sorted.copy_within(place..count, place + 1);
            sorted[place] = index;
            remaining -= self.of(index);
        }
        drawn
    }
}

fn gcd(a: u64, b: u64) -> u64 {
    if b == 0 { a } else { gcd(b, a % b) }
}

/// Compares two loads for their weights exactly and without a division.
#[inline]
pub(super) fn compare(load: u32, weight: u32, other: u32, other_weight: u32) -> Ordering {
    let (one, two) = (u64::from(load), u64::from(other));
    (one * u64::from(other_weight)).cmp(&(two * u64::from(weight)))
}

/// The least of what it is shown; of equals each with the probability of its weight.
///
/// One pass: an equal takes the place of the one before with the probability of its weight among the equals until now
/// (reservoir sampling), which needs no list of them.
#[derive(Debug, Default)]
pub(super) struct Least<T> {
    best: Option<T>,
    weights: u64,
    equals: usize,
}

impl<T> Least<T> {
    /// Shows it one; `compare` orders it against the best until now.
    #[inline]
    pub(super) fn offer(
        &mut self,
        item: T,
        weight: u32,
        rng: &mut fastrand::Rng,
        compare: impl FnOnce(&T, &T) -> Ordering,
    ) {
        let weight = u64::from(weight);
        let order = self.best.as_ref().map_or(Ordering::Less, |best| compare(&item, best));
        match order {
            Ordering::Less => {
                *self = Self { best: Some(item), weights: weight, equals: 1 };
            }
            Ordering::Equal => {
                self.weights += weight;
                self.equals += 1;
                if rng.u64(0..self.weights) < weight {
                    self.best = Some(item);
                }
            }
            Ordering::Greater => {}
        }
    }

    /// The least, if it was shown any, and how many were equal to it, itself included.
    pub(super) fn take(self) -> (Option<T>, usize) {
        (self.best, self.equals)
    }
}

/// The lesser of two distinct draws by weight, a fair coin between equals, and how many were the least; the only one
/// there is when there is no second.
#[inline]
pub(super) fn lesser_of_two<T>(
    tickets: &Tickets,
    rng: &mut fastrand::Rng,
    mut look: impl FnMut(usize) -> T,
    compare: impl FnOnce(&T, &T) -> Ordering,
) -> (T, usize) {
    if tickets.holders() == 1 {
        return (look(0), 1);
    }
    let [first, second] = tickets.distinct::<2>(rng).map(&mut look);
    match compare(&first, &second) {
        Ordering::Less => (first, 1),
        Ordering::Greater => (second, 1),
        Ordering::Equal => (if rng.bool() { first } else { second }, 2),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weights_are_reduced_and_every_ticket_has_its_holder() {
        let tickets = Tickets::new([20, 10, 30].into_iter());
        assert_eq!(tickets.total(), 6);
        let holders: Vec<_> = (0..6).map(|ticket| tickets.holder(ticket)).collect();
        assert_eq!(holders, [0, 0, 1, 2, 2, 2]);
        assert!(Tickets::new([7, 7, 7].into_iter()).equal());
    }

    /// A product of 32-bit numbers does not fit into 32 bits.
    #[test]
    fn great_loads_and_weights_are_compared_exactly() {
        assert_eq!(compare(u32::MAX, u32::MAX - 1, u32::MAX - 1, u32::MAX), Ordering::Greater);
        assert_eq!(compare(2, 4, 1, 2), Ordering::Equal);
        assert_eq!(compare(1, 3, 1, 2), Ordering::Less);
    }
}
