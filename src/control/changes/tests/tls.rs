//! What is said of TLS, HTTP/2 and the PROXY protocol.

use super::*;
use crate::model::{
    BackendTls, ClientAuth, ClientAuthMode, KeyPair, ListenerTls, Pem, Protocol, ProxyProtocol,
    ProxyProtocolVersion, TlsVersion,
};
use std::path::Path;

fn pem(path: &str, content: &str) -> Pem {
    Pem { path: Path::new(path).into(), bytes: content.as_bytes().into() }
}

fn pair(name: &str) -> KeyPair {
    KeyPair { cert: pem(&format!("{name}.crt"), "one"), key: pem(&format!("{name}.key"), "one") }
}

/// Gives `model` everything that can be said of TLS.
pub(super) fn add(model: &mut Model) {
    model.listeners[0].tls = Some(ListenerTls {
        certificates: vec![pair("a"), pair("b")],
        client_auth: Some(ClientAuth {
            ca: pem("ca.crt", "one"),
            crl: Some(pem("crl.pem", "one")),
            mode: ClientAuthMode::Required,
            forward_certificate: false,
        }),
        min_version: TlsVersion::Tls12,
    });
    model.listeners[0].proxy_protocol = ProxyProtocol::Accept;
    model.backends[0].tls = BackendTls {
        ca: Some(pem("inner.crt", "one")),
        server_name: None,
        client_certificate: Some(pair("client")),
        insecure_skip_verify: false,
    };
    model.backends[0].proxy_protocol = Some(ProxyProtocolVersion::V1);
}

fn tls(model: &mut Model) -> &mut ListenerTls {
    model.listeners[0].tls.as_mut().unwrap()
}

fn auth(model: &mut Model) -> &mut ClientAuth {
    tls(model).client_auth.as_mut().unwrap()
}

fn upstream(model: &mut Model) -> &mut BackendTls {
    &mut model.backends[0].tls
}

pub(super) const MUTATIONS: &[super::Mutation] = &[
    ("listener http: tls removed, clients speak plain HTTP", |m| m.listeners[0].tls = None),
    ("listener more: tls added with c.crt", |m| {
        let certificates = vec![pair("c")];
        let min_version = TlsVersion::Tls13;
        m.listeners[1].tls = Some(ListenerTls { certificates, client_auth: None, min_version });
    }),
    ("listener http: certificate c.crt added", |m| tls(m).certificates.push(pair("c"))),
    ("certificate b.crt removed", |m| drop(tls(m).certificates.pop())),
    ("order of tls.certificates changed, the first is the default", |m| {
        tls(m).certificates.reverse()
    }),
    ("certificate a.crt renewed", |m| tls(m).certificates[0].cert = pem("a.crt", "two")),
    ("certificate a.crt: keyFile a.key → b.key", |m| {
        tls(m).certificates[0].key = pem("b.key", "one");
    }),
    ("certificate a.crt: a.key rewritten", |m| tls(m).certificates[0].key = pem("a.key", "two")),
    ("tls.minVersion TLSv1.2 → TLSv1.3", |m| tls(m).min_version = TlsVersion::Tls13),
    ("tls.clientAuth removed, no client shows a certificate", |m| tls(m).client_auth = None),
    ("tls.clientAuth: caFile ca.crt → new.crt", |m| auth(m).ca = pem("new.crt", "one")),
    ("tls.clientAuth: caFile changed", |m| auth(m).ca = pem("ca.crt", "two")),
    ("tls.clientAuth: crlFile crl.pem → none", |m| auth(m).crl = None),
    ("tls.clientAuth: crlFile changed", |m| auth(m).crl = Some(pem("crl.pem", "two"))),
    ("tls.clientAuth: mode Required → Optional", |m| auth(m).mode = ClientAuthMode::Optional),
    ("tls.clientAuth: forwardCertificate false → true", |m| auth(m).forward_certificate = true),
    ("proxyProtocol Accept → Require", |m| {
        m.listeners[0].proxy_protocol = ProxyProtocol::Require;
    }),
    ("limits.handshakeTimeout 10s → none", |m| m.listeners[0].limits.handshake_timeout = None),
    ("limits.writeTimeout 1m → none", |m| m.listeners[0].limits.write_timeout = None),
    ("limits.maxConnectionAge 1h → none", |m| m.listeners[0].limits.max_connection_age = None),
    ("limits.maxConnections none → 5", |m| m.listeners[0].limits.max_connections = Some(5)),
    ("limits.maxConcurrentStreams 128 → 5", |m| m.listeners[0].limits.max_concurrent_streams = 5),
    ("backend demo: protocol Http1 → H2c", |m| m.backends[0].protocol = Protocol::H2c),
    ("backend demo: proxyProtocol V1 → none", |m| m.backends[0].proxy_protocol = None),
    ("backend demo: tls.caFile inner.crt → none", |m| upstream(m).ca = None),
    ("tls.caFile changed", |m| upstream(m).ca = Some(pem("inner.crt", "two"))),
    ("tls.serverName none → shop", |m| upstream(m).server_name = Some(Arc::from("shop"))),
    ("tls.clientCertificate client.crt → none", |m| upstream(m).client_certificate = None),
    ("tls.clientCertificate: certificate client.crt renewed", |m| {
        upstream(m).client_certificate.as_mut().unwrap().cert = pem("client.crt", "two");
    }),
    ("insecureSkipVerify false → true, the certificates of endpoints are NOT checked", |m| {
        upstream(m).insecure_skip_verify = true;
    }),
    ("timeouts.maxConnectionAge 1h → none", |m| m.backends[0].timeouts.max_connection_age = None),
];

#[test]
fn a_renewed_certificate_is_told_with_its_new_end() {
    let key = rcgen::KeyPair::generate().unwrap();
    let certificate = |year: i32| {
        let mut params = rcgen::CertificateParams::new(["shop.example".to_owned()]).unwrap();
        params.not_after = rcgen::date_time_ymd(year, 2, 1);
        let cert = params.self_signed(&key).unwrap().pem();
        KeyPair { cert: pem("a.crt", &cert), key: pem("a.key", &key.serialize_pem()) }
    };
    let mut before = full();
    tls(&mut before).certificates = vec![certificate(2026)];
    let mut after = before.clone();
    tls(&mut after).certificates = vec![certificate(2027)];
    assert_eq!(
        changes(&before, &after, 2),
        ["listener http: certificate a.crt renewed, valid until 2027-02-01"]
    );
}

/// What is in a key is shown to nobody.
#[test]
fn the_content_of_a_file_is_never_said() {
    let mut before = full();
    tls(&mut before).certificates[0].key = pem("a.key", "hunter1");
    let mut after = before.clone();
    tls(&mut after).certificates[0].key = pem("a.key", "hunter2");
    let said = changes(&before, &after, 2).join("; ");
    assert!(!said.contains("hunter") && !format!("{after:?}").contains("hunter"), "{said}");
}
