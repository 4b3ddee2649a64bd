//! A process with a faulty endpoint and a good one, and clients of the good one, who must not notice the fault.

use crate::edit::serves;
use e2e::{Answer, Connection, Load, Outrigger, Running, in_time};
use http_body_util::Full;
use std::time::Duration;
use testserver::Server;
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::Instant;

/// The host whose requests go to the faulty endpoint; all others go to the good one.
pub const FAULTY: &str = "faulty.test";

/// The part of the configuration before the routes. All requests share one worker, so that nobody is spared a fault by
/// chance.
pub const TOP: &str = "\
workers: 1
admin: { address: 127.0.0.1:0 }
listeners: [{ name: http, address: 127.0.0.1:0 }]
";

/// Clients of the good endpoint.
const OTHERS: usize = 4;
/// What each of them is served while the fault stands.
const SERVED: u64 = 25;
/// New connections that are served while the fault stands.
const NEW: usize = 5;
/// The longest that one of their requests may take: machines are slow at times, but the faults here stand for as long as
/// their clients wait for them.
const LONGEST: Duration = Duration::from_secs(10);

/// The process and all around it.
pub struct Scene {
    pub outrigger: Outrigger,
    pub faulty: Server,
    /// Held so that it serves.
    _good: Server,
    others: Vec<Running>,
    started: Instant,
    before_kib: u64,
    peak_kib: u64,
}

/// Routes and backends; `policies` are further keys of the faulty backend, each followed by a comma.
pub fn routed(top: &str, policies: &str, faulty: &Server, good: &Server) -> String {
    format!(
        "{top}routes:\n  - {{ name: faulty, hosts: [{FAULTY}], backends: [{{ name: faulty }}] }}\n  \
         - {{ name: good, backends: [{{ name: good }}] }}\n\
         backends:\n  - {{ name: faulty, {policies} endpoints: [{}] }}\n  - {{ name: good, endpoints: [{}] }}\n",
        faulty.url(),
        good.url()
    )
}

impl Scene {
    /// Starts everything; the others are being served when this returns.
    pub async fn start(top: &str, policies: &str) -> Self {
        let (faulty, good) = servers().await;
        let outrigger = Outrigger::start(&routed(top, policies, &faulty, &good)).await;
        Self::around(outrigger, faulty, good).await
    }

    /// The same, the process being started by a script, as [`Outrigger::start_by`] does.
    pub async fn start_by(script: &str, top: &str, policies: &str) -> Self {
        let (faulty, good) = servers().await;
        let outrigger = Outrigger::start_by(script, &routed(top, policies, &faulty, &good)).await;
        Self::around(outrigger, faulty, good).await
    }

    async fn around(outrigger: Outrigger, faulty: Server, good: Server) -> Self {
        let load = Load::on(outrigger.address());
        let others = (0..OTHERS).map(|_| load.clone().start()).collect();
        let mut scene = Self {
            outrigger,
            faulty,
            _good: good,
            others,
            started: Instant::now(),
            before_kib: 0,
            peak_kib: 0,
        };
        // What the first requests take is not the fault's.
        scene.others_are_served().await;
        scene.before_kib = scene.outrigger.resident_kib();
        scene.peak_kib = scene.before_kib;
        scene
    }

    /// Waits until each of the others was served again and again, and new ones, too.
    pub async fn others_are_served(&mut self) {
        self.known_others_are_served().await;
        for _ in 0..NEW {
            serves(self.outrigger.address()).await;
        }
        self.look();
    }

    /// Waits until each of those who are connected already was served again and again.
    pub async fn known_others_are_served(&mut self) {
        for other in &self.others {
            other.wait_for_more(SERVED).await;
        }
        self.look();
    }

    /// Looks how much memory the process has now.
    pub fn look(&mut self) {
        self.peak_kib = self.peak_kib.max(self.outrigger.resident_kib());
    }

    /// A connection to the process, as bytes.
    pub async fn connect(&self) -> TcpStream {
        in_time("a connection", TcpStream::connect(self.outrigger.address())).await.unwrap()
    }

    /// Asks the faulty endpoint for each of the paths at once.
    pub fn ask_all<P: Into<String>>(
        &self,
        paths: impl IntoIterator<Item = P>,
    ) -> JoinSet<Result<Answer, String>> {
        let address = self.outrigger.address();
        let ask = |path: P| {
            let path = path.into();
            async move {
                let mut connection = Connection::open(address).await?;
                let request = http::Request::get(path).header("host", FAULTY);
                connection.send(request.body(Full::default()).unwrap()).await
            }
        };
        paths.into_iter().map(ask).collect()
    }

    /// Stops the others.
    ///
    /// # Panics
    /// One of them was failed or kept waiting, or the process needed more memory than `most_kib` for the fault.
    pub async fn end(mut self, most_kib: u64) -> Outrigger {
        self.others_are_served().await;
        let (mut requests, mut slowest) = (0, Duration::ZERO);
        for other in self.others {
            let tally = other.stop().await;
            tally.assert_all_ok();
            assert_eq!(tally.of("good"), tally.total(), "{tally:?}");
            requests += tally.total();
            slowest = slowest.max(tally.slowest);
        }
        let took = self.started.elapsed();
        let grown = self.peak_kib - self.before_kib;
        let test = std::thread::current().name().unwrap_or_default().to_owned();
        println!(
            "{test}: {took:.1?}, {requests} others' requests, the slowest {slowest:.1?}; {grown} KiB more, at most {most_kib}"
        );
        assert!(slowest < LONGEST, "somebody waited {slowest:?} for a fault that is not his");
        assert!(grown <= most_kib, "{grown} KiB more, at most {most_kib} expected");
        self.outrigger
    }
}

async fn servers() -> (Server, Server) {
    let faulty = Server::builder().name("faulty").start().await.unwrap();
    // Not at once, lest tests that run beside each other spend all their time on the others.
    let delay = Duration::from_millis(3);
    let good = Server::builder().name("good").delay(delay).start().await.unwrap();
    (faulty, good)
}

/// Waits for the ends of requests to the faulty endpoint, and checks each.
pub async fn each(
    mut asked: JoinSet<Result<Answer, String>>,
    check: impl Fn(&Result<Answer, String>) -> bool,
) {
    while let Some(answer) = in_time("an answer of the faulty endpoint", asked.join_next()).await {
        let answer = answer.unwrap();
        assert!(check(&answer), "{answer:?}");
    }
}
