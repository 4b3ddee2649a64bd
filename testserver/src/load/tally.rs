//! What became of the requests, in memory that does not grow with their number.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::answer::Answer;
use super::latency::Latencies;
use super::schedule::Method;

/// Failed requests that are described one by one.
const MAX_FAILURES: usize = 50;

/// Seconds that are counted on their own: the last ones.
const MAX_SECONDS: usize = 3600;

/// Servers that are counted on their own. All further ones together are [`OTHERS`].
const MAX_SERVERS: usize = 255;

/// No server's name: those are visible ASCII without spaces.
const OTHERS: &str = "all others";

/// Why a failed request matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Class {
    /// A GET of whose answer no endpoint's head came: a proxy could have tried it again.
    IdempotentNoHead,
    /// A GET that failed later, or by what the endpoint said.
    IdempotentAfterHead,
    /// A POST, which nobody may repeat.
    Other,
}

impl Class {
    fn of(method: Method, answer: &Answer) -> Self {
        match (method, answer.status, &answer.server) {
            (Method::Post, _, _) => Self::Other,
            (Method::Get, None, _) => Self::IdempotentNoHead,
            // By the proxy, which got no answer: an endpoint of ours would say its name.
            (Method::Get, Some(502..=504), None) => Self::IdempotentNoHead,
            (Method::Get, Some(_), _) => Self::IdempotentAfterHead,
        }
    }
}

/// How many answers came from each server, by the place of its name.
#[derive(Debug, Default)]
struct Servers(Vec<(usize, u64)>);

impl Servers {
    fn count(&mut self, server: usize) {
        match self.0.iter_mut().find(|(name, _)| *name == server) {
            Some((_, count)) => *count += 1,
            None => self.0.push((server, 1)),
        }
    }

    fn report(&self, names: &[String]) -> Value {
        let name = |place: usize| names.get(place).map_or(OTHERS, String::as_str).to_owned();
        self.0
            .iter()
            .map(|&(place, count)| (name(place), count.into()))
            .collect::<Map<_, _>>()
            .into()
    }
}

#[derive(Debug, Default)]
struct Second {
    ok: u64,
    failed: u64,
    servers: Servers,
}

#[derive(Debug)]
pub(crate) struct Tally {
    started: Timestamp,
    pub(crate) sent: u64,
    pub(crate) ok: u64,
    idempotent_no_head: u64,
    idempotent_after_head: u64,
    other: u64,
    statuses: BTreeMap<u16, u64>,
    /// Of the servers; a place in it stands for the name.
    names: Vec<String>,
    servers: Servers,
    failures: Vec<Value>,
    /// Without a gap.
    seconds: VecDeque<Second>,
    /// The second, counted from the start, that is first in `seconds`.
    first_second: u64,
    latencies: Latencies,
}

impl Tally {
    pub(crate) fn new() -> Self {
        Self {
            started: Timestamp::now(),
            sent: 0,
            ok: 0,
            idempotent_no_head: 0,
            idempotent_after_head: 0,
            other: 0,
            statuses: BTreeMap::new(),
            names: Vec::new(),
            servers: Servers::default(),
            failures: Vec::new(),
            seconds: VecDeque::new(),
            first_second: 0,
            latencies: Latencies::default(),
        }
    }

    pub(crate) fn failed(&self) -> u64 {
        self.idempotent_no_head + self.idempotent_after_head + self.other
    }

    /// Counts a request that ended `at` after the start: with a whole answer, or broken off for a reason in
    /// words. `latency` is the time since it was due.
    pub(crate) fn record(
        &mut self,
        at: Duration,
        latency: Duration,
        method: Method,
        answer: &Answer,
        end: Result<(), String>,
    ) {
        let what = match (end, answer.status) {
            (Err(what), _) => Some(what),
            (Ok(()), Some(200..=299)) => None,
            (Ok(()), Some(status)) => Some(format!("answered {status}")),
            (Ok(()), None) => Some("no answer".to_owned()),
        };
        let server = answer.server.as_deref().map(|name| self.place(name));
        if let Some(status) = answer.status {
            *self.statuses.entry(status).or_default() += 1;
        }
        let second = self.second(at.as_secs());
        match what {
            None => second.ok += 1,
            Some(_) => second.failed += 1,
        }
        if let Some(server) = server {
            second.servers.count(server);
            self.servers.count(server);
        }
        match what {
            None => {
                self.ok += 1;
                self.latencies.add(latency);
            }
            Some(what) => self.fail(method, answer, &what),
        }
    }

    fn fail(&mut self, method: Method, answer: &Answer, what: &str) {
        match Class::of(method, answer) {
            Class::IdempotentNoHead => self.idempotent_no_head += 1,
            Class::IdempotentAfterHead => self.idempotent_after_head += 1,
            Class::Other => self.other += 1,
        }
        if self.failures.len() == MAX_FAILURES {
            return;
        }
        let now = Timestamp::now().to_string();
        let mut failure = json!({ "at": now, "method": method.name(), "what": what });
        if let Some(status) = answer.status {
            failure["status"] = status.into();
            failure["body"] = answer.text().into();
        }
        if let Some(server) = &answer.server {
            failure["server"] = server.as_str().into();
        }
        self.failures.push(failure);
    }

