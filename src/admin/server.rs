//! A small HTTP server on a socket that can move to another address while it runs.

use super::{AdminContext, routes};
use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;
use thiserror::Error;
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::time::sleep;

/// How long a request's head may take, and how long a connection may be idle.
const HEADER_TIMEOUT: Duration = Duration::from_secs(30);

/// Connections at a time; others wait. A handful of scrapers and people, with room.
const MAX_CONNECTIONS: usize = 256;

/// How long accepting pauses when the system has no more file descriptors to give.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Connections that wait to be accepted.
const BACKLOG: u32 = 128;

/// What is served.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Port {
    Admin,
    Probes,
}

impl Port {
    /// The key of the configuration that names its address.
    fn key(self) -> &'static str {
        match self {
            Self::Admin => "admin.address",
            Self::Probes => "probes.address",
        }
    }
}

/// A port that cannot be served.
#[derive(Debug, Error)]
#[error("{key} {address}: {}", reason(.source, .key))]
pub struct BindError {
    key: &'static str,
    address: SocketAddr,
    source: io::Error,
}

fn reason(error: &io::Error, key: &str) -> String {
    match error.kind() {
        io::ErrorKind::AddrInUse => {
            format!("another process listens there already; stop it, or choose another {key}")
        }
        io::ErrorKind::PermissionDenied => format!(
            "ports below 1024 need root or CAP_NET_BIND_SERVICE; choose a {key} with a greater port"
        ),
        io::ErrorKind::AddrNotAvailable => {
            format!("this machine has no such address; choose one of its own for {key}")
        }
        _ => error.to_string(),
    }
}

/// A port that is served; it closes when this is dropped, requests in flight are finished.
#[derive(Debug)]
pub struct AdminServer {
    port: Port,
    router: Router,
    /// `None` only while it moves.
    socket: Option<Socket>,
    address: SocketAddr,
}

/// A listening socket; its tasks see the sender go.
#[derive(Debug)]
struct Socket {
    _stop: watch::Sender<()>,
    accepting: tokio::task::JoinHandle<()>,
}

impl AdminServer {
    pub(super) fn start(
        port: Port,
        address: SocketAddr,
        context: Arc<AdminContext>,
    ) -> Result<Self, BindError> {
        let router = routes::router(port, context);
        let (address, listener) = bind(port, address)?;
        let socket = Some(Socket::serve(listener, router.clone()));
        Ok(Self { port, router, socket, address })
    }

    /// The address it is bound to.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Moves to `address`; when that is not possible, it stays where it was. Returns the new address.
    pub async fn rebind(&mut self, address: SocketAddr) -> Result<SocketAddr, BindError> {
        if address == self.address {
            return Ok(address);
        }
        let bound = match bind(self.port, address) {
            // `127.0.0.1:9900` and `0.0.0.0:9900` are in each other's way: the first has to go first.
            Err(error) if address.port() == self.address.port() => {
                self.move_over(address, error).await
            }
            other => other,
        };
        let (address, listener) = bound?;
        self.address = address;
        self.socket = Some(Socket::serve(listener, self.router.clone()));
        Ok(address)
    }

    async fn move_over(
        &mut self,
        address: SocketAddr,
        error: BindError,
    ) -> Result<(SocketAddr, TcpListener), BindError> {
        if error.source.kind() != io::ErrorKind::AddrInUse {
            return Err(error);
        }
        if let Some(socket) = self.socket.take() {
            socket.close().await;
        }
        let moved = bind(self.port, address);
        if moved.is_err() {
            let (_, listener) = bind(self.port, self.address)?;
            self.socket = Some(Socket::serve(listener, self.router.clone()));
        }
        moved
    }
}

/// Without SO_REUSEPORT, so that a port in use is an error and not a lottery.
fn bind(port: Port, address: SocketAddr) -> Result<(SocketAddr, TcpListener), BindError> {
    let listen = || {
        let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
        socket.set_reuseaddr(true)?;
        socket.bind(address)?;
        let listener = socket.listen(BACKLOG)?;
        Ok((listener.local_addr()?, listener))
    };
    listen().map_err(|source| BindError { key: port.key(), address, source })
}

impl Socket {
    fn serve(listener: TcpListener, router: Router) -> Self {
        let (stop, stopped) = watch::channel(());
        Self { _stop: stop, accepting: tokio::spawn(accept(listener, router, stopped)) }
    }

    /// Returns when the listening socket is closed.
    async fn close(self) {
        let Self { _stop, accepting } = self;
        drop(_stop);
        let _ = accepting.await;
    }
}

async fn accept(listener: TcpListener, router: Router, mut stopped: watch::Receiver<()>) {
    let permits = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    let connections = stopped.clone();
    let accepting = async {
        loop {
            // Never closed, so that this cannot fail.
            let Ok(permit) = Arc::clone(&permits).acquire_owned().await else { return };
            match listener.accept().await {
                Ok((stream, _)) => {
                    tokio::spawn(connection(stream, router.clone(), connections.clone(), permit));
                }
                Err(error) => {
                    tracing::warn!("admin: cannot accept a connection: {error}");
                    sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    };
    tokio::select! {
        () = accepting => {}
        _ = stopped.changed() => {}
    }
}

async fn connection(
    stream: TcpStream,
    router: Router,
    mut stopped: watch::Receiver<()>,
    _permit: OwnedSemaphorePermit,
) {
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_TIMEOUT)
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(router));
    let mut connection = pin!(connection);
    // Errors of a single connection are its client's.
    tokio::select! {
        _ = &mut connection => return,
        _ = stopped.changed() => {}
    }
    connection.as_mut().graceful_shutdown();
    let _ = connection.await;
}
