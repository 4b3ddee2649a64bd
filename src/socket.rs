//! Binds listening sockets, one per worker, and says in an operator's words why one cannot be had.

mod owner;

use owner::{Row, Whose};
use socket2::{Domain, Protocol, Socket, Type};
use std::fmt::Write as _;
use std::io;
use std::net::{IpAddr, SocketAddr, TcpListener};
use std::time::Duration;

/// Connections that may wait to be accepted, per socket; the kernel caps it at net.core.somaxconn, whose default this is.
const BACKLOG: i32 = 4096;

/// Why an address cannot be listened on.
#[derive(Debug, thiserror::Error)]
pub enum BindError {
    /// Somebody has the port.
    #[error("cannot listen on {address}: {owner}; stop that, or choose another address or port")]
    InUse {
        /// The address that was asked for.
        address: SocketAddr,
        /// Who, as far as it can be known.
        owner: String,
    },
    /// A port, or a policy, that takes a privilege.
    #[error("cannot listen on {address}: no permission; {remedy}")]
    Permission {
        /// The address that was asked for.
        address: SocketAddr,
        /// What would be right.
        remedy: String,
    },
    /// The address is not one of this machine.
    #[error("cannot listen on {address}: this machine does not have that address{present}")]
    NotHere {
        /// The address that was asked for.
        address: SocketAddr,
        /// Those that it does have, as far as they can be known, and what else would be right.
        present: String,
    },
    /// Anything else.
    #[error("cannot listen on {address}: {source}")]
    Other {
        /// The address that was asked for.
        address: SocketAddr,
        /// What the system said.
        source: io::Error,
    },
}

/// How long clients whose handshake has begun may take to finish it before a socket is closed: a round trip.
pub const HANDSHAKE: Duration = Duration::from_millis(100);

/// Lets nobody begin a connection to `socket`, a listening one, any more; who has begun may finish and be accepted.
///
/// Closing it resets who comes in between the last accept and the close, however short that is. A client that is not answered
/// instead tries again after a second, and meets whoever listens then, or is refused.
///
/// # Errors
/// The system cannot do that. Only Linux can.
pub fn let_nobody_in(socket: &impl std::os::fd::AsFd) -> io::Result<()> {
    #[cfg(target_os = "linux")]
    {
        use socket2::SockFilter;
        // Classic BPF on the TCP header: load the byte of the flags; drop the packet if SYN is among them, else take it.
        const LOAD_BYTE: u16 = 0x30;
        const JUMP_IF_SET: u16 = 0x45;
        const RETURN: u16 = 0x06;
        const FLAGS: u32 = 13;
        const SYN: u32 = 0x02;
        socket2::SockRef::from(socket).attach_filter(&[
            SockFilter::new(LOAD_BYTE, 0, 0, FLAGS),
            SockFilter::new(JUMP_IF_SET, 0, 1, SYN),
            SockFilter::new(RETURN, 0, 0, 0),
            SockFilter::new(RETURN, 0, 0, u32::MAX),
        ])
    }
    #[cfg(not(target_os = "linux"))]
    {
        let _ = socket;
        Err(io::ErrorKind::Unsupported.into())
    }
}

/// Binds one listening, non-blocking socket per worker, all on the same address; `[::]` takes IPv4, too. Port 0 is
/// chosen once for all.
///
/// Sockets that this process already has on the port do not stand in the way, so that `127.0.0.1:8080` can become
/// `0.0.0.0:8080` while the old one still serves. Those of another process do, even if it would share the port.
pub fn bind(address: SocketAddr, workers: usize) -> Result<Vec<TcpListener>, BindError> {
    if address.port() != 0 {
        probe(address)?;
    }
    listen_on(address, workers.max(1)).map_err(|error| explain(address, error))
}

#[cfg(target_os = "linux")]
fn listen_on(mut address: SocketAddr, workers: usize) -> io::Result<Vec<TcpListener>> {
    let mut sockets = Vec::with_capacity(workers);
    for _ in 0..workers {
        let socket = open(address)?;
        socket.set_reuse_port(true)?;
        let listener = listen(socket, address)?;
        address = listener.local_addr()?;
        sockets.push(listener);
    }
    Ok(sockets)
}

/// Elsewhere SO_REUSEPORT does not spread connections over the sockets: the workers share one queue instead.
#[cfg(not(target_os = "linux"))]
fn listen_on(address: SocketAddr, workers: usize) -> io::Result<Vec<TcpListener>> {
    let first = listen(open(address)?, address)?;
    let mut sockets = (1..workers).map(|_| first.try_clone()).collect::<io::Result<Vec<_>>>()?;
    sockets.push(first);
    Ok(sockets)
}

