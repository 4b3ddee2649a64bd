//! `outrigger init`: a first configuration to start from.

use super::exit::{Failure, Reason};
use super::say;
use super::source::{is_stdin, print};
use clap::ValueEnum;
use std::fs::File;
use std::io::{ErrorKind, Write};
use std::path::PathBuf;

#[derive(clap::Args, Debug)]
pub(super) struct Arguments {
    /// What it is for
    #[arg(value_enum, default_value_t)]
    purpose: Purpose,
    /// Where to write it, never over a file that exists; `-` is standard output
    #[arg(short, long, value_name = "FILE", default_value = "-")]
    output: PathBuf,
}

#[derive(Clone, Copy, Debug, Default, ValueEnum)]
enum Purpose {
    /// A process on a host, before servers that have addresses
    #[default]
    Plain,
    /// A container in a pod, before the application in the same pod
    Sidecar,
    /// The entry to a cluster: several hosts and paths, several services
    Ingress,
}

impl Purpose {
    const fn text(self) -> &'static str {
        match self {
            Self::Plain => include_str!("init/plain.yaml"),
            Self::Sidecar => include_str!("init/sidecar.yaml"),
            Self::Ingress => include_str!("init/ingress.yaml"),
        }
    }
}

/// Writes the file.
pub(super) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let (text, path) = (arguments.purpose.text(), &arguments.output);
    if is_stdin(path) {
        return print(text);
    }
    let name = path.display();
    let written = File::create_new(path).and_then(|mut file| {
        file.write_all(text.as_bytes())?;
        file.sync_all()
    });
    match written {
        Ok(()) => {
            say(format_args!("{name}: written; serve with `outrigger run --config {name}`"));
            Ok(())
        }
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {
            let failure = Failure::new(Reason::Runtime, format_args!("{name} exists already"));
            Err(failure.hint("name another with --output FILE"))
        }
        Err(error) => {
            Err(Failure::new(Reason::Runtime, format_args!("{name}: cannot be written: {error}")))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config;
    use crate::model::Model;

    fn model(purpose: Purpose) -> Model {
        let loaded = config::load(purpose.text().as_bytes(), "init", &config::Surroundings::none())
            .unwrap_or_else(|problems| panic!("{purpose:?}:\n{problems}"));
        assert!(loaded.warnings.list().is_empty(), "{purpose:?}:\n{}", loaded.warnings);
        loaded.model
    }

    #[test]
    fn every_starting_file_is_valid_and_fits_its_purpose() {
        let plain = model(Purpose::Plain);
        assert!(
            plain.listeners[0].address.ip().is_loopback(),
            "a first start is not for the world"
        );
        let sidecar = model(Purpose::Sidecar);
        assert!(sidecar.listeners[0].address.ip().is_unspecified() && sidecar.probes.is_some());
        let endpoints = &sidecar.backends[0].endpoints;
        assert!(endpoints.iter().all(|endpoint| &*endpoint.url.host == "localhost"));
        let ingress = model(Purpose::Ingress);
        assert!(ingress.routes.len() > 1 && ingress.backends.len() > 1 && ingress.probes.is_some());
        assert!(!ingress.listeners[0].trusted_proxies.is_empty());
    }

    /// A stranger reads these files first.
    #[test]
    fn every_starting_file_explains_itself_and_fits_a_screen() {
        for purpose in [Purpose::Plain, Purpose::Sidecar, Purpose::Ingress] {
            let comments = purpose.text().lines().filter(|line| line.contains('#')).count();
            assert!(comments >= 10, "{purpose:?}: {comments} lines with comments");
            assert!(purpose.text().lines().all(|line| line.chars().count() <= 120), "{purpose:?}");
        }
    }
}
