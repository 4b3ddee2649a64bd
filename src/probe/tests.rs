//! Schedules and transitions on a paused clock, with a network that answers as told.

use super::*;
use crate::lifecycle::{Lifecycle, Phase};
use crate::model::{EndpointUrl, HealthProbe, Model, ProbeCheck};
use crate::telemetry::events::EventKind;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::sleep;

const HEALTH: &str = "/health";
const LATENCY: &str = "/";
const SECOND: Duration = Duration::from_secs(1);

/// What the fake network does with a probe of a path on a port: how long it takes, and what comes out.
type Answer = dyn Fn(u16, &str) -> (Duration, Result<(), Failure>) + Send + Sync;

#[derive(Clone)]
struct Fake {
    answer: Arc<Answer>,
    sent: Arc<Mutex<Vec<Sent>>>,
    running: Arc<Mutex<Vec<(u16, String)>>>,
    overlapped: Arc<AtomicBool>,
    lookups: Arc<AtomicUsize>,
}

#[derive(Clone, Debug, PartialEq)]
struct Sent {
    port: u16,
    path: String,
    at: Instant,
}

impl Fake {
    fn new(
        answer: impl Fn(u16, &str) -> (Duration, Result<(), Failure>) + Send + Sync + 'static,
    ) -> Self {
        Self {
            answer: Arc::new(answer),
            sent: Arc::default(),
            running: Arc::default(),
            overlapped: Arc::default(),
            lookups: Arc::default(),
        }
    }

    /// Every probe succeeds after a millisecond.
    fn healthy() -> Self {
        Self::new(|_, _| (Duration::from_millis(1), Ok(())))
    }

    fn starts(&self, port: u16, path: &str) -> Vec<Instant> {
        let sent = self.sent.lock().unwrap();
        sent.iter().filter(|sent| sent.port == port && sent.path == path).map(|s| s.at).collect()
    }
}

impl Network for Fake {
    async fn check(
        &self,
        _backend: &Backend,
        endpoint: &Endpoint,
        probe: &Probe,
    ) -> Result<Duration, Failure> {
        let ProbeCheck::Http { path, .. } = &probe.check else { panic!("only HTTP here") };
        let (port, started) = (endpoint.url().port, Instant::now());
        let key = (port, path.to_string());
        self.sent.lock().unwrap().push(Sent { port, path: path.to_string(), at: started });
        let before = self.running.lock().unwrap().iter().filter(|other| **other == key).count();
        self.overlapped.fetch_or(before > 0, Relaxed);
        self.running.lock().unwrap().push(key.clone());
        let _ended = Ended(Arc::clone(&self.running), key);
        let (delay, result) = (self.answer)(port, path);
        match timeout(probe.timeout, sleep(delay)).await {
            Ok(()) => result.map(|()| started.elapsed()),
            Err(_) => Err(Failure::AnswerTimeout(probe.timeout)),
        }
    }

    async fn lookup(&self, host: Arc<str>, port: u16) -> io::Result<Vec<SocketAddr>> {
        let nth = self.lookups.fetch_add(1, Relaxed);
        match &*host {
            "slow.test" => sleep(Duration::from_secs(3600)).await,
            "slowly.test" => sleep(Duration::from_millis(2500)).await,
            "late.test" if nth == 0 => return Err(io::Error::other("no such name")),
            _ => {}
        }
        Ok(vec![SocketAddr::new([192, 0, 2, 1 + (nth % 2) as u8].into(), port)])
    }
}

/// Takes a probe off the list of those that run, also when it is cancelled.
struct Ended(Arc<Mutex<Vec<(u16, String)>>>, (u16, String));

impl Drop for Ended {
    fn drop(&mut self) {
        let mut running = self.0.lock().unwrap();
        let index = running.iter().position(|key| *key == self.1).unwrap();
        running.swap_remove(index);
    }
}

