//! The TLS handshake with an endpoint: nothing of a request is sent before it has verified who answers.

use super::{ConnectError, Stream, TlsFault};
use crate::model::EndpointUrl;
use rustls::pki_types::ServerName;
use rustls::{AlertDescription, CertificateError, ClientConfig, Error};
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

/// What an HTTP/2 connection is called in ALPN (RFC 9113, section 3.2).
const H2: &[u8] = b"h2";

/// What a TLS connection to an endpoint needs.
#[derive(Clone, Copy, Debug)]
pub struct Security<'a> {
    /// Whom we trust, what we show, which protocols we ask for.
    pub config: &'a Arc<ClientConfig>,
    /// The name that the certificate must have, if it is not the URL's host.
    pub server_name: Option<&'a str>,
}

/// Shakes hands on `stream`. With `http2`, that must be what the endpoint agrees to speak.
pub(super) async fn shake_hands(
    stream: TcpStream,
    address: SocketAddr,
    url: &EndpointUrl,
    security: Security<'_>,
    http2: bool,
) -> Result<Stream, ConnectError> {
    let fault = |fault| ConnectError::Tls { address, fault };
    let name = security.server_name.unwrap_or(&url.host);
    let parsed = server_name(name).ok_or_else(|| {
        fault(TlsFault::Protocol(format!("{name:?} is no name that a certificate could have")))
    })?;
    let connector = TlsConnector::from(Arc::clone(security.config));
    let stream =
        connector.connect(parsed, stream).await.map_err(|error| fault(in_words(&error, name)))?;
    let agreed = stream.get_ref().1.alpn_protocol();
    if (agreed == Some(H2)) == http2 {
        return Ok(Stream::Tls(Box::new(stream.into())));
    }
    Err(fault(TlsFault::Protocol(if http2 {
        "it does not agree to speak HTTP/2 (ALPN): set protocol: Http1".to_owned()
    } else {
        "it speaks HTTP/2 only (ALPN): set protocol: Http2".to_owned()
    })))
}

/// `host` as TLS has it; an IPv6 address may be in brackets.
fn server_name(host: &str) -> Option<ServerName<'static>> {
    let bare = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(host);
    ServerName::try_from(bare.to_owned()).ok()
}

/// Why the handshake failed, for the operator.
fn in_words(error: &io::Error, name: &str) -> TlsFault {
    let Some(error) = error.get_ref().and_then(|inner| inner.downcast_ref::<Error>()) else {
        return TlsFault::Protocol(match error.kind() {
            io::ErrorKind::UnexpectedEof => {
                "the connection was closed in the middle of the TLS handshake".to_owned()
            }
            io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe => {
                "the connection was reset in the middle of the TLS handshake".to_owned()
            }
            _ => format!("the TLS handshake failed: {error}"),
        });
    };
    match error {
        Error::InvalidCertificate(error) => TlsFault::Certificate(certificate(error, name)),
        Error::NoCertificatesPresented => {
            TlsFault::Certificate("it shows no certificate".to_owned())
        }
        Error::InvalidMessage(_) | Error::InappropriateMessage { .. } => TlsFault::Protocol(
            "what it says is not TLS: it may speak plain HTTP on this port".to_owned(),
        ),
        Error::AlertReceived(alert) => TlsFault::Protocol(refusal(*alert)),
        Error::PeerIncompatible(why) => {
            TlsFault::Protocol(format!("no version or cipher in common: {why:?}"))
        }
        other => TlsFault::Protocol(format!("the TLS handshake failed: {other}")),
    }
}

fn certificate(error: &CertificateError, name: &str) -> String {
    match error {
        // A signature that does not fit is that of another CA of the same name.
        CertificateError::UnknownIssuer | CertificateError::BadSignature => {
            "its certificate is not signed by a CA we trust: set tls.caFile".to_owned()
        }
        CertificateError::NotValidForName => {
            format!("its certificate is not for {name:?}: set tls.serverName")
        }
        CertificateError::NotValidForNameContext { presented, .. } => {
            let presented = match presented.as_slice() {
                [] => "no name".to_owned(),
                names => names.iter().map(|name| bare(name)).collect::<Vec<_>>().join(", "),
            };
            format!("its certificate is not for {name:?} but for {presented}: set tls.serverName")
        }
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
            "its certificate has expired".to_owned()
        }
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            "its certificate is not valid yet".to_owned()
        }
        CertificateError::Revoked => "its certificate has been revoked".to_owned(),
        CertificateError::InvalidPurpose | CertificateError::InvalidPurposeContext { .. } => {
            "its certificate is not meant for servers".to_owned()
        }
        other => format!("its certificate is not valid: {other}"),
    }
}

/// Why the endpoint broke off.
fn refusal(alert: AlertDescription) -> String {
    match alert {
        AlertDescription::NoApplicationProtocol => {
            "it does not speak the protocol we asked for (ALPN): see the backend's protocol"
                .to_owned()
        }
        AlertDescription::CertificateRequired => {
            "it wants a certificate from us: set tls.clientCertificate".to_owned()
        }
        AlertDescription::UnrecognisedName => {
            "it does not know the name we asked for: set tls.serverName".to_owned()
        }
        AlertDescription::BadCertificate
        | AlertDescription::UnknownCA
        | AlertDescription::CertificateExpired
        | AlertDescription::CertificateRevoked
        | AlertDescription::CertificateUnknown
        | AlertDescription::UnsupportedCertificate
        | AlertDescription::AccessDenied => {
            format!("it refuses our certificate (tls.clientCertificate): {alert:?}")
        }
        other => format!("it broke the TLS handshake off: {other:?}"),
    }
}

/// The name in `DnsName("shop.example")`, which is how rustls tells the names in a certificate.
fn bare(name: &str) -> &str {
    let inner = name.split_once('(').and_then(|(_, rest)| rest.strip_suffix(')'));
    inner.unwrap_or(name).trim_matches('"')
}
