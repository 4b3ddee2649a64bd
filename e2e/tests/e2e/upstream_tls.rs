//! TLS and HTTP/2 towards endpoints.

use crate::scene::config;
use crate::secure::HOST;
use e2e::{Authority, Connection, Dial, Load, Outrigger, Status};
use serde_json::Value;
use testserver::Server;

/// An authority, and an endpoint of TLS with a certificate of its for [`HOST`].
async fn endpoint(protocols: &[&str]) -> (Authority, Server) {
    let authority = Authority::new("of endpoints");
    let tls = authority.leaf(&[HOST]).server(protocols, None);
    let server = Server::builder().name("one").tls(tls).start().await.unwrap();
    (authority, server)
}

fn yaml(server: &Server, backend: &str) -> String {
    config("RoundRobin", &[server.url()], backend)
}

async fn echo(outrigger: &Outrigger) -> Value {
    let mut connection = Connection::open(outrigger.address()).await.unwrap();
    let answer = connection.get("/echo").await.unwrap();
    assert_eq!(answer.status, 200, "{}", answer.text());
    serde_json::from_slice(&answer.body).unwrap()
}

/// A request that no endpoint answers; says what the access log has of it.
async fn refused(outrigger: &Outrigger, server: &Server) -> String {
    let before = server.counts().requests;
    let mut connection = Connection::open(outrigger.address()).await.unwrap();
    let answer = connection.get("/echo?refused").await.unwrap();
    assert_eq!(answer.status, 502, "{}", answer.text());
    assert_eq!(server.counts().requests, before, "a request went to who is not trusted");
    let line = outrigger.access_log().find("its line", |it| it.path == "/echo?refused").await;
    println!("{}: {}", line.reason, line.detail.clone().unwrap_or_default());
    line.text
}

#[tokio::test]
async fn an_endpoint_is_trusted_by_its_authority_and_name() {
    let (authority, server) = endpoint(&["h2", "http/1.1"]).await;
    let files = [("ca.crt", &*authority.pem())];
    let tls = format!("    tls: {{ caFile: ca.crt, serverName: {HOST} }}\n");
    let outrigger = Outrigger::start_with(&files, &yaml(&server, &tls)).await;
    let echo = echo(&outrigger).await;
    assert_eq!(echo["tls"]["serverName"], HOST, "{echo:#}");
    assert_eq!(echo["version"], "HTTP/1.1", "the backend speaks HTTP/1.1 unless it says otherwise");
    let tally = Load::on(outrigger.address()).connections(4).requests(400).await;
    tally.assert_all_ok();
    assert!(server.counts().connections < 50, "connections are not kept: {:?}", server.counts());
    outrigger.stop().await;
}

/// The certificate is for the host name, and what is asked for is the address of the URL.
#[tokio::test]
async fn a_certificate_of_another_name_is_refused_and_the_log_names_both() {
    let (authority, server) = endpoint(&["http/1.1"]).await;
    let files = [("ca.crt", &*authority.pem())];
    for tls in ["{ caFile: ca.crt }", "{ caFile: ca.crt, serverName: other.example }"] {
        let tls = format!("    tls: {tls}\n");
        let outrigger = Outrigger::start_with(&files, &yaml(&server, &tls)).await;
        let line = refused(&outrigger, &server).await.to_lowercase();
        assert!(line.contains("certificate") && line.contains("name"), "{line}");
        outrigger.stop().await;
    }
}

#[tokio::test]
async fn a_certificate_of_an_unknown_authority_is_refused() {
    let (_, server) = endpoint(&["http/1.1"]).await;
    let other = Authority::new("of endpoints");
    let files = [("ca.crt", &*other.pem())];
    for tls in [
        format!("    tls: {{ caFile: ca.crt, serverName: {HOST} }}\n"),
        format!("    tls: {{ serverName: {HOST} }}\n"),
    ] {
        let outrigger = Outrigger::start_with(&files, &yaml(&server, &tls)).await;
        let line = refused(&outrigger, &server).await.to_lowercase();
        assert!(line.contains("certificate"), "{line}");
        outrigger.stop().await;
    }
}

