//! Scenario `compare`: CPU time per request, rate, latency and memory of each peer, in interleaved
//! rounds.

use crate::Result;
use crate::endpoint::{BODY, Endpoint};
use crate::load::{Load, Pace, Run};
use crate::machine;
use crate::peer::{Kind, Peer, Running};
use crate::process::{Cores, Meter, Process, pin_this_thread};
use crate::stats::{Spread, percentile};
use std::fmt::Write;
use std::path::Path;
use std::time::Duration;

/// An answer that is not there so long after the end of a round is a failure.
const PATIENCE: Duration = Duration::from_secs(3);

/// How to measure.
pub(crate) struct Plan {
    pub(crate) cores: Cores,
    pub(crate) rounds: usize,
    pub(crate) warmup: Duration,
    pub(crate) duration: Duration,
    pub(crate) connections: usize,
    pub(crate) pace: Pace,
}

/// What one round of one peer showed.
struct Sample {
    rate: f64,
    p50: f64,
    p99: f64,
    proxy: Option<ProxySample>,
}

struct ProxySample {
    cpu_micros: f64,
    resident_mib: f64,
    busy_percent: f64,
    /// Lines of access log per request.
    logged: f64,
}

/// Measures all peers and returns the table with its surroundings, as Markdown.
pub(crate) fn compare(plan: &Plan, peers: &[Peer], command: &str, work: &Path) -> Result<String> {
    let load_before = machine::load_average();
    let mut samples: Vec<Vec<Sample>> = peers.iter().map(|_| Vec::new()).collect();
    for round in 0..plan.rounds {
        // A different first one each round, so that none always follows the same neighbour.
        for index in (0..peers.len()).map(|index| (index + round) % peers.len()) {
            let peer = &peers[index];
            let sample = measure(plan, peer, work)
                .map_err(|error| format!("round {}, {}: {error}", round + 1, peer.label))?;
            eprintln!(
                "bench: round {} of {}: {}: {}",
                round + 1,
                plan.rounds,
                peer.label,
                sample.line()
            );
            samples[index].push(sample);
        }
    }
    let mut text = report(plan, peers, &samples, command);
    let _ = write!(text, "\nLoad average before the run: {load_before}.\n");
    Ok(text)
}

/// What the client saw, and what the proxy used meanwhile.
struct Driven {
    run: Run,
    /// With the requests of the warm-up.
    total: u64,
    proxy: Option<(Duration, Meter)>,
}

fn measure(plan: &Plan, peer: &Peer, work: &Path) -> Result<Sample> {
    let endpoint = Endpoint::start(Some(plan.cores.load))?;
    let running = peer.start(plan.cores.proxy, endpoint.address(), work)?;
    let driven = std::thread::scope(|scope| scope.spawn(|| drive(plan, &running)).join());
    let driven = driven.map_err(|_| "the client's thread panicked")?;
    let Driven { run, total, proxy } = driven.map_err(|error| {
        let complaint = running.process.as_ref().map(Process::complaint).unwrap_or_default();
        format!("{error}\n{complaint}")
    })?;
    let requests = run.requests as f64;
    if run.requests == 0 {
        return Err("not one request was answered".into());
    }
    let proxy = match proxy {
        None => None,
        Some((cpu, meter)) => {
            let resident = meter.resident()? as f64;
            let lines = running.stop_and_count_lines()?;
            check_fairness(peer, &endpoint.last_head(), lines)?;
            Some(ProxySample {
                cpu_micros: cpu.as_secs_f64() * 1e6 / requests,
                busy_percent: cpu.as_secs_f64() * 100.0 / run.elapsed.as_secs_f64(),
                resident_mib: resident / f64::from(1 << 20),
                logged: lines as f64 / total as f64,
            })
        }
    };
    Ok(Sample {
        rate: requests / run.elapsed.as_secs_f64(),
        p50: percentile(&run.latencies, 0.5) as f64 / 1e3,
        p99: percentile(&run.latencies, 0.99) as f64 / 1e3,
        proxy,
    })
}