fn open(address: SocketAddr) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    // A restart must not wait for connections in TIME_WAIT.
    socket.set_reuse_address(true)?;
    if address.is_ipv6() {
        // Whatever net.ipv6.bindv6only says. Our own 0.0.0.0 on the same port is no conflict: it has
        // SO_REUSEPORT, too, and the kernel prefers it for IPv4.
        socket.set_only_v6(false)?;
    }
    Ok(socket)
}

fn listen(socket: Socket, address: SocketAddr) -> io::Result<TcpListener> {
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

/// Tries the address without SO_REUSEPORT, with which two processes would share it without a word.
fn probe(address: SocketAddr) -> Result<(), BindError> {
    let attempt = open(address).and_then(|socket| socket.bind(&address.into()));
    let Err(error) = attempt else { return Ok(()) };
    let rows = owner::rows_on(address);
    let ours = rows.iter().any(|row| row.listens && row.whose == Whose::Ours);
    let theirs = rows.iter().any(|row| row.listens && row.whose != Whose::Ours);
    if error.kind() == io::ErrorKind::AddrInUse && ours && !theirs {
        return Ok(());
    }
    Err(explain(address, error))
}

fn explain(address: SocketAddr, source: io::Error) -> BindError {
    match source.kind() {
        io::ErrorKind::AddrInUse => {
            BindError::InUse { address, owner: describe(&owner::rows_on(address)) }
        }
        io::ErrorKind::PermissionDenied => {
            BindError::Permission { address, remedy: remedy(address.port(), privileged_below()) }
        }
        io::ErrorKind::AddrNotAvailable => {
            let family =
                owner::local_addresses().into_iter().filter(|ip| ip.is_ipv4() == address.is_ipv4());
            BindError::NotHere { address, present: present(&family.collect::<Vec<_>>(), address) }
        }
        _ if address.is_ipv6() && source.raw_os_error() == Some(AF_NOT_SUPPORTED) => {
            let present = ", it does not have IPv6; use 0.0.0.0 for all addresses".into();
            BindError::NotHere { address, present }
        }
        _ => BindError::Other { address, source },
    }
}

/// EAFNOSUPPORT, which std has no name for.
const AF_NOT_SUPPORTED: i32 = if cfg!(target_os = "linux") { 97 } else { 47 };

/// Names the holder of a port: another process that listens, else ourselves, else a connection.
fn describe(rows: &[Row]) -> String {
    let theirs = rows.iter().find(|row| row.listens && row.whose != Whose::Ours);
    let Some(row) = theirs.or_else(|| rows.iter().find(|row| row.listens)).or(rows.first()) else {
        return "the port is in use".into();
    };
    let whose = match &row.whose {
        Whose::Ours => "this process itself".into(),
        Whose::Process { pid, command } => format!("{command} (pid {pid})"),
        Whose::Unseen { uid } => {
            format!(
                "a process that cannot be seen from here (user id {uid}; perhaps another container of the pod)"
            )
        }
    };
    match row.listens {
        true => format!("the port is in use by {whose}"),
        false => format!(
            "an outgoing connection of {whose} has the port (reserve it with net.ipv4.ip_local_reserved_ports)"
        ),
    }
}

fn remedy(port: u16, privileged_below: u16) -> String {
    if port >= privileged_below {
        return "a security policy (SELinux, AppArmor, seccomp) forbids it".into();
    }
    format!(
        "ports below {privileged_below} are privileged here. Use one from {privileged_below} up, give the process the \
         capability CAP_NET_BIND_SERVICE, or lower net.ipv4.ip_unprivileged_port_start"
    )
}

fn privileged_below() -> u16 {
    std::fs::read_to_string("/proc/sys/net/ipv4/ip_unprivileged_port_start")
        .ok()
        .and_then(|text| text.trim().parse().ok())
        .unwrap_or(1024)
}

fn present(addresses: &[IpAddr], wanted: SocketAddr) -> String {
    let mut text = String::new();
    for (index, address) in addresses.iter().enumerate() {
        let before = if index == 0 { ", but " } else { ", " };
        // Writing to a string cannot fail.
        let _ = write!(text, "{before}{address}");
    }
    let all = if wanted.is_ipv4() { "0.0.0.0" } else { "[::]" };
    let _ = write!(text, "; use {all} for all addresses");
    text
}

#[cfg(test)]
mod tests;
