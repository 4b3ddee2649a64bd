//! When the next request is due.

use std::time::{Duration, Instant};

/// When requests are sent.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Pace {
    /// Closed loop: each connection sends as soon as it has its answer. Saturates the proxy.
    Closed,
    /// Open loop: so many requests per second, whatever the answers do. A request that finds no free
    /// connection waits, and its latency counts from when it was due.
    PerSecond(f64),
}

/// Says when the next request is due.
pub(super) struct Schedule {
    pub(super) pace: Pace,
    pub(super) start: Instant,
    pub(super) sent: u64,
    /// No more than so many.
    pub(super) at_most: u64,
}

impl Schedule {
    fn due(&self, rate: f64) -> Instant {
        self.start + Duration::from_secs_f64(self.sent as f64 / rate)
    }

    /// The time at which a request was due that should be sent now, if one should.
    pub(super) fn next(&mut self, now: Instant) -> Option<Instant> {
        let due = match self.pace {
            Pace::Closed => now,
            Pace::PerSecond(rate) => self.due(rate),
        };
        (due <= now && self.sent < self.at_most).then(|| {
            self.sent += 1;
            due
        })
    }

    /// How long nothing is due.
    pub(super) fn pause(&self, now: Instant) -> Duration {
        match self.pace {
            _ if self.sent >= self.at_most => Duration::MAX,
            Pace::Closed => Duration::ZERO,
            Pace::PerSecond(rate) => self.due(rate).saturating_duration_since(now),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn latency_of_an_open_loop_counts_from_when_the_request_was_due() {
        let start = Instant::now();
        let mut schedule =
            Schedule { pace: Pace::PerSecond(100.0), start, sent: 0, at_most: u64::MAX };
        let late = start + Duration::from_millis(25);
        let due: Vec<_> = std::iter::from_fn(|| schedule.next(late)).map(|at| at - start).collect();
        assert_eq!(due, [0, 10, 20].map(Duration::from_millis));
        assert_eq!(schedule.pause(late), Duration::from_millis(5));
    }

    #[test]
    fn no_more_is_sent_than_asked_for() {
        let start = Instant::now();
        let mut schedule = Schedule { pace: Pace::Closed, start, sent: 0, at_most: 2 };
        assert_eq!(std::iter::from_fn(|| schedule.next(start)).count(), 2);
        assert_eq!(schedule.pause(start), Duration::MAX);
    }
}
