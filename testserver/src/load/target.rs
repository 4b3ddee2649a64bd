//! Where requests go.

use bytes::Bytes;
use http::Uri;

/// The body of each POST.
const BODY: &str = r#"{"message":"hello"}"#;

/// Where requests go: what is connected to, and what is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    pub(crate) host: String,
    pub(crate) port: u16,
    /// What the field `Host` says.
    authority: String,
    path: String,
}

impl Target {
    /// Reads a URL, as `http://HOST[:PORT][/PATH][?QUERY]`.
    ///
    /// # Errors
    /// A sentence that says what is wrong with it.
    pub fn parse(url: &str) -> Result<Self, String> {
        let wrong = || format!("'{url}' is not a URL such as http://service.namespace:8080/path");
        let uri: Uri = url.parse().map_err(|_| wrong())?;
        let authority = uri.authority().filter(|authority| !authority.as_str().contains('@'));
        let (Some(authority), Some("http")) = (authority, uri.scheme_str()) else {
            return Err(wrong());
        };
        let host = authority.host();
        let port = match authority.as_str().strip_prefix(host) {
            Some("") => 80,
            _ => authority.port_u16().ok_or_else(wrong)?,
        };
        let query = uri.query().map(|query| format!("?{query}")).unwrap_or_default();
        Ok(Self {
            // The resolver wants IPv6 addresses without their brackets.
            host: host.trim_start_matches('[').trim_end_matches(']').to_owned(),
            port,
            authority: authority.to_string(),
            path: format!("{}{query}", uri.path()),
        })
    }

    /// Asks for this name in `Host`, whatever the URL says.
    pub fn with_host(mut self, name: impl Into<String>) -> Self {
        self.authority = name.into();
        self
    }

    pub(crate) fn get(&self) -> Bytes {
        self.request("GET", "")
    }

    pub(crate) fn post(&self) -> Bytes {
        let fields =
            format!("Content-Type: application/json\r\nContent-Length: {}\r\n", BODY.len());
        [self.request("POST", &fields), BODY.into()].concat().into()
    }

    fn request(&self, method: &str, fields: &str) -> Bytes {
        let Self { authority, path, .. } = self;
        format!("{method} {path} HTTP/1.1\r\nHost: {authority}\r\nUser-Agent: load\r\n{fields}\r\n")
            .into()
    }
}

impl std::fmt::Display for Target {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "http://{}{}", self.authority, self.path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_says_where_to_connect_and_what_to_ask_for() {
        for (url, host, port, authority, path) in [
            ("http://web", "web", 80, "web", "/"),
            ("http://web.default:8080/a?b=c", "web.default", 8080, "web.default:8080", "/a?b=c"),
            ("http://[::1]:81/", "::1", 81, "[::1]:81", "/"),
            ("http://web?q", "web", 80, "web", "/?q"),
        ] {
            let target = Target::parse(url).unwrap();
            assert_eq!((&*target.host, target.port), (host, port), "{url}");
            assert_eq!((&*target.authority, &*target.path), (authority, path), "{url}");
        }
        let named = Target::parse("http://10.0.0.1:8080/a").unwrap().with_host("shop.test");
        assert_eq!((&*named.host, named.port), ("10.0.0.1", 8080));
        assert!(named.get().starts_with(b"GET /a HTTP/1.1\r\nHost: shop.test\r\n"));
    }

    #[test]
    fn what_is_no_url_of_ours_is_refused_with_an_example() {
        for url in
            ["", "web:8080", "/path", "https://web", "http://", "http://a@web", "http://web:x"]
        {
            assert!(Target::parse(url).unwrap_err().contains("such as http://"), "{url}");
        }
    }
}
