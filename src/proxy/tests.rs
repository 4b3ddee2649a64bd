//! How connections are shared out among workers, seen from inside.

use super::*;
use crate::config;
use crate::snapshot::Snapshot;
use std::net::TcpStream;
use tokio::time::Instant;

const CONFIG: &str = "\
listeners: [{ name: http, address: '127.0.0.1:0' }]
telemetry: { accessLog: { enabled: false } }
backends: [{ name: shop, endpoints: ['http://127.0.0.1:9'] }]
";

fn start(workers: usize) -> (Proxy, Threads) {
    let model = config::load(CONFIG.as_bytes(), "config.yaml", &config::Surroundings::none())
        .unwrap()
        .model;
    let snapshot = Snapshot::compile(Arc::new(model), String::new(), None, workers).unwrap();
    let log = Arc::new(AccessLog::start().unwrap());
    let outlets = crate::telemetry::Outlets::default();
    Proxy::start(workers, Arc::new(Store::new(snapshot)), log, outlets, None, usize::MAX).unwrap()
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
