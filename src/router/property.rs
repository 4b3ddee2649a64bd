//! The router against the precedence written down naively: every match of every route is looked at, and the best taken.
//!
//! Nothing here is shared with what is tested: texts are cut, decoded and compared in other ways, and of each regular
//! expression there is a description by hand. Tests and `fuzz/` look for routes for which the two disagree.

mod generator;

use super::{Router, model};
use crate::backend::Backend;
use crate::config;
use crate::model::{HostPattern, Match, Model, PathMatch, ValueMatch};
use generator::{Generator, PATHS, VALUES};
pub use generator::{Request, exactly, with_header, with_query};
use std::cmp::Reverse;
use std::sync::Arc;

/// Tables that are made of `bytes`, each with a small change to the one before, route as the precedence says.
pub fn holds(bytes: &[u8]) {
    let mut generator = Generator::of(bytes);
    let mut tables = Tables::new();
    while !generator.is_exhausted() {
        tables.next(&mut generator);
    }
}

/// Tables after one another, as reloads bring them.
struct Tables {
    model: Model,
    backends: Vec<Arc<Backend>>,
    previous: Option<Router>,
    seen: Seen,
}

/// What there was: a comparison of nothing would hold, too.
#[derive(Default)]
struct Seen {
    tables: usize,
    /// Requests that a route took.
    found: usize,
    /// Requests that several matches fit.
    contested: usize,
    /// Tables of a listener that a reload did not change.
    kept: usize,
}

impl Tables {
    fn new() -> Self {
        let model = model(Vec::new());
        let backends = backends(&model);
        Self { model, backends, previous: None, seen: Seen::default() }
    }

    fn next(&mut self, generator: &mut Generator<'_>) {
        generator.next(&mut self.model.routes);
        let router = Router::compile(&self.model, &self.backends, self.previous.as_ref(), 1);
        for _ in 0..2 {
            let request = generator.request();
            let listener = generator.one(&["http", "other"]);
            self.compare(&router, listener, &request);
        }
        let same =
            |previous: &Router| Arc::ptr_eq(&previous.tables["http"], &router.tables["http"]);
        self.seen.kept += usize::from(self.previous.as_ref().is_some_and(same));
        self.seen.tables += 1;
        self.previous = Some(router);
    }

    fn compare(&mut self, router: &Router, listener: &str, request: &Request) {
        let routes = &self.model.routes;
        let expected = reference(routes, listener, request);
        let explained = router.explain(listener, &request.asked());
        let winner = explained.winner.map(|winner| &explained.considered[winner.position]);
        let place = winner.map(|winner| {
            let own = |route| Arc::ptr_eq(route, winner.route);
            (router.routes.iter().position(own).unwrap(), winner.at)
        });
        let context = || {
            let route = |(position, at): (usize, usize)| {
                let route = &routes[position];
                format!("{:?} {:?}", route.hosts, route.matches[at])
            };
            let (place, expected) = (place.map(route), expected.map(route));
            let table = self.seen.tables;
            format!("table {table}: {request:?}: {place:#?} instead of {expected:#?}")
        };
        assert_eq!(place, expected, "{}", context());
        let route = router.find(listener, &request.asked()).map(|found| found.route);
        let same = route.zip(winner).is_some_and(|(a, b)| Arc::ptr_eq(a, b.route));
        assert_eq!(same, expected.is_some(), "{}", context());
        // The ranks that are shown agree with what was found by other means.
        let ranks = explained.considered.iter().filter_map(|one| one.verdict.as_ref().ok());
        let best = ranks.clone().max();
        assert_eq!(winner.map(|one| one.verdict.as_ref().unwrap()), best, "{}", context());
        let contested = ranks.count() > 1;
        self.seen.found += usize::from(expected.is_some());
        self.seen.contested += usize::from(contested);
    }
}

