//! An authority for tests: certificates of every kind, and lists of those revoked.

use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, CertifiedIssuer, DnType,
    ExtendedKeyUsagePurpose, IsCa, KeyIdMethod, KeyPair, KeyUsagePurpose, PKCS_ECDSA_P256_SHA256,
    PKCS_ED25519, PKCS_RSA_SHA256, RevokedCertParams, SerialNumber,
};
use rustls::ServerConfig;
use rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, crypto::aws_lc_rs};
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use time::{Duration, OffsetDateTime};

/// What signs a certificate's handshakes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Key {
    /// ECDSA on P-256.
    EcdsaP256,
    /// RSA of 2048 bits.
    Rsa,
    /// Ed25519.
    Ed25519,
}

/// An authority that nobody else trusts.
pub struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
}

/// A certificate to be issued.
#[derive(Clone, Debug)]
pub struct Request {
    names: Vec<String>,
    key: Key,
    days: (i64, i64),
}

/// A certificate and its key.
#[derive(Clone)]
pub struct Leaf {
    /// The certificate as PEM, the authority's not included.
    pub cert: String,
    /// The key as PEM: PKCS#8.
    pub key: String,
    der: CertificateDer<'static>,
    key_der: Vec<u8>,
    public: Vec<u8>,
    serial: SerialNumber,
}

impl Request {
    /// For a server or client of these host names: ECDSA, valid since yesterday and for 90 days.
    pub fn new(names: &[&str]) -> Self {
        let names = names.iter().map(|&name| name.to_owned()).collect();
        Self { names, key: Key::EcdsaP256, days: (-1, 90) }
    }

    /// With another kind of key.
    pub fn key(self, key: Key) -> Self {
        Self { key, ..self }
    }

    /// Valid between these days, counted from now.
    pub fn days(self, from: i64, until: i64) -> Self {
        Self { days: (from, until), ..self }
    }
}

impl Authority {
    /// A new authority of this name, with a key of its own.
    pub fn new(name: &str) -> Self {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let key = KeyPair::generate().expect("a key");
        Self { issuer: CertifiedIssuer::self_signed(params, key).expect("a certificate") }
    }

    /// Its own certificate as PEM.
    pub fn pem(&self) -> String {
        self.issuer.pem()
    }

    /// Trust in it and nobody else.
    pub fn roots(&self) -> RootCertStore {
        let mut roots = RootCertStore::empty();
        roots.add(self.issuer.der().clone()).expect("a certificate of ours");
        roots
    }

    /// A certificate of these host names, as [`Request::new`] has it.
    pub fn leaf(&self, names: &[&str]) -> Leaf {
        self.issue(&Request::new(names))
    }

    /// Issues a certificate, for servers and clients alike.
    pub fn issue(&self, request: &Request) -> Leaf {
        static SERIAL: AtomicU64 = AtomicU64::new(1);
        let key = match request.key {
            Key::EcdsaP256 => KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256),
            Key::Rsa => KeyPair::generate_for(&PKCS_RSA_SHA256),
            Key::Ed25519 => KeyPair::generate_for(&PKCS_ED25519),
        };
        let key = key.expect("a key");
        let mut params = CertificateParams::new(request.names.clone()).expect("host names");
        params.distinguished_name = rcgen::DistinguishedName::new();
        let name = request.names.first().map_or("nobody", String::as_str);
        params.distinguished_name.push(DnType::CommonName, name);
        let serial = SerialNumber::from(SERIAL.fetch_add(1, Relaxed));
        params.serial_number = Some(serial.clone());
        let now = OffsetDateTime::now_utc();
        params.not_before = now + Duration::days(request.days.0);
        params.not_after = now + Duration::days(request.days.1);
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages =
            vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
        params.use_authority_key_identifier_extension = true;
        let cert = params.signed_by(&key, &self.issuer).expect("a certificate");
        Leaf {
            cert: cert.pem(),
            key: key.serialize_pem(),
            der: cert.der().clone(),
            key_der: key.serialize_der(),
            public: rcgen::PublicKeyData::subject_public_key_info(&key),
            serial,
        }
    }

    /// A list of revoked certificates, valid for a week, as PEM.
    pub fn crl(&self, revoked: &[&Leaf]) -> String {
        let now = OffsetDateTime::now_utc();
        let revoked = revoked.iter().map(|leaf| RevokedCertParams {
            serial_number: leaf.serial.clone(),
            revocation_time: now - Duration::hours(1),
            reason_code: None,
            invalidity_date: None,
        });
        let params = CertificateRevocationListParams {
            this_update: now - Duration::days(1),
            next_update: now + Duration::days(7),
            crl_number: SerialNumber::from(1),
            issuing_distribution_point: None,
            revoked_certs: revoked.collect(),
            key_identifier_method: KeyIdMethod::Sha256,
        };
        let crl = params.signed_by(&self.issuer).expect("a list");
        crl.pem().expect("PEM")
    }
}

impl Leaf {
    /// The certificate as a handshake shows it.
    pub fn der(&self) -> &CertificateDer<'static> {
        &self.der
    }

    /// Its public key (SubjectPublicKeyInfo).
    pub fn public_key(&self) -> &[u8] {
        &self.public
    }

    /// A server that shows it, offers `protocols` by ALPN, and asks clients for certificates of `clients`, if given.
    pub fn server(&self, protocols: &[&str], clients: Option<&Authority>) -> ServerConfig {
        let builder = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()
            .expect("the provider knows them");
        let builder = match clients {
            None => builder.with_no_client_auth(),
            Some(authority) => {
                let roots = Arc::new(authority.roots());
                let provider = Arc::new(aws_lc_rs::default_provider());
                let verifier = WebPkiClientVerifier::builder_with_provider(roots, provider);
                builder.with_client_cert_verifier(verifier.build().expect("an authority"))
            }
        };
        let key = PrivatePkcs8KeyDer::from(self.key_der.clone()).into();
        let mut config =
            builder.with_single_cert(vec![self.der.clone()], key).expect("the key is its own");
        config.alpn_protocols = protocols.iter().map(|name| name.as_bytes().to_vec()).collect();
        config
    }

    /// The key for a client that shows the certificate.
    pub(crate) fn certified_key(&self) -> Arc<rustls::sign::CertifiedKey> {
        let key = PrivatePkcs8KeyDer::from(self.key_der.clone()).into();
        let key = aws_lc_rs::sign::any_supported_type(&key).expect("a key of ours");
        Arc::new(rustls::sign::CertifiedKey::new(vec![self.der.clone()], key))
    }
}

impl fmt::Debug for Authority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Authority").finish_non_exhaustive()
    }
}

impl fmt::Debug for Leaf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Leaf").field("serial", &self.serial.to_string()).finish_non_exhaustive()
    }
}
