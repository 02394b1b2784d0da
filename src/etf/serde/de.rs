//! Terms to Rust values.

use super::access::{Elements, Fields, Names, Pairs, Parts, Properties, Variant};
use super::error::{SerdeError, SerdeErrorKind};
use super::source::{Part, Source};
use super::{ATOM, Form, MAX_DEPTH, STRUCT, TERM};
use crate::term::number::medium;
use serde::de::value::{BorrowedBytesDeserializer, BytesDeserializer, CowStrDeserializer};
use serde::de::{self, Visitor};
use std::borrow::Cow;

pub(super) type Result<T> = std::result::Result<T, SerdeError>;

/// Reads a value from a source.
pub(super) struct Deserializer<S> {
    pub(super) source: S,
    /// How many compounds are open.
    depth: u32,
}

impl<'de, S: Source<'de>> Deserializer<S> {
    pub(super) const fn new(source: S) -> Self {
        Self { source, depth: 0 }
    }

    /// Opens a compound. After an error nothing more is read, so there is no need to close it then.
    #[inline]
    pub(super) fn enter(&mut self) -> Result<()> {
        if self.depth >= MAX_DEPTH {
            return Err(SerdeErrorKind::TooDeep.into());
        }
        self.depth += 1;
        Ok(())
    }

    /// Closes a compound.
    #[inline]
    pub(super) const fn leave(&mut self) {
        self.depth -= 1;
    }

