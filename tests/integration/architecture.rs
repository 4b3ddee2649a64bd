//! Holds the sources to the rules of the house that a compiler does not check.

use proc_macro2::{Delimiter, TokenStream, TokenTree};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// A file with more code than this does too much. Comments, blank lines and tests do not count.
const MAX_CODE_LINES: usize = 450;

/// Files that may be longer, each with its reason.
const LONGER: &[(&str, &str)] = &[];

#[test]
fn no_module_imports_from_its_own_floor_or_above() {
    let floors = floors();
    let mut faults = Vec::new();
    for file in sources("src") {
        let module = file.module();
        let Some(here) = module.first() else { continue };
        for (line, used) in uses(&file.tokens, &module) {
            if used == *here {
                continue;
            }
            let (Some(floor), Some(below)) = (floors.get(here.as_str()), floors.get(used.as_str()))
            else {
                continue;
            };
            if below >= floor {
                let way = if below == floor { "sideways" } else { "up" };
                faults.push(format!("{}:{line}: {here} uses {used}: {way}", file.name));
            }
        }
    }
    assert!(faults.is_empty(), "see outrigger::FLOORS:\n{}", faults.join("\n"));
}

#[test]
fn every_module_has_one_floor() {
    let listed: Vec<_> = outrigger::FLOORS.concat();
    assert_eq!(listed.len(), listed.iter().collect::<BTreeSet<_>>().len(), "listed twice");
    let here: BTreeSet<_> =
        sources("src").iter().filter_map(|file| file.module().first().cloned()).collect();
    let missing: Vec<_> = here.iter().filter(|module| !listed.contains(&module.as_str())).collect();
    assert!(missing.is_empty(), "not in outrigger::FLOORS: {missing:?}");
}

#[test]
fn no_file_is_called_mod_rs() {
    let faults: Vec<_> =
        all_sources().into_iter().map(|file| file.name).filter(|n| n.ends_with("mod.rs")).collect();
    assert!(faults.is_empty(), "x.rs beside x/, never x/mod.rs: {faults:?}");
}

#[test]
fn no_file_grows_beyond_what_can_be_read_at_once() {
    let may_be_longer = |name: &str| LONGER.iter().any(|(file, _reason)| *file == name);
    let faults: Vec<_> = all_sources()
        .into_iter()
        .filter(|file| !may_be_longer(&file.name))
        .map(|file| (code_lines(&file.tokens).len(), file.name))
        .filter(|(lines, _)| *lines > MAX_CODE_LINES)
        .collect();
    assert!(faults.is_empty(), "split by concern: {faults:?}");
}

#[test]
fn every_crate_forbids_unsafe_code() {
    let manifest = std::fs::read_to_string(root().join("Cargo.toml")).unwrap();
    assert!(manifest.contains("unsafe_code = \"forbid\""));
}

#[test]
fn every_member_is_held_to_the_lints_of_the_workspace() {
    let manifest =
        |folder: &str| std::fs::read_to_string(root().join(folder).join("Cargo.toml")).unwrap();
    let workspace = manifest("");
    let members = workspace.lines().find_map(|line| line.strip_prefix("members = ["));
    let members = members.unwrap().trim_end_matches(']').split(',');
    let members: Vec<_> = members.map(|name| name.trim().trim_matches('"')).collect();
    assert!(members.contains(&"testserver"), "{members:?}");
    for member in members.into_iter().chain([""]) {
        assert!(
            manifest(member).contains("\n[lints]\nworkspace = true\n"),
            "{member}/Cargo.toml has lints of its own, or none"
        );
    }
}

