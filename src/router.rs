//! From a request to the route that serves it: the precedence of the Gateway API, compiled for quick look-ups.
//!
//! Over all routes whose listener, host and one match fit, the most specific match wins ([`Rank`]). A listener has one
//! table of hosts (exact, wildcards, any), a host one table of paths (exact, regular expressions, prefixes), and a path
//! the matches that are left, the most specific first. Where no match of the best host fits, the next host is asked.

mod explain;
mod matching;
#[cfg(any(test, fuzzing))]
pub mod property;
mod rank;
mod table;
#[cfg(test)]
mod tests;
mod trie;

pub use explain::{Considered, Explanation, Mismatch, Winner};
pub use matching::parameter;
pub use rank::{Criterion, HostRank, PathRank, Rank};

use crate::backend::Backend;
use crate::model::{self, Model, Retry, Timeouts};
use crate::telemetry::metrics::RequestCounter;
use http::{HeaderMap, Method};
use matching::Host;
use rustc_hash::FxHashMap;
use std::sync::Arc;
use table::Table;

/// A route compiled for use.
#[derive(Debug)]
pub struct Route {
    /// The configuration it was compiled from.
    pub model: model::Route,
    /// Where its requests go; empty exactly when a filter answers them.
    pub targets: Vec<Target>,
    /// The requests that it took; those of the route of this name before a reload included.
    pub requests: Arc<RequestCounter>,
}

/// A backend of a route, with the policies that hold for this route's requests.
#[derive(Debug)]
pub struct Target {
    /// Who answers.
    pub backend: Arc<Backend>,
    /// Its share relative to the others'; 0 gets no traffic.
    pub weight: u32,
    /// How long its endpoints are waited for.
    pub timeouts: Timeouts,
    /// When a request is tried again.
    pub retry: Retry,
}

impl Route {
    /// The target of one request, by chance and weight. `None` when no target has a weight above 0.
    pub fn pick_target(&self, rng: &mut fastrand::Rng) -> Option<&Target> {
        // Nearly always there is one.
        if let [only] = self.targets.as_slice() {
            return (only.weight > 0).then_some(only);
        }
        let total: u64 = self.targets.iter().map(|target| u64::from(target.weight)).sum();
        let mut draw = if total == 0 { return None } else { rng.u64(..total) };
        self.targets.iter().find(|target| match draw.checked_sub(target.weight.into()) {
            Some(rest) => {
                draw = rest;
                false
            }
            None => true,
        })
    }

    /// Compiles `model`, or takes `previous` over when nothing that it holds has changed.
    fn compile(
        model: &model::Route,
        backends: &FxHashMap<&str, &Arc<Backend>>,
        previous: Option<&Arc<Route>>,
        workers: usize,
    ) -> Arc<Self> {
        let named = || {
            let references = model.backends.iter();
            references.filter_map(|reference| Some((reference, *backends.get(&*reference.name)?)))
        };
        // The same backends have the same policies, and the same model sets the same over them.
        let unchanged = |previous: &Arc<Route>| {
            let before = previous.targets.iter().map(|target| Arc::as_ptr(&target.backend));
            before.eq(named().map(|(_, backend)| Arc::as_ptr(backend))) && previous.model == *model
        };
        if let Some(previous) = previous.filter(|previous| unchanged(previous)) {
            return Arc::clone(previous);
        }
        let target = |(reference, backend): (&model::BackendRef, &Arc<Backend>)| Target {
            backend: Arc::clone(backend),
            weight: reference.weight,
            timeouts: model.overrides.timeouts(backend.model().timeouts),
            retry: model.overrides.retry(&backend.model().retry),
        };
        Arc::new(Self {
            model: model.clone(),
            targets: named().map(target).collect(),
            requests: previous.map_or_else(
                || Arc::new(RequestCounter::new(workers)),
                |previous| Arc::clone(&previous.requests),
            ),
        })
    }
}

/// What of a request decides its route.
#[derive(Clone, Copy, Debug)]
pub struct Asked<'a> {
    /// Its host, with or without a port, in any case; empty when there is none.
    pub host: &'a str,
    /// Its path, as [it is compared](crate::model::path::NormalPath::compared).
    pub path: &'a str,
    /// Its query, without the `?`.
    pub query: Option<&'a str>,
    /// Its method.
    pub method: &'a Method,
    /// Its header fields.
    pub headers: &'a HeaderMap,
}

/// A route that takes a request.
#[derive(Clone, Copy, Debug)]
pub struct Found<'a> {
    /// The route.
    pub route: &'a Arc<Route>,
    /// How many bytes of the path the prefix has that it was matched by; `None` when it was not matched by a prefix.
    pub prefix: Option<usize>,
}

