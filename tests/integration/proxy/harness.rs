//! A load balancer in this process, before test servers.

use super::client::{Answer, Client, PATIENCE};
use outrigger::app::{App, Options};
use outrigger::backend::Backend;
use outrigger::lifecycle::Drain;
use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;
use tempfile::TempDir;
use testserver::{Counts, Server};

/// What differs from one test to the other, as it stands in the file.
#[derive(Default)]
pub struct Config {
    endpoints: Vec<String>,
    limits: String,
    timeouts: String,
    retry: String,
    trusted: String,
    listener: String,
    second_listener: String,
    keys: String,
    backends: String,
    routes: String,
    shutdown: String,
    access_log: String,
    traces: String,
    decisions: String,
    admin: &'static str,
}

impl Config {
    pub fn to(servers: &[&Server]) -> Self {
        Self::to_urls(servers.iter().map(|server| server.url()).collect())
    }

    pub fn to_urls(endpoints: Vec<String>) -> Self {
        Self { endpoints, ..Self::default() }
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

    /// `listeners[0].trustedProxies`
    pub fn trusted(self, trusted: &str) -> Self {
        Self { trusted: trusted.to_owned(), ..self }
    }

    /// More keys of `listeners[0]`.
    pub fn listener(self, keys: &str) -> Self {
        Self { listener: format!(", {keys}"), ..self }
    }

    /// A second listener, called `other`.
    pub fn second_listener(self) -> Self {
        let second_listener = ", { name: other, address: '127.0.0.1:0' }".to_owned();
        Self { second_listener, ..self }
    }

    /// More keys of `backends[0]`, in one line.
    pub fn keys(self, keys: &str) -> Self {
        Self { keys: format!("  {keys}\n"), ..self }
    }

    /// Another backend.
    pub fn backend(mut self, name: &str, servers: &[&Server], keys: &str) -> Self {
        let urls: Vec<_> = servers.iter().map(|server| server.url()).collect();
        let urls = urls.join(", ");
        self.backends += &format!("- {{ name: {name}, endpoints: [{urls}], {keys} }}\n");
        self
    }

    /// `routes`, as a list in one line.
    pub fn routes(self, routes: &str) -> Self {
        Self { routes: format!("routes: [{routes}]\n"), ..self }
    }

    /// `shutdown`
    pub fn shutdown(self, shutdown: &str) -> Self {
        Self { shutdown: shutdown.to_owned(), ..self }
    }

    /// More of `telemetry.accessLog`.
    pub fn access_log(self, access_log: &str) -> Self {
        Self { access_log: format!(", {access_log}"), ..self }
    }

    /// With `telemetry.traces`, and more of its keys; no collector takes them.
    pub fn traces(self, keys: &str) -> Self {
        Self { traces: format!(", traces: {{ endpoint: 'http://127.0.0.1:1', {keys} }}"), ..self }
    }

    /// `telemetry.decisions`
    pub fn decisions(self, keys: &str) -> Self {
        Self { decisions: format!(", decisions: {{ {keys} }}"), ..self }
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
             telemetry: {{ accessLog: {{ enabled: {access_log}{} }}{}{} }}\n\
             listeners: [{{ name: http, address: '127.0.0.1:0', limits: {{ {} }}, trustedProxies: [{}]{} }}{}]\n\
             {}\
             backends:\n\
             - name: test\n  \
               {}\
               endpoints: [{}]\n  \
               timeouts: {{ {} }}\n  \
               retry: {{ {} }}\n\
             {}{}",
            self.admin,
            self.shutdown,
            self.access_log,
            self.traces,
            self.decisions,
            self.limits,
            self.trusted,
            self.listener,
            self.second_listener,
            self.routes,
            if self.keys.contains("algorithm:") { "" } else { "algorithm: RoundRobin\n  " },
            self.endpoints.join(", "),
            self.timeouts,
            self.retry,
            self.keys,
            self.backends,
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
        let options =
            Options { config: config.into(), loopback_only: true, observer: Some(observer) };
        let app = App::start(options).unwrap_or_else(|error| panic!("{error}"));
        let address = app.bound().listeners[0].1;
        Proxy { app: Some(app), address, ended, folder }
    }
}

/// A scrape.
pub struct Metrics(String);

impl Metrics {
    /// The value of a series, named as in the text.
    pub fn get(&self, series: &str) -> Option<f64> {
        let of = |line: &str| line.strip_prefix(series)?.strip_prefix(' ')?.parse().ok();
        self.0.lines().find_map(of)
    }

