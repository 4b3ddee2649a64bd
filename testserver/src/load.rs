//! A client that sends requests at a steady pace over kept connections, and accounts for each of them.
//!
//! A request fails if its answer is not whole or its status is not 2xx. Nothing is tried again, as that is what is
//! tested: only a connection that the peer closed before it was needed is not used.

mod answer;
mod client;
mod control;
mod latency;
mod schedule;
mod tally;
mod target;

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until, timeout};

use answer::Answer;
use client::Client;
use schedule::{Due, Method, Schedule};
use tally::Tally;
pub use target::Target;

/// What is to be sent.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Where to.
    pub target: Target,
    /// Requests per second in all.
    pub rate: f64,
    /// The most connections at once. A request that is due while all are busy is sent late.
    pub connections: usize,
    /// The part of the requests, from 0 to 1, that are POSTs; the others are GETs.
    pub post_share: f64,
    /// How many there are to be in all; endless if not given.
    pub requests: Option<u64>,
    /// How long a request may take, from the connect to the end of its answer, before it has failed.
    pub timeout: Duration,
}

/// Requests that are being sent. Dropping it stops them.
#[derive(Debug)]
pub struct Load(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    begun: Instant,
    schedule: Mutex<Schedule>,
    tally: Mutex<Tally>,
    opened: Arc<AtomicU64>,
    stopped: watch::Sender<bool>,
    /// Whether all requests have ended, and none will be sent.
    ended: watch::Sender<bool>,
}

/// A panic elsewhere leaves nothing half-changed behind these locks.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Load {
    /// Sends from now on, on tasks of the current tokio runtime.
    pub fn start(settings: Settings) -> Self {
        let shared = Arc::new(Shared {
            begun: Instant::now(),
            schedule: Mutex::new(Schedule::new(
                settings.rate,
                settings.post_share,
                settings.requests,
            )),
            tally: Mutex::new(Tally::new()),
            opened: Arc::default(),
            stopped: watch::Sender::new(false),
            ended: watch::Sender::new(false),
        });
        let (get, post) = (settings.target.get(), settings.target.post());
        let target = Arc::new(settings.target);
        let mut workers = JoinSet::new();
        for _ in 0..settings.connections {
            let worker = Worker {
                shared: shared.clone(),
                client: Client::new(target.clone(), shared.opened.clone()),
                get: get.clone(),
                post: post.clone(),
                timeout: settings.timeout,
            };
            workers.spawn(worker.work());
        }
        let all = shared.clone();
        tokio::spawn(async move {
            while workers.join_next().await.is_some() {}
            all.ended.send_replace(true);
        });
        Self(shared)
    }

    /// The account so far, as JSON; `load --help` says what is in it.
    pub fn report(&self) -> serde_json::Value {
        lock(&self.0.tally).report(self.0.opened.load(Relaxed))
    }

    /// Whether no request has failed so far, and all that there were to be have been sent.
    pub fn is_success(&self) -> bool {
        let tally = lock(&self.0.tally);
        let missing = lock(&self.0.schedule).requests().is_some_and(|all| tally.ok < all);
        tally.failed() == 0 && !missing
    }

    /// Sends nothing more, and waits until what is in flight has ended.
    pub async fn stop(&self) {
        self.0.stopped.send_replace(true);
        self.ended().await;
    }

    /// Waits until all requests have ended, and none will be sent.
    pub async fn ended(&self) {
        let mut ended = self.0.ended.subscribe();
        // An error would mean that the sender is gone, which we hold.
        let _ = ended.wait_for(|ended| *ended).await;
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        self.0.stopped.send_replace(true);
    }
}

/// One connection at a time, and the requests that fall to it.
struct Worker {
    shared: Arc<Shared>,
    client: Client,
    get: Bytes,
    post: Bytes,
    timeout: Duration,
}

impl Worker {
    async fn work(mut self) {
        let mut stopped = self.shared.stopped.subscribe();
        // Whoever is free takes the next request: so connections have turns, and none waits while another is free.
        while let Some(due) = self.take() {
            let at = self.shared.begun + due.after;
            loop {
                tokio::select! {
                    biased;
                    // An error means that nobody is left to stop us.
                    _ = stopped.wait_for(|stopped| *stopped) => return,
                    () = sleep_until(at) => break,
                    () = self.client.idle() => {}
                }
            }
            self.send(due.method, at).await;
        }
    }

    fn take(&self) -> Option<Due> {
        lock(&self.shared.schedule).next()
    }

    async fn send(&mut self, method: Method, due: Instant) {
        lock(&self.shared.tally).sent += 1;
        let request = match method {
            Method::Get => &self.get,
            Method::Post => &self.post,
        };
        let mut answer = Answer::default();
        let asked = timeout(self.timeout, self.client.ask(request, &mut answer)).await;
        let end =
            asked.unwrap_or_else(|_| Err(format!("no whole answer within {:?}", self.timeout)));
        let now = Instant::now();
        lock(&self.shared.tally).record(now - self.shared.begun, now - due, method, &answer, end);
    }
}
