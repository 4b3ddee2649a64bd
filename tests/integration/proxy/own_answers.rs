//! What routes answer without a backend: redirects and fixed responses.

use super::client::Client;
use super::harness::{Config, Proxy, server};
use testserver::Server;

/// A load balancer that answers `/own` by this filter.
async fn answering(filter: &str, more: &str) -> (Server, Proxy) {
    let server = server().await;
    let proxy = Config::to(&[&server]).admin()
        .trusted("127.0.0.0/8")
        .routes(&format!(
            "{{ name: own, matches: [{{ path: {{ prefix: /own }} }}], filters: [{filter}{more}] }}, \
             {{ name: rest, backends: [test] }}"
        ))
        .start();
    (server, proxy)
}

#[tokio::test]
async fn a_redirect_says_where_and_nothing_else() {
    for (redirect, request, status, location) in [
        (
            "scheme: https",
            "GET /own/x?y=1 HTTP/1.1\r\nHost: a.example:8080\r\n",
            302,
            "https://a.example/own/x?y=1",
        ),
        (
            "scheme: https, status: 308",
            "GET http://a.example/own HTTP/1.1\r\nHost: a.example\r\n",
            308,
            "https://a.example/own",
        ),
        (
            "host: b.example, port: 80, status: 301",
            "GET /own HTTP/1.1\r\nHost: a\r\n",
            301,
            "http://b.example/own",
        ),
        ("host: b.example, port: 8080", "GET /own HTTP/1.0\r\n", 302, "http://b.example:8080/own"),
        (
            "path: { prefix: /new }, status: 307",
            "GET /%6fwn/../own/x HTTP/1.1\r\nHost: a\r\n",
            307,
            "http://a/new/x",
        ),
        (
            "path: { full: /new }, status: 303",
            "GET /own/x?q HTTP/1.1\r\nHost: [::1]:8080\r\n",
            303,
            "http://[::1]:8080/new?q",
        ),
        // A trusted proxy knows which scheme the client used.
        (
            "path: { full: /new }",
            "GET /own HTTP/1.1\r\nHost: a\r\nX-Forwarded-Proto: https\r\n",
            302,
            "https://a/new",
        ),
    ] {
        let (_server, proxy) = answering(&format!("{{ redirect: {{ {redirect} }} }}"), "").await;
        let answer = proxy.ask(format!("{request}\r\n")).await;
        assert_eq!(
            (answer.status, answer.field("location")),
            (status, Some(location)),
            "{redirect}"
        );
        assert!(answer.text().len() < 40, "{answer:?}");
        assert_eq!(proxy.without_backend().await, (0, 1));
    }
}

/// S4: a client does not say where others are sent.
#[tokio::test]
async fn a_host_that_is_none_is_not_redirected_to() {
    let (_server, proxy) = answering("{ redirect: { scheme: https } }", "").await;
    for request in [
        "GET /own HTTP/1.0\r\n",
        "GET /own HTTP/1.1\r\nHost: a:b\r\n",
        "GET /own HTTP/1.1\r\nHost: a:1:2\r\n",
        "GET /own HTTP/1.1\r\nHost: user@evil.example\r\n",
        "GET /own HTTP/1.1\r\nHost: \r\n",
    ] {
        let answer = proxy.ask(format!("{request}\r\n")).await;
        assert_eq!((answer.status, answer.field("location")), (400, None), "{request}");
    }
}

#[tokio::test]
async fn a_fixed_response_is_always_the_same() {
    let filter =
        "{ respond: { status: 503, body: 'closed until Monday', contentType: text/x-note } }";
    let more = ", { responseHeaders: { set: [{ name: retry-after, value: '3600' }] } }";
    let (_server, proxy) = answering(filter, more).await;
    let mut client = proxy.client().await;
    for _ in 0..2 {
        let answer = client.get("/own").await;
        assert_eq!((answer.status, answer.text()), (503, "closed until Monday"));
        assert_eq!(answer.field("content-type"), Some("text/x-note"));
        assert_eq!(answer.field("content-length"), Some("19"));
        assert_eq!(answer.field("retry-after"), Some("3600"));
    }
    client.send("HEAD /own HTTP/1.1\r\nHost: a\r\n\r\n").await;
    let answer = client.answer_without_body().await;
    assert_eq!((answer.status, answer.field("content-length")), (503, Some("19")));
    // The connection lives on.
    assert_eq!(client.get("/").await.status, 200);
    assert_eq!(proxy.without_backend().await, (0, 3));
    proxy.ended(4).await;
}

#[tokio::test]
async fn an_answer_that_has_no_body_has_none() {
    for (status, length) in [(204, None), (304, None), (200, Some("0")), (205, Some("0"))] {
        let (_server, proxy) =
            answering(&format!("{{ respond: {{ status: {status} }} }}"), "").await;
        let mut client = proxy.client().await;
        let answer = client.get("/own").await;
        assert_eq!((answer.status, answer.field("content-length")), (status, length), "{status}");
        assert_eq!((answer.field("content-type"), answer.field("transfer-encoding")), (None, None));
        assert_eq!(client.get("/").await.status, 200, "{status}");
    }
}

/// Nobody waits for a body that nobody reads.
#[tokio::test]
async fn a_request_with_a_body_is_answered_before_it() {
    let (_server, proxy) = answering("{ respond: { status: 403, body: stop } }", "").await;
    for fields in [
        "Content-Length: 1000000\r\n",
        "Transfer-Encoding: chunked\r\n",
        "Content-Length: 5\r\nExpect: 100-continue\r\n",
    ] {
        let mut client = Client::to(proxy.address).await;
        client.send(format!("POST /own HTTP/1.1\r\nHost: a\r\n{fields}\r\n")).await;
        let answer = client.answer().await;
        assert_eq!((answer.status, answer.text()), (403, "stop"), "{fields}");
        // Where the next request would begin nobody knows.
        client.is_closed().await;
    }
    let mut client = Client::to(proxy.address).await;
    assert_eq!(client.post("/own", "a small one").await.status, 403);
}
