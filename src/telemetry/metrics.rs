//! Every metric: its name, its meaning, and the counters behind it.

use super::sharded::Sharded;
use super::traces::SpanCounts;
use std::time::Duration;

/// Upper bounds of the duration histogram's buckets, in seconds; the last bucket has no bound.
pub const DURATION_BUCKETS: [f64; 14] =
    [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];

const BUCKETS: usize = DURATION_BUCKETS.len() + 1;
const SUM: usize = BUCKETS;

/// The classes that requests are counted by: 1xx to 5xx, and requests that ended without a response's head.
pub const CODE_CLASSES: [&str; 6] = ["1xx", "2xx", "3xx", "4xx", "5xx", "none"];

/// Requests by class of status code.
#[derive(Debug)]
pub struct RequestCounter(Sharded<{ CODE_CLASSES.len() }>);

impl RequestCounter {
    /// Counters for `workers` workers.
    pub fn new(workers: usize) -> Self {
        Self(Sharded::new(workers))
    }

    /// Counts a request that was answered with `status`; `None` when it never was.
    pub fn record(&self, worker: usize, status: Option<u16>) {
        let class = match status {
            Some(status @ 100..600) => usize::from(status / 100 - 1),
            Some(_) | None => CODE_CLASSES.len() - 1,
        };
        self.0.add(worker, class, 1);
    }

    /// Requests per class, in the order of [`CODE_CLASSES`].
    pub fn totals(&self) -> [u64; CODE_CLASSES.len()] {
        self.0.totals()
    }
}

/// A histogram of durations.
#[derive(Debug)]
pub struct DurationHistogram(Sharded<{ SUM + 1 }>);

impl DurationHistogram {
    /// Counters for `workers` workers.
    pub fn new(workers: usize) -> Self {
        Self(Sharded::new(workers))
    }

    /// Counts one duration.
    pub fn record(&self, worker: usize, duration: Duration) {
        let seconds = duration.as_secs_f64();
        let bucket = DURATION_BUCKETS.partition_point(|bound| *bound < seconds);
        self.0.add(worker, bucket, 1);
        self.0.add(worker, SUM, duration.as_nanos() as u64);
    }

    /// Counts per bucket (not cumulative; the last has no bound) and the sum in seconds.
    pub fn totals(&self) -> ([u64; BUCKETS], f64) {
        let all = self.0.totals();
        let buckets = std::array::from_fn(|i| all[i]);
        (buckets, all[SUM] as f64 / 1e9)
    }
}

/// What a metric is called and means; `/metrics` fills in the values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Metric {
    /// Its name, with the unit as suffix.
    pub name: &'static str,
    /// What it means.
    pub help: &'static str,
    /// Whether it only grows.
    pub kind: Kind,
    /// The names of its labels.
    pub labels: &'static [&'static str],
}

/// One number that somebody else than `/metrics` itself keeps.
#[derive(Clone, Debug, PartialEq)]
pub struct Sample {
    /// What it is; a counter or a gauge.
    pub metric: &'static Metric,
    /// The values of its labels.
    pub labels: Vec<&'static str>,
    /// The number.
    pub value: f64,
}

impl Sample {
    /// A sample of `metric`, which has no labels.
    pub fn of(metric: &'static Metric, value: f64) -> Self {
        Self { metric, labels: Vec::new(), value }
    }

    /// A sample of [`TASKS`]: those of one of our two kinds of runtime, `control` or `workers`.
    pub fn tasks(runtime: &'static str, alive: usize) -> Self {
        Self { metric: &TASKS, labels: vec![runtime], value: alive as f64 }
    }

    /// Samples of [`SPANS`], one for each thing that may become of a span.
    pub fn spans(counts: SpanCounts) -> [Self; 3] {
        let SpanCounts { exported, failed, dropped } = counts;
        [("exported", exported), ("failed", failed), ("dropped", dropped)].map(
            |(outcome, spans)| Self { metric: &SPANS, labels: vec![outcome], value: spans as f64 },
        )
    }

    /// A sample per class of status code of `metric`, which has the label `code`.
    pub fn by_code(metric: &'static Metric, counter: &RequestCounter) -> Vec<Self> {
        let totals = CODE_CLASSES.into_iter().zip(counter.totals());
        totals
            .filter(|(class, total)| *total > 0 || *class == "4xx")
            .map(|(class, total)| Self { metric, labels: vec![class], value: total as f64 })
            .collect()
    }
}

/// How a metric behaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Only grows.
    Counter,
    /// Goes up and down.
    Gauge,
    /// Counts per bucket, and their sum.
    Histogram,
}

macro_rules! metrics {
    ($($constant:ident = $kind:ident $name:literal [$($label:literal),*] $help:literal;)*) => {
        $(
            #[doc = $help]
            pub const $constant: Metric =
                Metric { name: $name, help: $help, kind: Kind::$kind, labels: &[$($label),*] };
        )*

        /// All of them.
        pub const ALL: &[Metric] = &[$($constant),*];
    };
}

