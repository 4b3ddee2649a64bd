//! `outrigger check`: says whether configurations are valid, and what is wrong with them.

use super::exit::{Failure, Reason};
use super::say;
use super::source::is_stdin;
use crate::config;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

/// A file with more bytes than this is refused by the loader anyway.
const MAX_BYTES: u64 = 64 * 1024 * 1024;

/// Checks every one of `files`; `-` is standard input.
pub(super) fn run(files: &[PathBuf]) -> Result<(), Failure> {
    let mut invalid = 0;
    for file in files {
        let name = if is_stdin(file) { "standard input".into() } else { file.to_string_lossy() };
        match check(file, &name) {
            Ok(()) => say(format_args!("{name}: valid")),
            Err(problems) => {
                invalid += 1;
                say(problems);
            }
        }
    }
    match invalid {
        0 => Ok(()),
        _ => Err(Failure::new(
            Reason::Configuration,
            format_args!("{invalid} of {} configurations cannot be used", files.len()),
        )),
    }
}

/// `Err` holds what to tell the operator.
fn check(file: &Path, name: &str) -> Result<(), String> {
    let source = read(file).map_err(|error| format!("{name}: cannot be read: {error}"))?;
    let variables = |name: &str| std::env::var(name).ok();
    config::load(&source, name, &variables).map(drop).map_err(|problems| problems.to_string())
}

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

    #[test]
    fn one_invalid_file_among_valid_ones_is_not_overlooked() {
        let folder = tempfile::tempdir().unwrap();
        let valid = file(&folder, "valid.yaml", VALID);
        let invalid = file(&folder, "invalid.yaml", "backends: 7\n");
        assert!(run(&[valid.clone(), valid.clone()]).is_ok());
        let failure = run(&[valid.clone(), invalid, valid]).unwrap_err();
        assert_eq!(failure.reason, Reason::Configuration);
        assert!(failure.to_string().starts_with("1 of 3 "), "{failure}");
    }

    #[test]
    fn a_missing_file_is_named() {
        let told = check(Path::new("/nonexistent/config.yaml"), "config.yaml").unwrap_err();
        assert!(told.starts_with("config.yaml: cannot be read: No such file"), "{told}");
    }
}
