//! TLS on both sides: certificates and their keys, whom we trust, and what rustls is told of them. Knows nothing of proxying.

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, CertificateRevocationListDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::sign::CertifiedKey;
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use std::path::Path;
use std::sync::Arc;
use std::time::SystemTime;

/// A file and its content.
#[derive(Clone, Copy, Debug)]
pub struct File<'a> {
    /// For messages.
    pub path: &'a Path,
    /// PEM.
    pub bytes: &'a [u8],
}

/// Why a file cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}: {reason}", path.display())]
pub struct TlsError {
    /// The file.
    pub path: Arc<Path>,
    /// What is wrong with it, in an operator's words.
    pub reason: String,
}

/// A certificate whose key fits.
#[derive(Debug)]
pub struct Certificate {
    /// Chain and key, as rustls wants them.
    pub key: Arc<CertifiedKey>,
    /// The host names in it, lower case; may begin with `*.`.
    pub names: Vec<String>,
    /// From when it holds.
    pub not_before: SystemTime,
    /// Until when it holds.
    pub not_after: SystemTime,
    /// The file it came from.
    pub path: Arc<Path>,
}

/// Whose certificates clients may show.
#[derive(Clone, Copy, Debug)]
pub struct ClientAuth<'a> {
    /// Who may have issued them.
    pub ca: File<'a>,
    /// Those that are revoked.
    pub crl: Option<File<'a>>,
    /// Whether a client must show one.
    pub required: bool,
}

/// How TLS ends at a listener.
#[derive(Debug)]
pub struct ServerOptions<'a> {
    /// At least one; the first is for clients that name no host that any of them has.
    pub certificates: Vec<Arc<Certificate>>,
    /// Whether clients show certificates.
    pub client_auth: Option<ClientAuth<'a>>,
    /// Whether TLS 1.2 is not spoken.
    pub only_tls13: bool,
}

/// TLS as a listener speaks it.
#[derive(Debug)]
pub struct Server {
    /// For rustls.
    pub config: Arc<ServerConfig>,
    /// Its certificates.
    pub certificates: Vec<Arc<Certificate>>,
}

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

/// TLS as endpoints are spoken to.
#[derive(Debug)]
pub struct Client {
    /// For rustls.
    pub config: Arc<ClientConfig>,
}

impl Certificate {
    /// Reads a chain and its key.
    ///
    /// # Errors
    /// When either cannot be read, or they do not belong together.
    pub fn load(cert: File<'_>, key: File<'_>) -> Result<Self, TlsError> {
        let chain = certificates(cert)?;
        let private = PrivateKeyDer::from_pem_slice(key.bytes)
            .map_err(|error| wrong(key, format!("no private key in it: {error}")))?;
        let provider = rustls::crypto::aws_lc_rs::default_provider();
        let signing = provider
            .key_provider
            .load_private_key(private)
            .map_err(|error| wrong(key, error.to_string()))?;
        let certified = CertifiedKey::new(chain, signing);
        certified.keys_match().map_err(|_| {
            wrong(key, format!("it is not the key of the certificate {}", cert.path.display()))
        })?;
        let (names, not_before, not_after) =
            facts(&certified.cert[0]).map_err(|r| wrong(cert, r))?;
        Ok(Self { key: Arc::new(certified), names, not_before, not_after, path: cert.path.into() })
    }
}

impl Server {
    /// TLS as `options` want it. What `previous` remembers of clients is taken over where the same clients are trusted.
    ///
    /// # Errors
    /// When a file cannot be used.
    pub fn new(options: ServerOptions<'_>, _previous: Option<&Server>) -> Result<Self, TlsError> {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let versions: &[_] = match options.only_tls13 {
            true => &[&rustls::version::TLS13],
            false => &[&rustls::version::TLS13, &rustls::version::TLS12],
        };
        let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_protocol_versions(versions)
            .expect("the provider knows both versions");
        let builder = match options.client_auth {
            None => builder.with_no_client_auth(),
            Some(auth) => {
                let crls = auth.crl.map(|crl| {
                    (
                        crl,
                        CertificateRevocationListDer::pem_slice_iter(crl.bytes)
                            .collect::<Result<Vec<_>, _>>(),
                    )
                });
                let crls = match crls {
                    None => Vec::new(),
                    Some((_, Ok(crls))) => crls,
                    Some((file, Err(error))) => return Err(wrong(file, error.to_string())),
                };
                let verifier = WebPkiClientVerifier::builder_with_provider(
                    Arc::new(roots(auth.ca)?),
                    provider,
                )
                .with_crls(crls);
                let verifier =
                    if auth.required { verifier } else { verifier.allow_unauthenticated() };
                let verifier =
                    verifier.build().map_err(|error| wrong(auth.ca, error.to_string()))?;
                builder.with_client_cert_verifier(verifier)
            }
        };
        let mut config =
            builder.with_cert_resolver(Arc::new(First(Arc::clone(&options.certificates[0].key))));
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Ok(Self { config: Arc::new(config), certificates: options.certificates })
    }
}

#[derive(Debug)]
struct First(Arc<CertifiedKey>);

impl rustls::server::ResolvesServerCert for First {
    fn resolve(&self, _hello: rustls::server::ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.0))
    }
}

impl Client {
    /// TLS as `options` want it.
    ///
    /// # Errors
    /// When a file cannot be used.
    pub fn new(options: ClientOptions<'_>) -> Result<Self, TlsError> {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let roots = match options.ca {
            Some(ca) => roots(ca)?,
            None => RootCertStore::empty(),
        };
        let mut config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("the provider knows both versions")
            .with_root_certificates(roots)
            .with_no_client_auth();
        config.alpn_protocols =
            vec![if options.http2 { b"h2".to_vec() } else { b"http/1.1".to_vec() }];
        Ok(Self { config: Arc::new(config) })
    }
}

fn wrong(file: File<'_>, reason: String) -> TlsError {
    TlsError { path: file.path.into(), reason }
}

fn certificates(file: File<'_>) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let all: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(file.bytes).collect();
    let all = all.map_err(|error| wrong(file, error.to_string()))?;
    match all.is_empty() {
        true => Err(wrong(file, "no certificate in it".to_owned())),
        false => Ok(all),
    }
}

fn roots(file: File<'_>) -> Result<RootCertStore, TlsError> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates(file)? {
        roots.add(certificate).map_err(|error| wrong(file, error.to_string()))?;
    }
    Ok(roots)
}

fn facts(der: &[u8]) -> Result<(Vec<String>, SystemTime, SystemTime), String> {
    let (_, certificate) =
        x509_parser::parse_x509_certificate(der).map_err(|error| error.to_string())?;
    let time = |time: x509_parser::time::ASN1Time| {
        SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(time.timestamp().max(0) as u64)
    };
    let names = certificate.subject_alternative_name().ok().flatten();
    let names = names.iter().flat_map(|names| &names.value.general_names);
    let names = names.filter_map(|name| match name {
        x509_parser::extensions::GeneralName::DNSName(name) => Some(name.to_ascii_lowercase()),
        _ => None,
    });
    let validity = certificate.validity();
    Ok((names.collect(), time(validity.not_before), time(validity.not_after)))
}
