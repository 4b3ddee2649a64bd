//! No file descriptors left: who was accepted is served, who was not waits and is served later.

use super::scene::{FAULTY, Scene, TOP};
use e2e::in_time;
use std::time::Duration;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

/// All files of the process.
const LIMIT: usize = 160;
/// More clients than that.
const CLIENTS: usize = 200;
/// For each of the clients that were accepted, what an idle connection costs at most in the debug build of tests.
const MOST_KIB: u64 = 64 * LIMIT as u64;

#[tokio::test]
async fn without_files_the_accepted_are_served_and_the_others_wait() {
    let mut scene = Scene::start_by(&format!(r#"ulimit -n {LIMIT}; exec "$@""#), TOP, "").await;
    let mut clients = Vec::new();
    for _ in 0..CLIENTS {
        // The kernel completes the connection, whether it is accepted or not.
        clients.push(scene.connect().await);
    }
    scene.outrigger.logged("cannot accept connections").await;
    let before = (scene.outrigger.cpu_time(), tokio::time::Instant::now());
    // Those who were there before, and all that they need, new connections to the endpoint included.
    for _ in 0..5 {
        scene.known_others_are_served().await;
    }
    // Nothing but time must pass here: what a process that does not spin spends little in.
    tokio::time::sleep(Duration::from_secs(1)).await;
    let spent = scene.outrigger.cpu_time() - before.0;
    let passed = before.1.elapsed();
    println!("{spent:?} of processor time in {passed:?}, {} files", scene.outrigger.open_files());
    assert!(spent < passed.mul_f64(0.8), "{spent:?} of {passed:?}: does it spin?");
    assert!(scene.outrigger.open_files() <= LIMIT);

    // Each that has been accepted asks at the same time for the other endpoint, which needs connections of its own.
    let accepted = clients.len().min(60);
    let mut asked = tokio::task::JoinSet::new();
    for client in clients.drain(..accepted) {
        asked.spawn(ask(client));
    }
    while let Some(status) = in_time("an accepted client's answer", asked.join_next()).await {
        assert_eq!(status.unwrap(), 200);
    }
    // They are gone; so those who waited get their turn, each after the other.
    for client in clients {
        assert_eq!(in_time("a waiting client's answer", ask(client)).await, 200);
    }
    let said = scene.outrigger.log().all();
    let said = said.iter().filter(|line| line.contains("cannot accept connections")).count();
    // A reminder every 10 s is all there may be.
    assert!(said as u64 <= 1 + passed.as_secs() / 10 + 2, "{said} times");
    scene.end(MOST_KIB).await.stop().await;
}

/// Asks the faulty endpoint, which takes its time, over this connection, and closes it.
async fn ask(mut client: TcpStream) -> u16 {
    let request =
        format!("GET /health?delay=20ms HTTP/1.1\r\nHost: {FAULTY}\r\nConnection: close\r\n\r\n");
    client.write_all(request.as_bytes()).await.unwrap();
    let mut head = [0; 12];
    in_time("an answer", tokio::io::AsyncReadExt::read_exact(&mut client, &mut head))
        .await
        .unwrap();
    String::from_utf8_lossy(&head[9..]).parse().unwrap()
}
