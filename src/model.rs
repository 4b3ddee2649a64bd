//! The validated configuration as plain data: every default filled in, every reference checked.
//!
//! Two equal models are the same configuration, however their files were written.

pub mod path;
mod route;
mod service;
mod telemetry;
mod tls;
pub mod words;

pub use ipnet::IpNet;
pub use route::{
    Answer, BackendRef, Filters, FixedResponse, HeaderChanges, HeaderMatch, HostPattern, Match,
    Overrides, PathMatch, PathRewrite, QueryMatch, Redirect, Regex, Rewrite, Route, Scheme,
    ValueMatch,
};
pub use service::{EndpointSource, IpFamily, Service, ServiceMode, ServicePort};
pub use telemetry::{
    Decisions, Keep, OtlpProtocol, Parents, Propagation, Sampling, SecretField, SecretText,
    TraceExporter, Traces,
};
pub use tls::{BackendTls, ClientAuth, ClientAuthMode, KeyPair, ListenerTls, Pem, TlsVersion};

use http::HeaderName;
use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

/// One validated configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Model {
    /// Address of the admin port; `None` when it is turned off.
    pub admin: Option<SocketAddr>,
    /// Address of the probes port (`/livez`, `/readyz`, `/metrics` only); off by default.
    pub probes: Option<SocketAddr>,
    /// Number of worker threads; 0 means one per available core.
    pub workers: usize,
    /// How the process ends.
    pub shutdown: Shutdown,
    /// The access log.
    pub access_log: AccessLog,
    /// Traces; `None` when there are none.
    pub traces: Option<Traces>,
    /// Requests that are kept with the evidence of their picks.
    pub decisions: Decisions,
    /// Addresses to accept on; at least one, names and addresses unique.
    pub listeners: Vec<Listener>,
    /// Which requests go where, names unique; at least one: without routes in the file, the one that takes everything to the
    /// only backend.
    pub routes: Vec<Route>,
    /// Named sets of endpoints; at least one, names unique.
    pub backends: Vec<Backend>,
}

impl Model {
    /// The files that it names, as often as it does: certificates, keys, CAs, revocation lists. Their paths are as in the
    /// configuration, seen from its folder.
    pub fn files(&self) -> impl Iterator<Item = &Pem> {
        let listeners = self.listeners.iter().filter_map(|listener| listener.tls.as_ref());
        let backends = self.backends.iter().map(|backend| &backend.tls);
        let traces = self.traces.iter().flat_map(|traces| traces.exporter.files());
        listeners
            .flat_map(ListenerTls::files)
            .chain(backends.flat_map(BackendTls::files))
            .chain(traces)
    }
}

/// How the process ends after SIGTERM.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shutdown {
    /// How long connections are still accepted while the process already says that it is not ready.
    pub drain_delay: Duration,
    /// How long, after that, requests in flight may take to end.
    pub drain_timeout: Duration,
}

/// The access log: one JSON line per request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AccessLog {
    /// Whether lines are written at all.
    pub enabled: bool,
    /// Where they go.
    pub output: LogOutput,
    /// The share of requests that is logged.
    pub sample: Ratio,
}

/// Where the access log goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogOutput {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
}

/// An address we accept on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listener {
    /// Its name.
    pub name: Arc<str>,
    /// The address; port 0 lets the system choose one.
    pub address: SocketAddr,
    /// TLS, if it ends here.
    pub tls: Option<ListenerTls>,
    /// Whether trusted proxies say in front of each connection who the client is.
    pub proxy_protocol: ProxyProtocol,
    /// What a client may ask of us.
    pub limits: Limits,
    /// Whose word on the client (`X-Forwarded-For` and the like) is believed: proxies before us.
    pub trusted_proxies: Vec<IpNet>,
}

/// Whether a connection may or must begin with a header of the PROXY protocol. Only that of a trusted proxy is believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProxyProtocol {
    /// There is none.
    Disabled,
    /// Trusted proxies may send one.
    Accept,
    /// Who sends none is turned away, and so is who is not trusted.
    Require,
}

