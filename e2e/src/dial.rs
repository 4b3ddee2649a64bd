//! How a client reaches a server: TCP alone or TLS on it, HTTP/1.1 or HTTP/2, and what a handshake came to.

use crate::authority::{Authority, Leaf};
use crate::client::chain;
use rustls::client::{ResolvesClientCert, Resumption};
use rustls::crypto::{SupportedKxGroup, aws_lc_rs};
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{
    CipherSuite, ClientConfig, HandshakeKind, NamedGroup, ProtocolVersion, SignatureScheme,
    SupportedProtocolVersion, sign::CertifiedKey,
};
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

/// Anything that bytes go through.
pub trait Io: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Io for T {}

/// The way to a server.
#[derive(Clone, Debug)]
pub struct Dial {
    pub(crate) address: SocketAddr,
    pub(crate) tls: Option<Tls>,
    pub(crate) http2: bool,
}

/// A client of TLS. Its clones resume each other's sessions.
#[derive(Clone, Debug)]
pub struct Tls {
    config: Arc<ClientConfig>,
    name: ServerName<'static>,
}

/// What a handshake came to.
#[derive(Clone, Debug)]
pub struct Handshake {
    /// The version.
    pub version: ProtocolVersion,
    /// The suite.
    pub suite: CipherSuite,
    /// The group of the key exchange; none where there was no exchange.
    pub group: Option<NamedGroup>,
    /// The protocol by ALPN; empty if there is none.
    pub alpn: String,
    /// Whether a session was resumed.
    pub resumed: bool,
    /// The server's certificate.
    pub certificate: CertificateDer<'static>,
}

impl From<SocketAddr> for Dial {
    fn from(address: SocketAddr) -> Self {
        Self { address, tls: None, http2: false }
    }
}

impl Dial {
    /// TCP to this address, and HTTP/1.1.
    pub fn to(address: SocketAddr) -> Self {
        address.into()
    }

    /// With TLS.
    pub fn tls(self, tls: &Tls) -> Self {
        Self { tls: Some(tls.clone()), ..self }
    }

    /// Speaks HTTP/2: asked for by ALPN under TLS, by prior knowledge without.
    pub fn http2(self) -> Self {
        Self { http2: true, ..self }
    }

    /// The scheme of URLs of what is reached.
    pub fn scheme(&self) -> &'static str {
        if self.tls.is_some() { "https" } else { "http" }
    }

    /// Connects and makes the handshake.
    ///
    /// # Errors
    /// Nobody listens, or no TLS is agreed on.
    pub async fn connect(&self) -> Result<Box<dyn Io>, String> {
        let protocol = if self.http2 { "h2" } else { "http/1.1" };
        match &self.tls {
            None => Ok(Box::new(tcp(self.address).await?)),
            Some(tls) => {
                let stream = tls.clone().alpn(&[protocol]).connect(self.address).await?;
                let agreed = stream.get_ref().1.alpn_protocol();
                if agreed != Some(protocol.as_bytes()) {
                    return Err(format!("{protocol} is not spoken: {agreed:?}"));
                }
                Ok(Box::new(stream))
            }
        }
    }
}

async fn tcp(address: SocketAddr) -> Result<TcpStream, String> {
    let stream = TcpStream::connect(address).await.map_err(|error| chain(&error))?;
    stream.set_nodelay(true).map_err(|error| chain(&error))?;
    Ok(stream)
}

impl Tls {
    /// A client that wants a certificate of this authority for this host name, and asks for it (SNI).
    ///
    /// # Panics
    /// It is no host name.
    pub fn new(authority: &Authority, name: &str) -> Self {
        Self::with(authority, name, rustls::ALL_VERSIONS, &aws_lc_rs::default_provider().kx_groups)
    }

