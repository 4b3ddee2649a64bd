//! A server: its socket, its connections, and what a test may tell it while it runs.

use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use rustls::ServerConfig;
use tokio::net::{TcpListener, TcpSocket, TcpStream, lookup_host};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::Step;
use crate::connection::{Connection, End};
use crate::counters::{Counters, Counts, Open};
use crate::http2;
use crate::response::Response;
use crate::stream::Stream;

/// Connections that may wait to be accepted: more than any test opens at once.
const BACKLOG: u32 = 1024;

/// How long accepting rests after an error such as "too many open files", which only time heals.
const ACCEPT_PAUSE: Duration = Duration::from_millis(20);

/// What the connections of a server share.
pub(crate) struct Shared {
    pub(crate) name: String,
    /// The whole answer of `/` and `/health`.
    pub(crate) ok: Bytes,
    pub(crate) counters: Arc<Counters>,
    pub(crate) released: watch::Sender<bool>,
    /// Whether a connection ends when no request is in flight on it.
    pub(crate) draining: watch::Sender<bool>,
    pub(crate) idle: Option<Duration>,
    /// Streams of an HTTP/2 connection at once; none if it does not say.
    pub(crate) max_streams: Option<u32>,
    tls: Option<Arc<ServerConfig>>,
    http2: bool,
    delay: AtomicU64,
    scripts: Mutex<HashMap<String, Arc<[Step]>>>,
    /// The bytes received, by connection; none if they are not recorded.
    tape: Option<Mutex<Vec<Vec<u8>>>>,
}

impl Shared {
    pub(crate) fn delay(&self) -> Duration {
        Duration::from_nanos(self.delay.load(Relaxed))
    }

    pub(crate) fn script(&self, path: &str) -> Option<Arc<[Step]>> {
        lock(&self.scripts).get(path).cloned()
    }

    pub(crate) fn record(&self, connection: u64, bytes: &[u8]) {
        let Some(tape) = &self.tape else { return };
        // Connections are counted from 1.
        let index = connection as usize - 1;
        let mut tape = lock(tape);
        if tape.len() <= index {
            tape.resize_with(index + 1, Vec::new);
        }
        tape[index].extend_from_slice(bytes);
    }
}

/// A panic elsewhere leaves nothing half-changed behind these locks.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Why a server did not start, and what to do about it.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen on {address}: {}", advice(.address, .source))]
pub struct StartError {
    /// The address that was asked for.
    pub address: String,
    /// The system's answer.
    pub source: io::Error,
}

fn advice(address: &str, error: &io::Error) -> String {
    let port = address.rsplit(':').next().unwrap_or(address);
    match error.kind() {
        io::ErrorKind::AddrInUse => format!(
            "port {port} is taken by another program; `ss -ltnp 'sport = :{port}'` (macOS: `lsof -i :{port}`) \
             shows which: stop it, or choose another port"
        ),
        io::ErrorKind::PermissionDenied => {
            format!("port {port} needs privileges; choose a port from 1024 up")
        }
        io::ErrorKind::AddrNotAvailable => {
            "this machine has no such address; 127.0.0.1 is always there, 0.0.0.0 means all"
                .to_owned()
        }
        _ => error.to_string(),
    }
}

/// A server to be started.
#[derive(Clone, Debug)]
pub struct Builder {
    name: Option<String>,
    address: String,
    delay: Duration,
    idle: Option<Duration>,
    record: bool,
    tls: Option<Arc<ServerConfig>>,
    http2: bool,
    max_streams: Option<u32>,
}

