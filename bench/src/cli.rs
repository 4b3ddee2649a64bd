//! The command line.

use crate::compare::{self, Plan};
use crate::load::Pace;
use crate::peer::{Peer, recreate};
use crate::process::{self, Cores};
use crate::{Result, reload, results, router};
use clap::{Args, Parser, Subcommand};
use serde_json::Value;
use std::ffi::OsString;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::time::Duration;

#[derive(Parser)]
#[command(about, max_term_width = 100)]
struct Cli {
    /// Without one: compare, then reload-latency, then router
    #[command(subcommand)]
    scenario: Option<Scenario>,
}

#[derive(Subcommand)]
enum Scenario {
    /// Compare Outrigger with NGINX, HAProxy and a direct connection
    Compare(Compare),
    /// Time how long an edit of Outrigger's file takes to have its effect
    ReloadLatency(ReloadLatency),
    /// Time the look-up of a request's route as the table grows, and the compilation of the table
    Router(Router),
    /// Become a command that is pinned to a core and ends with its parent
    #[command(hide = true)]
    Exec {
        #[arg(long)]
        core: usize,
        #[arg(last = true, required = true)]
        command: Vec<OsString>,
    },
}

#[derive(Args)]
struct Compare {
    /// Rounds; each measures every peer once, in changing order
    #[arg(long, default_value_t = 9, value_parser = clap::value_parser!(u16).range(1..))]
    rounds: u16,
    /// Seconds measured per peer and round
    #[arg(long, default_value_t = 2.0, value_parser = positive)]
    seconds: f64,
    /// Seconds of load before each measurement
    #[arg(long, default_value_t = 0.5, value_parser = positive)]
    warmup: f64,
    /// Keep-alive connections
    #[arg(long, default_value_t = 64, value_parser = clap::value_parser!(u16).range(1..=900))]
    connections: u16,
    /// Send so many requests per second (an open loop) instead of one after the other
    #[arg(long, value_parser = positive)]
    rate: Option<f64>,
    /// Leave Outrigger out: compare the others only
    #[arg(long)]
    peers_only: bool,
    /// Another Outrigger to measure beside, from before a change
    #[arg(long, value_name = "FILE", conflicts_with = "peers_only")]
    before: Option<PathBuf>,
    #[command(flatten)]
    common: Common,
}

#[derive(Args)]
struct ReloadLatency {
    /// Edits of each kind
    #[arg(long, default_value_t = 30, value_parser = clap::value_parser!(u16).range(1..))]
    edits: u16,
    #[command(flatten)]
    common: Common,
}

#[derive(Args)]
struct Router {
    /// Rounds; each measures every table once, in changing order
    #[arg(long, default_value_t = 15, value_parser = clap::value_parser!(u16).range(1..))]
    rounds: u16,
    #[command(flatten)]
    output: Output,
}

#[derive(Args)]
struct Common {
    /// An Outrigger to measure instead of building one (the image's static one, say)
    #[arg(long, value_name = "FILE")]
    outrigger: Option<PathBuf>,
    #[command(flatten)]
    output: Output,
}

#[derive(Args)]
struct Output {
    /// Print the result but do not save it in bench/RESULTS.md
    #[arg(long)]
    no_save: bool,
}

fn positive(text: &str) -> std::result::Result<f64, String> {
    match text.parse() {
        Ok(number) if number > 0.0 && f64::is_finite(number) => Ok(number),
        _ => Err("must be a number above 0".into()),
    }
}

/// Runs the scenario asked for, or all.
pub(crate) fn main() -> ExitCode {
    let outcome = match Cli::parse().scenario {
        Some(scenario) => scenario.run(),
        None => ["compare", "reload-latency", "router"].iter().try_for_each(|name| {
            let defaults = Cli::parse_from(["bench", name]).scenario;
            defaults.map_or(Ok(()), Scenario::run)
        }),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("bench: {error}");
            ExitCode::FAILURE
        }
    }
}

impl Scenario {
    fn run(self) -> Result<()> {
        match self {
            Scenario::Compare(options) => options.run(),
            Scenario::ReloadLatency(options) => options.run(),
            Scenario::Router(options) => options.run(),
            Scenario::Exec { core, command } => process::become_pinned(core, &command),
        }
    }
}

