//! What a snapshot takes over from the one before, of TLS.

use super::Snapshot;
use crate::config;
use crate::model::{
    BackendTls, ClientAuth, ClientAuthMode, KeyPair, ListenerTls, Model, Pem, TlsVersion,
};
use rcgen::{CertificateParams, generate_simple_self_signed};
use std::path::Path;
use std::sync::Arc;

const CONFIG: &str = "
listeners:
  - { name: plain, address: '127.0.0.1:1' }
  - { name: secure, address: '127.0.0.1:2' }
backends:
  - { name: shop, endpoints: ['http://127.0.0.1:9'] }
  - { name: secret, endpoints: ['http://127.0.0.1:9'] }
routes: [{ name: all, backends: [{ name: shop }] }, { name: other, hosts: [a.example], backends: [{ name: secret }] }]
";

fn pem(path: &str, text: &str) -> Pem {
    Pem { path: Path::new(path).into(), bytes: text.as_bytes().into() }
}

fn pair(name: &str) -> KeyPair {
    let issued = generate_simple_self_signed([name.to_owned()]).unwrap();
    let key = issued.signing_key.serialize_pem();
    KeyPair { cert: pem("a.crt", &issued.cert.pem()), key: pem("a.key", &key) }
}

fn authority() -> Pem {
    let mut params = CertificateParams::default();
    params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    pem("ca.crt", &params.self_signed(&rcgen::KeyPair::generate().unwrap()).unwrap().pem())
}

fn model() -> Model {
    let mut model = config::load(CONFIG.as_bytes(), "config.yaml", &config::Surroundings::none())
        .unwrap()
        .model;
    model.listeners[1].tls = Some(ListenerTls {
        certificates: vec![pair("shop.example")],
        client_auth: None,
        min_version: TlsVersion::Tls12,
    });
    let secret = &mut model.backends[1];
    secret.endpoints[0].url.scheme = crate::model::Scheme::Https;
    secret.tls = BackendTls { ca: Some(authority()), ..BackendTls::default() };
    model
}

fn compile(model: &Model, previous: Option<&Snapshot>) -> Snapshot {
    Snapshot::compile(Arc::new(model.clone()), String::new(), previous, 1).unwrap()
}

#[test]
fn who_speaks_tls_has_it() {
    let snapshot = compile(&model(), None);
    assert!(snapshot.tls("plain").is_none());
    assert_eq!(snapshot.tls("secure").unwrap().certificates[0].names, ["shop.example"]);
    assert!(snapshot.backend("shop").unwrap().tls().is_none());
    assert!(snapshot.backend("secret").unwrap().tls().is_some());
}

#[test]
fn tls_that_did_not_change_is_the_very_same() {
    let mut model = model();
    let before = compile(&model, None);
    model.listeners[1].limits.max_headers += 1;
    model.backends[1].retry.attempts += 1;
    let after = compile(&model, Some(&before));
    assert!(Arc::ptr_eq(before.tls("secure").unwrap(), after.tls("secure").unwrap()));
    let client =
        |snapshot: &Snapshot| Arc::clone(snapshot.backend("secret").unwrap().tls().unwrap());
    assert!(Arc::ptr_eq(&client(&before), &client(&after)));
    model.backends[1].tls.ca = Some(authority());
    assert!(!Arc::ptr_eq(&client(&after), &client(&compile(&model, Some(&after)))));
}

/// T1.
#[test]
fn a_renewed_certificate_is_another_and_takes_over_what_clients_may_resume() {
    let mut model = model();
    let before = compile(&model, None);
    let tls = model.listeners[1].tls.as_mut().unwrap();
    tls.certificates = vec![pair("new.example")];
    let renewed = compile(&model, Some(&before));
    let server = |snapshot: &Snapshot| Arc::clone(snapshot.tls("secure").unwrap());
    assert_eq!(server(&renewed).certificates[0].names, ["new.example"]);
    let tickets = |snapshot: &Snapshot| Arc::clone(&server(snapshot).config.ticketer);
    assert!(Arc::ptr_eq(&tickets(&before), &tickets(&renewed)));

    let tls = model.listeners[1].tls.as_mut().unwrap();
    tls.client_auth = Some(ClientAuth {
        ca: authority(),
        crl: None,
        mode: ClientAuthMode::Required,
        forward_certificate: false,
    });
    let strict = compile(&model, Some(&renewed));
    assert!(!Arc::ptr_eq(&tickets(&renewed), &tickets(&strict)));
}

#[test]
fn a_file_that_cannot_be_used_is_told_with_who_names_it() {
    let mut broken = model();
    broken.listeners[1].tls.as_mut().unwrap().certificates[0].key = pem("a.key", "");
    let fault = |model| Snapshot::compile(Arc::new(model), String::new(), None, 1).unwrap_err();
    assert_eq!(fault(broken), "listener secure: a.key: the file is empty");
    let mut broken = model();
    broken.backends[1].tls.ca = Some(pem("ca.crt", "nonsense"));
    assert_eq!(
        fault(broken),
        "backend secret: ca.crt: it is not PEM: no line in it begins with -----BEGIN"
    );
}
