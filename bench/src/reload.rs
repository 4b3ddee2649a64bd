//! Scenario `reload-latency`: from the edit of a running Outrigger's file to its effect.
//!
//! Two effects are timed: the new generation in `/status`, and the first answer to a request that ran
//! under it. The access log says which generation a request ran under; its path carries a number, so
//! that the client's clock counts and not the time at which the line was written.

use crate::Result;
use crate::endpoint::Endpoint;
use crate::machine;
use crate::peer::{Peer, free_address, recreate};
use crate::process::{Cores, Process};
use crate::stats::percentile;
use serde_json::Value;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::io::{BufRead, BufReader, Read, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::Stdio;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Between two requests of the light load: how finely the second effect can be seen.
const BETWEEN_REQUESTS: Duration = Duration::from_millis(1);

/// Between two looks at `/status`: how finely the first effect can be seen.
const BETWEEN_LOOKS: Duration = Duration::from_millis(1);

/// An edit without an effect after this time is a failure.
const PATIENCE: Duration = Duration::from_secs(5);

const ALGORITHMS: [&str; 2] = ["LeastConnections", "RoundRobin"];

/// How a file is edited.
#[derive(Clone, Copy, Debug)]
enum Edit {
    /// A new file is renamed over the old one, as editors do.
    Rename,
    /// The old file is truncated and written, as `kubectl cp` does.
    InPlace,
}

/// What client and log reader find.
#[derive(Default)]
struct Observed {
    /// When the answer to the request of each number was complete.
    answered: Mutex<Vec<Instant>>,
    /// The lowest request number seen in the access log per generation.
    first: Mutex<BTreeMap<u64, usize>>,
    stop: AtomicBool,
}

/// Edits `edits` times in each way and returns the result as Markdown.
pub(crate) fn measure(
    program: &Path,
    cores: Cores,
    edits: usize,
    command: &str,
    work: &Path,
) -> Result<String> {
    let label = Peer::outrigger("", program)?.label;
    let endpoints = [Endpoint::start(Some(cores.load))?, Endpoint::start(Some(cores.load))?];
    let endpoints = endpoints.each_ref().map(Endpoint::address);
    let (listener, admin) = (free_address()?, free_address()?);
    let folder = work.join("reload");
    recreate(&folder)?;
    let file = folder.join("config.yaml");
    let text = |algorithm: &str| configuration(listener, admin, endpoints, algorithm);
    fs::write(&file, text(ALGORITHMS[1]))?;
    let arguments = [program.as_os_str(), "run".as_ref(), "--config".as_ref(), file.as_os_str()];
    let arguments = arguments.map(ToOwned::to_owned);
    let mut process = Process::start(cores.proxy, &arguments, &folder, Stdio::piped())?;
    process.wait_until(|| generation(admin).is_ok() && TcpStream::connect(listener).is_ok())?;
    let log = process.take_stdout().ok_or("stdout is not a pipe")?;

    let observed = Observed::default();
    let found = std::thread::scope(|scope| {
        let reader = scope.spawn(|| observed.read_log(log));
        let client = scope.spawn(|| observed.send_requests(listener));
        let mut number = 0;
        let mut trials = |edit| -> Result<Vec<(Duration, Duration)>> {
            let mut trial = || {
                // Never in step with a debouncer's or a poller's clock.
                std::thread::sleep(Duration::from_millis(150 + (number * 37) % 100));
                let text = text(ALGORITHMS[number as usize % 2]);
                number += 1;
                observed.trial(edit, &file, &text, admin)
            };
            (0..edits).map(|_| trial()).collect()
        };
        let found = [Edit::Rename, Edit::InPlace]
            .map(|edit| trials(edit).map_err(|error| format!("{edit:?}: {error}")));
        observed.stop.store(true, Ordering::Relaxed);
        let sent = client.join().map_err(|_| "the client panicked")?;
        // Ends the log, and with it its reader.
        let complaint = process.complaint();
        drop(process);
        let _ = reader.join();
        let sent = sent.map_err(|error| format!("{error}\n{complaint}"))?;
        let [rename, in_place] = found;
        Ok::<_, Box<dyn std::error::Error + Send + Sync>>((rename?, in_place?, sent))
    });
    let (rename, in_place, sent) = found?;

    let mut table = format!(
        "## From an edit to its effect\n\n{}: {}. {label}. `{command}`\n\nThe algorithm of a backend of two \
         endpoints is switched {edits} times by renaming a new file over the old one and {edits} times by \
         writing the file in place, under {sent} requests one after the other, none of which failed. \
         Milliseconds from the start of the rename or write.\n\n\
         | | new generation in `/status`: p50 | max | first answer under it: p50 | max |\n\
         |---|---|---|---|---|\n",
        machine::today(),
        machine::describe(),
    );
    for (name, trials) in [("rename", rename), ("in place", in_place)] {
        let column = |pick: fn(&(Duration, Duration)) -> Duration| {
            let mut nanos: Vec<u64> =
                trials.iter().map(|trial| pick(trial).as_nanos() as u64).collect();
            nanos.sort_unstable();
            let [p50, max] = [0.5, 1.0].map(|share| percentile(&nanos, share) as f64 / 1e6);
            format!("{p50:.1} | {max:.1}")
        };
        let _ = writeln!(
            table,
            "| {name} | {} | {} |",
            column(|trial| trial.0),
            column(|trial| trial.1)
        );
    }
    Ok(table)
}

impl Observed {
    /// Edits `file` and waits for both effects: how long each took.
    fn trial(
        &self,
        edit: Edit,
        file: &Path,
        text: &str,
        admin: SocketAddr,
    ) -> Result<(Duration, Duration)> {
        let before = generation(admin)?;
        let new = file.with_extension("new");
        if let Edit::Rename = edit {
            fs::write(&new, text)?;
        }
        let start = Instant::now();
        match edit {
            Edit::Rename => fs::rename(&new, file)?,
            Edit::InPlace => fs::write(file, text)?,
        }
        let status = self.until(start, "a new generation in /status", || {
            generation(admin).map(|now| (now != before).then(|| (now, start.elapsed())))
        });
        let (generation, status) = status?;
        let answer =
            self.until(start, "a request under the new generation in the access log", || {
                let Some(&number) = lock(&self.first).get(&generation) else { return Ok(None) };
                Ok(lock(&self.answered).get(number).map(|at| at.saturating_duration_since(start)))
            })?;
        Ok((status, answer))
    }

    fn until<T>(
        &self,
        start: Instant,
        what: &str,
        look: impl Fn() -> Result<Option<T>>,
    ) -> Result<T> {
        while start.elapsed() < PATIENCE && !self.stop.load(Ordering::Relaxed) {
            if let Some(found) = look()? {
                return Ok(found);
            }
            std::thread::sleep(BETWEEN_LOOKS);
        }
        Err(format!("{what}: not seen {:?} after the edit", start.elapsed()).into())
    }

    /// Sends numbered requests, one after the other; returns how many, or the first failure.
    fn send_requests(&self, address: SocketAddr) -> Result<usize> {
        let sent = (|| {
            let mut stream = TcpStream::connect(address)?;
            stream.set_nodelay(true)?;
            stream.set_read_timeout(Some(PATIENCE))?;
            let mut buffer = [0; 4096];
            for number in 0.. {
                if self.stop.load(Ordering::Relaxed) {
                    return Ok(number);
                }
                let request =
                    format!("GET /reload/{number} HTTP/1.1\r\nHost: bench.example\r\n\r\n");
                stream.write_all(request.as_bytes())?;
                let mut filled = 0;
                while !buffer[..filled].ends_with(crate::exchange::BODY) {
                    let count = stream.read(&mut buffer[filled..])?;
                    filled += count;
                    if count == 0 || !buffer.starts_with(b"HTTP/1.1 200 ") {
                        let text = String::from_utf8_lossy(&buffer[..filled]);
                        return Err(format!("request {number} failed: {text:?}").into());
                    }
                }
                lock(&self.answered).push(Instant::now());
                std::thread::sleep(BETWEEN_REQUESTS);
            }
            Err("out of numbers".into())
        })();
        // On a failure nobody need wait any longer.
        self.stop.store(true, Ordering::Relaxed);
        sent
    }

    fn read_log(&self, log: impl Read) {
        for line in BufReader::new(log).lines().map_while(std::result::Result::ok) {
            if let Some((generation, number)) = generation_and_number(&line) {
                let mut first = lock(&self.first);
                let lowest = first.entry(generation).or_insert(number);
                *lowest = number.min(*lowest);
            }
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The generation a line of the access log names and the number in its path.
fn generation_and_number(line: &str) -> Option<(u64, usize)> {
    let line: Value = serde_json::from_str(line).ok()?;
    let number = line["path"].as_str()?.strip_prefix("/reload/")?.parse().ok()?;
    Some((line["generation"].as_u64()?, number))
}

/// The generation that `/status` shows.
fn generation(admin: SocketAddr) -> Result<u64> {
    let mut stream = TcpStream::connect(admin)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    write!(stream, "GET /status HTTP/1.1\r\nHost: {admin}\r\nConnection: close\r\n\r\n")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    let (_, body) = answer.split_once("\r\n\r\n").ok_or("/status: no head")?;
    let body: Value = serde_json::from_str(body).map_err(|error| format!("/status: {error}"))?;
    Ok(body["generation"].as_u64().ok_or("/status: has no generation")?)
}

fn configuration(
    listener: SocketAddr,
    admin: SocketAddr,
    [one, two]: [SocketAddr; 2],
    algorithm: &str,
) -> String {
    format!(
        "admin: {{ address: {admin} }}
workers: 1
shutdown: {{ drainDelay: 0s, drainTimeout: 1s }}
listeners:
  - name: bench
    address: {listener}
backends:
  - name: bench
    algorithm: {algorithm}
    endpoints: [\"http://{one}\", \"http://{two}\"]
"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_our_own_numbered_requests_count() {
        let line =
            r#"{"level":"info","msg":"access to endpoint","path":"/reload/17","generation":4}"#;
        assert_eq!(generation_and_number(line), Some((4, 17)));
        assert_eq!(generation_and_number(r#"{"path":"/","generation":4}"#), None);
        assert_eq!(generation_and_number("plain text"), None);
    }
}
