//! The program: see `outrigger --help`.

use std::process::ExitCode;

fn main() -> ExitCode {
    outrigger::cli::main()
}
