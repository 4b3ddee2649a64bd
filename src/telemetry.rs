//! What the process tells about itself: counters, traces, events, requests that are kept, the access log's way out, log lines.

pub mod access_log;
pub mod context;
pub mod control_span;
pub mod events;
pub mod log;
pub mod metrics;
pub mod observe;
pub mod requests;
pub mod sharded;
pub mod traces;

use events::Events;
use requests::KeptRequests;
use std::sync::Arc;
use traces::Exporter;

/// Where the process tells of itself, besides its log and its counters; clones lead to the same.
#[derive(Clone, Debug, Default)]
pub struct Outlets {
    /// What happened lately.
    pub events: Arc<Events>,
    /// Requests worth a look.
    pub requests: Arc<KeptRequests>,
    /// Traces, on their way to a collector.
    pub exporter: Exporter,
}
