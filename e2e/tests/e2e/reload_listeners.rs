//! Listeners and the admin ports that come, go and move while the process serves.

use crate::edit::{held, one_backend, serves, until_closed};
use e2e::{Connection, Outrigger, Signal, eventually, free_port, in_time};
use std::net::{SocketAddr, TcpListener};
use std::time::Duration;
use testserver::Server;
use tokio::time::Instant;

const ADMIN: &str = "admin: { address: 127.0.0.1:0 }\n";

/// A configuration with these listeners, and a drain timeout of so many milliseconds.
fn config(listeners: &[(&str, SocketAddr)], drain: u64, server: &Server) -> String {
    let one = |(name, address)| format!("  - {{ name: {name}, address: \"{address}\" }}\n");
    let listeners: String = listeners.iter().copied().map(one).collect();
    let top = format!("{ADMIN}shutdown: {{ drainTimeout: {drain}ms }}\nlisteners:\n{listeners}");
    one_backend(&top, server)
}

fn loopback(port: u16) -> SocketAddr {
    ([127, 0, 0, 1], port).into()
}

async fn until_refused(address: SocketAddr) {
    eventually("the socket to be closed", async || {
        std::net::TcpStream::connect(address).is_err().then_some(())
    })
    .await;
}

#[tokio::test]
async fn an_added_listener_serves_and_a_removed_one_drains() {
    let server = Server::builder().start().await.unwrap();
    let (first, second) = (("one", loopback(0)), ("two", loopback(free_port())));
    let outrigger = Outrigger::start(&config(&[first], 20_000, &server)).await;
    let status = outrigger.reload(&config(&[first, second], 20_000, &server)).await;
    assert_eq!(status.listeners[1].address, second.1);
    outrigger.logged(&format!("listener two added on {}", second.1)).await;

    let mut stays = Connection::open(outrigger.address()).await.unwrap();
    assert_eq!(stays.get("/").await.unwrap().header("connection"), "");
    let mut idle = Connection::open(second.1).await.unwrap();
    assert_eq!(idle.get("/").await.unwrap().header("connection"), "");
    let request = held(second.1, &server).await;
    let status = outrigger.reload(&config(&[first], 20_000, &server)).await;
    assert_eq!(status.listeners.len(), 1);
    outrigger.logged("listener two removed, drains for up to 20s; 2 connections closed, 1 requests in flight kept").await;
    until_refused(second.1).await;

    // Its idle connection is told with its next answer, and the request in flight is finished.
    assert!(idle.is_open());
    let answer = idle.get("/").await.unwrap();
    assert_eq!((answer.status, answer.header("connection")), (200, "close"));
    until_closed("the idle connection", &idle).await;
    server.release();
    let answer = in_time("the held request", request).await.unwrap();
    assert_eq!((answer.status, answer.header("connection")), (200, "close"));
    assert_eq!(stays.get("/").await.unwrap().header("connection"), "", "another listener's");
    drop(stays);
    outrigger.stop().await;
}

/// R4: clients that all come back at the same moment are a wave.
#[tokio::test]
async fn the_connections_of_a_removed_listener_close_spread_over_time() {
    let server = Server::builder().start().await.unwrap();
    let (first, second) = (("one", loopback(0)), ("two", loopback(free_port())));
    let outrigger = Outrigger::start(&config(&[first, second], 1000, &server)).await;
    let mut idle = Vec::new();
    for _ in 0..20 {
        let mut connection = Connection::open(second.1).await.unwrap();
        connection.get("/").await.unwrap();
        idle.push(connection);
    }
    let removed = Instant::now();
    outrigger.reload(&config(&[first], 1000, &server)).await;
    let mut closed = Vec::new();
    while !idle.is_empty() {
        let next = async || idle.iter().position(|connection| !connection.is_open());
        let next = eventually("the next to be closed", next).await;
        idle.swap_remove(next);
        closed.push(removed.elapsed());
    }
    // In the second half of the time, and not together: 20 chances all within a fifth of that half are one in a trillion.
    assert!(closed[0] >= Duration::from_millis(500), "{closed:?}");
    assert!(closed[19] - closed[0] >= Duration::from_millis(100), "{closed:?}");
    serves(outrigger.address()).await;
    outrigger.stop().await;
}

/// R4: nobody has to connect again because a listener changed.
#[tokio::test]
async fn a_listener_that_moves_keeps_its_connections() {
    let server = Server::builder().start().await.unwrap();
    let (from, to) = (loopback(free_port()), loopback(free_port()));
    let outrigger = Outrigger::start(&config(&[("http", from)], 100, &server)).await;
    let mut kept = Connection::open(from).await.unwrap();
    kept.get("/").await.unwrap();
    let request = held(from, &server).await;
    outrigger.reload(&config(&[("http", to)], 100, &server)).await;
    outrigger
        .logged(&format!("listener http: address {from} → {to}, open connections stay; 0 connections closed, 1 requests"))
        .await;
    serves(to).await;
    until_refused(from).await;
    let answer = kept.get("/").await.unwrap();
    assert_eq!((answer.status, answer.header("connection")), (200, ""));
    server.release();
    assert_eq!(in_time("the held request", request).await.unwrap().status, 200);
    outrigger.stop().await;
}

