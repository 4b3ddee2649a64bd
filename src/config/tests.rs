//! Valid files give the model that they say; every class of error and warning has a snapshot of its text, which a stranger must understand.

use super::{Expired, Loaded, Problems, Surroundings};
use crate::model::Model;
use std::path::Path;
use std::time::{Duration, SystemTime};

/// Reads a file in the surroundings of the tests: the files of `pki`, on the first of June 2026.
pub(super) fn load(
    source: &[u8],
    name: &str,
    variables: &dyn Fn(&str) -> Option<String>,
) -> Result<Loaded, Problems> {
    super::load(source, name, &Surroundings { variables, ..surroundings() })
}

fn surroundings() -> Surroundings<'static> {
    Surroundings {
        variables: &variables,
        files: &pki::read,
        folder: Path::new("/etc/outrigger"),
        now: SystemTime::UNIX_EPOCH + Duration::from_secs(1_780_272_000),
        running: None,
        expired: Expired::Refused,
    }
}

/// The model of a file, or the text of what is wrong with it.
fn read(text: &str) -> Result<Model, String> {
    let loaded = load(text.as_bytes(), "config.yaml", &variables);
    loaded.map(|loaded| loaded.model).map_err(|problems| problems.to_string())
}

/// Holds files to be refused as `snapshots/<class>.snap` says: each with the lines that matter and what is said about them.
#[track_caller]
fn refused(class: &str, files: &[&str]) {
    let said = |text: &str| read(text).expect_err(text);
    snapshot(class, files, said);
}

/// Holds files to be accepted with the warnings of `snapshots/<class>.snap`.
#[track_caller]
fn warned(class: &str, files: &[&str]) {
    let said = |text: &str| {
        let loaded = load(text.as_bytes(), "config.yaml", &variables);
        let loaded = loaded.unwrap_or_else(|problems| panic!("{text}\n{problems}"));
        assert!(!loaded.warnings.list().is_empty(), "no warning:\n{text}");
        loaded.warnings.to_string()
    };
    snapshot(class, files, said);
}

/// Compares what is said about files with a snapshot. A changed text fails; `cargo insta review`, or
/// `INSTA_UPDATE=always cargo test --lib config::`, takes it over once it is read.
#[track_caller]
fn snapshot(class: &str, files: &[&str], said: impl Fn(&str) -> String) {
    let mut cases = Vec::new();
    for file in files {
        let mut case = String::new();
        let lines = file.lines().zip(1..);
        let known = |line: &str| BASE.lines().chain(ROUTED.lines()).any(|known| known == line);
        for (line, number) in lines.filter(|(line, _)| !known(line)) {
            case.push_str(&format!("{number:>4} | {line}\n"));
        }
        case.push_str(&said(file));
        cases.push(case);
    }
    compare(class, &cases.join("\n\n"));
}

/// Compares `text` with `snapshots/<class>.snap`.
#[track_caller]
fn compare(class: &str, text: &str) {
    let mut settings = insta::Settings::clone_current();
    settings.set_snapshot_path("tests/snapshots");
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    settings.bind(|| insta::assert_snapshot!(class, text));
}

/// A valid file of four lines.
const BASE: &str = "\
listeners: [{ name: http, address: 127.0.0.1:8080 }]
backends:
  - name: demo
    endpoints: [http://localhost:8081]
";

/// A file with two backends and no route yet.
const ROUTED: &str = "\
listeners: [{ name: http, address: 127.0.0.1:8080 }, { name: inside, address: 127.0.0.1:8081 }]
backends:
  - { name: shop, endpoints: [http://localhost:9001] }
  - { name: blog, endpoints: [http://localhost:9002] }
routes:
";

/// A file with these routes.
fn routes(text: &str) -> String {
    format!("{ROUTED}{text}\n")
}

/// A file with one route to both backends, which says this, too.
fn route(line: &str) -> String {
    routes(&format!("  - {{ name: all, backends: [shop, blog], {line} }}"))
}

/// A file with one route and its only match.
fn matching(text: &str) -> String {
    route(&format!("matches: [{{ {text} }}]"))
}

/// A file with one route and its filters.
fn filters(text: &str) -> String {
    route(&format!("filters: [{text}]"))
}

/// A file whose only route answers by this filter.
fn answering(text: &str) -> String {
    routes(&format!("  - {{ name: all, filters: [{{ {text} }}] }}"))
}

/// A file whose fifth line is `line`.
fn top(line: &str) -> String {
    format!("{BASE}{line}\n")
}

/// A file whose fifth line is `line`, in the backend.
fn backend(line: &str) -> String {
    format!("{BASE}    {line}\n")
}

/// A file with `line` in the limits of its listener.
fn limits(line: &str) -> String {
    let address = "address: 127.0.0.1:8080";
    BASE.replace(address, &format!("{address}, limits: {{ {line} }}"))
}

/// A file whose listener has this address.
fn address(value: &str) -> String {
    BASE.replace("127.0.0.1:8080", value)
}

/// A file whose endpoint has this URL.
fn url(value: &str) -> String {
    BASE.replace("[http://localhost:8081]", &format!("\n      - {value}"))
}

mod addresses;
mod combinations;
mod documents;
mod environment;
mod filters;
mod hostile;
mod keys;
mod matches;
pub(super) mod pki;
mod routes;
mod routing;
mod service;
mod tls;
mod traces;
mod types;
mod valid;
mod values;
mod warnings;

#[test]
fn every_snapshot_belongs_to_a_test() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src/config/tests");
    let files = |folder: &std::path::Path, end: &str| {
        let paths = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
        let paths = paths.filter(|path| path.extension().is_some_and(|found| found == end));
        paths.collect::<Vec<_>>()
    };
    let tests = files(&folder, "rs").into_iter().map(|path| std::fs::read_to_string(path).unwrap());
    let tests: String = tests.collect();
    for snapshot in files(&folder.join("snapshots"), "snap") {
        let class = snapshot.file_stem().unwrap().to_str().unwrap();
        assert!(tests.contains(&format!("\"{class}\"")), "no test has the snapshot {class}");
    }
}

/// The environment of the tests.
fn variables(name: &str) -> Option<String> {
    match name {
        "SET" => Some("2".into()),
        "ZERO" => Some("0".into()),
        "EMPTY" => Some(String::new()),
        "SECRET" => Some("hunter2".into()),
        _ => None,
    }
}
