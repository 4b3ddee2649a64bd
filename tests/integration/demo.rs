//! `outrigger demo`, as a newcomer meets it.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::Duration;
use testserver::{Fleet, Member};
use tokio::time::Instant;

/// No demo of a test lives longer: what is awaited for so long does not come.
const PATIENCE: Duration = Duration::from_secs(60);

/// The demo in a process of its own, which does not outlive the test.
struct Demo {
    child: Child,
    started: Instant,
    lines: Receiver<String>,
    log: Receiver<String>,
    /// What was read of the log.
    said: String,
}

/// The lines of `stream`, each with its end.
fn lines_of(stream: impl Read + Send + 'static) -> Receiver<String> {
    let (sender, lines) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let mut stream = BufReader::new(stream);
        let mut line = String::new();
        while stream.read_line(&mut line).is_ok_and(|length| length > 0) {
            if sender.send(std::mem::take(&mut line)).is_err() {
                break;
            }
        }
    });
    lines
}

impl Demo {
    fn start(folder: &Path, arguments: &[&str]) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_outrigger"))
            .arg("demo")
            .args(arguments)
            .current_dir(folder)
            .env_remove("OUTRIGGER_LOG")
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = lines_of(child.stdout.take().unwrap());
        let log = lines_of(child.stderr.take().unwrap());
        Self { child, started: Instant::now(), lines, log, said: String::new() }
    }

    /// The next of `lines`; nothing when the stream has ended.
    fn next(&self, lines: &Receiver<String>) -> Option<String> {
        let left = PATIENCE.saturating_sub(self.started.elapsed());
        assert!(!left.is_zero(), "waited {PATIENCE:?}; it said:\n{}", self.said);
        match lines.recv_timeout(left) {
            Ok(line) => Some(line),
            Err(RecvTimeoutError::Disconnected) => None,
            Err(RecvTimeoutError::Timeout) => {
                let rest: String = self.log.try_iter().collect();
                panic!("waited {PATIENCE:?}; it said:\n{}{rest}", self.said)
            }
        }
    }

    /// Reads standard error up to the next line that contains `text`.
    fn said(&mut self, text: &str) -> String {
        loop {
            let line = self.next(&self.log);
            let line = line.unwrap_or_else(|| panic!("no {text:?} in:\n{}", self.said));
            self.said.push_str(&line);
            if line.contains(text) {
                return line;
            }
        }
    }

    /// The next request's line.
    fn line(&mut self) -> serde_json::Value {
        match self.next(&self.lines) {
            Some(line) => serde_json::from_str(&line).unwrap(),
            None => panic!("the demo ended: {}", self.rest().1),
        }
    }

    /// The requests' lines that are left, once it has ended.
    fn rest_of_lines(&self) -> usize {
        std::iter::from_fn(|| self.next(&self.lines)).count()
    }

    fn interrupt(&self) {
        let id = self.child.id().to_string();
        assert!(Command::new("kill").args(["-INT", &id]).status().unwrap().success());
    }

    /// The exit code and all of standard error, once it has ended.
    fn rest(&mut self) -> (Option<i32>, String) {
        self.rest_of_lines();
        while let Some(line) = self.next(&self.log) {
            self.said.push_str(&line);
        }
        (self.child.wait().unwrap().code(), std::mem::take(&mut self.said))
    }
}

