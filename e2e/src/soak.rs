//! A soak: the real process for a long time under mixed traffic, while its configuration is edited without end and
//! endpoints and clients misbehave. In the end nothing may have failed that was not meant to, and nothing have grown.

mod clients;
mod faults;
mod gauges;
mod reloads;
mod report;
mod scene;
mod tally;
mod traffic;
mod wire;

pub use report::Report;

use crate::process::Outrigger;
use clients::Clients;
use gauges::Gauges;
use scene::Scene;
use std::sync::Arc;
use std::time::Duration;
use tally::Tallies;
use tokio::task::JoinHandle;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep};

/// How long what is left of the load may take to be gone: idle connections to endpoints stay for 4 s or so.
const SETTLE: Duration = Duration::from_secs(30);

/// What to run, and what counts as flat.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    /// How long the load lasts.
    pub length: Duration,
    /// What all choices are drawn from; the machine's timing stays its own.
    pub seed: u64,
    /// How often a line is printed.
    pub every: Duration,
    /// How much the resident memory may grow between the end of the first third, which is warm-up, and the end of the
    /// load, by its linear trend: this part of what it was, 1 being all,
    pub growth: f64,
    /// and so many KiB.
    pub growth_kib: f64,
}

impl Plan {
    /// A plan of this length, with the bounds of a release build: 5 % and 2 MiB.
    pub fn new(length: Duration, seed: u64) -> Self {
        Self { length, seed, every: Duration::from_secs(10), growth: 0.05, growth_kib: 2048.0 }
    }
}

/// Runs it; prints a line now and then through `say`.
///
/// # Panics
/// The process does not start, or ends on the way.
pub async fn run(plan: Plan, mut say: impl FnMut(&str)) -> Report {
    let scene = Arc::new(Scene::start(plan).await);
    let idle = Gauges::least(&scene.outrigger).await;
    let tallies = Arc::new(Tallies::default());
    let clients = Clients::start(&scene, &tallies);
    let editing = tokio::spawn(reloads::edit(Arc::clone(&scene)));
    let faults = tokio::spawn(faults::restart(Arc::clone(&scene)));

    let started = Instant::now();
    let mut samples = Vec::new();
    // A soak of half an hour takes a sample each second.
    let mut tick = interval((plan.length / 100).min(Duration::from_secs(1)));
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut next_line = plan.every;
    while started.elapsed() < plan.length {
        tick.tick().await;
        let gauges = Gauges::take(&scene.outrigger).await;
        let at = started.elapsed();
        if at >= next_line {
            next_line += plan.every;
            say(&report::line(at, &tallies, &gauges));
        }
        samples.push((at, gauges));
    }
    scene.stop();
    let mut wrong = clients.join().await;
    wrong.extend(joined("the faults", faults).await.err());
    let edits = joined("the reloads", editing).await.map_err(|error| wrong.push(error)).ok();
    let after = settled(&scene.outrigger, &idle).await;
    let status = scene.outrigger.status().await;
    let scene = Arc::try_unwrap(scene).expect("all tasks have ended");
    let ended = scene.end().await;
    Report { plan, tallies, edits, idle, samples, after, status, ended, wrong }
}

/// The numbers once they are back to those of the idle process, or after [`SETTLE`].
async fn settled(outrigger: &Outrigger, idle: &Gauges) -> Gauges {
    let since = Instant::now();
    loop {
        let now = Gauges::take(outrigger).await;
        if now.left_over(idle).is_empty() || since.elapsed() > SETTLE {
            return now;
        }
        sleep(Duration::from_millis(50)).await;
    }
}

async fn joined<T>(what: &str, task: JoinHandle<T>) -> Result<T, String> {
    task.await.map_err(|error| {
        let said = error.try_into_panic().ok().map(|panic| {
            let text = panic.downcast_ref::<String>().cloned();
            text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()))
        });
        format!("{what}: {}", said.flatten().unwrap_or_else(|| "panicked".to_owned()))
    })
}
