//! What changes something: what is logged, and whether the process goes on. Who may is decided before (`routes.rs`).

use super::Context;
use crate::lifecycle::{Phase, Signal};
use crate::telemetry::events::{EventKind, Happened};
use axum::extract::State;
use axum::http::StatusCode;

/// The longest filter that is taken, in bytes.
pub(in crate::admin) const MAX_FILTER: usize = 4096;

pub(in crate::admin) async fn log_level(State(context): Context) -> String {
    format!("{}\n", context.log.text())
}

pub(in crate::admin) async fn set_log_level(
    State(context): Context,
    filter: String,
) -> Result<StatusCode, (StatusCode, String)> {
    let refuse = |error| (StatusCode::BAD_REQUEST, format!("{error}\n"));
    let text = context.log.set(&filter).map_err(refuse)?;
    context.outlets.events.publish(Happened::to_process(EventKind::LogLevel, text));
    Ok(StatusCode::NO_CONTENT)
}

/// As SIGTERM. Asked for again it changes nothing, unlike a second signal: a client may have asked again by itself.
pub(in crate::admin) async fn quit(State(context): Context) -> (StatusCode, &'static str) {
    if context.lifecycle.phase() < Phase::Draining {
        tracing::info!("asked to stop on the admin port");
        context.lifecycle.on_signal(Signal::Terminate);
    }
    (StatusCode::ACCEPTED, "stopping\n")
}