impl Drop for Demo {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn configuration(algorithm: &str, address: &str, endpoints: &[String]) -> String {
    format!(
        "listeners: [{{ name: http, address: '{address}' }}]\n\
         admin: {{ address: '' }}\n\
         workers: 1\n\
         backends: [{{ name: demo, algorithm: {algorithm}, endpoints: [{}] }}]\n",
        endpoints.join(", ")
    )
}

#[tokio::test]
async fn an_edit_of_the_algorithm_is_followed_and_the_table_compares_both() {
    let members = [(); 3].map(|()| Member { port: 0, delay: Duration::ZERO });
    let fleet = Fleet::start("127.0.0.1", &members).await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("config.yaml");
    std::fs::write(&path, configuration("RoundRobin", "127.0.0.1:0", &fleet.urls())).unwrap();
    let mut demo = Demo::start(folder.path(), &["--no-test-servers", "--rate", "100"]);
    let urls = fleet.urls();
    let newcomer = move || {
        let first = demo.line();
        assert_eq!((&first["algorithm"], &first["generation"]), (&"RoundRobin".into(), &1.into()));
        for _ in 0..5 {
            demo.line();
        }
        std::fs::write(&path, configuration("Random", "127.0.0.1:0", &urls)).unwrap();
        while demo.line()["algorithm"] != "Random" {}
        demo.interrupt();
        let (code, said) = demo.rest();
        assert_eq!(code, Some(0), "{said}");
        assert!(
            said.contains(&format!("{} (found there)", path.canonicalize().unwrap().display())),
            "{said}"
        );
        assert!(said.contains("Edit `algorithm` in that file"), "{said}");
        let row =
            |name: &str| said.lines().find(|line| line.split_whitespace().nth(1) == Some(name));
        let row = |name: &str| row(name).unwrap_or_else(|| panic!("no row of {name}:\n{said}"));
        assert!(row("RoundRobin").trim_start().starts_with('1'), "{said}");
        // Six requests or more, in turn: each of the three endpoints got some.
        let shares = row("RoundRobin").split_whitespace().filter(|cell| cell.ends_with('%'));
        assert_eq!(shares.filter(|share| *share != "0%").count(), 3, "{said}");
        assert!(row("Random").trim_start().starts_with('2'), "{said}");
        assert!(said.contains("No request failed."), "{said}");
    };
    tokio::task::spawn_blocking(newcomer).await.unwrap();
    fleet.stop().await;
}

/// A demo in a folder with this file, the file, and its path as messages name it.
fn folder_with(content: &str) -> (tempfile::TempDir, String) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("config.yaml");
    std::fs::write(&path, content).unwrap();
    (folder, path.display().to_string())
}

#[test]
fn a_port_that_others_could_reach_is_refused() {
    let near = configuration("Random", "127.0.0.1:0", &["http://127.0.0.1:1".to_owned()]);
    for (content, key) in [
        (near.replace("127.0.0.1:0'", "0.0.0.0:0'"), "listener http (listeners[].address)"),
        (
            near.replace("admin: { address: '' }", "admin: { address: '0.0.0.0:0' }"),
            "admin.address",
        ),
        (format!("{near}probes: {{ address: '0.0.0.0:0' }}\n"), "probes.address"),
    ] {
        let (folder, path) = folder_with(&content);
        let (code, said) = Demo::start(folder.path(), &["--no-test-servers"]).rest();
        assert_eq!(code, Some(1), "{said}");
        let line =
            format!("{path}: {key}: the demo listens on loopback addresses only, not on 0.0.0.0:0");
        assert!(said.contains(&line), "{line} is missing in:\n{said}");
        assert!(said.contains("outrigger run"), "{said}");
    }
}

#[test]
fn an_edit_that_others_could_reach_is_refused_and_the_demo_goes_on() {
    let near = configuration("Random", "127.0.0.1:0", &["http://127.0.0.1:1".to_owned()]);
    let (folder, path) = folder_with(&near);
    let mut demo = Demo::start(folder.path(), &["--no-test-servers", "--rate", "50"]);
    demo.line();
    for (content, key) in [
        (near.replace("127.0.0.1:0'", "0.0.0.0:0'"), "listener http (listeners[].address)"),
        (
            near.replace("admin: { address: '' }", "admin: { address: '0.0.0.0:0' }"),
            "admin.address",
        ),
        (format!("{near}probes: {{ address: '0.0.0.0:0' }}\n"), "probes.address"),
    ] {
        std::fs::write(&path, content).unwrap();
        let line =
            format!("{path}: {key}: the demo listens on loopback addresses only, not on 0.0.0.0:0");
        demo.said(&line);
        assert_eq!(demo.line()["generation"], 1);
    }
    // What comes after a refusal is followed.
    std::fs::write(&path, near.replace("Random", "RoundRobin")).unwrap();
    while demo.line()["algorithm"] != "RoundRobin" {}
    demo.interrupt();
    assert_eq!(demo.rest().0, Some(0));
}