/// What a client may ask of a listener. `None` is "no limit".
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// For a TLS handshake, and for a header of the PROXY protocol.
    pub handshake_timeout: Option<Duration>,
    /// From the first byte of a request's head to its last.
    pub header_timeout: Option<Duration>,
    /// Between two pieces of a request's body.
    pub body_timeout: Option<Duration>,
    /// How long a connection without a request is kept.
    pub idle_timeout: Option<Duration>,
    /// How long a client may take nothing of what is to be written.
    pub write_timeout: Option<Duration>,
    /// How old a connection may get before it is asked to close, give or take a tenth.
    pub max_connection_age: Option<Duration>,
    /// Connections at once; further ones wait to be accepted.
    pub max_connections: Option<usize>,
    /// Requests at once on one HTTP/2 connection.
    pub max_concurrent_streams: u32,
    /// Size of a request's head, in bytes.
    pub max_header_bytes: usize,
    /// Number of header fields of a request.
    pub max_headers: usize,
    /// Size of a request's body, in bytes.
    pub max_body_bytes: Option<u64>,
}

/// A named set of endpoints with one algorithm and its policies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Backend {
    /// Its name.
    pub name: Arc<str>,
    /// How it picks an endpoint.
    pub algorithm: Algorithm,
    /// What is hashed, and how; there exactly when the algorithm hashes.
    pub hashing: Option<Hashing>,
    /// Whether a client stays with the endpoint that it was given first.
    pub session_affinity: Option<SessionAffinity>,
    /// How endpoints that are new, or healthy again, get their share.
    pub slow_start: Option<SlowStart>,
    /// Where its endpoints come from.
    pub source: EndpointSource,
    /// Its endpoints, URLs unique; at least one where they are listed. Those that a Service has are not known to who has read
    /// nothing but the configuration.
    pub endpoints: Vec<Endpoint>,
    /// What is spoken to them.
    pub protocol: Protocol,
    /// How those with `https` URLs are spoken to.
    pub tls: BackendTls,
    /// Whether each connection to them begins with a header of the PROXY protocol that names the client.
    pub proxy_protocol: Option<ProxyProtocolVersion>,
    /// The check that finds endpoints healthy or unhealthy.
    pub health_probe: Option<HealthProbe>,
    /// The check that keeps the latency of idle endpoints known.
    pub latency_probe: Option<LatencyProbe>,
    /// How long we wait for its endpoints.
    pub timeouts: Timeouts,
    /// When a request is tried again.
    pub retry: Retry,
}

/// What is spoken to endpoints.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// HTTP/1.1.
    Http1,
    /// HTTP/2 over TLS, agreed upon by ALPN.
    Http2,
    /// HTTP/2 without TLS, by prior knowledge (RFC 9113, section 3.3).
    H2c,
}

/// The form of a header of the PROXY protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProxyProtocolVersion {
    /// A line of text.
    V1,
    /// Binary.
    V2,
}

/// How a backend picks an endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Algorithm {
    /// Each in turn, smoothly by weight.
    RoundRobin,
    /// By chance and weight.
    Random,
    /// The fewest requests in flight for its weight.
    LeastConnections,
    /// The least expected time: latency times the requests in flight.
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

impl Algorithm {
    /// Every algorithm, in the order of the documentation.
    pub const ALL: [Self; 8] = [
        Self::RoundRobin,
        Self::Random,
        Self::LeastConnections,
        Self::LeastResponseTime,
        Self::PowerOfTwoChoices,
        Self::PeakEwma,
        Self::SourceIpHash,
        Self::ConsistentHash,
    ];

    /// Its name in configuration, logs and metrics.
    pub const fn name(self) -> &'static str {
        match self {
            Self::RoundRobin => "RoundRobin",
            Self::Random => "Random",
            Self::LeastConnections => "LeastConnections",
            Self::LeastResponseTime => "LeastResponseTime",
            Self::PowerOfTwoChoices => "PowerOfTwoChoices",
            Self::PeakEwma => "PeakEwma",
            Self::SourceIpHash => "SourceIpHash",
            Self::ConsistentHash => "ConsistentHash",
        }
    }
}