/// Our own socket must not stand in our way.
#[tokio::test]
async fn a_listener_on_loopback_can_come_to_listen_everywhere_and_back() {
    let server = Server::builder().start().await.unwrap();
    let near = loopback(free_port());
    let everywhere = SocketAddr::from(([0, 0, 0, 0], near.port()));
    let outrigger = Outrigger::start(&config(&[("http", near)], 100, &server)).await;
    let mut kept = Connection::open(near).await.unwrap();
    for address in [everywhere, near] {
        let status = outrigger.reload(&config(&[("http", address)], 100, &server)).await;
        assert_eq!(status.listeners[0].address, address);
        serves(near).await;
        assert_eq!(kept.get("/").await.unwrap().header("connection"), "");
    }
    outrigger.stop().await;
}

/// All sockets or none: the free port of the same file is not opened either.
#[tokio::test]
async fn a_listener_whose_port_is_taken_changes_nothing_until_it_is_free() {
    let server = Server::builder().start().await.unwrap();
    let first = ("one", loopback(free_port()));
    let free = ("free", loopback(free_port()));
    let holder = TcpListener::bind(loopback(0)).unwrap();
    let taken = ("taken", holder.local_addr().unwrap());
    let outrigger = Outrigger::start(&config(&[first], 100, &server)).await;
    let mut kept = Connection::open(first.1).await.unwrap();
    kept.get("/").await.unwrap();

    let text = config(&[free, taken], 100, &server);
    outrigger.write(&text);
    let status = outrigger.until("the refusal", |status| status.refused.is_some()).await;
    let told = status.refused.as_ref().unwrap().errors[0]["message"].as_str().unwrap();
    assert!(told.contains("listener taken (listeners[].address)"), "{told}");
    assert!(
        told.contains(&format!("cannot listen on {}: the port is in use by", taken.1)),
        "{told}"
    );
    assert!(told.contains(&format!("(pid {})", std::process::id())), "{told}");
    assert_eq!((status.generation, status.listeners.len(), status.ready), (1, 1, true));
    assert!(std::net::TcpStream::connect(free.1).is_err(), "half of a refused file");
    serves(first.1).await;
    assert_eq!(kept.get("/").await.unwrap().header("connection"), "");

    drop(holder);
    outrigger.signal(Signal::HUP);
    outrigger.until("the same file, now possible", |status| status.generation == 2).await;
    serves(taken.1).await;
    serves(free.1).await;
    outrigger.stop().await;
}

#[tokio::test]
async fn the_admin_and_probes_ports_come_move_and_go() {
    let server = Server::builder().start().await.unwrap();
    let (here, there, probes) =
        (loopback(free_port()), loopback(free_port()), loopback(free_port()));
    let everywhere = SocketAddr::from(([0, 0, 0, 0], there.port()));
    let text = |admin: &str, rest: &str| {
        let listeners = "listeners: [{ name: http, address: 127.0.0.1:0 }]\n";
        one_backend(&format!("admin: {{ address: \"{admin}\" }}\n{rest}{listeners}"), &server)
    };
    let asks = async |address: SocketAddr, path: &str| {
        let mut connection = Connection::open(address).await?;
        connection.get(path).await.map(|answer| answer.status)
    };
    let outrigger = Outrigger::start(&text(&here.to_string(), "")).await;
    assert_eq!(asks(here, "/readyz").await, Ok(200));

    outrigger.write(&text(&there.to_string(), &format!("probes: {{ address: \"{probes}\" }}\n")));
    outrigger
        .logged(&format!("admin.address {here} → {there}; probes.address none → {probes};"))
        .await;
    assert_eq!(asks(there, "/status").await, Ok(200));
    assert_eq!(asks(probes, "/readyz").await, Ok(200));
    assert_eq!(asks(probes, "/status").await, Ok(404));
    until_refused(here).await;

    // Our own socket must not stand in our way here either.
    outrigger.write(&text(&everywhere.to_string(), ""));
    outrigger.logged("reload: generation 3: ").await;
    assert_eq!(asks(there, "/status").await, Ok(200));
    until_refused(probes).await;

    let holder = TcpListener::bind(loopback(0)).unwrap();
    outrigger.write(&text(&holder.local_addr().unwrap().to_string(), ""));
    let refusal = outrigger.logged("admin.address: ").await;
    assert!(refusal.contains("in use by"), "{refusal}");
    assert_eq!(asks(there, "/readyz").await, Ok(200));

    outrigger.write(&text("", ""));
    outrigger.logged("reload: generation 4: ").await;
    until_refused(there).await;
    serves(outrigger.address()).await;
    outrigger.stop().await;
}
