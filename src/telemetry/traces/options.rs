//! Where spans go, and how.

use http::{HeaderName, HeaderValue, Uri};
use rustls::ClientConfig;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// Where spans go, and how.
#[derive(Clone)]
pub struct Options {
    /// The collector's URL, `http` or `https`, for people.
    pub endpoint: Arc<str>,
    /// The same; for [`Protocol::HttpProtobuf`] with the whole path.
    pub uri: Uri,
    /// What is spoken to it.
    pub protocol: Protocol,
    /// Fields sent with every export.
    pub headers: Vec<(HeaderName, HeaderValue)>,
    /// Whether exports are compressed with gzip.
    pub gzip: bool,
    /// How long one try to export may take.
    pub timeout: Duration,
    /// For an `https` URL. ALPN asks for HTTP/2 where `protocol` is gRPC.
    pub tls: Option<Arc<ClientConfig>>,
    /// The most spans that wait; what comes beyond is dropped.
    pub max_queue_size: usize,
    /// The most spans in one export.
    pub max_batch_size: usize,
    /// How long a span waits for others at most.
    pub batch_delay: Duration,
    /// What is said of this process, by key.
    pub resource: Vec<(Arc<str>, Arc<str>)>,
}

/// The transport of OTLP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// gRPC.
    Grpc,
    /// Protobuf in the bodies of HTTP/1.1 requests.
    HttpProtobuf,
}

/// Values of fields may be secrets.
impl fmt::Debug for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Options").field("endpoint", &self.endpoint).finish_non_exhaustive()
    }
}
