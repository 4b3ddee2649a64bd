//! Lines, fields and the first line (RFC 9112, sections 2, 3 and 5).

use super::{Arrive, BeRefused, HIDDEN, Must, attack, with_field, with_line};

/// S1: what one reader takes for the end of a line, another takes for a part of it.
#[tokio::test]
async fn a_field_is_a_name_a_colon_and_a_value_on_one_line() {
    let refused = [
        "X-A: 1\r\n 2",
        "X-A: 1\r\n\t2",
        "X-A:\r\n 1",
        "X-A: 1\r\n \r\n 2",
        " X-A: 1",
        "\tX-A: 1",
        "X-A : 1",
        "X-A\t: 1",
        "X A: 1",
        "X-A\x0b: 1",
        "X-A: 1\0",
        "X-A: \x001",
        "X\0-A: 1",
        "X-A: a\rb",
        "X-A: a\r",
        "X-A: a\r\rb",
        "X-A\r: 1",
        "\rX-A: 1",
        "X-A: 1\rX-B: 2",
        "X-A: 1\r\rX-B: 2",
        "X-A: 1\r GET /smuggled HTTP/1.1",
        "X-A\n: 1",
        "X-A: 1\n 2",
        "X-A",
        ": 1",
        " : 1",
        "=: 1\r\n(): 1",
        "X-\u{e9}: 1",
        "X-A: a\x01b",
        "X-A: a\x7fb",
        "X-A: a\x1bb",
        "\"X-A\": 1",
        "X{A}: 1",
        "X/A: 1",
        "X@A: 1",
        "X,A: 1",
    ];
    let mut vectors: Vec<(Vec<u8>, Must)> =
        refused.map(|field| (with_field(field), BeRefused)).into();
    for field in
        ["X-A:1", "X-A: \t 1 \t", "X-A:", "X-A: \u{fc}", "X!#$%&'*+-.^_`|~9: 1", "X-A: \"a\\\"b\""]
    {
        vectors.push((with_field(field), Arrive("")));
    }
    attack(vectors).await;
}

/// S1: hyper takes a bare LF for the end of a line; then what arrives has none.
#[tokio::test]
async fn a_bare_line_feed_is_never_passed_on() {
    let lf = |text: &str| (text.as_bytes().to_vec(), Arrive(""));
    let arrived = attack(vec![
        lf("GET {it} HTTP/1.1\nHost: a\nX-A: 1\n\n"),
        lf("GET {it} HTTP/1.1\r\nHost: a\nX-A: 1\r\n\n"),
        lf("GET {it} HTTP/1.1\nHost: a\r\nX-A: 1\n\r\n"),
        lf("\n\n\r\n\nGET {it} HTTP/1.1\r\nHost: a\r\nX-A: 1\r\n\r\n"),
    ])
    .await;
    for request in arrived.into_iter().flatten() {
        assert_eq!((request.values("host"), request.values("x-a")), (vec!["a"], vec!["1"]));
    }
}

/// S1
#[tokio::test]
async fn a_request_line_is_three_words_and_of_http_1() {
    let mut vectors: Vec<(Vec<u8>, Must)> = [
        // HTTP/0.9
        "GET {it}",
        "GET {it} ",
        "GET",
        "",
        "GET {it} HTTP/1.2",
        "GET {it} HTTP/1.10",
        "GET {it} HTTP/1.01",
        "GET {it} HTTP/01.1",
        "GET {it} HTTP/0.9",
        "GET {it} HTTP/2.0",
        "GET {it} HTTP/2",
        "GET {it} HTTP/3.0",
        "GET {it} http/1.1",
        "GET {it} HTTP/1.1x",
        "GET {it} HTTP/ 1.1",
        "GET {it} HTTP /1.1",
        "GET {it} HTTPS/1.1",
        "GET {it} ICY/1.1",
        "GET {it} HTTP/1,1",
        "GET {it} HTTP/1.1 HTTP/1.1",
        "GET {it} x HTTP/1.1",
        "GET  {it} HTTP/1.1",
        "GET {it}  HTTP/1.1",
        " GET {it} HTTP/1.1",
        "GET {it} HTTP/1.1 ",
        "GET\t{it} HTTP/1.1",
        "GET {it}\tHTTP/1.1",
        "GET\x0b{it} HTTP/1.1",
        "GET {it}\0 HTTP/1.1",
        "G\0ET {it} HTTP/1.1",
        "GET\r{it} HTTP/1.1",
        "GET {it}\rHTTP/1.1",
        "GET {it} HTTP/1.1\rX: 1",
        "G:T {it} HTTP/1.1",
        "G(T {it} HTTP/1.1",
        "G\u{e9}T {it} HTTP/1.1",
        "PRI * HTTP/2.0",
        "GET echo HTTP/1.1",
        "GET ?it HTTP/1.1",
        "GET a:80 HTTP/1.1",
        "GET * HTTP/1.1",
        "GET \\echo HTTP/1.1",
        "GET http:/echo HTTP/1.1",
        "GET http:// HTTP/1.1",
        "GET ftp://a{it} HTTP/1.1",
        "GET file:///etc/passwd HTTP/1.1",
        "CONNECT a:80 HTTP/1.1",
    ]
    .map(|line| (with_line(line), BeRefused))
    .into();
    // A method is a word of its own (RFC 9110, section 9.1): others than those of the standard go on.
    for method in ["get", "PURGE", "M-SEARCH"] {
        vectors.push((with_line(&format!("{method} {{it}} HTTP/1.1")), Arrive("")));
    }
    attack(vectors).await;
}

