//! Outrigger: a layer-7 load balancer that runs beside your pods and whose configuration is live.
//!
//! The library is what `src/main.rs` and the tests share. `ARCHITECTURE.md` tells how a request and a
//! configuration travel through it; [`FLOORS`] tells who may use whom.

pub mod clock;
pub mod lifecycle;
pub mod proxy_protocol;
pub mod socket;
pub mod telemetry;
pub mod tls;

pub mod model;

pub mod endpoint;

pub mod balancer;

pub mod backend;
pub mod config;
pub mod kubernetes;
pub mod router;

pub mod snapshot;

pub mod admin;
pub mod control;
pub mod probe;
pub mod proxy;

pub mod explain;

pub mod app;

pub mod cli;

/// The version of this program.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

/// The commit that it was built from, abbreviated; "unknown" where that could not be known.
pub const COMMIT: &str = env!("OUTRIGGER_COMMIT");

/// The floors of the house, lowest first.
///
/// A module imports from lower floors and from its own folder, never up and never sideways; two halves
/// of one floor do not know each other. `tests/integration/architecture.rs` reads the paths in every
/// file and holds them to this table.
pub const FLOORS: &[&[&str]] = &[
    // Know nothing of proxying.
    &["clock", "lifecycle", "proxy_protocol", "socket", "telemetry", "tls"],
    // Validated configuration as plain data: no I/O, no serde.
    &["model"],
    // Live state of one endpoint.
    &["endpoint"],
    // Algorithms: pure, no I/O, no clock of their own.
    &["balancer"],
    // Runtime pieces, and the sources of a model.
    &["backend", "config", "kubernetes"],
    // From a request to its backend.
    &["router"],
    // What the running parts share.
    &["snapshot"],
    // The running parts; none imports another.
    &["proxy", "probe", "admin", "control"],
    // What would become of a request.
    &["explain"],
    // Wiring.
    &["app"],
    &["cli"],
];
