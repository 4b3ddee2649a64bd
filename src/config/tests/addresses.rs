//! What is wrong with addresses and URLs.

use super::*;

#[test]
fn a_bad_address_is_refused() {
    refused(
        "bad_address",
        &[
            &address("localhost:8080"),
            &address("8080"),
            &address(":8080"),
            &address("127.0.0.1"),
            &address(r#""::1""#),
            &address(r#""::1:8080""#),
            &address("http://127.0.0.1:8080/"),
            &address("example.com:80"),
            &address("127.0.0.1:99999"),
            &address("1.2.3.4.5:80"),
            &address("host"),
            &address(r#""""#),
        ],
    );
}

#[test]
fn a_bad_url_is_refused() {
    refused(
        "bad_url",
        &[
            &url("localhost:8081"),
            &url("https://"),
            &url("ftp://localhost"),
            &url("http://"),
            &url("http://a?b"),
            &url("http://a/#b"),
            &url("http://user:pw@a"),
            &url("http://a:0"),
            &url("http://a:65536"),
            &url("http://::1/"),
            &url("http://[::1"),
            &url("http://127.1"),
            &url("http://a_b..c"),
            &url("http://bücher.example"),
            &url("http://a/%2Fb"),
            &url("http://a/%zz"),
            &url("http://a/b c"),
            &url(r#""""#),
        ],
    );
}

/// What stands before the host can be a password, even one that should have been percent-encoded, and what is asked behind a `?` a key.
#[test]
fn a_password_is_never_shown_and_nothing_else_is_hidden() {
    for (typed, shown) in [
        ("http://user:pw@a", "http://…@a"),
        ("http://user:p/w@a", "http://…@a"),
        ("http://user:p?w@a", "http://…@a"),
        ("http://user:p@w@a/b", "http://…@a/b"),
        ("http://a:1/@b?x", "http://a:1/@b?…"),
        ("http://a/b?to=c@d", "http://a/b?…"),
        ("http://u:pw@a:4399/v1/traces?key=s3cret", "http://…@a:4399/v1/traces?…"),
        ("http://a/b#s3cret", "http://a/b#…"),
        ("http://a/b?", "http://a/b?"),
        ("localhost:80/?x=1", "localhost:80/?x=1"),
    ] {
        let told = read(&url(typed)).unwrap_err();
        assert!(told.contains(&format!(": `{shown}` is not a URL of an endpoint: ")), "{told}");
    }
}
