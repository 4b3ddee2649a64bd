//! What requests count while they go on and at their end, besides their endpoint's own numbers.

use super::client::ClientState;
use super::record::Record;
use crate::backend::counters::Counters;
use crate::telemetry::metrics::Protocol;
use std::rc::Rc;
use std::sync::Arc;

impl Record {
    /// A piece of the response's body goes to the client.
    pub fn sends(&mut self, bytes: usize) {
        self.bytes += bytes as u64;
        self.client.listener.counters.sends(bytes);
        // Our own pages come from no endpoint.
        if self.answered
            && let Some(backend) = self.backend()
        {
            backend.counters().receives(self.worker.id, bytes);
        }
    }

    /// It has ended: whoever it was for, it came by a listener and perhaps went by a route.
    pub fn tally(&self) {
        let protocol = if self.client.is_stream() { Protocol::Http2 } else { Protocol::Http1 };
        self.client.listener.counters.request_ends(protocol, self.answer());
        if let Some(route) = &self.route {
            route.requests.record(self.worker.id, self.answer());
        }
    }
}

/// Where the bytes of a conversation are counted after an upgrade.
pub struct ConversationTally {
    client: Rc<ClientState>,
    backend: Option<Arc<Counters>>,
    worker: usize,
}

impl ConversationTally {
    /// That of the conversation that `record` asked for.
    pub fn new(record: &Record) -> Self {
        let backend = record.backend().map(|backend| Arc::clone(backend.counters()));
        Self { client: Rc::clone(&record.client), backend, worker: record.worker.id }
    }

    /// The endpoint has sent so much.
    pub fn receives(&self, bytes: usize) {
        self.client.listener.counters.sends(bytes);
        if let Some(backend) = &self.backend {
            backend.receives(self.worker, bytes);
        }
    }

    /// The endpoint was sent so much.
    pub fn sends(&self, bytes: usize) {
        self.client.listener.counters.receives(bytes);
        if let Some(backend) = &self.backend {
            backend.sends(self.worker, bytes);
        }
    }
}