fn probe(path: &str, interval: Duration) -> Probe {
    Probe {
        check: ProbeCheck::Http {
            path: path.into(),
            host: None,
            statuses: vec![(200, 399)],
            body: None,
        },
        interval,
        timeout: 5 * SECOND,
    }
}

/// A backend `demo` with health and latency probes once a second, on ports of 127.0.0.1.
fn configuration(ports: &[u16]) -> Model {
    let endpoints = ports.iter().map(|port| endpoint("127.0.0.1", *port)).collect();
    let mut model = testing::model(endpoints);
    let backend = &mut model.backends[0];
    backend.health_probe = Some(HealthProbe {
        probe: probe(HEALTH, SECOND),
        healthy_after: 2,
        unhealthy_after: 3,
        minimum_healthy: model::Ratio::ZERO,
    });
    backend.latency_probe = Some(model::LatencyProbe { probe: probe(LATENCY, SECOND) });
    model
}

fn endpoint(host: &str, port: u16) -> model::Endpoint {
    let url = EndpointUrl {
        scheme: crate::model::Scheme::Http,
        host: host.into(),
        port,
        path: "".into(),
    };
    model::Endpoint { url, weight: 1, zone: None }
}

fn store(model: Model) -> Arc<Store> {
    Arc::new(Store::new(Snapshot::compile(Arc::new(model), String::new(), None, 1).unwrap()))
}

fn held() -> (ReadyGuard, Lifecycle) {
    let lifecycle = Lifecycle::new();
    (lifecycle.hold_ready("first probe round"), lifecycle)
}

fn guard() -> ReadyGuard {
    held().0
}

fn reload(store: &Store, model: Model) {
    let next = Snapshot::compile(Arc::new(model), String::new(), Some(&store.load()), 1).unwrap();
    store.swap(next);
}

fn member(store: &Store, port: u16) -> Arc<Endpoint> {
    let snapshot = store.load();
    let mut members = snapshot.backends[0].members().iter();
    Arc::clone(&members.find(|member| member.endpoint.url().port == port).unwrap().endpoint)
}

fn eligible(store: &Store) -> Vec<u16> {
    let eligible = store.load().backends[0].eligible().clone();
    eligible.candidates.list().iter().map(|one| one.endpoint.url().port).collect()
}

#[tokio::test(start_paused = true)]
async fn a_prober_keeps_its_interval_from_start_to_start() {
    let network = Fake::new(|_, _| (Duration::from_millis(700), Ok(())));
    let store = store(configuration(&[1]));
    let _probes = start_on(network.clone(), store, Arc::default(), guard());
    sleep(60 * SECOND).await;
    let starts = network.starts(1, HEALTH);
    // The first two intervals are those that spread.
    for pair in starts.windows(2).skip(1) {
        let interval = pair[1] - pair[0];
        assert!((0.899..1.102).contains(&interval.as_secs_f64()), "{interval:?}");
    }
    assert!((54..=67).contains(&starts.len()), "{}", starts.len());
}

/// Many that were started together must not go on together.
#[tokio::test(start_paused = true)]
async fn no_two_intervals_are_the_same_and_no_two_endpoints_keep_step() {
    let network = Fake::healthy();
    let store = store(configuration(&[1, 2]));
    let _probes = start_on(network.clone(), store, Arc::default(), guard());
    sleep(60 * SECOND).await;
    let intervals = |port| {
        let starts = network.starts(port, HEALTH);
        starts.windows(2).skip(1).map(|pair| (pair[1] - pair[0]).as_millis()).collect::<Vec<_>>()
    };
    let (one, two) = (intervals(1), intervals(2));
    // Out of 200 ms each is drawn from; that 50 draws are 10 values or fewer is a matter of 1e-40.
    let distinct = one.iter().collect::<std::collections::BTreeSet<_>>().len();
    assert!(distinct > 10, "{one:?}");
    assert_ne!(one, two);
}

