//! What is told about requests. Secrets are never said, only that they changed.

use super::phrases::{Fate, Names, Phrases};
use super::tls::say_collector;
use crate::model::words::{duration, limit, list, percent};
use crate::model::{
    AccessLog, Decisions, Keep, LogOutput, OtlpProtocol, Parents, Propagation, Sampling,
    SecretField, SecretText, TraceExporter, Traces,
};
use std::sync::Arc;

pub(super) fn say_access_log(said: &mut Phrases, before: &AccessLog, after: &AccessLog) {
    let AccessLog { enabled, output, sample } = before;
    let name = |output: &LogOutput| match output {
        LogOutput::Stdout => "Stdout".to_owned(),
        LogOutput::Stderr => "Stderr".to_owned(),
    };
    said.change("telemetry.accessLog.enabled", enabled, &after.enabled, bool::to_string);
    said.change("telemetry.accessLog.output", output, &after.output, name);
    said.change("telemetry.accessLog.sample", sample, &after.sample, |share| percent(*share));
}

pub(super) fn say_traces(said: &mut Phrases, before: Option<&Traces>, after: Option<&Traces>) {
    match (before, after) {
        (None, None) => {}
        (None, Some(Traces { exporter, sampling, propagation: _ })) => {
            let share = percent(sampling.ratio);
            let endpoint = &exporter.endpoint;
            said.say(format_args!("telemetry.traces added, {share} of them to {endpoint}"));
        }
        (Some(_), None) => said.say("telemetry.traces removed, no request is traced"),
        (Some(Traces { exporter, sampling, propagation }), Some(after)) => {
            said.of("telemetry.traces", |said| {
                say_exporter(said, exporter, &after.exporter);
                say_sampling(said, sampling, &after.sampling);
                said.change("propagation", propagation, &after.propagation, forms);
            });
        }
    }
}

fn say_exporter(said: &mut Phrases, before: &TraceExporter, after: &TraceExporter) {
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
    } = before;
    said.change("endpoint", endpoint, &after.endpoint, |url| url.to_string());
    said.change("protocol", protocol, &after.protocol, |protocol| match protocol {
        OtlpProtocol::Grpc => "Grpc".to_owned(),
        OtlpProtocol::HttpProtobuf => "HttpProtobuf".to_owned(),
    });
    let names = Names { one: "header", many: "headers", order: "" };
    said.list(
        &names,
        (headers, &after.headers),
        |SecretField { name, value: _ }| name,
        |said, fate| match fate {
            Fate::Added(field) => said.say(format_args!("header {} added", field.name)),
            Fate::Removed(field) => said.say(format_args!("header {} removed", field.name)),
            Fate::Changed(_, field) => said.say(format_args!("header {} changed", field.name)),
        },
    );
    said.change("compression", gzip, &after.gzip, |gzip| match gzip {
        true => "Gzip".to_owned(),
        false => "Uncompressed".to_owned(),
    });
    let time = |time: &_| duration(*time);
    said.change("timeout", timeout, &after.timeout, time);
    say_collector(said, (ca, client_certificate), (&after.ca, &after.client_certificate));
    said.change("queue.maxSpans", max_queue_size, &after.max_queue_size, usize::to_string);
    said.change("queue.maxBatch", max_batch_size, &after.max_batch_size, usize::to_string);
    said.change("queue.delay", batch_delay, &after.batch_delay, time);
    say_resource(said, resource, &after.resource);
}

fn say_resource(
    said: &mut Phrases,
    before: &[(Arc<str>, Arc<str>)],
    after: &[(Arc<str>, Arc<str>)],
) {
    let names = Names { one: "attribute", many: "resourceAttributes", order: "" };
    said.list(
        &names,
        (before, after),
        |(name, _)| name,
        |said, fate| match fate {
            Fate::Added((name, value)) => {
                said.say(format_args!("attribute {name} added, {value:?}"));
            }
            Fate::Removed((name, _)) => said.say(format_args!("attribute {name} removed")),
            Fate::Changed((name, before), (_, after)) => match &**name {
                "service.name" => said.say(format_args!("serviceName {before} → {after}")),
                _ => said.say(format_args!("attribute {name} {before:?} → {after:?}")),
            },
        },
    );
}

fn say_sampling(said: &mut Phrases, before: &Sampling, after: &Sampling) {
    let Sampling { ratio, parents, keep: Keep { errors, retries, slower_than } } = before;
    said.change("sample", ratio, &after.ratio, |share| percent(*share));
    said.change("parents", parents, &after.parents, |parents| match parents {
        Parents::Follow => "Follow".to_owned(),
        Parents::Ignore => "Ignore".to_owned(),
    });
    said.change("keep.errors", errors, &after.keep.errors, bool::to_string);
    said.change("keep.retries", retries, &after.keep.retries, bool::to_string);
    said.change("keep.slowerThan", slower_than, &after.keep.slower_than, |time| limit(*time));
}

fn forms(propagation: &Propagation) -> String {
    let Propagation { trace_context, b3, b3_multi } = propagation;
    let all = [("TraceContext", trace_context), ("B3", b3), ("B3Multi", b3_multi)];
    list(all.iter().filter(|(_, on)| **on).map(|(name, _)| name))
}

pub(super) fn say_decisions(said: &mut Phrases, before: &Decisions, after: &Decisions) {
    let Decisions { sample, slower_than, debug_token } = before;
    said.of("telemetry.decisions", |said| {
        said.change("sample", sample, &after.sample, |share| percent(*share));
        said.change("slowerThan", slower_than, &after.slower_than, |time| limit(*time));
        match (debug_token, &after.debug_token) {
            (None, None) => {}
            (None, Some(SecretText(_))) => said.say("debugToken added"),
            (Some(_), None) => {
                said.say("debugToken removed, no request is answered with its decision")
            }
            (Some(before), Some(after)) if before != after => said.say("debugToken changed"),
            (Some(_), Some(_)) => {}
        }
    });
}
