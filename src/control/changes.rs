//! What a reload changes, in words.

use crate::model::{Backend, Endpoint, Listener, Model};

/// The differences from `before` to `after`, a phrase each; never empty if the models differ. `workers` is the number
/// that runs.
pub fn changes(before: &Model, after: &Model, workers: usize) -> Vec<String> {
    let mut said = Vec::new();
    for_each_pair(
        &before.listeners,
        &after.listeners,
        |listener| &*listener.name,
        |pair| match pair {
            Pair::Added(listener) => {
                said.push(format!("listener {} added on {}", listener.name, listener.address));
            }
            Pair::Removed(listener) => said.push(format!("listener {} removed", listener.name)),
            Pair::Both(before, after) => said.extend(listener_changes(before, after)),
        },
    );
    for_each_pair(
        &before.backends,
        &after.backends,
        |backend| &*backend.name,
        |pair| match pair {
            Pair::Added(backend) => said.push(format!("backend {} added", backend.name)),
            Pair::Removed(backend) => said.push(format!("backend {} removed", backend.name)),
            Pair::Both(before, after) => said.extend(backend_changes(before, after)),
        },
    );
    if before.workers != after.workers {
        said.push(match after.workers == workers {
            true => format!("workers: {workers} run already"),
            false => format!("workers: needs a restart, {workers} go on running"),
        });
    }
    let mut note = |differs: bool, what: &str| {
        if differs {
            said.push(format!("{what} changed"));
        }
    };
    note(before.admin != after.admin, "admin address");
    note(before.probes != after.probes, "probes address");
    note(before.shutdown != after.shutdown, "shutdown times");
    note(before.access_log != after.access_log, "access log");
    said
}

fn listener_changes(before: &Listener, after: &Listener) -> Vec<String> {
    let mut said = Vec::new();
    if before.address != after.address {
        said.push(format!("address {} → {}", before.address, after.address));
    }
    if before.limits != after.limits {
        said.push("limits changed".to_owned());
    }
    prefixed(&format!("listener {}", after.name), said)
}

fn backend_changes(before: &Backend, after: &Backend) -> Vec<String> {
    let mut said = Vec::new();
    if before.algorithm != after.algorithm {
        said.push(format!("algorithm {} → {}", before.algorithm, after.algorithm));
    }
    for_each_pair(
        &before.endpoints,
        &after.endpoints,
        |endpoint: &Endpoint| &endpoint.url,
        |pair| match pair {
            Pair::Added(endpoint) => said.push(format!("endpoint {} added", endpoint.url)),
            Pair::Removed(endpoint) => said.push(format!("endpoint {} removed", endpoint.url)),
            Pair::Both(before, after) if before.weight != after.weight => {
                said.push(format!(
                    "endpoint {}: weight {} → {}",
                    after.url, before.weight, after.weight
                ));
            }
            Pair::Both(..) => {}
        },
    );
    let mut note = |differs: bool, what: &str| {
        if differs {
            said.push(format!("{what} changed"));
        }
    };
    note(before.health_probe != after.health_probe, "health probe");
    note(before.latency_probe != after.latency_probe, "latency probe");
    note(before.timeouts != after.timeouts, "timeouts");
    note(before.retry != after.retry, "retry");
    let same_set = said.is_empty() && before.endpoints != after.endpoints;
    if same_set {
        said.push("order of endpoints changed".to_owned());
    }
    prefixed(&format!("backend {}", after.name), said)
}

fn prefixed(subject: &str, said: Vec<String>) -> Vec<String> {
    said.into_iter().map(|what| format!("{subject}: {what}")).collect()
}

/// An item of two lists, told apart by its name.
enum Pair<'a, T> {
    Added(&'a T),
    Removed(&'a T),
    Both(&'a T, &'a T),
}

fn for_each_pair<'a, T, K: PartialEq + ?Sized + 'a>(
    before: &'a [T],
    after: &'a [T],
    key: impl Fn(&'a T) -> &'a K,
    mut f: impl FnMut(Pair<'a, T>),
) {
    let find = |list: &'a [T], wanted: &'a T| list.iter().find(|item| key(item) == key(wanted));
    for item in before.iter().filter(|item| find(after, item).is_none()) {
        f(Pair::Removed(item));
    }
    for item in after {
        f(find(before, item).map_or(Pair::Added(item), |earlier| Pair::Both(earlier, item)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config;

    fn model(text: &str) -> Model {
        let loaded = config::load(text.as_bytes(), "test", &|_| None);
        loaded.unwrap_or_else(|problems| panic!("{problems}")).model
    }

    const BEFORE: &str = "
listeners: [{ name: http, address: 127.0.0.1:8080 }]
backends:
  - name: demo
    algorithm: LeastConnections
    endpoints: [http://a:1, http://b:1]
";

    #[test]
    fn a_change_is_said_in_the_words_of_the_configuration() {
        let after = "
workers: 3
shutdown: { drainDelay: 1s }
listeners: [{ name: http, address: 0.0.0.0:8080 }, { name: more, address: 127.0.0.1:8081 }]
backends:
  - name: demo
    algorithm: LeastResponseTime
    endpoints: [{ url: http://a:1, weight: 2 }, http://c:1]
    timeouts: { connect: 1s }
";
        assert_eq!(
            changes(&model(BEFORE), &model(after), 2),
            [
                "listener http: address 127.0.0.1:8080 → 0.0.0.0:8080",
                "listener more added on 127.0.0.1:8081",
                "backend demo: algorithm LeastConnections → LeastResponseTime",
                "backend demo: endpoint http://b:1 removed",
                "backend demo: endpoint http://a:1: weight 1 → 2",
                "backend demo: endpoint http://c:1 added",
                "backend demo: timeouts changed",
                "workers: needs a restart, 2 go on running",
                "shutdown times changed",
            ]
        );
    }

    #[test]
    fn every_difference_is_said() {
        let after = BEFORE.replace("http://a:1, http://b:1", "http://b:1, http://a:1");
        assert_eq!(
            changes(&model(BEFORE), &model(&after), 2),
            ["backend demo: order of endpoints changed"]
        );
        assert!(changes(&model(BEFORE), &model(BEFORE), 2).is_empty());
    }
}
