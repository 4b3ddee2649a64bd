//! The data plane in a process of its own: the access log's reasons, and a process that runs out of files.

use super::client::Client;
use super::harness::{Config, dead_port, eventually, server};
use std::collections::HashSet;
use std::net::SocketAddr;
use std::process::Stdio;
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, BufReader, Lines};
use tokio::process::{Child, ChildStderr, ChildStdout, Command};
use tokio::time::timeout;

pub struct Process {
    child: Child,
    pub address: SocketAddr,
    log: Lines<BufReader<ChildStdout>>,
    said: Lines<BufReader<ChildStderr>>,
    _folder: TempDir,
}

impl Process {
    /// Runs the program under a shell that does `first`.
    pub async fn start(config: &Config, first: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("config.yaml"), config.text(true)).unwrap();
        let program = env!("CARGO_BIN_EXE_outrigger");
        let mut child = Command::new("sh")
            .args(["-c", &format!("{first} exec '{program}' run --config config.yaml")])
            .current_dir(folder.path())
            .env_remove("OUTRIGGER_LOG")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let log = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut said = BufReader::new(child.stderr.take().unwrap()).lines();
        let line = line_with(&mut said, "listener http on http://").await;
        let address = line.split("http://").nth(1).unwrap().split(',').next().unwrap();
        Self { child, address: address.parse().unwrap(), log, said, _folder: folder }
    }

    /// Its memory, in KiB.
    pub fn resident(&self) -> usize {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id().unwrap()));
        let status = status.unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
        line.trim_end_matches("kB").trim().parse().unwrap()
    }

    /// Asks it to end.
    async fn terminate(&self) {
        let pid = self.child.id().unwrap().to_string();
        assert!(Command::new("kill").args(["-TERM", &pid]).status().await.unwrap().success());
    }

    /// Waits for its end.
    async fn ends(&mut self) {
        timeout(super::client::PATIENCE, self.child.wait()).await.unwrap().unwrap();
    }

    /// The rest of the access log, up to the end of the process.
    async fn rest_of_log(&mut self) -> Vec<String> {
        let mut lines = Vec::new();
        while let Some(line) =
            timeout(super::client::PATIENCE, self.log.next_line()).await.unwrap().unwrap()
        {
            lines.push(line);
        }
        lines
    }

    /// The next line of the access log.
    async fn line(&mut self) -> serde_json::Value {
        let line = timeout(super::client::PATIENCE, self.log.next_line()).await.unwrap();
        serde_json::from_str(&line.unwrap().unwrap()).unwrap()
    }
}

async fn line_with(lines: &mut Lines<BufReader<ChildStderr>>, part: &str) -> String {
    let search = async {
        let mut before = String::new();
        loop {
            match lines.next_line().await.unwrap() {
                Some(line) if line.contains(part) => return line,
                Some(line) => before += &format!("{line}\n"),
                None => panic!("ended without {part:?}:\n{before}"),
            }
        }
    };
    timeout(super::client::PATIENCE, search).await.unwrap_or_else(|_| panic!("no {part:?}"))
}

