//! The file of the last results: one section per scenario, each replaced by that scenario's next run.

use crate::Result;
use std::fs;
use std::path::Path;

const HEAD: &str =
    "# The last results\n\n`bench/README.md` says what is measured and how to read it.\n";

/// Puts `text` (Markdown, which begins with a heading) in the place of section `name` of `file`.
pub(crate) fn save(file: &Path, name: &str, text: &str) -> Result<()> {
    let old = match fs::read_to_string(file) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => HEAD.to_owned(),
        read => read?,
    };
    Ok(fs::write(file, replace(&old, name, text))?)
}

/// The first figure of the first row of section `name` of `file` whose label begins with `label`.
pub(crate) fn row(file: &Path, name: &str, label: &str) -> Option<String> {
    let text = fs::read_to_string(file).ok()?;
    let (_, section) = text.split_once(&format!("<!-- {name} -->\n"))?;
    let (section, _) = section.split_once(&format!("<!-- end of {name} -->"))?;
    let begin = format!("| {label}");
    let row = section.lines().find(|line| line.starts_with(&begin))?;
    row.split('|').nth(2).map(|cell| cell.trim().to_owned())
}

fn replace(old: &str, name: &str, text: &str) -> String {
    let (open, close) = (format!("<!-- {name} -->\n"), format!("<!-- end of {name} -->\n"));
    let section = format!("{open}{text}{close}");
    let place = old.find(&open).zip(old.find(&close)).filter(|(start, end)| start < end);
    match place {
        Some((start, end)) => [&old[..start], &section, &old[end + close.len()..]].concat(),
        None => format!("{old}\n{section}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_replaces_its_own_section_and_no_other() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("RESULTS.md");
        for (name, text) in [("a", "## A\n1\n"), ("b", "## B\n2\n"), ("a", "## A\n3\n")] {
            save(&file, name, text).unwrap();
        }
        let text = fs::read_to_string(&file).unwrap();
        assert!(text.starts_with(HEAD));
        assert!(!text.contains("\n1\n") && text.contains("\n2\n"));
        assert!(text.find("\n3\n") < text.find("\n2\n"), "the order stays");
        assert_eq!(text.matches("<!-- a -->").count(), 1);
    }

    #[test]
    fn a_figure_is_read_from_its_own_section() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("RESULTS.md");
        save(&file, "a", "| proxy 2 | 7 (6–8) | 1 |\n").unwrap();
        save(&file, "b", "| other | 1 |\n| proxy 1 | 9 |\n| proxy 2 | 10 |\n").unwrap();
        assert_eq!(row(&file, "b", "proxy").as_deref(), Some("9"));
        assert_eq!(row(&file, "a", "proxy").as_deref(), Some("7 (6–8)"));
        assert_eq!(row(&file, "a", "other"), None);
        assert_eq!(row(&file, "c", "proxy"), None);
    }
}