    /// The place of a server's name; that of no name if there are too many.
    fn place(&mut self, name: &str) -> usize {
        if let Some(place) = self.names.iter().position(|known| known == name) {
            return place;
        }
        if self.names.len() < MAX_SERVERS {
            self.names.push(name.to_owned());
            return self.names.len() - 1;
        }
        MAX_SERVERS
    }

    fn second(&mut self, at: u64) -> &mut Second {
        // After a long silence only the last seconds are of use.
        let end = self.first_second + self.seconds.len() as u64;
        if at >= end + MAX_SECONDS as u64 {
            self.seconds.clear();
            self.first_second = at;
        }
        while self.first_second + self.seconds.len() as u64 <= at {
            if self.seconds.len() == MAX_SECONDS {
                self.seconds.pop_front();
                self.first_second += 1;
            }
            self.seconds.push_back(Second::default());
        }
        // Requests are recorded when they end, so that none is earlier than those kept.
        let place = at.saturating_sub(self.first_second) as usize;
        &mut self.seconds[place]
    }

    pub(crate) fn report(&self, opened: u64) -> Value {
        let statuses = self.statuses.iter().map(|(status, &n)| (status.to_string(), n.into()));
        let seconds = self.seconds.iter().zip(self.first_second..).map(|(second, at)| {
            json!({
                "at": at,
                "ok": second.ok,
                "failed": second.failed,
                "servers": second.servers.report(&self.names),
            })
        });
        json!({
            "started": self.started.to_string(),
            "sent": self.sent,
            "ok": self.ok,
            "failed": {
                "idempotent_no_head": self.idempotent_no_head,
                "idempotent_after_head": self.idempotent_after_head,
                "other": self.other,
            },
            "statuses": statuses.collect::<Map<_, _>>(),
            "servers": self.servers.report(&self.names),
            "opened": opened,
            "failures": self.failures,
            "seconds": seconds.collect::<Vec<_>>(),
            "latency_ms": {
                "p50": self.latencies.quantile(0.5),
                "p99": self.latencies.quantile(0.99),
                "max": self.latencies.max(),
            },
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(status: u16, server: Option<&str>) -> Answer {
        Answer { status: Some(status), server: server.map(str::to_owned), ..Answer::default() }
    }

    fn record(tally: &mut Tally, second: u64, answer: &Answer) {
        let at = Duration::from_secs(second);
        tally.record(at, Duration::from_millis(1), Method::Get, answer, Ok(()));
    }

    #[test]
    fn a_failure_is_of_the_class_that_says_who_could_have_repeated_it() {
        let (get, post) = (Method::Get, Method::Post);
        for (method, answer, class) in [
            (get, Answer::default(), Class::IdempotentNoHead),
            (get, answer(502, None), Class::IdempotentNoHead),
            (get, answer(504, None), Class::IdempotentNoHead),
            (get, answer(503, Some("a")), Class::IdempotentAfterHead),
            (get, answer(500, None), Class::IdempotentAfterHead),
            (get, answer(200, Some("a")), Class::IdempotentAfterHead),
            (post, Answer::default(), Class::Other),
            (post, answer(503, None), Class::Other),
            (post, answer(200, Some("a")), Class::Other),
        ] {
            assert_eq!(Class::of(method, &answer), class, "{method:?} {answer:?}");
        }
    }

    #[test]
    fn seconds_have_no_gap_and_the_last_hour_is_kept() {
        let mut tally = Tally::new();
        for second in [0, 0, 2] {
            record(&mut tally, second, &answer(200, Some("a")));
        }
        let seconds = |tally: &Tally| tally.report(0)["seconds"].as_array().unwrap().clone();
        let ok: Vec<_> = seconds(&tally).iter().map(|second| second["ok"].clone()).collect();
        assert_eq!(ok, [2, 0, 1]);
        assert_eq!(seconds(&tally)[0]["servers"], json!({ "a": 2 }));

        record(&mut tally, 3600, &answer(500, None));
        let hour = seconds(&tally);
        assert_eq!(
            (hour.len(), &hour[0]["at"], &hour[3599]["at"]),
            (3600, &1.into(), &3600.into())
        );
        assert_eq!((&hour[1]["ok"], &hour[3599]["failed"]), (&1.into(), &1.into()));
        record(&mut tally, 1_000_000_000, &answer(200, None));
        assert_eq!(seconds(&tally).len(), 1);
        assert_eq!(tally.report(0)["ok"], 4);
    }

    #[test]
    fn endless_failures_and_names_take_no_endless_memory() {
        let mut tally = Tally::new();
        for number in 0..1000 {
            record(&mut tally, 0, &answer(404, Some(&number.to_string())));
        }
        let report = tally.report(0);
        assert_eq!(report["failed"]["idempotent_after_head"], 1000);
        assert_eq!(report["failures"].as_array().unwrap().len(), 50);
        assert_eq!(report["servers"].as_object().unwrap().len(), 256);
        assert_eq!(report["servers"]["all others"], 745);
    }
}
