//! The routes of one listener, found by host and path.

use super::matching::{path_fits, rest_fits};
use super::rank::{HostRank, Rank};
use super::trie::{Node, Trie, position};
use super::{Asked, Route};
use crate::model::{HostPattern, Match, PathMatch};
use rustc_hash::FxHashMap;
use std::cmp::Reverse;
use std::num::NonZeroU32;
use std::ops::Range;
use std::sync::Arc;

/// All matches that a listener's requests are compared with, by host and path.
///
/// It knows routes by their positions, and looks at nothing but their hosts and matches, so that it outlives routes that change in
/// other ways. What a look-up reads is kept small and near together; the routes themselves it does not touch.
#[derive(Debug)]
pub(super) struct Table {
    /// The positions of the listener's routes, ascending.
    members: Vec<usize>,
    /// The paths of each exact host. The hash is not keyed, see [`Trie`] for why that is safe.
    exact: FxHashMap<Box<[u8]>, Paths>,
    /// The paths of wildcards by the labels of their suffixes, the last label first.
    wildcards: Trie<Option<Paths>>,
    below: Node,
    /// The paths of routes that take every host.
    any: Paths,
    paths: Trie<Lists>,
    /// The regular expressions of each host that has some, by falling precedence, as positions among the candidates.
    regexes: FxHashMap<Paths, Range<u32>>,
    candidates: Vec<Candidate>,
    /// What candidates ask for besides a path that is known to fit, each once, however many routes ask for the same.
    conditions: Vec<Match>,
}

/// The paths of one host: their root among all paths.
type Paths = Node;

/// The matches for one path or prefix, each kind by falling precedence, as positions among the candidates.
#[derive(Debug, Default)]
struct Lists {
    /// Where those begin whose path is exactly this.
    exact: u32,
    /// Where they end, and those begin whose prefix it is.
    prefixes: u32,
    /// Where these end.
    end: u32,
}

/// Which list of a node a match belongs to.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    Exact,
    Prefix,
    Regex,
}

/// A match whose host fits, and whose path fits, too, unless that is a regular expression.
#[derive(Clone, Copy, Debug)]
struct Candidate {
    /// The position of its route.
    route: u32,
    /// Its position in the route.
    at: u32,
    /// The length of its prefix.
    prefix: Option<NonZeroU32>,
    /// The position of what else it asks for.
    condition: u32,
}

/// The match that takes a request.
#[derive(Clone, Copy, Debug)]
pub(super) struct Taken {
    /// The position of its route.
    pub(super) route: usize,
    /// Its position in the route.
    pub(super) at: usize,
    /// The length of its prefix, in bytes; `None` when its path is no prefix.
    pub(super) prefix: Option<usize>,
}

