//! Traces as a collector gets them, and as endpoints are told of them.

use crate::secure::HOST;
use e2e::{
    Authority, Collector, Connection, Leaf, Otlp, Outrigger, PORTS, Receiver, Span, eventually,
};
use serde_json::{Value, json};
use std::time::Duration;
use testserver::Server;

/// A caller's trace, and its span.
const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
const CALLER: &str = "b7ad6b7169203331";

/// A configuration with these endpoints, whose traces go to `endpoint`.
pub fn traced(otlp: Otlp, endpoint: &str, more: &str, urls: &[String]) -> String {
    format!(
        "{PORTS}telemetry:\n  traces:\n    endpoint: {endpoint}\n    protocol: {}\n    \
         queue: {{ delay: 20ms }}\n{more}{}",
        otlp.name(),
        backend(urls)
    )
}

/// The rest of a configuration: one backend with these endpoints.
pub fn backend(urls: &[String]) -> String {
    format!(
        "backends:\n  - name: shop\n    algorithm: RoundRobin\n    endpoints: [{}]\n    \
         retry: {{ statuses: [503] }}\n",
        urls.join(", ")
    )
}

/// A GET whose caller has traced it, or not.
pub async fn get(outrigger: &Outrigger, path: &str, flags: &str) -> e2e::Answer {
    let mut connection = Connection::open(outrigger.address()).await.unwrap();
    let request = http::Request::get(path)
        .header("traceparent", format!("00-{TRACE}-{CALLER}-{flags}"))
        .header("tracestate", "vendor=a:1")
        .header("user-agent", "a test/1");
    connection.send(request.body(bytes::Bytes::new().into()).unwrap()).await.unwrap()
}

/// What the endpoint was told.
pub fn told(answer: &e2e::Answer, field: &str) -> String {
    let echo: Value = serde_json::from_slice(&answer.body).unwrap();
    let headers = echo["headers"].as_array().unwrap();
    let found = headers.iter().find(|header| header[0] == field);
    found.map_or_else(String::new, |header| header[1].as_str().unwrap().to_owned())
}

/// The spans of one request, its own first and then those of its attempts in order, once there are as many.
fn of_request(spans: &[Span], attempts: usize) -> Option<(Span, Vec<Span>)> {
    let server = spans.iter().find(|span| span.kind == "SERVER")?.clone();
    let is_attempt = |span: &&Span| span.kind == "CLIENT" && span.parent == server.id;
    let mut clients: Vec<_> = spans.iter().filter(is_attempt).cloned().collect();
    clients.sort_by_key(|span| span.start);
    (clients.len() == attempts).then_some((server, clients))
}

/// O1, O2: one connected trace: the caller's span, ours, the attempt's, and what the endpoint was told.
#[tokio::test]
async fn a_forwarded_request_is_one_connected_trace() {
    let endpoint = Server::builder().name("one").start().await.unwrap();
    let collector = Collector::start().await;
    for otlp in Otlp::ALL {
        let before = collector.spans().len();
        let more = "    serviceName: edge\n    resourceAttributes: [{ name: team, value: blue }]\n";
        let yaml = traced(otlp, &collector.endpoint(otlp), more, &[endpoint.url()]);
        let outrigger = Outrigger::start(&yaml).await;
        let answer = get(&outrigger, "/echo?colour=red", "01").await;
        let (server, clients) =
            collector.until("the trace", |spans| of_request(&spans[before..], 1)).await;
        let client = &clients[0];

        assert_eq!((&*server.trace, &*server.parent), (TRACE, CALLER));
        assert_eq!((&*client.trace, &client.parent), (TRACE, &server.id));
        assert_eq!(told(&answer, "traceparent"), format!("00-{TRACE}-{}-01", client.id));
        assert_eq!(told(&answer, "tracestate"), "vendor=a:1");
        assert_eq!((&*server.state, &*client.state), ("vendor=a:1", "vendor=a:1"));
        assert!(server.start <= client.start && client.end <= server.end, "{server:?} {client:?}");

        assert_eq!(server.name, format!("GET {}", server.get("outrigger.route").as_str().unwrap()));
        for (name, value) in [
            ("http.request.method", json!("GET")),
            ("url.path", json!("/echo")),
            ("url.query", json!("colour=red")),
            ("url.scheme", json!("http")),
            ("server.address", json!("127.0.0.1")),
            ("server.port", json!(outrigger.address().port())),
            ("client.address", json!("127.0.0.1")),
            ("network.peer.address", json!("127.0.0.1")),
            ("network.protocol.version", json!("1.1")),
            ("http.response.status_code", json!(200)),
            ("user_agent.original", json!("a test/1")),
            ("outrigger.listener", json!("http")),
            ("outrigger.generation", json!(1)),
        ] {
            assert_eq!(server.get(name), &value, "{name}: {server:#?}");
        }
        let line = outrigger.access_log().find("its line", |it| it.path.contains("/echo")).await;
        assert!(line.text.contains(server.get("outrigger.request_id").as_str().unwrap()));

        assert_eq!(client.name, "GET");
        for (name, value) in [
            ("http.request.method", json!("GET")),
            ("server.address", json!("127.0.0.1")),
            ("server.port", json!(endpoint.address().port())),
            ("url.full", json!(format!("{}/echo?colour=red", url(&endpoint)))),
            ("http.response.status_code", json!(200)),
            ("http.request.resend_count", Value::Null),
            ("outrigger.backend", json!("shop")),
            ("outrigger.endpoint", json!(url(&endpoint))),
        ] {
            assert_eq!(client.get(name), &value, "{name}: {client:#?}");
        }
        let [pick] = &client.events[..] else { panic!("{client:#?}") };
        assert_eq!(pick.name, "outrigger.pick");
        assert_eq!(pick.get("outrigger.algorithm"), "RoundRobin");
        assert_eq!(pick.get("outrigger.candidates"), &json!([url(&endpoint)]));
        assert_eq!(pick.get("outrigger.chosen"), &json!(url(&endpoint)));
        assert_eq!(pick.get("outrigger.generation"), 1);

        for span in [&server, client] {
            assert_eq!(span.resource.get("service.name").unwrap(), "edge");
            assert_eq!(span.resource.get("team").unwrap(), "blue");
            assert!(!span.is_error, "{span:#?}");
        }
        outrigger.stop().await;
    }
}

