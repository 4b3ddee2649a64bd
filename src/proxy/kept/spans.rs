//! A request as spans: one for the request, one for each attempt (OpenTelemetry's semantic conventions for HTTP spans, stable).

use super::{Kept, Target};
use crate::endpoint::name;
use crate::model::words::is_secret;
use crate::proxy::trace::Trace;
use crate::proxy::tries::{Named, Past};
use crate::telemetry::context::SpanId as Id;
use crate::telemetry::traces::Finished;
use http::{Method, StatusCode, Version};
use opentelemetry::trace::{
    Event, SpanContext, SpanId, SpanKind, Status, TraceFlags, TraceId, TraceState,
};
use opentelemetry::{Array, InstrumentationScope, KeyValue, StringValue, Value};
use opentelemetry_sdk::trace::{SpanData, SpanEvents, SpanLinks};
use opentelemetry_semantic_conventions::attribute as semantic;
use std::borrow::Cow;
use std::sync::{Arc, LazyLock};
use std::time::SystemTime;
use tokio::time::Instant;

/// Who says so.
static SCOPE: LazyLock<InstrumentationScope> = LazyLock::new(|| {
    InstrumentationScope::builder("outrigger").with_version(crate::VERSION).build()
});

/// The parameter of a query that holds a signature, of those that the semantic conventions name for `url.query`, whose name does
/// not sound like a secret.
const SIGNATURE: &str = "sig";

/// What the methods that the semantic conventions do not know are called.
const OTHER_METHOD: &str = "_OTHER";

impl Finished for Kept {
    fn count(&self) -> usize {
        1 + self.sent().count()
    }

    fn spans(&self, out: &mut Vec<SpanData>) {
        let Some(trace) = &self.trace else { return };
        let state = state(trace);
        out.push(self.server_span(trace, state.clone()));
        let sent = self.sent().enumerate();
        out.extend(sent.map(|(at, sent)| self.client_span(trace, at, sent, state.clone())));
    }
}

impl Kept {
    /// The tries that had an endpoint, each with it and its span.
    fn sent(&self) -> impl Iterator<Item = (&Past, &Named, Id)> {
        self.tries.iter().filter_map(|one| Some((one, one.endpoint.as_ref()?, one.span?)))
    }

    fn server_span(&self, trace: &Trace, state: TraceState) -> SpanData {
        let mut attributes = Vec::with_capacity(24);
        let mut say = |key: &'static str, value: Value| attributes.push(KeyValue::new(key, value));
        let method = self.target.as_ref().map(|target| &target.method);
        if let Some(Target { method, path, query }) = &self.target {
            say_method(method, &mut say);
            say(semantic::URL_PATH, text(path));
            if let Some(query) = query {
                say(semantic::URL_QUERY, text(&redacted(query)));
            }
        }
        say(semantic::URL_SCHEME, self.scheme.as_str().into());
        if let Some(host) = self.host.as_ref().and_then(|host| host.to_str().ok()) {
            let (host, port) = split(host);
            say(semantic::SERVER_ADDRESS, text(host));
            if let Some(port) = port {
                say(semantic::SERVER_PORT, port.into());
            }
        }
        say(semantic::CLIENT_ADDRESS, text(&self.client.to_string()));
        say(semantic::NETWORK_PEER_ADDRESS, text(&self.peer.ip().to_string()));
        say(semantic::NETWORK_PEER_PORT, i64::from(self.peer.port()).into());
        say(semantic::NETWORK_PROTOCOL_VERSION, version(trace.version).into());
        if let Some(agent) = trace.user_agent.as_ref().and_then(|agent| agent.to_str().ok()) {
            say(semantic::USER_AGENT_ORIGINAL, text(agent));
        }
        say(semantic::HTTP_RESPONSE_STATUS_CODE, i64::from(self.status).into());
        say("outrigger.request_id", text(&self.request_id));
        say("outrigger.listener", Arc::clone(&self.listener).into());
        say("outrigger.generation", (self.generation as i64).into());
        if let Some(route) = &self.route {
            say("outrigger.route", Arc::clone(route).into());
        }
        if let Some(backend) = &self.backend {
            say("outrigger.backend", Arc::clone(backend).into());
        }
        let reason = self.reason.filter(|_| self.why.error);
        let mut status = Status::Unset;
        if self.why.error {
            let described = self.detail.clone().map_or_else(Cow::default, Cow::Owned);
            status = Status::Error { description: described };
            say(
                semantic::ERROR_TYPE,
                reason.map_or_else(|| text(&self.status.to_string()), Value::from),
            );
        }
        if !trace.sampled {
            say("outrigger.sampled_late", true.into());
        }
        // A pick that found nobody had no attempt: it is told here.
        let nobody = self.tries.iter().filter(|one| one.endpoint.is_none());
        let events = nobody.filter_map(|one| self.pick_event(one)).collect();
        let name = match (method, &self.route) {
            (Some(method), Some(route)) => format!("{} {route}", short(method)).into(),
            (Some(method), None) => short(method).to_owned().into(),
            (None, _) => Cow::Borrowed("HTTP"),
        };
        SpanData {
            span_context: context(trace, trace.span, state),
            parent_span_id: trace.parent.map_or(SpanId::INVALID, id),
            parent_span_is_remote: trace.parent.is_some(),
            span_kind: SpanKind::Server,
            name,
            start_time: self.at,
            end_time: self.at + self.duration,
            attributes,
            dropped_attributes_count: 0,
            events: listed(events),
            links: SpanLinks::default(),
            status,
            instrumentation_scope: SCOPE.clone(),
        }
    }