impl Table {
    /// Compiles those of `routes` that stand at the positions `members`.
    #[expect(
        clippy::mutable_key_type,
        reason = "expressions are hashed and compared by their text"
    )]
    pub(super) fn compile(members: Vec<usize>, routes: &[Arc<Route>]) -> Self {
        let (mut paths, mut wildcards) = (Trie::default(), Trie::default());
        let mut table = Self {
            exact: FxHashMap::default(),
            below: wildcards.root(),
            wildcards,
            any: paths.root(),
            paths,
            regexes: FxHashMap::default(),
            candidates: Vec::new(),
            conditions: Vec::new(),
            members: Vec::new(),
        };
        let mut conditions = FxHashMap::default();
        let mut places = Vec::new();
        for member in &members {
            let route = &routes[*member].model;
            let condition = |wanted| table.condition(&mut conditions, wanted);
            let own: Vec<_> = route.matches.iter().map(condition).collect();
            for root in table.roots(&route.hosts) {
                for (at, (wanted, condition)) in route.matches.iter().zip(&own).enumerate() {
                    let (node, kind, prefix) = table.place(root, &wanted.path);
                    let candidate = Candidate {
                        route: position(*member),
                        at: position(at),
                        prefix,
                        condition: *condition,
                    };
                    // The host is the same for all that are compared.
                    places.push((node, kind, Reverse(Rank::of(HostRank::Any, wanted)), candidate));
                }
            }
        }
        // Equals stay in the order of the configuration.
        places.sort_by_key(|(node, kind, rank, _)| (*node, *kind, *rank));
        for places in places.chunk_by(|a, b| a.0 == b.0) {
            let from = table.candidates.len();
            let begin = |kind| position(from + places.partition_point(|place| place.1 < kind));
            let node = places[0].0;
            let lists = Lists {
                exact: position(from),
                prefixes: begin(Kind::Prefix),
                end: begin(Kind::Regex),
            };
            let regexes = lists.end..position(from + places.len());
            *table.paths.value_mut(node) = lists;
            if !regexes.is_empty() {
                table.regexes.insert(node, regexes);
            }
            table.candidates.extend(places.iter().map(|(.., candidate)| *candidate));
        }
        Self { members, ..table }
    }

    /// The position of what `wanted` asks for besides the path, or with it if it is a regular expression. `known` are the
    /// positions of those before.
    #[expect(
        clippy::mutable_key_type,
        reason = "expressions are hashed and compared by their text"
    )]
    fn condition(&mut self, known: &mut FxHashMap<Match, u32>, wanted: &Match) -> u32 {
        let path = match &wanted.path {
            PathMatch::Regex(regex) => PathMatch::Regex(regex.clone()),
            PathMatch::Exact(_) | PathMatch::Prefix(_) => Match::default().path,
        };
        let (method, headers, query) = (&wanted.method, &wanted.headers, &wanted.query);
        let wanted =
            Match { path, method: method.clone(), headers: headers.clone(), query: query.clone() };
        *known.entry(wanted).or_insert_with_key(|wanted| {
            self.conditions.push(wanted.clone());
            position(self.conditions.len() - 1)
        })
    }

    /// The roots of the paths of `hosts`.
    fn roots(&mut self, hosts: &[HostPattern]) -> Vec<Paths> {
        if hosts.is_empty() {
            return vec![self.any];
        }
        let root = |host: &HostPattern| match host {
            HostPattern::Exact(host) => {
                let paths = self.exact.entry(host.as_bytes().into());
                *paths.or_insert_with(|| self.paths.root())
            }
            HostPattern::Wildcard(suffix) => {
                let domain = suffix.strip_prefix('.').unwrap_or(suffix);
                let node = self.wildcards.insert(self.below, labels(domain.as_bytes()));
                let paths = self.wildcards.value_mut(node);
                *paths.get_or_insert_with(|| self.paths.root())
            }
        };
        hosts.iter().map(root).collect()
    }

    /// Where a match for `path` belongs among the paths of `root`, and the length of its prefix.
    fn place(&mut self, root: Paths, path: &PathMatch) -> (Node, Kind, Option<NonZeroU32>) {
        match path {
            PathMatch::Exact(path) => {
                (self.paths.insert(root, segments(path.as_bytes())), Kind::Exact, None)
            }
            PathMatch::Regex(_) => (root, Kind::Regex, None),
            PathMatch::Prefix(prefix) => {
                // `/` is everything, not what has one empty segment.
                let beginning = if &**prefix == "/" { "" } else { prefix };
                let node = self.paths.insert(root, segments(beginning.as_bytes()));
                (node, Kind::Prefix, NonZeroU32::new(position(prefix.len())))
            }
        }
    }

    /// The positions of the listener's routes, ascending.
    pub(super) fn members(&self) -> &[usize] {
        &self.members
    }

    /// The match that takes the request, whose host is `host`.
    pub(super) fn find(&self, host: &[u8], asked: &Asked<'_>) -> Option<Taken> {
        if let Some(paths) = self.exact.get(host)
            && let Some(taken) = self.find_path(*paths, asked)
        {
            return Some(taken);
        }
        if let Some(domain) = below_first(host) {
            let (node, _) = self.wildcards.walk(self.below, labels(domain));
            let mut wildcards = self.wildcards.upwards(node).flatten();
            if let Some(taken) = wildcards.find_map(|paths| self.find_path(*paths, asked)) {
                return Some(taken);
            }
        }
        self.find_path(self.any, asked)
    }

    fn find_path(&self, root: Paths, asked: &Asked<'_>) -> Option<Taken> {
        let first = |range: Range<u32>| self.first_that_fits(range, asked);
        let (node, whole) = self.paths.walk(root, segments(asked.path.as_bytes()));
        // A path without a slash (`*`) has no segments either, and is not that of the root.
        let exact = || match whole && asked.path.starts_with('/') {
            true => first(self.paths.value(node).exact()),
            false => None,
        };
        let regex = || first(self.regexes.get(&root)?.clone());
        let prefix = || self.paths.upwards(node).find_map(|lists| first(lists.prefixes()));
        let taken = exact().or_else(regex).or_else(prefix)?;
        // The prefix `/` takes `*` and the empty path, too.
        let prefix = taken.prefix.map(|prefix| asked.path.len().min(prefix.get() as usize));
        Some(Taken { route: taken.route as usize, at: taken.at as usize, prefix })
    }

    fn first_that_fits(&self, range: Range<u32>, asked: &Asked<'_>) -> Option<&Candidate> {
        let candidates = &self.candidates[range.start as usize..range.end as usize];
        candidates.iter().find(|candidate| {
            let wanted = &self.conditions[candidate.condition as usize];
            // The path last: a regular expression is dearer than all the rest.
            rest_fits(wanted, asked) && path_fits(&wanted.path, asked.path)
        })
    }
}

impl Lists {
    fn exact(&self) -> Range<u32> {
        self.exact..self.prefixes
    }

    fn prefixes(&self) -> Range<u32> {
        self.prefixes..self.end
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