fn url(server: &Server) -> String {
    server.url().trim_end_matches('/').to_owned()
}

/// O2: each try is a span of its own beside the others, and the pick says who was passed over.
#[tokio::test]
async fn retries_are_siblings_under_the_requests_span() {
    let endpoints = [
        Server::builder().name("one").start().await.unwrap(),
        Server::builder().name("two").start().await.unwrap(),
    ];
    let collector = Collector::start().await;
    let urls: Vec<_> = endpoints.iter().map(Server::url).collect();
    let yaml = traced(Otlp::Grpc, &collector.endpoint(Otlp::Grpc), "", &urls);
    let outrigger = Outrigger::start(&yaml).await;
    let answer = get(&outrigger, "/status/503", "01").await;
    assert_eq!(answer.status, 503);
    let (server, clients) = collector.until("the trace", |spans| of_request(spans, 3)).await;
    let ids: std::collections::BTreeSet<_> = clients.iter().map(|client| &client.id).collect();
    assert_eq!(ids.len(), 3, "{clients:#?}");
    let counts: Vec<_> =
        clients.iter().map(|client| client.get("http.request.resend_count").clone()).collect();
    assert_eq!(counts, [Value::Null, json!(1), json!(2)]);
    for client in &clients {
        assert_eq!(client.get("http.response.status_code"), 503);
        assert_eq!(client.get("error.type"), "503");
        assert!(client.is_error, "{client:#?}");
    }
    let chosen = |client: &Span| client.get("outrigger.endpoint").clone();
    assert_ne!(chosen(&clients[0]), chosen(&clients[1]), "{clients:#?}");
    assert_eq!(clients[0].events[0].get("outrigger.candidates").as_array().unwrap().len(), 2);
    assert_eq!(server.get("http.response.status_code"), 503);
    assert!(server.is_error, "{server:#?}");
    outrigger.stop().await;
}

/// O1: who asked has decided, and endpoints are told what was decided.
#[tokio::test]
async fn a_callers_decision_against_a_trace_is_followed() {
    let endpoint = Server::builder().start().await.unwrap();
    let collector = Collector::start().await;
    let yaml = traced(Otlp::Grpc, &collector.endpoint(Otlp::Grpc), "", &[endpoint.url()]);
    let outrigger = Outrigger::start(&yaml).await;
    let answer = get(&outrigger, "/echo?unsampled", "00").await;
    let passed_on = told(&answer, "traceparent");
    assert!(passed_on.starts_with(&format!("00-{TRACE}-")), "{passed_on}");
    assert!(passed_on.ends_with("-00"), "{passed_on}");
    assert!(!passed_on.contains(CALLER), "{passed_on}");
    get(&outrigger, "/echo?sampled", "01").await;
    // The sampled one came later, and is there.
    collector.until("the sampled trace", |spans| of_request(spans, 1)).await;
    let queries: Vec<_> =
        collector.spans().iter().map(|span| span.get("url.query").clone()).collect();
    assert!(!queries.contains(&json!("unsampled")), "{queries:?}");
    outrigger.stop().await;
}

