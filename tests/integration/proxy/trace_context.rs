//! Trace contexts on the wire: whatever a client sends, an endpoint gets one valid context, and of what concerns nobody here
//! every byte. The rules are those of W3C Trace Context, levels 1 and 2, and of B3; all cases of them are tried in
//! `src/telemetry/context/tests.rs`.

use super::client::{Client, PATIENCE};
use super::harness::{Config, Proxy, received, server};
use super::http2_endpoint::{Http2Endpoint, Manner, answer};
use http::Request;
use std::collections::HashSet;
use testserver::{Server, Step};
use tokio::net::TcpStream;
use tokio::time::timeout;

const TRACE: &str = "0123456789abcdef0123456789abcdef";
const SPAN: &str = "0fedcba987654321";
const VALID: &str = "00-0123456789abcdef0123456789abcdef-0fedcba987654321-01";
const B3: &str = "0123456789abcdef0123456789abcdef-0fedcba987654321";

/// A client and an endpoint with a proxy between them.
struct Way {
    server: Server,
    proxy: Proxy,
    client: Client,
}

impl Way {
    async fn with(config: impl Fn(Config) -> Config) -> Self {
        let server = server().await;
        let proxy = config(Config::to(&[&server])).start();
        let client = proxy.client().await;
        Self { server, proxy, client }
    }

    /// What arrives of a request with these lines.
    async fn send(&mut self, lines: &[String]) -> Arrived {
        let lines = lines.iter().map(|line| format!("{line}\r\n")).collect::<String>();
        self.client.send(format!("GET / HTTP/1.1\r\nHost: a\r\n{lines}\r\n")).await;
        let answer = self.client.answer().await;
        assert_eq!(answer.status, 200, "{lines}: {answer:?}");
        Arrived::last(&self.server)
    }
}

/// The head of a request as it arrived.
struct Arrived(String);

impl Arrived {
    fn last(server: &Server) -> Self {
        let all = received(server).concat();
        Self(all[all.rfind("GET / ").expect("a request")..].to_owned())
    }

    /// The values of all fields of this name.
    fn all(&self, name: &str) -> Vec<&str> {
        let fields = self.0.split("\r\n").filter_map(|line| line.split_once(": "));
        fields.filter(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, value)| value).collect()
    }

    /// The value of a field that must be there once.
    fn one(&self, name: &str) -> &str {
        let [value] = self.all(name)[..] else { panic!("not one {name}: {}", self.0) };
        value
    }

    /// The trace, the span and the flags of the only `traceparent`, which is valid.
    fn trace(&self) -> (&str, &str, &str) {
        let value = self.one("traceparent");
        let parts = value.split('-').collect::<Vec<_>>();
        let [version, trace, span, flags] = parts[..] else { panic!("{value}") };
        let lengths = parts.iter().map(|part| part.len()).collect::<Vec<_>>();
        assert_eq!((version, &lengths[..]), ("00", &[2, 32, 16, 2][..]), "{value}");
        let is_lower_hex = |part: &&str| part.bytes().all(|b| b"0123456789abcdef".contains(&b));
        assert!(parts.iter().all(is_lower_hex), "{value}");
        assert!([trace, span].iter().all(|id| id.bytes().any(|b| b != b'0')), "{value}");
        assert!(["00", "01", "02", "03"].contains(&flags), "{value}");
        (trace, span, flags)
    }
}

/// Something that is nobody's but the application's, and odd.
const BAGGAGE: &str = "user=\"x y\",,k = v;p=1 , traceparent=00-1-2-3";

fn lines(fields: &[(&str, &str)]) -> Vec<String> {
    fields.iter().map(|(name, value)| format!("{name}: {value}")).collect()
}

