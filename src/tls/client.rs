//! TLS as endpoints are spoken to.

use super::{Certificate, File, TlsError, pem, provider};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{ResolvesClientCert, WebPkiServerVerifier};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::sign::CertifiedKey;
use rustls::{ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme};
use std::path::Path;
use std::sync::{Arc, OnceLock};

/// How endpoints are spoken to.
#[derive(Debug)]
pub struct ClientOptions<'a> {
    /// Who may have issued their certificates; `None` for the system's roots.
    pub ca: Option<File<'a>>,
    /// What we show when they ask.
    pub certificate: Option<Arc<Certificate>>,
    /// Whether any certificate will do.
    pub insecure_skip_verify: bool,
    /// Whether HTTP/2 is asked for, by ALPN; else HTTP/1.1 is.
    pub http2: bool,
}

/// TLS as endpoints are spoken to. It remembers sessions, so that a further connection to an endpoint is cheap.
#[derive(Debug)]
pub struct Client {
    /// For rustls.
    pub config: Arc<ClientConfig>,
    /// What we show when they ask.
    pub certificate: Option<Arc<Certificate>>,
}

impl Client {
    /// TLS as `options` want it.
    ///
    /// # Errors
    /// When a file cannot be used, or the system's roots are wanted and it has none.
    pub fn new(options: ClientOptions<'_>) -> Result<Self, TlsError> {
        let ClientOptions { ca, certificate, insecure_skip_verify, http2 } = options;
        let verifier: Arc<dyn ServerCertVerifier> = match (insecure_skip_verify, ca) {
            (true, _) => Arc::new(AnyCertificate(provider())),
            (false, Some(ca)) => verifier(Arc::new(pem::roots(ca)?)),
            (false, None) => verifier(system_roots()?),
        };
        let builder = ClientConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .expect("the provider knows both versions")
            .dangerous()
            .with_custom_certificate_verifier(verifier);
        let mut config = match &certificate {
            None => builder.with_no_client_auth(),
            Some(certificate) => {
                builder.with_client_cert_resolver(Arc::new(Always(Arc::clone(&certificate.key))))
            }
        };
        config.alpn_protocols = vec![if http2 { b"h2".to_vec() } else { b"http/1.1".to_vec() }];
        Ok(Self { config: Arc::new(config), certificate })
    }
}

fn verifier(roots: Arc<RootCertStore>) -> Arc<dyn ServerCertVerifier> {
    WebPkiServerVerifier::builder_with_provider(roots, provider())
        .build()
        .expect("there are roots and no revocation lists")
}

/// The roots that the system trusts; read once, and again only as long as there were none.
fn system_roots() -> Result<Arc<RootCertStore>, TlsError> {
    static ROOTS: OnceLock<Arc<RootCertStore>> = OnceLock::new();
    if let Some(roots) = ROOTS.get() {
        return Ok(Arc::clone(roots));
    }
    let loaded = rustls_native_certs::load_native_certs();
    let mut roots = RootCertStore::empty();
    // Some systems have one or the other that nobody understands any more.
    roots.add_parsable_certificates(loaded.certs);
    match roots.is_empty() {
        true => Err(no_system_roots(&loaded.errors)),
        false => Ok(Arc::clone(ROOTS.get_or_init(|| Arc::new(roots)))),
    }
}

fn no_system_roots(errors: &[rustls_native_certs::Error]) -> TlsError {
    let because = errors.first().map_or_else(String::new, |error| format!(" ({error})"));
    TlsError {
        path: Path::new("the system's root certificates").into(),
        reason: format!(
            "there are none{because}; install the package ca-certificates, set SSL_CERT_FILE, or name a caFile"
        ),
    }
}

/// Shows its certificate to everybody who asks, whatever authorities they name: whether it is the right one is theirs to say.
#[derive(Debug)]
struct Always(Arc<CertifiedKey>);

impl ResolvesClientCert for Always {
    fn resolve(&self, _: &[&[u8]], schemes: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        self.0.key.choose_scheme(schemes).map(|_| Arc::clone(&self.0))
    }

    fn has_certs(&self) -> bool {
        true
    }
}

/// Takes every certificate, but wants the endpoint to have its key.
#[derive(Debug)]
struct AnyCertificate(Arc<CryptoProvider>);

impl ServerCertVerifier for AnyCertificate {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        verify_tls12_signature(message, certificate, signed, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signed, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
