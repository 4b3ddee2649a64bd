//! Server-sent events (WHATWG HTML, section 9.2): what happens, as it happens, for as long as somebody listens.
//!
//! A task per stream writes into a short queue, from which the connection takes. A client that reads slowly misses events and is
//! told how many; one that reads nothing is let go with its connection. No stream keeps the process or the port from ending.

use super::AdminContext;
use super::api::status::Status;
use super::refusal::Refusal;
use crate::lifecycle::Phase;
use crate::telemetry::events::Event;
use crate::telemetry::rfc3339;
use axum::body::Body;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http_body::Frame;
use serde::Serialize;
use serde_json::json;
use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::sync::broadcast::error::{RecvError, TryRecvError};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, broadcast, mpsc, watch};
use tokio::time::{Instant, Interval, MissedTickBehavior, interval_at};

/// Streams at a time.
pub(super) const MAX_STREAMS: usize = 32;

/// What is written and not yet taken.
const MAX_WAITING: usize = 8;

/// How often something is sent at least, so that proxies in between do not take the stream for dead.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// The streams of one port.
#[derive(Clone, Debug)]
pub(super) struct Streams {
    permits: Arc<Semaphore>,
    /// Changes when the port closes.
    stopped: watch::Receiver<()>,
}

/// What a client wants to hear.
#[derive(Clone, Copy, Debug)]
pub(super) struct Wanted {
    /// Events with a number above this that are kept, before those to come.
    pub(super) after: Option<u64>,
    /// How often `/status`, too.
    pub(super) status: Option<Duration>,
}

impl Streams {
    pub(super) fn new(stopped: watch::Receiver<()>) -> Self {
        Self { permits: Arc::new(Semaphore::new(MAX_STREAMS)), stopped }
    }

    /// Begins a stream.
    pub(super) fn open(
        &self,
        context: Arc<AdminContext>,
        wanted: Wanted,
    ) -> Result<Response, Refusal> {
        let permit = Arc::clone(&self.permits).try_acquire_owned().map_err(|_| {
            let error = format!("{MAX_STREAMS} streams are open already, more are not served");
            Refusal::new(StatusCode::SERVICE_UNAVAILABLE, error)
        })?;
        let (sender, receiver) = mpsc::channel(MAX_WAITING);
        tokio::spawn(run(context, wanted, sender, self.stopped.clone(), permit));
        let headers = [
            (header::CONTENT_TYPE, HeaderValue::from_static("text/event-stream")),
            // NGINX would collect the events before it passes them on.
            (header::HeaderName::from_static("x-accel-buffering"), HeaderValue::from_static("no")),
        ];
        Ok((headers, Body::new(Frames(receiver))).into_response())
    }
}

/// Tells until nobody listens, or there is nobody left to tell.
async fn run(
    context: Arc<AdminContext>,
    wanted: Wanted,
    sender: mpsc::Sender<Bytes>,
    mut stopped: watch::Receiver<()>,
    _permit: OwnedSemaphorePermit,
) {
    let lifecycle = context.lifecycle.clone();
    let gone = sender.clone();
    let teller = Teller { context, sender };
    tokio::select! {
        _ = teller.tell(wanted) => {}
        () = gone.closed() => {}
        _ = stopped.changed() => {}
        () = lifecycle.wait_for(Phase::Ended) => {}
    }
}

/// The client is gone.
struct Gone;

struct Teller {
    context: Arc<AdminContext>,
    sender: mpsc::Sender<Bytes>,
}

impl Teller {
    async fn tell(&self, wanted: Wanted) -> Result<(), Gone> {
        let (kept, mut events) = self.begin(wanted.after).await?;
        for event in kept {
            self.change(&event).await?;
        }
        let mut status = wanted.status.map(|every| ticks(Instant::now(), every));
        let mut keep_alive = ticks(Instant::now() + KEEP_ALIVE, KEEP_ALIVE);
        loop {
            tokio::select! {
                event = events.recv() => {
                    match event {
                        Ok(event) => self.change(&event).await?,
                        Err(RecvError::Lagged(count)) => self.missed(count).await?,
                        Err(RecvError::Closed) => return Ok(()),
                    }
                    // One status after many changes at once.
                    self.changes(&mut events).await?;
                    if let Some(status) = &mut status {
                        self.status().await?;
                        status.reset();
                    }
                }
                () = tick(&mut status) => self.status().await?,
                _ = keep_alive.tick() => self.send(":\n\n".to_owned()).await?,
            }
        }
    }

    /// Says who speaks, and finds what is to be told first.
    async fn begin(
        &self,
        after: Option<u64>,
    ) -> Result<(Vec<Arc<Event>>, broadcast::Receiver<Arc<Event>>), Gone> {
        let hello =
            json!({ "startedAt": rfc3339(self.context.started_at), "pid": std::process::id() });
        self.send(format!("retry: 1000\nevent: hello\ndata: {hello}\n\n")).await?;
        let (all, events) = self.context.outlets.events.since(0);
        let Some(after) = after else { return Ok((Vec::new(), events)) };
        // A number that was not reached yet is that of a process before this one.
        let last = all.last().map_or(0, |last| last.id);
        let after = if after > last { 0 } else { after };
        let first = all.first().map_or(1, |first| first.id);
        if let Some(count @ 1..) = first.checked_sub(after + 1) {
            self.missed(count).await?;
        }
        Ok((all.into_iter().filter(|event| event.id > after).collect(), events))
    }

    /// Tells of what else has happened already.
    async fn changes(&self, events: &mut broadcast::Receiver<Arc<Event>>) -> Result<(), Gone> {
        loop {
            match events.try_recv() {
                Ok(event) => self.change(&event).await?,
                Err(TryRecvError::Lagged(count)) => self.missed(count).await?,
                Err(TryRecvError::Empty | TryRecvError::Closed) => return Ok(()),
            }
        }
    }

    async fn change(&self, event: &Event) -> Result<(), Gone> {
        self.send(format!("id: {}\nevent: change\ndata: {}\n\n", event.id, line(event))).await
    }

    async fn missed(&self, count: u64) -> Result<(), Gone> {
        let data = json!({ "count": count });
        self.send(format!("event: missed\ndata: {data}\n\n")).await
    }

    async fn status(&self) -> Result<(), Gone> {
        let data = line(&Status::of(&self.context));
        self.send(format!("event: status\ndata: {data}\n\n")).await
    }

    async fn send(&self, text: String) -> Result<(), Gone> {
        self.sender.send(text.into()).await.map_err(|_| Gone)
    }
}

/// JSON on one line; a string's own ends of lines are escaped in it.
fn line(value: &impl Serialize) -> String {
    serde_json::to_string(value).unwrap_or_default()
}

fn ticks(start: Instant, every: Duration) -> Interval {
    let mut ticks = interval_at(start, every);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    ticks
}

/// The next tick; never without an interval.
async fn tick(interval: &mut Option<Interval>) {
    match interval {
        Some(interval) => drop(interval.tick().await),
        None => std::future::pending().await,
    }
}

/// A body that is written elsewhere.
struct Frames(mpsc::Receiver<Bytes>);

impl http_body::Body for Frames {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        self.0.poll_recv(cx).map(|bytes| bytes.map(|bytes| Ok(Frame::data(bytes))))
    }
}
