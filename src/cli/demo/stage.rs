//! What the demo plays with beside the load balancer: a thread with the test servers and the client.

use std::future::Future;
use std::io;
use std::thread::JoinHandle;
use testserver::{Fleet, FleetError, SEED};
use tokio::runtime::{Builder, Handle};
use tokio::sync::oneshot;

/// A thread of its own, so that neither test servers nor client get in the way of the workers.
#[derive(Debug)]
pub(super) struct Stage {
    handle: Handle,
    end: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Stage {
    /// Starts the thread.
    pub(super) fn start() -> io::Result<Self> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let handle = runtime.handle().clone();
        let (end, ended) = oneshot::channel::<()>();
        let thread = std::thread::Builder::new().name("demo".to_owned()).spawn(move || {
            // A dropped sender is an end as well.
            let _ = runtime.block_on(ended);
        })?;
        Ok(Self { handle, end: Some(end), thread: Some(thread) })
    }

    /// Starts the eight test servers; they stop when the fleet is dropped.
    pub(super) fn test_servers(&self) -> Result<Fleet, FleetError> {
        self.handle.block_on(Fleet::start("127.0.0.1", &SEED))
    }

    /// Lets `task` run on the thread until the stage is dropped.
    pub(super) fn play(&self, task: impl Future<Output = ()> + Send + 'static) {
        self.handle.spawn(task);
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        drop(self.end.take());
        if let Some(thread) = self.thread.take() {
            // A panic on that thread has been reported by itself.
            let _ = thread.join();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_played_runs_and_ends_with_the_stage() {
        let stage = Stage::start().unwrap();
        let (started, begun) = oneshot::channel();
        let (held, mut released) = oneshot::channel::<()>();
        stage.play(async move {
            started.send(()).unwrap();
            std::future::pending::<()>().await;
            drop(held);
        });
        begun.blocking_recv().unwrap();
        drop(stage);
        assert_eq!(released.try_recv(), Err(oneshot::error::TryRecvError::Closed));
    }
}
