//! One worker: a thread with its own runtime, sockets, connection pools and view of the running snapshot.

use super::client::{ClientState, Closing, ListenerState};
use super::observed::Observed;
use super::present::Present as FieldsPresent;
use super::timer::Timers;
use super::trace::{self, Trace};
use super::{Shared, connection, listener};
use crate::backend::Backend;
use crate::backend::pool::{IDLE_TIMEOUT, Pool};
use crate::endpoint::Endpoint;
use crate::model::{self, AccessLog, LogOutput, SecretText};
use crate::router::{Asked, Route, Router};
use crate::snapshot::{Snapshot, SnapshotCache};
use crate::telemetry::access_log::{AccessLogSender, Batch};
use crate::telemetry::metrics::{ListenerCounters, ListenerTally};
use http::{HeaderMap, HeaderValue, request::Parts};
use jiff::Timestamp;
use jiff::fmt::rfc2822::DateTimePrinter;
use slab::Slab;
use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::io;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::rc::Rc;
use std::sync::{Arc, Weak};
use std::thread::JoinHandle;
use std::time::Duration;
use tokio::runtime::{LocalOptions, RuntimeMetrics};
use tokio::sync::{Notify, mpsc, watch};
use tokio::time::Instant;

/// A batch of log lines is handed over when it has reached this size, or this age.
const LOG_BATCH_BYTES: usize = 32 * 1024;
const LOG_BATCH_AGE: Duration = Duration::from_millis(10);

/// How long connections may take to go when they are dropped: they only write their lines of the log.
const ABORT_AT_MOST: Duration = Duration::from_secs(1);

/// The route that takes a request.
#[derive(Debug)]
pub struct Taken {
    /// The route.
    pub route: Arc<Route>,
    /// How many bytes of the path the prefix has that it was matched by.
    pub prefix: Option<usize>,
}

/// What a worker is asked to do.
#[derive(Debug)]
pub enum Command {
    /// Know a listener, whose connections other workers may hand over from now on.
    Listen {
        /// The listener's name.
        name: Arc<str>,
        /// What the listener counts.
        counters: Arc<ListenerCounters>,
    },
    /// Accept for a listener.
    Accept {
        /// The listener's name.
        name: Arc<str>,
        /// This worker's own socket.
        socket: TcpListener,
    },
    /// Stop accepting on the sockets that a listener has had until now.
    Unlisten {
        /// The listener's name.
        name: Arc<str>,
        /// If set, the connections that came by it close, at the latest after this time.
        drain: Option<Duration>,
    },
    /// Serve a connection that another worker accepted.
    Adopt {
        /// The connection.
        stream: TcpStream,
        /// The client.
        peer: SocketAddr,
        /// The listener's name.
        name: Arc<str>,
    },
    /// Stop accepting; ask clients to close; end with the last connection.
    Close,
    /// End now.
    End,
}

/// One worker's state. Nothing here is shared with another thread but [`Shared`].
pub struct Worker {
    /// Its number.
    pub id: usize,
    /// What all workers share.
    pub shared: Arc<Shared>,
    /// Idle connections to endpoints.
    pub pool: RefCell<Pool>,
    /// The alarms of its connections.
    pub timers: Rc<Timers>,
    /// Its source of chance.
    pub rng: RefCell<fastrand::Rng>,
    /// Client connections, so that they can be told of changes.
    pub clients: RefCell<Slab<Rc<ClientState>>>,
    /// Whether clients are asked to close.
    pub closing: Cell<bool>,
    snapshot: RefCell<SnapshotCache>,
    listeners: RefCell<HashMap<Arc<str>, Entry>>,
    present: RefCell<Present>,
    retired: RefCell<HashMap<u64, (Weak<Endpoint>, Instant)>>,
    log: LogBuffer,
    /// What of the requests is kept, and for whom.
    observed: Cell<Observed>,
    /// What a client shows that may know how its endpoint is picked.
    debug_token: RefCell<Option<SecretText>>,
    /// The second for which it holds, and the value of the `Date` field.
    date: RefCell<(i64, HeaderValue)>,
    changed: Notify,
    /// Whether its connections are being dropped: those that still come are, too.
    ending: Cell<bool>,
}

/// The endpoints of the running snapshot, by id.
type Present = HashMap<u64, Weak<Endpoint>>;

