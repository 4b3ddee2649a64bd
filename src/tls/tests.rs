//! What the tests have in common: authorities, certificates, and handshakes in memory.

mod certificates;
mod clients;
mod names;
mod resumption;
mod servers;

use super::{Certificate, Client, ClientAuth, ClientOptions, File, Server, ServerOptions};
use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, CertifiedIssuer, DnType,
    ExtendedKeyUsagePurpose, IsCa, KeyIdMethod, KeyPair, KeyUsagePurpose, RevokedCertParams,
    SerialNumber, date_time_ymd,
};
use rustls::pki_types::ServerName;
use rustls::{ClientConnection, ServerConnection};
use std::io;
use std::path::Path;
use std::sync::Arc;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use tokio_rustls::{TlsConnector, client, server};

/// Somebody who issues certificates and revokes them.
pub struct Authority(CertifiedIssuer<'static, KeyPair>);

/// A certificate and its key.
pub struct Pair {
    pub cert: String,
    pub key: String,
}

impl Authority {
    pub fn new(name: &str) -> Self {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        Self(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    pub fn pem(&self) -> String {
        self.0.pem()
    }

    /// A certificate for `names`, for servers and clients.
    pub fn issue(&self, names: &[&str]) -> Pair {
        self.issue_with(names, KeyPair::generate().unwrap(), |_| {})
    }

    pub fn issue_with(
        &self,
        names: &[&str],
        key: KeyPair,
        adapt: impl FnOnce(&mut CertificateParams),
    ) -> Pair {
        let names: Vec<_> = names.iter().map(|name| (*name).to_owned()).collect();
        let mut params = CertificateParams::new(names).unwrap();
        params.extended_key_usages =
            vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
        adapt(&mut params);
        let cert = params.signed_by(&key, &self.0).unwrap();
        Pair { cert: cert.pem(), key: key.serialize_pem() }
    }

    /// A certificate with this serial number.
    pub fn issue_numbered(&self, serial: u64) -> Pair {
        self.issue_with(&["client.example"], KeyPair::generate().unwrap(), |params| {
            params.serial_number = Some(serial.into());
        })
    }

    /// A list that revokes these serial numbers and is good until the beginning of `until`.
    pub fn revoke(&self, serials: &[u64], until: i32) -> String {
        let revoked = |serial: &u64| RevokedCertParams {
            serial_number: SerialNumber::from(*serial),
            revocation_time: date_time_ymd(2024, 1, 1),
            reason_code: None,
            invalidity_date: None,
        };
        let params = CertificateRevocationListParams {
            this_update: date_time_ymd(2024, 1, 1),
            next_update: date_time_ymd(until, 1, 1),
            crl_number: SerialNumber::from(1),
            issuing_distribution_point: None,
            revoked_certs: serials.iter().map(revoked).collect(),
            key_identifier_method: KeyIdMethod::Sha256,
        };
        params.signed_by(&self.0).unwrap().pem().unwrap()
    }
}

impl Pair {
    pub fn load(&self) -> Arc<Certificate> {
        Arc::new(Certificate::load(file("a.crt", &self.cert), file("a.key", &self.key)).unwrap())
    }
}

pub fn file<'a>(path: &'a str, text: &'a str) -> File<'a> {
    File { path: Path::new(path), bytes: text.as_bytes() }
}

pub fn client_auth<'a>(ca: &'a str, crl: Option<&'a str>, required: bool) -> ClientAuth<'a> {
    ClientAuth { ca: file("ca.crt", ca), crl: crl.map(|crl| file("crl.pem", crl)), required }
}

/// A listener that shows `pair`.
pub fn server(
    pair: &Pair,
    client_auth: Option<ClientAuth<'_>>,
    previous: Option<&Server>,
) -> Server {
    let certificates = vec![pair.load()];
    Server::new(ServerOptions { certificates, client_auth, only_tls13: false }, previous).unwrap()
}

/// A client that trusts `ca` and shows `pair`.
pub fn client(ca: &str, pair: Option<&Pair>) -> Client {
    Client::new(ClientOptions {
        ca: Some(file("ca.crt", ca)),
        certificate: pair.map(Pair::load),
        insecure_skip_verify: false,
        http2: false,
    })
    .unwrap()
}

/// The same, of a client that speaks no TLS 1.3.
pub fn client_tls12(ca: &str, pair: Option<&Pair>) -> Client {
    let builder = rustls::ClientConfig::builder_with_provider(super::provider())
        .with_protocol_versions(&[&rustls::version::TLS12])
        .unwrap()
        .with_root_certificates(super::pem::roots(file("ca.crt", ca)).unwrap());
    let config = match client(ca, pair).config.client_auth_cert_resolver.clone() {
        shown if shown.has_certs() => builder.with_client_cert_resolver(shown),
        _ => builder.with_no_client_auth(),
    };
    Client { config: Arc::new(config), certificate: None, id: 0 }
}

/// Both ends of a connection that works.
#[derive(Debug)]
pub struct Connected {
    pub server: server::TlsStream<DuplexStream>,
    pub client: client::TlsStream<DuplexStream>,
}

impl Connected {
    pub fn server(&self) -> &ServerConnection {
        self.server.get_ref().1
    }

    pub fn client(&self) -> &ClientConnection {
        self.client.get_ref().1
    }
}

/// A handshake for `shop.example`, and a byte in each direction: only then does the client have its tickets, and know that its
/// certificate was taken.
pub async fn connect(server: &Server, client: &Client) -> io::Result<Connected> {
    connect_to(server, client, "shop.example").await
}

pub async fn connect_to(server: &Server, client: &Client, name: &str) -> io::Result<Connected> {
    let (ours, theirs) = tokio::io::duplex(1 << 16);
    let name = ServerName::try_from(name.to_owned()).unwrap();
    let connector = TlsConnector::from(Arc::clone(&client.config));
    let served = async {
        let mut stream = server.accept(ours).await?;
        let byte = stream.read_u8().await?;
        stream.write_u8(byte).await?;
        Ok(stream)
    };
    let asked = async {
        let mut stream = connector.connect(name, theirs).await?;
        stream.write_u8(7).await?;
        stream.flush().await?;
        assert_eq!(stream.read_u8().await?, 7);
        Ok(stream)
    };
    let (server, client): (io::Result<_>, io::Result<_>) = tokio::join!(served, asked);
    match (server, client) {
        (Err(server), Err(client)) if is_told(&server) => Err(client),
        (server, client) => Ok(Connected { server: server?, client: client? }),
    }
}

/// Whether the error only says that the other end had one.
fn is_told(error: &io::Error) -> bool {
    let told = error.get_ref().and_then(|error| error.downcast_ref::<rustls::Error>());
    told.is_none_or(|error| matches!(error, rustls::Error::AlertReceived(_)))
}

/// Of an error in a handshake, what rustls says.
pub fn reason<T: std::fmt::Debug>(result: io::Result<T>) -> String {
    let error = result.expect_err("the handshake must fail");
    error.to_string()
}
