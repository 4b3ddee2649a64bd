//! Routes: which requests they take, what they do to them, and where they go.

use super::backend::say_weight;
use super::phrases::{Fate, Names, Phrases};
use crate::model::words::{bytes, limit, list, statuses};
use crate::model::{
    Answer, BackendRef, Filters, FixedResponse, HeaderChanges, Model, Overrides, Redirect, Rewrite,
    Route,
};
use http::{HeaderName, HeaderValue};
use std::time::Duration;

pub(super) fn say(said: &mut Phrases, before: &Model, after: &Model) {
    let (old, new) = (without_default(before), without_default(after));
    match (old, new) {
        ([], []) => return,
        ([], _) => {
            said.say(format_args!(
                "routes decide, instead of everything to backend {}",
                list(only(before))
            ));
        }
        (_, []) => {
            said.say(format_args!(
                "no routes decide, everything goes to backend {}",
                list(only(after))
            ));
        }
        _ => {}
    }
    let order = ", of equal matches the earlier route wins";
    let names = Names { one: "route", many: "routes", order };
    said.list(
        &names,
        (old, new),
        |route| &*route.name,
        |said, fate| match fate {
            Fate::Added(route) => {
                said.say(format_args!("route {} added, {}", route.name, does(route)))
            }
            Fate::Removed(route) => said.say(format_args!("route {} removed", route.name)),
            Fate::Changed(before, after) => {
                said.of(format_args!("route {}", after.name), |said| {
                    say_route(said, before, after)
                });
            }
        },
    );
}

/// The routes that somebody wrote: not the one that is there because there is none.
fn without_default(model: &Model) -> &[Route] {
    match (&*model.routes, &*model.backends) {
        ([route], [only]) if *route == Route::to_one_backend(only.name.clone()) => &[],
        (routes, _) => routes,
    }
}

fn only(model: &Model) -> impl Iterator<Item = &str> {
    model.backends.iter().map(|backend| &*backend.name)
}

/// What it does with a request.
fn does(route: &Route) -> String {
    let backend = |backend: &BackendRef| match route.backends.len() {
        1 => backend.name.to_string(),
        _ => format!("{} (weight {})", backend.name, backend.weight),
    };
    match &route.filters.answer {
        Some(Answer::Redirect(redirect)) => format!("redirects with {}", redirect.status),
        Some(Answer::Fixed(response)) => format!("responds with {}", response.status),
        None => format!("to {}", list(route.backends.iter().map(backend))),
    }
}

fn say_route(said: &mut Phrases, before: &Route, after: &Route) {
    let Route { name: _, listeners, hosts, matches, filters, overrides, backends } = before;
    let names = Names { one: "listener", many: "listeners", order: "" };
    said.set(&names, listeners, &after.listeners, ToString::to_string, "all");
    let names = Names { one: "host", many: "hosts", order: "" };
    said.set(&names, hosts, &after.hosts, ToString::to_string, "all");
    let names = Names { one: "match", many: "matches", order: "" };
    said.set(&names, matches, &after.matches, ToString::to_string, "none");
    say_filters(said, filters, &after.filters);
    say_overrides(said, overrides, &after.overrides);
    say_backends(said, backends, &after.backends);
}

fn say_filters(said: &mut Phrases, before: &Filters, after: &Filters) {
    let Filters { request_headers, response_headers, rewrite, answer } = before;
    say_headers(said, "filters.requestHeaders", request_headers, &after.request_headers);
    say_headers(said, "filters.responseHeaders", response_headers, &after.response_headers);
    let Rewrite { host, path } = rewrite;
    let host_words = |host: &Option<HeaderValue>| match host {
        Some(host) => String::from_utf8_lossy(host.as_bytes()).into_owned(),
        None => "none".to_owned(),
    };
    said.change("filters.rewrite.host", host, &after.rewrite.host, host_words);
    said.change("filters.rewrite.path", path, &after.rewrite.path, |path| {
        path.as_ref().map_or_else(|| "none".to_owned(), ToString::to_string)
    });
    match (answer, &after.answer) {
        (Some(Answer::Redirect(before)), Some(Answer::Redirect(after))) => {
            said.change("filters", before, after, Redirect::to_string);
        }
        (Some(Answer::Fixed(before)), Some(Answer::Fixed(after))) => {
            say_response(said, before, after);
        }
        (before, after) => said.change("filters", before, after, |answer| {
            answer.as_ref().map_or_else(|| "no answer of our own".to_owned(), ToString::to_string)
        }),
    }
}

