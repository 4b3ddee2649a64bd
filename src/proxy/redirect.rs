//! The answer "ask there instead": where to, made from the request and from what the route says.
//!
//! Source: RFC 9110, section 15.4; the Gateway API's `HTTPRequestRedirectFilter` for what is left out.

use super::error::ProxyError;
use super::filters::rewrite_path;
use crate::model::{Redirect, Scheme};
use http::HeaderValue;
use std::net::Ipv6Addr;

/// A request that is sent elsewhere.
#[derive(Clone, Copy, Debug)]
pub struct Asked<'a> {
    /// The scheme that the client used, as far as we know.
    pub scheme: Scheme,
    /// Its `Host`.
    pub host: &'a HeaderValue,
    /// Its path in the normal form.
    pub path: &'a str,
    /// How much of it was matched by a prefix.
    pub prefix: Option<usize>,
    /// Its query, without the `?`.
    pub query: Option<&'a str>,
}

/// Where the client is sent: an absolute URL, without the port that its scheme has anyway.
///
/// # Errors
/// When the request's host is needed and is none: what a client made up is not repeated as the beginning of a URL.
pub fn location(redirect: &Redirect, asked: &Asked<'_>) -> Result<HeaderValue, ProxyError> {
    let from_request = || {
        let text = asked.host.to_str().ok().and_then(host_and_port);
        text.ok_or(ProxyError::BadRequest("the request's host is not one to be redirected on"))
    };
    let scheme = redirect.scheme.unwrap_or(asked.scheme);
    let (host, asked_port) = match &redirect.host {
        Some(host) => (&**host, from_request().ok().and_then(|(_, port)| port)),
        None => from_request()?,
    };
    let same_scheme = scheme == asked.scheme;
    let port = redirect.port.or(asked_port.filter(|_| same_scheme));
    let default = match scheme {
        Scheme::Http => 80,
        Scheme::Https => 443,
    };
    let mut url = format!("{}://{host}", scheme.as_str());
    if let Some(port) = port.filter(|port| *port != default) {
        url.push_str(&format!(":{port}"));
    }
    match &redirect.path {
        // `*` (RFC 9112, section 3.2.4) is no path.
        _ if asked.path == "*" => url.push('/'),
        Some(rewrite) => escape_into(&mut url, &rewrite_path(rewrite, asked.path, asked.prefix)),
        None => escape_into(&mut url, asked.path),
    }
    if let Some(query) = asked.query {
        url.push('?');
        escape_into(&mut url, query);
    }
    HeaderValue::from_str(&url).map_err(|_| ProxyError::BadRequest("its URL cannot be repeated"))
}

/// The two parts of a `Host`, if it is a host and perhaps a port, and nothing else.
fn host_and_port(host: &str) -> Option<(&str, Option<u16>)> {
    let end = match host.strip_prefix('[') {
        Some(literal) => {
            let end = literal.find(']')?;
            literal[..end].parse::<Ipv6Addr>().ok()?;
            end + 2
        }
        None => {
            let name = host.split(':').next().unwrap_or_default();
            let valid = |byte: u8| byte.is_ascii_alphanumeric() || b"-._".contains(&byte);
            (!name.is_empty() && name.bytes().all(valid)).then_some(name.len())?
        }
    };
    let port = match host[end..].strip_prefix(':') {
        None => host[end..].is_empty().then_some(None)?,
        Some("") => None,
        Some(port) => {
            Some(port.bytes().all(|byte| byte.is_ascii_digit()).then(|| port.parse().ok())??)
        }
    };
    Some((&host[..end], port))
}

/// Appends `text`, in which bytes that a URL cannot have (RFC 3986, section 2) are percent-encoded.
fn escape_into(url: &mut String, text: &str) {
    for byte in text.bytes() {
        if byte.is_ascii_graphic() && !b"\"<>\\^`{|}".contains(&byte) {
            url.push(byte.into());
        } else {
            url.push_str(&format!("%{byte:02X}"));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::PathRewrite;

    const SAME: Redirect =
        Redirect { scheme: None, host: None, port: None, path: None, status: 302 };

    fn to(redirect: &Redirect, scheme: Scheme, host: &str, target: &str) -> Result<String, String> {
        let (path, query) = match target.split_once('?') {
            Some((path, query)) => (path, Some(query)),
            None => (target, None),
        };
        let host = HeaderValue::from_str(host).unwrap();
        let asked = Asked { scheme, host: &host, path, prefix: Some(5), query };
        location(redirect, &asked)
            .map(|url| url.to_str().unwrap().to_owned())
            .map_err(|error| error.to_string())
    }

    #[test]
    fn what_is_left_out_stays_as_it_was() {
        let (http, https) = (Scheme::Http, Scheme::Https);
        let secure = Redirect { scheme: Some(https), ..SAME };
        let other = Redirect { host: Some("b.example".into()), ..SAME };
        let at_port = Redirect { port: Some(8443), ..secure.clone() };
        let plain = Redirect { port: Some(80), ..SAME };
        for (redirect, scheme, host, target, expected) in [
            (&SAME, http, "a.example:8080", "/shop?x=1", "http://a.example:8080/shop?x=1"),
            (&SAME, https, "a.example", "/shop", "https://a.example/shop"),
            (&secure, http, "a.example:8080", "/shop?", "https://a.example/shop?"),
            (&secure, https, "a.example:8443", "/shop", "https://a.example:8443/shop"),
            (&other, http, "a.example:8080", "/shop", "http://b.example:8080/shop"),
            (&other, http, "", "/shop", "http://b.example/shop"),
            (&at_port, http, "[::1]:80", "/shop", "https://[::1]:8443/shop"),
            (&plain, http, "a.example:8080", "/shop", "http://a.example/shop"),
            (
                &SAME,
                http,
                "a.example",
                "/shop/é{}|<\"",
                "http://a.example/shop/%C3%A9%7B%7D%7C%3C%22",
            ),
            (&SAME, http, "a.example", "//evil.example", "http://a.example//evil.example"),
            (&SAME, http, "a.example", "*", "http://a.example/"),
        ] {
            assert_eq!(
                to(redirect, scheme, host, target),
                Ok(expected.into()),
                "{redirect:?} {host}"
            );
        }
    }

    #[test]
    fn the_path_is_replaced_as_in_a_rewrite() {
        let full = Redirect { path: Some(PathRewrite::Full("/new".into())), ..SAME };
        let prefix = Redirect { path: Some(PathRewrite::Prefix("/store".into())), ..SAME };
        for (redirect, expected) in
            [(&full, "http://a.example/new?x"), (&prefix, "http://a.example/store/cart?x")]
        {
            let location = to(redirect, Scheme::Http, "a.example", "/shop/cart?x");
            assert_eq!(location, Ok(expected.into()));
        }
    }

    /// S4
    #[test]
    fn a_host_that_is_none_is_not_repeated() {
        for host in
            ["", "a:b", "a:1:2", "a:99999", "[::1", "[x]", "[::1]x", "::1", "a%b", ":80", "a:+1"]
        {
            assert!(to(&SAME, Scheme::Http, host, "/").is_err(), "{host}");
        }
    }
}
