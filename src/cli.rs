//! The command line: what may be typed, and what it sets in motion.

mod check;
mod demo;
mod diff;
mod exit;
mod explain;

mod init;
mod manual;
mod routes;
mod run;
mod schema;
mod source;

use crate::telemetry::log;
use clap::{Args, CommandFactory, Parser, Subcommand, ValueEnum};
use exit::{Answer, Failure, Reason};
use std::fmt;
use std::io::Write;
use std::process::ExitCode;

const VERSION: &str = concat!(env!("CARGO_PKG_VERSION"), " (", env!("OUTRIGGER_COMMIT"), ")");

const EXAMPLES: &str = "\
Examples:
  outrigger demo                          see it work: test servers, requests, a file to edit
  outrigger init --output config.yaml     write a first configuration
  outrigger run --config config.yaml      serve
  outrigger check config.yaml             say what is wrong with a file, without serving
  outrigger diff config.yaml new.yaml     say what a change would do
  outrigger explain --url http://shop.example.com/cart
                                          say where a request goes, and why
  outrigger schema > FILE                 write the configuration's JSON Schema, for an editor
  kill -HUP PID                           look at the file again (changes are noticed anyway)

Output: results, and of `run` one JSON line per request, on standard output, everything else on standard error.";

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
    /// Say what a reload from one configuration file to another would do
    ///
    /// Prints one line for each difference, in the words in which a running process logs the reload: what changes, what
    /// drains and for how long, what needs a restart. Whether the ports can be had is seen only by the process itself.
    ///
    /// Ends like diff(1): with 0 when the two are the same configuration ("no change"), however they are written, with 1 when
    /// they differ, and with 2 or more when that cannot be said.
    Diff(diff::Arguments),
    /// Say where a request goes, and why
    ///
    /// Names the listener, the route and the match that take the request, what decided between them and others, what speaks
    /// against each of the other routes, the filters, and the backends with their shares and endpoints. Nothing is sent.
    ///
    /// Ends with 1 when no route takes the request.
    Explain(explain::Arguments),
    /// Show which requests go where, as a table
    ///
    /// A line for each host and match of each route. Of two lines that take the same request, the upper one counts.
    Routes(routes::Arguments),
    /// Write a first configuration, with comments
    Init(init::Arguments),
    /// Print the JSON Schema of the configuration, for editors and validators
    ///
    /// Editors with a YAML language server complete and check a file whose first line is
    /// `# yaml-language-server: $schema=outrigger.schema.json`, the schema being in that file beside it.
    Schema,
    /// Print the script that lets a shell complete this command line
    ///
    /// For the present shell: `source <(outrigger completions bash)`. For good, write it to where the shell looks, in bash
    /// for example ~/.local/share/bash-completion/completions/outrigger.
    Completions(manual::CompletionsArguments),
    /// Print the manual for man(1)
    ///
    /// To read it: `outrigger man | man -l -`.
    Man(manual::ManArguments),
}

/// The program, from its command line to its exit code.
pub fn main() -> ExitCode {
    // Ends the process itself after --help, --version and for a command line that is wrong (exit code 2).
    let cli = Cli::parse();
    let outcome = cli.run();
    log::flush();
    match outcome {
        Ok(answer) => answer.into(),
        Err(failure) => {
            say(format_args!("outrigger: {failure}"));
            failure.reason.into()
        }
    }
}

impl Cli {
    fn run(self) -> Result<Answer, Failure> {
        let format = match self.log.log_format {
            LogFormat::Text => log::Format::Text,
            LogFormat::Json => log::Format::Json,
        };
        log::init(self.log.log_level.as_deref(), format)
            .map_err(|error| Failure::new(Reason::Usage, error))?;
        match self.command {
            Command::Run(arguments) => run::run(&arguments).map(Answer::from),
            Command::Demo(arguments) => demo::run(&arguments).map(Answer::from),
            Command::Check(arguments) => check::run(&arguments).map(Answer::from),
            Command::Diff(arguments) => diff::run(&arguments),
            Command::Explain(arguments) => explain::run(&arguments),

            Command::Routes(arguments) => routes::run(&arguments).map(Answer::from),
            Command::Init(arguments) => init::run(&arguments).map(Answer::from),
            Command::Schema => schema::run().map(Answer::from),
            Command::Completions(arguments) => {
                manual::completions(&arguments, Self::command()).map(Answer::from)
            }
            Command::Man(arguments) => manual::man(&arguments, Self::command()).map(Answer::from),
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
