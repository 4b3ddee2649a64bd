//! Several servers at once.

use std::time::Duration;

use crate::{Server, StartError};

/// One server of a fleet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Member {
    /// The port to listen on; 0 takes a free one.
    pub port: u16,
    /// How long `/` takes to answer.
    pub delay: Duration,
}

const fn member(port: u16, seconds: u64) -> Member {
    Member { port, delay: Duration::from_secs(seconds) }
}

/// The eight servers of the demo: two that take four seconds and six that answer at once. 8084 is left
/// out.
pub const SEED: [Member; 8] = [
    member(8081, 4),
    member(8082, 4),
    member(8083, 0),
    member(8085, 0),
    member(8086, 0),
    member(8087, 0),
    member(8088, 0),
    member(8089, 0),
];

/// Servers that were started together. Dropping it stops them.
#[derive(Debug)]
pub struct Fleet {
    servers: Vec<Server>,
}

/// Why a fleet did not start: every member that could not, not just the first.
#[derive(Debug, thiserror::Error)]
#[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))]
pub struct FleetError(pub Vec<StartError>);

impl Fleet {
    /// Starts all members on a host, or none.
    ///
    /// # Errors
    /// Every address that could not be listened on.
    pub async fn start(host: &str, members: &[Member]) -> Result<Self, FleetError> {
        let mut servers = Vec::with_capacity(members.len());
        let mut errors = Vec::new();
        for member in members {
            match Server::builder().host(host, member.port).delay(member.delay).start().await {
                Ok(server) => servers.push(server),
                Err(error) => errors.push(error),
            }
        }
        if errors.is_empty() { Ok(Self { servers }) } else { Err(FleetError(errors)) }
    }

    /// The servers, in the order of their members.
    pub fn servers(&self) -> &[Server] {
        &self.servers
    }

    /// The servers' URLs, in the same order.
    pub fn urls(&self) -> Vec<String> {
        self.servers.iter().map(Server::url).collect()
    }

    /// Stops all servers and closes their connections.
    pub async fn stop(&self) {
        for server in &self.servers {
            server.stop().await;
        }
    }
}

impl std::ops::Index<usize> for Fleet {
    type Output = Server;

    fn index(&self, index: usize) -> &Server {
        &self.servers[index]
    }
}
