//! What goes wrong on purpose: endpoints that restart or misbehave, clients that go away.

use super::clients::Client;
use super::scene::Scene;
use super::traffic::PATTERN;
use super::wire::Wire;
use fastrand::Rng;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{sleep, timeout};

/// What the faulty endpoint is asked for: no answer, half of one, garbage, trickles, refusals, closes.
const FAULTS: &[&str] = &[
    "/",
    "/hold",
    "/hold-body",
    "/hold-body?chunked",
    "/no-continue",
    "/reject?after=1000",
    "/reject?abrupt",
    "/close?at=request",
    "/close?at=before-head",
    "/close?at=before-head&reset",
    "/close?at=mid-head",
    "/close?at=mid-head&reset",
    "/close?at=after-head",
    "/close?at=mid-body",
    "/close?at=mid-body&reset",
    "/close?at=mid-chunk",
    "/close?at=mid-body&pause=50ms",
    "/close-idle?after=10ms",
    "/close-idle?after=10ms&reset",
    "/close-next",
    "/close-next?reset",
    "/http10",
    "/http10?keepalive",
    "/malformed/status-line",
    "/malformed/two-lengths",
    "/malformed/length-and-chunked",
    "/malformed/bad-length",
    "/malformed/bad-chunk",
    "/malformed/obs-fold",
    "/malformed/name-space",
    "/malformed/bare-lf",
    "/malformed/nul",
    "/malformed/huge-header",
    "/malformed/surplus",
    "/malformed/not-http",
    "/trickle?pieces=10&every=50ms&close",
    "/trickle?pieces=2&every=3s",
    "/status/503",
    "/early-hints?between=20ms",
    "/bytes/1000000?close",
    "/bytes/30000000",
];

/// Restarts the restarting endpoint, and the faulty one by resets, until all come to an end; leaves both running.
pub async fn restart(scene: Arc<Scene>) {
    let mut rng = Rng::with_seed(scene.plan.seed ^ 1);
    while !scene.is_stopping() {
        pause(&mut rng, 600).await;
        if rng.bool() {
            scene.restarting.stop().await
        } else {
            scene.restarting.stop_by_reset().await
        }
        if rng.u8(0..4) == 0 {
            scene.faulty.stop_by_reset().await;
        }
        pause(&mut rng, 300).await;
        scene.restarting.restart().expect("the port is reserved");
        scene.faulty.restart().expect("the port is reserved");
    }
}

/// A request to the faulty endpoint: any answer is right, and so is none, as long as there is an end.
pub async fn provoke(client: &mut Client) -> Result<(), String> {
    let path = client.rng.choice(FAULTS).expect("there are some");
    let length = client.length(200_000);
    let mut wire = Wire::open(client.scene.outrigger.address()).await?;
    let method = if client.rng.bool() { "GET" } else { "POST" };
    let head = format!(
        "{method} {path} HTTP/1.1\r\nHost: faulty.test\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n"
    );
    let conversation = async {
        wire.send(head.as_bytes()).await?;
        wire.send(&PATTERN[..length]).await?;
        while !wire.read(64 * 1024).await?.is_empty() {}
        Ok::<_, String>(())
    };
    // Its own patience is for the answer's end; some of us have less.
    if client.rng.u8(0..4) == 0 {
        let _ = timeout(Duration::from_millis(client.rng.u64(1..500)), conversation).await;
    } else {
        let _ = conversation.await;
    }
    client.well(0);
    Ok(())
}

/// A client that goes away in the middle of something, by a close or by a reset.
pub async fn abort(client: &mut Client) -> Result<(), String> {
    let mut wire = Wire::open(client.scene.outrigger.address()).await?;
    let websocket = "GET /ws HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\
                     Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
    let begun = match client.rng.u32(0..7) {
        0 => "",
        1 => "GET /half-a-head HTTP/1.1\r\nHost:",
        2 => "GET /bytes/4000000 HTTP/1.1\r\nHost: a\r\n\r\n",
        3 => "POST /sink HTTP/1.1\r\nHost: a\r\nContent-Length: 4000000\r\n\r\nabcdef",
        4 => "POST /sink HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n6\r\nabcdef\r\n",
        5 => "GET /trickle?pieces=0&every=20ms HTTP/1.1\r\nHost: a\r\n\r\n",
        _ => websocket,
    };
    // Nothing of what comes matters but the end.
    let _ = wire.send(begun.as_bytes()).await;
    let reads = client.rng.u32(0..4);
    for _ in 0..reads {
        let most = client.length(64 * 1024).max(1);
        let _ = timeout(Duration::from_millis(50), wire.read(most)).await;
    }
    pause(&mut client.rng, 100).await;
    if client.rng.bool() {
        wire.reset();
    }
    client.well(0);
    Ok(())
}

async fn pause(rng: &mut Rng, most: u64) {
    sleep(Duration::from_millis(rng.u64(0..=most))).await;
}
