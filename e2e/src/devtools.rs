//! Headless Chromium, driven by its own protocol over a WebSocket (Chrome DevTools Protocol, stable 1.3 and Fetch).

use crate::wait::{PATIENCE, in_time};
use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::net::TcpStream;
use tokio::process::{Child, Command};
use tokio::time::{Instant, sleep};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{WebSocketStream, client_async};

/// How often a condition is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(10);

/// A browser with one page; dropping it kills it.
#[derive(Debug)]
pub struct Browser {
    socket: WebSocketStream<TcpStream>,
    session: Option<String>,
    last: u64,
    heard: Vec<Value>,
    answers: Vec<Canned>,
    child: Child,
    // After the browser, which writes there.
    _profile: TempDir,
}

/// An answer that the browser is given instead of the server's.
#[derive(Clone, Debug)]
pub struct Canned {
    /// What its URL contains.
    pub url: &'static str,
    /// `Content-Type`.
    pub kind: &'static str,
    /// What it gets.
    pub body: String,
}

impl Browser {
    /// Starts it, with an empty page.
    ///
    /// # Panics
    /// It does not start.
    pub async fn start() -> Self {
        let profile = tempfile::tempdir().expect("a directory for the profile");
        let mut child = Command::new("chromium")
            .args([
                "--headless",
                "--no-sandbox",
                "--disable-gpu",
                "--no-first-run",
                "--disable-sync",
            ])
            .args(["--disable-background-networking", "--disable-component-update"])
            .args(["--disable-dev-shm-usage", "--hide-scrollbars", "--remote-debugging-port=0"])
            .arg(format!("--user-data-dir={}", profile.path().display()))
            .arg("about:blank")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .expect("chromium runs");
        let stderr = child.stderr.take().expect("piped");
        let url = in_time("the browser's address", address(stderr)).await;
        let host = url["ws://".len()..].split('/').next().expect("a host");
        let stream = TcpStream::connect(host).await.expect("the browser listens");
        let (socket, _) = client_async(&url, stream).await.expect("the browser speaks WebSocket");
        let (session, last, heard, answers) = (None, 0, Vec::new(), Vec::new());
        let mut browser = Self { socket, session, last, heard, answers, child, _profile: profile };
        let page = browser.command("Target.createTarget", json!({ "url": "about:blank" })).await;
        let attach = json!({ "targetId": page["targetId"], "flatten": true });
        let attached = browser.command("Target.attachToTarget", attach).await;
        browser.session = attached["sessionId"].as_str().map(str::to_owned);
        for domain in ["Page", "Runtime", "Log", "Network", "Accessibility"] {
            browser.command(&format!("{domain}.enable"), json!({})).await;
        }
        browser
    }

    /// From now on, these are answered without the server.
    pub async fn answer(&mut self, answers: impl IntoIterator<Item = Canned>) {
        self.answers = answers.into_iter().collect();
        let patterns: Vec<_> = self
            .answers
            .iter()
            .map(|canned| json!({ "urlPattern": format!("*{}*", canned.url) }))
            .collect();
        self.command("Fetch.enable", json!({ "patterns": patterns })).await;
    }

    /// Goes to a page and waits until its document is there.
    pub async fn open(&mut self, url: &str) {
        let answer = self.command("Page.navigate", json!({ "url": url })).await;
        assert!(answer["errorText"].is_null(), "{url}: {answer}");
        self.until("the document", "document.readyState === 'complete'").await;
    }

    /// What a script gives; a promise is waited for.
    ///
    /// # Panics
    /// It throws.
    pub async fn evaluate(&mut self, script: &str) -> Value {
        let parameters =
            json!({ "expression": script, "awaitPromise": true, "returnByValue": true });
        let answer = self.command("Runtime.evaluate", parameters).await;
        assert!(answer["exceptionDetails"].is_null(), "{script}: {answer:#}");
        answer["result"]["value"].clone()
    }

    /// Waits until a script gives something that counts as true, and says how long that took.
    ///
    /// # Panics
    /// It takes too long.
    pub async fn until(&mut self, what: &str, script: &str) -> Duration {
        let start = Instant::now();
        loop {
            if self.evaluate(&format!("Boolean({script})")).await == true {
                return start.elapsed();
            }
            if start.elapsed() > PATIENCE {
                let page = self.evaluate("document.body.innerText").await;
                let faults = self.faults();
                panic!("waited {PATIENCE:?} for {what}; {faults:?}; the page:\n{page:#}");
            }
            sleep(LOOK_EVERY).await;
        }
    }

