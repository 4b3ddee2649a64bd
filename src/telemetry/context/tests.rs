use super::{
    Form, Forms, Found, Parent, SpanId, TraceId, is_ours, new_ids, property, ratio_keeps, read,
    tracestate, write,
};
use http::{HeaderMap, HeaderName, HeaderValue};
use opentelemetry::trace::SpanKind;
use opentelemetry_sdk::trace::{Sampler, SamplingDecision, ShouldSample};
use proptest::prelude::*;

const TRACE: u128 = 0x0123_4567_89ab_cdef_0123_4567_89ab_cdef;
const SPAN: u64 = 0x0fed_cba9_8765_4321;

const ALL: Forms = Forms { trace_context: true, b3: true, b3_multi: true };
const NONE: Forms = Forms { trace_context: false, b3: false, b3_multi: false };
const W3C: Forms = Forms { trace_context: true, ..NONE };
const SINGLE: Forms = Forms { b3: true, ..NONE };
const MULTI: Forms = Forms { b3_multi: true, ..NONE };

const VALID: &str = "00-0123456789abcdef0123456789abcdef-0fedcba987654321-01";

fn headers(fields: &[(&str, &str)]) -> HeaderMap {
    let field = |(name, value): &(&str, &str)| {
        (HeaderName::try_from(*name).unwrap(), HeaderValue::try_from(*value).unwrap())
    };
    fields.iter().map(field).collect()
}

fn parent(form: Form, sampled: Option<bool>) -> Parent {
    Parent { trace: TraceId(TRACE), span: SpanId(SPAN), sampled, random: false, form }
}

fn found(form: Form, sampled: Option<bool>) -> Found {
    Found::Parent(parent(form, sampled))
}

/// What the next one is told.
fn written(forms: Forms, sampled: bool, random: bool) -> HeaderMap {
    let mut headers = HeaderMap::new();
    write(forms, TraceId(TRACE), SpanId(SPAN), sampled, random, |name, value| {
        headers.append(name, HeaderValue::from_bytes(value).unwrap());
    });
    headers
}

/// What a lone `traceparent` is taken for.
fn of_traceparent(value: &str) -> Found {
    read(&headers(&[("traceparent", value)]), W3C)
}

#[test]
fn the_known_part_of_a_valid_traceparent_is_read() {
    for (why, value) in [
        ("version 00", VALID),
        ("white space before it", &format!(" {VALID}")),
        ("a tab before it", &format!("\t{VALID}")),
        ("white space behind it", &format!("{VALID} ")),
        ("a tab behind it", &format!("{VALID}\t")),
        ("white space around it", &format!("\t {VALID} \t")),
        ("the next version", &VALID.replace("00-", "01-")),
        ("a future version", &VALID.replace("00-", "cc-")),
        ("the last version there can be", &VALID.replace("00-", "fe-")),
        ("a future version with more", &VALID.replace("00-", "cc-").replace("1-01", "1-01-what")),
        (
            "a future version with a dash behind",
            &VALID.replace("00-", "cc-").replace("1-01", "1-01-"),
        ),
        ("a future version, long", &(VALID.replace("00-", "01-") + "-" + &"x.".repeat(4000))),
        ("a future version with anything", &(VALID.replace("00-", "01-") + "- \t=,\u{e9}")),
    ] {
        assert_eq!(of_traceparent(value), found(Form::TraceContext, Some(true)), "{why}: {value}");
    }
}

