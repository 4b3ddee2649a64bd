//! Tables of routes of any size, the file that says the same, and requests for them.
//!
//! Every tenth route begins a new group. Of four groups two have a host of their own, one a wildcard, and one stands on a host that
//! it shares with all others of its kind, under a prefix of its own. Within a group, routes differ in path, method and header fields.

use crate::Result;
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use outrigger::config;
use outrigger::model::{
    self, HeaderMatch, HostPattern, Match, Model, PathMatch, Regex, Route, ValueMatch,
};
use outrigger::router::Asked;
use std::fmt::Write as _;
use std::sync::Arc;

/// The listener of all tables.
pub(super) const LISTENER: &str = "http";

/// Routes of one group.
const GROUP: usize = 10;

/// The one thing that the routes of a group differ in besides the path: method, or header field and its value (any when `None`).
#[derive(Clone, Copy)]
enum More {
    Nothing,
    Method(&'static str),
    Header(&'static str, Option<&'static str>),
}

/// What is below the group's own prefix, whether exactly that, and what more is asked for.
const KINDS: [(&str, bool, More); GROUP] = [
    ("", false, More::Nothing),
    ("/api", false, More::Nothing),
    ("/api", false, More::Method("POST")),
    ("/api", false, More::Header("x-version", Some("2"))),
    ("/api/v1/users", false, More::Nothing),
    ("/api/v1/users", false, More::Method("DELETE")),
    ("/api/v1/orders", false, More::Header("x-admin", None)),
    ("/static/assets", false, More::Method("GET")),
    ("/health", true, More::Nothing),
    ("/cart", true, More::Header("x-version", Some("3"))),
];

/// A route before it becomes a model, a line of a file or a request.
pub(super) struct Spec {
    index: usize,
    host: String,
    path: String,
    exact: bool,
    more: More,
}

/// The first `count` routes.
pub(super) fn specs(count: usize) -> Vec<Spec> {
    let spec = |index: usize| {
        let (group, (below, exact, more)) = (index / GROUP, KINDS[index % GROUP]);
        let (host, prefix) = match group % 4 {
            0 | 2 => (format!("shop{group}.example.com"), String::new()),
            1 => (format!("*.shop{group}.example.com"), String::new()),
            _ => ("shared.example.com".to_owned(), format!("/team{group}")),
        };
        let path = format!("{prefix}{below}");
        let path = if path.is_empty() { "/".to_owned() } else { path };
        Spec { index, host, path, exact, more }
    };
    (0..count).map(spec).collect()
}

impl Spec {
    fn route(&self, backends: usize) -> Route {
        let path = Arc::from(&*self.path);
        let mut wanted = Match {
            path: if self.exact { PathMatch::Exact(path) } else { PathMatch::Prefix(path) },
            ..Match::default()
        };
        match self.more {
            More::Nothing => {}
            More::Method(method) => wanted.method = Some(method.parse().expect("a method")),
            More::Header(name, value) => wanted.headers.push(HeaderMatch {
                name: HeaderName::from_static(name),
                value: value
                    .map_or(ValueMatch::Present, |value| ValueMatch::Exact(Arc::from(value))),
            }),
        }
        let host = match self.host.strip_prefix('*') {
            Some(suffix) => HostPattern::Wildcard(Arc::from(suffix)),
            None => HostPattern::Exact(Arc::from(&*self.host)),
        };
        Route {
            name: Arc::from(self.name()),
            hosts: vec![host],
            matches: vec![wanted],
            ..Route::to_one_backend(Arc::from(self.backend(backends)))
        }
    }

    fn name(&self) -> String {
        format!("route-{}", self.index)
    }

    fn backend(&self, backends: usize) -> String {
        format!("backend-{}", self.index / GROUP % backends)
    }

    fn write(&self, out: &mut String, backends: usize) {
        let path = if self.exact { "exact" } else { "prefix" };
        let more = match self.more {
            More::Nothing => String::new(),
            More::Method(method) => format!("\n      method: {method}"),
            More::Header(name, None) => {
                format!("\n      headers: [{{ name: {name}, present: true }}]")
            }
            More::Header(name, Some(value)) => {
                format!("\n      headers: [{{ name: {name}, exact: \"{value}\" }}]")
            }
        };
        let _ = write!(
            out,
            "- name: {}\n  hosts: [\"{}\"]\n  matches:\n    - path: {{ {path}: {} }}{more}\n  \
             backends: [{{ name: {} }}]\n",
            self.name(),
            self.host,
            self.path,
            self.backend(backends),
        );
    }

