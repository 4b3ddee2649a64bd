//! The immutable compiled form of one configuration, and the store that swaps it as one pointer.

pub mod history;
pub mod source;
#[cfg(test)]
mod tests;

use crate::backend::Backend;
use crate::model::{self, ListenerTls, Model, TlsVersion};
use crate::router::Router;
use crate::tls::{Certificate, Server, ServerOptions, TlsError};
use arc_swap::{ArcSwap, Cache};
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use tokio::sync::watch;

static LIVE: AtomicUsize = AtomicUsize::new(0);

/// One configuration, compiled.
#[derive(Debug)]
pub struct Snapshot {
    /// Its number in this process, counted from 1.
    pub generation: u64,
    /// SHA-256 of the source it came from, in hexadecimal.
    pub config_hash: String,
    /// The configuration itself.
    pub model: Arc<Model>,
    /// Its backends, in the order of the configuration.
    pub backends: Vec<Arc<Backend>>,
    /// Its routes.
    pub router: Arc<Router>,
    /// TLS by the name of the listener that speaks it.
    pub tls: HashMap<Arc<str>, Arc<Server>>,
    _counted: Counted,
}

impl Snapshot {
    /// Compiles `model`, taking over from `previous` everything that did not change and all that was learnt.
    ///
    /// # Errors
    /// When a certificate, a key or another file of TLS cannot be used: which, and why, in an operator's words.
    pub fn compile(
        model: Arc<Model>,
        config_hash: String,
        previous: Option<&Snapshot>,
        workers: usize,
    ) -> Result<Self, String> {
        let generation = previous.map_or(1, |previous| previous.generation + 1);
        Self::build(model, (generation, config_hash), previous, workers)
    }

    /// The same configuration with other endpoints, because those of a Service have come or gone: the same generation.
    ///
    /// # Errors
    /// As [`Snapshot::compile`].
    pub fn with_endpoints(&self, model: Arc<Model>, workers: usize) -> Result<Self, String> {
        Self::build(model, (self.generation, self.config_hash.clone()), Some(self), workers)
    }

    fn build(
        model: Arc<Model>,
        (generation, config_hash): (u64, String),
        previous: Option<&Snapshot>,
        workers: usize,
    ) -> Result<Self, String> {
        let before = previous.into_iter().flat_map(|previous| &previous.backends);
        let before: HashMap<&str, _> = before.map(|backend| (&**backend.name(), backend)).collect();
        let compile = |backend: &model::Backend| {
            Backend::compile(backend, before.get(&*backend.name).copied(), workers)
                .map_err(|error| format!("backend {}: {error}", backend.name))
        };
        let backends: Vec<_> = model.backends.iter().map(compile).collect::<Result<_, _>>()?;
        let tls = servers(&model, previous)?;
        let router = previous.map(|previous| &*previous.router);
        Ok(Self {
            generation,
            config_hash,
            router: Arc::new(Router::compile(&model, &backends, router, workers)),
            backends,
            tls,
            model,
            _counted: Counted::new(),
        })
    }

    /// The same configuration read from a source with other bytes (a comment was edited): the same generation.
    pub fn with_hash(&self, config_hash: String) -> Self {
        Self {
            generation: self.generation,
            config_hash,
            model: Arc::clone(&self.model),
            router: Arc::clone(&self.router),
            backends: self.backends.clone(),
            tls: self.tls.clone(),
            _counted: Counted::new(),
        }
    }

    /// The backend of this name.
    pub fn backend(&self, name: &str) -> Option<&Arc<Backend>> {
        self.backends.iter().find(|backend| &**backend.name() == name)
    }

    /// TLS as the listener of this name speaks it; `None` if it speaks none.
    pub fn tls(&self, listener: &str) -> Option<&Arc<Server>> {
        self.tls.get(listener)
    }

    /// The certificates that are shown, to clients and to endpoints, and who shows them, in the order of the configuration.
    pub fn certificates(&self) -> impl Iterator<Item = (User<'_>, &Arc<Certificate>)> {
        let servers = self.model.listeners.iter().flat_map(|listener| {
            let certificates =
                self.tls(&listener.name).into_iter().flat_map(|tls| &tls.certificates);
            certificates.map(|certificate| (User::Listener(&listener.name), certificate))
        });
        let clients = self.backends.iter().filter_map(|backend| {
            let certificate = backend.tls()?.certificate.as_ref()?;
            Some((User::Backend(backend.name()), certificate))
        });
        servers.chain(clients)
    }

