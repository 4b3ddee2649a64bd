//! The standard variables of OpenTelemetry, and those that a pod is told of itself by.
//!
//! What a variable says and the file does not is put into the document, as if `${NAME}` stood there: so it is read, checked and
//! shown in messages like everything else. A bad value is warned of and ignored, as OpenTelemetry's specification wants
//! ("Environment Variable Specification"); an endpoint that cannot be used is a mistake.

mod attributes;
mod draft;
mod sampling;

use super::expand::Variables;
use super::problem::{Collector, Fault};
use super::scalar::{FilePath, Number, Word};
use super::tree::{At, Node};
use draft::Draft;
use std::borrow::Cow;

/// A year, the longest duration, in milliseconds.
const YEAR: u64 = 365 * 24 * 60 * 60 * 1000;

/// The document of `root` with what `variables` say of traces; what is wrong with them goes to `problems`.
pub(super) fn complete<'t>(
    root: &'t Node,
    variables: Variables<'_>,
    problems: &Collector,
) -> Cow<'t, Node> {
    let at = At::root(root).key("telemetry").key("traces");
    let environment = Environment { variables, problems, at };
    let telemetry = || {
        let mut telemetry = Draft::of(root, "telemetry")?;
        let traces = environment.traces(telemetry.within("traces")?, telemetry.has("traces"))?;
        telemetry.put("traces", traces.node());
        Some(telemetry.node())
    };
    match telemetry() {
        None => Cow::Borrowed(root),
        Some(telemetry) => Cow::Owned(draft::with(root, "telemetry", telemetry)),
    }
}

/// The variables, and where to say what is wrong with them.
struct Environment<'e> {
    variables: Variables<'e>,
    problems: &'e Collector,
    at: At<'e>,
}