#[test]
fn an_invalid_traceparent_is_none_and_begins_a_new_trace() {
    let id = "0123456789abcdef0123456789abcdef";
    for (why, value) in [
        ("empty", String::new()),
        ("white space only", " \t ".to_owned()),
        ("one byte", "0".to_owned()),
        ("dashes only", "-".repeat(55)),
        ("version ff", VALID.replace("00-", "ff-")),
        ("version ff with more", VALID.replace("00-", "ff-") + "-what"),
        ("version ff in upper case", VALID.replace("00-", "FF-")),
        ("a future version in upper case", VALID.replace("00-", "CC-")),
        ("a letter in the version", VALID.replace("00-", "0g-")),
        ("a dot first in the version", VALID.replace("00-", ".0-")),
        ("a dot last in the version", VALID.replace("00-", "0.-")),
        ("a version of one digit", VALID.replace("00-", "0-")),
        ("a version of three digits", VALID.replace("00-", "000-")),
        ("a version of four digits", VALID.replace("00-", "0000-")),
        ("no version", VALID.replace("00-", "")),
        ("a trace id of zeros", VALID.replace(id, &"0".repeat(32))),
        (
            "a trace id of zeros, later version",
            VALID.replace(id, &"0".repeat(32)).replacen("00", "01", 1),
        ),
        ("a trace id in upper case", VALID.replace(id, &id.to_uppercase())),
        ("one upper-case digit in the trace id", VALID.replacen('a', "A", 1)),
        ("a trace id of 31 digits", VALID.replace(id, &id[1..])),
        ("a trace id of 33 digits", VALID.replace(id, &format!("{id}0"))),
        ("a trace id of 16 digits", VALID.replace(id, &id[16..])),
        ("a dot first in the trace id", VALID.replace(id, &id.replacen('0', ".", 1))),
        ("a dot last in the trace id", VALID.replace("f-0", ".-0")),
        ("no trace id", VALID.replace(id, "")),
        ("a span id of zeros", VALID.replace("0fedcba987654321", "0000000000000000")),
        ("a span id in upper case", VALID.replace("0fedcba987654321", "0FEDCBA987654321")),
        ("a span id of 15 digits", VALID.replace("0fedcba987654321", "fedcba987654321")),
        ("a span id of 17 digits", VALID.replace("0fedcba987654321", "00fedcba987654321")),
        ("a dot first in the span id", VALID.replace("0fedc", ".fedc")),
        ("a dot last in the span id", VALID.replace("4321-", "432.-")),
        ("no flags", VALID[..52].to_owned()),
        ("a dash for flags", VALID[..53].to_owned()),
        ("one digit of flags", VALID[..54].to_owned()),
        ("three digits of flags", format!("{VALID}0")),
        ("three digits of flags, later version", VALID.replace("00-", "01-") + "0"),
        ("a dot first in the flags", VALID.replace("1-01", "1-.1")),
        ("a dot last in the flags", VALID.replace("1-01", "1-0.")),
        ("flags in upper case", VALID.replace("1-01", "1-0A")),
        (
            "flags in upper case, later version",
            VALID.replace("00-", "01-").replace("4321-01", "4321-0A"),
        ),
        ("version 00 with a dot behind", format!("{VALID}.")),
        ("version 00 with a dash behind", format!("{VALID}-")),
        ("version 00 with more", format!("{VALID}-what-the-future-will-be-like")),
        ("a later version with a dot behind", VALID.replace("00-", "cc-") + ".what"),
        ("a later version, too short", VALID.replace("00-", "cc-")[..54].to_owned()),
        ("a later version in other lengths", "cc-0123-0123-01-".to_owned() + &"x".repeat(40)),
        ("underscores for dashes", VALID.replace('-', "_")),
        ("the first dash is none", VALID.replacen('-', "0", 1)),
        ("the second dash is none", VALID.replace("f-0", "f00")),
        ("the third dash is none", VALID.replace("1-0", "100")),
        ("white space in it", VALID.replacen('-', " ", 1)),
        ("two in one field", format!("{VALID},{VALID}")),
        ("in quotes", format!("\"{VALID}\"")),
        ("letters of other scripts", VALID.replace("0f", "\u{ff10}f")),
    ] {
        assert_eq!(of_traceparent(&value), Found::Nothing, "{why}: {value}");
        // Nor does it take the list with it.
        let fields = headers(&[("traceparent", &value), ("tracestate", "a=1"), ("b3", B3)]);
        let Found::Parent(other) = read(&fields, ALL) else { panic!("{why}") };
        assert_eq!(tracestate(&fields, &other), None, "{why}");
    }
}

#[test]
fn two_traceparents_are_none_also_if_they_are_equal() {
    let other = VALID.replace("00-0", "00-1");
    for second in [VALID, &other, "", "nonsense"] {
        for pair in [[VALID, second], [second, VALID]] {
            let fields = headers(&pair.map(|value| ("traceparent", value)));
            assert_eq!(read(&fields, W3C), Found::Nothing, "{pair:?}");
        }
    }
}

