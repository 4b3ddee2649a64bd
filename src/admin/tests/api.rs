//! `/api/v1`.

use super::*;
use crate::snapshot::history::{Cause, Outcome, Reload};
use crate::telemetry::requests::Sort;

/// What a GET of `path` answers, which must be JSON.
async fn json_of(address: SocketAddr, path: &str) -> (u16, Value) {
    let (code, body) = get(address, path).await;
    (code, serde_json::from_str(&body).unwrap_or_else(|error| panic!("{path}: {error}: {body}")))
}

#[tokio::test]
async fn a_listener_is_told_with_its_limits_and_its_certificates() {
    let (context, _guard) = secure_context();
    let server = start(loopback(), context).unwrap();
    let (code, listeners) = json_of(server.address(), "/api/v1/listeners").await;
    assert_eq!(code, 200);
    let listener = &listeners[0];
    assert_eq!((&listener["name"], &listener["protocol"]), (&json!("http"), &json!("https")));
    assert_eq!(listener["address"], "127.0.0.1:8080");
    assert_eq!(listener["configured"], "127.0.0.1:0");
    assert_eq!(listener["connections"], 3);
    assert_eq!(listener["requests"], json!({ "4xx": 1 }));
    let tls = &listener["tls"];
    assert_eq!((&tls["minVersion"], &tls["clientAuth"]), (&json!("TLSv1.2"), &Value::Null));
    assert_eq!(tls["certificates"][0]["names"][0], "shop.example");
    let limits = &listener["limits"];
    assert_eq!(
        (&limits["headerTimeoutMs"], &limits["maxHeaders"]),
        (&json!(10_000.0), &json!(128))
    );
    assert_eq!(limits["maxBodyBytes"], Value::Null);
}

#[tokio::test]
async fn routes_are_told_in_words_with_shares() {
    let file = "
listeners: [{ name: http, address: 127.0.0.1:1 }, { name: more, address: 127.0.0.1:2 }]
routes:
  - name: shop
    listeners: [more]
    hosts: ['*.example.com']
    matches: [{ path: { prefix: /api }, method: GET, headers: [{ name: x-user, regex: a+ }] }]
    filters: [{ requestHeaders: { set: [{ name: x-key, value: s3cret }] } }]
    backends: [{ name: demo, weight: 3 }, { name: two, weight: 1 }]
  - { name: rest, backends: [two] }
backends:
  - { name: demo, endpoints: ['http://a:1'] }
  - { name: two, endpoints: ['http://a:1'] }
";
    let (context, _guard) = context();
    context.store.swap(compile(file, Some(&context.store.load())));
    context.store.load().router.routes()[1].requests.record(0, Some(503));
    let server = start(loopback(), context).unwrap();
    let (_, routes) = json_of(server.address(), "/api/v1/routes").await;
    let expected = json!([
        {
            "name": "shop",
            "listeners": ["more"],
            "hosts": ["*.example.com"],
            "matches": ["GET /api/* with x-user ~ \"a+\""],
            "filters": ["request headers: set x-key"],
            "backends": [
                { "name": "demo", "weight": 3, "share": 0.75 },
                { "name": "two", "weight": 1, "share": 0.25 },
            ],
            "requests": {},
        },
        {
            "name": "rest",
            "listeners": ["http", "more"],
            "hosts": [],
            "matches": ["/*"],
            "filters": [],
            "backends": [{ "name": "two", "weight": 1, "share": 1.0 }],
            "requests": { "5xx": 1 },
        },
    ]);
    assert_eq!(routes, expected);
}

#[tokio::test]
async fn backends_are_told_all_and_one_by_one_and_a_wrong_name_lists_the_right_ones() {
    let (context, _guard) = context();
    let server = start(loopback(), context).unwrap();
    let (_, all) = json_of(server.address(), "/api/v1/backends").await;
    let (code, one) = json_of(server.address(), "/api/v1/backends/demo").await;
    assert_eq!(
        (code, &one["name"], &one["algorithm"]),
        (200, &all[0]["name"], &all[0]["algorithm"])
    );
    assert_eq!(status(server.address()).await["backends"][0]["name"], one["name"]);
    let (code, error) = json_of(server.address(), "/api/v1/backends/dmeo").await;
    let expected = json!({ "error": "there is no backend \"dmeo\"", "allowed": ["demo"] });
    assert_eq!((code, error), (404, expected));
}

#[tokio::test]
async fn endpoints_are_told_flat_and_by_backend_and_health() {
    let (context, _guard) = context();
    let snapshot = context.store.load();
    let thresholds = Thresholds { healthy_after: 1, unhealthy_after: 1 };
    let endpoint = &snapshot.backends[0].members()[1].endpoint;
    endpoint.record_probe(crate::clock::Nanos::now(), Err("status 503"), thresholds);
    let server = start(loopback(), context).unwrap();
    let urls = async |query: &str| {
        let (code, told) = json_of(server.address(), &format!("/api/v1/endpoints{query}")).await;
        assert_eq!(code, 200, "{told}");
        let all = told.as_array().unwrap().iter();
        all.map(|one| format!("{} {}", one["backend"], one["url"])).collect::<Vec<_>>()
    };
    let first = "\"demo\" \"http://127.0.0.1:8081\"".to_owned();
    let second = "\"demo\" \"http://127.0.0.1:8082/base\"".to_owned();
    assert_eq!(urls("").await, [first.clone(), second.clone()]);
    assert_eq!(urls("?backend=demo&health=unhealthy").await, [second]);
    assert_eq!(urls("?health=unknown").await, [first]);
    for (query, allowed) in [
        ("?backend=dmeo", json!(["demo"])),
        ("?health=sick", json!(["unknown", "healthy", "unhealthy"])),
        ("?helth=unhealthy", json!(["backend", "health"])),
    ] {
        let (code, told) = json_of(server.address(), &format!("/api/v1/endpoints{query}")).await;
        assert_eq!((code, &told["allowed"]), (400, &allowed), "{query}: {told}");
    }
}