impl fmt::Display for Algorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// What a hashing algorithm hashes, and how it goes from the hash to an endpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hashing {
    /// What requests with the same endpoint have in common.
    pub key: HashKey,
    /// From the hash to an endpoint.
    pub table: HashTable,
    /// When set, at least 1: an endpoint with more than this multiple of the mean load is passed over for the next one.
    pub bounded_load: Option<Ratio>,
}

impl Hashing {
    /// That of [`Algorithm::SourceIpHash`].
    pub const SOURCE_IP: Self =
        Self { key: HashKey::ClientAddress, table: HashTable::Maglev, bounded_load: None };
}

/// What of a request is hashed. A request that lacks it is given to an endpoint by chance.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HashKey {
    /// The value of a header field; the first, if there are several.
    Header(HeaderName),
    /// The value of a cookie.
    Cookie(Arc<str>),
    /// The value of a parameter of the query; the first, if there are several.
    Query(Arc<str>),
    /// The client's address, without its port.
    ClientAddress,
    /// The path, without the query.
    Path,
}

/// How a hash becomes an endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HashTable {
    /// A table filled by permutations (Eisenbud et al., "Maglev", 2016): the most even shares, few moves.
    Maglev,
    /// Points on a ring (Karger et al., "Consistent hashing and random trees", 1997): the fewest moves, less even shares.
    Ring,
}

/// How a client stays with the endpoint that it was given first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionAffinity {
    /// The name of the cookie that names the endpoint.
    pub cookie: Arc<str>,
    /// How long the client keeps it; `None` until its session ends.
    pub ttl: Option<Duration>,
    /// The path below which the client sends it.
    pub path: Arc<str>,
}

/// How endpoints that are new, or healthy again, get their share: a growing one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SlowStart {
    /// How long it takes until their share is whole.
    pub window: Duration,
    /// The part of their weight that they begin with.
    pub minimum_weight: Ratio,
}

/// One endpoint of a backend.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// Where it is.
    pub url: EndpointUrl,
    /// Its share relative to the others'; 0 gets no traffic.
    pub weight: u32,
    /// The zone in which it is, where Kubernetes tells that.
    pub zone: Option<Arc<str>>,
}

/// An endpoint's URL, normalised: the endpoint's identity within its backend.
///
/// Normalised means: lower-case scheme and host, the port always known, no trailing slash, no `.` or `..` segments.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct EndpointUrl {
    /// Whether TLS is spoken.
    pub scheme: Scheme,
    /// Host name or address literal as it stands in the `Host` header (IPv6 in brackets), lower case.
    pub host: Arc<str>,
    /// TCP port.
    pub port: u16,
    /// What is put before the path of each request: empty, or `/` and segments without a trailing slash.
    pub path: Arc<str>,
}

impl EndpointUrl {
    /// The host and port as a `Host` header has them: without the scheme's default port.
    pub fn authority(&self) -> String {
        match self.port == self.scheme.default_port() {
            true => self.host.to_string(),
            false => format!("{}:{}", self.host, self.port),
        }
    }
}

impl fmt::Display for EndpointUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}{}", self.scheme.as_str(), self.authority(), self.path)
    }
}

/// A check of every endpoint of a backend, sent by us.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Probe {
    /// What is sent and expected.
    pub check: ProbeCheck,
    /// From the start of one to the start of the next.
    pub interval: Duration,
    /// How long an answer may take; after that the probe has failed.
    pub timeout: Duration,
}

/// What a probe sends and expects.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ProbeCheck {
    /// A GET request.
    Http {
        /// Path and query, below the endpoint's own path.
        path: Arc<str>,
        /// The `Host` header; the endpoint's authority when absent.
        host: Option<Arc<str>>,
        /// Inclusive ranges of status codes that count as success.
        statuses: Vec<(u16, u16)>,
        /// Text that must occur in the first 64 KiB of the body.
        body: Option<Arc<str>>,
    },
    /// A TCP connection that is established.
    Tcp,
    /// A call of `grpc.health.v1.Health/Check`.
    Grpc {
        /// The service that is asked for; empty for the server as a whole.
        service: Arc<str>,
    },
}

