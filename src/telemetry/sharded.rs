//! Counters that every worker adds to without touching another worker's cache line.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// `N` counters per worker, added up only when somebody reads them.
#[derive(Debug)]
pub struct Sharded<const N: usize> {
    shards: Box<[Shard<N>]>,
}

/// One worker's counters. Two cache lines apart, because CPUs fetch lines in pairs.
#[derive(Debug)]
#[repr(align(128))]
struct Shard<const N: usize>([AtomicU64; N]);

impl<const N: usize> Sharded<N> {
    /// Zeroed counters for `workers` workers.
    pub fn new(workers: usize) -> Self {
        let shard = || Shard(std::array::from_fn(|_| AtomicU64::new(0)));
        Self { shards: (0..workers.max(1)).map(|_| shard()).collect() }
    }

    /// Adds `amount` to counter `index` on behalf of `worker`.
    pub fn add(&self, worker: usize, index: usize, amount: u64) {
        let cell = &self.shards[worker % self.shards.len()].0[index];
        // A worker's shard has one writer, so a load and a store lose nothing and need no locked instruction.
        cell.store(cell.load(Relaxed).wrapping_add(amount), Relaxed);
    }

    /// Takes `amount` off counter `index` on behalf of `worker`, who must have added it.
    pub fn subtract(&self, worker: usize, index: usize, amount: u64) {
        self.add(worker, index, amount.wrapping_neg());
    }

    /// Makes `worker`'s counter `index` say `value`.
    pub fn set(&self, worker: usize, index: usize, value: u64) {
        self.shards[worker % self.shards.len()].0[index].store(value, Relaxed);
    }

    /// What each worker counted.
    pub fn by_worker(&self) -> impl Iterator<Item = [u64; N]> {
        let load = |shard: &Shard<N>| std::array::from_fn(|index| shard.0[index].load(Relaxed));
        self.shards.iter().map(load)
    }

    /// The sums over all workers.
    pub fn totals(&self) -> [u64; N] {
        let mut sums = [0_u64; N];
        for shard in self.by_worker() {
            for (sum, count) in sums.iter_mut().zip(shard) {
                *sum = sum.wrapping_add(count);
            }
        }
        sums
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn totals_add_up_the_workers() {
        let counters = Sharded::<3>::new(2);
        counters.add(0, 1, 5);
        counters.add(1, 1, 7);
        counters.add(1, 2, 1);
        assert_eq!(counters.totals(), [0, 12, 1]);
        counters.subtract(0, 1, 2);
        counters.set(0, 2, 4);
        assert_eq!(counters.totals(), [0, 10, 5]);
        assert_eq!(counters.by_worker().collect::<Vec<_>>(), [[0, 3, 4], [0, 7, 1]]);
    }
}
