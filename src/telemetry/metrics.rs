//! Every metric: its name, its meaning, and the counters behind it.

mod counters;
#[cfg(test)]
mod docs;
mod listener;

pub use counters::{
    CODE_CLASSES, Counts, DURATION_BUCKETS, DurationHistogram, RequestCounter, occurred,
};
pub use listener::{Handshake, ListenerCounters, ListenerTally, Pause, Protocol, Refusal};

use super::traces::SpanCounts;
use std::borrow::Cow;

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

/// What somebody else than `/metrics` itself keeps.
#[derive(Clone, Debug, PartialEq)]
pub struct Sample {
    /// What it is.
    pub metric: &'static Metric,
    /// The values of its labels.
    pub labels: Vec<Cow<'static, str>>,
    /// What was counted.
    pub value: Value,
}

/// What a sample says.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// The number of a counter or a gauge.
    Number(f64),
    /// A histogram's.
    Durations(Counts),
}

impl Sample {
    /// A sample of `metric`, which has no labels.
    pub fn of(metric: &'static Metric, value: f64) -> Self {
        Self { metric, labels: Vec::new(), value: Value::Number(value) }
    }

    /// A sample of `metric`, which has one label.
    pub fn by(metric: &'static Metric, label: &'static str, value: f64) -> Self {
        Self { metric, labels: vec![label.into()], value: Value::Number(value) }
    }

    /// A sample of [`TASKS`]: those of one of our two kinds of runtime, `control` or `workers`.
    pub fn tasks(runtime: &'static str, alive: usize) -> Self {
        Self::by(&TASKS, runtime, alive as f64)
    }

    /// A sample of [`WATCH_ERRORS`].
    pub fn watch_errors(resource: &'static str, reason: &'static str, count: u64) -> Self {
        let labels = vec![resource.into(), reason.into()];
        Self { metric: &WATCH_ERRORS, labels, value: Value::Number(count as f64) }
    }

    /// Samples of [`SPANS`], one for each thing that may become of a span.
    pub fn spans(counts: SpanCounts) -> [Self; 3] {
        let SpanCounts { exported, failed, dropped } = counts;
        [("exported", exported), ("failed", failed), ("dropped", dropped)]
            .map(|(outcome, spans)| Self::by(&SPANS, outcome, spans as f64))
    }

    /// A sample per class of status code of `metric`, which has the label `code`.
    pub fn by_code(metric: &'static Metric, counter: &RequestCounter) -> Vec<Self> {
        let counted = occurred(counter.totals(), &["4xx"]);
        counted.map(|(class, total)| Self::by(metric, class, total as f64)).collect()
    }

