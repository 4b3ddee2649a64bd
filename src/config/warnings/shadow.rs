//! Matches that take no request because another one takes all of theirs.
//!
//! A more special match comes before a more general one, wherever it stands in the file. So only a match of the same rank
//! can take everything of another one: an equal match, or one that asks for less of the same header fields and parameters,
//! earlier in the file. The one exception are regular expressions, which come before every prefix although they may be
//! more general.

use crate::model::{HostPattern, Listener, Match, Model, PathMatch, ValueMatch};
use http::{HeaderName, Method};
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

/// With more pairs of host and match than this, which nobody writes by hand, it is not worth the time.
const MOST_PAIRS: usize = 200_000;

/// As many matches that are alike are compared with those behind them.
const MOST_ALIKE: usize = 64;

/// A match of a route.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Id {
    pub(super) route: usize,
    pub(super) index: usize,
}

/// A match that takes no request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Shadow {
    pub(super) of: Id,
    /// The one that takes its requests.
    pub(super) by: Id,
    pub(super) reason: Reason,
}

/// Why one match takes the requests of another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reason {
    /// It has the same rank and comes first.
    Earlier,
    /// It is a regular expression and has the higher rank.
    Regex,
}

/// What two matches of one rank have in common, besides the values of fields and parameters.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Kind<'m> {
    host: Option<&'m HostPattern>,
    path: Path<'m>,
    method: Option<&'m Method>,
    headers: Vec<&'m HeaderName>,
    query: Vec<&'m str>,
}

/// A path match by what was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Path<'m> {
    Exact(&'m str),
    Prefix(&'m str),
    Regex(&'m str),
}

/// A value match by what was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Value<'m> {
    Exact(&'m str),
    Regex(&'m str),
    Present,
    Absent,
}

/// A match that was seen, on its listeners; on all when there are none.
struct Seen<'m> {
    id: Id,
    listeners: &'m [Arc<str>],
    values: Vec<&'m ValueMatch>,
}

#[derive(Default)]
struct Shadows<'m> {
    equal: HashMap<(Kind<'m>, Vec<Value<'m>>), Vec<Seen<'m>>>,
    general: HashMap<Kind<'m>, Vec<Seen<'m>>>,
    regexes: HashMap<Option<&'m HostPattern>, Vec<Seen<'m>>>,
}

/// The matches of `model` that take no request, in its order.
pub(super) fn shadowed(model: &Model) -> Vec<Shadow> {
    let pairs = model.routes.iter().map(|route| route.hosts.len().max(1) * route.matches.len());
    if pairs.sum::<usize>() > MOST_PAIRS {
        return Vec::new();
    }
    let mut shadows = Shadows::default();
    for_each(model, |id, listeners, hosts, one| {
        if takes_every_path(one) {
            for host in hosts {
                let seen = Seen { id, listeners, values: Vec::new() };
                shadows.regexes.entry(*host).or_default().push(seen);
            }
        }
    });
    let mut found = Vec::new();
    for_each(model, |id, listeners, hosts, one| {
        let mut by = None;
        let all = hosts.iter().all(|host| {
            let taken = shadows.taken_by(*host, one, listeners, &model.listeners);
            by = by.or(taken);
            taken.is_some()
        });
        if let Some((by, reason)) = by.filter(|_| all) {
            found.push(Shadow { of: id, by, reason });
        }
        for host in hosts {
            shadows.add(*host, one, Seen { id, listeners, values: values(one) });
        }
    });
    found
}

fn for_each<'m>(
    model: &'m Model,
    mut visit: impl FnMut(Id, &'m [Arc<str>], &[Option<&'m HostPattern>], &'m Match),
) {
    for (route, at) in model.routes.iter().zip(0..) {
        let hosts: Vec<_> = match route.hosts.is_empty() {
            true => vec![None],
            false => route.hosts.iter().map(Some).collect(),
        };
        for (one, index) in route.matches.iter().zip(0..) {
            visit(Id { route: at, index }, &route.listeners, &hosts, one);
        }
    }
}