#[test]
fn a_listener_that_moves_is_followed_by_the_demo_s_requests() {
    let near = configuration("Random", "127.0.0.1:0", &["http://127.0.0.1:1".to_owned()]);
    // A connection that was kept could go on: each request shall want a new one.
    let near = near.replace("127.0.0.1:0'", "127.0.0.1:0', limits: { idleTimeout: 1ms }");
    let (folder, path) = folder_with(&near);
    let mut demo = Demo::start(folder.path(), &["--no-test-servers", "--rate", "50"]);
    demo.line();
    // Another loopback address is always free.
    let moved = near.replace("127.0.0.1:0'", "127.0.0.2:0'");
    std::fs::write(&path, moved).unwrap();
    while demo.line()["generation"] != 2 {}
    // These came by the new address: the old socket is closed.
    for _ in 0..10 {
        demo.line();
    }
    demo.interrupt();
    let (code, said) = demo.rest();
    assert_eq!(code, Some(0), "{said}");
}

#[test]
fn a_taken_port_is_named_with_the_key_that_changes_it() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let content = configuration("Random", &address, &["http://127.0.0.1:1".to_owned()]);
    let (folder, path) = folder_with(&content);
    let (code, said) = Demo::start(folder.path(), &["--no-test-servers"]).rest();
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains(&path), "{said}");
    assert!(said.contains(&address) && said.contains("listeners[].address"), "{said}");
}

#[test]
fn a_taken_admin_port_is_named_with_its_key_and_file() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let content = configuration("Random", "127.0.0.1:0", &["http://127.0.0.1:1".to_owned()])
        .replace("admin: { address: '' }", &format!("admin: {{ address: '{address}' }}"));
    let (folder, path) = folder_with(&content);
    let (code, said) = Demo::start(folder.path(), &["--no-test-servers"]).rest();
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains(&format!("outrigger: {path}: ")), "{said}");
    assert!(said.contains("admin.address") && said.contains(&address), "{said}");
}

#[tokio::test]
async fn requests_are_sent_only_once_the_first_probes_are_answered() {
    let server = testserver::Server::builder().start().await.unwrap();
    let probe =
        "healthProbe: { http: { path: '/health?hold' }, interval: 1h, timeout: 1h }, name: demo";
    let content =
        configuration("Random", "127.0.0.1:0", &[server.url()]).replace("name: demo", probe);
    let (folder, _path) = folder_with(&content);
    let mut demo = Demo::start(folder.path(), &["--no-test-servers", "--rate", "100"]);
    server.wait_until(|counts| counts.in_flight == 1).await;
    // Time for twenty requests, of which none may come.
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert_eq!(server.counts().requests, 1, "the probe alone");
    server.release();
    let line = tokio::task::spawn_blocking(move || demo.line()).await.unwrap();
    assert_eq!(line["status"], 200);
}

