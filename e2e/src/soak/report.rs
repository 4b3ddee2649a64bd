//! What it came to: lines on the way, a table and a verdict at the end.

use super::Plan;
use super::gauges::{Gauges, trend};
use super::reloads::Edits;
use super::tally::{Kind, Tallies};
use crate::process::Ended;
use crate::status::Status;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// Everything that was seen.
#[derive(Debug)]
pub struct Report {
    pub(super) plan: Plan,
    pub(super) tallies: Arc<Tallies>,
    /// None if the edits came to no good end.
    pub(super) edits: Option<Edits>,
    /// The process before the load.
    pub(super) idle: Gauges,
    /// Under it.
    pub(super) samples: Vec<(Duration, Gauges)>,
    /// After it.
    pub(super) after: Gauges,
    pub(super) status: Status,
    pub(super) ended: Ended,
    /// What panicked.
    pub(super) wrong: Vec<String>,
}

/// A line on the way.
pub(super) fn line(at: Duration, tallies: &Tallies, gauges: &Gauges) -> String {
    let (requests, failures) = tallies.total();
    format!(
        "{:>5} s  {requests:>10} requests  {failures} failed  {:>6} KiB  {:>4} files  {:>4} tasks  {} threads  \
         {:>4} connections  generation {}",
        at.as_secs(),
        gauges.rss_kib,
        gauges.files,
        gauges.worker_tasks,
        gauges.threads,
        gauges.connections,
        gauges.generation
    )
}

impl Report {
    /// The memory's trend after the warm-up, in KiB: where it begins and where it ends.
    fn memory(&self) -> (f64, f64) {
        let all =
            self.after_warm_up().map(|(at, gauges)| (at.as_secs_f64(), gauges.rss_kib as f64));
        trend(&all.collect::<Vec<_>>())
    }

    /// How much the memory may grow, in KiB.
    fn bound(&self) -> f64 {
        self.memory().0 * self.plan.growth + self.plan.growth_kib
    }

    fn after_warm_up(&self) -> impl Iterator<Item = &(Duration, Gauges)> {
        self.samples.iter().filter(|(at, _)| *at >= self.plan.length / 3)
    }

    /// How many threads there were at least and at most after the warm-up.
    fn threads(&self) -> (u64, u64) {
        let threads = || self.after_warm_up().map(|(_, gauges)| gauges.threads);
        (threads().min().unwrap_or(0), threads().max().unwrap_or(0))
    }

    /// The most snapshots that were in memory at once.
    fn most_snapshots(&self) -> u64 {
        let by_edits = self.edits.map_or(0, |edits| edits.most_snapshots as u64);
        self.samples.iter().map(|(_, gauges)| gauges.snapshots).max().unwrap_or(0).max(by_edits)
    }

    /// All that is not as it must be; nothing if all is well.
    pub fn faults(&self) -> Vec<String> {
        let mut faults = self.wrong.clone();
        for (kind, _) in Kind::ALL {
            let tally = self.tallies.of(kind);
            match tally.counts() {
                (0, _) => faults.push(format!("{kind:?}: no request at all")),
                (_, 0) => {}
                (all, failed) => {
                    faults.push(format!("{kind:?}: {failed} of {all} failed: {:#?}", tally.told()));
                }
            }
        }
        let (first, last) = self.memory();
        if last - first > self.bound() {
            let bound = self.bound();
            faults.push(format!(
                "memory grows: {first:.0} KiB after the warm-up, {last:.0} at the end; {bound:.0} more are allowed"
            ));
        }
        faults.extend(self.after.left_over(&self.idle));
        let (least, most) = self.threads();
        if least != most {
            faults.push(format!("threads come and go: {least} to {most}"));
        }
        let (snapshots, allowed) = (self.most_snapshots(), self.idle.workers + 1);
        if snapshots > allowed {
            faults.push(format!("{snapshots} snapshots in memory at once, {allowed} are allowed"));
        }
        faults.extend(self.configuration());
        if !self.ended.status.success() {
            faults.push(format!("it ended with {}", self.ended.status));
        }
        let panics = self.ended.log.lines().filter(|line| line.contains("panicked"));
        faults.extend(panics.map(|line| format!("the log says: {line}")));
        faults
    }

    fn configuration(&self) -> Vec<String> {
        let mut faults = Vec::new();
        if !self.status.config_in_sync {
            faults.push("the configuration is not in sync at the end".to_owned());
        }
        let Some(edits) = self.edits else { return faults };
        let reloads = self.status.reloads;
        if (self.status.generation, reloads.accepted) != (edits.generation, edits.accepted) {
            faults.push(format!(
                "generation {} after {} accepted files, instead of {} after {}",
                self.status.generation, reloads.accepted, edits.generation, edits.accepted
            ));
        }
        faults
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{:<16}{:>12}{:>10}{:>12}", "traffic", "requests", "failed", "MiB")?;
        for (kind, _) in Kind::ALL {
            let tally = self.tallies.of(kind);
            let ((requests, failed), mib) = (tally.counts(), tally.bytes() >> 20);
            writeln!(f, "{:<16}{requests:>12}{failed:>10}{mib:>12}", format!("{kind:?}"))?;
        }
        let (requests, failed) = self.tallies.total();
        writeln!(f, "{:<16}{requests:>12}{failed:>10}", "all")?;
        if let Some(edits) = self.edits {
            writeln!(
                f,
                "reloads: {} accepted, {} refused, {} without a change; generation {}; at most {} snapshots",
                edits.accepted,
                edits.refused,
                edits.unchanged,
                self.status.generation,
                self.most_snapshots()
            )?;
        }
        let (first, last) = self.memory();
        writeln!(
            f,
            "memory: {} KiB idle, {first:.0} after the warm-up, {last:.0} at the end by its trend \
             ({:+.0}, allowed {:.0}), {} after the load",
            self.idle.rss_kib,
            last - first,
            self.bound(),
            self.after.rss_kib
        )?;
        let row = |f: &mut fmt::Formatter<'_>, what: &str, of: fn(&Gauges) -> u64| {
            let most = self.samples.iter().map(|(_, gauges)| of(gauges)).max().unwrap_or(0);
            writeln!(
                f,
                "{what}: {} idle, at most {most}, {} after the load",
                of(&self.idle),
                of(&self.after)
            )
        };
        row(f, "open files", |gauges| gauges.files)?;
        row(f, "tasks of workers", |gauges| gauges.worker_tasks)?;
        row(f, "tasks of the control runtime", |gauges| gauges.control_tasks)?;
        row(f, "client connections", |gauges| gauges.connections)?;
        row(f, "requests in flight", |gauges| gauges.in_flight)?;
        row(f, "threads", |gauges| gauges.threads)?;
        let faults = self.faults();
        for fault in &faults {
            writeln!(f, "WRONG: {fault}")?;
        }
        let (seed, verdict) =
            (self.plan.seed, if faults.is_empty() { "all is well" } else { "failed" });
        write!(f, "{verdict} (seed {seed}, {:.0?})", self.plan.length)
    }
}
