//! Slow start: the part of its weight that an endpoint has while it warms up.

use crate::clock::Nanos;
use crate::model::SlowStart;

/// The part that is the whole. Weights are multiplied by parts, so that they stay whole numbers.
pub(super) const WHOLE: u32 = 1000;

/// A window has so many steps: each costs the backend a preparation of its candidates.
const STEPS: u32 = 20;

/// The part, of [`WHOLE`], that an endpoint has at `now` which began slowly at `since`, and when it will be another.
///
/// It grows linearly with the time, from the minimum, and in steps that lag behind by a twentieth of the window at most.
pub(super) fn part(slow_start: &SlowStart, since: Nanos, now: Nanos) -> (u32, Option<Nanos>) {
    let minimum = (slow_start.minimum_weight.value() * f64::from(WHOLE)).round() as u32;
    let part_of = |step: u32| (step * (WHOLE / STEPS)).max(minimum).max(1);
    let (elapsed, window) = (now.since(since), slow_start.window);
    if since == Nanos(0) || elapsed >= window {
        return (WHOLE, None);
    }
    let step = (elapsed.as_nanos() * u128::from(STEPS) / window.as_nanos()) as u32;
    let part = part_of(step);
    let next = (step + 1..=STEPS).find(|next| part_of(*next) > part);
    // Rounded up, so that the step has come when its moment has.
    let moment = |next: u32| (window.as_nanos() * u128::from(next)).div_ceil(u128::from(STEPS));
    (part, next.map(|next| Nanos(since.0.saturating_add(moment(next) as u64))))
}
