//! The OpenTelemetry Collector, built of `e2e/collector`.

use crate::binary::{is_newer, profile};
use crate::tool::{is_installed, is_required};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

/// The program, built at most once; `None` without Go, or where `COLLECTOR=receiver` says that it is not to be had.
///
/// # Panics
/// There is Go, but it cannot be built, and `REQUIRE_TOOLS=1` says that it must be.
pub fn collector() -> Option<&'static Path> {
    static PROGRAM: OnceLock<Option<PathBuf>> = OnceLock::new();
    PROGRAM
        .get_or_init(|| {
            let is_waived = std::env::var_os("COLLECTOR").is_some_and(|which| which == "receiver");
            let built = if is_waived { Err("COLLECTOR=receiver".to_owned()) } else { build() };
            if let Err(reason) = &built {
                let is_wanted = is_installed("go") && is_required() && !is_waived;
                assert!(!is_wanted, "no OpenTelemetry Collector: {reason}");
                eprintln!("a receiver in the test takes the place of the OpenTelemetry Collector: {reason}");
            }
            built.ok()
        })
        .as_deref()
}

fn build() -> Result<PathBuf, String> {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("collector");
    let folder = profile().parent().ok_or("no target directory")?.join("collector");
    let program = folder.join("collector");
    let built = program.metadata().and_then(|metadata| metadata.modified());
    if built.is_ok_and(|built| !is_newer(&source, built)) {
        return Ok(program);
    }
    if !is_installed("go") {
        return Err("go is not installed".to_owned());
    }
    // Under a name of its own at first: another test process may be building it, too.
    let fresh = folder.join(format!("collector-{}", std::process::id()));
    let output = Command::new("go")
        .current_dir(&source)
        .args(["build", "-mod=readonly", "-o"])
        .arg(&fresh)
        .arg(".")
        // A Go that is older than the collector fetches the one it needs.
        .env("GOTOOLCHAIN", "auto")
        .stdin(Stdio::null())
        .output();
    let output = output.map_err(|error| format!("go build: {error}"))?;
    if !output.status.success() {
        return Err(format!("go build: {}", String::from_utf8_lossy(&output.stderr)));
    }
    std::fs::rename(&fresh, &program).map_err(|error| error.to_string())?;
    Ok(program)
}
