//! Which certificate a client is shown.

use super::{Authority, client, connect_to};
use crate::tls::{Certificate, Server, ServerOptions};
use std::sync::Arc;

fn server(authority: &Authority, names: &[&[&str]]) -> Server {
    let certificates = names.iter().map(|names| authority.issue(names).load()).collect();
    Server::new(ServerOptions { certificates, client_auth: None, only_tls13: false }, None).unwrap()
}

/// The index of the certificate for `name`.
fn found(server: &Server, name: Option<&str>) -> usize {
    let names = crate::tls::names::ByName::new(&server.certificates);
    let key = names.find(name, &[rustls::SignatureScheme::ECDSA_NISTP256_SHA256]).unwrap();
    let is = |certificate: &Arc<Certificate>| Arc::ptr_eq(&certificate.key, key);
    server.certificates.iter().position(is).unwrap()
}

/// T3.
#[test]
fn the_exact_name_comes_before_the_wildcard_and_that_before_the_first() {
    let authority = Authority::new("authority");
    let server = server(
        &authority,
        &[
            &["default.example"],
            &["*.shop.example"],
            &["shop.example", "api.shop.example"],
            &["api.shop.example", "*.api.shop.example"],
            &["*.example"],
        ],
    );
    let table = [
        (None, 0),
        (Some("default.example"), 0),
        (Some("shop.example"), 2),
        (Some("www.shop.example"), 1),
        // Two have it: the first of them.
        (Some("api.shop.example"), 2),
        (Some("v1.api.shop.example"), 3),
        // A wildcard stands for one label.
        (Some("a.b.shop.example"), 0),
        (Some("a.v1.api.shop.example"), 0),
        (Some("other.example"), 4),
        (Some("example"), 0),
        (Some("unknown.test"), 0),
        // A client cannot ask for the wildcard itself.
        (Some(".shop.example"), 1),
        (Some(""), 0),
    ];
    for (name, index) in table {
        assert_eq!(found(&server, name), index, "{name:?}");
    }
}

/// T3.
#[tokio::test]
async fn the_case_of_the_name_does_not_matter() {
    let authority = Authority::new("authority");
    let server = server(&authority, &[&["default.example"], &["Shop.Example"]]);
    let client = client(&authority.pem(), None);
    let connected = connect_to(&server, &client, "SHOP.example").await.unwrap();
    let shown = &server.certificates[1].key.cert;
    assert_eq!(connected.client().peer_certificates(), Some(&shown[..]));
}

#[tokio::test]
async fn a_client_that_names_no_host_is_shown_the_first_certificate() {
    let authority = Authority::new("authority");
    let server = server(&authority, &[&["shop.example", "127.0.0.1"], &["other.example"]]);
    let connected =
        connect_to(&server, &client(&authority.pem(), None), "127.0.0.1").await.unwrap();
    assert_eq!(connected.server().server_name(), None);
}