#[tokio::test]
async fn an_unverified_endpoint_serves_only_when_asked_for_and_is_warned_of() {
    let (_, server) = endpoint(&["http/1.1"]).await;
    let tls = "    tls: { insecureSkipVerify: true }\n";
    let outrigger = Outrigger::start(&yaml(&server, tls)).await;
    assert_eq!(echo(&outrigger).await["tls"]["alpn"], "http/1.1");
    let warned = |line: &String| line.contains("WARN") && line.contains("insecureSkipVerify");
    outrigger.log().find("the warning", warned).await;
    outrigger.stop().await;
}

#[tokio::test]
async fn an_endpoint_that_wants_a_certificate_gets_ours() {
    let authority = Authority::new("of both");
    let tls = authority.leaf(&[HOST]).server(&["h2", "http/1.1"], Some(&authority));
    let server = Server::builder().tls(tls).start().await.unwrap();
    let ours = authority.leaf(&["outrigger.example"]);
    let files = [("ca.crt", &*authority.pem()), ("o.crt", &*ours.cert), ("o.key", &*ours.key)];
    let without = format!("    tls: {{ caFile: ca.crt, serverName: {HOST} }}\n");
    let outrigger = Outrigger::start_with(&files, &yaml(&server, &without)).await;
    refused(&outrigger, &server).await;
    let with = without.replace(" }", ", clientCertificate: { certFile: o.crt, keyFile: o.key } }");
    outrigger.reload(&yaml(&server, &with)).await;
    assert_eq!(echo(&outrigger).await["tls"]["clientCertificate"], true);
    let http2 = with + "    protocol: Http2\n";
    outrigger.reload(&yaml(&server, &http2)).await;
    let echo = echo(&outrigger).await;
    assert_eq!(
        (&echo["version"], &echo["tls"]["clientCertificate"]),
        (&"HTTP/2.0".into(), &true.into())
    );
    outrigger.stop().await;
}

/// An authority's renewal reaches connections that are made from then on.
#[tokio::test]
async fn a_new_authority_is_trusted_and_the_old_one_no_more() {
    let (old, server) = endpoint(&["http/1.1"]).await;
    let new = Authority::new("of endpoints");
    let files = [("ca.crt", &*new.pem())];
    let tls = format!("    tls: {{ caFile: ca.crt, serverName: {HOST} }}\n");
    let outrigger = Outrigger::start_with(&files, &yaml(&server, &tls)).await;
    refused(&outrigger, &server).await;
    e2e::Put::Rename.put(outrigger.directory(), &[("ca.crt", &old.pem())]);
    outrigger.until("the next generation", |status| status.generation == 2).await;
    echo(&outrigger).await;
    outrigger.stop().await;
}

/// Many requests, few connections: HTTP/2 carries them at once.
#[tokio::test]
async fn endpoints_speak_http2_over_tls_and_without() {
    let (authority, secure) = endpoint(&["h2", "http/1.1"]).await;
    let plain = Server::builder().http2().start().await.unwrap();
    let tls = format!("    protocol: Http2\n    tls: {{ caFile: ca.crt, serverName: {HOST} }}\n");
    for (server, backend) in [(&secure, &*tls), (&plain, "    protocol: H2c\n")] {
        let files = [("ca.crt", &*authority.pem())];
        let outrigger = Outrigger::start_with(&files, &yaml(server, backend)).await;
        let load = Load::on(outrigger.address()).connections(32).path("/hold").start();
        server.wait_for_in_flight(32).await;
        let connections = server.counts().open_connections;
        assert!((1..=4).contains(&connections), "{connections} connections for 32 requests");
        let stopping = tokio::spawn(load.stop());
        server.release();
        stopping.await.unwrap().assert_all_ok();

        let mut client = Connection::open(outrigger.address()).await.unwrap();
        let answer = client.get("/bytes/3000000").await.unwrap();
        assert_eq!(answer.body, testserver::pattern(3_000_000));
        let body = testserver::pattern(1_000_000);
        let request = http::Request::post("/sink").body(body.into()).unwrap();
        let answer = client.send(request).await.unwrap();
        let sink: Value = serde_json::from_slice(&answer.body).unwrap();
        assert_eq!((&sink["length"], &sink["pattern"]), (&1_000_000.into(), &true.into()));
        drop(client);
        outrigger.stop().await;
    }
}