#[tokio::test]
async fn the_access_log_says_why() {
    let server = server().await;
    server.script("/gone", [testserver::Step::ReadBody, testserver::Step::Close]);
    let config = Config::to(&[&server])
        .limits("headerTimeout: 200ms, bodyTimeout: 200ms, maxBodyBytes: 100, maxHeaders: 20, maxHeaderBytes: 128Ki")
        .timeouts("request: 300ms, streamIdle: 200ms")
        .retry("attempts: 1");
    let mut process = Process::start(&config, "").await;
    let fields: String = (0..30).map(|n| format!("X-{n}: {n}\r\n")).collect();
    let long = format!("GET /{} HTTP/1.1\r\nHost: a\r\n\r\n", "x".repeat(70_000));
    let get = |target: &str| format!("GET {target} HTTP/1.1\r\nHost: a\r\n\r\n");
    let upload = |target: &str, length: usize| {
        format!("POST {target} HTTP/1.1\r\nHost: a\r\nContent-Length: {length}\r\n\r\n")
    };
    for (request, status, reason) in [
        (get("/"), 200, "ok"),
        (get("/status/404"), 404, "ok"),
        ("GET / HTTP/1.1\r\n\r\n".to_owned(), 400, "bad_request"),
        ("GET / HTTP/1.1\r\nX y: z\r\n\r\n".to_owned(), 400, "head_malformed"),
        (format!("GET / HTTP/1.1\r\nHost: a\r\n{fields}\r\n"), 431, "headers_too_large"),
        (long, 414, "uri_too_long"),
        ("GET / HT".to_owned(), 408, "header_timeout"),
        (upload("/sink", 50), 408, "body_timeout"),
        (upload("/sink", 101), 413, "body_too_large"),
        ("CONNECT a:1 HTTP/1.1\r\nHost: a:1\r\n\r\n".to_owned(), 501, "connect_method"),
        (get("/hold"), 504, "request_timeout"),
        (get("/gone"), 502, "connection_closed"),
        (get("/malformed/two-lengths"), 502, "response_malformed"),
        (get("/malformed/huge-header"), 502, "response_head_too_large"),
        (get("/close?at=mid-head"), 502, "response_cut"),
        (get("/close?at=mid-body"), 200, "response_cut"),
        (get("/hold-body"), 200, "stream_idle"),
    ] {
        let mut client = Client::to(process.address).await;
        client.send(&request).await;
        assert!(client.until("\r\n").await.contains(&format!(" {status} ")), "{reason}");
        let line = process.line().await;
        assert_eq!((&line["status"], &line["reason"]), (&status.into(), &reason.into()), "{line}");
        // Of a head that could not be read nothing is invented.
        let unread = ["head_malformed", "headers_too_large", "uri_too_long", "header_timeout"];
        let (method, path) = (line.get("method").is_some(), line.get("path").is_some());
        assert_eq!(
            (method, path),
            (!unread.contains(&reason), !unread.contains(&reason)),
            "{line}"
        );
        if reason == "header_timeout" {
            assert!(line["durationMs"].as_f64().unwrap() >= 200.0, "{line}");
        }
    }
    // A client that goes away has a status of its own.
    let mut client = Client::to(process.address).await;
    client.send(get("/hold")).await;
    eventually(&server, |counts| counts.in_flight == 1).await;
    drop(client);
    let line = process.line().await;
    assert_eq!((&line["status"], &line["reason"]), (&499.into(), &"client_closed".into()));
}

/// S4: the log shows what was asked for, not what it was taken for, and who is known to have asked.
#[tokio::test]
async fn a_line_of_the_access_log_tells_route_client_and_the_path_as_it_came() {
    let (bad, good) = (server().await, server().await);
    for (server, status) in [(&bad, 503), (&good, 200)] {
        server.script("/x", [testserver::Step::answer(status, "")]);
    }
    let config = Config::to(&[&bad, &good])
        .retry("statuses: [503]")
        .trusted("127.0.0.0/8, 10.0.0.0/8")
        .routes(
            "{ name: x, matches: [{ path: { prefix: /x } }], backends: [test] }, \
             { name: own, matches: [{ path: { prefix: /own } }], filters: [{ respond: { status: 403 } }] }",
        );
    let mut process = Process::start(&config, "").await;
    let named = "X-Forwarded-For: 9.9.9.9, [2001:db8::1]:7, 10.0.0.1\r\n";
    for (target, fields, status, reason, route, backend, attempts) in [
        ("/a/..//../%78", named, 200, "ok", Some("x"), Some("test"), 2),
        ("/own?y", "", 403, "ok", Some("own"), None, 0),
        ("/elsewhere", "", 404, "no_route", None, None, 0),
        ("/x/..%2f..%2fetc", "", 400, "bad_path", None, None, 0),
    ] {
        let mut client = Client::to(process.address).await;
        client.send(format!("GET {target} HTTP/1.1\r\nHost: a\r\n{fields}\r\n")).await;
        assert_eq!(client.answer().await.status, status, "{target}");
        let line = process.line().await;
        let text = |key: &str| line.get(key).map(|value| value.as_str().unwrap());
        assert_eq!((text("path"), text("reason")), (Some(target), Some(reason)));
        assert_eq!((text("route"), text("backend")), (route, backend), "{line}");
        assert_eq!(line["attempts"], attempts, "{line}");
        let peer = client.stream.local_addr().unwrap().to_string();
        let known = if fields.is_empty() { ("127.0.0.1", &*peer) } else { ("2001:db8::1", &*peer) };
        assert_eq!((text("client"), text("peer")), (Some(known.0), Some(known.1)), "{line}");
    }
}

#[tokio::test]
async fn a_line_of_the_access_log_tells_the_whole_request() {
    let server = server().await;
    let (_reserved, dead) = dead_port();
    let config = Config::to_urls(vec![dead, server.url()]);
    let mut process = Process::start(&config, "").await;
    let mut client = Client::to(process.address).await;
    client
        .send("GET /bytes/70000?x=1 HTTP/1.1\r\nHost: a.example\r\nX-Request-Id: id-1\r\n\r\n")
        .await;
    client.answer().await;
    let line = process.line().await;
    for (key, value) in [
        ("level", "info".into()),
        ("msg", "access to endpoint".into()),
        ("url", format!("{}/", server.url()).into()),
        ("connections", 0.into()),
        ("method", "GET".into()),
        ("host", "a.example".into()),
        ("path", "/bytes/70000?x=1".into()),
        ("status", 200.into()),
        ("bytes", serde_json::Value::from(70_000)),
        ("route", "default".into()),
        ("client", client.stream.local_addr().unwrap().to_string().into()),
        ("backend", "test".into()),
        ("algorithm", "RoundRobin".into()),
        ("generation", 1.into()),
        ("attempts", 2.into()),
        ("reason", "ok".into()),
        ("requestId", "id-1".into()),
    ] {
        assert_eq!(line[key], value, "{key} of {line}");
    }
    assert!(line["durationMs"].as_f64().unwrap() > 0.0);
    assert!(line["time"].as_str().unwrap().ends_with('Z'));
}

