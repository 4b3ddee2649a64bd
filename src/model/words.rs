//! The parts of a model in the words of its file: for the log of a reload and for the tools that explain a file.
//!
//! Values of header fields that filters set are never among them, and what a match wants of a field or parameter only if its
//! name does not say that it is a secret.

use super::{
    Algorithm, Answer, ClientAuthMode, Filters, FixedResponse, HashKey, HashTable, Hashing,
    HeaderChanges, HeaderMatch, Match, PathMatch, PathRewrite, ProbeCheck, Protocol, ProxyProtocol,
    ProxyProtocolVersion, QueryMatch, Ratio, Redirect, RetryConditions, SessionAffinity, SlowStart,
    TlsVersion, ValueMatch, defaults,
};
use std::fmt;
use std::time::{Duration, SystemTime};

/// A duration as the file has it: `250ms`, `1m30s`.
pub fn duration(value: Duration) -> String {
    let nanos = value.as_nanos();
    if value.subsec_nanos() != 0 {
        return match nanos {
            _ if nanos.is_multiple_of(1_000_000) => format!("{}ms", nanos / 1_000_000),
            _ if nanos.is_multiple_of(1_000) => format!("{}us", nanos / 1_000),
            _ => format!("{nanos}ns"),
        };
    }
    let seconds = value.as_secs();
    let parts = [(seconds / 3600, "h"), (seconds / 60 % 60, "m"), (seconds % 60, "s")];
    let text: String = parts
        .iter()
        .filter(|(count, _)| *count > 0)
        .map(|(count, unit)| format!("{count}{unit}"))
        .collect();
    if text.is_empty() { "0s".to_owned() } else { text }
}

/// A limit of time; "none" without one.
pub fn limit(value: Option<Duration>) -> String {
    value.map_or_else(|| "none".to_owned(), duration)
}

/// The day of a time, in UTC: `2027-02-01`.
pub fn date(time: SystemTime) -> String {
    moment(time).split('T').next().unwrap_or_default().to_owned()
}

/// A time to the second, in UTC: `2027-02-01T09:30:00Z`.
pub fn moment(time: SystemTime) -> String {
    let time = jiff::Timestamp::try_from(time).ok();
    let time = time.and_then(|time| jiff::Timestamp::from_second(time.as_second()).ok());
    // A certificate may be for ever: RFC 5280, section 4.1.2.5, has the last second of the year 9999 for that.
    time.map_or_else(|| "9999-12-31T23:59:59Z".to_owned(), |time| time.to_string())
}

/// A size as the file has it: `64Ki`, `10Mi`.
pub fn bytes(value: u64) -> String {
    const UNITS: [(u64, &str); 3] = [(1 << 30, "Gi"), (1 << 20, "Mi"), (1 << 10, "Ki")];
    let unit = UNITS.iter().find(|(size, _)| value > 0 && value.is_multiple_of(*size));
    unit.map_or_else(|| value.to_string(), |(size, unit)| format!("{}{unit}", value / size))
}

/// A share as a percentage.
pub fn percent(value: Ratio) -> String {
    // Exact: a share has six decimals, of which a percentage has four.
    let text = format!("{:.4}", value.value() * 100.0);
    format!("{}%", text.trim_end_matches('0').trim_end_matches('.'))
}

/// Ranges of status codes: `200-399, 404`.
pub fn statuses(ranges: &[(u16, u16)]) -> String {
    let range = |(first, last): &(u16, u16)| match first == last {
        true => first.to_string(),
        false => format!("{first}-{last}"),
    };
    list(ranges.iter().map(range))
}

/// The items with commas; "none" without any.
pub fn list<T: fmt::Display>(items: impl IntoIterator<Item = T>) -> String {
    let items: Vec<_> = items.into_iter().map(|item| item.to_string()).collect();
    if items.is_empty() { "none".to_owned() } else { items.join(", ") }
}

/// `rows` with aligned columns, two spaces between them, each line after `indent`.
pub fn columns(indent: &str, rows: &[Vec<String>]) -> String {
    let mut widths: Vec<usize> = Vec::new();
    for row in rows {
        widths.resize(widths.len().max(row.len()), 0);
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let mut text = String::new();
    for row in rows {
        let cells = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}"));
        let line = format!("{indent}{}", cells.collect::<Vec<_>>().join("  "));
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

/// The part of a weight in a sum of weights.
pub fn share(weight: u32, total: u64) -> String {
    let percent = if total == 0 { 0.0 } else { f64::from(weight) * 100.0 / total as f64 };
    let text = format!("{percent:.1}");
    format!("{}%", text.trim_end_matches(".0"))
}

/// What stands for a secret.
pub const HIDDEN: &str = "…";

/// Whether the value of a header field, or of a parameter of the query, with this name is probably a secret.
pub fn is_secret(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    let parts = [
        "authorization",
        "authenticat",
        "cookie",
        "credential",
        "key",
        "passw",
        "secret",
        "signature",
        "token",
    ];
    parts.iter().any(|part| name.contains(part))
}

impl fmt::Display for Match {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(method) = &self.method {
            write!(f, "{method} ")?;
        }
        self.path.fmt(f)?;
        let headers = self.headers.iter().map(ToString::to_string);
        let rest: Vec<_> = headers.chain(self.query.iter().map(ToString::to_string)).collect();
        if !rest.is_empty() {
            write!(f, " with {}", rest.join(", "))?;
        }
        Ok(())
    }
}

impl fmt::Display for HeaderMatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.value.condition(self.name.as_str(), is_secret(self.name.as_str()), f)
    }
}

