//! An explanation for people.

use super::{Case, decided};
use crate::model::words::{bytes, columns, limit, share, statuses};
use crate::model::{
    Answer, EndpointSource, HashKey, HeaderMatch, HostPattern, Match, QueryMatch, Retry,
};
use crate::router::{Considered, Mismatch, Route, Target, parameter};

/// Of more matches than this that do not take the request, the nearest are told.
const OTHERS: usize = 20;

/// A longer body of a fixed response is cut.
const BODY: usize = 200;

/// What is told of `case`.
pub(super) fn tell(case: &Case<'_>) -> String {
    let request = case.request;
    let mut text = format!("{} {}\n\n", request.method, request.url);
    let mut facts: Vec<Vec<String>> = Vec::new();
    let mut fact = |name: &str, value: String| facts.push(vec![name.to_owned(), value]);
    let listener = case.listener;
    fact(
        "listener",
        match case.assumed {
            true => format!(
                "{} on {}, the only one (the URL's port is {})",
                listener.name,
                listener.address,
                request.port()
            ),
            false => format!("{} on {}", listener.name, listener.address),
        },
    );
    if let Some(explanation) = &case.explanation {
        fact("host", explanation.host.clone());
    }
    if let Ok(path) = &request.path {
        fact(
            "path",
            match path.sent() == request.url.path() {
                true => path.sent().to_owned(),
                false => format!("{}, the normal form of {}", path.sent(), request.url.path()),
            },
        );
        if path.compared() != path.sent() {
            fact("compared as", path.compared().to_owned());
        }
    }
    if let Some(client) = case.client() {
        fact("client", client.to_string());
    }
    let Some(won) = case.won() else {
        let refusal = case.refusal();
        fact("answer", format!("{}: {refusal}", refusal.verdict().status));
        text.push_str(&columns("", &facts));
        text.push_str(&others(case));
        return text;
    };
    let route = &won.route.model;
    fact("route", route.name.to_string());
    fact("match", format!("{} (matches[{}])", won.wanted(), won.at));
    fact("because", because(case));
    for filter in route.filters.phrases() {
        fact("filter", filter);
    }
    match &route.filters.answer {
        Some(Answer::Redirect(redirect)) => fact(
            "answer",
            match case.location(redirect) {
                Ok(location) => format!("{}, Location: {location}", redirect.status),
                Err(error) => format!("{}: {error}", error.verdict().status),
            },
        ),
        Some(Answer::Fixed(response)) => {
            fact("answer", response.status.to_string());
            if !response.body.is_empty() {
                let body: String = response.body.chars().take(BODY).collect();
                let more = if body.len() < response.body.len() { "…" } else { "" };
                fact("body", format!("{body:?}{more}"));
            }
        }
        None => {
            let limit = route.overrides.max_body_bytes.unwrap_or(listener.limits.max_body_bytes);
            fact(
                "body",
                limit.map_or_else(
                    || "of any size".to_owned(),
                    |limit| format!("at most {}", bytes(limit)),
                ),
            );
            fact("sent as", sent_as(case, route));
        }
    }
    text.push_str(&columns("", &facts));
    text.push_str(&backends(case, won.route));
    text.push_str(&others(case));
    text
}

fn because(case: &Case<'_>) -> String {
    let Some(explanation) = &case.explanation else { return String::new() };
    let over = explanation.winner.and_then(|winner| winner.over);
    let rank = |at: usize| explanation.considered[at].verdict.as_ref().ok();
    let other = over.and_then(|(at, _)| Some((&explanation.considered[at], rank(at)?)));
    let own = explanation.winner.and_then(|winner| rank(winner.position));
    match (own, other) {
        (Some(own), Some((other, rank))) => {
            format!("it has {}; the next is {}", decided(own, rank), subject(other))
        }
        _ => "no other match fits".to_owned(),
    }
}

fn subject(considered: &Considered<'_>) -> String {
    format!("{} of route {}", considered.wanted(), considered.route.model.name)
}

fn sent_as(case: &Case<'_>, route: &crate::model::Route) -> String {
    let rewrite = &route.filters.rewrite;
    let host = rewrite.host.as_ref().unwrap_or(case.request.host());
    let host = String::from_utf8_lossy(host.as_bytes());
    format!("{} {}, Host: {host}", case.request.method, case.sent(rewrite))
}

