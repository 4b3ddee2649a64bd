//! Ten thousand broken, odd and half-right configurations: whatever a file says, it is either refused with places that an
//! editor can go to, or it runs, and says the same when it is written out and read back.

#[path = "mutations/mutate.rs"]
mod mutate;

use super::pki;
use fastrand::Rng;
use http::{HeaderMap, Method};
use outrigger::app::{App, Options};
use outrigger::config::{self, Problem, Surroundings};
use outrigger::model::{
    BackendTls, EndpointUrl, Model, Probe, ProbeCheck, Protocol, ProxyProtocol,
};
use outrigger::router::Asked;
use outrigger::snapshot::Snapshot;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

const CASES: u64 = 10_000;

/// What `${SET}` stands for.
fn variables(name: &str) -> Option<String> {
    (name == "SET").then(|| "1".to_owned())
}

fn surroundings() -> Surroundings<'static> {
    Surroundings { variables: &variables, files: &pki::read, ..Surroundings::none() }
}

#[test]
fn a_mutated_configuration_is_refused_at_a_place_or_runs_and_reads_back_equal() {
    let validator = jsonschema::draft202012::new(&config::schema::schema()).unwrap();
    let (next, accepted) = (AtomicU64::new(0), AtomicU64::new(0));
    let work = || {
        loop {
            let case = next.fetch_add(1, Relaxed);
            if case >= CASES {
                break;
            }
            let source = mutate::source(&mut Rng::with_seed(case));
            match config::load(&source, "config.yaml", &surroundings()) {
                Ok(loaded) => {
                    accepted.fetch_add(1, Relaxed);
                    loaded
                        .warnings
                        .list()
                        .iter()
                        .for_each(|warning| is_inside(&warning.0, &source, case));
                    runs(loaded.model, case);
                    is_in_the_schema(&source, &validator, case);
                }
                Err(problems) => {
                    problems.list().iter().for_each(|problem| is_inside(problem, &source, case));
                }
            }
        }
    };
    std::thread::scope(|scope| {
        let workers = std::thread::available_parallelism().map_or(1, usize::from);
        for _ in 0..workers {
            scope.spawn(work);
        }
    });
    let accepted = accepted.into_inner();
    // Neither half is tested when the other is nearly all.
    assert!((CASES / 10..CASES * 9 / 10).contains(&accepted), "{accepted} of {CASES} are accepted");
}

/// Holds a problem to a place in the file: behind the last character of a line, or of the file, at most.
fn is_inside(problem: &Problem, source: &[u8], case: u64) {
    let text = String::from_utf8_lossy(source).replace("\r\n", "\n");
    // A reader that misses something at the end of a line without a break names the line behind it.
    let mut lines: Vec<_> = text.split(['\n', '\r']).collect();
    lines.push("");
    let line = problem.line.checked_sub(1).and_then(|index| lines.get(index));
    let fits = line.is_some_and(|line| (1..=line.chars().count() + 1).contains(&problem.column));
    assert!(fits, "case {case}: {problem}\nof {} lines:\n{text}", lines.len() - 1);
}

fn runs(model: Model, case: u64) {
    let written = config::write::write(&model);
    match config::load(written.as_bytes(), "written.yaml", &surroundings()) {
        Ok(read) => assert_eq!(read.model, model, "case {case}\n{written}"),
        Err(problems) => panic!("case {case}: {problems}\n{written}"),
    }
    let snapshot = Snapshot::compile(Arc::new(model), String::new(), None, 1).unwrap();
    let headers = HeaderMap::new();
    for (host, path) in [("shop.example.com", "/api/1"), ("", "/"), ("example.com:80", "/v1/x")] {
        let query = Some("page=1");
        let asked = Asked { host, path, query, method: &Method::POST, headers: &headers };
        if let Some(found) = snapshot.router.find("public", &asked) {
            assert!(snapshot.router.routes().iter().any(|route| Arc::ptr_eq(route, found.route)));
        }
    }
}

/// An editor must not complain about what runs.
fn is_in_the_schema(source: &[u8], validator: &jsonschema::Validator, case: u64) {
    let source = source.strip_prefix("\u{feff}".as_bytes()).unwrap_or(source);
    // What is no JSON (a key that is no text) is no mistake of the schema's.
    let Ok(document) = serde_yaml::from_slice::<serde_json::Value>(source) else { return };
    if let Err(error) = validator.validate(&document) {
        let text = String::from_utf8_lossy(source);
        panic!("case {case}: {}: {error}\n{text}", error.instance_path());
    }
}

#[test]
fn a_mutated_configuration_that_is_accepted_serves_a_request() {
    let folder = tempfile::tempdir().unwrap();
    let models = (CASES..).filter_map(|case| {
        let source = mutate::source(&mut Rng::with_seed(case));
        config::load(&source, "config.yaml", &surroundings()).ok().map(|loaded| loaded.model)
    });
    for (index, mut model) in models.take(20).enumerate() {
        on_loopback(&mut model);
        let config = folder.path().join(format!("{index}.yaml"));
        let written = config::write::write(&model);
        std::fs::write(&config, &written).unwrap();
        let options = Options { config: config.into(), loopback_only: true, observer: None };
        let app = App::start(options).unwrap_or_else(|error| panic!("{error}\n{written}"));
        let mut connection = TcpStream::connect(app.bound().listeners[0].1).unwrap();
        connection.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
        connection
            .write_all(b"GET /api HTTP/1.1\r\nHost: shop.example.com\r\nConnection: close\r\n\r\n")
            .unwrap();
        let mut answer = String::new();
        let read = connection.read_to_string(&mut answer);
        assert!(answer.starts_with("HTTP/1.1 "), "{read:?} {answer:?}\n{written}");
        app.lifecycle().end_now();
        app.join().unwrap();
    }
}

/// Moves what a model listens on and sends to to this machine: free ports, and endpoints that refuse connections. Limits of
/// time that no client could keep go, and so does all but plain HTTP/1.1.
fn on_loopback(model: &mut Model) {
    (model.admin, model.probes, model.workers) = (None, None, 1);
    (model.access_log.enabled, model.traces) = (false, None);
    for listener in &mut model.listeners {
        listener.address = "127.0.0.1:0".parse().unwrap();
        (listener.limits.header_timeout, listener.limits.idle_timeout) = (None, None);
        (listener.tls, listener.proxy_protocol) = (None, ProxyProtocol::Disabled);
    }
    for backend in &mut model.backends {
        (backend.tls, backend.protocol) = (BackendTls::default(), Protocol::Http1);
        backend.health_probe.take_if(|health| is_grpc(&health.probe));
        backend.latency_probe.take_if(|latency| is_grpc(&latency.probe));
        for (endpoint, port) in backend.endpoints.iter_mut().zip(1..) {
            endpoint.url = EndpointUrl {
                scheme: outrigger::model::Scheme::Http,
                host: "127.0.0.1".into(),
                port,
                path: "".into(),
            };
        }
    }
}

fn is_grpc(probe: &Probe) -> bool {
    matches!(probe.check, ProbeCheck::Grpc { .. })
}
