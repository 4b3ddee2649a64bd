//! Backends whose cookies of session affinity are in each other's way.
//!
//! A client keeps one cookie of a name and path for a host. When it goes to one backend by one route and to another by
//! another route of the same host, each gives it its own endpoint's cookie, and takes away the other's: it stays nowhere. A
//! route that knows both backends leaves a client where its cookie says.

use crate::model::{HostPattern, Model, Route};
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// Two backends with the same cookie, by their places in the model: the later one, and the one that it is in the way of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Clash {
    pub(super) of: usize,
    pub(super) with: usize,
}

/// The first clash of each backend, in the order of the backends.
pub(super) fn clashes(model: &Model) -> Vec<Clash> {
    let known: HashMap<&str, usize> =
        model.backends.iter().zip(0..).map(|(backend, index)| (&*backend.name, index)).collect();
    let mut clashes = BTreeMap::new();
    // Each route is held to those before it. Of two routes only the one that lacks a backend of the other shows the clash.
    walk(model, &known, model.routes.iter(), &mut clashes);
    walk(model, &known, model.routes.iter().rev(), &mut clashes);
    clashes.into_values().collect()
}

fn walk<'m>(
    model: &'m Model,
    known: &HashMap<&str, usize>,
    routes: impl Iterator<Item = &'m Route>,
    clashes: &mut BTreeMap<usize, Clash>,
) {
    // The backends with a cookie that the routes so far lead to, by the hosts of those routes.
    let mut met: HashMap<(Cookie<'_>, Key<'_>), BTreeSet<usize>> = HashMap::new();
    for route in routes {
        let backends: BTreeSet<usize> =
            route.backends.iter().filter_map(|one| known.get(&*one.name).copied()).collect();
        let cookie = |index: &usize| {
            let affinity = model.backends[*index].session_affinity.as_ref()?;
            Some((*index, (&*affinity.cookie, &*affinity.path)))
        };
        let with_cookie: Vec<(usize, Cookie<'_>)> = backends.iter().filter_map(cookie).collect();
        for &(backend, cookie) in &with_cookie {
            for key in reached(route) {
                let mut others = met.get(&(cookie, key)).into_iter().flatten();
                // Who is in this route, too, is not in its way.
                if let Some(&other) = others.find(|other| !backends.contains(other)) {
                    let (of, with) = (backend.max(other), backend.min(other));
                    clashes.entry(of).or_insert(Clash { of, with });
                    break;
                }
            }
        }
        for &(backend, cookie) in &with_cookie {
            for key in covered(route) {
                met.entry((cookie, key)).or_default().insert(backend);
            }
        }
    }
}

/// A cookie's name and path.
type Cookie<'m> = (&'m str, &'m str);

/// Hosts of routes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Key<'m> {
    /// Routes with exactly this host.
    Exact(&'m str),
    /// Routes with the wildcard that takes all below this suffix.
    Wildcard(&'m str),
    /// Routes with a host or wildcard below this suffix.
    Below(&'m str),
    /// Routes without hosts.
    Every,
    /// Any route.
    Any,
}

/// Under which keys a route is found.
fn covered(route: &Route) -> Vec<Key<'_>> {
    let mut keys = vec![Key::Any];
    if route.hosts.is_empty() {
        keys.push(Key::Every);
    }
    for host in &route.hosts {
        match host {
            HostPattern::Exact(host) => {
                keys.push(Key::Exact(host));
                keys.extend(suffixes(host).map(Key::Below));
            }
            HostPattern::Wildcard(suffix) => {
                keys.push(Key::Wildcard(suffix));
                keys.push(Key::Below(suffix));
                keys.extend(suffixes(&suffix[1..]).map(Key::Below));
            }
        }
    }
    keys
}

/// Under which keys those are found that share a host with a route.
fn reached(route: &Route) -> Vec<Key<'_>> {
    if route.hosts.is_empty() {
        return vec![Key::Any];
    }
    let mut keys = vec![Key::Every];
    for host in &route.hosts {
        match host {
            HostPattern::Exact(host) => {
                keys.push(Key::Exact(host));
                keys.extend(suffixes(host).map(Key::Wildcard));
            }
            HostPattern::Wildcard(suffix) => {
                keys.push(Key::Below(suffix));
                keys.push(Key::Wildcard(suffix));
                keys.extend(suffixes(&suffix[1..]).map(Key::Wildcard));
            }
        }
    }
    keys
}

/// The suffixes of the wildcards that take `host`, with their leading dots.
fn suffixes(host: &str) -> impl Iterator<Item = &str> {
    host.match_indices('.').map(|(at, _)| &host[at..])
}
