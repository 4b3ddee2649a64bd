//! The standard variables of OpenTelemetry.

use super::traces::{attribute, sent, traces};
use super::*;
use crate::config::write;
use crate::model::{
    Keep, OtlpProtocol, Parents, Propagation, Ratio, Sampling, SecretField, Traces,
};

type Variables = [(&'static str, &'static str)];

const ENDPOINT: (&str, &str) = ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://env:4317");

fn load_in(environment: &Variables, text: &str) -> Result<Loaded, Problems> {
    let variables = |name: &str| {
        let found = environment.iter().find(|(found, _)| *found == name);
        found.map(|(_, value)| (*value).to_owned())
    };
    load(text.as_bytes(), "config.yaml", &variables)
}

#[track_caller]
fn loaded(environment: &Variables, text: &str) -> Loaded {
    load_in(environment, text).unwrap_or_else(|problems| panic!("{environment:?}\n{problems}"))
}

/// The traces of a file that says nothing of them, with an endpoint in the environment, and with this.
#[track_caller]
fn with(environment: &Variables) -> Traces {
    let loaded = loaded(&[&[ENDPOINT], environment].concat(), BASE);
    assert!(loaded.warnings.list().is_empty(), "{}", loaded.warnings);
    loaded.model.traces.unwrap()
}

/// Holds environments to be told about as `snapshots/<class>.snap` says.
#[track_caller]
fn told(class: &str, environments: &[&Variables], said: impl Fn(&Variables) -> String) {
    let cases = environments.iter().map(|environment| {
        let set = environment.iter().filter(|one| **one != ENDPOINT);
        let set: String = set.map(|(name, value)| format!("{name}={value}\n")).collect();
        set + &said(environment)
    });
    compare(class, &cases.collect::<Vec<_>>().join("\n\n"));
}

