//! Builds Outrigger as it is released: the ordinary program, and the static one that the image has.

use crate::Result;
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// The two programs, the ordinary one first.
pub(super) fn both() -> Result<Vec<PathBuf>> {
    let target = format!("{}-unknown-linux-musl", std::env::consts::ARCH);
    add_target(&target);
    Ok(vec![build(&[])?, build(&["--target", &target])?])
}

/// Has rustup install `target` when it is absent. Without rustup, cargo says what it misses.
fn add_target(target: &str) {
    let rustup = |arguments: &[&str]| {
        Command::new("rustup")
            .args(arguments)
            .stdin(Stdio::null())
            .stderr(Stdio::inherit())
            .output()
    };
    let installed = rustup(&["target", "list", "--installed"]);
    let installed = installed.map(|output| String::from_utf8_lossy(&output.stdout).into_owned());
    if installed.is_ok_and(|list| list.lines().all(|line| line != target)) {
        eprintln!("bench: rustup target add {target}");
        let _ = rustup(&["target", "add", target]);
    }
}

fn build(options: &[&str]) -> Result<PathBuf> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    eprintln!("bench: cargo build --release -p outrigger {}", options.join(" "));
    let output = Command::new(cargo)
        .args(["build", "--release", "--locked", "-p", "outrigger", "--bin", "outrigger"])
        .args(options)
        .arg("--message-format=json-render-diagnostics")
        .current_dir(Path::new(env!("CARGO_MANIFEST_DIR")))
        .stderr(Stdio::inherit())
        .output()?;
    if !output.status.success() {
        return Err("Outrigger does not build".into());
    }
    let messages = String::from_utf8(output.stdout)?;
    let executable = |line| {
        Some(PathBuf::from(serde_json::from_str::<Value>(line).ok()?["executable"].as_str()?))
    };
    Ok(messages.lines().find_map(executable).ok_or("cargo build named no executable")?)
}
