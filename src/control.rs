//! The control plane: follows the configuration's source, builds the next snapshot first and swaps it last.
//!
//! What a reload touches outside the snapshot (sockets, admin port) stands behind [`Effects`], which the wiring
//! implements.

pub mod changes;
mod endpoints;
mod expiry;
mod input;
mod patience;
#[cfg(test)]
mod tests;

pub use input::{ConfigMapInput, Input};
pub use patience::patiently;

use crate::backend::Member;
use crate::config::watch::{Event, ReadError, Source};
use crate::config::{self, Loaded, Problems, Surroundings};
use crate::kubernetes::{Discovery, Reporter};
use crate::lifecycle::{Drain, Lifecycle};
use crate::model::Model;
use crate::snapshot::history::{Cause, Outcome, Reload};
use crate::snapshot::source::{self, Refused, SourceStatus};
use crate::snapshot::{Snapshot, Store};
use crate::telemetry::events::{EventKind, Happened};
use crate::telemetry::{Outlets, control_span};
use changes::changes;
use serde_json::json;
use std::collections::HashSet;
use std::future::Future;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime};
use tokio::time::Instant;

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

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

/// The content of the source at one moment, and the files that it names.
#[derive(Clone, Debug)]
pub struct Origin {
    /// The content.
    pub source: Source,
    /// The files: certificates, keys, CAs, revocation lists; absolute, each once.
    pub files: Vec<PathBuf>,
}

/// A look at the configuration. Where nothing comes of one whose cause are the files that it names, nothing is said: in the other
/// cases somebody waits for an answer.
#[derive(Clone, Copy, Debug)]
struct Look {
    cause: Cause,
    began: Instant,
}

impl Look {
    fn of(cause: Cause) -> Self {
        Self { cause, began: Instant::now() }
    }
}

/// The loop that follows the source.
pub struct Control<E> {
    /// The running snapshot.
    pub store: Arc<Store>,
    /// What is known of the source.
    pub source: Arc<SourceStatus>,
    /// Told of new drain times; asks for reloads.
    pub lifecycle: Lifecycle,
    /// Yields the source's content, and follows the files that it names.
    pub watcher: Input,
    /// Yields the endpoints of Services.
    pub discovery: Discovery,
    /// What runs.
    pub running: Origin,
    /// What was read last, whether it runs or not.
    pub latest: Origin,
    /// What a reload touches besides.
    pub effects: E,
    /// Told of reloads.
    pub outlets: Outlets,
    /// Told what became of edits, if Kubernetes is to know.
    pub reporter: Reporter,
    /// The source's path, for people.
    pub path: String,
    /// The folder from which relative paths in it are seen.
    pub folder: PathBuf,
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
    /// Follows the source, and the files that it names, for ever. Cancel safe: a snapshot that does not run yet is let go.
    pub async fn run(&mut self) {
        self.follow();
        let mut days = tokio::time::interval_at(Instant::now() + DAY, DAY);
        let mut asked = Cause::File;
        loop {
            tokio::select! {
                event = self.watcher.next() => {
                    let cause = std::mem::replace(&mut asked, Cause::File);
                    self.on_event(event, Look::of(cause)).await;
                }
                () = self.lifecycle.reload_requested() => {
                    asked = Cause::Signal;
                    self.watcher.force();
                }
                () = self.discovery.changed() => self.on_endpoints().await,
                _ = days.tick() => expiry::tell(&self.store.load(), SystemTime::now()),
            }
        }
    }

    async fn on_event(&mut self, event: Event, look: Look) {
        match event {
            Event::Changed(source) => self.consider(source, look).await,
            // A refused file may be possible by now: a port may be free, a variable is not.
            Event::Unchanged(source) if self.source.load().refused.is_some() => {
                self.consider(source, look).await;
            }
            Event::Unchanged(source) => {
                let (span, generation) =
                    (control_span::Reload::begin(), self.store.load().generation);
                self.keep(&source, look);
                span.done(generation, generation);
            }
            Event::Followed => self.on_files(Look::of(Cause::Certificates)).await,
            Event::Failed(error) => {
                let (span, refusal) = (control_span::Reload::begin(), Refusal::Unreadable(error));
                span.refused(self.store.load().generation, &refusal);
                self.refuse(None, &refusal, look);
            }
        }
    }