impl Builder {
    /// The name in the header `x-test-server`; the port unless given.
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = Some(name.into());
        self
    }

    /// Where to listen, as `HOST:PORT`; `127.0.0.1:0`, a free port on loopback, unless given.
    pub fn address(mut self, address: impl Into<String>) -> Self {
        self.address = address.into();
        self
    }

    /// Where to listen, as host and port. An IPv6 address needs no brackets.
    pub fn host(self, host: &str, port: u16) -> Self {
        if host.contains(':') && !host.starts_with('[') {
            self.address(format!("[{host}]:{port}"))
        } else {
            self.address(format!("{host}:{port}"))
        }
    }

    /// How long `/` takes to answer; no time unless given.
    pub fn delay(mut self, delay: Duration) -> Self {
        self.delay = delay;
        self
    }

    /// Closes a connection on which no request begins for so long; never unless given.
    pub fn idle(mut self, idle: Duration) -> Self {
        self.idle = Some(idle);
        self
    }

    /// Keeps every byte received, for [`Server::received`].
    pub fn record(mut self) -> Self {
        self.record = true;
        self
    }

    /// Takes TLS connections only. A client with which `h2` is agreed on (ALPN) speaks HTTP/2.
    pub fn tls(mut self, config: impl Into<Arc<ServerConfig>>) -> Self {
        self.tls = Some(config.into());
        self
    }

    /// Without TLS, speaks HTTP/2 with clients that begin with its preface (RFC 9113, section 3.3).
    pub fn http2(mut self) -> Self {
        self.http2 = true;
        self
    }

    /// How many streams at once a client is told it may have on a connection of HTTP/2.
    pub fn max_streams(mut self, streams: u32) -> Self {
        self.max_streams = Some(streams);
        self
    }

    /// Binds the port and serves on tasks of the current tokio runtime.
    ///
    /// # Errors
    /// The address does not resolve, is taken, or is not this machine's.
    pub async fn start(self) -> Result<Server, StartError> {
        let failed = |source| StartError { address: self.address.clone(), source };
        let address = lookup_host(&self.address)
            .await
            .and_then(|mut found| found.next().ok_or_else(|| io::ErrorKind::NotFound.into()))
            .map_err(failed)?;
        let reservation = reserve(address).map_err(failed)?;
        let address = match &reservation {
            Some(reserved) => reserved.local_addr().map_err(failed)?,
            None => address,
        };
        let listener = listen(address).map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        let name = self.name.unwrap_or_else(|| address.port().to_string());
        let shared = Arc::new(Shared {
            ok: Response::new(&name, 200).json(br#"{"message":"ok"}"#).into(),
            name,
            counters: Arc::default(),
            released: watch::Sender::new(false),
            draining: watch::Sender::new(false),
            idle: self.idle,
            max_streams: self.max_streams,
            tls: self.tls,
            http2: self.http2,
            delay: AtomicU64::new(nanoseconds(self.delay)),
            scripts: Mutex::default(),
            tape: self.record.then(Mutex::default),
        });
        let ends = watch::Sender::new(End::Close);
        let accepting = Mutex::new(Some(accept(listener, shared.clone(), ends.clone())));
        Ok(Server { shared, address, ends, accepting, _reservation: reservation })
    }
}

/// A running server. Dropping it stops it.
pub struct Server {
    shared: Arc<Shared>,
    address: SocketAddr,
    /// Every connection watches this and ends at the next value sent.
    ends: watch::Sender<End>,
    accepting: Mutex<Option<JoinHandle<()>>>,
    /// While the server is stopped, this keeps the port from becoming somebody else's.
    _reservation: Option<TcpSocket>,
}

impl Server {
    /// A server to be configured and started.
    pub fn builder() -> Builder {
        Builder {
            name: None,
            address: "127.0.0.1:0".to_owned(),
            delay: Duration::ZERO,
            idle: None,
            record: false,
            tls: None,
            http2: false,
            max_streams: None,
        }
    }

    /// The name it gives in `x-test-server`.
    pub fn name(&self) -> &str {
        &self.shared.name
    }

    /// The address it listens on, with the real port.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// `http://ADDRESS` or `https://ADDRESS`, without a slash at the end.
    pub fn url(&self) -> String {
        let scheme = if self.shared.tls.is_some() { "https" } else { "http" };
        format!("{scheme}://{}", self.address)
    }

    /// How long `/` takes now.
    pub fn delay(&self) -> Duration {
        self.shared.delay()
    }

    /// Changes how long `/` takes, for requests that arrive from now on.
    pub fn set_delay(&self, delay: Duration) {
        self.shared.delay.store(nanoseconds(delay), Relaxed);
    }

    /// Answers a path by these steps from now on, in place of what the table says. The query does not
    /// count as part of the path.
    pub fn script(&self, path: impl Into<String>, steps: impl Into<Arc<[Step]>>) {
        lock(&self.shared.scripts).insert(path.into(), steps.into());
    }

    /// Takes the script of a path away again.
    pub fn unscript(&self, path: &str) {
        lock(&self.shared.scripts).remove(path);
    }

    /// Requests that wait for a release wait from now on. This is so at the start.
    pub fn hold(&self) {
        self.shared.released.send_replace(false);
    }

    /// Lets every request go that waits for a release, and those that come until [`Self::hold`].
    pub fn release(&self) {
        self.shared.released.send_replace(true);
    }

    /// What it has seen so far.
    pub fn counts(&self) -> Counts {
        self.shared.counters.now()
    }

    /// Requests to a path, whatever their query. The first 1,024 distinct paths are counted.
    pub fn requests_to(&self, path: &str) -> u64 {
        self.shared.counters.requests_to(path)
    }

    /// Waits, without limit, until the counters satisfy a condition, and returns them.
    pub async fn wait_until(&self, reached: impl FnMut(&Counts) -> bool) -> Counts {
        self.shared.counters.wait_until(reached).await
    }

    /// Waits, without limit, until at least so many requests have been received since the start.
    pub async fn wait_for_requests(&self, requests: u64) {
        self.wait_until(|counts| counts.requests >= requests).await;
    }

    /// Waits, without limit, until exactly so many requests are in flight.
    pub async fn wait_for_in_flight(&self, in_flight: u64) {
        self.wait_until(|counts| counts.in_flight == in_flight).await;
    }