#[test]
fn the_name_of_traceparent_has_any_case_and_no_hyphen() {
    for name in ["traceparent", "TraceParent", "TrAcEpArEnT", "TRACEPARENT"] {
        let expected = found(Form::TraceContext, Some(true));
        assert_eq!(read(&headers(&[(name, VALID)]), W3C), expected, "{name}");
    }
    for name in ["trace-parent", "trace.parent", "x-traceparent"] {
        assert_eq!(read(&headers(&[(name, VALID)]), ALL), Found::Nothing, "{name}");
    }
}

#[test]
fn of_all_flags_the_two_that_are_known_are_read_and_go_on() {
    for flags in 0..=0xFF_u8 {
        let (sampled, random) = (flags & 1 != 0, flags & 2 != 0);
        for version in ["00", "01", "fe"] {
            let value = format!("{version}{}{flags:02x}", &VALID[2..53]);
            let expected = Parent { random, ..parent(Form::TraceContext, Some(sampled)) };
            assert_eq!(of_traceparent(&value), Found::Parent(expected), "{value}");
        }
        let sent = format!("{}{:02x}", &VALID[..53], flags & 3);
        assert_eq!(written(W3C, sampled, random), headers(&[("traceparent", &sent)]));
    }
}

/// The list that goes on with a valid trace.
fn passed(fields: &[&str]) -> Option<String> {
    let lists = fields.iter().map(|list| ("tracestate", *list));
    let fields = headers(&lists.chain([("traceparent", VALID)]).collect::<Vec<_>>());
    // The trace goes on whatever is wrong with the list.
    let expected = parent(Form::TraceContext, Some(true));
    assert_eq!(read(&fields, W3C), Found::Parent(expected));
    tracestate(&fields, &expected).map(|list| String::from_utf8(list.as_bytes().to_vec()).unwrap())
}

fn members(count: usize) -> String {
    (1..=count).map(|number| format!("bar{number:02}={number:02}")).collect::<Vec<_>>().join(",")
}

#[test]
fn a_single_valid_tracestate_passes_as_it_is() {
    let names = "abcdefghijklmnopqrstuvwxyz0123456789_-*/";
    let printable = (' '..='~').filter(|byte| !matches!(byte, ',' | '=')).collect::<String>();
    let long = |length| "z".repeat(length);
    for (why, list) in [
        ("one member", "foo=1".to_owned()),
        ("two members", "foo=1,bar=2".to_owned()),
        ("white space around commas", "foo=1 \t , \t bar=2, \t baz=3".to_owned()),
        ("tabs around commas", "foo=1\t \t,\t \tbar=2,\t \tbaz=3".to_owned()),
        ("all bytes of a key", format!("{names}=1")),
        ("all bytes of a key with a tenant", format!("{names}@a-z0-9_-*/=1")),
        ("all bytes of a value", format!("foo={printable}")),
        ("space before a value, which is its own", "foo=  1".to_owned()),
        ("a digit first in a key", "1foo=1".to_owned()),
        ("a digit first in a tenant and in a system", "1foo@2bar=1".to_owned()),
        ("keys of one byte", "a=1,b=2,0=3".to_owned()),
        ("a key that begins as another", "foo=1,foo@bar=2,foobar=3,bar@foo=4".to_owned()),
        ("keys that are values elsewhere", "foo=bar,bar=foo".to_owned()),
        ("a key of 256 bytes", format!("foo=1,{}=1", long(256))),
        ("a tenant of 241 bytes, a system of 14", format!("{}@{}=1", long(241), long(14))),
        ("a value of 256 bytes", format!("foo={}", long(256))),
        ("32 members", members(32)),
        ("512 bytes", format!("foo={},bar={}", long(250), long(253))),
        (
            "all that there can be",
            (10..42)
                .map(|n| format!("{n}{}={}", long(254), long(256)))
                .collect::<Vec<_>>()
                .join(","),
        ),
    ] {
        assert_eq!(passed(&[&list]), Some(list), "{why}");
    }
}

