//! What a worker says of itself once in a second, for whoever reads the metrics.

use super::worker::Worker;
use std::time::Duration;
use tokio::time::Instant;

impl Worker {
    /// Says how many idle connections it has to each backend.
    pub fn publish_idle(&self) {
        let idle = self.pool.borrow().idle();
        // All are at 0 since the last time.
        if !self.had_idle.replace(!idle.is_empty()) && idle.is_empty() {
            return;
        }
        let snapshot = self.snapshot();
        for backend in &snapshot.backends {
            let endpoints = backend.members().iter().map(|member| member.endpoint.id());
            let count = endpoints.filter_map(|id| idle.get(&id)).sum();
            backend.counters().idle(self.id, count);
        }
    }

    /// A timer that was to ring at `due` does so now.
    pub fn rings_late(&self, due: Instant) {
        let late: Duration = due.elapsed();
        self.shared.delays.record(self.id, late);
    }
}