#[test]
fn the_table_of_floors_in_the_manual_is_that_of_the_code() {
    let text = std::fs::read_to_string(root().join("ARCHITECTURE.md")).unwrap();
    let here: BTreeSet<_> =
        sources("src").iter().filter_map(|file| file.module().first().cloned()).collect();
    for (floor, modules) in outrigger::FLOORS.iter().enumerate() {
        let start = format!("| {floor} | ");
        let row = text.lines().find_map(|line| line.strip_prefix(&start));
        let row = row.unwrap_or_else(|| panic!("ARCHITECTURE.md has no floor {floor}"));
        let told: BTreeSet<_> = row
            .split('|')
            .next()
            .unwrap()
            .split_whitespace()
            .map(|m| m.trim_matches('`'))
            .collect();
        // FLOORS also keeps places for modules that are not there yet.
        let built = modules.iter().copied().filter(|module| here.contains(*module)).collect();
        assert_eq!(told, built, "floor {floor}");
    }
    let rows = text.lines().filter(|line| {
        line.strip_prefix("| ").is_some_and(|row| row.starts_with(|c: char| c.is_ascii_digit()))
    });
    assert_eq!(rows.count(), outrigger::FLOORS.len());
}

// The checks above are worth what these are worth.

#[test]
fn imports_are_found_however_they_are_written() {
    let source = r#"
        //! use crate::in_a_comment;
        use crate::plain::Thing;
        use crate::{first::A, second::{B, C}, third};
        pub(crate) fn f(x: crate::inline::T) { m!(crate::in_a_macro::f()); "crate::in_a_string"; }
        use super::super::sibling::Thing;
        use super::own;
        #[cfg(test)]
        use crate::only_for_tests;
        #[cfg(test)]
        mod tests { use crate::in_tests; }
        #[cfg(test)]
        #[path = "x.rs"]
        mod more;
        struct After(crate::after::T);
    "#;
    let module = ["outer".to_owned(), "inner".to_owned()];
    let used: Vec<_> = uses(&without_tests(source.parse().unwrap()), &module)
        .into_iter()
        .map(|(_, m)| m)
        .collect();
    let expected =
        ["plain", "first", "second", "third", "inline", "in_a_macro", "sibling", "after"];
    assert_eq!(used, expected);
}

#[test]
fn comments_and_tests_are_not_counted_as_code() {
    let source =
        "//! Doc.\n\n// Comment.\n/// Doc.\nfn f() {\n}\n#[cfg(test)]\nmod tests {\nfn g() {}\n}\n";
    assert_eq!(code_lines(&without_tests(source.parse().unwrap())).len(), 2);
}

/// A source file, without what is compiled for tests only.
struct Source {
    name: String,
    tokens: TokenStream,
}

impl Source {
    /// The path of its module, from the crate's root; empty for `lib.rs` and `main.rs`.
    fn module(&self) -> Vec<String> {
        let path = self.name.trim_start_matches("src/").trim_end_matches(".rs");
        if matches!(path, "lib" | "main") {
            return Vec::new();
        }
        path.split('/').map(str::to_owned).collect()
    }
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The floor of each module, counted from below.
fn floors() -> BTreeMap<&'static str, usize> {
    let numbered = outrigger::FLOORS.iter().enumerate();
    numbered.flat_map(|(floor, modules)| modules.iter().map(move |m| (*m, floor))).collect()
}

fn all_sources() -> Vec<Source> {
    ["src", "tests", "testserver", "e2e", "bench"].into_iter().flat_map(sources).collect()
}

/// The Rust files below `folder`. Whole files of tests (`tests.rs`) are left out.
fn sources(folder: &str) -> Vec<Source> {
    let mut files = Vec::new();
    let mut folders = vec![root().join(folder)];
    while let Some(folder) = folders.pop() {
        let Ok(entries) = std::fs::read_dir(&folder) else { continue };
        for path in entries.map(|entry| entry.unwrap().path()) {
            if path.is_dir() && !path.ends_with("target") {
                folders.push(path);
            } else if path.extension().is_some_and(|e| e == "rs") && !path.ends_with("tests.rs") {
                files.push(path);
            }
        }
    }
    files.sort();
    files.into_iter().map(read).collect()
}

fn read(path: PathBuf) -> Source {
    let name = path.strip_prefix(root()).unwrap().to_str().unwrap().to_owned();
    let text = std::fs::read_to_string(&path).unwrap();
    let tokens = text.parse().unwrap_or_else(|error| panic!("{name}: {error}"));
    Source { name, tokens: without_tests(tokens) }
}