    fn client_span(
        &self,
        trace: &Trace,
        at: usize,
        (one, endpoint, span): (&Past, &Named, Id),
        state: TraceState,
    ) -> SpanData {
        let mut attributes = Vec::with_capacity(12);
        let mut say = |key: &'static str, value: Value| attributes.push(KeyValue::new(key, value));
        let method = self.target.as_ref().map(|target| &target.method);
        if let Some(method) = method {
            say_method(method, &mut say);
        }
        say(semantic::SERVER_ADDRESS, Arc::clone(&endpoint.host).into());
        say(semantic::SERVER_PORT, i64::from(endpoint.port).into());
        say(semantic::URL_FULL, text(&self.url_at(endpoint)));
        say("outrigger.endpoint", text(name(&endpoint.label)));
        if at > 0 {
            say(semantic::HTTP_REQUEST_RESEND_COUNT, (at as i64).into());
        }
        if let Some(backend) = &self.backend {
            say("outrigger.backend", Arc::clone(backend).into());
        }
        if let Some(answered) = one.status {
            say(semantic::HTTP_RESPONSE_STATUS_CODE, i64::from(answered.as_u16()).into());
        }
        // The last try's answer streams on after its head.
        let is_last = self.tries.last().is_some_and(|last| std::ptr::eq(one, last));
        let cut = self.reason.filter(|_| is_last && one.status.is_some() && self.why.error);
        let is_refusal = |status: &StatusCode| status.is_client_error() || status.is_server_error();
        let status = match (&one.failure, cut, one.status.filter(is_refusal)) {
            (Some(failure), ..) => {
                say(semantic::ERROR_TYPE, failure.reason.into());
                Status::error(failure.detail.clone())
            }
            (None, Some(cut), _) => {
                say(semantic::ERROR_TYPE, cut.into());
                Status::error(self.detail.clone().unwrap_or_default())
            }
            (None, None, Some(refusal)) => {
                say(semantic::ERROR_TYPE, text(refusal.as_str()));
                Status::error("")
            }
            (None, None, None) => Status::Unset,
        };
        let ended = match one.headed {
            Some(headed) if !is_last || one.failure.is_some() => self.at(headed),
            Some(_) | None => self.at + self.duration,
        };
        SpanData {
            span_context: context(trace, span, state),
            parent_span_id: id(trace.span),
            parent_span_is_remote: false,
            span_kind: SpanKind::Client,
            name: method.map_or(Cow::Borrowed("HTTP"), |method| short(method).to_owned().into()),
            start_time: self.at(one.started),
            end_time: ended,
            attributes,
            dropped_attributes_count: 0,
            events: listed(self.pick_event(one).into_iter().collect()),
            links: SpanLinks::default(),
            status,
            instrumentation_scope: SCOPE.clone(),
        }
    }

