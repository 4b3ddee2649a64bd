//! What happened to the process lately, in words, for people who look on.

use super::rfc3339;
use schemars::JsonSchema;
use serde::{Serialize, Serializer};
use std::collections::VecDeque;
use std::fmt::Display;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;
use tokio::sync::broadcast;

/// How many events are kept.
pub const KEPT: usize = 256;

/// How many events a slow listener may be behind before it misses some.
const BEHIND: usize = 256;

/// Something that happened.
#[derive(Clone, Debug, PartialEq, Eq, JsonSchema, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Event {
    /// Its number, counted from 1 in each process.
    pub id: u64,
    /// When it happened.
    #[serde(serialize_with = "as_rfc3339")]
    #[schemars(with = "String")]
    pub at: SystemTime,
    /// What kind of thing it is.
    pub kind: EventKind,
    /// The backend it is about, if it is about one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub backend: Option<Arc<str>>,
    /// The URL of the endpoint it is about, if it is about one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub endpoint: Option<Arc<str>>,
    /// What happened, in the words of the log.
    pub text: String,
}

/// Kinds of events.
#[derive(Clone, Copy, Debug, PartialEq, Eq, JsonSchema, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum EventKind {
    /// A configuration runs, was refused, or says the same.
    Reload,
    /// The endpoints of a Service came or went.
    Endpoints,
    /// An endpoint became healthy or unhealthy.
    Health,
    /// A backend began or ceased to count all of its endpoints as healthy.
    Panic,
    /// An endpoint is passed over, because a connect failed, or is not any more.
    PassOver,
    /// The process became ready, or began to end.
    Lifecycle,
    /// Somebody changed what is logged.
    LogLevel,
}

/// An event that has no number yet.
#[derive(Clone, Debug)]
pub struct Happened {
    /// What kind of thing it is.
    pub kind: EventKind,
    /// The backend it is about.
    pub backend: Option<Arc<str>>,
    /// The URL of the endpoint it is about.
    pub endpoint: Option<Arc<str>>,
    /// What happened.
    pub text: String,
}

impl Happened {
    /// Something that happened to the process as a whole.
    pub fn to_process(kind: EventKind, text: impl Into<String>) -> Self {
        Self { kind, backend: None, endpoint: None, text: text.into() }
    }

    /// Something that happened to a backend.
    pub fn to_backend(kind: EventKind, backend: &Arc<str>, text: impl Into<String>) -> Self {
        Self { backend: Some(Arc::clone(backend)), ..Self::to_process(kind, text) }
    }

    /// Something that happened to an endpoint, which is called by its URL.
    pub fn to_endpoint(
        kind: EventKind,
        backend: &Arc<str>,
        url: &impl Display,
        text: impl Into<String>,
    ) -> Self {
        Self { endpoint: Some(url.to_string().into()), ..Self::to_backend(kind, backend, text) }
    }
}

/// The last events, and a way to hear of the next.
#[derive(Debug)]
pub struct Events {
    kept: Mutex<VecDeque<Arc<Event>>>,
    sender: broadcast::Sender<Arc<Event>>,
}

impl Default for Events {
    fn default() -> Self {
        Self { kept: Mutex::default(), sender: broadcast::Sender::new(BEHIND) }
    }
}

impl Events {
    /// Takes note of something that happens now.
    pub fn publish(&self, happened: Happened) {
        let Happened { kind, backend, endpoint, text } = happened;
        let mut kept = self.lock();
        let id = kept.back().map_or(1, |last| last.id + 1);
        let event = Arc::new(Event { id, at: SystemTime::now(), kind, backend, endpoint, text });
        if kept.len() == KEPT {
            kept.pop_front();
        }
        kept.push_back(Arc::clone(&event));
        // Under the lock, so that nobody hears of events in another order than that of their numbers; without a listener
        // it is an error that concerns nobody.
        let _ = self.sender.send(event);
    }

    /// The events kept whose number is above `after`, oldest first, and a way to hear of all that come then. A number that was not
    /// reached yet is that of a process before this one, which knew nothing of what is kept here: then they are all.
    pub fn since(&self, after: u64) -> (Vec<Arc<Event>>, broadcast::Receiver<Arc<Event>>) {
        let kept = self.lock();
        let last = kept.back().map_or(0, |last| last.id);
        let after = if after > last { 0 } else { after };
        let events = kept.iter().filter(|event| event.id > after).map(Arc::clone).collect();
        (events, self.sender.subscribe())
    }

    /// The number of the latest event; 0 before the first.
    pub fn latest(&self) -> u64 {
        self.lock().back().map_or(0, |last| last.id)
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<Arc<Event>>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn as_rfc3339<S: Serializer>(at: &SystemTime, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&rfc3339(*at))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn happened(text: &str) -> Happened {
        Happened::to_process(EventKind::Reload, text)
    }

    #[tokio::test]
    async fn who_comes_later_misses_nothing_that_is_kept_and_hears_nothing_twice() {
        let events = Events::default();
        for number in 1..=KEPT + 2 {
            events.publish(happened(&number.to_string()));
        }
        let (kept, mut next) = events.since(0);
        assert_eq!((kept.len(), kept[0].id), (KEPT, 3));
        assert_eq!(events.latest(), KEPT as u64 + 2);
        let (newer, _) = events.since(KEPT as u64 + 1);
        assert_eq!(newer.iter().map(|event| &*event.text).collect::<Vec<_>>(), ["258"]);
        assert!(events.since(KEPT as u64 + 2).0.is_empty());
        assert_eq!(events.since(KEPT as u64 + 3).0.len(), KEPT, "of another process");
        events.publish(happened("next"));
        assert_eq!(next.recv().await.unwrap().text, "next");
        assert!(next.try_recv().is_err());
    }
}
