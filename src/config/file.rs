//! The configuration file exactly as typed: no default filled in, nothing checked beyond single values.
//!
//! The doc comments are the descriptions that a reader of the file gets; `docs/configuration.md` says the same at length.

use super::decode::Field;
use super::scalar::{
    Address, Duration, HostHeader, Name, Number, OptionalAddress, ProbePath, Quantity, Share,
    Statuses, Text, Url,
};
use crate::model;
use serde::Deserialize;

/// A list, each item of which may be wrong on its own.
pub type List<T> = Field<Vec<Field<T>>>;

/// The whole file.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
pub struct File {
    /// The port that tells everything about this process.
    pub admin: Field<Admin>,
    /// The port for kubelet and Prometheus: `/livez`, `/readyz` and `/metrics` only. Absent by default.
    pub probes: Field<Probes>,
    /// Worker threads; 0 is one for each available core.
    pub workers: Field<Number<0, 1024>>,
    /// How the process ends after SIGTERM.
    pub shutdown: Field<Shutdown>,
    /// What is told about requests.
    pub telemetry: Field<Telemetry>,
    /// Addresses to accept on.
    pub listeners: List<Listener>,
    /// Named sets of endpoints.
    pub backends: List<Backend>,
}

/// The admin port.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
pub struct Admin {
    /// Where it listens; empty text turns it off.
    pub address: Field<OptionalAddress>,
}

/// The probes port.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
pub struct Probes {
    /// Where it listens.
    pub address: Field<Address>,
}

/// How the process ends after SIGTERM.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
pub struct Shutdown {
    /// How long connections are still accepted while the process already says that it is not ready.
    pub drain_delay: Field<Duration>,
    /// How long, after that, requests in flight may take to end.
    pub drain_timeout: Field<Duration>,
}

/// What is told about requests.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
pub struct Telemetry {
    /// One JSON line for each request.
    pub access_log: Field<AccessLog>,
}

/// One JSON line for each request.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
pub struct AccessLog {
    /// Whether lines are written at all.
    pub enabled: Field<bool>,
    /// Where they go.
    pub output: Field<LogOutput>,
    /// The share of requests that is logged.
    pub sample: Field<Share>,
}

/// Where the access log goes.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename = "output")]
pub enum LogOutput {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
}

/// An address to accept on.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
pub struct Listener {
    /// Its name, unique among the listeners.
    pub name: Field<Name>,
    /// The IP address and port; port 0 lets the system choose one.
    pub address: Field<Address>,
    /// What a client may ask of it.
    pub limits: Field<Limits>,
}

/// What a client may ask of a listener. A duration of `0s` is no limit.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
pub struct Limits {
    /// From the first byte of a request's head to its last.
    pub header_timeout: Field<Duration>,
    /// Between two pieces of a request's body.
    pub body_timeout: Field<Duration>,
    /// How long a connection without a request is kept.
    pub idle_timeout: Field<Duration>,
    /// Size of a request's head.
    pub max_header_bytes: Field<Quantity<{ 8 << 10 }, { 1 << 20 }>>,
    /// Number of header fields of a request.
    pub max_headers: Field<Number<1, 10_000>>,
    /// Size of a request's body; 0 is no limit.
    pub max_body_bytes: Field<Quantity<0, { u64::MAX }>>,
}

/// A named set of endpoints with one algorithm and its policies.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
pub struct Backend {
    /// Its name.
    pub name: Field<Name>,
    /// How it picks an endpoint for a request.
    pub algorithm: Field<Algorithm>,
    /// Where requests go.
    pub endpoints: List<Endpoint>,
    /// The check that finds endpoints healthy or unhealthy. Without it all are healthy.
    pub health_probe: Field<HealthProbe>,
    /// The check that keeps the latency of idle endpoints known.
    pub latency_probe: Field<LatencyProbe>,
    /// How long we wait for the endpoints.
    pub timeouts: Field<Timeouts>,
    /// When a request is tried again.
    pub retry: Field<Retry>,
}

/// How a backend picks an endpoint: a name, or a map with the name.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
pub struct Algorithm {
    /// Which algorithm.
    pub name: Field<AlgorithmName>,
}

/// The algorithms.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename = "algorithm")]
pub enum AlgorithmName {
    /// Each in turn, smoothly by weight.
    RoundRobin,
    /// By chance and weight.
    Random,
    /// The fewest requests in flight for its weight; also spelt `lc`.
    #[serde(alias = "lc")]
    LeastConnections,
    /// The least expected time: latency times the requests in flight; also spelt `lr`.
    #[serde(alias = "lr")]
    LeastResponseTime,
    /// The better of two distinct draws by requests in flight.
    PowerOfTwoChoices,
    /// The better of two distinct draws by a latency average that remembers peaks.
    PeakEwma,
}

