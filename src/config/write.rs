//! From a [`Model`] to a file that [`super::load`] reads back to an equal model.
//!
//! Every default is written out, so the file says all that holds. It is for those who edit a model instead of a file: the
//! admin interface, once it can. Nobody's own file is ever rewritten, since comments and variables would be lost.

mod routes;
mod secrets;
mod telemetry;
mod tls;
mod yaml;

use super::scalar::{self, Duration, LoadBound, Quantity, Share};
use crate::model::{
    Backend, Endpoint, EndpointSource, HashKey, HashTable, HealthProbe, LatencyProbe, Listener,
    Model, Probe, ProbeCheck, Retry, RetryConditions, Service, ServicePort, SessionAffinity,
    SlowStart, Timeouts,
};
use std::net::SocketAddr;
use std::time;
use yaml::Yaml;

/// The file of `model` for people to look at: every value that may be a secret is `…`.
pub fn redacted(model: &Model) -> String {
    write(&secrets::without(model))
}

/// The file of `model`.
pub fn write(model: &Model) -> String {
    let Model {
        admin,
        probes,
        workers,
        shutdown,
        access_log,
        traces,
        decisions,
        listeners,
        routes,
        backends,
    } = model;
    let shutdown = Yaml::map([
        ("drainDelay", Some(duration(shutdown.drain_delay))),
        ("drainTimeout", Some(duration(shutdown.drain_timeout))),
    ]);
    let address = |address: String| Yaml::map([("address", Some(Yaml::text(address)))]);
    let admin = admin.as_ref().map(SocketAddr::to_string).unwrap_or_default();
    let file = Yaml::map([
        ("admin", Some(address(admin))),
        ("probes", probes.map(|probes| address(probes.to_string()))),
        ("workers", Some(Yaml::word(workers))),
        ("shutdown", Some(shutdown)),
        ("telemetry", Some(telemetry::telemetry(access_log, traces.as_ref(), decisions))),
        ("listeners", Some(Yaml::list(listeners, listener))),
        ("routes", Some(Yaml::list(routes, routes::route))),
        ("backends", Some(Yaml::list(backends, backend))),
    ]);
    file.document()
}

fn listener(listener: &Listener) -> Yaml {
    let limits = &listener.limits;
    let quantity = |bytes: usize| Yaml::word(Quantity::<0, { u64::MAX }>(bytes as u64));
    let limits = Yaml::map([
        ("handshakeTimeout", Some(limit(limits.handshake_timeout))),
        ("headerTimeout", Some(limit(limits.header_timeout))),
        ("bodyTimeout", Some(limit(limits.body_timeout))),
        ("idleTimeout", Some(limit(limits.idle_timeout))),
        ("writeTimeout", Some(limit(limits.write_timeout))),
        ("maxConnectionAge", Some(limit(limits.max_connection_age))),
        ("maxConnections", Some(Yaml::word(limits.max_connections.unwrap_or(0)))),
        ("maxConcurrentStreams", Some(Yaml::word(limits.max_concurrent_streams))),
        ("maxHeaderBytes", Some(quantity(limits.max_header_bytes))),
        ("maxHeaders", Some(Yaml::word(limits.max_headers))),
        ("maxBodyBytes", Some(bytes(limits.max_body_bytes))),
    ]);
    Yaml::map([
        ("name", Some(Yaml::text(&listener.name))),
        ("address", Some(Yaml::text(listener.address))),
        ("tls", listener.tls.as_ref().map(tls::listener)),
        ("proxyProtocol", Some(Yaml::word(listener.proxy_protocol))),
        ("limits", Some(limits)),
        ("trustedProxies", Some(Yaml::list(&listener.trusted_proxies, Yaml::text))),
    ])
}

fn backend(backend: &Backend) -> Yaml {
    Yaml::map([
        ("name", Some(Yaml::text(&backend.name))),
        ("algorithm", Some(algorithm(backend))),
        ("sessionAffinity", backend.session_affinity.as_ref().map(session_affinity)),
        ("slowStart", backend.slow_start.as_ref().map(slow_start)),
        endpoints(backend),
        ("protocol", Some(Yaml::word(backend.protocol))),
        ("tls", tls::backend(&backend.tls)),
        ("proxyProtocol", backend.proxy_protocol.map(Yaml::word)),
        ("healthProbe", backend.health_probe.as_ref().map(health_probe)),
        ("latencyProbe", backend.latency_probe.as_ref().map(latency_probe)),
        ("timeouts", Some(timeouts(&backend.timeouts))),
        ("retry", Some(retry(&backend.retry))),
    ])
}

/// Where its endpoints come from: those that a Service has are no part of the file.
fn endpoints(backend: &Backend) -> (&'static str, Option<Yaml>) {
    match &backend.source {
        EndpointSource::Static => ("endpoints", Some(Yaml::list(&backend.endpoints, endpoint))),
        EndpointSource::Service(from) => ("service", Some(service(from))),
    }
}

fn service(service: &Service) -> Yaml {
    Yaml::map([
        ("namespace", Some(Yaml::text(&service.namespace))),
        ("name", Some(Yaml::text(&service.name))),
        (
            "port",
            Some(match &service.port {
                ServicePort::Name(name) => Yaml::text(name),
                ServicePort::Number(number) => Yaml::word(number),
            }),
        ),
        ("scheme", Some(Yaml::word(service.scheme.as_str()))),
        ("mode", Some(Yaml::word(service.mode))),
        ("ipFamily", Some(Yaml::word(service.ip_family))),
    ])
}

