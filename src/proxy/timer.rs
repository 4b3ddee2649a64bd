//! A worker's timers: coarse, set anew for every request, and nearly never due.
//!
//! Putting a timer into tokio's wheel and taking it out again for every request would cost more than the request's own
//! bookkeeping. Deadlines nearly always move later: so an alarm stays where it is, and when it rings too early it is put at the
//! deadline that holds by then. All alarms of a worker share one of tokio's timers.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;
use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until};

/// How much later than asked an alarm may ring.
const TICK: Duration = Duration::from_millis(10);

/// The alarms of one worker, by the tick at which they ring.
#[derive(Debug)]
pub struct Timers {
    start: Instant,
    due: RefCell<BTreeMap<Key, Rc<Bell>>>,
    next_id: Cell<u64>,
    /// Told when an alarm is set before all others.
    sooner: Notify,
}

/// The tick, and a number of the alarm's own.
type Key = (u64, u64);

/// What an alarm and its timers share.
#[derive(Debug)]
struct Bell {
    waker: RefCell<Waker>,
    rang: Cell<bool>,
}

/// Where an alarm stands.
#[derive(Debug)]
struct Set {
    key: Key,
    at: Instant,
    bell: Rc<Bell>,
}

/// A timer whose deadline may change at every poll.
#[derive(Debug)]
pub struct Alarm {
    timers: Rc<Timers>,
    set: Option<Set>,
}

impl Timers {
    /// Timers without an alarm.
    pub fn new() -> Rc<Self> {
        Rc::new(Self {
            start: Instant::now(),
            due: RefCell::default(),
            next_id: Cell::new(0),
            sooner: Notify::new(),
        })
    }

    /// Rings the alarms, for ever. Tells `rings` each time for when that was due.
    pub async fn run(self: Rc<Self>, rings: impl Fn(Instant)) {
        loop {
            let first = self.due.borrow().first_key_value().map(|(key, _)| self.time_of(key.0));
            match first {
                None => self.sooner.notified().await,
                Some(at) => tokio::select! {
                    () = sleep_until(at) => {
                        rings(at);
                        self.ring(Instant::now());
                    }
                    () = self.sooner.notified() => {}
                },
            }
        }
    }

    fn ring(&self, now: Instant) {
        let mut due = self.due.borrow_mut();
        while let Some(first) = due.first_entry()
            && self.time_of(first.key().0) <= now
        {
            let bell = first.remove();
            bell.rang.set(true);
            bell.waker.borrow().wake_by_ref();
        }
    }

    /// The tick at or after `at`.
    fn tick_of(&self, at: Instant) -> u64 {
        at.saturating_duration_since(self.start).as_nanos().div_ceil(TICK.as_nanos()) as u64
    }

    fn time_of(&self, tick: u64) -> Instant {
        self.start + Duration::from_nanos(tick * TICK.as_nanos() as u64)
    }

    fn set(&self, tick: u64, bell: Rc<Bell>) -> Key {
        let key = (tick, self.next_id.replace(self.next_id.get() + 1));
        let mut due = self.due.borrow_mut();
        if due.first_key_value().is_none_or(|(first, _)| tick < first.0) {
            self.sooner.notify_one();
        }
        due.insert(key, bell);
        key
    }
}

impl Alarm {
    /// An alarm that is not set.
    pub fn new(timers: Rc<Timers>) -> Self {
        Self { timers, set: None }
    }

    /// Ready once `deadline` has passed; the task is woken then, at most a tick late, if not before. Without a deadline never ready.
    pub fn poll(&mut self, deadline: Option<Instant>, cx: &Context<'_>) -> Poll<()> {
        let Some(deadline) = deadline else { return Poll::Pending };
        if let Some(Set { at, bell, .. }) = &self.set
            && *at < deadline + TICK
            && !bell.rang.get()
        {
            if !bell.waker.borrow().will_wake(cx.waker()) {
                bell.waker.replace(cx.waker().clone());
            }
            return Poll::Pending;
        }
        self.clear();
        if Instant::now() >= deadline {
            return Poll::Ready(());
        }
        let bell = Bell { waker: RefCell::new(cx.waker().clone()), rang: Cell::new(false) };
        let bell = Rc::new(bell);
        let tick = self.timers.tick_of(deadline);
        let (key, at) = (self.timers.set(tick, Rc::clone(&bell)), self.timers.time_of(tick));
        self.set = Some(Set { key, at, bell });
        Poll::Pending
    }

    fn clear(&mut self) {
        if let Some(Set { key, bell, .. }) = self.set.take()
            && !bell.rang.get()
        {
            self.timers.due.borrow_mut().remove(&key);
        }
    }
}

impl Drop for Alarm {
    fn drop(&mut self) {
        self.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::future::poll_fn;
    use tokio::task::LocalSet;

    /// Timers that run, and an alarm of theirs.
    fn alarm() -> Alarm {
        let timers = Timers::new();
        tokio::task::spawn_local(Rc::clone(&timers).run(|_| {}));
        Alarm::new(timers)
    }

    async fn poll_once(alarm: &mut Alarm, deadline: Instant) -> Poll<()> {
        poll_fn(|cx| Poll::Ready(alarm.poll(Some(deadline), cx))).await
    }

    fn seconds(count: f64) -> Duration {
        Duration::from_secs_f64(count)
    }

    #[tokio::test(start_paused = true)]
    async fn a_deadline_that_moved_is_kept_to_the_tick() {
        let test = async {
            let start = Instant::now();
            for (first, then) in [(1.0, 5.0), (60.0, 2.0), (1.0, 1.0), (0.5, 3.456_7)] {
                let (mut alarm, start) = (alarm(), Instant::now());
                assert!(poll_once(&mut alarm, start + seconds(first)).await.is_pending());
                let deadline = start + seconds(then);
                poll_fn(|cx| alarm.poll(Some(deadline), cx)).await;
                let late = Instant::now().checked_duration_since(deadline);
                assert!(late.is_some_and(|late| late <= TICK), "{first} {then}: {late:?}");
            }
            assert!(start.elapsed() < seconds(12.0), "no alarm waited for another's deadline");
        };
        LocalSet::new().run_until(test).await;
    }

    #[tokio::test(start_paused = true)]
    async fn a_deadline_that_has_passed_is_seen_at_once() {
        let test = async {
            let mut alarm = alarm();
            tokio::time::advance(seconds(1.0)).await;
            assert!(poll_once(&mut alarm, Instant::now()).await.is_ready());
        };
        LocalSet::new().run_until(test).await;
    }

    #[tokio::test(start_paused = true)]
    async fn a_deadline_that_moved_later_costs_no_entry_and_a_dropped_alarm_leaves_none() {
        let test = async {
            let (mut alarm, start) = (alarm(), Instant::now());
            let timers = Rc::clone(&alarm.timers);
            for more in 0..1_000 {
                let deadline = start + seconds(1.0 + f64::from(more));
                assert!(poll_once(&mut alarm, deadline).await.is_pending());
            }
            let ids = || timers.due.borrow().keys().map(|key| key.1).collect::<Vec<_>>();
            assert_eq!(ids(), [0]);
            // Earlier: it is put anew, and the old place is given up.
            assert!(poll_once(&mut alarm, start + seconds(0.5)).await.is_pending());
            assert_eq!(ids(), [1]);
            drop(alarm);
            assert!(ids().is_empty());
        };
        LocalSet::new().run_until(test).await;
    }
}
