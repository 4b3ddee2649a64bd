//! A map of the document while keys are added to it.

use crate::config::tree::{Entry, Kind, Node, Place, Scalar};
use std::fmt::Display;

/// A map of the document, whose own keys win over those that are added.
#[derive(Debug)]
pub(super) struct Draft {
    entries: Vec<Entry>,
    place: Place,
}

impl Draft {
    /// The map at `key` of `parent`, an empty one where there is none; `None` where something else stands.
    pub(super) fn of(parent: &Node, key: &str) -> Option<Self> {
        match &parent.kind {
            Kind::Map(entries) => below(entries, key, parent.place),
            Kind::Scalar(_) | Kind::List(_) | Kind::Refused => None,
        }
    }

    /// The same for a key of this map.
    pub(super) fn within(&self, key: &str) -> Option<Self> {
        below(&self.entries, key, self.place)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Whether `key` has a value.
    pub(super) fn has(&self, key: &str) -> bool {
        self.value(key).is_some()
    }

    /// The text of `key`, when its value is a word.
    pub(super) fn text(&self, key: &str) -> Option<&str> {
        match &self.value(key)?.kind {
            Kind::Scalar(scalar) => Some(&scalar.text),
            Kind::List(_) | Kind::Map(_) | Kind::Refused => None,
        }
    }

    /// The items of the list at `key`.
    pub(super) fn items(&self, key: &str) -> Option<&[Node]> {
        match &self.value(key)?.kind {
            Kind::List(items) => Some(items),
            Kind::Scalar(_) | Kind::Map(_) | Kind::Refused => None,
        }
    }

    fn value(&self, key: &str) -> Option<&Node> {
        let entry = self.entries.iter().find(|entry| entry.key == key)?;
        (!is_null(&entry.value)).then_some(&entry.value)
    }

    /// Sets `key`.
    pub(super) fn put(&mut self, key: &str, value: Node) {
        put(&mut self.entries, key, value);
    }

    /// A word as if it had been typed as `typed`, with variables in it.
    pub(super) fn word(&self, text: impl Display, typed: &str) -> Node {
        let scalar = Scalar { text: text.to_string(), plain: false, typed: Some(typed.to_owned()) };
        Node { place: self.place, kind: Kind::Scalar(scalar) }
    }

    pub(super) fn list(&self, items: Vec<Node>) -> Node {
        Node { place: self.place, kind: Kind::List(items) }
    }

    /// A map with this name and this value.
    pub(super) fn named(&self, name: &str, value: &str, typed: &str) -> Node {
        let mut map = Self { entries: Vec::new(), place: self.place };
        map.put("name", map.word(name, typed));
        map.put("value", map.word(value, typed));
        map.node()
    }

    pub(super) fn node(self) -> Node {
        Node { place: self.place, kind: Kind::Map(self.entries) }
    }
}

/// `root` with another value at `key`.
pub(super) fn with(root: &Node, key: &str, value: Node) -> Node {
    let mut root = root.clone();
    if let Kind::Map(entries) = &mut root.kind {
        put(entries, key, value);
    }
    root
}

fn put(entries: &mut Vec<Entry>, key: &str, value: Node) {
    match entries.iter_mut().find(|entry| entry.key == key) {
        Some(entry) => entry.value = value,
        None => entries.push(Entry { key: key.to_owned(), key_place: value.place, value }),
    }
}

fn below(entries: &[Entry], key: &str, place: Place) -> Option<Draft> {
    match entries.iter().find(|entry| entry.key == key).map(|entry| &entry.value) {
        None => Some(Draft { entries: Vec::new(), place }),
        Some(node) if is_null(node) => Some(Draft { entries: Vec::new(), place: node.place }),
        Some(Node { place, kind: Kind::Map(entries) }) => {
            Some(Draft { entries: entries.clone(), place: *place })
        }
        Some(_) => None,
    }
}

fn is_null(node: &Node) -> bool {
    matches!(&node.kind, Kind::Scalar(scalar) if scalar.is_null())
}
