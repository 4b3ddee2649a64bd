//! `outrigger check`: says whether configurations are valid, what is wrong with them, and what is hardly meant.

mod report;

use super::exit::{Failure, Reason};
use super::source::is_stdin;
use clap::{Args, ValueEnum};
use report::{Checked, Outcome};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

/// A file with more bytes than this is refused by the loader anyway.
const MAX_BYTES: u64 = 64 * 1024 * 1024;

/// The end of the manual's page.
pub(super) const HELP: &str = "\
A problem makes a file unusable; a warning is about what works, though hardly as it was meant. Of each, one hundred are
listed for a file. Exit code 3 says that there is a problem, or a warning with --deny-warnings.

--format json is one object:
  files     a list: file, and whether it is valid
  problems  a list: severity (\"error\"), file, line, column, path (such as `backends[2].endpoints[0].url`; empty for the
            whole file), message, allowed, suggestion; allowed and suggestion may be null, and line and column are when
            the file cannot be read
  warnings  the same, with the severity \"warning\"
  unlisted  how many problems and warnings there are besides those listed
Fields may be added to it, and none is taken away or changes its meaning.";

/// What to check, and how to tell the result.
#[derive(Args, Debug)]
pub(super) struct Arguments {
    /// The files; `-` is standard input
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// How the result is told
    #[arg(long, value_name = "FORMAT", value_enum, default_value_t)]
    format: Format,
    /// End with exit code 3 when there is a warning
    #[arg(long)]
    deny_warnings: bool,
}

/// How the result is told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
enum Format {
    /// For people, on standard error
    #[default]
    Text,
    /// One JSON object on standard output
    Json,
    /// Annotations for GitHub Actions, on standard output
    Github,
}

/// Checks every file.
pub(super) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let checked: Vec<_> = arguments.files.iter().map(|file| check(file)).collect();
    let told = match arguments.format {
        Format::Text => tell(&mut io::stderr().lock(), &checked, report::text),
        Format::Json => tell(&mut io::stdout().lock(), &checked, report::json),
        Format::Github => tell(&mut io::stdout().lock(), &checked, report::github),
    };
    told.map_err(|error| {
        Failure::new(Reason::Runtime, format_args!("the result cannot be written: {error}"))
    })?;
    let count = |is: fn(&Checked) -> bool| checked.iter().filter(|checked| is(checked)).count();
    let failure = |count: usize, why: &str| {
        let of = checked.len();
        Err(Failure::new(
            Reason::Configuration,
            format_args!("{count} of {of} configurations {why}"),
        ))
    };
    match (count(|checked| !checked.is_valid()), count(Checked::has_warnings)) {
        (0, warned @ 1..) if arguments.deny_warnings => {
            failure(warned, "have warnings, which --deny-warnings does not allow")
        }
        (0, _) => Ok(()),
        (invalid, _) => failure(invalid, "cannot be used"),
    }
}

fn tell(
    out: &mut dyn Write,
    checked: &[Checked],
    report: fn(&[Checked]) -> String,
) -> io::Result<()> {
    out.write_all(report(checked).as_bytes())
}

fn check(file: &Path) -> Checked {
    let name = if is_stdin(file) { "standard input".into() } else { file.to_string_lossy() };
    let outcome = match read(file) {
        Ok(source) => Outcome::of(&source, &name, file),
        Err(error) => Outcome::Unreadable(error.to_string()),
    };
    Checked { file: name.into_owned(), outcome }
}

/// The content of a file, or of standard input.
pub(super) fn read(file: &Path) -> io::Result<Vec<u8>> {
    let mut source = Vec::new();
    if is_stdin(file) {
        io::stdin().lock().take(MAX_BYTES).read_to_end(&mut source)?;
    } else {
        std::fs::File::open(file)?.take(MAX_BYTES).read_to_end(&mut source)?;
    }
    Ok(source)
}

#[cfg(test)]
mod tests {
    use super::*;

    const VALID: &str = "\
listeners: [{ name: http, address: '127.0.0.1:0' }]
backends: [{ name: demo, endpoints: ['http://localhost:8081'] }]
";

    fn file(folder: &tempfile::TempDir, name: &str, content: &str) -> PathBuf {
        let path = folder.path().join(name);
        std::fs::write(&path, content).unwrap();
        path
    }

    fn run(files: &[PathBuf], deny_warnings: bool) -> Result<(), Failure> {
        super::run(&Arguments { files: files.to_vec(), format: Format::Text, deny_warnings })
    }

    #[test]
    fn one_invalid_file_among_valid_ones_is_not_overlooked() {
        let folder = tempfile::tempdir().unwrap();
        let valid = file(&folder, "valid.yaml", VALID);
        let invalid = file(&folder, "invalid.yaml", "backends: 7\n");
        assert!(run(&[valid.clone(), valid.clone()], true).is_ok());
        let failure = run(&[valid.clone(), invalid, valid], false).unwrap_err();
        assert_eq!(failure.reason, Reason::Configuration);
        assert!(failure.to_string().starts_with("1 of 3 "), "{failure}");
    }

    #[test]
    fn a_warning_is_a_failure_only_on_request() {
        let folder = tempfile::tempdir().unwrap();
        let warned = VALID.replace("'127.0.0.1:0'", "'127.0.0.1:0', trustedProxies: ['::/0']");
        let warned = file(&folder, "warned.yaml", &warned);
        assert!(run(std::slice::from_ref(&warned), false).is_ok());
        let failure = run(&[warned], true).unwrap_err();
        assert_eq!(failure.reason, Reason::Configuration);
        assert!(failure.to_string().contains("--deny-warnings"), "{failure}");
    }

    #[test]
    fn a_missing_file_is_named() {
        let checked = check(Path::new("/nonexistent/config.yaml"));
        let told = report::text(&[checked]);
        let expected = "/nonexistent/config.yaml: cannot be read: No such file";
        assert!(told.starts_with(expected), "{told}");
    }
}
