//! A worker's idle connections, the most recently used first: the others may then grow old and close.

use super::connection::Connection;
use rustc_hash::FxHashMap;
use std::time::Duration;
use tokio::time::Instant;

/// How long a connection may idle. Node and Apache close theirs after 5 s: we must be first, or a request meets a
/// connection that is just being closed.
pub const IDLE_TIMEOUT: Duration = Duration::from_secs(4);

/// The most idle connections kept per endpoint and worker.
const MAX_IDLE: usize = 1024;

/// One worker's idle connections, by the id of their endpoint.
#[derive(Debug, Default)]
pub struct Pool {
    idle: FxHashMap<u64, Vec<Idle>>,
}

#[derive(Debug)]
struct Idle {
    connection: Connection,
    since: Instant,
}

impl Pool {
    /// Takes the connection to `endpoint` that was used last and is still usable; see [`Connection::is_usable`] for `thorough`.
    pub fn take(&mut self, endpoint: u64, now: Instant, thorough: bool) -> Option<Connection> {
        let idle = self.idle.get_mut(&endpoint)?;
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

    /// Keeps a connection to `endpoint` for the next request, unless it has reached its age.
    pub fn put(&mut self, endpoint: u64, mut connection: Connection, now: Instant) {
        let idle = self.idle.entry(endpoint).or_default();
        if idle.len() < MAX_IDLE && connection.is_young(now) {
            connection.rest();
            idle.push(Idle { connection, since: now });
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
    }

    /// Closes the connections to all endpoints but those that `keep` names.
    pub fn retain(&mut self, keep: impl Fn(u64) -> bool) {
        self.idle.retain(|endpoint, _| keep(*endpoint));
    }

    /// Idle connections in all.
    pub fn len(&self) -> usize {
        self.idle.values().map(Vec::len).sum()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.idle.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backend::connection::Stream;
    use std::net::SocketAddr;
    use tokio::net::{TcpListener, TcpStream};

    const ENDPOINT: u64 = 7;

    /// A connection to `listener`, and the endpoint's side of it.
    async fn connection(listener: &TcpListener) -> (Connection, TcpStream) {
        let stream = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let connection = Connection::new(Stream::Plain(stream), None);
        (connection, listener.accept().await.unwrap().0)
    }

    /// A pool with so many connections, each put back a second after the one before.
    async fn filled(count: usize) -> (Pool, Vec<TcpStream>, Instant) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (mut pool, mut peers, start) = (Pool::default(), Vec::new(), Instant::now());
        for number in 0..count {
            let (connection, peer) = connection(&listener).await;
            pool.put(ENDPOINT, connection, start + second(number as f64));
            peers.push(peer);
        }
        (pool, peers, start)
    }

    fn second(count: f64) -> Duration {
        Duration::from_secs_f64(count)
    }

    fn local(connection: Option<Connection>) -> Option<SocketAddr> {
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
            assert_eq!(local(pool.take(ENDPOINT, now, true)), peer(expected));
        }
        assert!(pool.take(ENDPOINT, now, true).is_none());
        assert!(pool.take(ENDPOINT + 1, now, true).is_none());
    }

    /// B7
    #[tokio::test]
    async fn a_connection_idles_for_less_than_four_seconds() {
        for (idle, is_kept) in [(3.999, true), (4.0, false)] {
            let (mut pool, _peers, start) = filled(1).await;
            assert_eq!(
                pool.take(ENDPOINT, start + second(idle), true).is_some(),
                is_kept,
                "{idle}"
            );
            let (mut pool, _peers, start) = filled(1).await;
            pool.sweep(start + second(idle));
            assert_eq!((pool.len(), pool.is_empty()), (usize::from(is_kept), !is_kept), "{idle}");
        }
        // Of several only the older ones go.
        let (mut pool, peers, start) = filled(3).await;
        pool.sweep(start + second(5.0));
        assert_eq!(pool.len(), 1);
        assert_eq!(local(pool.take(ENDPOINT, start + second(5.0), true)), peer(&peers[2]));
    }

    /// B7
    #[tokio::test]
    async fn a_connection_that_the_endpoint_has_closed_is_passed_by() {
        let (mut pool, mut peers, start) = filled(2).await;
        drop(peers.pop());
        assert_eq!(local(pool.take(ENDPOINT, start + second(1.0), true)), peer(&peers[0]));
        assert_eq!(pool.len(), 0);
    }

    #[tokio::test]
    async fn no_more_than_the_limit_are_kept_and_each_endpoint_has_its_own() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (mut pool, now) = (Pool::default(), Instant::now());
        for _ in 0..=MAX_IDLE {
            // The other side is of no account here, and would need as many files again.
            pool.put(ENDPOINT, connection(&listener).await.0, now);
        }
        pool.put(ENDPOINT + 1, connection(&listener).await.0, now);
        assert_eq!(pool.len(), MAX_IDLE + 1);
        pool.retain(|endpoint| endpoint != ENDPOINT);
        assert_eq!(pool.len(), 1);
    }
}
