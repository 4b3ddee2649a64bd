//! What a listener offers, and which clients it lets in.

use super::{Authority, client, client_auth, client_tls12, connect, file, reason, server};
use crate::tls::{Client, ClientAuth, Server, ServerOptions};
use rustls::{NamedGroup, ProtocolVersion};
use std::sync::Arc;

fn with_alpn(client: Client, protocols: &[&str]) -> Client {
    let mut config = Arc::unwrap_or_clone(client.config);
    config.alpn_protocols = protocols.iter().map(|protocol| protocol.as_bytes().to_vec()).collect();
    Client { config: Arc::new(config), certificate: None, id: 0 }
}

#[tokio::test]
async fn http_2_is_agreed_upon_where_the_client_speaks_it() {
    let authority = Authority::new("authority");
    let server = server(&authority.issue(&["shop.example"]), None, None);
    for (offered, agreed) in [
        (&["http/1.1", "h2"][..], Some("h2")),
        (&["http/1.1"], Some("http/1.1")),
        (&["h3", "http/1.1"], Some("http/1.1")),
        (&[], None),
    ] {
        let client = with_alpn(client(&authority.pem(), None), offered);
        let connected = connect(&server, &client).await.unwrap();
        assert_eq!(connected.server().alpn_protocol(), agreed.map(str::as_bytes));
    }
    let client = with_alpn(client(&authority.pem(), None), &["smtp"]);
    assert_eq!(reason(connect(&server, &client).await), "peer doesn't support any known protocol");
}

#[tokio::test]
async fn keys_are_exchanged_so_that_a_quantum_computer_does_not_find_them() {
    let authority = Authority::new("authority");
    let server = server(&authority.issue(&["shop.example"]), None, None);
    let connected = connect(&server, &client(&authority.pem(), None)).await.unwrap();
    let group = connected.server().negotiated_key_exchange_group().unwrap();
    assert_eq!(group.name(), NamedGroup::X25519MLKEM768);
    assert_eq!(connected.server().protocol_version(), Some(ProtocolVersion::TLSv1_3));
}

#[tokio::test]
async fn tls_1_2_is_spoken_unless_it_is_forbidden() {
    let authority = Authority::new("authority");
    let pair = authority.issue(&["shop.example"]);
    let old = client_tls12(&authority.pem(), None);
    let connected = connect(&server(&pair, None, None), &old).await.unwrap();
    assert_eq!(connected.server().protocol_version(), Some(ProtocolVersion::TLSv1_2));

    let certificates = vec![pair.load()];
    let options = ServerOptions { certificates, client_auth: None, only_tls13: true };
    let strict = Server::new(options, None).unwrap();
    let refused = reason(connect(&strict, &old).await);
    assert_eq!(refused, "peer is incompatible: Tls12NotOfferedOrEnabled");
    connect(&strict, &client(&authority.pem(), None)).await.unwrap();
}

#[tokio::test]
async fn a_required_certificate_must_be_shown_and_be_of_the_right_authority() {
    let (authority, other) = (Authority::new("authority"), Authority::new("other"));
    let ca = authority.pem();
    let server =
        server(&authority.issue(&["shop.example"]), Some(client_auth(&ca, None, true)), None);
    let mine = authority.issue(&["client.example"]);
    for client in [client(&ca, Some(&mine)), client_tls12(&ca, Some(&mine))] {
        let connected = connect(&server, &client).await.unwrap();
        let shown = connected.server().peer_certificates().unwrap();
        assert_eq!(shown, &mine.load().key.cert[..]);
    }
    assert_eq!(reason(connect(&server, &client(&ca, None)).await), "peer sent no certificates");
    let foreign = other.issue(&["client.example"]);
    assert_eq!(
        reason(connect(&server, &client(&ca, Some(&foreign))).await),
        "invalid peer certificate: UnknownIssuer"
    );
}

#[tokio::test]
async fn an_optional_certificate_may_be_missing_but_not_be_wrong() {
    let (authority, other) = (Authority::new("authority"), Authority::new("other"));
    let ca = authority.pem();
    let server =
        server(&authority.issue(&["shop.example"]), Some(client_auth(&ca, None, false)), None);
    let connected = connect(&server, &client(&ca, None)).await.unwrap();
    assert_eq!(connected.server().peer_certificates(), None);
    let mine = authority.issue(&["client.example"]);
    let connected = connect(&server, &client(&ca, Some(&mine))).await.unwrap();
    assert!(connected.server().peer_certificates().is_some());
    let foreign = other.issue(&["client.example"]);
    assert_eq!(
        reason(connect(&server, &client(&ca, Some(&foreign))).await),
        "invalid peer certificate: UnknownIssuer"
    );
}

