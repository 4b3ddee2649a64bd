//! A load balancer in this process, before test servers.

use super::client::{Answer, Client, PATIENCE};
use outrigger::app::{App, Options};
use outrigger::backend::Backend;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;
use tempfile::TempDir;
use testserver::{Counts, Server};

/// What differs from one test to the other, as it stands in the file.
pub struct Config {
    endpoints: Vec<String>,
    limits: String,
    timeouts: String,
    retry: String,
    shutdown: String,
    access_log: String,
    admin: &'static str,
}

impl Config {
    pub fn to(servers: &[&Server]) -> Self {
        Self::to_urls(servers.iter().map(|server| server.url()).collect())
    }

    pub fn to_urls(endpoints: Vec<String>) -> Self {
        let empty = String::new;
        Self {
            endpoints,
            limits: empty(),
            timeouts: empty(),
            retry: empty(),
            shutdown: empty(),
            access_log: empty(),
            admin: "",
        }
    }

    /// `listeners[0].limits`
    pub fn limits(self, limits: &str) -> Self {
        Self { limits: limits.to_owned(), ..self }
    }

    /// `backends[0].timeouts`
    pub fn timeouts(self, timeouts: &str) -> Self {
        Self { timeouts: timeouts.to_owned(), ..self }
    }

    /// `backends[0].retry`
    pub fn retry(self, retry: &str) -> Self {
        Self { retry: retry.to_owned(), ..self }
    }

    /// `shutdown`
    pub fn shutdown(self, shutdown: &str) -> Self {
        Self { shutdown: shutdown.to_owned(), ..self }
    }

    /// More of `telemetry.accessLog`.
    pub fn access_log(self, access_log: &str) -> Self {
        Self { access_log: format!(", {access_log}"), ..self }
    }

    /// With the admin port.
    pub fn admin(self) -> Self {
        Self { admin: "127.0.0.1:0", ..self }
    }

    /// The file. One worker, so that there is one pool; `RoundRobin`, so that picks are known.
    pub fn text(&self, access_log: bool) -> String {
        format!(
            "admin: {{ address: '{}' }}\n\
             workers: 1\n\
             shutdown: {{ {} }}\n\
             telemetry: {{ accessLog: {{ enabled: {access_log}{} }} }}\n\
             listeners: [{{ name: http, address: '127.0.0.1:0', limits: {{ {} }} }}]\n\
             backends:\n\
             - name: test\n  \
               algorithm: RoundRobin\n  \
               endpoints: [{}]\n  \
               timeouts: {{ {} }}\n  \
               retry: {{ {} }}\n",
            self.admin,
            self.shutdown,
            self.access_log,
            self.limits,
            self.endpoints.join(", "),
            self.timeouts,
            self.retry,
        )
    }

    pub fn start(&self) -> Proxy {
        let folder = tempfile::tempdir().unwrap();
        let config = folder.path().join("config.yaml");
        std::fs::write(&config, self.text(false)).unwrap();
        let ended = Arc::new(AtomicU64::new(0));
        let counter = Arc::clone(&ended);
        let observer: outrigger::telemetry::observe::Observer = Arc::new(move |_| {
            counter.fetch_add(1, Relaxed);
        });
        let options = Options { config, loopback_only: true, observer: Some(observer) };
        let app = App::start(options).unwrap_or_else(|error| panic!("{error}"));
        let address = app.bound().listeners[0].1;
        Proxy { app: Some(app), address, ended, _folder: folder }
    }
}

/// A running load balancer; dropping it stops it.
pub struct Proxy {
    app: Option<App>,
    pub address: SocketAddr,
    ended: Arc<AtomicU64>,
    _folder: TempDir,
}

impl Proxy {
    /// One before these servers, with every default.
    pub fn before(servers: &[&Server]) -> Self {
        Config::to(servers).start()
    }

    pub async fn client(&self) -> Client {
        Client::to(self.address).await
    }

    /// Sends these bytes on a connection of their own and reads one answer.
    pub async fn ask(&self, bytes: impl AsRef<[u8]>) -> Answer {
        let mut client = self.client().await;
        client.send(bytes).await;
        client.answer().await
    }

    pub async fn get(&self, target: &str) -> Answer {
        self.client().await.get(target).await
    }

    pub fn backend(&self) -> Arc<Backend> {
        let app = self.app.as_ref().unwrap();
        Arc::clone(app.store().load().backend("test").unwrap())
    }

    /// Tries after the first, and retries that the budget forbade.
    pub fn retries(&self) -> (u64, u64) {
        let backend = self.backend();
        let counters = backend.counters();
        (counters.retries.load(Relaxed), counters.retries_refused.load(Relaxed))
    }

    /// Waits until so many requests have come to their end.
    pub async fn ended(&self, requests: u64) {
        until(|| self.ended.load(Relaxed) >= requests, "the requests' ends").await;
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        if let Some(app) = self.app.take() {
            app.lifecycle().end_now();
            let _ = app.join();
        }
    }
}

pub async fn server() -> Server {
    Server::builder().name("a").record().start().await.unwrap()
}

/// Waits for what no event tells of.
pub async fn until(reached: impl Fn() -> bool, what: &str) {
    let deadline = tokio::time::Instant::now() + PATIENCE;
    while !reached() {
        assert!(tokio::time::Instant::now() < deadline, "not reached: {what}");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

/// Waits for a condition on a server, and fails with its counters when that takes too long.
pub async fn eventually(server: &Server, reached: impl Fn(&Counts) -> bool) -> Counts {
    match tokio::time::timeout(PATIENCE, server.wait_until(reached)).await {
        Ok(counts) => counts,
        Err(_) => panic!("not reached: {server:?}"),
    }
}

/// All that a server received, one text per connection.
pub fn received(server: &Server) -> Vec<String> {
    server.received().iter().map(|bytes| String::from_utf8_lossy(bytes).into_owned()).collect()
}

/// A port on which nothing listens, and on which nothing will while the reservation is kept.
pub fn dead_port() -> (socket2::Socket, String) {
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
    let any: SocketAddr = "127.0.0.1:0".parse().unwrap();
    socket.bind(&any.into()).unwrap();
    let address = socket.local_addr().unwrap().as_socket().unwrap();
    (socket, format!("http://{address}"))
}