/// A listener of this worker.
struct Entry {
    state: Rc<ListenerState>,
    /// Told when its sockets are to be closed.
    stop: watch::Sender<bool>,
}

/// Lines that wait to be handed over.
struct LogBuffer {
    sender: AccessLogSender,
    settings: Cell<AccessLog>,
    batch: RefCell<(Vec<u8>, u64)>,
    waiting: Notify,
}

/// Starts worker `id`; also gives the numbers of its runtime.
pub fn spawn(
    id: usize,
    shared: Arc<Shared>,
    commands: mpsc::UnboundedReceiver<Command>,
) -> io::Result<(JoinHandle<()>, RuntimeMetrics)> {
    let (sender, started) = std::sync::mpsc::sync_channel(1);
    let thread = std::thread::Builder::new().name(format!("worker-{id}")).spawn(move || {
        // Its tasks never leave the thread, so it has to be made here. (A `LocalSet`'s tasks would not be counted.)
        let mut builder = tokio::runtime::Builder::new_current_thread();
        let runtime = match builder.enable_all().build_local(LocalOptions::default()) {
            Ok(runtime) => runtime,
            Err(error) => return drop(sender.send(Err(error))),
        };
        let _ = sender.send(Ok(runtime.handle().metrics()));
        let worker = Worker::new(id, shared);
        runtime.block_on(Rc::clone(&worker).run(commands));
        // With the tasks go the last requests, which write their lines on the way.
        drop(runtime);
        worker.flush_log();
    })?;
    let metrics = started.recv().map_err(|_| io::Error::other("the worker's thread ended"))??;
    Ok((thread, metrics))
}

impl Worker {
    fn new(id: usize, shared: Arc<Shared>) -> Rc<Self> {
        let mut snapshot = shared.store.cache();
        let settings = snapshot.load().model.access_log;
        let observed = Observed::by(&snapshot.load().model);
        let sender = shared.access_log.sender();
        Rc::new(Self {
            id,
            pool: RefCell::default(),
            timers: Timers::new(),
            rng: RefCell::new(fastrand::Rng::with_seed(seed())),
            clients: RefCell::default(),
            closing: Cell::new(false),
            snapshot: RefCell::new(snapshot),
            listeners: RefCell::default(),
            present: RefCell::default(),
            retired: RefCell::default(),
            log: LogBuffer {
                sender,
                settings: Cell::new(settings),
                batch: RefCell::default(),
                waiting: Notify::new(),
            },
            observed: Cell::new(observed),
            debug_token: RefCell::default(),
            date: RefCell::new((i64::MIN, HeaderValue::from_static(""))),
            changed: Notify::new(),
            ending: Cell::new(false),
            shared,
        })
    }

    /// Obeys until it is told to end, or to close and has nothing left to close.
    async fn run(self: Rc<Self>, mut commands: mpsc::UnboundedReceiver<Command>) {
        let mut swapped = self.shared.store.subscribe();
        let mut sweep = tokio::time::interval(IDLE_TIMEOUT / 4);
        sweep.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        tokio::task::spawn_local(Rc::clone(&self).hand_over_log());
        tokio::task::spawn_local(Rc::clone(&self).ring_timers());
        self.follow_snapshot();
        while !(self.closing.get() && self.ends_unused()) {
            tokio::select! {
                command = commands.recv() => match command {
                    Some(Command::End) | None => break,
                    Some(command) => self.obey(command),
                },
                Ok(()) = swapped.changed() => self.follow_snapshot(),
                due = sweep.tick() => self.sweep(due),
                () = self.changed.notified() => {}
            }
        }
        self.ending.set(true);
        self.abort_clients();
        // The aborted connections get their turn, so that their requests are recorded.
        let gone = async {
            while !self.clients.borrow().is_empty() {
                self.changed.notified().await;
            }
        };
        let _ = tokio::time::timeout(ABORT_AT_MOST, gone).await;
    }

    fn obey(self: &Rc<Self>, command: Command) {
        match command {
            Command::Listen { name, counters } => self.listen(name, counters),
            Command::Accept { name, socket } => self.accept(&name, socket),
            Command::Unlisten { name, drain } => self.unlisten(&name, drain),
            Command::Adopt { stream, peer, name } => {
                let listener =
                    self.listeners.borrow().get(&name).map(|entry| Rc::clone(&entry.state));
                if let (Some(listener), Ok(stream)) =
                    (listener, tokio::net::TcpStream::from_std(stream))
                {
                    self.serve(stream, peer, listener);
                } else {
                    self.leave();
                }
            }
            Command::Close => self.close(),
            Command::End => {}
        }
    }

