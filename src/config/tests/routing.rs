//! Routes, algorithms with parameters, affinity and slow start give the model that they say.

use super::*;
use crate::model::{
    Answer, BackendRef, FixedResponse, HashKey, HashTable, Hashing, HeaderMatch, HostPattern,
    Match, Overrides, PathMatch, PathRewrite, QueryMatch, Ratio, Redirect, Regex, Route, Scheme,
    SessionAffinity, SlowStart, ValueMatch, defaults,
};
use http::{HeaderName, HeaderValue, Method};
use std::time::Duration;

const LISTENERS: &str = "listeners: [{ name: http, address: 127.0.0.1:8080 }]\n";

/// The first of the routes that are written below `routes:`, over the backends `a` and `b`.
fn route(text: &str) -> Route {
    let text = format!(
        "{LISTENERS}backends: [{{ name: a, endpoints: [http://a] }}, {{ name: b, endpoints: [http://b] }}]\nroutes:\n{text}"
    );
    read(&text).unwrap().routes.remove(0)
}

/// The hashing of a backend with this algorithm.
fn hashing(algorithm: &str) -> Option<Hashing> {
    read(&backend(&format!("algorithm: {algorithm}"))).unwrap().backends.remove(0).hashing
}

#[test]
fn without_routes_everything_goes_to_the_only_backend() {
    assert_eq!(read(BASE).unwrap().routes, [Route::to_one_backend("demo".into())]);
    assert_eq!(read(&top("routes:")).unwrap(), read(BASE).unwrap());
}

#[test]
fn every_key_of_a_route_reaches_the_model() {
    let found = route(
        r#"
  - name: shop
    listeners: [http]
    hosts: [Shop.example.com, "*.shop.example.com."]
    matches:
      - path: { prefix: /api/%7Euser/ }
        method: GET
        headers:
          - { name: X-User, exact: "7" }
          - { name: x-flag, present: true }
          - { name: x-old, present: false }
        query:
          - { name: q, regex: "[a-z]+" }
          - { name: "seite", exact: "" }
      - path: { prefix: / }
    filters:
      - requestHeaders:
          remove: [X-Secret]
          set: [{ name: x-a, value: "1" }]
          add: [{ name: x-b, value: "2" }, { name: x-b, value: "" }]
      - responseHeaders: { remove: [server] }
      - rewrite: { host: "inner.example.com:81", path: { prefix: /v2/ } }
    timeouts: { request: 30s, attempt: 0s }
    retry: { attempts: 3, conditions: [Reset], statuses: [503, 520-529] }
    maxBodyBytes: 0
    backends: [{ name: a, weight: 90 }, b]
"#,
    );
    let header = HeaderName::from_static;
    let value = HeaderValue::from_static;
    let exact = |text: &str| ValueMatch::Exact(text.into());
    assert_eq!(&*found.name, "shop");
    assert_eq!(found.listeners, ["http".into()]);
    let hosts = [
        HostPattern::Exact("shop.example.com".into()),
        HostPattern::Wildcard(".shop.example.com".into()),
    ];
    assert_eq!(found.hosts, hosts);
    let first = Match {
        path: PathMatch::Prefix("/api/~user".into()),
        method: Some(Method::GET),
        headers: vec![
            HeaderMatch { name: header("x-user"), value: exact("7") },
            HeaderMatch { name: header("x-flag"), value: ValueMatch::Present },
            HeaderMatch { name: header("x-old"), value: ValueMatch::Absent },
        ],
        query: vec![
            QueryMatch {
                name: "q".into(),
                value: ValueMatch::Regex(Regex::new("[a-z]+").unwrap()),
            },
            QueryMatch { name: "seite".into(), value: exact("") },
        ],
    };
    assert_eq!(found.matches, [first, Match::default()]);
    let filters = &found.filters;
    assert_eq!(filters.request_headers.remove, [header("x-secret")]);
    assert_eq!(filters.request_headers.set, [(header("x-a"), value("1"))]);
    let added = [(header("x-b"), value("2")), (header("x-b"), value(""))];
    assert_eq!(filters.request_headers.add, added);
    assert_eq!(filters.response_headers.remove, [header("server")]);
    assert_eq!(filters.rewrite.host, Some(value("inner.example.com:81")));
    assert_eq!(filters.rewrite.path, Some(PathRewrite::Prefix("/v2".into())));
    assert_eq!(filters.answer, None);
    let overrides = Overrides {
        request_timeout: Some(Some(Duration::from_secs(30))),
        attempt_timeout: Some(None),
        retry_attempts: Some(3),
        retry_conditions: Some(crate::model::RetryConditions {
            connect_failure: false,
            reset: true,
        }),
        retry_statuses: Some(vec![(503, 503), (520, 529)]),
        max_body_bytes: Some(None),
    };
    assert_eq!(found.overrides, overrides);
    let backends =
        [BackendRef { name: "a".into(), weight: 90 }, BackendRef { name: "b".into(), weight: 1 }];
    assert_eq!(found.backends, backends);
}

#[test]
fn a_route_sets_nothing_that_it_does_not_say() {
    let found = route("  - { name: r, backends: [a] }\n");
    assert_eq!(found.matches, [Match::default()]);
    assert_eq!(found.overrides, Overrides::default());
    assert_eq!((found.listeners, found.hosts), (Vec::new(), Vec::new()));
    let found = route("  - { name: r, backends: [a], retry: { statuses: [] } }\n");
    assert_eq!(found.overrides.retry_statuses, Some(Vec::new()), "none, whatever the backend has");
}

