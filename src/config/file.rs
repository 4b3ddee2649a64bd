//! The configuration file exactly as typed: no default filled in, nothing checked beyond single values.
//!
//! The doc comments and `schemars` attributes are what the JSON Schema and the tables of `docs/configuration.md` say.

mod listener;
mod probe;
mod route;
mod service;
mod telemetry;
mod tls;

pub use listener::{Limits, Listener, ProxyProtocol};
pub use probe::{GrpcCheck, HealthProbe, HttpCheck, LatencyProbe, TcpCheck};
pub use route::{
    BackendRef, Filter, HeaderChanges, HeaderField, HeaderMatch, Match, PathMatch, PathRewrite,
    QueryMatch, Redirect, Respond, Rewrite, Route, RouteRetry, RouteTimeouts, Scheme,
};
pub use service::{IpFamily, Service, ServiceMode};
pub use telemetry::{
    AccessLog, CollectorTls, Compression, Decisions, Keep, LogOutput, OtlpProtocol, Parents,
    Propagator, ResourceAttribute, SecretField, SpanQueue, Telemetry, Traces,
};
pub use tls::{BackendTls, ClientAuth, ClientAuthMode, KeyPair, ListenerTls, TlsVersion};

use super::decode::Field;
use super::scalar::{
    Address, CookieName, CookiePath, Duration, HeaderFieldName, LoadBound, Name, Number,
    OptionalAddress, Share, Statuses, Text, Url,
};
use super::schema::notes::{
    also_spelt, exactly_one, grpc_needs_http2, second_backend_needs_routes,
};
use crate::model::{self, defaults};
use schemars::JsonSchema;
use serde::Deserialize;

/// A list, each item of which may be wrong on its own.
pub type List<T> = Field<Vec<Field<T>>>;

/// The whole file.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
#[schemars(extend("required" = ["listeners", "backends"]))]
#[schemars(transform = second_backend_needs_routes)]
pub struct File {
    /// The port that tells everything about this process.
    pub admin: Field<Admin>,
    /// The port for kubelet and Prometheus: `/livez`, `/readyz` and `/metrics` only. Absent by default.
    pub probes: Field<Probes>,
    /// Worker threads; 0 is one for each available core.
    #[schemars(extend("default" = 0))]
    pub workers: Field<Number<0, 1024>>,
    /// How the process ends after SIGTERM.
    pub shutdown: Field<Shutdown>,
    /// What is told about requests.
    pub telemetry: Field<Telemetry>,
    /// Addresses to accept on.
    #[schemars(extend("minItems" = 1))]
    pub listeners: List<Listener>,
    /// Which requests go where. Without routes, everything goes to the only backend.
    #[schemars(extend("minItems" = 1))]
    pub routes: List<Route>,
    /// Named sets of endpoints.
    #[schemars(extend("minItems" = 1))]
    pub backends: List<Backend>,
}

/// The admin port.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
pub struct Admin {
    /// Where it listens; empty text turns it off.
    #[schemars(extend("default" = defaults::ADMIN_ADDRESS))]
    pub address: Field<OptionalAddress>,
}

/// The probes port.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
#[schemars(extend("required" = ["address"]))]
pub struct Probes {
    /// Where it listens.
    pub address: Field<Address>,
}

/// How the process ends after SIGTERM.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
pub struct Shutdown {
    /// How long connections are still accepted while the process already says that it is not ready.
    #[schemars(extend("default" = Duration(defaults::DRAIN_DELAY)))]
    pub drain_delay: Field<Duration>,
    /// How long, after that, requests in flight may take to end. Those that it cuts make the exit code 4.
    #[schemars(extend("default" = Duration(defaults::DRAIN_TIMEOUT)))]
    pub drain_timeout: Field<Duration>,
}

