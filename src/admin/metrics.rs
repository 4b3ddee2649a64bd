//! `/metrics`: adds up what the workers count, only when somebody asks.
//!
//! Series are made from the running snapshot at each scrape, so that those of a removed endpoint go with it.

use super::{AdminContext, process};
use crate::backend::Backend;
use crate::endpoint::Health;
use crate::snapshot::{Snapshot, User};
use crate::telemetry::metrics::{self as names, CODE_CLASSES, DURATION_BUCKETS, DurationHistogram};
use crate::telemetry::metrics::{Kind, Metric as Name, Sample};
use prometheus::TextEncoder;
use prometheus::proto::{
    Bucket, Counter, Gauge, Histogram, LabelPair, Metric, MetricFamily, MetricType,
};
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{SystemTime, UNIX_EPOCH};

/// All numbers in Prometheus' classic text format.
pub(super) fn text(context: &AdminContext) -> prometheus::Result<String> {
    let mut families = Families::default();
    of_process(context, &mut families);
    let snapshot = context.store.load();
    of_backends(&snapshot.backends, &mut families);
    of_certificates(&snapshot, &mut families);
    for Sample { metric, labels, value } in (context.extra)() {
        families.one(metric, &labels, value);
    }
    TextEncoder::new().encode_to_string(&families.0)
}

fn of_process(context: &AdminContext, families: &mut Families) {
    let source = context.source.load();
    let (accepted, refused, unchanged) = context.source.counts();
    let results = [("accepted", accepted), ("refused", refused), ("unchanged", unchanged)];
    families.one(&names::BUILD_INFO, &[context.version, context.commit], 1.0);
    families.one(&names::READY, &[], flag(context.not_ready().is_empty()));
    families.one(&names::WORKERS, &[], context.workers as f64);
    families.one(&names::CONFIG_GENERATION, &[], context.store.load().generation as f64);
    families.one(&names::CONFIG_IN_SYNC, &[], flag(source.in_sync()));
    families.maybe(&names::CONFIG_LOADED, &[], source.loaded_at.map(seconds));
    for (result, count) in results {
        families.one(&names::RELOADS, &[result], count as f64);
    }
    families.one(&names::LIVE_SNAPSHOTS, &[], Snapshot::live() as f64);
    families.one(&names::PROCESS_START, &[], seconds(context.started_at));
    families.maybe(&names::PROCESS_CPU, &[], process::cpu_seconds());
    families.maybe(&names::PROCESS_MEMORY, &[], process::resident_bytes());
    families.maybe(&names::PROCESS_FILES, &[], process::open_files());
}

fn of_backends(backends: &[Arc<Backend>], families: &mut Families) {
    for backend in backends {
        let (name, counters, eligible) =
            (&**backend.name(), backend.counters(), backend.eligible());
        families.requests(&[name, "none"], counters.unanswered.totals());
        families.histogram(&names::REQUEST_DURATION, &[name], &counters.duration);
        families.one(&names::RETRIES, &[name], counters.retries.load(Relaxed) as f64);
        let refused = counters.retries_refused.load(Relaxed);
        families.one(&names::RETRIES_REFUSED, &[name], refused as f64);
        families.one(&names::BACKEND_PANIC, &[name], flag(eligible.panic));
        for member in backend.members() {
            let endpoint = &member.endpoint;
            let url = endpoint.url().to_string();
            let labels = [name, &url];
            let is_eligible = eligible
                .candidates
                .list()
                .iter()
                .any(|candidate| candidate.endpoint.id() == endpoint.id());
            let latency = endpoint.latency().map(|latency| latency.as_secs_f64());
            families.requests(&labels, member.endpoint.requests().totals());
            let healthy = endpoint.health() != Health::Unhealthy;
            families.one(&names::ENDPOINT_HEALTHY, &labels, flag(healthy));
            families.one(&names::ENDPOINT_ELIGIBLE, &labels, flag(is_eligible));
            families.one(&names::ENDPOINT_IN_FLIGHT, &labels, endpoint.in_flight().into());
            families.one(&names::ENDPOINT_PICKS, &labels, endpoint.picks() as f64);
            families.maybe(&names::ENDPOINT_LATENCY, &labels, latency);
        }
    }
}

