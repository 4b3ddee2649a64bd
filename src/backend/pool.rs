//! A worker's idle connections, the most recently used first: the others may then grow old and close.

use super::connection::Connection;
use std::collections::HashMap;
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
    idle: HashMap<u64, Vec<Idle>>,
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
        while let Some(last) = idle.pop() {
            if now.saturating_duration_since(last.since) >= IDLE_TIMEOUT {
                // The others have idled for longer still.
                idle.clear();
            } else if last.connection.is_usable(thorough) {
                return Some(last.connection);
            }
        }
        None
    }

    /// Keeps a connection to `endpoint` for the next request.
    pub fn put(&mut self, endpoint: u64, mut connection: Connection, now: Instant) {
        let idle = self.idle.entry(endpoint).or_default();
        if idle.len() < MAX_IDLE {
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
