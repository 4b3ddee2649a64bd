//! How many system calls a proxy makes for a request: counted by perf, or by strace where perf may not.

use crate::Result;
use crate::machine;
use rustix::process::{Pid, Signal, kill_process};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// How long the counter gets to attach.
const ATTACH: Duration = Duration::from_millis(200);

/// A program that counts system calls.
#[derive(Clone, Debug)]
pub(crate) enum Counter {
    /// `perf stat` of the tracepoint at their entry: hardly slows anything.
    Perf(PathBuf),
    /// `strace -c`: slows the proxy many times over.
    Strace(PathBuf),
}

/// A count that is going on.
pub(crate) struct Counting<'a> {
    counter: &'a Counter,
    child: Child,
}

impl Counter {
    /// The better of those that work here.
    pub(crate) fn find() -> Option<Counter> {
        let works = |program: &PathBuf, arguments: &[&str]| {
            let mut command = Command::new(program);
            command
                .args(arguments)
                .arg("true")
                .stdin(Stdio::null())
                .stdout(Stdio::null())
                .stderr(Stdio::null());
            command.status().is_ok_and(|status| status.success())
        };
        let perf = machine::find("perf")
            .filter(|perf| works(perf, &["stat", "-e", "raw_syscalls:sys_enter"]));
        let strace = || machine::find("strace").filter(|strace| works(strace, &["-c", "-f"]));
        let found = perf.map(Counter::Perf).or_else(|| strace().map(Counter::Strace));
        if found.is_none() {
            eprintln!(
                "bench: neither perf nor strace can count system calls here; they are left out"
            );
        }
        found
    }

    /// Its name.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Counter::Perf(_) => "perf stat -e raw_syscalls:sys_enter",
            Counter::Strace(_) => "strace -c -f",
        }
    }

    /// Begins to count the calls of these processes.
    pub(crate) fn start(&self, ids: &[u32]) -> Result<Counting<'_>> {
        let ids: Vec<String> = ids.iter().map(ToString::to_string).collect();
        let mut command = match self {
            Counter::Perf(program) => {
                let mut command = Command::new(program);
                command.args([
                    "stat",
                    "-x",
                    ",",
                    "-e",
                    "raw_syscalls:sys_enter",
                    "-p",
                    &ids.join(","),
                ]);
                command
            }
            Counter::Strace(program) => {
                let mut command = Command::new(program);
                command.args(["-c", "-f", "-U", "calls,name"]);
                for id in &ids {
                    command.args(["-p", id]);
                }
                command
            }
        };
        let child =
            command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn()?;
        std::thread::sleep(ATTACH);
        Ok(Counting { counter: self, child })
    }
}

impl Counting<'_> {
    /// Ends it and says how many there were.
    pub(crate) fn stop(self) -> Result<u64> {
        let id = Pid::from_raw(i32::try_from(self.child.id())?).ok_or("no id")?;
        kill_process(id, Signal::INT)?;
        let output = self.child.wait_with_output()?;
        let text = String::from_utf8_lossy(&output.stderr);
        let count = match self.counter {
            Counter::Perf(_) => perf_count(&text),
            Counter::Strace(_) => strace_count(&text),
        };
        Ok(count.ok_or_else(|| format!("{}: {text}", self.counter.name()))?)
    }
}

fn perf_count(text: &str) -> Option<u64> {
    text.lines()
        .find(|line| line.contains("raw_syscalls:sys_enter"))?
        .split(',')
        .next()?
        .parse()
        .ok()
}

fn strace_count(text: &str) -> Option<u64> {
    let total = text.lines().find(|line| line.trim_end().ends_with(" total"))?;
    total.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_programs_tell_their_count() {
        assert_eq!(perf_count("4123,,raw_syscalls:sys_enter,200,100.00,,\n"), Some(4123));
        assert_eq!(perf_count("<not counted>,,raw_syscalls:sys_enter,0,100.00,,\n"), None);
        let strace = "    calls syscall\n--------- ---------\n     7 read\n--------- ---------\n    12 total\n";
        assert_eq!(strace_count(strace), Some(12));
    }
}