    /// A request that this route takes. `number` makes it different from others.
    pub(super) fn request(&self, number: usize) -> Request {
        let host = match self.host.strip_prefix('*') {
            Some(suffix) => format!("tenant{number}{suffix}"),
            None => self.host.clone(),
        };
        let base = self.path.trim_end_matches('/');
        let path = if self.exact { self.path.clone() } else { format!("{base}/{number}/details") };
        let (mut method, mut kind) = (Method::GET, 0);
        match self.more {
            More::Nothing => {}
            More::Method(wanted) => method = wanted.parse().expect("a method"),
            More::Header("x-version", Some("2")) => kind = 1,
            More::Header("x-version", _) => kind = 2,
            More::Header(..) => kind = 3,
        }
        Request { host, path, method, headers: kind }
    }
}

/// How many backends go with so many routes.
pub(super) fn backends(routes: usize) -> usize {
    routes.div_ceil(GROUP)
}

/// The model of `specs`: a backend of two endpoints for every ten routes.
pub(super) fn model(specs: &[Spec]) -> Result<Model> {
    let backends = backends(specs.len());
    // Routes are not read here but made, so that what is measured without the file does not come from it.
    let mut model = load(&head(1))?;
    let first = model.backends.remove(0);
    let backend = |index: usize| model::Backend {
        name: Arc::from(format!("backend-{index}")),
        endpoints: first
            .endpoints
            .iter()
            .map(|endpoint| {
                let mut endpoint = endpoint.clone();
                endpoint.url.host = Arc::from(address(index));
                endpoint
            })
            .collect(),
        ..first.clone()
    };
    model.backends = (0..backends).map(backend).collect();
    model.routes = specs.iter().map(|spec| spec.route(backends)).collect();
    Ok(model)
}

/// A route for each of ten expressions, all on one host; the last describes `/v9/…`.
pub(super) fn expressions() -> Result<Model> {
    let mut model = model(&specs(GROUP))?;
    let route = |number: usize| -> Result<Route> {
        let regex = Regex::new(&format!("/v{number}/[a-z]+/[0-9]+(/.*)?"))?;
        Ok(Route {
            name: Arc::from(format!("expression-{number}")),
            matches: vec![Match { path: PathMatch::Regex(regex), ..Match::default() }],
            ..Route::to_one_backend(Arc::from("backend-0"))
        })
    };
    model.routes = (0..10).map(route).collect::<Result<_>>()?;
    Ok(model)
}

/// The file that says the same as [`model()`].
pub(super) fn file(specs: &[Spec]) -> String {
    let backends = backends(specs.len());
    let mut text = head(backends);
    text.push_str("routes:\n");
    for spec in specs {
        spec.write(&mut text, backends);
    }
    text
}

fn head(backends: usize) -> String {
    let mut text = format!(
        "admin: {{ address: \"\" }}\nlisteners:\n- name: {LISTENER}\n  address: 127.0.0.1:8080\nbackends:\n"
    );
    for index in 0..backends {
        let host = address(index);
        let _ = write!(
            text,
            "- name: backend-{index}\n  algorithm: LeastConnections\n  endpoints: [\"http://{host}:8081\", \"http://{host}:8082\"]\n"
        );
    }
    text
}

fn address(backend: usize) -> String {
    format!("10.1.{}.{}", backend / 250, backend % 250 + 1)
}

/// The model of a file.
///
/// # Errors
/// What is wrong with it.
pub(super) fn load(text: &str) -> Result<Model> {
    config::load(text.as_bytes(), "generated.yaml", &config::Surroundings::none())
        .map(|loaded| loaded.model)
        .map_err(|problems| problems.list()[0].to_string().into())
}

/// A request of the measurement.
pub(super) struct Request {
    host: String,
    path: String,
    method: Method,
    /// Which of [`headers`].
    headers: usize,
}

impl Request {
    /// One that no route takes.
    pub(super) fn stray(number: usize) -> Self {
        let host = format!("stray{number}.example.org");
        Self { host, path: "/".into(), method: Method::GET, headers: 0 }
    }

    /// `GET` of a path that the last of [`expressions`] describes.
    pub(super) fn described(number: usize) -> Self {
        Self { path: format!("/v9/items/{number}"), ..Self::stray(number) }
    }

    pub(super) fn asked<'a>(&'a self, headers: &'a [HeaderMap]) -> Asked<'a> {
        Asked {
            host: &self.host,
            path: &self.path,
            query: Some("page=2&sort=price"),
            method: &self.method,
            headers: &headers[self.headers],
        }
    }
}

/// A client's ordinary header fields, alone and with what some routes ask for.
pub(super) fn headers() -> Vec<HeaderMap> {
    let ordinary = [
        ("accept", "text/html,application/json;q=0.9"),
        ("accept-encoding", "gzip, br"),
        ("accept-language", "en"),
        ("cookie", "session=0123456789abcdef0123456789abcdef"),
        ("host", "shop.example.com"),
        ("user-agent", "Mozilla/5.0 (X11; Linux x86_64) Gecko/20100101"),
    ];
    let more = [None, Some(("x-version", "2")), Some(("x-version", "3")), Some(("x-admin", "1"))];
    let map = |more: Option<(&'static str, &'static str)>| {
        let fields = ordinary.into_iter().chain(more);
        let field =
            |(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value));
        fields.map(field).collect()
    };
    more.map(map).into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use outrigger::snapshot::Snapshot;

    #[test]
    fn each_request_is_taken_by_the_route_that_it_is_for() {
        let specs = specs(400);
        let model = Arc::new(model(&specs).unwrap());
        let snapshot = Snapshot::compile(model, String::new(), None, 1).unwrap();
        let headers = headers();
        for (index, spec) in specs.iter().enumerate() {
            let request = spec.request(index);
            let found = snapshot.router.find(LISTENER, &request.asked(&headers)).unwrap();
            assert_eq!(*found.route.model.name, *spec.name());
        }
        assert!(snapshot.router.find(LISTENER, &Request::stray(1).asked(&headers)).is_none());
    }
}