#[test]
fn several_tracestates_are_one_list_in_their_order_without_what_is_empty() {
    let ten = |from: usize| members(from + 9)[(from - 1) * 9..].to_owned();
    for (why, fields, expected) in [
        (
            "three fields",
            vec!["foo=1,bar=2", "rojo=1,congo=2", "baz=3"],
            "foo=1,bar=2,rojo=1,congo=2,baz=3",
        ),
        ("an empty field behind", vec!["foo=1", ""], "foo=1"),
        ("an empty field before", vec!["", "foo=1"], "foo=1"),
        ("empty members", vec![",foo=1,, ,\t,bar=2,"], "foo=1,bar=2"),
        ("empty members in several fields", vec![",", "foo=1,", " , bar=2"], "foo=1,bar=2"),
        ("white space before the list", vec![" foo=1"], "foo=1"),
        ("a tab before the list", vec!["\tfoo=1"], "foo=1"),
        ("white space behind the list", vec!["foo=1 "], "foo=1"),
        ("a tab behind the list", vec!["foo=1\t"], "foo=1"),
        ("white space around the list", vec!["\t foo=1 \t"], "foo=1"),
        ("white space around members", vec!["foo=1 , bar=2", " baz= 3 "], "foo=1,bar=2,baz= 3"),
        ("32 members", vec![&ten(1), &ten(11), &ten(21), "bar31=31,bar32=32"], &members(32)),
        ("32 members and empty ones", vec![&members(32), ",,,"], &members(32)),
    ] {
        assert_eq!(passed(&fields).as_deref(), Some(expected), "{why}");
    }
}

#[test]
fn a_tracestate_with_anything_wrong_or_nothing_in_it_is_dropped_whole() {
    let long = |length| "z".repeat(length);
    for (why, fields) in [
        ("none", vec![]),
        ("empty", vec![""]),
        ("white space", vec![" \t"]),
        ("commas", vec![",, ,"]),
        ("twice empty", vec!["", ""]),
        ("a key twice", vec!["foo=1,foo=1"]),
        ("a key twice with other values", vec!["foo=1,foo=2"]),
        ("a key in two fields", vec!["foo=1", "foo=1"]),
        ("a key in two fields with other values", vec!["foo=1", "foo=2"]),
        ("a key twice among others", vec!["foo=1,bar=2,baz=3", "qux=4, foo=5"]),
        ("33 members", vec![&members(33)]),
        ("33 members in two fields", vec![&members(32), "foo=1"]),
        ("no value and no sign", vec!["foo"]),
        ("a member without sign among others", vec!["bar=1,foo,baz=2"]),
        ("no key", vec!["=1"]),
        ("nothing but a sign", vec!["="]),
        ("no value", vec!["foo="]),
        ("no value among others", vec!["foo=,bar=3"]),
        ("a value of spaces", vec!["foo=  ,bar=3"]),
        ("space behind a key", vec!["foo =1"]),
        ("space in a key", vec!["fo o=1"]),
        ("an upper-case key", vec!["FOO=1"]),
        ("an upper-case byte in a key", vec!["fOo=1"]),
        ("a dot in a key", vec!["foo.bar=1"]),
        ("a key that begins with an underscore", vec!["_foo=1"]),
        ("a key that begins with a dash", vec!["-foo=1"]),
        ("a key that begins with an asterisk", vec!["*foo=1"]),
        ("a key that begins with a slash", vec!["/foo=1"]),
        ("no system behind @", vec!["foo@=1,bar=2"]),
        ("no tenant before @", vec!["@foo=1,bar=2"]),
        ("two @ beside each other", vec!["foo@@bar=1,bar=2"]),
        ("two @", vec!["foo@bar@baz=1,bar=2"]),
        ("a system that begins with a dash", vec!["foo@-bar=1"]),
        ("a key of 257 bytes", vec!["foo=1", &format!("{}=1", long(257))]),
        ("a tenant of 242 bytes", vec!["foo=1", &format!("{}@v=1", long(242))]),
        ("a system of 15 bytes", vec!["foo=1", &format!("t@{}=1", long(15))]),
        ("a value of 257 bytes", vec!["foo=1", &format!("bar={}", long(257))]),
        ("a sign in a value", vec!["foo=bar=baz"]),
        ("a tab in a value", vec!["foo=bar\tbaz"]),
        ("a byte beyond ASCII in a value", vec!["foo=b\u{e9}"]),
        ("a byte beyond ASCII in a key", vec!["f\u{e9}=1"]),
        ("a semicolon for a comma", vec!["foo=1;bar=2"]),
        ("something wrong in another field", vec!["foo=1", "BAR=2", "baz=3"]),
    ] {
        assert_eq!(passed(&fields), None, "{why}");
    }
}

