//! The routes of one listener, found by host and path.

use super::matching::{path_fits, rest_fits};
use super::rank::{HostRank, Rank};
use super::trie::Trie;
use super::{Asked, Route};
use crate::model::{HostPattern, Match, PathMatch};
use rustc_hash::FxHashMap;
use std::cmp::Reverse;
use std::iter::once;
use std::sync::Arc;

/// All matches that a listener's requests are compared with, by host.
///
/// It knows routes by their positions, and looks at nothing but their hosts and matches, so that it outlives routes that
/// change in other ways. Its hashes are quick and not keyed, see [`Trie`] for why that is safe.
#[derive(Debug)]
pub(super) struct Table {
    /// The positions of the listener's routes, ascending.
    members: Vec<usize>,
    exact: FxHashMap<Box<[u8]>, Paths>,
    /// By the labels of their suffixes, the last label first.
    wildcards: Trie<Paths>,
    any: Paths,
}

/// All matches for one host, by path.
#[derive(Debug, Default)]
struct Paths {
    exact: FxHashMap<Box<[u8]>, Candidates>,
    regexes: Candidates,
    /// By the segments of their prefixes.
    prefixes: Trie<Candidates>,
}

/// Matches by falling precedence.
type Candidates = Vec<Candidate>;

/// A match whose host and (except for regular expressions) path fit already.
#[derive(Clone, Copy, Debug)]
pub(super) struct Candidate {
    /// The position of its route.
    pub(super) route: usize,
    /// Its position in the route.
    pub(super) at: usize,
    /// Whether host and path are all that it asks for: then the route itself need not be touched to know that it fits.
    bare: bool,
}

impl Candidate {
    /// Its match.
    pub(super) fn wanted(self, routes: &[Arc<Route>]) -> &Match {
        &routes[self.route].model.matches[self.at]
    }
}

impl Table {
    /// Compiles those of `routes` that stand at the positions `members`.
    pub(super) fn compile(members: Vec<usize>, routes: &[Arc<Route>]) -> Self {
        let mut table = Self {
            exact: FxHashMap::default(),
            wildcards: Trie::default(),
            any: Paths::default(),
            members: Vec::new(),
        };
        for position in &members {
            let route = &routes[*position].model;
            if route.hosts.is_empty() {
                table.any.add(*position, &route.matches);
            }
            for host in &route.hosts {
                let paths = match host {
                    HostPattern::Exact(host) => {
                        table.exact.entry(host.as_bytes().into()).or_default()
                    }
                    HostPattern::Wildcard(suffix) => {
                        let suffix = suffix.as_bytes();
                        table.wildcards.entry(labels(suffix.strip_prefix(b".").unwrap_or(suffix)))
                    }
                };
                paths.add(*position, &route.matches);
            }
        }
        let hosts = table.exact.values_mut().chain(table.wildcards.values_mut());
        hosts.chain(once(&mut table.any)).for_each(|paths| paths.sort(routes));
        Self { members, ..table }
    }

    /// The positions of the listener's routes, ascending.
    pub(super) fn members(&self) -> &[usize] {
        &self.members
    }

    /// The match that takes the request.
    pub(super) fn find(
        &self,
        routes: &[Arc<Route>],
        host: &[u8],
        asked: &Asked<'_>,
    ) -> Option<Candidate> {
        let exact = self.exact.get(host).into_iter();
        let wildcards =
            self.wildcards.longest_first(below_first(host).into_iter().flat_map(labels));
        let mut hosts = exact.chain(wildcards).chain(once(&self.any));
        hosts.find_map(|paths| paths.find(routes, asked))
    }
}

impl Paths {
    fn add(&mut self, route: usize, matches: &[Match]) {
        for (at, wanted) in matches.iter().enumerate() {
            let bare =
                wanted.method.is_none() && wanted.headers.is_empty() && wanted.query.is_empty();
            let candidates = match &wanted.path {
                PathMatch::Exact(path) => self.exact.entry(path.as_bytes().into()).or_default(),
                PathMatch::Prefix(prefix) if &**prefix == "/" => {
                    self.prefixes.entry(std::iter::empty())
                }
                PathMatch::Prefix(prefix) => self.prefixes.entry(segments(prefix.as_bytes())),
                PathMatch::Regex(_) => &mut self.regexes,
            };
            candidates.push(Candidate { route, at, bare });
        }
    }

    fn sort(&mut self, routes: &[Arc<Route>]) {
        let lists = self.exact.values_mut().chain(self.prefixes.values_mut());
        for list in lists.chain(once(&mut self.regexes)) {
            // They were added in the order of the configuration, which the sort keeps among equals. The host is the same for
            // all.
            list.sort_by_key(|candidate| {
                Reverse(Rank::of(HostRank::Any, candidate.wanted(routes)))
            });
            list.shrink_to_fit();
        }
    }

    fn find(&self, routes: &[Arc<Route>], asked: &Asked<'_>) -> Option<Candidate> {
        let path = asked.path.as_bytes();
        let fits =
            |candidate: &&Candidate| candidate.bare || rest_fits(candidate.wanted(routes), asked);
        let exact = self.exact.get(path).and_then(|list| list.iter().find(fits));
        let regex = || {
            // The expression last: it is dearer than all the rest.
            let fits = |candidate: &&Candidate| {
                fits(candidate) && path_fits(&candidate.wanted(routes).path, asked.path)
            };
            self.regexes.iter().find(fits)
        };
        let prefix = || {
            let mut lists = self.prefixes.longest_first(segments(path));
            lists.find_map(|list| list.iter().find(fits))
        };
        exact.or_else(regex).or_else(prefix).copied()
    }
}

/// The segments of a path: none for one that does not begin with a slash (`*`).
fn segments(path: &[u8]) -> impl Iterator<Item = &[u8]> {
    let below = path.strip_prefix(b"/");
    below.into_iter().flat_map(|below| below.split(|byte| *byte == b'/'))
}

/// The labels of a host from the last to the first.
fn labels(host: &[u8]) -> impl Iterator<Item = &[u8]> {
    host.rsplit(|byte| *byte == b'.')
}

/// What of `host` a wildcard's suffix may fit: not all of it, something has to stand before.
fn below_first(host: &[u8]) -> Option<&[u8]> {
    let dot = host.iter().skip(1).position(|byte| *byte == b'.')?;
    Some(&host[dot + 2..])
}
