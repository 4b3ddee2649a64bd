//! The one time base: monotonic nanoseconds that fit into an atomic.

use std::sync::OnceLock;
use std::time::Duration;
use tokio::time::Instant;

static ORIGIN: OnceLock<Instant> = OnceLock::new();

/// A moment, in nanoseconds since shortly before the first call of [`Nanos::now`] in this process.
///
/// Never 0 for a real moment, so that 0 can stand for "never" in atomics. Follows tokio's clock, which tests pause.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Nanos(pub u64);

impl Nanos {
    /// The present moment.
    pub fn now() -> Self {
        Self::at(Instant::now())
    }

    /// The moment `instant`.
    pub fn at(instant: Instant) -> Self {
        let origin = *ORIGIN.get_or_init(|| instant - Duration::from_secs(1));
        Self(instant.saturating_duration_since(origin).as_nanos() as u64)
    }

    /// The time from `earlier` to this moment; zero if `earlier` is later.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }
}

impl std::ops::Add<Duration> for Nanos {
    type Output = Self;

    fn add(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)))
    }
}
