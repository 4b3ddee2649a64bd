//! Compares Outrigger with other proxies on this machine, and times its reloads and its routing.
//!
//! `bench/README.md` says what is measured and how to read it. Linux only: it pins processes to cores
//! and reads their CPU time from `/proc`.

// A real clock is what a benchmark reads.
#![allow(clippy::disallowed_methods)]

#[cfg(target_os = "linux")]
mod cli;
mod collector;
#[cfg(target_os = "linux")]
mod compare;
#[cfg(target_os = "linux")]
mod endpoint;
#[cfg(target_os = "linux")]
mod exchange;
#[cfg(target_os = "linux")]
mod footprint;
#[cfg(target_os = "linux")]
mod load;
#[cfg(target_os = "linux")]
mod machine;
#[cfg(target_os = "linux")]
mod peer;
#[cfg(target_os = "linux")]
mod process;
#[cfg(target_os = "linux")]
mod reload;
#[cfg(target_os = "linux")]
mod results;
#[cfg(target_os = "linux")]
mod router;
#[cfg(target_os = "linux")]
mod stats;
#[cfg(target_os = "linux")]
mod syscalls;
#[cfg(target_os = "linux")]
mod template;
#[cfg(target_os = "linux")]
mod tls;

/// What went wrong, in words: nobody here acts on the kind.
#[cfg(target_os = "linux")]
type Result<T> = std::result::Result<T, Box<dyn std::error::Error + Send + Sync>>;

#[cfg(target_os = "linux")]
fn main() -> std::process::ExitCode {
    cli::main()
}

#[cfg(not(target_os = "linux"))]
fn main() -> std::process::ExitCode {
    eprintln!("bench: needs Linux (it pins processes to cores and reads CPU time from /proc)");
    std::process::ExitCode::from(2)
}
