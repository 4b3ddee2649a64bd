//! One form of each path: what is matched, what is sent on and what is logged.

use super::harness::{Config, Proxy, received, server};

/// A load balancer whose route `/admin` goes to another server than all else.
async fn guarded() -> (testserver::Server, testserver::Server, Proxy) {
    let (open, guarded) = (server().await, server().await);
    let proxy = Config::to(&[&open])
        .admin()
        .backend("guarded", &[&guarded], "")
        .routes(
            "{ name: admin, matches: [{ path: { prefix: /admin } }, { path: { exact: '/v1/users:export' } }, \
             { path: { exact: '/a%7Cb%C3%A9' } }], backends: [guarded] }, \
             { name: rest, backends: [test] }",
        )
        .start();
    (open, guarded, proxy)
}

/// S4: whatever way a path is written, the rule for it holds, and the endpoint reads what the rule read.
#[tokio::test]
async fn no_spelling_of_a_path_gets_past_its_route() {
    let (open, guarded, proxy) = guarded().await;
    for target in [
        "/admin/keys",
        "/%61dmin/keys",
        "/a%64min/keys",
        "/x/../admin/keys",
        "/x/%2e%2E/admin/keys",
        "/./admin/./keys",
        "/admin/x/%2E./keys",
        "http://a.example/x/../admin/keys",
    ] {
        let before = guarded.counts().requests;
        assert_eq!(proxy.get(target).await.status, 404, "{target}");
        assert_eq!(guarded.counts().requests, before + 1, "{target}");
    }
    assert_eq!(open.counts().requests, 0);
    for line in received(&guarded).concat().lines().filter(|line| line.ends_with("HTTP/1.1")) {
        assert_eq!(line, "GET /admin/keys HTTP/1.1");
    }
}

/// S4: what some applications take for the same, and others do not, has the same route and stays as it is.
#[tokio::test]
async fn a_rule_holds_for_all_that_an_application_may_take_for_the_same() {
    let (open, guarded, proxy) = guarded().await;
    let cases = [
        ("//admin/keys", "//admin/keys"),
        ("/admin//keys", "/admin//keys"),
        ("/x/..//admin", "//admin"),
        ("/v1/users:export", "/v1/users:export"),
        ("/v1/users%3aexport", "/v1/users%3Aexport"),
        ("//v1//users%3Aexport", "//v1//users%3Aexport"),
        ("/a|b\u{e9}", "/a%7Cb%C3%A9"),
        ("/a%7cb%c3%a9", "/a%7Cb%C3%A9"),
    ];
    for (target, _) in cases {
        assert_eq!(proxy.get(target).await.status, 404, "{target}");
    }
    assert_eq!(open.counts().requests, 0);
    let raw = received(&guarded).concat();
    let lines: Vec<_> = raw.lines().filter(|line| line.ends_with("HTTP/1.1")).collect();
    assert_eq!(lines, cases.map(|(_, sent)| format!("GET {sent} HTTP/1.1")));
}

/// S4
#[tokio::test]
async fn a_path_that_can_be_read_in_two_ways_is_refused() {
    let (open, guarded, proxy) = guarded().await;
    for (target, why) in [
        ("/x/..%2fadmin", "contains an encoded slash (`%2F`)"),
        ("/x%5c..%5cadmin", "contains an encoded backslash (`%5C`)"),
        ("/admin%00", "contains an encoded NUL (`%00`)"),
        ("/%", "contains a `%` without two hexadecimal digits"),
        ("/%6", "contains a `%` without two hexadecimal digits"),
        ("/%zz", "contains a `%` without two hexadecimal digits"),
        ("/../admin", "leads above the root (`..`)"),
        ("/x/../../admin", "leads above the root (`..`)"),
        ("http://a.example/%2e%2e/admin", "leads above the root (`..`)"),
    ] {
        let answer = proxy.get(target).await;
        assert_eq!((answer.status, answer.reason()), (400, "bad_path".to_owned()), "{target}");
        assert_eq!(answer.json()["message"], format!("the request's path {why}"), "{target}");
    }
    assert_eq!(open.counts().requests + guarded.counts().requests, 0);
    assert_eq!(proxy.without_backend().await, (9, 0));
}

#[tokio::test]
async fn the_query_is_passed_on_as_it_is() {
    let (open, _guarded, proxy) = guarded().await;
    proxy.get("/%7Ex/?a=%2e%2f..%00&b=/../&c=%zz").await;
    assert!(received(&open)[0].starts_with("GET /~x/?a=%2e%2f..%00&b=/../&c=%zz HTTP/1.1\r\n"));
}

#[tokio::test]
async fn a_request_that_concerns_the_whole_server_goes_by_the_root() {
    let (open, guarded, proxy) = guarded().await;
    proxy.ask("OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n").await;
    assert!(received(&open)[0].starts_with("OPTIONS * HTTP/1.1\r\n"));
    assert_eq!(guarded.counts().requests, 0);
}
