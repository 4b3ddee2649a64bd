//! The ports over real sockets.

mod api;
mod dashboard;
mod openapi;
mod security;
mod stream;

use super::*;
use crate::config;
use crate::endpoint::{Resolution, Thresholds};
use crate::lifecycle::{Drain, Phase, ReadyGuard};
use crate::model::{KeyPair, ListenerTls, Pem, Scheme, TlsVersion};
use crate::snapshot::Snapshot;
use crate::snapshot::history::Outcome;
use crate::snapshot::source::{Refused, Source};
use crate::telemetry::metrics as names;
use crate::telemetry::traces::SpanCounts;
use serde_json::{Value, json};
use std::io::Write;
use std::process::{Command, Stdio};
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

const CONFIG: &str = "
listeners: [{ name: http, address: 127.0.0.1:0 }]
backends:
  - name: demo
    algorithm: LeastResponseTime
    endpoints: [http://127.0.0.1:8081, { url: http://127.0.0.1:8082/base, weight: 3 }]
    healthProbe: { http: { path: /health } }
    latencyProbe: { tcp: {} }
";

/// A process with a running configuration that a guard keeps unready.
fn context() -> (AdminContext, ReadyGuard) {
    let lifecycle = Lifecycle::new();
    let guard = lifecycle.hold_ready("first probe round");
    let source = SourceStatus::default();
    let hash = config::hash(CONFIG.as_bytes());
    source.store(Source {
        path: "/etc/outrigger/config.yaml".into(),
        hash: Some(hash.clone()),
        loaded_at: Some(SystemTime::UNIX_EPOCH + Duration::from_millis(1_700_000_000_500)),
        refused: None,
    });
    let context = AdminContext {
        explain: Arc::new(explained),
        log: crate::telemetry::log::Filter::default(),
        outlets: crate::telemetry::Outlets::default(),
        store: Arc::new(Store::new(compile(CONFIG, None))),
        source: Arc::new(source),
        lifecycle,
        workers: 2,
        listeners: Arc::new(|| {
            vec![BoundListener {
                name: "http".into(),
                address: ([127, 0, 0, 1], 8080).into(),
                configured: ([127, 0, 0, 1], 0).into(),
                counters: three_connections(),
            }]
        }),
        extra: Arc::new(|| {
            let refused = names::RequestCounter::new(1);
            refused.record(0, Some(400));
            let mut samples = vec![
                Sample::tasks("workers", 5),
                Sample::of(&names::CLIENT_CONNECTIONS, 3.0),
                Sample::of(&names::ACCESS_LOG_DROPPED, 7.0),
                Sample::of(&names::LOG_DROPPED, 2.0),
                Sample::by(&names::WATCH_AGE, "endpointslices", 0.5),
                Sample::watch_errors("endpointslices", "forbidden", 3),
            ];
            samples.extend(Sample::worker_delays(&names::DurationHistogram::new(2)));
            samples.extend(Sample::spans(SpanCounts { exported: 5, failed: 1, dropped: 2 }));
            samples.extend(Sample::by_code(&names::REQUESTS_REFUSED, &refused));
            samples.extend(Sample::by_code(&names::REQUESTS_ANSWERED, &refused));
            samples
        }),
        version: "0.1.0",
        commit: "abc",
        started_at: SystemTime::now(),
    };
    (context, guard)
}

/// An explanation of the least length that has all that there may be of it.
fn explained(query: &ExplainQuery) -> Result<Value, String> {
    let ExplainQuery { url, method, headers, listener, client_address } = query;
    let listener = listener.as_deref().ok_or("listener NAME is wanted")?;
    Ok(json!({
        "method": method.as_str(),
        "url": url,
        "listener": listener,
        "host": null,
        "path": null,
        "comparedPath": null,
        "client": client_address.map(|address| address.to_string()),
        "route": null,
        "match": null,
        "filters": headers,
        "answer": { "status": 404 },
        "sent": null,
        "backends": [],
        "others": [],
    }))
}

/// What a listener with three connections counts.
fn three_connections() -> Arc<ListenerCounters> {
    let counters = Arc::new(ListenerCounters::new(2));
    let tally = names::ListenerTally::new(Arc::clone(&counters), 0);
    (0..3).for_each(|_| tally.opens());
    tally.request_begins();
    tally.request_ends(names::Protocol::Http1, Some(404));
    counters
}

fn compile(text: &str, previous: Option<&Snapshot>) -> Snapshot {
    let model =
        config::load(text.as_bytes(), "config.yaml", &config::Surroundings::none()).unwrap().model;
    Snapshot::compile(Arc::new(model), config::hash(text.as_bytes()), previous, 2).unwrap()
}

fn loopback() -> SocketAddr {
    ([127, 0, 0, 1], 0).into()
}

/// Sends `head` as it stands and reads to the end of the connection.
async fn raw(address: SocketAddr, head: &str) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer
}

