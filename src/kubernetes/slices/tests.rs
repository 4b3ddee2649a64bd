//! Tables of what EndpointSlices may say.

use super::*;
use crate::model::{Scheme, ServiceMode};
use serde_json::{Value, json};

fn wanted(port: ServicePort, ip_family: IpFamily) -> Service {
    Service {
        namespace: "shop".into(),
        name: "web".into(),
        port,
        scheme: Scheme::Http,
        mode: ServiceMode::EndpointSlices,
        ip_family,
    }
}

fn by_name() -> Service {
    wanted(ServicePort::Name("http".into()), IpFamily::PreferIpv4)
}

fn slice(kind: &str, endpoints: Value) -> EndpointSlice {
    let ports = json!([{ "name": "http", "port": 8080 }]);
    slice_with(kind, endpoints, ports)
}

fn slice_with(kind: &str, endpoints: Value, ports: Value) -> EndpointSlice {
    let slice = json!({
        "metadata": { "name": "web-1" },
        "addressType": kind,
        "endpoints": endpoints,
        "ports": ports,
    });
    serde_json::from_value(slice).unwrap()
}

fn at(address: &str, conditions: Value) -> Value {
    json!({ "addresses": [address], "conditions": conditions })
}

fn ready(address: &str) -> Value {
    at(address, json!({ "ready": true, "serving": true, "terminating": false }))
}

fn leaving(address: &str) -> Value {
    at(address, json!({ "ready": false, "serving": true, "terminating": true }))
}

fn urls(found: &Found) -> Vec<String> {
    found.endpoints.iter().map(|endpoint| endpoint.url.to_string()).collect()
}

fn found(wanted: &Service, slices: &[EndpointSlice]) -> Vec<String> {
    urls(&find(wanted, slices, None))
}

/// K3
#[test]
fn what_the_conditions_say_decides_whether_an_endpoint_is_used_alone_and_beside_a_ready_one() {
    let yes = Some(true);
    let no = Some(false);
    // ready, serving, terminating; used though there is a ready one; used if there is none.
    let table = [
        (None, None, None, true, true),
        (yes, yes, no, true, true),
        (yes, None, None, true, true),
        // A Service that publishes addresses that are not ready says of all that they are.
        (yes, no, yes, true, true),
        (no, no, no, false, false),
        (no, None, None, false, false),
        (no, yes, no, false, false),
        (no, yes, yes, false, true),
        (no, no, yes, false, false),
        (no, None, yes, false, false),
    ];
    for (ready_, serving, terminating, beside, alone) in table {
        let conditions = json!({ "ready": ready_, "serving": serving, "terminating": terminating });
        let one = at("10.0.0.1", conditions.clone());
        let lone = found(&by_name(), &[slice("IPv4", json!([one]))]);
        assert_eq!(lone.len(), usize::from(alone), "alone: {conditions}");
        let both = found(&by_name(), &[slice("IPv4", json!([one, ready("10.0.0.2")]))]);
        let expected = if beside { 2 } else { 1 };
        assert_eq!(both.len(), expected, "beside a ready one: {conditions}");
        assert!(both.contains(&"http://10.0.0.2:8080".to_owned()));
    }
    let silent = json!([{ "addresses": ["10.0.0.1"] }]);
    assert_eq!(found(&by_name(), &[slice("IPv4", silent)]).len(), 1, "no conditions at all");
}

#[test]
fn the_endpoints_of_all_slices_are_used_each_once_in_the_order_of_their_addresses() {
    let slices = [
        slice("IPv4", json!([ready("10.0.0.10"), ready("10.0.0.9")])),
        slice("IPv4", json!([])),
        slice("IPv4", json!([ready("10.0.0.9"), ready("10.0.0.2")])),
    ];
    let expected = ["http://10.0.0.2:8080", "http://10.0.0.9:8080", "http://10.0.0.10:8080"];
    assert_eq!(found(&by_name(), &slices), expected);
    let [a, b, c] = slices;
    assert_eq!(found(&by_name(), &[c, b, a]), expected, "whatever the order of the slices");
    assert_eq!(found(&by_name(), &[]), [""; 0]);
}

#[test]
fn of_an_endpoint_in_two_slices_the_better_word_counts_and_the_zone_is_kept() {
    let zoned = |mut endpoint: Value, zone: &str| {
        endpoint["zone"] = zone.into();
        endpoint
    };
    let old = slice("IPv4", json!([zoned(leaving("10.0.0.1"), "a"), leaving("10.0.0.2")]));
    let new = slice("IPv4", json!([ready("10.0.0.1")]));
    for slices in [[old.clone(), new.clone()], [new, old]] {
        let found = find(&by_name(), &slices, None);
        assert_eq!(urls(&found), ["http://10.0.0.1:8080"]);
        assert_eq!(found.endpoints[0].zone.as_deref(), Some("a"));
    }
}

#[test]
fn a_port_has_the_number_that_its_slice_gives_it() {
    let old =
        slice_with("IPv4", json!([ready("10.0.0.1")]), json!([{ "name": "http", "port": 80 }]));
    let ports = json!([
        { "name": "http", "port": 9000, "protocol": "UDP" },
        { "name": "metrics", "port": 9100 },
        { "name": "http", "port": 8000, "protocol": "TCP" },
    ]);
    let new = slice_with("IPv4", json!([ready("10.0.0.2")]), ports);
    let all = json!([{ "name": "http", "port": null }]);
    let any = slice_with("IPv4", json!([ready("10.0.0.3")]), all);
    let none = slice_with("IPv4", json!([ready("10.0.0.4")]), json!(null));
    let found = found(&by_name(), &[old, new, any, none]);
    assert_eq!(found, ["http://10.0.0.1", "http://10.0.0.2:8000"]);
}