impl Compare {
    fn run(self) -> Result<()> {
        let work = Work::claim(&self.common.output)?;
        let mut peers = vec![Peer::direct()];
        peers.extend(Peer::nginx()?);
        if let Some(haproxy) = Peer::haproxy()? {
            let (again, more) = (haproxy.again(), haproxy.with_all_headers());
            peers.extend([haproxy, again, more]);
        }
        if !self.peers_only {
            let program = self.common.outrigger()?;
            peers.extend([Peer::outrigger(&program, false)?, Peer::outrigger(&program, true)?]);
            if let Some(before) = &self.before {
                peers.push(Peer::outrigger(before, false)?);
            }
        }
        let plan = Plan {
            cores: cores()?,
            rounds: self.rounds.into(),
            warmup: Duration::from_secs_f64(self.warmup),
            duration: Duration::from_secs_f64(self.seconds),
            connections: self.connections.into(),
            pace: self.rate.map_or(Pace::Closed, Pace::PerSecond),
        };
        let text = compare::compare(&plan, &peers, &command_line(), &work.folder)?;
        self.common.output.show("compare", &text)
    }
}

impl ReloadLatency {
    fn run(self) -> Result<()> {
        let work = Work::claim(&self.common.output)?;
        let program = self.common.outrigger()?;
        let edits = self.edits.into();
        let text = reload::measure(&program, cores()?, edits, &command_line(), &work.folder)?;
        self.common.output.show("reload-latency", &text)
    }
}

impl Router {
    fn run(self) -> Result<()> {
        let _alone = Work::claim(&self.output)?;
        let plan = router::Plan { core: cores()?.proxy, rounds: self.rounds.into() };
        let proxy = results::row(&home().join("RESULTS.md"), "compare", "Outrigger")
            .map_or("not measured yet".to_owned(), |micros| {
                format!("{micros} µs of CPU per request, see *Proxies compared*")
            });
        let outcome = router::measure(&plan, &command_line(), &proxy)?;
        self.output.show("router", &outcome.text)?;
        match outcome.faults.as_slice() {
            [] => Ok(()),
            faults => Err(faults.join("; ").into()),
        }
    }
}

impl Common {
    /// The Outrigger to measure, with an absolute path.
    fn outrigger(&self) -> Result<PathBuf> {
        match &self.outrigger {
            Some(file) => {
                Ok(file.canonicalize().map_err(|e| format!("{}: {e}", file.display()))?)
            }
            None => build(),
        }
    }
}

impl Output {
    fn show(&self, scenario: &str, text: &str) -> Result<()> {
        print!("{text}");
        if !self.no_save {
            results::save(&home().join("RESULTS.md"), scenario, text)?;
            eprintln!("bench: saved in bench/RESULTS.md");
        }
        Ok(())
    }
}

/// The folder of this crate.
fn home() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Builds Outrigger as it is released and says where it is.
fn build() -> Result<PathBuf> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    eprintln!("bench: cargo build --release -p outrigger");
    let output = Command::new(cargo)
        .args(["build", "--release", "-p", "outrigger", "--bin", "outrigger"])
        .arg("--message-format=json-render-diagnostics")
        .current_dir(home())
        .stderr(Stdio::inherit())
        .output()?;
    if !output.status.success() {
        return Err("Outrigger does not build".into());
    }
    let messages = String::from_utf8(output.stdout)?;
    let executable = |line| {
        Some(PathBuf::from(serde_json::from_str::<Value>(line).ok()?["executable"].as_str()?))
    };
    Ok(messages.lines().find_map(executable).ok_or("cargo build named no executable")?)
}

/// One core for the proxy and another for the rest.
fn cores() -> Result<Cores> {
    match process::available_cores()?.as_slice() {
        &[proxy, load, ..] => Ok(Cores { proxy, load }),
        cores => Err(format!("needs two cores, may use {}", cores.len()).into()),
    }
}

/// How to repeat this run.
fn command_line() -> String {
    let mut command = "cargo run --release -p bench".to_owned();
    for (index, argument) in std::env::args().skip(1).enumerate() {
        command += if index == 0 { " -- " } else { " " };
        command += &argument;
    }
    command
}

/// The folder where the peers live, ours alone as long as this value is. It stays behind, for those
/// who want to see what was configured.
struct Work {
    folder: PathBuf,
    _lock: File,
}

impl Work {
    fn claim(output: &Output) -> Result<Work> {
        if cfg!(debug_assertions) && !output.no_save {
            return Err("a debug build measures itself: use cargo run --release -p bench".into());
        }
        let program = std::env::current_exe()?;
        let target = program.parent().ok_or("the program has no folder")?;
        let lock = File::create(target.join("bench-work.lock"))?;
        // Two at once would measure each other.
        lock.try_lock().map_err(|_| "another bench is running here")?;
        let folder = target.join("bench-work");
        recreate(&folder)?;
        Ok(Work { folder, _lock: lock })
    }
}