    /// How many snapshots exist in this process: the running one, and those that somebody still holds.
    pub fn live() -> usize {
        LIVE.load(Relaxed)
    }
}

/// Who shows a certificate, by name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum User<'a> {
    /// A listener.
    Listener(&'a str),
    /// A backend, to endpoints that ask for one.
    Backend(&'a str),
}

/// TLS of every listener that speaks it. What did not change is the very same.
fn servers(
    model: &Model,
    previous: Option<&Snapshot>,
) -> Result<HashMap<Arc<str>, Arc<Server>>, String> {
    let before = previous.into_iter().flat_map(|previous| &previous.model.listeners);
    let before: HashMap<&str, _> =
        before.map(|listener| (&*listener.name, listener.tls.as_ref())).collect();
    let listeners = model.listeners.iter();
    let speakers = listeners.filter_map(|listener| Some((&listener.name, listener.tls.as_ref()?)));
    let compile = |(name, tls): (&Arc<str>, &ListenerTls)| {
        let running = previous.and_then(|previous| previous.tls(name));
        let is_same = before.get(&**name).is_some_and(|before| *before == Some(tls));
        let server = match running.filter(|_| is_same) {
            Some(running) => Arc::clone(running),
            None => Arc::new(
                server(tls, running.map(|running| &**running))
                    .map_err(|error| format!("listener {name}: {error}"))?,
            ),
        };
        Ok((Arc::clone(name), server))
    };
    speakers.map(compile).collect()
}

fn server(tls: &ListenerTls, previous: Option<&Server>) -> Result<Server, TlsError> {
    let load = |pair: &model::KeyPair| pair.load().map(Arc::new);
    let options = ServerOptions {
        certificates: tls.certificates.iter().map(load).collect::<Result<_, _>>()?,
        client_auth: tls.client_auth.as_ref().map(model::ClientAuth::options),
        only_tls13: match tls.min_version {
            TlsVersion::Tls12 => false,
            TlsVersion::Tls13 => true,
        },
    };
    Server::new(options, previous)
}

/// Counts snapshots in memory, so that a leak is visible.
#[derive(Debug)]
struct Counted;

impl Counted {
    fn new() -> Self {
        LIVE.fetch_add(1, Relaxed);
        Self
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        LIVE.fetch_sub(1, Relaxed);
    }
}

/// The running snapshot.
#[derive(Debug)]
pub struct Store {
    current: ArcSwap<Snapshot>,
    swapped: watch::Sender<u64>,
}

impl Store {
    /// A store that runs `first`.
    pub fn new(first: Snapshot) -> Self {
        let swapped = watch::Sender::new(first.generation);
        Self { current: ArcSwap::from_pointee(first), swapped }
    }

    /// The running snapshot. Not to be held across an await that may take long.
    pub fn load(&self) -> Arc<Snapshot> {
        self.current.load_full()
    }

    /// A reader for a thread that looks often.
    pub fn cache(self: &Arc<Self>) -> SnapshotCache {
        SnapshotCache(Cache::new(SharedStore(Arc::clone(self))))
    }

    /// Makes `next` the running snapshot and wakes everybody who waits for that.
    pub fn swap(&self, next: Snapshot) {
        let generation = next.generation;
        self.current.store(Arc::new(next));
        self.swapped.send_replace(generation);
    }

    /// Told at every swap.
    pub fn subscribe(&self) -> watch::Receiver<u64> {
        self.swapped.subscribe()
    }
}

/// The store as `arc_swap`'s cache wants to share it.
#[derive(Clone, Debug)]
struct SharedStore(Arc<Store>);

impl std::ops::Deref for SharedStore {
    type Target = ArcSwap<Snapshot>;

    fn deref(&self) -> &Self::Target {
        &self.0.current
    }
}

/// One thread's quick reader of the running snapshot. It keeps the snapshot that it saw last alive.
#[derive(Debug)]
pub struct SnapshotCache(Cache<SharedStore, Arc<Snapshot>>);

impl SnapshotCache {
    /// The running snapshot.
    pub fn load(&mut self) -> &Arc<Snapshot> {
        self.0.load()
    }
}
