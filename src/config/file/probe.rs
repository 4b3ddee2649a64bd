//! Probes.

use super::List;
use crate::config::decode::Field;
use crate::config::scalar::{Duration, HostHeader, Number, ProbePath, Share, Statuses, Text};
use crate::config::schema::notes::exactly_one;
use crate::model::{Ratio, defaults};
use schemars::JsonSchema;
use serde::Deserialize;

/// The check that finds endpoints healthy or unhealthy. It has exactly one of `http`, `tcp` and `grpc`.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
#[schemars(transform = exactly_one(&["http", "tcp", "grpc"]))]
pub struct HealthProbe {
    /// A GET request.
    pub http: Field<HttpCheck>,
    /// A TCP connection that is established: `tcp: {}`.
    pub tcp: Field<TcpCheck>,
    /// A call of `grpc.health.v1.Health/Check`. It wants `protocol: Http2` or `protocol: H2c`.
    pub grpc: Field<GrpcCheck>,
    /// From the start of one probe to the start of the next.
    #[schemars(extend("default" = Duration(defaults::HEALTH_PROBE_INTERVAL)))]
    pub interval: Field<Duration>,
    /// How long an answer may take.
    #[schemars(extend("default" = Duration(defaults::HEALTH_PROBE_TIMEOUT)))]
    pub timeout: Field<Duration>,
    /// Successes in a row that make an unhealthy endpoint healthy.
    #[schemars(extend("default" = defaults::HEALTHY_AFTER))]
    pub healthy_after: Field<Number<1, 1000>>,
    /// Failures in a row that make a healthy endpoint unhealthy.
    #[schemars(extend("default" = defaults::UNHEALTHY_AFTER))]
    pub unhealthy_after: Field<Number<1, 1000>>,
    /// When a smaller share of the endpoints than this is healthy, or none is, all count as healthy.
    #[schemars(extend("default" = Share(Ratio::ZERO)))]
    pub minimum_healthy: Field<Share>,
}

/// The check that keeps the latency of idle endpoints known. It has exactly one of `http`, `tcp` and `grpc`.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
#[schemars(transform = exactly_one(&["http", "tcp", "grpc"]))]
pub struct LatencyProbe {
    /// A GET request.
    pub http: Field<HttpCheck>,
    /// A TCP connection that is established: `tcp: {}`.
    pub tcp: Field<TcpCheck>,
    /// A call of `grpc.health.v1.Health/Check`. It wants `protocol: Http2` or `protocol: H2c`.
    pub grpc: Field<GrpcCheck>,
    /// From the start of one probe to the start of the next.
    #[schemars(extend("default" = Duration(defaults::LATENCY_PROBE_INTERVAL)))]
    pub interval: Field<Duration>,
    /// How long an answer may take.
    #[schemars(extend("default" = Duration(defaults::LATENCY_PROBE_TIMEOUT)))]
    pub timeout: Field<Duration>,
}

/// A GET request and what its answer has to be.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
pub struct HttpCheck {
    /// Path and query, below the endpoint's own path.
    #[schemars(extend("default" = "/"))]
    pub path: Field<ProbePath>,
    /// The `Host` header; the endpoint's own host and port by default.
    pub host: Field<HostHeader>,
    /// Status codes that count as success.
    #[schemars(extend("minItems" = 1, "default" = [Statuses(defaults::PROBE_STATUSES.0, defaults::PROBE_STATUSES.1)]))]
    pub statuses: List<Statuses>,
    /// Text that has to occur in the first 64 KiB of the body.
    pub body: Field<Text>,
}

/// A TCP connection that is established. It has no keys.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct TcpCheck {}

/// A call of the standard health service of gRPC, whose answer has to be `SERVING`.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
pub struct GrpcCheck {
    /// The service that is asked for; the server as a whole by default.
    pub service: Field<Text>,
}
