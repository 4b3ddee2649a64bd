use super::*;
use std::io::{BufRead, BufReader};
use std::net::{Ipv4Addr, Ipv6Addr, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::Duration;
use tokio::time::Instant;

const LOOPBACK: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0);
const HOLD: &str = "OUTRIGGER_TEST_HOLD";

/// Another process that listens on an address: this test binary again, with [`holds_an_address`] alone.
struct Holder {
    child: Child,
    address: SocketAddr,
}

impl Holder {
    fn start(address: SocketAddr, reuse_port: bool) -> Self {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "socket::tests::holds_an_address", "--nocapture"])
            .env(HOLD, format!("{address} {reuse_port}"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let address = lines
            .find_map(|line| line.unwrap().split_once("held ")?.1.parse().ok())
            .expect("the other process says what it holds");
        Self { child, address }
    }

    fn pid(&self) -> String {
        format!("(pid {})", self.child.id())
    }
}

impl Drop for Holder {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// No test of its own: the body of the other process.
#[test]
fn holds_an_address() {
    let Ok(order) = std::env::var(HOLD) else { return };
    let (address, reuse_port) = order.split_once(' ').unwrap();
    let address = address.parse().unwrap();
    let socket = open(address).unwrap();
    socket.set_reuse_port(reuse_port == "true").unwrap();
    let listener = listen(socket, address).unwrap();
    println!("held {}", listener.local_addr().unwrap());
    // Until the parent kills us, or is gone.
    let _ = std::io::stdin().lines().next();
}

fn address_of(sockets: &[TcpListener]) -> SocketAddr {
    sockets[0].local_addr().unwrap()
}

/// Connects to `address` and says whether one of `sockets` accepts it.
fn reaches(address: SocketAddr, sockets: &[TcpListener]) -> bool {
    let client = TcpStream::connect_timeout(&address, Duration::from_secs(20)).unwrap();
    let from = client.local_addr().unwrap();
    // A connection is in the queue when connect returns; the margin is for a kernel that moves it there later.
    let deadline = Instant::now() + Duration::from_secs(1);
    while Instant::now() < deadline {
        for socket in sockets {
            if let Ok((_, peer)) = socket.accept() {
                return peer.port() == from.port();
            }
        }
        std::thread::yield_now();
    }
    false
}

#[test]
fn port_0_is_chosen_once_for_all_workers() {
    let sockets = bind(LOOPBACK, 4).unwrap();
    assert_eq!(sockets.len(), 4);
    assert_ne!(address_of(&sockets).port(), 0);
    assert!(sockets.iter().all(|socket| socket.local_addr().unwrap() == address_of(&sockets)));
    for _ in 0..16 {
        assert!(reaches(address_of(&sockets), &sockets));
    }
}

#[test]
fn accepting_does_not_block() {
    let sockets = bind(LOOPBACK, 1).unwrap();
    assert_eq!(sockets[0].accept().unwrap_err().kind(), io::ErrorKind::WouldBlock);
}

#[test]
fn a_port_that_another_process_would_share_is_in_use_and_its_owner_is_named() {
    for reuse_port in [true, false] {
        let holder = Holder::start(LOOPBACK, reuse_port);
        let error = bind(holder.address, 2).unwrap_err();
        assert!(matches!(error, BindError::InUse { .. }), "{error}");
        if cfg!(target_os = "linux") {
            assert!(error.to_string().contains(&holder.pid()), "{error}");
        }
    }
}

#[test]
#[cfg(target_os = "linux")]
fn our_own_sockets_do_not_stand_in_the_way() {
    let narrow = bind(LOOPBACK, 2).unwrap();
    let port = address_of(&narrow).port();
    // The one address that is not loopback, because widening to it is what must work.
    let wide = bind((Ipv4Addr::UNSPECIFIED, port).into(), 2).unwrap();
    assert!(reaches(address_of(&narrow), &narrow));
    let address = address_of(&narrow);
    drop(narrow);
    assert!(reaches(address, &wide));
    let narrow = bind(address, 2).unwrap();
    assert!(reaches(address, &narrow));
}

#[test]
#[cfg(target_os = "linux")]
fn another_process_stands_in_the_way_even_beside_our_own_sockets() {
    let holder = Holder::start(LOOPBACK, true);
    let port = holder.address.port();
    let ours = bind((Ipv4Addr::new(127, 0, 0, 2), port).into(), 1).unwrap();
    let error = bind((Ipv4Addr::UNSPECIFIED, port).into(), 1).unwrap_err().to_string();
    assert!(error.contains(&holder.pid()), "{error}");
    drop(holder);
    bind((Ipv4Addr::UNSPECIFIED, port).into(), 1).unwrap();
    drop(ours);
}

#[test]
#[cfg(target_os = "linux")]
fn a_socket_of_ours_that_cannot_share_is_called_ours() {
    let exclusive = TcpListener::bind(LOOPBACK).unwrap();
    let error = bind(exclusive.local_addr().unwrap(), 1).unwrap_err().to_string();
    assert!(error.contains("in use by this process itself"), "{error}");
}

#[test]
#[cfg(target_os = "linux")]
fn an_outgoing_connection_on_the_port_is_called_one() {
    let peer = TcpListener::bind(LOOPBACK).unwrap();
    let client = TcpStream::connect(peer.local_addr().unwrap()).unwrap();
    let error = bind(client.local_addr().unwrap(), 1).unwrap_err().to_string();
    assert!(error.contains("an outgoing connection of this process itself"), "{error}");
}

#[test]
fn all_addresses_of_ipv6_take_ipv4_too_and_stand_beside_those_of_ipv4() {
    let both = match bind((Ipv6Addr::UNSPECIFIED, 0).into(), 1) {
        Err(BindError::NotHere { .. }) => return eprintln!("skipped: no IPv6 here"),
        both => both.unwrap(),
    };
    let port = address_of(&both).port();
    let loopback: SocketAddr = (Ipv4Addr::LOCALHOST, port).into();
    assert!(reaches(loopback, &both));
    if cfg!(target_os = "linux") {
        let four = bind((Ipv4Addr::UNSPECIFIED, port).into(), 1).unwrap();
        assert!(reaches(loopback, &four));
        assert!(reaches((Ipv6Addr::LOCALHOST, port).into(), &both));
        drop(both);
        let both = bind((Ipv6Addr::UNSPECIFIED, port).into(), 1).unwrap();
        assert!(reaches(loopback, &four));
        drop(four);
        assert!(reaches(loopback, &both));
    }
}

#[test]
fn an_address_of_another_machine_is_told_from_those_that_are_here() {
    // TEST-NET-1 of RFC 5737, which nobody has.
    let error = bind("192.0.2.1:8080".parse().unwrap(), 1).unwrap_err();
    assert!(matches!(error, BindError::NotHere { .. }), "{error}");
    let error = error.to_string();
    assert!(error.contains("use 0.0.0.0 for all addresses"), "{error}");
    if cfg!(target_os = "linux") {
        assert!(error.contains("127.0.0.1"), "{error}");
    }
}

#[test]
fn a_privileged_port_says_what_to_do() {
    let address = "0.0.0.0:80".parse().unwrap();
    let denied = || io::Error::from(io::ErrorKind::PermissionDenied);
    let error = explain(address, denied()).to_string();
    assert!(error.starts_with("cannot listen on 0.0.0.0:80: no permission; "), "{error}");
    let remedy_for_80 = remedy(80, 1024);
    for part in ["from 1024 up", "CAP_NET_BIND_SERVICE", "net.ipv4.ip_unprivileged_port_start"] {
        assert!(remedy_for_80.contains(part), "{remedy_for_80}");
    }
    assert!(remedy(8080, 1024).contains("SELinux"));
}

#[test]
fn an_owner_that_cannot_be_seen_is_described() {
    let row = Row { listens: true, whose: Whose::Unseen { uid: 101 } };
    assert!(describe(&[row]).contains("user id 101; perhaps another container"));
    assert_eq!(describe(&[]), "the port is in use");
}
