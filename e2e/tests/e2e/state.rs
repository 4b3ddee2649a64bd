//! What a reload must not forget: positions, counts, latencies, health, and open WebSockets.

use crate::scene::config;
use e2e::{Connection, Load, Outrigger};
use futures_util::{SinkExt, StreamExt};
use std::net::SocketAddr;
use std::time::Duration;
use testserver::Server;
use tokio::net::TcpStream;
use tokio::time::Instant;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{WebSocketStream, client_async};

async fn servers<const N: usize>() -> [Server; N] {
    let mut servers = Vec::new();
    for index in 0..N {
        servers.push(Server::builder().name(index.to_string()).start().await.unwrap());
    }
    servers.try_into().unwrap()
}

fn urls(servers: &[Server]) -> Vec<String> {
    servers.iter().map(Server::url).collect()
}

/// R3: the first endpoint is not hit again and again by reloads.
#[tokio::test]
async fn the_round_robin_position_survives_a_reload() {
    let servers = servers::<5>().await;
    let edit = |attempts| format!("    retry: {{ attempts: {attempts} }}\n");
    let outrigger = Outrigger::start(&config("RoundRobin", &urls(&servers), &edit(1))).await;
    let mut client = Connection::open(outrigger.address()).await.unwrap();
    let mut order: Vec<usize> = Vec::new();
    for attempts in 2..6 {
        for _ in 0..3 {
            order.push(client.get("/").await.unwrap().server().parse().unwrap());
        }
        outrigger.reload(&config("RoundRobin", &urls(&servers), &edit(attempts))).await;
    }
    let in_turn: Vec<_> = (0..12).map(|index| (order[0] + index) % 5).collect();
    assert_eq!(order, in_turn);
}

/// R3: counts, latencies and health are the endpoint's, not the configuration's.
#[tokio::test]
async fn a_switch_keeps_requests_in_flight_latencies_and_health() {
    let servers = servers::<3>().await;
    let dead = Server::builder().start().await.unwrap();
    dead.stop().await;
    let mut all = urls(&servers);
    all.push(dead.url());
    let probes = "    healthProbe: { http: { path: /health }, interval: 1h, timeout: 2s }\n    \
                  latencyProbe: { http: { path: / }, interval: 1h, timeout: 5s }\n";
    let outrigger = Outrigger::start(&config("LeastConnections", &all, probes)).await;

    let load = Load::on(outrigger.address()).connections(9).path("/hold").start();
    let before = outrigger
        .until("9 requests in flight", |status| status.backend("demo").in_flight() == [3, 3, 3, 0])
        .await;
    let after = outrigger.reload(&config("LeastResponseTime", &all, probes)).await;
    assert_eq!(after.backend("demo").algorithm, "LeastResponseTime");
    let endpoints = before.backend("demo").endpoints.iter().zip(&after.backend("demo").endpoints);
    for (before, after) in endpoints {
        assert_eq!(before.in_flight, after.in_flight, "{after:?}");
        assert_eq!(before.latency_ms, after.latency_ms, "{after:?}");
        assert_eq!(before.health.state, after.health.state, "{after:?}");
        assert_eq!(before.health.reason, after.health.reason, "{after:?}");
        assert_eq!(before.picks, after.picks, "{after:?}");
    }
    let gone = after.backend("demo").endpoint(&dead.url());
    assert!(!gone.eligible && gone.health.reason.is_some(), "{gone:?}");
    outrigger
        .logged(
            "LeastConnections → LeastResponseTime; 0 connections closed, 9 requests in flight kept",
        )
        .await;
    // Nobody is asked again what he has told already.
    for server in &servers {
        assert_eq!((server.requests_to("/health"), server.requests_to("/")), (1, 1));
    }
    let stopping = tokio::spawn(load.stop());
    servers.iter().for_each(Server::release);
    stopping.await.unwrap().assert_all_ok();
    outrigger
        .until("no request in flight", |status| status.backend("demo").in_flight() == [0; 4])
        .await;
}

async fn websocket(address: SocketAddr) -> WebSocketStream<TcpStream> {
    let stream = TcpStream::connect(address).await.unwrap();
    client_async(format!("ws://{address}/ws"), stream).await.unwrap().0
}

async fn assert_echoes(socket: &mut WebSocketStream<TcpStream>, text: &str) {
    socket.send(Message::text(text)).await.unwrap();
    let answer = e2e::in_time("the echo", socket.next()).await;
    assert_eq!(answer.unwrap().unwrap(), Message::text(text));
}

/// R1, R2: an edit closes a WebSocket only if it removes what the WebSocket needs, and then not at once.
#[tokio::test]
async fn a_websocket_survives_every_edit_but_the_removal_of_its_endpoint() {
    const DRAIN: Duration = Duration::from_millis(400);
    let [server, other] = servers::<2>().await;
    let yaml = |algorithm, urls: &[&Server], rest: &str| {
        let urls: Vec<_> = urls.iter().map(|server| server.url()).collect();
        format!("{}shutdown: {{ drainTimeout: 400ms }}\n", config(algorithm, &urls, rest))
    };
    let outrigger = Outrigger::start(&yaml("RoundRobin", &[&server], "")).await;
    let mut socket = websocket(outrigger.address()).await;
    assert_echoes(&mut socket, "before").await;

    let limits = |yaml: String| {
        yaml.replace("127.0.0.1:0 }]", "127.0.0.1:0, limits: { idleTimeout: 9s } }]")
    };
    let probe = "    healthProbe: { http: { path: /health }, interval: 1s }\n";
    let edits = [
        yaml("Random", &[&server], ""),
        yaml("Random", &[&server, &other], ""),
        yaml("Random", &[&other, &server], probe),
        limits(yaml("Random", &[&other, &server], probe)),
    ];
    for (index, edit) in edits.iter().enumerate() {
        outrigger.reload(edit).await;
        assert_echoes(&mut socket, &format!("after edit {index}")).await;
    }
    // Longer than a removed endpoint's would live.
    tokio::time::sleep(DRAIN + Duration::from_millis(100)).await;
    assert_echoes(&mut socket, "long after").await;
    assert_eq!(server.counts().in_flight, 1);

    let removed = Instant::now();
    outrigger.reload(&yaml("Random", &[&other], probe)).await;
    assert_echoes(&mut socket, "while it drains").await;
    let end = e2e::in_time("the end of the WebSocket", socket.next()).await;
    assert!(!matches!(&end, Some(Ok(message)) if !message.is_close()), "{end:?}");
    assert!(removed.elapsed() >= DRAIN, "{:?}", removed.elapsed());
    server.wait_until(|counts| counts.open_connections == 0).await;
    let line =
        outrigger.access_log().find("the line of the WebSocket", |line| line.path == "/ws").await;
    println!("{}", line.text);
    assert_eq!((line.status, line.generation), (101, 1), "{}", line.text);
}
