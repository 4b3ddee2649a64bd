//! What is said of traces and decisions.

use super::*;
use crate::model::{
    KeyPair, LogOutput, OtlpProtocol, Parents, Pem, SecretField, SecretText, TraceExporter, Traces,
};
use std::path::Path;

fn pem(path: &str, content: &str) -> Pem {
    Pem { path: Path::new(path).into(), bytes: content.as_bytes().into() }
}

fn field(name: &'static str, value: &'static str) -> SecretField {
    SecretField { name: HeaderName::from_static(name), value: HeaderValue::from_static(value) }
}

/// Gives `model` everything that can be said of traces and decisions.
pub(super) fn add(model: &mut Model) {
    let with = super::model(&format!(
        "telemetry:
  traces:
    endpoint: http://otel:4317
    headers: [{{ name: authorization, value: Bearer one }}, {{ name: x-team, value: shop }}]
    resourceAttributes: [{{ name: team, value: shop }}]
  decisions: {{ debugToken: 0123456789abcdefg }}
{BEFORE}"
    ));
    model.traces = with.traces;
    model.decisions = with.decisions;
    let exporter = exporter(model);
    exporter.ca = Some(pem("ca.crt", "one"));
    exporter.client_certificate =
        Some(KeyPair { cert: pem("a.crt", "one"), key: pem("a.key", "one") });
}

fn traces(model: &mut Model) -> &mut Traces {
    model.traces.as_mut().unwrap()
}

fn exporter(model: &mut Model) -> &mut TraceExporter {
    &mut traces(model).exporter
}

pub(super) const MUTATIONS: &[Mutation] = &[
    ("telemetry.accessLog.enabled", |m| m.access_log.enabled = false),
    ("telemetry.accessLog.output", |m| m.access_log.output = LogOutput::Stderr),
    ("telemetry.accessLog.sample", |m| m.access_log.sample = Ratio::new(0.5)),
    ("telemetry.traces removed, no request is traced", |m| m.traces = None),
    ("telemetry.traces: endpoint http://otel:4317 → http://other:4317", |m| {
        exporter(m).endpoint = Arc::from("http://other:4317");
    }),
    ("telemetry.traces: protocol Grpc → HttpProtobuf", |m| {
        exporter(m).protocol = OtlpProtocol::HttpProtobuf;
    }),
    ("telemetry.traces: header authorization changed", |m| {
        exporter(m).headers[0] = field("authorization", "Bearer two");
    }),
    ("telemetry.traces: header x-team removed", |m| drop(exporter(m).headers.pop())),
    ("telemetry.traces: header x-new added", |m| {
        exporter(m).headers.push(field("x-new", "s3cret"))
    }),
    ("telemetry.traces: order of headers changed", |m| exporter(m).headers.reverse()),
    ("telemetry.traces: compression Uncompressed → Gzip", |m| exporter(m).gzip = true),
    ("telemetry.traces: timeout 10s → 1s", |m| exporter(m).timeout = Duration::from_secs(1)),
    ("telemetry.traces: tls.caFile ca.crt → none", |m| exporter(m).ca = None),
    ("telemetry.traces: tls.caFile changed", |m| exporter(m).ca = Some(pem("ca.crt", "two"))),
    ("telemetry.traces: tls.clientCertificate a.crt → none", |m| {
        exporter(m).client_certificate = None;
    }),
    ("telemetry.traces: tls.clientCertificate: certificate a.crt renewed", |m| {
        exporter(m).client_certificate.as_mut().unwrap().cert = pem("a.crt", "two");
    }),
    ("telemetry.traces: queue.maxSpans 16384 → 1000", |m| exporter(m).max_queue_size = 1000),
    ("telemetry.traces: queue.maxBatch 512 → 10", |m| exporter(m).max_batch_size = 10),
    ("telemetry.traces: queue.delay 1s → 5s", |m| {
        exporter(m).batch_delay = Duration::from_secs(5);
    }),
    ("telemetry.traces: serviceName outrigger → edge", |m| {
        let resource = &mut exporter(m).resource;
        let name = resource.iter_mut().find(|(name, _)| &**name == "service.name").unwrap();
        name.1 = Arc::from("edge");
    }),
    ("telemetry.traces: attribute team \"shop\" → \"blog\"", |m| {
        exporter(m).resource.last_mut().unwrap().1 = Arc::from("blog");
    }),
    ("telemetry.traces: attribute team removed", |m| drop(exporter(m).resource.pop())),
    ("telemetry.traces: attribute tier added, \"edge\"", |m| {
        exporter(m).resource.push((Arc::from("tier"), Arc::from("edge")));
    }),
    ("telemetry.traces: sample 100% → 10%", |m| traces(m).sampling.ratio = Ratio::new(0.1)),
    ("telemetry.traces: parents Follow → Ignore", |m| {
        traces(m).sampling.parents = Parents::Ignore;
    }),
    ("telemetry.traces: keep.errors true → false", |m| traces(m).sampling.keep.errors = false),
    ("telemetry.traces: keep.retries true → false", |m| traces(m).sampling.keep.retries = false),
    ("telemetry.traces: keep.slowerThan 1s → none", |m| {
        traces(m).sampling.keep.slower_than = None;
    }),
    ("telemetry.traces: propagation TraceContext → TraceContext, B3", |m| {
        traces(m).propagation.b3 = true;
    }),
    ("telemetry.traces: propagation TraceContext → TraceContext, B3Multi", |m| {
        traces(m).propagation.b3_multi = true;
    }),
    ("telemetry.traces: propagation TraceContext → none", |m| {
        traces(m).propagation.trace_context = false;
    }),
    ("telemetry.decisions: sample 1% → 0%", |m| m.decisions.sample = Ratio::ZERO),
    ("telemetry.decisions: slowerThan 1s → none", |m| m.decisions.slower_than = None),
    ("telemetry.decisions: debugToken changed", |m| {
        m.decisions.debug_token = Some(SecretText(Arc::from("s3cret-s3cret-s3cret")));
    }),
    ("telemetry.decisions: debugToken removed, no request is answered with its decision", |m| {
        m.decisions.debug_token = None;
    }),
];

#[test]
fn what_is_added_is_said_with_where_it_goes() {
    let mut before = full();
    before.traces = None;
    before.decisions.debug_token = None;
    assert_eq!(
        changes(&before, &full(), 2),
        [
            "telemetry.traces added, 100% of them to http://otel:4317",
            "telemetry.decisions: debugToken added",
        ]
    );
}

#[test]
fn no_secret_of_traces_or_decisions_is_ever_said() {
    let base = full();
    for (_, mutation) in MUTATIONS {
        let mut other = base.clone();
        mutation(&mut other);
        let said = [changes(&base, &other, 2), changes(&other, &base, 2)].concat().concat();
        for secret in ["Bearer", "s3cret", "0123456789abcdef"] {
            assert!(!said.contains(secret), "{said}");
        }
    }
}
