//! What carries an attempt: a connection to the endpoint that idles, a place on one that is shared, or a new one.

use super::Journey;
use crate::backend::Backend;
use crate::backend::connection::{ConnectError, Connection, Ends, Key, expiry};
use crate::backend::counters::OpenConnection;
use crate::backend::exchange::Carrier;
use crate::backend::http2::Place;
use crate::backend::http2::connection::Connection as Http2;
use crate::backend::http2::connections::{Connecting, Found};
use crate::clock::Nanos;
use crate::endpoint::Endpoint;
use crate::model::Protocol;
use crate::proxy::error::ProxyError;
use crate::proxy::worker::Worker;
use crate::telemetry::events::{EventKind, Happened};
use std::net::{Ipv4Addr, SocketAddr};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

/// How often a socket is looked for when there is none left, and for how long if `timeouts.connect` does not say.
const EXHAUSTED_PAUSE: Duration = Duration::from_millis(10);
const EXHAUSTED_AT_MOST: Duration = Duration::from_secs(2);

impl Journey<'_> {
    /// What carries an attempt on `endpoint`.
    pub(super) async fn connect(
        &mut self,
        endpoint: &Arc<Endpoint>,
    ) -> Result<Carrier, ProxyError> {
        let key = self.backend().key(endpoint, self.ends());
        match self.backend().model().protocol {
            Protocol::Http1 => self.connection(endpoint, key).await.map(Carrier::Http1),
            Protocol::Http2 | Protocol::H2c => {
                Box::pin(self.place(endpoint, key)).await.map(Carrier::Http2)
            }
        }
    }

    /// For whom a connection speaks, where it must say so.
    fn ends(&self) -> Option<Ends> {
        self.backend().model().proxy_protocol?;
        let client = &self.context.client;
        // Whom a trusted proxy names has no port that we know.
        let named = self.record.client_address.map(|address| SocketAddr::new(address, 0));
        let unknown = SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0));
        Some(Ends {
            client: named.unwrap_or(client.peer.get()),
            local: client.local.get().unwrap_or(unknown),
        })
    }

    /// A connection to `endpoint`: one that idles, or a new one.
    async fn connection(
        &self,
        endpoint: &Arc<Endpoint>,
        key: Key,
    ) -> Result<Connection, ProxyError> {
        if !self.replayed {
            // What must not be sent twice is worth a closer look at the connection first.
            let thorough = !self.inbound.parts.method.is_idempotent();
            let mut pool = self.context.worker.pool.borrow_mut();
            if let Some(connection) = pool.take(key, self.record.started, thorough) {
                return Ok(connection);
            }
        }
        let connecting = Box::pin(self.open(endpoint, key));
        let connected = self.in_time(connecting).await;
        if connected.is_err() {
            self.backend().counters().cut_off(self.context.worker.id);
        }
        let connected = connected?;
        note(&self.context.worker, self.backend(), endpoint, &connected);
        Ok(connected?)
    }

    async fn open(&self, endpoint: &Endpoint, key: Key) -> Result<Connection, ConnectError> {
        let worker = &self.context.worker;
        let backend = self.backend();
        let dial = async || {
            let stream = backend.dial(endpoint, &endpoint.resolution(), key.ends).connect().await?;
            let expires_at = expiry(backend.model().timeouts.max_connection_age, Instant::now());
            let open = OpenConnection::new(backend.counters(), worker.id);
            Ok(Connection::new(stream, expires_at, key).counted(open))
        };
        let other = || {
            let mut pool = worker.pool.borrow_mut();
            (!self.replayed).then(|| pool.take(key, Instant::now(), true)).flatten()
        };
        patiently(worker, backend, key, dial, other).await
    }

    /// A place on a connection to `endpoint`. Requests that find none wait for the same connect.
    async fn place(&self, endpoint: &Arc<Endpoint>, key: Key) -> Result<Place, ProxyError> {
        loop {
            let found = self.context.worker.pool.borrow_mut().find_place(key, Instant::now());
            let connecting = match found {
                Found::Place(place) => return Ok(place),
                Found::Connecting(connecting) => connecting,
                Found::Begin(connecting) => {
                    self.begin(endpoint, key, Rc::clone(&connecting));
                    connecting
                }
            };
            if let Some(place) = self.in_time(connecting.place()).await?? {
                return Ok(place);
            }
        }
    }

    /// Connects in a task of its own: others wait for it, too, when this request is gone.
    fn begin(&self, endpoint: &Arc<Endpoint>, key: Key, connecting: Rc<Connecting>) {
        let worker = Rc::clone(&self.context.worker);
        let (backend, endpoint) = (Arc::clone(self.backend()), Arc::clone(endpoint));
        tokio::task::spawn_local(async move {
            let dial = async || {
                let resolution = Arc::clone(&endpoint.resolution());
                backend.dial(&endpoint, &resolution, key.ends).connect_http2().await
            };
            let opened = patiently(&worker, &backend, key, dial, || None).await;
            note(&worker, &backend, &endpoint, &opened);
            let opened = opened.map(|(sender, driver)| {
                // Ends when the pool has let the connection go and its last stream has ended.
                tokio::task::spawn_local(async move {
                    if let Err(error) = driver.await {
                        tracing::debug!("HTTP/2 connection to {}: {error}", endpoint.url());
                    }
                });
                let now = Instant::now();
                let expires_at = expiry(backend.model().timeouts.max_connection_age, now);
                let open = OpenConnection::new(backend.counters(), worker.id);
                Http2::new(sender, expires_at, now, Some(open))
            });
            worker.pool.borrow_mut().connected(key, &connecting, opened);
        });
    }
}

