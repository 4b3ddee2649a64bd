//! A model without its secrets.

use crate::model::words::{HIDDEN, is_secret};
use crate::model::{HeaderChanges, Model, Regex, SecretText, ValueMatch};
use http::HeaderValue;
use std::sync::Arc;

/// `model` with `…` for every secret. What a variable was expanded to elsewhere is not known any more.
pub(super) fn without(model: &Model) -> Model {
    let mut model = model.clone();
    for field in model.traces.iter_mut().flat_map(|traces| &mut traces.exporter.headers) {
        field.value = hidden();
    }
    if let Some(token) = &mut model.decisions.debug_token {
        *token = SecretText(Arc::from(HIDDEN));
    }
    for route in &mut model.routes {
        for one in &mut route.matches {
            for header in one.headers.iter_mut().filter(|one| is_secret(one.name.as_str())) {
                hide(&mut header.value);
            }
            for parameter in one.query.iter_mut().filter(|one| is_secret(&one.name)) {
                hide(&mut parameter.value);
            }
        }
        let filters = &mut route.filters;
        for changes in [&mut filters.request_headers, &mut filters.response_headers] {
            let HeaderChanges { remove: _, set, add } = changes;
            // Any of them may be a secret between us and an endpoint, whatever its name.
            for (_, value) in set.iter_mut().chain(add) {
                *value = hidden();
            }
        }
    }
    model
}

fn hidden() -> HeaderValue {
    // A header field may have any characters but those of control.
    HeaderValue::from_str(HIDDEN).unwrap_or(HeaderValue::from_static("..."))
}

fn hide(value: &mut ValueMatch) {
    let text = || ValueMatch::Exact(Arc::from(HIDDEN));
    *value = match value {
        ValueMatch::Exact(_) => text(),
        ValueMatch::Regex(_) => Regex::new(HIDDEN).map_or_else(|_| text(), ValueMatch::Regex),
        ValueMatch::Present => ValueMatch::Present,
        ValueMatch::Absent => ValueMatch::Absent,
    };
}
