//! TLS as a listener speaks it.

use super::names::ByName;
use super::{Certificate, File, TlsError, pem, provider};
use rustls::server::danger::ClientCertVerifier;
use rustls::server::{
    NoClientAuth, ServerSessionMemoryCache, VerifierBuilderError, WebPkiClientVerifier,
};
use rustls::{CertRevocationListError, HandshakeKind, ServerConfig, ServerConnection};
use sha2::{Digest, Sha256};
use std::io;
use std::sync::Arc;
use std::time::{Duration, SystemTime};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

/// Tickets that a client is sent after a handshake with TLS 1.3, and the most that it gets if it asks for a number (RFC 9149). Each is good
/// for one connection; two let a client that is resumed have one more connection each time.
const TICKETS: usize = 2;

/// Sessions remembered for clients of TLS 1.2 that know no tickets (Java before 13).
const SESSIONS: usize = 1024;

/// Whose certificates clients may show.
#[derive(Clone, Copy, Debug)]
pub struct ClientAuth<'a> {
    /// Who may have issued them.
    pub ca: File<'a>,
    /// Those that are revoked: a list (RFC 5280) from every authority in a client's chain. A certificate without a list of its issuer
    /// is refused, and so is every certificate when the list should have been renewed (`nextUpdate`) and was not; as in NGINX and HAProxy.
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
    verifier: Arc<dyn ClientCertVerifier>,
    trust: Option<Trust>,
}

/// The SHA-256 of everything that says which clients are trusted.
#[derive(Debug, PartialEq, Eq)]
struct Trust([u8; 32]);

impl Server {
    /// TLS as `options` want it. The sessions that clients may resume are those of `previous` if the same clients are trusted. Otherwise
    /// every client begins anew, so that nobody gets in by what was true once.
    ///
    /// # Errors
    /// When a file cannot be used.
    pub fn new(options: ServerOptions<'_>, previous: Option<&Self>) -> Result<Self, TlsError> {
        let ServerOptions { certificates, client_auth, only_tls13 } = options;
        let versions: &[_] = match only_tls13 {
            true => &[&rustls::version::TLS13],
            false => &[&rustls::version::TLS13, &rustls::version::TLS12],
        };
        let verifier = verifier(client_auth)?;
        let mut config = ServerConfig::builder_with_provider(provider())
            .with_protocol_versions(versions)
            .expect("the provider knows both versions")
            .with_client_cert_verifier(Arc::clone(&verifier))
            .with_cert_resolver(Arc::new(ByName::new(&certificates)));
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        // All our suites are good. Scanners find fault with a server that lets clients choose.
        config.ignore_client_order = true;
        config.send_tls13_tickets = TICKETS;
        config.max_tls13_tickets = TICKETS;
        let trust = client_auth.map(Trust::new);
        match previous.filter(|previous| previous.trust == trust) {
            Some(previous) => {
                config.ticketer = Arc::clone(&previous.config.ticketer);
                config.session_storage = Arc::clone(&previous.config.session_storage);
            }
            None => {
                // Its keys live for six hours and open tickets for six more. They are in memory only, shared by all workers.
                config.ticketer =
                    rustls::crypto::aws_lc_rs::Ticketer::new().expect("there are random bytes");
                config.session_storage = ServerSessionMemoryCache::new(SESSIONS);
            }
        }
        Ok(Self { config: Arc::new(config), certificates, verifier, trust })
    }

    /// Makes the handshake on `io`.
    ///
    /// A client that resumes a session sends no certificate: the one that it had shown then is checked again, for it may have
    /// expired since. rustls does not.
    ///
    /// # Errors
    /// When the client and we do not come to terms; what rustls says of it is in the error.
    pub async fn accept<IO>(&self, io: IO) -> io::Result<TlsStream<IO>>
    where
        IO: AsyncRead + AsyncWrite + Unpin,
    {
        let stream = TlsAcceptor::from(Arc::clone(&self.config)).accept(io).await?;
        self.check_resumed(stream.get_ref().1)
            .map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?;
        Ok(stream)
    }

    fn check_resumed(&self, connection: &ServerConnection) -> Result<(), rustls::Error> {
        let resumed = connection.handshake_kind() == Some(HandshakeKind::Resumed);
        match connection.peer_certificates().filter(|_| resumed) {
            Some([certificate, chain @ ..]) => {
                let now = self.config.time_provider.current_time();
                let now = now.ok_or(rustls::Error::FailedToGetCurrentTime)?;
                self.verifier.verify_client_cert(certificate, chain, now).map(|_| ())
            }
            Some([]) | None => Ok(()),
        }
    }
}

/// Until when the lists in `crl` hold: the first of them to be overdue counts, for with it every client's certificate is refused.
/// `None` if none of them says.
///
/// # Errors
/// When it has no list that can be read.
pub fn revocation_ends(crl: File<'_>) -> Result<Option<SystemTime>, TlsError> {
    let lists = pem::revocation_lists(crl)?;
    let ends = lists.iter().filter_map(|list| {
        let (_, list) = x509_parser::parse_x509_crl(list).ok()?;
        let seconds = u64::try_from(list.next_update()?.timestamp()).ok()?;
        Some(SystemTime::UNIX_EPOCH + Duration::from_secs(seconds))
    });
    Ok(ends.min())
}

fn verifier(client_auth: Option<ClientAuth<'_>>) -> Result<Arc<dyn ClientCertVerifier>, TlsError> {
    let Some(ClientAuth { ca, crl, required }) = client_auth else {
        return Ok(Arc::new(NoClientAuth));
    };
    let lists = crl.map(pem::revocation_lists).transpose()?.unwrap_or_default();
    let builder =
        WebPkiClientVerifier::builder_with_provider(Arc::new(pem::roots(ca)?), provider())
            .with_crls(lists)
            .enforce_revocation_expiration();
    let builder = if required { builder } else { builder.allow_unauthenticated() };
    // There are roots, so it is the lists.
    builder.build().map_err(|error| {
        let why = match &error {
            VerifierBuilderError::InvalidCrl(CertRevocationListError::ParseError) => {
                "it is broken, or a list of version 1: version 2 has extensions (openssl ca: crl_extensions)"
                    .to_owned()
            }
            other => other.to_string(),
        };
        TlsError::new(crl.unwrap_or(ca), format!("the revocation list cannot be used: {why}"))
    })
}

impl Trust {
    fn new(client_auth: ClientAuth<'_>) -> Self {
        let ClientAuth { ca, crl, required } = client_auth;
        let mut hash = Sha256::new();
        hash.update([u8::from(required), u8::from(crl.is_some())]);
        // Of one length, so that no two pairs look alike.
        hash.update(Sha256::digest(ca.bytes));
        hash.update(Sha256::digest(crl.map_or(&[][..], |crl| crl.bytes)));
        Self(hash.finalize().into())
    }
}
