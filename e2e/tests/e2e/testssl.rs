//! What testssl.sh finds at a listener with defaults: nothing.

use crate::secure::{HOST, Secure};
use e2e::{has_tool, said};
use serde::Deserialize;
use std::process::Stdio;
use std::time::Duration;
use tokio::process::Command;
use tokio::time::{Instant, timeout};

/// How long it may take. It makes some hundreds of connections, one after the other, and forks for each.
const PATIENCE: Duration = Duration::from_secs(600);

#[derive(Debug, Deserialize)]
struct Finding {
    id: String,
    severity: String,
    finding: String,
}

/// What is a test certificate's, not the listener's: trust and revocation. And what the site's pages say, not the proxy.
fn is_excepted(id: &str) -> bool {
    let id = id.split(' ').next().unwrap_or(id);
    let about = [
        "cert_trust",
        "cert_chain_of_trust",
        "cert_revocation",
        "cert_crlRevoked",
        "cert_ocspRevoked",
        "cert_crlDistributionPoints",
        "cert_caIssuers",
        "security_headers",
    ];
    about.contains(&id)
}

#[tokio::test]
async fn testssl_finds_nothing_of_medium_severity_or_more() {
    if !has_tool("testssl") {
        return;
    }
    let scene = Secure::start().await;
    let report = scene.outrigger.directory().join("report.json");
    let address = scene.outrigger.address();
    let mut command = Command::new("testssl");
    command
        .args(["--warnings", "off", "--quiet", "--color", "0", "--severity", "MEDIUM"])
        .args(["--ip", "127.0.0.1", "--nodns", "none", "--add-ca", &scene.authority_file()])
        .arg("--jsonfile")
        .arg(&report)
        .arg(format!("{HOST}:{}", address.port()))
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let begun = Instant::now();
    let said = timeout(PATIENCE, said(command)).await.expect("testssl ends");
    println!("testssl took {:?}, exit code {:?}", begun.elapsed(), said.code);
    let text =
        std::fs::read_to_string(&report).unwrap_or_else(|error| panic!("{error}: {said:#?}"));
    let findings: Vec<Finding> =
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}: {said:#?}"));
    // A WARN is about what testssl itself could not do here: its openssl, or DNS.
    let is_grave = |it: &&Finding| ["MEDIUM", "HIGH", "CRITICAL"].contains(&&*it.severity);
    let told: Vec<_> = findings.iter().filter(is_grave).filter(|it| !is_excepted(&it.id)).collect();
    assert!(told.is_empty(), "{told:#?}");
    let failed = findings.iter().filter(|it| it.severity == "FATAL").count();
    assert_eq!(failed, 0, "it could not look: {said:#?}");
    assert!(said.out.contains("Done"), "{said:#?}");
    println!("excepted: {:?}", findings.iter().map(|it| (&it.id, &it.finding)).collect::<Vec<_>>());
    scene.outrigger.stop().await;
}
