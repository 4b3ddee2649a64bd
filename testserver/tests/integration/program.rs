use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, Command, Output, Stdio};

use testserver::Server;

use crate::client::PATIENCE;

fn program(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_testserver"));
    command.args(arguments).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

fn run(arguments: &[&str]) -> Output {
    program(arguments).output().unwrap()
}

/// Ends the program, also when the test fails before.
struct Running(Child);

impl Running {
    /// A server on a free port, and its address.
    fn start(arguments: &[&str]) -> (Self, String) {
        let mut running = Self(program(&[&["--port", "0"], arguments].concat()).spawn().unwrap());
        let mut line = String::new();
        BufReader::new(running.0.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let address = line.strip_prefix("testserver: http://").unwrap();
        let address = address.split(' ').next().unwrap().to_owned();
        (running, address)
    }

    fn signal(&self, name: &str) {
        let id = self.0.id().to_string();
        assert!(Command::new("kill").args(["-s", name, &id]).status().unwrap().success());
    }
}

/// A client with an answer behind it.
fn connect(address: &str) -> TcpStream {
    let mut client = TcpStream::connect(address).unwrap();
    client.set_read_timeout(Some(PATIENCE)).unwrap();
    ask(&mut client);
    client
}

fn ask(client: &mut TcpStream) {
    client.write_all(b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
    let mut answer = Vec::new();
    while !answer.ends_with(b"}") {
        let mut byte = [0];
        client.read_exact(&mut byte).unwrap();
        answer.extend_from_slice(&byte);
    }
    assert!(answer.starts_with(b"HTTP/1.1 200 OK\r\nx-test-server: pod-1\r\n"), "{answer:?}");
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn ctrl_c_and_sigterm_end_it_with_success() {
    for name in ["INT", "TERM"] {
        let mut running = Running(program(&["--port", "0", "--delay", "4s"]).spawn().unwrap());
        let mut line = String::new();
        BufReader::new(running.0.stdout.take().unwrap()).read_line(&mut line).unwrap();
        assert!(line.starts_with("testserver: http://127.0.0.1:"), "{line}");
        assert!(line.ends_with("answers after 4s\n"), "{line}");
        running.signal(name);
        assert_eq!(running.0.wait().unwrap().code(), Some(0));
    }
}

#[test]
fn a_server_that_lingers_serves_on_for_that_long_and_then_finishes_what_is_in_flight() {
    let (mut running, address) = Running::start(&["--name", "pod-1", "--linger", "1500ms"]);
    let mut idle = connect(&address);
    let mut busy = connect(&address);
    let begun = tokio::time::Instant::now();
    running.signal("TERM");
    // Ends after the linger.
    busy.write_all(b"GET /health?delay=2500ms HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
    for _ in 0..20 {
        ask(&mut idle);
        drop(connect(&address));
    }
    assert_eq!(idle.read_to_end(&mut Vec::new()).unwrap(), 0);
    assert!(begun.elapsed().as_millis() >= 1500);
    assert!(TcpStream::connect(&address).is_err());
    let mut answer = String::new();
    busy.read_to_string(&mut answer).unwrap();
    assert!(answer.ends_with("{\"message\":\"ok\"}"), "{answer}");
    drop((idle, busy));
    assert_eq!(running.0.wait().unwrap().code(), Some(0));
}

#[test]
fn a_second_signal_ends_a_server_that_lingers() {
    let (mut running, _) = Running::start(&["--linger", "60m"]);
    running.signal("TERM");
    // Two signals of a kind may be taken for one.
    running.signal("INT");
    assert_eq!(running.0.wait().unwrap().code(), Some(0));
}

#[test]
fn a_server_that_does_not_linger_cuts_what_is_in_flight() {
    let (mut running, address) = Running::start(&["--name", "pod-1"]);
    let mut busy = connect(&address);
    busy.write_all(b"GET /trickle?pieces=0 HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
    // The answer has begun.
    busy.read_exact(&mut [0]).unwrap();
    running.signal("TERM");
    assert_eq!(running.0.wait().unwrap().code(), Some(0));
    let mut answer = Vec::new();
    let _ = busy.read_to_end(&mut answer);
    assert!(!answer.ends_with(b"0\r\n\r\n"), "the stream has an end");
}

#[tokio::test]
async fn a_taken_port_ends_it_with_1_and_a_message() {
    let server = Server::builder().start().await.unwrap();
    let port = server.address().port().to_string();
    let output = run(&["--port", &port]);
    assert_eq!(output.status.code(), Some(1));
    let message = String::from_utf8(output.stderr).unwrap();
    assert!(message.starts_with("testserver: cannot listen on 127.0.0.1:"), "{message}");
}

#[test]
fn a_wrong_command_line_ends_it_with_2_and_the_right_one() {
    for (arguments, said) in [
        (&[][..], "<--fleet|--port <N>>"),
        (&["--fleet", "--port", "1"], "cannot be used"),
        (&["--port", "1", "--delay", "3x"], "for example 250ms"),
        (&["--fleet", "--name", "a"], "cannot be used"),
        (&["--port", "1", "--name", "a b"], "without spaces"),
    ] {
        let output = run(arguments);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        let message = String::from_utf8(output.stderr).unwrap();
        assert!(message.contains(said), "{message}");
    }
}

#[test]
fn help_shows_examples_behaviours_and_exit_codes() {
    let help = String::from_utf8(run(&["--help"]).stdout).unwrap();
    for part in ["testserver --port 8081 --delay 4s", testserver::BEHAVIOURS, "Exit codes:"] {
        assert!(help.contains(part), "{help}");
    }
}