/// H1
#[tokio::test(start_paused = true)]
async fn a_probe_never_overlaps_itself() {
    let network = Fake::new(|_, _| (4 * SECOND, Ok(())));
    let _probes = start_on(network.clone(), store(configuration(&[1, 2])), Arc::default(), guard());
    sleep(60 * SECOND).await;
    assert!(!network.overlapped.load(Relaxed));
    assert!((14..=16).contains(&network.starts(1, LATENCY).len()));
}

/// H1
#[tokio::test(start_paused = true)]
async fn a_reload_restarts_only_the_prober_that_changed() {
    let network = Fake::healthy();
    let mut model = configuration(&[1, 2]);
    model.backends[0].health_probe.as_mut().unwrap().probe.interval = 1000 * SECOND;
    model.backends[0].latency_probe.as_mut().unwrap().probe.interval = 1000 * SECOND;
    let store = store(model.clone());
    let _probes = start_on(network.clone(), Arc::clone(&store), Arc::default(), guard());
    sleep(SECOND).await;
    assert_eq!(network.sent.lock().unwrap().len(), 4);
    for algorithm in model::Algorithm::ALL {
        model.backends[0].algorithm = algorithm;
        model.backends[0].health_probe.as_mut().unwrap().minimum_healthy = model::Ratio::new(0.3);
        reload(&store, model.clone());
        sleep(SECOND).await;
    }
    assert_eq!(network.sent.lock().unwrap().len(), 4, "nothing that concerns a prober changed");
    model.backends[0].latency_probe.as_mut().unwrap().probe.timeout = SECOND;
    model.backends[0].endpoints.push(endpoint("127.0.0.1", 3));
    reload(&store, model);
    sleep(SECOND).await;
    let counts = [1, 2, 3]
        .map(|port| (network.starts(port, HEALTH).len(), network.starts(port, LATENCY).len()));
    assert_eq!(counts, [(1, 2), (1, 2), (1, 1)]);
}

#[tokio::test(start_paused = true)]
async fn a_removed_endpoint_is_probed_no_more() {
    let network = Fake::new(|_, _| (2 * SECOND, Ok(())));
    let store = store(configuration(&[1, 2]));
    let probes = start_on(network.clone(), Arc::clone(&store), Arc::default(), guard());
    sleep(5 * SECOND).await;
    reload(&store, configuration(&[2]));
    sleep(Duration::from_millis(1)).await;
    let before = network.starts(1, HEALTH).len();
    assert!(network.running.lock().unwrap().iter().all(|(port, _)| *port == 2));
    sleep(10 * SECOND).await;
    assert_eq!(network.starts(1, HEALTH).len(), before);
    drop(probes);
    sleep(SECOND).await;
    assert!(network.running.lock().unwrap().is_empty(), "dropped probers have ended");
}

/// H2
#[tokio::test(start_paused = true)]
async fn one_failed_probe_of_three_removes_nothing() {
    let failing = Arc::new(AtomicUsize::new(0));
    let left = Arc::clone(&failing);
    let network = Fake::new(move |port, path| {
        let fails = port == 1
            && path == HEALTH
            && left.fetch_update(Relaxed, Relaxed, |left| left.checked_sub(1)).is_ok();
        let refused = Failure::Connect("connection refused".into());
        (Duration::from_millis(1), if fails { Err(refused) } else { Ok(()) })
    });
    let store = store(configuration(&[1, 2]));
    let _probes = start_on(network, Arc::clone(&store), Arc::default(), guard());
    sleep(3 * SECOND).await;
    for failures in [1, 2] {
        failing.store(failures, Relaxed);
        for _ in 0..50 {
            sleep(SECOND / 10).await;
            assert_eq!(eligible(&store), [1, 2], "{failures} failures");
        }
    }
    failing.store(3, Relaxed);
    sleep(3 * SECOND + SECOND / 2).await;
    assert_eq!(eligible(&store), [2], "the third in a row counts");
    sleep(3 * SECOND).await;
    assert_eq!(eligible(&store), [1, 2], "two successes in a row bring it back");
}

