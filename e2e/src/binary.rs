//! The binary under test: the one that Cargo built in the profile of these tests.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use std::time::SystemTime;

/// The path of `outrigger`, beside the tests in Cargo's target directory.
///
/// `cargo test --workspace` builds it before the tests run; `cargo test -p e2e` does not. So it is built here when it
/// is missing or older than its sources, lest a test passes on yesterday's program.
///
/// # Panics
/// It cannot be built.
pub fn binary() -> &'static Path {
    static BINARY: OnceLock<PathBuf> = OnceLock::new();
    BINARY.get_or_init(|| {
        let profile = profile();
        let binary = profile.join(format!("outrigger{}", std::env::consts::EXE_SUFFIX));
        if is_stale(&binary) {
            build(&profile);
        }
        assert!(binary.exists(), "{} was not built", binary.display());
        binary
    })
}

/// The folder of the profile that this was built in.
pub(crate) fn profile() -> PathBuf {
    let program = std::env::current_exe().expect("a program knows where it is");
    // target/PROFILE/deps/e2e-HASH for a test, target/PROFILE/soak for a program
    let folder = program.parent().expect("a program is in a folder");
    let profile = if folder.ends_with("deps") { folder.parent() } else { Some(folder) };
    profile.expect("tests are in a profile's `deps`").to_owned()
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("e2e is in the workspace")
}

fn is_stale(binary: &Path) -> bool {
    let Ok(built) = binary.metadata().and_then(|metadata| metadata.modified()) else { return true };
    ["src", "testserver/src", "Cargo.toml", "build.rs"]
        .iter()
        .any(|source| is_newer(&root().join(source), built))
}

pub(crate) fn is_newer(path: &Path, than: SystemTime) -> bool {
    match path.read_dir() {
        Ok(entries) => entries.flatten().any(|entry| is_newer(&entry.path(), than)),
        Err(_) => path
            .metadata()
            .and_then(|metadata| metadata.modified())
            .is_ok_and(|modified| modified > than),
    }
}

fn build(profile: &Path) {
    let name = profile.file_name().and_then(|name| name.to_str()).expect("profiles are ASCII");
    let name = if name == "debug" { "dev" } else { name };
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let status = Command::new(cargo)
        .current_dir(root())
        .args(["build", "--locked", "--package", "outrigger", "--profile", name, "--target-dir"])
        .arg(profile.parent().expect("a profile is in the target directory"))
        .status();
    assert!(status.is_ok_and(|status| status.success()), "`cargo build` of outrigger failed");
}
