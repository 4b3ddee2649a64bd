//! The endpoint behind every proxy: one thread that answers each request with the same bytes.
//!
//! It does as little as a server can, because it shares its core with the client and must not be what
//! limits the rate.

mod grpc;

use crate::Result;
use crate::exchange::{Exchange, Protocol, content_length, head_end};
use crate::process::pin_this_thread;
use rustix::buffer::spare_capacity;
use rustix::event::{Timespec, epoll};
use socket2::{Domain, Socket, Type};
use std::collections::HashMap;
use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

/// How long a stopping endpoint may sleep before it sees that it should stop.
const STOP_CHECK: Timespec = Timespec { tv_sec: 0, tv_nsec: 50_000_000 };

/// The longest head that is read.
const MAX_HEAD: usize = 16 << 10;

const LISTENER: u64 = 0;

/// A running endpoint; it stops when dropped.
pub(crate) struct Endpoint {
    addresses: Vec<SocketAddr>,
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
    /// Starts an endpoint of small answers on a free loopback port, pinned to `core` if one is given.
    pub(crate) fn start(core: Option<usize>) -> Result<Endpoint> {
        Endpoint::serving(core, 1, &Exchange::small())
    }

    /// Starts one that has `count` addresses, all on loopback and of one socket, and answers as `exchange` says.
    pub(crate) fn serving(
        core: Option<usize>,
        count: usize,
        exchange: &Exchange,
    ) -> Result<Endpoint> {
        // Only a socket of all addresses has a thousand of them.
        let ip = if count == 1 { Ipv4Addr::LOCALHOST } else { Ipv4Addr::UNSPECIFIED };
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
        socket.bind(&SocketAddr::from((ip, 0)).into())?;
        socket.listen(4096)?;
        let listener = TcpListener::from(socket);
        let port = listener.local_addr()?.port();
        let address = |index: usize| match count {
            1 => Ok(SocketAddr::from((Ipv4Addr::LOCALHOST, port))),
            _ => {
                let (high, low) = (u8::try_from(1 + index / 250)?, (1 + index % 250) as u8);
                Ok(SocketAddr::from((Ipv4Addr::new(127, 0, high, low), port)))
            }
        };
        let addresses = (0..count).map(address).collect::<Result<_>>()?;
        let shared = Arc::new(Shared::default());
        let (exchange, theirs) = (exchange.clone(), shared.clone());
        let thread = std::thread::Builder::new().name("endpoint".into()).spawn(move || {
            let served = pin_this_thread(core).and_then(|()| match exchange.protocol {
                Protocol::Grpc => grpc::serve(listener, &exchange, theirs),
                Protocol::Http1 | Protocol::Http2 => {
                    Server::new(&exchange, theirs)?.serve(&listener)
                }
            });
            if let Err(error) = served {
                eprintln!("bench: the endpoint failed: {error}");
            }
        })?;
        Ok(Endpoint { addresses, shared, thread: Some(thread) })
    }

    /// Where it listens, first of all.
    pub(crate) fn address(&self) -> SocketAddr {
        self.addresses[0]
    }

    /// All addresses at which it listens.
    pub(crate) fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
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

struct Server {
    poll: OwnedFd,
    answer: Vec<u8>,
    upload: &'static [u8],
    shared: Arc<Shared>,
    buffer: Vec<u8>,
}

struct Connection {
    stream: TcpStream,
    head: Vec<u8>,
    /// How much of the request's body has come; `None` while its head has not.
    body: Option<usize>,
    /// How much of the answer is sent; `None` when there is none to send.
    sent: Option<usize>,
    /// Whether it waits for room to send.
    waits: bool,
    fresh: bool,
}

impl Shared {
    fn keep(&self, head: String) {
        *self.head.lock().unwrap_or_else(PoisonError::into_inner) = head;
    }
}

impl Server {
    fn new(exchange: &Exchange, shared: Arc<Shared>) -> Result<Server> {
        Ok(Server {
            poll: epoll::create(epoll::CreateFlags::CLOEXEC)?,
            answer: exchange.answer(),
            upload: exchange.upload,
            shared,
            buffer: vec![0; 256 << 10],
        })
    }

