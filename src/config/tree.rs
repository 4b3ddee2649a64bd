//! The document as a tree whose every node knows its place.

mod confirm;
mod read;

pub(super) use confirm::confirm;
pub(super) use read::read;

use super::problem::shown;

/// A position in the file, counted from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) line: usize,
    pub(super) column: usize,
}

impl Place {
    const START: Self = Self { line: 1, column: 1 };
}

/// A value of the document.
#[derive(Clone, Debug)]
pub(super) struct Node {
    pub(super) place: Place,
    pub(super) kind: Kind,
}

/// What a value is.
#[derive(Clone, Debug)]
pub(super) enum Kind {
    Scalar(Scalar),
    List(Vec<Node>),
    Map(Vec<Entry>),
    /// Something was wrong with it, which has been said.
    Refused,
}

/// A value without parts.
#[derive(Clone, Debug)]
pub(super) struct Scalar {
    pub(super) text: String,
    /// Not quoted, so that YAML may take it for a number, a boolean or nothing.
    pub(super) plain: bool,
    /// What was typed, when variables in it were expanded.
    pub(super) typed: Option<String>,
}

impl Scalar {
    /// Whether it is YAML's way to say "nothing".
    pub(super) fn is_null(&self) -> bool {
        self.plain
            && self.typed.is_none()
            && matches!(&*self.text, "" | "~" | "null" | "Null" | "NULL")
    }

    /// What messages show of it: what was typed, never what a variable holds, which may be a secret.
    pub(super) fn shown(&self) -> String {
        match self.as_typed() {
            "" => "\"\"".into(),
            typed => shown(typed),
        }
    }

    /// The text before variables were expanded.
    fn as_typed(&self) -> &str {
        self.typed.as_ref().unwrap_or(&self.text)
    }
}

/// A key with its value.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub(super) key: String,
    pub(super) key_place: Place,
    pub(super) value: Node,
}

impl Node {
    /// What it is, for messages; `None` when something was said about it already.
    pub(super) fn described(&self) -> Option<String> {
        Some(match &self.kind {
            Kind::Refused => return None,
            Kind::List(_) => "a list".into(),
            Kind::Map(_) => "a map".into(),
            Kind::Scalar(scalar) if scalar.is_null() => "nothing".into(),
            Kind::Scalar(scalar) => {
                let kind = if scalar.plain { plain_type(&scalar.text) } else { None };
                let quote = if scalar.plain || scalar.text.is_empty() { "" } else { "\"" };
                format!("the {} `{quote}{}{quote}`", kind.unwrap_or("text"), scalar.shown())
            }
        })
    }

    /// The nodes and bytes in it, and the number of its levels.
    fn size(&self) -> (usize, usize) {
        let (sum, height) = match &self.kind {
            Kind::Scalar(scalar) => (scalar.text.len(), 0),
            Kind::Refused => (0, 0),
            Kind::List(items) => fold(items.iter().map(Node::size)),
            Kind::Map(entries) => fold(entries.iter().map(|entry| {
                let (size, height) = entry.value.size();
                (size + entry.key.len(), height)
            })),
        };
        (sum + 1, height + 1)
    }
}

fn fold(sizes: impl Iterator<Item = (usize, usize)>) -> (usize, usize) {
    sizes.fold((0, 0), |(sum, tallest), (size, height)| (sum + size, tallest.max(height)))
}

/// A node with the way that leads to it.
#[derive(Clone, Debug)]
pub(super) struct At<'t> {
    pub(super) node: &'t Node,
    /// Where its key stands; the node's own place in a list.
    pub(super) key_place: Place,
    pub(super) path: String,
}

impl<'t> At<'t> {
    pub(super) fn root(node: &'t Node) -> Self {
        Self { node, key_place: node.place, path: String::new() }
    }

    /// The value of `key`; the map itself when it has no such key.
    pub(super) fn key(&self, key: &str) -> Self {
        match &self.node.kind {
            Kind::Map(entries) => match entries.iter().find(|entry| entry.key == key) {
                Some(entry) => self.entry(entry),
                None => self.clone(),
            },
            _ => self.clone(),
        }
    }

    pub(super) fn entry(&self, entry: &'t Entry) -> Self {
        Self {
            node: &entry.value,
            key_place: entry.key_place,
            path: join_key(&self.path, &entry.key),
        }
    }

