//! The router against the precedence written down naively: every match of every route is looked at, and the best taken.
//!
//! Nothing here is shared with what is tested: texts are cut, decoded and compared in other ways, and of each regular
//! expression there is a description by hand.

use super::*;
use fastrand::Rng;
use std::cmp::Reverse;

/// An expression, and the same in words.
type Described = (&'static str, fn(&str) -> bool);

const PATHS: [Described; 5] = [
    ("/[ab]", |path| path == "/a" || path == "/b"),
    ("/a.*", |path| path.starts_with("/a")),
    ("/.*b", |path| path.starts_with('/') && path.len() > 1 && path.ends_with('b')),
    ("/a|/ab", |path| path == "/a" || path == "/ab"),
    (".*", |_| true),
];

const VALUES: [Described; 2] = [
    ("[0-9]", |value| value.len() == 1 && value.bytes().all(|byte| byte.is_ascii_digit())),
    ("1.*", |value| value.starts_with('1')),
];

/// What the generator needs more than once, since compiling expressions is slow.
struct Generator {
    rng: Rng,
    paths: Vec<Regex>,
    values: Vec<Regex>,
}

impl Generator {
    fn new(seed: u64) -> Self {
        let compile = |(text, _): &Described| Regex::new(text).unwrap();
        Self {
            rng: Rng::with_seed(seed),
            paths: PATHS.iter().map(compile).collect(),
            values: VALUES.iter().map(compile).collect(),
        }
    }

    fn one<T: Clone>(&mut self, of: &[T]) -> T {
        of[self.rng.usize(..of.len())].clone()
    }

    fn some(&mut self, most: usize) -> std::ops::Range<usize> {
        0..self.rng.usize(..=most)
    }

    fn labels(&mut self) -> String {
        let first = self.one(&["a", "b", "x"]);
        let labels = self.some(3).map(|_| self.one(&["a", "x", "b"])).collect::<Vec<_>>();
        labels.into_iter().fold(first.to_owned(), |host, label| format!("{host}.{label}"))
    }

    fn segments(&mut self) -> String {
        let segments: Vec<_> = self.some(4).map(|_| self.one(&["", "a", "b", "ab"])).collect();
        format!("/{}", segments.join("/"))
    }

    fn host_pattern(&mut self) -> HostPattern {
        match self.rng.u8(..5) {
            0 => HostPattern::Exact(Arc::from("[::1]")),
            1 | 2 => HostPattern::Exact(Arc::from(self.labels())),
            _ => HostPattern::Wildcard(Arc::from(format!(".{}", self.labels()))),
        }
    }

    fn value(&mut self) -> ValueMatch {
        match self.rng.u8(..6) {
            0 => ValueMatch::Regex(self.rng.choice(&self.values).unwrap().clone()),
            1 => ValueMatch::Present,
            2 => ValueMatch::Absent,
            _ => exactly(self.one(&["1", "2", "1, 2", "", "é"])),
        }
    }

    fn wanted(&mut self) -> Match {
        let mut wanted = Match {
            path: match self.rng.u8(..6) {
                0 => PathMatch::Regex(self.rng.choice(&self.paths).unwrap().clone()),
                1 | 2 => PathMatch::Exact(Arc::from(self.segments())),
                _ => {
                    let prefix = self.segments();
                    let prefix = prefix.trim_end_matches('/');
                    PathMatch::Prefix(Arc::from(if prefix.is_empty() { "/" } else { prefix }))
                }
            },
            method: self.rng.bool().then(|| self.one(&[Method::GET, Method::POST])),
            ..Match::default()
        };
        if self.rng.u8(..3) == 0 {
            for _ in self.some(2) {
                let name = self.one(&["x-a", "x-b"]);
                wanted = with_header(wanted, name, self.value());
            }
        }
        if self.rng.u8(..3) == 0 {
            for _ in self.some(2) {
                let name = self.one(&["q", "é"]);
                wanted = with_query(wanted, name, self.value());
            }
        }
        wanted
    }

    fn route(&mut self) -> model::Route {
        let listeners = match self.rng.u8(..4) {
            0 => vec![self.one(&[Arc::from("http"), Arc::from("other")])],
            _ => Vec::new(),
        };
        let backend = self.one(&["a", "b"]);
        model::Route {
            name: Arc::from(format!("r{}", self.rng.u32(..))),
            listeners,
            hosts: self.some(2).map(|_| self.host_pattern()).collect(),
            matches: (0..self.rng.usize(1..=3)).map(|_| self.wanted()).collect(),
            ..model::Route::to_one_backend(Arc::from(backend))
        }
    }

    /// The routes of the next table: new ones, or those before with a small change, as a reload brings.
    fn next(&mut self, routes: &mut Vec<model::Route>) {
        if routes.is_empty() || self.rng.u8(..4) == 0 {
            *routes = (0..self.rng.usize(1..=12)).map(|_| self.route()).collect();
            return;
        }
        let place = self.rng.usize(..routes.len());
        match self.rng.u8(..6) {
            0 => routes.insert(place, self.route()),
            1 if routes.len() > 1 => {
                routes.remove(place);
            }
            2 => routes[place].matches = vec![self.wanted()],
            3 => routes[place].hosts = vec![self.host_pattern()],
            4 => self.rng.shuffle(routes),
            _ => routes[place].backends[0].name = Arc::from(self.one(&["a", "b"])),
        }
    }

    fn request(&mut self) -> Request {
        let mut host = match self.rng.u8(..10) {
            0 => String::new(),
            1 => "[::1]".to_owned(),
            2 => format!(".{}", self.labels()),
            _ => self.labels(),
        };
        if self.rng.u8(..4) == 0 {
            host = host.to_ascii_uppercase();
        }
        host += match host.starts_with('[') {
            true => self.one(&["", ":80"]),
            false => self.one(&["", "", "", ".", ":80", ".:8080", ".."]),
        };
        let mut query = Vec::new();
        for _ in self.some(3) {
            let name = self.one(&["q", "%71", "é", "%C3%A9", "%c3%a9", "other", ""]);
            let value = self.one(&["", "=", "=1", "=%31", "=2", "=1,%202", "=%C3%A9", "=%zz"]);
            query.push(format!("{name}{value}"));
        }
        let mut headers = HeaderMap::new();
        for _ in self.some(3) {
            let name = self.one(&["x-a", "x-b"]);
            let value = self.one(&["1", "2", "", "1, 2"]);
            headers.append(HeaderName::from_static(name), value.parse().unwrap());
        }
        Request {
            host,
            path: self.segments(),
            query: (!query.is_empty()).then(|| query.join("&")),
            method: self.one(&[Method::GET, Method::POST, Method::PUT]),
            headers,
        }
    }
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

#[test]
fn ten_thousand_tables_route_as_the_precedence_says() {
    let mut generator = Generator::new(20_250_101);
    let mut routes = Vec::new();
    let mut model = model(Vec::new());
    let backends = backends(&model);
    let mut previous: Option<Router> = None;
    let (mut found, mut contested, mut kept) = (0, 0, 0);
    for table in 0..10_000 {
        generator.next(&mut routes);
        model.routes.clone_from(&routes);
        let router = Router::compile(&model, &backends, previous.as_ref());
        for _ in 0..2 {
            let request = generator.request();
            let listener = generator.one(&["http", "other"]);
            let expected = reference(&routes, listener, &request);
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
            found += usize::from(expected.is_some());
            contested += usize::from(ranks.count() > 1);
        }
        let same =
            |previous: &Router| Arc::ptr_eq(&previous.tables["http"], &router.tables["http"]);
        kept += usize::from(previous.as_ref().is_some_and(same));
        previous = Some(router);
    }
    // Else the test would not test what it is for.
    assert!(found > 6_000 && contested > 1_500 && kept > 1_000, "{found} {contested} {kept}");
}
