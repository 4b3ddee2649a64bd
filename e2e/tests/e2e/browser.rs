//! A browser: headless Chromium loads a page, whose script says how it came and talks over a WebSocket.

use crate::secure::{HOST, Secure};
use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use e2e::{eventually, has_tool, in_time};
use std::process::Stdio;
use testserver::Step;
use tokio::process::Command;

/// The page puts what it finds into itself and then says so by `/health`. It is loaded, and so shown by `--dump-dom`, when
/// its picture has come, which the test lets go then.
const PAGE: &str = r#"<!doctype html><title>test</title><link rel="icon" href="data:,"><p id="found">nothing yet</p><img src="/hold">
<script>
const found = { page: performance.getEntriesByType("navigation")[0].nextHopProtocol };
async function run() {
  const answer = await fetch("/echo", { method: "POST", body: "from a browser" });
  const echo = await answer.json();
  found.echo = echo.body.text;
  found.fetch = performance.getEntriesByType("resource").find(it => it.name.endsWith("/echo")).nextHopProtocol;
  found.socket = await new Promise((resolve, reject) => {
    const socket = new WebSocket("wss://" + location.host + "/ws");
    socket.onopen = () => socket.send("over a WebSocket");
    socket.onmessage = event => { resolve(event.data); socket.close(); };
    socket.onerror = () => reject("the WebSocket failed");
  });
}
run().catch(error => { found.error = String(error); }).finally(() => {
  document.getElementById("found").textContent = JSON.stringify(found);
  fetch("/health");
});
</script>
"#;

#[tokio::test]
async fn chromium_loads_a_page_over_http_2_and_talks_over_a_websocket() {
    if !has_tool("chromium") {
        return;
    }
    let scene = Secure::start().await;
    let page = format!(
        "HTTP/1.1 200 OK\r\ncontent-type: text/html\r\ncontent-length: {}\r\n\r\n{PAGE}",
        PAGE.len()
    );
    scene.server.script("/page", [Step::send(page)]);
    let digest =
        rustls::crypto::aws_lc_rs::default_provider().cipher_suites.iter().find_map(|suite| {
            let rustls::SupportedCipherSuite::Tls13(suite) = suite else { return None };
            let hash = suite.common.hash_provider;
            (hash.output_len() == 32).then(|| hash.hash(scene.leaf.public_key()).as_ref().to_vec())
        });
    let spki = BASE64.encode(digest.expect("a suite has SHA-256"));
    let profile = tempfile::tempdir().unwrap();
    let port = scene.outrigger.address().port();
    let mut command = Command::new("chromium");
    command
        .args(["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"])
        .args(["--disable-background-networking", "--disable-component-update", "--disable-sync"])
        .args(["--disable-dev-shm-usage"])
        .arg(format!("--user-data-dir={}", profile.path().display()))
        .arg(format!("--ignore-certificate-errors-spki-list={spki}"))
        .arg(format!("--host-resolver-rules=MAP {HOST} 127.0.0.1"))
        .arg("--dump-dom")
        .arg(format!("https://{HOST}:{port}/page"))
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let letting_go = async {
        eventually("the page's word", async || {
            (scene.server.requests_to("/health") > 0).then_some(())
        })
        .await;
        scene.server.release();
    };
    let (said, ()) =
        in_time("the browser", async { tokio::join!(e2e::said(command), letting_go) }).await;
    let found = said.out.split("<p id=\"found\">").nth(1).and_then(|it| it.split("</p>").next());
    let found = found.unwrap_or_else(|| panic!("no page: {said:#?}"));
    let found: serde_json::Value =
        serde_json::from_str(found).unwrap_or_else(|error| panic!("{error}: {found}: {said:#?}"));
    println!("{found}");
    assert_eq!((&found["page"], &found["fetch"]), (&"h2".into(), &"h2".into()), "{found}");
    assert_eq!(found["echo"], "from a browser", "{found}");
    assert_eq!(found["socket"], "over a WebSocket", "{found}");
    assert_eq!(scene.server.requests_to("/ws"), 1);
    eventually("its connections to be gone", async || {
        (scene.server.counts().in_flight == 0).then_some(())
    })
    .await;
    scene.outrigger.stop().await;
}
