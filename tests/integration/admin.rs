//! The admin port of a whole process: what it says of itself is true.

use outrigger::app::{App, Options};
use serde_json::{Value, json};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::PathBuf;
use std::time::Duration;

const CONFIG: &str = "
admin: { address: 127.0.0.1:0 }
telemetry: { decisions: { sample: 100% } }
listeners: [{ name: http, address: 127.0.0.1:0 }]
routes:
  - name: shop
    hosts: [shop.example.com]
    filters: [{ rewrite: { path: { prefix: /v1 } } }]
    backends: [{ name: demo, weight: 3 }, { name: other, weight: 1 }]
  - { name: gone, matches: [{ path: { prefix: /gone } }], filters: [{ respond: { status: 410, body: gone } }] }
  - { name: away, matches: [{ path: { prefix: /old } }], filters: [{ redirect: { scheme: https } }] }
backends:
  - { name: demo, endpoints: [http://127.0.0.1:1] }
  - { name: other, algorithm: { name: ConsistentHash, key: { header: x-user } }, endpoints: [http://127.0.0.1:1] }
";

/// A process that serves in this one.
struct Process {
    app: App,
    config: PathBuf,
    _folder: tempfile::TempDir,
}

impl Process {
    fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let config = folder.path().join("config.yaml");
        std::fs::write(&config, CONFIG).unwrap();
        let options =
            Options { config: config.clone().into(), loopback_only: true, observer: None };
        Self { app: App::start(options).unwrap(), config, _folder: folder }
    }

    fn admin(&self) -> SocketAddr {
        self.app.bound().admin.unwrap()
    }

    /// Sends a request to the shop, through the listener.
    fn request(&self, path: &str) {
        let (_, listener) = &self.app.bound().listeners[0];
        let mut stream = TcpStream::connect(listener).unwrap();
        let head =
            format!("GET {path} HTTP/1.1\r\nHost: shop.example.com\r\nConnection: close\r\n\r\n");
        stream.write_all(head.as_bytes()).unwrap();
        stream.read_to_end(&mut Vec::new()).unwrap();
    }

    fn ask(&self, request: &str, fields: &str) -> (u16, String) {
        let mut stream = TcpStream::connect(self.admin()).unwrap();
        let head =
            format!("{request} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n{fields}\r\n");
        stream.write_all(head.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        (head.split(' ').nth(1).unwrap().parse().unwrap(), body.to_owned())
    }

    fn json(&self, path: &str) -> Value {
        let (_, body) = self.ask(&format!("GET {path}"), "");
        serde_json::from_str(&body).unwrap_or_else(|error| panic!("{path}: {error}: {body}"))
    }

    fn end(self) {
        let (code, said) = self.ask("POST /quitquitquit", "X-Outrigger-Admin: yes\r\n");
        assert_eq!((code, said.as_str()), (202, "stopping\n"));
        self.app.lifecycle().skip_delay();
        assert_eq!(self.app.join().unwrap(), 0);
    }
}

/// # Panics
/// `value` is not what the document says of `path`.
fn fits(document: &Value, path: &str, value: &Value) {
    let known = path.split('?').next().unwrap().replace("backends/demo", "backends/{name}");
    let schema = &document["paths"][&known]["get"]["responses"]["200"]["content"];
    let mut schema = schema["application/json"]["schema"].clone();
    assert!(schema.is_object(), "{path} is not in the document");
    schema["components"] = document["components"].clone();
    let validator = jsonschema::draft202012::new(&schema).unwrap();
    let faults: Vec<_> = validator
        .iter_errors(value)
        .map(|fault| format!("{}: {fault}", fault.instance_path()))
        .collect();
    assert!(faults.is_empty(), "{path}: {faults:#?}\n{value:#}");
}

#[test]
fn what_a_running_process_answers_is_what_its_openapi_document_says() {
    let process = Process::start();
    let document = process.json("/openapi.json");
    let explained = [
        "http://shop.example.com/cart",
        "http://a/gone/x",
        "http://a/old/x",
        "http://a/nowhere",
        "http://a/a%2Fb",
    ];
    let explained = explained.map(|url| format!("/api/v1/explain?url={}", url.replace('%', "%25")));
    let plain = ["status", "api/v1/config", "api/v1/listeners", "api/v1/routes", "api/v1/backends"];
    let more = ["api/v1/backends/demo", "api/v1/endpoints", "api/v1/reloads", "api/v1/events"];
    let plain = plain.iter().chain(&more).map(|path| format!("/{path}"));
    for path in plain.chain(explained) {
        let value = process.json(&path);
        fits(&document, &path, &value);
    }
    process.request("/gone");
    process.request("/cart");
    // A record ends when its answer is written, which the client may see before.
    let mut picks = (0..500).map(|_| {
        std::thread::sleep(Duration::from_millis(10));
        process.json("/api/v1/picks")
    });
    let is_there = |picks: &Value| picks["notable"][0]["path"] == "/cart";
    let picks = picks.find(is_there).expect("the request that failed is not kept");
    fits(&document, "/api/v1/picks", &picks);
    let attempt = &picks["notable"][0]["attempts"][0];
    assert_eq!(attempt["endpoint"], "http://127.0.0.1:1", "{attempt:#}");
    let start = &process.json("/api/v1/reloads")["reloads"][0];
    assert_eq!((&start["cause"], &start["outcome"]), (&json!("start"), &json!("accepted")));
    process.end();
}

#[test]
fn the_port_and_the_command_line_explain_a_request_alike() {
    let process = Process::start();
    for url in ["http://shop.example.com/cart?x=1", "http://a/gone/x", "http://a/nowhere"] {
        let told = process.json(&format!("/api/v1/explain?url={url}&header=x-user:+a"));
        let output = std::process::Command::new(env!("CARGO_BIN_EXE_outrigger"))
            .args([
                "explain",
                "--url",
                url,
                "--header",
                "x-user: a",
                "--format",
                "json",
                "--config",
            ])
            .arg(&process.config)
            .output()
            .unwrap();
        let said: Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(told, said);
        assert!(told["listener"] == "http" && told["method"] == "GET", "{told:#}");
    }
    process.end();
}
