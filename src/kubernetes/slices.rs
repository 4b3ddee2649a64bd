//! From EndpointSlices to endpoints: pure, so that every case is a row of a test.
//!
//! What counts is what Kubernetes documents of EndpointSlices, and what kube-proxy makes of them: the ready endpoints; if there is none, those that
//! are terminating and still serve.

use crate::model::{self, IpFamily, Service, ServicePort};
use k8s_openapi::api::core::v1 as core_v1;
use k8s_openapi::api::discovery::v1::{Endpoint, EndpointPort, EndpointSlice};
use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};

/// What EndpointSlices say of a Service.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Found {
    /// The endpoints, in the order of their addresses, each once.
    pub(super) endpoints: Vec<model::Endpoint>,
    /// What an operator has hardly meant, in a few words.
    pub(super) remark: Option<String>,
}

/// How an endpoint is doing; the better comes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Standing {
    Ready,
    /// Terminating, but serving still.
    Leaving,
}

/// What of an endpoint matters besides its address.
#[derive(Clone, Copy, Debug)]
struct Seen<'a> {
    standing: Standing,
    zone: Option<&'a str>,
}

/// The endpoints of `wanted`, of which `slices` are all EndpointSlices. `service` is the Service itself, if there is one: it is asked for
/// the name of a port that is known by its number.
pub(super) fn find<'a>(
    wanted: &Service,
    slices: impl IntoIterator<Item = &'a EndpointSlice>,
    service: Option<&core_v1::Service>,
) -> Found {
    let port = match port_name(&wanted.port, service) {
        Ok(port) => port,
        Err(remark) => return Found { endpoints: Vec::new(), remark: Some(remark) },
    };
    let mut seen = BTreeMap::new();
    let mut others = BTreeSet::new();
    let mut is_known = false;
    for slice in slices {
        is_known = true;
        let ports = slice.ports.as_deref().unwrap_or_default();
        match ports.iter().find_map(|one| number_of(one, port)) {
            Some(number) => look(slice, number, &mut seen),
            None if slice.endpoints.is_empty() => {}
            None => others.extend(ports.iter().map(|one| one.name.as_deref().unwrap_or_default())),
        }
    }
    let remark = if !is_known {
        // One without pods has an empty one.
        Some("it has no EndpointSlices; is there such a Service?".to_owned())
    } else if seen.is_empty() && !others.is_empty() {
        let others: Vec<_> = others.into_iter().map(|name| format!("`{name}`")).collect();
        let others = others.join(", ");
        Some(format!("no TCP port of its endpoints is called `{port}`; there are {others}"))
    } else {
        None
    };
    let endpoint = |(address, seen): (&SocketAddr, &Seen<'_>)| {
        let host = match address.ip() {
            IpAddr::V4(ip) => ip.to_string(),
            IpAddr::V6(ip) => format!("[{ip}]"),
        };
        wanted.endpoint(&host, address.port(), seen.zone)
    };
    let endpoints = choose(&seen, wanted.ip_family).map(endpoint).collect();
    Found { endpoints, remark }
}

/// The name that the port has in EndpointSlices; it is empty where the Service has a single port without a name.
fn port_name<'a>(
    port: &'a ServicePort,
    service: Option<&'a core_v1::Service>,
) -> Result<&'a str, String> {
    let number = match port {
        ServicePort::Name(name) => return Ok(name),
        ServicePort::Number(number) => *number,
    };
    let service = service.ok_or("there is no such Service")?;
    let ports = service.spec.as_ref().and_then(|spec| spec.ports.as_deref()).unwrap_or_default();
    let is_wanted = |one: &&core_v1::ServicePort| {
        one.port == i32::from(number) && is_tcp(one.protocol.as_deref())
    };
    match ports.iter().find(is_wanted) {
        Some(one) => Ok(one.name.as_deref().unwrap_or_default()),
        None => {
            let known: Vec<_> = ports.iter().map(|one| one.port.to_string()).collect();
            Err(format!("it has no TCP port {number}; there are {}", known.join(", ")))
        }
    }
}

fn number_of(port: &EndpointPort, name: &str) -> Option<u16> {
    let matches =
        port.name.as_deref().unwrap_or_default() == name && is_tcp(port.protocol.as_deref());
    // Without a number it is all ports, which says nothing of one.
    port.port.filter(|_| matches).and_then(|number| u16::try_from(number).ok())
}

/// TCP is what is meant where nothing is said.
fn is_tcp(protocol: Option<&str>) -> bool {
    protocol.is_none_or(|protocol| protocol == "TCP")
}

/// Takes in the usable endpoints of a slice.
fn look<'a>(slice: &'a EndpointSlice, port: u16, seen: &mut BTreeMap<SocketAddr, Seen<'a>>) {
    for endpoint in &slice.endpoints {
        let Some(standing) = standing(endpoint) else { continue };
        // Of several addresses all lead to the same, and nobody but the first is looked at.
        let address = endpoint.addresses.first().and_then(|text| text.parse::<IpAddr>().ok());
        // The other type, host names, is deprecated, and kube-proxy leaves it aside, too.
        let Some(address) = address.filter(|ip| is_of_type(*ip, &slice.address_type)) else {
            continue;
        };
        let found = Seen { standing, zone: endpoint.zone.as_deref() };
        // While an endpoint moves from slice to slice it may be in both: the better word counts.
        seen.entry(SocketAddr::new(address, port))
            .and_modify(|known| {
                let zone = known.zone.or(found.zone);
                if found.standing < known.standing {
                    *known = found;
                }
                known.zone = known.zone.or(zone);
            })
            .or_insert(found);
    }
}

fn is_of_type(address: IpAddr, kind: &str) -> bool {
    match address {
        IpAddr::V4(_) => kind == "IPv4",
        IpAddr::V6(_) => kind == "IPv6",
    }
}

/// `None` for an endpoint that is not to be used. Of what is not said, the documentation of the API says what it means.
fn standing(endpoint: &Endpoint) -> Option<Standing> {
    let said = endpoint.conditions.as_ref();
    let (ready, serving, terminating) =
        said.map_or((None, None, None), |said| (said.ready, said.serving, said.terminating));
    if ready.unwrap_or(true) {
        return Some(Standing::Ready);
    }
    // Before `serving` there was, `ready` said it.
    let leaving = terminating == Some(true) && serving.unwrap_or(false);
    leaving.then_some(Standing::Leaving)
}

/// Those of the best standing, and of them those of the family that is preferred, if there are any.
fn choose<'s, 'a>(
    seen: &'s BTreeMap<SocketAddr, Seen<'a>>,
    family: IpFamily,
) -> impl Iterator<Item = (&'s SocketAddr, &'s Seen<'a>)> {
    let best = seen.values().map(|one| one.standing).min();
    let usable = move |seen: &Seen<'_>| Some(seen.standing) == best;
    let is_preferred = move |address: &SocketAddr| match family {
        IpFamily::PreferIpv4 => address.is_ipv4(),
        IpFamily::PreferIpv6 => address.is_ipv6(),
        IpFamily::Both => true,
    };
    let any = seen.iter().any(|(address, seen)| usable(seen) && is_preferred(address));
    seen.iter().filter(move |(address, seen)| usable(seen) && (!any || is_preferred(address)))
}

#[cfg(test)]
mod tests;