#[test]
fn a_tracestate_under_another_name_or_beside_another_form_does_not_go_on() {
    for name in ["trace-state", "trace.state", "x-tracestate"] {
        let fields = headers(&[("traceparent", VALID), (name, "foo=1")]);
        assert_eq!(tracestate(&fields, &parent(Form::TraceContext, Some(true))), None, "{name}");
    }
    for name in ["tracestate", "TraceState", "TrAcEsTaTe", "TRACESTATE"] {
        let fields = headers(&[("traceparent", VALID), (name, "foo=1")]);
        assert!(tracestate(&fields, &parent(Form::TraceContext, None)).is_some(), "{name}");
        for form in [Form::B3, Form::B3Multi] {
            assert_eq!(tracestate(&fields, &parent(form, None)), None, "{name}");
        }
    }
}

const B3: &str = "0123456789abcdef0123456789abcdef-0fedcba987654321";

#[test]
fn a_valid_b3_is_read() {
    let decided = |sampled| found(Form::B3, Some(sampled));
    let deferred = found(Form::B3, None);
    let short = Parent { trace: TraceId(TRACE as u64 as u128), ..parent(Form::B3, Some(true)) };
    for (value, expected) in [
        (B3.to_owned(), deferred),
        (format!("{B3}-1"), decided(true)),
        (format!("{B3}-0"), decided(false)),
        (format!("{B3}-d"), decided(true)),
        (format!("{B3}-1-00000000000000ff"), decided(true)),
        (format!("{B3}-0-00000000000000FF"), decided(false)),
        (format!("{B3}-d-0000000000000000"), decided(true)),
        // As Brave writes it.
        (format!("{B3}-00000000000000ff"), deferred),
        (format!(" {B3}-1\t"), decided(true)),
        (format!("{}-1", B3.to_uppercase()), decided(true)),
        (format!("{}-1", B3.replace("ab", "Ab")), decided(true)),
        (format!("{}-1", &B3[16..]), Found::Parent(short)),
        ("0".to_owned(), Found::Decision(false)),
        ("1".to_owned(), Found::Decision(true)),
        ("d".to_owned(), Found::Decision(true)),
    ] {
        assert_eq!(read(&headers(&[("b3", &value)]), SINGLE), expected, "{value}");
        assert_eq!(read(&headers(&[("B3", &value)]), ALL), expected, "{value}");
    }
}

#[test]
fn an_invalid_b3_is_none() {
    for (why, value) in [
        ("empty", String::new()),
        ("another decision", "2".to_owned()),
        ("a word", "true".to_owned()),
        ("an upper-case letter for debugging", "D".to_owned()),
        ("two decisions", "1-1".to_owned()),
        ("a trace id alone", B3[..32].to_owned()),
        ("no span id", B3[..33].to_owned()),
        ("a trace id of zeros", B3.replace(&B3[..32], &"0".repeat(32))),
        ("a short trace id of zeros", format!("{}{}", "0".repeat(16), &B3[32..])),
        ("a span id of zeros", format!("{}{}", &B3[..33], "0".repeat(16))),
        ("a trace id of 15 digits", B3[17..].to_owned()),
        ("a trace id of 24 digits", B3[8..].to_owned()),
        ("a trace id of 31 digits", B3[1..].to_owned()),
        ("a trace id of 33 digits", format!("0{B3}")),
        ("a letter in the trace id", B3.replacen('a', "g", 1)),
        ("a span id of 15 digits", B3[..48].to_owned()),
        ("a span id of 17 digits", format!("{B3}0")),
        ("a letter in the span id", B3.replace("-0f", "-0g")),
        ("another decision behind ids", format!("{B3}-2")),
        ("a word behind ids", format!("{B3}-true")),
        ("no decision behind a dash", format!("{B3}-")),
        ("two digits of a decision", format!("{B3}-01")),
        ("a parent's id of 15 digits", format!("{B3}-1-0123456789abcde")),
        ("a parent's id that is none", format!("{B3}-1-0123456789abcdeg")),
        ("no parent's id behind a dash", format!("{B3}-1-")),
        ("a parent's id and more", format!("{B3}-1-0123456789abcdef-1")),
        ("a decision behind the parent's id", format!("{B3}-0123456789abcdef-1")),
        ("a traceparent", VALID.to_owned()),
        ("two in one field", format!("{B3}-1,{B3}-1")),
    ] {
        assert_eq!(read(&headers(&[("b3", &value)]), SINGLE), Found::Nothing, "{why}: {value}");
    }
    for second in [B3, "0", ""] {
        let twice = headers(&[("b3", B3), ("b3", second)]);
        assert_eq!(read(&twice, SINGLE), Found::Nothing, "{second}");
    }
}

