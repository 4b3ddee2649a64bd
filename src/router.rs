//! From a request to the route that serves it.

use crate::backend::Backend;
use std::sync::Arc;

/// Where matching requests go.
#[derive(Debug)]
pub struct Route {
    /// Its name.
    pub name: Arc<str>,
    /// Who answers.
    pub backend: Arc<Backend>,
}

/// The routes of one snapshot.
#[derive(Debug)]
pub struct Router {
    default: Arc<Route>,
}

impl Router {
    /// The router of a configuration without routes: everything goes to its one backend.
    pub fn to_one_backend(backend: &Arc<Backend>) -> Self {
        let route = Route { name: Arc::from("default"), backend: Arc::clone(backend) };
        Self { default: Arc::new(route) }
    }

    /// The route of a request.
    pub fn route(&self) -> &Arc<Route> {
        &self.default
    }
}
