//! Helm, where it is installed. `.ci/run` installs it where there is Go.

use super::path;
use std::process::{Command, Output};
use std::sync::LazyLock;

/// Whether it is there. If not, the test is skipped, which is said on standard error.
///
/// # Panics
/// It is not, though Go could have built it, and `REQUIRE_TOOLS=1` says that it must be.
pub fn is_here() -> bool {
    static HERE: LazyLock<bool> = LazyLock::new(|| {
        let found = answers(&program(), "version");
        let required = std::env::var_os("REQUIRE_TOOLS").is_some_and(|value| value == "1");
        assert!(
            found || !required || !answers("go", "version"),
            "helm is not installed, though Go is, and REQUIRE_TOOLS=1 is set"
        );
        if !found {
            eprintln!("skipped: helm is not installed");
        }
        found
    });
    *HERE
}

/// That of `PATH`, or another version that `HELM` names.
fn program() -> String {
    std::env::var("HELM").unwrap_or_else(|_| "helm".to_owned())
}

fn answers(program: &str, argument: &str) -> bool {
    Command::new(program).arg(argument).output().is_ok_and(|output| output.status.success())
}

/// What Helm says, and all of it when it fails.
pub fn helm(arguments: &[&str]) -> Result<String, String> {
    let Output { status, stdout, stderr } =
        Command::new(program()).args(arguments).current_dir(path("")).output().unwrap();
    let (out, err) = (String::from_utf8(stdout).unwrap(), String::from_utf8_lossy(&stderr));
    if status.success() { Ok(out) } else { Err(format!("{out}{err}")) }
}

/// The manifests that a chart makes.
pub fn template(chart: &str, arguments: &[&str]) -> Result<String, String> {
    // What a chart may know of the cluster is said here, so that all Helms make the same.
    let fixed =
        ["template", "demo", chart, "--namespace", "shop-system", "--kube-version", "1.36.0"];
    // Helm 4 ends each manifest with an empty line, Helm 3 does not.
    let made = helm(&[&fixed, arguments].concat())?.replace("\n\n---\n", "\n---\n");
    Ok(format!("{}\n", made.trim_end()))
}

/// The manifests of our chart with one of its sets of values, and further arguments.
pub fn case(name: &str, arguments: &[&str]) -> Result<String, String> {
    let values = format!("charts/outrigger/ci/{name}-values.yaml");
    template("charts/outrigger", &[&["--values", &values], arguments].concat())
}
