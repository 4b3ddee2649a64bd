//! Probes.

use super::Validator;
use super::defaulted::{number, share};
use crate::config::decode::Field;
use crate::config::file;
use crate::config::problem::Fault;
use crate::config::tree::At;
use crate::model::{self, Ratio, defaults};
use std::sync::Arc;

/// The checks that a probe could have.
type Checks<'f> =
    (&'f Field<file::HttpCheck>, &'f Field<file::TcpCheck>, &'f Field<file::GrpcCheck>);

impl Validator<'_> {
    pub(super) fn health_probe(
        &self,
        backend: &file::Backend,
        at: &At<'_>,
    ) -> Option<model::HealthProbe> {
        let typed = backend.health_probe.get()?;
        let at = at.key("healthProbe");
        let check = self.check((&typed.http, &typed.tcp, &typed.grpc), &backend.protocol, &at);
        let interval =
            self.positive(&typed.interval, defaults::HEALTH_PROBE_INTERVAL, &at.key("interval"));
        let timeout =
            self.positive(&typed.timeout, defaults::HEALTH_PROBE_TIMEOUT, &at.key("timeout"));
        Some(model::HealthProbe {
            probe: model::Probe { check: check?, interval, timeout },
            healthy_after: number(&typed.healthy_after, u64::from(defaults::HEALTHY_AFTER)) as u32,
            unhealthy_after: number(&typed.unhealthy_after, u64::from(defaults::UNHEALTHY_AFTER))
                as u32,
            minimum_healthy: share(&typed.minimum_healthy, Ratio::ZERO),
        })
    }

    pub(super) fn latency_probe(
        &self,
        backend: &file::Backend,
        at: &At<'_>,
    ) -> Option<model::LatencyProbe> {
        let typed = backend.latency_probe.get()?;
        let at = at.key("latencyProbe");
        let check = self.check((&typed.http, &typed.tcp, &typed.grpc), &backend.protocol, &at);
        let interval =
            self.positive(&typed.interval, defaults::LATENCY_PROBE_INTERVAL, &at.key("interval"));
        let timeout =
            self.positive(&typed.timeout, defaults::LATENCY_PROBE_TIMEOUT, &at.key("timeout"));
        Some(model::LatencyProbe { probe: model::Probe { check: check?, interval, timeout } })
    }

    /// The one check that a probe has. `protocol` is that of its backend.
    fn check(
        &self,
        (http, tcp, grpc): Checks<'_>,
        protocol: &Field<file::Protocol>,
        at: &At<'_>,
    ) -> Option<model::ProbeCheck> {
        let one = "exactly one of `http`, `tcp` and `grpc`";
        let keys =
            [("http", http.is_absent()), ("tcp", tcp.is_absent()), ("grpc", grpc.is_absent())];
        let mut there = keys.iter().filter(|(_, absent)| !absent).map(|(key, _)| *key);
        match (there.next(), there.next()) {
            (Some(first), Some(second)) => {
                let fault = Fault::new(format!("both `{first}` and `{second}`"));
                self.problems.key(&at.key(second), fault.allow(one));
                return None;
            }
            (Some(_), None) => {}
            (None, _) => {
                match keys.iter().map(|(key, _)| *key).find(|key| at.has(key)) {
                    Some(key) => {
                        let fault = Fault::new(format!("the key `{key}` has no value"));
                        let fault = fault.allow("a map, which may be empty: `{}`");
                        self.problems.key(&at.key(key), fault.suggest(format!("{key}: {{}}")));
                    }
                    None => {
                        let fault = Fault::new("none of `http`, `tcp` and `grpc`");
                        self.problems.value(at, fault.allow(one));
                    }
                }
                return None;
            }
        }
        if let Some(http) = http.get() {
            return Some(self.http_check(http, &at.key("http")));
        }
        if tcp.get().is_some() {
            return Some(model::ProbeCheck::Tcp);
        }
        let grpc = grpc.get()?;
        if matches!(protocol, Field::Absent | Field::Present(file::Protocol::Http1)) {
            let fault = Fault::new("`grpc` over HTTP/1.1, which gRPC does not speak");
            let allowed =
                "`protocol: Http2` (over TLS) or `protocol: H2c` (without) in this backend";
            self.problems.key(&at.key("grpc"), fault.allow(allowed));
        }
        let service = grpc.service.get().map_or("", |service| &*service.0);
        Some(model::ProbeCheck::Grpc { service: Arc::from(service) })
    }

    fn http_check(&self, typed: &file::HttpCheck, at: &At<'_>) -> model::ProbeCheck {
        let statuses = match &typed.statuses {
            Field::Absent => vec![defaults::PROBE_STATUSES],
            _ => {
                let typed = self.items(&typed.statuses, at, "statuses");
                typed.into_iter().map(|(statuses, _)| (statuses.0, statuses.1)).collect()
            }
        };
        model::ProbeCheck::Http {
            path: Arc::from(typed.path.get().map_or("/", |path| &*path.0)),
            host: typed.host.get().map(|host| Arc::from(&*host.0)),
            statuses,
            body: typed.body.get().map(|body| Arc::from(&*body.0)),
        }
    }
}