/// Dials. When there is no socket left here, whoever was accepted waits for one to become free, or for what `other` may find
/// instead, for as long as a connect may take: others' responses end meanwhile.
async fn patiently<T>(
    worker: &Worker,
    backend: &Backend,
    key: Key,
    dial: impl AsyncFn() -> Result<T, ConnectError>,
    other: impl Fn() -> Option<T>,
) -> Result<T, ConnectError> {
    let until = Instant::now() + backend.model().timeouts.connect.unwrap_or(EXHAUSTED_AT_MOST);
    loop {
        let connected = dial().await;
        let is_exhausted = matches!(connected, Err(ConnectError::Exhausted(_)));
        if !is_exhausted || Instant::now() >= until {
            return connected;
        }
        // What only idles gives way.
        worker.pool.borrow_mut().make_room(key.endpoint);
        tokio::time::sleep(EXHAUSTED_PAUSE).await;
        if let Some(other) = other() {
            return Ok(other);
        }
    }
}

/// Lets the endpoint's record show how a connect ended, and tells those who look on when that changes something.
fn note<T>(
    worker: &Worker,
    backend: &Backend,
    endpoint: &Endpoint,
    connected: &Result<T, ConnectError>,
) {
    let (url, name) = (endpoint.url(), backend.name());
    let words = |what: std::fmt::Arguments<'_>| format!("endpoint {url} of backend {name}: {what}");
    let publish = |text| {
        let events = &worker.shared.outlets.events;
        events.publish(Happened::to_endpoint(EventKind::PassOver, name, url, text));
    };
    backend.counters().connected(worker.id, connected);
    match connected {
        Ok(_) => {
            let now = Nanos::now();
            if endpoint.connected(now) {
                backend.refresh(now);
                let text = words(format_args!("a connect succeeded, it serves again"));
                tracing::info!("{text}");
                publish(text);
            }
        }
        // Our own want says nothing about the endpoint.
        Err(ConnectError::Exhausted(_)) => {}
        Err(
            error @ (ConnectError::NoAddress(_)
            | ConnectError::Failed { .. }
            | ConnectError::TimedOut { .. }
            | ConnectError::HandshakeTimedOut { .. }
            | ConnectError::Http2 { .. }
            | ConnectError::Tls { .. }),
        ) => {
            let now = Nanos::now();
            let (_, is_first) = endpoint.connect_failed(now, error);
            backend.refresh(now);
            if is_first {
                let text = words(format_args!("passed over until a connect succeeds: {error}"));
                tracing::warn!("{text}");
                publish(text);
            }
        }
    }
}
