//! TLS: the files are named, never their content.

use super::yaml::Yaml;
use crate::model::{BackendTls, ClientAuth, KeyPair, ListenerTls, Pem};

pub(super) fn listener(tls: &ListenerTls) -> Yaml {
    let ListenerTls { certificates, client_auth: auth, min_version } = tls;
    Yaml::map([
        ("certificates", Some(Yaml::list(certificates, key_pair))),
        ("clientAuth", auth.as_ref().map(client_auth)),
        ("minVersion", Some(Yaml::word(min_version))),
    ])
}

fn client_auth(auth: &ClientAuth) -> Yaml {
    let ClientAuth { ca, crl, mode, forward_certificate } = auth;
    Yaml::map([
        ("caFile", Some(file(ca))),
        ("mode", Some(Yaml::word(mode))),
        ("crlFile", crl.as_ref().map(file)),
        ("forwardCertificate", Some(Yaml::word(forward_certificate))),
    ])
}

/// Nothing when it says nothing: a backend without a `https` endpoint must not have it.
pub(super) fn backend(tls: &BackendTls) -> Option<Yaml> {
    let BackendTls { ca, server_name, client_certificate, insecure_skip_verify } = tls;
    (*tls != BackendTls::default()).then(|| {
        Yaml::map([
            ("caFile", ca.as_ref().map(file)),
            ("serverName", server_name.as_ref().map(Yaml::text)),
            ("clientCertificate", client_certificate.as_ref().map(key_pair)),
            ("insecureSkipVerify", Some(Yaml::word(insecure_skip_verify))),
        ])
    })
}

pub(super) fn key_pair(pair: &KeyPair) -> Yaml {
    let KeyPair { cert, key } = pair;
    Yaml::map([("certFile", Some(file(cert))), ("keyFile", Some(file(key)))])
}

pub(super) fn file(pem: &Pem) -> Yaml {
    Yaml::text(pem.path.display())
}
