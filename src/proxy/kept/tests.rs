use super::*;
use crate::backend::decision::Decision;
use crate::backend::{Ask, Backend};
use crate::clock::Nanos;
use crate::proxy::error::ProxyError;
use crate::proxy::tries::Evidence;
use crate::telemetry::context::{SpanId, TraceId};
use crate::telemetry::traces::Finished;
use http::{StatusCode, Version};
use opentelemetry::trace::{SpanKind, Status};
use opentelemetry_sdk::trace::SpanData;

const MILLI: Duration = Duration::from_millis(1);

fn backend() -> Arc<Backend> {
    let yaml = "listeners: [{ name: a, address: 127.0.0.1:0 }]\n\
                backends: [{ name: shop, algorithm: LeastConnections, \
                endpoints: [http://localhost:81, http://localhost:82] }]";
    let loaded = crate::config::load(yaml.as_bytes(), "a", &crate::config::Surroundings::none());
    Backend::compile(&loaded.unwrap().model.backends[0], None, 1).unwrap()
}

fn trace(sampled: bool) -> Trace {
    Trace {
        id: TraceId(0xabc),
        span: SpanId(0x1),
        parent: Some(SpanId(0x9)),
        sampled,
        random: true,
        may_be_kept: true,
        forms: crate::telemetry::context::Forms { trace_context: true, b3: false, b3_multi: false },
        state: Some(HeaderValue::from_static("a=1")),
        version: Version::HTTP_11,
        user_agent: Some(HeaderValue::from_static("curl/8")),
    }
}

/// A request that was refused by one endpoint and answered by another.
fn kept(sampled: bool) -> Kept {
    let (backend, started) = (backend(), Instant::now());
    let pick = |tried: &[u64]| {
        let mut decision = Decision::new(tried);
        let ask = Ask { now: Nanos::at(started), hash: None, pinned: None, tried };
        let picked = backend.pick(&ask, &mut fastrand::Rng::with_seed(1), &mut decision).unwrap();
        (Arc::clone(picked.endpoint()), decision)
    };
    let (first, decision) = pick(&[]);
    let tried = first.id();
    let mut one = Try::new(Some(first), Evidence::Noted(decision), started);
    one.span = Some(SpanId(0x2));
    one.failed(&ProxyError::AttemptTimeout(MILLI), started + MILLI);
    let (second, decision) = pick(&[tried]);
    let mut two = Try::new(Some(second), Evidence::Noted(decision), started + MILLI);
    two.span = Some(SpanId(0x3));
    two.answered(StatusCode::OK, started + 3 * MILLI);
    Kept {
        why: Why { retry: true, ..Why::default() },
        is_sent: true,
        started,
        at: SystemTime::UNIX_EPOCH,
        duration: 5 * MILLI,
        trace: Some(trace(sampled)),
        request_id: "id".into(),
        target: Some(Target {
            method: Method::GET,
            path: "/cart".into(),
            query: Some("a=1&sig=secret&access_token=secret".into()),
        }),
        rewritten: None,
        scheme: Scheme::Https,
        host: Some(HeaderValue::from_static("shop.example:8443")),
        listener: "https".into(),
        route: Some("cart".into()),
        backend: Some("shop".into()),
        algorithm: Some("LeastConnections"),
        generation: 7,
        status: 200,
        reason: None,
        detail: None,
        client: "192.0.2.1".parse().unwrap(),
        peer: "198.51.100.1:4711".parse().unwrap(),
        tries: vec![one.past(), two.past()],
    }
}

fn spans(kept: &Kept) -> Vec<SpanData> {
    let mut spans = Vec::new();
    kept.spans(&mut spans);
    assert_eq!(spans.len(), kept.count());
    spans
}

fn attribute(span: &SpanData, key: &str) -> Option<String> {
    let of = |pairs: &[opentelemetry::KeyValue]| {
        pairs.iter().find(|pair| pair.key.as_str() == key).map(|pair| pair.value.to_string())
    };
    of(&span.attributes).or_else(|| span.events.iter().find_map(|event| of(&event.attributes)))
}

#[test]
fn attempts_are_siblings_below_the_request() {
    let spans = spans(&kept(true));
    let [server, first, second] = &spans[..] else { panic!("{spans:?}") };
    assert_eq!((&*server.name, &server.span_kind), ("GET cart", &SpanKind::Server));
    assert!(server.parent_span_is_remote && !first.parent_span_is_remote);
    assert_eq!(server.parent_span_id.to_string(), "0000000000000009");
    for (client, id) in [(first, "0000000000000002"), (second, "0000000000000003")] {
        assert_eq!((&*client.name, &client.span_kind), ("GET", &SpanKind::Client));
        assert_eq!(client.parent_span_id, server.span_context.span_id());
        assert_eq!(client.span_context.span_id().to_string(), id);
        assert_eq!(client.span_context.trace_id(), server.span_context.trace_id());
        assert_eq!(client.span_context.trace_state().header(), "a=1");
    }
    assert_eq!(attribute(first, "http.request.resend_count"), None);
    assert_eq!(attribute(second, "http.request.resend_count").unwrap(), "1");
    let millis = |span: &SpanData| {
        let since = |at: SystemTime| at.duration_since(SystemTime::UNIX_EPOCH).unwrap().as_millis();
        (since(span.start_time), since(span.end_time))
    };
    assert_eq!((millis(server), millis(first), millis(second)), ((0, 5), (0, 1), (1, 5)));
    assert!(matches!(first.status, Status::Error { .. }));
    assert_eq!((&second.status, &server.status), (&Status::Unset, &Status::Unset));
}

