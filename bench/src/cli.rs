//! The command line.

mod build;

use crate::compare::{self, Plan, scenario};
use crate::load::Pace;
use crate::peer::{Peer, recreate};
use crate::process::{self, Cores};
use crate::syscalls::Counter;
use crate::{Result, footprint, machine, reload, results, router};
use clap::builder::PossibleValuesParser;
use clap::{Args, Parser, Subcommand};
use std::ffi::OsString;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

/// What a process needs besides the descriptors of its clients.
const OTHER_DESCRIPTORS: u64 = 1_200;

#[derive(Parser)]
#[command(about, max_term_width = 100)]
struct Cli {
    /// Without one: all, in this order
    #[command(subcommand)]
    scenario: Option<Scenario>,
}

#[derive(Subcommand)]
enum Scenario {
    /// Compare Outrigger with other proxies and a direct connection under different loads
    Compare(Compare),
    /// Compare memory, start and size
    Footprint(Footprint),
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
    /// Only these loads
    #[arg(value_parser = PossibleValuesParser::new(scenario::ALL.map(|scenario| scenario.name)))]
    loads: Vec<String>,
    /// Rounds; each measures every peer once, in changing order [default: 9 for keep-alive, else 5]
    #[arg(long, value_parser = clap::value_parser!(u16).range(1..))]
    rounds: Option<u16>,
    /// Seconds measured per peer and round [default: about one]
    #[arg(long, value_parser = positive)]
    seconds: Option<f64>,
    /// Seconds of load before each measurement
    #[arg(long, default_value_t = 0.3, value_parser = positive)]
    warmup: f64,
    /// Send so many requests per second (an open loop) instead of one after the other
    #[arg(long, value_parser = positive)]
    rate: Option<f64>,
    /// Leave Outrigger out: compare the others only
    #[arg(long)]
    peers_only: bool,
    #[command(flatten)]
    common: Common,
}

#[derive(Args)]
struct Footprint {
    /// Only these figures
    #[arg(value_parser = PossibleValuesParser::new(footprint::ALL.map(|(name, _)| name)))]
    figures: Vec<String>,
    /// Rounds; each measures every peer once (memory at most three, size once)
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u16).range(1..))]
    rounds: u16,
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
    /// An Outrigger to measure instead of building the ordinary and the static one; may be said more than once
    #[arg(long, value_name = "FILE")]
    outrigger: Vec<PathBuf>,
    /// Another Outrigger to measure beside, from before a change
    #[arg(long, value_name = "FILE")]
    before: Option<PathBuf>,
    /// Small and short, one round: only to see that it works
    #[arg(long)]
    quick: bool,
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
        None => ["compare", "footprint", "reload-latency", "router"].iter().try_for_each(|name| {
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
            Scenario::Footprint(options) => options.run(),
            Scenario::ReloadLatency(options) => options.run(),
            Scenario::Router(options) => options.run(),
            Scenario::Exec { core, command } => process::become_pinned(core, &command),
        }
    }
}

impl Compare {
    fn run(self) -> Result<()> {
        let work = Work::claim(&self.common.output)?;
        let peers = if self.peers_only { Peer::installed()? } else { self.common.peers()? };
        let descriptors = process::raise_descriptors();
        let quick = self.common.quick;
        let chosen = scenario::ALL.into_iter().filter(|scenario| {
            self.loads.is_empty() || self.loads.iter().any(|name| name == scenario.name)
        });
        for scenario in chosen.map(|scenario| if quick { scenario.quick() } else { scenario }) {
            if scenario.connections as u64 + OTHER_DESCRIPTORS > descriptors {
                eprintln!("bench: {} is left out: ulimit -Hn is {descriptors}", scenario.name);
                continue;
            }
            let pace = self.rate.map_or(Pace::Closed, Pace::PerSecond);
            if let Some(obstacle) = scenario.obstacle(pace) {
                eprintln!("bench: {} is left out: {obstacle}", scenario.name);
                continue;
            }
            let seconds = self.seconds.unwrap_or(if quick { 0.1 } else { scenario.seconds });
            let rounds = self.rounds.map_or(if quick { 1 } else { scenario.rounds }, usize::from);
            let plan = Plan {
                cores: cores()?,
                rounds,
                warmup: Duration::from_secs_f64(if quick { 0.05 } else { self.warmup }),
                duration: Duration::from_secs_f64(seconds),
                pace,
                // Counting is the same everywhere.
                counter: if quick && scenario.name != "keep-alive" {
                    None
                } else {
                    Counter::find()
                },
            };
            let text = compare::compare(&plan, &scenario, &peers, &command_line(), &work.folder)?;
            self.common.output.show(scenario.name, &text)?;
        }
        Ok(())
    }
}

impl Footprint {
    fn run(self) -> Result<()> {
        let work = Work::claim(&self.common.output)?;
        let peers = self.common.peers()?;
        process::raise_descriptors();
        let plan = footprint::Plan {
            cores: cores()?,
            rounds: if self.common.quick { 1 } else { self.rounds.into() },
            quick: self.common.quick,
            command: &command_line(),
            work: &work.folder,
        };
        let chosen = footprint::ALL.into_iter().filter(|(name, _)| {
            self.figures.is_empty() || self.figures.iter().any(|figure| figure == name)
        });
        for (name, figure) in chosen {
            self.common.output.show(name, &footprint::measure(&plan, figure, &peers)?)?;
        }
        Ok(())
    }
}

impl ReloadLatency {
    fn run(self) -> Result<()> {
        let work = Work::claim(&self.common.output)?;
        let programs = self.common.programs()?;
        let program = programs.first().ok_or("no Outrigger")?;
        let edits = if self.common.quick { 2 } else { self.edits.into() };
        let text = reload::measure(program, cores()?, edits, &command_line(), &work.folder)?;
        self.common.output.show("reload-latency", &text)
    }
}

impl Router {
    fn run(self) -> Result<()> {
        let _alone = Work::claim(&self.output)?;
        let plan = router::Plan { core: cores()?.proxy, rounds: self.rounds.into() };
        let proxy = results::row(&home().join("RESULTS.md"), "keep-alive", "Outrigger")
            .map_or("not measured yet".to_owned(), |micros| {
                format!("{micros} µs of CPU per request, see *Small requests*")
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
    /// The Outriggers to measure, with absolute paths.
    fn programs(&self) -> Result<Vec<PathBuf>> {
        match self.outrigger.as_slice() {
            [] => build::both(),
            files => files.iter().map(|file| absolute(file)).collect(),
        }
    }

    /// All that is measured: the other proxies and every Outrigger.
    fn peers(&self) -> Result<Vec<Peer>> {
        let mut peers = Peer::installed()?;
        for file in self.programs()? {
            let note = if machine::libraries(&file).is_empty() { "static" } else { "" };
            peers.push(Peer::outrigger(note, &file)?);
        }
        if let Some(before) = &self.before {
            peers.push(Peer::outrigger("before", &absolute(before)?)?);
        }
        Ok(peers)
    }
}

fn absolute(file: &Path) -> Result<PathBuf> {
    Ok(file.canonicalize().map_err(|error| format!("{}: {error}", file.display()))?)
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
