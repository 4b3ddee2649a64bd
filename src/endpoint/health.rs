//! What health probes make of an endpoint: a state machine without clock or I/O.

use super::history::Standing;
use crate::clock::Nanos;
use crate::model;
use std::sync::Arc;

/// What health probes found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Health {
    /// Not probed yet, or there is no health probe; eligible.
    #[default]
    Unknown,
    /// Passed its probes.
    Healthy,
    /// Failed its probes.
    Unhealthy,
}

impl Health {
    /// The word for logs, status and metrics.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::Healthy => "healthy",
            Self::Unhealthy => "unhealthy",
        }
    }
}

impl From<Health> for Standing {
    fn from(health: Health) -> Self {
        match health {
            Health::Unknown => Self::Unknown,
            Health::Healthy => Self::Healthy,
            Health::Unhealthy => Self::Unhealthy,
        }
    }
}

/// How many probes in a row change an endpoint's health.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Thresholds {
    /// Successes that make an unhealthy endpoint healthy.
    pub healthy_after: u32,
    /// Failures that make a healthy endpoint unhealthy.
    pub unhealthy_after: u32,
}

impl From<&model::HealthProbe> for Thresholds {
    fn from(probe: &model::HealthProbe) -> Self {
        Self { healthy_after: probe.healthy_after, unhealthy_after: probe.unhealthy_after }
    }
}

/// A change of health, for the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transition {
    /// Health until now.
    pub from: Health,
    /// Health from now on.
    pub to: Health,
    /// Probes in a row that agreed on it; 0 when it was no probe.
    pub in_a_row: u32,
    /// Why the last probe failed; `None` when it passed, or was none.
    pub reason: Option<Arc<str>>,
}

/// All that is known of an endpoint's health.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HealthReport {
    /// The health.
    pub health: Health,
    /// Since when; `Nanos(0)` before the first probe.
    pub since: Nanos,
    /// Probes that passed in a row; 0 after a failure.
    pub successes: u32,
    /// Probes that failed in a row; 0 after a success.
    pub failures: u32,
    /// Why the last failed probe failed; kept while the endpoint is unhealthy or probes fail.
    pub reason: Option<Arc<str>>,
}

impl HealthReport {
    /// Takes note of a health probe that ended at `now`: it passed, or failed for a reason.
    pub fn record(
        &mut self,
        now: Nanos,
        outcome: Result<(), &str>,
        thresholds: Thresholds,
    ) -> Option<Transition> {
        let (to, in_a_row, needed) = match outcome {
            Ok(()) => {
                (self.successes, self.failures) = (self.successes.saturating_add(1), 0);
                (Health::Healthy, self.successes, thresholds.healthy_after)
            }
            Err(reason) => {
                (self.successes, self.failures) = (0, self.failures.saturating_add(1));
                self.reason = Some(reason.into());
                (Health::Unhealthy, self.failures, thresholds.unhealthy_after)
            }
        };
        let from = self.health;
        // The first probe alone decides: there is nothing to contradict.
        let changed = from != to && (from == Health::Unknown || in_a_row >= needed);
        if changed {
            (self.health, self.since) = (to, now);
        }
        if outcome.is_ok() && self.health == Health::Healthy {
            self.reason = None;
        }
        changed.then(|| Transition {
            from,
            to,
            in_a_row,
            reason: self.reason.clone().filter(|_| outcome.is_err()),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const THRESHOLDS: Thresholds = Thresholds { healthy_after: 2, unhealthy_after: 3 };

    fn after(outcomes: &[bool]) -> (HealthReport, Vec<Transition>) {
        let mut report = HealthReport::default();
        let record = |(at, passed): (usize, &bool)| {
            let outcome = if *passed { Ok(()) } else { Err("status 503") };
            report.record(Nanos(1 + at as u64), outcome, THRESHOLDS)
        };
        let transitions = outcomes.iter().enumerate().filter_map(record).collect();
        (report, transitions)
    }

    #[test]
    fn the_first_probe_alone_decides() {
        assert_eq!(after(&[]).0.health, Health::Unknown);
        assert_eq!(after(&[true]).0.health, Health::Healthy);
        let (report, transitions) = after(&[false]);
        assert_eq!((report.health, report.since), (Health::Unhealthy, Nanos(1)));
        assert_eq!(report.reason.as_deref(), Some("status 503"));
        assert_eq!(transitions[0].from, Health::Unknown);
        assert_eq!(transitions[0].reason.as_deref(), Some("status 503"));
    }

    /// H2: one failed probe removes nobody, and neither do failures with successes between them.
    #[test]
    fn fewer_failures_in_a_row_than_asked_for_change_nothing() {
        let (report, transitions) = after(&[true, false, false, true, false, false, true]);
        assert_eq!((report.health, report.since), (Health::Healthy, Nanos(1)));
        assert_eq!(transitions.len(), 1);
        assert_eq!(report.reason, None);
        let (report, _) = after(&[true, false, false]);
        assert_eq!((report.failures, report.reason.as_deref()), (2, Some("status 503")));
    }

    #[test]
    fn enough_failures_in_a_row_make_it_unhealthy_and_enough_successes_healthy_again() {
        let (report, transitions) = after(&[true, false, false, false]);
        assert_eq!((report.health, report.since), (Health::Unhealthy, Nanos(4)));
        assert_eq!((transitions[1].in_a_row, transitions.len()), (3, 2));
        let (report, _) = after(&[true, false, false, false, true]);
        assert_eq!(report.health, Health::Unhealthy);
        assert!(report.reason.is_some(), "still unhealthy, so it still says why");
        let (report, transitions) = after(&[true, false, false, false, true, false, true, true]);
        assert_eq!((report.health, report.since), (Health::Healthy, Nanos(8)));
        assert_eq!(transitions.last().unwrap().reason, None);
    }

    #[test]
    fn a_transition_is_told_once() {
        assert_eq!(after(&[false; 20]).1.len(), 1);
        assert_eq!(after(&[true; 20]).1.len(), 1);
    }
}
