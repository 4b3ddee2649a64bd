//! Wiring: from a configuration file to a running process whose real addresses are known.
//!
//! Threads: one `control` (watching, probing, admin, signals), one per worker, one that writes the access log, one that sends
//! spans where there are traces, and the file watcher's.

mod balance;
mod flush;
mod phases;
mod ports;
mod source;
mod traces;

pub use source::Configuration;

use crate::admin::{AdminContext, BoundListener, Explain, ExplainQuery};
use crate::config::watch::ReadError;
use crate::config::{self, Loaded, Problems};
use crate::control::{Control, Effects, Origin, worker_count};
use crate::explain::{Case, Question, Request};
use crate::kubernetes::{Connection, Watches};
use crate::lifecycle::{Drain, Lifecycle, Phase, ReadyGuard, Signals, raise_open_files};
use crate::model::{Listener, Model};
use crate::probe;
use crate::proxy::{Proxy, Threads};
use crate::snapshot::history::{Cause, Outcome, Reload};
use crate::snapshot::{Snapshot, Store};
use crate::telemetry::access_log::AccessLog;
use crate::telemetry::events::{EventKind, Happened};
use crate::telemetry::log::{self, Filter};
use crate::telemetry::metrics::{self, Sample};
use crate::telemetry::observe::Observer;
use crate::telemetry::traces::Exporter;
use crate::telemetry::{Outlets, control_span};
use ports::{Ports, Prepared};
use source::{Opened, discover, load, open, reporter, source_status};
use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, SystemTime};

/// How long a new endpoint's name may take to resolve before its snapshot runs without it.
const RESOLVE_AT_MOST: Duration = Duration::from_secs(1);

/// What to run.
#[derive(Clone)]
pub struct Options {
    /// Where the configuration is.
    pub config: Configuration,
    /// Whether ports on other than loopback addresses are refused: listeners, admin and probes.
    pub loopback_only: bool,
    /// Told of every request that ended.
    pub observer: Option<Observer>,
}

/// Where the process listens at its start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bound {
    /// The listeners, by name.
    pub listeners: Vec<(Arc<str>, SocketAddr)>,
    /// The admin port, unless it is turned off.
    pub admin: Option<SocketAddr>,
    /// The probes port, if there is one.
    pub probes: Option<SocketAddr>,
}

/// Why a process does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The configuration file cannot be read.
    #[error("{0}")]
    Read(#[from] ReadError),
    /// The configuration is not valid.
    #[error("{0}")]
    Config(Problems),
    /// Something that the configuration names cannot be used. The message names the file and the key.
    #[error("{0}")]
    Compile(String),
    /// A port cannot be had, or must not. The message names the file and the key.
    #[error("{0}")]
    Port(String),
    /// The system refused something that every process needs.
    #[error("cannot start: {0}")]
    System(#[from] io::Error),
}

/// Gives the listeners as they are bound now, in the order in which they were added.
pub type Listeners = Arc<dyn Fn() -> Vec<BoundListener> + Send + Sync>;

/// A running process.
pub struct App {
    bound: Bound,
    lifecycle: Lifecycle,
    store: Arc<Store>,
    listeners: Listeners,
    control: JoinHandle<Cut>,
}

/// How many requests a process ended in the middle of: after the drain timeout, or on a second signal.
type Cut = usize;

impl App {
    /// Reads the configuration, binds every port and starts to serve. Returns once it listens; it is ready when the
    /// lifecycle says so.
    pub fn start(options: Options) -> Result<Self, StartError> {
        let (sender, started) = std::sync::mpsc::sync_channel(1);
        let control = std::thread::Builder::new().name("control".to_owned()).spawn(move || {
            let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
                Ok(runtime) => runtime,
                Err(error) => {
                    let _ = sender.send(Err(error.into()));
                    return 0;
                }
            };
            let cut = runtime.block_on(async {
                match Running::start(options).await {
                    Err(error) => {
                        let _ = sender.send(Err(error));
                        0
                    }
                    Ok(running) => {
                        let _ = sender.send(Ok(running.summary()));
                        running.serve().await
                    }
                }
            });
            // A look-up that hangs must not keep the process from ending.
            runtime.shutdown_background();
            cut
        })?;
        let ended = || io::Error::other("the control thread ended");
        let (bound, lifecycle, store, listeners) = started.recv().map_err(|_| ended())??;
        Ok(Self { bound, lifecycle, store, listeners, control })
    }

    /// Where it listened at its start.
    pub fn bound(&self) -> &Bound {
        &self.bound
    }

    /// Where its listeners are now.
    pub fn listeners(&self) -> &Listeners {
        &self.listeners
    }

    /// Its phase; also the way to stop it.
    pub fn lifecycle(&self) -> &Lifecycle {
        &self.lifecycle
    }

    /// Its running snapshot.
    pub fn store(&self) -> &Arc<Store> {
        &self.store
    }

    /// Waits until it has ended; returns how many requests were cut, because the drain timeout or a second signal came
    /// before their end.
    pub fn join(self) -> io::Result<usize> {
        self.control.join().map_err(|_| io::Error::other("the control thread panicked"))
    }
}

