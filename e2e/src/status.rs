//! `/status`, as far as tests look at it.

use serde::Deserialize;
use std::collections::BTreeMap;

/// Everything about the process.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
#[expect(missing_docs, reason = "src/admin/status.rs has the same fields")]
pub struct Status {
    pub pid: u32,
    pub ready: bool,
    pub not_ready: Vec<String>,
    pub generation: u64,
    pub config_hash: String,
    pub config_in_sync: bool,
    pub running_since: String,
    pub refused: Option<Refused>,
    pub reloads: Reloads,
    pub workers: usize,
    pub live_snapshots: usize,
    pub listeners: Vec<Listener>,
    pub backends: Vec<Backend>,
}

/// The configuration that was refused last.
#[derive(Clone, Debug, Deserialize)]
#[expect(missing_docs, reason = "src/admin/status.rs has the same fields")]
pub struct Refused {
    pub hash: Option<String>,
    pub errors: serde_json::Value,
    pub more: usize,
}

/// What became of the changes seen so far.
#[derive(Clone, Copy, Debug, Deserialize)]
#[expect(missing_docs, reason = "src/admin/status.rs has the same fields")]
pub struct Reloads {
    pub accepted: u64,
    pub refused: u64,
    pub unchanged: u64,
}

/// A listener and its real address.
#[derive(Clone, Debug, Deserialize)]
#[expect(missing_docs, reason = "src/admin/status.rs has the same fields")]
pub struct Listener {
    pub name: String,
    pub address: std::net::SocketAddr,
}

/// A backend.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
#[expect(missing_docs, reason = "src/admin/status.rs has the same fields")]
pub struct Backend {
    pub name: String,
    pub algorithm: String,
    pub panic: bool,
    pub unanswered: BTreeMap<String, u64>,
    pub retries: u64,
    pub retries_refused: u64,
    pub endpoints: Vec<Endpoint>,
}

/// An endpoint.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
#[expect(missing_docs, reason = "src/admin/status.rs has the same fields")]
pub struct Endpoint {
    pub url: String,
    pub weight: u32,
    pub health: Health,
    pub eligible: bool,
    pub passed_over_ms: Option<u64>,
    pub in_flight: u32,
    pub latency_ms: Option<f64>,
    pub requests: BTreeMap<String, u64>,
    pub requests_total: u64,
    pub picks: u64,
    pub share: f64,
    pub addresses: Vec<String>,
    pub resolve_error: Option<String>,
}

/// What health probes found.
#[derive(Clone, Debug, Deserialize)]
#[expect(missing_docs, reason = "src/admin/status.rs has the same fields")]
pub struct Health {
    pub state: String,
    pub reason: Option<String>,
    pub since: Option<String>,
}

impl Status {
    /// The backend of this name.
    ///
    /// # Panics
    /// There is none.
    pub fn backend(&self, name: &str) -> &Backend {
        let found = self.backends.iter().find(|backend| backend.name == name);
        found.unwrap_or_else(|| panic!("no backend {name} in {self:?}"))
    }
}

impl Backend {
    /// The endpoint with this URL.
    ///
    /// # Panics
    /// There is none.
    pub fn endpoint(&self, url: &str) -> &Endpoint {
        let url = url.trim_end_matches('/');
        let found = self.endpoints.iter().find(|it| it.url.trim_end_matches('/') == url);
        found.unwrap_or_else(|| panic!("no endpoint {url} in {self:?}"))
    }

    /// Requests in flight on each endpoint, in the order of the configuration.
    pub fn in_flight(&self) -> Vec<u32> {
        self.endpoints.iter().map(|endpoint| endpoint.in_flight).collect()
    }
}
