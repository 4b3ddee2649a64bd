//! Many at once who mean harm: others are served meanwhile, and what is held for them is bounded and goes again.

use super::super::client::Client;
use super::super::harness::{Config, eventually, server};
use super::super::process::Process;
use futures_util::future::join_all;
use std::time::Duration;
use tokio::time::{Instant, timeout};

/// So many connections of each kind.
const EACH: usize = 40;

/// What clients send and then fall silent, or go on with, a byte at a time.
const HALVES: [&str; 6] = [
    "",
    "GET / HTTP/1.1\r\nHost: a\r\nX-A: ",
    "POST /sink HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\nx",
    "POST /sink HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nfffff\r\nx",
    "POST /sink HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1;x=",
    "\r\n",
];

/// S1, S3: connections that never finish what they begin, that send only what is refused, and that ask for much and read nothing,
/// while somebody else's requests are answered, each in a time that a person would not notice.
#[tokio::test]
async fn others_are_served_while_hundreds_attack() {
    let server = server().await;
    let limits = "headerTimeout: 2s, bodyTimeout: 2s, idleTimeout: 2s";
    // A process of its own, whose memory is nobody else's.
    let proxy = Process::start(&Config::to(&[&server]).limits(limits), "").await;
    Client::to(proxy.address).await.get("/").await;
    let before = proxy.resident();
    // Slow ones: half a request, and then nothing.
    let slow = join_all((0..EACH).flat_map(|_| HALVES).map(async |half| {
        let mut client = Client::to(proxy.address).await;
        client.send(half).await;
        client
    }))
    .await;
    // Those that read nothing of what they ask for.
    let deaf = join_all((0..EACH).map(async |_| {
        let mut client = Client::to(proxy.address).await;
        client.send("GET /bytes/100000000 HTTP/1.1\r\nHost: a\r\n\r\n".repeat(20)).await;
        client
    }))
    .await;
    // Those that send what is refused, again and again, as fast as they are refused.
    let attack = async {
        loop {
            join_all((0..EACH).map(async |at| {
                let mut client = Client::to(proxy.address).await;
                let bytes = [
                    "GET / HTTP/9.9\r\n\r\n",
                    "\0\0\0\0",
                    "GET / HTTP/1.1\r\nHost: a\r\nX : 1\r\n\r\n",
                ][at % 3];
                client.send(bytes).await;
                let _ = client.rest().await;
            }))
            .await;
        }
    };
    let served = async {
        let mut slowest = Duration::ZERO;
        let mut most = 0;
        let mut fresh = Client::to(proxy.address).await;
        for number in 0..150 {
            let begun = Instant::now();
            if number % 3 == 0 {
                fresh = Client::to(proxy.address).await;
            }
            let answer = fresh.get(&format!("/echo?{number}")).await;
            assert_eq!(answer.json()["target"], format!("/echo?{number}"));
            slowest = slowest.max(begun.elapsed());
            most = most.max(proxy.resident());
        }
        (slowest, most)
    };
    let (slowest, most) = tokio::select! {
        () = attack => unreachable!(),
        served = timeout(super::super::client::PATIENCE, served) => served.expect("nobody else is served"),
    };
    assert!(slowest < Duration::from_secs(5), "{slowest:?}");
    // What is asked for in vain is four gigabytes; what is sent in halves may be hundreds of megabytes.
    assert!(most < before + 128 * 1024, "{before} KiB before, {most} KiB meanwhile");
    // The slow are told so, and their connections end by themselves.
    let ends = join_all(slow.into_iter().map(async |mut client| {
        let (answer, _) = client.rest().await;
        let answer = String::from_utf8(answer).unwrap();
        assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 408 "), "{answer}");
        !answer.is_empty()
    }))
    .await;
    assert!(ends.into_iter().filter(|told| *told).count() >= 4 * EACH);
    drop(deaf);
    eventually(&server, |counts| counts.in_flight == 0).await;
}