#[test]
fn valid_fields_of_b3_are_read() {
    let ids = [("X-B3-TraceId", &B3[..32]), ("X-B3-SpanId", &B3[33..])];
    let with = |more: &[(&'static str, &'static str)]| headers(&[&ids[..], more].concat());
    let decided = |sampled| found(Form::B3Multi, Some(sampled));
    for (more, expected) in [
        (&[][..], found(Form::B3Multi, None)),
        (&[("X-B3-Sampled", "1")], decided(true)),
        (&[("X-B3-Sampled", "0")], decided(false)),
        (&[("X-B3-Sampled", " 1\t")], decided(true)),
        (&[("X-B3-Sampled", "true")], decided(true)),
        (&[("X-B3-Sampled", "True")], decided(true)),
        (&[("X-B3-Sampled", "false")], decided(false)),
        (&[("X-B3-Flags", "1")], decided(true)),
        (&[("X-B3-Flags", "0")], found(Form::B3Multi, None)),
        (&[("X-B3-Flags", "")], found(Form::B3Multi, None)),
        (&[("X-B3-Flags", "1"), ("X-B3-Sampled", "0")], decided(true)),
        (&[("X-B3-Flags", "0"), ("X-B3-Sampled", "0")], decided(false)),
        (&[("X-B3-ParentSpanId", "00000000000000ff"), ("X-B3-Sampled", "1")], decided(true)),
        (&[("X-B3-ParentSpanId", "nonsense"), ("X-B3-Sampled", "1")], decided(true)),
    ] {
        assert_eq!(read(&with(more), MULTI), expected, "{more:?}");
    }
    let upper = ids.map(|(name, id)| (name, id.to_uppercase()));
    let upper = upper.each_ref().map(|(name, id)| (*name, id.as_str()));
    assert_eq!(read(&headers(&upper), MULTI), found(Form::B3Multi, None));
    let short = headers(&[("x-b3-traceid", &B3[16..32]), ids[1]]);
    let trace = TraceId(TRACE as u64 as u128);
    let expected = Parent { trace, ..parent(Form::B3Multi, None) };
    assert_eq!(read(&short, MULTI), Found::Parent(expected));
}

#[test]
fn a_decision_of_b3_without_ids_is_followed_by_the_trace_that_begins() {
    for (fields, expected) in [
        (&[("X-B3-Sampled", "0")][..], Found::Decision(false)),
        (&[("X-B3-Sampled", "false")], Found::Decision(false)),
        (&[("X-B3-Sampled", "1")], Found::Decision(true)),
        (&[("X-B3-Flags", "1")], Found::Decision(true)),
        (&[("X-B3-Flags", "1"), ("X-B3-Sampled", "0")], Found::Decision(true)),
        (&[("X-B3-Flags", "0")], Found::Nothing),
        (&[("X-B3-ParentSpanId", "00000000000000ff")], Found::Nothing),
    ] {
        assert_eq!(read(&headers(fields), MULTI), expected, "{fields:?}");
    }
}

#[test]
fn invalid_fields_of_b3_are_none() {
    let (trace, span) = (("X-B3-TraceId", &B3[..32]), ("X-B3-SpanId", &B3[33..]));
    for (why, fields) in [
        ("no span id", vec![trace]),
        ("no span id beside a decision", vec![trace, ("X-B3-Sampled", "0")]),
        ("no trace id", vec![span]),
        ("an empty trace id", vec![("X-B3-TraceId", ""), span]),
        ("a trace id of zeros", vec![("X-B3-TraceId", "00000000000000000000000000000000"), span]),
        ("a short trace id of zeros", vec![("X-B3-TraceId", "0000000000000000"), span]),
        ("a trace id of 31 digits", vec![("X-B3-TraceId", &B3[1..32]), span]),
        ("a trace id that is none", vec![("X-B3-TraceId", "0123456789abcdeg"), span]),
        ("a span id of zeros", vec![trace, ("X-B3-SpanId", "0000000000000000")]),
        ("a span id of 15 digits", vec![trace, ("X-B3-SpanId", &B3[34..])]),
        ("a span id of 32 digits", vec![trace, ("X-B3-SpanId", &B3[..32])]),
        ("another decision", vec![trace, span, ("X-B3-Sampled", "2")]),
        ("a decision of one field", vec![trace, span, ("X-B3-Sampled", "d")]),
        ("an empty decision", vec![trace, span, ("X-B3-Sampled", "")]),
        ("two trace ids", vec![trace, trace, span]),
        ("two span ids", vec![trace, span, span]),
        ("two decisions", vec![trace, span, ("X-B3-Sampled", "1"), ("X-B3-Sampled", "1")]),
        ("two flags", vec![trace, span, ("X-B3-Flags", "1"), ("X-B3-Flags", "1")]),
    ] {
        assert_eq!(read(&headers(&fields), MULTI), Found::Nothing, "{why}");
    }
}

