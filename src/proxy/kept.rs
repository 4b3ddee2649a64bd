//! A request that has ended and is worth keeping: for its trace, for people, or for both.

mod spans;

use super::trace::Trace;
use super::tries::{Past, Try};
use crate::backend::decision::TOLD;
use crate::endpoint::name;
use crate::model::Scheme;
use crate::telemetry::requests::{Sort, Told};
use crate::telemetry::rfc3339;
use http::{HeaderValue, Method};
use serde_json::{Map, Value, json};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, SystemTime};
use tokio::time::Instant;

/// How many candidates and excluded endpoints an answer's field tells of: clients take heads of 16 KiB or less.
const IN_FIELD: usize = 8;

/// Why a request is kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Why {
    /// It failed by our fault or an endpoint's.
    pub error: bool,
    /// It was tried more than once.
    pub retry: bool,
    /// Its response's head came late.
    pub slow: bool,
    /// Chance chose it.
    pub sample: bool,
}

impl Why {
    /// Among which kept requests it is: the first that it is of those worth a look, and those that chance chose.
    pub fn sorts(self) -> impl Iterator<Item = Sort> {
        let notable =
            [(Sort::Failed, self.error), (Sort::Retried, self.retry), (Sort::Slow, self.slow)];
        let notable = notable.into_iter().find(|(_, is)| *is).map(|(sort, _)| sort);
        notable.into_iter().chain(self.sample.then_some(Sort::Sampled))
    }

    fn names(self) -> Vec<&'static str> {
        let all = [
            ("error", self.error),
            ("retry", self.retry),
            ("slow", self.slow),
            ("sample", self.sample),
        ];
        all.into_iter().filter(|(_, is)| *is).map(|(name, _)| name).collect()
    }
}

/// What was asked for.
#[derive(Debug)]
pub struct Target {
    pub(super) method: Method,
    pub(super) path: Box<str>,
    pub(super) query: Option<Box<str>>,
}

/// A request that has ended.
#[derive(Debug)]
pub struct Kept {
    pub(super) why: Why,
    /// Whether its trace is sent.
    pub(super) is_sent: bool,
    /// When its head had been read.
    pub(super) started: Instant,
    /// The same moment by the clock.
    pub(super) at: SystemTime,
    /// To the end of the response.
    pub(super) duration: Duration,
    pub(super) trace: Option<Trace>,
    pub(super) request_id: String,
    pub(super) target: Option<Target>,
    /// The path that endpoints were sent, if it is another.
    pub(super) rewritten: Option<Box<str>>,
    pub(super) scheme: Scheme,
    pub(super) host: Option<HeaderValue>,
    pub(super) listener: Arc<str>,
    pub(super) route: Option<Arc<str>>,
    pub(super) backend: Option<Arc<str>>,
    pub(super) algorithm: Option<&'static str>,
    pub(super) generation: u64,
    pub(super) status: u16,
    pub(super) reason: Option<&'static str>,
    pub(super) detail: Option<String>,
    pub(super) client: IpAddr,
    pub(super) peer: SocketAddr,
    pub(super) tries: Vec<Past>,
}

impl Told for Kept {
    fn tell(&self) -> Value {
        let target = self.target.as_ref();
        json!({
            "at": rfc3339(self.at),
            "requestId": self.request_id,
            "traceId": self.trace.as_ref().map(|trace| trace.id.to_string()),
            "sampled": self.is_sent,
            "listener": &*self.listener,
            "method": target.map(|target| target.method.as_str()),
            "host": self.host.as_ref().and_then(|host| host.to_str().ok()),
            // Without the query, which often has secrets in it.
            "path": target.map(|target| &*target.path),
            "route": self.route.as_deref(),
            "backend": self.backend.as_deref(),
            "algorithm": self.algorithm,
            "generation": self.generation,
            "status": self.status,
            "reason": self.reason.unwrap_or("ok"),
            "detail": self.detail.as_deref(),
            "durationMs": millis(self.duration),
            "client": self.client.to_string(),
            "kept": self.why.names(),
            "attempts": self.tries.iter().map(|one| attempt(one, self.started, TOLD)).collect::<Vec<_>>(),
        })
    }
}

/// A request whose endpoints have been picked.
#[derive(Debug)]
pub struct Decided<'a> {
    /// Its id.
    pub request_id: &'a str,
    /// Its route's name.
    pub route: Option<&'a str>,
    /// Its backend's name.
    pub backend: Option<&'a str>,
    /// The backend's algorithm.
    pub algorithm: Option<&'a str>,
    /// The configuration that it is served by.
    pub generation: u64,
    /// Its tries.
    pub tries: &'a [Try],
    /// When it began.
    pub started: Instant,
}

/// How the endpoints of a request were picked, for a client that may know.
pub fn decision(decided: &Decided<'_>) -> HeaderValue {
    let Decided { request_id, route, backend, algorithm, generation, tries, started } = *decided;
    let told = json!({
        "requestId": request_id,
        "route": route,
        "backend": backend,
        "algorithm": algorithm,
        "generation": generation,
        "attempts": tries.iter().map(|one| attempt(&one.past(), started, IN_FIELD)).collect::<Vec<_>>(),
    });
    // A field's value is ASCII that can be seen.
    let text = told.to_string().chars().fold(String::new(), |mut text, character| {
        match character {
            ' '..='~' => text.push(character),
            _ => {
                for unit in character.encode_utf16(&mut [0; 2]) {
                    text.push_str(&format!("\\u{unit:04x}"));
                }
            }
        }
        text
    });
    HeaderValue::try_from(text).unwrap_or_else(|_| HeaderValue::from_static(""))
}

/// An attempt of a request that began at `started`, with so many candidates and excluded endpoints at most.
fn attempt(one: &Past, started: Instant, most: usize) -> Value {
    let label = one.endpoint.as_ref().map(|endpoint| &*endpoint.label);
    let duration = one.headed.map(|headed| headed.saturating_duration_since(one.started));
    let mut told = Map::new();
    told.insert("endpoint".into(), label.map(name).into());
    told.insert("startMs".into(), millis(one.started.saturating_duration_since(started)).into());
    told.insert("durationMs".into(), duration.map(millis).into());
    told.insert("status".into(), one.status.map(|status| status.as_u16()).into());
    let error = one.failure.as_ref().map(|failure| &*failure.detail);
    told.insert("error".into(), error.into());
    let pick = one.account.as_ref().map(|account| account.tell(label, most));
    told.insert("pick".into(), pick.unwrap_or(Value::Null));
    told.into()
}

/// In milliseconds, to the microsecond.
pub fn millis(duration: Duration) -> f64 {
    (duration.as_secs_f64() * 1e6).round() / 1e3
}

#[cfg(test)]
mod tests;
