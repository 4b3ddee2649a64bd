//! The last reloads: what each changed, in the words of the log, or why it was refused.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

/// How many reloads are kept.
pub const KEPT: usize = 50;

/// One look at the configuration, and what came of it.
#[derive(Clone, Debug, PartialEq)]
pub struct Reload {
    /// When it was over.
    pub at: SystemTime,
    /// What came of it.
    pub outcome: Outcome,
    /// The generation that runs after it.
    pub generation: u64,
    /// SHA-256 of the source that was looked at; `None` when it could not be read.
    pub hash: Option<String>,
    /// Why there was a look.
    pub cause: Cause,
    /// What changed, a phrase each; empty unless it was accepted.
    pub changes: Vec<String>,
    /// How many connections were told to close.
    pub connections_closed: usize,
    /// How many requests were in flight on endpoints that stayed.
    pub requests_kept: u32,
    /// From the first look to its end.
    pub duration: Duration,
    /// Why it was refused: a JSON array with an object per error.
    pub errors: serde_json::Value,
    /// How many errors there are besides those.
    pub more: usize,
}

/// What came of a look at the configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It runs.
    Accepted,
    /// It does not run, and what ran before does.
    Refused,
    /// It says what runs already.
    Unchanged,
}

impl Outcome {
    /// All, in the order of their numbers.
    pub const ALL: [Self; 3] = [Self::Accepted, Self::Refused, Self::Unchanged];

    /// Its name, in metrics and for programs.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Accepted => "accepted",
            Self::Refused => "refused",
            Self::Unchanged => "unchanged",
        }
    }
}

/// Why the configuration is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// The process starts.
    Start,
    /// Its file changed.
    File,
    /// A file that it names changed: a certificate, a key, a CA, a revocation list.
    Certificates,
    /// Somebody asked, by SIGHUP.
    Signal,
}

/// The last reloads of this process, its start included.
#[derive(Debug, Default)]
pub struct History(Mutex<VecDeque<Arc<Reload>>>);

impl History {
    /// Keeps `reload` as the latest.
    pub fn note(&self, reload: Reload) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() == KEPT {
            kept.pop_front();
        }
        kept.push_back(Arc::new(reload));
    }

    /// The reloads that are kept, the latest first.
    pub fn list(&self) -> Vec<Arc<Reload>> {
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.iter().rev().map(Arc::clone).collect()
    }
}

impl Reload {
    /// One that ends now, with nothing to tell yet.
    pub fn new(outcome: Outcome, cause: Cause, generation: u64, hash: Option<String>) -> Self {
        Self {
            at: SystemTime::now(),
            outcome,
            generation,
            hash,
            cause,
            changes: Vec::new(),
            connections_closed: 0,
            requests_kept: 0,
            duration: Duration::ZERO,
            errors: serde_json::Value::Array(Vec::new()),
            more: 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_latest_reloads_are_kept_and_come_first() {
        let history = History::default();
        for generation in 1..=KEPT as u64 + 2 {
            history.note(Reload::new(Outcome::Accepted, Cause::File, generation, None));
        }
        let generations: Vec<_> = history.list().iter().map(|reload| reload.generation).collect();
        assert_eq!(generations, (3..=52).rev().collect::<Vec<_>>());
    }
}
