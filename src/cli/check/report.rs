//! What was found in configurations, told to people, programs and GitHub.

use crate::config::{self, Problem, Problems, Surroundings, Warnings};
use serde_json::{Value, json};
use std::fmt::Write;
use std::path::Path;

/// A file and what was found in it.
#[derive(Debug)]
pub(super) struct Checked {
    pub(super) file: String,
    pub(super) outcome: Outcome,
}

/// What was found in a file.
#[derive(Debug)]
pub(super) enum Outcome {
    /// It can be used.
    Valid(Warnings),
    /// It cannot.
    Invalid(Problems),
    /// It cannot even be read.
    Unreadable(String),
}

impl Outcome {
    /// What is found in `source`, the content of `file`, which is called `name`.
    pub(super) fn of(source: &[u8], name: &str, file: &Path) -> Self {
        match config::load(source, name, &Surroundings::of(file)) {
            Ok(loaded) => Self::Valid(loaded.warnings),
            Err(problems) => Self::Invalid(problems),
        }
    }
}

impl Checked {
    pub(super) fn is_valid(&self) -> bool {
        match self.outcome {
            Outcome::Valid(_) => true,
            Outcome::Invalid(_) | Outcome::Unreadable(_) => false,
        }
    }

    pub(super) fn has_warnings(&self) -> bool {
        match &self.outcome {
            Outcome::Valid(warnings) => !warnings.list().is_empty(),
            Outcome::Invalid(_) | Outcome::Unreadable(_) => false,
        }
    }
}

/// For people.
pub(super) fn text(checked: &[Checked]) -> String {
    let mut out = String::new();
    for Checked { file, outcome } in checked {
        // Writing to a string cannot fail.
        let _ = match outcome {
            Outcome::Valid(warnings) => match warnings.list().len() + warnings.more() {
                0 => writeln!(out, "{file}: valid"),
                1 => writeln!(out, "{warnings}\n{file}: valid, with 1 warning"),
                count => writeln!(out, "{warnings}\n{file}: valid, with {count} warnings"),
            },
            Outcome::Invalid(problems) => writeln!(out, "{problems}"),
            Outcome::Unreadable(error) => writeln!(out, "{file}: cannot be read: {error}"),
        };
    }
    out
}

/// For programs; the manual promises this shape.
pub(super) fn json(checked: &[Checked]) -> String {
    let (mut files, mut problems, mut warnings) = (Vec::new(), Vec::new(), Vec::new());
    let (mut more_problems, mut more_warnings) = (0, 0);
    for one in checked {
        files.push(json!({ "file": one.file, "valid": one.is_valid() }));
        match &one.outcome {
            Outcome::Valid(found) => {
                more_warnings += found.more();
                warnings.extend(found.list().iter().map(|warning| finding("warning", &warning.0)));
            }
            Outcome::Invalid(found) => {
                more_problems += found.more();
                problems.extend(found.list().iter().map(|problem| finding("error", problem)));
            }
            Outcome::Unreadable(error) => problems.push(json!({
                "severity": "error",
                "file": one.file,
                "line": null,
                "column": null,
                "path": "",
                "message": format!("cannot be read: {error}"),
                "allowed": null,
                "suggestion": null,
            })),
        }
    }
    let all = json!({
        "files": files,
        "problems": problems,
        "warnings": warnings,
        "unlisted": { "problems": more_problems, "warnings": more_warnings },
    });
    format!("{all:#}\n")
}

fn finding(severity: &str, problem: &Problem) -> Value {
    json!({
        "severity": severity,
        "file": problem.file,
        "line": problem.line,
        "column": problem.column,
        "path": problem.path,
        "message": problem.message,
        "allowed": problem.allowed,
        "suggestion": problem.suggestion,
    })
}

/// Workflow commands of GitHub Actions, which become annotations of the file.
/// Source: <https://docs.github.com/actions/reference/workflow-commands-for-github-actions>.
pub(super) fn github(checked: &[Checked]) -> String {
    let mut out = String::new();
    for Checked { file, outcome } in checked {
        let more = match outcome {
            Outcome::Valid(warnings) => {
                let annotations =
                    warnings.list().iter().map(|warning| annotation("warning", &warning.0));
                out.extend(annotations);
                warnings.more()
            }
            Outcome::Invalid(problems) => {
                out.extend(problems.list().iter().map(|problem| annotation("error", problem)));
                problems.more()
            }
            Outcome::Unreadable(error) => {
                let (file, error) = (property(file), data(error));
                out.push_str(&format!("::error file={file}::cannot be read: {error}\n"));
                0
            }
        };
        if more > 0 {
            out.push_str(&format!("::notice file={}::and {more} more\n", property(file)));
        }
    }
    out
}

fn annotation(class: &str, problem: &Problem) -> String {
    let Problem { file, line, column, path, message, allowed, suggestion } = problem;
    let mut text = message.clone();
    if let Some(allowed) = allowed {
        text.push_str(&format!("\nallowed: {allowed}"));
    }
    if let Some(suggestion) = suggestion {
        text.push_str(&format!("\ndid you mean `{suggestion}`?"));
    }
    let title = if path.is_empty() { String::new() } else { format!(",title={}", property(path)) };
    format!("::{class} file={},line={line},col={column}{title}::{}\n", property(file), data(&text))
}

/// The text of a command: what would end its line is escaped.
fn data(text: &str) -> String {
    text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A")
}

/// A property of a command: what would end the property, too.
fn property(text: &str) -> String {
    data(text).replace(':', "%3A").replace(',', "%2C")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checked(file: &str, source: &str) -> Checked {
        Checked {
            file: file.into(),
            outcome: Outcome::of(source.as_bytes(), file, Path::new(file)),
        }
    }

    fn all() -> Vec<Checked> {
        let warned = "\
listeners: [{ name: http, address: '127.0.0.1:0', trustedProxies: ['::/0'] }]
backends: [{ name: demo, endpoints: ['http://localhost:8081'] }]
";
        let invalid = warned.replace("backends", "backnds").replace("'::/0'", "'10%:,1'");
        let unreadable = Outcome::Unreadable("it is a folder".into());
        vec![
            checked("a.yaml", warned),
            checked("dir,1/b:2.yaml", &invalid),
            Checked { file: "c.yaml".into(), outcome: unreadable },
        ]
    }

    #[test]
    fn text_is_for_people() {
        insta::assert_snapshot!(text(&all()));
    }

    #[test]
    fn json_keeps_its_shape() {
        insta::assert_snapshot!(json(&all()));
    }

    #[test]
    fn annotations_are_escaped_as_github_wants() {
        insta::assert_snapshot!(github(&all()));
    }

    #[test]
    fn what_is_not_listed_is_counted() {
        let keys: String = (0..120).map(|key| format!("key{key}: 1\n")).collect();
        let many = vec![checked("many.yaml", &keys)];
        let json: Value = serde_json::from_str(&json(&many)).unwrap();
        assert_eq!(json["problems"].as_array().unwrap().len(), 100);
        assert_eq!(json["unlisted"]["problems"], 22);
        assert!(github(&many).ends_with("\n::notice file=many.yaml::and 22 more\n"));
    }
}