    /// The same with these versions only.
    ///
    /// # Panics
    /// It is no host name.
    pub fn versions(
        authority: &Authority,
        name: &str,
        versions: &[&'static SupportedProtocolVersion],
    ) -> Self {
        Self::with(authority, name, versions, &aws_lc_rs::default_provider().kx_groups)
    }

    /// The same with this group of key exchange only.
    ///
    /// # Panics
    /// It is no host name.
    pub fn group(authority: &Authority, name: &str, group: &'static dyn SupportedKxGroup) -> Self {
        Self::with(authority, name, rustls::ALL_VERSIONS, &[group])
    }

    fn with(
        authority: &Authority,
        name: &str,
        versions: &[&'static SupportedProtocolVersion],
        groups: &[&'static dyn SupportedKxGroup],
    ) -> Self {
        let mut provider = aws_lc_rs::default_provider();
        provider.kx_groups = groups.to_vec();
        let config = ClientConfig::builder_with_provider(Arc::new(provider))
            .with_protocol_versions(versions)
            .expect("the provider knows them")
            .with_root_certificates(authority.roots())
            .with_no_client_auth();
        let name = ServerName::try_from(name.to_owned()).expect("a host name");
        Self { config: Arc::new(config), name }
    }

    /// Asks for another host name; sessions are kept per name.
    ///
    /// # Panics
    /// It is no host name.
    pub fn name(self, name: &str) -> Self {
        let name = ServerName::try_from(name.to_owned()).expect("a host name");
        Self { name, ..self }
    }

    /// Offers these protocols (ALPN).
    pub fn alpn(self, protocols: &[&str]) -> Self {
        self.changed(|config| {
            config.alpn_protocols =
                protocols.iter().map(|protocol| protocol.as_bytes().to_vec()).collect();
        })
    }

    /// Names no host.
    pub fn without_sni(self) -> Self {
        self.changed(|config| config.enable_sni = false)
    }

    /// Makes full handshakes only.
    pub fn without_resumption(self) -> Self {
        self.changed(|config| config.resumption = Resumption::disabled())
    }

    /// Shows this certificate when asked for one, whoever is said to be trusted.
    pub fn certificate(self, leaf: &Leaf) -> Self {
        let key = leaf.certified_key();
        self.changed(|config| config.client_auth_cert_resolver = Arc::new(Always(key)))
    }

    fn changed(self, change: impl FnOnce(&mut ClientConfig)) -> Self {
        let mut config = ClientConfig::clone(&self.config);
        change(&mut config);
        Self { config: Arc::new(config), ..self }
    }

    /// Connects and makes the handshake.
    ///
    /// # Errors
    /// Nobody listens, or no TLS is agreed on. A server of TLS 1.3 that refuses the client's certificate says so after
    /// the handshake.
    pub async fn connect(&self, address: SocketAddr) -> Result<TlsStream<TcpStream>, String> {
        let stream = tcp(address).await?;
        let connector = TlsConnector::from(Arc::clone(&self.config));
        connector.connect(self.name.clone(), stream).await.map_err(|error| chain(&error))
    }

    /// Makes a handshake, sends a request over HTTP/1.1 that closes the connection, and says what the handshake came to.
    /// So it also takes the tickets that a server sends.
    ///
    /// # Errors
    /// Nobody listens, no TLS is agreed on, or there is no answer with status 200.
    pub async fn handshake(&self, address: SocketAddr) -> Result<Handshake, String> {
        let client = self.clone();
        let client = if client.config.alpn_protocols.is_empty() {
            client.alpn(&["http/1.1"])
        } else {
            client
        };
        let mut stream = client.connect(address).await?;
        if stream.get_ref().1.alpn_protocol() != Some(b"h2") {
            let request =
                b"GET /health HTTP/1.1\r\nhost: shop.example\r\nconnection: close\r\n\r\n";
            let exchange = async {
                tokio::io::AsyncWriteExt::write_all(&mut stream, request).await?;
                let mut answer = Vec::new();
                let end = stream.read_to_end(&mut answer).await;
                if answer.starts_with(b"HTTP/1.1 200 ") {
                    return Ok(());
                }
                end?;
                Err(std::io::Error::other(String::from_utf8_lossy(&answer)))
            };
            exchange.await.map_err(|error: std::io::Error| chain(&error))?;
        }
        let connection = stream.get_ref().1;
        let certificate = connection.peer_certificates().and_then(|chain| chain.first());
        Ok(Handshake {
            version: connection.protocol_version().ok_or("no version")?,
            suite: connection.negotiated_cipher_suite().ok_or("no suite")?.suite(),
            group: connection.negotiated_key_exchange_group().map(SupportedKxGroup::name),
            alpn: String::from_utf8_lossy(connection.alpn_protocol().unwrap_or_default()).into(),
            resumed: connection.handshake_kind() == Some(HandshakeKind::Resumed),
            certificate: certificate.ok_or("no certificate")?.clone().into_owned(),
        })
    }
}

#[derive(Debug)]
struct Always(Arc<CertifiedKey>);

impl ResolvesClientCert for Always {
    fn resolve(&self, _: &[&[u8]], _: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.0))
    }

    fn has_certs(&self) -> bool {
        true
    }
}
