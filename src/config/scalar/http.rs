//! The words of routing: hosts, paths, methods, header fields, cookies, patterns.

use super::{Shape, Word};
use crate::config::problem::Fault;
use crate::config::url::parse_authority;
use crate::model::path::normalise;
use crate::model::{HostPattern, IpNet, Ratio, Regex};
use http::{HeaderName, HeaderValue, Method};
use std::net::IpAddr;
use std::sync::Arc;

/// Any text, also none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AnyText(pub String);

impl Word for AnyText {
    const SHAPE: Shape = Shape::Text;

    fn expected() -> String {
        "text".into()
    }

    fn parse(text: &str) -> Result<Self, Fault> {
        Ok(Self(text.to_owned()))
    }
}

/// The name of a header field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeaderFieldName(pub HeaderName);

impl Word for HeaderFieldName {
    const SHAPE: Shape = Shape::Text;

    fn expected() -> String {
        "the name of a header field, such as `x-user`".into()
    }

    fn parse(text: &str) -> Result<Self, Fault> {
        HeaderName::from_bytes(text.as_bytes()).map(Self).map_err(|_| {
            let clean = text.trim_end_matches(':').trim();
            let suggestion = HeaderName::from_bytes(clean.as_bytes()).ok();
            Fault::new("is not the name of a header field")
                .suggest(suggestion.map(|name| name.to_string()))
        })
    }
}

/// The value of a header field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeaderText(pub HeaderValue);

impl Word for HeaderText {
    const SHAPE: Shape = Shape::Text;

    fn expected() -> String {
        "text without control characters or space around it".into()
    }

    fn parse(text: &str) -> Result<Self, Fault> {
        let wrong = |why: String| Fault::new(format!("is not the value of a header field: {why}"));
        if text.trim() != text {
            let fault = wrong("there is space around it".to_owned());
            return Err(fault.suggest(text.trim().to_owned()));
        }
        HeaderValue::from_str(text).map(Self).map_err(|_| {
            // All that there is to say where the text itself must not be shown. A tab is allowed.
            let is_wrong = |(_, c): &(usize, char)| c.is_ascii_control() && *c != '\t';
            wrong(match (1..).zip(text.chars()).find(is_wrong) {
                Some((place, c)) => format!("character {place} is {}", c.escape_default()),
                None => "it has characters that none may have".to_owned(),
            })
        })
    }
}

/// The name of a cookie (RFC 6265, section 4.1.1: a token).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CookieName(pub String);

impl Word for CookieName {
    const SHAPE: Shape = Shape::Text;

    fn expected() -> String {
        "the name of a cookie: letters, digits and `!#$%&'*+-.^_|~`".into()
    }

    fn parse(text: &str) -> Result<Self, Fault> {
        let token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
        match !text.is_empty() && text.bytes().all(token) {
            true => Ok(Self(text.to_owned())),
            false => Err(Fault::new("is not the name of a cookie")),
        }
    }
}

/// The path of a cookie.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CookiePath(pub String);

impl Word for CookiePath {
    fn expected() -> String {
        "a path that begins with `/`, such as `/shop`".into()
    }

    fn parse(text: &str) -> Result<Self, Fault> {
        let clean = |byte: u8| byte.is_ascii_graphic() && byte != b';';
        match text.starts_with('/') && text.bytes().all(clean) {
            true => Ok(Self(text.to_owned())),
            false => Err(Fault::new("is not the path of a cookie")),
        }
    }
}

/// A host to match: exact, or `*.` and a suffix.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Host(pub HostPattern);

impl Word for Host {
    const SHAPE: Shape = Shape::Text;

    fn expected() -> String {
        "a host without a port, such as `shop.example.com`, or `*.example.com` for all hosts below it"
            .into()
    }

    fn parse(text: &str) -> Result<Self, Fault> {
        let wrong = |why: &str| Fault::new(format!("is not a host to match: {why}"));
        if text == "*" {
            return Err(wrong("leave `hosts` out to match every host"));
        }
        let (wildcard, host) = match text.strip_prefix("*.") {
            Some(host) => (true, host),
            None => (false, text),
        };
        if let Some(host) = host_of_url(host) {
            return Err(wrong("it is a URL").suggest(host));
        }
        if host.contains('*') {
            return Err(wrong("`*` stands for whole labels at the beginning only"));
        }
        let (name, port) = parse_authority(host).map_err(wrong)?;
        if port.is_some() {
            let name = if wildcard { format!("*.{name}") } else { name };
            return Err(wrong("a port is not matched").suggest(name));
        }
        let name = name.trim_end_matches('.');
        Ok(Self(match wildcard {
            true => HostPattern::Wildcard(Arc::from(format!(".{name}"))),
            false => HostPattern::Exact(Arc::from(name)),
        }))
    }
}

/// The host of a URL, without its port.
fn host_of_url(text: &str) -> Option<Option<String>> {
    let (_, rest) = text.split_once("://")?;
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    Some(parse_authority(authority).ok().map(|(host, _)| host))
}

/// The host of a redirect.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RedirectHost(pub String);

impl Word for RedirectHost {
    const SHAPE: Shape = Shape::Text;

    fn expected() -> String {
        "a host name or IP address without a port".into()
    }

