//! Processes under test: pinned to a core, measured through `/proc`, and never left behind.

use crate::Result;
use rustix::process::{Pid, Signal, getppid, kill_process_group, set_parent_process_death_signal};
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};
use std::ffi::OsString;
use std::fs;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

/// How long a process may take to end after SIGTERM before it gets a SIGKILL.
const GRACE: Duration = Duration::from_secs(2);

/// Which cores do what.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cores {
    /// The proxy's, alone.
    pub(crate) proxy: usize,
    /// The client's and the endpoint's.
    pub(crate) load: usize,
}

/// The cores this process may use.
pub(crate) fn available_cores() -> Result<Vec<usize>> {
    let set = sched_getaffinity(None)?;
    Ok((0..CpuSet::MAX_CPU).filter(|&core| set.is_set(core)).collect())
}

/// Keeps the calling thread, and what it starts, on `core`; does nothing without one.
pub(crate) fn pin_this_thread(core: Option<usize>) -> Result<()> {
    let Some(core) = core else { return Ok(()) };
    let mut set = CpuSet::new();
    set.set(core);
    sched_setaffinity(None, &set).map_err(|error| format!("cannot pin to core {core}: {error}"))?;
    Ok(())
}

/// Becomes `command`, pinned to `core` and ended by SIGTERM when its parent is no more. Returns only
/// what went wrong.
pub(crate) fn become_pinned(core: usize, command: &[OsString]) -> Result<()> {
    pin_this_thread(Some(core))?;
    set_parent_process_death_signal(Some(Signal::TERM))?;
    // The parent may have ended before the signal was asked for; then init is our parent.
    if getppid() == Some(Pid::INIT) {
        return Err("the parent ended first".into());
    }
    let (program, arguments) = command.split_first().ok_or("no command")?;
    Err(Command::new(program).args(arguments).exec().into())
}

/// A process of ours with all its children; they end when it is dropped.
pub(crate) struct Process {
    child: Child,
    stderr: PathBuf,
}

impl Process {
    /// Starts `command` in `folder`, pinned to `core`, with its stderr in a file there.
    pub(crate) fn start(
        core: usize,
        command: &[OsString],
        folder: &Path,
        stdout: Stdio,
    ) -> Result<Process> {
        let stderr = folder.join("stderr.log");
        let child = Command::new(std::env::current_exe()?)
            .args(["exec", "--core", &core.to_string(), "--"])
            .args(command)
            .current_dir(folder)
            .stdin(Stdio::null())
            .stdout(stdout)
            .stderr(fs::File::create(&stderr)?)
            // A group of its own, so that one signal reaches its children, too.
            .process_group(0)
            .spawn()?;
        Ok(Process { child, stderr })
    }

    /// The pipe that was asked for as stdout; `None` the second time.
    pub(crate) fn take_stdout(&mut self) -> Option<ChildStdout> {
        self.child.stdout.take()
    }

    /// Waits until `ready` says so; fails when the process ends or five seconds pass before.
    pub(crate) fn wait_until(&mut self, ready: impl Fn() -> bool) -> Result<()> {
        let start = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait()? {
                return Err(format!("it ended ({status}): {}", self.complaint()).into());
            }
            if ready() {
                return Ok(());
            }
            if start.elapsed() > Duration::from_secs(5) {
                return Err(format!("not ready after 5 s: {}", self.complaint()).into());
            }
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// The end of what it wrote to stderr.
    pub(crate) fn complaint(&self) -> String {
        let text = fs::read(&self.stderr).unwrap_or_default();
        String::from_utf8_lossy(&text[text.len().saturating_sub(2_000)..]).into_owned()
    }

    /// A meter of all processes of its group that exist now.
    pub(crate) fn meter(&self) -> Result<Meter> {
        let group = self.child.id();
        let mut members = Vec::new();
        for entry in fs::read_dir("/proc")? {
            let path = entry?.path();
            // Not a process, or one that has just ended.
            let Ok(stat) = fs::read_to_string(path.join("stat")) else { continue };
            if group_of(&stat) == Some(group) {
                members.push(path);
            }
        }
        match members.is_empty() {
            true => Err(format!("it is no more: {}", self.complaint()).into()),
            false => Ok(Meter { members }),
        }
    }

    fn signal(&self, signal: Signal) {
        let group = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw);
        if let Some(group) = group {
            // Fails when the whole group has ended already, which is what we want.
            let _ = kill_process_group(group, signal);
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.signal(Signal::TERM);
        let start = Instant::now();
        while start.elapsed() < GRACE {
            match self.child.try_wait() {
                Ok(None) => std::thread::sleep(Duration::from_millis(5)),
                _ => break,
            }
        }
        // Also when the leader has ended: its children might not have.
        self.signal(Signal::KILL);
        let _ = self.child.wait();
    }
}

/// Reads what a group of processes has used.
pub(crate) struct Meter {
    members: Vec<PathBuf>,
}

impl Meter {
    /// CPU time of all threads so far. (`schedstat` counts nanoseconds, `stat` only ticks of 10 ms.)
    pub(crate) fn cpu(&self) -> Result<Duration> {
        let mut nanos = 0;
        for member in &self.members {
            for thread in fs::read_dir(member.join("task"))? {
                let path = thread?.path().join("schedstat");
                // A thread that has just ended takes its time along; ours live as long as the process.
                let Ok(text) = fs::read_to_string(path) else { continue };
                let time = text.split_whitespace().next().and_then(|time| time.parse::<u64>().ok());
                nanos += time.ok_or("/proc/PID/schedstat does not begin with a CPU time")?;
            }
        }
        match nanos {
            0 => {
                Err("/proc has no schedstat: this kernel was built without CONFIG_SCHED_INFO"
                    .into())
            }
            _ => Ok(Duration::from_nanos(nanos)),
        }
    }

    /// Resident memory in bytes, added up; pages that two processes share count twice.
    pub(crate) fn resident(&self) -> Result<u64> {
        let mut bytes = 0;
        for member in &self.members {
            let status = fs::read_to_string(member.join("status"))?;
            bytes += resident_of(&status).ok_or("/proc/PID/status has no VmRSS")?;
        }
        Ok(bytes)
    }
}

/// The process group in a line of `/proc/PID/stat`: the third field after the command, which stands
/// in parentheses and may contain spaces and parentheses.
fn group_of(stat: &str) -> Option<u32> {
    stat.rsplit_once(')')?.1.split_whitespace().nth(2)?.parse().ok()
}

fn resident_of(status: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kibibytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kibibytes * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_with_parentheses_does_not_hide_the_group() {
        assert_eq!(group_of("12 (a b) c) S 1 77 77 0 -1 4194560"), Some(77));
        assert_eq!(group_of("12 broken"), None);
    }

    #[test]
    fn resident_memory_is_read_in_bytes() {
        assert_eq!(resident_of("Name:\tx\nVmRSS:\t    2048 kB\nThreads:\t1\n"), Some(2 << 20));
        assert_eq!(resident_of("Name:\tkthreadd\n"), None);
    }

    #[test]
    fn a_meter_sees_time_pass_in_every_thread() {
        let meter = Meter { members: vec![PathBuf::from("/proc/self")] };
        let before = meter.cpu().unwrap();
        let spin = || {
            let start = Instant::now();
            while start.elapsed() < Duration::from_millis(20) {}
            meter.cpu().unwrap()
        };
        let after = std::thread::scope(|scope| scope.spawn(spin).join().unwrap());
        assert!(after > before);
        assert!(meter.resident().unwrap() > 100_000);
    }
}