#[tokio::test]
async fn a_revoked_certificate_is_refused() {
    let authority = Authority::new("authority");
    let ca = authority.pem();
    let pair = authority.issue(&["shop.example"]);
    let crl = authority.revoke(&[7], 3000);
    let server = server(&pair, Some(client_auth(&ca, Some(&crl), true)), None);
    connect(&server, &client(&ca, Some(&authority.issue_numbered(8)))).await.unwrap();
    assert_eq!(
        reason(connect(&server, &client(&ca, Some(&authority.issue_numbered(7)))).await),
        "invalid peer certificate: Revoked"
    );
}

#[tokio::test]
async fn a_revocation_list_that_was_not_renewed_lets_nobody_in() {
    let authority = Authority::new("authority");
    let ca = authority.pem();
    let pair = authority.issue(&["shop.example"]);
    let crl = authority.revoke(&[7], 2025);
    let server = server(&pair, Some(client_auth(&ca, Some(&crl), true)), None);
    let refused = reason(connect(&server, &client(&ca, Some(&authority.issue_numbered(8)))).await);
    assert!(
        refused.starts_with("invalid peer certificate: certificate revocation list expired"),
        "{refused}"
    );
}

#[tokio::test]
async fn a_certificate_without_a_list_of_its_issuer_is_refused() {
    let (authority, other) = (Authority::new("authority"), Authority::new("other"));
    let both = authority.pem() + &other.pem();
    let pair = authority.issue(&["shop.example"]);
    let one = authority.revoke(&[], 3000);
    let server_one = server(&pair, Some(client_auth(&both, Some(&one), true)), None);
    let foreign = client(&both, Some(&other.issue(&["client.example"])));
    assert_eq!(
        reason(connect(&server_one, &foreign).await),
        "invalid peer certificate: UnknownRevocationStatus"
    );
    let two = one.clone() + &other.revoke(&[], 3000);
    let server_two = server(&pair, Some(client_auth(&both, Some(&two), true)), None);
    connect(&server_two, &foreign).await.unwrap();
}

#[test]
fn files_that_cannot_be_used_are_named() {
    let authority = Authority::new("authority");
    let pair = authority.issue(&["shop.example"]);
    let fault = |client_auth: ClientAuth<'_>| {
        let certificates = vec![pair.load()];
        let client_auth = Some(client_auth);
        let options = ServerOptions { certificates, client_auth, only_tls13: false };
        Server::new(options, None).expect_err("nobody can use this").to_string()
    };
    let ca = authority.pem();
    assert_eq!(
        fault(client_auth(&pair.key, None, true)),
        "ca.crt: there is no certificate in it, only a private key"
    );
    assert_eq!(
        fault(client_auth(&ca, Some(&ca), true)),
        "crl.pem: there is no certificate revocation list in it, only a certificate"
    );
    assert_eq!(fault(client_auth(&ca, Some(""), true)), "crl.pem: the file is empty");
    let broken = "-----BEGIN X509 CRL-----\nAAAA\n-----END X509 CRL-----\n";
    let reason = fault(client_auth(&ca, Some(broken), true));
    assert!(reason.starts_with("crl.pem: the revocation list cannot be used: "), "{reason}");
    // What `openssl ca -gencrl` writes unless its configuration says otherwise.
    let version1 = "-----BEGIN X509 CRL-----\n\
        MIGVMD0wCgYIKoZIzj0EAwIwETEPMA0GA1UEAwwGVGVzdENBFw0yNjExMjYwMjI5\n\
        MTlaFw0yNjEyMjYwMjI5MTlaMAoGCCqGSM49BAMCA0gAMEUCIHPKOxAPe6lRPpEA\n\
        9VLbwwJOObBovClqHVzw1t2P+HZJAiEA5/b79eLCILx+Jq5ijzCI6vGNi0ieigH3\n\
        YG7a/BZLGf8=\n\
        -----END X509 CRL-----\n";
    let reason = fault(client_auth(&ca, Some(version1), true));
    assert!(reason.contains("a list of version 1"), "{reason}");
    let broken = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    let reason = fault(ClientAuth { ca: file("ca.crt", broken), crl: None, required: true });
    assert!(reason.starts_with("ca.crt: certificate 1 in it cannot be used: "), "{reason}");
}
