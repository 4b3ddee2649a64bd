//! What the operating system says of this process; nothing where there is no `/proc`.

use std::fs;

/// Clock ticks per second in `/proc`: the same on every Linux that Rust runs on.
const TICKS: f64 = 100.0;

/// What the kernel keeps for a process.
pub(super) struct Status(String);

impl Status {
    /// The present state.
    pub(super) fn read() -> Option<Self> {
        fs::read_to_string("/proc/self/status").ok().map(Self)
    }

    /// Memory in use, in bytes.
    pub(super) fn resident_bytes(&self) -> Option<f64> {
        self.number("VmRSS:").map(|kib| kib * 1024.0)
    }

    /// Address space, in bytes.
    pub(super) fn virtual_bytes(&self) -> Option<f64> {
        self.number("VmSize:").map(|kib| kib * 1024.0)
    }

    /// Threads.
    pub(super) fn threads(&self) -> Option<f64> {
        self.number("Threads:")
    }

    fn number(&self, name: &str) -> Option<f64> {
        let line = self.0.lines().find_map(|line| line.strip_prefix(name))?;
        line.split_ascii_whitespace().next()?.parse().ok()
    }
}

/// File descriptors in use.
pub(super) fn open_files() -> Option<f64> {
    // Reading the folder holds one itself.
    Some(fs::read_dir("/proc/self/fd").ok()?.count().saturating_sub(1) as f64)
}

/// File descriptors that the process may have; infinite if unlimited.
pub(super) fn max_files() -> f64 {
    let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile).current;
    limit.map_or(f64::INFINITY, |limit| limit as f64)
}

/// Time spent by all threads, in seconds.
pub(super) fn cpu_seconds() -> Option<f64> {
    let stat = fs::read_to_string("/proc/self/stat").ok()?;
    // The program's name may contain spaces and ends with the last parenthesis; utime and stime are fields 14 and 15.
    let mut fields = stat[stat.rfind(')')? + 1..].split_ascii_whitespace().skip(11);
    let user: f64 = fields.next()?.parse().ok()?;
    let system: f64 = fields.next()?.parse().ok()?;
    Some((user + system) / TICKS)
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn the_kernel_knows_us() {
        let status = Status::read().unwrap();
        assert!(status.resident_bytes().unwrap() > 1e6);
        assert!(status.virtual_bytes().unwrap() > status.resident_bytes().unwrap());
        assert!(status.threads().unwrap() >= 1.0);
        assert!(open_files().unwrap() >= 3.0);
        assert!(max_files() > open_files().unwrap());
        assert!(cpu_seconds().unwrap() < 1e6);
    }
}
