//! The values that are written as one word: durations, quantities, shares, numbers, names, addresses.
//!
//! A value says what is wrong with itself without repeating what was typed, which may hold a secret.

use super::problem::Fault;
use crate::model::{EndpointUrl, Ratio, defaults};
use serde::de::{Deserialize, Deserializer, Error, Visitor};
use std::fmt;
use std::marker::PhantomData;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::time;

/// The longest duration: a year. Timers overflow on what is much longer.
const LONGEST: time::Duration = time::Duration::from_secs(365 * 24 * 60 * 60);

/// A value written as one word.
pub(super) trait Word: Sized {
    /// What a value may look like, for messages.
    fn expected() -> String;

    /// Reads a value; the fault's message follows the text that was found.
    fn parse(text: &str) -> Result<Self, Fault>;

    /// Whether it is text, so that a bare number or boolean was hardly meant.
    const TEXT: bool = false;
}

impl Fault {
    /// The fault as the text of an error: message, what is allowed, and suggestion, each on its line.
    fn lines(self) -> String {
        let Self { message, allowed, suggestion } = self;
        [message, allowed.unwrap_or_default(), suggestion.unwrap_or_default()].join("\n")
    }

    /// The reverse of [`Fault::lines`].
    pub(super) fn from_lines(text: &str) -> Self {
        let mut lines = text.splitn(3, '\n').map(str::to_owned);
        let mut next = || lines.next().filter(|line| !line.is_empty());
        let message = next().unwrap_or_default();
        let allowed = next();
        Self { message, allowed, suggestion: next() }
    }
}

fn deserialize<'de, T: Word, D: Deserializer<'de>>(deserializer: D) -> Result<T, D::Error> {
    struct AsWord<T>(PhantomData<T>);
    impl<T: Word> Visitor<'_> for AsWord<T> {
        type Value = T;
        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str(&T::expected())
        }
        fn visit_str<E: Error>(self, text: &str) -> Result<T, E> {
            T::parse(text).map_err(|fault| {
                let allowed = fault.allowed.clone().unwrap_or_else(T::expected);
                E::custom(fault.allow(allowed).lines())
            })
        }
    }
    match T::TEXT {
        true => deserializer.deserialize_string(AsWord(PhantomData)),
        false => deserializer.deserialize_str(AsWord(PhantomData)),
    }
}

macro_rules! deserialize_as_word {
    ($type:ty $(, $($bounds:tt)+)?) => {
        impl<'de, $($($bounds)+)?> Deserialize<'de> for $type {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                deserialize(deserializer)
            }
        }
    };
}

deserialize_as_word!(Duration);
deserialize_as_word!(Quantity<MIN, MAX>, const MIN: u64, const MAX: u64);
deserialize_as_word!(Number<MIN, MAX>, const MIN: u64, const MAX: u64);
deserialize_as_word!(Share);
deserialize_as_word!(Name);
deserialize_as_word!(Text);
deserialize_as_word!(ProbePath);
deserialize_as_word!(HostHeader);
deserialize_as_word!(Statuses);
deserialize_as_word!(Address);
deserialize_as_word!(OptionalAddress);
deserialize_as_word!(Url);

/// A duration as Go writes it: `250ms`, `5s`, `1m30s`, `0s`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Duration(pub time::Duration);

/// The units of a duration, in nanoseconds.
const UNITS: &[(&str, u64)] = &[
    ("ns", 1),
    ("us", 1_000),
    ("µs", 1_000),
    ("μs", 1_000),
    ("ms", 1_000_000),
    ("s", 1_000_000_000),
    ("m", 60_000_000_000),
    ("h", 3_600_000_000_000),
];

impl Word for Duration {
    fn expected() -> String {
        "a duration such as `250ms`, `5s` or `1m30s` (units: ns, us, ms, s, m, h)".into()
    }

