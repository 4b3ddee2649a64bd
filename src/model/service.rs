//! Where a backend's endpoints come from.

use super::{Backend, Endpoint, EndpointUrl, Scheme, defaults};
use std::fmt;
use std::sync::Arc;

/// Where a backend's endpoints come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EndpointSource {
    /// The configuration lists them.
    Static,
    /// A Kubernetes Service has them.
    Service(Service),
}

/// A Service of Kubernetes, and how its endpoints are reached.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Service {
    /// Its namespace.
    pub namespace: Arc<str>,
    /// Its name.
    pub name: Arc<str>,
    /// Which of its ports.
    pub port: ServicePort,
    /// Whether TLS is spoken.
    pub scheme: Scheme,
    /// Who chooses among its pods.
    pub mode: ServiceMode,
    /// Which addresses of pods with several are used.
    pub ip_family: IpFamily,
}

/// A port of a Service.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ServicePort {
    /// By its name in the Service.
    Name(Arc<str>),
    /// By its number in the Service, which may be another than that of the pods.
    Number(u16),
}

/// Who chooses among the pods of a Service.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ServiceMode {
    /// The backend's algorithm: each address in the Service's EndpointSlices is an endpoint.
    EndpointSlices,
    /// Kubernetes: the Service is one endpoint, by its name in the cluster's DNS.
    ClusterIp,
}

/// Which addresses of pods with several are used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum IpFamily {
    /// IPv6 only while no endpoint can be used by IPv4.
    PreferIpv4,
    /// IPv4 only while no endpoint can be used by IPv6.
    PreferIpv6,
    /// All: a pod with two addresses is two endpoints.
    Both,
}

impl Backend {
    /// Whether TLS is spoken to endpoints that it has or may come to have.
    pub fn speaks_tls(&self) -> bool {
        let by_source = match &self.source {
            EndpointSource::Static => false,
            EndpointSource::Service(service) => service.scheme == Scheme::Https,
        };
        by_source || self.endpoints.iter().any(|endpoint| endpoint.url.scheme == Scheme::Https)
    }
}

impl EndpointSource {
    /// The Service whose EndpointSlices are followed, if there is one.
    pub fn followed(&self) -> Option<&Service> {
        match self {
            Self::Service(service) if service.mode == ServiceMode::EndpointSlices => Some(service),
            Self::Service(_) | Self::Static => None,
        }
    }
}

impl Service {
    /// The endpoint at `host` and `port`.
    pub fn endpoint(&self, host: &str, port: u16, zone: Option<&str>) -> Endpoint {
        let url =
            EndpointUrl { scheme: self.scheme, host: Arc::from(host), port, path: Arc::from("") };
        Endpoint { url, weight: defaults::WEIGHT, zone: zone.map(Arc::from) }
    }

    /// Its endpoints as far as the configuration alone tells them: one in mode [`ServiceMode::ClusterIp`], none otherwise.
    pub fn known_endpoints(&self) -> Vec<Endpoint> {
        match (self.mode, &self.port) {
            (ServiceMode::ClusterIp, ServicePort::Number(port)) => {
                let host = format!("{}.{}.svc", self.name, self.namespace);
                vec![self.endpoint(&host, *port, None)]
            }
            (ServiceMode::ClusterIp | ServiceMode::EndpointSlices, _) => Vec::new(),
        }
    }
}

impl fmt::Display for EndpointSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Static => f.write_str("none"),
            Self::Service(service) => service.fmt(f),
        }
    }
}

/// `shop/web:http (http, EndpointSlices, PreferIPv4)`.
impl fmt::Display for Service {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { namespace, name, port, scheme, mode, ip_family } = self;
        write!(f, "{namespace}/{name}:{port} ({}, {mode}", scheme.as_str())?;
        match mode {
            ServiceMode::EndpointSlices => write!(f, ", {ip_family})"),
            ServiceMode::ClusterIp => f.write_str(")"),
        }
    }
}

impl fmt::Display for ServicePort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => f.write_str(name),
            Self::Number(number) => number.fmt(f),
        }
    }
}

impl fmt::Display for ServiceMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::EndpointSlices => "EndpointSlices",
            Self::ClusterIp => "ClusterIP",
        })
    }
}

impl fmt::Display for IpFamily {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::PreferIpv4 => "PreferIPv4",
            Self::PreferIpv6 => "PreferIPv6",
            Self::Both => "Both",
        })
    }
}
