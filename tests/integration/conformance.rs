//! `docs/conformance.md` names tests; they have to exist, and all that were written for it have to be named.

use super::regressions::{held_by, root};
use std::collections::BTreeSet;
use std::fs;

/// A row of the page.
struct Row {
    section: String,
    does: String,
    /// Files, from the root of the repository, and the functions in them.
    held_by: Vec<(String, Vec<String>)>,
}

fn rows() -> Vec<Row> {
    let page = fs::read_to_string(root().join("docs/conformance.md")).unwrap();
    let lines = page.lines().filter(|line| line.starts_with('|'));
    let rows = lines.filter(|line| !line.starts_with("| section ") && !line.starts_with("|---"));
    rows.map(|line| {
        let cells: Vec<_> = line.split('|').map(str::trim).collect();
        assert_eq!(cells.len(), 7, "not five cells: {line}");
        let held_by = held_by(cells[5]).into_iter();
        Row {
            section: cells[1].to_owned(),
            does: cells[4].to_owned(),
            held_by: held_by.map(|(file, functions)| (place(&file), functions)).collect(),
        }
    })
    .collect()
}

fn place(file: &str) -> String {
    match file.split_once('/') {
        Some(("src", _)) => file.to_owned(),
        Some(("e2e", rest)) => format!("e2e/tests/e2e/{rest}"),
        Some(_) | None => format!("tests/integration/proxy/{file}"),
    }
}

/// The tests in a file.
fn tests_in(file: &str) -> BTreeSet<String> {
    let source =
        fs::read_to_string(root().join(file)).unwrap_or_else(|error| panic!("{file}: {error}"));
    let lines: Vec<_> = source.lines().map(str::trim).collect();
    let marked = lines.windows(2).filter(|pair| matches!(pair[0], "#[test]" | "#[tokio::test]"));
    let names = marked.filter_map(|pair| pair[1].split_once("fn ")?.1.split_once('('));
    names.map(|(name, _)| name.to_owned()).collect()
}

#[test]
fn every_requirement_is_held_by_tests_or_says_why_not() {
    let rows = rows();
    assert!(rows.len() > 150, "only {} rows were read", rows.len());
    for Row { section, does, held_by } in rows {
        let excused = does.contains("**Deviates**") || does.starts_with("Not applicable: ");
        assert!(excused || !held_by.is_empty(), "{section}: nothing holds {does:?}");
        for (file, functions) in held_by {
            assert!(!functions.is_empty(), "{section}: which tests of {file}?");
            let tests = tests_in(&file);
            for function in functions {
                assert!(tests.contains(&function), "{section}: {file} has no test {function}");
            }
        }
    }
}

#[test]
fn every_test_of_conformance_has_a_row() {
    let named: BTreeSet<_> =
        rows().into_iter().flat_map(|row| row.held_by).flat_map(|(_, f)| f).collect();
    let folder = "tests/integration/proxy/conformance";
    for entry in fs::read_dir(root().join(folder)).unwrap() {
        let file = entry.unwrap().file_name().into_string().unwrap();
        for test in tests_in(&format!("{folder}/{file}")) {
            assert!(named.contains(&test), "no row names {file} {test}");
        }
    }
}
