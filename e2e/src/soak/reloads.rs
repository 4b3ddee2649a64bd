//! Edits of the configuration, every few hundred milliseconds, written as editors and scripts do.

use super::scene::{Scene, Shape};
use crate::process::Signal;
use crate::status::Status;
use crate::wait::PATIENCE;
use fastrand::Rng;
use std::fs;
use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;
use tokio::time::{Instant, sleep};

const ALGORITHMS: [&str; 8] = [
    "RoundRobin",
    "Random",
    "LeastConnections",
    "LeastResponseTime",
    "PowerOfTwoChoices",
    "PeakEwma",
    "SourceIpHash",
    "{ name: ConsistentHash, key: Path, table: Ring }",
];

/// Kinds of edits: a wrong file, a comment, a signal, and changes.
const KINDS: u32 = 12;

/// What was edited.
#[derive(Clone, Copy, Debug, Default)]
pub struct Edits {
    /// The generation that must run after them.
    pub generation: u64,
    /// Files that said something new.
    pub accepted: u64,
    /// Files that were wrong.
    pub refused: u64,
    /// Files that said the same in other words, and signals.
    pub unchanged: u64,
    /// The most snapshots seen at once.
    pub most_snapshots: usize,
}

/// Edits until all come to an end, then goes back to the first shape.
pub async fn edit(scene: Arc<Scene>) -> Edits {
    let mut rng = Rng::with_seed(scene.plan.seed);
    let mut edits = Edits { generation: 1, ..Edits::default() };
    let mut shape = Shape::FIRST;
    let mut comments = 0;
    // One of each kind first, so that a short soak has them, too.
    let mut kinds = 0..KINDS;
    while !scene.is_stopping() {
        sleep(Duration::from_millis(rng.u64(50..500))).await;
        match kinds.next().unwrap_or_else(|| rng.u32(0..KINDS)) {
            0 => refuse(&scene, &mut rng, &shape, &mut edits).await,
            1 => {
                comments += 1;
                let text = shape.yaml(&scene.addresses());
                let before = scene.outrigger.status().await;
                write(&scene, &mut rng, &format!("# {comments}\n{text}")).await;
                keep(&scene, before.reloads.unchanged, &mut edits).await;
            }
            2 => {
                let before = scene.outrigger.status().await;
                scene.outrigger.signal(Signal::HUP);
                keep(&scene, before.reloads.unchanged, &mut edits).await;
            }
            _ => {
                change(&mut shape, &mut rng);
                accept(&scene, &mut rng, &shape, &mut edits).await;
            }
        }
    }
    // Another marker, so that it is a change.
    let last = Shape { marker: shape.marker + 1, port: shape.port, ..Shape::FIRST };
    accept(&scene, &mut rng, &last, &mut edits).await;
    edits
}

/// Another shape, which always says something new.
fn change(shape: &mut Shape, rng: &mut Rng) {
    shape.marker += 1;
    match rng.u32(0..9) {
        0 | 1 => shape.algorithm = rng.choice(ALGORITHMS).expect("there are some"),
        2 | 3 => {
            let there = &mut shape.extra[rng.usize(0..2)];
            *there = !*there;
        }
        4 => shape.weights = std::array::from_fn(|_| rng.u32(1..10)),
        5 => shape.split = rng.u32(10..90),
        6 => shape.port = 1 - shape.port,
        7 => shape.passing_listener = !shape.passing_listener,
        _ => {
            shape.passing_route = !shape.passing_route;
            shape.idle_seconds = rng.u64(60..90);
            shape.attempts = rng.u32(1..5);
        }
    }
}

async fn accept(scene: &Scene, rng: &mut Rng, shape: &Shape, edits: &mut Edits) {
    let moves = scene.moves.load(Relaxed);
    let moved = moves / 2 % 2 != shape.port as u64;
    if moved {
        scene.moves.store(moves + 1, Relaxed);
    }
    edits.accepted += 1;
    edits.generation += 1;
    write(scene, rng, &shape.yaml(&scene.addresses())).await;
    let generation = edits.generation;
    let most = &mut edits.most_snapshots;
    until(scene, &format!("generation {generation}"), |status| {
        *most = (*most).max(status.live_snapshots);
        assert!(status.generation <= generation, "{generation} is expected: {status:?}");
        status.generation == generation && status.config_in_sync
    })
    .await;
    if moved {
        scene.moves.store(moves + 2, Relaxed);
    }
}

/// A file that is wrong, and after it the one before, which is no new generation.
async fn refuse(scene: &Scene, rng: &mut Rng, shape: &Shape, edits: &mut Edits) {
    let right = shape.yaml(&scene.addresses());
    let wrong = match rng.u32(0..4) {
        0 => format!("{right}unknown: 1\n"),
        1 => format!("{right}  - {{ name: ["),
        2 => right.replace("name: side, weight", "name: nobody, weight"),
        _ => "\u{0}\u{1}garbage: [".to_owned(),
    };
    let before = scene.outrigger.status().await;
    edits.refused += 1;
    write(scene, rng, &wrong).await;
    let refused = before.reloads.refused + 1;
    let seen = until(scene, "the refusal", |status| status.reloads.refused >= refused).await;
    assert!(!seen.config_in_sync && seen.generation == edits.generation, "{seen:?}");
    write(scene, rng, &right).await;
    keep(scene, before.reloads.unchanged, edits).await;
}

async fn keep(scene: &Scene, before: u64, edits: &mut Edits) {
    edits.unchanged += 1;
    let kept = until(scene, "a generation that stays", |status| {
        status.reloads.unchanged > before && status.config_in_sync
    })
    .await;
    assert_eq!(kept.generation, edits.generation, "{kept:?}");
}

/// Waits until `/status` is as `wanted`. (A task's future must not borrow as [`Outrigger::until`]'s does.)
///
/// [`Outrigger::until`]: crate::Outrigger::until
async fn until(scene: &Scene, what: &str, mut wanted: impl FnMut(&Status) -> bool) -> Status {
    let since = Instant::now();
    loop {
        let status = scene.outrigger.status().await;
        if wanted(&status) {
            return status;
        }
        assert!(since.elapsed() < PATIENCE, "waited {PATIENCE:?} for {what}: {status:?}");
        sleep(Duration::from_millis(5)).await;
    }
}

/// Puts a file in place by renaming it, by writing it over the old one, or by the latter with a pause in the middle.
async fn write(scene: &Scene, rng: &mut Rng, text: &str) {
    match rng.u32(0..3) {
        0 => scene.outrigger.write(text),
        1 => fs::write(scene.outrigger.config(), text).expect("the file is ours"),
        _ => {
            // Where a long pause makes it count, half a file must say nothing new: without its backends it is wrong.
            let most = text.find("\nbackends:\n").unwrap_or(text.len());
            let (one, two) = text.as_bytes().split_at(rng.usize(0..most));
            let mut file = fs::File::create(scene.outrigger.config()).expect("the file is ours");
            file.write_all(one).expect("the file is ours");
            sleep(Duration::from_millis(rng.u64(0..10))).await;
            file.write_all(two).expect("the file is ours");
        }
    }
}
