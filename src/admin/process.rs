//! What the operating system says of this process; nothing where there is no `/proc`.

use std::fs;

/// Clock ticks per second in `/proc`: the same on every Linux that Rust runs on.
const TICKS: f64 = 100.0;

/// Memory in use, in bytes.
pub(super) fn resident_bytes() -> Option<f64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kib: f64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib * 1024.0)
}

/// File descriptors in use.
pub(super) fn open_files() -> Option<f64> {
    // Reading the folder holds one itself.
    Some(fs::read_dir("/proc/self/fd").ok()?.count().saturating_sub(1) as f64)
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
        assert!(resident_bytes().unwrap() > 1e6);
        assert!(open_files().unwrap() >= 3.0);
        assert!(cpu_seconds().unwrap() < 1e6);
    }
}
