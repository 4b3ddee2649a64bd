//! The life of the process: when it is ready, and how it stops without dropping a request.
//!
//! State only: whoever holds a [`Lifecycle`] reads the phase or waits for one; nothing here knows what is
//! started or stopped.

mod open_files;

pub use open_files::{OpenFiles, raise_open_files};

use std::io;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::signal::unix::{Signal as Stream, SignalKind, signal};
use tokio::sync::futures::Notified;
use tokio::sync::{Notify, watch};

/// Where the process is in its life. Only ever moves forward.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Phase {
    /// Not ready: somebody still holds a [`ReadyGuard`]. Connections that come are served all the same.
    Starting,
    /// Ready.
    Ready,
    /// Unready, so that no new client is sent here; who comes is served as before.
    Draining,
    /// Every response says `Connection: close`; listeners close once their accept queues are empty.
    Closing,
    /// What is still open is dropped.
    Ended,
}

/// How long the phases of stopping last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Drain {
    /// The length of [`Phase::Draining`]: as long as it takes until no one sends new clients here.
    pub delay: Duration,
    /// The longest [`Phase::Closing`] may take.
    pub timeout: Duration,
}

/// A request from outside, by signal or otherwise.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signal {
    /// SIGTERM: drain, close, end; at once if we are stopping already.
    Terminate,
    /// SIGINT: as `Terminate`, but without the delay, since a person waits.
    Interrupt,
    /// SIGHUP: look at the configuration again.
    Hangup,
}

/// The one life of this process; clones share it.
#[derive(Clone, Debug)]
pub struct Lifecycle(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    /// A copy of what `changes` holds, for the hot path.
    phase: AtomicU8,
    changes: watch::Sender<Phase>,
    held_by: Mutex<Vec<String>>,
    drain: Mutex<Drain>,
    reload: Notify,
    insisted: Notify,
}

/// Keeps the process unready until it is dropped.
#[derive(Debug)]
#[must_use = "readiness is held only as long as the guard lives"]
pub struct ReadyGuard {
    lifecycle: Lifecycle,
    name: String,
}

impl Default for Lifecycle {
    fn default() -> Self {
        Self::new()
    }
}

impl Lifecycle {
    /// A process that is starting. It gets ready when the last [`ReadyGuard`] is dropped, so whoever creates
    /// this takes the first guard and keeps it until the others have theirs.
    pub fn new() -> Self {
        Self(Arc::new(Shared {
            phase: AtomicU8::new(Phase::Starting as u8),
            changes: watch::Sender::new(Phase::Starting),
            held_by: Mutex::default(),
            drain: Mutex::new(Drain { delay: Duration::ZERO, timeout: Duration::ZERO }),
            reload: Notify::new(),
            insisted: Notify::new(),
        }))
    }

    /// The present phase. One atomic load.
    pub fn phase(&self) -> Phase {
        match self.0.phase.load(Ordering::Acquire) {
            0 => Phase::Starting,
            1 => Phase::Ready,
            2 => Phase::Draining,
            3 => Phase::Closing,
            _ => Phase::Ended,
        }
    }

    /// Whether new clients should be sent here.
    pub fn ready(&self) -> bool {
        self.phase() == Phase::Ready
    }

    /// Waits until `phase` or a later one is reached. Cancel safe.
    pub async fn wait_for(&self, phase: Phase) {
        // Cannot fail: the sender lives as long as `self`.
        let _ = self.0.changes.subscribe().wait_for(|present| *present >= phase).await;
    }

    /// Keeps the process from getting ready until the guard is dropped; `name` tells an operator what is
    /// awaited. Without effect once it has been ready.
    pub fn hold_ready(&self, name: impl Into<String>) -> ReadyGuard {
        let name = name.into();
        locked(&self.0.held_by).push(name.clone());
        ReadyGuard { lifecycle: self.clone(), name }
    }

    /// The names of those who hold readiness, oldest first.
    pub fn held_by(&self) -> Vec<String> {
        locked(&self.0.held_by).clone()
    }

    /// Sets how long stopping will take. Before the configuration is read there is nothing to wait for, and it
    /// takes no time; once begun it keeps its times.
    pub fn set_drain(&self, drain: Drain) {
        *locked(&self.0.drain) = drain;
    }

    /// Begins to stop: [`Phase::Draining`] now, [`Phase::Closing`] after the delay, [`Phase::Ended`] at the
    /// latest after the timeout. Without effect if that has begun. Call within a tokio runtime.
    pub fn begin_drain(&self, drain: Drain) {
        if !self.advance(Phase::Draining) {
            return;
        }
        tracing::info!(?drain.delay, ?drain.timeout, "stopping: unready now, then closing");
        // Without a timer, so that no delay is none.
        if drain.delay.is_zero() {
            self.advance(Phase::Closing);
        }
        let lifecycle = self.clone();
        tokio::spawn(async move {
            let stopping = async {
                tokio::time::sleep(drain.delay).await;
                lifecycle.advance(Phase::Closing);
                tokio::time::sleep(drain.timeout).await;
                if lifecycle.advance(Phase::Ended) {
                    tracing::warn!(?drain.timeout, "still busy after the drain timeout: ending all the same");
                }
            };
            tokio::select! {
                () = stopping => {}
                () = lifecycle.wait_for(Phase::Ended) => {}
            }
        });
    }

