//! The templates of `bench/peers`: a small part of Mustache, a tag of a section on a line of its own.
//!
//! `{{name}}` is replaced by a text, `{{#name}}` … `{{/name}}` stays when the name is set, once per item if it is a
//! list, and `{{^name}}` … `{{/name}}` stays when it is not set, `false` or an empty list.

use crate::Result;
use std::collections::BTreeMap;

/// What stands for a name.
#[derive(Clone, Debug)]
pub(crate) enum Value {
    Text(String),
    Flag(bool),
    /// Names of its own for every item; those of the surroundings count, too.
    List(Vec<Values>),
}

/// Names and what stands for them.
pub(crate) type Values = BTreeMap<&'static str, Value>;

/// Fills `template`; fails on a name without a value and on a section without an end.
pub(crate) fn fill(template: &str, values: &Values) -> Result<String> {
    let lines: Vec<&str> = template.lines().collect();
    let mut out = String::new();
    section(&lines, &[values], &mut out)?;
    Ok(out)
}

fn section(lines: &[&str], scopes: &[&Values], out: &mut String) -> Result<()> {
    let mut index = 0;
    while let Some(line) = lines.get(index) {
        let tag = line.trim().strip_prefix("{{").and_then(|tag| tag.strip_suffix("}}"));
        let opened =
            tag.and_then(|tag| tag.split_at_checked(1)).filter(|(kind, _)| "#^".contains(kind));
        let Some((kind, name)) = opened else {
            text(line, scopes, out)?;
            index += 1;
            continue;
        };
        let end = format!("{{{{/{name}}}}}");
        let length = lines[index..].iter().position(|line| line.trim() == end);
        let end = index + length.ok_or_else(|| format!("{line:?} has no end"))?;
        let inner = &lines[index + 1..end];
        match (kind, lookup(name, scopes)) {
            ("#", Some(Value::List(items))) => {
                for item in items {
                    section(inner, &[&[item], scopes].concat(), out)?;
                }
            }
            (kind, value) => {
                let set = match value {
                    None | Some(Value::Flag(false)) => false,
                    Some(Value::List(items)) => !items.is_empty(),
                    Some(Value::Flag(true) | Value::Text(_)) => true,
                };
                if set == (kind == "#") {
                    section(inner, scopes, out)?;
                }
            }
        }
        index = end + 1;
    }
    Ok(())
}

fn text(line: &str, scopes: &[&Values], out: &mut String) -> Result<()> {
    let mut rest = line;
    while let Some((before, after)) = rest.split_once("{{") {
        let (name, after) =
            after.split_once("}}").ok_or_else(|| format!("{line:?}: an open tag"))?;
        out.push_str(before);
        match lookup(name, scopes) {
            Some(Value::Text(text)) => out.push_str(text),
            Some(Value::Flag(flag)) => out.push_str(if *flag { "true" } else { "false" }),
            Some(Value::List(_)) | None => return Err(format!("{line:?}: no text {name:?}").into()),
        }
        rest = after;
    }
    out.push_str(rest);
    out.push('\n');
    Ok(())
}

fn lookup<'a>(name: &str, scopes: &[&'a Values]) -> Option<&'a Value> {
    scopes.iter().find_map(|scope| scope.get(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sections_repeat_stay_or_go() {
        let item = |name: &str| Values::from([("name", Value::Text(name.into()))]);
        let values = Values::from([
            ("port", Value::Text("80".into())),
            ("log", Value::Flag(false)),
            ("hosts", Value::List(vec![item("a"), item("b")])),
            ("none", Value::List(vec![])),
        ]);
        let template = "{{#hosts}}\n{{name}}:{{port}}\n{{/hosts}}\n{{#log}}\nlog\n{{/log}}\n\
             {{^log}}\nno log\n{{/log}}\n{{^none}}\nempty\n{{/none}}\n{{#absent}}\nx\n{{/absent}}\nend {{log}}";
        let filled = fill(template, &values).unwrap();
        assert_eq!(filled, "a:80\nb:80\nno log\nempty\nend false\n");
    }

    #[test]
    fn a_name_without_a_value_and_a_section_without_an_end_are_errors() {
        assert!(fill("{{a}}", &Values::new()).is_err());
        assert!(fill("{{^a}}", &Values::new()).is_err());
    }
}
