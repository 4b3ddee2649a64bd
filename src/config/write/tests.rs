//! What is written reads back equal.

mod telemetry;

use super::*;
use crate::config::tests::pki;
use crate::config::{BUILT_IN, Problems};
use crate::model::{
    AccessLog, Algorithm, Answer, BackendRef, BackendTls, ClientAuth, ClientAuthMode, EndpointUrl,
    Filters, FixedResponse, Hashing, HeaderChanges, HeaderMatch, HostPattern, IpFamily, KeyPair,
    Limits, ListenerTls, LogOutput, Match, Overrides, PathMatch, PathRewrite, Pem, Protocol,
    ProxyProtocol, ProxyProtocolVersion, QueryMatch, Ratio, Redirect, Regex, RetryBudget, Rewrite,
    Route, Scheme, ServiceMode, Shutdown, TlsVersion, ValueMatch,
};
use fastrand::Rng;
use http::{HeaderName, HeaderValue, Method};
use std::sync::Arc;

fn load(text: &str) -> Result<Model, Problems> {
    crate::config::tests::load(text.as_bytes(), "config.yaml", &|_| None).map(|loaded| loaded.model)
}

#[track_caller]
fn reads_back(model: &Model) {
    let text = write(model);
    match load(&text) {
        Ok(read) => assert_eq!(&read, model, "{text}"),
        Err(problems) => panic!("{problems}\n{text}"),
    }
}

#[test]
fn the_files_of_the_repository_read_back_equal() {
    let page = include_str!("../../../docs/configuration.md");
    let examples = page.split("```yaml\n").skip(1).map(|rest| rest.split("```").next().unwrap());
    for file in [BUILT_IN, include_str!("../../../docs/full.yaml")].into_iter().chain(examples) {
        reads_back(&load(file).unwrap());
    }
}

