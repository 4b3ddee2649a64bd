//! What came of the requests of each kind of client.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// The most failures of a kind that are kept word for word.
const MAX_TOLD: usize = 5;

/// A kind of client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Small GETs on connections that stay.
    Small,
    /// A connection for each request.
    NewConnection,
    /// Downloads of any size, by length and chunked, checked byte by byte.
    Download,
    /// Uploads with Content-Length, checked by the endpoint.
    Upload,
    /// Uploads in chunks of any size.
    Chunked,
    /// Several requests sent at once on one connection.
    Pipelined,
    /// WebSockets whose messages come back.
    WebSocket,
    /// Long streams of events.
    Events,
    /// HEAD, and a GET behind it.
    Head,
    /// Requests with the cookie of the endpoint that answered first.
    Affinity,
    /// Requests with a key, which meet the same endpoint each time.
    Hashed,
    /// Connections by a listener that moves from port to port.
    Moving,
    /// GETs to a backend of which one endpoint restarts again and again.
    Restarting,
    /// Clients that send and read slowly.
    Slow,
    /// Clients that go away in the middle, on purpose.
    Aborting,
    /// Requests to an endpoint that does everything wrong, on purpose: they only have to end.
    Faulty,
}

impl Kind {
    /// All of them, and how many clients of each there are.
    pub const ALL: [(Self, usize); 16] = [
        (Self::Small, 4),
        (Self::NewConnection, 2),
        (Self::Download, 2),
        (Self::Upload, 2),
        (Self::Chunked, 2),
        (Self::Pipelined, 1),
        (Self::WebSocket, 4),
        (Self::Events, 4),
        (Self::Head, 1),
        (Self::Affinity, 1),
        (Self::Hashed, 1),
        (Self::Moving, 2),
        (Self::Restarting, 4),
        (Self::Slow, 3),
        (Self::Aborting, 4),
        (Self::Faulty, 6),
    ];
}

/// What came of one kind.
#[derive(Debug, Default)]
pub struct Tally {
    requests: AtomicU64,
    failures: AtomicU64,
    bytes: AtomicU64,
    told: Mutex<Vec<String>>,
}

/// What came of all, by kind.
#[derive(Debug, Default)]
pub struct Tallies([Tally; Kind::ALL.len()]);

impl Tally {
    /// Counts a request that went as it should, and so many bytes of bodies.
    pub fn well(&self, bytes: usize) {
        self.requests.fetch_add(1, Relaxed);
        self.bytes.fetch_add(bytes as u64, Relaxed);
    }

    /// Counts a request that failed.
    pub fn fail(&self, error: String) {
        self.requests.fetch_add(1, Relaxed);
        self.failures.fetch_add(1, Relaxed);
        let mut told = self.told.lock().expect("nobody panics with it");
        if told.len() < MAX_TOLD {
            told.push(error);
        }
    }

    /// Requests, and how many of them failed.
    pub fn counts(&self) -> (u64, u64) {
        (self.requests.load(Relaxed), self.failures.load(Relaxed))
    }

    /// Bytes of bodies.
    pub fn bytes(&self) -> u64 {
        self.bytes.load(Relaxed)
    }

    /// The first failures.
    pub fn told(&self) -> Vec<String> {
        self.told.lock().expect("nobody panics with it").clone()
    }
}

impl Tallies {
    /// That of a kind.
    pub fn of(&self, kind: Kind) -> &Tally {
        &self.0[kind as usize]
    }

    /// All requests, and how many of them failed.
    pub fn total(&self) -> (u64, u64) {
        self.0.iter().map(Tally::counts).fold((0, 0), |all, one| (all.0 + one.0, all.1 + one.1))
    }
}
