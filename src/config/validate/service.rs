//! Services of Kubernetes as sources of endpoints.

use super::Validator;
use crate::config::decode::Field;
use crate::config::file;
use crate::config::problem::Fault;
use crate::config::scalar::{KubernetesName, PortOfService, Word};
use crate::config::tree::At;
use crate::model::{self, EndpointSource, Protocol, Scheme, ServiceMode, ServicePort};
use std::sync::Arc;

impl Validator<'_> {
    /// Where the endpoints of `backend`, to which `protocol` is spoken, come from.
    pub(super) fn source(
        &self,
        backend: &file::Backend,
        protocol: Protocol,
        at: &At<'_>,
    ) -> EndpointSource {
        let Some(typed) = backend.service.get() else { return EndpointSource::Static };
        if !backend.endpoints.is_absent() {
            let fault = Fault::new("both `endpoints` and `service`");
            self.problems
                .key(&at.key("service"), fault.allow("exactly one of `endpoints` and `service`"));
        }
        match self.service(typed, protocol, &at.key("service")) {
            Some(service) => EndpointSource::Service(service),
            None => EndpointSource::Static,
        }
    }

    fn service(
        &self,
        typed: &file::Service,
        protocol: Protocol,
        at: &At<'_>,
    ) -> Option<model::Service> {
        let namespace = self.required(&typed.namespace, at, "namespace", KubernetesName::expected);
        let name = self.required(&typed.name, at, "name", KubernetesName::expected);
        let port = self.required(&typed.port, at, "port", PortOfService::expected);
        let mode = match typed.mode.get() {
            Some(file::ServiceMode::ClusterIp) => ServiceMode::ClusterIp,
            Some(file::ServiceMode::EndpointSlices) | None => ServiceMode::EndpointSlices,
        };
        if let (ServiceMode::ClusterIp, Some(ServicePort::Name(_))) =
            (mode, port.map(|port| &port.0))
        {
            let at = at.key("port");
            let fault = Fault::new(format!("`{}` is a name: DNS tells no ports", at.shown()));
            let allowed = "the port's number in the Service, or `mode: EndpointSlices`";
            self.problems.value(&at, fault.allow(allowed));
        }
        let ip_family = match typed.ip_family.get() {
            Some(file::IpFamily::PreferIpv4) | None => model::IpFamily::PreferIpv4,
            Some(file::IpFamily::PreferIpv6) => model::IpFamily::PreferIpv6,
            Some(file::IpFamily::Both) => model::IpFamily::Both,
        };
        let scheme = self.scheme_of_service(&typed.scheme, protocol, at);
        Some(model::Service {
            namespace: Arc::from(&*namespace?.0),
            name: Arc::from(&*name?.0),
            port: port?.0.clone(),
            scheme,
            mode,
            ip_family,
        })
    }

    /// Holds the scheme to the protocol that is spoken.
    fn scheme_of_service(
        &self,
        typed: &Field<file::Scheme>,
        protocol: Protocol,
        at: &At<'_>,
    ) -> Scheme {
        let by_protocol = match protocol {
            Protocol::Http1 | Protocol::H2c => Scheme::Http,
            Protocol::Http2 => Scheme::Https,
        };
        let scheme = match typed.get() {
            Some(file::Scheme::Http) => Scheme::Http,
            Some(file::Scheme::Https) => Scheme::Https,
            None => return by_protocol,
        };
        if protocol != Protocol::Http1 && scheme != by_protocol {
            let fault =
                Fault::new(format!("`{}` is not for `protocol: {protocol}`", scheme.as_str()));
            let allowed = format!("`{}`, or another `protocol`", by_protocol.as_str());
            self.problems.value(&at.key("scheme"), fault.allow(allowed));
        }
        scheme
    }
}
