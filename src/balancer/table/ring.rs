//! Points on a ring (Karger et al., "Consistent hashing and random trees", 1997), as many per weight as libketama and nginx have.
//!
//! An endpoint's points are made of its identity alone. When it is removed from the configuration, exactly its keys move, as long
//! as that does not change how many points a weight has ([`MOST`]). Its share is left to the chance of its points: with
//! weight 1 one standard deviation is 8 %, with weight 10 it is 2.5 %.

use super::Owner;
use crate::balancer::hash::random_number;

/// Points of an endpoint with weight 1.
const POINTS: u64 = 160;

/// The most points, as long as each endpoint has one: 3 MiB. When the weights ask for more, everybody has half as many, or a
/// quarter and so on. Halves, because the points that remain are then the same, and because the number seldom changes.
const MOST: u64 = 1 << 18;

/// The points in ascending order, and who owns the arc that ends at each.
pub(super) fn places(owners: &[Owner]) -> (Box<[u64]>, Box<[u32]>) {
    let wanted = POINTS * owners.iter().map(|owner| u64::from(owner.weight)).sum::<u64>();
    let halvings = wanted.div_ceil(MOST).max(1).next_power_of_two().trailing_zeros();
    let points = |owner: &Owner| {
        let Owner { identity, weight, index } = *owner;
        let count = ((POINTS * u64::from(weight)) >> halvings).max(1);
        (0..count).map(move |number| (random_number(identity, number), identity, index))
    };
    let mut ring: Vec<_> = owners.iter().flat_map(points).collect();
    // Should two points be equal, the order of the configuration must not decide.
    ring.sort_unstable();
    let points = ring.iter().map(|(point, ..)| *point).collect();
    (points, ring.iter().map(|(.., index)| *index).collect())
}

/// The place of `hash`; past the last point the ring closes.
pub(super) fn place(points: &[u64], hash: u64) -> usize {
    let place = points.partition_point(|point| *point < hash);
    if place == points.len() { 0 } else { place }
}
