//! From the tree to [`File`], in one pass that goes on after every error.
//!
//! A derived decoder stops at its first error. So every field of the file is a [`Field`], which swallows the error of
//! its value once it has been recorded, and unknown keys are recorded and skipped here: nothing is ever lost.

use super::file::{File, LATER, SHORTHANDS};
use super::problem::{Collector, Fault, nearest, shown};
use super::tree::{At, Entry, Kind, Node, Scalar, plain_type};
use serde::de::value::StrDeserializer;
use serde::de::{
    self, Deserialize, DeserializeSeed, Deserializer, Expected, IntoDeserializer, MapAccess,
    SeqAccess, Visitor,
};
use std::fmt;
use std::marker::PhantomData;

/// A value that may be absent, or wrong in a way that has been recorded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Field<T> {
    /// Not typed, or typed without a value.
    #[default]
    Absent,
    /// Typed, but wrong.
    Invalid,
    /// Typed.
    Present(T),
}

impl<T> Field<T> {
    /// The value, when there is a valid one.
    pub fn get(&self) -> Option<&T> {
        match self {
            Self::Present(value) => Some(value),
            Self::Absent | Self::Invalid => None,
        }
    }

    /// Whether there is no value.
    pub fn is_absent(&self) -> bool {
        matches!(self, Self::Absent)
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Field<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct AsField<T>(PhantomData<T>);
        impl<'de, T: Deserialize<'de>> Visitor<'de> for AsField<T> {
            type Value = Field<T>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a value")
            }
            fn visit_none<E>(self) -> Result<Field<T>, E> {
                Ok(Field::Absent)
            }
            fn visit_some<D: Deserializer<'de>>(self, inner: D) -> Result<Field<T>, D::Error> {
                // The decoder below has recorded every error that it returns.
                Ok(T::deserialize(inner).map_or(Field::Invalid, Field::Present))
            }
        }
        deserializer.deserialize_option(AsField(PhantomData))
    }
}

/// Decodes the document; what is wrong goes to `problems`.
pub(super) fn decode(root: &Node, problems: &Collector) -> Field<File> {
    Field::deserialize(Decoder { at: At::root(root), problems }).unwrap_or(Field::Invalid)
}

/// Structs of which a bare word was probably meant as the value of one of their keys: struct and key.
const WRAPPED: &[(&str, &str)] =
    &[("PathMatch", "prefix"), ("PathRewrite", "full"), ("AffinityCookie", "name")];

#[derive(Debug)]
enum Error {
    Recorded,
    Fresh(Fault),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Recorded => f.write_str("recorded"),
            Self::Fresh(fault) => f.write_str(&fault.message),
        }
    }
}

impl std::error::Error for Error {}

impl de::Error for Error {
    fn custom<T: fmt::Display>(text: T) -> Self {
        Self::Fresh(Fault::from_lines(&text.to_string()))
    }
}

struct Decoder<'t, 'p> {
    at: At<'t>,
    problems: &'p Collector,
}

impl<'t> Decoder<'t, '_> {
    fn refuse(&self, fault: Fault) -> Error {
        self.problems.value(&self.at, fault);
        Error::Recorded
    }

    fn wrong_type(&self, allowed: impl Into<String>) -> Error {
        self.wrong_type_of(allowed, |_| None)
    }

    /// `meant` makes a suggestion of a bare or quoted word.
    fn wrong_type_of(
        &self,
        allowed: impl Into<String>,
        meant: impl Fn(&str) -> Option<String>,
    ) -> Error {
        let Some(found) = self.at.node.described() else { return Error::Recorded };
        let suggestion = match &self.at.node.kind {
            Kind::Scalar(scalar) if scalar.typed.is_none() => meant(&shown(&scalar.text)),
            _ => None,
        };
        let fault = Fault::new(format!("wrong type: found {found}"));
        self.refuse(fault.allow(allowed).suggest(suggestion))
    }

    /// The word that stands here.
    fn scalar(&self, expected: &dyn Expected) -> Result<&'t Scalar, Error> {
        match &self.at.node.kind {
            Kind::Scalar(scalar) if !scalar.is_null() => Ok(scalar),
            _ => Err(self.wrong_type(expected.to_string())),
        }
    }

    /// Records what a value found wrong with itself, put behind what was typed.
    fn settle<T>(&self, scalar: &Scalar, result: Result<T, Error>) -> Result<T, Error> {
        result.map_err(|error| match error {
            Error::Recorded => Error::Recorded,
            Error::Fresh(mut fault) => {
                fault.message = format!("`{}` {}", scalar.shown(), fault.message);
                if scalar.typed.is_some() {
                    // It is made from the variable's value, which may be a secret.
                    fault.suggestion = None;
                }
                self.refuse(fault)
            }
        })
    }

    fn unknown(&self, kind: &str, scope: &str, found: &str, known: &[&str]) -> Fault {
        let later = LATER.iter().find(|(name, _)| *name == scope).map_or(&[][..], |(_, keys)| keys);
        let fault = match later.contains(&found) {
            true => Fault::new(format!("`{found}` is not available yet")),
            false => Fault::new(format!("unknown {kind} `{}`", shown(found)))
                .suggest(nearest(found, known)),
        };
        match known {
            [] => fault.allow("no keys"),
            known => fault.allow(known.join(", ")),
        }
    }
}