#[tokio::test]
async fn a_rate_of_0_sends_nothing() {
    let server = testserver::Server::builder().start().await.unwrap();
    let content = configuration("Random", "127.0.0.1:0", &[server.url()])
        .replace("name: demo", "healthProbe: { http: { path: /health } }, name: demo");
    let (folder, _path) = folder_with(&content);
    let mut demo = Demo::start(folder.path(), &["--no-test-servers", "--rate", "0"]);
    let newcomer = move || {
        let line = demo.said("listener http on http://");
        let address = line.split("http://").nth(1).unwrap().split(',').next().unwrap().to_owned();
        demo.said("first probe round over");
        // Time for a request of the demo's usual rate.
        std::thread::sleep(Duration::from_millis(300));
        let mut client = TcpStream::connect(address).unwrap();
        client.write_all(b"GET /ours HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").unwrap();
        client.read_to_end(&mut Vec::new()).unwrap();
        assert_eq!(demo.line()["path"], "/ours");
        demo.interrupt();
        assert_eq!(demo.rest_of_lines(), 0);
        assert_eq!(demo.rest().0, Some(0));
    };
    tokio::task::spawn_blocking(newcomer).await.unwrap();
}

/// The one test that wants the demo's own ports.
#[test]
fn the_demo_s_own_test_servers_serve_and_a_taken_port_is_named() {
    // Tests of another checkout may want them at the same time.
    let lock = std::fs::File::create(std::env::temp_dir().join("outrigger-demo-ports.lock"));
    let lock = lock.and_then(|lock| lock.lock().map(|()| lock));
    let _lock = match lock {
        Ok(lock) => lock,
        Err(error) => return eprintln!("SKIPPED: the demo's ports cannot be claimed: {error}"),
    };
    let ports = testserver::SEED.iter().map(|member| member.port);
    let busy: Vec<_> =
        ports.clone().filter(|port| TcpListener::bind(("127.0.0.1", *port)).is_err()).collect();
    if !busy.is_empty() {
        return eprintln!("SKIPPED: others have the ports of the demo's test servers: {busy:?}");
    }
    let urls: Vec<_> = ports.clone().map(|port| format!("http://127.0.0.1:{port}")).collect();
    assert_eq!(urls.len(), 8);
    let (folder, _path) = folder_with(&configuration("RoundRobin", "127.0.0.1:0", &urls));

    let mut demo = Demo::start(folder.path(), &["--rate", "50"]);
    demo.said("slow (4 s): 8081, 8082; fast: 8083, 8085, 8086, 8087, 8088, 8089");
    for port in ports {
        let mut client = TcpStream::connect(("127.0.0.1", port)).unwrap();
        client.write_all(b"GET /health HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").unwrap();
        let mut answer = String::new();
        client.read_to_string(&mut answer).unwrap();
        assert!(
            answer.starts_with("HTTP/1.1 200") && answer.contains(&port.to_string()),
            "{answer}"
        );
    }
    let mut fast = std::collections::BTreeSet::new();
    while fast.len() < 6 {
        let line = demo.line();
        assert_eq!(line["status"], 200);
        fast.insert(line["url"].as_str().unwrap().trim_end_matches('/').to_owned());
    }
    assert!(!fast.iter().any(|url| url.ends_with("8081") || url.ends_with("8082")), "{fast:?}");
    demo.interrupt();
    let (code, said) = demo.rest();
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("8081 and 8082 take 4 seconds"), "{said}");

    let _taken = TcpListener::bind("127.0.0.1:8081").unwrap();
    let (code, said) = Demo::start(folder.path(), &[]).rest();
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("the demo's test servers want ports that are taken: 8081\n"), "{said}");
    assert!(said.contains("--no-test-servers"), "{said}");
}

#[test]
fn a_missing_file_is_written_and_named() {
    // The folder is there, the file is not; no request is needed to see it. A listener's port may be taken on
    // this machine, which is as good an end as any.
    let folder = tempfile::tempdir().unwrap();
    let mut demo = Demo::start(folder.path(), &["--no-test-servers", "--rate", "0"]);
    let path = folder.path().join("config.yaml");
    let written =
        || std::fs::read_to_string(&path).is_ok_and(|text| text == outrigger::config::BUILT_IN);
    while !written() {
        assert!(demo.child.try_wait().unwrap().is_none() || written(), "{}", demo.rest().1);
        std::thread::yield_now();
    }
}
