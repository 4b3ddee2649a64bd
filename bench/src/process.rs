//! Processes under test: pinned to a core, measured through `/proc`, and never left behind.

mod meter;

use crate::Result;
pub(crate) use meter::Meter;
pub(crate) use rustix::process::Signal;
use rustix::process::{
    Pid, Resource, Rlimit, getppid, getrlimit, kill_process, kill_process_group,
    set_parent_process_death_signal, setrlimit,
};
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};
use rustix::time::{ClockId, clock_gettime};
use std::ffi::OsString;
use std::fs;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

/// How long a process may take to end after SIGTERM before it gets a SIGKILL.
const GRACE: Duration = Duration::from_secs(2);

/// Go's runtime takes one core by being told; the others are told in their configuration.
const ENVIRONMENT: [(&str, &str); 1] = [("GOMAXPROCS", "1")];

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

/// Raises the limit of open files to what is allowed and says what that is; children inherit it.
pub(crate) fn raise_descriptors() -> u64 {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit { current: limit.maximum, maximum: limit.maximum };
    match setrlimit(Resource::Nofile, raised) {
        Ok(()) => limit.maximum.unwrap_or(u64::MAX),
        Err(_) => limit.current.unwrap_or(u64::MAX),
    }
}

/// Keeps the calling thread, and what it starts, on `core`; does nothing without one.
pub(crate) fn pin_this_thread(core: Option<usize>) -> Result<()> {
    let Some(core) = core else { return Ok(()) };
    let mut set = CpuSet::new();
    set.set(core);
    sched_setaffinity(None, &set).map_err(|error| format!("cannot pin to core {core}: {error}"))?;
    Ok(())
}

/// CPU time of this process so far, all threads.
pub(crate) fn own_cpu() -> Duration {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    Duration::new(time.tv_sec.unsigned_abs(), u32::try_from(time.tv_nsec).unwrap_or(0))
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
            .envs(ENVIRONMENT)
            // Whatever it keeps, it keeps there.
            .env("HOME", folder)
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

    /// Waits until `ready` says so; fails when the process ends or ten seconds pass before.
    pub(crate) fn wait_until(&mut self, ready: impl Fn() -> bool) -> Result<()> {
        let start = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait()? {
                return Err(format!("it ended ({status}): {}", self.complaint()).into());
            }
            if ready() {
                return Ok(());
            }
            if start.elapsed() > Duration::from_secs(10) {
                return Err(format!("not ready after 10 s: {}", self.complaint()).into());
            }
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    /// The end of what it wrote to stderr.
    pub(crate) fn complaint(&self) -> String {
        let text = fs::read(&self.stderr).unwrap_or_default();
        String::from_utf8_lossy(&text[text.len().saturating_sub(2_000)..]).into_owned()
    }

    /// A meter of it and its children.
    pub(crate) fn meter(&self) -> Meter {
        Meter::of_group(self.child.id())
    }

    /// Sends `signal` to the process itself, not to its children.
    pub(crate) fn signal_leader(&self, signal: Signal) -> Result<()> {
        let leader = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw);
        Ok(kill_process(leader.ok_or("it has no id")?, signal)?)
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
