//! Method, target, host and version of a request (RFC 9112, section 3; RFC 9110, sections 7.1 to 7.4, 7.6.2 and 9).

use super::super::harness::{Config, Proxy, received, server};
use super::{forward, values};

fn line(upstream: &str) -> &str {
    upstream.split("\r\n").next().unwrap_or_default()
}

#[tokio::test]
async fn methods_that_nobody_knows_are_the_endpoints_business() {
    for method in ["PROPFIND", "M-SEARCH", "get", "TRACE", "PATCH", "X", "BREW!#$%&'*+-.^_`|~"] {
        let (answer, upstream) = forward(format!("{method} / HTTP/1.1\r\nHost: a\r\n\r\n")).await;
        assert_eq!(answer.status, 200, "{method}");
        assert_eq!(line(&upstream), format!("{method} / HTTP/1.1"));
    }
}

#[tokio::test]
async fn an_empty_path_becomes_a_slash() {
    for (target, expected) in [
        ("http://a.example", "/"),
        ("http://a.example?q=1", "/?q=1"),
        ("HTTP://a.example/x?y", "/x?y"),
        ("http://a.example:80/", "/"),
    ] {
        let host = target.split(['/', '?']).nth(2).unwrap();
        let (answer, upstream) =
            forward(format!("GET {target} HTTP/1.1\r\nHost: {host}\r\n\r\n")).await;
        assert!(answer.status == 200 || answer.status == 404, "{target}: {}", answer.status);
        assert_eq!(line(&upstream), format!("GET {expected} HTTP/1.1"));
        assert_eq!(values(&upstream, "host"), [host]);
    }
}

#[tokio::test]
async fn a_fragment_goes_nowhere() {
    let (_, upstream) = forward("GET /x?q#fragment HTTP/1.1\r\nHost: a\r\n\r\n").await;
    assert_eq!(line(&upstream), "GET /x?q HTTP/1.1");
}

#[tokio::test]
async fn http_1_1_needs_a_host_whatever_its_target() {
    for target in ["/", "http://a.example/", "*"] {
        let method = if target == "*" { "OPTIONS" } else { "GET" };
        let (answer, upstream) = forward(format!("{method} {target} HTTP/1.1\r\n\r\n")).await;
        assert_eq!((answer.status, &*upstream), (400, ""), "{target}");
    }
    let (answer, upstream) = forward("GET http://a.example/ HTTP/1.0\r\n\r\n").await;
    assert_eq!((answer.status, values(&upstream, "host")), (200, vec!["a.example"]));
}

#[tokio::test]
async fn a_host_that_is_none_is_refused() {
    for host in [
        "a:b", "a:80:80", ":80a", "::1", "[::1", "[::1]a", "[a]", "[]", "a]", "a%", "a%2", "a%zz",
        "a b", "a,b", "a/b", "a?b", "a#b", "a@b", "a\\b", "\"a\"",
    ] {
        let (answer, upstream) = forward(format!("GET / HTTP/1.1\r\nHost: {host}\r\n\r\n")).await;
        assert_eq!((answer.status, &*upstream), (400, ""), "{host}");
    }
}

#[tokio::test]
async fn a_host_arrives_as_it_came() {
    for host in [
        "a",
        "A.Example",
        "a.example:",
        "a.example:8080",
        "127.0.0.1:80",
        "[::1]",
        "[2001:db8::1]:80",
        "[v1.x]",
        "caf%C3%A9.example",
        "a_b~c",
    ] {
        let (answer, upstream) = forward(format!("GET / HTTP/1.1\r\nHost: {host}\r\n\r\n")).await;
        assert_eq!((answer.status, values(&upstream, "host")), (200, vec![host]));
        assert!(upstream.starts_with("GET / HTTP/1.1\r\nhost: "), "{upstream}");
    }
}

