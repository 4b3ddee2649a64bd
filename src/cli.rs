//! The command line: what may be typed, and what it sets in motion.

mod check;
mod demo;
mod exit;
mod run;
mod schema;

use crate::telemetry::log;
use clap::{Args, Parser, Subcommand, ValueEnum};
use exit::{Failure, Reason};
use std::fmt;
use std::io::Write;
use std::process::ExitCode;

/// The configuration that is taken when none is named.
const DEFAULT_CONFIG: &str = "config.yaml";

const VERSION: &str = concat!(env!("CARGO_PKG_VERSION"), " (", env!("OUTRIGGER_COMMIT"), ")");

const EXAMPLES: &str = "\
Examples:
  outrigger demo                      see it work: test servers, requests, a file to edit
  outrigger run --config config.yaml  serve
  outrigger check config.yaml         say what is wrong with a file, without serving
  outrigger schema > FILE             write the configuration's JSON Schema, for an editor
  kill -HUP PID                       look at the file again (changes are noticed anyway)

Output: one JSON line per request on standard output, everything else on standard error.";

/// A load balancer for HTTP that follows its configuration file while it serves.
///
/// Save the file, and the next request is handled as it says: nothing is restarted, no request is dropped, and what
/// was learnt of the endpoints is kept. A file with a mistake changes nothing.
#[derive(Debug, Parser)]
#[command(name = "outrigger", version = VERSION, max_term_width = 100)]
#[command(after_help = format!("{EXAMPLES}\n\n{}", exit::HELP))]
struct Cli {
    #[command(subcommand)]
    command: Command,
    #[command(flatten)]
    log: Log,
}

#[derive(Args, Debug)]
#[command(next_help_heading = "Log")]
struct Log {
    /// What is logged: error, warn, info, debug, trace or off; also by module, as in
    /// `info,outrigger::probe=debug`. Without it the environment's OUTRIGGER_LOG counts, without that `info`
    #[arg(long, global = true, value_name = "LEVEL")]
    log_level: Option<String>,
    /// How a line of the log looks
    #[arg(long, global = true, value_name = "FORMAT", value_enum, default_value_t)]
    log_format: LogFormat,
}

#[derive(Clone, Copy, Debug, Default, ValueEnum)]
enum LogFormat {
    /// For people
    #[default]
    Text,
    /// One JSON object per line
    Json,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Serve as a configuration file says, and follow the file
    Run(run::Arguments),
    /// Show what it does: eight test servers, a load balancer before them, requests
    ///
    /// Two of the test servers take 4 seconds to answer. Edit `algorithm` in the file that is named at the start, save,
    /// and watch which endpoints the next lines name. Ctrl-C ends the demo with a table of what each algorithm did.
    /// Everything listens on loopback only.
    Demo(demo::Arguments),
    /// Say whether configuration files are valid, and all that is wrong with them
    #[command(after_help = check::HELP)]
    Check(check::Arguments),
    /// Print the JSON Schema of the configuration, for editors and validators
    ///
    /// Editors with a YAML language server complete and check a file whose first line is
    /// `# yaml-language-server: $schema=outrigger.schema.json`, the schema being in that file beside it.
    Schema,
}

/// The program, from its command line to its exit code.
pub fn main() -> ExitCode {
    // Ends the process itself after --help, --version and for a command line that is wrong (exit code 2).
    let cli = Cli::parse();
    match cli.run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            say(format_args!("outrigger: {failure}"));
            failure.reason.into()
        }
    }
}

impl Cli {
    fn run(self) -> Result<(), Failure> {
        let format = match self.log.log_format {
            LogFormat::Text => log::Format::Text,
            LogFormat::Json => log::Format::Json,
        };
        log::init(self.log.log_level.as_deref(), format)
            .map_err(|error| Failure::new(Reason::Usage, error))?;
        match self.command {
            Command::Run(arguments) => run::run(&arguments),
            Command::Demo(arguments) => demo::run(&arguments),
            Command::Check(arguments) => check::run(&arguments),
            Command::Schema => schema::run(),
        }
    }
}

/// Tells the operator, on standard error. When that is closed there is nobody to tell.
fn say(text: impl fmt::Display) {
    let _ = writeln!(std::io::stderr().lock(), "{text}");
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_definition_of_the_command_line_has_no_fault() {
        Cli::command().debug_assert();
    }

    #[test]
    fn the_help_names_every_command_exit_code_and_an_example() {
        let help = Cli::command().render_long_help().to_string();
        for part in [
            "run",
            "demo",
            "check",
            "  0  ",
            "  1  ",
            "  2  ",
            "  3  ",
            "  4  ",
            "outrigger run --config",
        ] {
            assert!(help.contains(part), "{part} is missing in:\n{help}");
        }
    }

    #[test]
    fn flags_of_the_log_may_stand_before_and_after_the_command() {
        for line in ["--log-level debug run", "run --log-level debug"] {
            let words = ["outrigger"].into_iter().chain(line.split(' '));
            let cli = Cli::try_parse_from(words).unwrap();
            assert_eq!(cli.log.log_level.as_deref(), Some("debug"));
        }
    }

    #[test]
    fn the_version_names_a_commit() {
        let (version, commit) = VERSION.split_once(' ').unwrap();
        assert_eq!(version, env!("CARGO_PKG_VERSION"));
        assert!(commit.len() > 2 && commit.starts_with('(') && commit.ends_with(')'));
    }
}