metrics! {
    BUILD_INFO = Gauge "outrigger_build_info" ["version", "commit"]
        "Always 1; the labels tell what runs.";
    READY = Gauge "outrigger_ready" []
        "1 while new clients should be sent here.";
    WORKERS = Gauge "outrigger_workers" []
        "Worker threads.";
    CONFIG_GENERATION = Gauge "outrigger_config_generation" []
        "The number of the configuration that runs in this process, counted from 1.";
    CONFIG_IN_SYNC = Gauge "outrigger_config_in_sync" []
        "1 while what runs is what the configuration's source says; 0 when it was refused or is missing.";
    CONFIG_LOADED = Gauge "outrigger_config_loaded_timestamp_seconds" []
        "When the running configuration came to be, in seconds since 1970.";
    RELOADS = Counter "outrigger_reloads_total" ["result"]
        "Changes of the configuration's source, by what became of them.";
    LIVE_SNAPSHOTS = Gauge "outrigger_live_snapshots" []
        "Compiled configurations in memory: the running one, and those that somebody still holds.";
    REQUESTS = Counter "outrigger_requests_total" ["backend", "endpoint", "code"]
        "Requests by class of status code; endpoint none: no endpoint answered; code none: there was no answer.";
    REQUESTS_REFUSED = Counter "outrigger_requests_refused_total" ["code"]
        "Requests that were refused, or taken by no route, before they reached a backend, by class of our answer.";
    REQUESTS_ANSWERED = Counter "outrigger_requests_answered_total" ["code"]
        "Requests that a route answered itself (redirect, respond), by class of the answer.";
    TASKS = Gauge "outrigger_tasks" ["runtime"]
        "Asynchronous tasks that have not ended, of the control runtime and of the workers together.";
    CLIENT_CONNECTIONS = Gauge "outrigger_client_connections" []
        "Open connections from clients.";
    ACCESS_LOG_DROPPED = Counter "outrigger_access_log_dropped_total" []
        "Lines of the access log that were dropped: their output is full, gone or too slow.";
    SPANS = Counter "outrigger_spans_total" ["outcome"]
        "Spans of traces: exported: the collector took them; failed: it refused them, or not in time; dropped: too many waited.";
    REQUEST_DURATION = Histogram "outrigger_request_duration_seconds" ["backend"]
        "Time from a request's head to the end of its response.";
    RETRIES = Counter "outrigger_retries_total" ["backend"]
        "Tries after the first.";
    RETRIES_REFUSED = Counter "outrigger_retries_refused_total" ["backend"]
        "Retries that the budget forbade.";
    BACKEND_PANIC = Gauge "outrigger_backend_panic" ["backend"]
        "1 while too few endpoints are healthy, so that all count as healthy.";
    ENDPOINT_HEALTHY = Gauge "outrigger_endpoint_healthy" ["backend", "endpoint"]
        "0 when health probes or name look-ups failed, else 1.";
    ENDPOINT_ELIGIBLE = Gauge "outrigger_endpoint_eligible" ["backend", "endpoint"]
        "1 while it gets requests.";
    ENDPOINT_IN_FLIGHT = Gauge "outrigger_endpoint_in_flight_requests" ["backend", "endpoint"]
        "Requests that were given to it and have not ended.";
    ENDPOINT_PICKS = Counter "outrigger_endpoint_picks_total" ["backend", "endpoint"]
        "Requests given to it, tries included.";
    ENDPOINT_LATENCY = Gauge "outrigger_endpoint_latency_seconds" ["backend", "endpoint"]
        "Decayed average of the time to a response's head; absent before the first sample.";
    CERTIFICATE_NOT_AFTER = Gauge "outrigger_certificate_not_after_seconds" ["listener", "backend", "file", "name"]
        "Until when a certificate that a listener or a backend shows holds, in seconds since 1970; name: the first host name in it.";
    PROCESS_START = Gauge "process_start_time_seconds" []
        "When the process started, in seconds since 1970.";
    PROCESS_CPU = Counter "process_cpu_seconds_total" []
        "Processor time spent, in seconds.";
    PROCESS_MEMORY = Gauge "process_resident_memory_bytes" []
        "Memory in use.";
    PROCESS_FILES = Gauge "process_open_fds" []
        "File descriptors in use.";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_on_a_bound_counts_below_it() {
        let histogram = DurationHistogram::new(1);
        histogram.record(0, Duration::from_micros(500));
        histogram.record(0, Duration::from_secs(60));
        let (buckets, sum) = histogram.totals();
        assert_eq!(buckets[0], 1);
        assert_eq!(buckets[BUCKETS - 1], 1);
        assert!((sum - 60.0005).abs() < 1e-9);
    }

    #[test]
    fn every_metric_has_one_name_that_says_what_it_is() {
        for (index, metric) in ALL.iter().enumerate() {
            let name = metric.name;
            assert!(name.starts_with("outrigger_") || name.starts_with("process_"), "{name}");
            assert_eq!(name.ends_with("_total"), metric.kind == Kind::Counter, "{name}");
            assert!(ALL[index + 1..].iter().all(|other| other.name != name), "{name} twice");
        }
    }

    #[test]
    fn requests_without_a_response_have_a_class() {
        let counter = RequestCounter::new(1);
        counter.record(0, Some(204));
        counter.record(0, None);
        assert_eq!(counter.totals(), [0, 1, 0, 0, 0, 1]);
    }
}
