//! How the program ends: the exit codes of the manual, and what is said with them.

use std::fmt;
use std::process::ExitCode;

/// Why the program ends otherwise than well, with its exit code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reason {
    /// It could not start, or could not go on.
    Runtime = 1,
    /// The command line asks for something that cannot be.
    Usage = 2,
    /// A configuration is missing or invalid.
    Configuration = 3,
    /// It ended before all requests did.
    Cut = 4,
}

/// What a command that answers a question found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    /// What one hopes for; also the end of a command that answers nothing.
    Yes = 0,
    /// The other.
    No = 1,
}

impl From<()> for Answer {
    fn from((): ()) -> Self {
        Self::Yes
    }
}

impl From<Answer> for ExitCode {
    fn from(answer: Answer) -> Self {
        Self::from(answer as u8)
    }
}

/// The end, and what the operator should know of it.
#[derive(Debug)]
pub(super) struct Failure {
    pub(super) reason: Reason,
    message: String,
}

impl Failure {
    pub(super) fn new(reason: Reason, message: impl fmt::Display) -> Self {
        Self { reason, message: message.to_string() }
    }

    /// Adds what to do about it.
    pub(super) fn hint(mut self, hint: impl fmt::Display) -> Self {
        self.message = format!("{}\n  {hint}", self.message);
        self
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl From<Reason> for ExitCode {
    fn from(reason: Reason) -> Self {
        // Cast as the numbers are written above.
        Self::from(reason as u8)
    }
}

/// The part of the manual that names them.
pub(super) const HELP: &str = "\
Exit codes:
  0  done, or ended by a signal after all requests were served
  1  could not start or go on: a port is in use, say; or the answer is no: `diff` found changes,
     `explain` no route
  2  the command line is wrong
  3  a configuration is missing or invalid
  4  ended by a signal in the middle of requests: after the drain timeout, or by a second signal";