    fn parse(text: &str) -> Result<Self, Fault> {
        let wrong = |why: &str| Fault::new(format!("is not a duration: {why}"));
        if text == "0" {
            return Ok(Self(time::Duration::ZERO));
        }
        if text.is_empty() {
            return Err(wrong("it is empty"));
        }
        if text.starts_with('-') {
            return Err(wrong("it is negative"));
        }
        let mut rest = text;
        let mut nanos: u128 = 0;
        while !rest.is_empty() {
            let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(rest.len());
            let (number, tail) = rest.split_at(digits);
            let letters = tail.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(tail.len());
            let (unit, tail) = tail.split_at(letters);
            if number.is_empty() || number == "." || number.matches('.').count() > 1 {
                return Err(wrong("a number and a unit are wanted"));
            }
            if unit.is_empty() {
                let whole = rest == text && !number.contains('.');
                return Err(
                    wrong("the unit is missing").suggest(whole.then(|| format!("{number}s")))
                );
            }
            let Some((_, scale)) = UNITS.iter().find(|(name, _)| *name == unit) else {
                return Err(
                    wrong("the unit is unknown").suggest(with_known_unit(text, number, unit))
                );
            };
            nanos = nanos.saturating_add(scaled(number, *scale));
            rest = tail;
        }
        if nanos > LONGEST.as_nanos() {
            return Err(Fault::new("is out of range").allow("at most a year, which is `8760h`"));
        }
        // At most a year, which is far below 2^64 ns.
        Ok(Self(time::Duration::from_nanos(nanos as u64)))
    }
}

/// A decimal number times `scale`; digits below a unit of the result are cut off, as Go does.
fn scaled(number: &str, scale: u64) -> u128 {
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    let digits = |text: &str| {
        text.bytes().fold(0u128, |sum, digit| {
            sum.saturating_mul(10).saturating_add(u128::from(digit - b'0'))
        })
    };
    // Digits beyond the eighteenth are below a nanosecond of any unit.
    let fraction = &fraction[..fraction.len().min(18)];
    let below = digits(fraction) * u128::from(scale) / 10u128.pow(fraction.len() as u32);
    digits(whole).saturating_mul(u128::from(scale)).saturating_add(below)
}

/// What a duration of one number with a unit of other languages was meant to be.
fn with_known_unit(text: &str, number: &str, unit: &str) -> Option<String> {
    let single = text.len() == number.len() + unit.len();
    let known = match unit.trim().to_lowercase().as_str() {
        "d" | "day" | "days" => {
            let days: u32 = number.parse().ok().filter(|days| *days <= 365)?;
            return single.then(|| format!("{}h", days * 24));
        }
        "ms" | "msec" | "millis" | "milliseconds" => "ms",
        "s" | "sec" | "secs" | "second" | "seconds" => "s",
        "m" | "min" | "mins" | "minute" | "minutes" => "m",
        "h" | "hr" | "hour" | "hours" => "h",
        _ => return None,
    };
    single.then(|| format!("{number}{known}"))
}

/// A number of bytes as Kubernetes writes it: `64Ki`, `10Mi`, `1k`, `512`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quantity<const MIN: u64, const MAX: u64>(pub u64);

/// The suffixes of a quantity, greatest first within each family.
const SUFFIXES: &[(&str, u64)] = &[
    ("Ti", 1 << 40),
    ("Gi", 1 << 30),
    ("Mi", 1 << 20),
    ("Ki", 1 << 10),
    ("T", 1_000_000_000_000),
    ("G", 1_000_000_000),
    ("M", 1_000_000),
    ("k", 1_000),
    ("", 1),
];

impl<const MIN: u64, const MAX: u64> Word for Quantity<MIN, MAX> {
    fn expected() -> String {
        "a quantity such as `64Ki`, `10Mi`, `1k` or `512` (suffixes: Ki, Mi, Gi, Ti, k, M, G, T)"
            .into()
    }

    fn parse(text: &str) -> Result<Self, Fault> {
        let wrong = |why: &str| Fault::new(format!("is not a quantity: {why}"));
        let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
        let (number, suffix) = text.split_at(digits);
        if number.is_empty() {
            return Err(wrong("a whole number is wanted"));
        }
        let Some((_, scale)) = SUFFIXES.iter().find(|(name, _)| *name == suffix) else {
            let meant = match suffix.trim().to_lowercase().as_str() {
                "k" | "ki" | "kb" | "kib" => Some("Ki"),
                "m" | "mi" | "mb" | "mib" => Some("Mi"),
                "g" | "gi" | "gb" | "gib" => Some("Gi"),
                "t" | "ti" | "tb" | "tib" => Some("Ti"),
                _ => None,
            };
            let meant = meant.map(|suffix| format!("{number}{suffix}"));
            return Err(wrong("the suffix is unknown").suggest(meant));
        };
        let value = number.parse::<u64>().ok().and_then(|number| number.checked_mul(*scale));
        match value {
            Some(value) if (MIN..=MAX).contains(&value) => Ok(Self(value)),
            _ => Err(Fault::new("is out of range").allow(range::<MIN, MAX>(quantity))),
        }
    }
}

