//! What is told about requests.

use super::{KeyPair, List};
use crate::config::decode::Field;
use crate::config::scalar::{
    AnyText, Duration, FilePath, HeaderFieldName, Number, OptionalCollector, SecretHeaderText,
    Share, Text, Token,
};
use crate::model::{Ratio, defaults};
use schemars::JsonSchema;
use serde::Deserialize;

/// What is told about requests.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
pub struct Telemetry {
    /// One JSON line for each request.
    pub access_log: Field<AccessLog>,
    /// Traces (OpenTelemetry).
    pub traces: Field<Traces>,
    /// Requests that are kept with the evidence of their picks, for people to look at.
    pub decisions: Field<Decisions>,
}

/// One JSON line for each request.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
pub struct AccessLog {
    /// Whether lines are written at all.
    #[schemars(extend("default" = true))]
    pub enabled: Field<bool>,
    /// Where they go.
    #[schemars(extend("default" = "Stdout"))]
    pub output: Field<LogOutput>,
    /// The share of requests that is logged.
    #[schemars(extend("default" = Share(Ratio::ONE)))]
    pub sample: Field<Share>,
}

/// Where the access log goes.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(rename = "output")]
#[schemars(rename = "LogOutput")]
pub enum LogOutput {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
}

/// Traces (OpenTelemetry).
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
pub struct Traces {
    /// The collector that they are sent to (OTLP). Without it, and without one in the environment, there are none.
    pub endpoint: Field<OptionalCollector>,
    /// What is spoken to the collector.
    #[schemars(extend("default" = "Grpc"))]
    pub protocol: Field<OtlpProtocol>,
    /// Header fields of every export, such as what an account is known by.
    #[schemars(extend("default" = []))]
    pub headers: List<SecretField>,
    /// Whether exports are compressed.
    #[schemars(extend("default" = "Uncompressed"))]
    pub compression: Field<Compression>,
    /// How long one export may take.
    #[schemars(extend("default" = Duration(defaults::EXPORT_TIMEOUT)))]
    pub timeout: Field<Duration>,
    /// How a collector with a `https` URL is spoken to. Without it, the system's CAs are trusted.
    pub tls: Field<CollectorTls>,
    /// The share of the traces that begin here which is sent.
    #[schemars(extend("default" = Share(Ratio::ONE)))]
    pub sample: Field<Share>,
    /// What the decision of a caller that traces already counts for.
    #[schemars(extend("default" = "Follow"))]
    pub parents: Field<Parents>,
    /// Traces that are sent whatever `sample` says, of those that begin here.
    pub keep: Field<Keep>,
    /// How a trace is read from requests and passed on to endpoints: the first that a request has counts, all are written.
    #[schemars(extend("default" = ["TraceContext"]))]
    pub propagation: List<Propagator>,
    /// The name under which traces show this process (`service.name`).
    #[schemars(extend("default" = defaults::SERVICE_NAME))]
    pub service_name: Field<Text>,
    /// What else is said of this process.
    #[schemars(extend("default" = []))]
    pub resource_attributes: List<ResourceAttribute>,
    /// Spans that wait to be sent.
    pub queue: Field<SpanQueue>,
}

/// What is spoken to a collector.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename = "protocol")]
#[schemars(rename = "OtlpProtocol")]
pub enum OtlpProtocol {
    /// gRPC, usually at port 4317.
    Grpc,
    /// Protobuf in requests of HTTP/1.1, usually at port 4318.
    HttpProtobuf,
}

/// A header field that nobody is shown the value of.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
#[schemars(extend("required" = ["name", "value"]))]
pub struct SecretField {
    /// Its name.
    pub name: Field<HeaderFieldName>,
    /// Its value.
    pub value: Field<SecretHeaderText>,
}

/// How exports are compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename = "compression")]
#[schemars(rename = "Compression")]
pub enum Compression {
    /// With gzip.
    Gzip,
    /// Not at all.
    Uncompressed,
}

/// How a collector with a `https` URL is spoken to.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
pub struct CollectorTls {
    /// The certificates of the CAs that may have issued its own, in PEM; the system's CAs by default.
    pub ca_file: Field<FilePath>,
    /// What is shown to a collector that asks for a certificate.
    pub client_certificate: Field<KeyPair>,
}

/// What the decision of a caller that traces already counts for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename = "treatment of parents")]
#[schemars(rename = "Parents")]
pub enum Parents {
    /// It is followed.
    Follow,
    /// `sample` decides anew; the trace remains the caller's.
    Ignore,
}

/// Traces that are sent whatever `sample` says.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
pub struct Keep {
    /// Those of requests that were answered with a 5xx, or not at all.
    #[schemars(extend("default" = true))]
    pub errors: Field<bool>,
    /// Those of requests that were tried more than once.
    #[schemars(extend("default" = true))]
    pub retries: Field<bool>,
    /// Those of requests whose response's head took longer; `0s` for none.
    #[schemars(extend("default" = Duration(defaults::SLOWER_THAN)))]
    pub slower_than: Field<Duration>,
}

/// A form in which a trace is passed on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Deserialize, JsonSchema)]
#[serde(rename = "form of propagation")]
#[schemars(rename = "Propagator")]
pub enum Propagator {
    /// `traceparent` and `tracestate` (W3C Trace Context).
    TraceContext,
    /// `b3`, the one field of Zipkin.
    B3,
    /// `X-B3-TraceId` and the like, the several fields of Zipkin.
    B3Multi,
}

/// Something that is said of this process.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
#[schemars(extend("required" = ["name", "value"]))]
pub struct ResourceAttribute {
    /// Its name, such as `deployment.environment.name`.
    pub name: Field<Text>,
    /// Its value.
    pub value: Field<AnyText>,
}

/// Spans that wait to be sent.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
pub struct SpanQueue {
    /// How many wait at most. Those beyond are dropped, and counted: no request ever waits for them.
    #[schemars(extend("default" = defaults::MAX_SPANS))]
    pub max_spans: Field<Number<1, 1_000_000>>,
    /// How many one export has at most; no more than `maxSpans`.
    #[schemars(extend("default" = defaults::MAX_SPAN_BATCH))]
    pub max_batch: Field<Number<1, 1_000_000>>,
    /// How long one waits for others at most.
    #[schemars(extend("default" = Duration(defaults::SPAN_DELAY)))]
    pub delay: Field<Duration>,
}

/// Requests that are kept with the evidence of their picks.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
pub struct Decisions {
    /// The share of requests that is kept though nothing is special about them. Those that failed or were tried again are always.
    #[schemars(extend("default" = Share(defaults::DECISIONS_SAMPLE)))]
    pub sample: Field<Share>,
    /// From when on a request is slow, and kept for that: time to the response's head; `0s` for never.
    #[schemars(extend("default" = Duration(defaults::SLOWER_THAN)))]
    pub slower_than: Field<Duration>,
    /// A request with this in `X-Outrigger-Debug` is answered with its decision.
    pub debug_token: Field<Token>,
}
