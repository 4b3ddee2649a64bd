//! What a request must be like.

use super::{Unique, Validator};
use crate::config::decode::Field;
use crate::config::file::{self, List};
use crate::config::problem::Fault;
use crate::config::scalar::{Hidden, MatchPath, Pattern};
use crate::config::tree::At;
use crate::model;
use crate::model::path::normalise;
use std::sync::Arc;

impl Validator<'_> {
    /// The matches of a route; every request without any.
    pub(super) fn matches(&self, typed: &List<file::Match>, route: &At<'_>) -> Vec<model::Match> {
        if typed.is_absent() {
            return vec![model::Match::default()];
        }
        let items = self.items(typed, route, "matches").into_iter();
        items.filter_map(|(typed, at)| self.one_match(typed, &at)).collect()
    }

    fn one_match<'t>(&self, typed: &file::Match, at: &At<'t>) -> Option<model::Match> {
        let path = match &typed.path {
            Field::Absent => Some(model::Match::default().path),
            Field::Invalid => None,
            Field::Present(path) => self.path_match(path, &at.key("path")),
        };
        let mut seen = Unique::new("header");
        let header = |(typed, at): (&file::HeaderMatch, At<'t>)| {
            let expected = || "the name of a header field".into();
            let name = self.required(&typed.name, &at, "name", expected);
            if let Some(name) = name {
                self.unique(&mut seen, name.0.clone(), &at.key("name"));
            }
            let exact = typed.exact.get().map(|text| lossless(text.0.0.as_bytes()));
            let keys = [&typed.exact.is_absent(), &typed.regex.is_absent()];
            let value = self.value_match(exact, &typed.regex, &typed.present, keys, &at);
            Some(model::HeaderMatch { name: name?.0.clone(), value: value? })
        };
        let headers = self.any(&typed.headers, at, "headers").into_iter().filter_map(header);
        let headers = headers.collect();
        let mut seen = Unique::new("parameter");
        let query = |(typed, at): (&file::QueryMatch, At<'t>)| {
            let expected = || "the name of a parameter of the query".into();
            let name = self.required(&typed.name, &at, "name", expected);
            if let Some(name) = name {
                self.unique(&mut seen, name.0.clone(), &at.key("name"));
            }
            let exact = typed.exact.get().map(|text| Arc::from(&*text.0.0));
            let keys = [&typed.exact.is_absent(), &typed.regex.is_absent()];
            let value = self.value_match(exact, &typed.regex, &typed.present, keys, &at);
            Some(model::QueryMatch { name: Arc::from(&*name?.0), value: value? })
        };
        let query = self.any(&typed.query, at, "query").into_iter().filter_map(query).collect();
        let method = typed.method.get().map(|method| method.0.clone());
        Some(model::Match { path: path?, method, headers, query })
    }

    fn path_match(&self, typed: &file::PathMatch, at: &At<'_>) -> Option<model::PathMatch> {
        let keys = [
            ("exact", typed.exact.is_absent()),
            ("prefix", typed.prefix.is_absent()),
            ("regex", typed.regex.is_absent()),
        ];
        self.exactly_one(at, &keys)?;
        if let Some(path) = typed.exact.get() {
            return Some(model::PathMatch::Exact(compared(&path.0)));
        }
        if let Some(path) = typed.prefix.get() {
            let prefix = self.prefix(path, &at.key("prefix"));
            return Some(model::PathMatch::Prefix(compared(&prefix)));
        }
        typed.regex.get().map(|pattern| model::PathMatch::Regex(pattern.0.clone()))
    }

    /// A prefix without its trailing slash, which changes nothing: prefixes end where segments do.
    pub(super) fn prefix(&self, typed: &MatchPath, at: &At<'_>) -> Arc<str> {
        let path = typed.0.strip_suffix('/').unwrap_or(&typed.0);
        if path.ends_with('/') {
            let clean = typed.0.trim_end_matches('/');
            let clean = if clean.is_empty() { "/" } else { clean };
            let fault = Fault::new(format!("`{}` ends in more than one `/`", at.shown()));
            let suggestion = (!at.is_expanded()).then(|| clean.to_owned());
            let allowed = "a prefix that ends with a segment, such as `/shop`";
            self.problems.value(at, fault.allow(allowed).suggest(suggestion));
        }
        Arc::from(if path.is_empty() { "/" } else { path })
    }

    /// `absent` says of `exact` and `regex` whether they are.
    fn value_match(
        &self,
        exact: Option<Arc<str>>,
        regex: &Field<Hidden<Pattern>>,
        present: &Field<bool>,
        absent: [&bool; 2],
        at: &At<'_>,
    ) -> Option<model::ValueMatch> {
        let keys = [("exact", *absent[0]), ("regex", *absent[1]), ("present", present.is_absent())];
        self.exactly_one(at, &keys)?;
        if let Some(exact) = exact {
            return Some(model::ValueMatch::Exact(exact));
        }
        if let Some(regex) = regex.get() {
            return Some(model::ValueMatch::Regex(regex.0.0.clone()));
        }
        present.get().map(|present| match present {
            true => model::ValueMatch::Present,
            false => model::ValueMatch::Absent,
        })
    }
}

/// A path in the normal form as requests' paths are compared with it.
fn compared(path: &str) -> Arc<str> {
    normalise(path).map_or_else(|_| Arc::from(path), |path| Arc::from(path.compared()))
}

/// The text of a value that was made from text.
fn lossless(value: &[u8]) -> Arc<str> {
    Arc::from(String::from_utf8_lossy(value))
}
