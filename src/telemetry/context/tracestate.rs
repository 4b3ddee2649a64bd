//! `tracestate`, section 3.3 of W3C Trace Context.

use super::{Form, Parent, TRACESTATE};
use bytes::{BufMut, BytesMut};
use http::{HeaderMap, HeaderValue};

/// The most members of a list. Empty ones, which have no meaning and do not go on, are not counted.
const MAX_MEMBERS: usize = 32;
/// The longest key, and the longest value, in bytes.
const MAX_LENGTH: usize = 256;
/// The longest parts of a key with an `@`, before and behind it: level 1.
const MAX_TENANT: usize = 241;
const MAX_SYSTEM: usize = 14;

/// The `tracestate` that goes on with a trace of `parent`, which must have been read from the same `headers`: one field, with the
/// members of all in their order. `None` if there are none, or anything about them is wrong: that never harms the trace itself.
///
/// We add no member, so a list never becomes longer here, and passes whole: the 512 bytes that must pass at least, and what the
/// limits of the standard and of our listeners allow beyond. One valid field stays as it is and is not copied.
pub fn tracestate(headers: &HeaderMap, parent: &Parent) -> Option<HeaderValue> {
    match parent.form {
        Form::TraceContext => {}
        // It belongs to a `traceparent` that is not valid, or not there.
        Form::B3 | Form::B3Multi => return None,
    }
    let mut fields = headers.get_all(TRACESTATE).iter();
    let first = fields.next()?;
    let mut list = List { members: [&[]; MAX_MEMBERS], keys: [0; MAX_MEMBERS], length: 0 };
    let mut as_it_is = list.add(first)?;
    for field in fields {
        list.add(field)?;
        as_it_is = false;
    }
    if as_it_is { Some(first.clone()) } else { list.join() }
}

/// The members so far. There are few, so that looking through them is faster than a set, and wants no memory.
struct List<'a> {
    members: [&'a [u8]; MAX_MEMBERS],
    /// How long the key of each is.
    keys: [usize; MAX_MEMBERS],
    length: usize,
}

impl<'a> List<'a> {
    /// Adds the members of a field. Says whether the field is fit to go on as it is; `None` if it is not valid.
    fn add(&mut self, field: &'a HeaderValue) -> Option<bool> {
        let field = field.as_bytes();
        // HTTP/1 has taken it away; in HTTP/2 it must not be sent.
        let mut fit = field.trim_ascii().len() == field.len();
        for member in field.split(|byte| *byte == b',') {
            let member = member.trim_ascii();
            if member.is_empty() {
                fit = false;
                continue;
            }
            let key = key_length(member)?;
            let known = self.members.iter().zip(&self.keys).take(self.length);
            if self.length == MAX_MEMBERS
                || known.into_iter().any(|(known, length)| known[..*length] == member[..key])
            {
                return None;
            }
            self.members[self.length] = member;
            self.keys[self.length] = key;
            self.length += 1;
        }
        Some(fit)
    }

    fn join(&self) -> Option<HeaderValue> {
        let members = &self.members[..self.length];
        let mut joined = BytesMut::with_capacity(members.iter().map(|one| one.len() + 1).sum());
        for (index, member) in members.iter().enumerate() {
            if index > 0 {
                joined.put_u8(b',');
            }
            joined.put_slice(member);
        }
        let joined = (!joined.is_empty()).then(|| joined.freeze())?;
        // Its bytes were valid in other fields.
        HeaderValue::from_maybe_shared(joined).ok()
    }
}

/// How long the key of a member is; `None` if the member is not valid.
fn key_length(member: &[u8]) -> Option<usize> {
    let length = member.iter().position(|byte| *byte == b'=')?;
    let (key, value) = (&member[..length], &member[length + 1..]);
    (is_key(key) && is_value(value)).then_some(length)
}

/// Level 1, but that a digit may begin a key, as in level 2. An `@` is what level 1 says: level 2 allows it anywhere, which those
/// who know only level 1, and the tests of the standard, take for a fault of the whole list.
fn is_key(key: &[u8]) -> bool {
    match key.iter().position(|byte| *byte == b'@') {
        None => is_name(key, MAX_LENGTH),
        Some(at) => is_name(&key[..at], MAX_TENANT) && is_name(&key[at + 1..], MAX_SYSTEM),
    }
}

fn is_name(name: &[u8], max_length: usize) -> bool {
    let begins = |byte: &u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9');
    name.len() <= max_length
        && name.first().is_some_and(begins)
        && name.iter().all(|byte| begins(byte) || matches!(byte, b'_' | b'-' | b'*' | b'/'))
}

/// Space at its end is not its own and has been taken away.
fn is_value(value: &[u8]) -> bool {
    (1..=MAX_LENGTH).contains(&value.len())
        && value.iter().all(|byte| matches!(byte, b' '..=b'~') && *byte != b'=')
}
