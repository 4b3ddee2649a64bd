//! How endpoints are spoken to, and which of them are believed.

use super::{Authority, client, client_auth, connect, connect_to, file, reason, server};
use crate::tls::{Client, ClientOptions};
use rustls::HandshakeKind::{Full, Resumed};

fn options(ca: &str) -> ClientOptions<'_> {
    ClientOptions {
        ca: Some(file("ca.crt", ca)),
        certificate: None,
        insecure_skip_verify: false,
        http2: false,
    }
}

#[tokio::test]
async fn an_endpoint_must_have_a_certificate_for_its_name_from_whom_we_trust() {
    let (authority, other) = (Authority::new("authority"), Authority::new("other"));
    let server = server(&authority.issue(&["shop.example"]), None, None);
    let right = client(&authority.pem(), None);
    connect(&server, &right).await.unwrap();
    let refused = reason(connect_to(&server, &right, "other.example").await);
    assert!(refused.contains(r#"not valid for name "other.example""#), "{refused}");
    let refused = reason(connect(&server, &client(&other.pem(), None)).await);
    assert_eq!(refused, "invalid peer certificate: UnknownIssuer");
}

#[tokio::test]
async fn an_own_authority_stands_in_place_of_the_systems_roots() {
    let server = server(&Authority::new("authority").issue(&["shop.example"]), None, None);
    let roots = ClientOptions { ca: None, ..options("") };
    match Client::new(roots) {
        Ok(client) => assert_eq!(
            reason(connect(&server, &client).await),
            "invalid peer certificate: UnknownIssuer"
        ),
        // A machine without any.
        Err(error) => assert!(
            error.to_string().starts_with("the system's root certificates: there are none"),
            "{error}"
        ),
    }
}

/// As `openssl req -x509` makes it.
#[tokio::test]
async fn a_certificate_that_signed_itself_is_believed_where_it_is_named() {
    let key = rcgen::KeyPair::generate().unwrap();
    let mut params = rcgen::CertificateParams::new(["shop.example".to_owned()]).unwrap();
    params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let issue = |params: &rcgen::CertificateParams| super::Pair {
        cert: params.self_signed(&key).unwrap().pem(),
        key: key.serialize_pem(),
    };
    let pair = issue(&params);
    let endpoint = server(&pair, None, None);
    let trusting = client(&pair.cert, None);
    connect(&endpoint, &trusting).await.unwrap();
    let refused = reason(connect_to(&endpoint, &trusting, "other.example").await);
    assert!(refused.contains(r#"not valid for name "other.example""#), "{refused}");

    for (year, what) in [(2024, "Expired"), (3000, "NotValidYet")] {
        params.not_before = rcgen::date_time_ymd(year, 1, 1);
        params.not_after = rcgen::date_time_ymd(year, 12, 31);
        let pair = issue(&params);
        let refused = reason(connect(&server(&pair, None, None), &client(&pair.cert, None)).await);
        assert_eq!(refused, format!("invalid peer certificate: {what}"));
    }
}

#[tokio::test]
async fn without_verification_any_certificate_will_do_but_not_without_its_key() {
    let server_of = |pair| server(pair, None, None);
    let authority = Authority::new("authority");
    let pair = authority.issue(&["other.example"]);
    let client =
        Client::new(ClientOptions { ca: None, insecure_skip_verify: true, ..options("") }).unwrap();
    connect(&server_of(&pair), &client).await.unwrap();

    // A thief of a certificate has not its key.
    let key = authority.issue(&["shop.example"]).load().key.key.clone();
    let stolen = rustls::sign::CertifiedKey::new(pair.load().key.cert.clone(), key);
    let mut thief = server_of(&pair);
    let mut config = (*thief.config).clone();
    config.cert_resolver = std::sync::Arc::new(rustls::sign::SingleCertAndKey::from(stolen));
    thief.config = std::sync::Arc::new(config);
    assert_eq!(reason(connect(&thief, &client).await), "invalid peer certificate: BadSignature");
}

#[tokio::test]
async fn our_certificate_is_shown_to_an_endpoint_that_asks() {
    let authority = Authority::new("authority");
    let ca = authority.pem();
    let mine = authority.issue(&["outrigger.example"]);
    let endpoint =
        server(&authority.issue(&["shop.example"]), Some(client_auth(&ca, None, true)), None);
    let connected = connect(&endpoint, &client(&ca, Some(&mine))).await.unwrap();
    assert_eq!(connected.server().peer_certificates(), Some(&mine.load().key.cert[..]));
}

#[tokio::test]
async fn an_endpoint_is_asked_for_one_version_of_http() {
    let authority = Authority::new("authority");
    let ca = authority.pem();
    let server = server(&authority.issue(&["shop.example"]), None, None);
    for (http2, agreed) in [(true, &b"h2"[..]), (false, b"http/1.1")] {
        let client = Client::new(ClientOptions { http2, ..options(&ca) }).unwrap();
        let connected = connect(&server, &client).await.unwrap();
        assert_eq!(connected.client().alpn_protocol(), Some(agreed));
    }
}

#[tokio::test]
async fn a_further_connection_to_an_endpoint_resumes_its_session() {
    let authority = Authority::new("authority");
    let server = server(&authority.issue(&["shop.example"]), None, None);
    let client = client(&authority.pem(), None);
    for expected in [Full, Resumed, Resumed] {
        let kind = connect(&server, &client).await.unwrap().client().handshake_kind();
        assert_eq!(kind, Some(expected));
    }
}

#[test]
fn an_authority_that_cannot_be_used_is_named() {
    let error = Client::new(options("")).expect_err("there is nobody to trust");
    assert_eq!(error.to_string(), "ca.crt: the file is empty");
}
