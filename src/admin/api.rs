//! What the admin port answers, by concern.

pub(super) mod backends;
pub(super) mod config;
pub(super) mod control;
pub(super) mod endpoints;
pub(super) mod events;
pub(super) mod explain;
pub(super) mod health;
pub(super) mod listeners;
pub(super) mod picks;
pub(super) mod reloads;
pub(super) mod routes;
pub(super) mod status;

use super::AdminContext;
use axum::Extension;
use axum::extract::State;
use std::sync::Arc;

/// What every answer is made of.
type Context = State<Arc<AdminContext>>;

/// The parameters of a request.
type Query = Extension<super::query::Query>;

/// To four decimals.
fn rounded(value: f64) -> f64 {
    (value * 1e4).round() / 1e4
}

/// The part of `one` in `all`, 1 being all.
fn share(one: u64, all: u64) -> f64 {
    if all == 0 { 0.0 } else { rounded(one as f64 / all as f64) }
}
