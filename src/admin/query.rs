//! What stands behind the `?` of an address.

use super::paths::{Parameter, Place};
use super::refusal::Refusal;
use axum::http::StatusCode;
use percent_encoding::percent_decode_str;

/// The parameters of a request, of which each is known, and each that may stand once does.
#[derive(Clone, Debug, Default)]
pub(super) struct Query(Vec<(&'static str, String)>);

impl Query {
    /// Reads `query`, in which `known` parameters may stand.
    pub(super) fn read(query: Option<&str>, known: &'static [Parameter]) -> Result<Self, Refusal> {
        let known = || known.iter().filter(|parameter| parameter.place == Place::Query);
        let wrong = |error: String| Refusal::new(StatusCode::BAD_REQUEST, error);
        let mut read: Vec<(&str, String)> = Vec::new();
        for part in query.unwrap_or_default().split('&').filter(|part| !part.is_empty()) {
            let (name, value) = part.split_once('=').unwrap_or((part, ""));
            let (name, value) = (decode(name), decode(value));
            let Some(parameter) = known().find(|parameter| parameter.name == name) else {
                let names = known().map(|parameter| parameter.name);
                return Err(wrong(format!("there is no parameter {name:?} here")).allow(names));
            };
            let name = parameter.name;
            if !parameter.repeats && read.iter().any(|(other, _)| *other == name) {
                return Err(wrong(format!("the parameter {name} stands there twice")));
            }
            if !parameter.values.is_empty() && !parameter.values.contains(&&*value) {
                let error = format!("{value:?} is no value of the parameter {name}");
                return Err(wrong(error).allow(parameter.values.iter().copied()));
            }
            read.push((name, value));
        }
        let given = |parameter: &&Parameter| read.iter().any(|(name, _)| *name == parameter.name);
        match known().find(|parameter| parameter.required && !given(parameter)) {
            None => Ok(Self(read)),
            Some(Parameter { name, example, .. }) => {
                Err(wrong(format!("the parameter {name} is missing; an example: {name}={example}")))
            }
        }
    }

    /// The value of a parameter that may stand once.
    pub(super) fn one(&self, name: &str) -> Option<&str> {
        self.all(name).next()
    }

    /// The values of a parameter, in their order.
    pub(super) fn all(&self, name: &str) -> impl Iterator<Item = &str> {
        self.0.iter().filter(move |(other, _)| *other == name).map(|(_, value)| &**value)
    }
}

/// As forms are encoded: a plus sign is a space.
fn decode(text: &str) -> String {
    percent_decode_str(&text.replace('+', " ")).decode_utf8_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    const KNOWN: &[Parameter] = &[
        Parameter { required: true, example: "http://a/", ..Parameter::query("url", "") },
        Parameter { repeats: true, ..Parameter::query("header", "") },
        Parameter { values: &["yes", "no"], ..Parameter::query("sure", "") },
        Parameter { place: Place::Path, ..Parameter::query("name", "") },
    ];

    #[test]
    fn values_are_decoded_as_browsers_and_curl_encode_them() {
        let query = "url=http%3A%2F%2Fa%2F%3Fx%3D1%26y&header=x-a:+b%2Bc&&header=x-d:%20e&sure=no";
        let query = Query::read(Some(query), KNOWN).unwrap();
        assert_eq!(query.one("url"), Some("http://a/?x=1&y"));
        assert_eq!(query.all("header").collect::<Vec<_>>(), ["x-a: b+c", "x-d: e"]);
        assert_eq!((query.one("sure"), query.one("other")), (Some("no"), None));
    }

    #[test]
    fn what_is_unknown_missing_or_doubled_is_refused_with_what_would_be_right() {
        let refused = |query| Query::read(query, KNOWN).unwrap_err();
        for (query, said, allowed) in [
            (None, "the parameter url is missing; an example: url=http://a/", &[][..]),
            (Some("url=a&url=b"), "url stands there twice", &[]),
            (Some("url=a&ulr=b"), "no parameter \"ulr\" here", &["url", "header", "sure"]),
            (Some("url=a&sure=maybe"), "\"maybe\" is no value", &["yes", "no"]),
            (Some("url=a&name=b"), "no parameter \"name\"", &["url", "header", "sure"]),
        ] {
            let refusal = refused(query);
            assert_eq!(refusal.status, StatusCode::BAD_REQUEST);
            assert!(refusal.error.contains(said), "{query:?}: {}", refusal.error);
            assert_eq!(refusal.allowed, allowed, "{query:?}");
        }
    }
}
