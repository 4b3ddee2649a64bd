//! The last requests that were worth keeping, for people to look at.

use serde_json::Value;
use std::cmp::Reverse;
use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError, TryLockError};

/// How many requests of each sort are kept.
pub const KEPT: usize = 50;

/// A request that has ended, in whatever form its maker holds it.
pub trait Told: Send + Sync {
    /// All that is known of it, as `docs/admin.md` describes it.
    fn tell(&self) -> Value;
}

/// Why a request is kept. None of a sort displaces one of another: where many are slow, the few that failed are there all the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sort {
    /// It failed.
    Failed,
    /// It was tried again, and answered.
    Retried,
    /// It was slow, and no more than that.
    Slow,
    /// Chance chose it.
    Sampled,
}

/// The last requests of each sort.
#[derive(Default)]
pub struct KeptRequests {
    rings: [Ring; 4],
    next: AtomicU64,
}

/// Requests with their numbers, in the order in which they ended.
type Ring = Mutex<VecDeque<(u64, Arc<dyn Told>)>>;

impl KeptRequests {
    /// Keeps `request`, unless somebody else is at it: where so many fail that workers meet here, nobody misses one.
    pub fn keep(&self, sort: Sort, request: Arc<dyn Told>) {
        let mut ring = match self.rings[sort as usize].try_lock() {
            Ok(ring) => ring,
            Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
            Err(TryLockError::WouldBlock) => return,
        };
        let oldest = if ring.len() == KEPT { ring.pop_front() } else { None };
        ring.push_back((self.next.fetch_add(1, Relaxed), request));
        drop(ring);
        // What it holds is freed when nobody waits for the lock.
        drop(oldest);
    }

    /// Those that failed, were tried again or were slow, the latest first.
    pub fn notable(&self) -> Vec<Value> {
        self.tell(&[Sort::Failed, Sort::Retried, Sort::Slow])
    }

    /// Those that chance chose, the latest first.
    pub fn sampled(&self) -> Vec<Value> {
        self.tell(&[Sort::Sampled])
    }

    fn tell(&self, sorts: &[Sort]) -> Vec<Value> {
        let mut requests = Vec::new();
        for sort in sorts {
            let ring = self.rings[*sort as usize].lock().unwrap_or_else(PoisonError::into_inner);
            requests.extend(ring.iter().cloned());
        }
        requests.sort_by_key(|(number, _)| Reverse(*number));
        requests.iter().map(|(_, request)| request.tell()).collect()
    }
}

impl std::fmt::Debug for KeptRequests {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("KeptRequests").finish_non_exhaustive()
    }
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
    fn the_latest_are_kept_and_no_sort_displaces_another() {
        let requests = KeptRequests::default();
        requests.keep(Sort::Failed, Arc::new(Numbered(0)));
        for number in 1..=KEPT + 1 {
            requests.keep(Sort::Slow, Arc::new(Numbered(number)));
            requests.keep(Sort::Sampled, Arc::new(Numbered(number)));
        }
        requests.keep(Sort::Retried, Arc::new(Numbered(1000)));
        let notable = requests.notable();
        assert_eq!(notable.len(), KEPT + 2);
        assert_eq!((&notable[0], &notable[1]), (&Value::from(1000), &Value::from(KEPT + 1)));
        assert_eq!(notable.last(), Some(&Value::from(0)));
        assert_eq!(requests.sampled().len(), KEPT);
    }
}
