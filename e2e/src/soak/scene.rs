//! The servers, the process before them, and the shapes that its configuration takes.

use super::Plan;
use crate::port::free_port;
use crate::process::{Ended, Outrigger};
use std::fmt::Write;
use std::net::SocketAddr;
use std::process::Stdio;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::time::Duration;
use testserver::Server;

/// Everything that the parts of a soak share.
#[derive(Debug)]
pub struct Scene {
    pub plan: Plan,
    pub outrigger: Outrigger,
    /// Always there.
    pub steady: Vec<Server>,
    /// Come and go in the configuration.
    pub extra: Vec<Server>,
    /// Stops and starts again and again.
    pub restarting: Server,
    /// Does everything wrong that it is asked to.
    pub faulty: Server,
    /// The ports of the listener that moves.
    pub ports: [u16; 2],
    /// The port of the listener that comes and goes.
    pub passing: u16,
    /// Twice how often it has moved between the two, and odd while it moves.
    pub moves: AtomicU64,
    stopping: AtomicBool,
}

/// What a configuration says that others do not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shape {
    pub algorithm: &'static str,
    pub extra: [bool; 2],
    /// The weights of the steady endpoints.
    pub weights: [u32; 4],
    /// The part of the first of two backends, of 100.
    pub split: u32,
    /// Which port the moving listener has.
    pub port: usize,
    pub passing_listener: bool,
    pub passing_route: bool,
    pub idle_seconds: u64,
    pub attempts: u32,
    /// A header field of every response.
    pub marker: u64,
}

impl Shape {
    /// The one at the start, and again at the end.
    pub const FIRST: Self = Self {
        algorithm: "RoundRobin",
        extra: [true, true],
        weights: [1; 4],
        split: 50,
        port: 0,
        passing_listener: false,
        passing_route: false,
        idle_seconds: 75,
        attempts: 2,
        marker: 0,
    };

