//! How connections are shared out among workers, seen from inside.

use super::*;
use crate::config;
use crate::endpoint::Resolution;
use crate::model::Model;
use crate::snapshot::Snapshot;
use std::io::{Read, Write};
use std::net::TcpStream;
use tokio::time::Instant;

const CONFIG: &str = "\
listeners: [{ name: http, address: '127.0.0.1:0' }]
telemetry: { accessLog: { enabled: false } }
backends: [{ name: shop, endpoints: ['http://127.0.0.1:9'] }]
";

fn model() -> Model {
    let surroundings = config::Surroundings::none();
    config::load(CONFIG.as_bytes(), "config.yaml", &surroundings).unwrap().model
}

fn start(workers: usize) -> (Proxy, Threads) {
    let snapshot = Snapshot::compile(Arc::new(model()), String::new(), None, workers).unwrap();
    start_with(workers, &Arc::new(Store::new(snapshot)))
}

fn start_with(workers: usize, store: &Arc<Store>) -> (Proxy, Threads) {
    let log = Arc::new(AccessLog::start().unwrap());
    let outlets = crate::telemetry::Outlets::default();
    Proxy::start(workers, Arc::clone(store), log, outlets, None, usize::MAX).unwrap()
}

/// A socket that listens, and a model whose only endpoint it is.
fn endpoint() -> (TcpListener, Model) {
    let socket = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut model = model();
    model.backends[0].endpoints[0].url.port = socket.local_addr().unwrap().port();
    (socket, model)
}

/// K3: a pod that is not ready for a moment, or once more among those that are used because all of them are leaving.
#[test]
fn an_answer_is_not_cut_off_that_comes_from_an_endpoint_that_came_back() {
    let ((pod, mut model), (_other, mut without)) = (endpoint(), endpoint());
    for model in [&mut model, &mut without] {
        model.shutdown.drain_timeout = Duration::from_millis(200);
    }
    let model = Arc::new(model);
    let snapshot = Snapshot::compile(Arc::clone(&model), String::new(), None, 1).unwrap();
    let store = Arc::new(Store::new(resolved(snapshot)));
    let (proxy, threads) = start_with(1, &store);
    let mut client = ask(&proxy);
    let (mut pod, _) = pod.accept().unwrap();
    assert_ne!(pod.read(&mut [0; 1024]).unwrap(), 0);
    pod.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nla").unwrap();
    let mut answer = vec![0; 12];
    client.read_exact(&mut answer).unwrap();
    assert_eq!(answer, b"HTTP/1.1 200");
    for next in [Arc::new(without), model] {
        store.swap(resolved(store.load().with_endpoints(next, 1).unwrap()));
        // Long enough for the worker to see each, and too short to be drained.
        std::thread::sleep(Duration::from_millis(50));
    }
    std::thread::sleep(Duration::from_millis(300));
    pod.write_all(b"te").unwrap();
    let mut rest = String::new();
    client.read_to_string(&mut rest).unwrap();
    assert!(rest.ends_with("late"), "{rest}");
    proxy.end();
    threads.join();
}

/// A client that has sent a request.
fn ask(proxy: &Proxy) -> TcpStream {
    let socket = TcpListener::bind("127.0.0.1:0").unwrap();
    socket.set_nonblocking(true).unwrap();
    let address = socket.local_addr().unwrap();
    proxy.listen(&"http".into(), vec![socket], &Arc::new(ListenerCounters::new(1)));
    let mut client = TcpStream::connect(address).unwrap();
    client.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    client.write_all(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").unwrap();
    client
}

/// A snapshot whose endpoints have their addresses.
fn resolved(snapshot: Snapshot) -> Snapshot {
    for member in snapshot.backends[0].members() {
        let address = ([127, 0, 0, 1], member.endpoint.url().port).into();
        let resolution = Resolution { addresses: vec![address], error: None };
        member.endpoint.set_resolution(resolution);
    }
    snapshot
}

/// K3: the request came when there was one pod, and when that one exits, another has taken its place.
#[test]
fn a_retry_finds_the_endpoints_that_there_are_by_then() {
    let ((before, model), (after, next)) = (endpoint(), endpoint());
    let snapshot = Snapshot::compile(Arc::new(model), String::new(), None, 1).unwrap();
    let store = Arc::new(Store::new(resolved(snapshot)));
    let (proxy, threads) = start_with(1, &store);
    let mut client = ask(&proxy);
    let (mut pod, _) = before.accept().unwrap();
    assert_ne!(pod.read(&mut [0; 1024]).unwrap(), 0);
    store.swap(resolved(store.load().with_endpoints(Arc::new(next), 1).unwrap()));
    let other = std::thread::spawn(move || {
        let (mut pod, _) = after.accept().unwrap();
        assert_ne!(pod.read(&mut [0; 1024]).unwrap(), 0);
        pod.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nother").unwrap();
    });
    drop((pod, before));
    let mut answer = String::new();
    client.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 ") && answer.ends_with("other"), "{answer}");
    other.join().unwrap();
    proxy.end();
    threads.join();
}

fn loads(proxy: &Proxy) -> Vec<usize> {
    proxy.shared.workers.iter().map(WorkerLink::load).collect()
}

fn until(what: &str, reached: impl Fn() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while !reached() {
        assert!(Instant::now() < deadline, "not reached: {what}");
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// However the kernel spreads them: only one of two workers accepts here. The first connections are there before anybody listens.
#[test]
fn connections_are_shared_out_exactly_whoever_accepts_them() {
    for _ in 0..20 {
        let (proxy, threads) = start(2);
        let socket = TcpListener::bind("127.0.0.1:0").unwrap();
        socket.set_nonblocking(true).unwrap();
        let address = socket.local_addr().unwrap();
        let mut clients: Vec<_> = (0..9).map(|_| TcpStream::connect(address).unwrap()).collect();
        let counters = Arc::new(ListenerCounters::new(2));
        proxy.listen(&"http".into(), vec![socket], &counters);
        until("all are served", || counters.open() == 9);
        let mut shares = loads(&proxy);
        shares.sort_unstable();
        assert_eq!(shares, [4, 5]);
        // Those that come later make up for those that have gone.
        clients.truncate(3);
        until("some have gone", || counters.open() == 3);
        clients.extend((0..5).map(|_| TcpStream::connect(address).unwrap()));
        until("all are served", || counters.open() == 8);
        assert_eq!(loads(&proxy), [4, 4]);
        assert_eq!(proxy.connections(), 8);
        // A task for each of them, for the one socket, and for each worker's log and timers.
        until("those that have gone left no task", || proxy.tasks() == 8 + 1 + 4);
        proxy.end();
        threads.join();
        assert_eq!((counters.open(), proxy.connections(), proxy.tasks()), (0, 0, 0));
    }
}
