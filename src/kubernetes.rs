//! Kubernetes as a source: the endpoints of Services, the configuration in a ConfigMap, and what is told about this pod there.
//!
//! What the API server says becomes endpoints by a pure function (`slices`). A watch (`watch`) lists once and hears of changes then; it
//! outlives the API server: while that is away, or refuses, what is known is kept, and `health` counts and says why, once.

mod backoff;
mod config_map;
mod connection;
mod discovery;
mod health;
mod report;
mod slices;
#[cfg(test)]
pub mod testing;
#[cfg(test)]
mod tests;
mod watch;

pub use config_map::{ConfigMapKey, ConfigMapWatch, Content};
pub use connection::Connection;
pub use discovery::Discovery;
pub use health::{Reason, Resource, Watches};
pub use report::{Reporter, ThisPod};

use tokio::task::JoinHandle;

/// A task that ends with this.
#[derive(Debug)]
struct Task(JoinHandle<()>);

impl Drop for Task {
    fn drop(&mut self) {
        self.0.abort();
    }
}
