//! The test servers as a program.

use std::process::ExitCode;
use std::time::Duration;

use clap::{ArgGroup, Parser};
use testserver::{BEHAVIOURS, Fleet, Member, SEED, parse_duration};
use tokio::signal::unix::{SignalKind, signal};

/// HTTP test servers with chosen delays and faults
///
/// Starts one server, or the eight of Outrigger's demo, and serves until Ctrl-C or SIGTERM.
#[derive(Parser)]
#[command(version, group = ArgGroup::new("what").required(true).args(["fleet", "port"]), after_help = "`testserver --help` lists what each path answers.", after_long_help = after_help())]
struct Arguments {
    /// Start the eight servers of the demo: 8081 and 8082 answer `/` after 4 s; 8083 and 8085 to 8089
    /// at once
    #[arg(long, conflicts_with = "delay")]
    fleet: bool,

    /// Start one server on this port; 0 takes a free one and prints it
    #[arg(long, value_name = "N")]
    port: Option<u16>,

    /// How long `/` takes to answer, such as 250ms, 4s or 2m
    #[arg(long, value_name = "DURATION", default_value = "0s", value_parser = parse_duration)]
    delay: Duration,

    /// The address to listen on; 0.0.0.0 lets other machines in
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1")]
    host: String,
}

fn after_help() -> String {
    format!(
        "Examples:
  testserver --fleet
  testserver --port 8081 --delay 4s
  curl -i http://127.0.0.1:8081/health

What it answers, each time with the header `x-test-server: PORT`:

{BEHAVIOURS}
Exit codes:
  0  ended by Ctrl-C or SIGTERM
  1  could not listen on an address; the message says why and what to do
  2  the command line was not understood"
    )
}

// One thread is enough for a test server, and the bench pins it to one core.
#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let one = arguments.port.map(|port| [Member { port, delay: arguments.delay }]);
    let members = one.as_ref().map_or(&SEED[..], |one| &one[..]);
    match run(&arguments.host, members).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            for line in error.to_string().lines() {
                eprintln!("testserver: {line}");
            }
            ExitCode::FAILURE
        }
    }
}

async fn run(host: &str, members: &[Member]) -> Result<(), Box<dyn std::error::Error>> {
    // Before the first line is printed: whoever waits for it may send a signal at once.
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let fleet = Fleet::start(host, members).await?;
    for server in fleet.servers() {
        let delay = server.delay();
        let when = if delay.is_zero() { "at once".to_owned() } else { format!("after {delay:?}") };
        println!("testserver: {} answers {when}", server.url());
    }
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
    }
    fleet.stop().await;
    Ok(())
}
