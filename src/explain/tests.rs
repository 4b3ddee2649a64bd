use super::*;
use crate::config;
use serde_json::json;
use std::sync::Arc;

const FILE: &str = "
listeners:
  - { name: http, address: 0.0.0.0:8080, trustedProxies: [10.0.0.0/8] }
  - { name: inner, address: 127.0.0.1:8081 }
routes:
  - name: shop
    hosts: [shop.example.com]
    matches: [{ path: { prefix: /api } }]
    filters: [{ rewrite: { path: { prefix: /v1 } } }]
    backends: [{ name: one, weight: 90 }, { name: two, weight: 10 }]
  - { name: posts, matches: [{ path: { prefix: /api }, method: POST }], backends: [two] }
  - name: beta
    matches: [{ headers: [{ name: x-user, exact: b }], query: [{ name: beta, present: true }] }]
    backends: [two]
  - { name: away, matches: [{ path: { prefix: /old } }], filters: [{ redirect: { scheme: https, path: { prefix: /new } } }] }
  - { name: rest, listeners: [inner], backends: [two] }
backends:
  - { name: one, endpoints: [http://a:1, { url: http://b:1, weight: 0 }] }
  - { name: two, algorithm: { name: ConsistentHash, key: { header: x-user } }, endpoints: [http://c:1] }
";

/// What is told of a request, for people and for programs, and the answer. The words are a command line's.
fn explain(line: &[&str]) -> Result<(String, Value, bool), String> {
    let all = |flag: &str| {
        let pairs = line.chunks(2).filter(|pair| pair[0] == flag);
        pairs.map(|pair| pair[1].to_owned()).collect::<Vec<_>>()
    };
    let one = |flag: &str| all(flag).pop();
    let method = one("--method").map_or(Method::GET, |method| method.parse().unwrap());
    let question = Question {
        url: &one("--url").unwrap(),
        method: &method,
        headers: &all("--header"),
        client_address: one("--client-address").map(|address| address.parse().unwrap()),
    };
    let request = Request::new(&question).map_err(|wrong| wrong.to_string())?;
    let model = config::load(FILE.as_bytes(), "test", &config::Surroundings::none()).unwrap().model;
    let snapshot = Snapshot::compile(Arc::new(model), String::new(), None, 1).unwrap();
    let listener = one("--listener");
    let case = Case::new(&snapshot, &request, listener.as_deref());
    let case = case.map_err(|wrong| wrong.to_string())?;
    Ok((case.text(), case.json(), case.is_taken()))
}

#[test]
fn the_way_of_a_request_is_told_with_what_decided_and_what_spoke_against_the_others() {
    let url = "http://SHOP.example.com:8080/api/./x?q=1";
    let (text, json, won) = explain(&["--url", url, "--header", "x-user: a"]).unwrap();
    let expected = r#"GET http://SHOP.example.com:8080/api/./x?q=1

listener  http on 0.0.0.0:8080
host      shop.example.com
path      /api/x, the normal form of /api/./x
route     shop
match     /api/* (matches[0])
because   no other match fits
filter    rewrite prefix to /v1
body      of any size
sent as   GET /v1/x?q=1, Host: SHOP.example.com:8080

backend one, 90% of the requests
  algorithm  RoundRobin
  decides    Each endpoint in turn, as often as its weight says, spread evenly over the round.
  timeouts   connect 2s, request 1m, attempt none
  retries    up to 2, on ConnectFailure, Reset
  endpoint   http://a:1 (weight 1, 100% of all weights)
  endpoint   http://b:1 (weight 0, gets no requests)

backend two, 10% of the requests
  algorithm  ConsistentHash by key header x-user, table Maglev
  decides    Always the same endpoint for a key of the request, by a hash of it; when endpoints come or go, few keys move.
  timeouts   connect 2s, request 1m, attempt none
  retries    up to 2, on ConnectFailure, Reset
  endpoint   http://c:1 (weight 1, 100% of all weights)

not taken by
  posts  POST /api/*                              method: only POST
  away   /old/*                                   path: only prefix /old
  beta   /* with x-user = "b", ?beta present      header: x-user = "b", the request has "a"; query: ?beta present, the request has none
"#;
    let squeeze = |text: &str| {
        text.lines()
            .map(|line| line.split_whitespace().collect::<Vec<_>>().join(" "))
            .collect::<Vec<_>>()
    };
    assert_eq!(squeeze(&text), squeeze(expected), "{text}");
    assert!(won);
    assert_eq!((&json["route"], &json["sent"]), (&json!("shop"), &json!("/v1/x?q=1")));
    assert_eq!(json["backends"][0]["share"], "90%");
    assert_eq!(json["backends"][0]["endpoints"][1]["hasWeight"], false);
    assert_eq!(json["others"][0]["mismatches"][0]["kind"], "method");
}

#[test]
fn what_decides_between_two_that_fit_is_told() {
    let (text, json, _) =
        explain(&["--url", "http://shop.example.com:8080/api", "--method", "POST"]).unwrap();
    let because = "it has a more specific host; the next is POST /api/* of route posts";
    assert!(text.contains(because), "{text}");
    assert!(text.contains("this request has no such key"), "{text}");
    assert_eq!(
        (&json["others"][0]["route"], &json["others"][0]["fits"]),
        (&json!("posts"), &json!(true))
    );
    assert_eq!(json["others"][0]["decided"], "a more specific host");
}

#[test]
fn a_redirect_shows_where_it_leads() {
    let (text, json, won) = explain(&["--url", "http://a.example:8080/old/x?y=1"]).unwrap();
    assert!(won && text.contains("302, Location: https://a.example/new/x?y=1"), "{text}");
    assert_eq!(json["answer"], json!({ "status": 302, "location": "https://a.example/new/x?y=1" }));
    assert_eq!(json["backends"], json!([]));
}

#[test]
fn what_no_route_takes_and_what_is_refused_have_an_answer() {
    let (text, json, won) = explain(&["--url", "http://a.example:8080/"]).unwrap();
    assert!(!won && text.contains("404 Not Found: no route takes this request"), "{text}");
    assert_eq!(json["answer"]["status"], 404);
    let (text, json, won) = explain(&["--url", "http://a.example:8080/a%2Fb"]).unwrap();
    assert!(!won && text.contains("400 Bad Request") && text.contains("encoded slash"), "{text}");
    assert_eq!((&json["answer"]["status"], &json["path"]), (&json!(400), &Value::Null));
}

#[test]
fn the_listener_is_the_one_with_the_port_or_the_one_that_is_named() {
    let route = |line: &[&str]| {
        explain(line).map(|(_, json, _)| (json["listener"].clone(), json["route"].clone()))
    };
    let inner = Ok((json!("inner"), json!("rest")));
    assert_eq!(route(&["--url", "http://a.example:8081/"]), inner);
    assert_eq!(route(&["--url", "http://a.example/", "--listener", "inner"]), inner);
    let unknown = route(&["--url", "http://a.example/"]).unwrap_err();
    assert!(unknown.contains("port 80") && unknown.contains("http (on 0.0.0.0:8080)"), "{unknown}");
    let unknown = route(&["--url", "http://a.example/", "--listener", "x"]).unwrap_err();
    assert!(unknown.starts_with("listener x: there is none of this name; "), "{unknown}");
}

#[test]
fn the_client_is_whom_a_trusted_proxy_names() {
    let client = |address, header| {
        let line = ["--url", "http://a:8080/", "--client-address", address, "--header", header];
        explain(&line).unwrap().1["client"].clone()
    };
    assert_eq!(client("10.0.0.1", "x-forwarded-for: 192.0.2.7"), "192.0.2.7");
    assert_eq!(client("192.0.2.1", "x-forwarded-for: 192.0.2.7"), "192.0.2.1");
}

#[test]
fn a_request_that_cannot_be_is_refused_with_an_example() {
    for line in [
        &["--url", "shop/x"][..],
        &["--url", "/x"],
        &["--url", "ftp://a/"],
        &["--url", "http://a/", "--header", "x"],
    ] {
        let error = explain(line).unwrap_err();
        assert!(error.contains("such as"), "{error}");
    }
}
