//! What of a request is hashed, for backends whose algorithm hashes.

use super::cookie::cookie;
use crate::balancer::hash_key;
use crate::model::HashKey;
use crate::router::parameter;
use http::HeaderMap;
use std::net::IpAddr;

/// What of a request can be hashed.
#[derive(Clone, Copy, Debug)]
pub struct Hashed<'a> {
    /// Its header fields.
    pub headers: &'a HeaderMap,
    /// Its path in the normal form, before any rewrite.
    pub path: &'a str,
    /// Its query, without the `?`.
    pub query: Option<&'a str>,
    /// The client's address.
    pub client: IpAddr,
}

/// The hash of `key`; `None` when the request has no such thing, or an empty one: all who are nobody would go to one endpoint.
pub fn hash(key: &HashKey, request: &Hashed<'_>) -> Option<u64> {
    let hash_value = |value: &[u8]| (!value.is_empty()).then(|| hash_key(value));
    match key {
        HashKey::Header(name) => hash_value(request.headers.get(name)?.as_bytes()),
        HashKey::Cookie(name) => hash_value(cookie(request.headers, name)?),
        HashKey::Query(name) => hash_value(&parameter(request.query?, name)?),
        HashKey::ClientAddress => Some(match request.client.to_canonical() {
            IpAddr::V4(address) => hash_key(&address.octets()),
            IpAddr::V6(address) => hash_key(&address.octets()),
        }),
        HashKey::Path => Some(hash_key(request.path.as_bytes())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::{HeaderName, HeaderValue, header};

    fn of(key: &HashKey, query: &str, client: &str) -> Option<u64> {
        let mut headers = HeaderMap::new();
        headers.append("x-user", HeaderValue::from_static("anna"));
        headers.append("x-user", HeaderValue::from_static("berta"));
        headers.append("x-empty", HeaderValue::from_static(""));
        headers.append(header::COOKIE, HeaderValue::from_static("session=s1; session=s2; empty="));
        let (query, client) = (Some(query), client.parse().unwrap());
        hash(key, &Hashed { headers: &headers, path: "/cart", query, client })
    }

    #[test]
    fn each_key_is_hashed_by_its_first_value() {
        let name = HeaderName::from_static("x-user");
        for (key, hashed) in [
            (HashKey::Header(name), &b"anna"[..]),
            (HashKey::Cookie("session".into()), b"s1"),
            (HashKey::Query("u r".into()), b"a&b"),
            (HashKey::Query("half".into()), b"50%"),
            (HashKey::ClientAddress, &[192, 0, 2, 1]),
            (HashKey::Path, b"/cart"),
        ] {
            let query = "ur=0&u%20r=a%26b&%75%20r=2&flag&half=50%";
            for client in ["192.0.2.1", "::ffff:192.0.2.1"] {
                assert_eq!(of(&key, query, client), Some(hash_key(hashed)), "{key:?}");
            }
        }
    }

    #[test]
    fn a_request_without_the_key_has_no_hash() {
        for key in [
            HashKey::Header(HeaderName::from_static("x-other")),
            HashKey::Cookie("sessio".into()),
            HashKey::Query("x".into()),
            // What is empty is no key.
            HashKey::Header(HeaderName::from_static("x-empty")),
            HashKey::Cookie("empty".into()),
            HashKey::Query("y".into()),
            HashKey::Query("z".into()),
        ] {
            assert_eq!(of(&key, "xx=1&y&z=", "::1"), None, "{key:?}");
        }
    }
}
