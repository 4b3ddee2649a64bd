//! The pieces of these tests against each other, without the product: what fails here is no fault of it.

use crate::secure::HOST;
use e2e::{Authority, Connection, Dial, Load, Tls};
use rustls::ProtocolVersion;
use testserver::Server;

#[tokio::test]
async fn clients_and_test_servers_agree_on_tls_and_http2() {
    let authority = Authority::new("test authority");
    let leaf = authority.leaf(&[HOST]);
    let tls = leaf.server(&["h2", "http/1.1"], None);
    let server = Server::builder().name("one").tls(tls).start().await.unwrap();
    assert!(server.url().starts_with("https://"));
    let client = Tls::new(&authority, HOST);
    let first = client.handshake(server.address()).await.unwrap();
    assert_eq!((&first.certificate, first.resumed), (leaf.der(), false));
    assert_eq!(first.version, ProtocolVersion::TLSv1_3);
    assert!(client.handshake(server.address()).await.unwrap().resumed);
    let stranger = Tls::new(&Authority::new("another"), HOST);
    stranger.handshake(server.address()).await.unwrap_err();

    let dial = Dial::to(server.address()).tls(&client);
    for (dial, version) in [(dial.clone(), "HTTP/1.1"), (dial.clone().http2(), "HTTP/2.0")] {
        let answer = Connection::open(dial).await.unwrap().get("/echo").await.unwrap();
        assert_eq!(answer.status, 200);
        let echo: serde_json::Value = serde_json::from_slice(&answer.body).unwrap();
        assert_eq!((&echo["version"], &echo["tls"]["serverName"]), (&version.into(), &HOST.into()));
    }
    let tally = Load::on(dial.clone().http2()).connections(2).streams(8).requests(200).await;
    tally.assert_all_ok();
    assert_eq!((tally.total(), tally.opened), (200, 2));
    let tally = Load::on(dial).fresh().requests(10).await;
    tally.assert_all_ok();
    assert_eq!(tally.opened, 10);
}

#[tokio::test]
async fn clients_and_test_servers_agree_on_http2_without_tls() {
    let server = Server::builder().http2().start().await.unwrap();
    let mut connection = Connection::open(Dial::to(server.address()).http2()).await.unwrap();
    let answer = connection.get("/trailers").await.unwrap();
    assert_eq!(answer.trailers["x-checksum"], "42");
    assert_eq!(connection.get("/bytes/300000").await.unwrap().body, testserver::pattern(300_000));
    assert!(connection.get("/reset/8").await.is_err());
    assert_eq!(connection.get("/go-away").await.unwrap().status, 200);
    crate::edit::until_closed("the connection that goes away", &connection).await;
    let mut connection = Connection::open(server.address()).await.unwrap();
    assert!(connection.get("/echo").await.unwrap().text().contains("HTTP/1.1"));
}

#[tokio::test]
async fn clients_and_test_servers_agree_on_certificates_of_clients() {
    let authority = Authority::new("test authority");
    let leaf = authority.leaf(&[HOST]);
    let server = Server::builder().tls(leaf.server(&["http/1.1"], Some(&authority)));
    let server = server.start().await.unwrap();
    for version in [&rustls::version::TLS12, &rustls::version::TLS13] {
        let client = Tls::versions(&authority, HOST, &[version]);
        let stranger = Authority::new("another").leaf(&["client.example"]);
        client.clone().handshake(server.address()).await.unwrap_err();
        client.clone().certificate(&stranger).handshake(server.address()).await.unwrap_err();
        let ours = client.certificate(&authority.leaf(&["client.example"]));
        let dial = Dial::to(server.address()).tls(&ours);
        let answer = Connection::open(dial).await.unwrap().get("/echo").await.unwrap();
        assert!(answer.text().contains("\"clientCertificate\":true"), "{}", answer.text());
    }
    assert_eq!(server.counts().requests, 2);
}
