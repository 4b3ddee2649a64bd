//! `outrigger diff`: what a reload from one file to another would do.

use super::exit::{Answer, Failure, Reason};
use super::source::{is_stdin, load, print};
use crate::control::changes::changes;
use crate::control::worker_count;
use std::path::PathBuf;

#[derive(clap::Args, Debug)]
pub(super) struct Arguments {
    /// The configuration that runs; `-` is standard input
    old: PathBuf,
    /// The one that would replace it; `-` is standard input
    new: PathBuf,
}

/// Prints the differences. The answer is whether there are none.
pub(super) fn run(arguments: &Arguments) -> Result<Answer, Failure> {
    let Arguments { old, new } = arguments;
    if is_stdin(old) && is_stdin(new) {
        return Err(Failure::new(Reason::Usage, "only one of the files can be standard input"));
    }
    let (old, new) = (load(old)?, load(new)?);
    // The words of the log: see `Control::swap`.
    let said = changes(&old, &new, worker_count(&old));
    if said.is_empty() {
        print("no change\n")?;
        return Ok(Answer::Yes);
    }
    print(&format!("{}\n", said.join("\n")))?;
    Ok(Answer::No)
}
