//! Valid files give the model that they say.

use super::*;
use crate::config::{BUILT_IN, hash};
use crate::model::{Algorithm, Endpoint, EndpointUrl, LogOutput, ProbeCheck, Ratio, defaults};

#[test]
fn the_built_in_configuration_is_the_scene_of_the_demo() {
    let model = read(BUILT_IN).unwrap();
    assert_eq!(model.listeners[0].address, "127.0.0.1:8080".parse().unwrap());
    let backend = &model.backends[0];
    assert_eq!(backend.algorithm, Algorithm::LeastResponseTime);
    let ports: Vec<_> = backend.endpoints.iter().map(|endpoint| endpoint.url.port).collect();
    assert_eq!(ports, [8081, 8082, 8083, 8085, 8086, 8087, 8088, 8089]);
    assert_eq!(backend.latency_probe.as_ref().unwrap().probe.timeout, Duration::from_secs(5));
}

#[test]
fn what_is_not_typed_has_its_default() {
    let model = read(BASE).unwrap();
    let backend = &model.backends[0];
    assert_eq!(model.admin, Some(defaults::ADMIN_ADDRESS.parse().unwrap()));
    assert_eq!(model.probes, None);
    assert_eq!(model.workers, 0);
    assert_eq!(model.shutdown.drain_delay, defaults::DRAIN_DELAY);
    assert!(model.access_log.enabled);
    assert_eq!(model.access_log.sample, Ratio::ONE);
    assert_eq!(model.listeners[0].limits.header_timeout, Some(defaults::HEADER_TIMEOUT));
    assert_eq!(model.listeners[0].limits.max_header_bytes, defaults::MAX_HEADER_BYTES);
    assert_eq!(model.listeners[0].limits.max_body_bytes, None);
    assert_eq!(backend.algorithm, Algorithm::RoundRobin);
    assert_eq!(backend.endpoints[0].weight, 1);
    assert_eq!((&backend.health_probe, &backend.latency_probe), (&None, &None));
    assert_eq!(backend.timeouts.request, Some(defaults::REQUEST_TIMEOUT));
    assert_eq!(backend.timeouts.attempt, None);
    assert_eq!(backend.retry.attempts, 2);
    assert_eq!(backend.retry.conditions, crate::model::RetryConditions::ALL);
}