#[test]
fn a_name_that_no_port_has_is_told_with_those_that_there_are() {
    let ports = json!([{ "name": "web", "port": 80 }, { "name": "metrics", "port": 90 }]);
    let slices = [slice_with("IPv4", json!([ready("10.0.0.1")]), ports)];
    let Found { endpoints, remark } = find(&by_name(), &slices, None);
    assert_eq!(endpoints, []);
    let expected = "no TCP port of its endpoints is called `http`; there are `metrics`, `web`";
    assert_eq!(remark.as_deref(), Some(expected));
    // Scaled to nothing: nobody is wrong.
    let empty = slice_with("IPv4", json!([]), json!(null));
    assert_eq!(find(&by_name(), &[empty], None), Found::default());
}

#[test]
fn the_number_of_a_port_is_that_of_the_service_and_not_that_of_the_pods() {
    let service = |ports: Value| -> core_v1::Service {
        let service = json!({ "metadata": { "name": "web" }, "spec": { "ports": ports } });
        serde_json::from_value(service).unwrap()
    };
    let by_number = wanted(ServicePort::Number(80), IpFamily::PreferIpv4);
    let named = slice("IPv4", json!([ready("10.0.0.1")]));
    let unnamed = slice_with("IPv4", json!([ready("10.0.0.1")]), json!([{ "port": 8080 }]));
    let find = |slice: &EndpointSlice, service: Option<&core_v1::Service>| {
        find(&by_number, [slice], service)
    };

    let ports =
        json!([{ "port": 80, "protocol": "UDP", "name": "dns" }, { "port": 80, "name": "http" }]);
    assert_eq!(urls(&find(&named, Some(&service(ports)))), ["http://10.0.0.1:8080"]);
    let lone = service(json!([{ "port": 80 }]));
    assert_eq!(urls(&find(&unnamed, Some(&lone))), ["http://10.0.0.1:8080"]);
    assert_eq!(urls(&find(&named, Some(&lone))), [""; 0], "another port");

    let remark = |service| find(&named, service).remark.unwrap();
    assert_eq!(remark(None), "there is no such Service");
    let other = service(json!([{ "port": 8080, "name": "http" }]));
    assert_eq!(remark(Some(&other)), "it has no TCP port 80; there are 8080");
}

#[test]
fn of_two_families_the_preferred_one_is_used_as_long_as_it_can_be() {
    let both = [
        slice("IPv4", json!([ready("10.0.0.1")])),
        slice("IPv6", json!([ready("FD00::0001"), ready("fd00::2")])),
    ];
    let four = vec!["http://10.0.0.1:8080"];
    let six = vec!["http://[fd00::1]:8080", "http://[fd00::2]:8080"];
    let of = |family| wanted(ServicePort::Name("http".into()), family);
    assert_eq!(found(&of(IpFamily::PreferIpv4), &both), four);
    assert_eq!(found(&of(IpFamily::PreferIpv6), &both), six);
    assert_eq!(found(&of(IpFamily::Both), &both), [four.clone(), six.clone()].concat());
    assert_eq!(found(&of(IpFamily::PreferIpv4), &both[1..]), six, "there is no other");
    assert_eq!(found(&of(IpFamily::PreferIpv6), &both[..1]), four, "there is no other");
    // A ready endpoint of the other family is better than one that leaves.
    let mixed = [slice("IPv4", json!([leaving("10.0.0.1")])), both[1].clone()];
    assert_eq!(found(&of(IpFamily::PreferIpv4), &mixed), six);
}

#[test]
fn what_is_no_address_of_its_slice_is_left_aside() {
    let slices = [
        slice("FQDN", json!([ready("web.example")])),
        slice("IPv4", json!([ready("fd00::1"), ready("nonsense"), { "addresses": [] }])),
        slice("IPv4", json!([{ "addresses": ["10.0.0.1", "10.0.0.2"] }])),
    ];
    assert_eq!(found(&by_name(), &slices), ["http://10.0.0.1:8080"], "the first address only");
}

#[test]
fn the_scheme_is_that_of_the_configuration_and_the_weight_one() {
    let service = Service { scheme: Scheme::Https, ..by_name() };
    let found = find(&service, &[slice("IPv4", json!([ready("10.0.0.1")]))], None);
    let expected = service.endpoint("10.0.0.1", 8080, None);
    assert_eq!(found.endpoints[0], expected);
    assert_eq!(expected.url.to_string(), "https://10.0.0.1:8080");
    assert_eq!(expected.weight, 1);
}

#[test]
fn a_service_that_there_is_not_is_remarked_on_and_one_without_pods_is_not() {
    let said = |slices: &[EndpointSlice]| find(&by_name(), slices, None).remark;
    assert_eq!(said(&[]).unwrap(), "it has no EndpointSlices; is there such a Service?");
    // As the control plane makes it for a Service without pods.
    assert_eq!(said(&[slice_with("IPv4", json!([]), json!(null))]), None);
    assert_eq!(said(&[slice("IPv4", json!([at("10.0.0.1", json!({ "ready": false }))]))]), None);
}