#[tokio::test(start_paused = true)]
async fn the_first_probe_alone_decides() {
    let network = Fake::new(|port, _| {
        let result = if port == 1 { Err(Failure::Connect("refused".into())) } else { Ok(()) };
        (Duration::from_millis(1), result)
    });
    let store = store(configuration(&[1, 2]));
    assert_eq!(eligible(&store), [1, 2], "unknown is eligible");
    let _probes = start_on(network, Arc::clone(&store), Arc::default(), guard());
    sleep(Duration::from_millis(100)).await;
    assert_eq!(eligible(&store), [2]);
    assert_eq!(member(&store, 2).health(), Health::Healthy);
}

/// H3
#[tokio::test(start_paused = true)]
async fn failed_probes_never_take_the_last_endpoints_away() {
    let down = Arc::new(AtomicUsize::new(0));
    let failing = Arc::clone(&down);
    let network = Fake::new(move |port, _| {
        let fails = usize::from(port) <= failing.load(Relaxed);
        (Duration::from_millis(1), if fails { Err(Failure::AnswerTimeout(SECOND)) } else { Ok(()) })
    });
    let mut model = configuration(&[1, 2, 3, 4]);
    model.backends[0].health_probe.as_mut().unwrap().minimum_healthy = model::Ratio::new(0.5);
    let store = store(model);
    let _probes = start_on(network, Arc::clone(&store), Arc::default(), guard());
    for (failing, expected, panic) in [
        (2, vec![3, 4], false),
        (3, vec![1, 2, 3, 4], true),
        (4, vec![1, 2, 3, 4], true),
        (1, vec![2, 3, 4], false),
    ] {
        down.store(failing, Relaxed);
        sleep(6 * SECOND).await;
        assert_eq!(eligible(&store), expected, "{failing} of 4 fail");
        assert_eq!(store.load().backends[0].eligible().panic, panic);
    }
}

/// H4
#[tokio::test(start_paused = true)]
async fn failing_and_slow_endpoints_delay_no_other() {
    let network = Fake::new(|port, _| match port {
        1 => (Duration::from_millis(1), Err(Failure::Connect("connection refused".into()))),
        2 => (60 * SECOND, Ok(())),
        _ => (Duration::from_millis(1), Ok(())),
    });
    let _probes =
        start_on(network.clone(), store(configuration(&[1, 2, 3])), Arc::default(), guard());
    sleep(60 * SECOND).await;
    for port in [1, 3] {
        let count = network.starts(port, LATENCY).len();
        assert!((54..=67).contains(&count), "endpoint {port} was probed {count} times");
    }
    assert!(network.starts(2, LATENCY).len() >= 11, "five seconds each");
}

/// R7
#[tokio::test(start_paused = true)]
async fn ready_is_when_every_first_probe_is_answered_or_failed() {
    let network = Fake::new(|port, path| match (port, path) {
        (1, _) => (Duration::from_millis(1), Err(Failure::Connect("connection refused".into()))),
        (2, LATENCY) => (4 * SECOND, Ok(())),
        _ => (Duration::from_millis(1), Ok(())),
    });
    let (guard, lifecycle) = held();
    let started = Instant::now();
    let _probes = start_on(network, store(configuration(&[1, 2, 3])), Arc::default(), guard);
    lifecycle.wait_for(Phase::Ready).await;
    let waited = started.elapsed();
    assert!((4 * SECOND..4 * SECOND + Duration::from_millis(100)).contains(&waited), "{waited:?}");
}

/// R7
#[tokio::test(start_paused = true)]
async fn a_probe_without_answer_holds_readiness_for_five_seconds_only() {
    let network = Fake::new(|_, _| (3600 * SECOND, Ok(())));
    let mut model = configuration(&[1]);
    model.backends[0].health_probe.as_mut().unwrap().probe.timeout = 600 * SECOND;
    let (guard, lifecycle) = held();
    let started = Instant::now();
    let _probes = start_on(network, store(model), Arc::default(), guard);
    lifecycle.wait_for(Phase::Ready).await;
    assert_eq!(started.elapsed().as_secs(), 5);
}

