//! Services of Kubernetes as sources of endpoints.

use super::*;
use crate::model::{EndpointSource, IpFamily, Scheme, Service, ServiceMode, ServicePort};

/// A file whose backend has this service, and what else is said of it.
fn service(keys: &str, rest: &str) -> String {
    let service = format!("service: {{ {keys} }}\n{rest}");
    BASE.replace("endpoints: [http://localhost:8081]\n", &service)
}

const WEB: &str = "namespace: shop, name: web";

fn backend_of(keys: &str, rest: &str) -> crate::model::Backend {
    let text = service(keys, rest);
    read(&text).unwrap_or_else(|problems| panic!("{text}\n{problems}")).backends.remove(0)
}

#[test]
fn a_service_is_followed_by_default_and_its_endpoints_are_not_known_from_the_file() {
    let backend = backend_of(&format!("{WEB}, port: http"), "");
    let expected = Service {
        namespace: "shop".into(),
        name: "web".into(),
        port: ServicePort::Name("http".into()),
        scheme: Scheme::Http,
        mode: ServiceMode::EndpointSlices,
        ip_family: IpFamily::PreferIpv4,
    };
    assert_eq!(backend.source.followed(), Some(&expected));
    assert_eq!(backend.endpoints, []);
    assert!(!backend.speaks_tls());
    let by_number = backend_of(&format!("{WEB}, port: 80, ipFamily: Both"), "");
    let EndpointSource::Service(service) = by_number.source else { panic!() };
    assert_eq!((service.port, service.ip_family), (ServicePort::Number(80), IpFamily::Both));
}

#[test]
fn a_cluster_ip_is_one_endpoint_by_its_name() {
    let backend = backend_of(&format!("{WEB}, port: 8443, mode: ClusterIP, scheme: https"), "");
    assert_eq!(backend.source.followed(), None);
    let urls: Vec<_> = backend.endpoints.iter().map(|one| one.url.to_string()).collect();
    assert_eq!(urls, ["https://web.shop.svc:8443"]);
}

#[test]
fn the_scheme_of_a_service_is_that_of_its_protocol() {
    let http2 = backend_of(&format!("{WEB}, port: grpc"), "    protocol: Http2\n");
    let tls = backend_of(&format!("{WEB}, port: https, scheme: https"), "    tls: {}\n");
    let h2c = backend_of(&format!("{WEB}, port: grpc"), "    protocol: H2c\n");
    assert!(http2.speaks_tls() && tls.speaks_tls() && !h2c.speaks_tls());
}

#[test]
fn a_bad_service_is_refused() {
    let both = format!("service: {{ {WEB}, port: http }}");
    refused(
        "bad_service",
        &[
            &backend(&both),
            &service("", ""),
            &service("namespace: Shop, name: web_1, port: 0", ""),
            &service(&format!("{WEB}, port: Http Port, mode: Headless, ipFamily: IPv4"), ""),
            &service(&format!("{WEB}, port: http, mode: ClusterIP"), ""),
            &service(&format!("{WEB}, port: http, scheme: http"), "    protocol: Http2\n"),
            &service(&format!("{WEB}, port: http"), "    tls: {}\n"),
            &service(&format!("{WEB}, port: http, selector: a"), ""),
        ],
    );
}
