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
use std::time::SystemTime;
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

/// A time to the millisecond, in UTC (RFC 3339): `2027-02-01T09:30:00.250Z`.
pub fn rfc3339(at: SystemTime) -> String {
    match jiff::Timestamp::try_from(at) {
        Ok(at) => format!("{at:.3}"),
        // Beyond the year 9999.
        Err(error) => error.to_string(),
    }
}