    fn next(&mut self) -> Result<Part<'de>> {
        self.source.next()
    }

    /// Whether the next term is an atom that stands for nothing.
    #[inline]
    fn is_absent(&self) -> Result<bool> {
        if self.source.is_no_atom() {
            return Ok(false);
        }
        Ok(matches!(self.source.peek()?, Part::Atom(text) if is_absent(&text)))
    }

    #[inline]
    fn integer<V: Visitor<'de>>(&mut self, visitor: V) -> Result<V::Value> {
        if let Some(value) = self.source.take_integer() {
            return visitor.visit_i64(value);
        }
        self.any_integer(visitor)
    }

    #[inline(never)]
    fn any_integer<V: Visitor<'de>>(&mut self, visitor: V) -> Result<V::Value> {
        match self.next()? {
            Part::Integer(value) => visitor.visit_i64(value),
            Part::BigInteger { negative, magnitude } => big(negative, magnitude, visitor),
            other => Err(SerdeError::expected("integer", other)),
        }
    }

    #[inline]
    fn float<V: Visitor<'de>>(&mut self, visitor: V) -> Result<V::Value> {
        if let Some(value) = self.source.take_float() {
            return visitor.visit_f64(value);
        }
        self.any_float(visitor)
    }

    #[inline(never)]
    fn any_float<V: Visitor<'de>>(&mut self, visitor: V) -> Result<V::Value> {
        match self.next()? {
            Part::Float(value) => visitor.visit_f64(value),
            Part::Integer(value) => visitor.visit_i64(value),
            Part::BigInteger { negative, magnitude } => big(negative, magnitude, visitor),
            other => Err(SerdeError::expected("float", other)),
        }
    }

    #[inline]
    fn str<V: Visitor<'de>>(&mut self, visitor: V) -> Result<V::Value> {
        if let Some(bytes) = self.source.take_binary() {
            return match std::str::from_utf8(bytes) {
                Ok(text) => visitor.visit_borrowed_str(text),
                Err(_) => Err(SerdeError::expected("text", "a binary that is not UTF-8")),
            };
        }
        if let Some(text) = self.source.take_atom() {
            return visitor.visit_borrowed_str(text);
        }
        text_to(self.text("text")?, visitor)
    }

    /// The text of the next term, whatever form it has.
    fn text(&mut self, expected: &str) -> Result<Cow<'de, str>> {
        match self.next()? {
            Part::Binary(bytes) => match std::str::from_utf8(bytes) {
                Ok(text) => Ok(Cow::Borrowed(text)),
                Err(_) => Err(SerdeError::expected(expected, "a binary that is not UTF-8")),
            },
            Part::Atom(text) => Ok(text),
            Part::Nil => Ok(Cow::Borrowed("")),
            Part::Bytes(bytes) => Ok(Cow::Owned(bytes.iter().copied().map(char::from).collect())),
            Part::List(len) => {
                let mut text = String::new();
                let mut row = Row::new(len);
                while row.more(&mut self.source)? {
                    let found = match row.next(&mut self.source)? {
                        Part::Integer(value) => value,
                        other => return Err(SerdeError::expected("a character", other)),
                    };
                    let character = u32::try_from(found).ok().and_then(char::from_u32);
                    text.push(character.ok_or_else(|| SerdeError::expected("a character", found))?);
                }
                Ok(Cow::Owned(text))
            }
            other => Err(SerdeError::expected(expected, other)),
        }
    }

    /// A row of elements in a list, a tuple or a binary.
    #[inline(never)]
    fn row<V: Visitor<'de>>(&mut self, part: Part<'de>, visitor: V) -> Result<V::Value> {
        match part {
            Part::List(len) => self.elements(Row::new(len), visitor),
            Part::Bytes(bytes) => self.elements(Row::bytes(bytes), visitor),
            Part::Nil => self.elements(Row::bytes(&[]), visitor),
            Part::Tuple(arity) => self.elements(Row::tuple(arity), visitor),
            Part::Binary(bytes) => self.elements(Row::bytes(bytes), visitor),
            other => Err(SerdeError::expected("list", other)),
        }
    }

    #[inline]
    fn elements<V: Visitor<'de>>(&mut self, row: Row<'de>, visitor: V) -> Result<V::Value> {
        self.enter()?;
        let mut elements = Elements {
            inner: self,
            row,
            index: 0,
        };
        let value = visitor.visit_seq(&mut elements)?;
        let index = elements.index;
        if elements.row.more(&mut elements.inner.source)? {
            return Err(SerdeError::expected(&format!("{index} elements"), "more"));
        }
        self.leave();
        Ok(value)
    }

    /// A tuple of exactly so many elements, or with a tag before them.
    #[inline]
    fn tuple<V: Visitor<'de>>(&mut self, tag: Option<&str>, len: usize, visitor: V) -> Result<V::Value> {
        let all = len + usize::from(tag.is_some());
        let part = match self.source.take_tuple() {
            Some(arity) if arity == all => return self.parts(tag, len, visitor),
            Some(arity) => Part::Tuple(arity),
            None => self.next()?,
        };
        match part {
            Part::Tuple(arity) if arity == all => self.parts(tag, len, visitor),
            // What serde knows as an array is a tuple to it.
            part @ (Part::List(_) | Part::Bytes(_) | Part::Nil | Part::Binary(_)) if tag.is_none() => {
                self.row(part, visitor)
            }
            other => Err(SerdeError::expected(&format!("a tuple of {all}"), other)),
        }
    }

    /// The elements of a tuple, behind its tag if it is to have one.
    #[inline]
    fn parts<V: Visitor<'de>>(&mut self, tag: Option<&str>, len: usize, visitor: V) -> Result<V::Value> {
        if let Some(tag) = tag {
            self.tag(tag)?;
        }
        self.enter()?;
        let mut parts = Parts {
            inner: self,
            left: len,
            len,
        };
        let value = visitor.visit_seq(&mut parts)?;
        if parts.left > 0 {
            let read = len - parts.left;
            return Err(SerdeError::expected(&format!("{read} elements"), "more"));
        }
        self.leave();
        Ok(value)
    }

    /// The atom that a record begins with.
    fn tag(&mut self, tag: &str) -> Result<()> {
        match self.next()? {
            Part::Atom(text) if text == tag => Ok(()),
            other => Err(SerdeError::expected(&format!("atom {tag}"), other)),
        }
    }

    /// Key and value pairs, in a map, a keyword list or a proplist.
    #[inline]
    fn pairs<V: Visitor<'de>>(&mut self, form: Form<'_>, visitor: V) -> Result<V::Value> {
        match self.source.take_map() {
            Some(len) => self.map(len, form, visitor),
            None => {
                let part = self.next()?;
                self.pairs_of(part, form, visitor)
            }
        }
    }

    #[inline]
    fn map<V: Visitor<'de>>(&mut self, len: usize, form: Form<'_>, visitor: V) -> Result<V::Value> {
        self.enter()?;
        let module = if let Form::Elixir(module) = form {
            Some(module)
        } else {
            None
        };
        let mut pairs = Pairs::new(self, len, module);
        let value = visitor.visit_map(&mut pairs)?;
        pairs.finish()?;
        self.leave();
        Ok(value)
    }

    #[inline(never)]
    fn pairs_of<V: Visitor<'de>>(&mut self, part: Part<'de>, form: Form<'_>, visitor: V) -> Result<V::Value> {
        let row = match part {
            Part::Map(len) => return self.map(len, form, visitor),
            Part::Record { names, .. } => return self.record(names, visitor),
            Part::List(len) if !matches!(form, Form::Elixir(_)) => Row::new(len),
            Part::Nil if !matches!(form, Form::Elixir(_)) => Row::bytes(&[]),
            other => return Err(SerdeError::expected("map", other)),
        };
        self.enter()?;
        let mut properties = Properties::new(self, row);
        let value = visitor.visit_map(&mut properties)?;
        properties.finish()?;
        self.leave();
        Ok(value)
    }
}

