//! `compare`: CPU time per request, rate, latency, memory and system calls of each peer, in interleaved rounds.

mod disturb;
mod report;
pub(crate) mod scenario;

use crate::Result;
use crate::collector::Collector;
use crate::endpoint::Endpoint;
use crate::load::{Load, Pace, Run};
use crate::machine;
use crate::peer::{Peer, Running, Setting};
use crate::process::{Cores, Meter, Process, own_cpu, pin_this_thread};
use crate::stats::percentile;
use crate::syscalls::Counter;
use crate::tls::Identity;
use scenario::Scenario;
use std::fmt::Write;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// An answer that is not there so long after the end of a round is a failure.
const PATIENCE: Duration = Duration::from_secs(5);

/// How long the first turns of all connections may take.
const FIRST_TURNS: Duration = Duration::from_secs(60);

/// In so many rounds the system calls are counted, which hardly vary.
const COUNTED: usize = 2;

/// How to measure.
pub(crate) struct Plan {
    pub(crate) cores: Cores,
    pub(crate) rounds: usize,
    pub(crate) warmup: Duration,
    pub(crate) duration: Duration,
    pub(crate) pace: Pace,
    pub(crate) counter: Option<Counter>,
}

/// What one round of one peer showed.
struct Sample {
    rate: f64,
    p50: f64,
    p99: f64,
    /// Connections closed, and requests lost with them: only where that is counted and not fatal.
    closed: u64,
    failed: u64,
    /// Client and endpoint on their core.
    load_busy_percent: f64,
    /// How both sides agreed on the keys of TLS.
    group: Option<String>,
    proxy: Option<ProxySample>,
}

struct ProxySample {
    cpu_micros: f64,
    resident_mib: f64,
    busy_percent: f64,
    syscalls: Option<f64>,
    /// Lines of access log per request.
    logged: f64,
    /// Scrapes or reloads.
    disturbed: u64,
    /// Spans per request that reached the collector.
    spans: f64,
}

/// Measures all peers in one scenario and returns its section, as Markdown.
pub(crate) fn compare(
    plan: &Plan,
    scenario: &Scenario,
    peers: &[Peer],
    command: &str,
    work: &Path,
) -> Result<String> {
    let load_before = machine::load_average();
    let rows = scenario.rows(peers);
    let identity = scenario.tls.then(|| Identity::create(work)).transpose()?;
    let identity = identity.as_ref();
    let mut samples: Vec<Vec<Sample>> = rows.iter().map(|_| Vec::new()).collect();
    for round in 0..plan.rounds {
        // A different first one each round, so that none always follows the same neighbour.
        for index in (0..rows.len()).map(|index| (index + round) % rows.len()) {
            let peer = &rows[index];
            let counter = plan.counter.as_ref().filter(|_| round < COUNTED);
            let sample = measure(plan, scenario, peer, counter, identity, work);
            let sample = sample.map_err(|error| {
                format!("{}, round {}, {}: {error}", scenario.name, round + 1, peer.label)
            })?;
            let (number, line) = (round + 1, sample.line());
            eprintln!(
                "bench: {}: round {number} of {}: {}: {line}",
                scenario.name, plan.rounds, peer.label
            );
            samples[index].push(sample);
        }
    }
    let mut text = report::report(plan, scenario, &rows, &samples, command);
    let _ = write!(text, "\nLoad average before the run: {load_before}.\n");
    Ok(text)
}

/// What the client saw, and what the proxy used meanwhile.
struct Driven {
    run: Run,
    /// What client and endpoint used.
    load_cpu: Duration,
    /// With the requests before and after.
    total: u64,
    proxy: Option<Used>,
}

/// What the proxy used.
struct Used {
    cpu: Duration,
    resident: u64,
    syscalls: Option<f64>,
    disturbed: u64,
}

