//! The integration tests: one binary, so that they link once.

#![forbid(unsafe_code)]

#[path = "integration/admin.rs"]
mod admin;
#[path = "integration/architecture.rs"]
mod architecture;
#[path = "integration/chart.rs"]
mod chart;
#[path = "integration/charts.rs"]
mod charts;
#[path = "integration/command_line.rs"]
mod command_line;
#[path = "integration/conformance.rs"]
mod conformance;
#[path = "integration/demo.rs"]
mod demo;
#[path = "integration/mutations.rs"]
mod mutations;
#[path = "../src/config/tests/pki.rs"]
mod pki;
#[path = "integration/proxy.rs"]
mod proxy;
#[path = "integration/regressions.rs"]
mod regressions;
