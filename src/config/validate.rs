//! From [`File`] to [`Model`]: defaults are filled in, and what no single value can know is checked.

mod balancing;
mod defaulted;
mod filters;
mod matches;
mod probes;
mod protocols;
mod references;
mod routes;
mod service;
mod telemetry;
mod tls;

pub(super) use telemetry::is_of_the_export;

use super::decode::Field;
use super::file::{self, File, List};
use super::files::Files;
use super::problem::{Collector, Fault};
use super::scalar::{Address, Duration, Name, Statuses, Url, Word};
use super::tree::At;
use crate::model::{self, EndpointSource, IpNet, Model, defaults};
use defaulted::{access_log, duration, limit, limits, number, protocol, retry, shutdown};
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::hash::Hash;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time;

/// The shortest interval of a probe and the shortest limit of time that is not "none".
const SHORTEST_INTERVAL: time::Duration = time::Duration::from_millis(10);

/// The model of `file`, which names `files`; of use only when nothing was added to `problems`.
pub(super) fn validate(
    file: &File,
    root: &At<'_>,
    files: &Files<'_>,
    problems: &Collector,
) -> Model {
    let validator = Validator { files, problems };
    validator.model(file, root)
}

struct Validator<'p> {
    files: &'p Files<'p>,
    problems: &'p Collector,
}