#[tokio::test]
async fn reloads_are_told_with_what_they_changed_and_why_they_were_refused() {
    let (context, _guard) = context();
    let history = &context.source.history;
    let new = |outcome, cause, generation| Reload::new(outcome, cause, generation, None);
    history.note(new(Outcome::Accepted, Cause::Start, 1));
    history.note(Reload {
        changes: vec!["backend demo: weight 1 → 2".to_owned()],
        connections_closed: 2,
        requests_kept: 42,
        duration: Duration::from_micros(1_500),
        hash: Some("abc".to_owned()),
        ..new(Outcome::Accepted, Cause::File, 2)
    });
    let errors = json!([{ "message": "no such name" }]);
    history.note(Reload {
        errors: errors.clone(),
        more: 3,
        ..new(Outcome::Refused, Cause::Signal, 2)
    });
    history.note(new(Outcome::Unchanged, Cause::Certificates, 2));
    let server = start(loopback(), context).unwrap();
    let (_, told) = json_of(server.address(), "/api/v1/reloads").await;
    let reloads = told["reloads"].as_array().unwrap();
    let short: Vec<_> = reloads
        .iter()
        .map(|one| {
            format!("{} {} {}", one["outcome"], one["cause"], one["generation"]).replace('"', "")
        })
        .collect();
    let expected =
        ["unchanged certificates 2", "refused signal 2", "accepted file 2", "accepted start 1"];
    assert_eq!(short, expected);
    assert_eq!((&reloads[1]["errors"], &reloads[1]["more"]), (&errors, &json!(3)));
    let accepted = &reloads[2];
    assert_eq!(accepted["changes"], json!(["backend demo: weight 1 → 2"]));
    assert_eq!(accepted["durationMs"], 1.5);
    assert_eq!(
        (&accepted["connectionsClosed"], &accepted["requestsKept"], &accepted["hash"]),
        (&json!(2), &json!(42), &json!("abc"))
    );
}

#[tokio::test]
async fn the_running_configuration_is_told_as_a_file_that_means_the_same() {
    let (context, _guard) = context();
    let server = start(loopback(), context.clone()).unwrap();
    let (_, told) = json_of(server.address(), "/api/v1/config").await;
    assert_eq!(
        (&told["generation"], &told["source"]),
        (&json!(1), &json!("/etc/outrigger/config.yaml"))
    );
    assert_eq!(told["loadedAt"], "2023-11-14T22:13:20.500Z");
    assert_eq!(told["hash"], config::hash(CONFIG.as_bytes()));
    let yaml = told["yaml"].as_str().unwrap();
    let read = config::load(yaml.as_bytes(), "told", &config::Surroundings::none()).unwrap();
    assert_eq!(read.model, *context.store.load().model);
}

#[tokio::test]
async fn kept_requests_are_told_as_they_tell_themselves() {
    struct Request(&'static str);
    impl crate::telemetry::requests::Told for Request {
        fn tell(&self) -> Value {
            json!({ "path": self.0 })
        }
    }
    let (context, _guard) = context();
    context.outlets.requests.keep(Sort::Slow, Arc::new(Request("/slow")));
    context.outlets.requests.keep(Sort::Sampled, Arc::new(Request("/usual")));
    let server = start(loopback(), context.clone()).unwrap();
    let (_, told) = json_of(server.address(), "/api/v1/picks").await;
    let decisions = &context.store.load().model.decisions;
    assert_eq!(told["sample"], decisions.sample.value());
    let slow = decisions.slower_than.map(|time| time.as_secs_f64() * 1e3);
    assert_eq!(told["slowerThanMs"], json!(slow));
    assert_eq!(told["notable"], json!([{ "path": "/slow" }]));
    assert_eq!(told["sampled"], json!([{ "path": "/usual" }]));
}

#[tokio::test]
async fn a_question_about_a_request_is_passed_on_as_it_was_asked() {
    let (context, _guard) = context();
    let server = start(loopback(), context).unwrap();
    let query = "url=http://a/%3Fb&method=PURGE&header=x-a:+b&header=x-c:+d&listener=http&clientAddress=::1";
    let (code, told) = json_of(server.address(), &format!("/api/v1/explain?{query}")).await;
    assert_eq!(code, 200);
    assert_eq!((&told["url"], &told["method"]), (&json!("http://a/?b"), &json!("PURGE")));
    assert_eq!((&told["filters"], &told["client"]), (&json!(["x-a: b", "x-c: d"]), &json!("::1")));
    for (query, error) in [
        ("", "the parameter url is missing; an example: url=http://shop.example.com/cart"),
        ("?url=http://a/", "listener NAME is wanted"),
        ("?url=http://a/&method=a%20b", r#"method: "a b" is not a method"#),
        ("?url=http://a/&clientAddress=a", r#"clientAddress: "a" is not an IP address"#),
    ] {
        let (code, told) = json_of(server.address(), &format!("/api/v1/explain{query}")).await;
        assert_eq!((code, &told["error"]), (400, &json!(error)), "{query}");
    }
}
