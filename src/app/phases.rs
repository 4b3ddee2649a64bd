//! The phases of the process's life, told to those who look on.

use crate::lifecycle::{Lifecycle, Phase};
use crate::telemetry::events::{EventKind, Events, Happened};

/// Tells of each phase when it is reached; ends with the last.
pub(super) async fn tell(lifecycle: Lifecycle, events: &Events) {
    for phase in [Phase::Ready, Phase::Draining, Phase::Closing, Phase::Ended] {
        lifecycle.wait_for(phase).await;
        // One that was passed in the meantime is no news.
        if lifecycle.phase() == phase {
            events.publish(Happened::to_process(EventKind::Lifecycle, words(phase)));
        }
    }
}

const fn words(phase: Phase) -> &'static str {
    match phase {
        Phase::Starting => "starting",
        Phase::Ready => "ready",
        Phase::Draining => "stopping: unready, so that nobody sends new clients here",
        Phase::Closing => "stopping: listeners close, requests in flight are finished",
        Phase::Ended => "ended",
    }
}