    /// A sample per worker of `histogram`: how late it gets to its work.
    pub fn worker_delays(histogram: &DurationHistogram) -> Vec<Self> {
        let of = |(worker, counts): (usize, Counts)| Self {
            metric: &WORKER_DELAY,
            labels: vec![worker.to_string().into()],
            value: Value::Durations(counts),
        };
        histogram.by_worker().enumerate().map(of).collect()
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
    CONFIG_INFO = Gauge "outrigger_config_info" ["hash"]
        "Always 1; the label is the SHA-256 of the configuration that runs, equal wherever the same one does.";
    CONFIG_IN_SYNC = Gauge "outrigger_config_in_sync" []
        "1 while what runs is what the configuration's source says; 0 when it was refused or is missing.";
    CONFIG_LOADED = Gauge "outrigger_config_loaded_timestamp_seconds" []
        "When the running configuration came to be, in seconds since 1970.";
    RELOADS = Counter "outrigger_reloads_total" ["result"]
        "Changes of the configuration's source, by what became of them: accepted, refused, unchanged.";
    RELOAD_AT = Gauge "outrigger_last_reload_timestamp_seconds" ["result"]
        "When a change of the configuration's source last had this result, in seconds since 1970; absent before the first.";
    RELOAD_DURATION = Histogram "outrigger_reload_duration_seconds" []
        "Time from the moment when a change of the source was seen to its result, whatever that was.";
    LAST_RELOAD_DURATION = Gauge "outrigger_last_reload_duration_seconds" []
        "How long the last change of the source took; absent before the first.";
    WATCH_ERRORS = Counter "outrigger_kubernetes_watch_errors_total" ["resource", "reason"]
        "Failures to follow what Kubernetes says of endpointslices, services or configmaps: setup, unreachable, timeout, unauthorized, forbidden, expired, unavailable (408, 429, 5xx), refused, malformed. What is known is kept.";
    WATCH_AGE = Gauge "outrigger_kubernetes_watch_age_seconds" ["resource"]
        "How old what is known of a resource may be: time since its worst watch broke, 0 while all stand; absent where nothing is watched.";
    LIVE_SNAPSHOTS = Gauge "outrigger_live_snapshots" []
        "Compiled configurations in memory: the running one, and those that somebody still holds.";
    LISTENER_REQUESTS = Counter "outrigger_listener_requests_total" ["listener", "protocol", "code"]
        "Requests that ended, by the client's protocol (http1, http2) and class of status code, refused ones included; code none: there was no answer.";
    LISTENER_IN_FLIGHT = Gauge "outrigger_listener_in_flight_requests" ["listener"]
        "Requests that have begun and not ended; a conversation after an upgrade is one.";
    LISTENER_RECEIVED = Counter "outrigger_listener_received_bytes_total" ["listener"]
        "Bytes of requests' bodies, and of conversations after an upgrade, from clients.";
    LISTENER_SENT = Counter "outrigger_listener_sent_bytes_total" ["listener"]
        "Bytes of responses' bodies, and of conversations after an upgrade, to clients.";
    LISTENER_CONNECTIONS = Gauge "outrigger_listener_connections" ["listener"]
        "Open connections from clients.";
    CONNECTIONS_ACCEPTED = Counter "outrigger_connections_accepted_total" ["listener"]
        "Connections that were accepted from clients.";
    CONNECTIONS_REFUSED = Counter "outrigger_connections_refused_total" ["listener", "reason"]
        "Accepted connections that did not come to a request: proxy_protocol (its header), tls (the handshake failed), timeout (neither came in time).";
    ACCEPT_PAUSES = Counter "outrigger_accept_pauses_total" ["listener", "reason"]
        "Times that a worker accepted nobody for 50 ms, so that clients waited in the queue: limit (maxConnections), files (file descriptors ran out).";
    TLS_HANDSHAKES = Counter "outrigger_tls_handshakes_total" ["listener", "result", "version"]
        "TLS handshakes with clients: ok (full), resumed, failed, timeout; version: 1.2 or 1.3, none where none was agreed on.";
    REQUESTS = Counter "outrigger_requests_total" ["backend", "endpoint", "code"]
        "Requests by class of status code; endpoint none: no endpoint answered; code none: there was no answer.";
    ROUTE_REQUESTS = Counter "outrigger_route_requests_total" ["route", "code"]
        "Requests that the route took, by class of status code.";
    REQUESTS_REFUSED = Counter "outrigger_requests_refused_total" ["code"]
        "Requests that were refused, or taken by no route, before they reached a backend, by class of our answer.";
    REQUESTS_ANSWERED = Counter "outrigger_requests_answered_total" ["code"]
        "Requests that a route answered itself (redirect, respond), by class of the answer.";
    TASKS = Gauge "outrigger_tasks" ["runtime"]
        "Asynchronous tasks that have not ended, of the control runtime and of the workers together.";
    CLIENT_CONNECTIONS = Gauge "outrigger_client_connections" []
        "Open connections from clients, of all listeners together, those included that are on their way to a worker or came by a removed listener.";
    ACCESS_LOG_DROPPED = Counter "outrigger_access_log_dropped_total" []
        "Lines of the access log that were dropped: their output is full, gone or too slow.";
    SPANS = Counter "outrigger_spans_total" ["outcome"]
        "Spans of traces: exported: the collector took them; failed: it refused them, or they could not be sent in time; dropped: they were never sent, for too many waited or traces had just been turned off.";
    LOG_DROPPED = Counter "outrigger_log_dropped_total" []
        "Lines of the process's own log that were dropped: standard error is too slow.";
    WORKER_DELAY = Histogram "outrigger_worker_delay_seconds" ["worker"]
        "How late a worker's timers ring, which is how long a request waits for its turn; up to 2 ms is the clock's grain.";
    REQUEST_DURATION = Histogram "outrigger_request_duration_seconds" ["backend"]
        "Time from a request's head to the end of its response, tries and the client's reading included.";
    RESPONSE_HEAD = Histogram "outrigger_response_head_seconds" ["backend"]
        "Time from a request sent to an endpoint to the head of its response: what the endpoint took, each try for itself.";
    BACKEND_RECEIVED = Counter "outrigger_backend_received_bytes_total" ["backend"]
        "Bytes of responses' bodies, and of conversations after an upgrade, from its endpoints.";
    BACKEND_SENT = Counter "outrigger_backend_sent_bytes_total" ["backend"]
        "Bytes of requests' bodies, and of conversations after an upgrade, to its endpoints, tries included.";
    RETRIES = Counter "outrigger_retries_total" ["backend"]
        "Tries after the first.";
    RETRIES_REFUSED = Counter "outrigger_retries_refused_total" ["backend"]
        "Retries that the budget forbade.";
    RETRY_BUDGET = Gauge "outrigger_retry_budget_remaining" ["backend"]
        "Retries that the budget allows at this moment.";
    PICKS = Counter "outrigger_picks_total" ["backend", "algorithm"]
        "Picks of an endpoint, tries included, by the algorithm that made them.";
    BACKEND_IMBALANCE = Gauge "outrigger_backend_imbalance" ["backend"]
        "Coefficient of variation of picks per weight over the eligible endpoints in the last 10 s: 0 is even; absent with one endpoint or little traffic.";
    BACKEND_PANIC = Gauge "outrigger_backend_panic" ["backend"]
        "1 while too few endpoints are healthy, so that all count as healthy.";
    UPSTREAM_CONNECTS = Counter "outrigger_upstream_connects_total" ["backend"]
        "Connections to endpoints that were tried for requests, those that failed included.";
    UPSTREAM_FAILURES = Counter "outrigger_upstream_connect_failures_total" ["backend", "reason"]
        "Connections to endpoints that failed: refused, timeout, dns, tls, local (no socket or port left here), other.";
    UPSTREAM_CONNECTIONS = Gauge "outrigger_upstream_connections" ["backend"]
        "Open connections to endpoints for requests, idle and upgraded ones included.";
    UPSTREAM_IDLE = Gauge "outrigger_upstream_idle_connections" ["backend"]
        "Of these, connections that carry nothing and wait for a request, as of the last second.";
    UPSTREAM_STREAMS = Gauge "outrigger_upstream_streams" ["backend"]
        "Open HTTP/2 streams to endpoints.";
    ENDPOINT_HEALTHY = Gauge "outrigger_endpoint_healthy" ["backend", "endpoint"]
        "0 when health probes or name look-ups failed, else 1.";
    ENDPOINT_ELIGIBLE = Gauge "outrigger_endpoint_eligible" ["backend", "endpoint"]
        "1 while it gets requests.";
    ENDPOINT_IN_FLIGHT = Gauge "outrigger_endpoint_in_flight_requests" ["backend", "endpoint"]
        "Requests that were given to it and have not ended.";
    ENDPOINT_PICKS = Counter "outrigger_endpoint_picks_total" ["backend", "endpoint"]
        "Requests given to it, tries included.";
    ENDPOINT_LATENCY = Gauge "outrigger_endpoint_latency_seconds" ["backend", "endpoint"]
        "Decayed average of the time to a response's head, of what was answered; absent before the first answer.";
    PROBES = Counter "outrigger_probes_total" ["backend", "endpoint", "probe", "result"]
        "Probes (health, latency) by result (pass, fail).";
    PROBE_DURATION = Histogram "outrigger_probe_duration_seconds" ["backend", "probe"]
        "How long probes took, connection included; those that failed, too.";
    CERTIFICATE_NOT_AFTER = Gauge "outrigger_certificate_not_after_seconds" ["listener", "backend", "file", "name"]
        "Until when a certificate that a listener or a backend shows holds, in seconds since 1970; name: the first host name in it.";
    PROCESS_START = Gauge "process_start_time_seconds" []
        "When the process started, in seconds since 1970.";
    PROCESS_CPU = Counter "process_cpu_seconds_total" []
        "Processor time spent, in seconds.";
    PROCESS_MEMORY = Gauge "process_resident_memory_bytes" []
        "Memory in use.";
    PROCESS_VIRTUAL_MEMORY = Gauge "process_virtual_memory_bytes" []
        "Address space, used or not.";
    PROCESS_FILES = Gauge "process_open_fds" []
        "File descriptors in use.";
    PROCESS_MAX_FILES = Gauge "process_max_fds" []
        "File descriptors that the process may have.";
    PROCESS_THREADS = Gauge "process_threads" []
        "Threads of the operating system.";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_metric_has_one_name_that_says_what_it_is() {
        for (index, metric) in ALL.iter().enumerate() {
            let name = metric.name;
            assert!(name.starts_with("outrigger_") || name.starts_with("process_"), "{name}");
            assert_eq!(name.ends_with("_total"), metric.kind == Kind::Counter, "{name}");
            assert!(metric.kind != Kind::Histogram || name.ends_with("_seconds"), "{name}");
            assert!(ALL[index + 1..].iter().all(|other| other.name != name), "{name} twice");
        }
    }
}
