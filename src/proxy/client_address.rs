//! Who sent a request, when proxies that are trusted stand between the client and us.
//!
//! A proxy notes whom a request came from behind what it was told itself, so the chain is read from its end: each entry is
//! believed as long as the one who wrote it is trusted. The first address that is not trusted is the client's, whatever
//! it claims further left. An entry that cannot be read ends the walk at whoever wrote it; when all are trusted, the
//! first of the chain is the client.
//!
//! Source: RFC 7239 for `Forwarded`; `X-Forwarded-For` has no standard. When both are there they have to agree.

use super::error::ProxyError;
use super::headers::{X_FORWARDED_FOR, X_FORWARDED_PROTO};
use crate::model::Scheme;
use http::{HeaderMap, HeaderName, header};
use ipnet::IpNet;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};

/// Reads the address in one entry of a field.
type Reader = fn(&[u8]) -> Option<IpAddr>;

/// The longest chain of trusted proxies that is followed; who stands at its end is taken for the client.
const MAX_HOPS: usize = 32;

/// The client's address, if `peer` is trusted to tell it; `None` if it is not, so that the peer itself is the client.
///
/// # Errors
/// When `X-Forwarded-For` and `Forwarded` name different clients: the proxy writes one of them and passes on what its client
/// wrote in the other, and which is which cannot be seen.
pub fn behind_trusted(
    headers: &HeaderMap,
    peer: IpAddr,
    trusted: &[IpNet],
) -> Result<Option<IpAddr>, ProxyError> {
    let peer = peer.to_canonical();
    if !trusted.iter().any(|network| network.contains(&peer)) {
        return Ok(None);
    }
    let walks = [(X_FORWARDED_FOR, address as Reader), (header::FORWARDED, forwarded_for)]
        .map(|(name, read)| walk(headers, &name, read, peer, trusted));
    match walks {
        [Some((one, _)), Some((other, _))] if one != other => Err(ProxyError::BadRequest(
            "X-Forwarded-For and Forwarded name different clients: the proxy has to remove the one that it does not write",
        )),
        [Some((client, _)), _] | [None, Some((client, _))] => Ok(Some(client)),
        [None, None] => Ok(Some(peer)),
    }
}

/// The scheme that the client used, if `peer` is trusted to tell it and does: `X-Forwarded-Proto`, else the `proto` of
/// `Forwarded`. Of several, the one that was written with the client's address counts.
pub fn scheme(headers: &HeaderMap, peer: IpAddr, trusted: &[IpNet]) -> Option<Scheme> {
    let peer = peer.to_canonical();
    if !trusted.iter().any(|network| network.contains(&peer)) {
        return None;
    }
    let from_end = |name: &HeaderName, read: Reader| {
        walk(headers, name, read, peer, trusted).map_or(1, |(_, hops)| hops.max(1))
    };
    let read: fn(&[u8]) -> Option<&[u8]>;
    let (name, place) = if headers.contains_key(X_FORWARDED_PROTO) {
        read = |entry| Some(entry);
        (X_FORWARDED_PROTO, from_end(&X_FORWARDED_FOR, address))
    } else {
        read = |element| parameter(element, b"proto");
        (header::FORWARDED, from_end(&header::FORWARDED, forwarded_for))
    };
    // A proxy that does not add to the list leaves the one that is there.
    let told = read(entries(headers, &name).take(place).last()?)?;
    [Scheme::Http, Scheme::Https]
        .into_iter()
        .find(|scheme| told.eq_ignore_ascii_case(scheme.as_str().as_bytes()))
}

/// The entries of a field, the last first.
fn entries<'a>(headers: &'a HeaderMap, name: &HeaderName) -> impl Iterator<Item = &'a [u8]> {
    let values = headers.get_all(name).into_iter().rev();
    values.flat_map(|value| value.as_bytes().rsplit(|b| *b == b',')).map(<[u8]>::trim_ascii)
}

