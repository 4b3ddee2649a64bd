//! Fields that pass (RFC 9110, sections 5, 7.7 and 10 to 14; RFC 9111, section 5.2).

use super::{answered, forward, values};

#[tokio::test]
async fn lines_of_one_name_keep_their_order() {
    let fields = "X-A: 1\r\nX-B: one\r\nx-a: 2, 3\r\nX-B: two\r\nX-A: 4\r\nX-A:\r\nX-A: 1\r\n";
    let (_, upstream) = forward(format!("GET / HTTP/1.1\r\nHost: a\r\n{fields}\r\n")).await;
    assert_eq!(
        (values(&upstream, "x-a"), values(&upstream, "x-b")),
        (vec!["1", "2, 3", "4", "", "1"], vec!["one", "two"])
    );
    let bytes = answered(format!(
        "HTTP/1.1 200 OK\r\n{fields}Set-Cookie: a=1\r\nSet-Cookie: b=2\r\nContent-Length: 0\r\n\r\n"
    ))
    .await;
    assert_eq!(
        (values(&bytes, "x-a"), values(&bytes, "x-b"), values(&bytes, "set-cookie")),
        (vec!["1", "2, 3", "4", "", "1"], vec!["one", "two"], vec!["a=1", "b=2"])
    );
}

#[tokio::test]
async fn white_space_around_a_value_ends_here() {
    let fields = "X-A:none\r\nX-B: \t both \t \r\nX-C:\t\tin \t side\r\nX-D: \t \r\n";
    let (_, upstream) = forward(format!("GET / HTTP/1.1\r\nHost: a\r\n{fields}\r\n")).await;
    let bytes = answered(format!("HTTP/1.1 200 OK\r\n{fields}Content-Length: 0\r\n\r\n")).await;
    for head in [upstream, bytes] {
        for (name, value) in [("x-a", "none"), ("x-b", "both"), ("x-c", "in \t side"), ("x-d", "")]
        {
            assert_eq!(values(&head, name), [value], "{head:?}");
        }
    }
}

#[tokio::test]
async fn what_a_client_says_to_the_endpoint_is_not_changed() {
    let fields = [
        ("authorization", "Basic eDp5"),
        ("cookie", "a=1; b=2"),
        ("user-agent", "curl/8 (x; y)"),
        ("referer", "http://a/b?c"),
        ("from", "a@b.example"),
        ("accept", "text/html;q=0.5, */*"),
        ("accept-encoding", "gzip, br;q=0"),
        ("accept-language", "de"),
        ("range", "bytes=0-4,-2"),
        ("if-range", "\"x\""),
        ("if-none-match", "W/\"a\", \"b\""),
        ("if-modified-since", "Sat, 29 Oct 1994 19:43:31 GMT"),
        ("if-match", "*"),
        ("date", "Sat, 29 Oct 1994 19:43:31 GMT"),
        ("cache-control", "no-transform, only-if-cached, x=\"y\""),
        ("pragma", "no-cache"),
        ("warning", "199 - \"x\""),
        ("content-type", "text/plain"),
        ("content-encoding", "gzip"),
        ("content-language", "de"),
        ("content-location", "/x"),
        ("trailer", "x-sum"),
        ("expect", "something-else"),
        ("x-nobody-knows", "(this) \"field\""),
    ];
    let lines: String = fields.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    let (answer, upstream) =
        forward(format!("PUT / HTTP/1.1\r\nHost: a\r\n{lines}Content-Length: 2\r\n\r\n\x1f\x7f"))
            .await;
    assert_eq!(answer.status, 200);
    for (name, value) in fields {
        assert_eq!(values(&upstream, name), [value]);
    }
    assert!(upstream.ends_with("\r\n\r\n\x1f\x7f"), "{upstream:?}");
}

#[tokio::test]
async fn what_an_endpoint_says_to_the_client_is_not_changed() {
    let fields = [
        ("server", "Apache/2 (x)"),
        ("date", "Sat, 29 Oct 1994 19:43:31 GMT"),
        ("allow", "GET, X"),
        ("www-authenticate", "Basic realm=\"a, b\""),
        ("proxy-authenticate", "Basic realm=\"c\""),
        ("authentication-info", "x=y"),
        ("location", "http://internal:81/../x"),
        ("content-location", "/x"),
        ("vary", "*"),
        ("etag", "W/\"a\""),
        ("last-modified", "Sat, 29 Oct 1994 19:43:31 GMT"),
        ("accept-ranges", "none"),
        ("content-range", "bytes 0-1/5"),
        ("content-encoding", "gzip"),
        ("content-type", "multipart/byteranges; boundary=x"),
        ("age", "9"),
        ("cache-control", "no-transform, private=\"x\""),
        ("pragma", "no-cache"),
        ("expires", "0"),
        ("warning", "110 - \"stale\""),
        ("retry-after", "120"),
        ("via", "1.0 inner"),
        ("link", "</x>; rel=preload"),
        ("x-nobody-knows", "(this) \"field\""),
    ];
    let lines: String = fields.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    let bytes = answered(format!(
        "HTTP/1.1 206 Partial Content\r\n{lines}Content-Length: 2\r\n\r\n\x1f\x7f"
    ))
    .await;
    assert!(bytes.starts_with("HTTP/1.1 206 Partial Content\r\n"), "{bytes}");
    for (name, value) in fields {
        assert_eq!(values(&bytes, name), [value]);
    }
    assert!(bytes.ends_with("\r\n\r\n\x1f\x7f"), "{bytes:?}");
}

#[tokio::test]
async fn a_100_is_not_expected_for_nothing() {
    for request in [
        "GET / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\n\r\n",
        "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\nExpect: 100-Continue\r\n\r\n",
        "POST /echo HTTP/1.0\r\nHost: a\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\nhi",
    ] {
        let (answer, upstream) = forward(request).await;
        assert_eq!((answer.status, values(&upstream, "expect")), (200, vec![]), "{request}");
    }
}
