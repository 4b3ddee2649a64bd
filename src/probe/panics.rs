//! Backends that panic: so few of their endpoints are healthy that all count as healthy.

use crate::backend::Backend;
use crate::snapshot::Snapshot;
use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};

/// The backends that are known to panic, by name. What led there may be a probe, a look-up or a reload; each change is
/// logged once, by whoever sees it first.
#[derive(Clone, Debug, Default)]
pub(super) struct Panics(Arc<Mutex<HashSet<Arc<str>>>>);

impl Panics {
    /// Looks at `backend` after something may have changed, and logs what did.
    pub(super) fn look(&self, backend: &Backend) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let name = backend.name();
        if backend.eligible().panic {
            if known.insert(Arc::clone(name)) {
                tracing::warn!(
                    "backend {name}: too few endpoints are healthy, all count as healthy until more are"
                );
            }
        } else if known.remove(name) {
            tracing::info!(
                "backend {name}: enough endpoints are healthy, unhealthy ones get no traffic again"
            );
        }
    }

    /// Forgets backends that `snapshot` does not have.
    pub(super) fn retain(&self, snapshot: &Snapshot) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.retain(|name| snapshot.backend(name).is_some());
    }
}
