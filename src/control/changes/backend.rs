//! Backends, their endpoints and policies.

use super::phrases::{Fate, Names, Phrases, drains};
use super::tls;
use crate::model::words::{duration, limit, percent, statuses};
use crate::model::{
    Algorithm, Backend, Endpoint, EndpointSource, Hashing, HealthProbe, LatencyProbe, Probe,
    ProbeCheck, Retry, RetryBudget, Timeouts,
};
use std::time::Duration;

/// What comes of another way from a hash to an endpoint.
const MOVES: &str = ", clients may move to other endpoints";

pub(super) fn say(said: &mut Phrases, before: &[Backend], after: &[Backend], drain: Duration) {
    let names = Names { one: "backend", many: "backends", order: "" };
    said.list(
        &names,
        (before, after),
        |backend| &*backend.name,
        |said, fate| match fate {
            Fate::Added(backend) => said.say(format_args!("backend {} added", backend.name)),
            Fate::Removed(backend) => {
                said.say(format_args!("backend {} removed, {}", backend.name, drains(drain)));
            }
            Fate::Changed(before, after) => {
                said.of(format_args!("backend {}", after.name), |said| {
                    say_backend(said, before, after, drain);
                });
            }
        },
    );
}

fn say_backend(said: &mut Phrases, before: &Backend, after: &Backend, drain: Duration) {
    let Backend {
        name: _,
        algorithm,
        hashing,
        session_affinity,
        slow_start,
        source,
        endpoints,
        protocol,
        tls,
        proxy_protocol,
        health_probe,
        latency_probe,
        timeouts,
        retry,
    } = before;
    match *algorithm == after.algorithm {
        true => say_hashing(said, hashing.as_ref(), after.hashing.as_ref()),
        false => {
            said.say(format_args!("algorithm {} → {}", algorithm_of(before), algorithm_of(after)))
        }
    }
    said.change("sessionAffinity", session_affinity, &after.session_affinity, |affinity| {
        affinity.as_ref().map_or_else(|| "none".to_owned(), ToString::to_string)
    });
    said.change("slowStart", slow_start, &after.slow_start, |slow_start| {
        slow_start.map_or_else(|| "none".to_owned(), |slow_start| slow_start.to_string())
    });
    said.change("service", source, &after.source, EndpointSource::to_string);
    say_endpoints(said, endpoints, &after.endpoints, drain);
    said.change("protocol", protocol, &after.protocol, ToString::to_string);
    tls::say_backend(said, tls, &after.tls);
    said.change("proxyProtocol", proxy_protocol, &after.proxy_protocol, |version| {
        version.map_or_else(|| "none".to_owned(), |version| version.to_string())
    });
    say_health_probe(said, health_probe.as_ref(), after.health_probe.as_ref());
    say_latency_probe(said, latency_probe.as_ref(), after.latency_probe.as_ref());
    say_timeouts(said, timeouts, &after.timeouts);
    say_retry(said, retry, &after.retry);
}

/// Its algorithm with what was said of it.
fn algorithm_of(backend: &Backend) -> String {
    match (&backend.hashing, backend.algorithm) {
        (Some(hashing), Algorithm::ConsistentHash) => format!("{} ({hashing})", backend.algorithm),
        _ => backend.algorithm.to_string(),
    }
}

fn say_hashing(said: &mut Phrases, before: Option<&Hashing>, after: Option<&Hashing>) {
    let (Some(before), Some(after)) = (before, after) else {
        let words = |hashing: &Option<&Hashing>| {
            hashing.map_or_else(|| "none".to_owned(), ToString::to_string)
        };
        said.change("algorithm", &before, &after, words);
        return;
    };
    let Hashing { key, table, bounded_load } = before;
    said.change_and("algorithm.key", key, &after.key, ToString::to_string, MOVES);
    said.change_and("algorithm.table", table, &after.table, ToString::to_string, MOVES);
    said.change("algorithm.boundedLoad", bounded_load, &after.bounded_load, |bound| {
        bound.map_or_else(|| "none".to_owned(), |bound| bound.value().to_string())
    });
}