/// Accepting stops when files run out, and goes on when there are some again; nobody who is connected notices.
#[tokio::test]
async fn running_out_of_files_ends_neither_the_process_nor_its_connections() {
    let server = server().await;
    let config = Config::to(&[&server]).retry("attempts: 0");
    let mut process = Process::start(&config, "ulimit -n 40;").await;
    // One with a connection to the endpoint of its own, before files run out.
    let mut first = Client::to(process.address).await;
    assert_eq!(first.get("/").await.status, 200);
    let mut clients = Vec::new();
    for _ in 0..60 {
        clients.push(Client::to(process.address).await);
    }
    line_with(&mut process.said, "cannot accept connections").await;
    assert_eq!(first.get("/").await.status, 200);
    // Of those who are accepted more want an endpoint than there are files for: each waits for as long as a connect may take.
    // What we lack is not the endpoint's fault.
    for client in std::iter::once(&mut first).chain(&mut clients) {
        client.send("GET /hold HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").await;
    }
    while process.line().await["reason"] != "out_of_sockets" {}
    // The queue keeps those who wait; they are served when others go.
    server.release();
    assert_eq!(first.answer().await.status, 200);
    let mut last = 0;
    for client in &mut clients {
        let answer = client.answer().await;
        last = answer.status;
        if answer.status != 200 {
            assert_eq!((answer.status, answer.reason()), (503, "out_of_sockets".to_owned()));
            let proxy_status = "outrigger; error=connection_limit_reached";
            assert_eq!(answer.field("proxy-status"), Some(proxy_status));
        }
    }
    assert_eq!(last, 200, "there were files again");
    let mut ids = HashSet::new();
    while ids.len() < 6 {
        let line = process.line().await;
        assert!(line["status"] == 200 || line["reason"] == "out_of_sockets", "{line}");
        ids.insert(line["requestId"].to_string());
    }
}

/// More of them than a worker looks at in one turn.
#[tokio::test]
async fn every_request_that_the_end_cuts_off_is_logged_with_the_reason() {
    let server = server().await;
    let config = Config::to(&[&server]).shutdown("drainDelay: 0s, drainTimeout: 50ms");
    let mut process = Process::start(&config, "").await;
    let mut clients = Vec::new();
    for _ in 0..300 {
        let mut client = Client::to(process.address).await;
        client.send("GET /hold HTTP/1.1\r\nHost: a\r\n\r\n").await;
        clients.push(client);
    }
    server.wait_for_in_flight(300).await;
    process.terminate().await;
    for _ in 0..300 {
        let line = process.line().await;
        assert_eq!((&line["status"], &line["reason"]), (&499.into(), &"shutdown".into()), "{line}");
    }
    process.ends().await;
}

#[tokio::test]
async fn every_stream_that_the_end_cuts_off_is_logged_with_the_reason() {
    let server = server().await;
    let config = Config::to(&[&server]).shutdown("drainDelay: 0s, drainTimeout: 50ms");
    let mut process = Process::start(&config, "").await;
    let socket = tokio::net::TcpStream::connect(process.address).await.unwrap();
    let (send, connection) = h2::client::handshake(socket).await.unwrap();
    let connection = tokio::spawn(connection);
    let mut responses = Vec::new();
    for _ in 0..50 {
        let request = http::Request::get("http://a/hold").body(()).unwrap();
        let mut send = send.clone().ready().await.unwrap();
        responses.push(send.send_request(request, true).unwrap().0);
    }
    server.wait_for_in_flight(50).await;
    process.terminate().await;
    for _ in 0..50 {
        let line = process.line().await;
        assert_eq!((&line["status"], &line["reason"]), (&499.into(), &"shutdown".into()), "{line}");
    }
    process.ends().await;
    connection.abort();
}

