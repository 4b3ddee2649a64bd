//! Load: many connections, each sending one request after the other, and what came of it.

use crate::client::Connection;
use crate::dial::Dial;
use crate::wait::in_time;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::Instant;

/// The most failures that are kept word for word.
const MAX_TOLD: usize = 20;

/// Load to be put on an address.
#[derive(Clone, Debug)]
pub struct Load {
    dial: Dial,
    connections: usize,
    streams: usize,
    fresh: bool,
    path: String,
}

/// What came of the requests of a load.
#[derive(Clone, Debug, Default)]
pub struct Tally {
    /// Answers by their status and the test server that gave them (empty for the proxy itself).
    pub answers: BTreeMap<(u16, String), u64>,
    /// Requests without a whole answer.
    pub errors: u64,
    /// Connections opened: as many as the load has, if none was closed.
    pub opened: u64,
    /// The longest that a request took.
    pub slowest: Duration,
    /// What the first failures were, in words.
    pub told: Vec<String>,
}

/// Load that goes on until it is stopped.
#[derive(Debug)]
pub struct Running {
    shared: Arc<Shared>,
    clients: JoinSet<Tally>,
}

#[derive(Debug)]
struct Shared {
    load: Load,
    /// Requests that may be begun.
    limit: AtomicU64,
    begun: AtomicU64,
    ended: watch::Sender<u64>,
}

impl Load {
    /// Load of one connection, which asks for `/`.
    pub fn on(to: impl Into<Dial>) -> Self {
        Self { dial: to.into(), connections: 1, streams: 1, fresh: false, path: "/".to_owned() }
    }

    /// With so many requests at once on each connection, which speaks HTTP/2 if there are more than one.
    pub fn streams(self, streams: usize) -> Self {
        Self { streams, ..self }
    }

    /// With a new connection for each request.
    pub fn fresh(self) -> Self {
        Self { fresh: true, ..self }
    }

    /// On so many connections at once.
    pub fn connections(self, connections: usize) -> Self {
        Self { connections, ..self }
    }

    /// Asking for this path.
    pub fn path(self, path: impl Into<String>) -> Self {
        Self { path: path.into(), ..self }
    }

    /// Sends exactly so many requests in all and waits for their ends, without limit.
    pub async fn requests(self, count: u64) -> Tally {
        self.begin(count).join().await
    }

    /// Starts to send requests on tasks of the current runtime.
    pub fn start(self) -> Running {
        self.begin(u64::MAX)
    }

    fn begin(self, limit: u64) -> Running {
        let connections = self.connections;
        let shared = Arc::new(Shared {
            load: self,
            limit: AtomicU64::new(limit),
            begun: AtomicU64::new(0),
            ended: watch::Sender::new(0),
        });
        let mut clients = JoinSet::new();
        for _ in 0..connections {
            let shared = Arc::clone(&shared);
            if shared.load.streams == 1 {
                clients.spawn(shared.client());
            } else {
                clients.spawn(shared.streams());
            }
        }
        Running { shared, clients }
    }
}

impl Running {
    /// Requests that have ended, well or badly.
    pub fn ended(&self) -> u64 {
        *self.shared.ended.borrow()
    }

    /// Waits until so many more requests have ended.
    pub async fn wait_for_more(&self, requests: u64) {
        self.wait_for(self.ended() + requests).await;
    }

    /// Waits until so many requests in all have ended.
    pub async fn wait_for(&self, requests: u64) {
        let mut ended = self.shared.ended.subscribe();
        let waiting = ended.wait_for(|ended| *ended >= requests);
        in_time(&format!("{requests} requests to end"), waiting).await.expect("the sender is ours");
    }

    /// Begins no more requests, waits for the ends of those in flight, and says what came of all.
    pub async fn stop(self) -> Tally {
        self.shared.limit.store(0, Relaxed);
        self.join().await
    }

    async fn join(self) -> Tally {
        let tallies = self.clients.join_all().await;
        tallies.into_iter().fold(Tally::default(), Tally::and)
    }
}