/// The health probe of a backend.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HealthProbe {
    /// What is sent, and how often.
    pub probe: Probe,
    /// Successes in a row that make an unhealthy endpoint healthy.
    pub healthy_after: u32,
    /// Failures in a row that make a healthy endpoint unhealthy.
    pub unhealthy_after: u32,
    /// When a smaller share of the endpoints than this is healthy, or none is, all count as healthy.
    pub minimum_healthy: Ratio,
}

/// The latency probe of a backend.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LatencyProbe {
    /// What is sent, and how often.
    pub probe: Probe,
}

/// How long we wait for the endpoints of a backend. `None` is "no limit".
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timeouts {
    /// For a TCP connection to be established.
    pub connect: Option<Duration>,
    /// From the end of the request's head to the response's head, all attempts together.
    pub request: Option<Duration>,
    /// The same for each attempt.
    pub attempt: Option<Duration>,
    /// Without a byte in either direction after the response's head.
    pub stream_idle: Option<Duration>,
    /// Without a byte in either direction after an upgrade.
    pub upgraded_idle: Option<Duration>,
    /// How old a connection may get before it is replaced, give or take a tenth; what is in flight on it ends first.
    pub max_connection_age: Option<Duration>,
}

/// When a request is tried again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Retry {
    /// Tries after the first; 0 turns retries off. A refused connect is none, while another endpoint is left that has refused none lately.
    pub attempts: u32,
    /// What is a reason.
    pub conditions: RetryConditions,
    /// Inclusive ranges of the response statuses that are a reason.
    pub statuses: Vec<(u16, u16)>,
    /// The most that retries may add to the backend's load.
    pub budget: RetryBudget,
}

/// What is a reason to try a request again, besides the response's status.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RetryConditions {
    /// A connection could not be established.
    pub connect_failure: bool,
    /// A connection was reset or closed before the response's head, or the time of the attempt was over.
    pub reset: bool,
}

impl RetryConditions {
    /// Every reason.
    pub const ALL: Self = Self { connect_failure: true, reset: true };
}

/// The most that retries may add to a backend's load.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RetryBudget {
    /// Retries per request.
    pub ratio: Ratio,
    /// Retries per second that are always allowed.
    pub min_per_second: u32,
}

/// A share, exact to one millionth so that it can be compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ratio(u32);

impl Ratio {
    /// Nothing.
    pub const ZERO: Self = Self(0);
    /// Everything.
    pub const ONE: Self = Self(1_000_000);

    /// The share nearest to `value`; negative values and NaN become zero.
    pub fn new(value: f64) -> Self {
        Self((value * 1e6).round() as u32)
    }

    /// The share as a fraction, 1.0 being everything.
    pub fn value(self) -> f64 {
        f64::from(self.0) / 1e6
    }
}

/// The defaults of the configuration: one home for all of them.
pub mod defaults {
    use super::Ratio;
    use std::time::Duration;