    /// Goes on to [`Phase::Closing`] now, if it has begun to stop: because nobody sends new clients here.
    pub fn skip_delay(&self) {
        if self.phase() == Phase::Draining {
            self.advance(Phase::Closing);
        }
    }

    /// Ends now: because all is done, or because somebody insists.
    pub fn end_now(&self) {
        self.advance(Phase::Ended);
    }

    /// Waits for the next signal that wants the end at once, counted from this call.
    pub fn insisted(&self) -> Notified<'_> {
        self.0.insisted.notified()
    }

    /// Asks for a look at the configuration.
    pub fn request_reload(&self) {
        self.0.reload.notify_one();
    }

    /// Waits for the next [`Lifecycle::request_reload`]; several in the meantime count as one. For one waiter.
    /// Cancel safe.
    pub async fn reload_requested(&self) {
        self.0.reload.notified().await;
    }

    /// Does what `signal` asks for. Call within a tokio runtime.
    pub fn on_signal(&self, signal: Signal) {
        let drain = *locked(&self.0.drain);
        let stopping = self.phase() >= Phase::Draining;
        match signal {
            Signal::Hangup => self.request_reload(),
            Signal::Terminate | Signal::Interrupt if stopping => {
                tracing::warn!("second signal: ending at once");
                self.end_now();
                self.0.insisted.notify_waiters();
            }
            Signal::Terminate => self.begin_drain(drain),
            Signal::Interrupt => self.begin_drain(Drain { delay: Duration::ZERO, ..drain }),
        }
    }

    /// Moves on to `phase`; false if we are there or beyond.
    fn advance(&self, phase: Phase) -> bool {
        self.0.changes.send_if_modified(|present| {
            let forward = phase > *present;
            if forward {
                *present = phase;
                self.0.phase.store(phase as u8, Ordering::Release);
            }
            forward
        })
    }
}

impl Drop for ReadyGuard {
    fn drop(&mut self) {
        let mut names = locked(&self.lifecycle.0.held_by);
        if let Some(index) = names.iter().position(|name| *name == self.name) {
            names.remove(index);
        }
        // Under the lock, so that no other guard is taken in between.
        if names.is_empty() {
            self.lifecycle.advance(Phase::Ready);
        }
    }
}

/// The signals of the operating system.
#[derive(Debug)]
pub struct Signals {
    terminate: Stream,
    interrupt: Stream,
    hangup: Stream,
}

impl Signals {
    /// Takes over SIGTERM, SIGINT and SIGHUP: from here on they no longer end the process, and none is lost
    /// before [`Signals::serve`] runs. Call within a tokio runtime.
    pub fn install() -> io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hangup: signal(SignalKind::hangup())?,
        })
    }

    /// Hands every signal to `lifecycle` until this is dropped: somebody may insist after the end of the drain timeout, too.
    pub async fn serve(mut self, lifecycle: Lifecycle) {
        loop {
            let signal = tokio::select! {
                Some(()) = self.terminate.recv() => Signal::Terminate,
                Some(()) = self.interrupt.recv() => Signal::Interrupt,
                Some(()) = self.hangup.recv() => Signal::Hangup,
                else => return,
            };
            lifecycle.on_signal(signal);
        }
    }
}

