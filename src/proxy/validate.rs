//! What a request must be before anything is done with it: what could be understood in two ways is refused.
//!
//! Source: RFC 9112, sections 3.2, 3.3 and 6.1; RFC 9110, sections 7.2 and 7.4.

use super::error::ProxyError;
use super::headers::tokens;
use super::present::Present;
use crate::model::Scheme;
use crate::model::path::{NormalPath, normalise};
use http::{HeaderMap, HeaderValue, Method, Version, header, request::Parts, uri};

/// A request's host, as the `Host` field upstream will have it.
pub fn host(parts: &Parts, present: Present) -> Result<HeaderValue, ProxyError> {
    if parts.method == Method::CONNECT {
        return Err(ProxyError::ConnectRefused);
    }
    if present.transfer_encoding {
        check_framing(&parts.headers)?;
    }
    let scheme = parts.uri.scheme();
    if parts.version == Version::HTTP_2
        && scheme.is_some_and(|scheme| scheme != "http" && scheme != "https")
    {
        return Err(ProxyError::BadRequest("the request's scheme is neither http nor https"));
    }
    if scheme.is_none() && parts.uri.authority().is_some() {
        return Err(ProxyError::BadRequest("the request's target is neither a path nor a URL"));
    }
    if parts.uri.path() == "*" && parts.method != Method::OPTIONS {
        return Err(ProxyError::BadRequest("the target `*` is for OPTIONS only"));
    }
    let mut fields = parts.headers.get_all(header::HOST).into_iter();
    let field = fields.next();
    if fields.next().is_some() {
        return Err(ProxyError::BadRequest("the request has more than one Host field"));
    }
    if field.is_some_and(|field| !is_valid_host(field.as_bytes())) {
        return Err(ProxyError::BadRequest("the Host field is not a host"));
    }
    match (parts.uri.authority(), field) {
        (None, Some(field)) => Ok(field.clone()),
        // A target with a host is no excuse (RFC 9112, section 3.2).
        (_, None)
            if parts.version != Version::HTTP_10
                && (parts.version != Version::HTTP_2 || parts.uri.authority().is_none()) =>
        {
            Err(ProxyError::BadRequest("the request has no Host field"))
        }
        (None, None) => Ok(HeaderValue::from_static("")),
        (Some(authority), field) => {
            let authority = authority.as_str();
            if !is_valid_host(authority.as_bytes()) {
                return Err(ProxyError::BadRequest("the request's target has no valid host"));
            }
            if field
                .is_some_and(|field| !field.as_bytes().eq_ignore_ascii_case(authority.as_bytes()))
            {
                return Err(ProxyError::BadRequest("the request's target and Host field differ"));
            }
            HeaderValue::from_str(authority)
                .map_err(|_| ProxyError::BadRequest("the request's target has no valid host"))
        }
    }
}

/// A request's path in its normal form, in which it is matched and sent on; `*` (RFC 9112, section 3.2.4) stays.
pub fn path(parts: &Parts) -> Result<NormalPath<'_>, ProxyError> {
    match parts.uri.path() {
        "*" => Ok(NormalPath::ASTERISK),
        path => normalise(path).map_err(ProxyError::BadPath),
    }
}

/// Checks the scheme of a target that is a URL, where the client used the scheme `used`.
///
/// # Errors
/// When the client asks for what only TLS could bring, or for another kind of resource altogether.
pub fn scheme(target: &uri::Scheme, used: Scheme) -> Result<(), ProxyError> {
    if *target == uri::Scheme::HTTP || *target == uri::Scheme::HTTPS && used == Scheme::Https {
        Ok(())
    } else if *target == uri::Scheme::HTTPS {
        Err(ProxyError::Misdirected)
    } else {
        Err(ProxyError::BadRequest("the request's target is neither an http nor an https URL"))
    }
}

/// hyper is content with `chunked` as the last of several codings, and we write only that one: the others would be lost.
fn check_framing(headers: &HeaderMap) -> Result<(), ProxyError> {
    let codings = headers.get_all(header::TRANSFER_ENCODING).into_iter().flat_map(tokens);
    let mut chunked = 0;
    let mut others = 0;
    for coding in codings {
        let is_chunked = coding.eq_ignore_ascii_case(b"chunked");
        chunked += usize::from(is_chunked);
        others += usize::from(!is_chunked);
    }
    match (chunked, others) {
        (1, 0) => Ok(()),
        (1, _) => Err(ProxyError::UnknownCoding),
        (_, _) => Err(ProxyError::BadRequest("the request's body is in chunks more than once")),
    }
}

