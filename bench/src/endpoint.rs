//! The endpoint behind every proxy: one thread that answers each request with the same bytes.
//!
//! It does as little as a server can, because it shares its core with the client and must not be what
//! limits the rate.

use crate::Result;
use crate::process::pin_this_thread;
use rustix::buffer::spare_capacity;
use rustix::event::{Timespec, epoll};
use std::collections::HashMap;
use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

/// The body of every answer: 100 bytes.
pub(crate) const BODY: &[u8; 100] = b"0123456789012345678901234567890123456789\
    01234567890123456789012345678901234567890123456789outrigger\n";

/// A `Date` is there so that no proxy has to make one, which some do.
const HEAD: &str = "HTTP/1.1 200 OK\r\nDate: Thu, 01 Jan 2026 00:00:00 GMT\r\n\
    Content-Type: text/plain\r\nContent-Length: 100\r\n\r\n";

/// How long a stopping endpoint may sleep before it sees that it should stop.
const STOP_CHECK: Timespec = Timespec { tv_sec: 0, tv_nsec: 50_000_000 };

const LISTENER: u64 = 0;

/// A running endpoint; it stops when dropped.
pub(crate) struct Endpoint {
    address: SocketAddr,
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct Shared {
    stop: AtomicBool,
    /// The first request's head on the newest connection: what the proxy under test really sends.
    head: Mutex<String>,
}

impl Endpoint {
    /// Starts an endpoint on a free loopback port, pinned to `core` if one is given.
    pub(crate) fn start(core: Option<usize>) -> Result<Endpoint> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let address = listener.local_addr()?;
        let shared = Arc::new(Shared::default());
        let theirs = shared.clone();
        let thread = std::thread::Builder::new().name("endpoint".into()).spawn(move || {
            let served = pin_this_thread(core).and_then(|()| serve(&listener, &theirs));
            if let Err(error) = served {
                eprintln!("bench: the endpoint failed: {error}");
            }
        })?;
        Ok(Endpoint { address, shared, thread: Some(thread) })
    }

    /// Where it listens.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// The head of the first request on the newest connection, in lower case.
    pub(crate) fn last_head(&self) -> String {
        self.shared.head.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Drop for Endpoint {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

struct Connection {
    stream: TcpStream,
    buffer: [u8; 4096],
    filled: usize,
    fresh: bool,
}

fn serve(listener: &TcpListener, shared: &Shared) -> Result<()> {
    let answer = [HEAD.as_bytes(), BODY].concat();
    let poll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
    listener.set_nonblocking(true)?;
    epoll::add(&poll, listener, epoll::EventData::new_u64(LISTENER), epoll::EventFlags::IN)?;
    let mut connections: HashMap<u64, Connection> = HashMap::new();
    let mut next = LISTENER + 1;
    let mut events: Vec<epoll::Event> = Vec::with_capacity(256);
    while !shared.stop.load(Ordering::Relaxed) {
        events.clear();
        match epoll::wait(&poll, spare_capacity(&mut events), Some(&STOP_CHECK)) {
            Err(rustix::io::Errno::INTR) => continue,
            waited => waited?,
        };
        for event in &events {
            let id = event.data.u64();
            if id == LISTENER {
                let stream = match listener.accept() {
                    Ok((stream, _)) => stream,
                    Err(error) if error.kind() == ErrorKind::WouldBlock => continue,
                    Err(error) => return Err(error.into()),
                };
                stream.set_nonblocking(true)?;
                stream.set_nodelay(true)?;
                let data = epoll::EventData::new_u64(next);
                epoll::add(&poll, &stream, data, epoll::EventFlags::IN)?;
                let connection = Connection { stream, buffer: [0; 4096], filled: 0, fresh: true };
                connections.insert(next, connection);
                next += 1;
            } else if let Some(connection) = connections.get_mut(&id)
                && !connection.answer(&answer, shared)
            {
                connections.remove(&id);
            }
        }
    }
    Ok(())
}

impl Connection {
    /// Reads what has come and answers when that ends a request without a body; false when the
    /// connection is of no more use.
    fn answer(&mut self, answer: &[u8], shared: &Shared) -> bool {
        match self.stream.read(&mut self.buffer[self.filled..]) {
            Ok(0) => return false,
            Ok(count) => self.filled += count,
            Err(error) => return error.kind() == ErrorKind::WouldBlock,
        }
        if !self.buffer[..self.filled].ends_with(b"\r\n\r\n") {
            return self.filled < self.buffer.len();
        }
        if std::mem::take(&mut self.fresh) {
            let head = String::from_utf8_lossy(&self.buffer[..self.filled]).to_lowercase();
            *shared.head.lock().unwrap_or_else(PoisonError::into_inner) = head;
        }
        self.filled = 0;
        // An answer that does not fit into an empty socket buffer is a broken connection.
        self.stream.write(answer).is_ok_and(|count| count == answer.len())
    }
}