    /// Why the endpoint of a try was picked; `None` if the one before was simply tried again.
    fn pick_event(&self, one: &Past) -> Option<Event> {
        let account = one.account.as_ref()?;
        let mut attributes = Vec::with_capacity(10);
        let mut say = |key: &'static str, value: Value| attributes.push(KeyValue::new(key, value));
        if let Some(algorithm) = self.algorithm {
            say("outrigger.algorithm", algorithm.into());
        }
        say("outrigger.generation", (self.generation as i64).into());
        if let Some(chosen) = &one.endpoint {
            say("outrigger.chosen", text(name(&chosen.label)));
        }
        say("outrigger.how", text(&account.how));
        let scores: Vec<_> =
            account.candidates.iter().filter_map(|one| one.score).map(f64::from).collect();
        if !scores.is_empty() {
            say("outrigger.scores", Value::Array(Array::F64(scores)));
        }
        let names = account.candidates.iter().map(|one| name(&one.label).to_owned().into());
        say("outrigger.candidates", Value::Array(Array::String(names.collect())));
        say("outrigger.candidate_count", (account.count as i64).into());
        let excluded: Vec<StringValue> = account
            .excluded
            .iter()
            .map(|(label, why)| format!("{}: {why}", name(label)).into())
            .collect();
        if !excluded.is_empty() {
            say("outrigger.excluded", Value::Array(Array::String(excluded)));
        }
        if account.panic {
            say("outrigger.panic", true.into());
        }
        Some(Event::new("outrigger.pick", self.at(one.started), attributes, 0))
    }

    /// A moment by the clock.
    fn at(&self, moment: Instant) -> SystemTime {
        self.at + moment.saturating_duration_since(self.started)
    }

    /// What was asked for at `endpoint`.
    fn url_at(&self, endpoint: &Named) -> String {
        let mut url = name(&endpoint.label).to_owned();
        if let Some(Target { path, query, .. }) = &self.target {
            url.push_str(self.rewritten.as_deref().unwrap_or(path));
            if let Some(query) = query {
                url.push('?');
                url.push_str(&redacted(query));
            }
        }
        url
    }
}

fn say_method(method: &Method, say: &mut impl FnMut(&'static str, Value)) {
    match known(method) {
        Some(method) => say(semantic::HTTP_REQUEST_METHOD, method.into()),
        None => {
            say(semantic::HTTP_REQUEST_METHOD, OTHER_METHOD.into());
            say(semantic::HTTP_REQUEST_METHOD_ORIGINAL, text(method.as_str()));
        }
    }
}

/// A method that the semantic conventions know (those of RFC 9110 and RFC 5789).
fn known(method: &Method) -> Option<&'static str> {
    Some(match *method {
        Method::GET => "GET",
        Method::POST => "POST",
        Method::PUT => "PUT",
        Method::DELETE => "DELETE",
        Method::HEAD => "HEAD",
        Method::OPTIONS => "OPTIONS",
        Method::PATCH => "PATCH",
        Method::CONNECT => "CONNECT",
        Method::TRACE => "TRACE",
        _ => return None,
    })
}

/// The method in a span's name; anybody can make one up, and names are few.
fn short(method: &Method) -> &'static str {
    known(method).unwrap_or("HTTP")
}

fn version(version: Version) -> &'static str {
    match version {
        Version::HTTP_2 => "2",
        Version::HTTP_10 => "1.0",
        _ => "1.1",
    }
}

fn text(text: &str) -> Value {
    Value::String(text.to_owned().into())
}

/// A host and its port. The address of IPv6 is without its brackets.
fn split(host: &str) -> (&str, Option<i64>) {
    let (name, port) = match host.rsplit_once(':') {
        Some((name, port)) if !port.contains(']') => (name, port.parse().ok()),
        Some(_) | None => (host, None),
    };
    (name.strip_prefix('[').and_then(|name| name.strip_suffix(']')).unwrap_or(name), port)
}

/// A query without the values that are known to be secrets.
fn redacted(query: &str) -> Cow<'_, str> {
    let is_secret = |pair: &&str| {
        pair.split_once('=').is_some_and(|(name, _)| name == SIGNATURE || is_secret(name))
    };
    if !query.split('&').any(|pair| is_secret(&pair)) {
        return query.into();
    }
    let pairs = query.split('&').map(|pair| match pair.split_once('=') {
        Some((name, _)) if is_secret(&pair) => Cow::Owned(format!("{name}=REDACTED")),
        Some(_) | None => Cow::Borrowed(pair),
    });
    pairs.collect::<Vec<_>>().join("&").into()
}

fn state(trace: &Trace) -> TraceState {
    let text = trace.state.as_ref().and_then(|state| state.to_str().ok());
    text.and_then(|text| text.parse().ok()).unwrap_or_default()
}

fn context(trace: &Trace, span: Id, state: TraceState) -> SpanContext {
    SpanContext::new(TraceId::from(trace.id.0), id(span), TraceFlags::SAMPLED, false, state)
}

fn id(span: Id) -> SpanId {
    SpanId::from(span.0)
}

fn listed(events: Vec<Event>) -> SpanEvents {
    let mut listed = SpanEvents::default();
    listed.events = events;
    listed
}