/// Whether `host` can only be a host and an optional port: no user, no path, no list.
fn is_valid_host(host: &[u8]) -> bool {
    let after_name = match host.strip_prefix(b"[") {
        Some(rest) => {
            let Some(end) = rest.iter().position(|byte| *byte == b']') else { return false };
            if !is_address(&rest[..end]) {
                return false;
            }
            &rest[end + 1..]
        }
        None => {
            let end = host.iter().position(|byte| *byte == b':').unwrap_or(host.len());
            if !is_name(&host[..end]) {
                return false;
            }
            &host[end..]
        }
    };
    match after_name {
        [] => true,
        [b':', port @ ..] => port.iter().all(u8::is_ascii_digit),
        _ => false,
    }
}

/// Whether `address` can stand between brackets: of IPv6, or of a version to come (RFC 3986, section 3.2.2).
fn is_address(address: &[u8]) -> bool {
    let text = std::str::from_utf8(address).unwrap_or_default();
    match text.strip_prefix(['v', 'V']) {
        Some(later) => {
            later.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".:-_~".contains(&byte))
        }
        None => text.parse::<std::net::Ipv6Addr>().is_ok(),
    }
}

/// Whether `name` is a registered name or an IPv4 address.
fn is_name(name: &[u8]) -> bool {
    let mut rest = name;
    while let Some((byte, after)) = rest.split_first() {
        rest = after;
        match byte {
            b'.' | b'-' | b'_' | b'~' => {}
            b'%' => match after {
                [high, low, after @ ..] if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() => {
                    rest = after;
                }
                _ => return false,
            },
            byte if byte.is_ascii_alphanumeric() => {}
            _ => return false,
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::Request;

    fn host_of(uri: &str, hosts: &[&str]) -> Result<String, String> {
        let mut request = Request::builder().uri(uri);
        for host in hosts {
            request = request.header("host", *host);
        }
        let (parts, ()) = request.body(()).unwrap().into_parts();
        host(&parts, Present::of(&parts.headers))
            .map(|host| host.to_str().unwrap().to_owned())
            .map_err(|error| error.to_string())
    }

    #[test]
    fn the_host_is_unambiguous() {
        assert_eq!(host_of("/", &["a.example:80"]), Ok("a.example:80".into()));
        assert_eq!(host_of("/", &["[::1]:80"]), Ok("[::1]:80".into()));
        assert_eq!(host_of("http://a.example/x", &["A.example"]), Ok("a.example".into()));
        assert_eq!(host_of("/", &["a.example:"]), Ok("a.example:".into()));
        assert_eq!(host_of("/", &["caf%C3%A9.example"]), Ok("caf%C3%A9.example".into()));
        for (uri, hosts, what) in [
            ("a:80", &["a:80"][..], "the request's target is neither a path nor a URL"),
            ("*", &["a"], "the target `*` is for OPTIONS only"),
            ("/", &[], "the request has no Host field"),
            ("/", &["a", "a"], "the request has more than one Host field"),
            ("/", &["a, b"], "the Host field is not a host"),
            ("/", &["user@a"], "the Host field is not a host"),
            ("/", &["a/b"], "the Host field is not a host"),
            ("/", &["a:b"], "the Host field is not a host"),
            ("/", &["a:1:2"], "the Host field is not a host"),
            ("/", &["::1"], "the Host field is not a host"),
            ("/", &["[::1"], "the Host field is not a host"),
            ("/", &["[::1]a"], "the Host field is not a host"),
            ("/", &["[a.example]"], "the Host field is not a host"),
            ("/", &["a%zz"], "the Host field is not a host"),
            ("http://a/", &[], "the request has no Host field"),
            ("http://a/", &["b"], "the request's target and Host field differ"),
            ("http://user@a/", &["a"], "the request's target has no valid host"),
        ] {
            assert_eq!(host_of(uri, hosts), Err(what.into()), "{uri} {hosts:?}");
        }
    }

    #[test]
    fn connect_is_refused() {
        let request = Request::builder().method("CONNECT").uri("a:443").body(()).unwrap();
        let refused = host(&request.into_parts().0, Present::default());
        assert!(matches!(refused, Err(ProxyError::ConnectRefused)));
    }
}