/// `value` with the greatest binary suffix that leaves a whole number.
fn quantity(value: u64) -> String {
    let exact = |(_, scale): &&(&str, u64)| value != 0 && value.is_multiple_of(*scale);
    match SUFFIXES[..4].iter().find(exact) {
        Some((suffix, scale)) => format!("{}{suffix}", value / scale),
        None => value.to_string(),
    }
}

fn range<const MIN: u64, const MAX: u64>(show: impl Fn(u64) -> String) -> String {
    match MAX {
        u64::MAX => format!("{} or more", show(MIN)),
        _ => format!("{} to {}", show(MIN), show(MAX)),
    }
}

/// A whole number from `MIN` to `MAX`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Number<const MIN: u64, const MAX: u64>(pub u64);

impl<const MIN: u64, const MAX: u64> Word for Number<MIN, MAX> {
    fn expected() -> String {
        format!("a whole number, {}", range::<MIN, MAX>(|value| value.to_string()))
    }

    fn parse(text: &str) -> Result<Self, Fault> {
        let digits = text.strip_prefix('-').unwrap_or(text);
        if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(Fault::new("is not a whole number"));
        }
        if digits.len() > 1 && digits.starts_with('0') {
            // 010 is eight for one version of YAML and ten for another.
            return Err(Fault::new("is not a whole number: it begins with 0"));
        }
        match text.parse::<u64>() {
            Ok(value) if (MIN..=MAX).contains(&value) => Ok(Self(value)),
            _ => Err(Fault::new("is out of range")),
        }
    }
}

/// A share of everything: `20%` or `0.2`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Share(pub Ratio);

impl Word for Share {
    fn expected() -> String {
        "a percentage from `0%` to `100%`, or a number from 0 to 1".into()
    }

    fn parse(text: &str) -> Result<Self, Fault> {
        let (number, whole) = match text.strip_suffix('%') {
            Some(number) => (number, 100.0),
            None => (text, 1.0),
        };
        let decimal = number.strip_prefix('-').unwrap_or(number);
        let shape = decimal.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
        match number.parse::<f64>() {
            Ok(value) if shape && (0.0..=whole).contains(&value) => {
                Ok(Self(Ratio::new(value / whole)))
            }
            Ok(value) if shape => {
                let percent =
                    (whole == 1.0 && (1.0..=100.0).contains(&value)).then(|| format!("{number}%"));
                Err(Fault::new("is out of range").suggest(percent))
            }
            _ => Err(Fault::new("is not a share")),
        }
    }
}

/// The name of a listener or backend, as logs and metrics show it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Name(pub String);

impl Word for Name {
    const TEXT: bool = true;

    fn expected() -> String {
        "a name: letters, digits, `-`, `_` and `.`, first a letter or digit, at most 253".into()
    }

    fn parse(text: &str) -> Result<Self, Fault> {
        let rest = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
        let first = text.bytes().next().is_some_and(|byte| byte.is_ascii_alphanumeric());
        match first && text.len() <= 253 && text.bytes().all(rest) {
            true => Ok(Self(text.to_owned())),
            false => Err(Fault::new("is not a name")),
        }
    }
}

/// Any text but none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Text(pub String);

impl Word for Text {
    const TEXT: bool = true;

    fn expected() -> String {
        "text, not empty".into()
    }

    fn parse(text: &str) -> Result<Self, Fault> {
        match text {
            "" => Err(Fault::new("is empty")),
            text => Ok(Self(text.to_owned())),
        }
    }
}

/// Path and query of a probe's request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProbePath(pub String);

impl Word for ProbePath {
    const TEXT: bool = true;

    fn expected() -> String {
        "a path that begins with `/`, with or without a query, such as `/health?full=1`".into()
    }

    fn parse(text: &str) -> Result<Self, Fault> {
        let wrong = |why: &str| Fault::new(format!("is not a path: {why}"));
        if text.contains("://") {
            return Err(wrong("it is a URL"));
        }
        if !text.starts_with('/') {
            let clean = text.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'#');
            return Err(
                wrong("it does not begin with `/`").suggest(clean.then(|| format!("/{text}")))
            );
        }
        match text.bytes().find(|byte| !byte.is_ascii_graphic() || b"#\"<>\\^`{|}".contains(byte)) {
            Some(b'#') => Err(wrong("a fragment (`#…`) is never sent")),
            Some(_) => Err(wrong("a space or special character has to be percent-encoded")),
            None => Ok(Self(text.to_owned())),
        }
    }
}

/// The `Host` header of a probe's request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostHeader(pub String);

impl Word for HostHeader {
    const TEXT: bool = true;

