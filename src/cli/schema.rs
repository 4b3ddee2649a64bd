//! `outrigger schema`: prints the JSON Schema of the configuration, for editors and validators.

use super::exit::Failure;
use super::source::print;
use crate::config;

/// Prints the schema.
pub(super) fn run() -> Result<(), Failure> {
    print(&config::schema::text())
}
