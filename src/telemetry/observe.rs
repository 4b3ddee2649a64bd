//! A window for whoever runs the load balancer in their own process: what became of each request.

use std::sync::Arc;
use std::time::Duration;

/// A request that has ended.
#[derive(Clone, Debug)]
pub struct Completed {
    /// The generation of the snapshot that it was served by.
    pub generation: u64,
    /// The algorithm that picked its endpoint.
    pub algorithm: &'static str,
    /// The URL of the endpoint that it was given to last; `None` when it was given to none.
    pub endpoint: Option<Arc<str>>,
    /// From its head to the end of the response.
    pub duration: Duration,
    /// The status code of its response.
    pub status: u16,
}

/// Called by the workers at the end of every request: must be quick and must not block.
pub type Observer = Arc<dyn Fn(&Completed) + Send + Sync>;
