//! The access log's way out: a thread that writes what the workers hand it, so that a slow reader of our output
//! never slows a request.

use std::io::{self, Write};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;
use std::time::Duration;
use tokio::time::Instant;

/// The most batches that wait to be written; what comes beyond is dropped and counted.
const MAX_BATCHES: usize = 256;
/// How long the end waits for a slow reader, and how often it looks whether all is written.
const FINISH_AT_MOST: Duration = Duration::from_secs(1);
const FINISH_LOOK: Duration = Duration::from_millis(2);

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
    dropped: AtomicU64,
}

/// One worker's way to the writing thread.
#[derive(Clone, Debug)]
pub struct AccessLogSender(Option<SyncSender<Batch>>);

impl AccessLog {
    /// Starts the writing thread.
    pub fn start() -> io::Result<Self> {
        let (sender, receiver) = sync_channel(MAX_BATCHES);
        let thread = std::thread::Builder::new()
            .name("access-log".to_owned())
            .spawn(move || write_all(&receiver))?;
        Ok(Self {
            sender: Mutex::new(Some(sender)),
            thread: Mutex::new(Some(thread)),
            dropped: AtomicU64::new(0),
        })
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

    /// Lines that were dropped because the output did not take them in time.
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

fn write_all(batches: &Receiver<Batch>) {
    for batch in batches {
        // A reader that has gone away is no reason to stop serving.
        let _ = if batch.to_stderr {
            io::stderr().write_all(&batch.bytes)
        } else {
            let mut stdout = io::stdout().lock();
            stdout.write_all(&batch.bytes).and_then(|()| stdout.flush())
        };
    }
}
