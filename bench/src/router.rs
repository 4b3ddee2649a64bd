//! Scenario `router`: what a look-up of the route costs as the table grows, and what compiling the table costs.
//!
//! It measures the library in this process: no socket, no other program.

mod table;

use crate::Result;
use crate::machine;
use crate::process::pin_this_thread;
use crate::stats::Spread;
use http::HeaderMap;
use outrigger::model::{Algorithm, Model};
use outrigger::router::Router;
use outrigger::snapshot::Snapshot;
use rustix::time::{ClockId, clock_gettime};
use std::fmt::Write as _;
use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant};
use table::{LISTENER, Request};

/// The most that a look-up among [`LARGEST`] routes may cost above one among ten, in nanoseconds.
const MAX_GROWTH: f64 = 300.0;

/// The longest that [`LARGEST`] routes may take from model to snapshot, in milliseconds.
const MAX_COMPILE: f64 = 100.0;

const LARGEST: usize = 10_000;

/// Different requests per table: as many for a small one as for a large one, so that reading them costs the same.
const REQUESTS: usize = 10_000;

/// Of so many requests one is taken by no route.
const STRAY: usize = 16;

/// How often all requests are looked up per table and round.
const PASSES: usize = 10;

/// How to measure.
pub(crate) struct Plan {
    pub(crate) core: usize,
    pub(crate) rounds: usize,
}

/// What was measured, and whether it is as it has to be.
pub(crate) struct Outcome {
    /// As Markdown.
    pub(crate) text: String,
    /// The limits that were passed.
    pub(crate) faults: Vec<String>,
}

/// A table and its requests.
struct Table {
    label: String,
    router: Arc<Router>,
    requests: Vec<Request>,
    headers: Vec<HeaderMap>,
    /// Nanoseconds per look-up of each round.
    nanos: Vec<f64>,
}

/// Measures everything. `proxy` is what the whole proxy costs per request, in words.
pub(crate) fn measure(plan: &Plan, command: &str, proxy: &str) -> Result<Outcome> {
    let load_before = machine::load_average();
    let mut text =
        format!("## Routing\n\n{}: {}. `{command}`\n\n", machine::today(), machine::describe());
    // Only now: the description counts the cores that this thread may use.
    pin_this_thread(Some(plan.core))?;
    let mut faults = Vec::new();
    look_ups(plan, &mut text, &mut faults)?;
    let _ = write!(text, "\nThe whole proxy, for comparison: {proxy}.\n\n");
    compilation(plan, &mut text, &mut faults)?;
    let _ = write!(text, "\nLoad average before the run: {load_before}.\n");
    Ok(Outcome { text, faults })
}

fn look_ups(plan: &Plan, text: &mut String, faults: &mut Vec<String>) -> Result<()> {
    let sizes = [(10, ""), (10, ", again (A/A)"), (100, ""), (1_000, ""), (LARGEST, "")];
    let mut tables = Vec::new();
    for (size, note) in sizes {
        let specs = table::specs(size);
        let model = table::model(&specs)?;
        tables.push(Table::new(format!("{size} routes{note}"), model, |number, rng| {
            match number % STRAY {
                0 => Request::stray(number),
                _ => specs[rng.usize(..specs.len())].request(number),
            }
        }));
    }
    let expressions = table::expressions()?;
    let label = "10 regular expressions, the last fits".to_owned();
    tables.push(Table::new(label, expressions, |number, _| Request::described(number)));
    for round in 0..plan.rounds {
        // A different first one each round, so that none always follows the same neighbour.
        let count = tables.len();
        for index in (0..count).map(|index| (index + round) % count) {
            tables[index].measure();
        }
        eprintln!("bench: router: round {} of {}", round + 1, plan.rounds);
    }
    let _ = write!(
        text,
        "Hosts, wildcards, prefixes, exact paths, methods and header fields mixed; {REQUESTS} different requests per table, one in \
         {STRAY} of them taken by no route; one thread, {} interleaved rounds of {} look-ups. Median (least–greatest) over the \
         rounds; the growth is taken round by round and may be {MAX_GROWTH:.0} ns.\n\n\
         | | CPU ns/look-up | growth over 10 routes |\n|---|---|---|\n",
        plan.rounds,
        REQUESTS * PASSES,
    );
    let base = tables[0].nanos.clone();
    for (index, table) in tables.iter().enumerate() {
        let growth = table.nanos.iter().zip(&base).map(|(own, base)| own - base);
        let growth = Spread::of(growth).ok_or("no rounds")?;
        let nanos = Spread::of(table.nanos.iter().copied()).ok_or("no rounds")?;
        let shown = if index == 0 { "0".to_owned() } else { format!("{growth:.0}") };
        let _ = writeln!(text, "| {} | {nanos:.0} | {shown} |", table.label);
        if index > 0 && index < sizes.len() && growth.median > MAX_GROWTH {
            faults.push(format!("{}: {:.0} ns above 10 routes", table.label, growth.median));
        }
    }
    Ok(())
}

impl Table {
    fn new(
        label: String,
        model: Model,
        mut request: impl FnMut(usize, &mut fastrand::Rng) -> Request,
    ) -> Self {
        let snapshot = Snapshot::compile(Arc::new(model), String::new(), None, 1);
        let router = snapshot.expect("it names no files").router;
        let mut rng = fastrand::Rng::with_seed(1);
        let requests = (0..REQUESTS).map(|number| request(number, &mut rng)).collect();
        Self { label, router, requests, headers: table::headers(), nanos: Vec::new() }
    }

