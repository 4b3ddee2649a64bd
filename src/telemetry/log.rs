//! The log: what the process says of itself, to standard error. Requests' lines are not part of it.
//!
//! A thread writes it, so that whoever says something goes on, even if nobody reads it.

use super::control_span;
use std::fmt;
use std::io::{IsTerminal, Write};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::{FilterExt, filter_fn};
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::{EnvFilter, Layer, Registry, reload};

/// The environment variable that says what is logged, when no flag does.
pub const FILTER_VARIABLE: &str = "OUTRIGGER_LOG";

/// What is logged when nobody says otherwise.
pub const DEFAULT_FILTER: &str = "info";

/// The most lines that wait to be written; what comes beyond is dropped.
const MAX_WAITING: usize = 4096;

/// How long [`flush`] waits for a slow reader.
const FLUSH_AT_MOST: Duration = Duration::from_secs(1);

/// Lines that were dropped.
static DROPPED: AtomicU64 = AtomicU64::new(0);

/// The way to the writing thread, once there is one.
static WRITER: OnceLock<SyncSender<Message>> = OnceLock::new();

/// The filter of this process's log.
static FILTER: LazyLock<Filter> = LazyLock::new(Filter::default);

/// What the writing thread is given.
enum Message {
    /// A line, with its end.
    Line(Vec<u8>),
    /// All before it is written.
    Flushed(SyncSender<()>),
}

/// How a line of the log looks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Format {
    /// For people: time, level, message, fields.
    #[default]
    Text,
    /// For machines: one JSON object per line.
    Json,
}

/// A filter that cannot be understood.
#[derive(Debug, thiserror::Error)]
#[error(
    "{origin}: `{filter}`: {reason}\n  expected a level (error, warn, info, debug, trace, off), \
     or levels by module, such as `info,outrigger::probe=debug`"
)]
pub struct FilterError {
    origin: String,
    filter: String,
    reason: String,
}

/// What is logged, which may be changed while the process runs; clones are the same.
#[derive(Clone)]
pub struct Filter(Arc<Inner>);

struct Inner {
    text: Mutex<String>,
    /// There once something is logged by it.
    apply: OnceLock<Apply>,
}

/// Makes a filter count.
type Apply = Box<dyn Fn(EnvFilter) -> Result<(), reload::Error> + Send + Sync>;

impl Default for Filter {
    /// One by which nothing is logged yet.
    fn default() -> Self {
        Self(Arc::new(Inner { text: Mutex::new(DEFAULT_FILTER.into()), apply: OnceLock::new() }))
    }
}

impl Filter {
    /// The filter of this process's log.
    pub fn of_process() -> Self {
        FILTER.clone()
    }

    /// It as it was typed.
    pub fn text(&self) -> String {
        self.lock().clone()
    }

    /// Makes `text` count from now on, and logs that. Returns what it logged.
    ///
    /// # Errors
    /// When it is no filter.
    pub fn set(&self, text: &str) -> Result<String, FilterError> {
        let text = text.trim();
        let filter = parse("log level", text)?;
        let mut present = self.lock();
        let change = format!("log level {present} → {text}");
        // A quieter filter would hide it afterwards; the one before may have been the quieter one.
        let is_shown = tracing::enabled!(tracing::Level::INFO);
        if is_shown {
            tracing::info!("{change}");
        }
        if let Some(apply) = self.0.apply.get() {
            let refuse = |error| FilterError::new("log level", text, format!("{error}"));
            apply(filter).map_err(refuse)?;
        }
        if !is_shown {
            tracing::info!("{change}");
        }
        text.clone_into(&mut present);
        Ok(change)
    }

    fn lock(&self) -> MutexGuard<'_, String> {
        self.0.text.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Filter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Filter").field(&self.text()).finish()
    }
}

impl FilterError {
    fn new(origin: &str, filter: &str, reason: String) -> Self {
        Self { origin: origin.to_owned(), filter: filter.to_owned(), reason }
    }
}

/// Starts logging to standard error, for the whole process.
///
/// `flag` is what the command line asked for; without it the environment variable [`FILTER_VARIABLE`] counts, and
/// without that [`DEFAULT_FILTER`]. Does nothing when the process logs already.
pub fn init(flag: Option<&str>, format: Format) -> Result<(), FilterError> {
    let variable = std::env::var_os(FILTER_VARIABLE).filter(|value| !value.is_empty());
    let (origin, text) = match (flag, variable) {
        (Some(flag), _) => ("--log-level", flag.to_owned()),
        (None, Some(variable)) => (FILTER_VARIABLE, variable.to_string_lossy().into_owned()),
        (None, None) => ("the default", DEFAULT_FILTER.to_owned()),
    };
    let filter = parse(origin, &text)?;
    let colours = std::io::stderr().is_terminal()
        && std::env::var_os("NO_COLOR").is_none_or(|no| no.is_empty());
    let (dispatch, apply) = dispatch(filter, format, colours, Stderr);
    if tracing::dispatcher::set_global_default(dispatch).is_ok() {
        *FILTER.lock() = text;
        let _ = FILTER.0.apply.set(apply);
    }
    WRITER.get_or_init(|| {
        let (sender, messages) = sync_channel(MAX_WAITING);
        // Without a thread nobody takes the lines, and each is written by who says it.
        let _ = std::thread::Builder::new().name("log".to_owned()).spawn(move || write(&messages));
        sender
    });
    Ok(())
}