impl<'de> Deserializer<'de> for Decoder<'_, '_> {
    type Error = Error;

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match &self.at.node.kind {
            Kind::Scalar(scalar) if scalar.is_null() => visitor.visit_none(),
            _ => visitor.visit_some(self),
        }
    }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        let allowed = "`true` or `false`";
        let scalar = self.scalar(&allowed)?;
        let value = match &*scalar.text {
            "true" if scalar.plain || scalar.typed.is_some() => true,
            "false" if scalar.plain || scalar.typed.is_some() => false,
            _ => {
                return Err(self.wrong_type_of(allowed, |word| {
                    match &*word.to_ascii_lowercase() {
                        "true" | "yes" | "on" | "y" | "1" => Some("true".into()),
                        "false" | "no" | "off" | "n" | "0" => Some("false".into()),
                        _ => None,
                    }
                }));
            }
        };
        visitor.visit_bool(value)
    }

    /// A word that is not meant as text: it may look like a number.
    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        let scalar = self.scalar(&visitor)?;
        self.settle(scalar, visitor.visit_str(&scalar.text))
    }

    /// A word that is meant as a number: quotes would make it text.
    fn deserialize_u64<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        let scalar = self.scalar(&visitor)?;
        match scalar.plain || scalar.typed.is_some() {
            true => self.settle(scalar, visitor.visit_str(&scalar.text)),
            false => {
                let number = |word: &str| (plain_type(word) == Some("number")).then(|| word.into());
                Err(self.wrong_type_of((&visitor as &dyn Expected).to_string(), number))
            }
        }
    }

    /// A word that is meant as text: it must not look like anything else.
    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        let scalar = self.scalar(&visitor)?;
        if scalar.plain && scalar.typed.is_none() && plain_type(&scalar.text).is_some() {
            let allowed = (&visitor as &dyn Expected).to_string();
            return Err(self.wrong_type_of(allowed, |word| Some(format!("\"{word}\""))));
        }
        self.settle(scalar, visitor.visit_str(&scalar.text))
    }

    /// A word that is meant as text, and a secret: nothing of it is shown, not even when it is wrong.
    fn deserialize_byte_buf<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        let scalar = self.scalar(&visitor)?;
        let looks_like =
            plain_type(&scalar.text).filter(|_| scalar.plain && scalar.typed.is_none());
        if let Some(kind) = looks_like {
            let fault = Fault::new(format!("wrong type: found a {kind} where text is wanted"));
            return Err(self.refuse(fault.allow("the same in quotes")));
        }
        visitor.visit_str(&scalar.text).map_err(|error| match error {
            Error::Recorded => Error::Recorded,
            Error::Fresh(mut fault) => {
                fault.message = format!("what stands here {}", fault.message);
                self.refuse(Fault { suggestion: None, ..fault })
            }
        })
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        // Values are in PascalCase; other spellings are understood but not advertised.
        let pascal = |word: &&str| word.starts_with(|c: char| c.is_ascii_uppercase());
        let known: Vec<_> = variants.iter().copied().filter(pascal).collect();
        let scalar = self.scalar(&&*known.join(", "))?;
        if !variants.contains(&&*scalar.text) {
            let mut fault = self.unknown(name, name, &scalar.text, &known);
            if scalar.typed.is_some() {
                fault = Fault::new(format!("unknown {name} `{}`", scalar.shown()))
                    .allow(known.join(", "));
            }
            return Err(self.refuse(fault));
        }
        let word: StrDeserializer<'_, Error> = scalar.text.as_str().into_deserializer();
        visitor.visit_enum(word)
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match &self.at.node.kind {
            Kind::List(items) => {
                visitor.visit_seq(Items { list: &self, next: 0, count: items.len() })
            }
            _ => Err(self
                .wrong_type_of("a list", |word| (!word.is_empty()).then(|| format!("[{word}]")))),
        }
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        let shorthand = SHORTHANDS.iter().find(|(of, ..)| *of == name);
        let entries = match (&self.at.node.kind, shorthand) {
            (Kind::Map(entries), _) => entries,
            (Kind::Scalar(scalar), Some((_, key, _))) if !scalar.is_null() => {
                return visitor.visit_map(Shorthand { key: Some(key), value: Some(self) });
            }
            _ => {
                let keys = match fields {
                    [] => "an empty map: `{}`".to_owned(),
                    [field] => format!("a map with the key {field}"),
                    fields => format!("a map with the keys {}", fields.join(", ")),
                };
                let wrapped = WRAPPED.iter().find(|(of, _)| *of == name);
                return Err(match shorthand {
                    Some((.., word)) => self.wrong_type(format!("{word}, or {keys}")),
                    None => self.wrong_type_of(keys, |word| {
                        let (_, key) = wrapped.filter(|_| !word.is_empty())?;
                        Some(format!("{{ {key}: {word} }}"))
                    }),
                });
            }
        };
        visitor.visit_map(Entries { map: &self, name, fields, rest: entries.iter(), value: None })
    }

    /// Every type of the file says what it wants.
    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        self.deserialize_str(visitor)
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_unit()
    }

    serde::forward_to_deserialize_any! {
        i8 i16 i32 i64 i128 u8 u16 u32 u128 f32 f64 char bytes unit unit_struct
        newtype_struct tuple tuple_struct map identifier
    }
}

