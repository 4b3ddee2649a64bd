//! `soak --minutes 30 [--seed N]`: runs [`e2e::soak`] against the real binary of this build's profile; `make soak` calls
//! it. The exit code is 1 if anything was not as it must be.

use e2e::soak::{Plan, run};
use std::process::ExitCode;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

const USAGE: &str = "usage: soak [--minutes N] [--seed N]";

fn main() -> ExitCode {
    let plan = match plan(std::env::args().skip(1)) {
        Ok(plan) => plan,
        Err(wrong) => {
            eprintln!("{wrong}\n{USAGE}");
            return ExitCode::from(2);
        }
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.expect("the system gives an event loop");
    println!("soak of {:.0?}, seed {}", plan.length, plan.seed);
    let report = runtime.block_on(run(plan, |line| println!("{line}")));
    println!("{report}");
    if report.faults().is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn plan(mut arguments: impl Iterator<Item = String>) -> Result<Plan, String> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let (mut minutes, mut seed) = (30.0, now.as_secs());
    while let Some(name) = arguments.next() {
        let value = arguments.next().ok_or_else(|| format!("{name}: no value"))?;
        let wrong = |error: &dyn std::fmt::Display| format!("{name} {value}: {error}");
        match name.as_str() {
            "--minutes" => minutes = value.parse().map_err(|error| wrong(&error))?,
            "--seed" => seed = value.parse().map_err(|error| wrong(&error))?,
            _ => return Err(format!("{name}: there is no such option")),
        }
    }
    let length = Duration::try_from_secs_f64(minutes * 60.0).ok().filter(|it| !it.is_zero());
    Ok(Plan::new(length.ok_or("--minutes: not a length of time")?, seed))
}