    fn listen(&self, name: Arc<str>, counters: Arc<ListenerCounters>) {
        let mut listeners = self.listeners.borrow_mut();
        // One that was removed before is another.
        listeners.retain(|known, entry| *known != name || entry.state.closes_at.get().is_none());
        listeners.entry(Arc::clone(&name)).or_insert_with(|| Entry {
            state: Rc::new(self.listener_state(name, counters)),
            stop: watch::Sender::new(false),
        });
    }

    fn listener_state(&self, name: Arc<str>, counters: Arc<ListenerCounters>) -> ListenerState {
        let mut cache = self.snapshot.borrow_mut();
        let snapshot = cache.load();
        let listeners = &snapshot.model.listeners;
        let found = listeners.iter().find(|known| known.name == name);
        // The first listener's settings for one that is just being removed: it serves nobody any more.
        let model = found.unwrap_or(&listeners[0]);
        let state = ListenerState {
            name,
            limits: Cell::new(model.limits),
            trusted_proxies: RefCell::default(),
            tls: RefCell::default(),
            forward_certificate: Cell::default(),
            proxy_protocol: Cell::new(model.proxy_protocol),
            router: RefCell::new(Arc::clone(&snapshot.router)),
            closes_at: Cell::new(None),
            counters: ListenerTally::new(counters, self.id),
        };
        follow(&state, model, snapshot);
        state
    }

    fn accept(self: &Rc<Self>, name: &Arc<str>, socket: TcpListener) {
        let listeners = self.listeners.borrow();
        let Some(entry) = listeners.get(name) else { return };
        let socket = match tokio::net::TcpListener::from_std(socket) {
            Ok(socket) => socket,
            Err(error) => {
                tracing::error!(listener = &**name, %error, "the socket cannot be served");
                return;
            }
        };
        let accepting = listener::accept(
            Rc::clone(self),
            socket,
            Rc::clone(&entry.state),
            entry.stop.subscribe(),
        );
        tokio::task::spawn_local(accepting);
    }

    fn unlisten(&self, name: &Arc<str>, drain: Option<Duration>) {
        let mut listeners = self.listeners.borrow_mut();
        let Some(entry) = listeners.get_mut(name) else { return };
        entry.stop.send_replace(true);
        match drain {
            // Its connections stay, and so does their listener; only the sockets go.
            None => entry.stop = watch::Sender::new(false),
            Some(drain) => {
                // It stays known meanwhile, for connections that other workers hand over.
                let closing = Closing { at: Instant::now() + drain, after: drain };
                entry.state.closes_at.set(Some(closing));
                self.wake_clients();
            }
        }
    }

    /// Whether its connections are being dropped.
    pub fn is_ending(&self) -> bool {
        self.ending.get()
    }

    /// Serves a connection that is counted already.
    pub fn serve(
        self: &Rc<Self>,
        stream: tokio::net::TcpStream,
        peer: SocketAddr,
        listener: Rc<ListenerState>,
    ) {
        // Counted here already: a burst is accepted before the first of its connections has its turn.
        listener.counters.opens();
        tokio::task::spawn_local(connection::serve(Rc::clone(self), stream, peer, listener));
    }

    /// Counts a connection that was accepted, and says which worker is to serve it: this one, unless it has more than its
    /// share. (The kernel spreads many connections well, and few badly.)
    pub fn place(&self) -> usize {
        let workers = &self.shared.workers;
        let least = (0..workers.len()).min_by_key(|id| workers[*id].load()).unwrap_or(self.id);
        if workers[self.id].load() > workers[least].load() && workers[least].enter() {
            return least;
        }
        workers[self.id].enter();
        self.id
    }

    /// Hands an accepted connection, counted there already, to worker `id`.
    pub fn hand_over(&self, id: usize, stream: TcpStream, peer: SocketAddr, name: &Arc<str>) {
        self.shared.workers[id].send(Command::Adopt { stream, peer, name: Arc::clone(name) });
    }

