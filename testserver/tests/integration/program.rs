use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Output, Stdio};

use testserver::Server;

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
        let id = running.0.id().to_string();
        assert!(Command::new("kill").args(["-s", name, &id]).status().unwrap().success());
        assert_eq!(running.0.wait().unwrap().code(), Some(0));
    }
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