/// The routes of one snapshot.
///
/// A look-up costs a few hashes: one of the host, one of each segment of the path as far as paths of the configuration go, and,
/// where there are wildcards, one of each label of the host. It does not grow with the number of routes, hosts or paths
/// (except for what the processor's caches no longer hold), but with the number of matches for the same host and path, which
/// differ in method, header fields and query, and with that of the host's regular expressions: these are tried one by one. It
/// allocates only for a header field that occurs more than once and an encoded parameter that a match asks for, and never takes
/// more time than is linear in the length of the request.
#[derive(Debug)]
pub struct Router {
    routes: Vec<Arc<Route>>,
    /// By the names of the listeners. Those that have the same routes share one table.
    tables: FxHashMap<Arc<str>, Arc<Table>>,
}

impl Router {
    /// Compiles the routes of `model`, whose backends are `backends`, for `workers` workers, taking over from `previous` what did
    /// not change.
    ///
    /// A route whose model is equal and whose backends are the same objects is the very same object. A listener's table is the
    /// same as long as its routes have the same places, hosts and matches: a changed backend, filter or policy leaves it alone.
    ///
    /// The cost is linear in the size of the model: that of comparing every route with its predecessor, and that of compiling
    /// those that changed. Where a listener's routes, hosts or matches changed, its whole table is compiled again.
    pub fn compile(
        model: &Model,
        backends: &[Arc<Backend>],
        previous: Option<&Router>,
        workers: usize,
    ) -> Self {
        let backends: FxHashMap<&str, _> =
            backends.iter().map(|backend| (&**backend.name(), backend)).collect();
        let before = previous.map_or(&[][..], |previous| &previous.routes);
        let by_name: FxHashMap<&str, _> =
            before.iter().map(|route| (&*route.model.name, route)).collect();
        let compile = |model: &model::Route| {
            Route::compile(model, &backends, by_name.get(&*model.name).copied(), workers)
        };
        let routes: Vec<_> = model.routes.iter().map(compile).collect();
        let tables = Self::compile_tables(model, &routes, previous);
        Self { routes, tables }
    }

    fn compile_tables(
        model: &Model,
        routes: &[Arc<Route>],
        previous: Option<&Router>,
    ) -> FxHashMap<Arc<str>, Arc<Table>> {
        let before = previous.map_or(&[][..], |previous| &previous.routes);
        let looks_the_same = |(now, before): (&Arc<Route>, &Arc<Route>)| {
            Arc::ptr_eq(now, before)
                || (now.model.hosts == before.model.hosts
                    && now.model.matches == before.model.matches)
        };
        let same: Vec<bool> = routes.iter().zip(before).map(looks_the_same).collect();
        let is_same = |position: &usize| same.get(*position).copied().unwrap_or(false);
        let mut tables: FxHashMap<Arc<str>, Arc<Table>> = FxHashMap::default();
        for listener in &model.listeners {
            let takes = |route: &Arc<Route>| {
                let listeners = &route.model.listeners;
                listeners.is_empty() || listeners.contains(&listener.name)
            };
            let members: Vec<usize> =
                (0..routes.len()).filter(|position| takes(&routes[*position])).collect();
            let kept = previous.and_then(|previous| {
                let table = previous.tables.get(&listener.name)?;
                (*table.members() == members && members.iter().all(is_same)).then_some(table)
            });
            let kept = kept.or_else(|| tables.values().find(|table| *table.members() == members));
            let table = kept.cloned();
            let table = table.unwrap_or_else(|| Arc::new(Table::compile(members, routes)));
            tables.insert(Arc::clone(&listener.name), table);
        }
        tables
    }

    /// The routes, in the order of the configuration.
    pub fn routes(&self) -> &[Arc<Route>] {
        &self.routes
    }

    /// Whether the configuration has this listener.
    pub fn knows(&self, listener: &str) -> bool {
        self.tables.contains_key(listener)
    }

    /// The route of a request that came by `listener`; `None` when no match of its routes fits.
    pub fn find(&self, listener: &str, asked: &Asked<'_>) -> Option<Found<'_>> {
        let table = self.tables.get(listener)?;
        let taken = table.find(&Host::of(asked.host), asked)?;
        Some(Found { route: &self.routes[taken.route], prefix: taken.prefix })
    }

    /// How [`Router::find`] comes to its answer. Costs time in proportion to the number of the listener's routes.
    pub fn explain(&self, listener: &str, asked: &Asked<'_>) -> Explanation<'_> {
        let table = self.tables.get(listener);
        let members = table.map_or(&[][..], |table| table.members());
        let taken = table.and_then(|table| table.find(&Host::of(asked.host), asked));
        let won = taken.map(|taken| (taken.route, taken.at));
        explain::explain(&self.routes, members, won, asked)
    }
}