    fn serve(&mut self, listener: &TcpListener) -> Result<()> {
        listener.set_nonblocking(true)?;
        epoll::add(
            &self.poll,
            listener,
            epoll::EventData::new_u64(LISTENER),
            epoll::EventFlags::IN,
        )?;
        let mut connections: HashMap<u64, Connection> = HashMap::new();
        let mut next = LISTENER + 1;
        let mut events: Vec<epoll::Event> = Vec::with_capacity(256);
        while !self.shared.stop.load(Ordering::Relaxed) {
            events.clear();
            match epoll::wait(&self.poll, spare_capacity(&mut events), Some(&STOP_CHECK)) {
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
                    epoll::add(&self.poll, &stream, data, epoll::EventFlags::IN)?;
                    let head = Vec::with_capacity(1024);
                    connections.insert(
                        next,
                        Connection {
                            stream,
                            head,
                            body: None,
                            sent: None,
                            waits: false,
                            fresh: true,
                        },
                    );
                    next += 1;
                } else if let Some(connection) = connections.get_mut(&id)
                    && !self.ready(id, connection)?
                {
                    connections.remove(&id);
                }
            }
        }
        Ok(())
    }

    /// Goes on with a connection that is ready; false when it is of no more use.
    fn ready(&mut self, id: u64, connection: &mut Connection) -> Result<bool> {
        if connection.sent.is_some() {
            return self.send(id, connection);
        }
        match connection.stream.read(&mut self.buffer) {
            Ok(0) => return Ok(false),
            Ok(count) => match self.take(connection, count) {
                Some(true) => {}
                Some(false) => return Ok(true),
                None => {
                    let _ = connection
                        .stream
                        .write(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n");
                    return Ok(false);
                }
            },
            Err(error) => return Ok(error.kind() == ErrorKind::WouldBlock),
        }
        connection.sent = Some(0);
        self.send(id, connection)
    }

    /// Takes in `count` bytes of the buffer; says whether a request is complete, or nothing when it is not what we expect.
    fn take(&self, connection: &mut Connection, count: usize) -> Option<bool> {
        let mut bytes = &self.buffer[..count];
        if connection.body.is_none() {
            connection.head.extend_from_slice(bytes);
            let Some(end) = head_end(&connection.head) else {
                return (connection.head.len() < MAX_HEAD).then_some(false);
            };
            let head = &connection.head[..end];
            // A GET only asks whether the proxy is ready.
            let length = if head.starts_with(b"GET ") { 0 } else { self.upload.len() };
            if length > 0 && content_length(head) != Some(length) {
                return None;
            }
            bytes = &bytes[count - (connection.head.len() - end)..];
            if std::mem::take(&mut connection.fresh) {
                self.shared.keep(String::from_utf8_lossy(head).to_lowercase());
            }
            connection.head.clear();
            connection.body = Some(self.upload.len() - length);
        }
        let before = connection.body?;
        let after = before + bytes.len();
        if self.upload.get(before..after) != Some(bytes) {
            return None;
        }
        let complete = after == self.upload.len();
        connection.body = if complete { None } else { Some(after) };
        Some(complete)
    }

    fn send(&self, id: u64, connection: &mut Connection) -> Result<bool> {
        let sent = connection.sent.unwrap_or(0);
        let now = match connection.stream.write(&self.answer[sent..]) {
            Ok(count) => sent + count,
            Err(error) if error.kind() == ErrorKind::WouldBlock => sent,
            Err(_) => return Ok(false),
        };
        let complete = now == self.answer.len();
        connection.sent = if complete { None } else { Some(now) };
        if connection.waits == complete {
            connection.waits = !complete;
            let wanted = if complete { epoll::EventFlags::IN } else { epoll::EventFlags::OUT };
            epoll::modify(&self.poll, &connection.stream, epoll::EventData::new_u64(id), wanted)?;
        }
        Ok(true)
    }
}
