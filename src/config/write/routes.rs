//! Routes as they stand in a file.

use super::yaml::Yaml;
use super::{bytes, conditions, limit, statuses};
use crate::model::{
    Answer, BackendRef, Filters, HeaderChanges, Match, Overrides, PathMatch, PathRewrite, Route,
    Scheme, ValueMatch,
};
use http::{HeaderName, HeaderValue};

pub(super) fn route(route: &Route) -> Yaml {
    let some = |yaml: Yaml| match &yaml {
        Yaml::List(items) if items.is_empty() => None,
        _ => Some(yaml),
    };
    let Overrides {
        request_timeout,
        attempt_timeout,
        retry_attempts,
        retry_conditions,
        retry_statuses,
        max_body_bytes,
    } = &route.overrides;
    Yaml::map([
        ("name", Some(Yaml::text(&route.name))),
        ("listeners", some(Yaml::list(&route.listeners, Yaml::text))),
        ("hosts", some(Yaml::list(&route.hosts, Yaml::text))),
        ("matches", Some(Yaml::list(&route.matches, one_match))),
        ("filters", some(Yaml::List(filters(&route.filters)))),
        (
            "timeouts",
            Some(Yaml::map([
                ("request", request_timeout.map(limit)),
                ("attempt", attempt_timeout.map(limit)),
            ])),
        ),
        (
            "retry",
            Some(Yaml::map([
                ("attempts", retry_attempts.map(Yaml::word)),
                ("conditions", retry_conditions.map(conditions)),
                ("statuses", retry_statuses.as_ref().map(|list| statuses(list))),
            ])),
        ),
        ("maxBodyBytes", max_body_bytes.map(bytes)),
        ("backends", some(Yaml::list(&route.backends, backend))),
    ])
}

fn backend(reference: &BackendRef) -> Yaml {
    Yaml::map([
        ("name", Some(Yaml::text(&reference.name))),
        ("weight", Some(Yaml::word(reference.weight))),
    ])
}

fn one_match(one: &Match) -> Yaml {
    let (kind, path) = match &one.path {
        PathMatch::Exact(path) => ("exact", &**path),
        PathMatch::Prefix(path) => ("prefix", &**path),
        PathMatch::Regex(regex) => ("regex", regex.as_str()),
    };
    let headers = Yaml::list(&one.headers, |header| named(&header.name.as_str(), &header.value));
    let query = Yaml::list(&one.query, |parameter| named(&parameter.name, &parameter.value));
    Yaml::map([
        ("path", Some(Yaml::map([(kind, Some(Yaml::text(path)))]))),
        ("method", one.method.as_ref().map(Yaml::text)),
        ("headers", Some(headers)),
        ("query", Some(query)),
    ])
}

fn named(name: &dyn std::fmt::Display, value: &ValueMatch) -> Yaml {
    let (kind, value) = match value {
        ValueMatch::Exact(text) => ("exact", Yaml::text(text)),
        ValueMatch::Regex(regex) => ("regex", Yaml::text(regex.as_str())),
        ValueMatch::Present => ("present", Yaml::word(true)),
        ValueMatch::Absent => ("present", Yaml::word(false)),
    };
    Yaml::map([("name", Some(Yaml::text(name))), (kind, Some(value))])
}

/// One item for each kind of filter.
fn filters(filters: &Filters) -> Vec<Yaml> {
    let Filters { request_headers, response_headers, rewrite, answer } = filters;
    let mut items = Vec::new();
    let mut item = |kind, value| items.push(Yaml::Map(vec![(kind, value)]));
    if !request_headers.is_empty() {
        item("requestHeaders", header_changes(request_headers));
    }
    if !response_headers.is_empty() {
        item("responseHeaders", header_changes(response_headers));
    }
    if rewrite.host.is_some() || rewrite.path.is_some() {
        let host = rewrite.host.as_ref().map(value);
        let path = rewrite.path.as_ref().map(path_rewrite);
        item("rewrite", Yaml::map([("host", host), ("path", path)]));
    }
    match answer {
        Some(Answer::Redirect(redirect)) => {
            let scheme = redirect.scheme.map(|scheme| match scheme {
                Scheme::Http => Yaml::word("Http"),
                Scheme::Https => Yaml::word("Https"),
            });
            let redirect = Yaml::map([
                ("scheme", scheme),
                ("host", redirect.host.as_ref().map(Yaml::text)),
                ("port", redirect.port.map(Yaml::word)),
                ("path", redirect.path.as_ref().map(path_rewrite)),
                ("status", Some(Yaml::word(redirect.status))),
            ]);
            item("redirect", redirect);
        }
        Some(Answer::Fixed(fixed)) => {
            let respond = Yaml::map([
                ("status", Some(Yaml::word(fixed.status))),
                ("body", Some(Yaml::text(&fixed.body))),
                ("contentType", Some(value(&fixed.content_type))),
            ]);
            item("respond", respond);
        }
        None => {}
    }
    items
}

fn header_changes(changes: &HeaderChanges) -> Yaml {
    let field = |(name, text): &(HeaderName, HeaderValue)| {
        Yaml::map([("name", Some(Yaml::text(name))), ("value", Some(value(text)))])
    };
    Yaml::map([
        ("remove", Some(Yaml::list(&changes.remove, Yaml::text))),
        ("set", Some(Yaml::list(&changes.set, field))),
        ("add", Some(Yaml::list(&changes.add, field))),
    ])
}

fn path_rewrite(path: &PathRewrite) -> Yaml {
    let (kind, path) = match path {
        PathRewrite::Full(path) => ("full", path),
        PathRewrite::Prefix(path) => ("prefix", path),
    };
    Yaml::map([(kind, Some(Yaml::text(path)))])
}

/// The value of a header field. The model's are made from text.
pub(super) fn value(value: &HeaderValue) -> Yaml {
    Yaml::text(String::from_utf8_lossy(value.as_bytes()))
}