#[tokio::test]
async fn a_valid_traceparent_goes_on_in_version_00_with_a_span_of_ours() {
    let mut way = Way::with(|config| config.traces("")).await;
    let mut spans = HashSet::from([SPAN.to_owned()]);
    for (line, flags) in [
        (format!("traceparent: {VALID}"), "01"),
        (format!("TraceParent: {VALID}"), "01"),
        (format!("TRACEPARENT:{VALID}"), "01"),
        (format!("traceparent: \t {VALID} \t"), "01"),
        (format!("traceparent: {}0", &VALID[..54]), "00"),
        (format!("traceparent: {}2", &VALID[..54]), "02"),
        (format!("traceparent: {}3", &VALID[..54]), "03"),
        (format!("traceparent: {}c", &VALID[..54]), "00"),
        (format!("traceparent: {}ff", &VALID[..53]), "03"),
        (format!("traceparent: cc{}", &VALID[2..]), "01"),
        (format!("traceparent: 01{}-what-the-future-will-be-like", &VALID[2..]), "01"),
        (format!("traceparent: fe{}ff-", &VALID[2..53]), "03"),
    ] {
        let state = "foo=1 , bar@baz=2";
        let others = lines(&[("tracestate", state), ("baggage", BAGGAGE)]);
        let arrived = way.send(&[vec![line.clone()], others].concat()).await;
        let (trace, span, sent) = arrived.trace();
        assert_eq!((trace, sent), (TRACE, flags), "{line}");
        assert!(spans.insert(span.to_owned()), "{line}: {span} twice");
        assert_eq!(arrived.one("tracestate"), state, "{line}");
        assert_eq!(arrived.one("baggage"), BAGGAGE, "{line}");
    }
}

#[tokio::test]
async fn an_invalid_traceparent_begins_a_new_trace_and_takes_its_tracestate_with_it() {
    let mut way = Way::with(|config| config.traces("")).await;
    let mut traces = HashSet::from([TRACE.to_owned()]);
    let one = |value: &str| vec![format!("traceparent: {value}")];
    for (why, mut fields) in [
        ("none", vec![]),
        ("empty", one("")),
        ("version ff", one(&format!("ff{}", &VALID[2..]))),
        ("upper case", one(&VALID.to_uppercase())),
        ("an upper-case version", one(&format!("CC{}", &VALID[2..]))),
        ("a trace of zeros", one(&VALID.replace(TRACE, &"0".repeat(32)))),
        ("a span of zeros", one(&VALID.replace(SPAN, &"0".repeat(16)))),
        ("a short trace", one(&VALID.replace(TRACE, &TRACE[1..]))),
        ("a short span", one(&VALID.replace(SPAN, &SPAN[1..]))),
        ("a long trace", one(&VALID.replace(TRACE, &format!("0{TRACE}")))),
        ("no flags", one(&VALID[..52])),
        ("one digit of flags", one(&VALID[..54])),
        ("three digits of flags", one(&format!("{VALID}0"))),
        ("version 00 with more", one(&format!("{VALID}-more"))),
        ("a later version with more, without a dash", one(&format!("cc{}.more", &VALID[2..]))),
        ("the parts of a short one", one("00-abc-1-01")),
        ("beyond ASCII", one(&VALID.replace('f', "\u{e9}"))),
        ("two in one field", one(&format!("{VALID}, {VALID}"))),
        ("equal ones", [one(VALID), one(VALID)].concat()),
        (
            "one in another case of its name",
            vec![format!("traceparent: {VALID}"), format!("Traceparent: {VALID}")],
        ),
        ("a valid one, an empty one", [one(VALID), one("")].concat()),
        ("an invalid one, a valid one", [one("00"), one(VALID)].concat()),
        ("another name", vec![format!("trace-parent: {VALID}")]),
    ] {
        fields.extend(lines(&[("tracestate", "foo=1"), ("baggage", BAGGAGE)]));
        let arrived = way.send(&fields).await;
        let (trace, span, flags) = arrived.trace();
        assert!(traces.insert(trace.to_owned()), "{why}: {trace}");
        assert_ne!(span, SPAN, "{why}");
        // All of a trace that begins here is random.
        assert_eq!(flags, "03", "{why}");
        assert_eq!(arrived.all("tracestate"), Vec::<&str>::new(), "{why}");
        assert_eq!(arrived.one("baggage"), BAGGAGE, "{why}");
    }
}