    /// The bytes received so far, one item per connection in the order they were accepted; nothing
    /// without [`Builder::record`]. What is sent inside a WebSocket is not part of it.
    pub fn received(&self) -> Vec<Vec<u8>> {
        self.shared.tape.as_ref().map(|tape| lock(tape).clone()).unwrap_or_default()
    }

    /// Closes every open connection, busy or idle, and goes on listening.
    pub fn close_connections(&self) {
        self.ends.send_replace(End::Close);
    }

    /// Resets every open connection, busy or idle, and goes on listening.
    pub fn reset_connections(&self) {
        self.ends.send_replace(End::Reset);
    }

    /// Closes the listening socket, so that new connections are refused, and leaves the open ones alone.
    pub async fn stop_listening(&self) {
        let accepting = lock(&self.accepting).take();
        if let Some(accepting) = accepting {
            accepting.abort();
            // Only an aborted task has dropped its socket; the error says that it was aborted.
            let _ = accepting.await;
        }
    }

    /// Closes the listening socket and every connection, busy or idle; returns when that is done.
    pub async fn stop(&self) {
        self.stop_listening().await;
        self.close_connections();
        self.wait_until(|counts| counts.open_connections == 0).await;
    }

    /// Closes the listening socket and every connection as soon as no request is in flight on it, which for
    /// idle ones is at once; returns when all are closed. The end of a well-kept server.
    pub async fn drain(&self) {
        self.stop_listening().await;
        self.shared.draining.send_replace(true);
        self.wait_until(|counts| counts.open_connections == 0).await;
    }

    /// Like [`Self::stop`], with a reset of every connection: the server as it is when its machine dies.
    pub async fn stop_by_reset(&self) {
        self.stop_listening().await;
        self.reset_connections();
        self.wait_until(|counts| counts.open_connections == 0).await;
    }

    /// Listens again on the same port; does nothing if it listens already. Counters, scripts and the
    /// delay are kept.
    ///
    /// # Errors
    /// Another program took the port, which cannot happen on Linux.
    pub fn restart(&self) -> Result<(), StartError> {
        let mut accepting = lock(&self.accepting);
        if accepting.is_none() {
            let listener = listen(self.address)
                .map_err(|source| StartError { address: self.address.to_string(), source })?;
            self.shared.draining.send_replace(false);
            *accepting = Some(accept(listener, self.shared.clone(), self.ends.clone()));
        }
        Ok(())
    }
}

impl std::fmt::Debug for Server {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Server")
            .field("name", &self.shared.name)
            .field("address", &self.address)
            .field("counts", &self.counts())
            .finish_non_exhaustive()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(accepting) = lock(&self.accepting).take() {
            accepting.abort();
        }
        self.close_connections();
    }
}

fn nanoseconds(duration: Duration) -> u64 {
    duration.as_nanos().try_into().unwrap_or(u64::MAX)
}

fn socket(address: SocketAddr) -> io::Result<TcpSocket> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    // Connections of an earlier run that linger in TIME_WAIT do not keep the port.
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    Ok(socket)
}

fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    socket(address)?.listen(BACKLOG)
}

/// A socket that is bound and never listens. On Linux it lets our own listening socket come and go, and
/// keeps the port from being picked for an outgoing connection, which may even connect to itself.
/// Elsewhere two sockets cannot share a port so.
fn reserve(address: SocketAddr) -> io::Result<Option<TcpSocket>> {
    if cfg!(target_os = "linux") { socket(address).map(Some) } else { Ok(None) }
}

fn accept(listener: TcpListener, shared: Arc<Shared>, ends: watch::Sender<End>) -> JoinHandle<()> {
    tokio::spawn(async move {
        loop {
            match listener.accept().await {
                Ok((stream, _)) => {
                    let open = Open::new(&shared.counters);
                    tokio::spawn(serve(stream, shared.clone(), open, ends.subscribe()));
                }
                Err(_) => tokio::time::sleep(ACCEPT_PAUSE).await,
            }
        }
    })
}

async fn serve(stream: TcpStream, shared: Arc<Shared>, open: Open, mut ends: watch::Receiver<End>) {
    // An answer is written in one piece; there is nothing to gather. A socket that cannot do it serves too.
    let _ = stream.set_nodelay(true);
    let handshake = async {
        let stream = Stream::accept(stream, shared.tls.as_ref()).await?;
        let http2 = (shared.tls.is_some() || shared.http2) && stream.is_http2().await?;
        io::Result::Ok((stream, http2))
    };
    let (stream, is_http2) = tokio::select! {
        done = handshake => match done {
            Ok(done) => done,
            Err(_) => return,
        },
        _ = ends.changed() => return,
    };
    if is_http2 {
        tokio::select! {
            () = http2::serve(stream, shared, open.number) => {}
            _ = ends.changed() => {}
        }
        return;
    }
    let mut connection = Connection::new(stream, shared, open.number);
    let end = tokio::select! {
        end = connection.serve() => end,
        // An error means that the server is gone.
        _ = ends.changed() => *ends.borrow(),
    };
    connection.end(end, &mut ends).await;
}
