//! The seed's scene: eight test servers, of which the first two are slow, behind one process.

use e2e::{Outrigger, PORTS, Status};
use std::time::Duration;
use testserver::{Fleet, Member};

/// How many of the eight are slow.
pub const SLOW: usize = 2;

/// The eight servers and the process before them.
pub struct Scene {
    pub fleet: Fleet,
    pub outrigger: Outrigger,
}

/// A configuration with one backend of these endpoints; `rest` are further lines of the backend.
pub fn config(algorithm: &str, urls: &[String], rest: &str) -> String {
    let urls = urls.join(", ");
    format!(
        "{PORTS}backends:\n  - name: demo\n    algorithm: {algorithm}\n    endpoints: [{urls}]\n{rest}"
    )
}

impl Scene {
    /// The scene once the process is ready; the fast ones answer at once.
    pub async fn start(algorithm: &str, slow: Duration) -> Self {
        Self::with(algorithm, Duration::ZERO, slow, Duration::from_secs(1)).await
    }

    /// The scene once the process is ready; latencies are probed in this interval.
    pub async fn with(algorithm: &str, fast: Duration, slow: Duration, interval: Duration) -> Self {
        let delay = |index| if index < SLOW { slow } else { fast };
        let members: Vec<_> = (0..8).map(|index| Member { port: 0, delay: delay(index) }).collect();
        let fleet = Fleet::start("127.0.0.1", &members).await.unwrap();
        let probe = format!(
            "    latencyProbe: {{ http: {{ path: / }}, interval: {}ms, timeout: 10s }}\n",
            interval.as_millis()
        );
        let outrigger = Outrigger::start(&config(algorithm, &fleet.urls(), &probe)).await;
        Self { fleet, outrigger }
    }

    /// Waits until the latency of every endpoint is known.
    pub async fn until_measured(&self) -> Status {
        let known = |status: &Status| {
            let endpoints = &status.backend("demo").endpoints;
            endpoints.iter().all(|endpoint| endpoint.latency_ms.is_some())
        };
        self.outrigger.until("a latency of every endpoint", known).await
    }

    /// The names of the slow servers.
    pub fn slow(&self) -> impl Iterator<Item = &str> {
        self.fleet.servers()[..SLOW].iter().map(testserver::Server::name)
    }

    /// The names of the others.
    pub fn fast(&self) -> impl Iterator<Item = &str> {
        self.fleet.servers()[SLOW..].iter().map(testserver::Server::name)
    }
}
