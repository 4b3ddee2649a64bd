//! From [`File`] to [`Model`]: defaults are filled in, and what no single value can know is checked.

mod defaulted;

use super::decode::Field;
use super::file::{self, File, List};
use super::problem::{Collector, Fault};
use super::scalar::{Address, Duration, Name, Url, Word};
use super::tree::At;
use crate::model::{self, Model, Ratio, defaults};
use defaulted::{access_log, duration, limit, limits, number, retry, share, shutdown};
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::hash::Hash;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time;

/// The shortest interval of a probe and the shortest limit of time that is not "none".
const SHORTEST_INTERVAL: time::Duration = time::Duration::from_millis(10);

/// The model of `file`; of use only when nothing was added to `problems`.
pub(super) fn validate(file: &File, root: &At<'_>, problems: &Collector) -> Model {
    let validator = Validator { problems };
    validator.model(file, root)
}

struct Validator<'p> {
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
        Model {
            admin,
            probes,
            workers: number(&file.workers, 0) as usize,
            shutdown: shutdown(&file.shutdown),
            access_log: access_log(&file.telemetry),
            listeners,
            backends: self.backends(&file.backends, at),
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
            Some(model::Listener { name: Arc::from(&*name?.0), address: address?.0, limits })
        };
        self.items(typed, at, "listeners").into_iter().filter_map(listener).collect()
    }

    fn backends(&self, typed: &List<file::Backend>, at: &At<'_>) -> Vec<model::Backend> {
        let mut names = Unique::new("name");
        let mut backends = Vec::new();
        for (index, (typed, at)) in self.items(typed, at, "backends").into_iter().enumerate() {
            if index == 1 {
                let fault = Fault::new(
                    "no request could reach a second backend: `routes` is not available yet",
                );
                self.problems.value(&at, fault.allow("exactly one backend"));
            }
            let name = self.required(&typed.name, &at, "name", Name::expected);
            if let Some(name) = name {
                self.unique(&mut names, name.0.clone(), &at.key("name"));
            }
            let algorithm = match &typed.algorithm {
                Field::Present(algorithm) => {
                    let names = || model::Algorithm::ALL.map(model::Algorithm::name).join(", ");
                    self.required(&algorithm.name, &at.key("algorithm"), "name", names).copied()
                }
                Field::Absent | Field::Invalid => None,
            };
            let backend = model::Backend {
                name: Arc::from(name.map_or("", |name| &*name.0)),
                algorithm: algorithm.map_or(model::Algorithm::RoundRobin, Into::into),
                endpoints: self.endpoints(typed, &at),
                health_probe: self.health_probe(&typed.health_probe, &at),
                latency_probe: self.latency_probe(&typed.latency_probe, &at),
                timeouts: self.timeouts(&typed.timeouts, &at),
                retry: self.retry(&typed.retry, &at),
            };
            backends.push(backend);
        }
        backends
    }

    fn endpoints<'t>(&self, backend: &file::Backend, at: &At<'t>) -> Vec<model::Endpoint> {
        if backend.endpoints.is_absent() && (at.has("dns") || at.has("service")) {
            // That these are not available yet has been said; asking for `endpoints` as well would be noise.
            return Vec::new();
        }
        let mut urls = Unique::new("endpoint");
        let typed = self.items(&backend.endpoints, at, "endpoints");
        let count = typed.len();
        let endpoint = |(typed, at): (&file::Endpoint, At<'t>)| {
            let url = self.required(&typed.url, &at, "url", Url::expected)?.0.clone();
            self.unique(&mut urls, url.clone(), &at.key("url"));
            let weight = number(&typed.weight, u64::from(defaults::WEIGHT)) as u32;
            Some(model::Endpoint { url, weight })
        };
        let endpoints: Vec<_> = typed.into_iter().filter_map(endpoint).collect();
        let idle = endpoints.iter().all(|endpoint| endpoint.weight == 0);
        if idle && count == endpoints.len() && count > 0 {
            let fault = Fault::new("no endpoint gets requests: every weight is 0");
            self.problems.value(&at.key("endpoints"), fault.allow("at least one weight from 1"));
        }
        endpoints
    }

    fn health_probe(
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

    fn latency_probe(
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

    fn check(
        &self,
        http: &Field<file::HttpCheck>,
        tcp: &Field<file::TcpCheck>,
        at: &At<'_>,
    ) -> Option<model::ProbeCheck> {
        let one = "exactly one of `http` and `tcp`";
        match (http, tcp) {
            (Field::Absent, Field::Absent) => {
                match ["http", "tcp"].into_iter().find(|key| at.has(key)) {
                    Some(key) => {
                        let fault = Fault::new(format!("the key `{key}` has no value"));
                        let fault = fault.allow("a map, which may be empty: `{}`");
                        self.problems.key(&at.key(key), fault.suggest(format!("{key}: {{}}")));
                    }
                    None => {
                        self.problems.value(at, Fault::new("neither `http` nor `tcp`").allow(one));
                    }
                }
                None
            }
            (Field::Absent, tcp) => tcp.get().map(|_| model::ProbeCheck::Tcp),
            (http, Field::Absent) => http.get().map(|http| self.http_check(http, &at.key("http"))),
            _ => {
                self.problems.key(&at.key("tcp"), Fault::new("both `http` and `tcp`").allow(one));
                None
            }
        }
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
        }
    }

    fn retry(&self, typed: &Field<file::Retry>, at: &At<'_>) -> model::Retry {
        if let Some(conditions) = typed.get().map(|retry| &retry.conditions)
            && !conditions.is_absent()
        {
            self.items(conditions, &at.key("retry"), "conditions");
        }
        retry(typed)
    }

    /// The valid items of the list `key` of `at`, which has to have some.
    fn items<'f, 't, T>(&self, typed: &'f List<T>, at: &At<'t>, key: &str) -> Vec<(&'f T, At<'t>)> {
        let Some(items) = self.required(typed, at, key, || "a list with at least one item".into())
        else {
            return Vec::new();
        };
        let at = at.key(key);
        if items.is_empty() {
            self.problems.value(&at, Fault::new("an empty list").allow("at least one item"));
        }
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
        // The system chooses a different one for each port 0.
        if address.port() != 0 {
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