/// An endpoint that takes two streams at once gets as many connections as it needs, and no refusal reaches a client.
#[tokio::test]
async fn an_endpoints_limit_of_streams_is_kept() {
    let server = Server::builder().http2().max_streams(2).start().await.unwrap();
    let outrigger = Outrigger::start(&yaml(&server, "    protocol: H2c\n")).await;
    let load = Load::on(outrigger.address()).connections(16).path("/?delay=2ms").requests(800);
    load.await.assert_all_ok();
    let held = Load::on(outrigger.address()).connections(8).path("/hold").start();
    server.wait_for_in_flight(8).await;
    assert!(server.counts().open_connections >= 4, "{:?}", server.counts());
    let stopping = tokio::spawn(held.stop());
    server.release();
    stopping.await.unwrap().assert_all_ok();
    outrigger.stop().await;
}

/// B8: an endpoint that sends GOAWAY or ends gets no new streams there; requests that it did not see are tried again.
#[tokio::test]
async fn goaway_and_the_end_of_an_http2_endpoint_fail_no_request() {
    let servers = [(); 2].map(|()| Server::builder().http2());
    let [first, second] = servers;
    let (first, second) = (first.start().await.unwrap(), second.start().await.unwrap());
    let text = config("RoundRobin", &[first.url(), second.url()], "    protocol: H2c\n");
    let outrigger = Outrigger::start(&text).await;
    let load = Load::on(outrigger.address()).connections(8).path("/?delay=1ms").start();
    load.wait_for_more(200).await;
    let mut client = Connection::open(outrigger.address()).await.unwrap();
    for _ in 0..10 {
        assert_eq!(client.get("/go-away").await.unwrap().status, 200);
        load.wait_for_more(50).await;
    }
    for _ in 0..5 {
        first.stop().await;
        load.wait_for_more(100).await;
        first.restart().unwrap();
        load.wait_for_more(100).await;
    }
    load.stop().await.assert_all_ok();
    let in_flight = |status: &Status| status.backend("demo").in_flight() == [0, 0];
    outrigger.until("no request in flight", in_flight).await;
    drop(client);
    outrigger.stop().await;
}

/// Every pair of protocols, with trailers kept where both can carry them.
#[tokio::test]
async fn bodies_and_trailers_pass_between_all_protocols() {
    let (authority, secure) = endpoint(&["h2"]).await;
    let (http1, h2c) = (
        Server::builder().start().await.unwrap(),
        Server::builder().http2().start().await.unwrap(),
    );
    let tls = format!("    protocol: Http2\n    tls: {{ caFile: ca.crt, serverName: {HOST} }}\n");
    for (server, backend) in [(&http1, ""), (&h2c, "    protocol: H2c\n"), (&secure, &*tls)] {
        let files = [("ca.crt", &*authority.pem())];
        let outrigger = Outrigger::start_with(&files, &yaml(server, backend)).await;
        for http2 in [false, true] {
            let dial = Dial::to(outrigger.address());
            let dial = if http2 { dial.http2() } else { dial };
            let mut client = Connection::open(dial).await.unwrap();
            let request = http::Request::get("/trailers").header("te", "trailers");
            let answer = client.send(request.body(Default::default()).unwrap()).await.unwrap();
            assert_eq!(answer.text(), "with trailers\n");
            // HTTP/1.1 passes trailers that were declared; the HTTP/2 endpoint of this test declares none.
            if http2 || std::ptr::eq(server, &http1) {
                assert_eq!(
                    answer.trailers.get("x-checksum").map(|it| it.as_bytes()),
                    Some(&b"42"[..]),
                    "{backend}, HTTP/2: {http2}: {answer:?}"
                );
            }
            let body = testserver::pattern(500_000);
            let request = http::Request::post("/sink").body(body.into()).unwrap();
            let sink: Value =
                serde_json::from_slice(&client.send(request).await.unwrap().body).unwrap();
            assert_eq!((&sink["length"], &sink["pattern"]), (&500_000.into(), &true.into()));
            for status in [204, 304, 404, 503] {
                let answer = client.get(&format!("/status/{status}")).await.unwrap();
                assert_eq!(answer.status, status);
            }
            let request = http::Request::head("/bytes/1000").body(Default::default()).unwrap();
            let answer = client.send(request).await.unwrap();
            assert_eq!(
                (answer.status, answer.header("content-length"), answer.body.len()),
                (200, "1000", 0)
            );
        }
        outrigger.stop().await;
    }
}
