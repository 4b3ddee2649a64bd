//! The admin port, which tells everything about this process, and the probes port, which tells kubelet and
//! Prometheus what they need. Both answer from the control runtime, however busy the workers are.
//!
//! `paths` is the table of all that can be asked: the router, the list that a 404 shows, `Allow` and the OpenAPI document come
//! from it.

mod api;
mod dashboard;
mod metrics;
mod openapi;
mod paths;
mod process;
mod query;
mod refusal;
mod routes;
mod server;
mod stall;
mod status_texts;
mod stream;

pub use server::{AdminServer, BindError};

use crate::lifecycle::Lifecycle;
use crate::snapshot::Store;
use crate::snapshot::source::SourceStatus;
use crate::telemetry::Outlets;
use crate::telemetry::log::Filter;
use crate::telemetry::metrics::{ListenerCounters, Sample};
use http::Method;
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::SystemTime;

/// What the ports tell about.
#[derive(Clone)]
pub struct AdminContext {
    /// The running snapshot.
    pub store: Arc<Store>,
    /// The state of the configuration's source.
    pub source: Arc<SourceStatus>,
    /// Whether the process is ready.
    pub lifecycle: Lifecycle,
    /// The number of workers.
    pub workers: usize,
    /// Gives the addresses that the listeners are bound to now.
    pub listeners: Arc<dyn Fn() -> Vec<BoundListener> + Send + Sync>,
    /// Gives the numbers that others keep and that `/metrics` shows besides its own.
    pub extra: Arc<dyn Fn() -> Vec<Sample> + Send + Sync>,
    /// Says where a request would go, and why, or what is wrong with the question.
    pub explain: Arc<Explain>,
    /// What is logged.
    pub log: Filter,
    /// What happened lately, and requests worth a look.
    pub outlets: Outlets,
    /// The version of the program.
    pub version: &'static str,
    /// The commit that it was built from.
    pub commit: &'static str,
    /// When the process started.
    pub started_at: SystemTime,
}

/// Explains a request.
pub type Explain = dyn Fn(&ExplainQuery) -> Result<serde_json::Value, String> + Send + Sync;

/// A request that is asked about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExplainQuery {
    /// The URL that the client asks for.
    pub url: String,
    /// The method.
    pub method: Method,
    /// Header fields: a name, a colon and a value.
    pub headers: Vec<String>,
    /// The listener that it comes by; `None` for the one with the URL's port.
    pub listener: Option<String>,
    /// The address that it comes from.
    pub client_address: Option<IpAddr>,
}

/// A listener and its real address.
#[derive(Clone, Debug)]
pub struct BoundListener {
    /// Its name.
    pub name: Arc<str>,
    /// The address, with the port that the system chose where the configuration left that to it.
    pub address: SocketAddr,
    /// The address as configured.
    pub configured: SocketAddr,
    /// What it counts.
    pub counters: Arc<ListenerCounters>,
}

/// Serves the admin port on `address`, on the present runtime.
pub fn start(address: SocketAddr, context: AdminContext) -> Result<AdminServer, BindError> {
    AdminServer::start(server::Port::Admin, address, Arc::new(context))
}

/// Serves the probes port on `address`: `/livez`, `/readyz` and `/metrics` only.
pub fn start_probes(address: SocketAddr, context: AdminContext) -> Result<AdminServer, BindError> {
    AdminServer::start(server::Port::Probes, address, Arc::new(context))
}

impl AdminContext {
    /// Why no client should be sent here now; empty when ready.
    fn not_ready(&self) -> Vec<String> {
        use crate::lifecycle::Phase;
        match self.lifecycle.phase() {
            Phase::Ready => Vec::new(),
            Phase::Starting => {
                let held_by = self.lifecycle.held_by();
                let reasons = held_by.iter().map(|name| format!("waiting for the {name}"));
                let reasons: Vec<_> = reasons.collect();
                if reasons.is_empty() { vec!["starting".to_owned()] } else { reasons }
            }
            Phase::Draining | Phase::Closing | Phase::Ended => vec!["stopping".to_owned()],
        }
    }
}

impl fmt::Debug for AdminContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AdminContext").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