    /// Looks at the configuration again, because of the files that it names.
    async fn on_files(&mut self, look: Look) {
        let refused = self.source.load().refused.clone();
        // A source that is gone, or that nobody may read, says nothing that could be looked at again.
        if refused.is_none_or(|refused| refused.hash.is_some()) {
            self.consider(self.latest.source.clone(), look).await;
            if self.latest.source.hash == self.running.source.hash {
                return;
            }
        }
        if self.source.load().refused.is_some() {
            self.renew(look).await;
        }
    }

    /// Makes `source` run, or says why it cannot.
    async fn consider(&mut self, source: Source, look: Look) {
        let (span, before) = (control_span::Reload::begin(), self.store.load().generation);
        let hash = config::hash(&source.bytes);
        let loaded = self.load(&source).await;
        let files = match &loaded {
            Ok(loaded) => loaded.files.clone(),
            Err(problems) => problems.files().to_vec(),
        };
        self.latest = Origin { source, files };
        let outcome = match loaded {
            Ok(loaded) => self.reload(loaded, &hash, look).await,
            Err(problems) => Err(Refusal::Invalid(problems)),
        };
        match outcome {
            Ok(()) => {
                span.done(self.store.load().generation, before);
                self.running = self.latest.clone();
            }
            Err(refusal) => {
                span.refused(before, &refusal);
                self.refuse(Some(hash), &refusal, look);
            }
        }
        self.follow();
        self.follow_services();
    }

    async fn load(&mut self, source: &Source) -> Result<Loaded, Problems> {
        let running = Arc::clone(&self.store.load().model);
        let mut loaded = patiently(|| {
            let surroundings =
                Surroundings { running: Some(&running), ..Surroundings::within(&self.folder) };
            config::load(&source.bytes, &self.path, &surroundings)
        })
        .await?;
        self.complete(&mut loaded.model).await;
        Ok(loaded)
    }

    async fn reload(&mut self, loaded: Loaded, hash: &str, look: Look) -> Result<(), Refusal> {
        let running = self.store.load();
        if loaded.model == *running.model {
            self.keep(&self.latest.source, look);
            return Ok(());
        }
        self.swap(loaded, hash, &running, look).await?;
        self.in_sync(hash, Some(SystemTime::now()));
        Ok(())
    }

    /// Gives what runs the present content of the files that it names, while the source says something else that was refused, or
    /// nothing: a certificate must not expire because somebody mistyped something.
    async fn renew(&mut self, look: Look) {
        let (span, running) = (control_span::Reload::begin(), self.store.load());
        let renewed = match self.load(&self.running.source.clone()).await {
            Ok(loaded) if loaded.model == *running.model => {
                return span.done(running.generation, running.generation);
            }
            Ok(loaded) => self.swap(loaded, &running.config_hash, &running, look).await,
            Err(problems) => Err(Refusal::Invalid(problems)),
        };
        match renewed {
            Ok(()) => {
                span.done(self.store.load().generation, running.generation);
                self.source.store(source::Source {
                    loaded_at: Some(SystemTime::now()),
                    ..(*self.source.load()).clone()
                });
            }
            Err(refusal) => {
                let generation = running.generation;
                span.refused(generation, &refusal);
                let text = format!(
                    "files that generation {generation} names have changed, but cannot be used:\n{refusal}"
                );
                tracing::error!("{text}");
                self.note_refusal(Some(running.config_hash.clone()), &refusal, look, text);
            }
        }
    }

    /// Has the files watched that any configuration names that may run: a change in one of them may mean another model.
    fn follow(&self) {
        let mut files = self.running.files.clone();
        files.extend_from_slice(&self.latest.files);
        files.sort_unstable();
        files.dedup();
        self.watcher.follow(files);
    }

    /// Builds the next snapshot first, and swaps it last.
    async fn swap(
        &mut self,
        loaded: Loaded,
        hash: &str,
        running: &Arc<Snapshot>,
        look: Look,
    ) -> Result<(), Refusal> {
        for warning in loaded.warnings.list() {
            tracing::warn!("{}", warning.0);
        }
        let impossible = |reason| Refusal::Impossible(format!("{}: {reason}", self.path));
        let model = Arc::new(loaded.model);
        let next = Snapshot::compile(model, hash.to_owned(), Some(running), self.workers);
        let next = next.map_err(impossible)?;
        let prepared = self.effects.prepare(&next.model).map_err(impossible)?;
        self.effects.resolve(&next).await;
        self.put(next, prepared, running, look);
        Ok(())
    }

