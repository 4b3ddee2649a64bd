//! What the process tells about itself: counters, the access log's way out, log lines.

pub mod access_log;
pub mod log;
pub mod metrics;
pub mod observe;
pub mod sharded;
