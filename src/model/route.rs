//! Which requests a route takes, what it does to them, and where they go.

use super::{Retry, RetryConditions, Timeouts};
use http::{HeaderName, HeaderValue, Method};
use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;
use std::time::Duration;

/// One route: the requests it takes and the backends that they go to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Route {
    /// Its name.
    pub name: Arc<str>,
    /// The names of the listeners whose requests it takes; all when empty.
    pub listeners: Vec<Arc<str>>,
    /// The hosts whose requests it takes; all when empty.
    pub hosts: Vec<HostPattern>,
    /// A request is taken when one of these fits; at least one.
    pub matches: Vec<Match>,
    /// What is done to requests and responses on their way, and what is answered without any backend.
    pub filters: Filters,
    /// What it sets over its backends' policies.
    pub overrides: Overrides,
    /// Where requests go; empty exactly when a filter answers them.
    pub backends: Vec<BackendRef>,
}

impl Route {
    /// The name of the route that takes everything to the only backend when the file has no routes.
    pub const DEFAULT_NAME: &'static str = "default";

    /// The route that takes everything to `backend`.
    pub fn to_one_backend(backend: Arc<str>) -> Self {
        Self {
            name: Arc::from(Self::DEFAULT_NAME),
            listeners: Vec::new(),
            hosts: Vec::new(),
            matches: vec![Match::default()],
            filters: Filters::default(),
            overrides: Overrides::default(),
            backends: vec![BackendRef { name: backend, weight: 1 }],
        }
    }
}

/// A backend of a route, and its share of the route's requests.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BackendRef {
    /// The backend's name.
    pub name: Arc<str>,
    /// Its share relative to the others'; 0 gets no traffic.
    pub weight: u32,
}

/// Which hosts a route takes, in lower case and without a port.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum HostPattern {
    /// This host and no other.
    Exact(Arc<str>),
    /// `*.example.com`: every host below `example.com`, at any depth, but not `example.com` itself. Holds the suffix with
    /// its leading dot.
    Wildcard(Arc<str>),
}

impl fmt::Display for HostPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exact(host) => f.write_str(host),
            Self::Wildcard(suffix) => write!(f, "*{suffix}"),
        }
    }
}

/// What a request must be like, all of it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Match {
    /// Its path.
    pub path: PathMatch,
    /// Its method; any when `None`.
    pub method: Option<Method>,
    /// Its header fields.
    pub headers: Vec<HeaderMatch>,
    /// The parameters of its query.
    pub query: Vec<QueryMatch>,
}

impl Default for Match {
    /// Every request.
    fn default() -> Self {
        Self {
            path: PathMatch::Prefix(Arc::from("/")),
            method: None,
            headers: Vec::new(),
            query: Vec::new(),
        }
    }
}

/// What a path must be like. Paths are compared after normalisation, case by case, without the query.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum PathMatch {
    /// This path and no other.
    Exact(Arc<str>),
    /// This path and everything below it: `/shop` takes `/shop`, `/shop/` and `/shop/cart`, but not `/shopping`. Without a
    /// trailing slash, except for `/`, which takes everything.
    Prefix(Arc<str>),
    /// A path that this describes from its beginning to its end.
    Regex(Regex),
}

impl fmt::Display for PathMatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exact(path) => write!(f, "= {path}"),
            Self::Prefix(path) if &**path == "/" => f.write_str("/*"),
            Self::Prefix(path) => write!(f, "{path}/*"),
            Self::Regex(regex) => write!(f, "~ {}", regex.as_str()),
        }
    }
}

/// What one header field must be like.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct HeaderMatch {
    /// The field's name. Of a field that occurs more than once, the values joined by `, ` are compared.
    pub name: HeaderName,
    /// Its value.
    pub value: ValueMatch,
}

/// What one parameter of the query must be like.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct QueryMatch {
    /// The parameter's name, percent-decoded. Of one that occurs more than once, the first counts.
    pub name: Arc<str>,
    /// Its value, percent-decoded.
    pub value: ValueMatch,
}

/// What a value must be like.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum ValueMatch {
    /// Exactly this.
    Exact(Arc<str>),
    /// What this describes from its beginning to its end.
    Regex(Regex),
    /// There is one, whatever it says.
    Present,
    /// There is none.
    Absent,
}

/// A regular expression that has to describe the whole of a text. Two are equal when they are written the same.
#[derive(Clone, Debug)]
pub struct Regex {
    text: Arc<str>,
    compiled: regex::bytes::Regex,
}

/// The most memory that one compiled expression may need, in bytes.
const LARGEST_REGEX: usize = 1 << 20;

impl Regex {
    /// Compiles `text`.
    ///
    /// # Errors
    /// When it is no regular expression, or one that is too large.
    pub fn new(text: &str) -> Result<Self, regex::Error> {
        // Alone first, so that `a)(b` is not made valid by the parentheses around it.
        regex::bytes::RegexBuilder::new(text).size_limit(LARGEST_REGEX).build()?;
        let compiled = regex::bytes::RegexBuilder::new(&format!("^(?:{text})$"))
            .size_limit(LARGEST_REGEX)
            .build()?;
        Ok(Self { text: Arc::from(text), compiled })
    }