#[test]
fn the_first_form_that_says_something_valid_counts() {
    let multi = [("X-B3-TraceId", &B3[..32]), ("X-B3-SpanId", &B3[33..])];
    let invalid = VALID.to_uppercase();
    for (first, expected) in [
        (vec![("traceparent", VALID), ("b3", "0")], found(Form::TraceContext, Some(true))),
        (vec![("traceparent", &invalid), ("b3", "0")], Found::Decision(false)),
        (vec![("traceparent", &invalid), ("b3", B3)], found(Form::B3, None)),
        (vec![("b3", "1")], Found::Decision(true)),
        (vec![("traceparent", &invalid), ("b3", "what")], found(Form::B3Multi, None)),
        (vec![], found(Form::B3Multi, None)),
    ] {
        let fields = headers(&[&first[..], &multi].concat());
        assert_eq!(read(&fields, ALL), expected, "{first:?}");
    }
}

#[test]
fn a_form_that_is_off_is_not_read_and_its_fields_pass() {
    let fields = headers(&[
        ("traceparent", VALID),
        ("tracestate", "foo=1"),
        ("b3", B3),
        ("X-B3-TraceId", &B3[..32]),
        ("X-B3-SpanId", &B3[33..]),
        ("X-B3-ParentSpanId", &B3[33..]),
        ("X-B3-Sampled", "1"),
        ("X-B3-Flags", "1"),
        ("baggage", "user=1"),
        ("x-b3", "1"),
        ("x-request-id", "1"),
        ("traceresponse", "1"),
        ("host", "a"),
    ]);
    for (forms, expected, ours) in [
        (NONE, Found::Nothing, &[][..]),
        (W3C, found(Form::TraceContext, Some(true)), &["traceparent", "tracestate"]),
        (SINGLE, found(Form::B3, None), &["b3"]),
        (
            MULTI,
            found(Form::B3Multi, Some(true)),
            &["x-b3-traceid", "x-b3-spanid", "x-b3-parentspanid", "x-b3-sampled", "x-b3-flags"],
        ),
    ] {
        assert_eq!(read(&fields, forms), expected);
        let mut taken = fields.keys().filter(|name| is_ours(name, forms)).collect::<Vec<_>>();
        taken.sort_by_key(|name| ours.iter().position(|ours| ours == name));
        assert_eq!(taken, ours);
    }
    assert_eq!(fields.keys().filter(|name| is_ours(name, ALL)).count(), 8);
}

#[test]
fn every_form_that_is_on_is_written_and_no_other() {
    let random = VALID.replace("1-01", "1-03");
    let b3 = format!("{B3}-1");
    let (w3c, single) = (("traceparent", random.as_str()), ("b3", b3.as_str()));
    let multi = [("x-b3-traceid", &B3[..32]), ("x-b3-spanid", &B3[33..]), ("x-b3-sampled", "1")];
    assert_eq!(written(NONE, true, true), HeaderMap::new());
    assert_eq!(written(W3C, true, true), headers(&[w3c]));
    assert_eq!(written(SINGLE, true, true), headers(&[single]));
    assert_eq!(written(MULTI, true, true), headers(&multi));
    assert_eq!(written(ALL, true, true), headers(&[&[w3c, single], &multi[..]].concat()));
    assert_eq!(written(SINGLE, false, true), headers(&[("b3", &format!("{B3}-0"))]));
    assert_eq!(written(MULTI, false, true)["x-b3-sampled"], "0");
}

