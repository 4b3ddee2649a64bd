//! Server-sent events (WHATWG HTML, section 9.2): what happens, as it happens, for as long as somebody listens.
//!
//! A task per stream writes into a short queue, from which the connection takes. A client that reads slowly misses events and is
//! told how many; one that reads nothing is let go with its connection. No stream keeps the process or the port from ending.

use super::AdminContext;
use super::refusal::Refusal;
use super::status_texts::StatusTexts;
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
use tokio::time::{Instant, MissedTickBehavior, interval_at, sleep_until};

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
    statuses: Arc<StatusTexts>,
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
        let permits = Arc::new(Semaphore::new(MAX_STREAMS));
        Self { permits, statuses: Arc::default(), stopped }
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
        let teller = Teller { context, statuses: Arc::clone(&self.statuses), sender, told: 0 };
        tokio::spawn(run(teller, wanted, self.stopped.clone(), permit));
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
    mut teller: Teller,
    wanted: Wanted,
    mut stopped: watch::Receiver<()>,
    _permit: OwnedSemaphorePermit,
) {
    let lifecycle = teller.context.lifecycle.clone();
    let gone = teller.sender.clone();
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
    statuses: Arc<StatusTexts>,
    sender: mpsc::Sender<Bytes>,
    /// The number of the event that was told last.
    told: u64,
}

impl Teller {
    async fn tell(&mut self, wanted: Wanted) -> Result<(), Gone> {
        let (kept, mut events) = self.begin(wanted.after).await?;
        for event in kept {
            self.change(&event).await?;
        }
        // When the next status is due, and when the last one was made.
        let mut due = wanted.status.map(|_| Instant::now());
        let mut seen = None;
        let mut keep_alive = interval_at(Instant::now() + KEEP_ALIVE, KEEP_ALIVE);
        keep_alive.set_missed_tick_behavior(MissedTickBehavior::Delay);
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
                    due = due.map(|_| Instant::now());
                }
                () = at(due) => match self.statuses.newer(&self.context, seen, self.told) {
                    Ok(status) => {
                        seen = Some(status.at);
                        self.send(status.text).await?;
                        due = wanted.status.map(|every| Instant::now() + every);
                    }
                    Err(later) => due = Some(later),
                },
                _ = keep_alive.tick() => self.send(":\n\n").await?,
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
        let (kept, events) = self.context.outlets.events.since(after.unwrap_or(0));
        let Some(after) = after else { return Ok((Vec::new(), events)) };
        if let Some(first) = kept.first() {
            // Not below it where the number is that of a process before this one.
            let before = if after < first.id { after } else { 0 };
            if let count @ 1.. = first.id - before - 1 {
                self.missed(count).await?;
            }
        }
        Ok((kept, events))
    }

    /// Tells of what else has happened already.
    async fn changes(&mut self, events: &mut broadcast::Receiver<Arc<Event>>) -> Result<(), Gone> {
        loop {
            match events.try_recv() {
                Ok(event) => self.change(&event).await?,
                Err(TryRecvError::Lagged(count)) => self.missed(count).await?,
                Err(TryRecvError::Empty | TryRecvError::Closed) => return Ok(()),
            }
        }
    }

    async fn change(&mut self, event: &Event) -> Result<(), Gone> {
        self.told = event.id;
        self.send(format!("id: {}\nevent: change\ndata: {}\n\n", event.id, line(event))).await
    }

    async fn missed(&self, count: u64) -> Result<(), Gone> {
        let data = json!({ "count": count });
        self.send(format!("event: missed\ndata: {data}\n\n")).await
    }

    async fn send(&self, text: impl Into<Bytes>) -> Result<(), Gone> {
        self.sender.send(text.into()).await.map_err(|_| Gone)
    }
}

/// JSON on one line; a string's own ends of lines are escaped in it.
pub(super) fn line(value: &impl Serialize) -> String {
    serde_json::to_string(value).unwrap_or_default()
}

/// Waits until then; for ever without a time.
async fn at(due: Option<Instant>) {
    match due {
        Some(due) => sleep_until(due).await,
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
