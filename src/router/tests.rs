//! What routing must do, rule by rule; `super::property` compares it with the precedence as one would write it down.

mod explained;
mod reload;
mod rules;

use super::property::{Request, backends, exactly, model, with_header, with_query};
use super::*;
use crate::model::{BackendRef, HostPattern, Match, PathMatch, Regex, ValueMatch};
use http::HeaderName;

const LISTENER: &str = "http";

fn router(routes: Vec<model::Route>) -> Router {
    let model = model(routes);
    Router::compile(&model, &backends(&model), None, 1)
}

/// A route to backend `a` for these hosts (all when there are none; `*.` makes a wildcard).
fn route(name: &str, hosts: &[&str], matches: Vec<Match>) -> model::Route {
    let host = |host: &&str| match host.strip_prefix('*') {
        Some(suffix) => HostPattern::Wildcard(Arc::from(suffix)),
        None => HostPattern::Exact(Arc::from(*host)),
    };
    model::Route {
        name: Arc::from(name),
        hosts: hosts.iter().map(host).collect(),
        matches,
        ..model::Route::to_one_backend(Arc::from("a"))
    }
}

/// `= /path`, `/prefix` or `~ expression`.
fn path(text: &str) -> Match {
    let path = match text.split_once(' ') {
        Some(("=", path)) => PathMatch::Exact(Arc::from(path)),
        Some(("~", regex)) => PathMatch::Regex(Regex::new(regex).unwrap()),
        _ => PathMatch::Prefix(Arc::from(text)),
    };
    Match { path, ..Match::default() }
}

fn with_method(wanted: Match, method: Method) -> Match {
    Match { method: Some(method), ..wanted }
}

impl Request {
    /// `GET` of `host/path?query`.
    fn get(url: &str) -> Self {
        let (url, query) = match url.split_once('?') {
            Some((url, query)) => (url, Some(query.to_owned())),
            None => (url, None),
        };
        let (host, path) = url.split_at(url.find('/').unwrap());
        Self {
            host: host.to_owned(),
            path: path.to_owned(),
            query,
            method: Method::GET,
            headers: HeaderMap::new(),
        }
    }

    fn header(mut self, name: &'static str, value: &str) -> Self {
        self.headers.append(HeaderName::from_static(name), value.parse().unwrap());
        self
    }
}

/// The name of the route that takes the request; empty when none does.
fn taker(router: &Router, request: &Request) -> String {
    let found = router.find(LISTENER, &request.asked());
    found.map_or_else(String::new, |found| found.route.model.name.to_string())
}

#[track_caller]
fn assert_taken(router: &Router, expected: &[(&str, &str)]) {
    for (url, name) in expected {
        assert_eq!(taker(router, &Request::get(url)), *name, "{url}");
    }
}