/// Nothing that holds these locks can leave them half changed.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::time::{Instant, advance};

    const DRAIN: Drain = Drain { delay: Duration::from_secs(5), timeout: Duration::from_secs(30) };

    fn ready() -> Lifecycle {
        let lifecycle = Lifecycle::new();
        drop(lifecycle.hold_ready("start"));
        assert!(lifecycle.ready());
        lifecycle
    }

    /// R7
    #[test]
    fn not_ready_before_the_last_guard_is_dropped() {
        let lifecycle = Lifecycle::new();
        assert!(!lifecycle.ready());
        let configuration = lifecycle.hold_ready("configuration");
        let probes = lifecycle.hold_ready("first probe round");
        assert_eq!(lifecycle.held_by(), ["configuration", "first probe round"]);
        drop(configuration);
        assert!(!lifecycle.ready());
        assert_eq!(lifecycle.held_by(), ["first probe round"]);
        drop(probes);
        assert!(lifecycle.ready());
    }

    #[test]
    fn a_late_guard_does_not_take_readiness_back() {
        let lifecycle = ready();
        let _guard = lifecycle.hold_ready("reload");
        assert!(lifecycle.ready());
    }

    #[tokio::test(start_paused = true)]
    async fn a_signal_before_the_configuration_is_read_ends_without_delay() {
        let lifecycle = Lifecycle::new();
        let start = Instant::now();
        lifecycle.on_signal(Signal::Terminate);
        lifecycle.wait_for(Phase::Ended).await;
        assert!(start.elapsed() < Duration::from_millis(10));
    }

    /// K4
    #[tokio::test(start_paused = true)]
    async fn sigterm_is_unready_at_once_accepts_for_the_delay_and_ends_after_the_timeout() {
        let lifecycle = ready();
        lifecycle.set_drain(DRAIN);
        let start = Instant::now();
        lifecycle.on_signal(Signal::Terminate);
        assert_eq!(lifecycle.phase(), Phase::Draining);
        assert!(!lifecycle.ready());
        lifecycle.wait_for(Phase::Closing).await;
        assert_eq!(lifecycle.phase(), Phase::Closing);
        assert_eq!(start.elapsed().as_secs(), 5);
        lifecycle.wait_for(Phase::Ended).await;
        assert_eq!(start.elapsed().as_secs(), 35);
    }

    #[tokio::test(start_paused = true)]
    async fn a_skipped_delay_is_none_and_begins_nothing_by_itself() {
        let lifecycle = ready();
        lifecycle.set_drain(DRAIN);
        lifecycle.skip_delay();
        assert!(lifecycle.ready());
        let start = Instant::now();
        lifecycle.on_signal(Signal::Terminate);
        lifecycle.skip_delay();
        lifecycle.wait_for(Phase::Closing).await;
        assert_eq!(start.elapsed().as_secs(), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn sigint_does_not_make_a_person_wait_for_the_delay() {
        let lifecycle = ready();
        lifecycle.set_drain(DRAIN);
        let start = Instant::now();
        lifecycle.on_signal(Signal::Interrupt);
        assert_eq!(lifecycle.phase(), Phase::Closing);
        lifecycle.wait_for(Phase::Ended).await;
        assert_eq!(start.elapsed().as_secs(), 30);
    }

    #[tokio::test(start_paused = true)]
    async fn a_second_signal_ends_at_once_in_every_phase() {
        for second in [Signal::Terminate, Signal::Interrupt] {
            for wait in [0, 3, 10] {
                let lifecycle = ready();
                lifecycle.set_drain(DRAIN);
                lifecycle.on_signal(Signal::Terminate);
                advance(Duration::from_secs(wait)).await;
                lifecycle.on_signal(second);
                assert_eq!(lifecycle.phase(), Phase::Ended);
            }
        }
    }

    #[tokio::test(start_paused = true)]
    async fn the_phase_never_goes_back() {
        let lifecycle = Lifecycle::new();
        let guard = lifecycle.hold_ready("start");
        lifecycle.begin_drain(DRAIN);
        drop(guard);
        assert_eq!(lifecycle.phase(), Phase::Draining);
        lifecycle.end_now();
        lifecycle.begin_drain(DRAIN);
        tokio::time::sleep(Duration::from_secs(60)).await;
        assert_eq!(lifecycle.phase(), Phase::Ended);
    }

    #[tokio::test(start_paused = true)]
    async fn a_second_drain_does_not_change_the_times_of_the_first() {
        let lifecycle = ready();
        let start = Instant::now();
        lifecycle.begin_drain(DRAIN);
        lifecycle.begin_drain(Drain { delay: Duration::ZERO, timeout: Duration::ZERO });
        lifecycle.wait_for(Phase::Ended).await;
        assert_eq!(start.elapsed().as_secs(), 35);
    }

    #[tokio::test(start_paused = true)]
    async fn reloads_asked_for_while_busy_count_as_one() {
        let lifecycle = ready();
        lifecycle.on_signal(Signal::Hangup);
        lifecycle.on_signal(Signal::Hangup);
        lifecycle.reload_requested().await;
        let again = tokio::time::timeout(Duration::from_secs(1), lifecycle.reload_requested());
        assert!(again.await.is_err());
        assert!(lifecycle.ready());
    }

    #[tokio::test]
    async fn a_real_signal_arrives_even_before_it_is_served() {
        let lifecycle = ready();
        let signals = Signals::install().unwrap();
        let this = rustix::process::getpid();
        rustix::process::kill_process(this, rustix::process::Signal::HUP).unwrap();
        let serving = tokio::spawn(signals.serve(lifecycle.clone()));
        tokio::time::timeout(Duration::from_secs(20), lifecycle.reload_requested()).await.unwrap();
        lifecycle.end_now();
        // Not SIGTERM, which other tests of this process would hear.
        rustix::process::kill_process(this, rustix::process::Signal::HUP).unwrap();
        let again = tokio::time::timeout(Duration::from_secs(20), lifecycle.reload_requested());
        again.await.expect("signals are heard to the very end");
        serving.abort();
    }
}
