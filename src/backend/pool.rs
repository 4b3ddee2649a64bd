//! A worker's connections to endpoints. Of those that idle the most recently used comes first: the others may then grow old and
//! close. Those of HTTP/2 are shared, and stay here while they are used.

use super::connection::{ConnectError, Connection, Key};
use super::http2::connection::Connection as Http2;
use super::http2::connections::{Connecting, Connections, Found};
use rustc_hash::FxHashMap;
use std::rc::Rc;
use std::time::Duration;
use tokio::time::Instant;

/// How long a connection may idle. Node and Apache close theirs after 5 s: we must be first, or a request meets a
/// connection that is just being closed.
pub const IDLE_TIMEOUT: Duration = Duration::from_secs(4);

/// The most idle connections kept per endpoint and worker.
const MAX_IDLE: usize = 1024;

/// One worker's connections.
#[derive(Debug, Default)]
pub struct Pool {
    idle: FxHashMap<Key, Vec<Idle>>,
    shared: FxHashMap<Key, Connections>,
    /// Whether there were idle connections when they were last asked for.
    told_idle: bool,
}

#[derive(Debug)]
struct Idle {
    connection: Connection,
    since: Instant,
}

impl Pool {
    /// Takes the connection that was used last and is still usable; see [`Connection::is_usable`] for `thorough`.
    pub fn take(&mut self, key: Key, now: Instant, thorough: bool) -> Option<Connection> {
        let idle = self.idle.get_mut(&key)?;
        while let Some(mut last) = idle.pop() {
            if now.saturating_duration_since(last.since) >= IDLE_TIMEOUT {
                // The others have idled for longer still.
                idle.clear();
            } else if last.connection.is_usable(now, thorough) {
                return Some(last.connection);
            }
        }
        None
    }

    /// Keeps a connection for the next request, unless it has reached its age.
    pub fn put(&mut self, mut connection: Connection, now: Instant) {
        let idle = self.idle.entry(connection.key).or_default();
        if idle.len() < MAX_IDLE && connection.is_young(now) {
            connection.rest();
            idle.push(Idle { connection, since: now });
        }
    }

    /// A place on an HTTP/2 connection, or the connect that it comes from; one that is to be begun must be ended with
    /// [`Pool::connected`].
    pub fn find_place(&mut self, key: Key, now: Instant) -> Found {
        self.shared.entry(key).or_default().find(now)
    }

    /// Ends a connect that [`Pool::find_place`] let begin. Unless the endpoint is gone meanwhile, the connection is kept.
    pub fn connected(
        &mut self,
        key: Key,
        connecting: &Rc<Connecting>,
        outcome: Result<Http2, ConnectError>,
    ) {
        match self.shared.get_mut(&key) {
            Some(connections) => connections.connected(connecting, outcome),
            None => drop(connecting.end(outcome)),
        }
    }

    /// Closes what has idled too long.
    pub fn sweep(&mut self, now: Instant) {
        self.idle.retain(|_, idle| {
            let fresh = |idle: &Idle| now.saturating_duration_since(idle.since) < IDLE_TIMEOUT;
            let expired = idle.partition_point(|idle| !fresh(idle));
            idle.drain(..expired);
            !idle.is_empty()
        });
        self.shared.retain(|_, connections| {
            connections.sweep(now);
            !connections.is_empty()
        });
    }

    /// Closes the connections to all endpoints but those that `keep` names. Those with streams end with the last of these.
    pub fn retain(&mut self, keep: impl Fn(u64) -> bool) {
        self.idle.retain(|key, _| keep(key.endpoint));
        self.shared.retain(|key, _| keep(key.endpoint));
    }

    /// Closes the connections that nobody uses to all endpoints but this.
    pub fn make_room(&mut self, endpoint: u64) {
        self.idle.retain(|key, _| key.endpoint == endpoint);
        for (_, others) in self.shared.iter_mut().filter(|(key, _)| key.endpoint != endpoint) {
            others.close_idle();
        }
    }

    /// How many connections to each endpoint carry nothing; `None` if there are none, and were none when it was last asked.
    pub fn idle_if_news(&mut self) -> Option<FxHashMap<u64, usize>> {
        let idle = self.idle();
        let is_news = std::mem::replace(&mut self.told_idle, !idle.is_empty()) || self.told_idle;
        is_news.then_some(idle)
    }

    fn idle(&self) -> FxHashMap<u64, usize> {
        let mut counts = FxHashMap::default();
        let own = self.idle.iter().map(|(key, idle)| (key, idle.len()));
        let shared = self.shared.iter().map(|(key, connections)| (key, connections.idle()));
        for (key, count) in own.chain(shared).filter(|(_, count)| *count > 0) {
            *counts.entry(key.endpoint).or_default() += count;
        }
        counts
    }

    /// Connections in all, but for those of HTTP/1 that are in use.
    pub fn len(&self) -> usize {
        let shared: usize = self.shared.values().map(Connections::len).sum();
        self.idle.values().map(Vec::len).sum::<usize>() + shared
    }

