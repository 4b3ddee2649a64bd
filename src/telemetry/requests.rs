//! The last requests that were worth keeping, for people to look at.

use serde_json::Value;
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError, TryLockError};

/// How many requests of each sort are kept.
pub const KEPT: usize = 100;

/// A request that has ended, in whatever form its maker holds it.
pub trait Told: Send + Sync {
    /// All that is known of it, as `docs/admin.md` describes it.
    fn tell(&self) -> Value;
}

/// The last requests that failed, were tried again or were slow, and a sample of all others.
#[derive(Default)]
pub struct KeptRequests {
    notable: Ring,
    sampled: Ring,
}

type Ring = Mutex<VecDeque<Arc<dyn Told>>>;

impl KeptRequests {
    /// Keeps a request that failed, was tried again or was slow.
    pub fn keep_notable(&self, request: Arc<dyn Told>) {
        keep(&self.notable, request);
    }

    /// Keeps a request that chance chose.
    pub fn keep_sampled(&self, request: Arc<dyn Told>) {
        keep(&self.sampled, request);
    }

    /// Those that failed, were tried again or were slow, the latest first.
    pub fn notable(&self) -> Vec<Value> {
        tell(&self.notable)
    }

    /// Those that chance chose, the latest first.
    pub fn sampled(&self) -> Vec<Value> {
        tell(&self.sampled)
    }
}

impl std::fmt::Debug for KeptRequests {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("KeptRequests").finish_non_exhaustive()
    }
}

/// Keeps `request`, unless somebody else is at it: where so many fail that workers meet here, nobody misses one.
fn keep(ring: &Ring, request: Arc<dyn Told>) {
    let mut ring = match ring.try_lock() {
        Ok(ring) => ring,
        Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
        Err(TryLockError::WouldBlock) => return,
    };
    let oldest = if ring.len() == KEPT { ring.pop_front() } else { None };
    ring.push_back(request);
    drop(ring);
    // What it holds is freed when nobody waits for the lock.
    drop(oldest);
}

fn tell(ring: &Ring) -> Vec<Value> {
    let requests: Vec<_> =
        ring.lock().unwrap_or_else(PoisonError::into_inner).iter().rev().map(Arc::clone).collect();
    requests.iter().map(|request| request.tell()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Numbered(usize);

    impl Told for Numbered {
        fn tell(&self) -> Value {
            self.0.into()
        }
    }

    #[test]
    fn the_latest_are_kept_and_the_two_sorts_do_not_displace_each_other() {
        let requests = KeptRequests::default();
        requests.keep_notable(Arc::new(Numbered(0)));
        for number in 1..=KEPT + 1 {
            requests.keep_sampled(Arc::new(Numbered(number)));
        }
        let sampled = requests.sampled();
        assert_eq!((sampled.len(), &sampled[0]), (KEPT, &Value::from(KEPT + 1)));
        assert_eq!(requests.notable(), [Value::from(0)]);
    }
}