#[tokio::test]
async fn tracestate_goes_on_whole_in_one_field_or_not_at_all_and_never_harms_the_trace() {
    let mut way = Way::with(|config| config.traces("")).await;
    let members = |range: std::ops::RangeInclusive<u8>| {
        range.map(|number| format!("k{number}={number}")).collect::<Vec<_>>().join(",")
    };
    let long = |length| "z".repeat(length);
    let full = members(1..=32);
    let key = format!("foo=1,{}=1", long(256));
    let tenant = format!("{}@{}=1", long(241), long(14));
    let value = format!("foo={},bar={}", long(256), long(256));
    for (fields, expected) in [
        (vec!["foo=1"], Some("foo=1")),
        (vec!["foo=1 \t , \t bar= 2"], Some("foo=1 \t , \t bar= 2")),
        (vec!["\t foo=1 \t"], Some("foo=1")),
        (vec!["foo=1,bar=2", "", "baz=3,"], Some("foo=1,bar=2,baz=3")),
        (vec![&members(1..=16), &members(17..=32)], Some(&full)),
        (vec![&key], Some(&key)),
        (vec![&tenant], Some(&tenant)),
        (vec![&value], Some(&value)),
        (vec![""], None),
        (vec![",", " , "], None),
        (vec![&members(1..=33)], None),
        (vec![&full, "foo=1"], None),
        (vec![&format!("{}=1", long(257))], None),
        (vec![&format!("{}@a=1", long(242))], None),
        (vec![&format!("a@{}=1", long(15))], None),
        (vec![&format!("foo={}", long(257))], None),
        (vec!["foo=1,foo=2"], None),
        (vec!["foo=1", "bar=2", "foo=3"], None),
        (vec!["foo=1,Bar=2"], None),
        (vec!["foo=1,bar"], None),
        (vec!["foo=1,bar="], None),
        (vec!["foo=1,bar=b=z"], None),
        (vec!["foo=1", "b\u{e9}r=2"], None),
        (vec!["foo=1", "bar=\u{e9}"], None),
    ] {
        let state = fields.iter().map(|value| ("tracestate", *value));
        let state = state.chain([("traceparent", VALID)]).collect::<Vec<_>>();
        let arrived = way.send(&lines(&state)).await;
        assert_eq!(arrived.trace().0, TRACE, "{fields:?}");
        assert_eq!(arrived.all("tracestate"), expected.as_slice(), "{fields:?}");
    }
}

/// O1: what the next one is told is what was decided here, or its spans have no parent.
#[tokio::test]
async fn the_flag_that_is_sent_is_the_decision_that_was_made() {
    let unsampled = format!("{}0", &VALID[..54]);
    for (keys, expected) in [
        // A caller that samples, a caller that does not, none.
        ("sample: 100%", ["01", "00", "03"]),
        ("sample: 0%", ["01", "00", "02"]),
        ("sample: 100%, parents: Ignore", ["01", "01", "03"]),
        ("sample: 0%, parents: Ignore", ["00", "00", "02"]),
    ] {
        let mut way = Way::with(|config| config.traces(keys)).await;
        for (fields, flags) in
            [lines(&[("traceparent", VALID)]), lines(&[("traceparent", &unsampled)]), vec![]]
                .into_iter()
                .zip(expected)
        {
            let arrived = way.send(&fields).await;
            let (trace, _, sent) = arrived.trace();
            assert_eq!((sent, trace == TRACE), (flags, !fields.is_empty()), "{keys} {fields:?}");
        }
    }
}

#[tokio::test]
async fn without_traces_everything_passes_as_it_came() {
    let fields = lines(&[
        ("traceparent", VALID),
        ("traceparent", "nonsense"),
        ("tracestate", "foo=1,foo=1"),
        ("tracestate", ""),
        ("b3", "what"),
        ("x-b3-traceid", "1"),
        ("x-b3-sampled", "maybe"),
        ("baggage", BAGGAGE),
    ]);
    for config in [|config: Config| config, |config: Config| config.traces("propagation: []")] {
        let mut way = Way::with(config).await;
        let arrived = way.send(&fields).await;
        let theirs = |line: &&str| {
            ["trace", "b3", "x-b3-", "baggage"].iter().any(|name| line.starts_with(name))
        };
        assert_eq!(arrived.0.split("\r\n").filter(theirs).collect::<Vec<_>>(), fields);
        let arrived = way.send(&[]).await;
        assert_eq!(arrived.0.split("\r\n").find(theirs), None);
    }
}

