//! The integration tests: one binary, so that they link once.

#![forbid(unsafe_code)]

#[path = "integration/architecture.rs"]
mod architecture;
