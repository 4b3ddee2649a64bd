//! Where header fields are written: bytes for HTTP/1, a map for HTTP/2.

use crate::model::HeaderChanges;
use crate::proxy::filters::takes_away;
use bytes::{BufMut, BytesMut};
use http::{HeaderMap, HeaderName, HeaderValue};

/// Takes the fields of a head, in order.
pub trait Sink {
    /// Whether they are written in the form of HTTP/1.
    const IS_HTTP1: bool;

    /// Writes a field.
    fn put(&mut self, name: &HeaderName, value: &[u8]);

    /// Writes a field as it came.
    fn keep(&mut self, name: &HeaderName, value: &HeaderValue) {
        self.put(name, value.as_bytes());
    }

    /// Writes whole lines of HTTP/1. Returns whether it can.
    fn put_lines(&mut self, lines: &[u8]) -> bool;
}

impl Sink for BytesMut {
    const IS_HTTP1: bool = true;

    #[inline]
    fn put(&mut self, name: &HeaderName, value: &[u8]) {
        field(self, name.as_str().as_bytes(), value);
    }

    #[inline]
    fn put_lines(&mut self, lines: &[u8]) -> bool {
        self.put_slice(lines);
        true
    }
}

impl Sink for HeaderMap {
    const IS_HTTP1: bool = false;

    fn put(&mut self, name: &HeaderName, value: &[u8]) {
        // All that is written was a field's value before, or is text.
        if let Ok(value) = HeaderValue::from_bytes(value) {
            self.append(name, value);
        }
    }

    fn keep(&mut self, name: &HeaderName, value: &HeaderValue) {
        self.append(name, value.clone());
    }

    fn put_lines(&mut self, _lines: &[u8]) -> bool {
        false
    }
}

/// Writes a field of HTTP/1.
pub(super) fn field(out: &mut BytesMut, name: &[u8], value: &[u8]) {
    out.reserve(name.len() + value.len() + 4);
    out.put_slice(name);
    out.put_slice(b": ");
    out.put_slice(value);
    out.put_slice(b"\r\n");
}

/// Writes fields, without those that a route takes away.
#[derive(Debug)]
pub struct Fields<'a, S> {
    /// For what the route must not change.
    pub out: &'a mut S,
    /// `None` when nothing is changed.
    changes: Option<&'a HeaderChanges>,
}

impl<'a, S: Sink> Fields<'a, S> {
    /// Writes into `out` what `changes` leave.
    pub fn new(out: &'a mut S, changes: &'a HeaderChanges) -> Self {
        Self { out, changes: (!changes.is_empty()).then_some(changes) }
    }

    /// Writes whole lines of HTTP/1, if every field is written as it is put, and in that form. Returns whether it is.
    pub fn put_lines(&mut self, lines: &[u8]) -> bool {
        self.changes.is_none() && self.out.put_lines(lines)
    }

    /// Writes a field.
    pub fn put(&mut self, name: &HeaderName, value: &[u8]) {
        if self.passes(name) {
            self.out.put(name, value);
        }
    }

    /// Writes a field as it came.
    pub fn keep(&mut self, name: &HeaderName, value: &HeaderValue) {
        if self.passes(name) {
            self.out.keep(name, value);
        }
    }

    fn passes(&self, name: &HeaderName) -> bool {
        !self.changes.is_some_and(|changes| takes_away(changes, name))
    }

    /// Writes the fields that the route sets and adds.
    pub(super) fn finish(self) {
        let Some(changes) = self.changes else { return };
        for (name, value) in changes.set.iter().chain(&changes.add) {
            self.out.keep(name, value);
        }
    }
}