/// An integer of more than 64 bits.
fn big<'de, V: Visitor<'de>>(negative: bool, magnitude: &[u8], visitor: V) -> Result<V::Value> {
    if let Some(value) = medium(negative, magnitude) {
        return match u64::try_from(value) {
            Ok(value) => visitor.visit_u64(value),
            Err(_) => visitor.visit_i128(value),
        };
    }
    let mut bytes = [0; 16];
    match bytes.get_mut(..magnitude.len()) {
        Some(slot) if !negative => {
            slot.copy_from_slice(magnitude);
            visitor.visit_u128(u128::from_le_bytes(bytes))
        }
        _ => Err(SerdeError::expected(
            "integer of at most 128 bits",
            "a larger one",
        )),
    }
}

/// Whether an atom stands for nothing.
fn is_absent(text: &str) -> bool {
    text == "nil" || text == "undefined"
}

/// A row of terms, or of small integers a byte each.
#[derive(Clone, Copy, Debug)]
pub(super) struct Row<'de> {
    left: usize,
    bytes: &'de [u8],
    kind: RowKind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum RowKind {
    Tuple,
    /// A tail follows.
    List,
    Bytes,
}

impl<'de> Row<'de> {
    pub(super) const fn new(left: usize) -> Self {
        Self {
            left,
            bytes: &[],
            kind: RowKind::List,
        }
    }

    pub(super) const fn tuple(left: usize) -> Self {
        Self {
            left,
            bytes: &[],
            kind: RowKind::Tuple,
        }
    }

    pub(super) const fn bytes(bytes: &'de [u8]) -> Self {
        Self {
            left: bytes.len(),
            bytes,
            kind: RowKind::Bytes,
        }
    }

    /// Whether there is another element. Reads the tail of a list once its elements are used up.
    #[inline]
    pub(super) fn more(&mut self, source: &mut impl Source<'de>) -> Result<bool> {
        if self.left > 0 {
            return Ok(true);
        }
        if self.kind != RowKind::List {
            return Ok(false);
        }
        if source.take_nil() {
            *self = Self::tuple(0);
            return Ok(false);
        }
        self.tail(source)
    }

    #[inline(never)]
    fn tail(&mut self, source: &mut impl Source<'de>) -> Result<bool> {
        while self.left == 0 && self.kind == RowKind::List {
            match source.next()? {
                Part::Nil => *self = Self::tuple(0),
                // A tail that is a list goes on with the same list.
                Part::List(left) => self.left = left,
                Part::Bytes(bytes) => *self = Self::bytes(bytes),
                other => {
                    return Err(SerdeError::expected(
                        "a proper list",
                        format_args!("{other} as its tail"),
                    ));
                }
            }
        }
        Ok(self.left > 0)
    }

