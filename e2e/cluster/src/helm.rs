//! Helm, and the chart as it is packed.

use crate::kubectl::said;
use crate::{images, repository};
use serde_json::{Value, json};
use std::path::PathBuf;
use std::process::Command;
use tempfile::TempDir;
use tokio::task::spawn_blocking;

/// The chart, packed by `helm package`, and values to install it with.
#[derive(Debug)]
pub struct Chart {
    folder: TempDir,
    archive: PathBuf,
}

/// What Helm says on standard output.
///
/// # Errors
/// All that it says, when it fails.
pub async fn helm(arguments: &[&str]) -> Result<String, String> {
    let arguments: Vec<_> = arguments.iter().map(|&argument| argument.to_owned()).collect();
    spawn_blocking(move || {
        let program = std::env::var("HELM").unwrap_or_else(|_| "helm".to_owned());
        said(Command::new(program).args(arguments), None)
    })
    .await
    .expect("the thread ends")
}

impl Chart {
    /// Packs it.
    ///
    /// # Panics
    /// Helm does not.
    pub async fn pack() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let (from, to) = (repository("charts/outrigger"), folder.path().display().to_string());
        let packed = helm(&["package", &from.display().to_string(), "--destination", &to]).await;
        let said = packed.unwrap_or_else(|error| panic!("helm package: {error}"));
        let archive = said.trim().rsplit(": ").next().map(PathBuf::from).expect("a path");
        assert!(archive.is_file(), "{said}");
        Self { folder, archive }
    }

    /// Runs `helm COMMAND NAME ARCHIVE` in `namespace` with these values besides those for the tests' images.
    ///
    /// # Errors
    /// All that Helm says, when it fails.
    pub async fn run(
        &self,
        command: &[&str],
        namespace: &str,
        values: &Value,
    ) -> Result<String, String> {
        let values = merged(images_as_values(), values.clone());
        let file = self.folder.path().join("values.json");
        std::fs::write(&file, values.to_string()).expect("a file");
        let (archive, file) = (self.archive.display().to_string(), file.display().to_string());
        let common = ["-n", namespace, "--values", &file, "--timeout", "120s"];
        helm(&[command, &[archive.as_str()], &common].concat()).await
    }

    /// Installs it as `edge`, and waits until its pods are ready.
    ///
    /// # Panics
    /// It fails.
    pub async fn install(&self, namespace: &str, values: &Value) -> String {
        let installed = self.run(&["install", "--wait", "edge"], namespace, values).await;
        installed.unwrap_or_else(|error| panic!("helm install: {error}"))
    }

    /// Gives the release `edge` other values, and waits until its pods are ready.
    ///
    /// # Panics
    /// It fails.
    pub async fn upgrade(&self, namespace: &str, values: &Value) -> String {
        let upgraded = self.run(&["upgrade", "--wait", "edge"], namespace, values).await;
        upgraded.unwrap_or_else(|error| panic!("helm upgrade: {error}"))
    }
}

fn images_as_values() -> Value {
    let (repository, tag) = images().outrigger.rsplit_once(':').expect("an image has a tag");
    json!({
        "image": { "repository": repository, "tag": tag },
        "test": { "image": images().busybox },
        // Pods of tests come and go quickly.
        "topologySpreadConstraints": [],
    })
}

/// `base` with what `over` says instead, or besides.
fn merged(base: Value, over: Value) -> Value {
    match (base, over) {
        (Value::Object(mut base), Value::Object(over)) => {
            for (key, value) in over {
                let old = base.remove(&key).unwrap_or(Value::Null);
                base.insert(key, merged(old, value));
            }
            Value::Object(base)
        }
        (_, over) => over,
    }
}