    fn expected() -> String {
        "a host name or IP address, with or without a port".into()
    }

    fn parse(text: &str) -> Result<Self, Fault> {
        match super::url::parse_authority(text) {
            Ok(_) => Ok(Self(text.to_owned())),
            Err(why) => Err(Fault::new(format!("is not a host: {why}"))),
        }
    }
}

/// Status codes: one, or a range.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Statuses(pub u16, pub u16);

impl Word for Statuses {
    fn expected() -> String {
        "a status such as `200`, or a range such as `200-299`, from 200 to 599".into()
    }

    fn parse(text: &str) -> Result<Self, Fault> {
        let (first, last) = text.split_once('-').unwrap_or((text, text));
        let code = |text: &str| match text.len() == 3 && text.bytes().all(|b| b.is_ascii_digit()) {
            true => text.parse::<u16>().ok(),
            false => None,
        };
        match (code(first), code(last)) {
            (Some(first), Some(last)) if first > last => {
                Err(Fault::new("is a range that ends before it begins")
                    .suggest(format!("{last}-{first}")))
            }
            (Some(first), Some(last)) if first >= 200 && last <= 599 => Ok(Self(first, last)),
            (Some(_), Some(_)) => Err(Fault::new("is out of range")),
            _ => {
                let class =
                    text.strip_suffix("xx").filter(|class| ["2", "3", "4", "5"].contains(class));
                Err(Fault::new("is not a status")
                    .suggest(class.map(|class| format!("{class}00-{class}99"))))
            }
        }
    }
}

/// An IP address with a port to accept on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Address(pub SocketAddr);

impl Word for Address {
    fn expected() -> String {
        "an IP address and a port, such as `127.0.0.1:8080`, `0.0.0.0:8080` or `[::]:8080`".into()
    }

    fn parse(text: &str) -> Result<Self, Fault> {
        let wrong = |why: &str| Fault::new(format!("is not an address: {why}"));
        if let Ok(address) = text.parse() {
            return Ok(Self(address));
        }
        if text.is_empty() {
            return Err(wrong("it is empty"));
        }
        if let Ok(port) = text.parse::<u16>() {
            return Err(wrong("it is only a port").suggest(format!("127.0.0.1:{port}")));
        }
        if let Ok(address) = text.parse::<IpAddr>() {
            let unbracketed = text.rsplit_once(':').and_then(|(address, port)| {
                let port = port.parse::<u16>().ok()?;
                address.parse::<Ipv6Addr>().ok().map(|address| format!("[{address}]:{port}"))
            });
            return Err(wrong("the port is missing").suggest(
                unbracketed.unwrap_or_else(|| SocketAddr::new(address, 8080).to_string()),
            ));
        }
        if let Some((_, rest)) = text.split_once("://") {
            let address = rest.trim_end_matches('/').parse::<SocketAddr>().ok();
            return Err(wrong("it is a URL").suggest(address.map(|address| address.to_string())));
        }
        let Some((host, port)) = text.rsplit_once(':') else {
            return Err(wrong("the port is missing"));
        };
        let Ok(port) = port.parse::<u16>() else {
            return Err(wrong("the port is not a number from 0 to 65535"));
        };
        match host {
            "" | "*" => Err(wrong("the IP address is missing").suggest(format!("0.0.0.0:{port}"))),
            "localhost" => {
                Err(wrong("a name instead of an IP address").suggest(format!("127.0.0.1:{port}")))
            }
            _ if host.bytes().any(|byte| byte.is_ascii_alphabetic()) && !host.contains(':') => {
                Err(wrong("a name instead of an IP address"))
            }
            _ => Err(wrong("the IP address is malformed")),
        }
    }
}

/// An address, or empty text for none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OptionalAddress(pub Option<SocketAddr>);

impl Word for OptionalAddress {
    fn expected() -> String {
        format!(
            "an IP address and a port, such as `{}`, or `\"\"` for none",
            defaults::ADMIN_ADDRESS
        )
    }

    fn parse(text: &str) -> Result<Self, Fault> {
        match text {
            "" => Ok(Self(None)),
            text => Address::parse(text).map(|Address(address)| Self(Some(address))),
        }
    }
}

/// Where an endpoint is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Url(pub EndpointUrl);

impl Word for Url {
    const TEXT: bool = true;

    fn expected() -> String {
        "a URL such as `http://localhost:8081` or `http://10.0.0.1:8080/shop`".into()
    }

    fn parse(text: &str) -> Result<Self, Fault> {
        super::url::parse(text).map(Self)
    }
}