    /// The next element of which there is one.
    pub(super) fn next(&mut self, source: &mut impl Source<'de>) -> Result<Part<'de>> {
        match self.take() {
            Some(byte) => Ok(Part::Integer(byte.into())),
            None => source.next(),
        }
    }

    /// Counts an element, and gives it if it is a byte.
    #[inline]
    pub(super) fn take(&mut self) -> Option<u8> {
        self.left = self.left.saturating_sub(1);
        if self.kind == RowKind::Bytes {
            self.bytes.split_off_first().copied()
        } else {
            None
        }
    }

    pub(super) const fn left(&self) -> usize {
        self.left
    }
}

macro_rules! integers {
    ($($method:ident)*) => {$(
        #[inline]
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
            self.integer(visitor)
        }
    )*};
}

impl<'de, S: Source<'de>> de::Deserializer<'de> for &mut Deserializer<S> {
    type Error = SerdeError;

    fn is_human_readable(&self) -> bool {
        false
    }

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        match self.next()? {
            Part::Integer(value) => visitor.visit_i64(value),
            Part::BigInteger { negative, magnitude } => big(negative, magnitude, visitor),
            Part::Float(value) => visitor.visit_f64(value),
            Part::Atom(text) => match &*text {
                "true" => visitor.visit_bool(true),
                "false" => visitor.visit_bool(false),
                text if is_absent(text) => visitor.visit_unit(),
                _ => text_to(text, visitor),
            },
            Part::Binary(bytes) => match std::str::from_utf8(bytes) {
                Ok(text) => visitor.visit_borrowed_str(text),
                Err(_) => visitor.visit_borrowed_bytes(bytes),
            },
            part @ (Part::Map(_) | Part::Record { .. }) => self.pairs_of(part, Form::Map, visitor),
            other @ Part::Other(_) => Err(SerdeError::expected("a value", other)),
            part => self.row(part, visitor),
        }
    }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        if self.source.take_word(b"true") {
            return visitor.visit_bool(true);
        }
        if self.source.take_word(b"false") {
            return visitor.visit_bool(false);
        }
        match self.next()? {
            Part::Atom(text) if text == "true" => visitor.visit_bool(true),
            Part::Atom(text) if text == "false" => visitor.visit_bool(false),
            other => Err(SerdeError::expected("true or false", other)),
        }
    }

    integers! {
        deserialize_i8 deserialize_i16 deserialize_i32 deserialize_i64 deserialize_i128
        deserialize_u8 deserialize_u16 deserialize_u32 deserialize_u64 deserialize_u128
    }

    #[inline]
    fn deserialize_f32<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        self.float(visitor)
    }

    #[inline]
    fn deserialize_f64<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        self.float(visitor)
    }

    fn deserialize_char<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        text_to(self.text("a character")?, visitor)
    }

    #[inline]
    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        self.str(visitor)
    }

    #[inline]
    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        self.str(visitor)
    }

    #[inline]
    fn deserialize_bytes<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        if let Some(bytes) = self.source.take_binary() {
            return visitor.visit_borrowed_bytes(bytes);
        }
        match self.next()? {
            Part::Binary(bytes) | Part::Bytes(bytes) => visitor.visit_borrowed_bytes(bytes),
            Part::Nil => visitor.visit_borrowed_bytes(&[]),
            other => Err(SerdeError::expected("binary", other)),
        }
    }

    #[inline]
    fn deserialize_byte_buf<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        self.deserialize_bytes(visitor)
    }

    #[inline]
    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        if self.source.take_word(b"nil") || self.source.take_word(b"undefined") {
            visitor.visit_none()
        } else if self.is_absent()? {
            self.next()?;
            visitor.visit_none()
        } else {
            visitor.visit_some(self)
        }
    }

    fn deserialize_unit<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        match self.next()? {
            Part::Atom(text) if is_absent(&text) => visitor.visit_unit(),
            Part::Tuple(0) => visitor.visit_unit(),
            other => Err(SerdeError::expected("nil", other)),
        }
    }

    fn deserialize_unit_struct<V: Visitor<'de>>(self, name: &'static str, visitor: V) -> Result<V::Value> {
        match Form::of(name) {
            Form::Map => self.tag(name)?,
            Form::Record(tag) => match self.next()? {
                Part::Tuple(1) => self.tag(tag)?,
                other => return Err(SerdeError::expected("a tuple of 1", other)),
            },
            form => {
                self.pairs(form, de::IgnoredAny)?;
            }
        }
        visitor.visit_unit()
    }

    #[inline]
    fn deserialize_newtype_struct<V: Visitor<'de>>(self, name: &'static str, visitor: V) -> Result<V::Value> {
        match (name, Form::of(name)) {
            (ATOM, _) => match self.next()? {
                Part::Atom(text) => visitor.visit_newtype_struct(CowStrDeserializer::new(text)),
                other => Err(SerdeError::expected("atom", other)),
            },
            (TERM, _) => match self.source.encoded()? {
                Cow::Borrowed(bytes) => visitor.visit_newtype_struct(BorrowedBytesDeserializer::new(bytes)),
                Cow::Owned(bytes) => visitor.visit_newtype_struct(BytesDeserializer::new(&bytes)),
            },
            (_, Form::Record(tag)) => {
                self.next_tuple(2)?;
                self.tag(tag)?;
                self.enter()?;
                let value = visitor.visit_newtype_struct(&mut *self)?;
                self.leave();
                Ok(value)
            }
            _ => visitor.visit_newtype_struct(self),
        }
    }

    #[inline]
    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        if let Some(len) = self.source.take_list() {
            return self.elements(Row::new(len), visitor);
        }
        let part = self.next()?;
        self.row(part, visitor)
    }

    #[inline]
    fn deserialize_tuple<V: Visitor<'de>>(self, len: usize, visitor: V) -> Result<V::Value> {
        self.tuple(None, len, visitor)
    }

    #[inline]
    fn deserialize_tuple_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        len: usize,
        visitor: V,
    ) -> Result<V::Value> {
        match Form::of(name) {
            Form::Record(tag) => self.tuple(Some(tag), len, visitor),
            _ => self.tuple(None, len, visitor),
        }
    }

    #[inline]
    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        self.pairs(Form::Map, visitor)
    }

    #[inline]
    fn deserialize_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value> {
        let form = Form::of(name);
        if let Form::Map | Form::Elixir(_) = form
            && let Some(len) = self.source.take_map()
        {
            return self.map(len, form, visitor);
        }
        match self.next()? {
            Part::Record { names, .. } => self.record(names, visitor),
            // A record, by its name if that does not ask for another form.
            Part::Tuple(arity)
                if arity == fields.len() + 1 && matches!(form, Form::Record(_) | Form::Map) =>
            {
                self.tag(if let Form::Record(tag) = form { tag } else { name })?;
                self.enter()?;
                let value = visitor.visit_seq(Names {
                    inner: self,
                    names: fields.iter(),
                })?;
                self.leave();
                Ok(value)
            }
            other if matches!(form, Form::Record(_)) => Err(SerdeError::expected(
                &format!("a tuple of {}", fields.len() + 1),
                other,
            )),
            part => self.pairs_of(part, form, visitor),
        }
    }

    #[inline]
    fn deserialize_enum<V: Visitor<'de>>(
        self,
        name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value> {
        if let Some(text) = self.source.take_ascii() {
            return self.variant(name, variants, text, 0, visitor);
        }
        self.any_enum(name, variants, visitor)
    }

    #[inline]
    fn deserialize_identifier<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        if let Some(text) = self.source.take_atom() {
            return visitor.visit_borrowed_str(text);
        }
        self.any_identifier(visitor)
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        self.source.skip()?;
        visitor.visit_unit()
    }
}

