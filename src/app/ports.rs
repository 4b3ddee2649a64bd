//! Every port that the process has: bound before a snapshot runs, put to use and given back after.

use super::{Bound, Listeners, RESOLVE_AT_MOST, traces};
use crate::admin::{self, AdminContext, AdminServer, BoundListener};
use crate::control::Effects;
use crate::model::{Listener, Model, TraceExporter};
use crate::probe;
use crate::proxy::Proxy;
use crate::snapshot::Snapshot;
use crate::socket;
use crate::telemetry::control_span;
use crate::telemetry::metrics::ListenerCounters;
use crate::telemetry::traces::Options as TraceOptions;
use std::net::{SocketAddr, TcpListener};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The ports in use.
pub(super) struct Ports {
    proxy: Proxy,
    workers: usize,
    loopback_only: bool,
    context: AdminContext,
    listeners: Arc<Mutex<Vec<Open>>>,
    admin: Option<Served>,
    probes: Option<Served>,
    /// Where spans go.
    traces: Option<TraceExporter>,
}

/// A listener that accepts.
struct Open {
    name: Arc<str>,
    /// As configured; port 0 stays 0.
    configured: SocketAddr,
    address: SocketAddr,
    counters: Arc<ListenerCounters>,
}

/// An admin or probes port that is served.
struct Served {
    configured: SocketAddr,
    server: AdminServer,
}

/// Ports that a model needs and that are not in use yet.
pub(super) struct Prepared {
    sockets: Vec<(Listener, SocketAddr, Vec<TcpListener>)>,
    admin: Change,
    probes: Change,
    /// Where spans are to go, if that changes.
    traces: Option<Option<(TraceExporter, TraceOptions)>>,
}

/// What becomes of an admin or probes port.
enum Change {
    Keep,
    Close,
    Replace(Served),
}

impl Ports {
    pub(super) fn new(
        proxy: Proxy,
        mut context: AdminContext,
        workers: usize,
        loopback_only: bool,
    ) -> Self {
        let listeners: Arc<Mutex<Vec<Open>>> = Arc::default();
        let shown = Arc::clone(&listeners);
        context.listeners = Arc::new(move || {
            let bound = |open: &Open| BoundListener {
                name: Arc::clone(&open.name),
                address: open.address,
                configured: open.configured,
                counters: Arc::clone(&open.counters),
            };
            lock(&shown).iter().map(bound).collect()
        });
        let (admin, probes, traces) = (None, None, None);
        Self { proxy, workers, loopback_only, context, listeners, admin, probes, traces }
    }

    /// Gives the listeners' addresses whenever it is asked.
    pub(super) fn listeners(&self) -> Listeners {
        Arc::clone(&self.context.listeners)
    }

    /// Where the ports are.
    pub(super) fn bound(&self) -> Bound {
        let listeners = lock(&self.listeners);
        Bound {
            listeners: listeners
                .iter()
                .map(|open| (Arc::clone(&open.name), open.address))
                .collect(),
            admin: self.admin.as_ref().map(|served| served.server.address()),
            probes: self.probes.as_ref().map(|served| served.server.address()),
        }
    }

    /// Binds the sockets of listeners that are new or have a new address.
    fn bind_listeners(
        &self,
        next: &Model,
    ) -> Result<Vec<(Listener, SocketAddr, Vec<TcpListener>)>, String> {
        let open = lock(&self.listeners);
        let is_kept = |listener: &Listener| {
            open.iter()
                .any(|open| open.name == listener.name && open.configured == listener.address)
        };
        let mut bound = Vec::new();
        for listener in next.listeners.iter().filter(|listener| !is_kept(listener)) {
            let name = &listener.name;
            let sockets = socket::bind(listener.address, self.workers)
                .map_err(|error| format!("listener {name} (listeners[].address): {error}"))?;
            let address = sockets.first().map(TcpListener::local_addr);
            let address = address.and_then(Result::ok).unwrap_or(listener.address);
            bound.push((listener.clone(), address, sockets));
        }
        Ok(bound)
    }

