//! What a worker says of itself once in a second, for whoever reads the metrics.

use super::worker::Worker;
use crate::backend::pool::Pool;
use std::rc::Rc;
use std::time::Duration;
use tokio::time::Instant;

impl Worker {
    /// Says how many idle connections it has to each backend.
    pub fn publish_idle(&self, pool: &mut Pool) {
        let Some(idle) = pool.idle_if_news() else { return };
        let snapshot = self.snapshot();
        for backend in &snapshot.backends {
            let endpoints = backend.members().iter().map(|member| member.endpoint.id());
            let count = endpoints.filter_map(|id| idle.get(&id)).sum();
            backend.counters().idle(self.id, count);
        }
    }

    /// Rings its connections' alarms, for ever.
    pub async fn ring_timers(self: Rc<Self>) {
        Rc::clone(&self.timers).run(|due| self.rings_late(due)).await;
    }

    /// A timer that was to ring at `due` does so now.
    pub fn rings_late(&self, due: Instant) {
        let late: Duration = due.elapsed();
        self.shared.delays.record(self.id, late);
    }
}
