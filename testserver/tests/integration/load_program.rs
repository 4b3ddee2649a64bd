use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, ChildStderr, Command, Output, Stdio};

use serde_json::{Value, json};
use testserver::Server;

use crate::client::{PATIENCE, eventually};

fn program(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_load"));
    command.args(["--control", "127.0.0.1:0"]).args(arguments);
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// Runs it to its end while the server goes on.
async fn run(arguments: &[&str]) -> Output {
    let mut program = program(arguments);
    tokio::task::spawn_blocking(move || program.output().unwrap()).await.unwrap()
}

/// Ends the program, also when the test fails before.
struct Running {
    child: Child,
    control: String,
    /// Kept, so that what is said there breaks no pipe.
    _stderr: BufReader<ChildStderr>,
}

impl Running {
    fn start(arguments: &[&str]) -> Self {
        let mut child = program(arguments).spawn().unwrap();
        let mut stderr = BufReader::new(child.stderr.take().unwrap());
        let mut line = String::new();
        stderr.read_line(&mut line).unwrap();
        let control = line.trim().rsplit("control port at http://").next().unwrap().to_owned();
        Self { child, control, _stderr: stderr }
    }

    /// Asks the control port.
    async fn ask(&self, request: &str) -> (String, Value) {
        let (control, request) = (self.control.clone(), request.to_owned());
        let asked = move || {
            let mut client = TcpStream::connect(control).unwrap();
            client.set_read_timeout(Some(PATIENCE)).unwrap();
            let fields = "Host: x\r\nContent-Length: 2\r\n\r\n{}";
            client.write_all(format!("{request} HTTP/1.1\r\n{fields}").as_bytes()).unwrap();
            let mut answer = String::new();
            client.read_to_string(&mut answer).unwrap();
            let (head, body) = answer.split_once("\r\n\r\n").unwrap();
            (head.lines().next().unwrap().to_owned(), serde_json::from_str(body).unwrap())
        };
        tokio::task::spawn_blocking(asked).await.unwrap()
    }

    fn signal(&self, name: &str) {
        let id = self.child.id().to_string();
        assert!(Command::new("kill").args(["-s", name, &id]).status().unwrap().success());
    }

    /// Its exit code and what it printed.
    async fn end(mut self) -> (Option<i32>, Value) {
        let mut stdout = self.child.stdout.take().unwrap();
        let ended = move || {
            let mut text = String::new();
            stdout.read_to_string(&mut text).unwrap();
            let code = self.child.wait().unwrap().code();
            (code, serde_json::from_str(&text).unwrap())
        };
        tokio::task::spawn_blocking(ended).await.unwrap()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[tokio::test]
async fn a_number_of_requests_ends_it_with_a_report_and_0_if_none_failed_else_1() {
    let server = Server::builder().name("a").start().await.unwrap();
    for (path, code, ok) in [("/", 0, 20), ("/status/500", 1, 0)] {
        let url = format!("{}{path}", server.url());
        let output = run(&["--requests", "20", "--rate", "1000", "--connections", "3", &url]).await;
        assert_eq!(output.status.code(), Some(code), "{output:?}");
        let report: Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!((&report["sent"], &report["ok"]), (&json!(20), &json!(ok)));
        assert_eq!(output.stdout.iter().filter(|&&byte| byte == b'\n').count(), 1);
    }
    assert_eq!(server.counts().requests, 40);
}

#[tokio::test]
async fn its_control_port_reports_and_stops_it_and_it_lives_on_until_sigterm() {
    let server = Server::builder().name("a").start().await.unwrap();
    let load = Running::start(&["--rate", "200", "--post-share", "0", &server.url()]);
    eventually(&server, |counts| counts.requests >= 10).await;
    let (status, report) = load.ask("GET /report").await;
    assert_eq!(status, "HTTP/1.1 200 OK");
    assert!(report["ok"].as_u64() > Some(0), "{report}");
    let (status, last) = load.ask("POST /stop").await;
    assert_eq!(status, "HTTP/1.1 200 OK");
    assert_eq!((&last["sent"], &last["ok"]), (&json!(server.counts().requests), &last["sent"]));
    assert_eq!(load.ask("POST /stop").await.1, last);
    assert_eq!(load.ask("GET /report").await.1, last);
    let (status, said) = load.ask("GET /other").await;
    assert_eq!(status, "HTTP/1.1 404 Not Found");
    assert!(said["message"].as_str().unwrap().contains("POST /stop"));
    load.signal("TERM");
    assert_eq!(load.end().await, (Some(0), last));
}

#[tokio::test]
async fn sigterm_and_ctrl_c_stop_it_when_what_is_in_flight_has_ended() {
    let server = Server::builder().name("a").start().await.unwrap();
    for (name, number) in [("TERM", 2), ("INT", 4)] {
        server.hold();
        let url = format!("{}/hold", server.url());
        let load = Running::start(&["--rate", "200", "--connections", "2", &url]);
        eventually(&server, |counts| counts.in_flight == 2).await;
        load.signal(name);
        // Answered after the signal has been seen.
        assert_eq!(load.ask("GET /report").await.1["sent"], 2);
        assert_eq!(server.counts().in_flight, 2);
        server.release();
        let (code, report) = load.end().await;
        assert_eq!((code, &report["sent"], &report["ok"]), (Some(0), &json!(2), &json!(2)));
        assert_eq!(server.counts().requests, number);
    }
}

#[tokio::test]
async fn it_resolves_names_and_tries_all_their_addresses() {
    // Where `localhost` is ::1 first, nobody listens there.
    let server = Server::builder().start().await.unwrap();
    let url = format!("http://localhost:{}/", server.address().port());
    let output = run(&["--requests", "5", "--rate", "1000", &url]).await;
    assert_eq!(output.status.code(), Some(0), "{output:?}");
}

#[tokio::test]
async fn a_control_port_that_is_taken_ends_it_with_1_and_a_message() {
    let server = Server::builder().start().await.unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_load"));
    let output =
        command.args(["--control", &server.address().to_string(), &server.url()]).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let message = String::from_utf8(output.stderr).unwrap();
    assert!(message.starts_with("load: cannot listen on 127.0.0.1:"), "{message}");
    assert_eq!(server.counts().requests, 0);
}

#[tokio::test]
async fn a_wrong_command_line_ends_it_with_2_and_the_right_one() {
    let url = "http://localhost/";
    for (arguments, said) in [
        (&[][..], "<URL>"),
        (&["localhost:80"], "such as http://"),
        (&["--rate", "0", url], "from 0.001"),
        (&["--rate", "NaN", url], "from 0.001"),
        (&["--post-share", "1.1", url], "from 0 to 1"),
        (&["--connections", "0", url], "0 is not in"),
        (&["--requests", "0", url], "0 is not in"),
        (&["--host", "a b", url], "write a name"),
    ] {
        let output = run(arguments).await;
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        let message = String::from_utf8(output.stderr).unwrap();
        assert!(message.contains(said), "{message}");
    }
}

#[tokio::test]
async fn help_names_every_key_of_the_report() {
    let help = String::from_utf8(run(&["--help"]).await.stdout).unwrap();
    let server = Server::builder().start().await.unwrap();
    let url = format!("{}/status/500", server.url());
    let output = run(&["--requests", "1", &url]).await;
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    let mut objects = vec![&report, &report["failed"], &report["failures"][0]];
    objects.extend([&report["seconds"][0], &report["latency_ms"]]);
    for key in objects.into_iter().flat_map(|object| object.as_object().unwrap().keys()) {
        assert!(help.contains(key.as_str()), "{key}: {help}");
    }
}
