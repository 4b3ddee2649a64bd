//! Decides when what was read counts: a pure state machine, so that time can be played in tests.

use std::time::Duration;
use tokio::time::Instant;

/// What one look at a file found, for comparison.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Print {
    /// The SHA-256 of the content.
    Content([u8; 32]),
    Missing,
    Unreadable,
}

/// What follows from one look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// As it was.
    Nothing,
    /// Different, but perhaps half written: look again at that time.
    LookAgain(Instant),
    /// Content that differs from the last good one.
    Changed,
    /// The last good content, which somebody asked for or which had been missing.
    Unchanged,
    /// No content any more.
    Failed,
}

/// What is known of one file.
#[derive(Debug)]
pub(super) struct Settle {
    /// Two equal reads this far apart count.
    quiet: Duration,
    /// Writes without end count after this time.
    limit: Duration,
    /// `None` before the first look.
    accepted: Option<Print>,
    good: Option<[u8; 32]>,
    pending: Option<Pending>,
    forced: bool,
}

#[derive(Clone, Copy, Debug)]
struct Pending {
    print: Print,
    /// When `print` was seen first.
    since: Instant,
    /// When the first unsettled read was.
    begun: Instant,
}

impl Settle {
    pub(super) fn new(good: [u8; 32], quiet: Duration, limit: Duration) -> Self {
        Self {
            accepted: Some(Print::Content(good)),
            good: Some(good),
            ..Self::unseen(quiet, limit)
        }
    }

    /// Of a file that nobody has looked at yet: what is found first counts at once.
    pub(super) fn unseen(quiet: Duration, limit: Duration) -> Self {
        Self { quiet, limit, accepted: None, good: None, pending: None, forced: false }
    }

    /// The next settled look is reported even if nothing changed.
    pub(super) fn force(&mut self) {
        self.forced = true;
    }

    /// Takes in what was found at `now`; `at_once` if it cannot be half written.
    pub(super) fn judge(&mut self, print: Print, at_once: bool, now: Instant) -> Verdict {
        if Some(print) == self.accepted {
            self.pending = None;
            let forced = std::mem::take(&mut self.forced);
            return if forced { self.accept(print) } else { Verdict::Nothing };
        }
        let begun = self.pending.map_or(now, |pending| pending.begun);
        let since = match self.pending {
            Some(pending) if pending.print == print => pending.since,
            _ => now,
        };
        let due = (since + self.quiet).min(begun + self.limit);
        if at_once || self.accepted.is_none() || now >= due {
            return self.accept(print);
        }
        self.pending = Some(Pending { print, since, begun });
        Verdict::LookAgain(due)
    }

    fn accept(&mut self, print: Print) -> Verdict {
        self.pending = None;
        self.forced = false;
        self.accepted = Some(print);
        match print {
            Print::Content(hash) if Some(hash) == self.good => Verdict::Unchanged,
            Print::Content(hash) => {
                self.good = Some(hash);
                Verdict::Changed
            }
            Print::Missing | Print::Unreadable => Verdict::Failed,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: Print = Print::Content([1; 32]);
    const B: Print = Print::Content([2; 32]);
    const C: Print = Print::Content([3; 32]);

    struct Played {
        settle: Settle,
        start: Instant,
    }

    impl Played {
        /// Has accepted A; 50 ms of quiet, 1 s at most.
        fn new() -> Self {
            let settle =
                Settle::new([1; 32], Duration::from_millis(50), Duration::from_millis(1000));
            Self { settle, start: Instant::now() }
        }

        fn at(&mut self, ms: u64, print: Print) -> Verdict {
            let now = self.start + Duration::from_millis(ms);
            self.settle.judge(print, false, now)
        }

        fn look_again(&self, ms: u64) -> Verdict {
            Verdict::LookAgain(self.start + Duration::from_millis(ms))
        }
    }

    #[test]
    fn a_half_written_file_does_not_count() {
        let mut file = Played::new();
        assert_eq!(file.at(0, B), file.look_again(50));
        assert_eq!(file.at(30, C), file.look_again(80));
        assert_eq!(file.at(60, C), file.look_again(80));
        assert_eq!(file.at(80, C), Verdict::Changed);
        assert_eq!(file.at(90, C), Verdict::Nothing);
    }

    #[test]
    fn writes_without_end_count_after_the_limit() {
        let mut file = Played::new();
        for step in 0..25 {
            let print = if step % 2 == 0 { B } else { C };
            assert!(matches!(file.at(step * 40, print), Verdict::LookAgain(_)), "step {step}");
        }
        assert_eq!(file.at(1000, C), Verdict::Changed);
    }

    #[test]
    fn what_was_swapped_in_counts_at_once() {
        let mut file = Played::new();
        let now = file.start;
        assert_eq!(file.settle.judge(B, true, now), Verdict::Changed);
    }

    #[test]
    fn a_file_that_is_back_before_long_was_never_missing() {
        let mut file = Played::new();
        assert_eq!(file.at(0, Print::Missing), file.look_again(50));
        assert_eq!(file.at(20, A), Verdict::Nothing);
        assert_eq!(file.at(100, Print::Missing), file.look_again(150));
    }

    #[test]
    fn a_missing_file_is_reported_once_and_so_is_its_return() {
        let mut file = Played::new();
        file.at(0, Print::Missing);
        assert_eq!(file.at(50, Print::Missing), Verdict::Failed);
        assert_eq!(file.at(2050, Print::Missing), Verdict::Nothing);
        assert_eq!(file.at(3000, A), file.look_again(3050));
        assert_eq!(file.at(3050, A), Verdict::Unchanged);
    }

    #[test]
    fn what_is_found_first_counts_at_once_and_what_follows_must_settle() {
        let (quiet, limit) = (Duration::from_millis(50), Duration::from_millis(1000));
        let unseen = || Played { settle: Settle::unseen(quiet, limit), start: Instant::now() };
        let mut file = unseen();
        assert_eq!(file.at(0, A), Verdict::Changed);
        assert_eq!(file.at(10, A), Verdict::Nothing);
        assert_eq!(file.at(20, B), file.look_again(70));
        let mut file = unseen();
        assert_eq!(file.at(0, Print::Missing), Verdict::Failed);
        assert_eq!(file.at(10, A), file.look_again(60));
        assert_eq!(file.at(60, A), Verdict::Changed);
    }

    #[test]
    fn a_forced_look_is_answered_exactly_once() {
        let mut file = Played::new();
        file.settle.force();
        assert_eq!(file.at(0, A), Verdict::Unchanged);
        assert_eq!(file.at(10, A), Verdict::Nothing);
        file.settle.force();
        assert_eq!(file.at(20, B), file.look_again(70));
        assert_eq!(file.at(70, B), Verdict::Changed);
        assert_eq!(file.at(80, B), Verdict::Nothing);
        file.at(90, Print::Missing);
        assert_eq!(file.at(140, Print::Missing), Verdict::Failed);
        file.settle.force();
        assert_eq!(file.at(150, Print::Missing), Verdict::Failed);
    }
}
