//! How files come to be written, and what counts as written.

use crate::edit::{held, metric, serves};
use crate::scene::config;
use e2e::{Load, Outrigger, Signal, Status, in_time};
use std::fs;
use std::io::Write;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::time::Duration;
use testserver::Server;
use tokio::time::Instant;

fn runs(generation: u64, algorithm: &str) -> impl Fn(&Status) -> bool {
    move |status| {
        status.generation == generation
            && status.config_in_sync
            && status.backend("demo").algorithm == algorithm
    }
}

/// What kubelet does when a ConfigMap is mounted: a folder of its own for each version.
fn project(volume: &Path, version: &str, content: &str) {
    let folder = format!("..2026_11_24_{version}");
    fs::create_dir(volume.join(&folder)).unwrap();
    fs::write(volume.join(&folder).join("config.yaml"), content).unwrap();
    let old = fs::read_link(volume.join("..data"));
    symlink(&folder, volume.join("..data_tmp")).unwrap();
    fs::rename(volume.join("..data_tmp"), volume.join("..data")).unwrap();
    if let Ok(old) = old {
        fs::remove_dir_all(volume.join(old)).unwrap();
    } else {
        symlink("..data/config.yaml", volume.join("config.yaml")).unwrap();
    }
}

/// K1
#[tokio::test]
async fn a_swapped_config_map_takes_effect_each_time_without_a_failed_request() {
    let server = Server::builder().start().await.unwrap();
    let text = |algorithm| config(algorithm, &[server.url()], "");
    let volume = tempfile::tempdir().unwrap();
    project(volume.path(), "1", &text("RoundRobin"));
    let path = volume.path().join("config.yaml");
    let outrigger =
        Outrigger::try_launch_with(volume, |command| command.args(["run", "--config"]).arg(path))
            .await
            .unwrap();
    outrigger.until_ready().await;
    let load = Load::on(outrigger.address()).connections(4).start();
    let algorithms = ["LeastConnections", "PeakEwma", "Random", "RoundRobin"];
    for (generation, algorithm) in (2..).zip(algorithms) {
        project(outrigger.directory(), &generation.to_string(), &text(algorithm));
        outrigger.until(algorithm, runs(generation, algorithm)).await;
        load.wait_for_more(20).await;
    }
    load.stop().await.assert_all_ok();
    let status = outrigger.status().await;
    assert_eq!((status.reloads.accepted, status.reloads.refused), (4, 0));
    outrigger.stop().await;
}

/// The log tells what changed in words, and how much was kept.
#[tokio::test]
async fn a_rename_takes_effect_and_the_log_says_what_changed_and_what_was_kept() {
    let server = Server::builder().start().await.unwrap();
    let text = |algorithm| config(algorithm, &[server.url()], "");
    let outrigger = Outrigger::start(&text("LeastConnections")).await;
    let request = held(outrigger.address(), &server).await;
    let status = outrigger.reload(&text("LeastResponseTime")).await;
    assert!(runs(2, "LeastResponseTime")(&status), "{status:?}");
    outrigger
        .logged(
            "reload: generation 2: backend demo: algorithm LeastConnections → LeastResponseTime; \
             0 connections closed, 1 requests in flight kept",
        )
        .await;
    server.release();
    assert_eq!(in_time("the held request", request).await.unwrap().status, 200);
    let ended = outrigger.stop().await;
    assert_eq!(
        ended.access_log[0].generation, 1,
        "a request belongs to the snapshot it began with"
    );
}

#[tokio::test]
async fn a_file_written_in_place_takes_effect() {
    let server = Server::builder().start().await.unwrap();
    let outrigger = Outrigger::start(&config("RoundRobin", &[server.url()], "")).await;
    fs::write(outrigger.config(), config("Random", &[server.url()], "")).unwrap();
    outrigger.until("the write", runs(2, "Random")).await;
    outrigger.stop().await;
}

/// Half a file can be valid: here, the second endpoint comes later.
#[tokio::test]
async fn half_a_file_never_runs() {
    let server = Server::builder().start().await.unwrap();
    let text = config("RoundRobin", &[server.url()], "");
    let outrigger = Outrigger::start(&text).await;
    let mut expected = 1;
    // A machine under load may stretch the pause until the half counts as written; then the play is given again.
    for weight in 2..20 {
        let half = text.replace("RoundRobin", "Random");
        let rest = format!(
            "  - {{ name: more, endpoints: [{{ url: {}, weight: {weight} }}] }}\n",
            server.url()
        );
        let routed = half.replace("backends:", "backends: # half\n");
        let begun = Instant::now();
        let mut file = fs::File::create(outrigger.config()).unwrap();
        file.write_all(routed.as_bytes()).unwrap();
        // The pause is the subject: what comes after it belongs to the same write.
        std::thread::sleep(Duration::from_millis(15));
        file.write_all(rest.as_bytes()).unwrap();
        let torn = begun.elapsed();
        drop(file);
        let done = outrigger
            .until("the whole file to be judged", |status| {
                status.generation > expected || status.refused.is_some()
            })
            .await;
        if torn < Duration::from_millis(45) {
            // Two backends and no routes: the whole is refused, so a generation can only be the half.
            assert!(done.refused.is_some(), "the half runs: {done:?}");
            assert_eq!(done.generation, expected);
            outrigger.stop().await;
            return;
        }
        expected = done.generation;
        outrigger.write(&text);
        expected = outrigger
            .until("the first file", |status| status.config_in_sync)
            .await
            .generation
            .max(expected);
    }
    panic!("this machine is too slow to tear a file");
}