struct Items<'a, 't, 'p> {
    list: &'a Decoder<'t, 'p>,
    next: usize,
    count: usize,
}

impl<'de> SeqAccess<'de> for Items<'_, '_, '_> {
    type Error = Error;

    fn next_element_seed<T: DeserializeSeed<'de>>(
        &mut self,
        seed: T,
    ) -> Result<Option<T::Value>, Error> {
        if self.next == self.count {
            return Ok(None);
        }
        let at = self.list.at.index(self.next);
        self.next += 1;
        seed.deserialize(Decoder { at, problems: self.list.problems }).map(Some)
    }
}

struct Entries<'a, 't, 'p> {
    map: &'a Decoder<'t, 'p>,
    name: &'static str,
    fields: &'static [&'static str],
    rest: std::slice::Iter<'t, Entry>,
    value: Option<&'t Entry>,
}

impl<'de> MapAccess<'de> for Entries<'_, '_, '_> {
    type Error = Error;

    fn next_key_seed<K: DeserializeSeed<'de>>(
        &mut self,
        seed: K,
    ) -> Result<Option<K::Value>, Error> {
        for entry in self.rest.by_ref() {
            if self.fields.contains(&&*entry.key) {
                self.value = Some(entry);
                let word: StrDeserializer<'_, Error> = entry.key.as_str().into_deserializer();
                return seed.deserialize(word).map(Some);
            }
            let fault = self.map.unknown("key", self.name, &entry.key, self.fields);
            self.map.problems.key(&self.map.at.entry(entry), fault);
        }
        Ok(None)
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Error> {
        let entry = self.value.take().ok_or(Error::Recorded)?;
        seed.deserialize(Decoder { at: self.map.at.entry(entry), problems: self.map.problems })
    }
}

/// A struct that is written as the value of one of its keys.
struct Shorthand<'t, 'p> {
    key: Option<&'static str>,
    value: Option<Decoder<'t, 'p>>,
}

impl<'de> MapAccess<'de> for Shorthand<'_, '_> {
    type Error = Error;

    fn next_key_seed<K: DeserializeSeed<'de>>(
        &mut self,
        seed: K,
    ) -> Result<Option<K::Value>, Error> {
        let Some(key) = self.key.take() else { return Ok(None) };
        let word: StrDeserializer<'_, Error> = key.into_deserializer();
        seed.deserialize(word).map(Some)
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Error> {
        seed.deserialize(self.value.take().ok_or(Error::Recorded)?)
    }
}