#[test]
fn every_key_reaches_the_model() {
    let text = "
admin: { address: \"\" }
probes: { address: \"[::]:9901\" }
workers: 3
shutdown: { drainDelay: 0s, drainTimeout: 1m30s }
telemetry: { accessLog: { enabled: false, output: Stderr, sample: 25% } }
listeners:
  - name: http
    address: 0.0.0.0:0
    limits:
      headerTimeout: 250ms
      bodyTimeout: 1.5s
      idleTimeout: 0s
      maxHeaderBytes: 16Ki
      maxHeaders: 7
      maxBodyBytes: 10M
backends:
  - name: demo
    algorithm: { name: PeakEwma }
    endpoints:
      - url: http://a/base/
        weight: 2
      - { url: http://b:81 }
    healthProbe:
      http: { path: /health?full=1, host: example.com, statuses: [204, 300-399], body: ok }
      interval: 2s
      timeout: 3s
      healthyAfter: 4
      unhealthyAfter: 5
      minimumHealthy: 30%
    latencyProbe: { tcp: {}, interval: 6s, timeout: 7s }
    timeouts: { connect: 1s, request: 0s, attempt: 2h, streamIdle: 3s, upgradedIdle: 0s }
    retry: { attempts: 1, conditions: [Reset], budget: { ratio: 0.5, minPerSecond: 9 } }
";
    let model = read(text).unwrap();
    let seconds = Duration::from_secs;
    assert_eq!(model.admin, None);
    assert_eq!(model.probes, Some("[::]:9901".parse().unwrap()));
    assert_eq!(model.workers, 3);
    assert_eq!(model.shutdown.drain_delay, Duration::ZERO);
    assert_eq!(model.shutdown.drain_timeout, seconds(90));
    assert!(!model.access_log.enabled);
    assert_eq!(model.access_log.output, LogOutput::Stderr);
    assert_eq!(model.access_log.sample, Ratio::new(0.25));

    let limits = &model.listeners[0].limits;
    assert_eq!(limits.header_timeout, Some(Duration::from_millis(250)));
    assert_eq!(limits.body_timeout, Some(Duration::from_millis(1500)));
    assert_eq!(limits.idle_timeout, None);
    assert_eq!((limits.max_header_bytes, limits.max_headers), (16 * 1024, 7));
    assert_eq!(limits.max_body_bytes, Some(10_000_000));

    let backend = &model.backends[0];
    assert_eq!(backend.algorithm, Algorithm::PeakEwma);
    let base = EndpointUrl {
        scheme: crate::model::Scheme::Http,
        host: "a".into(),
        port: 80,
        path: "/base".into(),
    };
    assert_eq!(backend.endpoints[0], Endpoint { url: base, weight: 2, zone: None });
    assert_eq!(backend.endpoints[1].url.to_string(), "http://b:81");

    let health = backend.health_probe.as_ref().unwrap();
    let check = ProbeCheck::Http {
        path: "/health?full=1".into(),
        host: Some("example.com".into()),
        statuses: vec![(204, 204), (300, 399)],
        body: Some("ok".into()),
    };
    assert_eq!(health.probe.check, check);
    assert_eq!((health.probe.interval, health.probe.timeout), (seconds(2), seconds(3)));
    assert_eq!((health.healthy_after, health.unhealthy_after), (4, 5));
    assert_eq!(health.minimum_healthy, Ratio::new(0.3));
    let latency = &backend.latency_probe.as_ref().unwrap().probe;
    assert_eq!(latency.check, ProbeCheck::Tcp);
    assert_eq!((latency.interval, latency.timeout), (seconds(6), seconds(7)));

    assert_eq!(backend.timeouts.connect, Some(seconds(1)));
    assert_eq!(backend.timeouts.request, None);
    assert_eq!(backend.timeouts.attempt, Some(seconds(7200)));
    assert_eq!(backend.timeouts.stream_idle, Some(seconds(3)));
    assert_eq!(backend.timeouts.upgraded_idle, None);
    assert_eq!(backend.retry.attempts, 1);
    assert!(!backend.retry.conditions.connect_failure && backend.retry.conditions.reset);
    assert_eq!(backend.retry.budget.ratio, Ratio::new(0.5));
    assert_eq!(backend.retry.budget.min_per_second, 9);
}

#[test]
fn every_algorithm_can_be_named_in_both_ways() {
    // A consistent hash needs a key, so it has no bare name.
    for algorithm in Algorithm::ALL.into_iter().filter(|one| *one != Algorithm::ConsistentHash) {
        let bare = read(&backend(&format!("algorithm: {algorithm}"))).unwrap();
        let map = read(&backend(&format!("algorithm: {{ name: {algorithm} }}"))).unwrap();
        assert_eq!(bare.backends[0].algorithm, algorithm);
        assert_eq!(bare, map);
    }
    let spelt = |spelling: &str| {
        read(&backend(&format!("algorithm: {spelling}"))).unwrap().backends[0].algorithm
    };
    assert_eq!(spelt("lc"), Algorithm::LeastConnections);
    assert_eq!(spelt("lr"), Algorithm::LeastResponseTime);
}

#[test]
fn variables_are_expanded_in_values_of_every_type() {
    let text = top("
workers: ${SET}
shutdown: { drainDelay: \"${SET}s\" }
telemetry: { accessLog: { enabled: \"${UNSET:-false}\", output: \"${EMPTY:-Stderr}\" } }
");
    let model = read(&text).unwrap();
    assert_eq!(model.workers, 2);
    assert_eq!(model.shutdown.drain_delay, Duration::from_secs(2));
    assert!(!model.access_log.enabled);
    assert_eq!(model.access_log.output, LogOutput::Stderr);
    // A name that looks like a number is text when a variable holds it.
    let named = read(&BASE.replace("demo", "\"${SET}\"")).unwrap();
    assert_eq!(&*named.backends[0].name, "2");
}

#[test]
fn an_escaped_variable_stays_as_it_is() {
    let text = backend("healthProbe: { http: { body: \"$${SET} $ ${SET} $$ $x\" } }");
    let model = read(&text).unwrap();
    let check = &model.backends[0].health_probe.as_ref().unwrap().probe.check;
    assert!(
        matches!(check, ProbeCheck::Http { body: Some(body), .. } if &**body == "${SET} $ 2 $$ $x")
    );
}

#[test]
fn a_variable_adds_no_keys() {
    let load = |value: &'static str| {
        let text = BASE.replace("127.0.0.1:8080", "\"${ADDRESS}\"");
        load(text.as_bytes(), "config.yaml", &move |name| (name == "ADDRESS").then(|| value.into()))
    };
    assert!(load("127.0.0.1:8080").is_ok());
    assert!(load("127.0.0.1:8080 }]\nworkers: [{ name: x").is_err());
}

#[test]
fn small_aliases_stand_for_their_values() {
    let text = BASE.replace(
        "name: http, address: 127.0.0.1:8080",
        "name: &name demo, address: 127.0.0.1:8080",
    );
    let model = read(&text.replace("- name: demo", "- name: *name")).unwrap();
    assert_eq!(&*model.backends[0].name, "demo");
}

#[test]
fn a_key_without_a_value_has_its_default() {
    let plain = read(BASE).unwrap();
    let keys = "workers:\nshutdown:\ntelemetry: { accessLog: ~ }\nadmin: { address: null }";
    assert_eq!(read(&top(keys)).unwrap(), plain);
    assert_eq!(read(&backend("healthProbe:")).unwrap(), plain);
}

#[test]
fn line_ends_and_a_byte_order_mark_change_nothing() {
    let plain = read(BASE).unwrap();
    assert_eq!(read(&BASE.replace('\n', "\r\n")).unwrap(), plain);
    assert_eq!(read(&format!("\u{feff}{BASE}")).unwrap(), plain);
    assert_eq!(read(&format!("---\n{BASE}...\n")).unwrap(), plain);
}

#[test]
fn spellings_of_one_endpoint_are_one_endpoint() {
    let normal = |text: &str| read(&url(text)).unwrap().backends[0].endpoints[0].url.to_string();
    assert_eq!(normal("HTTP://LocalHost:80/"), "http://localhost");
    assert_eq!(normal("http://a:8080//"), "http://a:8080");
    assert_eq!(normal("http://a/b/./c/../d//"), "http://a/b/d");
    assert_eq!(normal("http://a/../%7eb/%c3%a4"), "http://a/~b/%C3%A4");
    assert_eq!(normal("http://a/%2e%2E/b"), "http://a/b");
    assert_eq!(normal("\"http://[0:0::1]:81/\""), "http://[::1]:81");
    assert_eq!(normal("http://10.0.0.1:80"), "http://10.0.0.1");
}

#[test]
fn the_hash_is_of_the_bytes_as_they_are() {
    let empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
    assert_eq!(hash(b""), empty);
    assert_ne!(hash(b"# a comment\n"), empty);
}

/// The documentation is written by hand, so it is held to the defaults and names that it tells.
#[test]
fn the_documentation_names_every_key_and_its_examples_are_valid() {
    let docs = include_str!("../../../docs/configuration.md");
    let example = docs.split("```yaml\n").nth(1).unwrap().split("```").next().unwrap();
    assert!(read(example).is_ok());
    let files = [
        include_str!("../file.rs"),
        include_str!("../file/listener.rs"),
        include_str!("../file/probe.rs"),
        include_str!("../file/route.rs"),
        include_str!("../file/tls.rs"),
    ];
    for field in files
        .iter()
        .flat_map(|file| file.lines())
        .filter_map(|line| line.trim().strip_prefix("pub "))
    {
        let Some((name, _)) = field.split_once(": ") else { continue };
        let mut words = name.split('_');
        let first = words.next().unwrap().to_owned();
        let key = words.fold(first, |key, word| key + &word[..1].to_uppercase() + &word[1..]);
        assert!(docs.contains(&key), "docs/configuration.md does not name {key}");
    }
    for algorithm in Algorithm::ALL {
        assert!(docs.contains(&format!("`{algorithm}`")));
    }
}
