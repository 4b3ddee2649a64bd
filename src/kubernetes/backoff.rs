//! How long to wait before the API server is asked again.

use std::time::Duration;

const FIRST: Duration = Duration::from_millis(250);

/// Short, because what is waited for are endpoints; long enough for a thousand of us.
const LONGEST: Duration = Duration::from_secs(5);

/// Pauses that double, each shortened by chance by up to a half, so that those who lost the same server do not come back together.
#[derive(Debug)]
pub(super) struct Backoff {
    next: Duration,
    rng: fastrand::Rng,
}

impl Backoff {
    pub(super) fn new() -> Self {
        Self::seeded(fastrand::Rng::new())
    }

    fn seeded(rng: fastrand::Rng) -> Self {
        Self { next: FIRST, rng }
    }

    /// All is well: the next pause is a short one.
    pub(super) fn reset(&mut self) {
        self.next = FIRST;
    }

    pub(super) async fn pause(&mut self) {
        tokio::time::sleep(self.step()).await;
    }

    fn step(&mut self) -> Duration {
        let pause = self.next.mul_f64(1.0 - self.rng.f64() / 2.0);
        self.next = (self.next * 2).min(LONGEST);
        pause
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_to_a_limit_and_begin_anew() {
        let mut backoff = Backoff::seeded(fastrand::Rng::with_seed(7));
        let within = |pause: Duration, whole: Duration| pause > whole / 2 && pause <= whole;
        for whole in [250, 500, 1000, 2000, 4000, 5000, 5000] {
            let pause = backoff.step();
            assert!(within(pause, Duration::from_millis(whole)), "{pause:?} of {whole} ms");
        }
        backoff.reset();
        assert!(within(backoff.step(), FIRST));
    }
}