#[tokio::test]
async fn b3_goes_on_in_all_forms_that_are_on_and_those_that_are_off_pass() {
    let mut way =
        Way::with(|config| config.traces("sample: 50%, propagation: [B3, B3Multi]")).await;
    let multi = [("X-B3-TraceId", TRACE), ("X-B3-SpanId", SPAN), ("X-B3-ParentSpanId", SPAN)];
    let with = |more: &[(&str, &str)]| lines(&[&multi[..], more].concat());
    let (yes, no) = (Some("1"), Some("0"));
    for (fields, trace, sampled) in [
        (lines(&[("b3", &format!("{B3}-1"))]), Some(TRACE), yes),
        (lines(&[("B3", &format!("{}-0-{SPAN}", B3.to_uppercase()))]), Some(TRACE), no),
        (lines(&[("b3", &format!("{B3}-d"))]), Some(TRACE), yes),
        (lines(&[("b3", B3)]), Some(TRACE), None),
        (
            lines(&[("b3", &format!("{}-1", &B3[16..]))]),
            Some("00000000000000000123456789abcdef"),
            yes,
        ),
        (with(&[("X-B3-Sampled", "1")]), Some(TRACE), yes),
        (with(&[("X-B3-Sampled", "false")]), Some(TRACE), no),
        (with(&[("X-B3-Sampled", "0"), ("X-B3-Flags", "1")]), Some(TRACE), yes),
        (with(&[("b3", "0")]), None, no),
        (lines(&[("b3", "0")]), None, no),
        (lines(&[("b3", "1")]), None, yes),
        (lines(&[("X-B3-Sampled", "0")]), None, no),
        (lines(&[("b3", "what")]), None, None),
        (lines(&[("b3", B3), ("b3", B3)]), None, None),
        (lines(&[("X-B3-TraceId", TRACE), ("X-B3-Sampled", "0")]), None, None),
    ] {
        let theirs =
            lines(&[("traceparent", "nonsense"), ("tracestate", "FOO"), ("baggage", BAGGAGE)]);
        let arrived = way.send(&[fields.clone(), theirs].concat()).await;
        let (id, span) = (arrived.one("x-b3-traceid"), arrived.one("x-b3-spanid"));
        let decision = arrived.one("x-b3-sampled");
        assert_eq!((id.len(), span.len()), (32, 16), "{fields:?}");
        assert_eq!(arrived.one("b3"), format!("{id}-{span}-{decision}"), "{fields:?}");
        match trace {
            Some(trace) => assert_eq!(id, trace, "{fields:?}"),
            None => assert_ne!(id, TRACE, "{fields:?}"),
        }
        assert_ne!(span, SPAN, "{fields:?}");
        assert!(sampled.is_none_or(|sampled| decision == sampled), "{fields:?}");
        for name in ["x-b3-parentspanid", "x-b3-flags"] {
            assert_eq!(arrived.all(name), Vec::<&str>::new(), "{fields:?}");
        }
        let off = ["traceparent", "tracestate", "baggage"].map(|name| arrived.one(name));
        assert_eq!(off, ["nonsense", "FOO", BAGGAGE], "{fields:?}");
    }
}

#[tokio::test]
async fn what_is_valid_first_counts_and_goes_on_in_every_form() {
    let mut way =
        Way::with(|config| config.traces("propagation: [TraceContext, B3, B3Multi]")).await;
    let other = format!("{}-1", B3.replace('0', "1"));
    for (traceparent, trace, flags) in [
        (VALID, TRACE, "01"),
        // The trace of B3, of which nobody says that it is random.
        ("00-abc-1-01", &other[..32], "01"),
    ] {
        let fields = [("traceparent", traceparent), ("b3", &other), ("tracestate", "foo=1")];
        let arrived = way.send(&lines(&fields)).await;
        let (id, span, sent) = arrived.trace();
        assert_eq!((id, sent), (trace, flags));
        assert_eq!(arrived.one("b3"), format!("{id}-{span}-1"));
        assert_eq!(arrived.one("x-b3-traceid"), id);
        let state: &[&str] = if trace == TRACE { &["foo=1"] } else { &[] };
        assert_eq!(arrived.all("tracestate"), state);
    }
}

/// A client may say of any field that it concerns its connection only.
#[tokio::test]
async fn a_client_cannot_take_the_trace_away() {
    let mut way = Way::with(|config| config.traces("")).await;
    let fields = [
        ("connection", "traceparent, tracestate, keep-alive"),
        ("tracestate", "foo=1"),
        ("traceparent", VALID),
    ];
    way.send(&lines(&fields)).await.trace();
}

