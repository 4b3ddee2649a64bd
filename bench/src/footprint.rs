//! `footprint`: memory, start and size of each peer.

use crate::Result;
use crate::endpoint::Endpoint;
use crate::exchange::{Exchange, HOST};
use crate::load::{Load, Shape};
use crate::machine;
use crate::peer::{Peer, Program, Running, Setting, answers};
use crate::process::{Cores, Meter, Process, pin_this_thread};
use crate::stats::Spread;
use crate::tls::Identity;
use std::fmt::Write as _;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How long idle connections have to give back what they do not need.
const REST: Duration = Duration::from_secs(2);

/// How long anything may take.
const PATIENCE: Duration = Duration::from_secs(300);

/// How to measure.
pub(crate) struct Plan<'a> {
    pub(crate) cores: Cores,
    pub(crate) rounds: usize,
    /// Fewer connections and requests: for a look at whether it works.
    pub(crate) quick: bool,
    pub(crate) command: &'a str,
    pub(crate) work: &'a Path,
}

/// What is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Figure {
    IdleMemory,
    /// The same within TLS.
    IdleTls,
    MemoryAfterRequests,
    Start,
    Size,
}

impl Figure {
    fn is_idle(self) -> bool {
        matches!(self, Figure::IdleMemory | Figure::IdleTls)
    }
}

/// What an idle connection with TLS may take in Outrigger, and what it should, in KiB.
const IDLE_TLS_LIMIT: f64 = 24.0;
const IDLE_TLS_AIM: f64 = 16.0;

/// All, by their names.
pub(crate) const ALL: [(&str, Figure); 5] = [
    ("idle-memory", Figure::IdleMemory),
    ("idle-tls", Figure::IdleTls),
    ("memory-after-requests", Figure::MemoryAfterRequests),
    ("start", Figure::Start),
    ("size", Figure::Size),
];

/// Measures one figure of all peers and returns its section, as Markdown.
pub(crate) fn measure(plan: &Plan<'_>, figure: Figure, peers: &[Peer]) -> Result<String> {
    let load_before = machine::load_average();
    let slow = [Program::Envoy, Program::Traefik, Program::Caddy];
    let takes_part =
        |peer: &&Peer| figure != Figure::MemoryAfterRequests || !slow.contains(&peer.program);
    let peers: Vec<&Peer> = peers.iter().filter(takes_part).collect();
    let rounds = match figure {
        Figure::IdleMemory | Figure::IdleTls => plan.rounds.min(3),
        Figure::MemoryAfterRequests | Figure::Size => 1,
        Figure::Start => plan.rounds,
    };
    let mut values: Vec<Vec<f64>> = peers.iter().map(|_| Vec::new()).collect();
    let mut remarks = vec![String::new(); peers.len()];
    for round in 0..rounds {
        for index in (0..peers.len()).map(|index| (index + round) % peers.len()) {
            let peer = peers[index];
            let value = std::thread::scope(|scope| scope.spawn(|| one(plan, figure, peer)).join());
            let value = value.map_err(|_| "the client's thread panicked")?;
            let (value, remark) =
                value.map_err(|error| format!("{figure:?}, {}: {error}", peer.label))?;
            eprintln!(
                "bench: {figure:?}: round {} of {rounds}: {}: {value:.2}",
                round + 1,
                peer.label
            );
            values[index].push(value);
            remarks[index] = remark;
        }
    }
    let (title, unit, what) = describe(plan, figure);
    let mut text = format!(
        "## {title}\n\n{}: {}. `{}`\n\n{what}. {rounds} rounds; median (least–greatest), and Outrigger's by the peer's.\n\n",
        machine::today(),
        machine::describe(),
        plan.command,
    );
    text += &table(unit, &peers, &values, &remarks);
    let _ = write!(text, "\nLoad average before the run: {load_before}.\n");
    Ok(text)
}

fn describe(plan: &Plan<'_>, figure: Figure) -> (&'static str, &'static str, String) {
    match figure {
        Figure::IdleMemory => {
            ("Memory per idle connection", "KiB/connection", idle(plan, "connections"))
        }
        Figure::IdleTls => (
            "Memory per idle connection with TLS",
            "KiB/connection",
            idle(plan, "connections of TLS 1.3")
                + &format!(
                    ". Outrigger's may be {IDLE_TLS_LIMIT} KiB, and should be {IDLE_TLS_AIM}"
                ),
        ),
        Figure::MemoryAfterRequests => (
            "Memory after many requests",
            "RSS MiB",
            format!(
                "Resident memory after {} requests on 64 connections, and how much more that is than after the first {}",
                many_requests(plan),
                many_requests(plan) / 50
            ),
        ),
        Figure::Start => (
            "From start to the first answer",
            "ms",
            "From spawning the process to the first 200, asked for again and again".to_owned(),
        ),
        Figure::Size => (
            "Size of the program",
            "MiB",
            "The file, and the libraries it needs besides".to_owned(),
        ),
    }
}

