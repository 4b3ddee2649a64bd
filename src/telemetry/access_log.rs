//! The access log's way out: a thread that writes what the workers hand it, so that a slow reader of our output
//! never slows a request.

use rustix::io::Errno;
use std::io;
use std::os::fd::AsFd;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;
use tokio::time::Instant;

/// The most batches that wait to be written; what comes beyond is dropped and counted.
const MAX_BATCHES: usize = 256;
/// How long the end waits for a slow reader, and how often it looks whether all is written.
const FINISH_AT_MOST: Duration = Duration::from_secs(1);
const FINISH_LOOK: Duration = Duration::from_millis(2);
/// How often at most lost lines are said.
const REMINDER: Duration = Duration::from_secs(10);

/// Lines on their way out.
#[derive(Debug)]
pub struct Batch {
    /// Whole lines, each with its line end.
    pub bytes: Vec<u8>,
    /// How many lines these are.
    pub lines: u64,
    /// Whether they go to standard error instead of standard output.
    pub to_stderr: bool,
}

/// The writing thread, and what it could not write.
#[derive(Debug)]
pub struct AccessLog {
    sender: Mutex<Option<SyncSender<Batch>>>,
    thread: Mutex<Option<JoinHandle<()>>>,
    dropped: Arc<AtomicU64>,
}

/// One worker's way to the writing thread.
#[derive(Clone, Debug)]
pub struct AccessLogSender(Option<SyncSender<Batch>>);

impl AccessLog {
    /// Starts the writing thread.
    pub fn start() -> io::Result<Self> {
        let (sender, receiver) = sync_channel(MAX_BATCHES);
        let dropped = Arc::new(AtomicU64::new(0));
        let thread = std::thread::Builder::new().name("access-log".to_owned()).spawn({
            let dropped = Arc::clone(&dropped);
            move || write_all(&receiver, &dropped)
        })?;
        Ok(Self { sender: Mutex::new(Some(sender)), thread: Mutex::new(Some(thread)), dropped })
    }

    /// A way to the thread. It is to be dropped before [`AccessLog::finish`].
    pub fn sender(&self) -> AccessLogSender {
        AccessLogSender(lock(&self.sender).clone())
    }

    /// Hands `batch` over without waiting. When the thread is behind, the batch is dropped and counted.
    pub fn send(&self, sender: &AccessLogSender, batch: Batch) {
        let lines = batch.lines;
        let sent = sender.0.as_ref().is_some_and(|sender| sender.try_send(batch).is_ok());
        if !sent {
            self.dropped.fetch_add(lines, Relaxed);
        }
    }

    /// Lines that were dropped because the output did not take them, in time or at all.
    pub fn dropped(&self) -> u64 {
        self.dropped.load(Relaxed)
    }

    /// Waits until everything is written, but not for a reader that takes nothing any more; all senders must be gone.
    pub fn finish(&self) {
        drop(lock(&self.sender).take());
        let Some(thread) = lock(&self.thread).take() else { return };
        let deadline = Instant::now() + FINISH_AT_MOST;
        // A pipe that is full and not read would keep the process from ever ending.
        while !thread.is_finished() {
            if Instant::now() >= deadline {
                tracing::warn!("the access log's reader takes nothing: its last lines are lost");
                return;
            }
            std::thread::sleep(FINISH_LOOK);
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

fn write_all(batches: &Receiver<Batch>, dropped: &AtomicU64) {
    let (mut stdout, mut stderr) = (Output::default(), Output::default());
    let (mut told, mut told_at) = (0, None);
    for batch in batches {
        // Not by way of `io::stdout`, which keeps what could not be written, and not under a lock, which would keep those
        // waiting who write to standard error for other reasons.
        let outcome = if batch.to_stderr {
            stderr.write(&batch.bytes, |bytes| rustix::io::write(io::stderr().as_fd(), bytes))
        } else {
            stdout.write(&batch.bytes, |bytes| rustix::io::write(io::stdout().as_fd(), bytes))
        };
        // A reader that has gone away or a disk that is full is no reason to stop serving.
        let reason = match outcome {
            Ok(()) => "its output is too slow".to_owned(),
            Err((error, lost)) => {
                dropped.fetch_add(lost, Relaxed);
                error.to_string()
            }
        };
        let now = Instant::now();
        let lost = dropped.load(Relaxed) - told;
        if lost > 0 && told_at.is_none_or(|at| now.duration_since(at) >= REMINDER) {
            told += lost;
            told_at = Some(now);
            tracing::warn!("{lost} lines of the access log were dropped: {reason}");
        }
    }
}

/// One of the two outputs.
#[derive(Debug, Default)]
struct Output {
    /// Whether what was written ends in the middle of a line, whose rest is lost.
    torn: bool,
}

impl Output {
    /// Writes whole lines; on failure says how many are lost.
    fn write(
        &mut self,
        lines: &[u8],
        mut write: impl FnMut(&[u8]) -> rustix::io::Result<usize>,
    ) -> Result<(), (io::Error, u64)> {
        let mut all = |mut bytes: &[u8]| {
            while !bytes.is_empty() {
                match write(bytes) {
                    Ok(0) => return Err((Errno::IO, bytes.len())),
                    Ok(written) => bytes = &bytes[written..],
                    Err(Errno::INTR) => {}
                    Err(error) => return Err((error, bytes.len())),
                }
            }
            Ok(())
        };
        let count = |bytes: &[u8]| bytes.iter().filter(|byte| **byte == b'\n').count() as u64;
        if self.torn {
            // The next line begins where a line begins.
            all(b"\n").map_err(|(error, _)| (error.into(), count(lines)))?;
            self.torn = false;
        }
        all(lines).map_err(|(error, left)| {
            let (written, lost) = lines.split_at(lines.len() - left);
            self.torn = written.last().is_some_and(|byte| *byte != b'\n');
            (error.into(), count(lost))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A disk with so many bytes left.
    fn disk(left: &mut usize, written: &mut Vec<u8>, bytes: &[u8]) -> rustix::io::Result<usize> {
        let now = bytes.len().min(*left);
        if now == 0 {
            return Err(Errno::NOSPC);
        }
        *left -= now;
        written.extend_from_slice(&bytes[..now]);
        Ok(now)
    }

    #[test]
    fn a_full_disk_costs_lines_that_are_counted_and_tears_no_later_one() {
        let (mut output, mut written) = (Output::default(), Vec::new());
        let mut write = |mut left: usize| {
            let outcome = output.write(b"one\ntwo\n", |bytes| disk(&mut left, &mut written, bytes));
            outcome.map_err(|(error, lost)| (error.raw_os_error(), lost))
        };
        let full = Some(Errno::NOSPC.raw_os_error());
        assert_eq!(write(100), Ok(()));
        assert_eq!(write(0), Err((full, 2)), "nothing was written, nothing is torn");
        assert_eq!(write(6), Err((full, 1)));
        assert_eq!(write(0), Err((full, 2)));
        assert_eq!(write(100), Ok(()));
        assert_eq!(String::from_utf8(written).unwrap(), "one\ntwo\none\ntw\none\ntwo\n");
    }
}
