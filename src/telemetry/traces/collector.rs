//! A collector, and one try to give it spans.
//!
//! The messages are those of `opentelemetry-proto`; sending them is ours. `opentelemetry-otlp` would do it, but only logs how
//! many spans a collector rejected, which have to be counted, and adds what it finds in the environment to what the
//! configuration says.

use super::connector::Connector;
use super::options::{Options, Protocol};
use super::outcome::Outcome;
use super::{grpc, http_protobuf};
use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use http::uri::PathAndQuery;
use http::{HeaderMap, HeaderValue, Request, Uri, header};
use http_body_util::{BodyExt, Full, Limited};
use hyper_util::client::legacy::Client;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use opentelemetry::KeyValue;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::transform::common::tonic::ResourceAttributesWithSchema;
use opentelemetry_proto::transform::trace::tonic::group_spans_by_resource_and_scope;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::SpanData;
use prost::Message;
use rustls::ClientConfig;
use std::error::Error;
use std::io::Write;
use std::sync::Arc;
use std::time::Duration;

/// The longest answer that is read.
const MAX_ANSWER: usize = 1 << 20;

const USER_AGENT: &str = concat!("Outrigger/", env!("CARGO_PKG_VERSION"));

/// Where spans go.
pub(super) struct Collector {
    client: Client<Connector, Full<Bytes>>,
    tls: Option<Arc<ClientConfig>>,
    protocol: Protocol,
    uri: Uri,
    headers: HeaderMap,
    gzip: bool,
    timeout: Duration,
    resource: ResourceAttributesWithSchema,
}

impl Collector {
    /// The one that `options` name. No connection is made yet.
    pub(super) fn new(options: &Options) -> Self {
        let Options { protocol, gzip, timeout, tls, .. } = options;
        let attributes = options.resource.iter();
        let attributes = attributes.map(|(key, value)| KeyValue::new(key.clone(), value.clone()));
        let resource = Resource::builder_empty().with_attributes(attributes).build();
        Self {
            client: client(*protocol, tls.clone()),
            tls: tls.clone(),
            protocol: *protocol,
            uri: uri(options),
            headers: headers(options),
            gzip: *gzip,
            timeout: *timeout,
            resource: (&resource).into(),
        }
    }

    /// The body of a request that exports `spans`.
    pub(super) fn body(&self, spans: Vec<SpanData>) -> Bytes {
        let resource_spans = group_spans_by_resource_and_scope(spans, &self.resource);
        let message = ExportTraceServiceRequest { resource_spans }.encode_to_vec();
        let message = if self.gzip { gzip(&message) } else { message };
        match self.protocol {
            Protocol::Grpc => grpc::frame(&message, self.gzip),
            Protocol::HttpProtobuf => message.into(),
        }
    }

    /// Tries once to export what `body` has.
    pub(super) async fn send(&mut self, body: Bytes) -> Outcome {
        match tokio::time::timeout(self.timeout, self.call(body)).await {
            Ok(Ok(outcome)) => outcome,
            Ok(Err(error)) => Outcome::Later { after: None, because: in_full(&*error) },
            Err(_) => {
                // Its connection may be dead without anybody having said so.
                self.client = client(self.protocol, self.tls.clone());
                let because = format!("it does not answer within {:?}", self.timeout);
                Outcome::Later { after: None, because }
            }
        }
    }

    async fn call(&self, body: Bytes) -> Result<Outcome, Box<dyn Error + Send + Sync>> {
        let mut request = Request::post(self.uri.clone()).body(Full::new(body))?;
        *request.headers_mut() = self.headers.clone();
        let (head, body) = self.client.request(request).await?.into_parts();
        let body = Limited::new(body, MAX_ANSWER).collect().await?;
        let trailers = body.trailers().cloned();
        let body = body.to_bytes();
        Ok(match self.protocol {
            Protocol::Grpc => grpc::outcome(head.status, &head.headers, trailers.as_ref(), &body),
            Protocol::HttpProtobuf => http_protobuf::outcome(head.status, &head.headers, &body),
        })
    }
}

fn client(protocol: Protocol, tls: Option<Arc<ClientConfig>>) -> Client<Connector, Full<Bytes>> {
    Client::builder(TokioExecutor::new())
        .pool_timer(TokioTimer::new())
        .http2_only(protocol == Protocol::Grpc)
        .build(Connector::new(tls))
}

fn uri(options: &Options) -> Uri {
    let mut parts = options.uri.clone().into_parts();
    match options.protocol {
        Protocol::Grpc => parts.path_and_query = Some(PathAndQuery::from_static(grpc::EXPORT)),
        Protocol::HttpProtobuf => {}
    }
    Uri::from_parts(parts).unwrap_or_else(|_| options.uri.clone())
}

fn headers(options: &Options) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in &options.headers {
        headers.append(name, value.clone());
    }
    let mut set = |name, value| headers.insert(name, HeaderValue::from_static(value));
    set(header::USER_AGENT, USER_AGENT);
    match options.protocol {
        Protocol::Grpc => {
            set(header::CONTENT_TYPE, "application/grpc");
            set(header::TE, "trailers");
            if options.gzip {
                set(http::HeaderName::from_static("grpc-encoding"), "gzip");
            }
        }
        Protocol::HttpProtobuf => {
            set(header::CONTENT_TYPE, "application/x-protobuf");
            if options.gzip {
                set(header::CONTENT_ENCODING, "gzip");
            }
        }
    }
    headers
}

fn gzip(message: &[u8]) -> Vec<u8> {
    // The fastest: spans of one process repeat themselves, and are compressed on the machine that serves.
    let mut encoder = GzEncoder::new(Vec::with_capacity(message.len() / 4), Compression::fast());
    let _ = encoder.write_all(message);
    encoder.finish().unwrap_or_default()
}

/// An error with its causes.
fn in_full(error: &(dyn Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let words = error.to_string();
        if !text.ends_with(&words) {
            text = format!("{text}: {words}");
        }
        cause = error.source();
    }
    text
}