#[tokio::test(start_paused = true)]
async fn without_probes_ready_is_at_once() {
    let (guard, lifecycle) = held();
    let started = Instant::now();
    // A name that DNS does not answer for must not hold readiness either.
    let store = store(testing::model(vec![endpoint("slow.test", 80)]));
    let _probes = start_on(Fake::healthy(), store, Arc::default(), guard);
    lifecycle.wait_for(Phase::Ready).await;
    assert_eq!(started.elapsed(), Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn a_first_round_includes_what_a_reload_brings_and_forgets_what_it_takes() {
    let network = Fake::new(|port, _| match port {
        1 => (4 * SECOND, Ok(())),
        _ => (2 * SECOND, Ok(())),
    });
    let store = store(configuration(&[1]));
    let (guard, lifecycle) = held();
    let started = Instant::now();
    let _probes = start_on(network, Arc::clone(&store), Arc::default(), guard);
    sleep(SECOND).await;
    reload(&store, configuration(&[2]));
    lifecycle.wait_for(Phase::Ready).await;
    assert_eq!(started.elapsed().as_secs(), 3);
}

#[tokio::test(start_paused = true)]
async fn names_are_looked_up_again_and_the_last_answer_is_kept() {
    let network = Fake::healthy();
    let store = store(testing::model(vec![endpoint("rotating.test", 80)]));
    resolve::resolve_all_by(&network, &store.load(), SECOND).await;
    let address = |store: &Store| member(store, 80).resolution().addresses[0].to_string();
    assert_eq!(address(&store), "192.0.2.1:80");
    let _probes = start_on(network.clone(), Arc::clone(&store), Arc::default(), guard());
    for expected in [2, 3, 4] {
        while network.lookups.load(Relaxed) < expected {
            sleep(SECOND / 10).await;
        }
        assert_eq!(address(&store), format!("192.0.2.{}:80", 2 - expected % 2));
    }
}

#[tokio::test(start_paused = true)]
async fn slow_dns_holds_a_reload_no_longer_than_allowed() {
    let names = [("slow.test", 1), ("127.0.0.1", 2), ("[::1]", 3), ("localhost", 4), ("a.test", 5)];
    let endpoints = names.map(|(host, port)| endpoint(host, port)).to_vec();
    let store = store(testing::model(endpoints));
    let started = Instant::now();
    resolve::resolve_all_by(&Fake::healthy(), &store.load(), 2 * SECOND).await;
    assert_eq!(started.elapsed(), 2 * SECOND);
    let found = |port| {
        let resolution = Arc::clone(&member(&store, port).resolution());
        (resolution.addresses.iter().map(ToString::to_string).collect::<Vec<_>>(), resolution)
    };
    assert_eq!(found(1).1.error.as_deref(), Some("DNS has not answered within 2s"));
    let report = member(&store, 1).health_report();
    assert_eq!(report.health, Health::Unhealthy);
    let reason = "slow.test does not resolve: DNS has not answered within 2s";
    assert_eq!(report.reason.as_deref(), Some(reason));
    assert_eq!(eligible(&store), [2, 3, 4, 5]);
    assert_eq!(found(2).0, ["127.0.0.1:2"]);
    assert_eq!(found(3).0, ["[::1]:3"]);
    assert_eq!(found(4).0, ["127.0.0.1:4", "[::1]:4"]);
    assert_eq!(found(5).1.addresses.len(), 1);
}

/// K3: endpoints of Services come by many reloads while one of the others has a name that is not answered for.
#[tokio::test(start_paused = true)]
async fn a_name_that_did_not_resolve_holds_no_further_reload() {
    let network = Fake::healthy();
    let named = |port| testing::model(vec![endpoint("slow.test", 1), endpoint("127.0.0.1", port)]);
    let store = store(named(2));
    resolve::resolve_all_by(&network, &store.load(), SECOND).await;
    let started = Instant::now();
    for port in 3..9 {
        let next = Snapshot::compile(Arc::new(named(port)), String::new(), Some(&store.load()), 1);
        let next = next.unwrap();
        resolve::resolve_all_by(&network, &next, SECOND).await;
        store.swap(next);
        assert!(!member(&store, port).resolution().addresses.is_empty());
    }
    assert_eq!(started.elapsed(), Duration::ZERO);
    assert_eq!(network.lookups.load(Relaxed), 1, "the rest is the prober's");
}

#[tokio::test(start_paused = true)]
async fn a_name_that_resolves_later_comes_to_life() {
    let network = Fake::healthy();
    let store = store(testing::model(vec![endpoint("late.test", 80)]));
    resolve::resolve_all_by(&network, &store.load(), SECOND).await;
    assert_eq!(member(&store, 80).resolution().error.as_deref(), Some("no such name"));
    assert_eq!(member(&store, 80).health(), Health::Unhealthy);
    let _probes = start_on(network, Arc::clone(&store), Arc::default(), guard());
    sleep(SECOND).await;
    assert_eq!(member(&store, 80).resolution().error, None);
    assert_eq!(member(&store, 80).resolution().addresses.len(), 1);
    assert_eq!(member(&store, 80).health(), Health::Unknown, "only a probe may say more");
}

/// The addresses change at each look-up, and during it the health, by a probe.
#[tokio::test(start_paused = true)]
async fn a_change_of_health_during_a_look_up_is_told_once() {
    let probes = AtomicUsize::new(0);
    let network = Fake::new(move |_, path| {
        let fails = path == HEALTH && probes.fetch_add(1, Relaxed) % 2 == 1;
        let refused = || Failure::Connect("connection refused".into());
        (Duration::from_millis(1), if fails { Err(refused()) } else { Ok(()) })
    });
    let mut model = configuration(&[]);
    let backend = &mut model.backends[0];
    backend.endpoints = vec![endpoint("slowly.test", 80)];
    let health = backend.health_probe.as_mut().unwrap();
    (health.healthy_after, health.unhealthy_after) = (1, 1);
    let store = store(model);
    resolve::resolve_all_by(&network, &store.load(), 5 * SECOND).await;
    let events = Arc::new(Events::default());
    let _probes = start_on(network.clone(), Arc::clone(&store), Arc::clone(&events), guard());
    while network.lookups.load(Relaxed) < 15 {
        sleep(SECOND).await;
    }
    let (told, _) = events.since(0);
    let texts =
        told.iter().filter(|event| event.kind == EventKind::Health).map(|event| &event.text);
    let texts: Vec<_> = texts.collect();
    assert!(texts.len() > 20, "{texts:?}");
    assert!(texts.iter().all(|text| text.contains(": a probe ")), "{texts:#?}");
}

#[tokio::test(start_paused = true)]
async fn what_a_probe_found_ends_with_the_probe() {
    let refused = || Err(Failure::Connect("connection refused".into()));
    let network =
        Fake::new(move |_, path| (SECOND, if path == "/other" { Ok(()) } else { refused() }));
    let mut model = configuration(&[1]);
    let store = store(model.clone());
    let _probes = start_on(network, Arc::clone(&store), Arc::default(), guard());
    sleep(2 * SECOND).await;
    assert_eq!(member(&store, 1).health(), Health::Unhealthy);
    model.backends[0].health_probe.as_mut().unwrap().probe.interval = 2 * SECOND;
    reload(&store, model.clone());
    sleep(SECOND / 10).await;
    assert_eq!(
        member(&store, 1).health(),
        Health::Unhealthy,
        "the same question, asked less often"
    );
    model.backends[0].health_probe.as_mut().unwrap().probe = probe("/other", SECOND);
    reload(&store, model.clone());
    sleep(SECOND / 10).await;
    assert_eq!(member(&store, 1).health(), Health::Unknown, "another question");
    sleep(SECOND).await;
    assert_eq!(member(&store, 1).health(), Health::Healthy);
    model.backends[0].health_probe = None;
    reload(&store, model);
    sleep(SECOND / 10).await;
    assert_eq!(member(&store, 1).health(), Health::Unknown);
}

/// All of it, on real sockets.
#[tokio::test]
async fn a_living_endpoint_is_healthy_and_measured_and_a_dead_one_is_neither() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (living, dead) = (listener.local_addr().unwrap().port(), {
        let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        closed.local_addr().unwrap().port()
    });
    tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            assert!(stream.read(&mut [0; 1024]).await.unwrap() > 0);
            stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").await.unwrap();
        }
    });
    let mut model = configuration(&[living, dead]);
    model.backends[0].endpoints[0].url.host = "localhost".into();
    let store = store(model);
    resolve_all(&store.load(), SECOND).await;
    let (guard, lifecycle) = held();
    let _probes = start(Arc::clone(&store), Arc::default(), guard);
    timeout(20 * SECOND, lifecycle.wait_for(Phase::Ready)).await.unwrap();
    let report = member(&store, living).health_report();
    assert_eq!((report.health, report.reason), (Health::Healthy, None));
    assert!(member(&store, living).latency().unwrap() < SECOND);
    let report = member(&store, dead).health_report();
    assert_eq!(report.health, Health::Unhealthy);
    assert_eq!(report.reason.as_deref(), Some("connection refused"));
    assert_eq!(eligible(&store), [living]);
}

