//! What is told about requests.

use super::yaml::Yaml;
use super::{duration, limit, routes, tls};
use crate::config::scalar::Share;
use crate::model::{
    AccessLog, Decisions, Keep, LogOutput, OtlpProtocol, Parents, Propagation, Sampling,
    SecretField, TraceExporter, Traces,
};

pub(super) fn telemetry(
    access_log: &AccessLog,
    of: Option<&Traces>,
    decisions: &Decisions,
) -> Yaml {
    let AccessLog { enabled, output, sample } = access_log;
    let output = match output {
        LogOutput::Stdout => "Stdout",
        LogOutput::Stderr => "Stderr",
    };
    let access_log = Yaml::map([
        ("enabled", Some(Yaml::word(enabled))),
        ("output", Some(Yaml::word(output))),
        ("sample", Some(Yaml::word(Share(*sample)))),
    ]);
    let Decisions { sample, slower_than, debug_token } = decisions;
    let decisions = Yaml::map([
        ("sample", Some(Yaml::word(Share(*sample)))),
        ("slowerThan", Some(limit(*slower_than))),
        ("debugToken", debug_token.as_ref().map(|token| Yaml::text(&token.0))),
    ]);
    // Without the key, the environment could turn them on.
    let none = || Yaml::map([("endpoint", Some(Yaml::text("")))]);
    Yaml::map([
        ("accessLog", Some(access_log)),
        ("traces", Some(of.map_or_else(none, traces))),
        ("decisions", Some(decisions)),
    ])
}

/// Every key that the environment could say something for is written, also those that say nothing.
fn traces(traces: &Traces) -> Yaml {
    let Traces { exporter, sampling, propagation } = traces;
    let TraceExporter {
        endpoint,
        protocol,
        headers,
        gzip,
        timeout,
        ca,
        client_certificate,
        max_queue_size,
        max_batch_size,
        batch_delay,
        resource,
    } = exporter;
    let Sampling { ratio, parents, keep } = sampling;
    let Keep { errors, retries, slower_than } = keep;
    let Propagation { trace_context, b3, b3_multi } = propagation;
    let protocol = match protocol {
        OtlpProtocol::Grpc => "Grpc",
        OtlpProtocol::HttpProtobuf => "HttpProtobuf",
    };
    let parents = match parents {
        Parents::Follow => "Follow",
        Parents::Ignore => "Ignore",
    };
    let tls = Yaml::map([
        ("caFile", ca.as_ref().map(tls::file)),
        ("clientCertificate", client_certificate.as_ref().map(tls::key_pair)),
    ]);
    let keep = Yaml::map([
        ("errors", Some(Yaml::word(errors))),
        ("retries", Some(Yaml::word(retries))),
        ("slowerThan", Some(limit(*slower_than))),
    ]);
    let queue = Yaml::map([
        ("maxSpans", Some(Yaml::word(max_queue_size))),
        ("maxBatch", Some(Yaml::word(max_batch_size))),
        ("delay", Some(duration(*batch_delay))),
    ]);
    let forms = [("TraceContext", *trace_context), ("B3", *b3), ("B3Multi", *b3_multi)];
    let forms = forms.iter().filter(|(_, on)| *on).map(|(name, _)| Yaml::word(name)).collect();
    let (service, rest): (Vec<_>, Vec<_>) =
        resource.iter().partition(|(name, _)| &**name == "service.name");
    let attribute = |(name, value): &(_, _)| {
        Yaml::map([("name", Some(Yaml::text(name))), ("value", Some(Yaml::text(value)))])
    };
    Yaml::map([
        ("endpoint", Some(Yaml::text(endpoint))),
        ("protocol", Some(Yaml::word(protocol))),
        ("headers", Some(Yaml::list(headers, secret_field))),
        ("compression", Some(Yaml::word(if *gzip { "Gzip" } else { "Uncompressed" }))),
        ("timeout", Some(duration(*timeout))),
        ("tls", Some(tls)),
        ("sample", Some(Yaml::word(Share(*ratio)))),
        ("parents", Some(Yaml::word(parents))),
        ("keep", Some(keep)),
        ("propagation", Some(Yaml::List(forms))),
        ("serviceName", service.first().map(|(_, name)| Yaml::text(name))),
        ("resourceAttributes", Some(Yaml::List(rest.into_iter().map(attribute).collect()))),
        ("queue", Some(queue)),
    ])
}

fn secret_field(field: &SecretField) -> Yaml {
    Yaml::map([
        ("name", Some(Yaml::text(&field.name))),
        ("value", Some(routes::value(&field.value))),
    ])
}
