//! What a process says, as it says it.

use crate::wait::in_time;
use tokio::io::{AsyncBufReadExt, AsyncRead, BufReader};
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// The lines of one of the process's streams, each as `T`.
#[derive(Debug)]
pub struct Lines<T> {
    seen: watch::Sender<Vec<T>>,
    reads: watch::Sender<bool>,
    reader: JoinHandle<()>,
}

impl<T: Clone + Send + Sync + 'static> Lines<T> {
    /// Reads `stream` to its end on a task of its own.
    pub(crate) fn of(
        stream: impl AsyncRead + Send + Unpin + 'static,
        parse: impl Fn(String) -> T + Send + 'static,
    ) -> Self {
        let seen = watch::Sender::new(Vec::new());
        let sender = seen.clone();
        let reads = watch::Sender::new(true);
        let mut may_read = reads.subscribe();
        let reader = tokio::spawn(async move {
            let mut lines = BufReader::new(stream).lines();
            // Who is not read is not heard, either: looked at before each line.
            while may_read.wait_for(|reads| *reads).await.is_ok()
                && let Ok(Some(line)) = lines.next_line().await
            {
                let line = parse(line);
                sender.send_modify(|seen| seen.push(line));
            }
        });
        Self { seen, reads, reader }
    }

    /// Reads no more after the next line: what the process says waits in the pipe, and once that is full, the process
    /// does, unless it knows better.
    pub fn pause(&self) {
        self.reads.send_replace(false);
    }

    /// Reads on after [`Lines::pause`].
    pub fn resume(&self) {
        self.reads.send_replace(true);
    }

    /// Goes away: whoever writes finds the pipe closed.
    pub fn close(&self) {
        self.reader.abort();
    }

    /// How many there are until now.
    pub fn count(&self) -> usize {
        self.seen.borrow().len()
    }

    /// All until now.
    pub fn all(&self) -> Vec<T> {
        self.seen.borrow().clone()
    }

    /// Those from the line numbered `first`, counted from 0, until now.
    pub fn since(&self, first: usize) -> Vec<T> {
        self.seen.borrow().get(first..).unwrap_or_default().to_vec()
    }

    /// Waits until there are at least `count` lines.
    pub async fn wait_for(&self, count: usize) {
        self.wait(&format!("{count} lines"), |seen| (seen.len() >= count).then_some(())).await;
    }

    /// Waits for a line that is as `wanted`, among all that there are and will be.
    pub async fn find(&self, what: &str, wanted: impl Fn(&T) -> bool) -> T {
        self.wait(what, |seen| seen.iter().find(|line| wanted(line)).cloned()).await
    }

    /// Waits until the stream has ended, and returns all.
    pub(crate) async fn drain(&mut self) -> Vec<T> {
        self.resume();
        // An error is a panic of the reader, which the test's output shows.
        let _ = in_time("the end of the output", &mut self.reader).await;
        self.all()
    }

    async fn wait<R>(&self, what: &str, mut look: impl FnMut(&[T]) -> Option<R>) -> R {
        let mut receiver = self.seen.subscribe();
        let mut found = None;
        let waiting = receiver.wait_for(|seen| {
            found = look(seen);
            found.is_some()
        });
        in_time(what, waiting).await.expect("the sender is ours");
        found.expect("waited for it")
    }
}

impl<T> Drop for Lines<T> {
    fn drop(&mut self) {
        self.reader.abort();
    }
}
