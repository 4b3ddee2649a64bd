//! Probes.

use super::Validator;
use super::defaulted::{number, share};
use crate::config::decode::Field;
use crate::config::file;
use crate::config::tree::At;
use crate::model::{self, Ratio, defaults};
use std::sync::Arc;

impl Validator<'_> {
    pub(super) fn health_probe(
        &self,
        typed: &Field<file::HealthProbe>,
        at: &At<'_>,
    ) -> Option<model::HealthProbe> {
        let typed = typed.get()?;
        let at = at.key("healthProbe");
        let check = self.check(&typed.http, &typed.tcp, &at);
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
        typed: &Field<file::LatencyProbe>,
        at: &At<'_>,
    ) -> Option<model::LatencyProbe> {
        let typed = typed.get()?;
        let at = at.key("latencyProbe");
        let check = self.check(&typed.http, &typed.tcp, &at);
        let interval =
            self.positive(&typed.interval, defaults::LATENCY_PROBE_INTERVAL, &at.key("interval"));
        let timeout =
            self.positive(&typed.timeout, defaults::LATENCY_PROBE_TIMEOUT, &at.key("timeout"));
        Some(model::LatencyProbe { probe: model::Probe { check: check?, interval, timeout } })
    }

    pub(super) fn http_check(&self, typed: &file::HttpCheck, at: &At<'_>) -> model::ProbeCheck {
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
