//! The test servers as a program.

use std::error::Error;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use clap::{ArgGroup, Parser};
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use testserver::{BEHAVIOURS, EndSignals, Fleet, SEED, Server, parse_duration};
use tokio::time::sleep;

/// HTTP test servers with chosen delays and faults
///
/// Starts one server, or the eight of Outrigger's demo, and serves until Ctrl-C or SIGTERM.
#[derive(Parser)]
#[command(version, group = ArgGroup::new("what").required(true).args(["fleet", "port"]), after_help = "`testserver --help` lists what each path answers.", after_long_help = after_help())]
struct Arguments {
    /// Start the eight servers of the demo: 8081 and 8082 answer `/` after 4 s; 8083 and 8085 to 8089
    /// at once
    #[arg(long, conflicts_with_all = ["delay", "name"])]
    fleet: bool,

    /// Start one server on this port; 0 takes a free one and prints it
    #[arg(long, value_name = "N")]
    port: Option<u16>,

    /// What the header `x-test-server` of its answers says; the port, unless given
    #[arg(long, value_name = "NAME", value_parser = parse_name)]
    name: Option<String>,

    /// How long `/` takes to answer, such as 250ms, 4s or 2m
    #[arg(long, value_name = "DURATION", default_value = "0s", value_parser = parse_duration)]
    delay: Duration,

    /// Take TLS connections only, with the certificate chain in this PEM file; HTTP/2 is offered (ALPN)
    #[arg(long, value_name = "FILE", requires_all = ["tls_key", "port"])]
    tls_cert: Option<PathBuf>,

    /// The PEM file with the certificate's private key
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    tls_key: Option<PathBuf>,

    /// Speak HTTP/2 without TLS with clients that begin with its preface
    #[arg(long, requires = "port")]
    http2: bool,

    /// After Ctrl-C or SIGTERM, go on serving for this long, new connections too; then finish what is in
    /// flight and close idle connections. Without it, every connection is cut at once
    #[arg(long, value_name = "DURATION", default_value = "0s", value_parser = parse_duration)]
    linger: Duration,

    /// The address to listen on; 0.0.0.0 lets other machines in
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1")]
    host: String,
}

fn after_help() -> String {
    format!(
        "Examples:
  testserver --fleet
  testserver --port 8081 --delay 4s
  testserver --port 8081 --name \"$HOSTNAME\" --linger 1s
  curl -i http://127.0.0.1:8081/health

What it answers, each time with the header `x-test-server: PORT` or the --name:

{BEHAVIOURS}
Exit codes:
  0  ended by Ctrl-C or SIGTERM; a second one ends a --linger
  1  could not listen on an address; the message says why and what to do
  2  the command line was not understood"
    )
}

// One thread is enough for a test server, and the bench pins it to one core.
#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match run(&arguments).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            for line in error.to_string().lines() {
                eprintln!("testserver: {line}");
            }
            ExitCode::FAILURE
        }
    }
}

async fn run(arguments: &Arguments) -> Result<(), Box<dyn Error>> {
    // Before the first line is printed: whoever waits for it may send a signal at once.
    let mut signals = EndSignals::new()?;
    let fleet;
    let one;
    let servers = match arguments.port {
        None => {
            fleet = Fleet::start(&arguments.host, &SEED).await?;
            fleet.servers()
        }
        Some(port) => {
            one = [start(arguments, port).await?];
            &one[..]
        }
    };
    for server in servers {
        let delay = server.delay();
        let when = if delay.is_zero() { "at once".to_owned() } else { format!("after {delay:?}") };
        println!("testserver: {} answers {when}", server.url());
    }
    signals.next().await;
    if !arguments.linger.is_zero() {
        tokio::select! {
            () = end_gently(servers, arguments.linger) => {}
            () = signals.next() => {}
        }
    }
    for server in servers {
        server.stop().await;
    }
    Ok(())
}

/// Goes on serving for a while, for those who have not yet heard that we end.
async fn end_gently(servers: &[Server], linger: Duration) {
    sleep(linger).await;
    for server in servers {
        server.drain().await;
    }
}

async fn start(arguments: &Arguments, port: u16) -> Result<Server, Box<dyn Error>> {
    let mut builder = Server::builder().host(&arguments.host, port).delay(arguments.delay);
    if let Some(name) = &arguments.name {
        builder = builder.name(name);
    }
    if arguments.http2 {
        builder = builder.http2();
    }
    if let (Some(cert), Some(key)) = (&arguments.tls_cert, &arguments.tls_key) {
        builder = builder.tls(tls(cert, key)?);
    }
    Ok(builder.start().await?)
}

fn parse_name(text: &str) -> Result<String, String> {
    if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic()) {
        Ok(text.to_owned())
    } else {
        Err("write visible ASCII without spaces, such as the name of a pod".to_owned())
    }
}

fn tls(cert: &Path, key: &Path) -> Result<ServerConfig, Box<dyn Error>> {
    let said =
        |path: &Path, error: rustls::pki_types::pem::Error| format!("{}: {error}", path.display());
    let chain = CertificateDer::pem_file_iter(cert).and_then(Iterator::collect);
    let chain = chain.map_err(|error| said(cert, error))?;
    let private = PrivateKeyDer::from_pem_file(key).map_err(|error| said(key, error))?;
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder =
        ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
    let mut config = builder.with_no_client_auth().with_single_cert(chain, private)?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(config)
}