    fn parse(text: &str) -> Result<Self, Fault> {
        if let Some(host) = host_of_url(text) {
            return Err(Fault::new("is not a host: it is a URL").suggest(host));
        }
        match parse_authority(text) {
            Ok((host, None)) => Ok(Self(host)),
            Ok((host, Some(_))) => {
                Err(Fault::new("has a port: that is another key, `port`").suggest(host))
            }
            Err(why) => Err(Fault::new(format!("is not a host: {why}"))),
        }
    }
}

/// A path to match, or to be put in place of another, in its normal form.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MatchPath(pub String);

impl Word for MatchPath {
    fn expected() -> String {
        "a path that begins with `/`, without a query, such as `/shop`".into()
    }

    fn parse(text: &str) -> Result<Self, Fault> {
        let wrong = |why: &str| Fault::new(format!("is not a path: {why}"));
        if text.contains("://") {
            return Err(wrong("it is a URL"));
        }
        if !text.starts_with('/') {
            let clean =
                text.bytes().all(|byte| byte.is_ascii_graphic() && !b"?#*^".contains(&byte));
            return Err(
                wrong("it does not begin with `/`").suggest(clean.then(|| format!("/{text}")))
            );
        }
        if text.contains(['?', '#']) {
            return Err(wrong("a query or fragment is not part of it"));
        }
        if text.bytes().any(|byte| !byte.is_ascii_graphic() || b"\"<>^`{|}".contains(&byte)) {
            return Err(wrong("a space or special character has to be percent-encoded"));
        }
        match normalise(text) {
            Ok(path) => Ok(Self(path.into_sent().into_owned())),
            Err(why) => Err(wrong(&format!("it {why}"))),
        }
    }
}

/// A method.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MethodName(pub Method);

impl Word for MethodName {
    const SHAPE: Shape = Shape::Text;

    fn expected() -> String {
        "a method in upper case, such as `GET`".into()
    }

    fn parse(text: &str) -> Result<Self, Fault> {
        let fault = |text: &str| Fault::new(format!("is not a method{text}"));
        if text == "CONNECT" {
            return Err(fault(" that is ever forwarded"));
        }
        if text.bytes().any(|byte| byte.is_ascii_lowercase()) {
            let upper = text.to_ascii_uppercase();
            let known = Method::from_bytes(upper.as_bytes()).ok();
            return Err(fault(": methods are case-sensitive").suggest(known.map(|_| upper)));
        }
        Method::from_bytes(text.as_bytes()).map(Self).map_err(|_| fault(""))
    }
}

/// A network, or one address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Network(pub IpNet);

impl Word for Network {
    fn expected() -> String {
        "an IP address or a network, such as `10.0.0.0/8` or `::1`".into()
    }

    fn parse(text: &str) -> Result<Self, Fault> {
        if let Ok(address) = text.parse::<IpAddr>() {
            return Ok(Self(IpNet::from(address)));
        }
        match text.parse::<IpNet>() {
            // With bits behind the prefix it is not clear which network was meant.
            Ok(network) if network.trunc() != network => {
                Err(Fault::new("is not a network: there are bits behind its prefix")
                    .suggest(network.trunc().to_string()))
            }
            Ok(network) => Ok(Self(network)),
            Err(_) => Err(Fault::new("is neither an IP address nor a network")),
        }
    }
}

/// A regular expression.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pattern(pub Regex);

impl Word for Pattern {
    const SHAPE: Shape = Shape::Text;

    fn expected() -> String {
        "a regular expression that describes the whole text, such as `/v[0-9]+/.*`".into()
    }

    fn parse(text: &str) -> Result<Self, Fault> {
        Regex::new(text).map(Self).map_err(|error| {
            let why = match error {
                regex::Error::CompiledTooBig(_) => "it is too large".to_owned(),
                error => {
                    // The last line says what is wrong; those before draw the place, which needs more than one line.
                    let text = error.to_string();
                    let last = text.lines().last().unwrap_or_default();
                    last.trim_start_matches("error: ").to_owned()
                }
            };
            Fault::new(format!("is not a regular expression: {why}"))
        })
    }
}

/// How far above the mean an endpoint's load may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LoadBound(pub Ratio);

impl Word for LoadBound {
    const SHAPE: Shape = Shape::Number;

    fn expected() -> String {
        "a multiple of the mean load from 1 to 100, such as `1.25`".into()
    }

    fn parse(text: &str) -> Result<Self, Fault> {
        let shape = text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
        match text.parse::<f64>() {
            Ok(value) if shape && (1.0..=100.0).contains(&value) => Ok(Self(Ratio::new(value))),
            Ok(_) if shape => Err(Fault::new("is out of range")),
            _ => Err(Fault::new("is not a number")),
        }
    }
}

/// The status of a redirect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RedirectStatus(pub u16);

impl Word for RedirectStatus {
    const SHAPE: Shape = Shape::Number;

    fn expected() -> String {
        "301, 302, 303, 307 or 308".into()
    }

    fn parse(text: &str) -> Result<Self, Fault> {
        match text {
            "301" | "302" | "303" | "307" | "308" => Ok(Self(text.parse().unwrap_or_default())),
            _ => Err(Fault::new("is not the status of a redirect")),
        }
    }
}