fn idle(plan: &Plan<'_>, connections: &str) -> String {
    format!(
        "{} more {connections}, each of which has had one request answered and has been idle for about {REST:?}: what they \
         add to the memory of all processes of the proxy (a page that several share counts once), by their number",
        idle_connections(plan)
    )
}

fn idle_connections(plan: &Plan<'_>) -> usize {
    if plan.quick { 200 } else { 4_000 }
}

fn many_requests(plan: &Plan<'_>) -> u64 {
    if plan.quick { 5_000 } else { 1_000_000 }
}

/// The figure, and what else there is to say.
fn one(plan: &Plan<'_>, figure: Figure, peer: &Peer) -> Result<(f64, String)> {
    pin_this_thread(Some(plan.cores.load))?;
    if figure == Figure::Size {
        let size = std::fs::metadata(&peer.file)?.len() as f64 / f64::from(1 << 20);
        let libraries = machine::libraries(&peer.file);
        return Ok((
            size,
            if libraries.is_empty() { "static".into() } else { libraries.join(", ") },
        ));
    }
    let exchange = Exchange::small();
    let endpoint = Endpoint::start(Some(plan.cores.load))?;
    let connections = if figure.is_idle() { 64 + idle_connections(plan) } else { 64 };
    let identity = (figure == Figure::IdleTls).then(|| Identity::create(plan.work)).transpose()?;
    let client = identity.as_ref().map(|it| it.client(exchange.protocol, true)).transpose()?;
    let busy = Shape { tls: client.map(Arc::new), ..Shape::keep_alive(64) };
    let setting = Setting {
        endpoints: endpoint.addresses(),
        hosts: &[],
        shape: &Shape { connections, ..busy.clone() },
        collector: None,
        exchange: &exchange,
        identity: identity.as_ref(),
    };
    if figure == Figure::Start {
        let start = Instant::now();
        let mut running = peer.spawn(plan.cores.proxy, &setting, plan.work)?;
        let address = running.address;
        let process = running.process.as_mut().ok_or("no process")?;
        process.wait_until(|| answers(address, HOST))?;
        return Ok((start.elapsed().as_secs_f64() * 1e3, String::new()));
    }
    let running = peer.start(plan.cores.proxy, &setting, plan.work)?;
    let mut load = Load::connect(running.address, &busy, &exchange)?;
    let meter = meter(&running)?;
    if figure == Figure::MemoryAfterRequests {
        load.count(many_requests(plan) / 50, PATIENCE)?;
        let before = meter.resident()?;
        load.count(many_requests(plan), PATIENCE)?;
        let after = meter.resident()? as f64;
        let mib = f64::from(1 << 20);
        return Ok((after / mib, format!("{:+.2} MiB", (after - before as f64) / mib)));
    }
    load.drive(Duration::from_millis(500))?;
    load.settle(PATIENCE)?;
    let before = meter.proportional()?;
    let count = idle_connections(plan);
    let shape = Shape { connections: count, ..busy };
    let mut idle = Load::connect(running.address, &shape, &exchange)?;
    idle.count(count as u64, PATIENCE)?;
    std::thread::sleep(REST);
    let after = meter.proportional()?;
    // They are open still.
    idle.count(count as u64, PATIENCE)?;
    let each = (after as f64 - before as f64) / 1024.0 / count as f64;
    let limited = figure == Figure::IdleTls && peer.program == Program::Outrigger;
    let words = if each <= IDLE_TLS_LIMIT { "limit kept" } else { "limit NOT kept" };
    Ok((each, if limited { words.into() } else { String::new() }))
}

fn meter(running: &Running) -> Result<Meter> {
    Ok(running.process.as_ref().map(Process::meter).ok_or("no process")?)
}

fn table(unit: &str, peers: &[&Peer], values: &[Vec<f64>], remarks: &[String]) -> String {
    let is_ours = |index: &usize| peers[*index].program == Program::Outrigger;
    let ours: Vec<usize> = (0..peers.len()).filter(is_ours).collect();
    let mut text = format!("| | {unit} | |");
    for &own in &ours {
        let _ = write!(text, " {} × |", peers[own].label);
    }
    let _ = write!(text, "\n{}|", "|---".repeat(3 + ours.len()));
    for (index, peer) in peers.iter().enumerate() {
        let Some(spread) = Spread::of(values[index].iter().copied()) else { continue };
        let _ = write!(text, "\n| {} | {spread:.1} | {} |", peer.label, remarks[index]);
        for &own in &ours {
            let ratios = values[own].iter().zip(&values[index]).map(|(own, other)| own / other);
            match Spread::of(ratios).filter(|_| own != index && spread.min > 0.0) {
                Some(ratio) => drop(write!(text, " {ratio:.2} |")),
                None => text += " – |",
            }
        }
    }
    text + "\n"
}