/// A model with the listeners `http` and `other` and the backends `a` and `b`.
pub fn model(routes: Vec<model::Route>) -> Model {
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

/// Its backends.
pub fn backends(model: &Model) -> Vec<Arc<Backend>> {
    model.backends.iter().map(|backend| Backend::compile(backend, None, 1).unwrap()).collect()
}

/// The positions of the route and the match that take the request.
fn reference(routes: &[model::Route], listener: &str, request: &Request) -> Option<(usize, usize)> {
    let mut fitting = Vec::new();
    for (position, route) in routes.iter().enumerate() {
        let names: Vec<&str> = route.listeners.iter().map(|name| &**name).collect();
        if !names.is_empty() && !names.contains(&listener) {
            continue;
        }
        // No host: 0. A wildcard: 1 and its length. An exact one: 2.
        let host = match route.hosts.is_empty() {
            true => Some((0, 0)),
            false => route.hosts.iter().filter_map(|own| host_score(own, &request.host)).max(),
        };
        for (at, wanted) in route.matches.iter().enumerate() {
            let scores = host.zip(path_score(&wanted.path, &request.path));
            if let Some((host, path)) = scores.filter(|_| everything_else_fits(wanted, request)) {
                let method = usize::from(wanted.method.is_some());
                let counts = (method, wanted.headers.len(), wanted.query.len());
                fitting.push((host, path, counts, Reverse((position, at))));
            }
        }
    }
    fitting.into_iter().max().map(|(_, _, _, Reverse(place))| place)
}

fn host_score(own: &HostPattern, asked: &str) -> Option<(usize, usize)> {
    let mut asked = asked.to_lowercase();
    asked = match asked.split_once(']') {
        Some((address, _port)) => format!("{address}]"),
        None => asked.split(':').next().unwrap().to_owned(),
    };
    if asked.ends_with('.') {
        asked.pop();
    }
    match own {
        HostPattern::Exact(name) => (asked == **name).then_some((2, 0)),
        HostPattern::Wildcard(suffix) => {
            let domain: Vec<_> = suffix[1..].split('.').collect();
            let labels: Vec<_> = asked.split('.').collect();
            let front = labels.strip_suffix(domain.as_slice())?;
            (!front.concat().is_empty() || front.len() > 1).then_some((1, suffix.len()))
        }
    }
}

fn path_score(wanted: &PathMatch, path: &str) -> Option<(usize, usize)> {
    match wanted {
        PathMatch::Exact(text) => (path == &**text).then_some((2, 0)),
        PathMatch::Regex(regex) => {
            let (text, describes) = PATHS.iter().find(|(text, _)| *text == regex.as_str()).unwrap();
            describes(path).then_some((1, text.len()))
        }
        PathMatch::Prefix(prefix) => {
            let below = format!("{}/", prefix.trim_end_matches('/'));
            (format!("{path}/").starts_with(&below)).then_some((0, prefix.len()))
        }
    }
}

fn everything_else_fits(wanted: &Match, request: &Request) -> bool {
    let method = wanted.method.as_ref().is_none_or(|method| *method == request.method);
    let headers = wanted.headers.iter().all(|wanted| {
        let values: Vec<_> = request
            .headers
            .iter()
            .filter(|(name, _)| **name == wanted.name)
            .map(|(_, value)| value.to_str().unwrap())
            .collect();
        value_fits(&wanted.value, (!values.is_empty()).then(|| values.join(", ")))
    });
    let query = wanted.query.iter().all(|wanted| {
        let query = request.query.clone().unwrap_or_default();
        let mut parts = query.split('&').filter(|part| !part.is_empty());
        let value = parts.find_map(|part| {
            let (name, value) = part.split_at(part.find('=').unwrap_or(part.len()));
            (decode(name) == *wanted.name).then(|| decode(value.trim_start_matches('=')))
        });
        value_fits(&wanted.value, value)
    });
    method && headers && query
}

fn value_fits(wanted: &ValueMatch, value: Option<String>) -> bool {
    match wanted {
        ValueMatch::Exact(text) => value.as_deref() == Some(text),
        ValueMatch::Present => value.is_some(),
        ValueMatch::Absent => value.is_none(),
        ValueMatch::Regex(regex) => {
            let (_, describes) = VALUES.iter().find(|(text, _)| *text == regex.as_str()).unwrap();
            value.is_some_and(|value| describes(&value))
        }
    }
}

/// The few escapes that the generator writes.
fn decode(text: &str) -> String {
    text.to_lowercase()
        .replace("%c3%a9", "é")
        .replace("%71", "q")
        .replace("%31", "1")
        .replace("%20", " ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ten_thousand_tables_route_as_the_precedence_says() {
        let mut generator = Generator::of(&[]);
        let mut tables = Tables::new();
        for _ in 0..10_000 {
            tables.next(&mut generator);
        }
        let Seen { found, contested, kept, .. } = tables.seen;
        // Else the test would not test what it is for.
        assert!(found > 6_000 && contested > 1_500 && kept > 1_000, "{found} {contested} {kept}");
    }
}
