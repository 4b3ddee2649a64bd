//! `docs/regressions.md` and `docs/faults.md` name tests; they have to exist, and those of the former to bear the row's id.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

/// A row of the page: its id, and the files and functions that hold it.
struct Row {
    id: String,
    held_by: Vec<(String, Vec<String>)>,
}

fn rows() -> Vec<Row> {
    let page = fs::read_to_string(root().join("docs/regressions.md")).unwrap();
    let cells = |line: &str| line.split('|').map(|cell| cell.trim().to_owned()).collect::<Vec<_>>();
    let is_id = |word: &str| {
        word.len() == 2
            && word.starts_with(|c: char| c.is_ascii_uppercase())
            && word.ends_with(|c: char| c.is_ascii_digit())
    };
    page.lines()
        .map(cells)
        .filter(|cells| cells.len() == 6 && is_id(&cells[1]))
        .map(|cells| Row { id: cells[1].clone(), held_by: held_by(&cells[4]) })
        .collect()
}

/// Files in backticks, each followed by functions in backticks.
pub fn held_by(cell: &str) -> Vec<(String, Vec<String>)> {
    let mut files: Vec<(String, Vec<String>)> = Vec::new();
    for word in cell.split('`').skip(1).step_by(2) {
        match files.last_mut() {
            _ if word.ends_with(".rs") => files.push((word.to_owned(), Vec::new())),
            Some((_, functions)) => functions.push(word.to_owned()),
            None => panic!("`{word}` stands before any file"),
        }
    }
    files
}

pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Whether `text` has `id` as a word.
fn mentions(text: &str, id: &str) -> bool {
    text.split(|c: char| !c.is_ascii_alphanumeric()).any(|word| word == id)
}

/// The comment right above `function`, or the one at the head of the file.
fn comments<'a>(source: &'a str, function: &str) -> Vec<&'a str> {
    let lines: Vec<_> = source.lines().collect();
    let at = lines.iter().position(|line| line.contains(&format!("fn {function}(")));
    let at = at.unwrap_or_else(|| panic!("there is no function {function}"));
    let above = lines[..at].iter().rev();
    let above = above.take_while(|line| line.trim_start().starts_with(['/', '#']));
    above.chain(lines.iter().take_while(|line| line.starts_with("//!"))).copied().collect()
}

#[test]
fn every_row_is_held_by_tests_that_bear_its_id() {
    for Row { id, held_by } in rows() {
        for (file, functions) in held_by {
            let source = fs::read_to_string(root().join(&file))
                .unwrap_or_else(|error| panic!("{id}: {file}: {error}"));
            let comment = |line: &&str| line.trim_start().starts_with("//");
            assert!(
                source.lines().filter(comment).any(|line| mentions(line, &id)),
                "no comment of {file} bears {id}"
            );
            for function in functions {
                assert!(
                    comments(&source, &function).iter().any(|line| mentions(line, &id)),
                    "{file}: {function} does not bear {id}"
                );
            }
        }
    }
}

#[test]
fn every_row_has_one_place_and_the_rows_whose_features_exist_are_held() {
    let rows = rows();
    let ids: BTreeSet<_> = rows.iter().map(|row| &*row.id).collect();
    assert_eq!(ids.len(), rows.len(), "an id stands twice");
    let owed = [
        "R1 R2 R3 R4 R5 R6 R7 R8",
        "B1 B2 B3 B4 B5 B6 B7 B8 B9",
        "H1 H2 H3 H4 T1 T2 T3 S1 S2 S3 S4 K1 K2 K4 O1 O2 O3 O4",
    ];
    for id in owed.iter().flat_map(|ids| ids.split(' ')) {
        let row = rows.iter().find(|row| row.id == id).unwrap_or_else(|| panic!("{id} is missing"));
        assert!(!row.held_by.is_empty(), "{id} is held by nothing");
    }
}

#[test]
fn every_fault_is_held_by_a_test_and_every_test_of_a_fault_is_on_the_page() {
    let folder = root().join("e2e/tests/e2e/faults");
    let page = fs::read_to_string(root().join("docs/faults.md")).unwrap();
    let rows = page.lines().filter(|line| line.starts_with("| ") && line.contains(".rs`"));
    let mut named = BTreeSet::new();
    for row in rows {
        let cells: Vec<_> = row.trim_matches('|').split('|').map(str::trim).collect();
        assert!(cells.len() == 5 && cells.iter().all(|cell| !cell.is_empty()), "{row}");
        for (file, functions) in held_by(cells[4]) {
            assert_eq!(functions.len(), 1, "{row}");
            named.extend(functions.into_iter().map(|function| (file.clone(), function)));
        }
    }
    let mut tests = BTreeSet::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let file = path.file_name().unwrap().to_string_lossy().into_owned();
        let source = fs::read_to_string(path).unwrap();
        for test in source.split("#[tokio::test]\nasync fn ").skip(1) {
            tests.insert((file.clone(), test.split('(').next().unwrap().to_owned()));
        }
    }
    assert!(tests.len() > 15, "{tests:?}");
    assert_eq!(named, tests);
}
