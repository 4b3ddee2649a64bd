//! `/api/v1/routes`: which requests go where.

use super::endpoints::by_class;
use super::{Context, share};
use crate::model::{HostPattern, Match, Model};
use crate::router;
use axum::Json;
use axum::extract::State;
use schemars::JsonSchema;
use serde::Serialize;
use std::collections::BTreeMap;

/// Which requests it takes, what it does to them, and where they go.
#[derive(Debug, Serialize, JsonSchema)]
pub(in crate::admin) struct Route {
    name: String,
    /// The names of the listeners whose requests it takes.
    listeners: Vec<String>,
    /// The hosts whose requests it takes; none for all.
    hosts: Vec<String>,
    /// In words, as `outrigger explain` has them; one must fit.
    matches: Vec<String>,
    /// In words, without the values of header fields.
    filters: Vec<String>,
    /// Where its requests go; none where it answers itself.
    backends: Vec<Target>,
    /// Requests that it took, by class of status code.
    requests: BTreeMap<&'static str, u64>,
}

/// A backend of a route.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "RouteBackend")]
struct Target {
    name: String,
    weight: u32,
    /// Its part of the weights, 1 being all.
    share: f64,
}

pub(in crate::admin) async fn get(State(context): Context) -> Json<Vec<Route>> {
    let snapshot = context.store.load();
    let routes = snapshot.router.routes().iter();
    Json(routes.map(|route| Route::of(&snapshot.model, route)).collect())
}

impl Route {
    fn of(model: &Model, compiled: &router::Route) -> Self {
        let route = &compiled.model;
        let all = model.listeners.iter().map(|listener| &listener.name);
        let listeners: Vec<_> = match &*route.listeners {
            [] => all.map(ToString::to_string).collect(),
            some => some.iter().map(ToString::to_string).collect(),
        };
        let total = route.backends.iter().map(|backend| u64::from(backend.weight)).sum();
        Self {
            name: route.name.to_string(),
            listeners,
            hosts: route.hosts.iter().map(HostPattern::to_string).collect(),
            matches: route.matches.iter().map(Match::to_string).collect(),
            filters: route.filters.phrases(),
            backends: route
                .backends
                .iter()
                .map(|backend| Target {
                    name: backend.name.to_string(),
                    weight: backend.weight,
                    share: share(backend.weight.into(), total),
                })
                .collect(),
            requests: by_class(compiled.requests.totals()),
        }
    }
}
