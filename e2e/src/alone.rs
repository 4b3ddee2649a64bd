//! Tests that load the machine take turns, so that each finds it as its figures assume.

use tokio::sync::{Mutex, MutexGuard};

static TURN: Mutex<()> = Mutex::const_new(());

/// A turn; it ends when this is dropped.
#[derive(Debug)]
pub struct Alone(#[expect(dead_code, reason = "held, never read")] MutexGuard<'static, ()>);

/// Waits, without limit, for the turn of a test that puts the machine under load or measures it.
pub async fn alone() -> Alone {
    Alone(TURN.lock().await)
}
