//! The section of one scenario: what was measured, and Outrigger's ratio to every peer with a verdict.

use super::{Plan, ProxySample, Sample};
use crate::compare::scenario::{Field, Scenario};
use crate::load::Pace;
use crate::machine;
use crate::peer::{Peer, Program};
use crate::stats::{Kept, Spread, Verdict};
use std::fmt::Write;

pub(super) fn report(
    plan: &Plan,
    scenario: &Scenario,
    rows: &[Peer],
    samples: &[Vec<Sample>],
    command: &str,
) -> String {
    let pace = match plan.pace {
        Pace::Closed => String::new(),
        Pace::PerSecond(rate) => format!(" Open loop of {rate} requests/s."),
    };
    let syscalls = match &plan.counter {
        Some(counter) => format!(" Syscalls by `{}`, in a stretch of their own.", counter.name()),
        None => String::new(),
    };
    let mut text = format!(
        "## {}\n\n{}: {}. `{command}`\n\n{}.{pace} {} interleaved rounds of {:?} after {:?} of warm-up.{syscalls} Median \
         (least–greatest) over the rounds.\n\n\
         | | CPU µs/request | syscalls/request | requests/s | p50 µs | p99 µs | RSS MiB | its core busy % | the client's % |\n\
         |---|---|---|---|---|---|---|---|---|\n",
        scenario.title,
        machine::today(),
        machine::describe(),
        scenario.what,
        plan.rounds,
        plan.duration,
        plan.warmup,
    );
    let mut notes = String::new();
    for (peer, rounds) in rows.iter().zip(samples) {
        let of = |figure: fn(&Sample) -> Option<f64>, digits: usize| {
            let spread = Spread::of(rounds.iter().filter_map(figure));
            spread.map_or("–".to_owned(), |spread| format!("{spread:.digits$}"))
        };
        let _ = writeln!(
            text,
            "| {} | {} | {} | {} | {} | {} | {} | {} | {} |",
            peer.label,
            of(cpu, 2),
            of(|sample| sample.proxy.as_ref()?.syscalls, 2),
            of(|sample| Some(sample.rate), 0),
            of(|sample| Some(sample.p50), 0),
            of(|sample| Some(sample.p99), 0),
            of(|sample| sample.proxy.as_ref().map(|proxy| proxy.resident_mib), 1),
            of(|sample| sample.proxy.as_ref().map(|proxy| proxy.busy_percent), 0),
            of(|sample| Some(sample.load_busy_percent), 0),
        );
        note(&mut notes, peer, rounds);
    }
    let _ = write!(text, "{notes}\n{}", ratios(scenario, rows, samples));
    text
}

fn cpu(sample: &Sample) -> Option<f64> {
    sample.proxy.as_ref().map(|proxy| proxy.cpu_micros)
}

/// What there is to say about a row besides its figures.
fn note(notes: &mut String, peer: &Peer, rounds: &[Sample]) {
    let proxies = || rounds.iter().filter_map(|sample| sample.proxy.as_ref());
    if peer.options.access_log
        && let Some(logged) = Spread::of(proxies().map(|proxy| proxy.logged * 100.0))
    {
        let _ = write!(notes, "\n{}: lines per 100 requests {logged:.0}.\n", peer.label);
    }
    if peer.options.traces.is_some_and(|percent| percent > 0)
        && let Some(spans) = Spread::of(proxies().map(|proxy| proxy.spans))
    {
        let _ = write!(notes, "\n{}: spans per request {spans:.2}.\n", peer.label);
    }
    if peer.options.post_quantum
        && let Some(group) = rounds.iter().find_map(|sample| sample.group.as_ref())
    {
        let _ = write!(notes, "\n{}: agreed on {group}.\n", peer.label);
    }
    if peer.options.reloads.is_some() {
        let sum = |figure: fn(&Sample) -> u64| rounds.iter().map(figure).sum::<u64>();
        let reloads: u64 = proxies().map(|proxy: &ProxySample| proxy.disturbed).sum();
        let _ = write!(
            notes,
            "\n{}: {reloads} reloads, {} connections closed in order, {} requests failed.\n",
            peer.label,
            sum(|sample| sample.closed),
            sum(|sample| sample.failed)
        );
    }
}