impl fmt::Display for QueryMatch {
    /// With a `?`, so that it is not taken for a header field.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.value.condition(&format!("?{}", self.name), is_secret(&self.name), f)
    }
}

impl ValueMatch {
    fn condition(&self, name: &str, hidden: bool, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exact(_) if hidden => write!(f, "{name} = {HIDDEN}"),
            Self::Exact(value) => write!(f, "{name} = {value:?}"),
            Self::Regex(_) if hidden => write!(f, "{name} ~ {HIDDEN}"),
            Self::Regex(regex) => write!(f, "{name} ~ {:?}", regex.as_str()),
            Self::Present => write!(f, "{name} present"),
            Self::Absent => write!(f, "{name} absent"),
        }
    }
}

impl PathMatch {
    /// Which kind it is and what it says, as the file has it: `prefix /shop`.
    pub fn as_typed(&self) -> String {
        match self {
            Self::Exact(path) => format!("exact {path}"),
            Self::Prefix(path) => format!("prefix {path}"),
            Self::Regex(regex) => format!("regex {}", regex.as_str()),
        }
    }
}

impl fmt::Display for HashKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Header(name) => write!(f, "header {name}"),
            Self::Cookie(name) => write!(f, "cookie {name}"),
            Self::Query(name) => write!(f, "query {name}"),
            Self::ClientAddress => f.write_str("ClientAddress"),
            Self::Path => f.write_str("Path"),
        }
    }
}

impl fmt::Display for HashTable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Maglev => "Maglev",
            Self::Ring => "Ring",
        })
    }
}

impl fmt::Display for Hashing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "key {}, table {}", self.key, self.table)?;
        match self.bounded_load {
            Some(bound) => write!(f, ", boundedLoad {}", bound.value()),
            None => Ok(()),
        }
    }
}

impl fmt::Display for SessionAffinity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ttl = self.ttl.map_or_else(
            || "until the session ends".to_owned(),
            |ttl| format!("for {}", duration(ttl)),
        );
        write!(f, "cookie {} {ttl}, path {}", self.cookie, self.path)
    }
}

impl fmt::Display for SlowStart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} from {}", duration(self.window), percent(self.minimum_weight))
    }
}

impl fmt::Display for ProbeCheck {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Http { path, host, statuses: accepted, body } => {
                write!(f, "GET {path}")?;
                if let Some(host) = host {
                    write!(f, ", host {host}")?;
                }
                if **accepted != [defaults::PROBE_STATUSES] {
                    write!(f, ", statuses {}", statuses(accepted))?;
                }
                match body {
                    Some(body) => write!(f, ", body {body:?}"),
                    None => Ok(()),
                }
            }
            Self::Tcp => f.write_str("TCP connect"),
            Self::Grpc { service } if service.is_empty() => f.write_str("gRPC health"),
            Self::Grpc { service } => write!(f, "gRPC health of {service}"),
        }
    }
}

impl fmt::Display for RetryConditions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let all = [(self.connect_failure, "ConnectFailure"), (self.reset, "Reset")];
        f.write_str(&list(all.iter().filter(|(on, _)| *on).map(|(_, name)| name)))
    }
}

impl Filters {
    /// What it does, a phrase each, in the order in which it happens.
    pub fn phrases(&self) -> Vec<String> {
        let Self { request_headers, response_headers, rewrite, answer } = self;
        let mut phrases = Vec::new();
        if let Some(host) = &rewrite.host {
            phrases.push(format!("rewrite host to {}", String::from_utf8_lossy(host.as_bytes())));
        }
        if let Some(path) = &rewrite.path {
            phrases.push(format!("rewrite {path}"));
        }
        if !request_headers.is_empty() {
            phrases.push(format!("request headers: {request_headers}"));
        }
        if let Some(answer) = answer {
            phrases.push(answer.to_string());
        }
        if !response_headers.is_empty() {
            phrases.push(format!("response headers: {response_headers}"));
        }
        phrases
    }
}

impl fmt::Display for HeaderChanges {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { remove, set, add } = self;
        let phrase = |verb: &str, names: String| format!("{verb} {names}");
        let mut phrases = Vec::new();
        if !remove.is_empty() {
            phrases.push(phrase("remove", list(remove)));
        }
        if !set.is_empty() {
            phrases.push(phrase("set", list(set.iter().map(|(name, _)| name))));
        }
        if !add.is_empty() {
            phrases.push(phrase("add", list(add.iter().map(|(name, _)| name))));
        }
        f.write_str(&phrases.join("; "))
    }
}