/// Waits until all that was said is written, but not for a reader that takes nothing any more. To be called before the
/// process ends, and before something else is written that must come after.
pub fn flush() {
    let (flushed, wait) = sync_channel(1);
    if WRITER.get().is_some_and(|writer| writer.try_send(Message::Flushed(flushed)).is_ok()) {
        let _ = wait.recv_timeout(FLUSH_AT_MOST);
    }
}

/// Gives a line to the writing thread, or drops it if too many wait; `false` if there is no such thread.
fn hand_over(writer: &SyncSender<Message>, line: &[u8]) -> bool {
    match writer.try_send(Message::Line(line.to_vec())) {
        Ok(()) => true,
        Err(TrySendError::Full(_)) => {
            DROPPED.fetch_add(1, Relaxed);
            true
        }
        Err(TrySendError::Disconnected(_)) => false,
    }
}

/// Lines that were dropped, because standard error did not take them in time.
pub fn dropped() -> u64 {
    DROPPED.load(Relaxed)
}

fn write(messages: &Receiver<Message>) {
    for message in messages {
        match message {
            // When standard error is closed there is nobody to tell.
            Message::Line(line) => drop(std::io::stderr().lock().write_all(&line)),
            Message::Flushed(flushed) => drop(flushed.try_send(())),
        }
    }
}

fn parse(origin: &str, filter: &str) -> Result<EnvFilter, FilterError> {
    let refuse = |reason: String| FilterError::new(origin, filter, reason);
    // A bare word that is no level would be taken for a module, and a misspelt level would silence everything.
    let directives: Vec<_> = filter.split(',').map(str::trim).collect();
    // Without any, nothing would be logged; who wants that says `off`.
    if directives.iter().all(|word| word.is_empty()) {
        return Err(refuse("it is empty".to_owned()));
    }
    let bare = |word: &&&str| !word.contains(['=', '[', ']', '{', '}']) && !word.contains("::");
    for word in directives.iter().filter(bare) {
        if *word != "outrigger" && word.parse::<LevelFilter>().is_err() {
            return Err(refuse(format!("`{word}` is no level")));
        }
    }
    EnvFilter::builder().parse(directives.join(",")).map_err(|error| refuse(error.to_string()))
}

/// What logs, and the way to change its filter.
fn dispatch<W>(
    filter: EnvFilter,
    format: Format,
    colours: bool,
    writer: W,
) -> (tracing::Dispatch, Apply)
where
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    let lines = tracing_subscriber::fmt::layer()
        .with_writer(writer)
        .with_ansi(colours)
        // When standard error is closed there is nobody to tell, and telling would panic.
        .log_internal_errors(false);
    let lines: Box<dyn Layer<Registry> + Send + Sync> = match format {
        Format::Text => Box::new(lines.with_target(false)),
        Format::Json => Box::new(lines.json().flatten_event(true)),
    };
    let (filter, handle) = reload::Layer::new(filter);
    // Spans of the control plane are for a collector; no line tells of them.
    let filter = filter.and(filter_fn(|metadata| {
        metadata.target() != control_span::TARGET && !is_said_otherwise(metadata)
    }));
    let subscriber = Registry::default().with(lines.with_filter(filter));
    let dispatch = tracing::Dispatch::new(subscriber.with(control_span::layer()));
    (dispatch, Box::new(move |filter| handle.reload(filter)))
}

/// What the client of Kubernetes warns of: we say it ourselves, once, and without the objects that its words may hold.
fn is_said_otherwise(metadata: &tracing::Metadata<'_>) -> bool {
    *metadata.level() == tracing::Level::WARN && metadata.target().starts_with("kube_client")
}

/// Standard error, each line in one write, so that lines of several threads do not mix.
#[derive(Clone, Copy)]
struct Stderr;

