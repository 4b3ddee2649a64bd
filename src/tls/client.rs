//! TLS as endpoints are spoken to.

use super::{Certificate, File, Stage, TlsError, certificate, pem, provider};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{ResolvesClientCert, WebPkiServerVerifier, verify_server_name};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::sign::CertifiedKey;
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme,
};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
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
    pub(super) id: u64,
}

impl Client {
    /// No other of this process has the same: what was agreed with an endpoint by one is not what another would agree to.
    pub fn id(&self) -> u64 {
        self.id
    }

    /// TLS as `options` want it.
    ///
    /// # Errors
    /// When a file cannot be used, or the system's roots are wanted and it has none.
    pub fn new(options: ClientOptions<'_>) -> Result<Self, TlsError> {
        let ClientOptions { ca, certificate, insecure_skip_verify, http2 } = options;
        let trust = match (insecure_skip_verify, ca) {
            (true, _) => Trust::Anybody,
            (false, Some(ca)) => Trust::Issued {
                by: verifier(Arc::new(pem::roots(ca)?)),
                or: pem::certificates(ca)?,
            },
            (false, None) => Trust::Issued { by: verifier(system_roots()?), or: Vec::new() },
        };
        let builder = ClientConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .expect("the provider knows both versions")
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(Verifier { trust, provider: provider() }));
        let mut config = match &certificate {
            None => builder.with_no_client_auth(),
            Some(certificate) => {
                builder.with_client_cert_resolver(Arc::new(Always(Arc::clone(&certificate.key))))
            }
        };
        config.alpn_protocols = vec![if http2 { b"h2".to_vec() } else { b"http/1.1".to_vec() }];
        static NEXT_ID: AtomicU64 = AtomicU64::new(1);
        Ok(Self { config: Arc::new(config), certificate, id: NEXT_ID.fetch_add(1, Relaxed) })
    }
}

fn verifier(roots: Arc<RootCertStore>) -> Arc<WebPkiServerVerifier> {
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

/// Says whether an endpoint is who it should be. It always has to have the key of its certificate.
#[derive(Debug)]
struct Verifier {
    trust: Trust,
    provider: Arc<CryptoProvider>,
}

/// Whose certificate will do.
#[derive(Debug)]
enum Trust {
    Anybody,
    /// One for the endpoint's name that a trusted authority issued, or that is itself in the file of those: a certificate that signed itself,
    /// as `openssl req -x509` makes it, says that it is an authority, which webpki takes from no endpoint. OpenSSL does.
    Issued {
        by: Arc<WebPkiServerVerifier>,
        or: Vec<CertificateDer<'static>>,
    },
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        chain: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        match &self.trust {
            Trust::Anybody => Ok(ServerCertVerified::assertion()),
            Trust::Issued { or, .. } if or.contains(certificate) => {
                verify_server_name(&ParsedCertificate::try_from(certificate)?, name)?;
                match certificate::stage(certificate, now) {
                    Ok(Stage::Holds | Stage::Soon) => Ok(ServerCertVerified::assertion()),
                    Ok(Stage::Early) => Err(CertificateError::NotValidYet.into()),
                    Ok(Stage::Late) => Err(CertificateError::Expired.into()),
                    Err(_) => Err(CertificateError::BadEncoding.into()),
                }
            }
            Trust::Issued { by, .. } => by.verify_server_cert(certificate, chain, name, ocsp, now),
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls12_signature(message, certificate, signed, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signed, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}
