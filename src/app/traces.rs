//! Where spans go, from the words of the configuration.

use crate::model::{KeyPair, OtlpProtocol, Pem, TraceExporter};
use crate::telemetry::traces::{Options, Protocol};
use crate::tls::{Client, ClientOptions, TlsError};
use rustls::ClientConfig;
use std::sync::Arc;

/// What `exporter` means.
///
/// # Errors
/// When something that it names cannot be used, in an operator's words.
pub(super) fn options(exporter: &TraceExporter) -> Result<Options, String> {
    let TraceExporter { endpoint, protocol, headers, gzip, timeout, .. } = exporter;
    let uri = endpoint
        .parse::<http::Uri>()
        .map_err(|error| format!("telemetry.traces.endpoint: {endpoint}: {error}"))?;
    let tls = match uri.scheme_str() {
        Some("https") => {
            Some(tls(exporter).map_err(|error| format!("telemetry.traces.tls: {error}"))?)
        }
        Some(_) | None => None,
    };
    Ok(Options {
        endpoint: Arc::clone(endpoint),
        uri,
        protocol: match protocol {
            OtlpProtocol::Grpc => Protocol::Grpc,
            OtlpProtocol::HttpProtobuf => Protocol::HttpProtobuf,
        },
        headers: headers.iter().map(|field| (field.name.clone(), field.value.clone())).collect(),
        gzip: *gzip,
        timeout: *timeout,
        tls,
        max_queue_size: exporter.max_queue_size,
        max_batch_size: exporter.max_batch_size,
        batch_delay: exporter.batch_delay,
        resource: exporter.resource.clone(),
    })
}

fn tls(exporter: &TraceExporter) -> Result<Arc<ClientConfig>, TlsError> {
    let certificate = exporter.client_certificate.as_ref().map(KeyPair::load).transpose()?;
    let client = Client::new(ClientOptions {
        ca: exporter.ca.as_ref().map(Pem::file),
        certificate: certificate.map(Arc::new),
        insecure_skip_verify: false,
        http2: match exporter.protocol {
            OtlpProtocol::Grpc => true,
            OtlpProtocol::HttpProtobuf => false,
        },
    })?;
    Ok(client.config)
}
