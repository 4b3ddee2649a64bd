//! Clients of every kind, each on a task of its own until it is asked to come to an end.

use super::scene::Scene;
use super::tally::{Kind, Tallies};
use super::{faults, joined, traffic};
use crate::wait::PATIENCE;
use fastrand::Rng;
use std::sync::Arc;
use tokio::task::JoinHandle;
use tokio::time::timeout;

/// The running clients.
#[derive(Debug)]
pub struct Clients(Vec<(Kind, JoinHandle<()>)>);

/// What a client has at hand.
#[derive(Debug)]
pub struct Client {
    pub scene: Arc<Scene>,
    pub rng: Rng,
    kind: Kind,
    tallies: Arc<Tallies>,
}

impl Clients {
    /// Starts as many of each kind as [`Kind::ALL`] says.
    pub fn start(scene: &Arc<Scene>, tallies: &Arc<Tallies>) -> Self {
        let kinds =
            Kind::ALL.into_iter().flat_map(|(kind, count)| std::iter::repeat_n(kind, count));
        let start = |(number, kind)| {
            let client = Client {
                scene: Arc::clone(scene),
                rng: Rng::with_seed(scene.plan.seed.wrapping_add(number)),
                kind,
                tallies: Arc::clone(tallies),
            };
            (kind, tokio::spawn(client.run()))
        };
        Self((1..).zip(kinds).map(start).collect())
    }

    /// Waits until all have ended; says which panicked.
    pub async fn join(self) -> Vec<String> {
        let mut wrong = Vec::new();
        for (kind, task) in self.0 {
            wrong.extend(joined(&format!("a client {kind:?}"), task).await.err());
        }
        wrong
    }
}

impl Client {
    async fn run(mut self) {
        while !self.scene.is_stopping() {
            let longest = PATIENCE + self.scene.longest();
            let kind = self.kind;
            let conversation = async {
                match kind {
                    Kind::Small => traffic::small(&mut self).await,
                    Kind::NewConnection => traffic::new_connection(&mut self).await,
                    Kind::Download => traffic::download(&mut self).await,
                    Kind::Upload => traffic::upload(&mut self).await,
                    Kind::Chunked => traffic::chunked(&mut self).await,
                    Kind::Pipelined => traffic::pipelined(&mut self).await,
                    Kind::WebSocket => traffic::websocket(&mut self).await,
                    Kind::Events => traffic::events(&mut self).await,
                    Kind::Head => traffic::head(&mut self).await,
                    Kind::Affinity => traffic::affinity(&mut self).await,
                    Kind::Hashed => traffic::hashed(&mut self).await,
                    Kind::Moving => traffic::moving(&mut self).await,
                    Kind::Restarting => traffic::restarting(&mut self).await,
                    Kind::Slow => traffic::slow(&mut self).await,
                    Kind::Aborting => faults::abort(&mut self).await,
                    Kind::Faulty => faults::provoke(&mut self).await,
                }
            };
            let result = timeout(longest, conversation).await;
            let result = result.unwrap_or_else(|_| Err(format!("no end in {longest:?}")));
            if let Err(error) = result {
                self.tallies.of(kind).fail(error);
            }
        }
    }

    /// Counts a request that went as it should, and so many bytes of bodies.
    pub fn well(&self, bytes: usize) {
        self.tallies.of(self.kind).well(bytes);
    }

    /// A length of a body, at most so many bytes: as often between 1 and 10 as between 100,000 and a million.
    pub fn length(&mut self, most: usize) -> usize {
        (most as f64).powf(self.rng.f64()) as usize
    }
}
