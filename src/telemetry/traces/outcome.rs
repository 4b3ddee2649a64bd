//! What a collector made of an export.

use std::time::Duration;

/// What a collector made of an export.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// It took the spans, but for those it found fault with, and says what the fault is.
    Taken {
        /// How many it did not take.
        rejected: usize,
        /// Why, in its words.
        because: String,
    },
    /// It may take them later: after this time, if it says so.
    Later {
        /// How long it asks us to wait.
        after: Option<Duration>,
        /// What happened.
        because: String,
    },
    /// It will not take them.
    Refused {
        /// Why not.
        because: String,
    },
}