/// A small body is no more taken than a large one by a client that opens no window.
#[tokio::test]
async fn an_answer_that_a_stream_did_not_take_is_not_logged_as_whole() {
    let server = server().await;
    let config = Config::to(&[&server]).limits("writeTimeout: 100ms");
    let mut process = Process::start(&config, "").await;
    for (window, reason) in [(0, "write_timeout"), (100, "ok")] {
        let socket = tokio::net::TcpStream::connect(process.address).await.unwrap();
        let mut builder = h2::client::Builder::new();
        builder.initial_window_size(window);
        let (send, connection) = builder.handshake::<_, bytes::Bytes>(socket).await.unwrap();
        let connection = tokio::spawn(connection);
        let request = http::Request::get("http://a/bytes/10").body(()).unwrap();
        let mut send = send.ready().await.unwrap();
        let _response = send.send_request(request, true).unwrap();
        let line = process.line().await;
        assert_eq!((&line["status"], &line["reason"]), (&200.into(), &reason.into()), "{line}");
        connection.abort();
    }
}

/// The queue of a socket that is to be closed waits for files like any other.
#[tokio::test]
async fn those_in_the_queue_are_served_when_the_process_ends_for_want_of_files() {
    let server = server().await;
    let config = Config::to(&[&server]).shutdown("drainDelay: 0s, drainTimeout: 20s");
    let mut process = Process::start(&config, "ulimit -n 40;").await;
    let mut clients = Vec::new();
    for _ in 0..60 {
        clients.push(Client::to(process.address).await);
    }
    line_with(&mut process.said, "cannot accept connections").await;
    let mut last = clients.split_off(59).pop().unwrap();
    process.terminate().await;
    last.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n").await;
    // Until the process wants to end, and some time more.
    line_with(&mut process.said, "drain").await;
    tokio::time::sleep(std::time::Duration::from_millis(200)).await;
    drop(clients);
    let answer = last.answer().await;
    assert_eq!((answer.status, answer.field("connection")), (200, Some("close")));
    process.ends().await;
}

/// A pipe that is full and that nobody reads, with more in the queue before it than it may hold.
#[tokio::test]
async fn a_reader_of_the_access_log_that_is_stuck_costs_lines_and_nothing_else() {
    let server = server().await;
    let config =
        Config::to(&[&server]).limits("maxHeaderBytes: 128Ki").admin().shutdown("drainDelay: 0s");
    let mut process = Process::start(&config, "").await;
    let admin = line_with(&mut process.said, "admin on http://").await;
    let admin =
        admin.split("http://").nth(1).unwrap().split(':').take(2).collect::<Vec<_>>().join(":");
    // Each line is a batch of its own.
    let target = format!("/status/204?{}", "x".repeat(40_000));
    let mut client = Client::to(process.address).await;
    for _ in 0..400 {
        assert_eq!(client.get(&target).await.status, 204);
    }
    let mut scraper = Client::to(admin.parse().unwrap()).await;
    scraper.send("GET /metrics HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n").await;
    let metrics = scraper.answer().await;
    let dropped =
        metrics.text().lines().find(|line| line.starts_with("outrigger_access_log_dropped_total "));
    let dropped: f64 = dropped.unwrap().rsplit(' ').next().unwrap().parse().unwrap();
    assert!((100.0..200.0).contains(&dropped), "{dropped}");
    drop(client);
    process.terminate().await;
    line_with(&mut process.said, "the access log's reader takes nothing").await;
    process.ends().await;
}

#[tokio::test]
async fn a_sample_of_requests_is_logged() {
    let server = server().await;
    // Three times in a million the half is further off than this.
    for (sample, expected) in [("0.0", 0..=0), ("0.5", 140..=260), ("1.0", 400..=400)] {
        let config = Config::to(&[&server])
            .access_log(&format!("sample: {sample}"))
            .shutdown("drainDelay: 0s");
        let mut process = Process::start(&config, "").await;
        let mut client = Client::to(process.address).await;
        for _ in 0..400 {
            assert_eq!(client.get("/").await.status, 200);
        }
        drop(client);
        process.terminate().await;
        let logged = process.rest_of_log().await.len();
        assert!(expected.contains(&logged), "{logged} of 400 at {sample}");
        process.ends().await;
    }
}

#[tokio::test]
async fn the_access_log_may_go_to_standard_error_and_only_there() {
    let server = server().await;
    let config = Config::to(&[&server]).access_log("output: Stderr").shutdown("drainDelay: 0s");
    let mut process = Process::start(&config, "").await;
    assert_eq!(Client::to(process.address).await.get("/status/404").await.status, 404);
    let line = line_with(&mut process.said, "/status/404").await;
    let line: serde_json::Value = serde_json::from_str(&line).unwrap();
    assert_eq!((&line["status"], &line["reason"]), (&404.into(), &"ok".into()));
    process.terminate().await;
    assert_eq!(process.rest_of_log().await, [""; 0]);
    process.ends().await;
}
