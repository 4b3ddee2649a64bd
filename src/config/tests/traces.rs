//! Traces and decisions: what the file says of them, and what the environment says where the file is silent.

use super::*;
use crate::config::write;
use crate::model::{
    Decisions, Keep, OtlpProtocol, Parents, Propagation, Ratio, Sampling, SecretField, SecretText,
    Traces, defaults,
};
use http::{HeaderName, HeaderValue};
use std::sync::Arc;

/// A file with this in its traces.
pub(super) fn traces(text: &str) -> String {
    top(&format!("telemetry: {{ traces: {{ {text} }} }}"))
}

/// A file that sends traces to a collector, with this besides.
pub(super) fn sent(text: &str) -> String {
    traces(&format!("endpoint: http://otel:4317, {text}"))
}

/// A file with this in its decisions.
fn decisions(text: &str) -> String {
    top(&format!("telemetry: {{ decisions: {{ {text} }} }}"))
}

#[track_caller]
fn model_of(text: &str) -> Traces {
    read(text).unwrap_or_else(|problems| panic!("{problems}")).traces.unwrap()
}

/// What is said of this process under `name`.
pub(super) fn attribute<'m>(traces: &'m Traces, name: &str) -> Option<&'m str> {
    let resource = &traces.exporter.resource;
    resource.iter().find(|(found, _)| &**found == name).map(|(_, value)| &**value)
}

