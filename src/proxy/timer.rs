//! A timer that is set anew for every request and costs next to nothing.
//!
//! Putting a timer into tokio's wheel and taking it out again for every request would cost more than the request's
//! own bookkeeping. Deadlines nearly always move later: so the timer stays where it is, and when it fires too early it
//! is put at the deadline that holds by then.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use tokio::time::{Instant, Sleep, sleep_until};

/// A timer whose deadline may change at every poll.
#[derive(Debug, Default)]
pub struct LazyTimer {
    sleep: Option<Pin<Box<Sleep>>>,
}

impl LazyTimer {
    /// Ready once `deadline` has passed; the task is woken then, if not before. Without a deadline never ready.
    pub fn poll(&mut self, deadline: Option<Instant>, cx: &mut Context<'_>) -> Poll<()> {
        let Some(deadline) = deadline else { return Poll::Pending };
        let sleep = self.sleep.get_or_insert_with(|| Box::pin(sleep_until(deadline)));
        if sleep.deadline() > deadline {
            sleep.as_mut().reset(deadline);
        }
        while sleep.as_mut().poll(cx).is_ready() {
            if Instant::now() >= deadline {
                return Poll::Ready(());
            }
            sleep.as_mut().reset(deadline);
        }
        Poll::Pending
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::future::poll_fn;
    use std::time::Duration;

    #[tokio::test(start_paused = true)]
    async fn a_deadline_that_moved_later_is_kept() {
        let (mut timer, start) = (LazyTimer::default(), Instant::now());
        let soon = start + Duration::from_secs(1);
        let later = start + Duration::from_secs(5);
        assert!(futures_poll_once(&mut timer, soon).await.is_pending());
        poll_fn(|cx| timer.poll(Some(later), cx)).await;
        assert_eq!(Instant::now().duration_since(start).as_secs(), 5);
    }

    #[tokio::test(start_paused = true)]
    async fn a_deadline_that_moved_earlier_is_kept() {
        let (mut timer, start) = (LazyTimer::default(), Instant::now());
        assert!(futures_poll_once(&mut timer, start + Duration::from_secs(60)).await.is_pending());
        poll_fn(|cx| timer.poll(Some(start + Duration::from_secs(2)), cx)).await;
        assert_eq!(Instant::now().duration_since(start).as_secs(), 2);
    }

    async fn futures_poll_once(timer: &mut LazyTimer, deadline: Instant) -> Poll<()> {
        poll_fn(|cx| Poll::Ready(timer.poll(Some(deadline), cx))).await
    }
}