    /// Refuses an address that others could reach, where only loopback is allowed.
    fn guard_loopback(&self, next: &Model) -> Result<(), String> {
        let listeners = next.listeners.iter().map(|listener| {
            (format!("listener {} (listeners[].address)", listener.name), listener.address)
        });
        let admin = next.admin.map(|address| ("admin.address".to_owned(), address));
        let probes = next.probes.map(|address| ("probes.address".to_owned(), address));
        let mut reachable = listeners
            .chain(admin)
            .chain(probes)
            .filter(|(_, address)| self.loopback_only && !address.ip().is_loopback());
        match reachable.next() {
            None => Ok(()),
            Some((key, address)) => Err(format!(
                "{key}: the demo listens on loopback addresses only, not on {address}; choose 127.0.0.1 or [::1], \
                 or use `outrigger run`"
            )),
        }
    }

    /// Makes ready where spans are to go, if it is not where they go.
    fn prepare_traces(
        &self,
        next: &Model,
    ) -> Result<Option<Option<(TraceExporter, TraceOptions)>>, String> {
        let wanted = next.traces.as_ref().map(|traces| &traces.exporter);
        if wanted == self.traces.as_ref() {
            return Ok(None);
        }
        let with_options = |exporter: &TraceExporter| {
            traces::options(exporter).map(|options| (exporter.clone(), options))
        };
        wanted.map(with_options).transpose().map(Some)
    }

    fn commit_traces(&mut self, changed: Option<(TraceExporter, TraceOptions)>) {
        let exporter = &self.context.outlets.exporter;
        let (traces, options) = changed.unzip();
        control_span::export_by(options.is_some().then(|| exporter.clone()));
        exporter.apply(options);
        self.traces = traces;
    }

    fn change(
        &self,
        present: Option<&Served>,
        wanted: Option<SocketAddr>,
        start: impl Fn(SocketAddr, AdminContext) -> Result<AdminServer, admin::BindError>,
    ) -> Result<Change, String> {
        match wanted {
            _ if wanted == present.map(|served| served.configured) => Ok(Change::Keep),
            None => Ok(Change::Close),
            Some(configured) => start(configured, self.context.clone())
                .map(|server| Change::Replace(Served { configured, server }))
                .map_err(|error| error.to_string()),
        }
    }

    /// Opens and closes listeners as `next` says; returns how many connections are told to close.
    fn commit_listeners(
        &self,
        sockets: Vec<(Listener, SocketAddr, Vec<TcpListener>)>,
        next: &Snapshot,
    ) -> usize {
        let mut open = lock(&self.listeners);
        let mut closed = 0;
        let drain = next.model.shutdown.drain_timeout;
        open.retain(|open| {
            let stays = next.model.listeners.iter().any(|listener| listener.name == open.name);
            if !stays {
                closed += open.counters.open();
                self.proxy.unlisten(&open.name, Some(drain));
            }
            stays
        });
        for (listener, address, sockets) in sockets {
            let Listener { name, address: configured, .. } = listener;
            let known = open.iter_mut().find(|open| open.name == name);
            let counters = match known {
                // It moves: its connections stay, only its sockets are others.
                Some(known) => {
                    self.proxy.unlisten(&name, None);
                    (known.configured, known.address) = (configured, address);
                    Arc::clone(&known.counters)
                }
                None => {
                    let counters = Arc::new(ListenerCounters::new(self.workers));
                    let kept = Arc::clone(&counters);
                    open.push(Open { name: Arc::clone(&name), configured, address, counters });
                    kept
                }
            };
            self.proxy.listen(&name, sockets, &counters);
        }
        closed
    }
}

impl Change {
    fn apply(self, port: &mut Option<Served>) {
        match self {
            Self::Keep => {}
            Self::Close => *port = None,
            Self::Replace(served) => *port = Some(served),
        }
    }
}

impl Effects for Ports {
    type Prepared = Prepared;

    fn prepare(&mut self, next: &Model) -> Result<Prepared, String> {
        self.guard_loopback(next)?;
        Ok(Prepared {
            sockets: self.bind_listeners(next)?,
            admin: self.change(self.admin.as_ref(), next.admin, admin::start)?,
            probes: self.change(self.probes.as_ref(), next.probes, admin::start_probes)?,
            traces: self.prepare_traces(next)?,
        })
    }

    async fn resolve(&mut self, next: &Snapshot) {
        probe::resolve_all(next, RESOLVE_AT_MOST).await;
    }

    fn commit(&mut self, prepared: Prepared, next: &Snapshot) -> usize {
        prepared.admin.apply(&mut self.admin);
        prepared.probes.apply(&mut self.probes);
        if let Some(changed) = prepared.traces {
            self.commit_traces(changed);
        }
        self.commit_listeners(prepared.sockets, next)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
