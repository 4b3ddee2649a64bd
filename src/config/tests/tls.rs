//! TLS, HTTP/2 and the PROXY protocol: what is valid, what is wrong with keys and with the files that they name.

use super::*;
use crate::model::{
    ClientAuthMode, Pem, ProbeCheck, Protocol, ProxyProtocol, ProxyProtocolVersion, Scheme,
    TlsVersion, defaults,
};

/// A file with these lines in its listener.
fn listener(lines: &str) -> String {
    format!(
        "listeners:\n  - name: http\n    address: 127.0.0.1:8080\n{lines}\nbackends:\n  - name: demo\n    endpoints: [http://localhost:8081]\n"
    )
}

/// A file whose listener has these certificates.
fn certificates(list: &str) -> String {
    listener(&format!("    tls:\n      certificates:\n{list}"))
}

/// A file whose listener has this certificate and this key.
fn pair(cert: &str, key: &str) -> String {
    certificates(&format!("        - certFile: {cert}\n          keyFile: {key}"))
}

/// A file whose listener has a good certificate and checks those of clients.
fn client_auth(text: &str) -> String {
    listener(&format!(
        "    tls:\n      certificates: [{{ certFile: a.crt, keyFile: a.key }}]\n      clientAuth: {{ {text} }}"
    ))
}

/// A file with an endpoint that speaks TLS, and this in the `tls` of its backend.
fn upstream(text: &str) -> String {
    backend(&format!("tls: {{ {text} }}")).replace("http://localhost", "https://localhost")
}