fn of_certificates(snapshot: &Snapshot, families: &mut Families) {
    for (user, certificate) in snapshot.certificates() {
        let file = certificate.path.display().to_string();
        let name = certificate.names.first().map_or("", String::as_str);
        let (listener, backend) = match user {
            User::Listener(listener) => (listener, ""),
            User::Backend(backend) => ("", backend),
        };
        let not_after = seconds(certificate.not_after);
        families.one(&names::CERTIFICATE_NOT_AFTER, &[listener, backend, &file, name], not_after);
    }
}

/// Families of series, in the order in which they first occur. None is empty, which the encoder would refuse.
#[derive(Default)]
struct Families(Vec<MetricFamily>);

impl Families {
    fn one(&mut self, name: &Name, values: &[&str], value: f64) {
        let mut metric = Metric::from_label(labels(name, values));
        match name.kind {
            Kind::Counter => {
                let mut counter = Counter::default();
                counter.set_value(value);
                metric.set_counter(counter);
            }
            Kind::Gauge | Kind::Histogram => {
                let mut gauge = Gauge::default();
                gauge.set_value(value);
                metric.set_gauge(gauge);
            }
        }
        self.add(name, metric);
    }

    fn maybe(&mut self, name: &Name, values: &[&str], value: Option<f64>) {
        if let Some(value) = value {
            self.one(name, values, value);
        }
    }

    /// Requests per class. The usual classes are there from the start, or the first error would not be an increase.
    fn requests(&mut self, of: &[&str; 2], totals: [u64; CODE_CLASSES.len()]) {
        for (class, total) in CODE_CLASSES.into_iter().zip(totals) {
            if total > 0 || matches!(class, "2xx" | "5xx") {
                self.one(&names::REQUESTS, &[of[0], of[1], class], total as f64);
            }
        }
    }

    fn histogram(&mut self, name: &Name, values: &[&str], counted: &DurationHistogram) {
        let (counts, sum) = counted.totals();
        let mut cumulative = 0;
        // The encoder adds the bucket without a bound itself, from the count of all.
        let buckets = DURATION_BUCKETS.into_iter().zip(counts).map(|(bound, count)| {
            cumulative += count;
            let mut bucket = Bucket::default();
            bucket.set_upper_bound(bound);
            bucket.set_cumulative_count(cumulative);
            bucket
        });
        let mut histogram = Histogram::default();
        histogram.set_bucket(buckets.collect());
        histogram.set_sample_count(counts.iter().sum());
        histogram.set_sample_sum(sum);
        let mut metric = Metric::from_label(labels(name, values));
        metric.set_histogram(histogram);
        self.add(name, metric);
    }

    fn add(&mut self, name: &Name, metric: Metric) {
        if let Some(family) = self.0.iter_mut().find(|family| family.name() == name.name) {
            family.mut_metric().push(metric);
            return;
        }
        let mut family = MetricFamily::default();
        family.set_name(name.name.to_owned());
        family.set_help(name.help.to_owned());
        family.set_field_type(match name.kind {
            Kind::Counter => MetricType::COUNTER,
            Kind::Gauge => MetricType::GAUGE,
            Kind::Histogram => MetricType::HISTOGRAM,
        });
        family.set_metric(vec![metric]);
        self.0.push(family);
    }
}

fn labels(name: &Name, values: &[&str]) -> Vec<LabelPair> {
    debug_assert_eq!(name.labels.len(), values.len(), "{}", name.name);
    let pair = |(label, value): (&&str, &&str)| {
        let mut pair = LabelPair::default();
        pair.set_name((*label).to_owned());
        pair.set_value((*value).to_owned());
        pair
    };
    name.labels.iter().zip(values).map(pair).collect()
}

fn flag(is: bool) -> f64 {
    f64::from(u8::from(is))
}

fn seconds(at: SystemTime) -> f64 {
    at.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64()
}
