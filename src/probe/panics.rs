//! Backends that panic: so few of their endpoints are healthy that all count as healthy.

use crate::backend::Backend;
use crate::snapshot::Snapshot;
use crate::telemetry::events::{EventKind, Events, Happened};
use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};

/// The backends that are known to panic, by name. What led there may be a probe, a look-up or a reload; each change is
/// logged once, by whoever sees it first.
#[derive(Clone, Debug)]
pub(super) struct Panics {
    known: Arc<Mutex<HashSet<Arc<str>>>>,
    events: Arc<Events>,
}

impl Panics {
    /// None is known to panic; those that begin to are told to `events`.
    pub(super) fn new(events: Arc<Events>) -> Self {
        Self { known: Arc::default(), events }
    }

    /// Looks at `backend` after something may have changed, and logs what did.
    pub(super) fn look(&self, backend: &Backend) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let name = backend.name();
        let text = if backend.eligible().panic {
            if !known.insert(Arc::clone(name)) {
                return;
            }
            let text = format!(
                "backend {name}: too few endpoints are healthy, all count as healthy until more are"
            );
            tracing::warn!("{text}");
            text
        } else {
            if !known.remove(name) {
                return;
            }
            let text = format!(
                "backend {name}: enough endpoints are healthy, unhealthy ones get no traffic again"
            );
            tracing::info!("{text}");
            text
        };
        self.events.publish(Happened::to_backend(EventKind::Panic, name, text));
    }

    /// Forgets backends that `snapshot` does not have.
    pub(super) fn retain(&self, snapshot: &Snapshot) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.retain(|name| snapshot.backend(name).is_some());
    }
}