#[test]
fn an_endpoint_in_the_environment_turns_traces_on() {
    assert_eq!(&*with(&[]).exporter.endpoint, "http://env:4317");
    for text in [top("telemetry:"), top("telemetry: { traces: }"), traces(""), traces("endpoint:")]
    {
        let traces = loaded(&[ENDPOINT], &text).model.traces.unwrap();
        assert_eq!(traces, with(&[]), "{text}");
    }
    let sampled = loaded(&[ENDPOINT], &traces("sample: 10%")).model.traces.unwrap();
    assert_eq!(sampled.sampling.ratio, Ratio::new(0.1));
    let empty = [("OTEL_EXPORTER_OTLP_ENDPOINT", ""), ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", " ")];
    assert_eq!(loaded(&empty, BASE).model.traces, None);
}

#[test]
fn an_empty_endpoint_in_the_file_means_none_whatever_the_environment_says() {
    let loaded = loaded(&[ENDPOINT, ("OTEL_PROPAGATORS", "wrong")], &traces("endpoint: \"\""));
    assert_eq!(loaded.model.traces, None);
    assert!(loaded.warnings.list().is_empty(), "{}", loaded.warnings);
}

#[test]
fn nobody_is_warned_of_variables_when_nothing_is_traced() {
    let environment = [("OTEL_PROPAGATORS", "wrong"), ("OTEL_TRACES_SAMPLER", "wrong")];
    let loaded = loaded(&environment, BASE);
    assert!(loaded.warnings.list().is_empty(), "{}", loaded.warnings);
}

/// OpenTelemetry, "OTLP Exporter Configuration", "Endpoint URLs for OTLP/HTTP".
#[test]
fn the_endpoint_of_all_signals_is_a_base_and_that_of_traces_is_whole() {
    const ALL: &str = "OTEL_EXPORTER_OTLP_ENDPOINT";
    const TRACES: &str = "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT";
    for (variable, url, grpc, http) in [
        (ALL, "http://a:1", "http://a:1", "http://a:1/v1/traces"),
        (ALL, "http://a:1/", "http://a:1", "http://a:1/v1/traces"),
        (ALL, "http://a:1/otlp/", "http://a:1", "http://a:1/otlp/v1/traces"),
        (TRACES, "http://a:1", "http://a:1", "http://a:1/"),
        (TRACES, "http://a:1/otlp", "http://a:1", "http://a:1/otlp"),
        (TRACES, "http://a:1/otlp/", "http://a:1", "http://a:1/otlp/"),
    ] {
        for (protocol, expected) in [("grpc", grpc), ("http/protobuf", http)] {
            let environment = [(variable, url), ("OTEL_EXPORTER_OTLP_PROTOCOL", protocol)];
            let traces = loaded(&environment, BASE).model.traces.unwrap();
            assert_eq!(&*traces.exporter.endpoint, expected, "{environment:?}");
        }
    }
    // The file's protocol decides, where it has one.
    let http = loaded(&[(ALL, "http://a:1")], &traces("protocol: HttpProtobuf")).model;
    assert_eq!(&*http.traces.unwrap().exporter.endpoint, "http://a:1/v1/traces");
}

#[test]
fn every_variable_of_the_exporter_reaches_the_model() {
    let exporter = |variables: &Variables| with(variables).exporter;
    for (key, value) in [
        ("ENDPOINT", "http://b:1"),
        ("PROTOCOL", "http/protobuf"),
        ("HEADERS", "Authorization=Bearer%20hunter2,x-a=b=c"),
        ("COMPRESSION", "gzip"),
        ("TIMEOUT", "1500"),
        ("CERTIFICATE", "/etc/tls/ca.crt"),
    ] {
        let names =
            [format!("OTEL_EXPORTER_OTLP_TRACES_{key}"), format!("OTEL_EXPORTER_OTLP_{key}")];
        for name in names {
            if name == ENDPOINT.0 {
                continue;
            }
            let environment = [ENDPOINT, (name.clone().leak(), value)];
            let exporter = loaded(&environment, BASE).model.traces.unwrap().exporter;
            match key {
                "ENDPOINT" => assert_eq!(&*exporter.endpoint, "http://b:1"),
                "PROTOCOL" => assert_eq!(exporter.protocol, OtlpProtocol::HttpProtobuf),
                "HEADERS" => {
                    let field = |at: usize| {
                        let SecretField { name, value } = &exporter.headers[at];
                        (name.as_str().to_owned(), value.to_str().unwrap().to_owned())
                    };
                    assert_eq!(field(0), ("authorization".into(), "Bearer hunter2".into()));
                    assert_eq!(field(1), ("x-a".into(), "b=c".into()));
                }
                "COMPRESSION" => assert!(exporter.gzip),
                "TIMEOUT" => assert_eq!(exporter.timeout, Duration::from_millis(1500)),
                _ => assert_eq!(&*exporter.ca.unwrap().path, Path::new("/etc/tls/ca.crt")),
            }
        }
    }
    let both =
        [("OTEL_EXPORTER_OTLP_TRACES_TIMEOUT", "100"), ("OTEL_EXPORTER_OTLP_TIMEOUT", "200")];
    assert_eq!(exporter(&both).timeout, Duration::from_millis(100));
    let pair = loaded(
        &[
            ("OTEL_EXPORTER_OTLP_ENDPOINT", "https://env"),
            ("OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE", "/tls/a.crt"),
            ("OTEL_EXPORTER_OTLP_CLIENT_KEY", "/tls/a.key"),
        ],
        BASE,
    );
    let files: Vec<_> = pair.model.files().map(|pem| pem.path.display().to_string()).collect();
    assert_eq!(files, ["/tls/a.crt", "/tls/a.key"]);
    assert_eq!(pair.files, [Path::new("/tls/a.crt"), Path::new("/tls/a.key")]);
    let queue = exporter(&[
        ("OTEL_BSP_SCHEDULE_DELAY", "2000"),
        ("OTEL_BSP_MAX_QUEUE_SIZE", "1000"),
        ("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "5000"),
    ]);
    assert_eq!(queue.batch_delay, Duration::from_secs(2));
    // A batch is never larger than the queue.
    assert_eq!((queue.max_queue_size, queue.max_batch_size), (1000, 1000));
    let batch = exporter(&[("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "20000")]).max_batch_size;
    assert_eq!(batch, crate::model::defaults::MAX_SPANS);
}

#[test]
fn a_sampler_is_a_share_and_what_parents_count_for() {
    let sampler = |name, argument| {
        with(&[("OTEL_TRACES_SAMPLER", name), ("OTEL_TRACES_SAMPLER_ARG", argument)]).sampling
    };
    for (name, argument, ratio, parents) in [
        ("always_on", "", 1.0, Parents::Ignore),
        ("traceidratio", "0.25", 0.25, Parents::Ignore),
        ("traceidratio", "", 1.0, Parents::Ignore),
        ("parentbased_always_on", "0.5", 1.0, Parents::Follow),
        ("parentbased_traceidratio", "0.01", 0.01, Parents::Follow),
    ] {
        let sampling = sampler(name, argument);
        assert_eq!((sampling.ratio, sampling.parents), (Ratio::new(ratio), parents), "{name}");
        assert!(sampling.keep.errors, "{name}");
    }
    // Who wants none wants no exceptions; that this sends hardly anything is warned of.
    let off = |text: &str| {
        let environment = [ENDPOINT, ("OTEL_TRACES_SAMPLER", "parentbased_always_off")];
        loaded(&environment, text).model.traces.unwrap().sampling
    };
    let keep = Keep { errors: false, retries: false, slower_than: None };
    assert_eq!(off(BASE), Sampling { ratio: Ratio::ZERO, parents: Parents::Follow, keep });
    let keep = Keep { errors: true, ..keep };
    assert_eq!(off(&traces("keep: { errors: true }")).keep, keep);
}

#[test]
fn propagators_are_forms_of_propagation() {
    for (text, trace_context, b3, b3_multi) in [
        ("tracecontext,baggage", true, false, false),
        ("b3", false, true, false),
        (" b3multi , b3,b3", false, true, true),
        ("baggage", false, false, false),
        ("none", false, false, false),
    ] {
        let propagation = with(&[("OTEL_PROPAGATORS", text)]).propagation;
        assert_eq!(propagation, Propagation { trace_context, b3, b3_multi }, "{text}");
    }
    // What is known counts beside what is not.
    let environment = [ENDPOINT, ("OTEL_PROPAGATORS", "jaeger,b3")];
    let propagation = loaded(&environment, BASE).model.traces.unwrap().propagation;
    assert!(propagation.b3 && !propagation.trace_context);
}

#[test]
fn what_is_said_of_the_process_comes_from_the_pod_then_the_variables_then_the_file() {
    let pod = [
        ("POD_NAME", "outrigger-7"),
        ("POD_NAMESPACE", "edge"),
        ("POD_UID", "9f1c"),
        ("NODE_NAME", "node-1"),
        ("CONTAINER_NAME", "outrigger"),
    ];
    let from_pod = with(&pod);
    for (name, value) in [
        ("k8s.pod.name", "outrigger-7"),
        ("k8s.namespace.name", "edge"),
        ("k8s.pod.uid", "9f1c"),
        ("k8s.node.name", "node-1"),
        ("k8s.container.name", "outrigger"),
        ("service.instance.id", "9f1c"),
        ("service.name", "outrigger"),
    ] {
        assert_eq!(attribute(&from_pod, name), Some(value), "{name}");
    }
    let said = "service.name=other,k8s.pod.name=mine,team=a%20b,team=c,service.version=7";
    let environment = [&pod[..], &[ENDPOINT, ("OTEL_RESOURCE_ATTRIBUTES", said)]].concat();
    let said = loaded(&environment, BASE).model.traces.unwrap();
    for (name, value) in [
        ("service.name", "other"),
        ("k8s.pod.name", "mine"),
        ("team", "c"),
        ("service.version", "7"),
        ("k8s.node.name", "node-1"),
    ] {
        assert_eq!(attribute(&said, name), Some(value), "{name}");
    }
    let environment = [&environment[..], &[("OTEL_SERVICE_NAME", "first")]].concat();
    let name = |text: &str| {
        let named = loaded(&environment, text).model.traces.unwrap();
        attribute(&named, "service.name").map(str::to_owned)
    };
    assert_eq!(name(BASE).as_deref(), Some("first"));
    assert_eq!(name(&traces("serviceName: file")).as_deref(), Some("file"));
    let file = traces("resourceAttributes: [{ name: team, value: file }]");
    let of_file = loaded(&environment, &file).model.traces.unwrap();
    assert_eq!(attribute(&of_file, "team"), Some("file"));
    assert_eq!(attribute(&of_file, "k8s.pod.name"), Some("mine"));
}

/// Everything that the environment can say, with other values than the file and than the defaults.
const EVERYTHING: &Variables = &[
    ("OTEL_EXPORTER_OTLP_ENDPOINT", "https://env:4318"),
    ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf"),
    ("OTEL_EXPORTER_OTLP_HEADERS", "x-env=hunter2"),
    ("OTEL_EXPORTER_OTLP_COMPRESSION", "gzip"),
    ("OTEL_EXPORTER_OTLP_TIMEOUT", "1500"),
    ("OTEL_EXPORTER_OTLP_CERTIFICATE", "/env/ca.crt"),
    ("OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE", "/env/a.crt"),
    ("OTEL_EXPORTER_OTLP_CLIENT_KEY", "/env/a.key"),
    ("OTEL_TRACES_SAMPLER", "always_off"),
    ("OTEL_PROPAGATORS", "b3,b3multi"),
    ("OTEL_SERVICE_NAME", "env"),
    ("OTEL_RESOURCE_ATTRIBUTES", "service.version=env,service.instance.id=env"),
    ("OTEL_BSP_SCHEDULE_DELAY", "2000"),
    ("OTEL_BSP_MAX_QUEUE_SIZE", "1000"),
    ("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "10"),
];

/// What is written has every key, so it means the same wherever it is read.
#[test]
fn a_written_file_means_the_same_in_every_environment() {
    let full = include_str!("../../../docs/full.yaml");
    for (environment, text) in
        [(EVERYTHING, BASE), (&[], &sent("")), (&[], BASE), (EVERYTHING, full)]
    {
        let model = loaded(environment, text).model;
        let written = write::write(&model);
        for other in [&[], EVERYTHING, &[("OTEL_SDK_DISABLED", "true")]] {
            assert_eq!(loaded(other, &written).model, model, "{other:?}\n{written}");
        }
    }
    let from_environment = loaded(EVERYTHING, BASE).model.traces.unwrap();
    let from_file = loaded(&[], &sent("")).model.traces.unwrap();
    assert_ne!(from_environment, from_file);
}

#[test]
fn traces_can_be_turned_off_where_the_file_names_no_endpoint() {
    for off in [
        ("OTEL_SDK_DISABLED", "true"),
        ("OTEL_SDK_DISABLED", "TRUE"),
        ("OTEL_TRACES_EXPORTER", "none"),
    ] {
        for text in [BASE, &traces("sample: 10%")] {
            let silent = loaded(&[ENDPOINT, off], text);
            assert_eq!(silent.model.traces, None, "{off:?}");
            assert!(silent.warnings.list().is_empty(), "{}", silent.warnings);
        }
        let told = loaded(&[off], &sent(""));
        assert!(told.model.traces.is_some(), "{off:?}");
        assert!(told.warnings.to_string().contains(off.0), "{}", told.warnings);
    }
    for on in [("OTEL_SDK_DISABLED", "false"), ("OTEL_TRACES_EXPORTER", "otlp")] {
        assert_eq!(with(&[on]), with(&[]));
    }
}

/// The same specification: a bad value is warned of and ignored.
#[test]
fn a_bad_value_is_ignored_and_warned_of_by_the_name_of_its_variable() {
    let plain = with(&[]);
    let bad: &[(&str, &str)] = &[
        ("OTEL_SDK_DISABLED", "hunter2"),
        ("OTEL_TRACES_EXPORTER", "zipkin"),
        ("OTEL_TRACES_EXPORTER", "console,otlp"),
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "hunter2"),
        ("OTEL_EXPORTER_OTLP_HEADERS", "hunter2"),
        ("OTEL_EXPORTER_OTLP_HEADERS", "a b=hunter2"),
        ("OTEL_EXPORTER_OTLP_HEADERS", "content-type=hunter2"),
        ("OTEL_EXPORTER_OTLP_HEADERS", "x-a=1,X-A=hunter2"),
        ("OTEL_EXPORTER_OTLP_TRACES_HEADERS", "x-a=%0Ahunter2"),
        ("OTEL_EXPORTER_OTLP_COMPRESSION", "hunter2"),
        ("OTEL_EXPORTER_OTLP_TIMEOUT", "10s"),
        ("OTEL_EXPORTER_OTLP_TIMEOUT", "1"),
        ("OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE", "/tls/a.crt"),
        ("OTEL_EXPORTER_OTLP_CLIENT_KEY", "/tls/a.key"),
        ("OTEL_TRACES_SAMPLER", "jaeger_remote"),
        ("OTEL_PROPAGATORS", "jaeger"),
        ("OTEL_RESOURCE_ATTRIBUTES", "team=a,hunter2"),
        ("OTEL_BSP_SCHEDULE_DELAY", "-1"),
        ("OTEL_BSP_MAX_QUEUE_SIZE", "0"),
        ("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "many"),
    ];
    let environments: Vec<_> = bad.iter().map(|one| [ENDPOINT, *one]).collect();
    let environments: Vec<_> = environments.iter().map(|one| &one[..]).collect();
    told("variables_warned", &environments, |environment| {
        let loaded = loaded(environment, BASE);
        assert_eq!(loaded.model.traces.as_ref(), Some(&plain), "{environment:?}");
        let said = loaded.warnings.to_string();
        assert!(said.contains(environment[1].0) && !said.contains("hunter2"), "{said}");
        said
    });
    let ratio = [("OTEL_TRACES_SAMPLER", "traceidratio"), ("OTEL_TRACES_SAMPLER_ARG", "2")];
    let loaded = loaded(&[&[ENDPOINT], &ratio[..]].concat(), BASE);
    assert_eq!(loaded.model.traces.unwrap().sampling.ratio, Ratio::ONE);
    assert!(loaded.warnings.to_string().contains("OTEL_TRACES_SAMPLER_ARG"));
}

#[test]
fn what_cannot_be_used_is_refused_by_the_name_of_its_variable() {
    told(
        "variables_refused",
        &[
            &[("OTEL_EXPORTER_OTLP_ENDPOINT", "env:4317")],
            &[("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "http://user:hunter2@env")],
            &[
                ("OTEL_EXPORTER_OTLP_ENDPOINT", "unix:/otlp"),
                ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf"),
            ],
            &[ENDPOINT, ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/json")],
            &[ENDPOINT, ("OTEL_EXPORTER_OTLP_CERTIFICATE", "/tls/missing.crt")],
            &[ENDPOINT, ("OTEL_EXPORTER_OTLP_CERTIFICATE", "/tls/text.crt")],
            &[
                ENDPOINT,
                ("OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE", "/tls/a.crt"),
                ("OTEL_EXPORTER_OTLP_CLIENT_KEY", "/tls/other.key"),
            ],
        ],
        |environment| {
            let said = load_in(environment, BASE).unwrap_err().to_string();
            assert!(said.contains("OTEL_") && !said.contains("hunter2"), "{said}");
            said
        },
    );
    // A file that is not there yet may come.
    let missing = [ENDPOINT, ("OTEL_EXPORTER_OTLP_CERTIFICATE", "/tls/missing.crt")];
    assert!(load_in(&missing, BASE).unwrap_err().only_in_files());
}

/// A mistake elsewhere in the file is told at its own place, whatever the environment adds.
#[test]
fn places_stay_those_of_the_file() {
    let text = top("telemetry: { traces: { sample: 2 } }");
    let said = |environment: &Variables| load_in(environment, &text).unwrap_err().to_string();
    assert_eq!(said(&[ENDPOINT]), said(&[]));
    for text in [top("telemetry: []"), top("telemetry: { traces: 1 }"), "- a\n".to_owned()] {
        let said = |environment| load_in(environment, &text).unwrap_err().to_string();
        assert_eq!(said(&[ENDPOINT]), said(&[]));
    }
}