/// A named set of endpoints with one algorithm and its policies.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
#[schemars(extend("required" = ["name"]))]
#[schemars(transform = grpc_needs_http2, transform = exactly_one(&["endpoints", "service"]))]
pub struct Backend {
    /// Its name.
    pub name: Field<Name>,
    /// How it picks an endpoint for a request.
    #[schemars(extend("default" = "RoundRobin"))]
    pub algorithm: Field<Algorithm>,
    /// Keeps a client with the endpoint that it was given first. Off by default.
    pub session_affinity: Field<SessionAffinity>,
    /// Gives endpoints that are new, or healthy again, a growing share. Off by default; `{}` turns it on.
    pub slow_start: Field<SlowStart>,
    /// Where requests go.
    #[schemars(extend("minItems" = 1))]
    pub endpoints: List<Endpoint>,
    /// A Service of Kubernetes, whose endpoints are followed while they come and go.
    pub service: Field<Service>,
    /// What is spoken to the endpoints.
    #[schemars(extend("default" = "Http1"))]
    pub protocol: Field<Protocol>,
    /// How endpoints with `https` URLs are spoken to. Without it, the system's CAs are trusted.
    pub tls: Field<BackendTls>,
    /// Begins each connection to an endpoint with a header of the PROXY protocol that names the client; a connection
    /// then serves no other client. Off by default.
    pub proxy_protocol: Field<ProxyProtocolVersion>,
    /// The check that finds endpoints healthy or unhealthy. Without it all are healthy.
    pub health_probe: Field<HealthProbe>,
    /// The check that keeps the latency of idle endpoints known.
    pub latency_probe: Field<LatencyProbe>,
    /// How long we wait for the endpoints. `0s` is no limit.
    pub timeouts: Field<Timeouts>,
    /// When a request is tried again.
    pub retry: Field<Retry>,
}

/// What is spoken to endpoints.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename = "protocol")]
#[schemars(rename = "Protocol")]
pub enum Protocol {
    /// HTTP/1.1, over TLS where an endpoint's URL begins with `https`.
    Http1,
    /// HTTP/2 over TLS, agreed upon by ALPN. All endpoints have `https` URLs.
    Http2,
    /// HTTP/2 without TLS, by prior knowledge. All endpoints have `http` URLs.
    H2c,
}

/// The form of a header of the PROXY protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename = "version")]
#[schemars(rename = "ProxyProtocolVersion")]
pub enum ProxyProtocolVersion {
    /// A line of text.
    V1,
    /// Binary.
    V2,
}

/// How a backend picks an endpoint: a name, or a map with the name.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
#[schemars(extend("required" = ["name"]))]
pub struct Algorithm {
    /// Which algorithm.
    pub name: Field<AlgorithmName>,
    /// `ConsistentHash` only: what is hashed.
    pub key: Field<HashKey>,
    /// `ConsistentHash` only: how a hash becomes an endpoint.
    #[schemars(extend("default" = "Maglev"))]
    pub table: Field<HashTable>,
    /// `ConsistentHash` only: an endpoint with more than this multiple of the mean load is passed over.
    pub bounded_load: Field<LoadBound>,
}

/// What of a request is hashed: one of its keys, or the name of a source.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
#[schemars(transform = exactly_one(&["source", "header", "cookie", "query"]))]
pub struct HashKey {
    /// Something that every request has.
    pub source: Field<HashSource>,
    /// The value of this header field.
    pub header: Field<HeaderFieldName>,
    /// The value of this cookie.
    pub cookie: Field<CookieName>,
    /// The value of this parameter of the query.
    pub query: Field<Text>,
}

/// What every request has and can be hashed.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(rename = "source")]
#[schemars(rename = "HashSource")]
pub enum HashSource {
    /// The client's address.
    ClientAddress,
    /// The path, without the query.
    Path,
}

/// How a hash becomes an endpoint.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(rename = "table")]
#[schemars(rename = "HashTable")]
pub enum HashTable {
    /// The most even shares, few moves.
    Maglev,
    /// The fewest moves, less even shares.
    Ring,
}

/// Keeps a client with the endpoint that it was given first.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
#[schemars(extend("required" = ["cookie"]))]
pub struct SessionAffinity {
    /// By a cookie that names the endpoint without telling its address.
    pub cookie: Field<AffinityCookie>,
}

/// A cookie that names an endpoint.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
pub struct AffinityCookie {
    /// Its name.
    #[schemars(extend("default" = defaults::AFFINITY_COOKIE))]
    pub name: Field<CookieName>,
    /// How long the client keeps it; `0s` until its session ends.
    #[schemars(extend("default" = "0s"))]
    pub ttl: Field<Duration>,
    /// The path below which the client sends it.
    #[schemars(extend("default" = defaults::AFFINITY_PATH))]
    pub path: Field<CookiePath>,
}

/// Gives endpoints that are new, or healthy again, a growing share.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
pub struct SlowStart {
    /// How long it takes until the share is whole.
    #[schemars(extend("default" = Duration(defaults::SLOW_START_WINDOW)))]
    pub window: Field<Duration>,
    /// The part of its weight that an endpoint begins with.
    #[schemars(extend("default" = Share(defaults::slow_start_minimum_weight())))]
    pub minimum_weight: Field<Share>,
}

