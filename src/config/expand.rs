//! `${NAME}` and `${NAME:-default}` in values. It comes after parsing, so that no variable can add keys.

use super::problem::{Collector, Fault, shown};
use super::tree::{Kind, Node, Scalar};

/// The most that variables may add to a document, in bytes.
const MAX_EXPANDED: usize = 4 << 20;

/// Looks up a variable of the environment.
pub(super) type Variables<'a> = &'a dyn Fn(&str) -> Option<String>;

/// Expands the variables in every value of `root`; a value with a fault is refused.
pub(super) fn expand(root: &mut Node, variables: Variables<'_>, problems: &Collector) {
    let mut expander = Expander { variables, room: MAX_EXPANDED };
    // Faults are collected first, since their paths are read from the tree that is being changed.
    let mut faults = Vec::new();
    expander.node(root, &mut Vec::new(), &mut faults);
    for (steps, fault) in faults {
        let at = steps.iter().fold(super::tree::At::root(root), |at, index| at.child(*index));
        problems.value(&at, fault);
    }
}

type Steps = Vec<usize>;

struct Expander<'a> {
    variables: Variables<'a>,
    room: usize,
}

impl Expander<'_> {
    fn node(&mut self, node: &mut Node, steps: &mut Steps, faults: &mut Vec<(Steps, Fault)>) {
        match &mut node.kind {
            Kind::Refused => {}
            Kind::Scalar(scalar) if !scalar.text.contains("${") => {}
            Kind::Scalar(scalar) => match self.text(&scalar.text) {
                Ok(text) => {
                    // `$${` alone expands nothing: the value stays the text that it was.
                    let typed = Some(std::mem::replace(&mut scalar.text, text));
                    *scalar = Scalar {
                        text: std::mem::take(&mut scalar.text),
                        plain: scalar.plain,
                        typed,
                    };
                }
                Err(fault) => {
                    node.kind = Kind::Refused;
                    faults.push((steps.clone(), fault));
                }
            },
            Kind::List(items) => {
                for (index, item) in items.iter_mut().enumerate() {
                    steps.push(index);
                    self.node(item, steps, faults);
                    steps.pop();
                }
            }
            Kind::Map(entries) => {
                for (index, entry) in entries.iter_mut().enumerate() {
                    steps.push(index);
                    self.node(&mut entry.value, steps, faults);
                    steps.pop();
                }
            }
        }
    }

    fn text(&mut self, text: &str) -> Result<String, Fault> {
        let mut out = String::new();
        let mut rest = text;
        while let Some(start) = rest.find("${") {
            let (before, after) = rest.split_at(start);
            let after = &after[2..];
            if let Some(before) = before.strip_suffix('$') {
                out.push_str(before);
                out.push_str("${");
                rest = after;
                continue;
            }
            out.push_str(before);
            let Some((inside, tail)) = after.split_once('}') else {
                return Err(malformed("the closing `}` is missing"));
            };
            out.push_str(&self.variable(inside)?);
            rest = tail;
        }
        out.push_str(rest);
        Ok(out)
    }

    fn variable(&mut self, inside: &str) -> Result<String, Fault> {
        let (name, default) = match inside.split_once(":-") {
            Some((name, default)) => (name, Some(default)),
            None => (inside, None),
        };
        let first =
            name.bytes().next().is_some_and(|byte| byte.is_ascii_alphabetic() || byte == b'_');
        if !first || !name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_') {
            return Err(malformed("a name of letters, digits and `_` is wanted"));
        }
        if default.is_some_and(|default| default.contains("${")) {
            return Err(malformed("a default cannot hold another variable"));
        }
        // As in a shell, `:-` also replaces a variable that is set to nothing.
        let value = (self.variables)(name).filter(|value| default.is_none() || !value.is_empty());
        let Some(value) = value.or_else(|| default.map(str::to_owned)) else {
            return Err(Fault::new(format!("the variable `{}` is not set", shown(name)))
                .allow(format!("a variable that is set, or a default: `${{{name}:-…}}`")));
        };
        self.room = match self.room.checked_sub(value.len()) {
            Some(room) => room,
            None => {
                return Err(Fault::new("variables make the document too large")
                    .allow("at most 4Mi of expanded variables"));
            }
        };
        Ok(value)
    }
}

fn malformed(why: &str) -> Fault {
    Fault::new(format!("malformed `${{`: {why}"))
        .allow("`${NAME}` or `${NAME:-default}`; `$${` for a literal `${`")
}
