//! The program: see `outrigger --help`.

use std::process::ExitCode;

/// Memory is asked for and given back many times per request, always by the same thread, which this allocator does without a
/// lock; and what thousands of connections give back when they rest it returns to the system.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    outrigger::cli::main()
}