impl<'de, S: Source<'de>> Deserializer<S> {
    #[inline(never)]
    fn any_enum<V: Visitor<'de>>(
        &mut self,
        name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value> {
        let (tag, left) = match self.next()? {
            Part::Atom(text) => (text, 0),
            // Text for an atom, as in what other formats wrote.
            Part::Binary(bytes) => match std::str::from_utf8(bytes) {
                Ok(text) => (Cow::Borrowed(text), 0),
                Err(_) => return Err(SerdeError::expected("atom", "a binary that is not UTF-8")),
            },
            Part::Tuple(arity) if arity > 0 => match self.next()? {
                Part::Atom(text) => (text, arity - 1),
                other => return Err(SerdeError::expected("atom", other)),
            },
            other => return Err(SerdeError::expected("an atom or a tagged tuple", other)),
        };
        self.variant(name, variants, tag.as_bytes(), left, visitor)
    }

    /// The variant of an enum that a tag names, in an atom or a tuple of so many elements more.
    #[inline]
    fn variant<V: Visitor<'de>>(
        &mut self,
        name: &'static str,
        variants: &'static [&'static str],
        tag: &[u8],
        left: usize,
        visitor: V,
    ) -> Result<V::Value> {
        let tag: &[u8] = match (name, tag) {
            ("Result", b"ok") if variants.contains(&"Ok") => b"Ok",
            ("Result", b"error") if variants.contains(&"Err") => b"Err",
            _ => tag,
        };
        self.enter()?;
        let inner = &mut *self;
        let value = visitor.visit_enum(Variant { inner, tag, left });
        self.leave();
        value.map_err(|error| {
            if left > 0 {
                error.in_field(&String::from_utf8_lossy(tag))
            } else {
                error
            }
        })
    }

    #[inline(never)]
    fn any_identifier<V: Visitor<'de>>(&mut self, visitor: V) -> Result<V::Value> {
        match self.next()? {
            Part::Integer(value) => visitor.visit_i64(value),
            Part::Atom(text) => text_to(text, visitor),
            Part::Binary(bytes) => match std::str::from_utf8(bytes) {
                Ok(text) => visitor.visit_borrowed_str(text),
                Err(_) => visitor.visit_borrowed_bytes(bytes),
            },
            Part::Bytes(bytes) => visitor.visit_string(bytes.iter().copied().map(char::from).collect()),
            // A key that no field can have: known by no name.
            other => {
                self.skip_rest(&other)?;
                visitor.visit_bytes(&[])
            }
        }
    }

    fn next_tuple(&mut self, arity: usize) -> Result<()> {
        match self.next()? {
            Part::Tuple(found) if found == arity => Ok(()),
            other => Err(SerdeError::expected(&format!("a tuple of {arity}"), other)),
        }
    }

    /// The fields of a native record.
    fn record<V: Visitor<'de>>(&mut self, names: Vec<Cow<'de, str>>, visitor: V) -> Result<V::Value> {
        self.enter()?;
        let mut fields = Fields {
            inner: self,
            names: names.into_iter(),
            name: None,
        };
        let value = visitor.visit_map(&mut fields)?;
        for _ in fields.names {
            fields.inner.source.skip()?;
        }
        self.leave();
        Ok(value)
    }

    /// Steps over the parts that follow a part.
    fn skip_rest(&mut self, part: &Part<'de>) -> Result<()> {
        let parts = match part {
            Part::List(len) => len.saturating_add(1),
            Part::Tuple(arity) => *arity,
            Part::Map(len) => len.saturating_mul(2),
            Part::Record { names, .. } => names.len(),
            _ => 0,
        };
        (0..parts).try_for_each(|_| self.source.skip())
    }
}

fn text_to<'de, V: Visitor<'de>>(text: Cow<'de, str>, visitor: V) -> Result<V::Value> {
    match text {
        Cow::Borrowed(text) => visitor.visit_borrowed_str(text),
        Cow::Owned(text) => visitor.visit_string(text),
    }
}

/// The key under which an Elixir struct has its module: taken out before the fields.
pub(super) fn is_struct_key(part: &Part<'_>) -> bool {
    matches!(part, Part::Atom(text) if text == STRUCT)
}

/// The tag of a variant as a value.
pub(super) fn tag_value(tag: &[u8]) -> BytesDeserializer<'_, SerdeError> {
    BytesDeserializer::new(tag)
}