    /// `admin.address`.
    pub const ADMIN_ADDRESS: &str = "127.0.0.1:9900";
    /// `telemetry.decisions.sample`.
    pub const DECISIONS_SAMPLE: Ratio = Ratio(10_000);
    /// `telemetry.decisions.slowerThan` and `telemetry.traces.keep.slowerThan`.
    pub const SLOWER_THAN: Duration = Duration::from_secs(1);
    /// The fewest characters of `telemetry.decisions.debugToken`.
    pub const MIN_DEBUG_TOKEN: usize = 16;
    /// `telemetry.traces.timeout`.
    pub const EXPORT_TIMEOUT: Duration = Duration::from_secs(10);
    /// `telemetry.traces.serviceName`.
    pub const SERVICE_NAME: &str = "outrigger";
    /// `telemetry.traces.queue.maxSpans`.
    pub const MAX_SPANS: usize = 16_384;
    /// `telemetry.traces.queue.maxBatch`.
    pub const MAX_SPAN_BATCH: usize = 512;
    /// `telemetry.traces.queue.delay`.
    pub const SPAN_DELAY: Duration = Duration::from_secs(1);
    /// `shutdown.drainDelay`.
    pub const DRAIN_DELAY: Duration = Duration::from_secs(5);
    /// `shutdown.drainTimeout`.
    pub const DRAIN_TIMEOUT: Duration = Duration::from_secs(30);
    /// `listeners[].limits.headerTimeout`.
    pub const HEADER_TIMEOUT: Duration = Duration::from_secs(10);
    /// `listeners[].limits.bodyTimeout`.
    pub const BODY_TIMEOUT: Duration = Duration::from_secs(30);
    /// `listeners[].limits.idleTimeout`.
    pub const IDLE_TIMEOUT: Duration = Duration::from_secs(75);
    /// `listeners[].limits.handshakeTimeout`.
    pub const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);
    /// `listeners[].limits.writeTimeout`.
    pub const WRITE_TIMEOUT: Duration = Duration::from_secs(60);
    /// `listeners[].limits.maxConnectionAge` and `backends[].timeouts.maxConnectionAge`.
    pub const MAX_CONNECTION_AGE: Duration = Duration::from_secs(3600);
    /// `listeners[].limits.maxConcurrentStreams`.
    pub const MAX_CONCURRENT_STREAMS: u32 = 128;
    /// `listeners[].limits.maxHeaderBytes`.
    pub const MAX_HEADER_BYTES: usize = 64 * 1024;
    /// `listeners[].limits.maxHeaders`.
    pub const MAX_HEADERS: usize = 128;
    /// `backends[].timeouts.connect`.
    pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
    /// `backends[].timeouts.request`.
    pub const REQUEST_TIMEOUT: Duration = Duration::from_secs(60);
    /// `backends[].timeouts.streamIdle`.
    pub const STREAM_IDLE_TIMEOUT: Duration = Duration::from_secs(300);
    /// `backends[].timeouts.upgradedIdle`.
    pub const UPGRADED_IDLE_TIMEOUT: Duration = Duration::from_secs(3600);
    /// `backends[].retry.attempts`.
    pub const RETRY_ATTEMPTS: u32 = 2;
    /// `backends[].retry.budget.minPerSecond`.
    pub const RETRY_MIN_PER_SECOND: u32 = 3;
    /// `backends[].healthProbe.interval`.
    pub const HEALTH_PROBE_INTERVAL: Duration = Duration::from_secs(5);
    /// `backends[].healthProbe.timeout`.
    pub const HEALTH_PROBE_TIMEOUT: Duration = Duration::from_secs(2);
    /// `backends[].healthProbe.http.statuses` and `backends[].latencyProbe.http.statuses`.
    pub const PROBE_STATUSES: (u16, u16) = (200, 399);
    /// `backends[].healthProbe.healthyAfter`.
    pub const HEALTHY_AFTER: u32 = 2;
    /// `backends[].healthProbe.unhealthyAfter`.
    pub const UNHEALTHY_AFTER: u32 = 3;
    /// `backends[].latencyProbe.interval`.
    pub const LATENCY_PROBE_INTERVAL: Duration = Duration::from_secs(1);
    /// `backends[].latencyProbe.timeout`.
    pub const LATENCY_PROBE_TIMEOUT: Duration = Duration::from_secs(5);
    /// `backends[].sessionAffinity.cookie.name`.
    pub const AFFINITY_COOKIE: &str = "outrigger";
    /// `backends[].sessionAffinity.cookie.path`.
    pub const AFFINITY_PATH: &str = "/";
    /// `backends[].slowStart.window`.
    pub const SLOW_START_WINDOW: Duration = Duration::from_secs(30);
    /// `routes[].filters[].redirect.status`.
    pub const REDIRECT_STATUS: u16 = 302;
    /// `routes[].filters[].respond.status`.
    pub const RESPOND_STATUS: u16 = 200;
    /// `routes[].filters[].respond.contentType`.
    pub const RESPOND_CONTENT_TYPE: &str = "text/plain; charset=utf-8";
    /// `backends[].endpoints[].weight` and `routes[].backends[].weight`.
    pub const WEIGHT: u32 = 1;
    /// The greatest weight of an endpoint, or of a backend in a route.
    pub const MAX_WEIGHT: u32 = 1000;

    /// `backends[].slowStart.minimumWeight`.
    pub fn slow_start_minimum_weight() -> Ratio {
        Ratio::new(0.1)
    }

    /// `backends[].retry.budget.ratio`.
    pub fn retry_ratio() -> Ratio {
        Ratio::new(0.2)
    }
}
