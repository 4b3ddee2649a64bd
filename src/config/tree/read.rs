//! From bytes to the tree. What no typed decoder could say is refused here: broken YAML, duplicate keys, tags, merge
//! keys, and bombs made of size, depth or aliases.

use super::{Entry, Kind, Node, Place, Scalar, join_key};
use crate::config::problem::{Collector, Fault, shown};
use saphyr_parser::{Event, Marker, Parser, ScalarStyle, Tag};
use std::collections::HashMap;

/// The largest file, in bytes: four times what a ConfigMap can hold.
const MAX_BYTES: usize = 4 << 20;
/// The deepest nesting of lists and maps. The deepest key there is needs nine.
const MAX_DEPTH: usize = 32;
/// The most that aliases may add to a document, in nodes and bytes of text.
const MAX_COPIED: usize = 1 << 20;

fn place_of(marker: Marker) -> Place {
    Place { line: marker.line(), column: marker.col() + 1 }
}

/// Reads the one document of `source`; `None` when there is no document to go on with.
pub(in crate::config) fn read(source: &[u8], problems: &Collector) -> Option<Node> {
    match read_document(source, problems) {
        Ok(node) => Some(node),
        Err((place, fault)) => {
            problems.add(place, "", fault);
            None
        }
    }
}

type Stop = (Place, Fault);

fn read_document(source: &[u8], problems: &Collector) -> Result<Node, Stop> {
    if source.len() > MAX_BYTES {
        let fault = Fault::new(format!("the file has {} bytes", source.len()));
        return Err((Place::START, fault.allow("at most 4Mi")));
    }
    let text = std::str::from_utf8(source).map_err(|error| not_utf8(source, error))?;
    // Editors on Windows put a byte order mark in front.
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut builder =
        Builder { problems, open: Vec::new(), anchors: HashMap::new(), copied: 0, root: None };
    let mut documents = 0;
    for event in Parser::new_from_str(text) {
        let (event, span) = event.map_err(|error| {
            let fault = match error.info() {
                // The scanner runs ahead of the count below.
                "recursion limit exceeded" => too_deep(),
                info => {
                    let fault = Fault::new(format!("not valid YAML: {}", shown(info)));
                    if info.contains("tab") { fault.allow("spaces") } else { fault }
                }
            };
            (place_of(*error.marker()), fault)
        })?;
        if let Event::DocumentStart(_) = event {
            documents += 1;
            if documents > 1 {
                let fault = Fault::new("a second document begins here");
                return Err((place_of(span.start), fault.allow("one document in a file")));
            }
        }
        builder.event(event, place_of(span.start))?;
    }
    match builder.root {
        Some(Node { kind: Kind::Scalar(scalar), .. }) if scalar.is_null() => Err(empty()),
        Some(node) => Ok(node),
        None => Err(empty()),
    }
}

fn empty() -> Stop {
    let fault = Fault::new("the file is empty");
    (Place::START, fault.allow("a map with at least the keys `listeners` and `backends`"))
}

fn not_utf8(source: &[u8], error: std::str::Utf8Error) -> Stop {
    let at = error.valid_up_to();
    let valid = String::from_utf8_lossy(&source[..at]);
    let line = valid.matches('\n').count() + 1;
    let column = valid.rsplit('\n').next().unwrap_or("").chars().count() + 1;
    let fault = Fault::new(format!("not UTF-8: found the byte 0x{:02x}", source[at]));
    (Place { line, column }, fault.allow("text in UTF-8"))
}

/// A list or map whose end has not been read yet.
struct Open {
    place: Place,
    anchor: usize,
    refused: bool,
    parts: Parts,
}

enum Parts {
    List(Vec<Node>),
    Map {
        entries: Vec<Entry>,
        /// The line of each key.
        seen: HashMap<String, usize>,
        key: Key,
    },
}

/// The key whose value comes next.
enum Key {
    None,
    /// Its value is dropped, since something was wrong with the key, which has been said.
    Refused,
    Some(String, Place),
}

struct Builder<'p> {
    problems: &'p Collector,
    open: Vec<Open>,
    anchors: HashMap<usize, Node>,
    copied: usize,
    root: Option<Node>,
}