impl fmt::Debug for App {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("App").field("bound", &self.bound).finish_non_exhaustive()
    }
}

/// The parts of a process that is about to serve.
struct Running {
    control: Control<Ports>,
    signals: Signals,
    proxy: Proxy,
    threads: Threads,
    access_log: Arc<AccessLog>,
    starting: ReadyGuard,
    bound: Bound,
}

impl Running {
    async fn start(options: Options) -> Result<Self, StartError> {
        let began = tokio::time::Instant::now();
        let lifecycle = Lifecycle::new();
        let starting = lifecycle.hold_ready("configuration");
        let signals = Signals::install()?;
        let files = raise_open_files();
        match &files {
            Ok(files) => tracing::debug!("{files}"),
            Err(error) => tracing::warn!(%error, "the limit of open files cannot be raised"),
        }
        let kubernetes = Connection::inferred();
        let Opened { source, watcher, name, folder } = open(options.config, &kubernetes).await?;
        let Loaded { mut model, files: named, .. } = load(&source, &name, &folder).await?;
        let mut discovery = discover(&mut model, &lifecycle, &kubernetes).await;
        let workers = worker_count(&model);
        lifecycle.set_drain(Drain {
            delay: model.shutdown.drain_delay,
            timeout: model.shutdown.drain_timeout,
        });
        let hash = config::hash(&source.bytes);
        let snapshot = Snapshot::compile(Arc::new(model), hash.clone(), None, workers)
            .map_err(|reason| StartError::Compile(format!("{name}: {reason}")))?;
        probe::resolve_all(&snapshot, RESOLVE_AT_MOST).await;
        let store = Arc::new(Store::new(snapshot));
        discovery.in_use();
        let status = source_status(&name, hash.clone());

        let outlets = Outlets::default();
        let access_log = Arc::new(AccessLog::start()?);
        let (proxy, threads) = Proxy::start(
            workers,
            Arc::clone(&store),
            Arc::clone(&access_log),
            outlets.clone(),
            options.observer,
            files.map_or(usize::MAX, |files| files.for_clients(workers)),
        )?;
        let context = AdminContext {
            store: Arc::clone(&store),
            source: Arc::clone(&status),
            lifecycle: lifecycle.clone(),
            workers,
            listeners: Arc::new(Vec::new),
            extra: samples(&proxy, &access_log, &outlets.exporter, kubernetes.watches()),
            explain: explain(&store),
            log: Filter::of_process(),
            outlets: outlets.clone(),
            version: crate::VERSION,
            commit: crate::COMMIT,
            started_at: SystemTime::now(),
        };
        let mut ports = Ports::new(proxy.clone(), context, workers, options.loopback_only);
        let prepared = ports.prepare(&store.load().model);
        let prepared: Prepared = match prepared {
            Ok(prepared) => prepared,
            Err(reason) => {
                // The workers have nothing to do yet; they must not outlive the failed start.
                proxy.end();
                threads.join();
                access_log.finish();
                return Err(StartError::Port(format!("{name}: {reason}")));
            }
        };
        ports.commit(prepared, &store.load());
        let bound = ports.bound();
        let start = Reload::new(Outcome::Accepted, Cause::Start, 1, Some(hash.clone()));
        status.history.note(Reload { duration: began.elapsed(), ..start });
        let text = format!("generation 1 runs: {name}");
        outlets.events.publish(Happened::to_process(EventKind::Reload, text));
        let origin = Origin { source, files: named };
        let control = Control {
            store,
            source: status,
            lifecycle,
            watcher,
            discovery,
            running: origin.clone(),
            latest: origin,
            effects: ports,
            outlets,
            reporter: reporter(&kubernetes, &hash),
            path: name,
            folder,
            workers,
        };
        Ok(Self { control, signals, proxy, threads, access_log, starting, bound })
    }

    fn summary(&self) -> (Bound, Lifecycle, Arc<Store>, Listeners) {
        let Control { lifecycle, store, effects, .. } = &self.control;
        (self.bound.clone(), lifecycle.clone(), Arc::clone(store), effects.listeners())
    }

