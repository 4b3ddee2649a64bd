//! What comes before the first request: the header of the PROXY protocol, the TLS handshake, and the limit of connections.

use super::client::{Client, Ended};
use super::harness::{Config, Proxy, received, server};
use std::sync::Arc;
use std::time::Duration;
use testserver::Server;
use tokio::net::TcpStream;
use tokio::time::timeout;

const REQUEST: &str = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
const V1: &str = "PROXY TCP4 192.0.2.7 198.51.100.1 56324 443\r\n";
/// The same in version 2.
const V2: &[u8] =
    b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c\xc0\0\x02\x07\xc6\x33\x64\x01\xdc\x04\x01\xbb";

fn proxy(server: &Server, mode: &str, trusted: &str) -> Proxy {
    Config::to(&[server]).trusted(trusted).listener(&format!("proxyProtocol: {mode}")).start()
}

fn client_told(server: &Server) -> String {
    let all = received(server).concat();
    let told = all.split("\r\nx-forwarded-for: ").last().unwrap();
    told.split("\r\n").next().unwrap().to_owned()
}

#[tokio::test]
async fn a_trusted_proxy_names_the_client_in_front_of_the_connection() {
    for mode in ["Accept", "Require"] {
        for header in [V1.as_bytes(), V2] {
            let server = server().await;
            let proxy = proxy(&server, mode, "127.0.0.0/8");
            let mut client = proxy.client().await;
            client.send([header, REQUEST.as_bytes()].concat()).await;
            assert_eq!(client.answer().await.status, 200);
            assert_eq!(client_told(&server), "192.0.2.7");
            // All of the connection is that client's, and what it says of others is not believed.
            client.send("GET / HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: 203.0.113.9\r\n\r\n").await;
            assert_eq!(client.answer().await.status, 200);
            assert_eq!(client_told(&server), "192.0.2.7");
        }
    }
}

