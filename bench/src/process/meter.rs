//! What a group of processes has used, from `/proc`.

use crate::Result;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// In `/proc/PID/stat` a second has so many ticks, on every architecture.
const TICKS: u64 = 100;

/// Reads what a group of processes has used.
pub(crate) struct Meter {
    group: u32,
}

impl Meter {
    pub(super) fn of_group(group: u32) -> Meter {
        Meter { group }
    }

    /// The ids of the group's processes.
    pub(crate) fn ids(&self) -> Result<Vec<u32>> {
        let mut ids = Vec::new();
        for entry in fs::read_dir("/proc")? {
            let path = entry?.path();
            let Some(id) = path.file_name().and_then(|name| name.to_str()?.parse().ok()) else {
                continue;
            };
            // A process that has just ended has no group.
            let Ok(stat) = fs::read_to_string(path.join("stat")) else { continue };
            if group_of(&stat) == Some(self.group) {
                ids.push(id);
            }
        }
        if ids.is_empty() { Err("it is no more".into()) } else { Ok(ids) }
    }

    /// CPU time of all threads so far, and of children that have ended (these to 10 ms: a reload ends them).
    /// (`schedstat` counts nanoseconds, `stat` only ticks.)
    pub(crate) fn cpu(&self) -> Result<Duration> {
        let leader = fs::read_to_string(format!("/proc/{}/stat", self.group))?;
        let ended = ended_ticks(&leader).ok_or("/proc/PID/stat has no time of ended children")?;
        let mut nanos = 0;
        for member in self.members()? {
            for thread in fs::read_dir(member.join("task"))?.flatten() {
                let path = thread.path().join("schedstat");
                // A thread that has just ended takes its time along; ours live as long as the process.
                let Ok(text) = fs::read_to_string(path) else { continue };
                let time = text.split_whitespace().next().and_then(|time| time.parse::<u64>().ok());
                nanos += time.ok_or("/proc/PID/schedstat does not begin with a CPU time")?;
            }
        }
        if nanos == 0 {
            return Err(
                "/proc has no schedstat: this kernel was built without CONFIG_SCHED_INFO".into()
            );
        }
        Ok(Duration::from_nanos(nanos + ended * (1_000_000_000 / TICKS)))
    }

    /// Resident memory in bytes, added up; pages that two processes share count twice.
    pub(crate) fn resident(&self) -> Result<u64> {
        self.sum("status", "VmRSS:")
    }

    /// Resident memory in bytes in which a page that several processes share counts once.
    pub(crate) fn proportional(&self) -> Result<u64> {
        self.sum("smaps_rollup", "Pss:")
    }

    fn sum(&self, file: &str, field: &str) -> Result<u64> {
        let mut bytes = 0;
        for member in self.members()? {
            // A process that has just ended (a reload's old worker) holds no memory and says nothing of any, whether its parent
            // has asked for its exit code yet or not.
            let Ok(text) = fs::read_to_string(member.join(file)) else { continue };
            bytes += bytes_of(&text, field).unwrap_or(0);
        }
        if bytes == 0 { Err(format!("/proc/PID/{file} has no {field}").into()) } else { Ok(bytes) }
    }

    fn members(&self) -> Result<impl Iterator<Item = PathBuf>> {
        Ok(self.ids()?.into_iter().map(|id| Path::new("/proc").join(id.to_string())))
    }
}

/// Field `number` of a line of `/proc/PID/stat`, counted from behind the command, which stands in parentheses and may
/// contain spaces and parentheses.
fn field(stat: &str, number: usize) -> Option<u64> {
    stat.rsplit_once(')')?.1.split_whitespace().nth(number)?.parse().ok()
}

/// The process group.
fn group_of(stat: &str) -> Option<u32> {
    u32::try_from(field(stat, 2)?).ok()
}

/// User and system time of children that have ended and been waited for.
fn ended_ticks(stat: &str) -> Option<u64> {
    Some(field(stat, 13)? + field(stat, 14)?)
}

fn bytes_of(text: &str, name: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    let kibibytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kibibytes * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::process::getpgrp;
    use std::time::Instant;

    #[test]
    fn a_command_with_parentheses_does_not_hide_what_follows() {
        let stat = "12 (a b) c) S 1 77 77 0 -1 4194560 1 2 3 4 10 20 30 40 20 0";
        assert_eq!(group_of(stat), Some(77));
        assert_eq!(ended_ticks(stat), Some(70));
        assert_eq!(group_of("12 broken"), None);
    }

    #[test]
    fn resident_memory_is_read_in_bytes() {
        assert_eq!(
            bytes_of("Name:\tx\nVmRSS:\t    2048 kB\nThreads:\t1\n", "VmRSS:"),
            Some(2 << 20)
        );
        assert_eq!(bytes_of("Name:\tkthreadd\n", "VmRSS:"), None);
    }

    #[test]
    fn a_meter_sees_time_pass_in_every_thread() {
        let meter = Meter::of_group(u32::try_from(getpgrp().as_raw_nonzero().get()).unwrap());
        let threads = || fs::read_dir("/proc/self/task").unwrap().count();
        assert!(threads() > 0 && meter.ids().unwrap().contains(&std::process::id()));
        let before = own_cpu();
        let spin = || {
            let start = Instant::now();
            while start.elapsed() < Duration::from_millis(20) {}
            own_cpu()
        };
        let after = std::thread::scope(|scope| scope.spawn(spin).join().unwrap());
        assert!(after > before);
        assert!(meter.resident().unwrap() > 100_000);
    }

    /// This process's time as the meter reads it.
    fn own_cpu() -> u64 {
        let threads = fs::read_dir("/proc/self/task").unwrap().flatten();
        let time = |path: PathBuf| fs::read_to_string(path.join("schedstat")).unwrap_or_default();
        threads
            .filter_map(|thread| time(thread.path()).split(' ').next()?.parse::<u64>().ok())
            .sum()
    }
}
