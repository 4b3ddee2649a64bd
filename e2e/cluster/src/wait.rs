//! Waiting for a condition.

use std::time::Duration;
use tokio::time::{Instant, sleep};

/// No test waits longer for anything: kubelets that look at a pod once a minute take 80 s to bring an edit.
pub const PATIENCE: Duration = Duration::from_secs(150);

/// Between two looks: short, since how long things take is told.
const BETWEEN_LOOKS: Duration = Duration::from_millis(20);

/// Looks until there is something, and gives it.
///
/// # Panics
/// There is nothing for [`PATIENCE`]; says what was last seen instead.
pub async fn eventually<T>(what: &str, mut look: impl AsyncFnMut() -> Result<T, String>) -> T {
    let begun = Instant::now();
    loop {
        match look().await {
            Ok(found) => return found,
            Err(seen) if begun.elapsed() > PATIENCE => {
                panic!("gave up after {PATIENCE:?} waiting for {what}; last seen: {seen}")
            }
            Err(_) => sleep(BETWEEN_LOOKS).await,
        }
    }
}
