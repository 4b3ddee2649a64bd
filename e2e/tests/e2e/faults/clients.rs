//! Clients that are slow on purpose, while others are served by the same worker.

use super::scene::{FAULTY, Scene};
use e2e::{eventually, in_time};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// How many there are.
const CLIENTS: usize = 500;

/// Short limits, so that the test sees their ends; the slow clients send a byte again and again meanwhile.
const TOP: &str = "\
workers: 1
admin: { address: 127.0.0.1:0 }
listeners: [{ name: http, address: 127.0.0.1:0, limits: { headerTimeout: 4s, bodyTimeout: 2s } }]
";

/// Connects the slow clients, each of which begins with `text`.
async fn clients(scene: &Scene, text: &str) -> Vec<TcpStream> {
    let mut clients = Vec::new();
    for _ in 0..CLIENTS {
        let mut client = scene.connect().await;
        client.write_all(text.as_bytes()).await.unwrap();
        clients.push(client);
    }
    clients
}

/// Reads to the end, by a close or a reset.
async fn rest(mut client: TcpStream) -> String {
    let mut text = Vec::new();
    // A reset takes nothing from what was read before.
    let _ = in_time("the end of a slow client", client.read_to_end(&mut text)).await;
    String::from_utf8_lossy(&text).into_owned()
}

/// S3: a head that never ends.
#[tokio::test]
async fn slow_heads_keep_nobody_else_waiting_and_end_in_time() {
    let mut scene = Scene::start(TOP, "").await;
    let mut slow = clients(&scene, &format!("GET / HTTP/1.1\r\nHost: {FAULTY}\r\nx-slow: ")).await;
    for _ in 0..3 {
        for client in &mut slow {
            // Those whose time is over already have been closed.
            let _ = client.write_all(b"z").await;
        }
        scene.others_are_served().await;
    }
    for client in slow {
        let answer = rest(client).await;
        assert!(answer.starts_with("HTTP/1.1 408 "), "{answer}");
    }
    assert_eq!(scene.faulty.counts().requests, 0);
    // 8 KiB of hyper's buffer and 16 KiB of the connection's future in the debug build of tests, and the allocator's spare.
    scene.end(CLIENTS as u64 * 48).await;
}

/// S3: a body that never ends.
#[tokio::test]
async fn slow_bodies_keep_nobody_else_waiting_and_end_in_time() {
    let mut scene = Scene::start(TOP, "").await;
    let head = format!("POST /sink HTTP/1.1\r\nHost: {FAULTY}\r\nContent-Length: 1000000\r\n\r\n");
    let mut slow = clients(&scene, &head).await;
    scene.faulty.wait_for_requests(CLIENTS as u64 / 2).await;
    for _ in 0..3 {
        for client in &mut slow {
            let _ = client.write_all(b"z").await;
        }
        scene.others_are_served().await;
    }
    for client in slow {
        let answer = rest(client).await;
        assert!(answer.starts_with("HTTP/1.1 408 "), "{answer}");
    }
    // The endpoint was given half a request, and must not wait for the rest of it.
    eventually("the endpoint to be free", async || {
        (scene.faulty.counts().open_connections == 0).then_some(())
    })
    .await;
    scene.end(CLIENTS as u64 * 64).await;
}