    fn measure(&mut self) {
        self.pass();
        let start = cpu_time();
        for _ in 0..PASSES {
            self.pass();
        }
        let used = cpu_time().saturating_sub(start).as_nanos() as f64;
        self.nanos.push(used / (REQUESTS * PASSES) as f64);
    }

    fn pass(&self) {
        for request in &self.requests {
            black_box(self.router.find(LISTENER, &request.asked(&self.headers)));
        }
    }
}

/// A model, and the milliseconds that each round took to make a snapshot of it.
struct Step {
    label: String,
    millis: Vec<f64>,
}

fn compilation(plan: &Plan, text: &mut String, faults: &mut Vec<String>) -> Result<()> {
    let specs = table::specs(LARGEST);
    let model = Arc::new(table::model(&specs)?);
    let file = table::file(&specs);
    let mut changed_backend = Model::clone(&model);
    changed_backend.backends[0].algorithm = Algorithm::RoundRobin;
    let changed_backend = Arc::new(changed_backend);
    let mut changed_route = Model::clone(&model);
    changed_route.routes[0].backends[0].weight = 2;
    let changed_route = Arc::new(changed_route);
    let mut inserted = Model::clone(&model);
    let route = inserted.routes.remove(LARGEST - 1);
    inserted.routes.insert(0, route);
    let inserted = Arc::new(inserted);

    let first = compile(&model, None);
    let anew = |model: &Arc<Model>| {
        let next = compile(model, Some(&first));
        let same = |(a, b): &(&Arc<_>, &Arc<_>)| !Arc::ptr_eq(a, b);
        let moved = first.router.routes().iter().zip(next.router.routes());
        moved.filter(same).count()
    };
    let steps = [
        ("model → snapshot, the first".to_owned(), &model, None),
        ("model → snapshot, nothing changed".to_owned(), &model, Some(&first)),
        (
            format!("one backend changed ({} routes anew)", anew(&changed_backend)),
            &changed_backend,
            Some(&first),
        ),
        (
            format!("one route's weight changed ({} route anew)", anew(&changed_route)),
            &changed_route,
            Some(&first),
        ),
        ("the last route moved to the front (a new table)".to_owned(), &inserted, Some(&first)),
    ];
    let mut results: Vec<Step> =
        steps.iter().map(|(label, ..)| Step { label: label.clone(), millis: Vec::new() }).collect();
    for round in 0..plan.rounds {
        for index in (0..steps.len()).map(|index| (index + round) % steps.len()) {
            let (_, model, previous) = &steps[index];
            results[index].millis.push(millis(|| compile(model, *previous)));
        }
    }
    let whole = reload(plan, &file, &model, &first);
    let _ = write!(
        text,
        "{LARGEST} routes to {} backends of two endpoints; {} rounds. The first may take {MAX_COMPILE:.0} ms.\n\n\
         | | ms |\n|---|---|\n",
        table::backends(LARGEST),
        plan.rounds,
    );
    for Step { label, millis } in &results {
        let spread = Spread::of(millis.iter().copied()).ok_or("no rounds")?;
        let _ = writeln!(text, "| {label} | {spread:.1} |");
    }
    let size = file.len() as f64 / f64::from(1 << 20);
    match whole {
        Ok(spread) => {
            let _ =
                writeln!(text, "| a whole reload, from a file of {size:.1} MiB | {spread:.0} |");
        }
        Err(error) => faults.push(format!("the file of {LARGEST} routes: {error}")),
    }
    let compiled = Spread::of(results[0].millis.iter().copied()).ok_or("no rounds")?.median;
    if compiled > MAX_COMPILE {
        faults.push(format!("model → snapshot takes {compiled:.0} ms"));
    }
    Ok(())
}

/// From the bytes of a file with one backend changed to its snapshot.
fn reload(plan: &Plan, file: &str, model: &Model, first: &Snapshot) -> Result<Spread> {
    if table::load(file)? != *model {
        return Err("reads as another model".into());
    }
    let edited = file.replacen("LeastConnections", "RoundRobin", 1);
    let mut all = Vec::new();
    for _ in 0..plan.rounds {
        let mut loaded = Err("no rounds".into());
        all.push(millis(|| {
            loaded = table::load(&edited).map(|model| compile(&Arc::new(model), Some(first)));
        }));
        loaded?;
    }
    Spread::of(all).ok_or_else(|| "no rounds".into())
}

fn compile(model: &Arc<Model>, previous: Option<&Snapshot>) -> Snapshot {
    Snapshot::compile(Arc::clone(model), String::new(), previous, 2).expect("it names no files")
}

/// How long this thread has run: without the time that others had its core.
fn cpu_time() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec.unsigned_abs(), time.tv_nsec.unsigned_abs() as u32)
}

/// How long `work` takes; what it returns is dropped afterwards.
fn millis<T>(work: impl FnOnce() -> T) -> f64 {
    let start = Instant::now();
    let result = work();
    let elapsed = start.elapsed().as_secs_f64() * 1e3;
    drop(result);
    elapsed
}
