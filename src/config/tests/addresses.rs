//! What is wrong with addresses and URLs: the exact text of every class of error.

use super::*;

#[test]
fn a_bad_address_is_refused() {
    refuses(
        &address("localhost:8080"),
        &[
            "config.yaml:1:36: listeners[0].address: `localhost:8080` is not an address: a name instead of an IP address",
            "  allowed: an IP address and a port, such as `127.0.0.1:8080`, `0.0.0.0:8080` or `[::]:8080`",
            "  did you mean `127.0.0.1:8080`?",
        ],
    );
    refuses(
        &address("8080"),
        &[
            "config.yaml:1:36: listeners[0].address: `8080` is not an address: it is only a port",
            "  allowed: an IP address and a port, such as `127.0.0.1:8080`, `0.0.0.0:8080` or `[::]:8080`",
            "  did you mean `127.0.0.1:8080`?",
        ],
    );
    refuses(
        &address(":8080"),
        &[
            "config.yaml:1:36: listeners[0].address: `:8080` is not an address: the IP address is missing",
            "  allowed: an IP address and a port, such as `127.0.0.1:8080`, `0.0.0.0:8080` or `[::]:8080`",
            "  did you mean `0.0.0.0:8080`?",
        ],
    );
    refuses(
        &address("127.0.0.1"),
        &[
            "config.yaml:1:36: listeners[0].address: `127.0.0.1` is not an address: the port is missing",
            "  allowed: an IP address and a port, such as `127.0.0.1:8080`, `0.0.0.0:8080` or `[::]:8080`",
            "  did you mean `127.0.0.1:8080`?",
        ],
    );
    refuses(
        &address(r#""::1""#),
        &[
            "config.yaml:1:36: listeners[0].address: `::1` is not an address: the port is missing",
            "  allowed: an IP address and a port, such as `127.0.0.1:8080`, `0.0.0.0:8080` or `[::]:8080`",
            "  did you mean `[::1]:8080`?",
        ],
    );
    refuses(
        &address(r#""::1:8080""#),
        &[
            "config.yaml:1:36: listeners[0].address: `::1:8080` is not an address: the port is missing",
            "  allowed: an IP address and a port, such as `127.0.0.1:8080`, `0.0.0.0:8080` or `[::]:8080`",
            "  did you mean `[::1]:8080`?",
        ],
    );
    refuses(
        &address("http://127.0.0.1:8080/"),
        &[
            "config.yaml:1:36: listeners[0].address: `http://127.0.0.1:8080/` is not an address: it is a URL",
            "  allowed: an IP address and a port, such as `127.0.0.1:8080`, `0.0.0.0:8080` or `[::]:8080`",
            "  did you mean `127.0.0.1:8080`?",
        ],
    );
    refuses(
        &address("example.com:80"),
        &[
            "config.yaml:1:36: listeners[0].address: `example.com:80` is not an address: a name instead of an IP address",
            "  allowed: an IP address and a port, such as `127.0.0.1:8080`, `0.0.0.0:8080` or `[::]:8080`",
        ],
    );
    refuses(
        &address("127.0.0.1:99999"),
        &[
            "config.yaml:1:36: listeners[0].address: `127.0.0.1:99999` is not an address: the port is not a number from 0 to 65535",
            "  allowed: an IP address and a port, such as `127.0.0.1:8080`, `0.0.0.0:8080` or `[::]:8080`",
        ],
    );
    refuses(
        &address("1.2.3.4.5:80"),
        &[
            "config.yaml:1:36: listeners[0].address: `1.2.3.4.5:80` is not an address: the IP address is malformed",
            "  allowed: an IP address and a port, such as `127.0.0.1:8080`, `0.0.0.0:8080` or `[::]:8080`",
        ],
    );
    refuses(
        &address("host"),
        &[
            "config.yaml:1:36: listeners[0].address: `host` is not an address: the port is missing",
            "  allowed: an IP address and a port, such as `127.0.0.1:8080`, `0.0.0.0:8080` or `[::]:8080`",
        ],
    );
    refuses(
        &address(r#""""#),
        &[
            r#"config.yaml:1:36: listeners[0].address: `""` is not an address: it is empty"#,
            "  allowed: an IP address and a port, such as `127.0.0.1:8080`, `0.0.0.0:8080` or `[::]:8080`",
        ],
    );
}

#[test]
fn a_bad_url_is_refused() {
    refuses(
        &url("localhost:8081"),
        &[
            "config.yaml:5:9: backends[0].endpoints[0]: `localhost:8081` is not a URL of an endpoint: the scheme is missing",
            "  allowed: a URL such as `http://localhost:8081` or `http://10.0.0.1:8080/shop`",
            "  did you mean `http://localhost:8081`?",
        ],
    );
    refuses(
        &url("https://localhost"),
        &[
            "config.yaml:5:9: backends[0].endpoints[0]: `https://localhost` is not available yet: endpoints with TLS (`https`)",
            "  allowed: a URL that begins with `http://`",
        ],
    );
    refuses(
        &url("ftp://localhost"),
        &[
            "config.yaml:5:9: backends[0].endpoints[0]: `ftp://localhost` is not a URL of an endpoint: the scheme is not `http`",
            "  allowed: a URL such as `http://localhost:8081` or `http://10.0.0.1:8080/shop`",
        ],
    );
    refuses(
        &url("http://"),
        &[
            "config.yaml:5:9: backends[0].endpoints[0]: `http://` is not a URL of an endpoint: the host is missing",
            "  allowed: a URL such as `http://localhost:8081` or `http://10.0.0.1:8080/shop`",
        ],
    );
    refuses(
        &url("http://a?b"),
        &[
            "config.yaml:5:9: backends[0].endpoints[0]: `http://a?b` is not a URL of an endpoint: a query (`?…`) has no place here",
            "  allowed: a URL such as `http://localhost:8081` or `http://10.0.0.1:8080/shop`",
        ],
    );
    refuses(
        &url("http://a/#b"),
        &[
            "config.yaml:5:9: backends[0].endpoints[0]: `http://a/#b` is not a URL of an endpoint: a fragment (`#…`) has no place here",
            "  allowed: a URL such as `http://localhost:8081` or `http://10.0.0.1:8080/shop`",
        ],
    );
    refuses(
        &url("http://user:pw@a"),
        &[
            "config.yaml:5:9: backends[0].endpoints[0]: `http://…@a` is not a URL of an endpoint: a user or password (`…@`) has no place here",
            "  allowed: a URL such as `http://localhost:8081` or `http://10.0.0.1:8080/shop`",
        ],
    );
    refuses(
        &url("http://a:0"),
        &[
            "config.yaml:5:9: backends[0].endpoints[0]: `http://a:0` is not a URL of an endpoint: the port is not a number from 1 to 65535",
            "  allowed: a URL such as `http://localhost:8081` or `http://10.0.0.1:8080/shop`",
        ],
    );
    refuses(
        &url("http://a:65536"),
        &[
            "config.yaml:5:9: backends[0].endpoints[0]: `http://a:65536` is not a URL of an endpoint: the port is not a number from 1 to 65535",
            "  allowed: a URL such as `http://localhost:8081` or `http://10.0.0.1:8080/shop`",
        ],
    );
    refuses(
        &url("http://::1/"),
        &[
            "config.yaml:5:9: backends[0].endpoints[0]: `http://::1/` is not a URL of an endpoint: an IPv6 address is wanted in brackets",
            "  allowed: a URL such as `http://localhost:8081` or `http://10.0.0.1:8080/shop`",
        ],
    );
    refuses(
        &url("http://[::1"),
        &[
            "config.yaml:5:9: backends[0].endpoints[0]: `http://[::1` is not a URL of an endpoint: the bracket is never closed",
            "  allowed: a URL such as `http://localhost:8081` or `http://10.0.0.1:8080/shop`",
        ],
    );
    refuses(
        &url("http://127.1"),
        &[
            "config.yaml:5:9: backends[0].endpoints[0]: `http://127.1` is not a URL of an endpoint: the IPv4 address is malformed",
            "  allowed: a URL such as `http://localhost:8081` or `http://10.0.0.1:8080/shop`",
        ],
    );
    refuses(
        &url("http://a_b..c"),
        &[
            "config.yaml:5:9: backends[0].endpoints[0]: `http://a_b..c` is not a URL of an endpoint: the host is malformed",
            "  allowed: a URL such as `http://localhost:8081` or `http://10.0.0.1:8080/shop`",
        ],
    );
    refuses(
        &url("http://bücher.example"),
        &[
            "config.yaml:5:9: backends[0].endpoints[0]: `http://bücher.example` is not a URL of an endpoint: a host name beyond ASCII is wanted in its `xn--` form",
            "  allowed: a URL such as `http://localhost:8081` or `http://10.0.0.1:8080/shop`",
        ],
    );
    refuses(
        &url("http://a/%2Fb"),
        &[
            r#"config.yaml:5:9: backends[0].endpoints[0]: `http://a/%2Fb` is not a URL of an endpoint: an encoded `/`, `\` or NUL in the path"#,
            "  allowed: a URL such as `http://localhost:8081` or `http://10.0.0.1:8080/shop`",
        ],
    );
    refuses(
        &url("http://a/%zz"),
        &[
            "config.yaml:5:9: backends[0].endpoints[0]: `http://a/%zz` is not a URL of an endpoint: a `%` in the path is not followed by two hexadecimal digits",
            "  allowed: a URL such as `http://localhost:8081` or `http://10.0.0.1:8080/shop`",
        ],
    );
    refuses(
        &url("http://a/b c"),
        &[
            "config.yaml:5:9: backends[0].endpoints[0]: `http://a/b c` is not a URL of an endpoint: a space or special character in the path has to be percent-encoded",
            "  allowed: a URL such as `http://localhost:8081` or `http://10.0.0.1:8080/shop`",
        ],
    );
    refuses(
        &url(r#""""#),
        &[
            r#"config.yaml:5:9: backends[0].endpoints[0]: `""` is not a URL of an endpoint: it is empty"#,
            "  allowed: a URL such as `http://localhost:8081` or `http://10.0.0.1:8080/shop`",
        ],
    );
}

/// Only what stands before the host can be a password, even one that should have been percent-encoded.
#[test]
fn a_password_is_never_shown_and_nothing_else_is_hidden() {
    for (typed, shown) in [
        ("http://user:pw@a", "http://…@a"),
        ("http://user:p/w@a", "http://…@a"),
        ("http://user:p?w@a", "http://…@a"),
        ("http://user:p@w@a/b", "http://…@a/b"),
        ("http://a:1/@b?x", "http://a:1/@b?x"),
        ("http://a/b?to=c@d", "http://a/b?to=c@d"),
    ] {
        let told = read(&url(typed)).unwrap_err();
        assert!(told.contains(&format!(": `{shown}` is not a URL of an endpoint: ")), "{told}");
    }
}
