//! The parts of a model that only need their defaults: no check, no error.

use crate::config::decode::Field;
use crate::config::file;
use crate::config::scalar::{Duration, Number, Quantity, Share};
use crate::model::{self, Ratio, defaults};
use std::time;

pub(super) fn shutdown(typed: &Field<file::Shutdown>) -> model::Shutdown {
    let typed = typed.get().cloned().unwrap_or_default();
    model::Shutdown {
        drain_delay: duration(&typed.drain_delay, defaults::DRAIN_DELAY),
        drain_timeout: duration(&typed.drain_timeout, defaults::DRAIN_TIMEOUT),
    }
}

pub(super) fn access_log(typed: &Field<file::Telemetry>) -> model::AccessLog {
    let typed = typed.get().and_then(|telemetry| telemetry.access_log.get());
    let typed = typed.cloned().unwrap_or_default();
    model::AccessLog {
        enabled: typed.enabled.get().copied().unwrap_or(true),
        output: match typed.output.get() {
            Some(file::LogOutput::Stderr) => model::LogOutput::Stderr,
            Some(file::LogOutput::Stdout) | None => model::LogOutput::Stdout,
        },
        sample: share(&typed.sample, Ratio::ONE),
    }
}

pub(super) fn limits(typed: &Field<file::Limits>) -> model::Limits {
    let typed = typed.get().cloned().unwrap_or_default();
    let Quantity(max_header_bytes) = typed
        .max_header_bytes
        .get()
        .copied()
        .unwrap_or(Quantity(defaults::MAX_HEADER_BYTES as u64));
    model::Limits {
        handshake_timeout: limit(&typed.handshake_timeout, Some(defaults::HANDSHAKE_TIMEOUT)),
        write_timeout: limit(&typed.write_timeout, Some(defaults::WRITE_TIMEOUT)),
        max_connection_age: limit(&typed.max_connection_age, Some(defaults::MAX_CONNECTION_AGE)),
        max_connections: Some(number(&typed.max_connections, 0) as usize).filter(|most| *most > 0),
        max_concurrent_streams: number(
            &typed.max_concurrent_streams,
            u64::from(defaults::MAX_CONCURRENT_STREAMS),
        ) as u32,
        header_timeout: limit(&typed.header_timeout, Some(defaults::HEADER_TIMEOUT)),
        body_timeout: limit(&typed.body_timeout, Some(defaults::BODY_TIMEOUT)),
        idle_timeout: limit(&typed.idle_timeout, Some(defaults::IDLE_TIMEOUT)),
        max_header_bytes: max_header_bytes as usize,
        max_headers: number(&typed.max_headers, defaults::MAX_HEADERS as u64) as usize,
        max_body_bytes: typed.max_body_bytes.get().map(|bytes| bytes.0).filter(|bytes| *bytes > 0),
    }
}

pub(super) fn protocol(typed: &Field<file::Protocol>) -> model::Protocol {
    match typed.get() {
        Some(file::Protocol::Http1) | None => model::Protocol::Http1,
        Some(file::Protocol::Http2) => model::Protocol::Http2,
        Some(file::Protocol::H2c) => model::Protocol::H2c,
    }
}

/// The retries without their statuses.
pub(super) fn retry(typed: &file::Retry) -> model::Retry {
    let budget = typed.budget.get().cloned().unwrap_or_default();
    model::Retry {
        attempts: number(&typed.attempts, u64::from(defaults::RETRY_ATTEMPTS)) as u32,
        conditions: conditions(&typed.conditions).unwrap_or(model::RetryConditions::ALL),
        statuses: Vec::new(),
        budget: model::RetryBudget {
            ratio: share(&budget.ratio, defaults::retry_ratio()),
            min_per_second: number(
                &budget.min_per_second,
                u64::from(defaults::RETRY_MIN_PER_SECOND),
            ) as u32,
        },
    }
}

/// The conditions of a retry, when there are any.
pub(super) fn conditions(
    typed: &file::List<file::RetryCondition>,
) -> Option<model::RetryConditions> {
    let typed = typed.get()?;
    let on = |condition| typed.contains(&Field::Present(condition));
    Some(model::RetryConditions {
        connect_failure: on(file::RetryCondition::ConnectFailure),
        reset: on(file::RetryCondition::Reset),
    })
}

/// The number, which its bounds keep within what the caller converts it to.
pub(super) fn number<const MIN: u64, const MAX: u64>(
    typed: &Field<Number<MIN, MAX>>,
    default: u64,
) -> u64 {
    typed.get().map_or(default, |number| number.0)
}

pub(super) fn share(typed: &Field<Share>, default: Ratio) -> Ratio {
    typed.get().map_or(default, |share| share.0)
}

pub(super) fn duration(typed: &Field<Duration>, default: time::Duration) -> time::Duration {
    typed.get().map_or(default, |duration| duration.0)
}

/// A duration of which zero means "none".
pub(super) fn limit(
    typed: &Field<Duration>,
    default: Option<time::Duration>,
) -> Option<time::Duration> {
    match typed.get() {
        Some(duration) => Some(duration.0).filter(|duration| !duration.is_zero()),
        None => default,
    }
}