    /// The item at `index`; the list itself when it has no such item.
    pub(super) fn index(&self, index: usize) -> Self {
        match &self.node.kind {
            Kind::List(items) => match items.get(index) {
                Some(node) => {
                    Self { node, key_place: node.place, path: format!("{}[{index}]", self.path) }
                }
                None => self.clone(),
            },
            _ => self.clone(),
        }
    }

    /// The part at `position`: an item of a list or the value of an entry.
    pub(super) fn child(&self, position: usize) -> Self {
        match &self.node.kind {
            Kind::Map(entries) => entries.get(position).map(|entry| self.entry(entry)),
            _ => None,
        }
        .unwrap_or_else(|| self.index(position))
    }

    /// Whether it is a map with this key.
    pub(super) fn has(&self, key: &str) -> bool {
        matches!(&self.node.kind, Kind::Map(entries) if entries.iter().any(|entry| entry.key == key))
    }

    /// Whether it is a map with a value for this key.
    pub(super) fn has_value(&self, key: &str) -> bool {
        let is_null = |node: &Node| matches!(&node.kind, Kind::Scalar(scalar) if scalar.is_null());
        self.has(key) && !is_null(self.key(key).node)
    }

    /// Whether it is a map with a key that is none of `known`, nor the name of something.
    pub(super) fn has_other(&self, known: &[&str]) -> bool {
        let is_known = |entry: &Entry| entry.key == "name" || known.contains(&&*entry.key);
        matches!(&self.node.kind, Kind::Map(entries) if !entries.iter().all(is_known))
    }

    /// What messages show of the value.
    pub(super) fn shown(&self) -> String {
        match &self.node.kind {
            Kind::Scalar(scalar) => scalar.shown(),
            Kind::List(_) | Kind::Map(_) | Kind::Refused => "…".into(),
        }
    }

    /// Whether variables were expanded in the value.
    pub(super) fn is_expanded(&self) -> bool {
        matches!(&self.node.kind, Kind::Scalar(scalar) if scalar.typed.is_some())
    }

    /// Where the value stands; its key, when there is nothing to be seen.
    pub(super) fn place(&self) -> Place {
        match &self.node.kind {
            Kind::Scalar(scalar) if scalar.is_null() => self.key_place,
            _ => self.node.place,
        }
    }
}

fn join_key(path: &str, key: &str) -> String {
    let word = key.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_');
    match (word && !key.is_empty(), path.is_empty()) {
        (true, true) => shown(key),
        (true, false) => format!("{path}.{}", shown(key)),
        (false, _) => format!("{path}[\"{}\"]", shown(key)),
    }
}

/// What a bare word is to YAML 1.1 or 1.2, if not text. Both count: Helm and kubectl read the older one.
pub(super) fn plain_type(text: &str) -> Option<&'static str> {
    const BOOLEANS: &[&str] = &["true", "false", "yes", "no", "on", "off", "y", "n"];
    let lower = text.to_ascii_lowercase();
    if BOOLEANS.contains(&&*lower) {
        return Some("boolean");
    }
    let digits = lower.trim_start_matches(['-', '+']).replace('_', "");
    let based = |prefix: &str, base: u32| {
        digits.strip_prefix(prefix).is_some_and(|rest| rest.chars().all(|c| c.is_digit(base)))
    };
    // 12:30 is 750 for YAML 1.1; only its last part may have a fraction.
    let sexagesimal = digits.split_once(':').is_some_and(|(first, rest)| {
        let small = |part: &str| part.parse::<u8>().is_ok_and(|part| part < 60);
        let (rest, fraction) = rest.split_once('.').unwrap_or((rest, ""));
        first.bytes().chain(fraction.bytes()).all(|byte| byte.is_ascii_digit())
            && !first.is_empty()
            && rest.split(':').all(small)
    });
    let decimal = digits.bytes().next().is_some_and(|byte| byte.is_ascii_digit() || byte == b'.')
        && digits.parse::<f64>().is_ok();
    let special = matches!(&*digits, ".inf" | ".nan");
    let number =
        decimal || special || sexagesimal || based("0x", 16) || based("0o", 8) || based("0b", 2);
    number.then_some("number")
}
