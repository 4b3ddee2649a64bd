//! A connection to an endpoint: how it is made, and what is left of it between two requests.
//!
//! This is the seam between forwarding and the protocol spoken upstream; [`super::http1`] speaks on it.

use crate::endpoint::Resolution;
use bytes::BytesMut;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout_at};

/// A read buffer that grew beyond this for a large body is given back before the connection idles.
const MAX_IDLE_BUFFER: usize = 16 * 1024;

/// An established connection that carries one request at a time.
#[derive(Debug)]
pub struct Connection {
    /// The socket.
    pub stream: TcpStream,
    /// Bytes received and not yet used.
    pub received: BytesMut,
    /// Memory for the next request's head.
    pub scratch: BytesMut,
    /// Whether it has carried a request to the end.
    pub is_reused: bool,
}

/// Why no connection could be made.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// The endpoint's host name never resolved.
    #[error("its host name does not resolve: {0}")]
    NoAddress(String),
    /// Every address refused or was unreachable; this is the last one's error.
    #[error("connect to {address}: {source}")]
    Failed {
        /// The address.
        address: SocketAddr,
        /// What the system said.
        source: io::Error,
    },
    /// This process or this machine has no socket or no port left; nothing is known of the endpoint.
    #[error("no connection can be opened here: {0}")]
    Exhausted(io::Error),
    /// No address answered in time.
    #[error("connect to {address}: no answer within {after:?}")]
    TimedOut {
        /// The last address that was tried.
        address: SocketAddr,
        /// `timeouts.connect`.
        after: Duration,
    },
}

impl Connection {
    /// Connects to the first address that accepts. The time is shared out among the addresses, so that one that does
    /// not answer leaves some for the others.
    pub async fn connect(
        resolution: &Resolution,
        timeout: Option<Duration>,
    ) -> Result<Self, ConnectError> {
        let why = || resolution.error.clone().unwrap_or_else(|| "not looked up yet".to_owned());
        let mut outcome = Err(ConnectError::NoAddress(why()));
        let deadline = timeout.map(|timeout| Instant::now() + timeout);
        for (index, address) in resolution.addresses.iter().enumerate() {
            let left = (resolution.addresses.len() - index) as u32;
            outcome = match deadline {
                None => {
                    TcpStream::connect(address).await.map_err(|source| failed(*address, source))
                }
                Some(deadline) => {
                    let now = Instant::now();
                    let until = now + deadline.saturating_duration_since(now) / left;
                    match timeout_at(until, TcpStream::connect(address)).await {
                        Ok(result) => result.map_err(|source| failed(*address, source)),
                        Err(_) => Err(ConnectError::TimedOut {
                            address: *address,
                            after: timeout.unwrap_or_default(),
                        }),
                    }
                }
            };
            match outcome {
                Ok(_) => break,
                Err(ConnectError::Failed { address, source })
                    if is_exhaustion(&source, address) =>
                {
                    outcome = Err(ConnectError::Exhausted(source));
                }
                Err(_) => {}
            }
        }
        outcome.map(|stream| {
            // Without it, a head and a body written apart would wait for the endpoint's delayed acknowledgement.
            let _ = stream.set_nodelay(true);
            Self { stream, received: BytesMut::new(), scratch: BytesMut::new(), is_reused: false }
        })
    }

    /// Whether the endpoint has left the idle connection open and silent. The quick look asks only what the event loop has
    /// already seen; the thorough one asks the system.
    pub fn is_usable(&self, thorough: bool) -> bool {
        let silent = |result: io::Result<usize>| matches!(result, Err(error) if error.kind() == io::ErrorKind::WouldBlock);
        silent(self.stream.try_read(&mut [0]))
            && (!thorough || {
                let mut byte = [std::mem::MaybeUninit::uninit()];
                silent(socket2::SockRef::from(&self.stream).peek(&mut byte))
            })
    }

    /// Notes that a request was carried to its end, and gives back memory that idling does not need.
    pub fn rest(&mut self) {
        self.is_reused = true;
        if self.received.capacity() > MAX_IDLE_BUFFER {
            self.received = BytesMut::new();
        }
    }
}

/// Whether a connect failed for want of something on our side: files (EMFILE, ENFILE), memory (ENOBUFS, ENOMEM), or local ports
/// (EADDRNOTAVAIL).
fn is_exhaustion(error: &io::Error, address: SocketAddr) -> bool {
    use rustix::io::Errno;
    match error.raw_os_error().map(Errno::from_raw_os_error) {
        Some(Errno::MFILE | Errno::NFILE | Errno::NOBUFS | Errno::NOMEM) => true,
        Some(Errno::ADDRNOTAVAIL) => has_source_for(address),
        _ => false,
    }
}

/// Whether this machine has an address from which `address` could be reached. EADDRNOTAVAIL says that it has none (`[::1]` where
/// there is no IPv6), or that it has no TCP port left on it; a datagram socket needs the former only.
fn has_source_for(address: SocketAddr) -> bool {
    let any: SocketAddr = match address {
        SocketAddr::V4(_) => (std::net::Ipv4Addr::UNSPECIFIED, 0).into(),
        SocketAddr::V6(_) => (std::net::Ipv6Addr::UNSPECIFIED, 0).into(),
    };
    std::net::UdpSocket::bind(any).is_ok_and(|socket| socket.connect(address).is_ok())
}

fn failed(address: SocketAddr, source: io::Error) -> ConnectError {
    ConnectError::Failed { address, source }
}