    /// It as YAML.
    pub fn yaml(&self, scene: &Addresses) -> String {
        let Self { algorithm, split, idle_seconds, attempts, marker, .. } = self;
        let mut endpoints = String::new();
        for (url, weight) in scene.steady.iter().zip(self.weights) {
            let _ = write!(endpoints, "{{ url: \"{url}\", weight: {weight} }}, ");
        }
        let steady = scene.steady.join(", ");
        let extra = scene.extra.iter().zip(self.extra).filter(|(_, there)| *there);
        let extra: String = extra.map(|(url, _)| format!("{url}, ")).collect();
        let passing_listener = if self.passing_listener {
            format!("  - {{ name: passing, address: 127.0.0.1:{} }}\n", scene.passing)
        } else {
            String::new()
        };
        let passing_route = if self.passing_route {
            "  - { name: passing, matches: [{ path: { prefix: /passing } }], filters: [{ respond: { status: 204 } }] }\n"
        } else {
            ""
        };
        format!(
            "\
admin: {{ address: 127.0.0.1:0 }}
shutdown: {{ drainTimeout: 60s }}
listeners:
  - {{ name: http, address: 127.0.0.1:0, limits: {{ idleTimeout: {idle_seconds}s }} }}
  - {{ name: moving, address: 127.0.0.1:{} }}
{passing_listener}routes:
{passing_route}  - {{ name: affine, hosts: [affine.test], backends: [affine] }}
  - {{ name: hashed, hosts: [hashed.test], backends: [hashed] }}
  - {{ name: restarting, hosts: [restarting.test], backends: [restarting] }}
  - {{ name: faulty, hosts: [faulty.test], backends: [faulty], timeouts: {{ attempt: 500ms, request: 2s }} }}
  - name: rest
    backends: [{{ name: main, weight: {split} }}, {{ name: side, weight: {} }}]
    retry: {{ attempts: {attempts} }}
    filters: [{{ responseHeaders: {{ set: [{{ name: x-soak, value: \"{marker}\" }}] }} }}]
backends:
  - name: main
    algorithm: {algorithm}
    endpoints: [{endpoints}{extra}]
    healthProbe: {{ http: {{ path: /health }}, interval: 1s, timeout: 10s }}
    latencyProbe: {{ http: {{ path: / }}, interval: 1s, timeout: 10s }}
    slowStart: {{ window: 2s }}
  - {{ name: side, algorithm: LeastConnections, endpoints: [{steady}] }}
  - name: affine
    algorithm: PowerOfTwoChoices
    sessionAffinity: {{ cookie: {{ name: soak, ttl: 1h }} }}
    endpoints: [{steady}]
  - {{ name: hashed, algorithm: {{ name: ConsistentHash, key: {{ header: x-user }} }}, endpoints: [{steady}] }}
  - name: restarting
    algorithm: RoundRobin
    endpoints: [{}, {}]
    retry: {{ attempts: 3, budget: {{ ratio: 100%, minPerSecond: 100 }} }}
  - name: faulty
    algorithm: PeakEwma
    endpoints: [{}]
    healthProbe: {{ http: {{ path: /health }}, interval: 1s, timeout: 2s }}
    timeouts: {{ streamIdle: 1s, upgradedIdle: 1s }}
",
            scene.ports[self.port], 100 - split, scene.steady[0], scene.restarting, scene.faulty
        )
    }
}

/// Where everything is that a configuration names.
#[derive(Clone, Debug)]
pub struct Addresses {
    steady: Vec<String>,
    extra: Vec<String>,
    restarting: String,
    faulty: String,
    ports: [u16; 2],
    passing: u16,
}

impl Scene {
    /// Starts the servers and the process.
    pub async fn start(plan: Plan) -> Self {
        let server = async |name: String| {
            Server::builder().name(name).start().await.expect("loopback has free ports")
        };
        let (mut steady, mut extra) = (Vec::new(), Vec::new());
        for index in 0..4 {
            steady.push(server(format!("steady-{index}")).await);
        }
        for index in 0..2 {
            extra.push(server(format!("extra-{index}")).await);
        }
        let (restarting, faulty) =
            (server("restarting".into()).await, server("faulty".into()).await);
        let (ports, passing) = ([free_port(), free_port()], free_port());
        let urls = |servers: &[Server]| servers.iter().map(Server::url).collect();
        let addresses = Addresses {
            steady: urls(&steady),
            extra: urls(&extra),
            restarting: restarting.url(),
            faulty: faulty.url(),
            ports,
            passing,
        };
        let directory = tempfile::tempdir().expect("a directory for the configuration");
        let config = directory.path().join("config.yaml");
        let yaml = Shape::FIRST.yaml(&addresses);
        std::fs::write(&config, yaml).expect("the directory takes a file");
        let outrigger = Outrigger::try_launch_with(directory, |command| {
            // Lines of millions of requests are written, and read by nobody.
            command.arg("run").arg("--config").arg(config).stdout(Stdio::null())
        });
        let outrigger = outrigger.await.unwrap_or_else(|ended| panic!("it ends: {}", ended.log));
        outrigger.until_ready().await;
        let (moves, stopping) = (AtomicU64::new(0), AtomicBool::new(false));
        Self { plan, outrigger, steady, extra, restarting, faulty, ports, passing, moves, stopping }
    }

    /// Where everything is.
    pub fn addresses(&self) -> Addresses {
        let urls = |servers: &[Server]| servers.iter().map(Server::url).collect();
        Addresses {
            steady: urls(&self.steady),
            extra: urls(&self.extra),
            restarting: self.restarting.url(),
            faulty: self.faulty.url(),
            ports: self.ports,
            passing: self.passing,
        }
    }

    /// Where the listener that moves is now, if it does not move just now, and how often it has moved.
    pub fn moving(&self) -> (SocketAddr, u64) {
        let moves = self.moves.load(Relaxed);
        (([127, 0, 0, 1], self.ports[(moves / 2 % 2) as usize]).into(), moves)
    }

    /// How long a conversation that takes its time may take.
    pub fn longest(&self) -> Duration {
        (self.plan.length / 4).min(Duration::from_secs(20))
    }

    /// Asks everybody to come to an end.
    pub fn stop(&self) {
        self.stopping.store(true, Relaxed);
    }

    /// Whether everybody is to come to an end.
    pub fn is_stopping(&self) -> bool {
        self.stopping.load(Relaxed)
    }

    /// Stops the process.
    pub async fn end(self) -> Ended {
        self.outrigger.signal(crate::process::Signal::INT);
        self.outrigger.ended().await
    }
}