/// Status and body of a GET.
async fn get(address: SocketAddr, path: &str) -> (u16, String) {
    let head = format!("GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    split(&raw(address, &head).await)
}

fn split(answer: &str) -> (u16, String) {
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    (head.split(' ').nth(1).unwrap().parse().unwrap(), body.to_owned())
}

async fn status(address: SocketAddr) -> Value {
    let (code, body) = get(address, "/status").await;
    assert_eq!(code, 200, "{body}");
    serde_json::from_str(&body).unwrap()
}

/// R7
#[tokio::test]
async fn readyz_says_what_is_waited_for_and_livez_does_not_mind() {
    let (context, guard) = context();
    let lifecycle = context.lifecycle.clone();
    let server = start(loopback(), context).unwrap();
    let address = server.address();
    assert_eq!(get(address, "/livez").await, (200, "alive\n".into()));
    let not_ready = "not ready: waiting for the first probe round\n";
    assert_eq!(get(address, "/readyz").await, (503, not_ready.into()));
    let head = format!(
        "GET /readyz HTTP/1.1\r\nHost: {address}\r\nAccept: application/json\r\nConnection: close\r\n\r\n"
    );
    let (code, body) = split(&raw(address, &head).await);
    let expected = json!({ "ready": false, "reasons": ["waiting for the first probe round"] });
    assert_eq!((code, serde_json::from_str::<Value>(&body).unwrap()), (503, expected));
    drop(guard);
    assert_eq!(get(address, "/readyz").await, (200, "ready\n".into()));
    lifecycle.begin_drain(Drain { delay: Duration::from_secs(60), timeout: Duration::ZERO });
    assert_eq!(lifecycle.phase(), Phase::Draining);
    assert_eq!(get(address, "/readyz").await, (503, "not ready: stopping\n".into()));
    assert_eq!(get(address, "/livez").await.0, 200);
    lifecycle.end_now();
}

#[tokio::test]
async fn status_tells_what_runs() {
    let (context, _guard) = context();
    let snapshot = context.store.load();
    let backend = &snapshot.backends[0];
    let endpoint = &backend.members()[0].endpoint;
    let now = crate::clock::Nanos::now();
    endpoint.record_latency(now, Duration::from_millis(12));
    let thresholds = Thresholds { healthy_after: 2, unhealthy_after: 3 };
    endpoint.record_probe(now, Err("connection refused"), thresholds);
    endpoint.set_resolution(Resolution {
        addresses: vec![([127, 0, 0, 1], 8081).into()],
        error: Some("no such name".into()),
    });
    backend.refresh(now);
    let in_flight = (endpoint.begin(), backend.members()[1].endpoint.begin());
    drop(in_flight.1);
    backend.members()[1].endpoint.requests().record(1, Some(204));
    backend.counters().duration.record(1, Duration::from_millis(3));
    let server = start(loopback(), context).unwrap();
    let status = status(server.address()).await;
    assert_eq!(status["version"], "0.1.0");
    assert_eq!(status["pid"], std::process::id());
    assert_eq!(status["generation"], 1);
    assert_eq!(status["configHash"], config::hash(CONFIG.as_bytes()));
    assert_eq!(status["configInSync"], true);
    assert_eq!(status["runningSince"], "2023-11-14T22:13:20.500Z");
    assert_eq!(status["source"]["path"], "/etc/outrigger/config.yaml");
    assert_eq!(status["refused"], Value::Null);
    assert_eq!(
        status["listeners"],
        json!([{
            "name": "http", "address": "127.0.0.1:8080", "protocol": "http", "connections": 3, "requests": { "4xx": 1 },
        }])
    );
    assert_eq!(status["routes"], 1);
    let traces =
        json!({ "enabled": false, "endpoint": null, "exported": 0, "failed": 0, "dropped": 0 });
    assert_eq!(status["traces"], traces);
    let backend = &status["backends"][0];
    assert!(backend["algorithmHow"].as_str().unwrap().contains("answer soonest"));
    assert_eq!(backend["requestsTotal"], 1);
    assert_eq!(backend["name"], "demo");
    assert_eq!(backend["algorithm"], "LeastResponseTime");
    assert_eq!(backend["panic"], false);
    let first = &backend["endpoints"][0];
    assert_eq!(first["url"], "http://127.0.0.1:8081");
    assert_eq!(first["health"]["state"], "unhealthy");
    assert_eq!(first["health"]["reason"], "connection refused");
    assert!(first["health"]["since"].as_str().unwrap().ends_with('Z'));
    assert_eq!(first["eligible"], false);
    let change = &first["history"][0];
    assert_eq!((&change["from"], &change["to"]), (&json!("unknown"), &json!("unhealthy")));
    assert_eq!(change["reason"], "connection refused");
    assert!(change["at"].as_str().unwrap().ends_with('Z'));
    assert_eq!((&first["inFlight"], &first["latencyMs"]), (&json!(1), &json!(12.0)));
    assert_eq!((&first["picks"], &first["share"]), (&json!(1), &json!(0.5)));
    assert_eq!(first["addresses"], json!(["127.0.0.1:8081"]));
    assert_eq!(first["resolveError"], "no such name");
    let second = &backend["endpoints"][1];
    assert_eq!(second["url"], "http://127.0.0.1:8082/base");
    assert_eq!((&second["weight"], &second["eligible"]), (&json!(3), &json!(true)));
    assert_eq!(second["requests"], json!({ "2xx": 1 }));
    assert_eq!(second["requestsTotal"], 1);
    assert_eq!(second["latencyMs"], Value::Null);
    assert_eq!(second["passedOverMs"], Value::Null);
}

/// R5
#[tokio::test]
async fn a_refused_configuration_is_never_shown_as_the_running_one() {
    let (context, _guard) = context();
    let errors = json!([{ "path": "backends[0].algorithm", "line": 5, "message": "no such name" }]);
    context.source.store(Source {
        hash: Some("other".into()),
        refused: Some(Refused {
            hash: Some("other".into()),
            at: SystemTime::UNIX_EPOCH,
            errors: errors.clone(),
            more: 7,
        }),
        ..(*context.source.load()).clone()
    });
    context.source.refused.fetch_add(1, Relaxed);
    let server = start(loopback(), context).unwrap();
    let status = status(server.address()).await;
    assert_eq!(status["configHash"], config::hash(CONFIG.as_bytes()));
    assert_eq!(status["configInSync"], false);
    let refused =
        json!({ "hash": "other", "at": "1970-01-01T00:00:00.000Z", "errors": errors, "more": 7 });
    assert_eq!(status["refused"], refused);
    assert_eq!(status["source"]["hash"], "other");
    assert_eq!(status["reloads"], json!({ "accepted": 0, "refused": 1, "unchanged": 0 }));
    let (_, metrics) = get(server.address(), "/metrics").await;
    assert!(metrics.contains("\noutrigger_config_in_sync 0\n"));
    assert!(metrics.contains("\noutrigger_reloads_total{result=\"refused\"} 1\n"));
}

#[tokio::test]
async fn metrics_add_up_what_all_workers_counted() {
    let (context, guard) = context();
    drop(guard);
    let snapshot = context.store.load();
    let backend = &snapshot.backends[0];
    for worker in 0..2 {
        backend.members()[0].endpoint.requests().record(worker, Some(200));
        backend.counters().duration.record(worker, Duration::from_millis(3));
        backend.counters().duration.record(worker, Duration::from_secs(60));
        backend.counters().unanswered.record(worker, Some(503));
    }
    backend.members()[0]
        .endpoint
        .record_latency(crate::clock::Nanos::now(), Duration::from_millis(3));
    let server = start(loopback(), context).unwrap();
    let (_, metrics) = get(server.address(), "/metrics").await;
    let hash = format!("outrigger_config_info{{hash=\"{}\"}} 1", config::hash(CONFIG.as_bytes()));
    for line in [
        &*hash,
        "outrigger_build_info{version=\"0.1.0\",commit=\"abc\"} 1",
        "outrigger_ready 1",
        "outrigger_config_generation 1",
        "outrigger_config_in_sync 1",
        "outrigger_client_connections 3",
        "outrigger_access_log_dropped_total 7",
        "outrigger_requests_refused_total{code=\"4xx\"} 1",
        "outrigger_requests_total{backend=\"demo\",endpoint=\"http://127.0.0.1:8081\",code=\"2xx\"} 2",
        "outrigger_requests_total{backend=\"demo\",endpoint=\"none\",code=\"5xx\"} 2",
        "outrigger_request_duration_seconds_bucket{backend=\"demo\",le=\"0.0025\"} 0",
        "outrigger_request_duration_seconds_bucket{backend=\"demo\",le=\"0.005\"} 2",
        "outrigger_request_duration_seconds_bucket{backend=\"demo\",le=\"10\"} 2",
        "outrigger_request_duration_seconds_bucket{backend=\"demo\",le=\"+Inf\"} 4",
        "outrigger_request_duration_seconds_sum{backend=\"demo\"} 120.006",
        "outrigger_request_duration_seconds_count{backend=\"demo\"} 4",
        "outrigger_endpoint_healthy{backend=\"demo\",endpoint=\"http://127.0.0.1:8081\"} 1",
        "outrigger_endpoint_latency_seconds{backend=\"demo\",endpoint=\"http://127.0.0.1:8081\"} 0.003",
    ] {
        assert!(metrics.contains(&format!("\n{line}\n")), "{line} in\n{metrics}");
    }
    let without_sample =
        "outrigger_endpoint_latency_seconds{backend=\"demo\",endpoint=\"http://127.0.0.1:8082";
    assert!(!metrics.contains(without_sample));
}

/// O4
#[tokio::test]
async fn the_series_of_a_removed_endpoint_go() {
    let (context, _guard) = context();
    let store = Arc::clone(&context.store);
    let server = start(loopback(), context).unwrap();
    assert!(get(server.address(), "/metrics").await.1.contains("127.0.0.1:8081"));
    let fewer = CONFIG.replace("http://127.0.0.1:8081, ", "");
    store.swap(compile(&fewer, Some(&store.load())));
    let (_, metrics) = get(server.address(), "/metrics").await;
    assert!(!metrics.contains("127.0.0.1:8081"));
    assert!(metrics.contains("127.0.0.1:8082"));
    let hashes: Vec<_> = metrics.lines().filter(|line| line.contains("config_info{")).collect();
    let running = config::hash(fewer.as_bytes());
    assert_eq!(hashes, [format!("outrigger_config_info{{hash=\"{running}\"}} 1")]);
    assert_eq!(status(server.address()).await["generation"], 2);
}

/// A context whose listener speaks TLS and whose backend shows a certificate.
fn secure_context() -> (AdminContext, ReadyGuard) {
    let (context, guard) = context();
    let pem = |path: &str, text: &str| Pem {
        path: std::path::Path::new(path).into(),
        bytes: text.as_bytes().into(),
    };
    let pair = |file: &str, names: &[&str]| {
        let key = rcgen::KeyPair::generate().unwrap();
        let names: Vec<_> = names.iter().map(|name| (*name).to_owned()).collect();
        let mut params = rcgen::CertificateParams::new(names).unwrap();
        params.not_before = rcgen::date_time_ymd(2024, 1, 1);
        params.not_after = rcgen::date_time_ymd(2033, 5, 18);
        let cert = params.self_signed(&key).unwrap();
        KeyPair { cert: pem(file, &cert.pem()), key: pem("a.key", &key.serialize_pem()) }
    };
    let mut model = (*context.store.load().model).clone();
    model.listeners[0].tls = Some(ListenerTls {
        certificates: vec![
            pair("/etc/tls/shop.crt", &["shop.example", "*.shop.example"]),
            pair("/etc/tls/nameless.crt", &[]),
        ],
        client_auth: None,
        min_version: TlsVersion::Tls12,
    });
    model.backends[0].endpoints[0].url.scheme = Scheme::Https;
    model.backends[0].tls.insecure_skip_verify = true;
    model.backends[0].tls.client_certificate = Some(pair("/etc/tls/mine.crt", &["me.example"]));
    let next = Snapshot::compile(Arc::new(model), String::new(), Some(&context.store.load()), 2);
    context.store.swap(next.unwrap());
    (context, guard)
}

/// T1
#[tokio::test]
async fn status_and_metrics_tell_until_when_certificates_hold() {
    let (context, _guard) = secure_context();
    let server = start(loopback(), context).unwrap();
    let listener = &status(server.address()).await["listeners"][0];
    let of = |file: &str, names: &[&str]| {
        json!({
            "names": names,
            "file": file,
            "notBefore": "2024-01-01T00:00:00.000Z",
            "notAfter": "2033-05-18T00:00:00.000Z",
        })
    };
    assert_eq!(
        listener["certificates"],
        json!([
            of("/etc/tls/shop.crt", &["shop.example", "*.shop.example"]),
            of("/etc/tls/nameless.crt", &[]),
        ])
    );
    let metrics = get(server.address(), "/metrics").await.1;
    let series: Vec<_> = metrics
        .lines()
        .filter(|line| line.starts_with("outrigger_certificate_not_after_seconds"))
        .collect();
    assert_eq!(
        series,
        [
            r#"outrigger_certificate_not_after_seconds{listener="http",backend="",file="/etc/tls/shop.crt",name="shop.example"} 1999987200"#,
            r#"outrigger_certificate_not_after_seconds{listener="http",backend="",file="/etc/tls/nameless.crt",name=""} 1999987200"#,
            r#"outrigger_certificate_not_after_seconds{listener="",backend="demo",file="/etc/tls/mine.crt",name="me.example"} 1999987200"#,
        ]
    );
}

#[tokio::test]
async fn promtool_finds_no_fault_with_the_metrics() {
    let (context, _guard) = secure_context();
    let snapshot = context.store.load();
    let backend = &snapshot.backends[0];
    let endpoint = &backend.members()[0].endpoint;
    endpoint.record_latency(crate::clock::Nanos::now(), Duration::from_millis(3));
    backend.look_at_balance();
    (0..100).for_each(|_| drop(endpoint.begin()));
    backend.look_at_balance();
    context.source.ends(Outcome::Refused, Duration::from_millis(2));
    let server = start(loopback(), context).unwrap();
    let (_, metrics) = get(server.address(), "/metrics").await;
    let promtool = Command::new("promtool")
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let mut promtool = match promtool {
        Ok(promtool) => promtool,
        Err(error) if std::env::var_os("REQUIRE_TOOLS").is_none_or(|value| value != "1") => {
            return eprintln!("skipped: promtool (Debian package prometheus): {error}");
        }
        Err(error) => panic!("promtool (Debian package prometheus): {error}"),
    };
    promtool.stdin.take().unwrap().write_all(metrics.as_bytes()).unwrap();
    let output = promtool.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr) + String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && said.trim().is_empty(), "{said}");
    for name in names::ALL {
        assert!(metrics.contains(&format!("# TYPE {} ", name.name)), "{} is missing", name.name);
    }
}

