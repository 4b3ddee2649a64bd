//! The control plane: follows the configuration's source, builds the next snapshot first and swaps it last.
//!
//! What a reload touches outside the snapshot (sockets, admin port) stands behind [`Effects`], which the wiring
//! implements.

pub mod changes;

use crate::backend::Member;
use crate::config::watch::{Event, ReadError, Source, Watcher};
use crate::config::{self, Problems};
use crate::lifecycle::{Drain, Lifecycle};
use crate::model::Model;
use crate::snapshot::source::{self, Refused, SourceStatus};
use crate::snapshot::{Snapshot, Store};
use changes::changes;
use serde_json::json;
use std::collections::HashSet;
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::SystemTime;

/// What a reload touches outside the snapshot.
pub trait Effects {
    /// What was acquired for a model that does not run yet. Dropping it gives everything back.
    type Prepared;

    /// Acquires what `next` needs: all of it, or nothing and the reason in an operator's words.
    fn prepare(&mut self, next: &Model) -> Result<Self::Prepared, String>;

    /// Finds the addresses of endpoints that are new, for a short while at most.
    fn resolve(&mut self, next: &Snapshot) -> impl Future<Output = ()>;

    /// Puts what was prepared to use, now that `next` runs, and lets go of what it does not need any more. Returns how
    /// many connections are told to close.
    fn commit(&mut self, prepared: Self::Prepared, next: &Snapshot) -> usize;
}

/// The loop that follows the source.
pub struct Control<E> {
    /// The running snapshot.
    pub store: Arc<Store>,
    /// What is known of the source.
    pub source: Arc<SourceStatus>,
    /// Told of new drain times; asks for reloads.
    pub lifecycle: Lifecycle,
    /// Yields the source's content.
    pub watcher: Watcher,
    /// What a reload touches besides.
    pub effects: E,
    /// The source's path, for people.
    pub path: String,
    /// The number of running workers.
    pub workers: usize,
}

/// Why a source is refused.
#[derive(Debug)]
enum Refusal {
    Invalid(Problems),
    Impossible(String),
    Unreadable(ReadError),
}

impl<E: Effects> Control<E> {
    /// Follows the source for ever. Cancel safe: a snapshot that does not run yet is let go.
    pub async fn run(&mut self) {
        loop {
            tokio::select! {
                event = self.watcher.next() => self.on_event(event).await,
                () = self.lifecycle.reload_requested() => self.watcher.force(),
            }
        }
    }

    async fn on_event(&mut self, event: Event) {
        match event {
            Event::Changed(source) => self.consider(&source).await,
            // A refused file may be possible by now: a port may be free, a variable is not.
            Event::Unchanged(source) if self.source.load().refused.is_some() => {
                self.consider(&source).await;
            }
            Event::Unchanged(source) => self.keep(&source),
            Event::Failed(error) => self.refuse(None, &Refusal::Unreadable(error)),
        }
    }

    async fn consider(&mut self, source: &Source) {
        let hash = config::hash(&source.bytes);
        if let Err(refusal) = self.reload(source, &hash).await {
            self.refuse(Some(hash), &refusal);
        }
    }

    async fn reload(&mut self, source: &Source, hash: &str) -> Result<(), Refusal> {
        let config::Loaded { model, warnings } =
            config::load(&source.bytes, &self.path, &|name| std::env::var(name).ok())
                .map_err(Refusal::Invalid)?;
        let running = self.store.load();
        if model == *running.model {
            self.keep(source);
            return Ok(());
        }
        for warning in warnings.list() {
            tracing::warn!("{warning}");
        }
        let impossible = |reason| Refusal::Impossible(format!("{}: {reason}", self.path));
        let next =
            Snapshot::compile(Arc::new(model), hash.to_owned(), Some(&running), self.workers);
        let next = next.map_err(impossible)?;
        let prepared = self.effects.prepare(&next.model).map_err(impossible)?;
        self.effects.resolve(&next).await;
        self.swap(next, prepared, &running);
        Ok(())
    }

    fn swap(&mut self, next: Snapshot, prepared: E::Prepared, running: &Arc<Snapshot>) {
        self.store.swap(next);
        let next = self.store.load();
        let closed = self.effects.commit(prepared, &next);
        let shutdown = next.model.shutdown;
        self.lifecycle
            .set_drain(Drain { delay: shutdown.drain_delay, timeout: shutdown.drain_timeout });
        self.source.accepted.fetch_add(1, Relaxed);
        self.in_sync(&next.config_hash, Some(SystemTime::now()));
        let kept: u32 = kept_in_flight(running, &next);
        let changes = changes(&running.model, &next.model, self.workers).join("; ");
        tracing::info!(
            "reload: generation {}: {changes}; {closed} connections closed, {kept} requests in flight kept",
            next.generation
        );
    }

    /// The source says what runs already, perhaps in other words.
    fn keep(&self, source: &Source) {
        let hash = config::hash(&source.bytes);
        let running = self.store.load();
        if running.config_hash != hash {
            self.store.swap(running.with_hash(hash.clone()));
        }
        self.source.unchanged.fetch_add(1, Relaxed);
        self.in_sync(&hash, self.source.load().loaded_at);
        tracing::info!(
            "reload: generation {} stays: the configuration says the same",
            running.generation
        );
    }

    fn in_sync(&self, hash: &str, loaded_at: Option<SystemTime>) {
        self.source.store(source::Source {
            path: self.path.clone(),
            hash: Some(hash.to_owned()),
            loaded_at,
            refused: None,
        });
    }

    fn refuse(&self, hash: Option<String>, refusal: &Refusal) {
        self.source.refused.fetch_add(1, Relaxed);
        let before = self.source.load();
        let (errors, more) = refusal.errors();
        self.source.store(source::Source {
            hash: hash.clone(),
            refused: Some(Refused { hash, at: SystemTime::now(), errors, more }),
            ..(*before).clone()
        });
        let generation = self.store.load().generation;
        tracing::error!("reload refused; generation {generation} goes on serving:\n{refusal}");
    }
}

/// Requests in flight on endpoints that both snapshots have.
fn kept_in_flight(before: &Snapshot, after: &Snapshot) -> u32 {
    let known: HashSet<u64> = members(before).map(|member| member.endpoint.id()).collect();
    members(after)
        .map(|member| &member.endpoint)
        .filter(|endpoint| known.contains(&endpoint.id()))
        .map(|endpoint| endpoint.in_flight())
        .sum()
}

fn members(snapshot: &Snapshot) -> impl Iterator<Item = &Member> {
    snapshot.backends.iter().flat_map(|backend| backend.members())
}

/// How many workers a process with this configuration starts.
pub fn worker_count(model: &Model) -> usize {
    match model.workers {
        // Counts what the cgroup's quota allows, too.
        0 => std::thread::available_parallelism().map_or(1, usize::from),
        workers => workers,
    }
}

impl Refusal {
    /// The errors as `/status` shows them, an object each, and how many more there are.
    fn errors(&self) -> (serde_json::Value, usize) {
        match self {
            Self::Invalid(problems) => (json!(problems.list()), problems.more()),
            Self::Impossible(_) | Self::Unreadable(_) => {
                (json!([{ "message": self.to_string() }]), 0)
            }
        }
    }
}

impl std::fmt::Display for Refusal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Invalid(problems) => problems.fmt(f),
            Self::Impossible(reason) => f.write_str(reason),
            Self::Unreadable(error) => error.fmt(f),
        }
    }
}
