//! Outages of the cluster's control plane, where the cluster is ours.

use crate::kubectl::said;
use crate::repository;
use std::process::Command;
use tokio::task::spawn_blocking;

/// A part of the control plane that is stopped; it is started again at the end, also of a test that fails.
#[derive(Debug)]
pub struct Outage(Option<&'static str>);

/// Whether the cluster is the one of `node-cluster`, whose parts may be stopped.
pub fn is_own() -> bool {
    std::env::var_os("CLUSTER_OWN").is_some_and(|value| value == "1")
}

impl Outage {
    /// Kills `part`, such as `kube-apiserver`.
    ///
    /// # Panics
    /// It cannot be stopped.
    pub async fn of(part: &'static str) -> Self {
        let outage = Self(Some(part));
        run("stop", part).await;
        outage
    }

    /// Starts the part again, and waits until it serves.
    ///
    /// # Panics
    /// It does not.
    pub async fn end(mut self) {
        if let Some(part) = self.0.take() {
            run("start", part).await;
        }
    }
}

impl Drop for Outage {
    fn drop(&mut self) {
        if let Some(part) = self.0.take() {
            let _ = said(&mut node_cluster("start", part), None);
        }
    }
}

async fn run(what: &'static str, part: &'static str) {
    let ran = spawn_blocking(move || said(&mut node_cluster(what, part), None)).await;
    ran.expect("the thread ends").unwrap_or_else(|error| panic!("{what} {part}: {error}"));
}

fn node_cluster(what: &str, part: &str) -> Command {
    let mut command = Command::new(repository("e2e/cluster/node-cluster"));
    command.args([what, part]);
    command
}