    /// Whether there are none, nor will be.
    pub fn is_empty(&self) -> bool {
        self.idle.is_empty() && self.shared.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backend::connection::Ends;
    use crate::tls::Stream;
    use std::net::SocketAddr;
    use tokio::net::{TcpListener, TcpStream};

    const ENDPOINT: u64 = 7;
    const KEY: Key = Key { endpoint: ENDPOINT, ends: None, tls: None };

    /// A connection to `listener`, and the endpoint's side of it.
    async fn connection(listener: &TcpListener) -> (Connection, TcpStream) {
        let stream = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let connection = Connection::new(Stream::Plain(stream), None, KEY);
        (connection, listener.accept().await.unwrap().0)
    }

    /// A pool with so many connections, each put back a second after the one before.
    async fn filled(count: usize) -> (Pool, Vec<TcpStream>, Instant) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (mut pool, mut peers, start) = (Pool::default(), Vec::new(), Instant::now());
        for number in 0..count {
            let (connection, peer) = connection(&listener).await;
            pool.put(connection, start + second(number as f64));
            peers.push(peer);
        }
        (pool, peers, start)
    }

    fn second(count: f64) -> Duration {
        Duration::from_secs_f64(count)
    }

    fn local_of(connection: Option<Connection>) -> Option<SocketAddr> {
        connection.map(|connection| connection.stream.socket().local_addr().unwrap())
    }

    fn peer(stream: &TcpStream) -> Option<SocketAddr> {
        Some(stream.peer_addr().unwrap())
    }

    #[tokio::test]
    async fn the_connection_that_was_used_last_is_used_next() {
        let (mut pool, peers, start) = filled(3).await;
        let now = start + second(3.0);
        for expected in peers.iter().rev() {
            assert_eq!(local_of(pool.take(KEY, now, true)), peer(expected));
        }
        assert!(pool.take(KEY, now, true).is_none());
        assert!(pool.take(Key { endpoint: ENDPOINT + 1, ..KEY }, now, true).is_none());
    }

    /// B7
    #[tokio::test]
    async fn a_connection_idles_for_less_than_four_seconds() {
        for (idle, is_kept) in [(3.999, true), (4.0, false)] {
            let (mut pool, _peers, start) = filled(1).await;
            assert_eq!(pool.take(KEY, start + second(idle), true).is_some(), is_kept, "{idle}");
            let (mut pool, _peers, start) = filled(1).await;
            pool.sweep(start + second(idle));
            assert_eq!((pool.len(), pool.is_empty()), (usize::from(is_kept), !is_kept), "{idle}");
        }
        // Of several only the older ones go.
        let (mut pool, peers, start) = filled(3).await;
        pool.sweep(start + second(5.0));
        assert_eq!(pool.len(), 1);
        assert_eq!(local_of(pool.take(KEY, start + second(5.0), true)), peer(&peers[2]));
    }

    /// B7
    #[tokio::test]
    async fn a_connection_that_the_endpoint_has_closed_is_passed_by() {
        let (mut pool, mut peers, start) = filled(2).await;
        drop(peers.pop());
        assert_eq!(local_of(pool.take(KEY, start + second(1.0), true)), peer(&peers[0]));
        assert_eq!(pool.len(), 0);
    }

    #[tokio::test]
    async fn no_more_than_the_limit_are_kept_and_each_endpoint_has_its_own() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (mut pool, now) = (Pool::default(), Instant::now());
        for _ in 0..=MAX_IDLE {
            // The other side is of no account here, and would need as many files again.
            pool.put(connection(&listener).await.0, now);
        }
        let mut other = connection(&listener).await.0;
        other.key.endpoint += 1;
        pool.put(other, now);
        assert_eq!(pool.len(), MAX_IDLE + 1);
        pool.retain(|endpoint| endpoint != ENDPOINT);
        assert_eq!(pool.len(), 1);
    }

    #[tokio::test]
    async fn a_connection_that_is_too_old_carries_nothing_more() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (now, mut pool) = (Instant::now(), Pool::default());
        for (put_at, take_at, is_kept) in [(0.0, 1.9, true), (0.0, 2.0, false), (2.0, 2.0, false)] {
            let (mut connection, _peer) = connection(&listener).await;
            connection.expires_at = Some(now + second(2.0));
            pool.put(connection, now + second(put_at));
            let taken = pool.take(KEY, now + second(take_at), true);
            assert_eq!(taken.is_some(), is_kept, "{put_at} {take_at}");
        }
    }

    #[tokio::test]
    async fn a_connection_that_speaks_for_one_client_is_not_used_for_another() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let local = listener.local_addr().unwrap();
        let ends = |client: &str| Some(Ends { client: client.parse().unwrap(), local });
        let (mut connection, peer_side) = connection(&listener).await;
        connection.key.ends = ends("192.0.2.1:5");
        let (mut pool, now) = (Pool::default(), Instant::now());
        pool.put(connection, now);
        for other in [None, ends("192.0.2.2:5"), ends("192.0.2.1:6")] {
            assert!(pool.take(Key { ends: other, ..KEY }, now, true).is_none());
        }
        let same = pool.take(Key { ends: ends("192.0.2.1:5"), ..KEY }, now, true);
        assert_eq!(local_of(same), peer(&peer_side));
    }

    /// After a reload that trusts others, or verifies at last, an old connection is not taken for a verified one.
    #[tokio::test]
    async fn a_connection_is_used_only_by_those_who_trust_the_same() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (mut connection, peer_side) = connection(&listener).await;
        connection.key.tls = Some(1);
        let (mut pool, now) = (Pool::default(), Instant::now());
        pool.put(connection, now);
        for tls in [None, Some(2)] {
            assert!(pool.take(Key { tls, ..KEY }, now, true).is_none());
        }
        assert_eq!(local_of(pool.take(Key { tls: Some(1), ..KEY }, now, true)), peer(&peer_side));
    }
}