#[test]
fn a_file_says_every_default_and_no_more_than_it_must() {
    let file = "\
listeners: [{ name: http, address: 127.0.0.1:8080 }]
backends: [{ name: demo, endpoints: [http://localhost:8081] }]
";
    let written = write(&load(file).unwrap());
    let expected = r#"admin:
  address: "127.0.0.1:9900"
workers: 0
shutdown:
  drainDelay: 5s
  drainTimeout: 30s
telemetry:
  accessLog:
    enabled: true
    output: Stdout
    sample: 100%
  traces:
    endpoint: ""
  decisions:
    sample: 1%
    slowerThan: 1s
listeners:
  -
    name: http
    address: "127.0.0.1:8080"
    proxyProtocol: Disabled
    limits:
      handshakeTimeout: 10s
      headerTimeout: 10s
      bodyTimeout: 30s
      idleTimeout: 1m15s
      writeTimeout: 1m
      maxConnectionAge: 1h
      maxConnections: 0
      maxConcurrentStreams: 128
      maxHeaderBytes: 64Ki
      maxHeaders: 128
      maxBodyBytes: 0
    trustedProxies: []
routes:
  -
    name: default
    matches:
      -
        path:
          prefix: /
        headers: []
        query: []
    timeouts: {}
    retry: {}
    backends:
      -
        name: demo
        weight: 1
backends:
  -
    name: demo
    algorithm: RoundRobin
    endpoints:
      -
        url: http://localhost:8081
        weight: 1
    protocol: Http1
    timeouts:
      connect: 2s
      request: 1m
      attempt: 0s
      streamIdle: 5m
      upgradedIdle: 1h
      maxConnectionAge: 1h
    retry:
      attempts: 2
      conditions:
        - ConnectFailure
        - Reset
      statuses: []
      budget:
        ratio: 20%
        minPerSecond: 3
"#;
    assert_eq!(written, expected);
}

/// Text that YAML could take for something else, that holds a variable, or that needs an escape.
#[test]
fn text_stays_the_text_that_it_is() {
    let file = include_str!("../../../docs/full.yaml");
    let mut model = load(file).unwrap();
    let texts = [
        "",
        " ",
        "yes",
        "no",
        "On",
        "y",
        "null",
        "~",
        "Null",
        "12",
        "0x1f",
        "1_000",
        "12:30",
        "1e3",
        ".inf",
        "2001-01-01",
        "=",
        "<<",
        "-",
        "- a",
        "a: b",
        "a #b",
        "#",
        "a:",
        "[a",
        "{a",
        "*a",
        "&a",
        "!a",
        "|",
        ">",
        "%a",
        "@a",
        "`a",
        "'",
        "\"",
        "\\",
        "\n",
        "a\n\n b\n",
        "\t",
        "\u{7f}",
        "\u{85}",
        "\u{a0}",
        "\u{2028}",
        "\u{feff}",
        "é",
        "日本",
        "😀",
        "\u{0}",
        "\u{1b}",
        "${HOME}",
        "$${HOME}",
        "$$${HOME}",
        "${",
        "$",
        "a${b}c${d:-e}",
        "---",
        "...",
        "--- a",
        "\u{fffd}",
        "\r\n",
    ];
    for text in texts {
        let body = Arc::from(text);
        let content_type = HeaderValue::from_static("text/plain");
        let answer = Answer::Fixed(FixedResponse { status: 200, body, content_type });
        model.routes[4].filters.answer = Some(answer);
        if !text.is_empty() {
            let health = model.backends[0].health_probe.as_mut().unwrap();
            if let ProbeCheck::Http { body, .. } = &mut health.probe.check {
                *body = Some(Arc::from(text));
            }
        }
        reads_back(&model);
    }
}

#[test]
fn random_models_read_back_equal() {
    let mut random = Random(Rng::with_seed(10));
    for _ in 0..200 {
        let model = random.model();
        reads_back(&model);
    }
}

/// Models that a file can say.
struct Random(Rng);

impl Random {
    fn model(&mut self) -> Model {
        let backends = self.some(1, 3, |random, index| random.backend(index));
        let routes = self.some(1, 4, |random, index| random.route(index, &backends));
        let listeners = self.some(1, 2, |random, index| Listener {
            name: Arc::from(format!("l{index}")),
            address: SocketAddr::from(([127, 0, 0, index as u8], random.0.u16(..))),
            tls: random.maybe(Self::listener_tls),
            proxy_protocol: ProxyProtocol::Disabled,
            limits: Limits {
                handshake_timeout: random.limit(),
                write_timeout: random.limit(),
                max_connection_age: random.limit(),
                max_connections: random.maybe(|random| random.0.usize(1..=10_000_000)),
                max_concurrent_streams: random.0.u32(1..=10_000),
                header_timeout: random.limit(),
                body_timeout: random.limit(),
                idle_timeout: random.limit(),
                max_header_bytes: random.0.usize(8 << 10..=1 << 20),
                max_headers: random.0.usize(1..=10_000),
                max_body_bytes: random.bytes(),
            },
            trusted_proxies: random
                .some(0, 2, |_, index| format!("10.{index}.0.0/16").parse().unwrap()),
        });
        let mut listeners = listeners;
        for listener in listeners.iter_mut().filter(|one| !one.trusted_proxies.is_empty()) {
            let all = [ProxyProtocol::Disabled, ProxyProtocol::Accept, ProxyProtocol::Require];
            listener.proxy_protocol = self.0.choice(all).unwrap();
        }
        Model {
            admin: self.0.bool().then(|| "[::1]:9900".parse().unwrap()),
            probes: self.0.bool().then(|| "0.0.0.0:0".parse().unwrap()),
            workers: self.0.usize(0..=1024),
            shutdown: Shutdown { drain_delay: self.time(0), drain_timeout: self.time(0) },
            access_log: AccessLog {
                enabled: self.0.bool(),
                output: if self.0.bool() { LogOutput::Stdout } else { LogOutput::Stderr },
                sample: self.share(),
            },
            traces: self.maybe(Self::traces),
            decisions: self.decisions(),
            listeners,
            routes,
            backends,
        }
    }

    fn backend(&mut self, index: usize) -> Backend {
        let algorithm = self.0.choice(Algorithm::ALL).unwrap();
        let hashing = match algorithm {
            Algorithm::ConsistentHash => Some(Hashing {
                key: match self.0.u8(..5) {
                    0 => HashKey::Header(self.header()),
                    1 => HashKey::Cookie(self.token()),
                    2 => HashKey::Query(self.text()),
                    3 => HashKey::ClientAddress,
                    _ => HashKey::Path,
                },
                table: if self.0.bool() { HashTable::Maglev } else { HashTable::Ring },
                bounded_load: self.maybe(|random| Ratio::new(1.0 + 99.0 * random.0.f64())),
            }),
            Algorithm::SourceIpHash => Some(Hashing::SOURCE_IP),
            _ => None,
        };
        let protocol = self.0.choice([Protocol::Http1, Protocol::Http2, Protocol::H2c]).unwrap();
        let scheme = match protocol {
            Protocol::Http1 if self.0.bool() => Scheme::Https,
            Protocol::Http1 | Protocol::H2c => Scheme::Http,
            Protocol::Http2 => Scheme::Https,
        };
        let tls = match scheme {
            Scheme::Http => BackendTls::default(),
            Scheme::Https => self.backend_tls(),
        };
        let request = self.limit();
        let attempt =
            self.limit().filter(|attempt| request.is_none_or(|request| *attempt <= request));
        let mut backend = Backend {
            name: Arc::from(format!("b{index}")),
            algorithm,
            hashing,
            session_affinity: self.maybe(|random| SessionAffinity {
                cookie: random.token(),
                ttl: random.limit(),
                path: Arc::from("/a"),
            }),
            slow_start: self.maybe(|random| SlowStart {
                window: random.time(1),
                minimum_weight: random.share(),
            }),
            source: EndpointSource::Static,
            endpoints: self.some(1, 3, |random, index| Endpoint {
                url: EndpointUrl {
                    scheme,
                    host: Arc::from(if random.0.bool() { "[::1]" } else { "a-b.example" }),
                    port: 80 + index as u16,
                    path: Arc::from(if random.0.bool() { "" } else { "/a/%C3%A4" }),
                },
                weight: random.0.u32(1..=1000),
                zone: None,
            }),
            protocol,
            tls,
            proxy_protocol: self.maybe(|random| {
                random.0.choice([ProxyProtocolVersion::V1, ProxyProtocolVersion::V2]).unwrap()
            }),
            health_probe: self.maybe(|random| HealthProbe {
                probe: random.probe(protocol),
                healthy_after: random.0.u32(1..=1000),
                unhealthy_after: random.0.u32(1..=1000),
                minimum_healthy: random.share(),
            }),
            latency_probe: self.maybe(|random| LatencyProbe { probe: random.probe(protocol) }),
            timeouts: Timeouts {
                connect: self.limit(),
                request,
                attempt,
                stream_idle: self.limit(),
                upgraded_idle: self.limit(),
                max_connection_age: self.limit(),
            },
            retry: Retry {
                attempts: self.0.u32(0..=10),
                conditions: self.conditions(),
                statuses: self.statuses(0),
                budget: RetryBudget {
                    ratio: self.share(),
                    min_per_second: self.0.u32(0..=1_000_000),
                },
            },
        };
        if let Some(service) = self.maybe(|random| random.service(scheme)) {
            backend.endpoints = service.known_endpoints();
            backend.source = EndpointSource::Service(service);
        }
        backend
    }

    fn service(&mut self, scheme: Scheme) -> Service {
        let mode = self.0.choice([ServiceMode::EndpointSlices, ServiceMode::ClusterIp]).unwrap();
        Service {
            namespace: Arc::from("shop"),
            name: Arc::from("web-1"),
            port: match mode {
                ServiceMode::EndpointSlices if self.0.bool() => ServicePort::Name("8a".into()),
                _ => ServicePort::Number(self.0.u16(1..)),
            },
            scheme,
            mode,
            ip_family: self
                .0
                .choice([IpFamily::PreferIpv4, IpFamily::PreferIpv6, IpFamily::Both])
                .unwrap(),
        }
    }

    fn route(&mut self, index: usize, backends: &[Backend]) -> Route {
        let answer = self.maybe(|random| match random.0.bool() {
            true => Answer::Redirect(Redirect {
                scheme: Some(if random.0.bool() { Scheme::Http } else { Scheme::Https }),
                host: random.maybe(|_| Arc::from("www.example.com")),
                port: random.maybe(|random| random.0.u16(1..)),
                path: random.maybe(|_| PathRewrite::Full(Arc::from("/x"))),
                status: random.0.choice([301, 302, 303, 307, 308]).unwrap(),
            }),
            false => Answer::Fixed(FixedResponse {
                status: random.0.u16(400..=599),
                body: random.text(),
                content_type: random.value(),
            }),
        });
        let rewrite = Rewrite {
            host: self.maybe(|_| HeaderValue::from_static("inner:81")),
            path: self.maybe(|_| PathRewrite::Full(Arc::from("/%25/"))),
        };
        let sent = answer.is_none();
        Route {
            name: Arc::from(format!("r{index}")),
            listeners: if self.0.bool() { vec![Arc::from("l0")] } else { Vec::new() },
            hosts: self.some(0, 2, |random, index| match random.0.bool() {
                true => HostPattern::Exact(Arc::from(format!("h{index}.example"))),
                false => HostPattern::Wildcard(Arc::from(format!(".h{index}.example"))),
            }),
            matches: self.some(1, 3, |random, _| random.one_match()),
            filters: Filters {
                request_headers: self.changes(),
                response_headers: self.changes(),
                rewrite: if sent { rewrite } else { Rewrite::default() },
                answer,
            },
            overrides: Overrides {
                // Whatever the backend's attempts may take.
                request_timeout: self.maybe(|_| None),
                attempt_timeout: self.maybe(|_| None),
                retry_attempts: self.maybe(|random| random.0.u32(0..=10)),
                retry_conditions: self.maybe(Self::conditions),
                retry_statuses: self.maybe(|random| random.statuses(0)),
                max_body_bytes: self.maybe(Self::bytes),
            },
            backends: match sent {
                true => vec![BackendRef {
                    name: Arc::clone(&self.0.choice(backends).unwrap().name),
                    weight: self.0.u32(1..=1000),
                }],
                false => Vec::new(),
            },
        }
    }

    fn one_match(&mut self) -> Match {
        Match {
            path: match self.0.u8(..3) {
                0 => PathMatch::Exact(Arc::from("/a/b/")),
                1 => PathMatch::Prefix(Arc::from(if self.0.bool() { "/" } else { "/a+" })),
                _ => PathMatch::Regex(
                    Regex::new(r#"/"\$${a}|\\d+\u{e9}"#).or(Regex::new("/[a-z]+")).unwrap(),
                ),
            },
            method: self.maybe(|random| random.0.choice([Method::GET, Method::POST]).unwrap()),
            headers: self.some(0, 2, |random, index| HeaderMatch {
                name: HeaderName::try_from(format!("x-{index}")).unwrap(),
                value: random.value_match(|random| {
                    Arc::from(String::from_utf8_lossy(random.value().as_bytes()))
                }),
            }),
            query: self.some(0, 2, |random, index| QueryMatch {
                name: Arc::from(format!("{index}")),
                value: random.value_match(Self::text),
            }),
        }
    }

    fn value_match(&mut self, exact: impl Fn(&mut Self) -> Arc<str>) -> ValueMatch {
        match self.0.u8(..4) {
            0 => ValueMatch::Exact(exact(self)),
            1 => ValueMatch::Regex(Regex::new("[0-9]{1,3}").unwrap()),
            2 => ValueMatch::Present,
            _ => ValueMatch::Absent,
        }
    }

    fn changes(&mut self) -> HeaderChanges {
        let field = |random: &mut Self, index: usize| {
            (HeaderName::try_from(format!("x-{index}")).unwrap(), random.value())
        };
        HeaderChanges {
            remove: self.some(0, 2, |random, _| random.header()),
            set: self.some(0, 2, field),
            add: self.some(0, 2, field),
        }
    }

    fn listener_tls(&mut self) -> ListenerTls {
        ListenerTls {
            certificates: self.some(1, 2, |random, index| random.key_pair(index)),
            client_auth: self.maybe(|random| ClientAuth {
                ca: random.file("ca.crt"),
                crl: random.maybe(|random| random.file("crl.pem")),
                mode: match random.0.bool() {
                    true => ClientAuthMode::Required,
                    false => ClientAuthMode::Optional,
                },
                forward_certificate: random.0.bool(),
            }),
            min_version: if self.0.bool() { TlsVersion::Tls12 } else { TlsVersion::Tls13 },
        }
    }

    fn backend_tls(&mut self) -> BackendTls {
        BackendTls {
            ca: self.maybe(|random| random.file("ca.crt")),
            server_name: self.maybe(|random| {
                Arc::from(random.0.choice(["10.0.0.1", "::1", "a-b.example", "yes"]).unwrap())
            }),
            client_certificate: self.maybe(|random| random.key_pair(0)),
            insecure_skip_verify: self.0.bool(),
        }
    }

    fn key_pair(&mut self, index: usize) -> KeyPair {
        KeyPair { cert: self.file(&format!("{index}.crt")), key: self.file("a b.key") }
    }

    /// Of this name, in a folder with a name that may want quotes.
    fn file(&mut self, name: &str) -> Pem {
        let folder: String = self.text().chars().filter(|c| !c.is_control() && *c != '/').collect();
        let path = format!("/tls/{folder}/{name}");
        let bytes = pki::read(std::path::Path::new(&path)).unwrap().into();
        Pem { path: std::path::Path::new(&path).into(), bytes }
    }

    fn probe(&mut self, protocol: Protocol) -> Probe {
        let check = match self.0.u8(..3) {
            0 => ProbeCheck::Tcp,
            1 if protocol != Protocol::Http1 => ProbeCheck::Grpc {
                service: if self.0.bool() { self.text() } else { Arc::from("") },
            },
            _ => ProbeCheck::Http {
                path: Arc::from("/health?full=1"),
                host: self.maybe(|_| Arc::from("example.com:81")),
                statuses: self.statuses(1),
                body: self.maybe(Self::text),
            },
        };
        Probe { check, interval: self.time(10_000_000), timeout: self.time(10_000_000) }
    }

    fn conditions(&mut self) -> RetryConditions {
        let connect_failure = self.0.bool();
        RetryConditions { connect_failure, reset: !connect_failure || self.0.bool() }
    }

    fn statuses(&mut self, least: usize) -> Vec<(u16, u16)> {
        self.some(least, 3, |random, _| {
            let first = random.0.u16(200..=599);
            (first, random.0.u16(first..=599))
        })
    }

    fn some<T>(
        &mut self,
        least: usize,
        most: usize,
        mut item: impl FnMut(&mut Self, usize) -> T,
    ) -> Vec<T> {
        let count = self.0.usize(least..=most);
        (0..count).map(|index| item(self, index)).collect()
    }

    fn maybe<T>(&mut self, value: impl FnOnce(&mut Self) -> T) -> Option<T> {
        self.0.bool().then(|| value(self))
    }

    /// From `least` nanoseconds to a year, short ones as often as long ones.
    fn time(&mut self, least: u64) -> time::Duration {
        let scale = 10u64.pow(self.0.u32(0..=16));
        time::Duration::from_nanos((self.0.u64(0..=3) * scale).clamp(least, 31_536_000_000_000_000))
    }

    fn limit(&mut self) -> Option<time::Duration> {
        Some(self.time(0)).filter(|limit| !limit.is_zero())
    }

    fn bytes(&mut self) -> Option<u64> {
        self.maybe(|random| random.0.u64(1..) >> random.0.u32(0..63)).filter(|bytes| *bytes > 0)
    }

    fn share(&mut self) -> Ratio {
        Ratio::new(f64::from(self.0.u32(0..=1_000_000)) / 1e6)
    }

    fn header(&mut self) -> HeaderName {
        HeaderName::try_from(format!("x-{}", self.token())).unwrap()
    }

    fn token(&mut self) -> Arc<str> {
        self.characters("abcXYZ0189!#$%&'*+-.^_`|~")
    }

    fn text(&mut self) -> Arc<str> {
        self.characters("aZ09 \t\n\"'\\#:-${}[],&*!|>%@`~\u{0}\u{7f}é日\u{2028}\u{feff}😀")
    }

    fn value(&mut self) -> HeaderValue {
        HeaderValue::from_str(&self.characters("aZ09\"'\\#:-${}[],&*!|>%@`~é日")).unwrap()
    }

    fn characters(&mut self, of: &str) -> Arc<str> {
        let of: Vec<_> = of.chars().collect();
        let text: String = (0..self.0.usize(1..8)).map(|_| self.0.choice(&of).unwrap()).collect();
        Arc::from(text)
    }
}