#[tokio::test]
async fn a_deleted_file_changes_nothing_and_its_return_is_noticed() {
    let server = Server::builder().start().await.unwrap();
    let text = config("RoundRobin", &[server.url()], "");
    let outrigger = Outrigger::start(&text).await;
    fs::remove_file(outrigger.config()).unwrap();
    let status = outrigger.until("the loss", |status| status.refused.is_some()).await;
    let told = status.refused.as_ref().unwrap().errors[0]["message"].as_str().unwrap();
    assert!(told.contains("config.yaml") && told.contains("does not exist"), "{told}");
    assert!(!status.config_in_sync && status.ready && status.generation == 1, "{status:?}");
    assert_eq!(metric(&outrigger, "outrigger_config_in_sync").await, "0");
    serves(outrigger.address()).await;

    outrigger.write(&text);
    let status = outrigger.until("its return", |status| status.config_in_sync).await;
    assert_eq!((status.generation, status.refused.is_none()), (1, true));

    fs::remove_file(outrigger.config()).unwrap();
    fs::write(outrigger.config(), config("Random", &[server.url()], "")).unwrap();
    outrigger.until("another file in its place", runs(2, "Random")).await;
    outrigger.stop().await;
}

#[tokio::test]
async fn a_comment_is_no_new_generation_but_another_hash_in_sync() {
    let server = Server::builder().start().await.unwrap();
    let text = config("RoundRobin", &[server.url()], "");
    let outrigger = Outrigger::start(&text).await;
    let before = outrigger.status().await;
    outrigger.write(&format!("# a comment\n{text}"));
    let after = outrigger.until("the new hash", |it| it.config_hash != before.config_hash).await;
    assert!(after.config_in_sync && after.generation == 1, "{after:?}");
    assert_eq!((after.reloads.accepted, after.reloads.unchanged), (0, 1));
    outrigger.logged("reload: generation 1 stays: the configuration says the same").await;
    outrigger.write(&text);
    outrigger.until("the old hash", |it| it.config_hash == before.config_hash).await;
    assert_eq!(metric(&outrigger, "outrigger_config_generation").await, "1");
    outrigger.stop().await;
}

#[tokio::test]
async fn a_hangup_looks_again_and_tells_so_even_if_nothing_changed() {
    let server = Server::builder().start().await.unwrap();
    let outrigger = Outrigger::start(&config("RoundRobin", &[server.url()], "")).await;
    let loaded = "outrigger_config_loaded_timestamp_seconds";
    let (since, stamp) = (outrigger.status().await.running_since, metric(&outrigger, loaded).await);
    outrigger.signal(Signal::HUP);
    let status = outrigger.until("the look", |status| status.reloads.unchanged == 1).await;
    assert!(status.config_in_sync && status.generation == 1, "{status:?}");
    // What runs has run all the time.
    assert_eq!((status.running_since, metric(&outrigger, loaded).await), (since.clone(), stamp));
    let status = outrigger.reload(&config("Random", &[server.url()], "")).await;
    assert!(status.running_since > since, "{} > {since}", status.running_since);
    outrigger.stop().await;
}

#[tokio::test]
async fn a_file_with_very_many_mistakes_is_told_with_their_number() {
    let server = Server::builder().start().await.unwrap();
    let text = config("RoundRobin", &[server.url()], "");
    let outrigger = Outrigger::start(&text).await;
    let wrong: String = (0..130).map(|number| format!("wrong{number}: 1\n")).collect();
    outrigger.write(&format!("{text}{wrong}"));
    let status = outrigger.until("the refusal", |status| status.refused.is_some()).await;
    let refused = status.refused.unwrap();
    assert_eq!((refused.errors.as_array().unwrap().len(), refused.more), (100, 30));
    outrigger.logged("and 30 more").await;
    outrigger.stop().await;
}

/// R5
#[tokio::test]
async fn a_broken_file_leaves_traffic_untouched_and_is_told_of_everywhere() {
    let server = Server::builder().start().await.unwrap();
    let text = config("RoundRobin", &[server.url()], "");
    let outrigger = Outrigger::start(&text).await;
    let good = outrigger.status().await;
    let load = Load::on(outrigger.address()).connections(2).start();

    let broken = text.replace("RoundRobin", "RoundRobbin").replace("endpoints:", "endpionts:");
    outrigger.write(&broken);
    let status = outrigger.until("the refusal", |status| status.refused.is_some()).await;
    assert_eq!((status.generation, &status.config_hash), (1, &good.config_hash));
    assert!(!status.config_in_sync && status.ready, "{status:?}");
    let refused = status.refused.unwrap();
    assert!(refused.hash.is_some_and(|hash| hash != good.config_hash));
    let errors = refused.errors.as_array().unwrap();
    let at = |path: &str| {
        let found = errors.iter().find(|error| error["path"] == path);
        let error = found.unwrap_or_else(|| panic!("nothing about {path} in {errors:#?}"));
        (error["line"].as_u64().unwrap(), error["column"].as_u64().unwrap())
    };
    assert_eq!(at("backends[0].algorithm"), (5, 16));
    assert_eq!(at("backends[0].endpionts"), (6, 5));
    let log = outrigger.logged("reload refused; generation 1 goes on serving").await;
    assert!(log.contains("ERROR"), "{log}");
    outrigger.logged("config.yaml:5:16: backends[0].algorithm").await;
    outrigger.logged("did you mean `RoundRobin`?").await;
    assert_eq!(metric(&outrigger, "outrigger_config_in_sync").await, "0");
    assert!(outrigger.is_ready().await);
    load.wait_for_more(20).await;

    let status = outrigger.reload(&text.replace("RoundRobin", "Random")).await;
    assert!(runs(2, "Random")(&status) && status.refused.is_none(), "{status:?}");
    assert_eq!(metric(&outrigger, "outrigger_config_in_sync").await, "1");
    load.stop().await.assert_all_ok();
    outrigger.stop().await;
}