impl From<AlgorithmName> for model::Algorithm {
    fn from(name: AlgorithmName) -> Self {
        match name {
            AlgorithmName::RoundRobin => Self::RoundRobin,
            AlgorithmName::Random => Self::Random,
            AlgorithmName::LeastConnections => Self::LeastConnections,
            AlgorithmName::LeastResponseTime => Self::LeastResponseTime,
            AlgorithmName::PowerOfTwoChoices => Self::PowerOfTwoChoices,
            AlgorithmName::PeakEwma => Self::PeakEwma,
        }
    }
}

/// One endpoint: a URL, or a map with the URL.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
pub struct Endpoint {
    /// Where it is. A path is put before the path of each request.
    pub url: Field<Url>,
    /// Its share relative to the others'; 0 gets no requests.
    pub weight: Field<Number<0, { model::defaults::MAX_WEIGHT as u64 }>>,
}

/// The check that finds endpoints healthy or unhealthy. It has either `http` or `tcp`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
pub struct HealthProbe {
    /// A GET request.
    pub http: Field<HttpCheck>,
    /// A TCP connection that is established: `tcp: {}`.
    pub tcp: Field<TcpCheck>,
    /// From the start of one probe to the start of the next.
    pub interval: Field<Duration>,
    /// How long an answer may take.
    pub timeout: Field<Duration>,
    /// Successes in a row that make an unhealthy endpoint healthy.
    pub healthy_after: Field<Number<1, 1000>>,
    /// Failures in a row that make a healthy endpoint unhealthy.
    pub unhealthy_after: Field<Number<1, 1000>>,
    /// When a smaller share of the endpoints than this is healthy, or none is, all count as healthy.
    pub minimum_healthy: Field<Share>,
}

/// The check that keeps the latency of idle endpoints known. It has either `http` or `tcp`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
pub struct LatencyProbe {
    /// A GET request.
    pub http: Field<HttpCheck>,
    /// A TCP connection that is established: `tcp: {}`.
    pub tcp: Field<TcpCheck>,
    /// From the start of one probe to the start of the next.
    pub interval: Field<Duration>,
    /// How long an answer may take.
    pub timeout: Field<Duration>,
}

/// A GET request and what its answer has to be.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
pub struct HttpCheck {
    /// Path and query, below the endpoint's own path.
    pub path: Field<ProbePath>,
    /// The `Host` header; the endpoint's own host and port by default.
    pub host: Field<HostHeader>,
    /// Status codes that count as success.
    pub statuses: List<Statuses>,
    /// Text that has to occur in the first 64 KiB of the body.
    pub body: Field<Text>,
}

/// A TCP connection that is established. It has no keys.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TcpCheck {}

/// How long we wait for the endpoints of a backend. `0s` is no limit.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
pub struct Timeouts {
    /// For a TCP connection to be established.
    pub connect: Field<Duration>,
    /// From the end of the request's head to the response's head, all attempts together.
    pub request: Field<Duration>,
    /// The same for each attempt.
    pub attempt: Field<Duration>,
    /// Without a byte in either direction after the response's head.
    pub stream_idle: Field<Duration>,
    /// Without a byte in either direction after an upgrade, to a WebSocket for example.
    pub upgraded_idle: Field<Duration>,
}

/// When a request is tried again.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
pub struct Retry {
    /// Tries after the first; 0 turns retries off.
    pub attempts: Field<Number<0, 10>>,
    /// What is a reason to try again.
    pub conditions: List<RetryCondition>,
    /// The most that retries may add to the backend's load.
    pub budget: Field<RetryBudget>,
}

/// A reason to try a request again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename = "condition")]
pub enum RetryCondition {
    /// A connection could not be established.
    ConnectFailure,
    /// A connection was reset or closed before the response's head.
    Reset,
}

/// The most that retries may add to a backend's load.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
pub struct RetryBudget {
    /// Retries for each request.
    pub ratio: Field<Share>,
    /// Retries in each second that are always allowed.
    pub min_per_second: Field<Number<0, 1_000_000>>,
}

/// Structs that may be written as the value of one of their keys: struct, key, what the value is.
pub(super) const SHORTHANDS: &[(&str, &str, &str)] =
    &[("Algorithm", "name", "the name of an algorithm"), ("Endpoint", "url", "a URL")];

/// Keys and enum values whose place is taken by a feature that does not exist yet, by struct or enum.
pub(super) const LATER: &[(&str, &[&str])] = &[
    ("File", &["routes"]),
    ("Telemetry", &["metrics", "traces"]),
    ("Listener", &["protocol", "proxyProtocol", "tls"]),
    ("Limits", &["maxConcurrentStreams", "maxConnections"]),
    (
        "Backend",
        &[
            "circuitBreaker",
            "connections",
            "dns",
            "outlierDetection",
            "protocol",
            "service",
            "sessionAffinity",
            "slowStart",
            "tls",
        ],
    ),
    ("Algorithm", &["boundedLoad", "key"]),
    ("algorithm", &["ConsistentHash", "SourceIpHash"]),
    ("Retry", &["statuses"]),
];
