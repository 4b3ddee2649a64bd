//! Who may ask for what.

use super::*;

#[tokio::test]
async fn no_answer_allows_other_sites_anything() {
    let (context, _guard) = context();
    let server = start(loopback(), context).unwrap();
    let address = server.address();
    let own = &*address.to_string();
    for (method, path, host) in [
        ("GET", "/status", own),
        ("GET", "/nothing", own),
        ("OPTIONS", "/api/v1/config", own),
        ("GET", "/livez", own),
        ("GET", "/status", "evil.test"),
        ("GET", "/api/v1/config", "evil.test"),
    ] {
        let head = format!(
            "{method} {path} HTTP/1.1\r\nHost: {host}\r\nOrigin: http://evil.test\r\n\
             Access-Control-Request-Method: GET\r\nConnection: close\r\n\r\n"
        );
        let answer = raw(address, &head).await.to_ascii_lowercase();
        assert!(!answer.contains("access-control-"), "{answer}");
        for field in [
            "cross-origin-resource-policy: same-origin",
            "x-content-type-options: nosniff",
            "content-security-policy: default-src 'none'; frame-ancestors 'none'",
            "cache-control: no-store",
        ] {
            assert!(answer.contains(field), "{field} is missing in\n{answer}");
        }
    }
}

#[tokio::test]
async fn below_the_api_refusals_are_json() {
    let (context, _guard) = context();
    let server = start(loopback(), context).unwrap();
    let address = server.address();
    let ask = async |method: &str, path: &str, host: &str| {
        let head = format!("{method} {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
        split(&raw(address, &head).await)
    };
    for (method, path, host, expected) in [
        ("GET", "/api/v1/nothing", "127.0.0.1", 404),
        ("DELETE", "/api/v1/config", "127.0.0.1", 405),
        ("GET", "/api/v1/config", "evil.test", 421),
        ("GET", "/api/v1/config?x=1", "127.0.0.1", 400),
    ] {
        let (code, body) = ask(method, path, host).await;
        let body: Value = serde_json::from_str(&body).unwrap_or_else(|_| panic!("{body}"));
        assert!(code == expected && body["error"].is_string(), "{code} {body}");
        assert!(host != "evil.test" || body["allowed"].is_null(), "it tells a stranger: {body}");
    }
    let (_, body) = ask("DELETE", "/api/v1/config", "127.0.0.1").await;
    assert_eq!(serde_json::from_str::<Value>(&body).unwrap()["allowed"], json!(["GET", "HEAD"]));
}

#[tokio::test]
async fn the_probes_port_names_its_own_paths_only() {
    let (context, _guard) = context();
    let probes = start_probes(loopback(), context).unwrap();
    for path in ["/api/v1/nothing", "/api/v1/config"] {
        let (code, body) = get(probes.address(), path).await;
        let body: Value = serde_json::from_str(&body).unwrap_or_else(|_| panic!("{body}"));
        assert_eq!((code, &body["allowed"]), (404, &json!(["/livez", "/readyz", "/metrics"])));
    }
    let (code, body) = get(probes.address(), "/nothing").await;
    assert!(code == 404 && body.contains("/metrics") && !body.contains("/status"), "{body}");
}

/// Sends a request that would change something; gives status and body.
async fn change(address: SocketAddr, request: &str, fields: &str, body: &str) -> (u16, String) {
    let length = body.len();
    let head = format!(
        "{request} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\nContent-Length: {length}\r\n{fields}\r\n{body}"
    );
    split(&raw(address, &head).await)
}

#[tokio::test]
async fn nothing_is_changed_without_the_header_that_no_page_can_send() {
    let (context, guard) = context();
    drop(guard);
    let server = start(loopback(), context.clone()).unwrap();
    let address = server.address();
    for fields in ["", "X-Outrigger-Admin: \r\n", "Origin: http://127.0.0.1:9900\r\n"] {
        for (request, body) in [("PUT /log-level", "debug"), ("POST /quitquitquit", "")] {
            let (code, said) = change(address, request, fields, body).await;
            assert!(code == 403 && said.contains("X-Outrigger-Admin"), "{request}: {code} {said}");
        }
    }
    assert_eq!((context.log.text().as_str(), context.lifecycle.phase()), ("info", Phase::Ready));
}

#[tokio::test]
async fn nothing_is_changed_from_another_machine() {
    // An address of this machine that others see, as where no packet is sent to (RFC 5737) would be reached from.
    let probe = std::net::UdpSocket::bind("0.0.0.0:0").unwrap();
    let own = probe.connect("192.0.2.1:9").and_then(|()| probe.local_addr()).map(|own| own.ip());
    let Some(own) = own.ok().filter(|own| !own.is_loopback()) else {
        return eprintln!("skipped: this machine has no address but loopback");
    };
    let (context, guard) = context();
    drop(guard);
    let server = start(([0, 0, 0, 0], 0).into(), context.clone()).unwrap();
    let address = SocketAddr::new(own, server.address().port());
    for (request, body) in [("PUT /log-level", "debug"), ("POST /quitquitquit", "")] {
        let (code, said) = change(address, request, "X-Outrigger-Admin: yes\r\n", body).await;
        assert!(code == 403 && said.contains("only this machine itself"), "{code} {said}");
    }
    assert_eq!(get(address, "/log-level").await, (200, "info\n".into()), "reading is allowed");
    assert_eq!((context.log.text().as_str(), context.lifecycle.phase()), ("info", Phase::Ready));
}

#[tokio::test]
async fn the_log_level_is_changed_and_told() {
    let (context, _guard) = context();
    let server = start(loopback(), context.clone()).unwrap();
    let address = server.address();
    let put = |body| change(address, "PUT /log-level", "X-Outrigger-Admin: yes\r\n", body);
    assert_eq!(put("warn,outrigger::probe=debug\n").await, (204, String::new()));
    assert_eq!(get(address, "/log-level").await.1, "warn,outrigger::probe=debug\n");
    let (events, _) = context.outlets.events.since(0);
    assert_eq!(events[0].text, "log level info → warn,outrigger::probe=debug");
    let (code, said) = put("loud").await;
    assert!(code == 400 && said.contains("`loud` is no level"), "{code} {said}");
    for nothing in ["", " \n", ","] {
        let (code, said) = put(nothing).await;
        assert!(
            code == 400 && said.contains("expected a level (error, warn, info"),
            "{code} {said}"
        );
    }
    let long = format!("info{}", ",outrigger=info".repeat(400));
    assert_eq!(put(&long).await.0, 413);
    assert_eq!(get(address, "/log-level").await.1, "warn,outrigger::probe=debug\n");
}

#[tokio::test]
async fn the_process_is_asked_to_stop_and_asking_again_cuts_nothing() {
    let (context, guard) = context();
    drop(guard);
    let lifecycle = context.lifecycle.clone();
    lifecycle.set_drain(Drain { delay: Duration::from_secs(60), timeout: Duration::ZERO });
    let server = start(loopback(), context).unwrap();
    for _ in 0..2 {
        let fields = "X-Outrigger-Admin: yes\r\n";
        let answer = change(server.address(), "POST /quitquitquit", fields, "").await;
        assert_eq!(answer, (202, "stopping\n".into()));
        assert_eq!(lifecycle.phase(), Phase::Draining);
    }
    lifecycle.end_now();
}

#[tokio::test]
async fn each_path_says_which_methods_it_takes() {
    let (context, _guard) = context();
    let server = start(loopback(), context.clone()).unwrap();
    let probes = start_probes(loopback(), context).unwrap();
    for (address, path, allow) in [
        (server.address(), "/log-level", "GET, HEAD, PUT"),
        (server.address(), "/quitquitquit", "POST"),
        (probes.address(), "/metrics", "GET, HEAD"),
    ] {
        let head =
            format!("DELETE {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
        let answer = raw(address, &head).await;
        assert!(answer.starts_with("HTTP/1.1 405"), "{answer}");
        assert!(answer.contains(&format!("allow: {allow}\r\n")), "{answer}");
    }
    let fields = "X-Outrigger-Admin: yes\r\n";
    assert_eq!(change(probes.address(), "POST /quitquitquit", fields, "").await.0, 404);
}

/// Secrets are in every place where a configuration may have one; none may come out.
#[tokio::test]
async fn no_secret_is_ever_told() {
    let file = "
telemetry:
  traces: { endpoint: 'http://collector:4318', headers: [{ name: x-tenant, value: s3cret }] }
  decisions: { debugToken: s3cret-of-sixteen-or-more }
listeners: [{ name: http, address: 127.0.0.1:1 }]
routes:
  - name: shop
    matches:
      - { headers: [{ name: authorization, exact: Bearer s3cret }], query: [{ name: token, regex: s3cret }] }
    filters:
      - requestHeaders: { set: [{ name: Authorization, value: Bearer s3cret }], add: [{ name: x-api-key, value: s3cret }, { name: x-origin-verify, value: s3cret }] }
      - responseHeaders: { set: [{ name: set-cookie, value: a=s3cret }] }
    backends: [demo]
backends: [{ name: demo, endpoints: ['http://127.0.0.1:8081'] }]
";
    let (context, _guard) = secure_context();
    let mut model = (*compile(file, None).model).clone();
    let keys = context.store.load().model.listeners[0].tls.clone();
    model.listeners[0].tls = keys;
    let key = model.listeners[0].tls.as_ref().unwrap().certificates[0].key.bytes.clone();
    let key = String::from_utf8(key.to_vec()).unwrap();
    let running = context.store.load();
    let next = Snapshot::compile(Arc::new(model), String::new(), Some(&running), 2).unwrap();
    context.store.swap(next);
    let server = start(loopback(), context).unwrap();
    for path in crate::admin::paths::PATHS.iter().map(|path| path.path.replace("{name}", "demo")) {
        let (_, body) = get(server.address(), &path).await;
        assert!(!body.contains("s3cret"), "{path}: {body}");
        let line = key.lines().nth(1).unwrap();
        assert!(!body.contains(line), "{path} tells a key");
    }
}
