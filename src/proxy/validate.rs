//! What a request must be before anything is done with it: what could be understood in two ways is refused.
//!
//! Source: RFC 9112, sections 3.2 and 3.3; RFC 9110, section 7.2.

use super::error::ProxyError;
use crate::model::path::{NormalPath, normalise};
use http::{HeaderMap, HeaderValue, Method, Version, header, request::Parts};

/// A request's host, as the `Host` field upstream will have it.
pub fn host(parts: &Parts) -> Result<HeaderValue, ProxyError> {
    if parts.method == Method::CONNECT {
        return Err(ProxyError::ConnectRefused);
    }
    check_framing(&parts.headers)?;
    if parts.uri.scheme().is_none() && parts.uri.authority().is_some() {
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
        (None, None) if parts.version == Version::HTTP_10 => Ok(HeaderValue::from_static("")),
        (None, None) => Err(ProxyError::BadRequest("the request has no Host field")),
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

/// hyper is content with `chunked` as the last of several codings, and we write only that one: the others would be lost.
fn check_framing(headers: &HeaderMap) -> Result<(), ProxyError> {
    let mut codings = headers.get_all(header::TRANSFER_ENCODING).into_iter();
    let first = codings.next();
    let is_chunked = first.is_none_or(|coding| coding.as_bytes().eq_ignore_ascii_case(b"chunked"));
    if is_chunked && codings.next().is_none() {
        Ok(())
    } else {
        Err(ProxyError::BadRequest("the request's Transfer-Encoding is not just `chunked`"))
    }
}

/// Whether `host` can only be a host and an optional port: no user, no path, no list.
fn is_valid_host(host: &[u8]) -> bool {
    let allowed = |byte: &u8| {
        byte.is_ascii_alphanumeric()
            || matches!(byte, b'.' | b'-' | b'_' | b':' | b'[' | b']' | b'%' | b'~')
    };
    host.iter().all(allowed)
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
        host(&parts)
            .map(|host| host.to_str().unwrap().to_owned())
            .map_err(|error| error.to_string())
    }

    #[test]
    fn the_host_is_unambiguous() {
        assert_eq!(host_of("/", &["a.example:80"]), Ok("a.example:80".into()));
        assert_eq!(host_of("/", &["[::1]:80"]), Ok("[::1]:80".into()));
        assert_eq!(host_of("http://a.example/x", &["A.example"]), Ok("a.example".into()));
        assert_eq!(host_of("http://a.example/x", &[]), Ok("a.example".into()));
        for (uri, hosts, what) in [
            ("a:80", &["a:80"][..], "the request's target is neither a path nor a URL"),
            ("*", &["a"], "the target `*` is for OPTIONS only"),
            ("/", &[], "the request has no Host field"),
            ("/", &["a", "a"], "the request has more than one Host field"),
            ("/", &["a, b"], "the Host field is not a host"),
            ("/", &["user@a"], "the Host field is not a host"),
            ("/", &["a/b"], "the Host field is not a host"),
            ("http://a/", &["b"], "the request's target and Host field differ"),
            ("http://user@a/", &[], "the request's target has no valid host"),
        ] {
            assert_eq!(host_of(uri, hosts), Err(what.into()), "{uri} {hosts:?}");
        }
    }

    #[test]
    fn connect_is_refused() {
        let request = Request::builder().method("CONNECT").uri("a:443").body(()).unwrap();
        assert!(matches!(host(&request.into_parts().0), Err(ProxyError::ConnectRefused)));
    }
}
