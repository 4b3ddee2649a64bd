//! What routing must do, rule by rule; `property` compares it with the precedence as one would write it down.

mod explained;
mod property;
mod reload;
mod rules;

use super::*;
use crate::config;
use crate::model::{
    BackendRef, HeaderMatch, HostPattern, Match, PathMatch, QueryMatch, Regex, ValueMatch,
};
use http::HeaderName;

const LISTENER: &str = "http";

/// A model with the listeners `http` and `other` and the backends `a` and `b`.
fn model(routes: Vec<model::Route>) -> Model {
    let text = "listeners: [{name: http, address: 127.0.0.1:0}, {name: other, address: 127.0.0.1:0}]\n\
                backends: [{name: a, algorithm: RoundRobin, endpoints: [http://127.0.0.1:1]}]\n";
    let mut model =
        config::load(text.as_bytes(), "test", &config::Surroundings::none()).unwrap().model;
    let mut second = model.backends[0].clone();
    second.name = Arc::from("b");
    model.backends.push(second);
    model.routes = routes;
    model
}

fn backends(model: &Model) -> Vec<Arc<Backend>> {
    model.backends.iter().map(|backend| Backend::compile(backend, None, 1).unwrap()).collect()
}

fn router(routes: Vec<model::Route>) -> Router {
    let model = model(routes);
    Router::compile(&model, &backends(&model), None)
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

fn with_header(mut wanted: Match, name: &'static str, value: ValueMatch) -> Match {
    wanted.headers.push(HeaderMatch { name: HeaderName::from_static(name), value });
    wanted
}

fn with_query(mut wanted: Match, name: &str, value: ValueMatch) -> Match {
    wanted.query.push(QueryMatch { name: Arc::from(name), value });
    wanted
}

fn exactly(text: &str) -> ValueMatch {
    ValueMatch::Exact(Arc::from(text))
}

/// A request.
#[derive(Clone, Debug)]
struct Request {
    host: String,
    path: String,
    query: Option<String>,
    method: Method,
    headers: HeaderMap,
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

    fn asked(&self) -> Asked<'_> {
        Asked {
            host: &self.host,
            path: &self.path,
            query: self.query.as_deref(),
            method: &self.method,
            headers: &self.headers,
        }
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