/// O1: tries are siblings.
#[tokio::test]
async fn every_try_has_a_span_of_its_own_in_the_same_trace() {
    let (broken, good) = (server().await, server().await);
    broken.script("/", [Step::ReadBody, Step::Close]);
    let proxy = Config::to(&[&broken, &good]).traces("").start();
    let request = format!("GET / HTTP/1.1\r\nHost: a\r\ntraceparent: {VALID}\r\n\r\n");
    assert_eq!(proxy.ask(&request).await.status, 200);
    if broken.counts().requests == 0 {
        assert_eq!(proxy.ask(&request).await.status, 200);
    }
    let (first, second) = (Arrived::last(&broken), Arrived::last(&good));
    let ((one, span, _), (other, sibling, _)) = (first.trace(), second.trace());
    assert_eq!((one, other), (TRACE, TRACE));
    assert_ne!(span, sibling);
}

/// What arrives of a request over HTTP/2.
async fn over_http2(proxy: &Proxy, fields: &[(&str, &str)]) -> String {
    let socket = TcpStream::connect(proxy.address).await.unwrap();
    let (send, connection) = h2::client::handshake(socket).await.unwrap();
    let connection = tokio::spawn(connection);
    let mut request = Request::get("http://a.example/");
    for (name, value) in fields {
        request = request.header(*name, *value);
    }
    let mut send = send.ready().await.unwrap();
    let (response, _) = send.send_request(request.body(()).unwrap(), true).unwrap();
    let response = timeout(PATIENCE, response).await.unwrap().unwrap();
    assert_eq!(response.status(), 200, "{fields:?}");
    let mut body = response.into_body();
    let mut text = String::new();
    while let Some(data) = timeout(PATIENCE, body.data()).await.unwrap() {
        text.push_str(std::str::from_utf8(&data.unwrap()).unwrap());
    }
    connection.abort();
    text
}

#[tokio::test]
async fn the_same_holds_over_http2_on_both_sides() {
    let endpoint = Http2Endpoint::start(Manner::default(), |request, respond| async move {
        let line = |(name, value): (&http::HeaderName, &http::HeaderValue)| {
            format!("{name}: {}\r\n", value.to_str().unwrap())
        };
        answer(respond, request.headers().iter().map(line).collect::<String>()).await;
    })
    .await;
    let way = Way::with(|config| config.traces("")).await;
    let proxy = Config::to_urls(vec![endpoint.url()]).keys("protocol: H2c").traces("").start();
    let upper = VALID.to_uppercase();
    let later = format!("cc{}-what", &VALID[2..]);
    for (fields, trace, state) in [
        (vec![("traceparent", VALID), ("tracestate", "foo=1")], Some("01"), Some("foo=1")),
        (vec![("traceparent", &later)], Some("01"), None),
        (
            vec![("traceparent", VALID), ("tracestate", "foo=1"), ("tracestate", ",bar=2")],
            Some("01"),
            Some("foo=1,bar=2"),
        ),
        (vec![("traceparent", VALID), ("tracestate", "foo=1,foo=1")], Some("01"), None),
        (vec![("traceparent", VALID), ("traceparent", VALID), ("tracestate", "foo=1")], None, None),
        (vec![("traceparent", &upper), ("tracestate", "foo=1")], None, None),
        (vec![("tracestate", "foo=1")], None, None),
    ] {
        let fields = [&fields[..], &[("baggage", BAGGAGE)]].concat();
        over_http2(&way.proxy, &fields).await;
        let to_http1 = Arrived::last(&way.server);
        let to_http2 = Arrived(over_http2(&proxy, &fields).await);
        for arrived in [to_http1, to_http2] {
            let (id, span, flags) = arrived.trace();
            assert_eq!(
                (id == TRACE, flags),
                (trace.is_some(), trace.unwrap_or("03")),
                "{fields:?}"
            );
            assert_ne!(span, SPAN, "{fields:?}");
            assert_eq!(arrived.all("tracestate"), state.as_slice(), "{fields:?}");
            assert_eq!(arrived.one("baggage"), BAGGAGE, "{fields:?}");
        }
    }
}