    /// Serves until the end of the process's life.
    async fn serve(self) -> Cut {
        let lifecycle = self.control.lifecycle.clone();
        let first_round = lifecycle.hold_ready("first probe round");
        let events = Arc::clone(&self.control.outlets.events);
        let _probes = probe::start(Arc::clone(&self.control.store), events, first_round);
        tokio::spawn(balance::watch(Arc::clone(&self.control.store)));
        drop(self.starting);
        announce(&self.bound, &self.control.store.load().model, self.control.workers);
        tokio::spawn(self.signals.serve(lifecycle.clone()));
        let events = Arc::clone(&self.control.outlets.events);
        let told = lifecycle.clone();
        tokio::spawn(async move { phases::tell(told, &events).await });
        // Owned to the end: the admin and probes ports tell of the closing, too.
        let mut control = self.control;
        tokio::select! {
            // A snapshot that came later could bind sockets that nobody would close.
            () = control.run() => {}
            () = lifecycle.wait_for(Phase::Closing) => {}
        }
        self.proxy.close();
        let threads = self.threads;
        let mut ended = tokio::task::spawn_blocking(move || threads.join());
        let cut = tokio::select! {
            _ = &mut ended => 0,
            () = lifecycle.wait_for(Phase::Ended) => {
                let cut = in_flight(&control.store.load());
                self.proxy.end();
                let _ = ended.await;
                cut
            }
        };
        self.access_log.finish();
        control_span::export_by(None);
        flush::flush(&lifecycle, &control.outlets.exporter).await;
        lifecycle.end_now();
        match cut {
            0 => tracing::info!("ended"),
            cut => tracing::warn!("ended in the middle of {cut} requests"),
        }
        cut
    }
}

/// Requests that endpoints have not answered to the end; an upgraded connection is one, too.
fn in_flight(snapshot: &Snapshot) -> usize {
    let members = snapshot.backends.iter().flat_map(|backend| backend.members());
    members.map(|member| member.endpoint.in_flight() as usize).sum()
}

/// Explains requests by the snapshot that runs when it is asked.
fn explain(store: &Arc<Store>) -> Arc<Explain> {
    let store = Arc::clone(store);
    Arc::new(move |query| {
        let ExplainQuery { url, method, headers, listener, client_address } = query;
        let question = Question { url, method, headers, client_address: *client_address };
        let request = Request::new(&question).map_err(|wrong| wrong.to_string())?;
        let snapshot = store.load();
        let case = Case::new(&snapshot, &request, listener.as_deref());
        Ok(case.map_err(|wrong| wrong.to_string())?.json())
    })
}

/// What the data plane counts besides its backends. To be called on the control runtime.
fn samples(
    proxy: &Proxy,
    access_log: &Arc<AccessLog>,
    exporter: &Exporter,
    watches: &Arc<Watches>,
) -> Arc<dyn Fn() -> Vec<Sample> + Send + Sync> {
    let (proxy, access_log) = (proxy.clone(), Arc::clone(access_log));
    let (exporter, watches) = (exporter.clone(), Arc::clone(watches));
    let control = tokio::runtime::Handle::current().metrics();
    Arc::new(move || {
        let mut samples = vec![
            Sample::tasks("control", control.num_alive_tasks()),
            Sample::tasks("workers", proxy.tasks()),
            Sample::of(&metrics::CLIENT_CONNECTIONS, proxy.connections() as f64),
            Sample::of(&metrics::ACCESS_LOG_DROPPED, access_log.dropped() as f64),
            Sample::of(&metrics::LOG_DROPPED, log::dropped() as f64),
        ];
        let shared = proxy.shared();
        samples.extend(Sample::by_code(&metrics::REQUESTS_REFUSED, &shared.refused));
        samples.extend(Sample::by_code(&metrics::REQUESTS_ANSWERED, &shared.own_answers));
        samples.extend(Sample::spans(exporter.counts()));
        samples.extend(Sample::worker_delays(&shared.delays));
        samples.extend(watches.samples());
        samples
    })
}

fn announce(bound: &Bound, model: &Model, workers: usize) {
    for (name, address) in &bound.listeners {
        let is_tls = |known: &Listener| known.name == *name && known.tls.is_some();
        let scheme = if model.listeners.iter().any(is_tls) { "https" } else { "http" };
        tracing::info!("listener {name} on {scheme}://{address}, {workers} workers");
    }
    if let Some(address) = bound.admin {
        tracing::info!(
            "admin on http://{address}: the dashboard, /status, /metrics, /livez, /readyz, /api/v1"
        );
    }
    if let Some(address) = bound.probes {
        tracing::info!("probes on http://{address}: /livez, /readyz, /metrics");
    }
}