impl Environment<'_> {
    /// The traces of the file, `traces`, with what is not in it; `None` when there is nothing to add.
    fn traces(&self, mut traces: Draft, in_file: bool) -> Option<Draft> {
        if traces.text("endpoint") == Some("") {
            return None;
        }
        let endpoint = match traces.has("endpoint") {
            true => None,
            false => Some(self.of_signal("ENDPOINT")?),
        };
        match self.off() {
            None => {}
            Some(name) if endpoint.is_none() => {
                self.warn(name, "turns no traces off: the file has an `endpoint`", "");
            }
            Some(name) => {
                // It is known why there is none.
                traces.put("endpoint", traces.word("", &format!("${{{name}}}")));
                return in_file.then_some(traces);
            }
        }
        self.protocol(&mut traces);
        if let Some((name, text)) = endpoint {
            let (text, behind) = match traces.text("protocol") {
                Some("HttpProtobuf") => http_endpoint(&name, text),
                Some(_) | None => (text, ""),
            };
            traces.put("endpoint", traces.word(text, &format!("${{{name}}}{behind}")));
        }
        self.export(&mut traces);
        self.tls(&mut traces);
        self.sampling(&mut traces);
        self.propagation(&mut traces);
        self.attributes(&mut traces);
        self.queue(&mut traces);
        Some(traces)
    }

    /// The variable that turns traces off, if one does.
    fn off(&self) -> Option<&'static str> {
        const DISABLED: &str = "OTEL_SDK_DISABLED";
        const EXPORTER: &str = "OTEL_TRACES_EXPORTER";
        if let Some(text) = self.get(DISABLED) {
            match text.to_ascii_lowercase().as_str() {
                "true" => return Some(DISABLED),
                "false" => {}
                _ => self.ignore(DISABLED, "is not a boolean", "`true` or `false`"),
            }
        }
        let text = self.get(EXPORTER)?;
        let named: Vec<_> = text.split(',').map(str::trim).filter(|one| !one.is_empty()).collect();
        if named == ["none"] {
            return Some(EXPORTER);
        }
        if named.iter().any(|one| !matches!(*one, "otlp" | "none")) {
            self.warn(
                EXPORTER,
                "names an exporter that there is not: OTLP is spoken",
                "`otlp` or `none`",
            );
        }
        None
    }

    fn protocol(&self, traces: &mut Draft) {
        if traces.has("protocol") {
            return;
        }
        let Some((name, text)) = self.of_signal("PROTOCOL") else { return };
        let allowed = "`grpc` or `http/protobuf`";
        let protocol = match &*text {
            "grpc" => "Grpc",
            "http/protobuf" => "HttpProtobuf",
            "http/json" => {
                let fault = Fault::new(format!(
                    "the variable `{name}` wants `http/json`, which is not spoken"
                ));
                return self.problems.value(&self.at, fault.allow(allowed));
            }
            _ => return self.ignore(&name, "is not a protocol", allowed),
        };
        traces.put("protocol", traces.word(protocol, &format!("${{{name}}}")));
    }

    fn export(&self, traces: &mut Draft) {
        if !traces.has("compression")
            && let Some((name, text)) = self.of_signal("COMPRESSION")
        {
            match &*text {
                "gzip" => traces.put("compression", traces.word("Gzip", &format!("${{{name}}}"))),
                "none" => {
                    traces.put("compression", traces.word("Uncompressed", &format!("${{{name}}}")))
                }
                _ => self.ignore(&name, "is not a compression", "`gzip` or `none`"),
            }
        }
        if !traces.has("timeout")
            && let Some((name, text)) = self.of_signal("TIMEOUT")
        {
            self.milliseconds(traces, "timeout", &name, &text);
        }
        if !traces.has("headers")
            && let Some((name, text)) = self.of_signal("HEADERS")
        {
            self.headers(traces, &name, &text);
        }
    }

    /// Files are taken from the environment only when the file says nothing of TLS: whose certificate belongs to whose key is not to be
    /// guessed.
    fn tls(&self, traces: &mut Draft) {
        let Some(mut tls) = traces.within("tls").filter(|_| !traces.has("tls")) else { return };
        let file = |key| {
            let (name, text) = self.of_signal(key)?;
            let path = self.word::<FilePath>(&name, &text)?.0;
            // Seen from the present folder, not from that of the configuration.
            let path = std::path::absolute(&path).unwrap_or(path);
            Some((path.display().to_string(), format!("${{{name}}}"), name))
        };
        if let Some((path, shown, _)) = file("CERTIFICATE") {
            tls.put("caFile", tls.word(path, &shown));
        }
        match (file("CLIENT_CERTIFICATE"), file("CLIENT_KEY")) {
            (Some(cert), Some(key)) => {
                let Some(mut pair) = tls.within("clientCertificate") else { return };
                pair.put("certFile", pair.word(cert.0, &cert.1));
                pair.put("keyFile", pair.word(key.0, &key.1));
                tls.put("clientCertificate", pair.node());
            }
            (Some((.., name)), None) => self.ignore(
                &name,
                "has no use without its key",
                "also `OTEL_EXPORTER_OTLP_CLIENT_KEY`",
            ),
            (None, Some((.., name))) => {
                self.ignore(
                    &name,
                    "has no use without its certificate",
                    "also `OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE`",
                );
            }
            (None, None) => {}
        }
        if !tls.is_empty() {
            traces.put("tls", tls.node());
        }
    }

    fn queue(&self, traces: &mut Draft) {
        let Some(mut queue) = traces.within("queue") else { return };
        for (key, name) in [
            ("maxSpans", "OTEL_BSP_MAX_QUEUE_SIZE"),
            ("maxBatch", "OTEL_BSP_MAX_EXPORT_BATCH_SIZE"),
        ] {
            if !queue.has(key)
                && let Some(text) = self.get(name)
                && let Some(number) = self.word::<Number<1, 1_000_000>>(name, &text)
            {
                queue.put(key, queue.word(number.0, &format!("${{{name}}}")));
            }
        }
        const DELAY: &str = "OTEL_BSP_SCHEDULE_DELAY";
        if !queue.has("delay")
            && let Some(text) = self.get(DELAY)
        {
            self.milliseconds(&mut queue, "delay", DELAY, &text);
        }
        if !queue.is_empty() {
            traces.put("queue", queue.node());
        }
    }

    /// Puts a time in milliseconds, as OpenTelemetry has it, for `key`.
    fn milliseconds(&self, draft: &mut Draft, key: &'static str, name: &str, text: &str) {
        if let Some(number) = self.word::<Number<10, YEAR>>(name, text) {
            draft.put(key, draft.word(format!("{}ms", number.0), &format!("${{{name}}}")));
        }
    }

    /// What a variable says. An empty one says nothing (the same specification).
    fn get(&self, name: &str) -> Option<String> {
        let text = (self.variables)(name)?;
        let text = text.trim();
        (!text.is_empty()).then(|| text.to_owned())
    }

    /// The variable of the exporter of traces, or else that of all signals, and what it says.
    fn of_signal(&self, key: &str) -> Option<(String, String)> {
        let names =
            [format!("OTEL_EXPORTER_OTLP_TRACES_{key}"), format!("OTEL_EXPORTER_OTLP_{key}")];
        names.into_iter().find_map(|name| self.get(&name).map(|text| (name, text)))
    }

    /// The value of a variable as a word of the file.
    fn word<T: Word>(&self, name: &str, text: &str) -> Option<T> {
        T::parse(text)
            .map_err(|fault| {
                let allowed = fault.allowed.unwrap_or_else(T::expected);
                self.ignore(name, &fault.message, &allowed);
            })
            .ok()
    }

    /// Warns that a variable is ignored, for what it is.
    fn ignore(&self, name: &str, what: &str, allowed: &str) {
        self.warn(name, &format!("is ignored: it {what}"), allowed);
    }

    fn warn(&self, name: &str, what: &str, allowed: &str) {
        let fault = Fault::new(format!("the variable `{name}` {what}"));
        let fault = if allowed.is_empty() { fault } else { fault.allow(allowed) };
        self.problems.warn(&self.at, fault);
    }
}

/// The endpoint of a variable for OTLP over HTTP, and what of it is not in the variable: the one of all signals is a base, to which
/// the path of traces belongs, the one of traces is whole (OpenTelemetry, "OTLP Exporter Configuration").
fn http_endpoint(name: &str, text: String) -> (String, &'static str) {
    const PATH: &str = "/v1/traces";
    let has_path = text.split_once("://").is_some_and(|(_, rest)| rest.contains('/'));
    match name == "OTEL_EXPORTER_OTLP_ENDPOINT" {
        true => (format!("{}{PATH}", text.trim_end_matches('/')), PATH),
        false if has_path => (text, ""),
        false => (text + "/", "/"),
    }
}