impl fmt::Display for PathRewrite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Full(path) => write!(f, "path to {path}"),
            Self::Prefix(path) => write!(f, "prefix to {path}"),
        }
    }
}

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Redirect(redirect) => redirect.fmt(f),
            Self::Fixed(response) => response.fmt(f),
        }
    }
}

impl Algorithm {
    /// How it decides, in a sentence.
    pub const fn how(self) -> &'static str {
        match self {
            Self::RoundRobin => {
                "Each endpoint in turn, as often as its weight says, spread evenly over the round."
            }
            Self::Random => "An endpoint by chance, as often as its weight says.",
            Self::LeastConnections => {
                "The endpoint with the fewest requests in flight for its weight; chance decides among equals."
            }
            Self::LeastResponseTime => {
                "The endpoint that should answer soonest: its average time to the response's head, times its requests in \
                 flight and this one, by its weight; of those that are nearly as good, the one with the fewest in flight."
            }
            Self::PowerOfTwoChoices => {
                "Two endpoints by chance, and of them the one with fewer requests in flight for its weight."
            }
            Self::PeakEwma => {
                "Two endpoints by chance, and of them the one that should answer sooner, where a slow answer counts at once \
                 and is forgotten slowly."
            }
            Self::SourceIpHash => {
                "Always the same endpoint for a client's address, by a hash of it, as long as the endpoint can serve."
            }
            Self::ConsistentHash => {
                "Always the same endpoint for a key of the request, by a hash of it; when endpoints come or go, few keys move."
            }
        }
    }
}

/// Gives values with names the names that the file has for them.
macro_rules! named {
    ($($type:ident: $($value:ident $name:literal),+;)+) => {$(
        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(match self {
                    $(Self::$value => $name,)+
                })
            }
        }
    )+};
}

named! {
    ClientAuthMode: Required "Required", Optional "Optional";
    Protocol: Http1 "Http1", Http2 "Http2", H2c "H2c";
    ProxyProtocol: Disabled "Disabled", Accept "Accept", Require "Require";
    ProxyProtocolVersion: V1 "V1", V2 "V2";
    TlsVersion: Tls12 "TLSv1.2", Tls13 "TLSv1.3";
}

impl fmt::Display for Redirect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { scheme, host, port, path, status } = self;
        write!(f, "redirect {status}")?;
        let parts = [
            scheme.map(|scheme| format!("scheme to {}", scheme.as_str())),
            host.as_ref().map(|host| format!("host to {host}")),
            port.map(|port| format!("port to {port}")),
            path.as_ref().map(ToString::to_string),
        ];
        for part in parts.into_iter().flatten() {
            write!(f, ", {part}")?;
        }
        Ok(())
    }
}

impl fmt::Display for FixedResponse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "respond {}", self.status)?;
        match self.body.len() {
            0 => Ok(()),
            length => write!(f, " with {length} bytes"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_written_in_utc_and_the_end_of_time_is_one() {
        let at = |seconds| SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
        let time = at(1_801_474_200) + Duration::from_millis(250);
        assert_eq!(moment(time), "2027-02-01T09:30:00Z");
        assert_eq!(date(time), "2027-02-01");
        assert_eq!(date(at(253_402_300_799)), "9999-12-31");
    }

    #[test]
    fn durations_and_sizes_are_written_as_in_the_file() {
        let cases =
            [(0, "0s"), (250, "250ms"), (1500, "1500ms"), (90_000, "1m30s"), (3_600_000, "1h")];
        for (millis, text) in cases {
            assert_eq!(duration(Duration::from_millis(millis)), text);
        }
        assert_eq!(duration(Duration::from_nanos(1_500)), "1500ns");
        assert_eq!(duration(Duration::from_micros(1_500)), "1500us");
        for (size, text) in
            [(0, "0"), (1000, "1000"), (65_536, "64Ki"), (10 << 20, "10Mi"), (1 << 30, "1Gi")]
        {
            assert_eq!(bytes(size), text);
        }
        for (share, text) in
            [(0.0, "0%"), (0.1, "10%"), (0.015, "1.5%"), (0.000_001, "0.0001%"), (1.0, "100%")]
        {
            assert_eq!(percent(Ratio::new(share)), text);
        }
        assert_eq!(statuses(&[(200, 399), (404, 404)]), "200-399, 404");
    }

    #[test]
    fn columns_are_as_wide_as_their_widest_cell() {
        let rows = [
            vec!["a".to_owned(), "→→→".to_owned(), "x".to_owned()],
            vec!["long".to_owned(), "b".to_owned()],
        ];
        assert_eq!(columns(" ", &rows), " a     →→→  x\n long  b\n");
    }

    #[test]
    fn shares_are_rounded_to_a_tenth() {
        for (weight, total, text) in
            [(1, 3, "33.3%"), (90, 100, "90%"), (0, 0, "0%"), (100, 100, "100%")]
        {
            assert_eq!(share(weight, total), text);
        }
    }
}