    /// As it was written.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether it describes the whole of `text`.
    pub fn is_match(&self, text: &[u8]) -> bool {
        self.compiled.is_match(text)
    }
}

impl PartialEq for Regex {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Eq for Regex {}

impl Hash for Regex {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.text.hash(state);
    }
}

/// What a route does to requests and responses.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filters {
    /// Changes of the request's header fields, made after our own (`X-Forwarded-…`) are written.
    pub request_headers: HeaderChanges,
    /// Changes of the response's header fields.
    pub response_headers: HeaderChanges,
    /// Changes of the request's host and path.
    pub rewrite: Rewrite,
    /// What is answered instead of asking a backend.
    pub answer: Option<Answer>,
}

/// Changes of header fields: `remove` comes first, then `set`, then `add`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HeaderChanges {
    /// Fields that go.
    pub remove: Vec<HeaderName>,
    /// Fields that get this value and no other.
    pub set: Vec<(HeaderName, HeaderValue)>,
    /// Fields that get this value besides those they have.
    pub add: Vec<(HeaderName, HeaderValue)>,
}

impl HeaderChanges {
    /// Whether nothing is changed.
    pub fn is_empty(&self) -> bool {
        self.remove.is_empty() && self.set.is_empty() && self.add.is_empty()
    }
}

/// Changes of a request's host and path before it is sent to an endpoint.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rewrite {
    /// The `Host` that endpoints see.
    pub host: Option<HeaderValue>,
    /// The path that endpoints see.
    pub path: Option<PathRewrite>,
}

/// Another path for a request; the query stays.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PathRewrite {
    /// The whole path becomes this.
    Full(Arc<str>),
    /// The prefix by which the request was matched becomes this; what follows stays. Without a trailing slash, except for
    /// `/`.
    Prefix(Arc<str>),
}

/// What is answered without any backend.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// "Ask there instead."
    Redirect(Redirect),
    /// Always the same.
    Fixed(FixedResponse),
}

/// Where a client is sent instead. What is `None` stays as it was in the request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Redirect {
    /// `http` or `https`.
    pub scheme: Option<Scheme>,
    /// The host.
    pub host: Option<Arc<str>>,
    /// The port. With another scheme and without a port the scheme's own is meant.
    pub port: Option<u16>,
    /// The path.
    pub path: Option<PathRewrite>,
    /// 301, 302, 303, 307 or 308.
    pub status: u16,
}

/// The scheme of a URL.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Scheme {
    /// `http`, whose port is 80.
    Http,
    /// `https`, whose port is 443.
    Https,
}

impl Scheme {
    /// As it stands in a URL.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Https => "https",
        }
    }

    /// The port of a URL that names none.
    pub const fn default_port(self) -> u16 {
        match self {
            Self::Http => 80,
            Self::Https => 443,
        }
    }
}

/// A response that is always the same.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FixedResponse {
    /// Its status, 200 to 599.
    pub status: u16,
    /// Its body; may be empty.
    pub body: Arc<str>,
    /// The `Content-Type` of a body that is not empty.
    pub content_type: HeaderValue,
}

/// What a route sets over the policies of its listener and backends; `None` leaves theirs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Overrides {
    /// [`Timeouts::request`]; the inner `None` is "no limit".
    pub request_timeout: Option<Option<Duration>>,
    /// [`Timeouts::attempt`]; the inner `None` is "no limit".
    pub attempt_timeout: Option<Option<Duration>>,
    /// [`Retry::attempts`].
    pub retry_attempts: Option<u32>,
    /// [`Retry::conditions`].
    pub retry_conditions: Option<RetryConditions>,
    /// [`Retry::statuses`].
    pub retry_statuses: Option<Vec<(u16, u16)>>,
    /// [`super::Limits::max_body_bytes`]; the inner `None` is "no limit".
    pub max_body_bytes: Option<Option<u64>>,
}

impl Overrides {
    /// `timeouts` with what is set here.
    pub fn timeouts(&self, timeouts: Timeouts) -> Timeouts {
        Timeouts {
            request: self.request_timeout.unwrap_or(timeouts.request),
            attempt: self.attempt_timeout.unwrap_or(timeouts.attempt),
            ..timeouts
        }
    }

    /// `retry` with what is set here.
    pub fn retry(&self, retry: &Retry) -> Retry {
        Retry {
            attempts: self.retry_attempts.unwrap_or(retry.attempts),
            conditions: self.retry_conditions.unwrap_or(retry.conditions),
            statuses: self.retry_statuses.clone().unwrap_or_else(|| retry.statuses.clone()),
            budget: retry.budget,
        }
    }
}
