//! The precedence of matches that fit the same request (Gateway API, `HTTPRouteRule.matches`).

use crate::model::{HostPattern, Match, PathMatch};

/// How specific a match is. Of those that fit a request the greatest wins, and of equals the one that stands first in the
/// configuration. The fields are compared in this order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Rank {
    /// By which of its route's hosts the request's was taken.
    pub host: HostRank,
    /// How it describes the path.
    pub path: PathRank,
    /// Whether it asks for a method.
    pub method: bool,
    /// Number of header fields that it asks for.
    pub headers: usize,
    /// Number of parameters of the query that it asks for.
    pub query: usize,
}

/// How specific a host is, the least specific first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum HostRank {
    /// The route takes every host.
    Any,
    /// A wildcard, whose suffix has so many bytes.
    Wildcard(usize),
    /// Exactly this host.
    Exact,
}

/// How specific the description of a path is, the least specific first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum PathRank {
    /// A prefix of so many bytes.
    Prefix(usize),
    /// A regular expression whose text has so many bytes.
    Regex(usize),
    /// Exactly this path.
    Exact,
}

/// What decides between two matches that both fit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Criterion {
    /// The more specific host.
    Host,
    /// The more specific path.
    Path,
    /// One asks for a method, the other does not.
    Method,
    /// The number of header fields.
    Headers,
    /// The number of the query's parameters.
    Query,
    /// They are equally specific: the order in the configuration.
    Order,
}

impl Rank {
    /// The rank of `wanted` for a request whose host was taken by `host`.
    pub fn of(host: HostRank, wanted: &Match) -> Self {
        let path = match &wanted.path {
            PathMatch::Exact(_) => PathRank::Exact,
            PathMatch::Regex(regex) => PathRank::Regex(regex.as_str().len()),
            PathMatch::Prefix(prefix) => PathRank::Prefix(prefix.len()),
        };
        Self {
            host,
            path,
            method: wanted.method.is_some(),
            headers: wanted.headers.len(),
            query: wanted.query.len(),
        }
    }

    /// By what this one comes before or after `other`.
    pub fn decided_by(&self, other: &Self) -> Criterion {
        if self.host != other.host {
            Criterion::Host
        } else if self.path != other.path {
            Criterion::Path
        } else if self.method != other.method {
            Criterion::Method
        } else if self.headers != other.headers {
            Criterion::Headers
        } else if self.query != other.query {
            Criterion::Query
        } else {
            Criterion::Order
        }
    }
}

impl From<&HostPattern> for HostRank {
    fn from(pattern: &HostPattern) -> Self {
        match pattern {
            HostPattern::Exact(_) => Self::Exact,
            HostPattern::Wildcard(suffix) => Self::Wildcard(suffix.len()),
        }
    }
}