#[test]
fn spans_say_what_the_conventions_want_and_no_secret() {
    let spans = spans(&kept(true));
    for (key, value) in [
        ("http.request.method", "GET"),
        ("url.scheme", "https"),
        ("url.path", "/cart"),
        ("url.query", "a=1&sig=REDACTED&access_token=REDACTED"),
        ("server.address", "shop.example"),
        ("server.port", "8443"),
        ("client.address", "192.0.2.1"),
        ("network.peer.address", "198.51.100.1"),
        ("network.protocol.version", "1.1"),
        ("http.response.status_code", "200"),
        ("user_agent.original", "curl/8"),
        ("outrigger.route", "cart"),
        ("outrigger.generation", "7"),
    ] {
        assert_eq!(attribute(&spans[0], key).as_deref(), Some(value), "{key}");
    }
    assert_eq!(attribute(&spans[0], "outrigger.sampled_late"), None);
    let url = attribute(&spans[2], "url.full").unwrap();
    assert!(
        url.ends_with("/cart?a=1&sig=REDACTED&access_token=REDACTED")
            && url.starts_with("http://localhost:8"),
        "{url}"
    );
    assert_eq!(attribute(&spans[1], "error.type").as_deref(), Some("attempt_timeout"));
}

#[test]
fn the_pick_says_who_was_there_and_why_this_one() {
    let spans = spans(&kept(true));
    let chosen = attribute(&spans[2], "outrigger.endpoint");
    assert_eq!(attribute(&spans[2], "outrigger.chosen"), chosen);
    assert_eq!(attribute(&spans[1], "outrigger.algorithm").unwrap(), "LeastConnections");
    let candidates = attribute(&spans[1], "outrigger.candidates").unwrap();
    assert!(candidates.contains(":81") && candidates.contains(":82"), "{candidates}");
    assert_eq!(attribute(&spans[1], "outrigger.scores").unwrap(), "[1,1]");
    assert_eq!(attribute(&spans[2], "outrigger.scores").unwrap(), "[1]");
    let excluded = attribute(&spans[2], "outrigger.excluded").unwrap();
    assert!(excluded.contains("has failed for this request"), "{excluded}");
}

/// O2
#[test]
fn an_answer_that_breaks_off_is_its_endpoints_error() {
    let mut kept = kept(true);
    (kept.why.error, kept.reason) = (true, Some("response_cut"));
    let spans = spans(&kept);
    assert!(matches!(spans[2].status, Status::Error { .. }));
    assert_eq!(attribute(&spans[2], "error.type").as_deref(), Some("response_cut"));
    assert_eq!(attribute(&spans[1], "error.type").as_deref(), Some("attempt_timeout"));
}

#[test]
fn what_was_not_sampled_at_first_says_so() {
    assert_eq!(attribute(&spans(&kept(false))[0], "outrigger.sampled_late").unwrap(), "true");
}

/// O2
#[test]
fn without_an_endpoint_the_request_itself_tells_of_the_pick() {
    let mut kept = kept(true);
    let nobody = Try::new(None, Evidence::Noted(Decision::default()), kept.started);
    kept.tries = vec![nobody.past()];
    (kept.status, kept.why.error, kept.reason) = (503, true, Some("no_endpoint"));
    let spans = spans(&kept);
    assert_eq!((spans.len(), &*spans[0].events[0].name), (1, "outrigger.pick"));
    assert_eq!(attribute(&spans[0], "outrigger.how").unwrap(), "there was nobody to choose");
    assert_eq!(attribute(&spans[0], "error.type").unwrap(), "no_endpoint");
}

#[test]
fn a_method_that_somebody_made_up_names_no_span() {
    let mut kept = kept(true);
    kept.target.as_mut().unwrap().method = Method::from_bytes(b"BREW").unwrap();
    let spans = spans(&kept);
    assert_eq!((&*spans[0].name, &*spans[1].name), ("HTTP cart", "HTTP"));
    assert_eq!(attribute(&spans[0], "http.request.method").unwrap(), "_OTHER");
    assert_eq!(attribute(&spans[0], "http.request.method_original").unwrap(), "BREW");
}

#[test]
fn people_are_told_all_but_the_query() {
    let told = kept(false).tell();
    assert_eq!(told["path"], "/cart");
    assert!(!told.to_string().contains("secret"));
    assert_eq!((&told["kept"], &told["sampled"]), (&json!(["retry"]), &true.into()));
    assert_eq!(told["traceId"], "00000000000000000000000000000abc");
    let first = &told["attempts"][0];
    assert_eq!((&first["durationMs"], &first["status"]), (&json!(1.0), &Value::Null));
    assert!(first["error"].as_str().unwrap().contains("1ms"), "{first}");
    assert_eq!(told["attempts"][1]["startMs"], 1.0);
    assert!(told["attempts"][1]["pick"]["how"].is_string());
}

#[test]
fn a_decision_fits_into_a_field() {
    let nobody = [0, 1].map(|_| Try::new(None, Evidence::Again, Instant::now()));
    let value = decision(&Decided {
        request_id: "id",
        route: Some("straße\u{7f}"),
        backend: Some("shop"),
        algorithm: Some("LeastConnections"),
        generation: 7,
        tries: &nobody,
        started: Instant::now(),
    });
    let told: Value = serde_json::from_str(value.to_str().unwrap()).unwrap();
    assert_eq!((&told["route"], &told["generation"]), (&"straße\u{7f}".into(), &7.into()));
    assert_eq!(told["attempts"].as_array().unwrap().len(), 2);
}