impl Builder<'_> {
    fn event(&mut self, event: Event<'_>, place: Place) -> Result<(), Stop> {
        match event {
            Event::Scalar(text, style, anchor, tag) => {
                let plain = style == ScalarStyle::Plain;
                let scalar = Scalar { text: text.into_owned(), plain, typed: None };
                let refused = tag.is_some_and(|tag| self.refuse_tag(&tag, place));
                let kind = if refused { Kind::Refused } else { Kind::Scalar(scalar) };
                self.close(Node { place, kind }, anchor)
            }
            Event::SequenceStart(anchor, tag) => {
                let refused = tag.is_some_and(|tag| self.refuse_tag(&tag, place));
                self.start(Open { place, anchor, refused, parts: Parts::List(Vec::new()) })
            }
            Event::MappingStart(anchor, tag) => {
                let refused = tag.is_some_and(|tag| self.refuse_tag(&tag, place));
                let parts =
                    Parts::Map { entries: Vec::new(), seen: HashMap::new(), key: Key::None };
                self.start(Open { place, anchor, refused, parts })
            }
            Event::SequenceEnd | Event::MappingEnd => match self.open.pop() {
                Some(Open { place, anchor, refused, parts }) => {
                    let kind = match parts {
                        _ if refused => Kind::Refused,
                        Parts::List(items) => Kind::List(items),
                        Parts::Map { entries, .. } => Kind::Map(entries),
                    };
                    self.close(Node { place, kind }, anchor)
                }
                None => Ok(()),
            },
            Event::Alias(anchor) => self.alias(anchor, place),
            Event::Nothing
            | Event::StreamStart
            | Event::StreamEnd
            | Event::DocumentStart(_)
            | Event::DocumentEnd => Ok(()),
        }
    }

    fn start(&mut self, open: Open) -> Result<(), Stop> {
        if self.open.len() == MAX_DEPTH {
            return Err((open.place, too_deep()));
        }
        self.open.push(open);
        Ok(())
    }

    fn alias(&mut self, anchor: usize, place: Place) -> Result<(), Stop> {
        let Some(node) = self.anchors.get(&anchor) else {
            let fault = Fault::new("an alias to a value that it is a part of");
            return Err((place, fault.allow("an alias to a value that ended before it")));
        };
        let (node, size) = self.copy(node, place)?;
        self.copied += size;
        // That the value is wrong here is said here; what is wrong within it, where it was typed.
        self.close(Node { place, ..node }, 0)
    }

    /// A copy of a value, and its size. What an anchor keeps is a copy, too.
    fn copy(&self, node: &Node, place: Place) -> Result<(Node, usize), Stop> {
        let (size, height) = node.size();
        if self.copied + size > MAX_COPIED {
            let fault = Fault::new("anchors and aliases make the document too large");
            return Err((place, fault.allow("at most 1Mi of copied values")));
        }
        if self.open.len() + height > MAX_DEPTH + 1 {
            return Err((place, too_deep()));
        }
        Ok((node.clone(), size))
    }

    fn refuse_tag(&self, tag: &Tag, place: Place) -> bool {
        let tag = match tag.is_yaml_core_schema() {
            true => format!("!!{}", tag.suffix),
            false => tag.to_string(),
        };
        let fault = Fault::new(format!("the tag `{}` is not supported", shown(&tag)));
        self.problems.add(place, &self.path(), fault.allow("values without tags"));
        true
    }

    /// A node has ended: it is a key, a value, an item, or the document.
    fn close(&mut self, node: Node, anchor: usize) -> Result<(), Stop> {
        if anchor != 0 {
            let (copy, size) = self.copy(&node, node.place)?;
            self.copied += size;
            self.anchors.insert(anchor, copy);
        }
        let Some(Open { parts, .. }) = self.open.last_mut() else {
            self.root = Some(node);
            return Ok(());
        };
        match parts {
            Parts::List(items) => items.push(node),
            Parts::Map { entries, key: pending, .. } if !matches!(pending, Key::None) => {
                if let Key::Some(key, key_place) = std::mem::replace(pending, Key::None) {
                    entries.push(Entry { key, key_place, value: node });
                }
            }
            Parts::Map { seen, key: pending, .. } => {
                let place = node.place;
                *pending = Key::Refused;
                let fault = match node.kind {
                    Kind::Scalar(Scalar { text, plain: true, .. }) if text == "<<" => {
                        Fault::new("merge keys (`<<`) are not supported")
                            .allow("every key written out; an alias may stand for a whole value")
                    }
                    Kind::Scalar(Scalar { text, .. }) => match seen.get(&text) {
                        Some(line) => Fault::new(format!("duplicate key `{}`", shown(&text)))
                            .allow(format!("each key once; the first is in line {line}")),
                        None => {
                            seen.insert(text.clone(), place.line);
                            *pending = Key::Some(text, place);
                            return Ok(());
                        }
                    },
                    Kind::Refused => return Ok(()),
                    Kind::List(_) | Kind::Map(_) => {
                        Fault::new("a list or map as a key").allow("a word as a key")
                    }
                };
                self.problems.add(place, &self.path(), fault);
            }
        }
        Ok(())
    }

    fn path(&self) -> String {
        path(&self.open)
    }
}

/// The path of what comes next.
fn path(open: &[Open]) -> String {
    open.iter().fold(String::new(), |path, open| match &open.parts {
        Parts::List(items) => format!("{path}[{}]", items.len()),
        Parts::Map { key: Key::Some(key, _), .. } => join_key(&path, key),
        Parts::Map { .. } => path,
    })
}

fn too_deep() -> Fault {
    Fault::new("nested too deeply").allow(format!("at most {MAX_DEPTH} levels"))
}
