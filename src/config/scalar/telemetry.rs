//! The words of traces and decisions: collectors, and secrets, which no message shows.

use super::{Shape, Word};
use crate::config::problem::Fault;
use crate::model::EndpointUrl;
use crate::model::defaults::MIN_DEBUG_TOKEN;
use http::HeaderValue;
use std::fmt;
use std::sync::Arc;

/// Where a collector is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Collector {
    /// Everything before the path.
    pub origin: EndpointUrl,
    /// The path as it was typed, which may be `/` or empty: collectors take it as it is.
    pub path: String,
}

/// The URL of a collector, or empty text for none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OptionalCollector(pub Option<Collector>);

impl Word for OptionalCollector {
    fn expected() -> String {
        "a URL such as `http://otel-collector:4317`, or `\"\"` for no traces".into()
    }

    fn parse(text: &str) -> Result<Self, Fault> {
        if text.is_empty() {
            return Ok(Self(None));
        }
        let url = crate::config::url::parse(text)?;
        let path =
            text.split_once("://").and_then(|(_, rest)| rest.find('/').map(|at| &rest[at..]));
        let path = path.unwrap_or_default().to_owned();
        Ok(Self(Some(Collector { origin: EndpointUrl { path: Arc::from(""), ..url }, path })))
    }
}

impl fmt::Display for Collector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.origin, self.path)
    }
}

/// The value of a header field that is a secret. ASCII, since gRPC has no other (its `ASCII-Value`).
#[derive(Clone, PartialEq, Eq)]
pub struct SecretHeaderText(pub HeaderValue);

impl Word for SecretHeaderText {
    const SHAPE: Shape = Shape::Secret;

    fn expected() -> String {
        "visible ASCII, with spaces between".into()
    }

    fn parse(text: &str) -> Result<Self, Fault> {
        let clean = text.trim() == text && text.bytes().all(|byte| (b' '..=b'~').contains(&byte));
        let value = HeaderValue::from_str(text).ok().filter(|_| clean);
        let fault = || Fault::new("is not the value of a header field");
        value.map(Self).ok_or_else(fault)
    }
}

impl fmt::Debug for SecretHeaderText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretHeaderText")
    }
}

/// A secret that a request can show in a header field, and nobody can guess.
#[derive(Clone, PartialEq, Eq)]
pub struct Token(pub String);

impl Word for Token {
    const SHAPE: Shape = Shape::Secret;

    fn expected() -> String {
        format!("visible ASCII without spaces, at least {MIN_DEBUG_TOKEN} characters")
    }

    fn parse(text: &str) -> Result<Self, Fault> {
        if !text.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(Fault::new("has characters that a header field cannot be sure to keep"));
        }
        match text.len() < MIN_DEBUG_TOKEN {
            true => Err(Fault::new("is short enough to be guessed")),
            false => Ok(Self(text.to_owned())),
        }
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token")
    }
}
