//! The wall clock jumps while requests, timeouts and reloads go on: only the stamps of the log may follow it.

use super::scene::{Scene, TOP, each};
use e2e::eventually;
use std::process::Command;
use tokio::time::Instant;

/// What reloads and the allocator's spare may take.
const MOST_KIB: u64 = 8 << 10;

/// Says how to run a program whose wall clock follows the time of a file: seconds since 1970, or an offset with a sign. `None`
/// when libfaketime is missing.
fn faketime() -> Option<String> {
    let output =
        Command::new("faketime").args(["-f", "+0", "sh", "-c", "echo \"$LD_PRELOAD\""]).output();
    let library =
        output.ok().map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned());
    let library = library.filter(|library| library.contains("libfaketime"));
    if library.is_none() {
        assert!(
            std::env::var_os("REQUIRE_TOOLS").is_none_or(|value| value != "1"),
            "faketime (Debian: faketime) is wanted"
        );
        eprintln!("SKIPPED: the clock cannot be stepped without faketime (Debian: faketime)");
    }
    library
}

#[tokio::test]
async fn a_stepped_clock_moves_the_stamps_of_the_log_and_nothing_else() {
    let Some(library) = faketime() else { return };
    let directory = tempfile::tempdir().unwrap();
    let offset = directory.path().join("offset");
    let step = |to: &str| {
        // Put in place whole: it may be read at any time.
        let beside = directory.path().join("new");
        std::fs::write(&beside, to).unwrap();
        std::fs::rename(&beside, &offset).unwrap();
    };
    step("+0");
    // What is measured by the monotonic clock stays as it is: that is what stepping the clock means.
    let script = format!(
        r#"export LD_PRELOAD='{library}' FAKETIME_TIMESTAMP_FILE="{}" FAKETIME_NO_CACHE=1 FAKETIME_DONT_FAKE_MONOTONIC=1
        exec "$@""#,
        offset.display()
    );
    let mut scene = Scene::start_by(&script, TOP, "timeouts: { connect: 2s, request: 2s },").await;
    let text = std::fs::read_to_string(scene.outrigger.config()).unwrap();
    let year_of = async |year: &str, scene: &Scene| {
        let stamp = format!("\"time\":\"{year}");
        eventually("a stamp of that year", async || {
            let lines = scene.outrigger.access_log().all();
            lines.last().is_some_and(|line| line.text.contains(&stamp)).then_some(())
        })
        .await;
    };
    let this_year: i64 =
        1970 + std::time::UNIX_EPOCH.elapsed().unwrap().as_secs() as i64 / 31_556_952;
    for (round, years) in [10_i64, -10, 0].into_iter().enumerate() {
        // Held over the step: neither ended by it nor kept beyond their time.
        let begun = Instant::now();
        let held = scene.ask_all(["/hold"; 10]);
        let delayed = scene.ask_all(["/health?delay=500ms"; 10]);
        scene.faulty.wait_until(|counts| counts.in_flight >= 20).await;
        step(&format!("{:+}", years * 31_556_952));
        scene.others_are_served().await;
        year_of(&(this_year + years).to_string(), &scene).await;
        each(delayed, |answer| matches!(answer, Ok(answer) if answer.status == 200)).await;
        each(held, |answer| matches!(answer, Ok(answer) if answer.status == 504)).await;
        let took = begun.elapsed().as_secs_f64();
        assert!(took >= 2.0, "{took} s of a timeout of 2 s");
        // An edit is noticed, whatever the times of files say.
        let edited = text.replace("connect: 2s", &format!("connect: {}s", 3 + round));
        assert_ne!(edited, text);
        scene.outrigger.reload(&edited).await;
    }
    scene.end(MOST_KIB).await.stop().await;
}
