//! From the name that a client asks for (SNI, RFC 6066 section 3) to the certificate that it is shown.

use super::Certificate;
use rustls::SignatureScheme;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use std::collections::HashMap;
use std::sync::Arc;

type Keys = Vec<Arc<CertifiedKey>>;

/// Certificates by the names in them. Several may have a name in common, with keys of different kinds.
#[derive(Debug)]
pub(super) struct ByName {
    /// In the order of the configuration.
    all: Keys,
    exact: HashMap<String, Keys>,
    /// By what follows `*.`.
    wildcard: HashMap<String, Keys>,
}

impl ByName {
    pub(super) fn new(certificates: &[Arc<Certificate>]) -> Self {
        let mut exact: HashMap<_, Keys> = HashMap::new();
        let mut wildcard: HashMap<_, Keys> = HashMap::new();
        for certificate in certificates {
            for name in &certificate.names {
                let keys = match name.strip_prefix("*.") {
                    Some(parent) => wildcard.entry(parent.to_owned()).or_default(),
                    None => exact.entry(name.clone()).or_default(),
                };
                keys.push(Arc::clone(&certificate.key));
            }
        }
        let all = certificates.iter().map(|certificate| Arc::clone(&certificate.key)).collect();
        Self { all, exact, wildcard }
    }

    /// The certificates for `name`, the best first: those with exactly this name, those with a wildcard in place of its first label, any.
    fn candidates(&self, name: Option<&str>) -> impl Iterator<Item = &Arc<CertifiedKey>> {
        let parent = name.and_then(|name| name.split_once('.')).map(|(_, parent)| parent);
        let exact = name.and_then(|name| self.exact.get(name));
        let wildcard = parent.and_then(|parent| self.wildcard.get(parent));
        exact.into_iter().chain(wildcard).chain([&self.all]).flatten()
    }

    /// The best certificate for `name` whose key can sign as the client understands it.
    pub(super) fn find(
        &self,
        name: Option<&str>,
        schemes: &[SignatureScheme],
    ) -> Option<&Arc<CertifiedKey>> {
        self.candidates(name)
            .find(|key| key.key.choose_scheme(schemes).is_some())
            .or_else(|| self.candidates(name).next())
    }
}

impl ResolvesServerCert for ByName {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        // rustls has made the name lower case.
        self.find(hello.server_name(), hello.signature_schemes()).cloned()
    }
}