/// The client by the entries of one field, and how many of them it took; `None` without the field.
fn walk(
    headers: &HeaderMap,
    name: &HeaderName,
    read: Reader,
    peer: IpAddr,
    trusted: &[IpNet],
) -> Option<(IpAddr, usize)> {
    if !headers.contains_key(name) {
        return None;
    }
    let mut client = (peer, 0);
    for entry in entries(headers, name).take(MAX_HOPS) {
        let Some(address) = read(entry) else { break };
        client = (address, client.1 + 1);
        if !trusted.iter().any(|network| network.contains(&address)) {
            break;
        }
    }
    Some(client)
}

/// The address of one entry, with or without a port.
fn address(entry: &[u8]) -> Option<IpAddr> {
    let text = std::str::from_utf8(entry).ok()?;
    let bare = text.strip_prefix('[').and_then(|text| text.strip_suffix(']'));
    let address = match bare {
        Some(bare) => IpAddr::V6(bare.parse::<Ipv6Addr>().ok()?),
        None => text
            .parse::<IpAddr>()
            .or_else(|_| text.parse::<SocketAddr>().map(|address| address.ip()))
            .ok()?,
    };
    Some(address.to_canonical())
}

/// The address that the one `for` of a `Forwarded` element names; none for `unknown` and obfuscated names (RFC 7239,
/// section 6).
fn forwarded_for(element: &[u8]) -> Option<IpAddr> {
    address(parameter(element, b"for")?)
}