fn backends(case: &Case<'_>, route: &Route) -> String {
    let total = route.targets.iter().map(|target| u64::from(target.weight)).sum();
    let mut text = String::new();
    for target in &route.targets {
        let model = target.backend.model();
        text.push_str(&format!(
            "\nbackend {}, {} of the requests\n",
            model.name,
            share(target.weight, total)
        ));
        let mut facts = vec![
            vec!["algorithm".to_owned(), algorithm(case, target)],
            vec!["decides".to_owned(), model.algorithm.how().to_owned()],
        ];
        if let Some(affinity) = &model.session_affinity {
            facts.push(vec!["affinity".to_owned(), affinity.to_string()]);
        }
        let timeouts = target.timeouts;
        let times = [
            ("connect", timeouts.connect),
            ("request", timeouts.request),
            ("attempt", timeouts.attempt),
        ];
        let times = times.map(|(name, time)| format!("{name} {}", limit(time)));
        facts.push(vec!["timeouts".to_owned(), times.join(", ")]);
        facts.push(vec!["retries".to_owned(), retries(&target.retry)]);
        if let EndpointSource::Service(service) = &model.source {
            facts.push(vec!["service".to_owned(), service.to_string()]);
        }
        let total = model.endpoints.iter().map(|endpoint| u64::from(endpoint.weight)).sum();
        for endpoint in &model.endpoints {
            let share = match endpoint.weight {
                0 => "weight 0, gets no requests".to_owned(),
                weight => format!("weight {weight}, {} of all weights", share(weight, total)),
            };
            facts.push(vec!["endpoint".to_owned(), format!("{} ({share})", endpoint.url)]);
        }
        text.push_str(&columns("  ", &facts));
    }
    text
}

fn algorithm(case: &Case<'_>, target: &Target) -> String {
    let model = target.backend.model();
    let Some(hashing) = &model.hashing else { return model.algorithm.to_string() };
    let key = match (case.has_key(hashing), &hashing.key) {
        (Some(true), _) => "",
        (Some(false), _) => "; this request has no such key, an endpoint is taken by chance",
        (None, HashKey::ClientAddress) => "; the client is named with --client-address",
        (None, _) => "",
    };
    format!("{} by {hashing}{key}", model.algorithm)
}

fn retries(retry: &Retry) -> String {
    if retry.attempts == 0 {
        return "none".to_owned();
    }
    let mut reasons = Vec::new();
    if retry.conditions.connect_failure || retry.conditions.reset {
        reasons.push(retry.conditions.to_string());
    }
    if !retry.statuses.is_empty() {
        reasons.push(format!("statuses {}", statuses(&retry.statuses)));
    }
    format!("up to {}, on {}", retry.attempts, reasons.join(", "))
}

/// The matches that do not take the request.
fn others(case: &Case<'_>) -> String {
    let others = case.others();
    if others.is_empty() {
        return String::new();
    }
    let rows: Vec<_> = others
        .iter()
        .take(OTHERS)
        .map(|other| {
            let route = &other.route.model;
            vec![route.name.to_string(), other.wanted().to_string(), why_not(case, other)]
        })
        .collect();
    let mut text = format!("\nnot taken by\n{}", columns("  ", &rows));
    if others.len() > OTHERS {
        text.push_str(&format!(
            "  and {} more (all of them with --format json)\n",
            others.len() - OTHERS
        ));
    }
    text
}

fn why_not(case: &Case<'_>, other: &Considered<'_>) -> String {
    match (&other.verdict, case.won().map(|won| &won.verdict)) {
        (Ok(rank), Some(Ok(own))) => format!("fits, but the one taken has {}", decided(own, rank)),
        (Ok(_), _) => "fits".to_owned(),
        (Err(mismatches), _) => {
            let words = mismatches.iter().map(|mismatch| mismatch_words(case, other, *mismatch));
            words.collect::<Vec<_>>().join("; ")
        }
    }
}

/// What is wanted and what the request has.
pub(super) fn mismatch_words(
    case: &Case<'_>,
    other: &Considered<'_>,
    mismatch: Mismatch<'_>,
) -> String {
    let Match { path, method, .. } = other.wanted();
    match mismatch {
        Mismatch::Host => {
            let hosts = other.route.model.hosts.iter().map(HostPattern::to_string);
            format!("host: only {}", hosts.collect::<Vec<_>>().join(", "))
        }
        Mismatch::Path => format!("path: only {}", path.as_typed()),
        Mismatch::Method => format!(
            "method: only {}",
            method.as_ref().map_or_else(String::new, ToString::to_string)
        ),
        Mismatch::Header(header) => {
            format!("header: {header}, the request has {}", has(header_value(case, header)))
        }
        Mismatch::Query(query) => {
            format!("query: {query}, the request has {}", has(query_value(case, query)))
        }
    }
}

fn has(value: Option<String>) -> String {
    value.map_or_else(|| "none".to_owned(), |value| format!("{value:?}"))
}

fn header_value(case: &Case<'_>, header: &HeaderMatch) -> Option<String> {
    let values = case.request.headers.get_all(&header.name).iter();
    let values: Vec<_> = values.map(|value| String::from_utf8_lossy(value.as_bytes())).collect();
    (!values.is_empty()).then(|| values.join(", "))
}

fn query_value(case: &Case<'_>, query: &QueryMatch) -> Option<String> {
    let value = parameter(case.request.query()?, &query.name)?;
    Some(String::from_utf8_lossy(&value).into_owned())
}