#[test]
fn every_key_reaches_the_model() {
    let text = top(r#"telemetry:
  traces:
    endpoint: HTTPS://Otel.Example:4318/otlp/v1/traces
    protocol: HttpProtobuf
    headers: [{ name: Authorization, value: "Bearer ${SECRET}" }, { name: x-team, value: shop }]
    compression: Gzip
    timeout: 3s
    tls: { caFile: ca.crt, clientCertificate: { certFile: a.crt, keyFile: a.key } }
    sample: 25%
    parents: Ignore
    keep: { errors: false, retries: false, slowerThan: 0s }
    propagation: [B3Multi, B3]
    serviceName: edge
    resourceAttributes: [{ name: team, value: "" }, { name: service.version, value: mine }]
    queue: { maxSpans: 100, maxBatch: 100, delay: 250ms }
  decisions: { sample: 0.5, slowerThan: 0s, debugToken: 0123456789-abcdef }"#);
    let model = read(&text).unwrap();
    let traces = model.traces.as_ref().unwrap();
    let exporter = &traces.exporter;
    assert_eq!(&*exporter.endpoint, "https://otel.example:4318/otlp/v1/traces");
    assert_eq!(exporter.protocol, OtlpProtocol::HttpProtobuf);
    let field = |name, value| SecretField {
        name: HeaderName::from_static(name),
        value: HeaderValue::from_static(value),
    };
    assert_eq!(
        exporter.headers,
        [field("authorization", "Bearer hunter2"), field("x-team", "shop")]
    );
    assert!(exporter.gzip);
    assert_eq!(exporter.timeout, Duration::from_secs(3));
    let files: Vec<_> = model.files().map(|pem| pem.path.to_str().unwrap()).collect();
    assert_eq!(files, ["ca.crt", "a.crt", "a.key"]);
    assert_eq!((exporter.max_queue_size, exporter.max_batch_size), (100, 100));
    assert_eq!(exporter.batch_delay, Duration::from_millis(250));
    assert_eq!(attribute(traces, "service.name"), Some("edge"));
    assert_eq!(attribute(traces, "team"), Some(""));
    assert_eq!(attribute(traces, "service.version"), Some("mine"));
    let keep = Keep { errors: false, retries: false, slower_than: None };
    let sampling = Sampling { ratio: Ratio::new(0.25), parents: Parents::Ignore, keep };
    assert_eq!(traces.sampling, sampling);
    let propagation = Propagation { trace_context: false, b3: true, b3_multi: true };
    assert_eq!(traces.propagation, propagation);
    let decisions = Decisions {
        sample: Ratio::new(0.5),
        slower_than: None,
        debug_token: Some(SecretText(Arc::from("0123456789-abcdef"))),
    };
    assert_eq!(model.decisions, decisions);
}

#[test]
fn an_endpoint_is_enough() {
    let traces = model_of(&sent(""));
    let exporter = &traces.exporter;
    assert_eq!(&*exporter.endpoint, "http://otel:4317");
    assert_eq!(exporter.protocol, OtlpProtocol::Grpc);
    assert!(exporter.headers.is_empty() && !exporter.gzip && exporter.ca.is_none());
    assert_eq!(exporter.timeout, defaults::EXPORT_TIMEOUT);
    assert_eq!(exporter.max_queue_size, defaults::MAX_SPANS);
    assert_eq!(exporter.max_batch_size, defaults::MAX_SPAN_BATCH);
    assert_eq!(exporter.batch_delay, defaults::SPAN_DELAY);
    let keep = Keep { errors: true, retries: true, slower_than: Some(defaults::SLOWER_THAN) };
    let sampling = Sampling { ratio: Ratio::ONE, parents: Parents::Follow, keep };
    assert_eq!(traces.sampling, sampling);
    let propagation = Propagation { trace_context: true, b3: false, b3_multi: false };
    assert_eq!(traces.propagation, propagation);
    assert_eq!(attribute(&traces, "service.name"), Some("outrigger"));
    assert_eq!(attribute(&traces, "service.version"), Some(crate::VERSION));
    let instance = attribute(&traces, "service.instance.id").unwrap();
    assert!(instance.ends_with(&format!("-{}", std::process::id())), "{instance}");
    let sorted = exporter.resource.is_sorted();
    assert!(sorted, "{:?}", exporter.resource);
    assert_eq!(read(&sent("")).unwrap().decisions, Decisions::default());
}

#[test]
fn there_are_no_traces_without_an_endpoint() {
    for text in [
        BASE.to_owned(),
        top("telemetry:"),
        top("telemetry: { traces: }"),
        traces(""),
        traces("sample: 10%"),
        traces("endpoint: \"\""),
        traces("endpoint: \"${EMPTY}\", tls: { caFile: missing.crt }"),
    ] {
        assert_eq!(read(&text).unwrap().traces, None, "{text}");
    }
}

#[test]
fn the_path_of_a_collector_is_that_of_its_protocol() {
    for (url, grpc, http) in [
        ("http://a:1", "http://a:1", "http://a:1/v1/traces"),
        ("http://a:1/", "http://a:1", "http://a:1/"),
        ("http://a", "http://a", "http://a/v1/traces"),
        ("https://A:443/x//y/../%7E/", "https://a", "https://a/x//y/../%7E/"),
        ("http://[::1]:1", "http://[::1]:1", "http://[::1]:1/v1/traces"),
    ] {
        let of = |protocol| {
            let traces = model_of(&traces(&format!("endpoint: '{url}', protocol: {protocol}")));
            traces.exporter.endpoint.to_string()
        };
        assert_eq!(of("Grpc"), grpc, "{url}");
        assert_eq!(of("HttpProtobuf"), http, "{url}");
    }
}

#[test]
fn a_small_queue_has_small_batches() {
    let exporter = model_of(&sent("queue: { maxSpans: 10 }")).exporter;
    assert_eq!((exporter.max_queue_size, exporter.max_batch_size), (10, 10));
}

#[test]
fn no_form_of_propagation_is_allowed_to_be_none() {
    let propagation = model_of(&sent("propagation: []")).propagation;
    let none = Propagation { trace_context: false, b3: false, b3_multi: false };
    assert_eq!(propagation, none);
}

#[test]
fn what_is_wrong_with_traces_is_said_where_it_stands() {
    refused(
        "traces",
        &[
            &traces("endpoint: otel:4317"),
            &traces("endpoint: grpc://otel:4317"),
            &traces("endpoint: http://user:hunter2@otel:4317"),
            &sent("protocol: http/json"),
            &sent("protocol: http/protobuf"),
            &sent("protocol: grpc"),
            &sent("headers: [{ name: a b, value: x }, { name: x-a }]"),
            &sent("headers: [{ name: x-a, value: x }, { name: X-A, value: z }]"),
            &sent(
                "headers: [{ name: content-type, value: x }, { name: grpc-timeout, value: x }, { name: x-bin, value: x }]",
            ),
            &sent("compression: None"),
            &sent("timeout: 1ms, queue: { delay: 0s }"),
            &sent(
                "tls: { caFile: missing.crt, clientCertificate: { certFile: a.crt, keyFile: other.key } }",
            ),
            &sent("sample: 10"),
            &sent("parents: false"),
            &sent("keep: { slower: 1s }"),
            &sent("propagation: [w3c, B3, B3]"),
            &sent("serviceName: \"\""),
            &sent(
                "resourceAttributes: [{ name: service.name, value: x }, { name: a, value: x }, { name: a, value: y }]",
            ),
            &sent("queue: { maxBatch: 20000 }"),
            &sent("queue: { maxSpans: 10, maxBatch: 20 }"),
            &sent("url: http://otel"),
        ],
    );
}

#[test]
fn a_token_that_can_be_guessed_is_refused() {
    refused(
        "debug_token",
        &[
            &decisions("debugToken: hunter2"),
            &decisions("debugToken: \"\""),
            &decisions("debugToken: 12345678901234567890"),
            &decisions("debugToken: \"hunter2 hunter2 hunter2\""),
            &decisions("debugToken: \"${SECRET}\""),
        ],
    );
}

#[test]
fn traces_that_go_nowhere_or_elsewhere_are_warned_of() {
    warned(
        "traces_warned",
        &[
            &traces("sample: 10%"),
            &sent("tls: { caFile: ca.crt }"),
            &traces("endpoint: http://otel:4318"),
            &traces("endpoint: http://otel:4317, protocol: HttpProtobuf"),
            &traces("endpoint: http://otel:4318/, protocol: HttpProtobuf"),
            &traces("endpoint: http://otel:4317/v1/traces"),
            &sent("sample: 0, keep: { errors: false, retries: false, slowerThan: 0s }"),
            &sent(
                "sample: 0, parents: Ignore, keep: { errors: false, retries: false, slowerThan: 0s }",
            ),
        ],
    );
}

#[test]
fn a_secret_that_is_wrong_is_not_shown() {
    for text in [
        sent("headers: [{ name: authorization, value: \" hunter2\" }]"),
        sent("headers: [{ name: authorization, value: hünter2 }]"),
        sent("headers: [{ name: authorization, value: \"${SECRET}\\n\" }]"),
        decisions("debugToken: hunter2"),
        decisions("debugToken: \"hunter2 hunter2 hunter2\""),
    ] {
        let said = read(&text).unwrap_err();
        assert!(!said.contains("nter2") && said.contains("what stands here"), "{said}");
    }
    let set = |value: &str| {
        filters(&format!("{{ requestHeaders: {{ set: [{{ name: x-verify, value: {value} }}] }} }}"))
    };
    for text in [
        set(r#""hunter2\u0001""#),
        set(r#"" hunter2""#),
        set("[hunter2]"),
        matching(r#"headers: [{ name: authorization, exact: "hunter2\n" }]"#),
        matching(r#"headers: [{ name: authorization, regex: "hunter2(" }]"#),
        matching(r#"query: [{ name: token, regex: "hunter2[" }]"#),
    ] {
        let said = read(&text).unwrap_err();
        assert!(!said.contains("hunter2"), "{said}");
    }
    let said = read(&set(r#""hunter2\u0001""#)).unwrap_err();
    assert!(said.contains(r"character 8 is \u{1}"), "{said}");
    for text in [set("271828"), matching("query: [{ name: token, exact: 271828 }]")] {
        let said = read(&text).unwrap_err();
        assert!(!said.contains("271828") && said.contains("found a number"), "{said}");
    }
    let number = read(&sent("headers: [{ name: x-key, value: 271828 }]")).unwrap_err();
    assert!(!number.contains("271828") && number.contains("found a number"), "{number}");
    let model = read(&sent("headers: [{ name: a, value: hunter2 }]")).unwrap();
    let model = format!("{model:?}{:?}", read(&decisions("debugToken: hunter2-hunter2-hunter2")));
    assert!(!model.contains("hunter2"), "{model}");
}

/// What the admin port shows has every key, and no secret.
#[test]
fn what_people_look_at_has_no_secrets() {
    let text = format!(
        "{}telemetry:
  traces: {{ endpoint: http://otel:4317, headers: [{{ name: x-team, value: hunter2 }}] }}
  decisions: {{ debugToken: hunter2-hunter2-hunter2 }}
",
        route(
            r#"matches: [{ headers: [{ name: x-api-key, exact: hunter2 }, { name: cookie, regex: ".*hunter2.*" }, { name: x-shop, exact: seen }], query: [{ name: access_token, exact: hunter2 }] }], filters: [{ requestHeaders: { set: [{ name: Authorization, value: hunter2 }, { name: x-origin-verify, value: hunter2 }], add: [{ name: x-client-secret, value: hunter2 }] } }, { responseHeaders: { set: [{ name: set-cookie, value: hunter2 }] } }]"#
        )
    );
    let model = read(&text).unwrap();
    let (whole, shown) = (write::write(&model), write::redacted(&model));
    assert_eq!(whole.matches("hunter2").count(), 11, "{whole}");
    assert!(!shown.contains("hunter2"), "{shown}");
    assert_eq!(shown.matches("\"\\u2026\"").count(), 9, "{shown}");
    assert_eq!(shown.matches("seen").count(), whole.matches("seen").count());
    let lines = |text: &str| text.lines().count();
    assert_eq!(lines(&shown), lines(&whole));
}