/// S1, S4: RFC 9112, section 3.2.
#[tokio::test]
async fn a_request_has_one_host_wherever_it_says_it() {
    let mut vectors: Vec<(Vec<u8>, Must)> = [
        "GET {it} HTTP/1.1\r\n",
        "GET {it} HTTP/1.1\r\nHost: a\r\nHost: a\r\n",
        "GET {it} HTTP/1.1\r\nHost: a\r\nhost: b\r\n",
        "GET {it} HTTP/1.1\r\nHost: a, b\r\n",
        "GET {it} HTTP/1.1\r\nHost: a b\r\n",
        "GET {it} HTTP/1.1\r\nHost: a\tb\r\n",
        "GET {it} HTTP/1.1\r\nHost: user@a\r\n",
        "GET {it} HTTP/1.1\r\nHost: user:pass@a\r\n",
        "GET {it} HTTP/1.1\r\nHost: a@b\r\n",
        "GET {it} HTTP/1.1\r\nHost: a/b\r\n",
        "GET {it} HTTP/1.1\r\nHost: a\\b\r\n",
        "GET {it} HTTP/1.1\r\nHost: a?b\r\n",
        "GET {it} HTTP/1.1\r\nHost: a#b\r\n",
        "GET {it} HTTP/1.1\r\nHost: a\0\r\n",
        "GET {it} HTTP/1.1\r\nHost: a\x01\r\n",
        "GET {it} HTTP/1.1\r\nHost: \u{e9}\r\n",
        "GET {it} HTTP/1.1\r\nHost: a:b\r\n",
        "GET {it} HTTP/1.1\r\nHost: a:80:80\r\n",
        "GET {it} HTTP/1.1\r\nHost: a:-1\r\n",
        "GET {it} HTTP/1.1\r\nHost: [::1\r\n",
        "GET {it} HTTP/1.1\r\nHost: ::1\r\n",
        "GET {it} HTTP/1.1\r\nHost: http://a\r\n",
        "GET {it} HTTP/1.1\r\nHost: <a>\r\n",
        "GET {it} HTTP/1.1\r\nHost: 'a'\"\r\n",
        "GET {it} HTTP/1.1\r\nHost : a\r\n",
        "GET {it} HTTP/1.1\r\n Host: a\r\n",
        "GET {it} HTTP/1.1\r\nX: 1\r\n Host: a\r\n",
        "GET {it} HTTP/1.1\r\nHost: a\r\n b\r\n",
        "GET http://b{it} HTTP/1.1\r\nHost: a\r\n",
        "GET http://a:81{it} HTTP/1.1\r\nHost: a\r\n",
        "GET http://a@b{it} HTTP/1.1\r\nHost: a\r\n",
        "GET http://b@a{it} HTTP/1.1\r\nHost: a\r\n",
        "GET http://a\\b{it} HTTP/1.1\r\nHost: a\r\n",
        "GET http://a{it} HTTP/1.1\r\n",
        "GET https://a{it} HTTP/1.1\r\nHost: a\r\n",
        "GET http://a, b{it} HTTP/1.1\r\nHost: a\r\n",
    ]
    .map(|head| (format!("{head}\r\n").into_bytes(), BeRefused))
    .into();
    let good = vectors.len();
    for head in
        ["GET http://A{it} HTTP/1.1\r\nHost: a\r\n", "GET HTTP://a{it} HTTP/1.1\r\nHost: A\r\n"]
    {
        vectors.push((format!("{head}\r\n").into_bytes(), Arrive("")));
    }
    for request in attack(vectors).await.split_off(good).into_iter().flatten() {
        assert_eq!(request.values("host").concat().to_lowercase(), "a");
    }
}

/// S1, S3
#[tokio::test]
async fn nothing_may_be_longer_than_its_limit() {
    let line = |target: String| with_line(&format!("GET {{it}}{target} HTTP/1.1"));
    let field = |field: String| with_field(&field);
    attack(vec![
        (line("x".repeat(200_000)), BeRefused),
        (with_line(&format!("{} {{it}} HTTP/1.1", "X".repeat(200_000))), BeRefused),
        (field(format!("X-A: {}", "x".repeat(200_000))), BeRefused),
        (field(format!("{}: 1", "x".repeat(200_000))), BeRefused),
        (field(vec!["X-A: 1"; 129].join("\r\n")), BeRefused),
        (field(vec!["X-A: 1"; 10_000].join("\r\n")), BeRefused),
        (field(format!("Cookie: a=1\r\n{}", vec!["Cookie: b=2"; 200].join("\r\n"))), BeRefused),
        (field(format!("X-A: {}{HIDDEN}", "x".repeat(65_536))), BeRefused),
        (field(vec!["X-A: 1"; 100].join("\r\n")), Arrive("")),
    ])
    .await;
}
