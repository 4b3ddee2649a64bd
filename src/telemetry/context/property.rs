//! What holds for all fields. Tests and `fuzz/` look for those for which it does not.
//!
//! What is valid is said here once more, as regular expressions.

use super::{
    B3, Form, Forms, Found, Parent, SpanId, TRACEPARENT, TRACESTATE, TraceId, X_B3_SAMPLED,
    X_B3_SPAN_ID, X_B3_TRACE_ID, is_ours, new_ids, read, tracestate, write,
};
use http::{HeaderMap, HeaderName, HeaderValue};
use regex::bytes::Regex;
use std::collections::HashSet;
use std::sync::LazyLock;

/// What goes on from the fields of a message, a line each, is valid and says what was said; if that was valid.
pub fn holds(message: &[u8]) {
    let headers = fields(message);
    for forms in all_forms() {
        let found = read(&headers, forms);
        match found {
            Found::Nothing | Found::Decision(_) => {}
            Found::Parent(parent) => goes_on(&headers, &parent, forms),
        }
        if forms.trace_context {
            let valid = valid(&headers, &TRACEPARENT, &PARENT);
            assert_eq!(
                matches!(found, Found::Parent(Parent { form: Form::TraceContext, .. })),
                valid,
                "{headers:?}"
            );
        } else if forms.b3 && !forms.b3_multi {
            assert_eq!(found != Found::Nothing, valid(&headers, &B3, &SINGLE), "{headers:?}");
        }
    }
}

/// What is written is read.
pub fn reads_back(trace: TraceId, span: SpanId, sampled: bool, random: bool) {
    for forms in all_forms() {
        let headers = written(forms, trace, span, sampled, random);
        let first = [
            (forms.trace_context, Form::TraceContext),
            (forms.b3, Form::B3),
            (forms.b3_multi, Form::B3Multi),
        ];
        let first = first.into_iter().find_map(|(on, form)| on.then_some(form));
        let expected = first.map_or(Found::Nothing, |form| {
            // Only there is a place for it.
            let random = random && form == Form::TraceContext;
            Found::Parent(Parent { trace, span, sampled: Some(sampled), random, form })
        });
        assert_eq!(read(&headers, forms), expected, "{headers:?}");
        assert!(headers.keys().all(|name| is_ours(name, forms)), "{headers:?}");
        let lengths = [
            (&TRACEPARENT, 55),
            (&B3, 51),
            (&X_B3_TRACE_ID, 32),
            (&X_B3_SPAN_ID, 16),
            (&X_B3_SAMPLED, 1),
        ];
        for (name, length) in lengths {
            assert!(headers.get(name).is_none_or(|value| value.len() == length), "{headers:?}");
        }
        // Nobody takes it for more than it is.
        assert!(headers.values().all(|value| WRITTEN.is_match(value.as_bytes())), "{headers:?}");
    }
}

/// The request as the endpoint gets it.
fn goes_on(headers: &HeaderMap, parent: &Parent, forms: Forms) {
    assert!(parent.trace.0 != 0 && parent.span.0 != 0, "{headers:?}");
    reads_back(parent.trace, parent.span, parent.sampled.unwrap_or(true), parent.random);
    let state = tracestate(headers, parent);
    if parent.form == Form::TraceContext {
        let members = headers.get_all(TRACESTATE).iter();
        let members = members.flat_map(|field| field.as_bytes().split(|byte| *byte == b','));
        let members = members.map(<[u8]>::trim_ascii).filter(|member| !member.is_empty());
        let members = members.collect::<Vec<_>>();
        let keys = members.iter().map(|member| member.split(|byte| *byte == b'=').next());
        let valid = (1..=32).contains(&members.len())
            && keys.collect::<HashSet<_>>().len() == members.len()
            && members.iter().all(|member| MEMBER.is_match(member));
        let passed = state.as_ref().map(|state| {
            state.as_bytes().split(|byte| *byte == b',').map(<[u8]>::trim_ascii).collect::<Vec<_>>()
        });
        assert_eq!(passed, valid.then_some(members), "{headers:?}");
    } else {
        assert_eq!(state, None, "{headers:?}");
    }
    let (_, span) = new_ids(&mut fastrand::Rng::with_seed(parent.span.0));
    let mut sent = written(forms, parent.trace, span, true, parent.random);
    if let Some(state) = state {
        sent.insert(TRACESTATE, state.clone());
        // The next one passes it on as it is.
        assert_eq!(tracestate(&sent, parent), Some(state));
    }
    match read(&sent, forms) {
        Found::Parent(next) => {
            assert_eq!((next.trace, next.span, next.sampled), (parent.trace, span, Some(true)));
        }
        other => panic!("{headers:?}: {other:?}"),
    }
}