impl Shared {
    async fn client(self: Arc<Self>) -> Tally {
        self.requests(None).await
    }

    /// Requests at once on one connection. A stream that finds it closed opens its own.
    async fn streams(self: Arc<Self>) -> Tally {
        let mut tally = Tally::default();
        match Connection::open(self.load.dial.clone()).await {
            Err(error) => tally.fail(format!("no connection: {error}")),
            Ok(connection) => {
                tally.opened += 1;
                let streams: JoinSet<_> = (0..self.load.streams)
                    .map(|_| {
                        let (shared, connection) = (Arc::clone(&self), connection.another());
                        async move { shared.requests(Some(connection)).await }
                    })
                    .collect();
                tally = streams.join_all().await.into_iter().fold(tally, Tally::and);
            }
        }
        tally
    }

    async fn requests(&self, mut connection: Option<Connection>) -> Tally {
        let mut tally = Tally::default();
        while self.begun.fetch_add(1, Relaxed) < self.limit.load(Relaxed) {
            let open = connection.take();
            let begun = Instant::now();
            connection = self.request(open, &mut tally).await.filter(|_| !self.load.fresh);
            tally.slowest = tally.slowest.max(begun.elapsed());
            self.ended.send_modify(|ended| *ended += 1);
        }
        tally
    }

    /// Sends one request; gives the connection back if another may follow.
    async fn request(&self, open: Option<Connection>, tally: &mut Tally) -> Option<Connection> {
        let mut connection = match open {
            Some(connection) => connection,
            None => match Connection::open(self.load.dial.clone()).await {
                Ok(connection) => {
                    tally.opened += 1;
                    connection
                }
                Err(error) => {
                    tally.fail(format!("no connection: {error}"));
                    return None;
                }
            },
        };
        match connection.get(&self.load.path).await {
            Ok(answer) => {
                if answer.status != 200 {
                    tally.tell(format!("{}: {}", answer.status, answer.text()));
                }
                let key = (answer.status, answer.server().to_owned());
                *tally.answers.entry(key).or_default() += 1;
                connection.is_reusable(&answer).then_some(connection)
            }
            Err(error) => {
                tally.fail(error);
                None
            }
        }
    }
}

impl Tally {
    /// All requests.
    pub fn total(&self) -> u64 {
        self.answers.values().sum::<u64>() + self.errors
    }

    /// Requests that did not get a 200.
    pub fn failed(&self) -> u64 {
        self.total() - self.with_status(200)
    }

    /// Answers with this status.
    pub fn with_status(&self, status: u16) -> u64 {
        self.count(|(it, _)| *it == status)
    }

    /// Answers with status 200 that this test server gave.
    pub fn of(&self, server: &str) -> u64 {
        self.count(|(status, name)| *status == 200 && name == server)
    }

    /// This part of all, 1 being all.
    pub fn share(&self, server: &str) -> f64 {
        self.of(server) as f64 / self.total() as f64
    }

    /// # Panics
    /// A request did not get a 200; says what it got.
    pub fn assert_all_ok(&self) {
        let (failed, total) = (self.failed(), self.total());
        assert!(failed == 0, "{failed} of {total} requests failed: {:#?}", self.told);
    }

    fn count(&self, wanted: impl Fn(&(u16, String)) -> bool) -> u64 {
        let found = self.answers.iter().filter(|(key, _)| wanted(key));
        found.map(|(_, count)| count).sum()
    }

    fn fail(&mut self, error: String) {
        self.errors += 1;
        self.tell(error);
    }

    fn tell(&mut self, failure: String) {
        if self.told.len() < MAX_TOLD {
            self.told.push(failure);
        }
    }

    fn and(mut self, other: Self) -> Self {
        for (key, count) in other.answers {
            *self.answers.entry(key).or_default() += count;
        }
        self.errors += other.errors;
        self.opened += other.opened;
        self.slowest = self.slowest.max(other.slowest);
        self.told.extend(other.told);
        self.told.truncate(MAX_TOLD);
        self
    }
}
