//! What a reload changes, in words.
//!
//! Keys are named as in the file. Every struct of the model is taken apart field by field, so that a field without words
//! does not compile. The cost grows with the length of the lists, not with its square.

mod backend;
mod listener;
mod phrases;
mod route;
mod telemetry;
mod tls;

use super::worker_count;
use crate::model::words::duration;
use crate::model::{Model, Shutdown};
use phrases::Phrases;
use std::net::SocketAddr;

/// The differences from `before` to `after`, a phrase each; never empty if the models differ. `workers` is the number
/// that runs.
pub fn changes(before: &Model, after: &Model, workers: usize) -> Vec<String> {
    let Model {
        admin,
        probes,
        workers: configured,
        shutdown,
        access_log,
        traces,
        decisions,
        listeners,
        routes: _,
        backends,
    } = before;
    let drain = after.shutdown.drain_timeout;
    let mut said = Phrases::default();
    listener::say(&mut said, listeners, &after.listeners, drain);
    route::say(&mut said, before, after);
    backend::say(&mut said, backends, &after.backends, drain);
    if *configured != after.workers {
        said.say(match worker_count(after) == workers {
            true => format!("workers: {workers} run already"),
            false => format!("workers: needs a restart, {workers} go on running"),
        });
    }
    said.change("admin.address", admin, &after.admin, address);
    said.change("probes.address", probes, &after.probes, address);
    say_shutdown(&mut said, shutdown, &after.shutdown);
    telemetry::say_access_log(&mut said, access_log, &after.access_log);
    telemetry::say_traces(&mut said, traces.as_ref(), after.traces.as_ref());
    telemetry::say_decisions(&mut said, decisions, &after.decisions);
    said.finish()
}

fn say_shutdown(said: &mut Phrases, before: &Shutdown, after: &Shutdown) {
    let Shutdown { drain_delay, drain_timeout } = before;
    said.change("shutdown.drainDelay", drain_delay, &after.drain_delay, |time| duration(*time));
    said.change("shutdown.drainTimeout", drain_timeout, &after.drain_timeout, |time| {
        duration(*time)
    });
}

fn address(address: &Option<SocketAddr>) -> String {
    address.map_or_else(|| "none".to_owned(), |address| address.to_string())
}

#[cfg(test)]
mod tests;