/// Every pair that is worth a verdict, round by round.
fn ratios(scenario: &Scenario, rows: &[Peer], samples: &[Vec<Sample>]) -> String {
    let ratio = |own: usize, other: usize| {
        let pairs = samples[own].iter().zip(&samples[other]);
        Spread::trimmed(pairs.filter_map(|(own, other)| Some(cpu(own)? / cpu(other)?)))
    };
    let again = rows.iter().position(|peer| peer.again);
    let twin = again.and_then(|again| {
        rows.iter().position(|peer| {
            let twin = &rows[again];
            !peer.again
                && peer.program == twin.program
                && peer.options == twin.options
                && peer.file == twin.file
        })
    });
    let noise = again.zip(twin).and_then(|(again, twin)| ratio(again, twin));
    let Some(noise) = noise else { return String::new() };
    let limited = !scenario.limits.is_empty() || scenario.field == Field::Traces;
    let mut text = format!(
        "CPU time per request, round by round: median (spread without the outermost eighth on both sides). The A/A pair: \
         {noise:.2}.\n\n| | to | ratio | verdict |{}\n|---|---|---|---|{}\n",
        if limited { " limit |" } else { "" },
        if limited { "---|" } else { "" },
    );
    for (own, peer) in rows.iter().enumerate() {
        for (other, base) in rows.iter().enumerate() {
            if worth(scenario.field, (own, peer), (other, base))
                && let Some(ratio) = ratio(own, other)
            {
                let verdict = Verdict::of(&ratio, &noise);
                let _ =
                    write!(text, "| {} | {} | {ratio:.2} | {verdict} |", peer.label, base.label);
                if limited {
                    let _ = write!(text, " {} |", limit(scenario, peer, base, &ratio));
                }
                text.push('\n');
            }
        }
    }
    text
}

/// How much CPU time per request there may be with traces, compared to none: of no request, and of every request.
const TRACES_UNSAMPLED: f64 = 1.03;
const TRACES_SAMPLED: f64 = 1.6;

/// How Outrigger's ratio to a peer stands to what it may be.
fn limit(scenario: &Scenario, own: &Peer, base: &Peer, ratio: &Spread) -> String {
    let peers = || scenario.limits.iter().find(|(program, _)| *program == base.program);
    let limit = match own.options.traces {
        Some(0) => Some(TRACES_UNSAMPLED),
        Some(_) => Some(TRACES_SAMPLED),
        None => peers().map(|(_, limit)| *limit),
    };
    match limit.filter(|_| own.program == Program::Outrigger) {
        Some(limit) => format!("{limit:.2}: {}", Kept::of(ratio, limit)),
        None => "–".into(),
    }
}

/// Whether the first should be compared with the second.
fn worth(field: Field, (own, peer): (usize, &Peer), (other, base): (usize, &Peer)) -> bool {
    if own == other || peer.again || base.again || base.program == Program::Direct {
        return false;
    }
    let same_file = peer.file == base.file;
    let ours = peer.program == Program::Outrigger;
    match field {
        // To every peer, and of two Outriggers the later one to the one before.
        Field::Everyone | Field::WithHeaders => {
            ours && (base.program != Program::Outrigger || other < own)
        }
        // To itself without, and to others with the same.
        Field::AccessLog | Field::Metrics | Field::Reloads | Field::PostQuantum | Field::Traces => {
            let first = same_file && other < own && is_plain(base);
            first || (ours && base.program != Program::Outrigger && peer.options == base.options)
        }
    }
}

/// Whether this row is the one without what the scenario adds.
fn is_plain(peer: &Peer) -> bool {
    let options = peer.options;
    !options.access_log
        && !options.metrics
        && !options.post_quantum
        && options.traces.is_none()
        && options.reloads.unwrap_or(0) == 0
}