/// Names only: a value may be a secret.
fn say_headers(said: &mut Phrases, key: &str, before: &HeaderChanges, after: &HeaderChanges) {
    let HeaderChanges { remove, set, add } = before;
    let names = |what: &str| (format!("{key}.{what}"), format!("{key}.{what}"));
    let (one, many) = names("remove");
    let name = |name: &HeaderName| name.to_string();
    said.set(&Names { one: &one, many: &many, order: "" }, remove, &after.remove, name, "none");
    let name = |(name, _): &(HeaderName, HeaderValue)| name.to_string();
    let (one, many) = names("set");
    said.set(&Names { one: &one, many: &many, order: "" }, set, &after.set, name, "none");
    let (one, many) = names("add");
    said.set(&Names { one: &one, many: &many, order: "" }, add, &after.add, name, "none");
}

fn say_response(said: &mut Phrases, before: &FixedResponse, after: &FixedResponse) {
    let FixedResponse { status, body, content_type } = before;
    said.change("filters.respond.status", status, &after.status, u16::to_string);
    said.change("filters.respond.body", body, &after.body, |body| {
        format!("of {} bytes", body.len())
    });
    said.change("filters.respond.contentType", content_type, &after.content_type, |value| {
        String::from_utf8_lossy(value.as_bytes()).into_owned()
    });
}

fn say_overrides(said: &mut Phrases, before: &Overrides, after: &Overrides) {
    let Overrides {
        request_timeout,
        attempt_timeout,
        retry_attempts,
        retry_conditions,
        retry_statuses,
        max_body_bytes,
    } = before;
    let backends = || "the backend's".to_owned();
    let time = |time: &Option<Option<Duration>>| time.map_or_else(backends, limit);
    said.change("timeouts.request", request_timeout, &after.request_timeout, time);
    said.change("timeouts.attempt", attempt_timeout, &after.attempt_timeout, time);
    said.change("retry.attempts", retry_attempts, &after.retry_attempts, |attempts| {
        attempts.map_or_else(backends, |attempts| attempts.to_string())
    });
    said.change("retry.conditions", retry_conditions, &after.retry_conditions, |conditions| {
        conditions.map_or_else(backends, |conditions| conditions.to_string())
    });
    said.change("retry.statuses", retry_statuses, &after.retry_statuses, |reasons| {
        reasons.as_ref().map_or_else(backends, |reasons| statuses(reasons))
    });
    said.change("maxBodyBytes", max_body_bytes, &after.max_body_bytes, |size| match size {
        Some(Some(size)) => bytes(*size),
        Some(None) => "none".to_owned(),
        None => "the listener's".to_owned(),
    });
}

fn say_backends(said: &mut Phrases, before: &[BackendRef], after: &[BackendRef]) {
    let names = Names { one: "backend", many: "backends", order: "" };
    said.list(
        &names,
        (before, after),
        |backend| &*backend.name,
        |said, fate| match fate {
            Fate::Added(BackendRef { name, weight }) => {
                said.say(format_args!("backend {name} added with weight {weight}"));
            }
            Fate::Removed(backend) => said.say(format_args!("backend {} removed", backend.name)),
            Fate::Changed(before, after) => {
                let BackendRef { name, weight } = before;
                said.of(format_args!("backend {name}"), |said| {
                    say_weight(said, *weight, after.weight)
                });
            }
        },
    );
}
