//! A document to be written: maps in the order in which they are read, text in quotes wherever any YAML could take it for
//! something else.

use crate::config::tree::plain_type;
use std::fmt::{Display, Write};

/// A value of the document.
#[derive(Clone, Debug)]
pub(super) enum Yaml {
    /// A word that no reader takes for another: a number, a boolean, a duration.
    Word(String),
    /// Any text.
    Text(String),
    List(Vec<Yaml>),
    Map(Vec<(&'static str, Yaml)>),
}

impl Yaml {
    pub(super) fn word(value: impl Display) -> Self {
        Self::Word(value.to_string())
    }

    pub(super) fn text(value: impl Display) -> Self {
        Self::Text(value.to_string())
    }

    pub(super) fn list<'a, T>(items: &'a [T], item: impl Fn(&'a T) -> Self) -> Self {
        Self::List(items.iter().map(item).collect())
    }

    /// A map of the entries that have a value.
    pub(super) fn map(entries: impl IntoIterator<Item = (&'static str, Option<Self>)>) -> Self {
        Self::Map(entries.into_iter().filter_map(|(key, value)| Some((key, value?))).collect())
    }

    /// The document, in block style.
    pub(super) fn document(&self) -> String {
        let mut out = String::new();
        self.block(&mut out, 0);
        out
    }

    /// What fits behind a key or dash.
    fn inline(&self) -> Option<String> {
        match self {
            Self::Word(word) => Some(word.clone()),
            Self::Text(text) => Some(quoted(&text.replace("${", "$${"))),
            Self::List(items) if items.is_empty() => Some("[]".into()),
            Self::Map(entries) if entries.is_empty() => Some("{}".into()),
            Self::List(_) | Self::Map(_) => None,
        }
    }

    fn block(&self, out: &mut String, indent: usize) {
        let margin = " ".repeat(indent);
        match self {
            Self::List(items) => {
                for item in items {
                    out.push_str(&margin);
                    item.behind("-", out, indent);
                }
            }
            Self::Map(entries) => {
                for (key, value) in entries {
                    out.push_str(&margin);
                    value.behind(&format!("{key}:"), out, indent);
                }
            }
            Self::Word(_) | Self::Text(_) => {
                out.push_str(&self.inline().unwrap_or_default());
                out.push('\n');
            }
        }
    }

    /// The value behind `sign`, a dash or a key, which stands at `indent`.
    fn behind(&self, sign: &str, out: &mut String, indent: usize) {
        out.push_str(sign);
        if let Some(inline) = self.inline() {
            // Infallible, as writing to a string is.
            let _ = writeln!(out, " {inline}");
            return;
        }
        out.push('\n');
        self.block(out, indent + 2);
    }
}

/// `text` bare where that is safe, else in double quotes.
fn quoted(text: &str) -> String {
    let letter = text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '/');
    let plain = |c: char| c.is_ascii_alphanumeric() || "-._/:".contains(c);
    let word = letter && text.chars().all(plain) && !text.ends_with(':');
    if word && plain_type(text).is_none() && !text.eq_ignore_ascii_case("null") {
        return text.to_owned();
    }
    let mut out = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            ' '..='~' => out.push(c),
            c if c.is_alphanumeric() => out.push(c),
            c => {
                let code = u32::from(c);
                let _ = match code {
                    0..=0xff => write!(out, "\\x{code:02X}"),
                    0x100..=0xffff => write!(out, "\\u{code:04X}"),
                    _ => write!(out, "\\U{code:08X}"),
                };
            }
        }
    }
    out.push('"');
    out
}
