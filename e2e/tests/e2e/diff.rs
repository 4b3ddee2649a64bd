//! What `outrigger diff` says before a change is what the log and the admin port say of the reload.

use e2e::{Outrigger, PORTS, binary};
use std::process::Command;

/// Each differs from the one before it in other ways.
const FILES: &[&str] = &[
    "backends: [{ name: demo, algorithm: LeastConnections, endpoints: [http://127.0.0.1:1, http://127.0.0.1:2] }]",
    "backends: [{ name: demo, algorithm: PeakEwma, endpoints: [{ url: http://127.0.0.1:1, weight: 2 }, http://127.0.0.1:3] }]",
    "
routes:
  - name: shop
    hosts: [shop.example.com]
    matches: [{ path: { prefix: /api }, headers: [{ name: x-user, exact: a }] }, { method: GET }]
    filters: [{ requestHeaders: { set: [{ name: x-key, value: one }] } }]
    backends: [{ name: demo, weight: 90 }, { name: other, weight: 10 }]
  - { name: old, filters: [{ redirect: { scheme: https } }] }
backends:
  - { name: demo, algorithm: PeakEwma, endpoints: [{ url: http://127.0.0.1:1, weight: 2 }, http://127.0.0.1:3] }
  - { name: other, algorithm: { name: ConsistentHash, key: Path }, endpoints: [http://127.0.0.1:4] }
",
    "
workers: 2
shutdown: { drainTimeout: 1s }
routes:
  - { name: old, filters: [{ respond: { status: 410 } }] }
  - name: shop
    hosts: [shop.example.com, '*.example.com']
    matches: [{ method: GET }]
    filters: [{ requestHeaders: { set: [{ name: x-key, value: two }] } }]
    timeouts: { request: 1s }
    maxBodyBytes: 1Ki
    backends: [{ name: demo, weight: 50 }, { name: other, weight: 50 }]
backends:
  - name: demo
    endpoints: [{ url: http://127.0.0.1:1, weight: 0 }, http://127.0.0.1:3]
    sessionAffinity: { cookie: { ttl: 1h } }
    slowStart: { window: 5s }
    retry: { statuses: [503] }
  - name: other
    algorithm: { name: ConsistentHash, key: { header: x-user }, table: Ring, boundedLoad: 1.5 }
    endpoints: [http://127.0.0.1:4]
",
    "workers: 1\nbackends: [{ name: demo, endpoints: [http://127.0.0.1:3], timeouts: { connect: 1s } }]",
];

#[tokio::test]
async fn diff_and_the_reload_say_the_same() {
    let text = |rest: &str| match rest.contains("workers:") {
        true => format!("{PORTS}{rest}\n"),
        false => format!("workers: 1\n{PORTS}{rest}\n"),
    };
    let folder = tempfile::tempdir().unwrap();
    let [old, new] = ["old.yaml", "new.yaml"].map(|name| folder.path().join(name));
    for pair in FILES.windows(2) {
        let outrigger = Outrigger::launch(&text(pair[0])).await;
        std::fs::write(&old, text(pair[0])).unwrap();
        std::fs::write(&new, text(pair[1])).unwrap();
        let output = Command::new(binary()).arg("diff").args([&old, &new]).output().unwrap();
        assert_eq!(output.status.code(), Some(1), "{}", String::from_utf8_lossy(&output.stderr));
        let said = String::from_utf8(output.stdout).unwrap();
        assert!(said.lines().count() > 1, "{said}");
        let same = said.trim_end().replace('\n', "; ");
        outrigger.reload(&text(pair[1])).await;
        let begin = "reload: generation 2: ";
        let line = outrigger.logged(begin).await;
        let rest = line.split_once(begin).unwrap().1;
        let (changes, kept) = rest.rsplit_once("; ").unwrap();
        assert_eq!((changes, kept), (&*same, "0 connections closed, 0 requests in flight kept"));
        let reloads = outrigger.ask("/api/v1/reloads").await.unwrap();
        let reloads: serde_json::Value = serde_json::from_slice(&reloads.body).unwrap();
        let changes = reloads["reloads"][0]["changes"].as_array().unwrap();
        let changes: Vec<_> = changes.iter().map(|change| change.as_str().unwrap()).collect();
        assert_eq!(changes, said.lines().collect::<Vec<_>>());
        outrigger.stop().await;
    }
}