/// What [`write`] writes.
fn written(forms: Forms, trace: TraceId, span: SpanId, sampled: bool, random: bool) -> HeaderMap {
    let mut headers = HeaderMap::new();
    write(forms, trace, span, sampled, random, |name, value| {
        headers.append(name, HeaderValue::from_bytes(value).expect("it is valid"));
    });
    headers
}

fn all_forms() -> impl Iterator<Item = Forms> {
    (0_u8..8).map(|bits| Forms {
        trace_context: bits & 1 != 0,
        b3: bits & 2 != 0,
        b3_multi: bits & 4 != 0,
    })
}

/// The fields of a message, but the lines that are none.
fn fields(message: &[u8]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for line in message.split(|byte| *byte == b'\n').take(100) {
        let mut parts = line.splitn(2, |byte| *byte == b':');
        let name = parts.next().map(HeaderName::from_bytes);
        let value = parts.next().map(HeaderValue::from_bytes);
        if let (Some(Ok(name)), Some(Ok(value))) = (name, value) {
            headers.append(name, value);
        }
    }
    headers
}

/// Whether the field is there once, and as it must be.
fn valid(headers: &HeaderMap, name: &HeaderName, form: &Regex) -> bool {
    let values = headers.get_all(name).iter().collect::<Vec<_>>();
    let [value] = values[..] else { return false };
    let Some(found) = form.captures(value.as_bytes().trim_ascii()) else { return false };
    let named = |name| found.name(name).map(|part| part.as_bytes());
    let is_zero = |id: &[u8]| id.iter().all(|digit| *digit == b'0');
    let version_fits = match named("version") {
        Some(b"00") => named("rest").is_none(),
        Some(b"ff") => false,
        Some(_) | None => true,
    };
    version_fits && ["trace", "span"].into_iter().filter_map(named).all(|id| !is_zero(id))
}

static PARENT: LazyLock<Regex> = LazyLock::new(|| {
    regex(concat!(
        r"^(?<version>[0-9a-f]{2})-(?<trace>[0-9a-f]{32})-(?<span>[0-9a-f]{16})-[0-9a-f]{2}",
        r"(?<rest>-.*)?$",
    ))
});

static SINGLE: LazyLock<Regex> = LazyLock::new(|| {
    regex(concat!(
        r"^(?:[01d]|(?<trace>[0-9A-Fa-f]{16}|[0-9A-Fa-f]{32})-(?<span>[0-9A-Fa-f]{16})",
        r"(?:-[01d])?(?:-[0-9A-Fa-f]{16})?)$",
    ))
});

static MEMBER: LazyLock<Regex> = LazyLock::new(|| {
    regex(concat!(
        r"^(?:[a-z0-9][a-z0-9_*/-]{0,255}|[a-z0-9][a-z0-9_*/-]{0,240}@[a-z0-9][a-z0-9_*/-]{0,13})",
        r"=[ -+\--<>-~]{0,255}[!-+\--<>-~]$",
    ))
});

static WRITTEN: LazyLock<Regex> = LazyLock::new(|| {
    regex(concat!(
        r"^(?:00-[0-9a-f]{32}-[0-9a-f]{16}-0[0-3]|[0-9a-f]{32}-[0-9a-f]{16}-[01]",
        r"|[0-9a-f]{32}|[0-9a-f]{16}|[01])$",
    ))
});

fn regex(text: &str) -> Regex {
    Regex::new(&format!("(?s-u){text}")).expect("it is valid")
}
