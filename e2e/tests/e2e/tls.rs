//! TLS as clients see it: openssl, curl and rustls, each against the real listener.

use crate::secure::{HOST, Secure, config, with_tls};
use e2e::{
    Authority, Connection, Dial, Key, Leaf, Outrigger, Request, Said, Tls, has_tool, in_time,
    run_tool, said,
};
use rustls::crypto::aws_lc_rs::kx_group;
use rustls::{NamedGroup, ProtocolVersion};
use std::net::SocketAddr;
use std::process::Stdio;
use std::time::Duration;
use testserver::Server;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::Instant;

/// openssl makes a handshake with `address`, and asks for `/health` if `ask` says so.
async fn s_client(address: SocketAddr, arguments: &[&str], ask: bool) -> Said {
    let mut command = tokio::process::Command::new("openssl");
    command.args(["s_client", "-connect", &address.to_string()]).args(arguments);
    if !ask {
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        return in_time("openssl", said(command)).await;
    }
    command.arg("-ign_eof").stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.kill_on_drop(true).spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let request = b"GET /health HTTP/1.1\r\nHost: shop.example\r\nConnection: close\r\n\r\n";
    stdin.write_all(request).await.unwrap();
    let output = in_time("openssl", child.wait_with_output()).await.unwrap();
    Said {
        code: output.status.code(),
        out: String::from_utf8_lossy(&output.stdout).into_owned(),
        err: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

/// T3
#[tokio::test]
async fn clients_get_the_certificate_of_the_name_that_they_ask_for() {
    if !has_tool("openssl") {
        return;
    }
    let server = Server::builder().start().await.unwrap();
    let authority = Authority::new("test authority");
    let names = [&[HOST][..], &["*.shop.example"], &["api.shop.example", "other.example"]];
    let [first, wild, exact] = names.map(|names| authority.leaf(names));
    let files = [
        ("a.crt", &*first.cert),
        ("a.key", &*first.key),
        ("b.crt", &*wild.cert),
        ("b.key", &*wild.key),
        ("c.crt", &*exact.cert),
        ("c.key", &*exact.key),
    ];
    let certificates = "certificates: [{ certFile: a.crt, keyFile: a.key }, { certFile: b.crt, keyFile: b.key }, \
                        { certFile: c.crt, keyFile: c.key }]";
    let yaml = with_tls(certificates, "", &[server.url()], "");
    let outrigger = Outrigger::start_with(&files, &yaml).await;
    let expected: [(&[&str], &Leaf); 8] = [
        (&["-servername", HOST], &first),
        (&["-servername", "api.shop.example"], &exact),
        (&["-servername", "API.Shop.Example"], &exact),
        (&["-servername", "other.example"], &exact),
        (&["-servername", "www.shop.example"], &wild),
        // A wildcard is one label.
        (&["-servername", "a.b.shop.example"], &first),
        (&["-servername", "unknown.example"], &first),
        (&["-noservername"], &first),
    ];
    for version in ["-tls1_2", "-tls1_3"] {
        for (name, leaf) in expected {
            let arguments = [name, &[version]].concat();
            let said = s_client(outrigger.address(), &arguments, false).await;
            assert!(said.out.contains(leaf.cert.trim()), "{arguments:?}: {said:#?}");
        }
    }
    outrigger.stop().await;
}

/// The key in the form that openssl wrote until 1.0: PKCS#1 for RSA, SEC1 for ECDSA.
async fn traditional(leaf: &Leaf) -> String {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("key.pem");
    std::fs::write(&path, &leaf.key).unwrap();
    let said = run_tool("openssl", ["pkey", "-traditional", "-in", path.to_str().unwrap()]).await;
    assert_eq!(said.code, Some(0), "{said:?}");
    said.out
}

#[tokio::test]
async fn every_kind_of_key_serves_from_every_form_of_file() {
    if !has_tool("openssl") {
        return;
    }
    let server = Server::builder().start().await.unwrap();
    let authority = Authority::new("test authority");
    let leaves = [Key::EcdsaP256, Key::Rsa, Key::Ed25519]
        .map(|key| authority.issue(&Request::new(&[HOST]).key(key)));
    let [ecdsa, rsa, ed25519] = &leaves;
    let (sec1, pkcs1) = (traditional(ecdsa).await, traditional(rsa).await);
    assert!(sec1.contains("BEGIN EC PRIVATE KEY") && pkcs1.contains("BEGIN RSA PRIVATE KEY"));
    let cases = [
        (ecdsa, &ecdsa.key),
        (ecdsa, &sec1),
        (rsa, &rsa.key),
        (rsa, &pkcs1),
        (ed25519, &ed25519.key),
    ];
    for (leaf, key) in cases {
        let files = [("a.crt", &*leaf.cert), ("a.key", key.as_str())];
        let outrigger = Outrigger::start_with(&files, &config("", &[server.url()], "")).await;
        let address = outrigger.address();
        for version in [&rustls::version::TLS12, &rustls::version::TLS13] {
            let client = Tls::versions(&authority, HOST, &[version]);
            let handshake = client.handshake(address).await.unwrap();
            assert_eq!(&handshake.certificate, leaf.der());
            assert_eq!(handshake.version, version.version);
        }
        for version in ["-tls1_2", "-tls1_3"] {
            let said = s_client(address, &["-servername", HOST, version], true).await;
            assert!(said.out.contains("HTTP/1.1 200 "), "{version}: {said:#?}");
        }
        outrigger.stop().await;
    }
}

#[tokio::test]
async fn old_versions_are_refused_and_so_is_tls_1_2_where_1_3_is_the_oldest() {
    if !has_tool("openssl") {
        return;
    }
    let scene = Secure::start().await;
    let old = ["-cipher", "DEFAULT@SECLEVEL=0", "-servername", HOST];
    for (version, served) in
        [("-tls1", false), ("-tls1_1", false), ("-tls1_2", true), ("-tls1_3", true)]
    {
        let arguments = [&old[..], &[version]].concat();
        let said = s_client(scene.outrigger.address(), &arguments, true).await;
        assert_eq!(said.out.contains("HTTP/1.1 200 "), served, "{version}: {said:#?}");
    }
    let edited = with_tls(
        "certificates: [{ certFile: a.crt, keyFile: a.key }], minVersion: TLSv1.3",
        "",
        &[scene.server.url()],
        "",
    );
    scene.outrigger.reload(&edited).await;
    for (version, served) in [("-tls1_2", false), ("-tls1_3", true)] {
        let arguments = [&old[..], &[version]].concat();
        let said = s_client(scene.outrigger.address(), &arguments, true).await;
        assert_eq!(said.out.contains("HTTP/1.1 200 "), served, "{version}: {said:#?}");
    }
    scene.outrigger.stop().await;
}

/// Tickets of one worker are good for the others: eight connections come to all of them.
#[tokio::test]
async fn sessions_are_resumed_whichever_worker_takes_the_connection() {
    let scene = Secure::start().await;
    for version in [&rustls::version::TLS12, &rustls::version::TLS13] {
        let client = Tls::versions(&scene.authority, HOST, &[version]);
        let address = scene.outrigger.address();
        assert!(!client.handshake(address).await.unwrap().resumed);
        for number in 1..=8 {
            let handshake = client.handshake(address).await.unwrap();
            assert!(handshake.resumed, "{version:?}, connection {number}: {handshake:?}");
        }
    }
    if has_tool("openssl") {
        let session = scene.outrigger.directory().join("session.pem");
        let session = session.to_str().unwrap();
        for version in ["-tls1_2", "-tls1_3"] {
            let with = |way| [version, "-servername", HOST, way, session];
            let address = scene.outrigger.address();
            let first = s_client(address, &with("-sess_out"), true).await;
            assert!(first.out.contains("\nNew, "), "{version}: {first:#?}");
            let second = s_client(address, &with("-sess_in"), true).await;
            assert!(second.out.contains("\nReused, "), "{version}: {second:#?}");
            assert!(second.out.contains("HTTP/1.1 200 "), "{version}: {second:#?}");
        }
    }
    scene.outrigger.stop().await;
}

#[tokio::test]
async fn keys_are_exchanged_safe_from_quantum_computers_where_the_client_can() {
    let scene = Secure::start().await;
    let address = scene.outrigger.address();
    let handshake = scene.tls().handshake(address).await.unwrap();
    assert_eq!(handshake.group, Some(NamedGroup::X25519MLKEM768));
    assert_eq!(handshake.version, ProtocolVersion::TLSv1_3);
    for group in [kx_group::X25519, kx_group::SECP256R1, kx_group::SECP384R1] {
        let client = Tls::group(&scene.authority, HOST, group);
        assert_eq!(client.handshake(address).await.unwrap().group, Some(group.name()));
    }
    scene.outrigger.stop().await;
}

#[tokio::test]
async fn the_protocol_is_agreed_on_and_http_2_is_preferred() {
    let scene = Secure::start().await;
    let address = scene.outrigger.address();
    for (offered, agreed) in [
        (&["h2", "http/1.1"][..], "h2"),
        (&["http/1.1", "h2"], "h2"),
        (&["http/1.1"], "http/1.1"),
        (&["h2"], "h2"),
    ] {
        let handshake = scene.tls().alpn(offered).handshake(address).await.unwrap();
        assert_eq!(handshake.alpn, agreed, "{offered:?}");
    }
    // Whoever offers nothing speaks HTTP/1.1; whoever offers only what we do not speak is told so (ALPACA).
    let mut stream = scene.tls().connect(address).await.unwrap();
    stream.write_all(b"GET /health HTTP/1.0\r\nhost: a\r\n\r\n").await.unwrap();
    let mut answer = Vec::new();
    in_time("the answer", stream.read_to_end(&mut answer)).await.unwrap();
    assert!(answer.starts_with(b"HTTP/1."), "{}", String::from_utf8_lossy(&answer));
    let error = scene.tls().alpn(&["imap"]).connect(address).await.unwrap_err();
    assert!(error.contains("NoApplicationProtocol"), "{error}");
    scene.outrigger.stop().await;
}

#[tokio::test]
async fn curl_gets_a_page_over_http_1_1_and_http_2() {
    if !has_tool("curl") {
        return;
    }
    let scene = Secure::start().await;
    let port = scene.outrigger.address().port();
    let authority = scene.authority_file();
    for (flag, version) in [("--http1.1", "1.1"), ("--http2", "2")] {
        let (resolve, url) =
            (format!("{HOST}:{port}:127.0.0.1"), format!("https://{HOST}:{port}/echo"));
        let arguments = [
            "-sS",
            flag,
            "--cacert",
            &authority,
            "--resolve",
            &resolve,
            "-w",
            "\n%{http_version} %{response_code}",
            "--data-binary",
            "hello",
            &url,
        ];
        let said = run_tool("curl", arguments).await;
        assert!(said.out.ends_with(&format!("\n{version} 200")), "{flag}: {said:#?}");
        let echo: serde_json::Value =
            serde_json::from_str(said.out.lines().next().unwrap()).unwrap();
        assert_eq!(echo["body"]["text"], "hello");
        let headers = echo["headers"].as_array().unwrap();
        let value = |name: &str| {
            let found =
                headers.iter().filter(|it| it[0].as_str().unwrap().eq_ignore_ascii_case(name));
            found.map(|it| it[1].as_str().unwrap().to_owned()).collect::<Vec<_>>()
        };
        assert_eq!(value("host"), [format!("{HOST}:{port}")], "{echo:#}");
        assert_eq!(value("x-forwarded-proto"), ["https"], "{echo:#}");
    }
    scene.outrigger.stop().await;
}

/// S3: whoever connects and says nothing, or half a hello, holds its place for no longer than the handshake may take.
#[tokio::test]
async fn a_handshake_that_does_not_come_is_ended() {
    let scene = Secure::with("    limits: { handshakeTimeout: 300ms }\n", "").await;
    let begun = Instant::now();
    for first in [&b""[..], b"\x16\x03\x01\x02\x00\x01"] {
        let mut stream = TcpStream::connect(scene.outrigger.address()).await.unwrap();
        stream.write_all(first).await.unwrap();
        let mut rest = Vec::new();
        // A reset is an end, too.
        let _ = in_time("the end of the connection", stream.read_to_end(&mut rest)).await;
    }
    assert!(begun.elapsed() >= Duration::from_millis(300), "{:?}", begun.elapsed());
    // The time is the handshake's alone: what is idle after it stays.
    let mut connection = Connection::open(scene.dial()).await.unwrap();
    tokio::time::sleep(Duration::from_millis(400)).await;
    assert_eq!(connection.get("/health").await.unwrap().status, 200);
    drop(connection);
    scene.outrigger.stop().await;
}

#[tokio::test]
async fn who_speaks_http_to_the_tls_port_hangs_nowhere_and_gets_nothing_of_the_endpoint() {
    let scene = Secure::start().await;
    let mut stream = TcpStream::connect(scene.outrigger.address()).await.unwrap();
    stream.write_all(b"GET /health HTTP/1.1\r\nhost: a\r\n\r\n").await.unwrap();
    let mut answer = Vec::new();
    let _ = in_time("the end of the connection", stream.read_to_end(&mut answer)).await;
    let answer = String::from_utf8(answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("HTTP/1.1 400 "), "{answer}");
    assert!(head.contains(&format!("\r\ncontent-length: {}\r\n", body.len())), "{answer}");
    assert_eq!(scene.server.counts().requests, 0);
    let mut connection = Connection::open(scene.dial()).await.unwrap();
    assert_eq!(connection.get("/health").await.unwrap().status, 200);
    drop(connection);
    scene.outrigger.stop().await;
}

/// A listener without TLS beside one with it: each speaks its own.
#[tokio::test]
async fn the_url_that_a_client_is_sent_to_has_the_scheme_of_its_listener() {
    let server = Server::builder().start().await.unwrap();
    let authority = Authority::new("test authority");
    let leaf = authority.leaf(&[HOST]);
    let yaml = format!(
        "admin: {{ address: 127.0.0.1:0 }}
listeners:
  - {{ name: https, address: 127.0.0.1:0, tls: {{ certificates: [{{ certFile: a.crt, keyFile: a.key }}] }} }}
  - {{ name: http, address: 127.0.0.1:0 }}
routes:
  - {{ name: secure, listeners: [https], backends: [{{ name: demo }}] }}
  - name: redirect
    listeners: [http]
    filters: [{{ redirect: {{ scheme: Https, port: 443, status: 301 }} }}]
backends: [{{ name: demo, endpoints: [{}] }}]
",
        server.url()
    );
    let files = [("a.crt", &*leaf.cert), ("a.key", &*leaf.key)];
    let outrigger = Outrigger::start_with(&files, &yaml).await;
    let plain = outrigger.status().await.listeners[1].address;
    let request = http::Request::get("/a?b=c").header("host", HOST);
    let request = request.body(http_body_util::Full::default()).unwrap();
    let answer = Connection::open(plain).await.unwrap().send(request).await.unwrap();
    assert_eq!((answer.status, answer.header("location")), (301, "https://shop.example/a?b=c"));
    let dial = Dial::to(outrigger.address()).tls(&Tls::new(&authority, HOST));
    assert_eq!(Connection::open(dial).await.unwrap().get("/health").await.unwrap().status, 200);
    outrigger.stop().await;
}