impl Validator<'_> {
    fn model(&self, file: &File, at: &At<'_>) -> Model {
        let mut addresses = Unique::new("address");
        let listeners = self.listeners(&file.listeners, at, &mut addresses);
        let probes = file.probes.get().and_then(|probes| {
            let at = at.key("probes");
            let address = self.required(&probes.address, &at, "address", Address::expected)?.0;
            self.unique_address(&mut addresses, address, &at.key("address"));
            Some(address)
        });
        let admin = self.admin(&file.admin, at, &mut addresses);
        let backends = self.backends(&file.backends, at);
        let routes = self.routes(file, at, &backends);
        Model {
            admin,
            probes,
            workers: number(&file.workers, 0) as usize,
            shutdown: shutdown(&file.shutdown),
            access_log: access_log(&file.telemetry),
            traces: self.traces(&file.telemetry, at),
            decisions: self.decisions(&file.telemetry),
            listeners,
            routes,
            backends: backends.into_iter().map(|(backend, _)| backend).collect(),
        }
    }

    fn admin<'t>(
        &self,
        typed: &Field<file::Admin>,
        at: &At<'t>,
        addresses: &mut Unique<'t, SocketAddr>,
    ) -> Option<SocketAddr> {
        match typed.get().map(|admin| &admin.address) {
            Some(Field::Present(address)) => {
                let address = address.0?;
                self.unique_address(addresses, address, &at.key("admin").key("address"));
                Some(address)
            }
            Some(Field::Invalid) => None,
            Some(Field::Absent) | None => {
                let address = defaults::ADMIN_ADDRESS.parse().ok()?;
                if let Some(taken) = addresses.seen.get(&address) {
                    let fault = Fault::new(format!(
                        "duplicate address `{}`: it is the default of `admin.address`",
                        taken.shown()
                    ));
                    self.problems.value(
                        taken,
                        fault.allow(
                            "another port here, another `admin.address`, or `admin: { address: \"\" }` for no admin port",
                        ),
                    );
                }
                Some(address)
            }
        }
    }

    fn listeners<'t>(
        &self,
        typed: &List<file::Listener>,
        at: &At<'t>,
        addresses: &mut Unique<'t, SocketAddr>,
    ) -> Vec<model::Listener> {
        let mut names = Unique::new("name");
        let listener = |(typed, at): (&file::Listener, At<'t>)| {
            let name = self.required(&typed.name, &at, "name", Name::expected);
            let address = self.required(&typed.address, &at, "address", Address::expected);
            if let Some(name) = name {
                self.unique(&mut names, name.0.clone(), &at.key("name"));
            }
            if let Some(address) = address {
                self.unique_address(addresses, address.0, &at.key("address"));
            }
            let limits = limits(&typed.limits);
            let tls = self.listener_tls(&typed.tls, &at);
            let proxy_protocol = self.proxy_protocol(typed, &at);
            Some(model::Listener {
                name: Arc::from(&*name?.0),
                address: address?.0,
                tls,
                proxy_protocol,
                limits,
                trusted_proxies: self.trusted_proxies(typed, &at),
            })
        };
        self.items(typed, at, "listeners").into_iter().filter_map(listener).collect()
    }

    fn trusted_proxies(&self, typed: &file::Listener, at: &At<'_>) -> Vec<IpNet> {
        let mut seen = Unique::new("network");
        let networks = self.any(&typed.trusted_proxies, at, "trustedProxies").into_iter();
        let network = networks.map(|(network, at)| {
            self.unique(&mut seen, network.0, &at);
            network.0
        });
        network.collect()
    }

    /// The backends, each with its place.
    fn backends<'t>(
        &self,
        typed: &List<file::Backend>,
        at: &At<'t>,
    ) -> Vec<(model::Backend, At<'t>)> {
        let mut names = Unique::new("name");
        let mut backends = Vec::new();
        for (typed, at) in self.items(typed, at, "backends") {
            let name = self.required(&typed.name, &at, "name", Name::expected);
            if let Some(name) = name {
                self.unique(&mut names, name.0.clone(), &at.key("name"));
            }
            let algorithm = self.algorithm(&typed.algorithm, &at);
            let protocol = protocol(&typed.protocol);
            let source = self.source(typed, protocol, &at);
            let endpoints = self.endpoints(typed, &source, &at);
            self.schemes(typed, protocol, &at);
            let backend = model::Backend {
                name: Arc::from(name.map_or("", |name| &*name.0)),
                algorithm,
                hashing: self.hashing(algorithm, &typed.algorithm, &at),
                session_affinity: self.session_affinity(&typed.session_affinity, &at),
                slow_start: self.slow_start(&typed.slow_start, &at),
                tls: self.backend_tls(typed, &at, &source, &endpoints),
                source,
                endpoints,
                protocol,
                proxy_protocol: typed.proxy_protocol.get().map(|version| match version {
                    file::ProxyProtocolVersion::V1 => model::ProxyProtocolVersion::V1,
                    file::ProxyProtocolVersion::V2 => model::ProxyProtocolVersion::V2,
                }),
                health_probe: self.health_probe(typed, &at),
                latency_probe: self.latency_probe(typed, &at),
                timeouts: self.timeouts(&typed.timeouts, &at),
                retry: self.retry(&typed.retry, &at),
            };
            backends.push((backend, at));
        }
        backends
    }

    fn endpoints<'t>(
        &self,
        backend: &file::Backend,
        source: &EndpointSource,
        at: &At<'t>,
    ) -> Vec<model::Endpoint> {
        if let EndpointSource::Service(service) = source {
            return service.known_endpoints();
        }
        if backend.endpoints.is_absent() && (at.has("dns") || at.has("service")) {
            // What is wrong with these has been said; asking for `endpoints` as well would be noise.
            return Vec::new();
        }
        let mut urls = Unique::new("endpoint");
        let typed = self.items(&backend.endpoints, at, "endpoints");
        let count = typed.len();
        let endpoint = |(typed, at): (&file::Endpoint, At<'t>)| {
            let url = self.required(&typed.url, &at, "url", Url::expected)?.0.clone();
            self.unique(&mut urls, url.clone(), &at.key("url"));
            let weight = number(&typed.weight, u64::from(defaults::WEIGHT)) as u32;
            Some(model::Endpoint { url, weight, zone: None })
        };
        let endpoints: Vec<_> = typed.into_iter().filter_map(endpoint).collect();
        let idle = endpoints.iter().all(|endpoint| endpoint.weight == 0);
        if idle && count == endpoints.len() && count > 0 {
            let fault = Fault::new("no endpoint gets requests: every weight is 0");
            self.problems.value(&at.key("endpoints"), fault.allow("at least one weight from 1"));
        }
        endpoints
    }

    fn timeouts(&self, typed: &Field<file::Timeouts>, at: &At<'_>) -> model::Timeouts {
        let typed = typed.get().cloned().unwrap_or_default();
        let request = limit(&typed.request, Some(defaults::REQUEST_TIMEOUT));
        let attempt = limit(&typed.attempt, None);
        if let (Some(attempt), Some(request)) = (attempt, request)
            && attempt > request
            && typed.request != Field::Invalid
        {
            // As typed: a variable's value may be a secret.
            let at = at.key("timeouts");
            let longest = match typed.request.is_absent() {
                true => format!("{request:?}"),
                false => at.key("request").shown(),
            };
            let default = if typed.request.is_absent() { ", the default" } else { "" };
            let at = at.key("attempt");
            let fault = Fault::new(format!(
                "an attempt may take longer ({}) than its request ({longest}{default})",
                at.shown()
            ));
            let fault = fault.allow(format!("at most {longest}, or a longer `request`"));
            self.problems.value(&at, fault);
        }
        model::Timeouts {
            connect: limit(&typed.connect, Some(defaults::CONNECT_TIMEOUT)),
            request,
            attempt,
            stream_idle: limit(&typed.stream_idle, Some(defaults::STREAM_IDLE_TIMEOUT)),
            upgraded_idle: limit(&typed.upgraded_idle, Some(defaults::UPGRADED_IDLE_TIMEOUT)),
            max_connection_age: limit(
                &typed.max_connection_age,
                Some(defaults::MAX_CONNECTION_AGE),
            ),
        }
    }

    fn retry(&self, typed: &Field<file::Retry>, at: &At<'_>) -> model::Retry {
        let typed = typed.get().cloned().unwrap_or_default();
        let at = at.key("retry");
        self.some(&typed.conditions, &at, "conditions");
        model::Retry { statuses: self.statuses(&typed.statuses, &at), ..retry(&typed) }
    }

    /// The statuses of the list `statuses` of `at`.
    fn statuses(&self, typed: &List<Statuses>, at: &At<'_>) -> Vec<(u16, u16)> {
        let typed = self.any(typed, at, "statuses").into_iter();
        typed.map(|(statuses, _)| (statuses.0, statuses.1)).collect()
    }

    /// The valid items of the list `key` of `at`, which has to have some.
    fn items<'f, 't, T>(&self, typed: &'f List<T>, at: &At<'t>, key: &str) -> Vec<(&'f T, At<'t>)> {
        let Some(items) = self.required(typed, at, key, || "a list with at least one item".into())
        else {
            return Vec::new();
        };
        if items.is_empty() {
            self.problems
                .value(&at.key(key), Fault::new("an empty list").allow("at least one item"));
        }
        self.any(typed, at, key)
    }

    /// The valid items of the list `key` of `at`, which may be left out but not be empty: of all or none, it is not clear
    /// what that would mean.
    fn some<'f, 't, T>(&self, typed: &'f List<T>, at: &At<'t>, key: &str) -> Vec<(&'f T, At<'t>)> {
        if typed.get().is_some_and(Vec::is_empty) {
            let allowed = format!("at least one item, or no `{key}` at all");
            self.problems.value(&at.key(key), Fault::new("an empty list").allow(allowed));
        }
        self.any(typed, at, key)
    }

    /// The valid items of the list `key` of `at`, which may be left out or empty.
    fn any<'f, 't, T>(&self, typed: &'f List<T>, at: &At<'t>, key: &str) -> Vec<(&'f T, At<'t>)> {
        let Some(items) = typed.get() else { return Vec::new() };
        let at = at.key(key);
        let mut valid = Vec::new();
        for (index, item) in items.iter().enumerate() {
            let at = at.index(index);
            match item {
                Field::Present(item) => valid.push((item, at)),
                Field::Invalid => {}
                Field::Absent => {
                    let fault = Fault::new("an item without a value");
                    self.problems.value(&at, fault.allow("a value after each `-`"));
                }
            }
        }
        valid
    }

    /// Which one of the keys of `at` has a value, when exactly one of them has: `keys` are their names and whether they
    /// are absent.
    fn exactly_one(&self, at: &At<'_>, keys: &[(&'static str, bool)]) -> Option<&'static str> {
        let names: Vec<_> = keys.iter().map(|(name, _)| *name).collect();
        let mut there = keys.iter().filter(|(_, absent)| !absent).map(|(name, _)| *name);
        let allowed = || format!("exactly one of {}", listed(&names, "and"));
        match (there.next(), there.next()) {
            (Some(one), None) => return Some(one),
            (Some(one), Some(other)) => {
                let fault = Fault::new(format!("both `{one}` and `{other}`"));
                self.problems.key(&at.key(other), fault.allow(allowed()));
            }
            (None, _) => match names.iter().find(|name| at.has(name)) {
                Some(empty) => {
                    let fault = Fault::new(format!("the key `{empty}` has no value"));
                    self.problems.key(&at.key(empty), fault.allow(allowed()));
                }
                // One that is misspelt has been told.
                None if at.has_other(&names) => {}
                None => {
                    let fault = Fault::new(match names[..] {
                        [one, other] => format!("neither `{one}` nor `{other}`"),
                        _ => format!("none of {}", listed(&names, "and")),
                    });
                    self.problems.value(at, fault.allow(allowed()));
                }
            },
        }
        None
    }

    /// The value of `key`, which has to be there.
    fn required<'f, T>(
        &self,
        typed: &'f Field<T>,
        at: &At<'_>,
        key: &str,
        expected: impl Fn() -> String,
    ) -> Option<&'f T> {
        if typed.is_absent() {
            match at.has(key) {
                true => {
                    let fault = Fault::new(format!("the key `{key}` has no value"));
                    self.problems.key(&at.key(key), fault.allow(expected()));
                }
                false => {
                    let fault = Fault::new(format!("missing key `{key}`"));
                    self.problems.value(at, fault.allow(expected()));
                }
            }
        }
        typed.get()
    }

    /// A duration that cannot be "none".
    fn positive(
        &self,
        typed: &Field<Duration>,
        default: time::Duration,
        at: &At<'_>,
    ) -> time::Duration {
        let value = duration(typed, default);
        if value < SHORTEST_INTERVAL {
            let fault = Fault::new(format!("`{}` is out of range", at.shown()));
            self.problems.value(at, fault.allow("`10ms` or more"));
        }
        value
    }

    fn unique_address<'t>(
        &self,
        addresses: &mut Unique<'t, SocketAddr>,
        address: SocketAddr,
        at: &At<'t>,
    ) {
        // The system chooses a different one for each port 0. An IPv4 address written as IPv6 is the same; anything else
        // may share a port: our sockets do, and the kernel gives a connection to the most specific address.
        if address.port() != 0 {
            let address = SocketAddr::new(address.ip().to_canonical(), address.port());
            self.unique(addresses, address, at);
        }
    }

    fn unique<'t, T: Eq + Hash>(&self, seen: &mut Unique<'t, T>, value: T, at: &At<'t>) {
        let kind = seen.kind;
        match seen.seen.entry(value) {
            Entry::Vacant(place) => {
                place.insert(at.clone());
            }
            Entry::Occupied(first) => {
                let fault = Fault::new(format!("duplicate {kind} `{}`", at.shown()));
                let first = &first.get().path;
                let allowed = format!("each {kind} once; the first is at {first}");
                self.problems.value(at, fault.allow(allowed));
            }
        }
    }
}

/// Names in a sentence: "`a`, `b` and `c`".
fn listed(names: &[&str], and: &str) -> String {
    let quoted: Vec<_> = names.iter().map(|name| format!("`{name}`")).collect();
    match &quoted[..] {
        [] => String::new(),
        [one] => one.clone(),
        [first @ .., last] => format!("{} {and} {last}", first.join(", ")),
    }
}

/// Values that may occur only once, and where each was found first.
struct Unique<'t, T> {
    kind: &'static str,
    seen: HashMap<T, At<'t>>,
}

impl<T> Unique<'_, T> {
    fn new(kind: &'static str) -> Self {
        Self { kind, seen: HashMap::new() }
    }
}