#[test]
fn every_key_of_tls_reaches_the_model() {
    let text = "
listeners:
  - name: https
    address: '[::]:8443'
    tls:
      certificates:
        - { certFile: a.crt, keyFile: a.key }
        - { certFile: /etc/tls/b.crt, keyFile: /etc/tls/b.key }
      clientAuth: { caFile: ca.crt, mode: Optional, crlFile: crl.pem, forwardCertificate: true }
      minVersion: TLSv1.3
    proxyProtocol: Require
    trustedProxies: [10.0.0.0/8]
    limits: { handshakeTimeout: 1s, writeTimeout: 2s, maxConnectionAge: 0s, maxConnections: 5, maxConcurrentStreams: 7 }
backends:
  - name: demo
    protocol: Http2
    proxyProtocol: V2
    endpoints: [HTTPS://A, https://b:8443/x]
    tls:
      caFile: ca.crt
      serverName: Shop.internal.
      clientCertificate: { certFile: c.crt, keyFile: c.key }
      insecureSkipVerify: false
    timeouts: { maxConnectionAge: 5m }
    healthProbe: { grpc: { service: shop } }
    latencyProbe: { grpc: {} }
";
    let loaded = load(text.as_bytes(), "config.yaml", &variables).unwrap();
    assert_eq!(loaded.warnings.to_string(), "");
    let names = ["a.crt", "a.key", "c.crt", "c.key", "ca.crt", "crl.pem"];
    let mut files: Vec<_> = names.map(|name| format!("/etc/outrigger/{name}")).into();
    files.extend(["/etc/tls/b.crt", "/etc/tls/b.key"].map(str::to_owned));
    let absolute: Vec<_> = loaded.files.iter().map(|path| path.to_str().unwrap()).collect();
    assert_eq!(absolute, files);

    let model = loaded.model;
    let is = |pem: &Pem, path: &str| {
        assert_eq!(pem.path.to_str(), Some(path));
        assert_eq!(*pem.bytes, *pki::read(&pem.path).unwrap());
    };
    let tls = model.listeners[0].tls.as_ref().unwrap();
    is(&tls.certificates[0].cert, "a.crt");
    is(&tls.certificates[1].key, "/etc/tls/b.key");
    let auth = tls.client_auth.as_ref().unwrap();
    is(&auth.ca, "ca.crt");
    is(auth.crl.as_ref().unwrap(), "crl.pem");
    assert_eq!((auth.mode, auth.forward_certificate), (ClientAuthMode::Optional, true));
    assert_eq!(tls.min_version, TlsVersion::Tls13);
    assert_eq!(model.listeners[0].proxy_protocol, ProxyProtocol::Require);
    let limits = &model.listeners[0].limits;
    let second = Duration::from_secs(1);
    assert_eq!(limits.handshake_timeout, Some(second));
    assert_eq!(limits.write_timeout, Some(second * 2));
    assert_eq!(limits.max_connection_age, None);
    assert_eq!((limits.max_connections, limits.max_concurrent_streams), (Some(5), 7));

    let backend = &model.backends[0];
    assert_eq!(backend.protocol, Protocol::Http2);
    assert_eq!(backend.proxy_protocol, Some(ProxyProtocolVersion::V2));
    let urls: Vec<_> = backend.endpoints.iter().map(|one| one.url.to_string()).collect();
    assert_eq!(urls, ["https://a", "https://b:8443/x"]);
    assert_eq!(
        (backend.endpoints[0].url.scheme, backend.endpoints[0].url.port),
        (Scheme::Https, 443)
    );
    is(backend.tls.ca.as_ref().unwrap(), "ca.crt");
    assert_eq!(backend.tls.server_name.as_deref(), Some("shop.internal"));
    is(&backend.tls.client_certificate.as_ref().unwrap().key, "c.key");
    assert_eq!(backend.timeouts.max_connection_age, Some(second * 300));
    let check = &backend.health_probe.as_ref().unwrap().probe.check;
    assert_eq!(*check, ProbeCheck::Grpc { service: "shop".into() });
    let check = &backend.latency_probe.as_ref().unwrap().probe.check;
    assert_eq!(*check, ProbeCheck::Grpc { service: "".into() });
    assert_eq!(model.files().count(), 9);
}

#[test]
fn what_is_not_typed_of_tls_has_its_default() {
    let model = read(&pair("a.crt", "a.key")).unwrap();
    let tls = model.listeners[0].tls.as_ref().unwrap();
    assert_eq!((tls.min_version, &tls.client_auth), (TlsVersion::Tls12, &None));
    let limits = &model.listeners[0].limits;
    assert_eq!(limits.handshake_timeout, Some(defaults::HANDSHAKE_TIMEOUT));
    assert_eq!(limits.write_timeout, Some(defaults::WRITE_TIMEOUT));
    assert_eq!(limits.max_connection_age, Some(defaults::MAX_CONNECTION_AGE));
    assert_eq!(limits.max_connections, None);
    assert_eq!(limits.max_concurrent_streams, defaults::MAX_CONCURRENT_STREAMS);
    let backend = &model.backends[0];
    assert_eq!((backend.protocol, backend.proxy_protocol), (Protocol::Http1, None));
    assert_eq!(backend.timeouts.max_connection_age, Some(defaults::MAX_CONNECTION_AGE));
    let model = read(&client_auth("caFile: ca.crt")).unwrap();
    let auth = model.listeners[0].tls.as_ref().unwrap().client_auth.as_ref().unwrap();
    assert_eq!((auth.mode, auth.forward_certificate), (ClientAuthMode::Required, false));
    assert!(read(&upstream("caFile: ca.crt")).is_ok());
}

#[test]
fn what_is_wrong_with_the_keys_of_tls_is_refused() {
    refused(
        "bad_tls",
        &[
            &listener("    tls: {}"),
            &certificates("        []"),
            &certificates("        - certFile: a.crt"),
            &certificates("        - { certFile: , keyFile: '' }"),
            &certificates(
                "        - { certFile: a.crt, keyFile: a.key }\n        - { certFile: a.crt, keyFile: b.key }",
            ),
            &certificates(
                "        - { certFile: a.crt, keyFile: \"-----BEGIN PRIVATE KEY-----\\nMC4CAQAwBQYDK2Vw\" }",
            ),
            &certificates("        - { cert: a.crt, key: a.key }"),
            &client_auth("mode: optional"),
            &client_auth("caFile: ca.crt, crlFile: 7"),
            &listener(
                "    tls: { certificates: [{ certFile: a.crt, keyFile: a.key }], minVersion: 1.2 }",
            ),
            &backend("tls: { caFile: ca.crt }"),
            &upstream("serverName: 'shop:443'"),
            &upstream("serverName: '*.shop.internal'"),
            &upstream("serverName: https://shop.internal"),
            &upstream("clientCertificate: { certFile: a.crt }"),
            &upstream("insecureSkipVerify: yes"),
        ],
    );
}

#[test]
fn a_protocol_that_does_not_fit_its_endpoints_is_refused() {
    let urls = |list: &str, line: &str| backend(line).replace("http://localhost:8081", list);
    refused(
        "bad_protocol",
        &[
            &backend("protocol: h2"),
            &urls("https://a, http://b, { url: http://c }", "protocol: Http2"),
            &urls("https://a, http://b", "protocol: H2c"),
            &backend("healthProbe: { grpc: {} }"),
            &backend("protocol: Http1\n    latencyProbe: { grpc: {} }"),
            &backend("protocol: H2c\n    healthProbe: { grpc: {}, tcp: {} }"),
            &backend("protocol: H2c\n    healthProbe: { grpc: }"),
            &backend("protocol: H2c\n    healthProbe: { grpc: { service: '' } }"),
            &backend("proxyProtocol: V3"),
        ],
    );
    for valid in [
        urls("https://a, http://b", "protocol: Http1\n    tls: { caFile: ca.crt }"),
        urls("https://a", "protocol: Http2"),
        backend("protocol: H2c\n    healthProbe: { grpc: {} }"),
    ] {
        assert_eq!(read(&valid).err(), None);
    }
}

#[test]
fn a_proxy_that_is_not_trusted_cannot_say_who_the_client_is() {
    refused(
        "bad_proxy_protocol",
        &[
            &address("127.0.0.1:8080, proxyProtocol: Accept"),
            &address("127.0.0.1:8080, proxyProtocol: Require, trustedProxies: []"),
            &address("127.0.0.1:8080, proxyProtocol: V1"),
            &limits("maxConcurrentStreams: 0"),
            &limits("maxConnections: -1"),
        ],
    );
    let valid = address("127.0.0.1:8080, proxyProtocol: Accept, trustedProxies: [10.0.0.0/8]");
    assert_eq!(read(&valid).err(), None);
    assert!(read(&address("127.0.0.1:8080, proxyProtocol: Disabled")).is_ok());
}

#[test]
fn a_file_that_cannot_be_used_is_told_where_it_is_named() {
    refused(
        "bad_file",
        &[
            &pair("missing.crt", "/var/forbidden.key"),
            &pair("empty.crt", "a.key"),
            &pair("old.crt", "a.key"),
            &pair("early.crt", "a.key"),
            &upstream(
                "caFile: missing.crt, clientCertificate: { certFile: old.crt, keyFile: a.key }",
            ),
            &client_auth("caFile: missing.crt, crlFile: missing.pem"),
            // A variable's value is shown to nobody.
            &pair("\"${SECRET}/missing.crt\"", "\"${SECRET}.crt\""),
        ],
    );
}

/// T2: what is in a file, in the words of those who read it.
#[test]
fn a_file_with_something_else_in_it_is_told_where_it_is_named() {
    let files = |cert: &str, key: &str| pair(cert, key);
    for (text, place, path) in [
        (files("text.crt", "a.key"), "6:21: listeners[0].tls.certificates[0].certFile", "text.crt"),
        (files("half.crt", "a.key"), "6:21: listeners[0].tls.certificates[0].certFile", "half.crt"),
        (files("a.crt", "text.key"), "7:20: listeners[0].tls.certificates[0].keyFile", "text.key"),
        (files("a.crt", "half.key"), "7:20: listeners[0].tls.certificates[0].keyFile", "half.key"),
        (
            files("a.crt", "other.key"),
            "7:20: listeners[0].tls.certificates[0].keyFile",
            "other.key",
        ),
        (client_auth("caFile: text.crt"), "6:29: listeners[0].tls.clientAuth.caFile", "text.crt"),
        (client_auth("caFile: half.crt"), "6:29: listeners[0].tls.clientAuth.caFile", "half.crt"),
        (
            client_auth("caFile: ca.crt, crlFile: half.crt"),
            "6:46: listeners[0].tls.clientAuth.crlFile",
            "half.crt",
        ),
        (upstream("caFile: text.crt"), "5:20: backends[0].tls.caFile", "text.crt"),
        (
            upstream("clientCertificate: { certFile: a.crt, keyFile: other.key }"),
            "5:59: backends[0].tls.clientCertificate.keyFile",
            "other.key",
        ),
    ] {
        let problems = load(text.as_bytes(), "config.yaml", &variables).expect_err(&text);
        assert_eq!(problems.list().len(), 1, "{text}\n{problems}");
        let begins = format!("config.yaml:{place}: /etc/outrigger/{path}: ");
        let said = problems.to_string();
        assert!(said.starts_with(&begins) && said.len() > begins.len(), "{said}\nnot {begins}");
        assert!(problems.only_in_files(), "{said}");
        assert!(problems.files().iter().any(|file| file.ends_with(path)), "{problems:?}");
    }
}

/// T2: only what a renewal may put right is worth another look.
#[test]
fn it_is_known_whether_nothing_but_files_is_wrong() {
    let problems = |text: &str| load(text.as_bytes(), "config.yaml", &variables).unwrap_err();
    assert!(problems(&pair("missing.crt", "old.key")).only_in_files());
    let both =
        problems(&format!("{}    retry: {{ attempts: 11 }}\n", pair("missing.crt", "a.key")));
    assert!(!both.only_in_files() && both.list().len() == 2, "{both}");
    let files: Vec<_> = both.files().iter().map(|path| path.to_str().unwrap()).collect();
    assert_eq!(files, ["/etc/outrigger/a.key", "/etc/outrigger/missing.crt"]);
}

#[test]
fn a_certificate_out_of_its_time_is_a_warning_at_the_start_and_where_it_runs() {
    let text = pair("old.crt", "a.key");
    let load = |surroundings: Surroundings<'_>, text: &str| {
        super::super::load(text.as_bytes(), "config.yaml", &surroundings)
    };
    let before = SystemTime::UNIX_EPOCH + Duration::from_secs(1_774_000_000);
    let running = load(Surroundings { now: before, ..surroundings() }, &text).unwrap();
    assert_eq!(running.warnings.to_string(), "");
    assert!(load(surroundings(), &text).is_err());
    let warned = |surroundings: Surroundings<'_>, text: &str| {
        let loaded = load(surroundings, text).unwrap();
        assert_eq!(loaded.warnings.list().len(), 1, "{}", loaded.warnings);
        loaded.warnings.to_string()
    };
    let start = Surroundings { expired: Expired::Warned, ..surroundings() };
    let said = warned(start, &text);
    assert!(said.contains(" expired at 2026-05-01T00:00:00Z"), "{said}");
    let reload = Surroundings { running: Some(&running.model), ..surroundings() };
    // Wherever else it is named by now.
    assert_eq!(warned(reload, &text), said);
    assert!(load(reload, &pair("early.crt", "a.key")).is_err());
    assert!(
        warned(start, &pair("early.crt", "a.key")).contains(" is not valid before 2026-08-01T")
    );
}

#[test]
fn what_is_dangerous_about_tls_is_told() {
    warned(
        "warning_tls",
        &[
            &upstream("insecureSkipVerify: true"),
            &upstream("insecureSkipVerify: true, caFile: ca.crt"),
            &pair("soon.crt", "a.key"),
            &client_auth("caFile: ca.crt, crlFile: overdue.pem"),
        ],
    );
}