fn drive(plan: &Plan, running: &Running) -> Result<Driven> {
    pin_this_thread(Some(plan.cores.load))?;
    let mut load = Load::connect(running.address, plan.connections, plan.pace, BODY)?;
    let warmup = load.drive(plan.warmup)?.requests;
    // Found only now: a proxy starts its workers after it listens.
    let meter = running.process.as_ref().map(Process::meter).transpose()?;
    let before = meter.as_ref().map(Meter::cpu).transpose()?;
    let run = load.drive(plan.duration)?;
    let proxy = match (before, meter) {
        (Some(before), Some(meter)) => Some((meter.cpu()? - before, meter)),
        _ => None,
    };
    load.finish(PATIENCE)?;
    Ok(Driven { total: warmup + run.requests, run, proxy })
}

/// Fails when a peer saves work that the others do.
fn check_fairness(peer: &Peer, head: &str, lines: u64) -> Result<()> {
    if let Some(absent) = peer.kind.headers().iter().find(|header| !head.contains(*header)) {
        return Err(format!("unfair: it sends no {absent:?}, but {head:?}").into());
    }
    let logs = peer.kind == Kind::Outrigger { access_log: true };
    match (logs, lines > 0) {
        (true, false) => Err("unfair: it should write an access log, and does not".into()),
        (false, true) => Err("unfair: it writes to stdout, and should not".into()),
        _ => Ok(()),
    }
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

fn report(plan: &Plan, peers: &[Peer], samples: &[Vec<Sample>], command: &str) -> String {
    let base = peers.iter().position(|peer| peer.kind == Kind::Haproxy { all_headers: false });
    let base = base.map(|index| &samples[index]);
    let pace = match plan.pace {
        Pace::Closed => "closed loop".to_owned(),
        Pace::PerSecond(rate) => format!("open loop of {rate} requests/s"),
    };
    let mut text = format!(
        "## Proxies compared\n\n{}: {}. `{command}`\n\nHTTP/1.1 keep-alive, {} connections, {pace}, {}-byte \
         body, proxy on one core, client and endpoint on another; {} interleaved rounds of {:?} after {:?} \
         of warm-up. Median (least–greatest) over the rounds; × HAProxy is taken round by round.\n\n\
         | | CPU µs/request | × HAProxy | requests/s | p50 µs | p99 µs | RSS MiB | its core busy % |\n\
         |---|---|---|---|---|---|---|---|\n",
        machine::today(),
        machine::describe(),
        plan.connections,
        BODY.len(),
        plan.rounds,
        plan.duration,
        plan.warmup,
    );
    let mut notes = String::new();
    for (peer, rounds) in peers.iter().zip(samples) {
        let of = |figure: fn(&Sample) -> Option<f64>, digits: usize| {
            let spread = Spread::of(rounds.iter().filter_map(figure));
            spread.map_or("–".to_owned(), |spread| format!("{spread:.digits$}"))
        };
        let cpu: fn(&Sample) -> Option<f64> =
            |sample| sample.proxy.as_ref().map(|proxy| proxy.cpu_micros);
        let ratios = base.into_iter().flat_map(|base| rounds.iter().zip(base));
        let ratio = Spread::of(ratios.filter_map(|(own, base)| Some(cpu(own)? / cpu(base)?)));
        let is_base = base.is_some_and(|base| std::ptr::eq(base, rounds));
        let ratio = match ratio {
            Some(_) if is_base => "1".to_owned(),
            Some(spread) => format!("{spread:.2}"),
            None => "–".to_owned(),
        };
        let _ = writeln!(
            text,
            "| {} | {} | {ratio} | {} | {} | {} | {} | {} |",
            peer.label,
            of(cpu, 2),
            of(|sample| Some(sample.rate), 0),
            of(|sample| Some(sample.p50), 0),
            of(|sample| Some(sample.p99), 0),
            of(|sample| sample.proxy.as_ref().map(|proxy| proxy.resident_mib), 1),
            of(|sample| sample.proxy.as_ref().map(|proxy| proxy.busy_percent), 0),
        );
        if peer.kind == (Kind::Outrigger { access_log: true }) {
            let logged = of(|sample| sample.proxy.as_ref().map(|proxy| proxy.logged * 100.0), 0);
            let _ = write!(notes, "\n{}: lines per 100 requests {logged}.\n", peer.label);
        }
    }
    text + &notes
}
