//! `outrigger demo`: the whole scene in one process, so that a newcomer sees what an edit does.

mod file;
mod stage;
mod table;
mod tally;
mod traffic;

use super::exit::{Failure, Reason};
use super::source::DEFAULT;
use super::{run, say};
use crate::app::{App, Options};
use crate::lifecycle::{Lifecycle, Phase};
use crate::model::Algorithm;
use file::File;
use stage::Stage;
use std::io::ErrorKind;
use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use tally::Tally;
use testserver::{Fleet, FleetError, SEED};
use traffic::Lost;

#[derive(clap::Args, Debug)]
pub(super) struct Arguments {
    /// The file to use and to edit; it is written if it is missing, never written over
    #[arg(long, value_name = "FILE", default_value = DEFAULT)]
    config: PathBuf,
    /// Requests per second that the demo sends itself; 0 for none
    #[arg(long, value_name = "N", default_value_t = 4, value_parser = clap::value_parser!(u32).range(..=10_000))]
    rate: u32,
    /// Start no test servers: they run already (`make ts-up`), or the file names others
    #[arg(long)]
    no_test_servers: bool,
}

/// Runs the demo until Ctrl-C.
pub(super) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let file = file::prepare(&arguments.config, crate::config::BUILT_IN).map_err(|error| {
        let message = format_args!("{}: cannot be written: {error}", arguments.config.display());
        Failure::new(Reason::Configuration, message)
            .hint("the demo wants a file that you can edit: name another with --config FILE")
    })?;
    let stage = Stage::start().map_err(|error| Failure::new(Reason::Runtime, error))?;
    let fleet = if arguments.no_test_servers { None } else { Some(test_servers(&stage)?) };

    let (tally, lost) = (Arc::new(Tally::default()), Arc::new(Lost::default()));
    let options = Options {
        config: file.path.clone().into(),
        loopback_only: true,
        observer: Some(Tally::observer(&tally)),
    };
    let app = App::start(options).map_err(|error| run::explain(&error))?;
    let bound = app.bound();
    let address = bound.listeners.first().map(|(_name, address)| *address);
    say(greeting(&file, fleet.as_ref(), address, bound.admin));
    stage.play(without_delay(app.lifecycle().clone()));
    if let (Some(address), Some(rate)) = (address, NonZeroU32::new(arguments.rate)) {
        let listeners = Arc::clone(app.listeners());
        // An edit may move the listener: the demo follows.
        let address = move || listeners().first().map_or(address, |listener| listener.address);
        stage.play(send_while_ready(app.lifecycle().clone(), address, rate, Arc::clone(&lost)));
    }
    let outcome = app.join();

    let generations = tally.generations();
    say(format_args!("\n{}", table::draw(&generations)));
    if fleet.is_some() && !generations.is_empty() {
        say("8081 and 8082 take 4 seconds: what an algorithm sends there is what its p99 shows.");
    }
    let (unanswered, unsent) = (lost.unanswered.load(Relaxed), lost.unsent.load(Relaxed));
    if unanswered > 0 {
        say(format_args!("Requests of the demo's client that got no answer at all: {unanswered}"));
    }
    if unsent > 0 {
        say(format_args!("Not sent, because too many others waited for their answers: {unsent}"));
    }
    run::end(outcome)
}

fn test_servers(stage: &Stage) -> Result<Fleet, Failure> {
    stage.test_servers().map_err(|FleetError(errors)| {
        let taken = errors.iter().all(|error| error.source.kind() == ErrorKind::AddrInUse);
        let message = if taken {
            let ports: Vec<_> = errors.iter().map(port).collect();
            format!("the demo's test servers want ports that are taken: {}", ports.join(", "))
        } else {
            let errors: Vec<_> = errors.iter().map(ToString::to_string).collect();
            format!("the demo's test servers cannot start:\n  {}", errors.join("\n  "))
        };
        let first = errors.first().map_or("", port);
        Failure::new(Reason::Runtime, message)
            .hint(format_args!("stop what listens there: `ss -ltnp 'sport = :{first}'` (macOS: `lsof -i :{first}`) names it"))
            .hint("or, if test servers run there already (`make ts-up`), add --no-test-servers")
    })
}

fn port(error: &testserver::StartError) -> &str {
    error.address.rsplit(':').next().unwrap_or(&error.address)
}

/// The client begins when the first probes are done, and sends nothing into a process that stops.
async fn send_while_ready(
    lifecycle: Lifecycle,
    address: impl Fn() -> SocketAddr,
    rate: NonZeroU32,
    lost: Arc<Lost>,
) {
    lifecycle.wait_for(Phase::Ready).await;
    tokio::select! {
        () = traffic::send(address, rate, lost) => {}
        () = lifecycle.wait_for(Phase::Draining) => {}
    }
}

/// Nobody sends clients to a demo who would first have to learn that it stops.
async fn without_delay(lifecycle: Lifecycle) {
    lifecycle.wait_for(Phase::Draining).await;
    lifecycle.skip_delay();
}

/// What a newcomer needs to know before the lines begin.
fn greeting(
    file: &File,
    fleet: Option<&Fleet>,
    address: Option<SocketAddr>,
    admin: Option<SocketAddr>,
) -> String {
    let mut lines = Vec::new();
    if fleet.is_some() {
        let ports = |slow: bool| -> String {
            let of = SEED.iter().filter(|member| member.delay.is_zero() != slow);
            of.map(|member| member.port.to_string()).collect::<Vec<_>>().join(", ")
        };
        lines.push(format!("  test servers   slow (4 s): {}; fast: {}", ports(true), ports(false)));
    }
    if let Some(address) = address {
        lines.push(format!("  load balancer  http://{address}/"));
    }
    if let Some(admin) = admin {
        lines.push(format!("  dashboard      http://{admin}/"));
    }
    let origin = if file.written { "written just now" } else { "found there" };
    let algorithms: Vec<_> = Algorithm::ALL.iter().map(|algorithm| algorithm.name()).collect();
    format!(
        "{}\n  configuration  {} ({origin})\n\n\
         Edit `algorithm` in that file, save, and watch the next lines. It can be\n{}.\n\
         Ctrl-C ends the demo and shows what each algorithm did.\n",
        lines.join("\n"),
        file.path.display(),
        algorithms.join(", "),
    )
}
