//! The values that are written as one word: durations, quantities, shares, numbers, names, addresses.
//!
//! A value says what is wrong with itself without repeating what was typed, which may hold a secret.

mod address;
mod duration;
mod http;
mod quantity;
mod service;
mod spell;
mod telemetry;
mod tls;

pub use address::{Address, OptionalAddress};
pub use duration::Duration;
pub use http::{
    AnyText, CookieName, CookiePath, HeaderFieldName, HeaderText, Host, LoadBound, MatchPath,
    MethodName, Network, Pattern, RedirectHost, RedirectStatus,
};
pub use quantity::Quantity;
pub use service::{KubernetesName, PortOfService};
pub use telemetry::{Collector, OptionalCollector, SecretHeaderText, Token};
pub use tls::{FilePath, ServerName};

use super::problem::Fault;
use crate::model::{EndpointUrl, Ratio};
use serde::de::{Deserialize, Deserializer, Error, Visitor};
use std::fmt;
use std::marker::PhantomData;

/// A value written as one word.
pub(super) trait Word: Sized {
    /// What a value may look like, for messages.
    fn expected() -> String;

    /// Reads a value; the fault's message follows the text that was found.
    fn parse(text: &str) -> Result<Self, Fault>;

    /// How YAML has to understand it.
    const SHAPE: Shape = Shape::Any;
}

/// How YAML has to understand a word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shape {
    /// As text or as a number: `5s`, `64Ki`, `512`.
    Any,
    /// As a number, so without quotes.
    Number,
    /// As text, so that a bare number or boolean was hardly meant.
    Text,
    /// As text that no message shows.
    Secret,
}

/// A word that may be a secret: no message shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hidden<W>(pub W);

impl<W: Word> Word for Hidden<W> {
    const SHAPE: Shape = Shape::Secret;

    fn expected() -> String {
        W::expected()
    }

    fn parse(text: &str) -> Result<Self, Fault> {
        W::parse(text).map(Self)
    }
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
    match T::SHAPE {
        Shape::Any => deserializer.deserialize_str(AsWord(PhantomData)),
        Shape::Number => deserializer.deserialize_u64(AsWord(PhantomData)),
        Shape::Text => deserializer.deserialize_string(AsWord(PhantomData)),
        Shape::Secret => deserializer.deserialize_byte_buf(AsWord(PhantomData)),
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
deserialize_as_word!(AnyText);
deserialize_as_word!(CookieName);
deserialize_as_word!(CookiePath);
deserialize_as_word!(HeaderFieldName);
deserialize_as_word!(HeaderText);
deserialize_as_word!(Host);
deserialize_as_word!(LoadBound);
deserialize_as_word!(MatchPath);
deserialize_as_word!(MethodName);
deserialize_as_word!(Network);
deserialize_as_word!(Pattern);
deserialize_as_word!(RedirectHost);
deserialize_as_word!(RedirectStatus);
deserialize_as_word!(OptionalCollector);
deserialize_as_word!(SecretHeaderText);
deserialize_as_word!(Hidden<W>, W: Word);
deserialize_as_word!(Token);
deserialize_as_word!(FilePath);
deserialize_as_word!(ServerName);
deserialize_as_word!(KubernetesName);
deserialize_as_word!(PortOfService);

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
    const SHAPE: Shape = Shape::Number;

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
    const SHAPE: Shape = Shape::Text;

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
    const SHAPE: Shape = Shape::Text;

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
    fn expected() -> String {
        "a host name or IP address, with or without a port".into()
    }

    fn parse(text: &str) -> Result<Self, Fault> {
        if text.contains("://") {
            return Err(Fault::new("is not a host: it is a URL"));
        }
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
                let turned = (last >= 200 && first <= 599).then(|| format!("{last}-{first}"));
                Err(Fault::new("is a range that ends before it begins").suggest(turned))
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

/// Where an endpoint is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Url(pub EndpointUrl);

impl Word for Url {
    fn expected() -> String {
        "a URL such as `http://localhost:8081` or `https://10.0.0.1:8443/shop`".into()
    }

    fn parse(text: &str) -> Result<Self, Fault> {
        super::url::parse(text).map(Self)
    }
}
