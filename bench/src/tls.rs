//! The certificate that all proxies show, and TLS as the client speaks it.

use crate::Result;
use crate::exchange::{HOST, Protocol};
use rcgen::CertifiedKey;
use rustls::client::Resumption;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::aws_lc_rs::{cipher_suite, default_provider, kx_group};
use rustls::crypto::{CryptoProvider, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, Error, NamedGroup, SignatureScheme};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// A self-signed certificate (ECDSA, P-256) for [`HOST`], as files for the proxies.
#[derive(Debug)]
pub(crate) struct Identity {
    /// PEM.
    pub(crate) certificate: PathBuf,
    pub(crate) key: PathBuf,
    /// Both in one, which HAProxy wants.
    pub(crate) bundle: PathBuf,
    der: CertificateDer<'static>,
}

impl Identity {
    /// Makes one, in `folder`.
    pub(crate) fn create(folder: &Path) -> Result<Identity> {
        let CertifiedKey { cert, signing_key } =
            rcgen::generate_simple_self_signed([HOST.to_owned()])?;
        let file = |name: &str, text: &str| -> Result<PathBuf> {
            let path = folder.join(name);
            fs::write(&path, text)?;
            Ok(path)
        };
        let (certificate, key) = (cert.pem(), signing_key.serialize_pem());
        Ok(Identity {
            bundle: file("bundle.pem", &(certificate.clone() + &key))?,
            certificate: file("certificate.pem", &certificate)?,
            key: file("key.pem", &key)?,
            der: cert.der().clone(),
        })
    }

    /// What the client offers: TLS 1.3 with one cipher suite and one group, so that no proxy's taste decides what it has to
    /// do; with `post_quantum` the hybrid group first, and a share for each, as browsers do. It never resumes a session.
    pub(crate) fn client(&self, protocol: Protocol, post_quantum: bool) -> Result<ClientConfig> {
        let mut groups = vec![kx_group::X25519];
        if post_quantum {
            groups.insert(0, kx_group::X25519MLKEM768);
        }
        let provider = Arc::new(CryptoProvider {
            cipher_suites: vec![cipher_suite::TLS13_AES_128_GCM_SHA256],
            kx_groups: groups,
            ..default_provider()
        });
        let pinned = Pinned {
            der: self.der.clone(),
            provider: provider.clone(),
            verified: AtomicBool::new(false),
        };
        let mut config = ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&rustls::version::TLS13])?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(pinned))
            .with_no_client_auth();
        config.resumption = Resumption::disabled();
        config.alpn_protocols = vec![match protocol {
            Protocol::Http1 => b"http/1.1".to_vec(),
            Protocol::Http2 | Protocol::Grpc => b"h2".to_vec(),
        }];
        Ok(config)
    }
}

/// Whom the client asks for.
pub(crate) fn name() -> ServerName<'static> {
    ServerName::try_from(HOST).expect("it is a host name")
}

/// A group's usual name.
pub(crate) fn group(group: NamedGroup) -> String {
    format!("{group:?}")
}

/// Knows one certificate. That the proxy has its key, too, is verified on the first connection only: verifying a signature
/// costs the client more than the proxy its making, and the client must not be what limits the rate.
#[derive(Debug)]
struct Pinned {
    der: CertificateDer<'static>,
    provider: Arc<CryptoProvider>,
    verified: AtomicBool,
}

impl ServerCertVerifier for Pinned {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _name: &ServerName<'_>,
        _ocsp: &[u8],
        _now: UnixTime,
    ) -> std::result::Result<ServerCertVerified, Error> {
        match *end_entity == self.der {
            true => Ok(ServerCertVerified::assertion()),
            false => Err(Error::General("not the certificate that it was given".into())),
        }
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _certificate: &CertificateDer<'_>,
        _signature: &DigitallySignedStruct,
    ) -> std::result::Result<HandshakeSignatureValid, Error> {
        Err(Error::General("TLS 1.2 was not offered".into()))
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> std::result::Result<HandshakeSignatureValid, Error> {
        if self.verified.load(Ordering::Relaxed) {
            return Ok(HandshakeSignatureValid::assertion());
        }
        let algorithms = &self.provider.signature_verification_algorithms;
        let valid = verify_tls13_signature(message, certificate, signature, algorithms)?;
        self.verified.store(true, Ordering::Relaxed);
        Ok(valid)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        // The one that the certificate's key can make.
        vec![SignatureScheme::ECDSA_NISTP256_SHA256]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exchange::Exchange;
    use crate::load::{Load, Run, Shape};
    use rustls::pki_types::PrivateKeyDer;
    use rustls::pki_types::pem::PemObject;
    use rustls::{ServerConfig, ServerConnection, StreamOwned};
    use std::io::{Read, Write};
    use std::net::{SocketAddr, TcpListener};
    use std::time::Duration;

    /// A server of `shown` that answers one request on each connection, a connection after the other.
    fn server(shown: &Identity, exchange: &Exchange) -> SocketAddr {
        let key = PrivateKeyDer::from_pem_file(&shown.key).unwrap();
        let config = ServerConfig::builder_with_provider(Arc::new(default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![shown.der.clone()], key)
            .unwrap();
        let (config, answer) = (Arc::new(config), exchange.answer());
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let session = ServerConnection::new(config.clone()).unwrap();
                let mut stream = StreamOwned::new(session, stream.unwrap());
                // A client that does not like the certificate says so in an alert, which is an error here.
                if stream.read(&mut [0; 1024]).is_ok() {
                    stream.write_all(&answer).unwrap();
                    let _ = stream.read(&mut [0; 1]);
                }
            }
        });
        address
    }

    fn two_requests(shown: &Identity, expected: &Identity, post_quantum: bool) -> Result<Run> {
        let exchange = Exchange::small();
        let tls = Some(Arc::new(expected.client(Protocol::Http1, post_quantum)?));
        let shape = Shape { reconnect: true, tls, ..Shape::keep_alive(1) };
        let mut load = Load::connect(server(shown, &exchange), &shape, &exchange)?;
        load.count(2, Duration::from_secs(10))
    }

    #[test]
    fn the_client_decides_on_the_group_and_knows_which_it_was() {
        let folder = tempfile::tempdir().unwrap();
        let identity = Identity::create(folder.path()).unwrap();
        let group = |post_quantum| two_requests(&identity, &identity, post_quantum).unwrap().group;
        assert_eq!(group(false).as_deref(), Some("X25519"));
        assert_eq!(group(true).as_deref(), Some("X25519MLKEM768"));
    }

    #[test]
    fn no_other_certificate_will_do() {
        let folders = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
        let [one, other] = folders.each_ref().map(|it| Identity::create(it.path()).unwrap());
        let error = two_requests(&one, &other, false).err().unwrap().to_string();
        assert!(error.contains("not the certificate that it was given"), "{error}");
    }
}
