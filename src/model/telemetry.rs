//! What is told about requests: the access log, traces, and the decisions that are kept.

use super::{KeyPair, Pem, Ratio, defaults};
use http::{HeaderName, HeaderValue};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// Traces: which requests have one, and where they go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Traces {
    /// Where spans go.
    pub exporter: TraceExporter,
    /// Which requests are traced.
    pub sampling: Sampling,
    /// In which forms a trace is passed on.
    pub propagation: Propagation,
}

/// Where spans go, and how. What differs here is another exporter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TraceExporter {
    /// The collector's URL, `http` or `https`, for [`OtlpProtocol::HttpProtobuf`] with the whole path (`…/v1/traces`).
    pub endpoint: Arc<str>,
    /// What is spoken to it.
    pub protocol: OtlpProtocol,
    /// Fields sent with every export.
    pub headers: Vec<SecretField>,
    /// Whether exports are compressed with gzip.
    pub gzip: bool,
    /// How long one export may take.
    pub timeout: Duration,
    /// Who may have issued the collector's certificate; `None` for the system's roots.
    pub ca: Option<Pem>,
    /// What we show when it asks for a certificate.
    pub client_certificate: Option<KeyPair>,
    /// The most spans that wait; what comes beyond is dropped and counted.
    pub max_queue_size: usize,
    /// The most spans in one export; at most `max_queue_size`.
    pub max_batch_size: usize,
    /// How long a span waits for others at most.
    pub batch_delay: Duration,
    /// What is said of this process (`service.name` and the like), by key, each once, sorted.
    pub resource: Vec<(Arc<str>, Arc<str>)>,
}

/// A field whose value may be a secret: shown to nobody.
#[derive(Clone, PartialEq, Eq)]
pub struct SecretField {
    /// Its name.
    pub name: HeaderName,
    /// Its value.
    pub value: HeaderValue,
}

/// The transport of OTLP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OtlpProtocol {
    /// gRPC.
    Grpc,
    /// Protobuf in the bodies of HTTP/1.1 requests.
    HttpProtobuf,
}

/// Which requests are traced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sampling {
    /// The share of traces that begin here.
    pub ratio: Ratio,
    /// What a caller's own decision counts for.
    pub parents: Parents,
    /// Traces that are kept whatever chance said, of those that begin here.
    pub keep: Keep,
}

/// What the decision of a caller that traces already counts for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Parents {
    /// It is followed.
    Follow,
    /// We decide anew, by ratio; the trace remains the caller's.
    Ignore,
}

/// What makes a request worth keeping.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Keep {
    /// An answer of class 5xx, or none.
    pub errors: bool,
    /// More than one try.
    pub retries: bool,
    /// More time than this to the response's head.
    pub slower_than: Option<Duration>,
}

/// In which forms a trace is read and passed on. The first one found, in this order, counts. Without any, every trace begins and
/// ends here, and what clients send passes as it came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Propagation {
    /// `traceparent` and `tracestate` (W3C Trace Context).
    pub trace_context: bool,
    /// `b3` (one field).
    pub b3: bool,
    /// `X-B3-TraceId` and the like (several fields).
    pub b3_multi: bool,
}

/// Requests that are kept with the evidence of their picks, for people to look at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decisions {
    /// The share of requests that are kept though nothing is special about them.
    pub sample: Ratio,
    /// From when on a request is slow, which is special; `None` for never. Time to the response's head.
    pub slower_than: Option<Duration>,
    /// A request that has this in `X-Outrigger-Debug` is answered with its decision.
    pub debug_token: Option<SecretText>,
}

/// A text that is a secret: shown to nobody.
#[derive(Clone, PartialEq, Eq)]
pub struct SecretText(pub Arc<str>);

impl Default for Decisions {
    fn default() -> Self {
        Self {
            sample: defaults::DECISIONS_SAMPLE,
            slower_than: Some(defaults::SLOWER_THAN),
            debug_token: None,
        }
    }
}

impl fmt::Debug for SecretField {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SecretField").field("name", &self.name).finish_non_exhaustive()
    }
}

impl fmt::Debug for SecretText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretText")
    }
}

impl TraceExporter {
    /// The files that it names.
    pub fn files(&self) -> impl Iterator<Item = &Pem> {
        let pair = self.client_certificate.iter();
        self.ca.iter().chain(pair.flat_map(|pair| [&pair.cert, &pair.key]))
    }
}
