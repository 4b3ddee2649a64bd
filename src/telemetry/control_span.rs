//! Spans of what the process does of its own accord: reloads and probes. They go where the requests' spans go.
//!
//! Their target keeps them out of the log, and nothing else of the log goes with them.

use super::traces::{Exporter, Finished};
use arc_swap::ArcSwapOption;
use opentelemetry::Context;
use opentelemetry::trace::TracerProvider;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{
    Sampler, SdkTracerProvider, Span as SdkSpan, SpanData, SpanProcessor,
};
use std::fmt::Display;
use std::sync::Arc;
use std::time::Duration;
use tracing::subscriber::Interest;
use tracing::{Metadata, Span, Subscriber, field};
use tracing_subscriber::Layer;
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::layer::{Context as LayerContext, Filter};
use tracing_subscriber::registry::LookupSpan;

/// The target of these spans, and of nothing else.
pub const TARGET: &str = "outrigger::control_span";

/// Where they go, if anywhere. One for the process, as the log is.
static EXPORTER: ArcSwapOption<Exporter> = ArcSwapOption::const_empty();

/// Has them sent by `exporter`, or not at all.
pub fn export_by(exporter: Option<Exporter>) {
    EXPORTER.store(exporter.map(Arc::new));
}

/// A look at the configuration that may become a reload. It ends when this is dropped.
#[derive(Debug)]
pub struct Reload(Span);

impl Reload {
    /// Begins now.
    pub fn begin() -> Self {
        Self(tracing::info_span!(
            target: TARGET,
            "reload",
            outrigger.generation = field::Empty,
            outrigger.outcome = field::Empty,
            otel.status_code = field::Empty,
            otel.status_description = field::Empty,
        ))
    }

    /// Another generation runs, or the same as `before` goes on.
    pub fn done(self, generation: u64, before: u64) {
        self.0.record("outrigger.generation", generation as i64);
        let outcome = if generation == before { "unchanged" } else { "accepted" };
        self.0.record("outrigger.outcome", outcome);
    }

    /// The configuration was refused; `generation` goes on.
    pub fn refused(self, generation: u64, why: &dyn Display) {
        self.0.record("outrigger.generation", generation as i64);
        self.0.record("outrigger.outcome", "refused");
        fail(&self.0, why);
    }
}

/// A probe of an endpoint, unless `is_sampled` says no. It ends when the span is dropped.
pub fn probe(kind: &str, backend: &str, endpoint: &str, is_sampled: bool) -> Span {
    if !is_sampled {
        return Span::none();
    }
    tracing::info_span!(
        target: TARGET,
        "probe",
        otel.kind = "client",
        outrigger.probe = kind,
        outrigger.backend = backend,
        outrigger.endpoint = endpoint,
        outrigger.outcome = field::Empty,
        otel.status_code = field::Empty,
        otel.status_description = field::Empty,
    )
}

/// Says what became of the probe in whose span this is.
pub fn probed(failure: Option<&dyn Display>) {
    let span = Span::current();
    match failure {
        None => drop(span.record("outrigger.outcome", "passed")),
        Some(why) => {
            span.record("outrigger.outcome", "failed");
            fail(&span, why);
        }
    }
}

fn fail(span: &Span, why: &dyn Display) {
    span.record("otel.status_code", "ERROR");
    span.record("otel.status_description", field::display(why));
}

/// Makes spans of OpenTelemetry of them while they are exported, and costs nothing else.
pub(super) fn layer<S>() -> impl Layer<S> + Send + Sync
where
    S: Subscriber + for<'a> LookupSpan<'a> + Send + Sync,
{
    let provider = SdkTracerProvider::builder()
        .with_sampler(Sampler::AlwaysOn)
        .with_span_processor(ToExporter)
        .build();
    tracing_opentelemetry::layer()
        .with_tracer(provider.tracer("outrigger"))
        .with_location(false)
        .with_threads(false)
        .with_tracked_inactivity(false)
        .with_level(false)
        .with_target(false)
        .with_filter(WhileExported)
}

/// Whether it is one of our spans, and they are exported.
struct WhileExported;

impl<S> Filter<S> for WhileExported {
    fn enabled(&self, metadata: &Metadata<'_>, _: &LayerContext<'_, S>) -> bool {
        metadata.target() == TARGET && EXPORTER.load().is_some()
    }

    fn callsite_enabled(&self, metadata: &'static Metadata<'static>) -> Interest {
        match metadata.target() == TARGET {
            true => Interest::sometimes(),
            false => Interest::never(),
        }
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        Some(LevelFilter::INFO)
    }
}

#[derive(Debug)]
struct ToExporter;

impl SpanProcessor for ToExporter {
    fn on_start(&self, _: &mut SdkSpan, _: &Context) {}

    fn on_end(&self, span: SpanData) {
        if let Some(exporter) = &*EXPORTER.load() {
            exporter.submit(Arc::new(One(span)));
        }
    }

    fn force_flush(&self) -> OTelSdkResult {
        Ok(())
    }

    fn shutdown_with_timeout(&self, _: Duration) -> OTelSdkResult {
        Ok(())
    }
}

/// A trace of one span.
struct One(SpanData);

impl Finished for One {
    fn count(&self) -> usize {
        1
    }

    fn spans(&self, out: &mut Vec<SpanData>) {
        out.push(self.0.clone());
    }
}
