//! The parts of compounds, handed to serde one by one.

use super::de::{Deserializer, Result, Row, is_struct_key, tag_value};
use super::error::SerdeError;
use super::source::{Byte, Part, Source};
use serde::de::value::CowStrDeserializer;
use serde::de::{self, DeserializeSeed, IntoDeserializer, Visitor};
use std::borrow::Cow;

/// The elements of a list, a tuple or a binary.
pub(super) struct Elements<'a, 'de, S> {
    pub(super) inner: &'a mut Deserializer<S>,
    pub(super) row: Row<'de>,
    pub(super) index: usize,
}

impl<'de, S: Source<'de>> de::SeqAccess<'de> for &mut Elements<'_, 'de, S> {
    type Error = SerdeError;

    #[inline]
    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>> {
        if !self.row.more(&mut self.inner.source)? {
            return Ok(None);
        }
        let index = self.index;
        self.index += 1;
        let value = match self.row.take() {
            Some(byte) => seed.deserialize(&mut Deserializer::new(Byte(byte))),
            None => seed.deserialize(&mut *self.inner),
        };
        value.map(Some).map_err(|error| error.at_index(index))
    }

    fn size_hint(&self) -> Option<usize> {
        // Claimed by the input: serde's own collections take it for a hint and reserve a little at most.
        Some(self.row.left())
    }
}

/// The elements of a tuple of a known size.
pub(super) struct Parts<'a, S> {
    pub(super) inner: &'a mut Deserializer<S>,
    pub(super) left: usize,
    pub(super) len: usize,
}

impl<'de, S: Source<'de>> de::SeqAccess<'de> for &mut Parts<'_, S> {
    type Error = SerdeError;

    #[inline]
    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>> {
        if self.left == 0 {
            return Ok(None);
        }
        self.left -= 1;
        match seed.deserialize(&mut *self.inner) {
            Ok(value) => Ok(Some(value)),
            Err(error) => Err(error.at_index(self.len - self.left - 1)),
        }
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.left)
    }
}

/// The fields of a record, in order.
pub(super) struct Names<'a, S> {
    pub(super) inner: &'a mut Deserializer<S>,
    pub(super) names: std::slice::Iter<'static, &'static str>,
}

impl<'de, S: Source<'de>> de::SeqAccess<'de> for Names<'_, S> {
    type Error = SerdeError;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>> {
        let Some(name) = self.names.next() else {
            return Ok(None);
        };
        seed.deserialize(&mut *self.inner)
            .map(Some)
            .map_err(|error| error.in_field(name))
    }
}

/// The fields of a native record, by name.
pub(super) struct Fields<'a, 'de, S> {
    pub(super) inner: &'a mut Deserializer<S>,
    pub(super) names: std::vec::IntoIter<Cow<'de, str>>,
    pub(super) name: Option<Cow<'de, str>>,
}

impl<'de, S: Source<'de>> de::MapAccess<'de> for &mut Fields<'_, 'de, S> {
    type Error = SerdeError;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>> {
        self.name = self.names.next();
        let Some(name) = &self.name else { return Ok(None) };
        seed.deserialize(CowStrDeserializer::new(name.clone())).map(Some)
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value> {
        let name = self.name.take();
        seed.deserialize(&mut *self.inner)
            .map_err(|error| error.in_field(name.as_deref().unwrap_or("")))
    }
}

/// What an error in a value says about the key.
enum Key<'de> {
    Text(Cow<'de, str>),
    Index(usize),
}

impl<'de> Key<'de> {
    /// What a key is called, which has been read or is to be read.
    fn of(part: Result<Part<'de>>, index: usize) -> Self {
        match part {
            Ok(Part::Atom(text)) => Self::Text(text),
            Ok(Part::Binary(bytes)) => {
                std::str::from_utf8(bytes).map_or(Self::Index(index), |text| Self::Text(Cow::Borrowed(text)))
            }
            _ => Self::Index(index),
        }
    }

    fn add(&self, error: SerdeError) -> SerdeError {
        match self {
            Key::Text(text) => error.in_field(text),
            Key::Index(index) => error.at_index(*index),
        }
    }
}

/// The pairs of a map.
pub(super) struct Pairs<'a, 'de, S: Source<'de>> {
    inner: &'a mut Deserializer<S>,
    left: usize,
    index: usize,
    /// Where the key stands.
    key: S::Mark,
    /// The module of the Elixir struct that it must be, until it is seen.
    module: Option<&'a str>,
}

impl<'a, 'de, S: Source<'de>> Pairs<'a, 'de, S> {
    #[inline]
    pub(super) fn new(inner: &'a mut Deserializer<S>, left: usize, module: Option<&'a str>) -> Self {
        let key = inner.source.mark();
        Self {
            inner,
            left,
            index: 0,
            key,
            module,
        }
    }

    /// Takes the module of an Elixir struct.
    fn check_module(&mut self) -> Result<()> {
        while self.left > 0
            && let Some(module) = self.module
            && is_struct_key(&self.inner.source.peek()?)
        {
            self.inner.source.next()?;
            self.left -= 1;
            match self.inner.source.next()? {
                Part::Atom(text) if text.strip_prefix("Elixir.") == Some(module) => self.module = None,
                other => return Err(SerdeError::expected(&format!("a struct of {module}"), other)),
            }
        }
        Ok(())
    }

    #[inline]
    pub(super) fn finish(self) -> Result<()> {
        if self.module.is_none() && self.left == 0 {
            return Ok(());
        }
        self.rest()
    }

    /// Steps over what nobody asked for.
    fn rest(mut self) -> Result<()> {
        self.check_module()?;
        if let Some(module) = self.module {
            return Err(SerdeError::expected(
                &format!("a struct of {module}"),
                "another map",
            ));
        }
        (0..self.left.saturating_mul(2)).try_for_each(|_| self.inner.source.skip())
    }
}

