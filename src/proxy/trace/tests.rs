use super::*;
use crate::model::{Keep, Ratio};
use http::Request;

const PARENT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
const W3C: Forms = Forms { trace_context: true, b3: false, b3_multi: false };

fn settings(ratio: f64, parents: Parents, forms: Forms) -> Settings {
    let keep = Keep { errors: true, retries: true, slower_than: None };
    Settings { sampling: Sampling { ratio: Ratio::new(ratio), parents, keep }, forms }
}

fn begin(settings: &Settings, fields: &[(&str, &str)]) -> Trace {
    let request = fields
        .iter()
        .fold(Request::get("/"), |request, (name, value)| request.header(*name, *value));
    let (parts, ()) = request.body(()).unwrap().into_parts();
    let present = Present::of(&parts.headers);
    Trace::begin(settings, &parts, present, &mut fastrand::Rng::with_seed(7))
}

/// The fields that an endpoint gets, whose attempt has the span 0x11.
fn passed_on(trace: &Trace) -> Vec<(String, String)> {
    let mut fields = Vec::new();
    trace.passed_on(SpanId(0x11)).write(|name, value| {
        fields.push((name.to_string(), String::from_utf8(value.to_vec()).unwrap()));
    });
    fields
}

/// O1
#[test]
fn the_callers_decision_is_followed_and_the_flag_sent_is_the_decision_made() {
    for (flags, sampled) in [("01", true), ("00", false)] {
        let parent = format!("{}{flags}", &PARENT[..53]);
        let trace = begin(&settings(0.0, Parents::Follow, W3C), &[("traceparent", &parent)]);
        assert_eq!((trace.sampled, trace.may_be_kept), (sampled, false));
        assert_eq!(trace.parent, Some(SpanId(0xb7ad_6b71_6920_3331)));
        let sent = format!("00-0af7651916cd43dd8448eb211c80319c-0000000000000011-{flags}");
        assert_eq!(passed_on(&trace), [("traceparent".to_owned(), sent)]);
    }
}

#[test]
fn a_decision_that_does_not_count_is_made_anew_within_the_callers_trace() {
    for (ratio, flags) in [(0.0, "00"), (1.0, "01")] {
        let trace = begin(&settings(ratio, Parents::Ignore, W3C), &[("traceparent", PARENT)]);
        assert_eq!((trace.sampled, trace.may_be_kept), (ratio > 0.0, true));
        let sent = format!("00-0af7651916cd43dd8448eb211c80319c-0000000000000011-{flags}");
        assert_eq!(passed_on(&trace)[0].1, sent);
    }
}

#[test]
fn a_trace_that_begins_here_is_random_and_says_so() {
    for (ratio, flags) in [(0.0, "02"), (1.0, "03")] {
        let trace = begin(&settings(ratio, Parents::Follow, W3C), &[]);
        assert_eq!((trace.parent, trace.may_be_kept), (None, true));
        let sent = &passed_on(&trace)[0].1;
        assert!(sent.ends_with(flags) && sent.contains(&trace.id.to_string()), "{sent}");
    }
}

#[test]
fn what_others_say_along_the_trace_goes_on_only_with_a_valid_parent() {
    let follow = settings(1.0, Parents::Follow, W3C);
    let with = |parent: &str| {
        let trace = begin(&follow, &[("traceparent", parent), ("tracestate", "a=1,b=2")]);
        passed_on(&trace).into_iter().find(|(name, _)| name == "tracestate")
    };
    assert_eq!(with(PARENT).unwrap().1, "a=1,b=2");
    assert_eq!(with("00-0-0-01"), None);
}

#[test]
fn a_trace_is_read_in_one_form_and_written_in_all_that_are_wanted() {
    let all = Forms { trace_context: true, b3: true, b3_multi: true };
    let id = "0af7651916cd43dd8448eb211c80319c";
    let b3 = format!("{id}-b7ad6b7169203331-1");
    let trace = begin(&settings(0.0, Parents::Follow, all), &[("b3", &b3)]);
    let fields = passed_on(&trace);
    let names: Vec<_> = fields.iter().map(|(name, _)| &**name).collect();
    assert_eq!(names, ["traceparent", "b3", "x-b3-traceid", "x-b3-spanid", "x-b3-sampled"]);
    assert_eq!(fields[0].1, format!("00-{id}-0000000000000011-01"));
    assert_eq!(fields[1].1, format!("{id}-0000000000000011-1"));
    assert_eq!((&*fields[2].1, &*fields[3].1, &*fields[4].1), (id, "0000000000000011", "1"));
}

#[test]
fn a_refusal_without_a_trace_counts() {
    let forms = Forms { trace_context: false, b3: true, b3_multi: false };
    let trace = begin(&settings(1.0, Parents::Follow, forms), &[("b3", "0")]);
    assert_eq!((trace.sampled, trace.may_be_kept, trace.parent), (false, false, None));
    let trace = begin(&settings(1.0, Parents::Ignore, forms), &[("b3", "0")]);
    assert!(trace.sampled);
}

#[test]
fn only_who_knows_the_token_may_know() {
    let headers = |value: &str| {
        HeaderMap::from_iter([(super::super::headers::X_OUTRIGGER_DEBUG, value.parse().unwrap())])
    };
    assert!(may_know(&headers("0123456789abcdef"), "0123456789abcdef"));
    for wrong in ["", "0123456789abcdeX", "0123456789abcdef0", "0123456789abcde"] {
        assert!(!may_know(&headers(wrong), "0123456789abcdef"), "{wrong}");
    }
    assert!(!may_know(&HeaderMap::new(), ""));
}