    /// The value of the `Date` field (RFC 9110, section 6.6.1).
    pub fn date(&self) -> HeaderValue {
        let now = Timestamp::now();
        let mut date = self.date.borrow_mut();
        if date.0 != now.as_second() {
            // It has a form for every year of four digits.
            let text = DateTimePrinter::new().timestamp_to_rfc9110_string(&now).unwrap_or_default();
            *date = (now.as_second(), HeaderValue::try_from(text).unwrap_or(date.1.clone()));
        }
        date.1.clone()
    }

    /// A stream of a connection has ended.
    pub fn stream_ended(&self) {
        // The connection's own end tells the rest.
        if self.ending.get() {
            self.changed.notify_one();
        }
    }

    /// Counts a connection that has ended.
    pub fn leave(&self) {
        self.shared.workers[self.id].leave();
        self.changed.notify_one();
    }

    /// The route of a request that came by `listener`, if there is one, and the generation that this belongs to. The snapshot itself is let go at once, so that nothing slow keeps an old one
    /// alive.
    pub fn route(&self, listener: &ListenerState, asked: &Asked<'_>) -> (Option<Taken>, u64) {
        let mut cache = self.snapshot.borrow_mut();
        let snapshot = cache.load();
        let find = |router: &Router| {
            let found = router.find(&listener.name, asked)?;
            Some(Taken { route: Arc::clone(found.route), prefix: found.prefix })
        };
        let found = find(&snapshot.router).or_else(|| {
            // What still comes by a listener that was removed goes where it went before.
            let removed = !snapshot.router.knows(&listener.name);
            removed.then(|| find(&listener.router.borrow())).flatten()
        });
        (found, snapshot.generation)
    }

    /// The backend of this name with the endpoints that it has now, as long as the configuration is that of `generation`: a request
    /// never sees two of them, but the endpoints of a Service come and go within one.
    pub fn backend(&self, name: &str, generation: u64) -> Option<Arc<Backend>> {
        let mut cache = self.snapshot.borrow_mut();
        let snapshot = cache.load();
        let is_same = snapshot.generation == generation;
        snapshot.backend(name).filter(|_| is_same).map(Arc::clone)
    }

    /// The running snapshot. Not to be held across an await.
    pub fn snapshot(&self) -> Arc<Snapshot> {
        Arc::clone(self.snapshot.borrow_mut().load())
    }

    /// The running generation.
    pub fn generation(&self) -> u64 {
        self.snapshot.borrow_mut().load().generation
    }

    /// When conversations with a removed endpoint must end; `None` if it is still there.
    pub fn retires_at(&self, endpoint: u64) -> Option<Instant> {
        self.retired.borrow().get(&endpoint).map(|(_, deadline)| *deadline)
    }

    /// Lets go of the old snapshot, and of what only it needed.
    fn follow_snapshot(&self) {
        let snapshot = self.snapshot();
        self.log.settings.set(snapshot.model.access_log);
        self.observed.set(Observed::by(&snapshot.model));
        self.debug_token.replace(snapshot.model.decisions.debug_token.clone());
        for listener in &snapshot.model.listeners {
            if let Some(entry) = self.listeners.borrow().get(&listener.name) {
                follow(&entry.state, listener, &snapshot);
            }
        }
        self.retire_endpoints(&snapshot);
        self.wake_clients();
    }

    /// Closes idle connections to endpoints that are gone, and sets an end to conversations with them.
    fn retire_endpoints(&self, snapshot: &Snapshot) {
        let members = snapshot.backends.iter().flat_map(|backend| backend.members());
        let present: Present = members
            .map(|member| (member.endpoint.id(), Arc::downgrade(&member.endpoint)))
            .collect();
        self.pool.borrow_mut().retain(|id| present.contains_key(&id));
        let deadline = Instant::now() + snapshot.model.shutdown.drain_timeout;
        let before = self.present.replace(present.clone());
        let mut retired = self.retired.borrow_mut();
        for (id, endpoint) in before.into_iter().filter(|(id, _)| !present.contains_key(id)) {
            retired.entry(id).or_insert((endpoint, deadline));
        }
        // Or it is back.
        retired
            .retain(|id, (endpoint, _)| endpoint.strong_count() > 0 && !present.contains_key(id));
    }

