//! Traces and decisions.

use super::defaulted::{limit, number, share};
use super::{Unique, Validator};
use crate::config::decode::Field;
use crate::config::file;
use crate::config::problem::Fault;
use crate::config::scalar::{AnyText, Collector, HeaderFieldName, SecretHeaderText, Text, Word};
use crate::config::tree::At;
use crate::model::{self, Ratio, defaults};
use http::HeaderName;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Header fields that follow from what an export is, so that nobody else can set them.
const OF_THE_EXPORT: &[&str] = &[
    "connection",
    "content-encoding",
    "content-length",
    "content-type",
    "host",
    "keep-alive",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

/// Whether a header field is the export's own: of its connection, its body, or gRPC, whose names with `-bin` are for what is no text.
pub(in crate::config) fn is_of_the_export(name: &HeaderName) -> bool {
    let name = name.as_str();
    OF_THE_EXPORT.contains(&name) || name.starts_with("grpc-") || name.ends_with("-bin")
}

impl Validator<'_> {
    pub(super) fn traces(
        &self,
        typed: &Field<file::Telemetry>,
        root: &At<'_>,
    ) -> Option<model::Traces> {
        let typed = typed.get()?.traces.get()?;
        let at = root.key("telemetry").key("traces");
        let headers = self.secret_fields(typed, &at);
        let resource = self.resource(typed, &at);
        let propagation = self.propagation(typed, &at);
        let timeout = self.positive(&typed.timeout, defaults::EXPORT_TIMEOUT, &at.key("timeout"));
        let queue = typed.queue.get().cloned().unwrap_or_default();
        let (max_queue_size, max_batch_size) = self.queue(&queue, &at.key("queue"));
        let batch_delay =
            self.positive(&queue.delay, defaults::SPAN_DELAY, &at.key("queue").key("delay"));
        let collector = typed.endpoint.get()?.0.as_ref()?;
        let protocol = match typed.protocol.get() {
            Some(file::OtlpProtocol::HttpProtobuf) => model::OtlpProtocol::HttpProtobuf,
            Some(file::OtlpProtocol::Grpc) | None => model::OtlpProtocol::Grpc,
        };
        let (ca, client_certificate) = self.collector_tls(&typed.tls, &at);
        let exporter = model::TraceExporter {
            endpoint: self.collector(collector, protocol, &at),
            protocol,
            headers,
            gzip: typed.compression.get() == Some(&file::Compression::Gzip),
            timeout,
            ca,
            client_certificate,
            max_queue_size,
            max_batch_size,
            batch_delay,
            resource,
        };
        Some(model::Traces { exporter, sampling: sampling(typed), propagation })
    }

    /// The collector's URL as it is used.
    fn collector(
        &self,
        collector: &Collector,
        protocol: model::OtlpProtocol,
        traces: &At<'_>,
    ) -> Arc<str> {
        let path = &*collector.path;
        let endpoint = match protocol {
            model::OtlpProtocol::Grpc => {
                if !matches!(path, "" | "/") {
                    let fault = Fault::new("the path of the URL has no effect: gRPC has its own");
                    self.problems.warn(&traces.key("endpoint"), fault);
                }
                collector.origin.to_string()
            }
            model::OtlpProtocol::HttpProtobuf if path.is_empty() => {
                format!("{}/v1/traces", collector.origin)
            }
            model::OtlpProtocol::HttpProtobuf => collector.to_string(),
        };
        Arc::from(endpoint)
    }

    fn secret_fields<'t>(&self, typed: &file::Traces, traces: &At<'t>) -> Vec<model::SecretField> {
        let mut names = Unique::new("header field");
        let field = |(typed, at): (&file::SecretField, At<'t>)| {
            let name = self.required(&typed.name, &at, "name", HeaderFieldName::expected);
            let value = self.required(&typed.value, &at, "value", SecretHeaderText::expected);
            let name = &name?.0;
            if is_of_the_export(name) {
                let fault = Fault::new(format!(
                    "the header field `{}` cannot be set: it follows from the export",
                    at.key("name").shown()
                ));
                self.problems.value(&at.key("name"), fault);
            }
            self.unique(&mut names, name.clone(), &at.key("name"));
            Some(model::SecretField { name: name.clone(), value: value?.0.clone() })
        };
        self.any(&typed.headers, traces, "headers").into_iter().filter_map(field).collect()
    }

    /// What is said of this process, by key.
    fn resource(&self, typed: &file::Traces, traces: &At<'_>) -> Vec<(Arc<str>, Arc<str>)> {
        const NAME: &str = "service.name";
        let service = typed.service_name.get().map_or(defaults::SERVICE_NAME, |name| &name.0);
        let mut resource: BTreeMap<Arc<str>, Arc<str>> = BTreeMap::from([
            (NAME.into(), service.into()),
            ("service.version".into(), crate::VERSION.into()),
            ("service.instance.id".into(), instance().into()),
        ]);
        let mut names = Unique::new("attribute");
        for (typed, at) in self.any(&typed.resource_attributes, traces, "resourceAttributes") {
            let name = self.required(&typed.name, &at, "name", Text::expected);
            let value = self.required(&typed.value, &at, "value", AnyText::expected);
            let (Some(Text(name)), Some(AnyText(value))) = (name, value) else { continue };
            let at = at.key("name");
            if name == NAME {
                let fault = Fault::new(format!("the attribute `{NAME}` has a key of its own"));
                self.problems.value(&at, fault.allow("`serviceName`"));
            }
            self.unique(&mut names, name.clone(), &at);
            resource.insert(Arc::from(&**name), Arc::from(&**value));
        }
        resource.into_iter().collect()
    }

    fn propagation(&self, typed: &file::Traces, traces: &At<'_>) -> model::Propagation {
        let all = match typed.propagation.is_absent() {
            true => vec![file::Propagator::TraceContext],
            false => {
                let mut seen = Unique::new("form");
                let items = self.any(&typed.propagation, traces, "propagation").into_iter();
                let item = items.map(|(one, at)| {
                    self.unique(&mut seen, *one, &at);
                    *one
                });
                item.collect()
            }
        };
        model::Propagation {
            trace_context: all.contains(&file::Propagator::TraceContext),
            b3: all.contains(&file::Propagator::B3),
            b3_multi: all.contains(&file::Propagator::B3Multi),
        }
    }

    /// How many spans wait, and how many are sent at once.
    fn queue(&self, typed: &file::SpanQueue, at: &At<'_>) -> (usize, usize) {
        let max_spans = number(&typed.max_spans, defaults::MAX_SPANS as u64) as usize;
        let max_batch = number(&typed.max_batch, defaults::MAX_SPAN_BATCH as u64) as usize;
        let spans = at.key("maxSpans");
        let batch = at.key("maxBatch");
        // A variable is not to know the other number: the smaller one holds.
        let typed_here = typed.max_batch.get().is_some() && !batch.is_expanded();
        if max_batch > max_spans && typed_here && !spans.is_expanded() {
            let most = match typed.max_spans.is_absent() {
                true => max_spans.to_string(),
                false => spans.shown(),
            };
            let fault =
                Fault::new(format!("a batch of `{}` is larger than the queue", batch.shown()));
            self.problems
                .value(&batch, fault.allow(format!("at most {most}, which is `maxSpans`")));
        }
        (max_spans, max_batch.min(max_spans))
    }

    pub(super) fn decisions(&self, typed: &Field<file::Telemetry>) -> model::Decisions {
        let typed = typed.get().and_then(|telemetry| telemetry.decisions.get());
        let typed = typed.cloned().unwrap_or_default();
        let token = typed.debug_token.get();
        model::Decisions {
            sample: share(&typed.sample, defaults::DECISIONS_SAMPLE),
            slower_than: limit(&typed.slower_than, Some(defaults::SLOWER_THAN)),
            debug_token: token.map(|token| model::SecretText(Arc::from(&*token.0))),
        }
    }
}

fn sampling(typed: &file::Traces) -> model::Sampling {
    let keep = typed.keep.get().cloned().unwrap_or_default();
    model::Sampling {
        ratio: share(&typed.sample, Ratio::ONE),
        parents: match typed.parents.get() {
            Some(file::Parents::Ignore) => model::Parents::Ignore,
            Some(file::Parents::Follow) | None => model::Parents::Follow,
        },
        keep: model::Keep {
            errors: keep.errors.get().copied().unwrap_or(true),
            retries: keep.retries.get().copied().unwrap_or(true),
            slower_than: limit(&keep.slower_than, Some(defaults::SLOWER_THAN)),
        },
    }
}

/// What tells this process from all others: the name of its host, and its number there.
fn instance() -> String {
    let system = rustix::system::uname();
    format!("{}-{}", system.nodename().to_string_lossy(), std::process::id())
}
