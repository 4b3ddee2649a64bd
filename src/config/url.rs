//! Endpoint URLs: read strictly, then normalised, so that two spellings of one endpoint are one endpoint.

use super::problem::Fault;
use crate::model::{EndpointUrl, Scheme};
use std::net::{Ipv4Addr, Ipv6Addr};

/// Reads and normalises an endpoint's URL (RFC 3986, section 6.2): lower-case scheme and host, the port always
/// known, dot segments resolved, no trailing slash, percent-encoding in upper case.
pub(super) fn parse(text: &str) -> Result<EndpointUrl, Fault> {
    let wrong = |why: &str| Fault::new(format!("is not a URL of an endpoint: {why}"));
    if text.is_empty() {
        return Err(wrong("it is empty"));
    }
    let Some((scheme, rest)) = text.split_once("://") else {
        let meant = match text.parse::<u16>() {
            Ok(port) => format!("http://localhost:{port}"),
            Err(_) => format!("http://{}", text.trim_start_matches('/')),
        };
        let meant = parse(&meant).is_ok().then_some(meant);
        return Err(wrong("the scheme is missing").suggest(meant));
    };
    let scheme = match scheme.to_ascii_lowercase().as_str() {
        "http" => Scheme::Http,
        "https" => Scheme::Https,
        "" => return Err(wrong("the scheme is missing")),
        _ => return Err(wrong("the scheme is neither `http` nor `https`")),
    };
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (authority, path) = rest.split_at(end);
    if path.contains('#') {
        return Err(wrong("a fragment (`#…`) has no place here"));
    }
    if path.contains('?') {
        return Err(wrong("a query (`?…`) has no place here"));
    }
    if authority.contains('@') {
        return Err(wrong("a user or password (`…@`) has no place here"));
    }
    let (host, port) = parse_authority(authority).map_err(wrong)?;
    let path = normalise_path(path).map_err(wrong)?;
    Ok(EndpointUrl {
        scheme,
        host: host.into(),
        port: port.unwrap_or(scheme.default_port()),
        path: path.into(),
    })
}

/// Reads `host`, `host:port` or either with an IPv6 address in brackets; the host comes back normalised.
pub(super) fn parse_authority(text: &str) -> Result<(String, Option<u16>), &'static str> {
    let (host, port) = match text.strip_prefix('[') {
        Some(rest) => {
            let (inside, after) = rest.split_once(']').ok_or("the bracket is never closed")?;
            if inside.contains('%') {
                return Err("an IPv6 address with a zone is not supported");
            }
            let address: Ipv6Addr = inside.parse().map_err(|_| "the IPv6 address is malformed")?;
            let port = match after {
                "" => None,
                after => Some(after.strip_prefix(':').ok_or("a port is wanted after the bracket")?),
            };
            (format!("[{address}]"), port)
        }
        None => {
            let (host, port) = match text.split_once(':') {
                Some((host, port)) => (host, Some(port)),
                None => (text, None),
            };
            if port.is_some_and(|port| port.contains(':')) {
                return Err("an IPv6 address is wanted in brackets");
            }
            (parse_host(host)?, port)
        }
    };
    match port {
        None => Ok((host, None)),
        Some(port) => {
            let digits = !port.starts_with('0') && port.bytes().all(|byte| byte.is_ascii_digit());
            let number = port.parse::<u16>().ok().filter(|_| digits);
            let number = number.ok_or("the port is not a number from 1 to 65535")?;
            Ok((host, Some(number)))
        }
    }
}

/// A normalised host without the dot that a fully qualified name may end with.
pub(super) fn host_name(host: &str) -> &str {
    host.strip_suffix('.').unwrap_or(host)
}

fn parse_host(text: &str) -> Result<String, &'static str> {
    if text.is_empty() {
        return Err("the host is missing");
    }
    if !text.is_ascii() {
        return Err("a host name beyond ASCII is wanted in its `xn--` form");
    }
    let host = text.to_ascii_lowercase();
    let name = host_name(&host);
    let labels = || name.split('.');
    let numeric = |label: &str| {
        label.bytes().all(|byte| byte.is_ascii_digit())
            || label
                .strip_prefix("0x")
                .is_some_and(|hex| hex.bytes().all(|b| b.is_ascii_hexdigit()))
    };
    // A host whose last label is a number is an IPv4 address; resolvers differ in how they read `127.1` and `010.0.0.1`.
    if labels().next_back().is_some_and(|last| !last.is_empty() && numeric(last)) {
        return match host.parse::<Ipv4Addr>() {
            Ok(address) => Ok(address.to_string()),
            Err(_) => Err("the IPv4 address is malformed"),
        };
    }
    let proper = |label: &str| {
        (1..=63).contains(&label.len())
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte))
    };
    match name.len() <= 253 && labels().all(proper) {
        true => Ok(host),
        false => Err("the host is malformed"),
    }
}

/// `/a/./b/../c/` becomes `/a/c`, `/` becomes nothing.
fn normalise_path(path: &str) -> Result<String, &'static str> {
    let mut segments: Vec<String> = Vec::new();
    for segment in path.split('/').skip(1) {
        let segment = normalise_segment(segment)?;
        match segment.as_str() {
            "." => {}
            ".." => {
                segments.pop();
            }
            _ => segments.push(segment),
        }
    }
    while segments.last().is_some_and(String::is_empty) {
        segments.pop();
    }
    Ok(segments.iter().fold(String::new(), |path, segment| path + "/" + segment))
}

/// Percent-encoding in upper case, and unreserved characters without it (RFC 3986, section 6.2.2).
fn normalise_segment(segment: &str) -> Result<String, &'static str> {
    const SPECIAL: &str = "a space or special character in the path has to be percent-encoded";
    let mut out = String::new();
    let mut bytes = segment.bytes();
    while let Some(byte) = bytes.next() {
        if byte != b'%' {
            match byte.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=:@".contains(&byte) {
                true => out.push(char::from(byte)),
                false => return Err(SPECIAL),
            }
            continue;
        }
        let mut digit = || bytes.next().and_then(|byte| char::from(byte).to_digit(16));
        let (Some(high), Some(low)) = (digit(), digit()) else {
            return Err("a `%` in the path is not followed by two hexadecimal digits");
        };
        // Two hexadecimal digits are at most 255.
        let decoded = (high * 16 + low) as u8;
        match decoded {
            // Endpoints and proxies differ in whether these end a segment or the path.
            b'/' | b'\\' | 0 => return Err("an encoded `/`, `\\` or NUL in the path"),
            _ if decoded.is_ascii_alphanumeric() || b"-._~".contains(&decoded) => {
                out.push(char::from(decoded));
            }
            _ => out.push_str(&format!("%{decoded:02X}")),
        }
    }
    Ok(out)
}