#[tokio::test]
async fn an_empty_host_becomes_the_endpoints_own() {
    let server = server().await;
    let proxy = Proxy::before(&[&server]);
    assert_eq!(proxy.ask("GET / HTTP/1.1\r\nHost:\r\n\r\n").await.status, 200);
    assert_eq!(values(&received(&server).concat(), "host"), [server.address().to_string()]);
}

#[tokio::test]
async fn an_https_target_that_came_without_tls_is_misdirected() {
    let (answer, upstream) = forward("GET https://a/ HTTP/1.1\r\nHost: a\r\n\r\n").await;
    assert_eq!((answer.status, answer.reason(), &*upstream), (421, "misdirected".to_owned(), ""));
    let (answer, upstream) = forward("GET ftp://a/ HTTP/1.1\r\nHost: a\r\n\r\n").await;
    assert_eq!((answer.status, &*upstream), (400, ""));
    // Who ended TLS before us may say so.
    let server = server().await;
    let proxy = Config::to(&[&server]).trusted("127.0.0.1").start();
    for (proto, status) in [("https", 200), ("http", 421)] {
        let answer = proxy
            .ask(format!(
                "GET https://a/ HTTP/1.1\r\nHost: a\r\nX-Forwarded-Proto: {proto}\r\n\r\n"
            ))
            .await;
        assert_eq!(answer.status, status, "{proto}");
    }
}

#[tokio::test]
async fn max_forwards_is_counted_down() {
    for method in ["TRACE", "OPTIONS"] {
        for (sent, expected) in [
            ("1", "0"),
            ("10", "9"),
            ("007", "6"),
            ("99999999999999999999999", "18446744073709551614"),
        ] {
            let (answer, upstream) =
                forward(format!("{method} / HTTP/1.1\r\nHost: a\r\nMax-Forwards: {sent}\r\n\r\n"))
                    .await;
            assert_eq!((answer.status, values(&upstream, "max-forwards")), (200, vec![expected]));
        }
    }
}

#[tokio::test]
async fn a_request_that_goes_no_further_is_answered_here() {
    let server = server().await;
    let proxy = Proxy::before(&[&server]);
    let mut client = proxy.client().await;
    for (request, status, allow) in
        [("OPTIONS /", 200, None), ("OPTIONS *", 200, None), ("TRACE /", 405, Some("OPTIONS"))]
    {
        client
            .send(format!(
                "{request} HTTP/1.1\r\nHost: a\r\nCookie: secret\r\nMax-Forwards: 0\r\n\r\n"
            ))
            .await;
        let answer = client.answer().await;
        assert_eq!((answer.status, answer.field("allow")), (status, allow), "{request}");
        assert_eq!((answer.field("content-length"), answer.text()), (Some("0"), ""));
    }
    assert_eq!(server.counts().requests, 0);
}

#[tokio::test]
async fn max_forwards_that_is_no_number_is_refused() {
    for fields in [
        "Max-Forwards: x\r\n",
        "Max-Forwards: -1\r\n",
        "Max-Forwards:\r\n",
        "Max-Forwards: 1\r\nMax-Forwards: 2\r\n",
    ] {
        let (answer, upstream) =
            forward(format!("OPTIONS / HTTP/1.1\r\nHost: a\r\n{fields}\r\n")).await;
        assert_eq!((answer.status, &*upstream), (400, ""), "{fields}");
    }
}

#[tokio::test]
async fn max_forwards_means_nothing_to_other_methods() {
    for value in ["0", "5", "x"] {
        let (answer, upstream) =
            forward(format!("GET / HTTP/1.1\r\nHost: a\r\nMax-Forwards: {value}\r\n\r\n")).await;
        assert_eq!((answer.status, values(&upstream, "max-forwards")), (200, vec![value]));
    }
}

#[tokio::test]
async fn a_request_line_of_8000_bytes_arrives() {
    let target = format!("/{}", "x".repeat(8000));
    let (answer, upstream) = forward(format!("GET {target} HTTP/1.1\r\nHost: a\r\n\r\n")).await;
    assert_eq!((answer.status, line(&upstream)), (404, &*format!("GET {target} HTTP/1.1")));
}