#[tokio::test]
async fn an_unknown_path_lists_what_exists_and_the_probes_port_knows_three() {
    let (context, _guard) = context();
    let admin = start(loopback(), context.clone()).unwrap();
    let (code, body) = get(admin.address(), "/statsu").await;
    assert_eq!(code, 404);
    for path in ["/livez", "/readyz", "/status", "/metrics"] {
        assert!(body.contains(path), "{body}");
    }
    let probes = start_probes(loopback(), context).unwrap();
    let (code, body) = get(probes.address(), "/status").await;
    assert_eq!((code, body.contains("/status")), (404, false));
    for (path, expected) in [("/livez", 200), ("/readyz", 503), ("/metrics", 200)] {
        assert_eq!(get(probes.address(), path).await.0, expected, "{path}");
    }
}

#[tokio::test]
async fn only_reading_is_allowed() {
    let (context, _guard) = context();
    let server = start(loopback(), context).unwrap();
    let address = server.address();
    for method in ["POST", "PUT", "DELETE", "OPTIONS"] {
        let head = format!(
            "{method} /status HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
        );
        let answer = raw(address, &head).await;
        assert!(answer.starts_with("HTTP/1.1 405"), "{method}: {answer}");
        assert!(answer.contains("allow: GET, HEAD\r\n"), "{answer}");
    }
    let head = format!("HEAD /status HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    let (code, body) = split(&raw(address, &head).await);
    assert_eq!((code, body.as_str()), (200, ""));
}

#[tokio::test]
async fn a_name_that_was_pointed_here_reads_nothing() {
    let (context, _guard) = context();
    let admin = start(loopback(), context.clone()).unwrap();
    let probes = start_probes(loopback(), context).unwrap();
    for (path, host) in [("/status", "evil.test:9900"), ("/metrics", "evil.test"), ("/x", "a.test")]
    {
        let head = format!("GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
        let (code, body) = split(&raw(admin.address(), &head).await);
        assert_eq!(code, 421, "{path}");
        assert!(!body.contains("demo") && !body.contains("/status"), "{body}");
    }
    let absolute =
        "GET http://evil.test/status HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n";
    assert_eq!(split(&raw(admin.address(), absolute).await).0, 421);
    // Prometheus finds the probes port by whatever name it has in the cluster.
    let head = "GET /metrics HTTP/1.1\r\nHost: outrigger.shop.svc\r\nConnection: close\r\n\r\n";
    assert_eq!(split(&raw(probes.address(), head).await).0, 200);
}

#[tokio::test]
async fn an_address_that_cannot_be_had_names_what_to_change() {
    let (context, _guard) = context();
    // Reserved for documentation (RFC 5737): no machine has it.
    let address = SocketAddr::from(([192, 0, 2, 1], 9900));
    let error = start(address, context.clone()).unwrap_err().to_string();
    assert!(error.starts_with("admin.address: cannot listen on 192.0.2.1:9900: "), "{error}");
    let error = start_probes(address, context).unwrap_err().to_string();
    assert!(error.starts_with("probes.address: "), "{error}");
}

/// A reload binds the new address while the old one still serves, also when the two overlap.
#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_port_moves_from_loopback_to_everywhere_and_back() {
    let (context, _guard) = context();
    let mut server = start(loopback(), context.clone()).unwrap();
    let first = server.address();
    for address in [SocketAddr::from(([0, 0, 0, 0], first.port())), first] {
        let next = start(address, context.clone()).unwrap();
        assert_eq!(get(first, "/livez").await.0, 200, "before the old one goes");
        // Its task has not seen this yet when the next request comes.
        drop(std::mem::replace(&mut server, next));
        for _ in 0..10 {
            assert_eq!(get(first, "/livez").await.0, 200, "while the old one goes");
        }
    }
}

#[tokio::test]
async fn a_dropped_server_closes_its_connections() {
    let (context, _guard) = context();
    let server = start(loopback(), context.clone()).unwrap();
    let address = server.address();
    let mut kept = TcpStream::connect(address).await.unwrap();
    kept.write_all(format!("GET /livez HTTP/1.1\r\nHost: {address}\r\n\r\n").as_bytes())
        .await
        .unwrap();
    let mut piece = [0; 1024];
    assert!(kept.read(&mut piece).await.unwrap() > 0);
    drop(server);
    assert_eq!(kept.read(&mut piece).await.unwrap(), 0, "the idle connection is closed");
}