fn say_endpoints(said: &mut Phrases, before: &[Endpoint], after: &[Endpoint], drain: Duration) {
    let names = Names { one: "endpoint", many: "endpoints", order: "" };
    said.list(
        &names,
        (before, after),
        |endpoint| &endpoint.url,
        |said, fate| match fate {
            Fate::Added(Endpoint { url, weight: 0, zone: _ }) => {
                said.say(format_args!("endpoint {url} added with weight 0, gets no requests"));
            }
            Fate::Added(endpoint) => said.say(format_args!("endpoint {} added", endpoint.url)),
            Fate::Removed(endpoint) => {
                said.say(format_args!("endpoint {} removed, {}", endpoint.url, drains(drain)));
            }
            Fate::Changed(before, after) => {
                let Endpoint { url, weight, zone } = before;
                said.of(format_args!("endpoint {url}"), |said| {
                    say_weight(said, *weight, after.weight);
                    said.change("zone", zone, &after.zone, |zone| {
                        zone.as_deref().unwrap_or("none").to_owned()
                    });
                });
            }
        },
    );
}

/// Of an endpoint, or of a backend of a route.
pub(super) fn say_weight(said: &mut Phrases, before: u32, after: u32) {
    let effect = if after == 0 { ", gets no new requests" } else { "" };
    said.change_and("weight", &before, &after, u32::to_string, effect);
}

fn say_health_probe(said: &mut Phrases, before: Option<&HealthProbe>, after: Option<&HealthProbe>) {
    match (before, after) {
        (None, None) => {}
        (None, Some(HealthProbe { probe, .. })) => {
            said.say(format_args!("healthProbe added, {}", probe_of(probe)));
        }
        (Some(_), None) => said.say("healthProbe removed, every endpoint counts as healthy"),
        (Some(before), Some(after)) => {
            let HealthProbe { probe, healthy_after, unhealthy_after, minimum_healthy } = before;
            say_probe(said, "healthProbe", probe, &after.probe);
            let count = u32::to_string;
            said.change("healthProbe.healthyAfter", healthy_after, &after.healthy_after, count);
            said.change(
                "healthProbe.unhealthyAfter",
                unhealthy_after,
                &after.unhealthy_after,
                count,
            );
            let share = |share: &_| percent(*share);
            said.change(
                "healthProbe.minimumHealthy",
                minimum_healthy,
                &after.minimum_healthy,
                share,
            );
        }
    }
}

fn say_latency_probe(
    said: &mut Phrases,
    before: Option<&LatencyProbe>,
    after: Option<&LatencyProbe>,
) {
    match (before, after) {
        (None, None) => {}
        (None, Some(LatencyProbe { probe })) => {
            said.say(format_args!("latencyProbe added, {}", probe_of(probe)));
        }
        (Some(_), None) => said.say("latencyProbe removed, idle endpoints are measured no more"),
        (Some(LatencyProbe { probe }), Some(after)) => {
            say_probe(said, "latencyProbe", probe, &after.probe);
        }
    }
}

fn probe_of(probe: &Probe) -> String {
    format!("{} every {}", probe.check, duration(probe.interval))
}

fn say_probe(said: &mut Phrases, key: &str, before: &Probe, after: &Probe) {
    let Probe { check, interval, timeout } = before;
    said.change(key, check, &after.check, ProbeCheck::to_string);
    let time = |time: &Duration| duration(*time);
    said.change(&format!("{key}.interval"), interval, &after.interval, time);
    said.change(&format!("{key}.timeout"), timeout, &after.timeout, time);
}

fn say_timeouts(said: &mut Phrases, before: &Timeouts, after: &Timeouts) {
    let Timeouts { connect, request, attempt, stream_idle, upgraded_idle, max_connection_age } =
        before;
    let time = |time: &Option<Duration>| limit(*time);
    said.change("timeouts.connect", connect, &after.connect, time);
    said.change("timeouts.request", request, &after.request, time);
    said.change("timeouts.attempt", attempt, &after.attempt, time);
    said.change("timeouts.streamIdle", stream_idle, &after.stream_idle, time);
    said.change("timeouts.upgradedIdle", upgraded_idle, &after.upgraded_idle, time);
    said.change("timeouts.maxConnectionAge", max_connection_age, &after.max_connection_age, time);
}

fn say_retry(said: &mut Phrases, before: &Retry, after: &Retry) {
    let Retry { attempts, conditions, statuses: reasons, budget } = before;
    said.change("retry.attempts", attempts, &after.attempts, u32::to_string);
    said.change("retry.conditions", conditions, &after.conditions, ToString::to_string);
    said.change("retry.statuses", reasons, &after.statuses, |reasons| statuses(reasons));
    let RetryBudget { ratio, min_per_second } = budget;
    said.change("retry.budget.ratio", ratio, &after.budget.ratio, |share| percent(*share));
    let count = u32::to_string;
    said.change("retry.budget.minPerSecond", min_per_second, &after.budget.min_per_second, count);
}
