//! References by name: from a route to listeners and backends.

use super::{Unique, Validator};
use crate::config::decode::Field;
use crate::config::file::List;
use crate::config::problem::{Fault, nearest};
use crate::config::scalar::Name;
use crate::config::tree::At;
use std::collections::HashSet;
use std::sync::Arc;

/// As many names are listed in a message.
const LISTED: usize = 10;

/// The names that may be referred to.
pub(super) struct Names<'f> {
    /// Of what, in a message.
    kind: &'static str,
    names: Vec<&'f str>,
    known: HashSet<&'f str>,
    /// Whether no other names were meant by what is wrong.
    complete: bool,
}

impl<'f> Names<'f> {
    /// Those of the items of a list, of each of which `name` is the name.
    pub(super) fn new<T>(
        kind: &'static str,
        list: &'f List<T>,
        name: impl Fn(&'f T) -> &'f Field<Name>,
    ) -> Self {
        let items = list.get().map_or(&[][..], |items| items);
        let names: Vec<_> =
            items.iter().filter_map(|item| Some(&*name(item.get()?).get()?.0)).collect();
        let complete = list.get().is_some() && names.len() == items.len();
        let known = names.iter().copied().collect();
        Self { kind, names, known, complete }
    }
}

impl Validator<'_> {
    /// The name at `at` when it is among `names` and was not `seen` before.
    pub(super) fn reference<'t>(
        &self,
        name: &Name,
        names: &Names<'_>,
        seen: &mut Unique<'t, String>,
        at: &At<'t>,
    ) -> Arc<str> {
        self.unique(seen, name.0.clone(), at);
        if names.complete && !names.known.contains(&*name.0) {
            let kind = names.kind;
            let mut allowed = names.names[..names.names.len().min(LISTED)].join(", ");
            if names.names.len() > LISTED {
                allowed.push_str(&format!(" and {} more", names.names.len() - LISTED));
            }
            // What is like a variable's value would tell it.
            let suggestion = if at.is_expanded() { None } else { nearest(&name.0, &names.names) };
            let fault = Fault::new(format!("there is no {kind} `{}`", at.shown()));
            self.problems.value(at, fault.allow(allowed).suggest(suggestion));
        }
        Arc::from(&*name.0)
    }
}
