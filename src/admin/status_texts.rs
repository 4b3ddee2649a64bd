//! `/status` as streams send it: made for all of them together, and not too often.
//!
//! It takes longest of all that the control runtime does, which also probes: it must not be done by each stream for itself.

use super::AdminContext;
use super::api::status::Status;
use super::stream::line;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use tokio::time::Instant;

/// From one text to the next, at least: the shortest interval that a stream may ask for.
pub(super) const DISTANCE: Duration = Duration::from_millis(250);

/// The latest text of one port.
#[derive(Debug, Default)]
pub(super) struct StatusTexts(Mutex<Option<Made>>);

/// A text, and when it was made.
#[derive(Clone, Debug)]
pub(super) struct Made {
    pub(super) at: Instant,
    pub(super) text: bytes::Bytes,
    /// The number of the latest event that it knows.
    event: u64,
}

impl StatusTexts {
    /// A text that is newer than the one that was made at `seen`, and knows `event`. The error says when there may be one, which
    /// is within [`DISTANCE`].
    pub(super) fn newer(
        &self,
        context: &AdminContext,
        seen: Option<Instant>,
        event: u64,
    ) -> Result<Made, Instant> {
        let now = Instant::now();
        let mut latest = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(made) = &*latest
            && now < made.at + DISTANCE
        {
            let is_newer = Some(made.at) > seen && made.event >= event;
            return if is_newer { Ok(made.clone()) } else { Err(made.at + DISTANCE) };
        }
        // Asked first: what happens meanwhile may be in the text or not.
        let event = context.outlets.events.latest();
        let status = line(&Status::of(context));
        let text = format!("event: status\ndata: {status}\n\n").into();
        Ok(latest.insert(Made { at: now, text, event }).clone())
    }
}
