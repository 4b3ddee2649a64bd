//! Which backend a request goes to, and what becomes of it when there is none.

use super::client::Client;
use super::harness::{Config, received, server};

#[tokio::test]
async fn a_request_goes_to_the_backend_of_its_route() {
    let (first, second) = (server().await, server().await);
    let proxy = Config::to(&[&first])
        .second_listener()
        .backend("second", &[&second], "")
        .routes(
            "{ name: host, hosts: [b.example], backends: [second] }, \
             { name: path, matches: [{ path: { prefix: /shop } }], backends: [second] }, \
             { name: method, matches: [{ method: DELETE }], backends: [second] }, \
             { name: field, matches: [{ headers: [{ name: x-to, exact: second }] }], backends: [second] }, \
             { name: query, matches: [{ query: [{ name: to, exact: second }] }], backends: [second] }, \
             { name: listener, listeners: [other], matches: [{ path: { prefix: /other } }], backends: [second] }, \
             { name: rest, backends: [test] }",
        )
        .start();
    for (head, to_second) in [
        ("GET / HTTP/1.1\r\nHost: a.example\r\n", false),
        ("GET / HTTP/1.1\r\nHost: B.example:80\r\n", true),
        ("GET http://b.example/ HTTP/1.1\r\nHost: b.example\r\n", true),
        ("GET /shop HTTP/1.1\r\nHost: a\r\n", true),
        ("GET /shopping HTTP/1.1\r\nHost: a\r\n", false),
        ("DELETE / HTTP/1.1\r\nHost: a\r\n", true),
        ("GET / HTTP/1.1\r\nHost: a\r\nX-To: second\r\n", true),
        ("GET /?x&to=second HTTP/1.1\r\nHost: a\r\n", true),
        ("GET /other HTTP/1.1\r\nHost: a\r\n", false),
        ("GET / HTTP/1.0\r\n", false),
    ] {
        let before = second.counts().requests;
        proxy.ask(format!("{head}\r\n")).await;
        assert_eq!(second.counts().requests - before, u64::from(to_second), "{head}");
    }
    let before = second.counts().requests;
    Client::to(proxy.second_address()).await.get("/other").await;
    assert_eq!(second.counts().requests, before + 1);
}

#[tokio::test]
async fn what_no_route_takes_is_not_found() {
    let server = server().await;
    let proxy = Config::to(&[&server])
        .admin()
        .routes("{ name: shop, matches: [{ path: { prefix: /shop } }], backends: [test] }")
        .start();
    let mut client = proxy.client().await;
    let answer = client.get("/elsewhere").await;
    assert_eq!((answer.status, answer.reason()), (404, "no_route".to_owned()));
    assert_eq!(answer.json()["message"], "no route takes this request");
    assert_eq!(answer.field("proxy-status"), Some("outrigger; error=destination_not_found"));
    client.send("GET /x HTTP/1.1\r\nHost: a\r\nAccept: text/plain\r\n\r\n").await;
    let answer = client.answer().await;
    assert!(
        answer.text().starts_with("404 Not Found\nno route takes this request\nreason: no_route\n")
    );
    // The connection lives on, and neither was counted for a backend.
    assert_eq!(client.get("/shop").await.status, 404);
    assert_eq!(server.counts().requests, 1);
    assert_eq!(proxy.without_backend().await, (2, 0));
    assert!(received(&server)[0].starts_with("GET /shop HTTP/1.1\r\n"));
}

#[tokio::test]
async fn backends_of_a_route_share_by_weight() {
    let (one, two, none) = (server().await, server().await, server().await);
    let proxy = Config::to(&[&one])
        .backend("two", &[&two], "")
        .backend("none", &[&none], "")
        .routes(
            "{ name: all, backends: [{ name: test, weight: 3 }, two, { name: none, weight: 0 }] }",
        )
        .start();
    let mut client = proxy.client().await;
    for _ in 0..400 {
        assert_eq!(client.get("/").await.status, 200);
    }
    assert_eq!(none.counts().requests, 0);
    // 300 are expected; six standard deviations are 52.
    let ones = one.counts().requests;
    assert!((248..=352).contains(&ones), "{ones}");
    assert_eq!(ones + two.counts().requests, 400);
}

/// A retry asks another endpoint of the same backend, however many backends the route has.
#[tokio::test]
async fn a_retry_stays_with_the_backend_that_was_drawn() {
    let (broken, good, other) = (server().await, server().await, server().await);
    broken.script("/x", [testserver::Step::ReadBody, testserver::Step::Close]);
    good.script("/x", [testserver::Step::answer(200, "good")]);
    other.script("/x", [testserver::Step::answer(200, "other")]);
    let proxy = Config::to(&[&broken, &good])
        .backend("other", &[&other], "")
        .routes("{ name: all, backends: [test, other] }")
        .start();
    let mut goods = 0;
    for _ in 0..60 {
        let answer = proxy.get("/x").await;
        assert_eq!(answer.status, 200);
        goods += u64::from(answer.text() == "good");
    }
    let retries = broken.counts().requests;
    assert!(retries > 0);
    assert_eq!(proxy.retries(), (retries, 0));
    assert_eq!((good.counts().requests, other.counts().requests), (goods, 60 - goods));
}

#[tokio::test]
async fn requests_with_the_same_key_go_to_the_same_endpoint() {
    let servers = [server().await, server().await, server().await, server().await];
    let all: Vec<_> = servers.iter().collect();
    for (key, request) in [
        ("{ header: x-user }", "GET / HTTP/1.1\r\nHost: a\r\nX-User: #\r\n\r\n"),
        ("{ cookie: user }", "GET / HTTP/1.1\r\nHost: a\r\nCookie: a=b; user=#; user=x\r\n\r\n"),
        ("{ query: user }", "GET /?x=1&us%65r=#&user=x HTTP/1.1\r\nHost: a\r\n\r\n"),
        ("Path", "GET /x/../# HTTP/1.1\r\nHost: a\r\n\r\n"),
    ] {
        let proxy = Config::to(&all)
            .keys(&format!("algorithm: {{ name: ConsistentHash, key: {key} }}"))
            .start();
        let mut homes = std::collections::HashSet::new();
        for user in 0..16 {
            let request = request.replace('#', &format!("user-{user}"));
            let mut home = None;
            for _ in 0..4 {
                let before = servers.each_ref().map(|server| server.counts().requests);
                proxy.ask(&request).await;
                let after = servers.each_ref().map(|server| server.counts().requests);
                let asked = (0..4).find(|at| before[*at] != after[*at]).unwrap();
                assert_eq!(*home.get_or_insert(asked), asked, "{request}");
            }
            homes.insert(home);
        }
        assert!(homes.len() > 1, "{key}: all users on one endpoint");
    }
}