impl<'m> Shadows<'m> {
    fn taken_by(
        &self,
        host: Option<&'m HostPattern>,
        one: &'m Match,
        listeners: &[Arc<str>],
        all: &[Listener],
    ) -> Option<(Id, Reason)> {
        let kind = kind(host, one);
        let wanted = values(one);
        let regexes = match one.path {
            PathMatch::Prefix(_) => self.regexes.get(&host),
            PathMatch::Exact(_) | PathMatch::Regex(_) => None,
        };
        let general = self.general.get(&kind).into_iter().flatten().filter(|seen| {
            seen.values.iter().zip(&wanted).all(|(general, special)| covers(general, special))
        });
        let equal = self.equal.get(&(kind.clone(), written(&wanted)));
        let earlier = equal.into_iter().flatten().chain(general);
        let regexes = regexes.into_iter().flatten();
        on_all(earlier, listeners, all)
            .map(|by| (by, Reason::Earlier))
            .or_else(|| on_all(regexes, listeners, all).map(|by| (by, Reason::Regex)))
    }

    fn add(&mut self, host: Option<&'m HostPattern>, one: &'m Match, seen: Seen<'m>) {
        let kind = kind(host, one);
        let is_general =
            |value: &&ValueMatch| matches!(value, ValueMatch::Present | ValueMatch::Regex(_));
        if seen.values.iter().any(is_general) {
            let general = self.general.entry(kind.clone()).or_default();
            if general.len() < MOST_ALIKE {
                general.push(Seen { values: seen.values.clone(), ..seen });
            }
        }
        let equal = self.equal.entry((kind, written(&seen.values))).or_default();
        if equal.len() < MOST_ALIKE {
            equal.push(seen);
        }
    }
}

/// The first of `seen` when together they are on all listeners that are wanted, which are all when none is named.
fn on_all<'s, 'm: 's>(
    seen: impl Iterator<Item = &'s Seen<'m>>,
    wanted: &[Arc<str>],
    all: &[Listener],
) -> Option<Id> {
    let mut first = None;
    let mut names = HashSet::new();
    for seen in seen {
        if seen.listeners.is_empty() {
            return Some(seen.id);
        }
        first = first.or(Some(seen.id));
        names.extend(seen.listeners.iter().map(|name| &**name));
    }
    let is_on = |name: &Arc<str>| names.contains(&**name);
    let covered = match wanted.is_empty() {
        true => all.iter().all(|listener| is_on(&listener.name)),
        false => wanted.iter().all(is_on),
    };
    first.filter(|_| covered)
}

/// Whether this is a regular expression for every path, and asks for nothing else.
fn takes_every_path(one: &Match) -> bool {
    matches!(&one.path, PathMatch::Regex(regex) if matches!(regex.as_str(), ".*" | "/.*"))
        && one.method.is_none()
        && one.headers.is_empty()
        && one.query.is_empty()
}

fn kind<'m>(host: Option<&'m HostPattern>, one: &'m Match) -> Kind<'m> {
    let path = match &one.path {
        PathMatch::Exact(path) => Path::Exact(path),
        PathMatch::Prefix(path) => Path::Prefix(path),
        PathMatch::Regex(regex) => Path::Regex(regex.as_str()),
    };
    let mut headers: Vec<_> = one.headers.iter().map(|header| &header.name).collect();
    headers.sort_unstable_by_key(|name| name.as_str());
    let mut query: Vec<_> = one.query.iter().map(|parameter| &*parameter.name).collect();
    query.sort_unstable();
    Kind { host, path, method: one.method.as_ref(), headers, query }
}

/// The values of a match, in the order of the names in its kind.
fn values(one: &Match) -> Vec<&ValueMatch> {
    let mut headers: Vec<_> = one.headers.iter().collect();
    headers.sort_unstable_by_key(|header| header.name.as_str());
    let mut query: Vec<_> = one.query.iter().collect();
    query.sort_unstable_by_key(|parameter| &*parameter.name);
    let headers = headers.into_iter().map(|header| &header.value);
    headers.chain(query.into_iter().map(|parameter| &parameter.value)).collect()
}

fn written<'m>(values: &[&'m ValueMatch]) -> Vec<Value<'m>> {
    let value = |value: &&'m ValueMatch| match *value {
        ValueMatch::Exact(text) => Value::Exact(text),
        ValueMatch::Regex(regex) => Value::Regex(regex.as_str()),
        ValueMatch::Present => Value::Present,
        ValueMatch::Absent => Value::Absent,
    };
    values.iter().map(value).collect()
}

/// Whether every value that is like `special` is like `general`, too, as far as it is easily known.
fn covers(general: &ValueMatch, special: &ValueMatch) -> bool {
    match (general, special) {
        (ValueMatch::Present, special) => !matches!(special, ValueMatch::Absent),
        (ValueMatch::Regex(regex), ValueMatch::Exact(text)) => regex.is_match(text.as_bytes()),
        (general, special) => general == special,
    }
}
