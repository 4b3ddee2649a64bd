//! A connection to an endpoint: how it is made, and what is left of it between two requests.
//!
//! This is the seam between forwarding and the protocol spoken upstream; [`super::http1`] speaks on it.

mod handshake;
#[cfg(test)]
mod tests;

use super::counters::OpenConnection;
use crate::tls::Stream;
pub use handshake::Security;

use crate::endpoint::Resolution;
use crate::model::{EndpointUrl, ProxyProtocolVersion, Scheme};
use crate::proxy_protocol;
use bytes::BytesMut;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout_at};

/// A read buffer that grew beyond this for a large body is given back before the connection idles.
const MAX_IDLE_BUFFER: usize = 16 * 1024;

/// An established connection that carries one request at a time.
#[derive(Debug)]
pub struct Connection {
    /// What goes over it.
    pub stream: Stream,
    /// Bytes received and not yet used.
    pub received: BytesMut,
    /// Memory for the next request's head.
    pub scratch: BytesMut,
    /// Whether it has carried a request to the end.
    pub is_reused: bool,
    /// From when on it carries no further request.
    pub expires_at: Option<Instant>,
    /// What its next request must have in common with those before.
    pub key: Key,
    /// Its place among the backend's open connections.
    pub open: Option<OpenConnection>,
}

/// What requests must have in common that may share connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Key {
    /// The id of their endpoint.
    pub endpoint: u64,
    /// For whom alone it speaks, with a PROXY protocol.
    pub ends: Option<Ends>,
    /// The [id](crate::tls::Client::id) of the TLS that it was made with: whom another trusts, or is, may be somebody else.
    pub tls: Option<u64>,
}

/// A client's connection to us.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Ends {
    /// The client.
    pub client: SocketAddr,
    /// Where it came to.
    pub local: SocketAddr,
}

/// What a connection begins with: a header of the PROXY protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Introduction {
    /// Its form.
    pub version: ProxyProtocolVersion,
    /// The client's connection; `None` when it is for nobody but us.
    pub ends: Option<Ends>,
}

/// Why no connection could be made.
#[derive(Clone, Debug, thiserror::Error)]
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
        source: Arc<io::Error>,
    },
    /// This process or this machine has no socket or no port left; nothing is known of the endpoint.
    #[error("no connection can be opened here: {0}")]
    Exhausted(Arc<io::Error>),
    /// No address answered in time.
    #[error("connect to {address}: no answer within {after:?}")]
    TimedOut {
        /// The last address that was tried.
        address: SocketAddr,
        /// `timeouts.connect`.
        after: Duration,
    },
    /// It answered, but the handshake was not over in time.
    #[error("connect to {address}: the handshake was not over within {after:?}")]
    HandshakeTimedOut {
        /// The address.
        address: SocketAddr,
        /// `timeouts.connect`.
        after: Duration,
    },
    /// It does not speak HTTP/2.
    #[error("connect to {address}: {reason}")]
    Http2 {
        /// The address.
        address: SocketAddr,
        /// What it does instead, in an operator's words.
        reason: String,
    },
    /// There is no TLS with it, or it is not whom we mean.
    #[error("connect to {address}: {fault}")]
    Tls {
        /// The address.
        address: SocketAddr,
        /// What is wrong.
        fault: TlsFault,
    },
}

/// What was wrong in a TLS handshake, in an operator's words.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TlsFault {
    /// The endpoint's certificate.
    #[error("{0}")]
    Certificate(String),
    /// Anything else.
    #[error("{0}")]
    Protocol(String),
}

/// What a new connection to an endpoint needs.
#[derive(Clone, Copy, Debug)]
pub struct Dial<'a> {
    /// Where it goes.
    pub url: &'a EndpointUrl,
    /// The addresses of that.
    pub resolution: &'a Resolution,
    /// `timeouts.connect`: how long all of it may take.
    pub timeout: Option<Duration>,
    /// TLS, if it is to be spoken.
    pub security: Option<Security<'a>>,
    /// Whether HTTP/2 will be spoken.
    pub http2: bool,
    /// What goes first, if anything does.
    pub introduction: Option<Introduction>,
}

impl Connection {
    /// A connection over `stream` that has carried nothing yet.
    pub fn new(stream: Stream, expires_at: Option<Instant>, key: Key) -> Self {
        let (received, scratch) = (BytesMut::new(), BytesMut::new());
        Self { stream, received, scratch, is_reused: false, expires_at, key, open: None }
    }

    /// The same, counted as `open`.
    pub fn counted(self, open: OpenConnection) -> Self {
        Self { open: Some(open), ..self }
    }

    /// Whether it may carry another request; see [`Stream::is_silent`] for `thorough`.
    pub fn is_usable(&mut self, now: Instant, thorough: bool) -> bool {
        self.is_young(now) && self.stream.is_silent(thorough)
    }

