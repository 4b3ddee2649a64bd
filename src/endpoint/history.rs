//! The last changes of an endpoint, for people who want to know why it serves or does not.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

/// How many changes are kept.
pub const KEPT: usize = 20;

/// Where an endpoint stood, or stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// Nobody knows its health.
    Unknown,
    /// It passed its probes.
    Healthy,
    /// It failed its probes.
    Unhealthy,
    /// It gets no requests for a while, because a connect failed.
    PassedOver,
    /// It is not passed over.
    Serving,
}

impl Standing {
    /// The word for people.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::Healthy => "healthy",
            Self::Unhealthy => "unhealthy",
            Self::PassedOver => "passed over",
            Self::Serving => "serving",
        }
    }
}

/// A change of health, or the begin or end of a pass-over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// When it came.
    pub at: SystemTime,
    /// How it was until then.
    pub from: Standing,
    /// How it is from then on.
    pub to: Standing,
    /// Why, in the operator's words, where there is more to say.
    pub reason: Option<Arc<str>>,
}

/// The last changes. Nothing that a request does without a change touches it.
#[derive(Debug, Default)]
pub(super) struct History(Mutex<VecDeque<Change>>);

impl History {
    pub(super) fn note(&self, change: Change) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() == KEPT {
            kept.pop_front();
        }
        kept.push_back(change);
    }

    /// The changes, the latest last.
    pub(super) fn list(&self) -> Vec<Change> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).iter().cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_latest_changes_are_kept_and_the_oldest_go() {
        let history = History::default();
        for number in 1..=KEPT + 3 {
            let reason = Some(number.to_string().into());
            let (from, to) = (Standing::Healthy, Standing::Unhealthy);
            history.note(Change { at: SystemTime::now(), from, to, reason });
        }
        let kept: Vec<_> = history.list().into_iter().filter_map(|change| change.reason).collect();
        assert_eq!((kept.len(), &*kept[0], &*kept[KEPT - 1]), (KEPT, "4", "23"));
    }
}
