//! What a table says about where it was measured. No host name: results are published.

use crate::Result;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Processor, cores and kernel in one line.
pub(crate) fn describe() -> String {
    let cpuinfo = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let field = |name: &str| {
        let line = cpuinfo.lines().find(|line| line.starts_with(name))?;
        line.split_once(':').map(|(_, value)| value.trim().to_owned())
    };
    let model = field("model name").unwrap_or_else(|| "unknown processor".into());
    let machine = match cpuinfo.contains("hypervisor") {
        true => "virtual machine",
        false => "no hypervisor seen",
    };
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let name = rustix::system::uname();
    let (release, arch) = (name.release().to_string_lossy(), name.machine().to_string_lossy());
    // What stands after the numbers of a release is often the name of whoever built the kernel.
    let release = release.split(['-', '+']).next().unwrap_or_default();
    format!("{model}, {cores} cores ({machine}), Linux {release} {arch}")
}

/// The load average of the last minute: others at work here are noise.
pub(crate) fn load_average() -> String {
    let text = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split(' ').next().unwrap_or_default().to_owned()
}

/// Today, in UTC.
pub(crate) fn today() -> String {
    jiff::Timestamp::now().strftime("%Y-%m-%d").to_string()
}

/// Where `program` is installed: in `PATH` or in a folder for administrators' programs.
pub(crate) fn find(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::env::split_paths(&path).map(Some);
    let more = ["/usr/local/sbin", "/usr/sbin"].map(|folder| Some(PathBuf::from(folder)));
    folders.chain(more).flatten().map(|folder| folder.join(program)).find(|file| file.is_file())
}

/// Fails when a tool is missing and `REQUIRE_TOOLS=1` says that none may be; else says it on stderr.
pub(crate) fn missing(tool: &str) -> Result<()> {
    if std::env::var_os("REQUIRE_TOOLS").is_some_and(|value| value == "1") {
        return Err(format!("{tool} is not installed, and REQUIRE_TOOLS=1 is set").into());
    }
    eprintln!("bench: {tool} is not installed; it is left out");
    Ok(())
}

/// The shared libraries that `program` needs; none when it is static.
pub(crate) fn libraries(program: &Path) -> Vec<String> {
    let output = Command::new("ldd").arg(program).output();
    let text = output
        .map(|output| String::from_utf8_lossy(&output.stdout).into_owned())
        .unwrap_or_default();
    let name = |line: &str| {
        let path = line.trim().split(' ').next()?;
        let name = path.rsplit('/').next()?;
        (name.contains(".so") && !name.starts_with("linux-vdso")).then(|| name.to_owned())
    };
    text.lines().filter_map(name).collect()
}