/// The parts of a configuration that do not matter here.
mod testing {
    use super::*;

    pub(super) fn model(endpoints: Vec<model::Endpoint>) -> Model {
        let limits = model::Limits {
            handshake_timeout: None,
            write_timeout: None,
            max_connection_age: None,
            max_connections: None,
            max_concurrent_streams: 128,
            header_timeout: None,
            body_timeout: None,
            idle_timeout: None,
            max_header_bytes: 65536,
            max_headers: 128,
            max_body_bytes: None,
        };
        let timeouts = model::Timeouts {
            connect: None,
            request: None,
            attempt: None,
            stream_idle: None,
            upgraded_idle: None,
            max_connection_age: None,
        };
        let retry = model::Retry {
            attempts: 0,
            conditions: model::RetryConditions { connect_failure: false, reset: false },
            statuses: Vec::new(),
            budget: model::RetryBudget { ratio: model::Ratio::ZERO, min_per_second: 0 },
        };
        Model {
            admin: None,
            probes: None,
            workers: 1,
            shutdown: model::Shutdown { drain_delay: Duration::ZERO, drain_timeout: SECOND },
            access_log: model::AccessLog {
                enabled: false,
                output: model::LogOutput::Stdout,
                sample: model::Ratio::ONE,
            },
            traces: None,
            decisions: model::Decisions::default(),
            listeners: vec![model::Listener {
                name: "http".into(),
                address: "127.0.0.1:0".parse().unwrap(),
                tls: None,
                proxy_protocol: model::ProxyProtocol::Disabled,
                limits,
                trusted_proxies: Vec::new(),
            }],
            routes: vec![model::Route::to_one_backend("demo".into())],
            backends: vec![model::Backend {
                source: model::EndpointSource::Static,
                name: "demo".into(),
                algorithm: model::Algorithm::RoundRobin,
                hashing: None,
                session_affinity: None,
                slow_start: None,
                endpoints,
                protocol: model::Protocol::Http1,
                tls: model::BackendTls::default(),
                proxy_protocol: None,
                health_probe: None,
                latency_probe: None,
                timeouts,
                retry,
            }],
        }
    }
}
