//! What the process tells about itself: counters, the access log's way out, log lines.

pub mod metrics;
pub mod sharded;
