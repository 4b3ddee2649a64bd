//! Series in the form that the encoder takes.

use crate::telemetry::metrics::{Counts, DURATION_BUCKETS, Kind, Metric as Name, Sample, Value};
use prometheus::TextEncoder;
use prometheus::proto::{
    Bucket, Counter, Gauge, Histogram, LabelPair, Metric, MetricFamily, MetricType,
};
use rustc_hash::FxHashMap;

/// Families of series, in the order in which they first occur. None is empty, which the encoder would refuse.
#[derive(Default)]
pub(super) struct Families {
    families: Vec<MetricFamily>,
    /// Where each is, by name.
    places: FxHashMap<&'static str, usize>,
}

impl Families {
    /// All of them as text.
    pub(super) fn encode(&self) -> prometheus::Result<String> {
        TextEncoder::new().encode_to_string(&self.families)
    }

    /// A series of a counter or a gauge.
    pub(super) fn one(&mut self, name: &Name, values: &[&str], value: f64) {
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

    /// The same of a number that may not be known.
    pub(super) fn maybe(&mut self, name: &Name, values: &[&str], value: Option<f64>) {
        if let Some(value) = value {
            self.one(name, values, value);
        }
    }

    /// The same of whole numbers that are told apart by the last label.
    pub(super) fn each(
        &mut self,
        name: &Name,
        values: &[&str],
        counts: impl IntoIterator<Item = (&'static str, u64)>,
    ) {
        for (last, count) in counts {
            self.one(name, &[values, &[last]].concat(), count as f64);
        }
    }

    /// The series of a histogram.
    pub(super) fn histogram(&mut self, name: &Name, values: &[&str], counts: &Counts) {
        let Counts { buckets, sum } = counts;
        let mut cumulative = 0;
        // The encoder adds the bucket without a bound itself, from the count of all.
        let bounded = DURATION_BUCKETS.into_iter().zip(buckets).map(|(bound, count)| {
            cumulative += count;
            let mut bucket = Bucket::default();
            bucket.set_upper_bound(bound);
            bucket.set_cumulative_count(cumulative);
            bucket
        });
        let mut histogram = Histogram::default();
        histogram.set_bucket(bounded.collect());
        histogram.set_sample_count(buckets.iter().sum());
        histogram.set_sample_sum(*sum);
        let mut metric = Metric::from_label(labels(name, values));
        metric.set_histogram(histogram);
        self.add(name, metric);
    }

    /// What somebody else keeps.
    pub(super) fn sample(&mut self, sample: &Sample) {
        let labels: Vec<_> = sample.labels.iter().map(|label| &**label).collect();
        match &sample.value {
            Value::Number(value) => self.one(sample.metric, &labels, *value),
            Value::Durations(counts) => self.histogram(sample.metric, &labels, counts),
        }
    }

    fn add(&mut self, name: &Name, metric: Metric) {
        if let Some(place) = self.places.get(name.name) {
            self.families[*place].mut_metric().push(metric);
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
        self.places.insert(name.name, self.families.len());
        self.families.push(family);
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
