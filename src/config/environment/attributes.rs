//! What is sent with every export: header fields, and what is said of this process.

use super::{Draft, Environment};
use crate::config::scalar::{SecretHeaderText, Word};
use crate::config::tree::{At, Kind};
use crate::config::validate::is_of_the_export;
use http::HeaderName;
use percent_encoding::percent_decode_str;
use std::collections::HashSet;

/// What a pod is told of itself by the downward API of Kubernetes, under the names of our chart.
const POD: &[(&str, &[&str])] = &[
    ("POD_NAME", &["k8s.pod.name"]),
    ("POD_NAMESPACE", &["k8s.namespace.name"]),
    ("POD_UID", &["k8s.pod.uid", "service.instance.id"]),
    ("NODE_NAME", &["k8s.node.name"]),
    ("CONTAINER_NAME", &["k8s.container.name"]),
];

const ATTRIBUTES: &str = "OTEL_RESOURCE_ATTRIBUTES";
const SERVICE: &str = "OTEL_SERVICE_NAME";

impl Environment<'_> {
    pub(super) fn headers(&self, traces: &mut Draft, name: &str, text: &str) {
        let allowed = "fields such as `authorization=Bearer%20…,x-team=shop`";
        let Some(pairs) = pairs(text) else {
            return self.ignore(name, "is not a list of header fields", allowed);
        };
        let mut seen = HashSet::new();
        let mut good = |(field, value): &(String, String)| {
            HeaderName::try_from(field)
                .is_ok_and(|field| !is_of_the_export(&field) && seen.insert(field))
                && SecretHeaderText::parse(value).is_ok()
        };
        if !pairs.iter().all(&mut good) {
            return self.ignore(
                name,
                "has a header field that cannot be sent, or one twice",
                allowed,
            );
        }
        let typed = format!("${{{name}}}");
        let items = pairs.iter().map(|(field, value)| traces.named(field, value, &typed)).collect();
        traces.put("headers", traces.list(items));
    }

    /// `OTEL_RESOURCE_ATTRIBUTES` over what a pod is told of itself, the file over both.
    pub(super) fn attributes(&self, traces: &mut Draft) {
        let mut found: Vec<(String, String, &str)> = Vec::new();
        if let Some(text) = self.get(ATTRIBUTES) {
            match pairs(&text) {
                Some(pairs) => {
                    found.extend(pairs.into_iter().map(|(name, value)| (name, value, ATTRIBUTES)))
                }
                None => self.ignore(
                    ATTRIBUTES,
                    "is not a list of attributes",
                    "attributes such as `team=shop,tier=edge`",
                ),
            }
        }
        // Of several with a name, the last counts, as in the other implementations.
        found.reverse();
        for (variable, names) in POD {
            if let Some(value) = self.get(variable) {
                let said = names.iter().map(|name| ((*name).to_owned(), value.clone(), *variable));
                found.extend(said);
            }
        }
        let service = self.get(SERVICE).map(|name| (name, SERVICE));
        let service = service.or_else(|| {
            let (_, value, of) = found.iter().find(|(name, ..)| name == "service.name")?;
            (!value.is_empty()).then(|| (value.clone(), *of))
        });
        if let Some((name, of)) = service.filter(|_| !traces.has("serviceName")) {
            traces.put("serviceName", traces.word(name, &format!("${{{of}}}")));
        }
        let typed = traces.items("resourceAttributes");
        if typed.is_none() && traces.has("resourceAttributes") {
            return;
        }
        let mut items = typed.unwrap_or_default().to_vec();
        let mut names: HashSet<String> = items
            .iter()
            .filter_map(|item| match &At::root(item).key("name").node.kind {
                Kind::Scalar(scalar) => Some(scalar.text.clone()),
                Kind::List(_) | Kind::Map(_) | Kind::Refused => None,
            })
            .collect();
        names.insert("service.name".to_owned());
        for (name, value, of) in found {
            if names.insert(name.clone()) {
                items.push(traces.named(&name, &value, &format!("${{{of}}}")));
            }
        }
        if !items.is_empty() {
            traces.put("resourceAttributes", traces.list(items));
        }
    }
}

/// The pairs of `a=1,b=2`, values percent-encoded; `None` when one is malformed (W3C Baggage, without its metadata).
fn pairs(text: &str) -> Option<Vec<(String, String)>> {
    let decoded = |text: &str| {
        percent_decode_str(text.trim()).decode_utf8().ok().map(|text| text.into_owned())
    };
    let pairs = text.split(',').map(str::trim).filter(|pair| !pair.is_empty()).map(|pair| {
        let (name, value) = pair.split_once('=')?;
        Some((decoded(name).filter(|name| !name.is_empty())?, decoded(value)?))
    });
    pairs.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pairs_are_decoded_or_refused_as_a_whole() {
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        assert_eq!(
            pairs("a=1, b = x%20y ,c=,d=e=f"),
            Some(vec![pair("a", "1"), pair("b", "x y"), pair("c", ""), pair("d", "e=f")])
        );
        assert_eq!(pairs("a=%C3%A4,"), Some(vec![pair("a", "ä")]));
        for wrong in ["a", "a=1,b", "=1", "a=%FF"] {
            assert_eq!(pairs(wrong), None, "{wrong}");
        }
    }
}
