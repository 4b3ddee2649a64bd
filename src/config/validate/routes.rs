//! Routes: what they refer to, and what they set over the policies of others.

use super::defaulted::{conditions, limit};
use super::filters::Typed;
use super::references::Names;
use super::{Unique, Validator, number};
use crate::config::decode::Field;
use crate::config::file::{self, File};
use crate::config::problem::Fault;
use crate::config::scalar::Name;
use crate::config::tree::At;
use crate::model::{self, defaults};
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

/// The backends of the file, each with its place.
type Backends<'b, 't> = &'b [(model::Backend, At<'t>)];

/// What routes refer to.
struct Known<'f, 'b, 't> {
    listeners: Names<'f>,
    backends: Names<'f>,
    by_name: HashMap<&'b str, &'b (model::Backend, At<'t>)>,
}

impl Validator<'_> {
    pub(super) fn routes(
        &self,
        file: &File,
        root: &At<'_>,
        backends: Backends<'_, '_>,
    ) -> Vec<model::Route> {
        if file.routes.is_absent() {
            if let Some((_, second)) = backends.get(1) {
                let fault =
                    Fault::new("no request could reach a second backend: there are no `routes`");
                self.problems.value(
                    second,
                    fault
                        .allow("exactly one backend, or `routes` that say which requests go where"),
                );
            }
            let only =
                backends.first().map_or_else(|| Arc::from(""), |(one, _)| Arc::clone(&one.name));
            return vec![model::Route::to_one_backend(only)];
        }
        let known = Known {
            listeners: Names::new("listener", &file.listeners, |listener| &listener.name),
            backends: Names::new("backend", &file.backends, |backend| &backend.name),
            by_name: backends.iter().map(|known| (&*known.0.name, known)).collect(),
        };
        let mut names = Unique::new("name");
        let routes = self.items(&file.routes, root, "routes").into_iter();
        routes.map(|(typed, at)| self.route(typed, &at, &known, &mut names)).collect()
    }

    fn route<'t>(
        &self,
        typed: &file::Route,
        at: &At<'t>,
        known: &Known<'_, '_, '_>,
        names: &mut Unique<'t, String>,
    ) -> model::Route {
        let name = self.required(&typed.name, at, "name", || {
            "a name, which logs and metrics show for its requests".into()
        });
        if let Some(name) = name {
            self.unique(names, name.0.clone(), &at.key("name"));
        }
        let hosts = self.hosts(typed, at);
        let matches = self.matches(&typed.matches, at);
        let filters = self.filters(&typed.filters, at);
        self.paths_fit(&filters, &hosts, &matches, at);
        let backends = self.route_backends(typed, at, &filters, known);
        let overrides = self.overrides(typed, at);
        self.attempts_fit(typed, at, &overrides, &backends, known);
        model::Route {
            name: Arc::from(name.map_or("", |name| &*name.0)),
            listeners: self.route_listeners(typed, at, known),
            hosts,
            matches,
            filters: filters.model,
            overrides,
            backends,
        }
    }

    fn route_listeners<'t>(
        &self,
        typed: &file::Route,
        at: &At<'t>,
        known: &Known<'_, '_, '_>,
    ) -> Vec<Arc<str>> {
        let mut seen = Unique::new("listener");
        let listener =
            |(name, at): (&Name, At<'t>)| self.reference(name, &known.listeners, &mut seen, &at);
        self.some(&typed.listeners, at, "listeners").into_iter().map(listener).collect()
    }

    fn hosts<'t>(&self, typed: &file::Route, at: &At<'t>) -> Vec<model::HostPattern> {
        let mut seen = Unique::new("host");
        let host = |(host, at): (&crate::config::scalar::Host, At<'t>)| {
            self.unique(&mut seen, host.0.clone(), &at);
            host.0.clone()
        };
        self.some(&typed.hosts, at, "hosts").into_iter().map(host).collect()
    }

    /// The backends of a route, which has either some or a filter that answers.
    fn route_backends<'t>(
        &self,
        typed: &file::Route,
        at: &At<'t>,
        filters: &Typed<'_>,
        known: &Known<'_, '_, '_>,
    ) -> Vec<model::BackendRef> {
        if let Some((answer, _)) = &filters.answer {
            if !typed.backends.is_absent() {
                let fault = Fault::new(format!(
                    "no request of this route reaches a backend: its filter `{answer}` answers them all"
                ));
                let allowed = format!("either `backends` or `{answer}`");
                self.problems.key(&at.key("backends"), fault.allow(allowed));
            }
            return Vec::new();
        }
        if typed.backends.is_absent() && !at.has("backends") {
            if !matches!(typed.filters, Field::Invalid) {
                let fault = Fault::new("a route without `backends`");
                let allowed = "`backends`, or a filter that answers: `redirect` or `respond`";
                self.problems.value(at, fault.allow(allowed));
            }
            return Vec::new();
        }
        let mut seen = Unique::new("backend");
        let items = self.items(&typed.backends, at, "backends");
        let count = items.len();
        let reference = |(typed, at): (&file::BackendRef, At<'t>)| {
            let expected = || "the name of a backend".into();
            let name = self.required(&typed.name, &at, "name", expected)?;
            let name = self.reference(name, &known.backends, &mut seen, &at.key("name"));
            let weight = number(&typed.weight, u64::from(defaults::WEIGHT)) as u32;
            Some(model::BackendRef { name, weight })
        };
        let backends: Vec<_> = items.into_iter().filter_map(reference).collect();
        let idle = backends.iter().all(|backend| backend.weight == 0);
        if idle && count == backends.len() && count > 0 {
            let fault = Fault::new("no backend gets requests: every weight is 0");
            self.problems.value(&at.key("backends"), fault.allow("at least one weight from 1"));
        }
        backends
    }

    fn overrides(&self, typed: &file::Route, at: &At<'_>) -> model::Overrides {
        let set = |typed: &Field<_>| typed.get().map(|_| limit(typed, None));
        let timeouts = typed.timeouts.get().cloned().unwrap_or_default();
        let retry = typed.retry.get().cloned().unwrap_or_default();
        let at = at.key("retry");
        self.some(&retry.conditions, &at, "conditions");
        let statuses = self.statuses(&retry.statuses, &at);
        let max_body_bytes = typed.max_body_bytes.get();
        model::Overrides {
            request_timeout: set(&timeouts.request),
            attempt_timeout: set(&timeouts.attempt),
            retry_attempts: retry.attempts.get().map(|attempts| attempts.0 as u32),
            retry_conditions: conditions(&retry.conditions),
            // An empty list takes those of the backend away.
            retry_statuses: retry.statuses.get().map(|_| statuses),
            max_body_bytes: max_body_bytes.map(|bytes| Some(bytes.0).filter(|bytes| *bytes > 0)),
        }
    }

    /// With the timeouts of the route, no attempt may take longer than its request, whichever backend gets it.
    fn attempts_fit(
        &self,
        typed: &file::Route,
        at: &At<'_>,
        overrides: &model::Overrides,
        backends: &[model::BackendRef],
        known: &Known<'_, '_, '_>,
    ) {
        let Some(typed) = typed.timeouts.get() else { return };
        if typed.request == Field::Invalid || typed.attempt == Field::Invalid {
            return;
        }
        let at = at.key("timeouts");
        for reference in backends {
            let Some((backend, place)) = known.by_name.get(&*reference.name) else { continue };
            let timeouts = overrides.timeouts(backend.timeouts);
            let (Some(attempt), Some(request)) = (timeouts.attempt, timeouts.request) else {
                continue;
            };
            if attempt <= request || timeouts == backend.timeouts {
                continue;
            }
            let of_backend = |key: &str, value: Duration| {
                let place = place.key("timeouts");
                let name = &backend.name;
                match place.has(key) {
                    true => format!("{}, of backend `{name}`", place.key(key).shown()),
                    false => format!("{value:?}, the default of backend `{name}`"),
                }
            };
            let (key, allowed) = match typed.attempt.is_absent() {
                true => {
                    ("request", "a `request` that is not shorter, or a shorter `attempt` as well")
                }
                false => {
                    ("attempt", "an `attempt` that is not longer, or a longer `request` as well")
                }
            };
            let said = |field: &Field<_>, key: &str, value: Duration| match field.is_absent() {
                true => of_backend(key, value),
                false => at.key(key).shown(),
            };
            let fault = Fault::new(format!(
                "an attempt may take longer ({}) than its request ({})",
                said(&typed.attempt, "attempt", attempt),
                said(&typed.request, "request", request),
            ));
            self.problems.value(&at.key(key), fault.allow(allowed));
            return;
        }
    }
}
