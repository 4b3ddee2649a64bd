//! Traces that go nowhere, or hardly where they were meant to.

use super::Warner;
use crate::config::problem::Fault;
use crate::config::tree::At;
use crate::model::{Keep, OtlpProtocol, Parents, Traces};

impl Warner<'_, '_> {
    /// Warns about `traces`, those of the document at `root`.
    pub(super) fn traces(&self, traces: Option<&Traces>, root: &At<'_>) {
        let telemetry = root.key("telemetry");
        let at = telemetry.key("traces");
        let Some(traces) = traces else {
            // Whoever writes an empty text wants none.
            if telemetry.has_value("traces") && !at.has_value("endpoint") {
                let fault = Fault::new("no request is traced: there is no `endpoint`");
                let allowed = "the URL of a collector here or in `OTEL_EXPORTER_OTLP_ENDPOINT`, or `endpoint: \"\"`";
                self.found.warn(&at, fault.allow(allowed));
            }
            return;
        };
        self.endpoint(traces, &at);
        let Keep { errors, retries, slower_than } = traces.sampling.keep;
        if traces.sampling.ratio.value() == 0.0 && !errors && !retries && slower_than.is_none() {
            self.say(
                &at.key("sample"),
                match traces.sampling.parents {
                    Parents::Ignore => "no trace is ever sent: `sample` is 0, and `keep` keeps none",
                    Parents::Follow => {
                        "no trace is sent but those of callers that trace already: `sample` is 0, and `keep` keeps none"
                    }
                },
            );
        }
    }

    fn endpoint(&self, traces: &Traces, at: &At<'_>) {
        let exporter = &traces.exporter;
        if exporter.endpoint.starts_with("http://") && exporter.files().next().is_some() {
            let message = "`tls` has no effect: the URL of the collector begins with `http://`";
            self.say(&at.key("tls"), message);
        }
        let rest = exporter.endpoint.split_once("://").map_or("", |(_, rest)| rest);
        let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
        let (other, port, name) = match exporter.protocol {
            OtlpProtocol::Grpc => ("HttpProtobuf", "4318", "gRPC"),
            OtlpProtocol::HttpProtobuf => ("Grpc", "4317", "HTTP"),
        };
        let at = at.key("endpoint");
        if authority.rsplit_once(':').is_some_and(|(_, found)| found == port) {
            let fault =
                Fault::new(format!("{name} to port {port}, which is usually that of `{other}`"));
            self.found.warn(
                &at,
                fault.allow(format!("`protocol: {other}`, or the collector's other port")),
            );
        }
        if path == "/" {
            let fault =
                Fault::new("spans are posted to `/`, while collectors take them at `/v1/traces`");
            self.found.warn(&at, fault.allow("the URL without a path, or with the whole one"));
        }
    }
}
