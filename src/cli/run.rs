//! `outrigger run`: serves as a configuration file says.

use super::exit::{Failure, Reason};
use super::source::Source;
use crate::app::{App, Configuration, Options, StartError};
use crate::config::watch::ReadError;
use crate::kubernetes::ConfigMapKey;

#[derive(clap::Args, Debug)]
pub(super) struct Arguments {
    #[command(flatten)]
    source: Source,
    /// Reads the configuration from a ConfigMap by the API of Kubernetes; without KEY, from config.yaml in it
    #[arg(long, value_name = "NAMESPACE/NAME[:KEY]", conflicts_with = "config")]
    config_map: Option<ConfigMapKey>,
}

/// Serves until a signal ends it.
pub(super) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let config = match &arguments.config_map {
        Some(key) => Configuration::ConfigMap(key.clone()),
        None => Configuration::File(arguments.source.path()?),
    };
    let options = Options { config, loopback_only: false, observer: None };
    let app = App::start(options).map_err(|error| match (&error, &arguments.config_map) {
        (StartError::Read(_), Some(_)) => Failure::new(Reason::Configuration, &error).hint(
            "the ConfigMap has to be there, and the account may have to be given get, list and watch on it",
        ),
        (_, _) => explain(&error),
    })?;
    end(app.join())
}

/// How a process that served has ended.
pub(super) fn end(outcome: std::io::Result<usize>) -> Result<(), Failure> {
    match outcome {
        Ok(0) => Ok(()),
        Ok(1) => Err(Failure::new(Reason::Cut, "ended in the middle of a request")),
        Ok(cut) => {
            Err(Failure::new(Reason::Cut, format_args!("ended in the middle of {cut} requests")))
        }
        Err(error) => Err(Failure::new(Reason::Runtime, error)),
    }
    .map_err(|failure| match failure.reason {
        Reason::Cut => failure.hint(
            "the first signal lets requests in flight end, for as long as `shutdown.drainTimeout` allows",
        ),
        Reason::Runtime | Reason::Usage | Reason::Configuration => failure,
    })
}

/// What a process that cannot start says.
pub(super) fn explain(error: &StartError) -> Failure {
    match error {
        // Each problem begins a line of its own, which is where editors look for file, line and column.
        StartError::Config(problems) => Failure::new(
            Reason::Configuration,
            format_args!("the configuration is not valid\n{problems}"),
        ),
        StartError::Read(ReadError::Missing { .. }) => Failure::new(Reason::Configuration, error)
            .hint("name another with --config FILE, or let `outrigger demo` write a first one"),
        StartError::Read(ReadError::Unreadable { .. }) | StartError::Compile(_) => {
            Failure::new(Reason::Configuration, error)
        }
        StartError::Port(_) | StartError::System(_) => Failure::new(Reason::Runtime, error),
    }
}