impl Write for Stderr {
    fn write(&mut self, line: &[u8]) -> std::io::Result<usize> {
        match WRITER.get() {
            Some(writer) if hand_over(writer, line) => Ok(line.len()),
            Some(_) | None => std::io::stderr().lock().write(line),
        }
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl MakeWriter<'_> for Stderr {
    type Writer = Self;

    fn make_writer(&self) -> Self {
        *self
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::{Arc, Mutex};

    fn logged(filter: &str, format: Format, say: impl FnOnce()) -> String {
        let lines = Arc::new(Mutex::new(Vec::new()));
        let sink = Arc::clone(&lines);
        let writer = move || Sink(Arc::clone(&sink));
        let (dispatch, _) = dispatch(parse("test", filter).unwrap(), format, false, writer);
        tracing::dispatcher::with_default(&dispatch, say);
        String::from_utf8(lines.lock().unwrap().clone()).unwrap()
    }

    struct Sink(Arc<Mutex<Vec<u8>>>);

    impl Write for Sink {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_line_that_nobody_takes_in_time_is_dropped_and_counted() {
        let (writer, messages) = sync_channel(1);
        let before = dropped();
        assert!(hand_over(&writer, b"first") && hand_over(&writer, b"second"));
        assert_eq!(dropped() - before, 1);
        drop(messages);
        assert!(!hand_over(&writer, b"third"), "it is written by who says it");
    }

    #[test]
    fn a_level_hides_what_is_below_it() {
        let text = logged("warn", Format::Text, || {
            tracing::warn!(backend = "demo", "said");
            tracing::info!("hidden");
        });
        assert!(text.contains("WARN") && text.contains("said backend=\"demo\""), "{text}");
        assert!(!text.contains("hidden"), "{text}");
    }

    #[test]
    fn a_module_can_have_a_level_of_its_own() {
        let text = logged("warn,outrigger::telemetry=debug", Format::Text, || {
            tracing::debug!("near");
            tracing::debug!(target: "elsewhere", "far");
        });
        assert!(text.contains("near") && !text.contains("far"), "{text}");
    }

    #[test]
    fn a_filter_that_is_changed_counts_at_once_and_one_that_is_none_changes_nothing() {
        let lines = Arc::new(Mutex::new(Vec::new()));
        let sink = Arc::clone(&lines);
        let writer = move || Sink(Arc::clone(&sink));
        let (dispatch, apply) =
            dispatch(parse("test", "info").unwrap(), Format::Text, false, writer);
        let filter = Filter::default();
        assert!(filter.0.apply.set(apply).is_ok());
        tracing::dispatcher::with_default(&dispatch, || {
            tracing::debug!("first");
            filter.set(" warn,outrigger=debug\n").unwrap();
            assert_eq!(filter.text(), "warn,outrigger=debug");
            tracing::debug!("second");
            let error = filter.set("inof").unwrap_err().to_string();
            assert!(error.starts_with("log level: `inof`: "), "{error}");
            assert_eq!(filter.text(), "warn,outrigger=debug");
            tracing::debug!("third");
            filter.set("off").unwrap();
            tracing::error!("fourth");
            filter.set("warn,outrigger=info").unwrap();
        });
        let text = String::from_utf8(lines.lock().unwrap().clone()).unwrap();
        let said = ["first", "second", "third", "fourth"].map(|word| text.contains(word));
        assert_eq!(said, [false, true, true, false], "{text}");
        // Each change is told once, by whichever filter shows it.
        let changes: Vec<_> =
            text.lines().filter_map(|line| line.split_once("log level ")).map(|it| it.1).collect();
        let [first, second] = ["info → warn,outrigger=debug", "warn,outrigger=debug → off"];
        assert_eq!(changes, [first, second, "off → warn,outrigger=info"], "{text}");
    }

    #[test]
    fn a_json_line_is_one_object_with_its_fields_at_the_top() {
        let text = logged("info", Format::Json, || tracing::info!(generation = 7, "reload"));
        let line: serde_json::Value = serde_json::from_str(text.trim_end()).unwrap();
        assert_eq!(line["level"], "INFO");
        assert_eq!(line["message"], "reload");
        assert_eq!(line["generation"], 7);
    }

    #[test]
    fn no_line_tells_of_the_control_planes_spans() {
        for (filter, format) in [("trace", Format::Text), ("outrigger=trace", Format::Json)] {
            let text = logged(filter, format, || {
                let span = control_span::probe("health", "demo", "http://127.0.0.1:1", true);
                span.in_scope(|| tracing::info!("said"));
            });
            assert!(text.contains("said") && !text.contains("probe"), "{text}");
        }
    }

    #[test]
    fn what_the_client_of_kubernetes_warns_of_is_left_to_us() {
        for filter in ["info", "trace"] {
            let text = logged(filter, Format::Text, || {
                tracing::warn!(target: "kube_client::client", "hidden");
                tracing::error!(target: "kube_client::client", "said");
            });
            assert!(text.contains("said") && !text.contains("hidden"), "{text}");
        }
    }

    #[test]
    fn a_misspelt_level_is_refused_and_not_taken_for_a_module() {
        for filter in ["inof", "info,degub", "outrigger=verbose", "outrigger::probe=loud", "", ","]
        {
            let error = parse("--log-level", filter).unwrap_err().to_string();
            assert!(error.starts_with(&format!("--log-level: `{filter}`: ")), "{error}");
            assert!(error.contains("expected a level (error, warn, info"), "{error}");
        }
    }

    #[test]
    fn every_spelling_of_the_documentation_is_understood() {
        for filter in
            ["error", "WARN", "off", "info, outrigger::probe=debug", "outrigger", "hyper=off"]
        {
            parse("test", filter).unwrap();
        }
    }
}
