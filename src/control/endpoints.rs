//! Endpoints of Services come and go while the configuration stays.

use super::changes::changes;
use super::{Control, Effects};
use crate::model::Model;
use crate::telemetry::events::{EventKind, Happened};
use std::sync::Arc;
use std::time::Duration;

/// How long the endpoints of a Service that is new are waited for, before its backend runs without them.
const KNOWN_AT_MOST: Duration = Duration::from_secs(1);

/// How many endpoints that come and go are told one by one: of thousands of pods nobody reads, and the last events are kept.
const TOLD: usize = 20;

impl<E: Effects> Control<E> {
    /// Gives the backends of `next` the endpoints that their Services have now, once they are known. As long as nobody can tell, a
    /// backend goes on with those that it had before.
    pub(super) async fn complete(&mut self, next: &mut Model) {
        let running = self.store.load();
        self.discovery.follow(&[&running.model, next]);
        self.discovery.settle(KNOWN_AT_MOST).await;
        // What runs gets the same, so that it is no part of what the source changes.
        self.on_endpoints().await;
        let running = self.store.load();
        for backend in next.backends.iter_mut().filter(|next| next.source.followed().is_some()) {
            if let Some(before) = running.backend(&backend.name) {
                backend.endpoints.clone_from(&before.model().endpoints);
            }
        }
        self.discovery.fill(next);
    }

    /// Follows the Services of what runs, and no others.
    pub(super) fn follow_services(&mut self) {
        self.discovery.follow(&[&self.store.load().model]);
        self.discovery.in_use();
    }

    /// Gives what runs the endpoints that its Services have now. The generation stays, since nobody changed the configuration.
    pub(super) async fn on_endpoints(&mut self) {
        let running = self.store.load();
        let mut model = (*running.model).clone();
        self.discovery.take(&mut model);
        if model != *running.model {
            let changes = in_short(changes(&running.model, &model, self.workers));
            match running.with_endpoints(Arc::new(model), self.workers) {
                Ok(next) => {
                    self.effects.resolve(&next).await;
                    self.store.swap(next);
                    tracing::info!("endpoints: {changes}");
                    let happened = Happened::to_process(EventKind::Endpoints, changes);
                    self.outlets.events.publish(happened);
                }
                // Nothing of it is new but addresses, and these need no file.
                Err(reason) => tracing::error!("endpoints cannot be used: {reason}"),
            }
        }
        self.discovery.in_use();
    }
}

fn in_short(mut changes: Vec<String>) -> String {
    let more = changes.len().saturating_sub(TOLD);
    if more > 0 {
        changes.truncate(TOLD);
        changes.push(format!("and {more} more"));
    }
    changes.join("; ")
}
