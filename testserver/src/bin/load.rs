//! The client of the tests as a program.

use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use clap::Parser;
use testserver::load::{Load, Settings, Target};
use testserver::{EndSignals, parse_duration};
use tokio::net::TcpListener;

/// Sends requests at a steady pace, and accounts for each of them
///
/// Keeps HTTP/1.1 connections open and sends until it is stopped: by `POST /stop` of its control port, by Ctrl-C or
/// SIGTERM, or when all of --requests are done. Then it prints its report, in JSON, on one line.
#[derive(Parser)]
#[command(version, after_help = "`load --help` says what is in the report.", after_long_help = AFTER_HELP)]
struct Arguments {
    /// Where requests go, such as `http://service.namespace:8080/path`. The name is resolved for each new connection
    #[arg(value_name = "URL", value_parser = Target::parse)]
    url: Target,

    /// Requests per second in all; one that is due while every connection is busy is sent late
    #[arg(long, value_name = "N", default_value_t = 500.0, value_parser = parse_rate)]
    rate: f64,

    /// The most connections at once
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u16).range(1..))]
    connections: u16,

    /// The part of the requests that are POSTs, from 0 to 1; the others are GETs
    #[arg(long, value_name = "PART", default_value_t = 0.1, value_parser = parse_share)]
    post_share: f64,

    /// Send so many and end; without it, go on until stopped, and live on until SIGTERM
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    requests: Option<u64>,

    /// The name to ask for in `Host`, if not that of the URL
    #[arg(long, value_name = "NAME", value_parser = parse_host)]
    host: Option<String>,

    /// How long a request may take before it has failed
    #[arg(long, value_name = "DURATION", default_value = "30s", value_parser = parse_duration)]
    timeout: Duration,

    /// The address of the control port
    #[arg(long, value_name = "ADDRESS", default_value = "0.0.0.0:9000")]
    control: String,
}

const AFTER_HELP: &str = "Examples:
  load http://127.0.0.1:8080/
  load --requests 100 --rate 50 http://localhost:8080/
  curl http://127.0.0.1:9000/report
  curl -X POST http://127.0.0.1:9000/stop

A request fails if its answer is not whole or its status is not 2xx. Nothing is
tried again. `Connection: close` is obeyed, and a connection that was closed
while it was idle is not used.

The control port answers with the report:
  GET  /report   so far
  POST /stop     sends nothing more, and answers when all in flight have ended

The report:
  started     when, in RFC 3339
  sent        requests sent; those that are neither ok nor failed are in flight
  ok          whole answers with 2xx
  failed      idempotent_no_head     GETs of whose answer no endpoint's head came:
                                     no whole head, or a 502, 503 or 504 without
                                     x-test-server, which is the proxy's own
              idempotent_after_head  GETs that failed later, or by their status
              other                  POSTs
  statuses    answers by status
  servers     answers by x-test-server, whatever their status
  opened      connections opened
  failures    the first 50: at, method, what, and status, body (its beginning) and
              server, if they came
  seconds     the last 3600, without a gap: at (seconds since the start), and ok,
              failed and servers of the requests that ended in it
  latency_ms  p50, p99 and max of those that are ok, from when they were due to the
              end of the answer; p50 and p99 to within 2 %

Exit codes:
  0  no request failed, and all of --requests were sent
  1  one failed, some were not sent, or the control port could not be listened on
  2  the command line was not understood";

fn parse_rate(text: &str) -> Result<f64, String> {
    text.parse()
        .ok()
        .filter(|rate| (0.001..=1e6).contains(rate))
        .ok_or_else(|| "write a number from 0.001 to 1000000".to_owned())
}

fn parse_share(text: &str) -> Result<f64, String> {
    text.parse()
        .ok()
        .filter(|share| (0.0..=1.0).contains(share))
        .ok_or_else(|| "write a number from 0 to 1".to_owned())
}

fn parse_host(text: &str) -> Result<String, String> {
    let authority = text.parse::<http::uri::Authority>();
    authority.map(|name| name.to_string()).map_err(|_| "write a name, or NAME:PORT".to_owned())
}

// One thread is enough, and makes the account exact without thinking.
#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    match run(Arguments::parse()).await {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(wrong) => {
            eprintln!("load: {wrong}");
            ExitCode::FAILURE
        }
    }
}

/// Returns whether all went well.
async fn run(arguments: Arguments) -> Result<bool, String> {
    let Arguments { url, rate, connections, post_share, requests, host, timeout, control } =
        arguments;
    let mut signals = EndSignals::new().map_err(|error| error.to_string())?;
    let cannot = |error| format!("cannot listen on {control}: {error}; --control chooses another");
    let listener = TcpListener::bind(&control).await.map_err(cannot)?;
    let address = listener.local_addr().map_err(cannot)?;
    eprintln!("load: {rate} requests/s to {url}; control port at http://{address}");
    let target = match host {
        Some(name) => url.with_host(name),
        None => url,
    };
    let connections = connections.into();
    let settings = Settings { target, rate, connections, post_share, requests, timeout };
    let load = Arc::new(Load::start(settings));
    let end = async {
        let told = tokio::select! {
            () = load.ended() => false,
            () = signals.next() => {
                tokio::select! {
                    () = load.stop() => {}
                    () = signals.next() => {}
                }
                true
            }
        };
        println!("{}", load.report());
        // Stopped by its control port, it stays for those who ask for the report.
        if !told && requests.is_none() {
            signals.next().await;
        }
    };
    load.control(listener, end).await;
    Ok(load.is_success())
}
