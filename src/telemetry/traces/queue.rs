//! Traces that wait, and the thread that sends them.

use super::collector::Collector;
use super::options::Options;
use super::outcome::Outcome;
use super::{Counters, FLUSH_AT_MOST, Finished, count};
use opentelemetry_sdk::trace::SpanData;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use std::sync::mpsc::{self, Receiver, Sender, TryRecvError};
use std::time::Duration;
use tokio::sync::{Notify, watch};
use tokio::time::{Instant, MissedTickBehavior, sleep, sleep_until};

/// How often a batch is sent, the first time included.
const TRIES: u32 = 5;

/// The pause before the second try, about; each further one is twice as long.
const FIRST_PAUSE: Duration = Duration::from_millis(500);

/// The longest that a collector may have us wait.
const MAX_PAUSE: Duration = Duration::from_secs(30);

/// Traces that wait for one collector. Dropping it ends its thread when all are sent.
pub(super) struct Queue {
    traces: Sender<Arc<dyn Finished>>,
    shared: Arc<Shared>,
    /// Until when what waits is still sent, once nothing more comes.
    until: watch::Sender<Option<Instant>>,
    over: Arc<Over>,
}

/// What both ends of a queue know.
struct Shared {
    counters: Arc<Counters>,
    /// Spans that wait.
    waiting: AtomicUsize,
    max_waiting: usize,
    /// Whether some were dropped since a batch was begun.
    overflows: AtomicBool,
    /// How many are enough for an export.
    max_batch: usize,
    /// Told when there are enough.
    enough: Notify,
}

type Over = std::sync::Mutex<Receiver<()>>;

/// A queue to which nothing more comes.
#[derive(Clone)]
pub(super) struct Ending {
    until: watch::Sender<Option<Instant>>,
    over: Arc<Over>,
}

impl Queue {
    /// Starts the thread that sends.
    pub(super) fn start(options: Options, counters: Arc<Counters>) -> io::Result<Self> {
        Self::start_on(std::thread::Builder::new().name("traces".to_owned()), options, counters)
    }

    /// Starts `thread`.
    pub(super) fn start_on(
        thread: std::thread::Builder,
        options: Options,
        counters: Arc<Counters>,
    ) -> io::Result<Self> {
        let (traces, receiver) = mpsc::channel();
        let (until, ends) = watch::channel(None);
        let (alive, over) = mpsc::channel();
        let shared = Arc::new(Shared {
            counters,
            waiting: AtomicUsize::new(0),
            max_waiting: options.max_queue_size,
            overflows: AtomicBool::new(false),
            max_batch: options.max_batch_size.max(1),
            enough: Notify::new(),
        });
        let (theirs, delay) = (Arc::clone(&shared), options.batch_delay);
        let (begun, is_begun) = mpsc::channel();
        thread.spawn(move || {
            let _alive: Sender<()> = alive;
            // Made here: where a thread cannot be had, one that was made before would be dropped by another runtime's thread, which
            // must not do that.
            let built = tokio::runtime::Builder::new_current_thread().enable_all().build();
            let (runtime, result) = match built {
                Ok(runtime) => (Some(runtime), Ok(())),
                Err(error) => (None, Err(error)),
            };
            let _ = begun.send(result);
            let Some(runtime) = runtime else { return };
            let sending = Sending {
                endpoint: Arc::clone(&options.endpoint),
                shared: theirs,
                traces: receiver,
                spans: Vec::new(),
                in_hand: 0,
                ends,
                is_failing: false,
            };
            runtime.block_on(sending.run(&options, delay));
            // A look-up of the collector's name that hangs must not keep the thread.
            runtime.shutdown_background();
        })?;
        let ended = |_| io::Error::other("the thread that sends traces ended");
        is_begun.recv().map_err(ended)??;
        Ok(Self { traces, shared, until, over: Arc::new(over.into()) })
    }

    /// Takes a trace, or drops it.
    pub(super) fn submit(&self, trace: Arc<dyn Finished>) {
        let Shared { counters, waiting, max_waiting, overflows, max_batch, enough } = &*self.shared;
        let spans = trace.count();
        let before = waiting.fetch_add(spans, Relaxed);
        let after = before + spans;
        if after > *max_waiting || self.traces.send(trace).is_err() {
            waiting.fetch_sub(spans, Relaxed);
            count(&counters.dropped, spans);
            overflows.store(true, Relaxed);
        } else if before < *max_batch && after >= *max_batch {
            // Only then: waking a thread costs more than all else here.
            enough.notify_one();
        }
    }

    /// Has what waits sent until then.
    pub(super) fn end(&self, until: Instant) -> Ending {
        self.until.send_replace(Some(until));
        Ending { until: self.until.clone(), over: Arc::clone(&self.over) }
    }
}

impl Ending {
    /// Whether its thread has ended.
    pub(super) fn is_over(&self) -> bool {
        let over = self.over.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        over.try_recv() == Err(TryRecvError::Disconnected)
    }

    /// Has its thread end by then, if it was not to end sooner.
    pub(super) fn shorten(&self, until: Instant) {
        self.until.send_if_modified(|present| {
            let is_sooner = present.is_none_or(|present| until < present);
            is_sooner.then(|| *present = Some(until)).is_some()
        });
    }

    /// Waits until its thread has ended, which it was told to do by then.
    pub(super) fn join(&self, until: Instant) {
        // It still has to count what was not sent.
        let patience = until.saturating_duration_since(Instant::now()) + Duration::from_millis(200);
        let over = self.over.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let _ = over.recv_timeout(patience);
    }
}