#[test]
fn a_path_is_matched_exactly_by_prefix_or_by_regex() {
    let path = |text: &str| {
        let text =
            format!("  - {{ name: r, matches: [{{ path: {{ {text} }} }}], backends: [a] }}\n");
        route(&text).matches.remove(0).path
    };
    assert_eq!(path("exact: /a/"), PathMatch::Exact("/a/".into()));
    assert_eq!(path("prefix: /a/"), PathMatch::Prefix("/a".into()));
    assert_eq!(path("prefix: /"), PathMatch::Prefix("/".into()));
    assert_eq!(path("regex: \"/v[0-9]\""), PathMatch::Regex(Regex::new("/v[0-9]").unwrap()));
}

#[test]
fn a_filter_answers_instead_of_a_backend() {
    let answer = |text: &str| {
        route(&format!("  - {{ name: r, filters: [{{ {text} }}] }}\n")).filters.answer.unwrap()
    };
    let redirect = Redirect {
        scheme: Some(Scheme::Https),
        host: Some("www.example.com".into()),
        port: Some(8443),
        path: Some(PathRewrite::Full("/new".into())),
        status: 308,
    };
    let text = "redirect: { scheme: Https, host: WWW.example.com, port: 8443, path: { full: /new }, status: 308 }";
    assert_eq!(answer(text), Answer::Redirect(redirect));
    let redirect = Redirect {
        scheme: Some(Scheme::Https),
        host: None,
        port: None,
        path: None,
        status: defaults::REDIRECT_STATUS,
    };
    assert_eq!(answer("redirect: { scheme: https }"), Answer::Redirect(redirect));
    let fixed = FixedResponse {
        status: 404,
        body: "{}".into(),
        content_type: HeaderValue::from_static("application/json"),
    };
    let text = "respond: { status: 404, body: '{}', contentType: application/json }";
    assert_eq!(answer(text), Answer::Fixed(fixed));
    let fixed = FixedResponse {
        status: defaults::RESPOND_STATUS,
        body: "".into(),
        content_type: HeaderValue::from_static(defaults::RESPOND_CONTENT_TYPE),
    };
    assert_eq!(answer("respond: {}"), Answer::Fixed(fixed));
}

#[test]
fn a_hash_has_its_key_and_table() {
    assert_eq!(hashing("SourceIpHash"), Some(Hashing::SOURCE_IP));
    assert_eq!(hashing("RoundRobin"), None);
    let of = |key| Some(Hashing { key, table: HashTable::Maglev, bounded_load: None });
    let named = |key: &str| hashing(&format!("{{ name: ConsistentHash, key: {key} }}"));
    assert_eq!(named("ClientAddress"), of(HashKey::ClientAddress));
    assert_eq!(named("{ source: Path }"), of(HashKey::Path));
    assert_eq!(named("{ header: X-User }"), of(HashKey::Header("x-user".parse().unwrap())));
    assert_eq!(named("{ cookie: id }"), of(HashKey::Cookie("id".into())));
    assert_eq!(named("{ query: id }"), of(HashKey::Query("id".into())));
    let ring = hashing("{ name: ConsistentHash, key: Path, table: Ring, boundedLoad: 1.25 }");
    let expected = Hashing {
        key: HashKey::Path,
        table: HashTable::Ring,
        bounded_load: Some(Ratio::new(1.25)),
    };
    assert_eq!(ring, Some(expected));
}

#[test]
fn affinity_and_slow_start_have_their_defaults() {
    let affinity = |text: &str| {
        let text = format!("sessionAffinity: {{ cookie: {text} }}");
        read(&backend(&text)).unwrap().backends.remove(0).session_affinity.unwrap()
    };
    let default = SessionAffinity {
        cookie: defaults::AFFINITY_COOKIE.into(),
        ttl: None,
        path: defaults::AFFINITY_PATH.into(),
    };
    assert_eq!(affinity("{}"), default);
    assert_eq!(affinity("{ ttl: 0s }"), default);
    let other = SessionAffinity {
        cookie: "to".into(),
        ttl: Some(Duration::from_secs(3600)),
        path: "/shop".into(),
    };
    assert_eq!(affinity("{ name: to, ttl: 1h, path: /shop }"), other);

    let slow_start = |text: &str| read(&backend(text)).unwrap().backends.remove(0).slow_start;
    let default = SlowStart {
        window: defaults::SLOW_START_WINDOW,
        minimum_weight: defaults::slow_start_minimum_weight(),
    };
    assert_eq!(slow_start("slowStart: {}"), Some(default));
    assert_eq!(slow_start("slowStart:"), None);
    let other = SlowStart { window: Duration::from_secs(9), minimum_weight: Ratio::new(0.5) };
    assert_eq!(slow_start("slowStart: { window: 9s, minimumWeight: 50% }"), Some(other));
}

#[test]
fn trusted_proxies_are_networks() {
    let text = BASE.replace(
        "127.0.0.1:8080",
        "127.0.0.1:8080, trustedProxies: [10.0.0.0/8, 192.168.0.1, \"::1\"]",
    );
    let expected = ["10.0.0.0/8", "192.168.0.1/32", "::1/128"].map(|net| net.parse().unwrap());
    assert_eq!(read(&text).unwrap().listeners[0].trusted_proxies, expected);
}

#[test]
fn a_backend_retries_for_statuses() {
    let model = read(&backend("retry: { statuses: [503, 520-529] }")).unwrap();
    assert_eq!(model.backends[0].retry.statuses, [(503, 503), (520, 529)]);
}