/// `tokens` without the items under `#[cfg(test)]` and without the attributes that hold documentation.
fn without_tests(tokens: TokenStream) -> TokenStream {
    let mut kept = Vec::new();
    let mut tokens = tokens.into_iter().peekable();
    while let Some(token) = tokens.next() {
        match token {
            TokenTree::Punct(punct) if punct.as_char() == '#' => {
                // `#[…]`, or `#![…]` with a second mark.
                let mark = tokens
                    .next_if(|next| matches!(next, TokenTree::Punct(p) if p.as_char() == '!'));
                let Some(TokenTree::Group(attribute)) = tokens.next() else { continue };
                let text = attribute.stream().to_string().replace(' ', "");
                if text == "cfg(test)" && mark.is_none() {
                    // The item ends with its first block, or with a semicolon.
                    let ends = |token: &TokenTree| match token {
                        TokenTree::Group(group) => group.delimiter() == Delimiter::Brace,
                        TokenTree::Punct(punct) => punct.as_char() == ';',
                        _ => false,
                    };
                    while tokens.next().is_some_and(|token| !ends(&token)) {}
                } else if !text.starts_with("doc=") {
                    kept.push(TokenTree::Group(attribute));
                }
            }
            TokenTree::Group(group) => {
                let mut inner =
                    proc_macro2::Group::new(group.delimiter(), without_tests(group.stream()));
                inner.set_span(group.span());
                kept.push(TokenTree::Group(inner));
            }
            other => kept.push(other),
        }
    }
    kept.into_iter().collect()
}

/// The top modules that are named in `tokens` of the file of `module`, with their lines.
fn uses(tokens: &TokenStream, module: &[String]) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    let tokens: Vec<_> = tokens.clone().into_iter().collect();
    let mut at = 0;
    while at < tokens.len() {
        match &tokens[at] {
            TokenTree::Group(group) => found.extend(uses(&group.stream(), module)),
            TokenTree::Ident(ident) if ident == "crate" || ident == "super" => {
                let line = ident.span().start().line;
                let mut up = if ident == "crate" { module.len() } else { 1 };
                at += 1;
                while let Some(rest) = after_colons(&tokens, at) {
                    at = rest;
                    match tokens.get(at) {
                        Some(TokenTree::Ident(next)) if next == "super" => {
                            up += 1;
                            at += 1;
                            continue;
                        }
                        Some(next) if up >= module.len() => {
                            found.extend(heads(next).into_iter().map(|head| (line, head)));
                        }
                        _ => {}
                    }
                    break;
                }
                continue;
            }
            _ => {}
        }
        at += 1;
    }
    found
}

/// The position after `::`, if that stands at `at`.
fn after_colons(tokens: &[TokenTree], at: usize) -> Option<usize> {
    let colon = |at| matches!(tokens.get(at), Some(TokenTree::Punct(p)) if p.as_char() == ':');
    (colon(at) && colon(at + 1)).then_some(at + 2)
}

/// The first names of what follows `crate::`: one name, or those in braces.
fn heads(token: &TokenTree) -> Vec<String> {
    match token {
        TokenTree::Ident(ident) => vec![ident.to_string()],
        TokenTree::Group(group) => {
            let mut heads = Vec::new();
            let mut first = true;
            for token in group.stream() {
                match token {
                    TokenTree::Ident(ident) if first => {
                        heads.push(ident.to_string());
                        first = false;
                    }
                    TokenTree::Punct(punct) if punct.as_char() == ',' => first = true,
                    _ => {}
                }
            }
            heads
        }
        _ => Vec::new(),
    }
}

/// The lines on which a token stands.
fn code_lines(tokens: &TokenStream) -> BTreeSet<usize> {
    let mut lines = BTreeSet::new();
    for token in tokens.clone() {
        lines.insert(token.span().start().line);
        lines.insert(token.span().end().line);
        if let TokenTree::Group(group) = token {
            lines.extend(code_lines(&group.stream()));
        }
    }
    lines
}