/// The value of the one parameter of this name of a `Forwarded` element, without quotation marks.
fn parameter<'a>(element: &'a [u8], name: &[u8]) -> Option<&'a [u8]> {
    let mut pairs = element.split(|byte| *byte == b';').filter_map(|pair| {
        let at = pair.iter().position(|byte| *byte == b'=')?;
        pair[..at].trim_ascii().eq_ignore_ascii_case(name).then(|| pair[at + 1..].trim_ascii())
    });
    let value = pairs.next()?;
    if pairs.next().is_some() {
        return None;
    }
    let quoted = value.strip_prefix(b"\"").and_then(|value| value.strip_suffix(b"\""));
    Some(quoted.unwrap_or(value))
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    const FORWARDED: HeaderName = header::FORWARDED;

    /// The client of a request from 10.0.0.1, where 10.0.0.0/8, 192.0.2.7 and fd00::/8 are trusted.
    fn client(name: HeaderName, lines: &[&str]) -> String {
        let trusted = ["10.0.0.0/8", "192.0.2.7/32", "fd00::/8"].map(|net| net.parse().unwrap());
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(&name, HeaderValue::from_str(line).unwrap());
        }
        let peer = "::ffff:10.0.0.1".parse().unwrap();
        behind_trusted(&headers, peer, &trusted).unwrap().unwrap().to_string()
    }

    #[test]
    fn the_chain_is_read_from_its_end_to_the_first_who_is_not_trusted() {
        for (lines, expected) in [
            (&["203.0.113.9"][..], "203.0.113.9"),
            (&["203.0.113.9, 10.0.0.2"], "203.0.113.9"),
            (&["203.0.113.9,10.0.0.2 ,  192.0.2.7"], "203.0.113.9"),
            // What a client claims stands left of what is known of it.
            (&["1.1.1.1, 203.0.113.9, 10.0.0.2"], "203.0.113.9"),
            (&["10.0.0.9, 203.0.113.9"], "203.0.113.9"),
            // Several lines are one list.
            (&["1.1.1.1", "203.0.113.9", "10.0.0.2, 10.0.0.3"], "203.0.113.9"),
            // All trusted: the first. None at all: the peer.
            (&["10.0.0.4, 10.0.0.2"], "10.0.0.4"),
            (&[], "10.0.0.1"),
            // An entry that cannot be read ends the walk at whoever wrote it.
            (&["203.0.113.9, unknown, 10.0.0.2"], "10.0.0.2"),
            (&["203.0.113.9, , 10.0.0.2"], "10.0.0.2"),
            (&["203.0.113.9, 10.0.0"], "10.0.0.1"),
            (&[""], "10.0.0.1"),
            // Ports and IPv6 in all forms.
            (&["203.0.113.9:4711, 10.0.0.2:80"], "203.0.113.9"),
            (&["2001:db8::1, fd00::2"], "2001:db8::1"),
            (&["[2001:db8::1]:4711, [fd00::2]"], "2001:db8::1"),
            (&["::ffff:203.0.113.9, ::ffff:10.0.0.2"], "203.0.113.9"),
        ] {
            assert_eq!(client(X_FORWARDED_FOR, lines), expected, "{lines:?}");
        }
    }

    #[test]
    fn forwarded_is_read_like_it() {
        for (lines, expected) in [
            (&["for=203.0.113.9"][..], "203.0.113.9"),
            (&["for=203.0.113.9;proto=https;by=10.0.0.3, For=\"10.0.0.2:80\""], "203.0.113.9"),
            (&["for=\"[2001:db8::1]:1234\""], "2001:db8::1"),
            (&["proto=https;for=\"[2001:db8::1]\", for=\"[fd00::2]:9\""], "2001:db8::1"),
            (&["for=1.1.1.1", "for=203.0.113.9, for=10.0.0.2"], "203.0.113.9"),
            (&["for=203.0.113.9, for=unknown"], "10.0.0.1"),
            (&["for=203.0.113.9, for=_hidden, for=10.0.0.2"], "10.0.0.2"),
            (&["for=203.0.113.9, proto=https"], "10.0.0.1"),
            (&["for=10.0.0.2;for=203.0.113.9"], "10.0.0.1"),
            // A quotation mark that is never closed swallows nothing that stands right of it.
            (&["for=\"1.1.1.1, for=203.0.113.9, for=10.0.0.2"], "203.0.113.9"),
            (&["for=\"1.1.1.1,for=203.0.113.9\""], "10.0.0.1"),
        ] {
            assert_eq!(client(FORWARDED, lines), expected, "{lines:?}");
        }
    }

    #[test]
    fn who_is_not_trusted_is_the_client_whatever_it_says() {
        let mut headers = HeaderMap::new();
        headers.insert(X_FORWARDED_FOR, HeaderValue::from_static("203.0.113.9"));
        let peer = "198.51.100.1".parse().unwrap();
        let trusted = ["10.0.0.0/8".parse().unwrap()];
        assert!(matches!(behind_trusted(&headers, peer, &trusted), Ok(None)));
        headers.insert(X_FORWARDED_PROTO, HeaderValue::from_static("https"));
        assert_eq!(scheme(&headers, peer, &trusted), None);
    }

    #[test]
    fn a_chain_without_end_is_not_followed_to_its_end() {
        let long = format!("203.0.113.9{}", ", 10.0.0.2".repeat(4000));
        assert_eq!(client(X_FORWARDED_FOR, &[&long]), "10.0.0.2");
    }

    #[test]
    fn the_scheme_is_the_one_that_was_written_with_the_client() {
        let (http, https) = (Some(Scheme::Http), Some(Scheme::Https));
        for (fields, expected) in [
            (&[("x-forwarded-proto", "https")][..], https),
            (&[("x-forwarded-proto", "HTTP")], http),
            (&[("x-forwarded-proto", "wss")], None),
            // From the client to the first proxy, then to the second.
            (
                &[("x-forwarded-for", "192.0.2.1, 10.0.0.2"), ("x-forwarded-proto", "https, http")],
                https,
            ),
            // What the client wrote stands left of it.
            (&[("x-forwarded-for", "192.0.2.1"), ("x-forwarded-proto", "https, http")], http),
            (&[("x-forwarded-for", "192.0.2.1, 10.0.0.2"), ("x-forwarded-proto", "https")], https),
            (&[("forwarded", "for=192.0.2.1;proto=https")], https),
            (&[("forwarded", "for=192.0.2.1;proto=\"https\", for=10.0.0.2;proto=http")], https),
            (&[("forwarded", "for=1.1.1.1;proto=https, for=192.0.2.1;proto=http")], http),
            (&[("forwarded", "for=192.0.2.1")], None),
            (&[], None),
        ] {
            let mut headers = HeaderMap::new();
            for (name, value) in fields {
                headers.append(*name, HeaderValue::from_static(value));
            }
            let peer = "10.0.0.1".parse().unwrap();
            let trusted = ["10.0.0.0/8".parse().unwrap()];
            assert_eq!(scheme(&headers, peer, &trusted), expected, "{fields:?}");
        }
    }
}
