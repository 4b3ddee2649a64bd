mod telemetry;
mod tls;

use super::*;
use crate::config;
use crate::model::{
    Algorithm, Answer, Backend, BackendRef, FixedResponse, HashKey, HashTable, Hashing,
    HeaderMatch, HostPattern, Match, PathMatch, PathRewrite, ProbeCheck, QueryMatch, Ratio,
    Redirect, Regex, Route, Scheme, SessionAffinity, SlowStart, ValueMatch,
};
use http::{HeaderName, HeaderValue, Method};
use proptest::prelude::*;
use std::sync::Arc;
use std::time::Duration;

fn model(text: &str) -> Model {
    let loaded = config::load(text.as_bytes(), "test", &config::Surroundings::none());
    loaded.unwrap_or_else(|problems| panic!("{problems}")).model
}

const BEFORE: &str = "
listeners: [{ name: http, address: 127.0.0.1:8080 }]
backends:
  - name: demo
    algorithm: LeastConnections
    endpoints: [http://a:1, http://b:1]
";

#[test]
fn a_change_is_said_in_the_words_of_the_configuration() {
    let after = "
workers: 3
shutdown: { drainDelay: 1s }
listeners: [{ name: http, address: 0.0.0.0:8080 }, { name: more, address: 127.0.0.1:8081 }]
backends:
  - name: demo
    algorithm: LeastResponseTime
    endpoints: [{ url: http://a:1, weight: 2 }, http://c:1]
    timeouts: { connect: 1s }
    healthProbe: { http: { path: /health } }
";
    assert_eq!(
        changes(&model(BEFORE), &model(after), 2),
        [
            "listener http: address 127.0.0.1:8080 → 0.0.0.0:8080, open connections stay",
            "listener more added on 127.0.0.1:8081",
            "backend demo: algorithm LeastConnections → LeastResponseTime",
            "backend demo: endpoint http://b:1 removed, drains for up to 30s",
            "backend demo: endpoint http://a:1: weight 1 → 2",
            "backend demo: endpoint http://c:1 added",
            "backend demo: healthProbe added, GET /health every 5s",
            "backend demo: timeouts.connect 2s → 1s",
            "workers: needs a restart, 2 go on running",
            "shutdown.drainDelay 5s → 1s",
        ]
    );
    let back = changes(&model(after), &model(BEFORE), 2);
    for phrase in
        ["listener more removed, drains for up to 30s", "backend demo: endpoint http://b:1 added"]
    {
        assert!(back.iter().any(|said| said == phrase), "{phrase} is missing in {back:#?}");
    }
}

#[test]
fn an_order_that_differs_is_said() {
    let after = BEFORE.replace("http://a:1, http://b:1", "http://b:1, http://a:1");
    assert_eq!(
        changes(&model(BEFORE), &model(&after), 2),
        ["backend demo: order of endpoints changed"]
    );
    assert!(changes(&model(BEFORE), &model(BEFORE), 2).is_empty());
}

fn route(name: &str, backends: &[(&str, u32)]) -> Route {
    let reference =
        |(name, weight): &(&str, u32)| BackendRef { name: Arc::from(*name), weight: *weight };
    Route {
        name: Arc::from(name),
        backends: backends.iter().map(reference).collect(),
        ..Route::to_one_backend(Arc::from(""))
    }
}

/// A model with one of everything.
fn full() -> Model {
    let mut full = model(BEFORE);
    full.probes = Some(([127, 0, 0, 1], 9901).into());
    full.listeners[0].trusted_proxies = vec!["10.0.0.0/8".parse().unwrap()];
    full.listeners.push(crate::model::Listener {
        name: Arc::from("more"),
        address: ([127, 0, 0, 1], 8081).into(),
        ..full.listeners[0].clone()
    });
    let backend = &mut full.backends[0];
    backend.algorithm = Algorithm::ConsistentHash;
    backend.hashing = Some(Hashing { bounded_load: Some(Ratio::new(1.25)), ..Hashing::SOURCE_IP });
    backend.session_affinity =
        Some(SessionAffinity { cookie: Arc::from("outrigger"), ttl: None, path: Arc::from("/") });
    backend.slow_start =
        Some(SlowStart { window: Duration::from_secs(30), minimum_weight: Ratio::new(0.1) });
    let probes = model(&format!(
        "{BEFORE}    healthProbe: {{ http: {{ host: h, body: ok }} }}\n    latencyProbe: {{ tcp: {{}} }}\n"
    ));
    backend.health_probe = probes.backends[0].health_probe.clone();
    backend.latency_probe = probes.backends[0].latency_probe.clone();
    backend.retry.statuses = vec![(503, 503)];
    full.backends.push(Backend { name: Arc::from("other"), ..full.backends[0].clone() });
    let mut shop = route("shop", &[("demo", 90), ("other", 10)]);
    shop.listeners = vec![Arc::from("http")];
    shop.hosts = vec![
        HostPattern::Exact(Arc::from("shop.example.com")),
        HostPattern::Wildcard(Arc::from(".example.com")),
    ];
    shop.matches = vec![
        Match {
            path: PathMatch::Prefix(Arc::from("/api")),
            method: Some(Method::GET),
            headers: vec![HeaderMatch {
                name: HeaderName::from_static("x-user"),
                value: ValueMatch::Present,
            }],
            query: vec![QueryMatch {
                name: Arc::from("q"),
                value: ValueMatch::Exact(Arc::from("1")),
            }],
        },
        Match::default(),
    ];
    let header = |name| (HeaderName::from_static(name), HeaderValue::from_static("v"));
    for changes in [&mut shop.filters.request_headers, &mut shop.filters.response_headers] {
        changes.remove = vec![HeaderName::from_static("x-gone"), HeaderName::from_static("x-too")];
        changes.set = vec![header("x-set")];
        changes.add = vec![header("x-add")];
    }
    shop.filters.rewrite.host = Some(HeaderValue::from_static("inner"));
    shop.filters.rewrite.path = Some(PathRewrite::Prefix(Arc::from("/v1")));
    shop.overrides.request_timeout = Some(Some(Duration::from_secs(1)));
    shop.overrides.retry_statuses = Some(vec![(500, 599)]);
    let mut away = route("away", &[]);
    away.filters.answer = Some(Answer::Redirect(Redirect {
        scheme: Some(Scheme::Https),
        host: None,
        port: None,
        path: None,
        status: 301,
    }));
    let mut gone = route("gone", &[]);
    gone.filters.answer = Some(Answer::Fixed(FixedResponse {
        status: 410,
        body: Arc::from("gone"),
        content_type: HeaderValue::from_static("text/plain"),
    }));
    full.routes = vec![shop, away, gone];
    tls::add(&mut full);
    telemetry::add(&mut full);
    full
}

type Mutation = (&'static str, fn(&mut Model));

/// A change of each field of the model, and of each way in which a list can differ.
const MUTATIONS: &[Mutation] = &[
    ("admin.address", |m| m.admin = None),
    ("probes.address", |m| m.probes = None),
    ("workers", |m| m.workers = 7),
    ("shutdown.drainDelay", |m| m.shutdown.drain_delay = Duration::ZERO),
    ("shutdown.drainTimeout", |m| m.shutdown.drain_timeout = Duration::ZERO),
    ("order of listeners", |m| m.listeners.swap(0, 1)),
    ("listener more removed", |m| drop(m.listeners.pop())),
    ("listener more removed", |m| m.listeners[1].name = Arc::from("third")),
    ("listener http: address", |m| m.listeners[0].address.set_port(1)),
    ("limits.headerTimeout", |m| m.listeners[0].limits.header_timeout = None),
    ("limits.bodyTimeout", |m| m.listeners[0].limits.body_timeout = None),
    ("limits.idleTimeout", |m| m.listeners[0].limits.idle_timeout = None),
    ("limits.maxHeaderBytes", |m| m.listeners[0].limits.max_header_bytes = 1 << 14),
    ("limits.maxHeaders", |m| m.listeners[0].limits.max_headers = 1),
    ("limits.maxBodyBytes", |m| m.listeners[0].limits.max_body_bytes = Some(1)),
    ("trustedProxies", |m| m.listeners[0].trusted_proxies.clear()),
    ("trusted proxy ::1/128 added", |m| {
        m.listeners[0].trusted_proxies.push("::1/128".parse().unwrap())
    }),
    ("order of routes", |m| m.routes.swap(0, 1)),
    ("route gone removed", |m| drop(m.routes.pop())),
    ("route shop removed", |m| m.routes[0].name = Arc::from("store")),
    ("route shop: listeners", |m| m.routes[0].listeners.clear()),
    ("route shop: host *.example.com removed", |m| drop(m.routes[0].hosts.pop())),
    ("route shop: order of hosts", |m| m.routes[0].hosts.reverse()),
    ("route shop: match", |m| {
        m.routes[0].matches[0].path = PathMatch::Regex(Regex::new("/a").unwrap())
    }),
    ("route shop: match", |m| m.routes[0].matches[0].path = PathMatch::Exact(Arc::from("/api"))),
    ("route shop: match", |m| m.routes[0].matches[0].method = None),
    ("route shop: match", |m| {
        m.routes[0].matches[0].headers[0].name = HeaderName::from_static("x-a")
    }),
    ("route shop: match", |m| m.routes[0].matches[0].headers[0].value = ValueMatch::Absent),
    ("route shop: match", |m| m.routes[0].matches[0].headers.clear()),
    ("route shop: match", |m| m.routes[0].matches[0].query[0].name = Arc::from("p")),
    ("route shop: match", |m| {
        m.routes[0].matches[0].query[0].value = ValueMatch::Exact(Arc::from("2"))
    }),
    ("route shop: order of matches", |m| m.routes[0].matches.reverse()),
    ("route shop: order of matches", |m| m.routes[0].matches.push(Match::default())),
    ("filters.requestHeaders.remove x-too removed", |m| {
        drop(m.routes[0].filters.request_headers.remove.pop())
    }),
    ("order of filters.requestHeaders.remove", |m| {
        m.routes[0].filters.request_headers.remove.reverse()
    }),
    ("filters.requestHeaders.set x-set changed", |m| {
        m.routes[0].filters.request_headers.set[0].1 = HeaderValue::from_static("w");
    }),
    ("filters.requestHeaders.add", |m| m.routes[0].filters.request_headers.add.clear()),
    ("filters.responseHeaders.remove", |m| m.routes[0].filters.response_headers.remove.clear()),
    ("filters.responseHeaders.set", |m| m.routes[0].filters.response_headers.set.clear()),
    ("filters.responseHeaders.add x-add changed", |m| {
        m.routes[0].filters.response_headers.add[0].1 = HeaderValue::from_static("w");
    }),
    ("filters.rewrite.host", |m| m.routes[0].filters.rewrite.host = None),
    ("filters.rewrite.path", |m| {
        m.routes[0].filters.rewrite.path = Some(PathRewrite::Full(Arc::from("/v1")))
    }),
    ("route away: filters redirect 301, scheme to https → redirect 308, scheme to https", |m| {
        let Some(Answer::Redirect(redirect)) = &mut m.routes[1].filters.answer else { panic!() };
        redirect.status = 308;
    }),
    ("route away: filters redirect", |m| {
        let Some(Answer::Redirect(redirect)) = &mut m.routes[1].filters.answer else { panic!() };
        redirect.scheme = Some(Scheme::Http);
    }),
    ("route away: filters redirect", |m| {
        let Some(Answer::Redirect(redirect)) = &mut m.routes[1].filters.answer else { panic!() };
        (redirect.host, redirect.port) = (Some(Arc::from("h")), Some(1));
    }),
    ("route away: filters redirect", |m| {
        let Some(Answer::Redirect(redirect)) = &mut m.routes[1].filters.answer else { panic!() };
        redirect.path = Some(PathRewrite::Full(Arc::from("/")));
    }),
    ("route away: filters", |m| m.routes[1].filters.answer = None),
    ("route away: filters", |m| m.routes[1].filters.answer = m.routes[2].filters.answer.clone()),
    ("filters.respond.status 410 → 404", |m| {
        let Some(Answer::Fixed(response)) = &mut m.routes[2].filters.answer else { panic!() };
        response.status = 404;
    }),
    ("filters.respond.body changed", |m| {
        let Some(Answer::Fixed(response)) = &mut m.routes[2].filters.answer else { panic!() };
        response.body = Arc::from("Gone");
    }),
    ("filters.respond.contentType", |m| {
        let Some(Answer::Fixed(response)) = &mut m.routes[2].filters.answer else { panic!() };
        response.content_type = HeaderValue::from_static("text/html");
    }),
    ("route shop: timeouts.request 1s → none", |m| {
        m.routes[0].overrides.request_timeout = Some(None)
    }),
    ("route shop: timeouts.attempt the backend's → none", |m| {
        m.routes[0].overrides.attempt_timeout = Some(None)
    }),
    ("route shop: retry.attempts", |m| m.routes[0].overrides.retry_attempts = Some(0)),
    ("route shop: retry.conditions", |m| {
        m.routes[0].overrides.retry_conditions = Some(crate::model::RetryConditions::ALL);
    }),
    ("route shop: retry.statuses 500-599 → none", |m| {
        m.routes[0].overrides.retry_statuses = Some(vec![])
    }),
    ("route shop: maxBodyBytes the listener's → 1Ki", |m| {
        m.routes[0].overrides.max_body_bytes = Some(Some(1024))
    }),
    ("route shop: backend demo: weight 90 → 50", |m| m.routes[0].backends[0].weight = 50),
    ("route shop: backend other removed", |m| drop(m.routes[0].backends.pop())),
    ("route shop: order of backends", |m| m.routes[0].backends.reverse()),
    ("order of backends", |m| m.backends.reverse()),
    ("backend other removed", |m| drop(m.backends.pop())),
    ("backend other removed", |m| m.backends[1].name = Arc::from("third")),
    (
        "algorithm ConsistentHash (key ClientAddress, table Maglev, boundedLoad 1.25) → RoundRobin",
        |m| {
            (m.backends[0].algorithm, m.backends[0].hashing) = (Algorithm::RoundRobin, None);
        },
    ),
    ("backend demo: algorithm", |m| m.backends[0].hashing = None),
    ("algorithm.key ClientAddress → Path, clients", |m| {
        m.backends[0].hashing.as_mut().unwrap().key = HashKey::Path;
    }),
    ("algorithm.table", |m| m.backends[0].hashing.as_mut().unwrap().table = HashTable::Ring),
    ("algorithm.boundedLoad 1.25 → none", |m| {
        m.backends[0].hashing.as_mut().unwrap().bounded_load = None
    }),
    ("sessionAffinity", |m| m.backends[0].session_affinity = None),
    ("sessionAffinity", |m| {
        m.backends[0].session_affinity.as_mut().unwrap().cookie = Arc::from("c")
    }),
    ("sessionAffinity", |m| {
        m.backends[0].session_affinity.as_mut().unwrap().ttl = Some(Duration::from_secs(1));
    }),
    ("sessionAffinity", |m| {
        m.backends[0].session_affinity.as_mut().unwrap().path = Arc::from("/c")
    }),
    ("slowStart 30s from 10% → none", |m| m.backends[0].slow_start = None),
    ("slowStart", |m| m.backends[0].slow_start.as_mut().unwrap().window = Duration::from_secs(1)),
    ("slowStart", |m| m.backends[0].slow_start.as_mut().unwrap().minimum_weight = Ratio::ONE),
    ("endpoint http://b:1 removed", |m| drop(m.backends[0].endpoints.pop())),
    ("endpoint http://a:1: weight 1 → 0, gets no new requests", |m| {
        m.backends[0].endpoints[0].weight = 0
    }),
    ("order of endpoints", |m| m.backends[0].endpoints.reverse()),
    ("endpoint http://a:1/v1 added", |m| m.backends[0].endpoints[0].url.path = Arc::from("/v1")),
    ("healthProbe removed", |m| m.backends[0].health_probe = None),
    ("healthProbe.interval", |m| health(m).probe.interval = Duration::from_secs(9)),
    ("healthProbe.timeout", |m| health(m).probe.timeout = Duration::from_secs(9)),
    ("healthProbe.healthyAfter", |m| health(m).healthy_after = 9),
    ("healthProbe.unhealthyAfter", |m| health(m).unhealthy_after = 9),
    ("healthProbe.minimumHealthy 0% → 100%", |m| health(m).minimum_healthy = Ratio::ONE),
    ("healthProbe GET", |m| health(m).probe.check = ProbeCheck::Tcp),
    ("healthProbe GET", |m| {
        let ProbeCheck::Http { path, .. } = &mut health(m).probe.check else { panic!() };
        *path = Arc::from("/other");
    }),
    ("healthProbe GET", |m| {
        let ProbeCheck::Http { host, .. } = &mut health(m).probe.check else { panic!() };
        *host = None;
    }),
    ("healthProbe GET", |m| {
        let ProbeCheck::Http { statuses, .. } = &mut health(m).probe.check else { panic!() };
        statuses.push((500, 500));
    }),
    ("healthProbe GET", |m| {
        let ProbeCheck::Http { body, .. } = &mut health(m).probe.check else { panic!() };
        *body = None;
    }),
    ("latencyProbe removed", |m| m.backends[0].latency_probe = None),
    ("latencyProbe.interval", |m| {
        m.backends[0].latency_probe.as_mut().unwrap().probe.interval = Duration::from_secs(9);
    }),
    ("timeouts.connect 2s → none", |m| m.backends[0].timeouts.connect = None),
    ("timeouts.request", |m| m.backends[0].timeouts.request = None),
    ("timeouts.attempt", |m| m.backends[0].timeouts.attempt = Some(Duration::from_secs(1))),
    ("timeouts.streamIdle 5m → none", |m| m.backends[0].timeouts.stream_idle = None),
    ("timeouts.upgradedIdle 1h → none", |m| m.backends[0].timeouts.upgraded_idle = None),
    ("retry.attempts 2 → 9", |m| m.backends[0].retry.attempts = 9),
    ("retry.conditions ConnectFailure, Reset → Reset", |m| {
        m.backends[0].retry.conditions.connect_failure = false;
    }),
    ("retry.conditions", |m| m.backends[0].retry.conditions.reset = false),
    ("retry.statuses 503 → none", |m| m.backends[0].retry.statuses.clear()),
    ("retry.budget.ratio 20% → 0%", |m| m.backends[0].retry.budget.ratio = Ratio::ZERO),
    ("retry.budget.minPerSecond", |m| m.backends[0].retry.budget.min_per_second = 9),
];

/// Every single difference.
fn mutations() -> Vec<Mutation> {
    MUTATIONS.iter().chain(tls::MUTATIONS).chain(telemetry::MUTATIONS).copied().collect()
}

fn health(model: &mut Model) -> &mut crate::model::HealthProbe {
    model.backends[0].health_probe.as_mut().unwrap()
}

#[test]
fn every_single_difference_is_said_once_and_in_its_own_words() {
    let base = full();
    for (phrase, mutate) in mutations() {
        let mut other = base.clone();
        mutate(&mut other);
        assert_ne!(base, other, "the mutation for {phrase:?} does nothing");
        let said = changes(&base, &other, 2);
        assert!(said.iter().any(|said| said.contains(phrase)), "{phrase:?} is not in {said:#?}");
        assert!(said.len() <= 2, "{phrase:?} is one difference: {said:#?}");
        assert!(
            !changes(&other, &base, 2).is_empty(),
            "nothing is said on the way back: {phrase:?}"
        );
    }
}

proptest! {
    #[test]
    fn models_that_differ_have_phrases_and_equal_ones_have_none(
        first in prop::collection::vec(0..mutations().len(), 0..4),
        second in prop::collection::vec(0..mutations().len(), 0..4),
    ) {
        let apply = |which: &[usize]| {
            let mut model = full();
            for at in which {
                // Some undo what others need.
                let mutated = std::panic::catch_unwind(|| {
                    let mut mutated = model.clone();
                    mutations()[*at].1(&mut mutated);
                    mutated
                });
                model = mutated.unwrap_or(model);
            }
            model
        };
        let (first, second) = (apply(&first), apply(&second));
        prop_assert_eq!(changes(&first, &second, 2).is_empty(), first == second);
    }
}

#[test]
fn the_route_that_nobody_wrote_is_not_mentioned() {
    let (before, after) = (model(BEFORE), model(&BEFORE.replace("demo", "shop")));
    assert_eq!(
        changes(&before, &after, 2),
        ["backend demo removed, drains for up to 30s", "backend shop added"]
    );
    let mut routed = before.clone();
    routed.routes = full().routes;
    assert_eq!(
        changes(&before, &routed, 2),
        [
            "routes decide, instead of everything to backend demo",
            "route shop added, to demo (weight 90), other (weight 10)",
            "route away added, redirects with 301",
            "route gone added, responds with 410",
        ]
    );
    assert_eq!(
        changes(&routed, &before, 2)[0],
        "no routes decide, everything goes to backend demo"
    );
}

#[test]
fn the_value_of_a_header_field_is_never_said() {
    let base = full();
    let mut other = base.clone();
    let secret = HeaderValue::from_static("Bearer s3cret");
    other.routes[0].filters.request_headers.set[0].1 = secret.clone();
    other.routes[0].filters.request_headers.add.push((HeaderName::from_static("x-new"), secret));
    let said = [changes(&base, &other, 2), changes(&other, &base, 2)].concat();
    assert!(said.len() == 4 && !said.concat().contains("s3cret"), "{said:?}");
}

/// What this thread has worked so far, whoever else was at work on its core.
fn cpu_time() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

/// Ten thousand routes in another order are compared one by one, not each with each.
#[test]
fn the_cost_does_not_grow_with_the_square_of_the_routes() {
    let of = |count: usize| {
        let mut model = full();
        model.routes = (0..count).map(|at| route(&format!("r{at}"), &[("demo", 1)])).collect();
        let mut other = model.clone();
        other.routes.reverse();
        let begin = cpu_time();
        assert_eq!(changes(&model, &other, 2).len(), 1);
        (cpu_time() - begin).max(Duration::from_micros(100))
    };
    of(1_000);
    let small = (0..3).map(|_| of(1_000)).min().unwrap();
    let large = (0..3).map(|_| of(16_000)).min().unwrap();
    // Linear is 16 times, the square 256 times.
    assert!(large < small * 100, "{small:?} for 1,000 routes, {large:?} for 16,000");
}