#[test]
fn ids_are_shown_in_all_their_digits() {
    assert_eq!(TraceId(0xab).to_string(), format!("{}ab", "0".repeat(30)));
    assert_eq!(SpanId(0xab).to_string(), format!("{}ab", "0".repeat(14)));
    assert_eq!(TraceId(TRACE).to_string().as_bytes(), TraceId(TRACE).digits());
    assert_eq!(SpanId(SPAN).to_string().as_bytes(), SpanId(SPAN).digits());
}

#[test]
fn ids_are_random_in_all_their_bits() {
    let mut rng = fastrand::Rng::with_seed(7);
    let mut once = (0, 0);
    let mut always = (u128::MAX, u64::MAX);
    for _ in 0..100 {
        let (trace, span) = new_ids(&mut rng);
        once = (once.0 | trace.0, once.1 | span.0);
        always = (always.0 & trace.0, always.1 & span.0);
    }
    assert_eq!((once, always), ((u128::MAX, u64::MAX), (0, 0)));
}

/// O1: services with the same ratio keep the same traces, or traces have holes.
#[test]
fn the_ratio_decides_as_the_sampler_of_opentelemetry() {
    let mut rng = fastrand::Rng::with_seed(8);
    for ratio in [-1.0, 0.0, f64::MIN_POSITIVE, 1e-6, 0.01, 0.1, 0.25, 0.5, 0.999_999, 1.0, 2.0] {
        let bound = (ratio * (1_u64 << 63) as f64) as u64;
        let edges = [0, 1, bound.wrapping_sub(1), bound, bound.saturating_add(1), u64::MAX >> 1];
        let edges = edges.map(|half| u128::from(half) << 1 | 0xFF << 64);
        let random = std::iter::repeat_with(|| new_ids(&mut rng).0.0).take(1000);
        for trace in edges.into_iter().chain(random) {
            let id = opentelemetry::TraceId::from_bytes(trace.to_be_bytes());
            let sampler = Sampler::TraceIdRatioBased(ratio);
            let theirs = sampler.should_sample(None, id, "", &SpanKind::Server, &[], &[]).decision;
            let kept = theirs == SamplingDecision::RecordAndSample;
            assert_eq!(ratio_keeps(TraceId(trace), ratio), kept, "{ratio} {trace:032x}");
        }
    }
    assert!(!ratio_keeps(TraceId(1), f64::NAN));
}

#[test]
fn the_ratio_keeps_its_share() {
    let mut rng = fastrand::Rng::with_seed(9);
    let kept = (0..10_000).filter(|_| ratio_keeps(new_ids(&mut rng).0, 0.1)).count();
    assert!((900..1100).contains(&kept), "{kept}");
}

/// A field that is nearly valid, so that chance gets past its beginning.
fn nearly_a_field() -> impl Strategy<Value = Vec<u8>> {
    let list = proptest::collection::vec("[ab0]{1,2}(@[ab])?= ?[1-3 ]{1,3}|[ \t]?", 0..40);
    let field = prop_oneof![
        4 => "traceparent: (00|01|ff)-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}(-.{0,3})?",
        2 => list.prop_map(|members| format!("tracestate:{}", members.join(","))),
        2 => "b3: ?([0-9a-fA-F]{16}){1,2}-[0-9a-f]{16}(-[01d2])?(-[0-9a-f]{16})?|b3:[01d]",
        1 => "x-b3-traceid:([0-9a-f]{16}){1,2}",
        1 => "x-b3-spanid:[0-9a-f]{16}",
        1 => "x-b3-(sampled|flags):([01]|true)",
    ];
    (field, any::<(u8, u8)>(), 0..8).prop_map(|(field, (at, to), chance)| {
        let mut field = field.into_bytes();
        if chance == 0 {
            let at = usize::from(at) % field.len();
            field[at] = to;
        }
        field
    })
}

proptest! {
    #[test]
    fn what_is_written_is_read(trace in 1_u128.., span in 1_u64.., sampled: bool, random: bool) {
        property::reads_back(TraceId(trace), SpanId(span), sampled, random);
    }

    #[test]
    fn what_goes_on_is_valid_whatever_came(
        lines in proptest::collection::vec(nearly_a_field(), 0..6),
        bytes in proptest::collection::vec(any::<u8>(), 0..60),
    ) {
        property::holds(&lines.join(&b'\n'));
        property::holds(&bytes);
    }
}