    /// Shows the page in this width and theme ("dark" or "light").
    pub async fn look(&mut self, width: u32, theme: &str) {
        let features = json!([{ "name": "prefers-color-scheme", "value": theme }]);
        self.command("Emulation.setEmulatedMedia", json!({ "features": features })).await;
        let metrics =
            json!({ "width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 600 });
        self.command("Emulation.setDeviceMetricsOverride", metrics).await;
    }

    /// Takes a picture of the whole page.
    ///
    /// # Panics
    /// The file cannot be written.
    pub async fn screenshot(&mut self, file: &Path) {
        let metrics = self.command("Page.getLayoutMetrics", json!({})).await;
        let size = &metrics["cssContentSize"];
        let clip =
            json!({ "x": 0, "y": 0, "scale": 1, "width": size["width"], "height": size["height"] });
        let parameters = json!({ "captureBeyondViewport": true, "clip": clip });
        let answer = self.command("Page.captureScreenshot", parameters).await;
        let picture = BASE64.decode(answer["data"].as_str().expect("a picture"));
        std::fs::write(file, picture.expect("base64")).expect("the file can be written");
    }

    /// What the browser found fault with: exceptions, errors of the console, what the policy refused, answers of 400 and above.
    /// That the server could not be reached is none of them.
    pub fn faults(&self) -> Vec<String> {
        let fault = |event: &Value| {
            let parameters = &event["params"];
            match event["method"].as_str()? {
                "Runtime.exceptionThrown" => Some(parameters["exceptionDetails"].to_string()),
                "Runtime.consoleAPICalled" => {
                    let loud =
                        matches!(parameters["type"].as_str()?, "error" | "warning" | "assert");
                    loud.then(|| parameters["args"].to_string())
                }
                "Log.entryAdded" => {
                    let entry = &parameters["entry"];
                    let network = entry["source"] == "network";
                    (!network && entry["level"] != "verbose").then(|| entry.to_string())
                }
                "Network.responseReceived" => {
                    let response = &parameters["response"];
                    let failed = response["status"].as_u64().is_some_and(|status| status >= 400);
                    failed.then(|| format!("{} {}", response["status"], response["url"]))
                }
                _ => None,
            }
        };
        self.heard.iter().filter_map(fault).collect()
    }

    /// The URLs that were asked for.
    pub fn requested(&self) -> Vec<String> {
        let requests =
            self.heard.iter().filter(|event| event["method"] == "Network.requestWillBeSent");
        let url = |event: &Value| event["params"]["request"]["url"].as_str().map(str::to_owned);
        requests.filter_map(url).collect()
    }

    /// A command of the protocol.
    ///
    /// # Panics
    /// The browser refuses it.
    pub async fn command(&mut self, method: &str, parameters: Value) -> Value {
        let id = self.send(method, parameters).await;
        loop {
            let message = in_time(method, self.socket.next()).await;
            let message = message.expect("the browser runs").expect("the browser speaks WebSocket");
            let Message::Text(text) = message else { continue };
            let message: Value = serde_json::from_str(&text).expect("JSON");
            if message["id"] == id {
                assert!(message["error"].is_null(), "{method}: {message}");
                return message["result"].clone();
            }
            if message["method"] == "Fetch.requestPaused" {
                self.fulfil(&message["params"]).await;
            } else if message["method"].is_string() {
                self.heard.push(message);
            }
        }
    }

    /// Ends it.
    pub async fn close(mut self) {
        self.send("Browser.close", json!({})).await;
        let _ = in_time("the end of the browser", self.child.wait()).await;
    }

    async fn send(&mut self, method: &str, parameters: Value) -> u64 {
        self.last += 1;
        let mut message = json!({ "id": self.last, "method": method, "params": parameters });
        if let Some(session) = self.session.as_deref().filter(|_| method != "Browser.close") {
            message["sessionId"] = session.into();
        }
        let sent = self.socket.send(Message::text(message.to_string())).await;
        sent.expect("the browser runs");
        self.last
    }

    /// Nobody waits for the answer: it is no event, and is let go when it comes.
    async fn fulfil(&mut self, request: &Value) {
        let url = request["request"]["url"].as_str().unwrap_or_default();
        let canned = self.answers.iter().find(|canned| url.contains(canned.url));
        let canned = canned.expect("only what was asked for is stopped");
        let fulfil = json!({
            "requestId": request["requestId"],
            "responseCode": 200,
            "responseHeaders": [{ "name": "Content-Type", "value": canned.kind }],
            "body": BASE64.encode(&canned.body),
        });
        self.send("Fetch.fulfillRequest", fulfil).await;
    }
}

/// The WebSocket's URL, which the browser writes to standard error. What it writes then is read, so that it never waits for a reader.
async fn address(stderr: tokio::process::ChildStderr) -> String {
    let mut lines = BufReader::new(stderr).lines();
    while let Ok(Some(line)) = lines.next_line().await {
        if let Some(at) = line.find("ws://") {
            let url = line[at..].trim().to_owned();
            tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
            return url;
        }
    }
    panic!("the browser ended without saying where it listens");
}