fn algorithm(backend: &Backend) -> Yaml {
    let name = Yaml::word(backend.algorithm);
    // The other algorithm that hashes has its hashing from its name.
    let hashing = backend
        .hashing
        .as_ref()
        .filter(|_| backend.algorithm == crate::model::Algorithm::ConsistentHash);
    let Some(hashing) = hashing else { return name };
    let (kind, key) = match &hashing.key {
        HashKey::Header(name) => ("header", Yaml::text(name)),
        HashKey::Cookie(name) => ("cookie", Yaml::text(name)),
        HashKey::Query(name) => ("query", Yaml::text(name)),
        HashKey::ClientAddress => ("source", Yaml::word("ClientAddress")),
        HashKey::Path => ("source", Yaml::word("Path")),
    };
    let table = match hashing.table {
        HashTable::Maglev => "Maglev",
        HashTable::Ring => "Ring",
    };
    Yaml::map([
        ("name", Some(name)),
        ("key", Some(Yaml::map([(kind, Some(key))]))),
        ("table", Some(Yaml::word(table))),
        ("boundedLoad", hashing.bounded_load.map(|bound| Yaml::word(LoadBound(bound)))),
    ])
}

fn session_affinity(affinity: &SessionAffinity) -> Yaml {
    let cookie = Yaml::map([
        ("name", Some(Yaml::text(&affinity.cookie))),
        ("ttl", Some(limit(affinity.ttl))),
        ("path", Some(Yaml::text(&affinity.path))),
    ]);
    Yaml::map([("cookie", Some(cookie))])
}

fn slow_start(slow_start: &SlowStart) -> Yaml {
    Yaml::map([
        ("window", Some(duration(slow_start.window))),
        ("minimumWeight", Some(Yaml::word(Share(slow_start.minimum_weight)))),
    ])
}

fn endpoint(endpoint: &Endpoint) -> Yaml {
    Yaml::map([
        ("url", Some(Yaml::text(&endpoint.url))),
        ("weight", Some(Yaml::word(endpoint.weight))),
    ])
}

fn health_probe(health: &HealthProbe) -> Yaml {
    let rest = [
        ("healthyAfter", Some(Yaml::word(health.healthy_after))),
        ("unhealthyAfter", Some(Yaml::word(health.unhealthy_after))),
        ("minimumHealthy", Some(Yaml::word(Share(health.minimum_healthy)))),
    ];
    Yaml::map(probe(&health.probe).into_iter().chain(rest))
}

fn latency_probe(latency: &LatencyProbe) -> Yaml {
    Yaml::map(probe(&latency.probe))
}

fn probe(probe: &Probe) -> [(&'static str, Option<Yaml>); 3] {
    let check = match &probe.check {
        ProbeCheck::Tcp => ("tcp", Some(Yaml::map([]))),
        ProbeCheck::Grpc { service } => {
            let service = Some(service).filter(|service| !service.is_empty());
            ("grpc", Some(Yaml::map([("service", service.map(Yaml::text))])))
        }
        ProbeCheck::Http { path, host, statuses: list, body } => (
            "http",
            Some(Yaml::map([
                ("path", Some(Yaml::text(path))),
                ("host", host.as_ref().map(Yaml::text)),
                ("statuses", Some(statuses(list))),
                ("body", body.as_ref().map(Yaml::text)),
            ])),
        ),
    };
    [
        check,
        ("interval", Some(duration(probe.interval))),
        ("timeout", Some(duration(probe.timeout))),
    ]
}

fn timeouts(timeouts: &Timeouts) -> Yaml {
    Yaml::map([
        ("connect", Some(limit(timeouts.connect))),
        ("request", Some(limit(timeouts.request))),
        ("attempt", Some(limit(timeouts.attempt))),
        ("streamIdle", Some(limit(timeouts.stream_idle))),
        ("upgradedIdle", Some(limit(timeouts.upgraded_idle))),
        ("maxConnectionAge", Some(limit(timeouts.max_connection_age))),
    ])
}

fn retry(retry: &Retry) -> Yaml {
    let budget = Yaml::map([
        ("ratio", Some(Yaml::word(Share(retry.budget.ratio)))),
        ("minPerSecond", Some(Yaml::word(retry.budget.min_per_second))),
    ]);
    Yaml::map([
        ("attempts", Some(Yaml::word(retry.attempts))),
        ("conditions", Some(conditions(retry.conditions))),
        ("statuses", Some(statuses(&retry.statuses))),
        ("budget", Some(budget)),
    ])
}

fn conditions(conditions: RetryConditions) -> Yaml {
    let RetryConditions { connect_failure, reset } = conditions;
    let named = [("ConnectFailure", connect_failure), ("Reset", reset)];
    Yaml::List(named.iter().filter(|(_, on)| *on).map(|(name, _)| Yaml::word(name)).collect())
}

fn statuses(list: &[(u16, u16)]) -> Yaml {
    Yaml::list(list, |(first, last)| Yaml::word(scalar::Statuses(*first, *last)))
}

fn duration(value: time::Duration) -> Yaml {
    Yaml::word(Duration(value))
}

/// A limit of time; none is `0s`.
fn limit(value: Option<time::Duration>) -> Yaml {
    duration(value.unwrap_or_default())
}

/// A limit of size; none is 0.
fn bytes(value: Option<u64>) -> Yaml {
    Yaml::word(Quantity::<0, { u64::MAX }>(value.unwrap_or(0)))
}

#[cfg(test)]
mod tests;
