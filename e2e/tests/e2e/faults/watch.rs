//! Notifications that do not come, a folder that goes and comes back, and more edits than anybody makes.

use super::scene::{Scene, TOP};
use e2e::{Outrigger, Signal, eventually};
use std::path::Path;
use std::process::Command;
use std::time::Duration;
use tokio::time::Instant;

const POLICIES: &str = "timeouts: { connect: 2s },";

/// What files, reloads and the allocator's spare may take in all of these.
const MOST_KIB: u64 = 4 << 10;

/// Edit number `number` of the configuration `text`.
fn edited(text: &str, number: usize) -> String {
    let edited = text.replace("connect: 2s", &format!("connect: {}ms", 3000 + number));
    assert_ne!(edited, text);
    edited
}

fn text(outrigger: &Outrigger) -> String {
    std::fs::read_to_string(outrigger.config()).unwrap()
}

/// A process that may not ask for a single notification, as when others have used up what the system has of them.
#[tokio::test]
async fn without_notifications_an_edit_applies_within_seconds_and_the_log_says_so() {
    // The limit is that of a user namespace of its own, so that it is nobody else's.
    const NAMESPACE: [&str; 2] = ["--user", "--map-root-user"];
    const LIMIT: &str = "echo 0 >/proc/sys/user/max_inotify_instances";
    let possible = Command::new("unshare").args(NAMESPACE).args(["sh", "-c", LIMIT]).output();
    if !possible.as_ref().is_ok_and(|output| output.status.success()) {
        // Not a matter of tools: containers and some kernels forbid it.
        eprintln!("SKIPPED: no user namespace can be made here: {possible:?}");
        return;
    }
    let script =
        format!(r#"exec unshare {} sh -c '{LIMIT}; exec "$@"' sh "$@""#, NAMESPACE.join(" "));
    let mut scene = Scene::start_by(&script, TOP, POLICIES).await;
    scene.outrigger.logged("the system does not tell us of changes of files").await;
    let text = text(&scene.outrigger);
    for number in 0..2 {
        let begun = Instant::now();
        scene.outrigger.reload(&edited(&text, number)).await;
        println!("noticed after {:.1?}", begun.elapsed());
        scene.others_are_served().await;
    }
    scene.end(MOST_KIB).await.stop().await;
}

/// The system keeps 16,384 notifications for a process that does not take them, and loses the others. The one that matters is
/// among those.
#[tokio::test]
async fn an_edit_whose_notification_is_lost_applies_all_the_same() {
    let limit = std::fs::read_to_string("/proc/sys/fs/inotify/max_queued_events").unwrap();
    let limit: usize = limit.trim().parse().unwrap();
    let mut scene = Scene::start(TOP, POLICIES).await;
    let text = text(&scene.outrigger);
    let noise = scene.outrigger.directory().join("noise");
    scene.outrigger.signal(Signal::STOP);
    // Creation, opening, closing and removal are different notifications, which are not put together into one.
    for _ in 0..=limit / 2 {
        drop(std::fs::File::create(&noise).unwrap());
        std::fs::remove_file(&noise).unwrap();
    }
    scene.outrigger.write(&edited(&text, 0));
    scene.outrigger.signal(Signal::CONT);
    let applied = |status: &e2e::Status| status.generation == 2 && status.config_in_sync;
    scene.outrigger.until("the edit to apply", applied).await;
    scene.outrigger.logged("notifications of changes of files were lost").await;
    scene.others_are_served().await;
    // The next is noticed as ever.
    scene.outrigger.reload(&edited(&text, 1)).await;
    scene.end(MOST_KIB).await.stop().await;
}

#[tokio::test]
async fn a_folder_that_was_removed_and_made_again_is_followed_again() {
    let mut scene = Scene::start(TOP, POLICIES).await;
    let text = text(&scene.outrigger);
    let directory = scene.outrigger.directory().to_owned();
    for number in 0..2 {
        std::fs::remove_dir_all(&directory).unwrap();
        // What ran goes on running, and what is wrong is told.
        let status = scene
            .outrigger
            .until("the loss to be noticed", |status| status.refused.is_some())
            .await;
        assert!(!status.config_in_sync && status.ready, "{status:?}");
        assert_eq!(status.generation, 1 + 2 * number);
        scene.others_are_served().await;
        std::fs::create_dir(&directory).unwrap();
        scene.outrigger.reload(&edited(&text, 2 * number as usize)).await;
        // The watch is on the new folder.
        scene.outrigger.reload(&edited(&text, 2 * number as usize + 1)).await;
        scene.others_are_served().await;
    }
    scene.end(MOST_KIB).await.stop().await;
}

#[tokio::test]
async fn a_hundred_edits_a_second_fail_no_request_and_the_last_one_wins() {
    const EVERY: Duration = Duration::from_millis(10);
    const EDITS: usize = 400;
    let mut scene = Scene::start(TOP, POLICIES).await;
    let text = text(&scene.outrigger);
    let begun = Instant::now();
    for number in 0..EDITS {
        scene.outrigger.write(&edited(&text, number));
        scene.look();
        // The rate itself is the fault.
        tokio::time::sleep_until(begun + EVERY * number as u32).await;
    }
    let last = edited(&text, EDITS);
    scene.outrigger.write(&last);
    let hash = sha256(&scene.outrigger.config());
    let status = scene
        .outrigger
        .until("the last edit to run", |status| status.config_hash == hash && status.config_in_sync)
        .await;
    let took = begun.elapsed();
    println!(
        "{EDITS} edits in {took:.1?}, {} generations, {} snapshots",
        status.generation, status.live_snapshots
    );
    assert_eq!(status.reloads.refused, 0);
    scene.others_are_served().await;
    eventually("the old snapshots to go", async || {
        (scene.outrigger.status().await.live_snapshots == 1).then_some(())
    })
    .await;
    scene.end(MOST_KIB).await.stop().await;
}

fn sha256(path: &Path) -> String {
    let output = Command::new("sha256sum").arg(path).output().unwrap();
    String::from_utf8(output.stdout).unwrap().split(' ').next().unwrap().to_owned()
}
