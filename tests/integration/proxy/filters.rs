//! Filters on requests and responses that pass.

use super::client::Answer;
use super::harness::{Config, received, server};
use testserver::Step;

/// The answer to a request, and what the endpoint received, for a route with these filters.
async fn through(filters: &str, request: &str) -> (Answer, String) {
    let server = server().await;
    server.script(
        "/fields",
        [Step::send(
            "HTTP/1.1 200 OK\r\nServer: x\r\nX-A: 1\r\nx-a: 2\r\nX-B: 3\r\nSet-Cookie: a=1\r\nContent-Length: 2\r\n\r\nok",
        )],
    );
    let proxy = Config::to(&[&server])
        .routes(&format!(
            "{{ name: all, matches: [{{ path: {{ prefix: /shop }} }}, {{ path: {{ prefix: / }} }}], \
             filters: [{filters}], backends: [test] }}"
        ))
        .start();
    let mut client = proxy.client().await;
    client.send(request).await;
    let mut answer = client.answer().await;
    if answer.status == 100 {
        answer = client.answer().await;
    }
    (answer, received(&server).concat())
}

fn lines<'a>(received: &'a str, name: &str) -> Vec<&'a str> {
    let fields = received.lines().filter_map(|line| line.split_once(": "));
    fields.filter(|(n, _)| *n == name).map(|(_, value)| value).collect()
}

#[tokio::test]
async fn request_fields_are_removed_set_and_added() {
    let (answer, raw) = through(
        "{ requestHeaders: { remove: [Cookie, X-Forwarded-Host], \
           set: [{ name: X-Env, value: prod }, { name: x-forwarded-proto, value: https }], \
           add: [{ name: X-Tag, value: b }] } }",
        "GET /echo HTTP/1.1\r\nHost: a.example\r\nCookie: a=1\r\ncookie: b=2\r\nX-ENV: mine\r\nx-env: too\r\n\
         X-Tag: a\r\nX-Other: 1\r\n\r\n",
    )
    .await;
    assert_eq!(answer.status, 200);
    for (name, values) in [
        ("cookie", &[][..]),
        ("x-env", &["prod"]),
        ("x-tag", &["a", "b"]),
        ("x-other", &["1"]),
        ("x-forwarded-for", &["127.0.0.1"]),
        ("x-forwarded-proto", &["https"]),
        ("x-forwarded-host", &[]),
        ("host", &["a.example"]),
    ] {
        assert_eq!(lines(&raw, name), values, "{name} in {raw}");
    }
}

/// A body arrives whole whatever is done to the head.
#[tokio::test]
async fn changes_of_a_head_leave_its_body_alone() {
    let filters =
        "{ requestHeaders: { remove: [content-type, expect], set: [{ name: x-a, value: '1' }] } }";
    for body in [
        "Content-Length: 4\r\nContent-Type: a/b\r\n\r\nbody",
        "Transfer-Encoding: chunked\r\nContent-Type: a/b\r\n\r\n4\r\nbody\r\n0\r\n\r\n",
        "Content-Length: 4\r\nExpect: 100-continue\r\n\r\nbody",
    ] {
        let request = format!("POST /echo HTTP/1.1\r\nHost: a\r\n{body}");
        let (answer, raw) = through(filters, &request).await;
        assert_eq!(answer.json()["body"]["text"], "body", "{answer:?}");
        assert_eq!((lines(&raw, "x-a"), lines(&raw, "content-type")), (vec!["1"], vec![]));
        assert_eq!(lines(&raw, "expect"), Vec::<&str>::new());
    }
}

/// An endpoint that is not told of a client's wait does not end it. So the body is asked for at once, and not held back until the
/// endpoint says something: this one answers before it has seen any of it.
#[tokio::test]
async fn a_body_does_not_wait_for_an_endpoint_that_is_not_told_of_it() {
    let server = server().await;
    server.script("/x", [Step::answer(200, "ok"), Step::Linger]);
    let proxy = Config::to(&[&server])
        .routes(
            "{ name: all, filters: [{ requestHeaders: { remove: [expect] } }], backends: [test] }",
        )
        .start();
    let mut client = proxy.client().await;
    client
        .send(
            "POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\nExpect: 100-continue\r\n\r\nbody",
        )
        .await;
    assert_eq!(client.answer().await.status, 100);
    assert_eq!(client.answer().await.text(), "ok");
}

#[tokio::test]
async fn response_fields_are_removed_set_and_added() {
    let filter = "{ responseHeaders: { remove: [server, X-A], set: [{ name: x-b, value: '4' }], \
                  add: [{ name: Set-Cookie, value: b=2 }] } }";
    let (answer, _) = through(filter, "GET /fields HTTP/1.1\r\nHost: a\r\n\r\n").await;
    assert_eq!((answer.fields("server"), answer.fields("x-a")), (vec![], vec![]));
    assert_eq!(
        (answer.fields("x-b"), answer.fields("set-cookie")),
        (vec!["4"], vec!["a=1", "b=2"])
    );
    assert_eq!(answer.text(), "ok");
}

