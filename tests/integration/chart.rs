//! Holds the Helm chart, and the manifests of the manual, to what they promise.

#[path = "chart/audit.rs"]
mod audit;
#[path = "chart/documents.rs"]
mod documents;
#[path = "chart/helm.rs"]
mod helm;
#[path = "chart/manifest.rs"]
mod manifest;
#[path = "chart/notes.rs"]
mod notes;
#[path = "chart/refusals.rs"]
mod refusals;
#[path = "chart/rendered.rs"]
mod rendered;
#[path = "chart/values.rs"]
mod values;

use std::path::{Path, PathBuf};

/// A file or folder of the repository.
fn path(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(name)
}

fn read(name: &str) -> String {
    let path = path(name);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Holds the file `name` to `content`; with the variable `update` in the environment it is written instead.
fn hold_in_step(name: &str, content: &str, update: &str) {
    if std::env::var_os(update).is_some() {
        return std::fs::write(path(name), content).unwrap();
    }
    let found = std::fs::read_to_string(path(name)).unwrap_or_default();
    let differing = found.lines().zip(content.lines()).position(|(found, new)| found != new);
    let line = differing.unwrap_or(found.lines().count().min(content.lines().count()));
    assert!(
        found == content,
        "{name} is not what the sources say, from line {} on:\n  {}\n  {}\nthis rewrites it: {update}=1 cargo test --test integration chart::",
        line + 1,
        found.lines().nth(line).unwrap_or_default(),
        content.lines().nth(line).unwrap_or_default()
    );
}

/// The names of the sets of values in the chart's `ci`.
fn cases() -> Vec<String> {
    let files = path("charts/outrigger/ci").read_dir().unwrap();
    let mut names: Vec<_> = files
        .map(|file| file.unwrap().file_name().into_string().unwrap())
        .map(|name| name.strip_suffix("-values.yaml").expect("*-values.yaml").to_owned())
        .collect();
    names.sort();
    assert!(names.len() >= 5, "{names:?}");
    names
}
