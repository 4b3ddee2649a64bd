//! From an endpoint's host to its addresses, again and again: DNS may change or fail, the endpoint stays.

use super::Network;
use crate::clock::Nanos;
use crate::endpoint::{Endpoint, Resolution, Thresholds, Transition};
use crate::model::EndpointUrl;
use crate::snapshot::Snapshot;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinSet;
use tokio::time::timeout;

/// From the start of one look-up of a name to the start of the next.
pub(super) const INTERVAL: Duration = Duration::from_secs(5);

/// What an operator can do about a name that does not resolve.
const REMEDY: &str = "check its spelling, and the name servers and search domains in /etc/resolv.conf (`getent hosts NAME` \
    asks them); a Service of another Kubernetes namespace is called NAME.NAMESPACE";

/// Without an address an endpoint is unhealthy, whether it has a health probe or not.
const AT_ONCE: Thresholds = Thresholds { healthy_after: 1, unhealthy_after: 1 };

/// Gives every endpoint of `snapshot` that is new its addresses, all at the same time. Names that DNS has not answered for after
/// `at_most` are left to the probers, and the endpoint says so.
///
/// Awaited before a snapshot is swapped in, so that a new endpoint has its addresses before its first request. A name that did not
/// resolve before is no reason to wait again: while DNS is out of order, pods come and go as quickly as ever.
pub async fn resolve_all(snapshot: &Snapshot, at_most: Duration) {
    resolve_all_by(&super::System, snapshot, at_most).await;
}

pub(super) async fn resolve_all_by(network: &impl Network, snapshot: &Snapshot, at_most: Duration) {
    let mut lookups = JoinSet::new();
    for backend in &snapshot.backends {
        for member in backend.members() {
            let endpoint = Arc::clone(&member.endpoint);
            if **endpoint.resolution() != Resolution::default() {
                continue;
            }
            if let Some(addresses) = without_lookup(endpoint.url()) {
                endpoint.set_resolution(Resolution { addresses, error: None });
                continue;
            }
            let (network, backend) = (network.clone(), Arc::clone(backend.name()));
            lookups.spawn(async move {
                if timeout(at_most, resolve(&network, &endpoint, &backend)).await.is_err() {
                    let late = Err(format!("DNS has not answered within {at_most:?}"));
                    take_note(&endpoint, &backend, late);
                }
            });
        }
    }
    while lookups.join_next().await.is_some() {}
    for backend in &snapshot.backends {
        backend.refresh(Nanos::now());
    }
}

/// What a look-up found.
pub(super) enum Found {
    /// The addresses, or the error, of before.
    Same,
    /// Others, and what they changed about the endpoint's health.
    News(Option<Transition>),
}

/// Looks `endpoint` up once.
pub(super) async fn resolve(network: &impl Network, endpoint: &Endpoint, backend: &str) -> Found {
    let url = endpoint.url();
    let found = network.lookup(Arc::clone(&url.host), url.port).await;
    let found = match found {
        Ok(addresses) if addresses.is_empty() => Err("the name has no addresses".to_owned()),
        Ok(addresses) => Ok(addresses),
        Err(error) => Err(in_words(&error)),
    };
    take_note(endpoint, backend, found)
}

/// The addresses of a host that needs no look-up: an address literal, or `localhost`, which is the loopback
/// interface whatever DNS or the hosts file say (RFC 6761, section 6.3).
pub(super) fn without_lookup(url: &EndpointUrl) -> Option<Vec<SocketAddr>> {
    let host = url.host.trim_start_matches('[').trim_end_matches(']');
    if let Ok(address) = host.parse::<IpAddr>() {
        return Some(vec![SocketAddr::new(address, url.port)]);
    }
    let loopback = [IpAddr::V4(Ipv4Addr::LOCALHOST), IpAddr::V6(Ipv6Addr::LOCALHOST)];
    (host == "localhost" || host.ends_with(".localhost"))
        .then(|| loopback.map(|address| SocketAddr::new(address, url.port)).to_vec())
}

/// Stores what a look-up found and logs what is new about it.
fn take_note(endpoint: &Endpoint, backend: &str, found: Result<Vec<SocketAddr>, String>) -> Found {
    let before = Arc::clone(&endpoint.resolution());
    let after = merge(&before, found);
    if after == *before {
        return Found::Same;
    }
    let url = endpoint.url();
    let (addresses, last) = (list(&after.addresses), list(&before.addresses));
    match &after.error {
        Some(error) if after.addresses.is_empty() => {
            tracing::warn!(
                "endpoint {url} of backend {backend}: {} does not resolve: {error}; {REMEDY}",
                url.host
            );
        }
        Some(error) => tracing::warn!(
            "endpoint {url} of backend {backend}: {} does not resolve any more, the last answer ({addresses}) is kept: {error}; {REMEDY}",
            url.host
        ),
        None if before.addresses.is_empty() && before.error.is_none() => {
            tracing::debug!("endpoint {url} of backend {backend}: {} is {addresses}", url.host);
        }
        None if before.addresses == after.addresses => {
            tracing::info!("endpoint {url} of backend {backend}: {} resolves again", url.host);
        }
        None if before.addresses.is_empty() => {
            tracing::info!("endpoint {url} of backend {backend}: {} is {addresses} now", url.host);
        }
        None => tracing::info!(
            "endpoint {url} of backend {backend}: {} is {addresses} now, was {last}",
            url.host
        ),
    }
    let (was_known, is_known) = (!before.addresses.is_empty(), !after.addresses.is_empty());
    let reason =
        after.error.as_ref().map(|error| format!("{} does not resolve: {error}", url.host));
    endpoint.set_resolution(after);
    Found::News(match reason {
        Some(reason) if !is_known => endpoint.record_probe(Nanos::now(), Err(&reason), AT_ONCE),
        // Unknown, so that its next health probe alone decides.
        _ if !was_known => endpoint.forget_health(Nanos::now()),
        _ => None,
    })
}

/// Makes the endpoint's health unknown, unless it has no address: then that is what is known.
pub(super) fn forget_health(endpoint: &Endpoint) {
    let resolution = endpoint.resolution();
    if !resolution.addresses.is_empty() || resolution.error.is_none() {
        endpoint.forget_health(Nanos::now());
    }
}

/// What is known after a look-up: a failed one keeps the last answer, and the same addresses keep their order,
/// which DNS servers like to rotate.
fn merge(before: &Resolution, found: Result<Vec<SocketAddr>, String>) -> Resolution {
    match found {
        Err(error) => Resolution { addresses: before.addresses.clone(), error: Some(error) },
        Ok(mut addresses) => {
            let same = addresses.len() == before.addresses.len()
                && addresses.iter().all(|address| before.addresses.contains(address));
            if same {
                addresses.clone_from(&before.addresses);
            }
            Resolution { addresses, error: None }
        }
    }
}

fn list(addresses: &[SocketAddr]) -> String {
    let texts: Vec<_> = addresses.iter().map(|address| address.ip().to_string()).collect();
    texts.join(", ")
}

/// The system's resolver explains itself at length: `failed to lookup address information: Name or service not known`.
fn in_words(error: &io::Error) -> String {
    let text = error.to_string();
    let short = text.strip_prefix("failed to lookup address information: ").unwrap_or(&text);
    short.to_owned()
}