/// What an operator wants on every response (`Strict-Transport-Security`) is on our own, too.
#[tokio::test]
async fn our_own_errors_have_the_fields_of_the_route() {
    let filter =
        "{ responseHeaders: { set: [{ name: x-b, value: '4' }], remove: [proxy-status] } }";
    let (answer, _) =
        through(filter, "GET /close?at=before-head HTTP/1.1\r\nHost: a\r\n\r\n").await;
    assert_eq!(
        (answer.status, answer.field("x-b"), answer.field("proxy-status")),
        (502, Some("4"), None)
    );
}

#[tokio::test]
async fn an_upgrade_has_the_fields_of_the_route() {
    let filter = "{ responseHeaders: { set: [{ name: x-b, value: '4' }] } }, \
                  { requestHeaders: { set: [{ name: x-c, value: '5' }] } }";
    let request = "GET /upgrade?close-after=0 HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: echo\r\n\r\n";
    let (answer, raw) = through(filter, request).await;
    assert_eq!((answer.status, answer.field("x-b")), (101, Some("4")));
    assert_eq!((lines(&raw, "x-c"), lines(&raw, "upgrade")), (vec!["5"], vec!["echo"]));
}

#[tokio::test]
async fn a_host_is_rewritten_and_the_old_one_told() {
    let filter = "{ rewrite: { host: inner.example } }";
    let (_, raw) = through(filter, "GET /echo HTTP/1.1\r\nHost: a.example:8080\r\n\r\n").await;
    assert_eq!(lines(&raw, "host"), ["inner.example"]);
    assert_eq!(lines(&raw, "x-forwarded-host"), ["a.example:8080"]);
    let (_, raw) = through(filter, "GET /echo HTTP/1.0\r\n\r\n").await;
    assert_eq!(lines(&raw, "host"), ["inner.example"]);
    assert_eq!(lines(&raw, "x-forwarded-host"), Vec::<&str>::new());
}

#[tokio::test]
async fn a_prefix_is_replaced_and_the_endpoints_own_path_comes_first() {
    for (own, replacement, target, line) in [
        ("", "/", "/shop/cart?x=1", "GET /cart?x=1 HTTP/1.1"),
        ("", "/", "/shop", "GET / HTTP/1.1"),
        ("", "/", "/shop?x", "GET /?x HTTP/1.1"),
        ("", "/store", "/sh%6fp/a/../cart", "GET /store/cart HTTP/1.1"),
        ("", "/store", "//shop//a%3ab", "GET /store//a%3Ab HTTP/1.1"),
        ("/base", "/", "/shop/cart", "GET /base/cart HTTP/1.1"),
        ("/base", "/", "/shop", "GET /base/ HTTP/1.1"),
        ("/base", "/store", "http://a/shop/", "GET /base/store/ HTTP/1.1"),
    ] {
        let server = server().await;
        let proxy = Config::to_urls(vec![format!("{}{own}", server.url())])
            .routes(&format!(
                "{{ name: shop, matches: [{{ path: {{ prefix: /shop }} }}], \
                 filters: [{{ rewrite: {{ path: {{ prefix: {replacement} }} }} }}], backends: [test] }}"
            ))
            .start();
        proxy.ask(format!("GET {target} HTTP/1.1\r\nHost: a\r\n\r\n")).await;
        assert_eq!(received(&server)[0].lines().next(), Some(line), "{own} {replacement} {target}");
    }
}

#[tokio::test]
async fn a_whole_path_is_replaced_and_the_query_kept() {
    let filter = "{ rewrite: { path: { full: /echo } } }";
    let (answer, raw) = through(filter, "GET /any/where?x=1 HTTP/1.1\r\nHost: a\r\n\r\n").await;
    assert_eq!(answer.status, 200);
    assert!(raw.starts_with("GET /echo?x=1 HTTP/1.1\r\n"), "{raw}");
}

/// S4: application servers read `x_user` and `x-user` as one, and a chunked body ends with fields of its own.
#[tokio::test]
async fn a_change_of_request_fields_holds_in_every_spelling_and_in_trailers() {
    for filter in [
        "{ requestHeaders: { remove: [x-real-user] } }",
        "{ requestHeaders: { set: [{ name: X-Real-User, value: ours }] } }",
    ] {
        let (answer, raw) = through(
            filter,
            "POST /echo HTTP/1.1\r\nHost: a\r\nConnection: x-mine\r\nTransfer-Encoding: chunked\r\n\
             X-Real-User: evil\r\nX_Real_User: evil\r\nx-real_user: evil\r\nX-Real-Users: 1\r\n\r\n\
             2\r\nhi\r\n0\r\nx-real-user: evil\r\nX-Real_User: evil\r\nx-mine: evil\r\nx-sum: 7\r\n\r\n",
        )
        .await;
        assert_eq!(answer.json()["body"]["text"], "hi");
        assert_eq!(answer.json()["trailers"], serde_json::json!([["x-sum", "7"]]));
        assert!(!raw.contains("evil"), "{raw}");
        assert_eq!(lines(&raw, "x-real-users"), ["1"]);
    }
}