    fn sweep(&self, due: Instant) {
        self.rings_late(due);
        let now = Instant::now();
        let is_known =
            |entry: &Entry| entry.state.closes_at.get().is_none_or(|closing| closing.at > now);
        self.listeners.borrow_mut().retain(|_, entry| is_known(entry));
        let mut pool = self.pool.borrow_mut();
        if !pool.is_empty() {
            pool.sweep(now);
        }
        self.publish_idle(&mut pool);
    }

    fn close(&self) {
        self.closing.set(true);
        for entry in self.listeners.borrow().values() {
            entry.stop.send_replace(true);
        }
        self.wake_clients();
    }

    /// Ends if it has no connection and accepts none.
    fn ends_unused(&self) -> bool {
        let accepting =
            self.listeners.borrow().values().any(|entry| entry.stop.receiver_count() > 0);
        !accepting && self.shared.workers[self.id].end_if_unused()
    }

    /// To be called when a listener has closed its socket.
    pub fn stopped_accepting(&self) {
        self.changed.notify_one();
    }

    fn wake_clients(&self) {
        for (_, client) in &*self.clients.borrow() {
            client.wake();
        }
    }

    fn abort_clients(&self) {
        for (_, client) in &*self.clients.borrow() {
            client.abort.set(true);
        }
        self.wake_clients();
    }

    /// What of the requests is kept, and for whom.
    pub fn observed(&self) -> Observed {
        self.observed.get()
    }

    /// The place in a trace of the request with this head, if there are traces.
    pub fn begin_trace(&self, parts: &Parts, present: FieldsPresent) -> Option<Trace> {
        let settings = self.observed.get().traces?;
        Some(Trace::begin(&settings, parts, present, &mut self.rng.borrow_mut()))
    }

    /// Whether a client with these fields may know how its endpoint is picked.
    pub fn may_know(&self, headers: &HeaderMap) -> bool {
        let token = self.debug_token.borrow();
        token.as_ref().is_some_and(|token| trace::may_know(headers, &token.0))
    }

    /// Whether the request that just ended is to be logged.
    pub fn logs_this(&self) -> bool {
        let settings = self.log.settings.get();
        settings.enabled
            && (settings.sample == crate::model::Ratio::ONE
                || self.rng.borrow_mut().f64() < settings.sample.value())
    }

    /// Adds a line to the access log.
    pub fn log_line(&self, write: impl FnOnce(&mut Vec<u8>)) {
        let full = {
            let mut batch = self.log.batch.borrow_mut();
            let (bytes, lines) = &mut *batch;
            if bytes.is_empty() {
                self.log.waiting.notify_one();
            }
            write(bytes);
            *lines += 1;
            bytes.len() >= LOG_BATCH_BYTES
        };
        if full {
            self.flush_log();
        }
    }

    fn flush_log(&self) {
        let (bytes, lines) = self.log.batch.take();
        if lines > 0 {
            let to_stderr = self.log.settings.get().output == LogOutput::Stderr;
            let next = Vec::with_capacity(bytes.len().min(LOG_BATCH_BYTES) + 1024);
            self.log.batch.replace((next, 0));
            self.shared.access_log.send(&self.log.sender, Batch { bytes, lines, to_stderr });
        }
    }

    /// Hands over batches that do not fill up.
    async fn hand_over_log(self: Rc<Self>) {
        loop {
            self.log.waiting.notified().await;
            // Time itself is meant: lines of these milliseconds go out with one system call.
            tokio::time::sleep(LOG_BATCH_AGE).await;
            self.flush_log();
        }
    }
}

/// A seed that nobody can guess: the system's own chance keys the hasher.
fn seed() -> u64 {
    RandomState::new().hash_one(())
}

/// Makes `state` what the listener `model` of `snapshot` wants.
fn follow(state: &ListenerState, model: &model::Listener, snapshot: &Snapshot) {
    state.limits.set(model.limits);
    state.trusted_proxies.replace(model.trusted_proxies.clone());
    state.tls.replace(snapshot.tls(&model.name).cloned());
    let auth = model.tls.as_ref().and_then(|tls| tls.client_auth.as_ref());
    state.forward_certificate.set(auth.is_some_and(|auth| auth.forward_certificate));
    state.proxy_protocol.set(model.proxy_protocol);
    state.router.replace(Arc::clone(&snapshot.router));
}