    /// The sum of all series whose text begins like this.
    pub fn sum(&self, prefix: &str) -> f64 {
        let lines = self.0.lines().filter(|line| line.starts_with(prefix));
        lines.map(|line| line.rsplit(' ').next().unwrap().parse::<f64>().unwrap()).sum()
    }

    /// All series, without their values.
    pub fn series(&self) -> BTreeSet<String> {
        let lines = self.0.lines().filter(|line| !line.starts_with('#'));
        lines.map(|line| line.rsplit_once(' ').unwrap().0.to_owned()).collect()
    }
}

/// A running load balancer; dropping it stops it.
pub struct Proxy {
    app: Option<App>,
    pub address: SocketAddr,
    ended: Arc<AtomicU64>,
    folder: TempDir,
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

    /// The address of the second listener.
    pub fn second_address(&self) -> SocketAddr {
        self.app.as_ref().unwrap().bound().listeners[1].1
    }

    /// What was refused before it reached a backend, and what routes answered themselves, as the metrics say it.
    pub async fn without_backend(&self) -> (u64, u64) {
        let metrics = self.metrics().await;
        let sum = |name: &str| metrics.sum(name) as u64;
        (sum("outrigger_requests_refused_total{"), sum("outrigger_requests_answered_total{"))
    }

    /// What the admin port answers to this target.
    pub async fn admin(&self, target: &str) -> Answer {
        let admin = self.app.as_ref().unwrap().bound().admin.unwrap();
        let request =
            format!("GET {target} HTTP/1.1\r\nHost: {admin}\r\nConnection: close\r\n\r\n");
        let mut client = Client::to(admin).await;
        client.send(request).await;
        client.answer().await
    }

    /// What the admin port gives to Prometheus.
    pub async fn metrics(&self) -> Metrics {
        Metrics(self.admin("/metrics").await.text().to_owned())
    }

    /// Waits until the metrics say this of a series, which is named as in the text.
    pub async fn metric(&self, series: &str, reached: impl Fn(f64) -> bool) -> Metrics {
        let deadline = tokio::time::Instant::now() + PATIENCE;
        loop {
            let metrics = self.metrics().await;
            let value = metrics.get(series);
            if value.is_some_and(&reached) {
                return metrics;
            }
            assert!(tokio::time::Instant::now() < deadline, "{series} {value:?} in\n{}", metrics.0);
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// Tries after the first, and retries that the budget forbade.
    pub fn retries(&self) -> (u64, u64) {
        let backend = self.backend();
        let counters = backend.counters();
        (counters.retries.load(Relaxed), counters.retries_refused.load(Relaxed))
    }

    /// Goes on with another configuration.
    pub async fn reload(&self, config: &Config) {
        let app = self.app.as_ref().unwrap();
        let before = app.store().load().generation;
        std::fs::write(self.folder.path().join("config.yaml"), config.text(false)).unwrap();
        app.lifecycle().request_reload();
        until(|| app.store().load().generation > before, "the next generation").await;
    }

    /// Lets it end as soon as its clients do, and waits for that.
    pub async fn drain(mut self) {
        let app = self.app.take().unwrap();
        let patience = Duration::from_secs(3600);
        app.lifecycle().begin_drain(Drain { delay: Duration::ZERO, timeout: patience });
        let (lifecycle, join) =
            (app.lifecycle().clone(), tokio::task::spawn_blocking(move || app.join()));
        let joined = tokio::time::timeout(PATIENCE, join).await;
        // Else the test's runtime would wait for it.
        lifecycle.end_now();
        joined.expect("it ends").unwrap().unwrap();
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