impl<'de, S: Source<'de>> de::MapAccess<'de> for &mut Pairs<'_, 'de, S> {
    type Error = SerdeError;

    #[inline]
    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>> {
        if self.module.is_some() {
            self.check_module()?;
        }
        if self.left == 0 {
            return Ok(None);
        }
        self.left -= 1;
        self.key = self.inner.source.mark();
        self.index += 1;
        seed.deserialize(&mut *self.inner).map(Some)
    }

    #[inline]
    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value> {
        seed.deserialize(&mut *self.inner).map_err(|error| {
            Key::of(self.inner.source.part_at(&self.key), self.index.saturating_sub(1)).add(error)
        })
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.left)
    }
}

/// The pairs of a keyword list or proplist: tuples of two, and atoms alone, which are true.
pub(super) struct Properties<'a, 'de, S> {
    inner: &'a mut Deserializer<S>,
    row: Row<'de>,
    index: usize,
    key: Key<'de>,
    /// Whether the key stood alone.
    alone: bool,
}

impl<'a, 'de, S: Source<'de>> Properties<'a, 'de, S> {
    pub(super) const fn new(inner: &'a mut Deserializer<S>, row: Row<'de>) -> Self {
        Self {
            inner,
            row,
            index: 0,
            key: Key::Index(0),
            alone: false,
        }
    }

    pub(super) fn finish(mut self) -> Result<()> {
        while self.row.more(&mut self.inner.source)? {
            if self.row.take().is_none() {
                self.inner.source.skip()?;
            }
        }
        Ok(())
    }
}

impl<'de, S: Source<'de>> de::MapAccess<'de> for &mut Properties<'_, 'de, S> {
    type Error = SerdeError;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>> {
        if !self.row.more(&mut self.inner.source)? {
            return Ok(None);
        }
        let index = self.index;
        self.index += 1;
        match self
            .row
            .next(&mut self.inner.source)
            .map_err(|error| error.at_index(index))?
        {
            Part::Atom(text) => {
                self.alone = true;
                self.key = Key::Text(text.clone());
                seed.deserialize(CowStrDeserializer::new(text)).map(Some)
            }
            Part::Tuple(2) => {
                self.alone = false;
                self.key = Key::of(self.inner.source.peek(), index);
                seed.deserialize(&mut *self.inner).map(Some)
            }
            other => Err(SerdeError::expected("a pair", other).at_index(index)),
        }
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value> {
        if self.alone {
            return seed.deserialize(true.into_deserializer());
        }
        seed.deserialize(&mut *self.inner)
            .map_err(|error| self.key.add(error))
    }
}

/// A variant of an enum: its tag, and how many elements of its tuple follow.
pub(super) struct Variant<'a, S> {
    pub(super) inner: &'a mut Deserializer<S>,
    /// Its text.
    pub(super) tag: &'a [u8],
    pub(super) left: usize,
}

impl<'de, S: Source<'de>> de::EnumAccess<'de> for Variant<'_, S> {
    type Error = SerdeError;
    type Variant = Self;

    #[inline]
    fn variant_seed<V: DeserializeSeed<'de>>(self, seed: V) -> Result<(V::Value, Self)> {
        let value = seed.deserialize(tag_value(self.tag))?;
        Ok((value, self))
    }
}

impl<S> Variant<'_, S> {
    fn arity(&self, expected: usize) -> Result<()> {
        if self.left == expected {
            return Ok(());
        }
        let what = |count: usize| match count {
            0 => format!("atom {}", String::from_utf8_lossy(self.tag)),
            count => format!("a tuple of {}", count + 1),
        };
        Err(SerdeError::expected(&what(expected), what(self.left)))
    }
}

impl<'de, S: Source<'de>> de::VariantAccess<'de> for Variant<'_, S> {
    type Error = SerdeError;

    fn unit_variant(self) -> Result<()> {
        self.arity(0)
    }

    fn newtype_variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> Result<T::Value> {
        if self.left == 0 {
            // `ok` for `Ok(())`, and a variant that holds nothing.
            return seed.deserialize(().into_deserializer());
        }
        self.arity(1)?;
        seed.deserialize(&mut *self.inner)
    }

    fn tuple_variant<V: Visitor<'de>>(self, len: usize, visitor: V) -> Result<V::Value> {
        self.arity(len)?;
        visitor.visit_seq(&mut Elements {
            inner: self.inner,
            row: Row::tuple(len),
            index: 0,
        })
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value> {
        self.arity(1)?;
        de::Deserializer::deserialize_struct(&mut *self.inner, "", fields, visitor)
    }
}