/// The algorithms.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(rename = "algorithm")]
#[schemars(rename = "AlgorithmName")]
pub enum AlgorithmName {
    /// Each in turn, smoothly by weight.
    RoundRobin,
    /// By chance and weight.
    Random,
    /// The fewest requests in flight for its weight; also spelt `lc`.
    #[serde(alias = "lc")]
    #[schemars(transform = also_spelt("lc"))]
    LeastConnections,
    /// The least expected time: latency times the requests in flight; also spelt `lr`.
    #[serde(alias = "lr")]
    #[schemars(transform = also_spelt("lr"))]
    LeastResponseTime,
    /// The better of two distinct draws by requests in flight.
    PowerOfTwoChoices,
    /// The better of two distinct draws by a latency average that remembers peaks.
    PeakEwma,
    /// By a hash of the client's address.
    SourceIpHash,
    /// By a hash of something in the request.
    ConsistentHash,
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
            AlgorithmName::SourceIpHash => Self::SourceIpHash,
            AlgorithmName::ConsistentHash => Self::ConsistentHash,
        }
    }
}

/// One endpoint: a URL, or a map with the URL.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
#[schemars(extend("required" = ["url"]))]
pub struct Endpoint {
    /// Where it is. A path is put before the path of each request.
    pub url: Field<Url>,
    /// Its share relative to the others'; 0 gets no requests.
    #[schemars(extend("default" = defaults::WEIGHT))]
    pub weight: Field<Number<0, { model::defaults::MAX_WEIGHT as u64 }>>,
}

/// How long we wait for the endpoints of a backend. `0s` is no limit.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
pub struct Timeouts {
    /// For a TCP connection to be established.
    #[schemars(extend("default" = Duration(defaults::CONNECT_TIMEOUT)))]
    pub connect: Field<Duration>,
    /// From the end of the request's head to the response's head, all attempts together.
    #[schemars(extend("default" = Duration(defaults::REQUEST_TIMEOUT)))]
    pub request: Field<Duration>,
    /// The same for each attempt.
    #[schemars(extend("default" = "0s"))]
    pub attempt: Field<Duration>,
    /// Without a byte in either direction after the response's head.
    #[schemars(extend("default" = Duration(defaults::STREAM_IDLE_TIMEOUT)))]
    pub stream_idle: Field<Duration>,
    /// Without a byte in either direction after an upgrade, to a WebSocket for example.
    #[schemars(extend("default" = Duration(defaults::UPGRADED_IDLE_TIMEOUT)))]
    pub upgraded_idle: Field<Duration>,
    /// How old a connection may get before it is replaced, give or take a tenth; what is in flight on it ends first.
    #[schemars(extend("default" = Duration(defaults::MAX_CONNECTION_AGE)))]
    pub max_connection_age: Field<Duration>,
}

/// When a request is tried again.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
pub struct Retry {
    /// Tries after the first; 0 turns retries off. A refused connect is none, while another endpoint is left that has refused none lately.
    #[schemars(extend("default" = defaults::RETRY_ATTEMPTS))]
    pub attempts: Field<Number<0, 10>>,
    /// What is a reason to try again.
    #[schemars(extend("minItems" = 1, "default" = ["ConnectFailure", "Reset"]))]
    pub conditions: List<RetryCondition>,
    /// Statuses of responses that are a reason to try again.
    #[schemars(extend("default" = []))]
    pub statuses: List<Statuses>,
    /// The most that retries may add to the backend's load.
    pub budget: Field<RetryBudget>,
}

/// A reason to try a request again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename = "condition")]
#[schemars(rename = "RetryCondition")]
pub enum RetryCondition {
    /// A connection could not be established.
    ConnectFailure,
    /// A connection was reset or closed before the response's head.
    Reset,
}

/// The most that retries may add to a backend's load.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
pub struct RetryBudget {
    /// Retries for each request.
    #[schemars(extend("default" = Share(defaults::retry_ratio())))]
    pub ratio: Field<Share>,
    /// Retries in each second that are always allowed.
    #[schemars(extend("default" = defaults::RETRY_MIN_PER_SECOND))]
    pub min_per_second: Field<Number<0, 1_000_000>>,
}

/// Structs that may be written as the value of one of their keys: struct, key, what the value is.
pub(super) const SHORTHANDS: &[(&str, &str, &str)] = &[
    ("Algorithm", "name", "the name of an algorithm"),
    ("BackendRef", "name", "the name of a backend"),
    ("Endpoint", "url", "a URL"),
    ("HashKey", "source", "`ClientAddress` or `Path`"),
];

/// Keys and enum values whose place is taken by a feature that does not exist yet, by struct or enum.
pub(super) const LATER: &[(&str, &[&str])] = &[
    ("Telemetry", &["metrics"]),
    ("Listener", &["protocol"]),
    ("Backend", &["circuitBreaker", "connections", "dns", "outlierDetection"]),
    ("Filter", &["mirror"]),
];
