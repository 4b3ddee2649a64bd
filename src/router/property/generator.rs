//! Routes and requests that often meet.

use super::super::model;
use crate::model::{HeaderMatch, HostPattern, Match, PathMatch, QueryMatch, Regex, ValueMatch};
use crate::router::Asked;
use fastrand::Rng;
use http::{HeaderMap, HeaderName, Method};
use std::sync::{Arc, LazyLock};

/// An expression, and the same in words.
pub type Described = (&'static str, fn(&str) -> bool);

/// Expressions for paths.
pub const PATHS: [Described; 5] = [
    ("/[ab]", |path| path == "/a" || path == "/b"),
    ("/a.*", |path| path.starts_with("/a")),
    ("/.*b", |path| path.starts_with('/') && path.len() > 1 && path.ends_with('b')),
    ("/a|/ab", |path| path == "/a" || path == "/ab"),
    (".*", |_| true),
];

/// Expressions for values.
pub const VALUES: [Described; 2] = [
    ("[0-9]", |value| value.len() == 1 && value.bytes().all(|byte| byte.is_ascii_digit())),
    ("1.*", |value| value.starts_with('1')),
];

/// The same, compiled once, for that is slow.
static COMPILED: LazyLock<[Vec<Regex>; 2]> = LazyLock::new(|| {
    fn compile(all: &[Described]) -> Vec<Regex> {
        all.iter().map(|(text, _)| Regex::new(text).unwrap()).collect()
    }
    [compile(&PATHS), compile(&VALUES)]
});

/// Makes routes and requests of bytes, each of which is a choice, and goes on by chance when there are no more.
pub struct Generator<'a> {
    bytes: &'a [u8],
    rng: Rng,
}

impl<'a> Generator<'a> {
    /// One whose choices are these.
    pub fn of(bytes: &'a [u8]) -> Self {
        Self { bytes, rng: Rng::with_seed(20_250_101) }
    }

    /// Whether only chance is left.
    pub fn is_exhausted(&self) -> bool {
        self.bytes.is_empty()
    }

    /// A number below `end`, which is at most 256.
    fn below(&mut self, end: usize) -> usize {
        match self.bytes.split_first() {
            Some((byte, rest)) => {
                self.bytes = rest;
                usize::from(*byte) % end
            }
            None => self.rng.usize(..end),
        }
    }

    /// One of these.
    pub fn one<T: Clone>(&mut self, of: &[T]) -> T {
        of[self.below(of.len())].clone()
    }

    fn some(&mut self, most: usize) -> std::ops::Range<usize> {
        0..self.below(most + 1)
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
        match self.below(5) {
            0 => HostPattern::Exact(Arc::from("[::1]")),
            1 | 2 => HostPattern::Exact(Arc::from(self.labels())),
            _ => HostPattern::Wildcard(Arc::from(format!(".{}", self.labels()))),
        }
    }

    fn value(&mut self) -> ValueMatch {
        match self.below(6) {
            0 => ValueMatch::Regex(self.one(&COMPILED[1])),
            1 => ValueMatch::Present,
            2 => ValueMatch::Absent,
            _ => exactly(self.one(&["1", "2", "1, 2", "", "é"])),
        }
    }

    fn wanted(&mut self) -> Match {
        let mut wanted = Match {
            path: match self.below(6) {
                0 => PathMatch::Regex(self.one(&COMPILED[0])),
                1 | 2 => PathMatch::Exact(Arc::from(self.segments())),
                _ => {
                    let prefix = self.segments();
                    let prefix = prefix.trim_end_matches('/');
                    PathMatch::Prefix(Arc::from(if prefix.is_empty() { "/" } else { prefix }))
                }
            },
            method: (self.below(2) == 0).then(|| self.one(&[Method::GET, Method::POST])),
            ..Match::default()
        };
        if self.below(3) == 0 {
            for _ in self.some(2) {
                let name = self.one(&["x-a", "x-b"]);
                wanted = with_header(wanted, name, self.value());
            }
        }
        if self.below(3) == 0 {
            for _ in self.some(2) {
                let name = self.one(&["q", "é"]);
                wanted = with_query(wanted, name, self.value());
            }
        }
        wanted
    }

    fn route(&mut self) -> model::Route {
        let listeners = match self.below(4) {
            0 => vec![self.one(&[Arc::from("http"), Arc::from("other")])],
            _ => Vec::new(),
        };
        let backend = self.one(&["a", "b"]);
        model::Route {
            name: Arc::from(format!("r{}", self.rng.u32(..))),
            listeners,
            hosts: self.some(2).map(|_| self.host_pattern()).collect(),
            matches: (0..=self.below(3)).map(|_| self.wanted()).collect(),
            ..model::Route::to_one_backend(Arc::from(backend))
        }
    }

    /// The routes of the next table: new ones, or those before with a small change, as a reload brings.
    pub fn next(&mut self, routes: &mut Vec<model::Route>) {
        if routes.is_empty() || self.below(4) == 0 {
            *routes = (0..=self.below(12)).map(|_| self.route()).collect();
            return;
        }
        let place = self.below(routes.len());
        match self.below(6) {
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

    /// A request that some of the routes may take.
    pub fn request(&mut self) -> Request {
        let mut host = match self.below(10) {
            0 => String::new(),
            1 => "[::1]".to_owned(),
            2 => format!(".{}", self.labels()),
            _ => self.labels(),
        };
        if self.below(4) == 0 {
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

/// A request.
#[derive(Clone, Debug)]
pub struct Request {
    /// Its host, with or without a port.
    pub host: String,
    /// Its path, as rules see it.
    pub path: String,
    /// Its query, without the `?`.
    pub query: Option<String>,
    /// Its method.
    pub method: Method,
    /// Its header fields.
    pub headers: HeaderMap,
}

impl Request {
    /// What the router is asked.
    pub fn asked(&self) -> Asked<'_> {
        Asked {
            host: &self.host,
            path: &self.path,
            query: self.query.as_deref(),
            method: &self.method,
            headers: &self.headers,
        }
    }
}

/// The same, wanting a field, too.
pub fn with_header(mut wanted: Match, name: &'static str, value: ValueMatch) -> Match {
    wanted.headers.push(HeaderMatch { name: HeaderName::from_static(name), value });
    wanted
}

/// The same, wanting a parameter, too.
pub fn with_query(mut wanted: Match, name: &str, value: ValueMatch) -> Match {
    wanted.query.push(QueryMatch { name: Arc::from(name), value });
    wanted
}

/// This value and no other.
pub fn exactly(text: &str) -> ValueMatch {
    ValueMatch::Exact(Arc::from(text))
}