fn measure(
    plan: &Plan,
    scenario: &Scenario,
    peer: &Peer,
    counter: Option<&Counter>,
    identity: Option<&Identity>,
    work: &Path,
) -> Result<Sample> {
    let (hosts, exchange) = (scenario.hosts(), scenario.exchange());
    let endpoint = Endpoint::serving(Some(plan.cores.load), scenario.endpoints, &exchange)?;
    let shape = scenario.shape(peer, plan.pace, identity)?;
    let collector = peer.options.traces.map(|_| Collector::start(plan.cores.load)).transpose()?;
    let setting = Setting {
        endpoints: endpoint.addresses(),
        hosts: &hosts,
        shape: &shape,
        exchange: &exchange,
        identity,
        collector: collector.as_ref().map(Collector::address),
    };
    let running = peer.start(plan.cores.proxy, &setting, work)?;
    let driven = std::thread::scope(|scope| {
        scope.spawn(|| drive(plan, &setting, peer, counter, &running)).join()
    });
    let driven = driven.map_err(|_| "the client's thread panicked")?;
    let Driven { run, load_cpu, total, proxy } = driven.map_err(|error| {
        let complaint = running.process.as_ref().map(Process::complaint).unwrap_or_default();
        format!("{error}\n{complaint}")
    })?;
    let requests = run.requests as f64;
    if run.requests == 0 {
        return Err("not one request was answered".into());
    }
    let proxy = match proxy {
        None => None,
        Some(used) => {
            let lines = running.stop_and_count_lines()?;
            peer.check_fairness(&endpoint.last_head(), lines)?;
            let spans = collector.as_ref().map_or(0, Collector::spans);
            if (spans > 0) != peer.options.traces.is_some_and(|percent| percent > 0) {
                return Err("what the collector got is not what should be traced".into());
            }
            Some(ProxySample {
                cpu_micros: used.cpu.as_secs_f64() * 1e6 / requests,
                busy_percent: used.cpu.as_secs_f64() * 100.0 / run.elapsed.as_secs_f64(),
                resident_mib: used.resident as f64 / f64::from(1 << 20),
                syscalls: used.syscalls,
                logged: lines as f64 / total as f64,
                disturbed: used.disturbed,
                spans: spans as f64 / total as f64,
            })
        }
    };
    Ok(Sample {
        rate: requests / run.elapsed.as_secs_f64(),
        p50: percentile(&run.latencies, 0.5) as f64 / 1e3,
        p99: percentile(&run.latencies, 0.99) as f64 / 1e3,
        closed: run.closed,
        failed: run.failed,
        load_busy_percent: load_cpu.as_secs_f64() * 100.0 / run.elapsed.as_secs_f64(),
        group: run.group,
        proxy,
    })
}

fn drive(
    plan: &Plan,
    setting: &Setting<'_>,
    peer: &Peer,
    counter: Option<&Counter>,
    running: &Running,
) -> Result<Driven> {
    pin_this_thread(Some(plan.cores.load))?;
    let shape = setting.shape;
    let mut load = Load::connect(running.address, shape, setting.exchange)?;
    // Where connections take turns each has its first turn now: what a first request costs is not the question.
    let first = if shape.in_flight < shape.connections { shape.connections as u64 } else { 0 };
    let mut total = load.count(first, FIRST_TURNS)?.requests;
    total += load.drive(plan.warmup)?.requests;
    let Some(meter) = running.process.as_ref().map(Process::meter) else {
        let before = own_cpu();
        let run = load.drive(plan.duration)?;
        let load_cpu = own_cpu().saturating_sub(before);
        total += run.requests + load.settle(PATIENCE)?;
        return Ok(Driven { run, load_cpu, total, proxy: None });
    };
    let stop = AtomicBool::new(false);
    let timed = std::thread::scope(|scope| {
        let (before, own) = (meter.cpu(), own_cpu());
        let disturbing = scope.spawn(|| disturb::disturb(peer, running, &stop));
        let run = load.drive(plan.duration);
        let load_cpu = own_cpu().saturating_sub(own);
        stop.store(true, Ordering::Relaxed);
        let disturbed = disturbing.join().map_err(|_| "the disturber panicked")?;
        Ok::<_, Box<dyn std::error::Error + Send + Sync>>((
            // Processes that ended meanwhile (NGINX's, at a reload) count in ticks from then on, which is a little less.
            meter.cpu()?.saturating_sub(before?),
            run?,
            load_cpu,
            disturbed?,
        ))
    });
    let (cpu, run, load_cpu, disturbed) = timed?;
    total += run.requests;
    let resident = meter.resident()?;
    total += load.settle(PATIENCE)?;
    let syscalls = match counter {
        Some(counter) => {
            let (per_request, requests) = count(counter, &meter, &mut load, plan)?;
            total += requests;
            Some(per_request)
        }
        None => None,
    };
    Ok(Driven { run, load_cpu, total, proxy: Some(Used { cpu, resident, syscalls, disturbed }) })
}

/// System calls per request, in a stretch of its own, and how many requests that had. The proxy is idle before and after,
/// so that it does not matter when exactly the counter attaches.
fn count(counter: &Counter, meter: &Meter, load: &mut Load, plan: &Plan) -> Result<(f64, u64)> {
    let counting = counter.start(&meter.ids()?)?;
    let run = load.drive(plan.warmup.min(Duration::from_millis(200)));
    let settled = load.settle(PATIENCE);
    let calls = counting.stop()?;
    let requests = run?.requests + settled?;
    Ok((calls as f64 / requests.max(1) as f64, requests))
}

impl Sample {
    fn line(&self) -> String {
        let rate = format!("{:.0} requests/s, p99 {:.0} µs", self.rate, self.p99);
        match &self.proxy {
            None => rate,
            Some(proxy) => format!("{:.2} µs CPU/request, {rate}", proxy.cpu_micros),
        }
    }
}