#[tokio::test]
async fn a_header_that_comes_byte_by_byte_is_read() {
    let server = server().await;
    let proxy = proxy(&server, "Require", "127.0.0.0/8");
    let mut client = proxy.client().await;
    for byte in V1.bytes() {
        client.send([byte]).await;
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    client.send(REQUEST).await;
    assert_eq!(client.answer().await.status, 200);
    assert_eq!(client_told(&server), "192.0.2.7");
}

#[tokio::test]
async fn who_is_not_trusted_cannot_name_another() {
    let server = server().await;
    let accepting = proxy(&server, "Accept", "10.0.0.0/8");
    let mut client = accepting.client().await;
    client.send([V1, REQUEST].concat()).await;
    assert_eq!(client.answer().await.status, 400);
    let requiring = proxy(&server, "Require", "10.0.0.0/8");
    let mut client = requiring.client().await;
    client.send([V1, REQUEST].concat()).await;
    assert_eq!(client.rest().await.0, b"");
    assert_eq!(server.counts().requests, 0);
}

#[tokio::test]
async fn a_required_header_that_is_missing_or_malformed_ends_the_connection() {
    let server = server().await;
    let proxy = proxy(&server, "Require", "127.0.0.0/8");
    for bytes in [REQUEST, "PROXY TCP4 192.0.2.7 198.51.100.1 56324\r\n", "PROXY TCP4 1\r\n"] {
        let mut client = proxy.client().await;
        client.send(bytes).await;
        assert!(matches!(client.rest().await, (answer, _) if answer.is_empty()), "{bytes}");
    }
    assert_eq!(server.counts().requests, 0);
}

#[tokio::test]
async fn an_accepted_header_may_be_missing_and_a_local_one_names_nobody() {
    let server = server().await;
    let proxy = proxy(&server, "Accept", "127.0.0.0/8");
    for header in ["", "PROXY UNKNOWN\r\n"] {
        let mut client = proxy.client().await;
        client.send([header, REQUEST].concat()).await;
        assert_eq!(client.answer().await.status, 200);
        assert_eq!(client_told(&server), "127.0.0.1");
    }
}

/// S3
#[tokio::test]
async fn a_header_that_does_not_come_is_waited_for_as_long_as_a_handshake() {
    let server = server().await;
    let proxy = Config::to(&[&server])
        .trusted("127.0.0.0/8")
        .listener("proxyProtocol: Require")
        .limits("handshakeTimeout: 100ms")
        .start();
    for bytes in ["", "PROXY TCP4 192"] {
        let mut client = proxy.client().await;
        client.send(bytes).await;
        assert_eq!(client.rest().await.0, b"");
    }
}

/// Files of a certificate for `a.example`, and who trusts it.
pub fn certificate() -> (tempfile::TempDir, String, rustls::RootCertStore) {
    let made = rcgen::generate_simple_self_signed(["a.example".to_owned()]).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let (cert, key) = (folder.path().join("a.crt"), folder.path().join("a.key"));
    std::fs::write(&cert, made.cert.pem()).unwrap();
    std::fs::write(&key, made.signing_key.serialize_pem()).unwrap();
    let keys = format!(
        "tls: {{ certificates: [{{ certFile: '{}', keyFile: '{}' }}] }}",
        cert.display(),
        key.display()
    );
    let mut roots = rustls::RootCertStore::empty();
    roots.add(made.cert.der().clone()).unwrap();
    (folder, keys, roots)
}

/// A client of TLS. It resumes its sessions.
pub fn connector(roots: rustls::RootCertStore, alpn: &[&str]) -> tokio_rustls::TlsConnector {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = alpn.iter().map(|name| name.as_bytes().to_vec()).collect();
    tokio_rustls::TlsConnector::from(Arc::new(config))
}

async fn shake_hands(
    proxy: &Proxy,
    roots: rustls::RootCertStore,
    alpn: &[&str],
) -> tokio_rustls::client::TlsStream<TcpStream> {
    let socket = TcpStream::connect(proxy.address).await.unwrap();
    connector(roots, alpn).connect("a.example".try_into().unwrap(), socket).await.unwrap()
}

#[tokio::test]
async fn http_on_a_port_that_speaks_tls_is_told_so() {
    let (_folder, keys, _) = certificate();
    let server = server().await;
    let proxy = Config::to(&[&server]).listener(&keys).start();
    let answer = proxy.ask(REQUEST).await;
    assert_eq!((answer.status, answer.field("connection")), (400, Some("close")));
    assert!(answer.text().contains("this port speaks TLS"), "{answer:?}");
}

/// S3
#[tokio::test]
async fn a_handshake_that_does_not_come_ends_the_connection() {
    let (_folder, keys, roots) = certificate();
    let server = server().await;
    let proxy = Config::to(&[&server]).listener(&keys).limits("handshakeTimeout: 200ms").start();
    for bytes in ["", "\x16\x03\x01\x02\0\x01"] {
        let mut client = proxy.client().await;
        client.send(bytes).await;
        assert!(matches!(client.rest().await, (_, Ended::Closed | Ended::Reset)), "{bytes:?}");
    }
    // Once it is done, its time has no meaning any more.
    let stream = shake_hands(&proxy, roots, &[]).await;
    tokio::time::sleep(Duration::from_millis(400)).await;
    let mut stream = stream;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    stream.write_all(REQUEST.as_bytes()).await.unwrap();
    let mut status = [0; 12];
    stream.read_exact(&mut status).await.unwrap();
    assert_eq!(&status, b"HTTP/1.1 200");
    assert!(received(&server)[0].contains("\r\nx-forwarded-proto: https\r\n"));
}

/// K4: neither for TLS nor for the first frames of HTTP/2.
#[tokio::test]
async fn a_drain_does_not_wait_for_who_says_nothing() {
    let (_folder, keys, roots) = certificate();
    let server = server().await;
    let proxy = Config::to(&[&server])
        .listener(&keys)
        .limits("handshakeTimeout: 1h, headerTimeout: 1h, idleTimeout: 1h")
        .start();
    let _silent = TcpStream::connect(proxy.address).await.unwrap();
    let _agreed = shake_hands(&proxy, roots, &["h2"]).await;
    proxy.drain().await;
}

#[tokio::test]
async fn clients_beyond_the_most_wait_until_others_go() {
    let server = server().await;
    let proxy = Config::to(&[&server]).limits("maxConnections: 2").start();
    let mut first = proxy.client().await;
    let mut second = proxy.client().await;
    assert_eq!(first.get("/").await.status, 200);
    assert_eq!(second.get("/").await.status, 200);
    let mut third = proxy.client().await;
    third.send(REQUEST).await;
    let waited = timeout(Duration::from_millis(200), third.answer()).await;
    assert!(waited.is_err(), "{waited:?}");
    assert_eq!(server.counts().requests, 2);
    drop(first);
    assert_eq!(third.answer().await.status, 200);
    assert_eq!(second.get("/").await.status, 200);
}

#[tokio::test]
async fn our_own_answers_to_calls_are_statuses_of_grpc() {
    let (_port, url) = super::harness::dead_port();
    let proxy = Config::to_urls(vec![url])
        .routes("{ name: r, matches: [{ path: { prefix: /shop } }], backends: [{ name: test }] }")
        .start();
    let call = async |path: &str| -> (u16, String, String) {
        let mut client = Client::to(proxy.address).await;
        client
            .send(format!(
                "POST {path} HTTP/1.1\r\nHost: a\r\nContent-Type: application/grpc\r\n\
                 Content-Length: 0\r\n\r\n"
            ))
            .await;
        let answer = client.answer().await;
        let field = |name| answer.field(name).unwrap_or_default().to_owned();
        assert!(answer.body.is_empty());
        assert_eq!(field("content-type"), "application/grpc");
        (answer.status, field("grpc-status"), field("grpc-message"))
    };
    let unavailable = (200, "14".to_owned(), "no endpoint could be reached".to_owned());
    assert_eq!(
        call("/shop.Shop/Buy").await,
        (200, "12".to_owned(), "no route takes this request".to_owned())
    );
    assert_eq!(call("/shop/Buy").await, unavailable);
}
