//! Sessions are taken up again where, and only where, nothing changed in whom we trust.

use super::{Authority, Pair, client, client_auth, client_tls12, connect, reason, server};
use crate::tls::{Client, Server};
use rustls::HandshakeKind::{self, Full, Resumed};
use rustls::pki_types::UnixTime;
use rustls::time_provider::TimeProvider;
use std::sync::Arc;
use std::time::Duration;

async fn handshake(server: &Server, client: &Client) -> HandshakeKind {
    let kind = connect(server, client).await.unwrap().server().handshake_kind().unwrap();
    // The key exchange is not what these tests are about.
    if kind == HandshakeKind::FullWithHelloRetryRequest { Full } else { kind }
}

/// Clients of both versions.
fn clients(authority: &Authority, pair: Option<&Pair>) -> [Client; 2] {
    let ca = authority.pem();
    [client(&ca, pair), client_tls12(&ca, pair)]
}

#[tokio::test]
async fn a_client_that_comes_back_is_resumed() {
    let authority = Authority::new("authority");
    let server = server(&authority.issue(&["shop.example"]), None, None);
    for client in clients(&authority, None) {
        assert_eq!(handshake(&server, &client).await, Full);
        for _ in 0..4 {
            assert_eq!(handshake(&server, &client).await, Resumed);
        }
    }
}

#[tokio::test]
async fn a_client_of_tls_1_2_without_tickets_is_resumed_too() {
    let authority = Authority::new("authority");
    let server = server(&authority.issue(&["shop.example"]), None, None);
    let mut config = Arc::unwrap_or_clone(client_tls12(&authority.pem(), None).config);
    let ids = rustls::client::Tls12Resumption::SessionIdOnly;
    config.resumption = config.resumption.tls12_resumption(ids);
    let client = Client { config: Arc::new(config), certificate: None, id: 0 };
    assert_eq!(handshake(&server, &client).await, Full);
    assert_eq!(handshake(&server, &client).await, Resumed);
}

#[tokio::test]
async fn a_client_is_sent_no_more_than_two_tickets() {
    let authority = Authority::new("authority");
    let server = server(&authority.issue(&["shop.example"]), None, None);
    let connected = connect(&server, &client(&authority.pem(), None)).await.unwrap();
    assert_eq!(connected.client.get_ref().1.tls13_tickets_received(), 2);
}

#[tokio::test]
async fn a_renewed_certificate_does_not_make_clients_begin_anew() {
    let authority = Authority::new("authority");
    let ca = authority.pem();
    let auth = || client_auth(&ca, None, true);
    let mine = authority.issue(&["client.example"]);
    for (auth, pair) in [(None, None), (Some(auth()), Some(&mine))] {
        let old = server(&authority.issue(&["shop.example"]), auth, None);
        let new = server(&authority.issue(&["shop.example"]), auth, Some(&old));
        for client in clients(&authority, pair) {
            assert_eq!(handshake(&old, &client).await, Full);
            assert_eq!(handshake(&new, &client).await, Resumed);
        }
    }
}

#[tokio::test]
async fn nobody_is_resumed_across_a_change_of_whom_we_trust() {
    let (authority, other) = (Authority::new("authority"), Authority::new("other"));
    let pair = authority.issue(&["shop.example"]);
    let mine = authority.issue_numbered(8);
    let (ca, both) = (authority.pem(), authority.pem() + &other.pem());
    let (crl, longer) = (authority.revoke(&[], 3000), authority.revoke(&[7], 3000));
    let none = None;
    let required = Some(client_auth(&ca, None, true));
    let optional = Some(client_auth(&ca, None, false));
    let more = Some(client_auth(&both, None, true));
    let listed = Some(client_auth(&ca, Some(&crl), true));
    let relisted = Some(client_auth(&ca, Some(&longer), true));
    let changes = [
        (none, required),
        (required, none),
        (none, optional),
        (optional, required),
        (required, optional),
        (required, more),
        (more, required),
        (required, listed),
        (listed, relisted),
        (relisted, required),
    ];
    for (before, after) in changes {
        let old = server(&pair, before, None);
        let new = server(&pair, after, Some(&old));
        for client in clients(&authority, Some(&mine)) {
            assert_eq!(handshake(&old, &client).await, Full);
            assert_eq!(handshake(&old, &client).await, Resumed);
            assert_eq!(handshake(&new, &client).await, Full, "{before:?} → {after:?}");
        }
    }
}

#[tokio::test]
async fn a_revoked_client_does_not_get_in_by_what_it_was_before() {
    let authority = Authority::new("authority");
    let pair = authority.issue(&["shop.example"]);
    let mine = authority.issue_numbered(7);
    let ca = authority.pem();
    let (crl, revoked) = (authority.revoke(&[], 3000), authority.revoke(&[7], 3000));
    let old = server(&pair, Some(client_auth(&ca, Some(&crl), true)), None);
    let new = server(&pair, Some(client_auth(&ca, Some(&revoked), true)), Some(&old));
    for client in clients(&authority, Some(&mine)) {
        handshake(&old, &client).await;
        assert_eq!(reason(connect(&new, &client).await), "invalid peer certificate: Revoked");
    }
}

/// The present, moved.
#[derive(Debug)]
struct Later(Duration);

impl TimeProvider for Later {
    fn current_time(&self) -> Option<UnixTime> {
        Some(UnixTime::since_unix_epoch(Duration::from_secs(UnixTime::now().as_secs()) + self.0))
    }
}

#[tokio::test]
async fn a_client_whose_certificate_has_expired_since_is_not_resumed() {
    let authority = Authority::new("authority");
    let ca = authority.pem();
    let auth = client_auth(&ca, None, true);
    let mut server = server(&authority.issue(&["shop.example"]), Some(auth), None);
    let mine =
        authority.issue_with(&["client.example"], rcgen::KeyPair::generate().unwrap(), |params| {
            params.not_after = rcgen::date_time_ymd(2100, 1, 1);
        });
    let clients = clients(&authority, Some(&mine));
    for client in &clients {
        assert_eq!(handshake(&server, client).await, Full);
        assert_eq!(handshake(&server, client).await, Resumed);
    }
    let mut config = (*server.config).clone();
    config.time_provider = Arc::new(Later(Duration::from_secs(100 * 366 * 24 * 60 * 60)));
    server.config = Arc::new(config);
    for client in &clients {
        let refused = reason(connect(&server, client).await);
        assert!(refused.starts_with("invalid peer certificate: certificate expired"), "{refused}");
    }
}