/// The thread's side.
struct Sending {
    endpoint: Arc<str>,
    shared: Arc<Shared>,
    traces: Receiver<Arc<dyn Finished>>,
    /// Spans taken from the queue, for the next batch.
    spans: Vec<SpanData>,
    /// Those, and the spans of the batch that is being sent: nothing is known of them yet.
    in_hand: usize,
    ends: watch::Receiver<Option<Instant>>,
    /// Whether the last batch was lost, which is said once.
    is_failing: bool,
}

impl Sending {
    async fn run(mut self, options: &Options, delay: Duration) {
        let mut collector = Collector::new(options);
        let over = over(self.ends.clone());
        tokio::select! {
            () = self.send_all(&mut collector, delay) => {}
            () = over => {}
        }
        let mut unsent = self.in_hand;
        // Whoever still hands something over has done so in a moment, and then there is nobody any more.
        while let Ok(trace) = self.traces.recv() {
            unsent += trace.count();
        }
        count(&self.shared.counters.failed, unsent);
    }

    /// Sends batches until nothing waits and nothing can come any more.
    async fn send_all(&mut self, collector: &mut Collector, delay: Duration) {
        let mut tick = tokio::time::interval(delay.max(Duration::from_millis(1)));
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let shared = Arc::clone(&self.shared);
        loop {
            let all = tokio::select! {
                _ = tick.tick() => true,
                () = shared.enough.notified() => false,
                _ = self.ends.wait_for(Option::is_some) => true,
            };
            loop {
                let is_end = self.gather();
                if self.spans.is_empty() && is_end {
                    return;
                }
                if self.spans.is_empty() || !all && self.spans.len() < shared.max_batch {
                    break;
                }
                let size = self.spans.len().min(shared.max_batch);
                let rest = self.spans.split_off(size);
                let batch = std::mem::replace(&mut self.spans, rest);
                self.export(collector, batch).await;
            }
            if self.is_ending() {
                // Somebody may still be in the middle of handing over the last trace.
                sleep(Duration::from_millis(1)).await;
            }
        }
    }

    /// Takes spans from the queue until they are enough for a batch. Whether that was all that will ever come.
    fn gather(&mut self) -> bool {
        while self.spans.len() < self.shared.max_batch {
            match self.traces.try_recv() {
                Ok(trace) => {
                    let before = self.spans.len();
                    trace.spans(&mut self.spans);
                    self.in_hand += self.spans.len() - before;
                    self.shared.waiting.fetch_sub(trace.count(), Relaxed);
                }
                Err(TryRecvError::Empty) => return false,
                Err(TryRecvError::Disconnected) => return true,
            }
        }
        false
    }

    /// Sends a batch, several times if need be.
    async fn export(&mut self, collector: &mut Collector, batch: Vec<SpanData>) {
        let size = batch.len();
        let body = collector.body(batch);
        let mut tries = 0;
        self.shared.overflows.store(false, Relaxed);
        let (rejected, because) = loop {
            tries += 1;
            match collector.send(body.clone()).await {
                Outcome::Taken { rejected, because } => break (rejected.min(size), because),
                Outcome::Refused { because } => break (size, because),
                Outcome::Later { after, because } => {
                    // What is newer is worth as much, and is dropped meanwhile.
                    let overflows = self.shared.overflows.load(Relaxed);
                    if tries == TRIES || overflows || self.is_ending() {
                        break (size, because);
                    }
                    self.pause(tries, after).await;
                }
            }
        };
        self.in_hand -= size;
        count(&self.shared.counters.exported, size - rejected);
        count(&self.shared.counters.failed, rejected);
        self.tell(rejected, &because);
    }

    /// Waits before another try; not when there is no time left.
    async fn pause(&mut self, tries: u32, after: Option<Duration>) {
        let pause = FIRST_PAUSE * 2_u32.pow(tries - 1);
        let jittered = pause.mul_f64(0.5 + fastrand::f64());
        let pause = jittered.max(after.unwrap_or_default()).min(MAX_PAUSE);
        tokio::select! {
            () = sleep(pause) => {}
            _ = self.ends.wait_for(Option::is_some) => {}
        }
    }

    fn is_ending(&self) -> bool {
        self.ends.borrow().is_some() || self.ends.has_changed().is_err()
    }

    /// Says that spans are lost, or are not any more; not for every batch.
    fn tell(&mut self, rejected: usize, because: &str) {
        let is_failing = rejected > 0;
        match (self.is_failing, is_failing) {
            (false, true) => tracing::warn!(
                "traces: spans are lost (see outrigger_spans_total): {} takes none, or not all: {because}",
                self.endpoint
            ),
            (true, false) => tracing::info!("traces: {} takes spans again", self.endpoint),
            (true, true) | (false, false) => {}
        }
        self.is_failing = is_failing;
    }
}

/// Waits until there is no time left, of which there may come to be less meanwhile.
async fn over(mut ends: watch::Receiver<Option<Instant>>) {
    loop {
        let until = *ends.borrow_and_update();
        let passes = async {
            match until {
                Some(until) => sleep_until(until).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = passes => return,
            changed = ends.changed() => if changed.is_err() {
                let until = until.unwrap_or_else(|| Instant::now() + FLUSH_AT_MOST);
                return sleep_until(until).await;
            },
        }
    }
}
