//! Waiting for conditions instead of sleeping.

use std::time::Duration;
use tokio::time::{Instant, sleep, timeout};

/// How long anything may take before the test that waits for it fails: far more than it takes on a slow machine.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// How often a condition is looked at that nobody tells us of.
const LOOK_EVERY: Duration = Duration::from_millis(2);

/// Looks again and again until `look` finds something, and returns that.
///
/// # Panics
/// Nothing was found in [`PATIENCE`].
pub async fn eventually<T>(what: &str, mut look: impl AsyncFnMut() -> Option<T>) -> T {
    let start = Instant::now();
    loop {
        if let Some(found) = in_time(what, look()).await {
            return found;
        }
        assert!(start.elapsed() < PATIENCE, "waited {PATIENCE:?} for {what}");
        sleep(LOOK_EVERY).await;
    }
}

/// What `future` gives.
///
/// # Panics
/// It took longer than [`PATIENCE`].
pub async fn in_time<T>(what: &str, future: impl Future<Output = T>) -> T {
    match timeout(PATIENCE, future).await {
        Ok(output) => output,
        Err(_) => panic!("waited {PATIENCE:?} for {what}"),
    }
}
