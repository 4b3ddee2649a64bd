//! Programs of others that tests use as clients.

use crate::wait::in_time;
use std::process::Stdio;
use tokio::process::Command;

/// What a program said.
#[derive(Clone, Debug)]
pub struct Said {
    /// Its exit code; none if a signal ended it.
    pub code: Option<i32>,
    /// Its standard output.
    pub out: String,
    /// Its standard error.
    pub err: String,
}

/// Whether the program is installed. If not, the test is skipped, which is said on standard error.
///
/// # Panics
/// It is not, and `REQUIRE_TOOLS=1` says that it must be.
pub fn has_tool(name: &str) -> bool {
    let found = is_installed(name);
    if !found {
        assert!(!is_required(), "{name} is not installed, and REQUIRE_TOOLS=1 is set");
        eprintln!("skipped: {name} is not installed");
    }
    found
}

/// Whether the program is installed.
pub(crate) fn is_installed(name: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|folder| folder.join(name).is_file())
}

/// Whether tools that are not there are a fault.
pub(crate) fn is_required() -> bool {
    std::env::var_os("REQUIRE_TOOLS").is_some_and(|value| value == "1")
}

/// Runs a program with nothing on its standard input; it dies with the test.
///
/// # Panics
/// It does not start, or takes too long.
pub async fn run_tool<S: AsRef<std::ffi::OsStr>>(
    name: &str,
    arguments: impl IntoIterator<Item = S>,
) -> Said {
    let mut command = Command::new(name);
    command.args(arguments).stdin(Stdio::null()).kill_on_drop(true);
    in_time(name, said(command)).await
}

/// Runs a command to its end.
///
/// # Panics
/// It does not start.
pub async fn said(mut command: Command) -> Said {
    let output = command.kill_on_drop(true).output().await.expect("the program runs");
    Said {
        code: output.status.code(),
        out: String::from_utf8_lossy(&output.stdout).into_owned(),
        err: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}
