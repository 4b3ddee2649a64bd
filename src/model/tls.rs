//! TLS as configured: which files, and what was in them when the configuration was read. So a renewed certificate is another
//! model, and takes the same way as an edit.

use crate::tls::{self, Certificate, TlsError};
use std::fmt;
use std::path::Path;
use std::sync::Arc;

/// A file that the configuration names, and its content.
#[derive(Clone, PartialEq, Eq)]
pub struct Pem {
    /// Where it is, as the configuration has it.
    pub path: Arc<Path>,
    /// What was in it. It may be a private key: shown to nobody.
    pub bytes: Arc<[u8]>,
}

impl Pem {
    /// For the reader of such files.
    pub fn file(&self) -> tls::File<'_> {
        tls::File { path: &self.path, bytes: &self.bytes }
    }
}

impl fmt::Debug for Pem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pem").field("path", &self.path).finish_non_exhaustive()
    }
}

/// A certificate chain and the key of its first certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyPair {
    /// The chain, the host's own certificate first.
    pub cert: Pem,
    /// The private key: PKCS#8, PKCS#1 or SEC1.
    pub key: Pem,
}

impl KeyPair {
    /// The certificate and its key, as they are used.
    ///
    /// # Errors
    /// When either cannot be used, or they do not belong together.
    pub fn load(&self) -> Result<Certificate, TlsError> {
        Certificate::load(self.cert.file(), self.key.file())
    }
}

/// TLS that ends at a listener.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListenerTls {
    /// The certificates, at least one, chosen by the names in them. The first is for clients that name no host, or one that
    /// none of them has.
    pub certificates: Vec<KeyPair>,
    /// Whether and how clients show certificates.
    pub client_auth: Option<ClientAuth>,
    /// The oldest version that is spoken.
    pub min_version: TlsVersion,
}

impl KeyPair {
    fn files(&self) -> [&Pem; 2] {
        let Self { cert, key } = self;
        [cert, key]
    }
}

impl ListenerTls {
    /// The files that it names.
    pub fn files(&self) -> impl Iterator<Item = &Pem> {
        let Self { certificates, client_auth, min_version: _ } = self;
        let auth = client_auth.iter().flat_map(|auth| [Some(&auth.ca), auth.crl.as_ref()]);
        certificates.iter().flat_map(KeyPair::files).chain(auth.flatten())
    }
}

impl BackendTls {
    /// The files that it names.
    pub fn files(&self) -> impl Iterator<Item = &Pem> {
        let Self { ca, server_name: _, client_certificate, insecure_skip_verify: _ } = self;
        ca.iter().chain(client_certificate.iter().flat_map(KeyPair::files))
    }
}

/// How clients' certificates are checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientAuth {
    /// Who may have issued them.
    pub ca: Pem,
    /// Those that are revoked.
    pub crl: Option<Pem>,
    /// Whether a client must have one.
    pub mode: ClientAuthMode,
    /// Whether endpoints are told of it, in the field `Client-Cert` (RFC 9440).
    pub forward_certificate: bool,
}

impl ClientAuth {
    /// For the verifier of clients.
    pub fn options(&self) -> tls::ClientAuth<'_> {
        tls::ClientAuth {
            ca: self.ca.file(),
            crl: self.crl.as_ref().map(Pem::file),
            required: self.mode == ClientAuthMode::Required,
        }
    }
}

/// Whether a client must show a certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClientAuthMode {
    /// It must.
    Required,
    /// It may; one that it shows must be valid.
    Optional,
}

/// A version of TLS.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum TlsVersion {
    /// TLS 1.2 (RFC 5246).
    Tls12,
    /// TLS 1.3 (RFC 8446).
    Tls13,
}

/// How endpoints with `https` URLs are spoken to. The default trusts the system's roots.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BackendTls {
    /// Who may have issued their certificates; `None` for the system's roots.
    pub ca: Option<Pem>,
    /// The name that their certificates must have, and that is asked for (SNI); `None` for the host of the URL.
    pub server_name: Option<Arc<str>>,
    /// What we show when they ask.
    pub client_certificate: Option<KeyPair>,
    /// Whether any certificate will do.
    pub insecure_skip_verify: bool,
}