/// Over TLS, to a collector of an own authority that wants a certificate; one of another authority gets no span.
#[tokio::test]
async fn a_collector_is_trusted_by_its_authority_and_shown_our_certificate() {
    let (authority, ours) = (Authority::new("of collectors"), Authority::new("ours"));
    let leaf: Leaf = authority.leaf(&[HOST, "127.0.0.1"]);
    let Some(collector) = Collector::start_with_tls(&leaf, &ours).await else { return };
    let endpoint = Server::builder().start().await.unwrap();
    let client = ours.leaf(&["outrigger"]);
    let files = [
        ("ca.crt", &*authority.pem()),
        ("other.crt", &*ours.pem()),
        ("a.crt", &*client.cert),
        ("a.key", &*client.key),
    ];
    for otlp in Otlp::ALL {
        let before = collector.spans().len();
        let yaml = |ca: &str| {
            let certificate = "clientCertificate: { certFile: a.crt, keyFile: a.key }";
            let tls = format!("    tls: {{ caFile: {ca}, {certificate} }}\n");
            // A queue so short that it is full at once, for nothing is given up before.
            traced(otlp, &collector.endpoint(otlp), &tls, &[endpoint.url()])
                .replace("{ delay: 20ms }", "{ maxSpans: 2, maxBatch: 2, delay: 20ms }")
        };
        let outrigger = Outrigger::start_with(&files, &yaml("other.crt")).await;
        for _ in 0..10 {
            get(&outrigger, "/echo", "01").await;
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        let line = outrigger.logged("spans are lost").await;
        assert!(line.contains("UnknownIssuer"), "{line}");
        outrigger.reload(&yaml("ca.crt")).await;
        // The span of the reload may take the room of the request's.
        eventually("the trace", async || {
            get(&outrigger, "/echo", "01").await;
            of_request(&collector.spans()[before..], 1)
        })
        .await;
        outrigger.stop().await;
    }
}

#[tokio::test]
async fn every_export_has_the_fields_that_the_configuration_wants() {
    let endpoint = Server::builder().start().await.unwrap();
    for otlp in Otlp::ALL {
        let receiver = Receiver::start(otlp).await;
        let more = "    headers: [{ name: x-account, value: s3cret-value }]\n";
        let yaml = traced(otlp, &receiver.endpoint(), more, &[endpoint.url()]);
        let outrigger = Outrigger::start(&yaml).await;
        get(&outrigger, "/", "01").await;
        let headers = eventually("an export", async || receiver.headers().pop()).await;
        assert_eq!(headers["x-account"], "s3cret-value");
        let ended = outrigger.stop().await;
        assert!(!ended.log.contains("s3cret-value"), "{}", ended.log);
    }
}

/// What the process does of its own accord is told, too, and the log does not change for it.
#[tokio::test]
async fn reloads_and_probes_have_spans() {
    let endpoint = Server::builder().start().await.unwrap();
    let collector = Collector::start().await;
    let traced = traced(Otlp::Grpc, &collector.endpoint(Otlp::Grpc), "", &[endpoint.url()]);
    let probe = "    healthProbe: { http: { path: /health }, interval: 50ms }\n";
    let outrigger = Outrigger::start(&format!("{traced}{probe}")).await;
    let probe = collector
        .until("a probe", |spans| spans.iter().find(|span| span.name == "probe").cloned())
        .await;
    assert_eq!(probe.kind, "CLIENT");
    assert_eq!(probe.get("outrigger.probe"), "health");
    assert_eq!(probe.get("outrigger.endpoint"), &json!(url(&endpoint)));
    assert_eq!(probe.get("outrigger.outcome"), "passed");
    outrigger.reload(&traced.replace("RoundRobin", "Random")).await;
    outrigger.write("backends: 7\n");
    outrigger.logged("reload refused").await;
    let reload = |outcome: &'static str| {
        let collector = &collector;
        async move {
            let is_it = |span: &&Span| span.get("outrigger.outcome") == outcome;
            collector.until(outcome, |spans| spans.iter().find(is_it).cloned()).await
        }
    };
    let accepted = reload("accepted").await;
    assert_eq!((&*accepted.name, accepted.get("outrigger.generation")), ("reload", &json!(2)));
    let refused = reload("refused").await;
    assert!(refused.is_error, "{refused:#?}");
    assert_eq!(refused.get("outrigger.generation"), 2);
    // A file that is gone is told as well, and a look that found nothing new.
    std::fs::remove_file(outrigger.config()).unwrap();
    let is_refused = |span: &&Span| span.get("outrigger.outcome") == "refused";
    let both = |spans: &[Span]| (spans.iter().filter(is_refused).count() == 2).then_some(());
    collector.until("the missing file", both).await;
    outrigger.write(&traced.replace("RoundRobin", "Random"));
    outrigger.logged("generation 2 stays").await;
    assert_eq!(reload("unchanged").await.get("outrigger.generation"), 2);
    let ended = outrigger.stop().await;
    for line in ended.log.lines() {
        assert!(!line.contains("outrigger.probe"), "{line}");
    }
}