    fn put(&mut self, next: Snapshot, prepared: E::Prepared, running: &Arc<Snapshot>, look: Look) {
        self.store.swap(next);
        let next = self.store.load();
        let closed = self.effects.commit(prepared, &next);
        let shutdown = next.model.shutdown;
        self.lifecycle
            .set_drain(Drain { delay: shutdown.drain_delay, timeout: shutdown.drain_timeout });
        self.source.ends(Outcome::Accepted, look.began.elapsed());
        let kept: u32 = kept_in_flight(running, &next);
        let changes = changes(&running.model, &next.model, self.workers);
        let text = format!(
            "reload: generation {}: {}; {closed} connections closed, {kept} requests in flight kept",
            next.generation,
            changes.join("; ")
        );
        tracing::info!("{text}");
        let hash = Some(next.config_hash.clone());
        let reload = Reload::new(Outcome::Accepted, look.cause, next.generation, hash);
        let reload = Reload { changes, connections_closed: closed, requests_kept: kept, ..reload };
        self.note(reload, look, text);
    }

    /// Keeps a reload for those who ask later, and tells those who look on.
    fn note(&self, reload: Reload, look: Look, text: String) {
        match reload.outcome {
            Outcome::Accepted => self.reporter.applied(reload.hash.as_deref(), &text),
            Outcome::Refused => self.reporter.refused(reload.hash.as_deref(), &text),
            Outcome::Unchanged => {}
        }
        self.reporter.runs(&self.store.load().config_hash);
        self.source.history.note(Reload { duration: look.began.elapsed(), ..reload });
        self.outlets.events.publish(Happened::to_process(EventKind::Reload, text));
    }

    fn note_refusal(&self, hash: Option<String>, refusal: &Refusal, look: Look, text: String) {
        let (errors, more) = refusal.errors();
        let generation = self.store.load().generation;
        let reload = Reload::new(Outcome::Refused, look.cause, generation, hash);
        self.note(Reload { errors, more, ..reload }, look, text);
    }

    /// The source says what runs already, perhaps in other words.
    fn keep(&self, source: &Source, look: Look) {
        let hash = config::hash(&source.bytes);
        let running = self.store.load();
        let by_files = look.cause == Cause::Certificates;
        if by_files && running.config_hash == hash && self.source.load().in_sync() {
            return;
        }
        if running.config_hash != hash {
            self.store.swap(running.with_hash(hash.clone()));
        }
        // Other words, or the ones before again after a mistake.
        let is_edit = running.config_hash != hash || !self.source.load().in_sync();
        self.source.ends(Outcome::Unchanged, look.began.elapsed());
        self.in_sync(&hash, self.source.load().loaded_at);
        let generation = running.generation;
        let text =
            format!("reload: generation {generation} stays: the configuration says the same");
        tracing::info!("{text}");
        if is_edit {
            self.reporter.applied(Some(&hash), &text);
        }
        self.note(Reload::new(Outcome::Unchanged, look.cause, generation, Some(hash)), look, text);
    }

    fn in_sync(&self, hash: &str, loaded_at: Option<SystemTime>) {
        self.source.store(source::Source {
            path: self.path.clone(),
            hash: Some(hash.to_owned()),
            loaded_at,
            refused: None,
        });
    }

    fn refuse(&self, hash: Option<String>, refusal: &Refusal, look: Look) {
        let before = self.source.load();
        let (errors, more) = refusal.errors();
        let is_same =
            |known: &Refused| (&known.hash, &known.errors, known.more) == (&hash, &errors, more);
        if look.cause == Cause::Certificates && before.refused.as_ref().is_some_and(is_same) {
            return;
        }
        self.source.ends(Outcome::Refused, look.began.elapsed());
        self.source.store(source::Source {
            hash: hash.clone(),
            refused: Some(Refused { hash: hash.clone(), at: SystemTime::now(), errors, more }),
            ..(*before).clone()
        });
        let generation = self.store.load().generation;
        let text = format!("reload refused; generation {generation} goes on serving:\n{refusal}");
        tracing::error!("{text}");
        self.note_refusal(hash, refusal, look, text);
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
