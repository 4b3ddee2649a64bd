//! The configuration that a command is about, and what a command prints.

use super::check::read;
use super::exit::{Failure, Reason};
use crate::config::{self, Expired, Surroundings};
use crate::model::Model;
use clap::ValueEnum;
use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};

/// The configuration that is taken when none is named.
pub(super) const DEFAULT: &str = "config.yaml";

/// Names a configuration.
#[derive(clap::Args, Debug)]
pub(super) struct Source {
    /// The configuration file; without it, config.yaml in the present folder
    #[arg(short, long, value_name = "FILE")]
    config: Option<PathBuf>,
}

/// How a result is printed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(super) enum Format {
    /// For people
    #[default]
    Text,
    /// One JSON document
    Json,
}

impl Source {
    /// The file's path.
    pub(super) fn path(&self) -> Result<PathBuf, Failure> {
        if let Some(config) = &self.config {
            return Ok(config.clone());
        }
        let config = PathBuf::from(DEFAULT);
        if config.exists() {
            return Ok(config);
        }
        let here = std::path::absolute(".").unwrap_or_default();
        Err(Failure::new(
            Reason::Configuration,
            format_args!("no configuration: there is no {DEFAULT} in {}", here.display()),
        )
        .hint("name one with --config FILE, write one with `outrigger init`, or see one at work with `outrigger demo`"))
    }

    /// The model of the file.
    pub(super) fn model(&self) -> Result<Model, Failure> {
        load(&self.path()?)
    }
}

/// The model of `file`; `-` is standard input.
pub(super) fn load(file: &Path) -> Result<Model, Failure> {
    let name = if is_stdin(file) { "standard input".into() } else { file.to_string_lossy() };
    let source = read(file).map_err(|error| {
        Failure::new(Reason::Configuration, format_args!("{name}: cannot be read: {error}"))
    })?;
    // What is asked is what the file means: an old certificate changes nothing about that.
    let surroundings = Surroundings { expired: Expired::Warned, ..Surroundings::of(file) };
    let loaded = config::load(&source, &name, &surroundings);
    // Each problem begins a line of its own, which is where editors look for file, line and column.
    loaded.map(|loaded| loaded.model).map_err(|problems| {
        let message = format_args!("the configuration is not valid\n{problems}");
        Failure::new(Reason::Configuration, message)
    })
}

/// Whether `file` means standard input or output.
pub(super) fn is_stdin(file: &Path) -> bool {
    file.as_os_str() == "-"
}

/// Prints the result of a command.
pub(super) fn print(text: &str) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        // Whoever reads has seen enough: `outrigger routes | head`.
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        result => result.map_err(|error| {
            Failure::new(Reason::Runtime, format_args!("standard output: {error}"))
        }),
    }
}

/// Prints `value` as JSON, over several lines.
pub(super) fn print_json(value: &serde_json::Value) -> Result<(), Failure> {
    print(&format!("{value:#}\n"))
}
