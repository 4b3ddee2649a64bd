//! `outrigger schema`: prints the JSON Schema of the configuration, for editors and validators.

use super::exit::{Failure, Reason};
use crate::config;
use std::io::{self, ErrorKind, Write};

/// Prints the schema.
pub(super) fn run() -> Result<(), Failure> {
    match io::stdout().lock().write_all(config::schema::text().as_bytes()) {
        // Whoever reads has seen enough.
        Err(error) if error.kind() != ErrorKind::BrokenPipe => Err(Failure::new(
            Reason::Runtime,
            format_args!("the schema cannot be written: {error}"),
        )),
        _ => Ok(()),
    }
}
