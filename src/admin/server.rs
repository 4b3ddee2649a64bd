//! A small HTTP server that asks little of its clients and suffers little from them.

use super::AdminContext;
use super::routes::{self, Peer};
use super::stall::Stalling;
use super::stream::Streams;
use crate::socket;
use axum::{Extension, Router};
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;
use thiserror::Error;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::time::{Instant, sleep, timeout, timeout_at};

/// How long a request's head may take, and how long a connection may be idle.
const HEADER_TIMEOUT: Duration = Duration::from_secs(30);

/// How long accepting pauses when the system has no more file descriptors to give.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// How long, after the port closed, a connection without a request may still send one.
const STOP_GRACE: Duration = Duration::from_millis(100);

/// What clients may ask of a port.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    /// Connections at a time; others wait.
    pub(super) connections: usize,
    /// How long a client may take nothing of what is written to it, and how long an answer goes on after the port closed.
    pub(super) stalled: Duration,
}

impl Limits {
    /// Room for a handful of scrapers and people.
    pub(super) const ORDINARY: Self = Self { connections: 256, stalled: Duration::from_secs(60) };
}

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
#[error("{key}: {source}")]
pub struct BindError {
    key: &'static str,
    source: socket::BindError,
}

/// A port that is served. It closes when this is dropped; requests in flight are finished.
#[derive(Debug)]
pub struct AdminServer {
    address: SocketAddr,
    /// The tasks see it go.
    _stop: watch::Sender<()>,
}

impl AdminServer {
    pub(super) fn start(
        port: Port,
        address: SocketAddr,
        context: Arc<AdminContext>,
    ) -> Result<Self, BindError> {
        let failed = |source| BindError { key: port.key(), source };
        let other = |source| failed(socket::BindError::Other { address, source });
        let mut sockets = socket::bind(address, 1).map_err(failed)?;
        // One worker, one socket.
        let socket = sockets.pop().ok_or_else(|| other(io::ErrorKind::NotFound.into()))?;
        let listener = TcpListener::from_std(socket).map_err(other)?;
        Self::serve(port, listener, context, Limits::ORDINARY).map_err(other)
    }

    pub(super) fn serve(
        port: Port,
        listener: TcpListener,
        context: Arc<AdminContext>,
        limits: Limits,
    ) -> io::Result<Self> {
        let address = listener.local_addr()?;
        let (stop, stopped) = watch::channel(());
        let router = routes::router(port, context, Streams::new(stopped.clone()));
        tokio::spawn(accept(listener, router, limits, stopped));
        Ok(Self { address, _stop: stop })
    }

    /// The address it is bound to, with the port that the system chose where that was left to it.
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

async fn accept(
    listener: TcpListener,
    router: Router,
    limits: Limits,
    mut stopped: watch::Receiver<()>,
) {
    let permits = Arc::new(Semaphore::new(limits.connections));
    let stop = stopped.clone();
    let serve = |(stream, peer), permit: Option<OwnedSemaphorePermit>| {
        let router = router.clone().layer(Extension(Peer(peer)));
        tokio::spawn(connection(stream, router, limits.stalled, stop.clone(), permit));
    };
    let accepting = async {
        loop {
            // Never closed, so that this cannot fail.
            let Ok(permit) = Arc::clone(&permits).acquire_owned().await else { return };
            match listener.accept().await {
                Ok(accepted) => serve(accepted, Some(permit)),
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
    // Who is on the way in, or waits to be accepted, would get a reset when the socket closes.
    if socket::let_nobody_in(&listener).is_ok() {
        let end = Instant::now() + socket::HANDSHAKE;
        while let Ok(Ok(accepted)) = timeout_at(end, listener.accept()).await {
            serve(accepted, None);
        }
    }
    let Ok(listener) = listener.into_std() else { return };
    while let Ok((stream, peer)) = listener.accept() {
        let stream = stream.set_nonblocking(true).and_then(|()| TcpStream::from_std(stream));
        if let Ok(stream) = stream {
            serve((stream, peer), None);
        }
    }
}

async fn connection(
    stream: TcpStream,
    router: Router,
    stalled: Duration,
    mut stopped: watch::Receiver<()>,
    _permit: Option<OwnedSemaphorePermit>,
) {
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_TIMEOUT)
        .serve_connection(
            TokioIo::new(Stalling::new(stream, stalled)),
            TowerToHyperService::new(router),
        );
    let mut connection = pin!(connection);
    let stop = async {
        let _ = stopped.changed().await;
        sleep(STOP_GRACE).await;
    };
    // Errors of a single connection are its client's.
    tokio::select! {
        _ = &mut connection => return,
        () = stop => {}
    }
    connection.as_mut().graceful_shutdown();
    let _ = timeout(stalled, connection).await;
}