    /// Whether it has not reached its age.
    pub fn is_young(&self, now: Instant) -> bool {
        self.expires_at.is_none_or(|at| now < at)
    }

    /// Notes that a request was carried to its end, and gives back memory that idling does not need.
    pub fn rest(&mut self) {
        self.is_reused = true;
        if self.received.capacity() > MAX_IDLE_BUFFER {
            self.received = BytesMut::new();
        }
    }
}

impl Dial<'_> {
    /// Connects to the first address that accepts, and shakes hands with it. The time is shared out among the addresses, so
    /// that one that does not answer leaves some for the others.
    ///
    /// # Errors
    /// The last address's; and once one has accepted, its handshake's.
    pub async fn connect(&self) -> Result<Stream, ConnectError> {
        self.connect_by(self.deadline()).await.map(|(stream, _)| stream)
    }

    /// When the connection must stand.
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.timeout.map(|timeout| Instant::now() + timeout)
    }

    /// [`Dial::connect`] until `deadline`; gives the address, too.
    pub(super) async fn connect_by(
        &self,
        deadline: Option<Instant>,
    ) -> Result<(Stream, SocketAddr), ConnectError> {
        let (stream, address) = self.reach(deadline).await?;
        Ok((self.begin(stream, address, deadline).await?, address))
    }

    /// Begins what is spoken on a socket that is connected to `address`: says for whom it is, and shakes hands.
    ///
    /// # Errors
    /// When the endpoint does not shake hands with us, or not before `deadline`.
    pub async fn begin(
        &self,
        mut stream: TcpStream,
        address: SocketAddr,
        deadline: Option<Instant>,
    ) -> Result<Stream, ConnectError> {
        // Without it, a head and a body written apart would wait for the endpoint's delayed acknowledgement.
        let _ = stream.set_nodelay(true);
        if let Some(introduction) = &self.introduction {
            let header = introduction.encode();
            let written = stream.write_all(&header);
            let written = self.in_time(deadline, address, written).await?;
            written.map_err(|source| failed(address, source))?;
        }
        let Some(security) = self.security else {
            if self.url.scheme == Scheme::Https {
                // Never in the clear, whatever is missing.
                let fault = TlsFault::Protocol("there is no TLS set up for it".to_owned());
                return Err(ConnectError::Tls { address, fault });
            }
            return Ok(Stream::Plain(stream));
        };
        // Boxed: what a handshake needs would make every request's future larger.
        let shaking = handshake::shake_hands(stream, address, self.url, security, self.http2);
        self.in_time(deadline, address, Box::pin(shaking)).await?
    }

    /// Waits for a handshake with `address` until `deadline`.
    pub(super) async fn in_time<T>(
        &self,
        deadline: Option<Instant>,
        address: SocketAddr,
        handshake: impl Future<Output = T>,
    ) -> Result<T, ConnectError> {
        let Some(deadline) = deadline else { return Ok(handshake.await) };
        let after = self.timeout.unwrap_or_default();
        let done = timeout_at(deadline, handshake).await;
        done.map_err(|_| ConnectError::HandshakeTimedOut { address, after })
    }

    /// A socket that is connected to one of the addresses.
    async fn reach(
        &self,
        deadline: Option<Instant>,
    ) -> Result<(TcpStream, SocketAddr), ConnectError> {
        let Self { resolution, timeout, .. } = *self;
        let why = || resolution.error.clone().unwrap_or_else(|| "not looked up yet".to_owned());
        let mut outcome = Err(ConnectError::NoAddress(why()));
        for (index, address) in resolution.addresses.iter().enumerate() {
            let left = (resolution.addresses.len() - index) as u32;
            let connected = match deadline {
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
            match connected {
                Ok(stream) => return Ok((stream, *address)),
                Err(error) => outcome = Err(error),
            }
        }
        outcome
    }
}

impl Introduction {
    fn encode(&self) -> BytesMut {
        let mut header = BytesMut::new();
        let version = match self.version {
            ProxyProtocolVersion::V1 => proxy_protocol::Version::V1,
            ProxyProtocolVersion::V2 => proxy_protocol::Version::V2,
        };
        match self.ends {
            Some(Ends { client, local }) => {
                proxy_protocol::encode(version, client, local, &mut header);
            }
            None => proxy_protocol::encode_local(version, &mut header),
        }
        header
    }
}

/// When a connection that begins now has reached its `age`, give or take a tenth: connections that were made together are not to
/// be replaced together.
pub fn expiry(age: Option<Duration>, now: Instant) -> Option<Instant> {
    age.map(|age| now + age.mul_f64(0.9 + 0.2 * fastrand::f64()))
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
    let source = Arc::new(source);
    match is_exhaustion(&source, address) {
        true => ConnectError::Exhausted(source),
        false => ConnectError::Failed { address, source },
    }
}
