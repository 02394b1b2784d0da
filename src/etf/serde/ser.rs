//! Rust values to bytes.

use super::error::{SerdeError, SerdeErrorKind};
use super::{ATOM, Absent, Form, Mapping, STRUCT, TERM, Text};
use crate::etf::encode::Writer;
use crate::term::is_short_enough;
use serde::ser::{self, Impossible, Serialize};

type Result<T> = std::result::Result<T, SerdeError>;

/// Writes a value as a term.
pub(super) struct Serializer<'w> {
    writer: &'w mut Writer,
    mapping: Mapping,
    /// Where the last `()` was written.
    unit: Option<usize>,
}

impl<'w> Serializer<'w> {
    pub(super) const fn new(writer: &'w mut Writer, mapping: Mapping) -> Self {
        Self {
            writer,
            mapping,
            unit: None,
        }
    }

    fn atom(&mut self, text: &str) -> Result<()> {
        if !is_short_enough(text) {
            return Err(SerdeErrorKind::NameTooLong.into());
        }
        self.writer.atom(text);
        Ok(())
    }

    fn absent(&mut self) {
        self.writer.atom(match self.mapping.absent {
            Absent::Nil => "nil",
            Absent::Undefined => "undefined",
        });
    }

    /// Begins a list or map whose length may not be known yet; the last argument writes its head.
    fn open(&mut self, len: Option<usize>, head: impl FnOnce(&mut Writer, u32)) -> Row<'_, 'w> {
        let start = self.writer.len();
        let len = len.filter(|len| *len > 0).map_or(u32::MAX, count);
        head(self.writer, len);
        Row {
            serializer: self,
            start,
            claimed: len,
            index: 0,
            kind: Kind::List,
            form: Form::Map,
        }
    }

    fn tuple(&mut self, tag: Option<&str>, len: usize) -> Result<Row<'_, 'w>> {
        let start = self.writer.len();
        self.writer.tuple(count(len + usize::from(tag.is_some())));
        if let Some(tag) = tag {
            self.atom(tag)?;
        }
        let claimed = count(len);
        Ok(Row {
            serializer: self,
            start,
            claimed,
            index: 0,
            kind: Kind::Tuple,
            form: Form::Map,
        })
    }

    fn fields(&mut self, form: Form<'static>, len: usize) -> Result<Row<'_, 'w>> {
        let start = self.writer.len();
        match form {
            Form::Map => self.writer.map(count(len)),
            Form::Keyword => self.writer.list(count(len)),
            Form::Record(tag) => {
                self.writer.tuple(count(len + 1));
                self.atom(tag)?;
            }
            Form::Elixir(module) => {
                self.writer.map(count(len + 1));
                self.writer.atom(STRUCT);
                self.atom(&format!("Elixir.{module}"))?;
            }
        }
        let claimed = count(len);
        Ok(Row {
            serializer: self,
            start,
            claimed,
            index: 0,
            kind: Kind::Fields,
            form,
        })
    }
}

/// Writes an integer of more than 64 bits.
fn wide(writer: &mut Writer, negative: bool, magnitude: u128) {
    let len = 16 - magnitude.leading_zeros() as usize / 8;
    let bytes = magnitude.to_le_bytes();
    writer.big(negative, bytes.get(..len).unwrap_or(&bytes));
}

fn count(len: usize) -> u32 {
    u32::try_from(len).unwrap_or(u32::MAX)
}

/// Erlang's word for a variant of `Result`.
fn variant(name: &str, variant: &'static str) -> &'static str {
    match (name, variant) {
        ("Result", "Ok") => "ok",
        ("Result", "Err") => "error",
        _ => variant,
    }
}

/// A compound that is being written.
pub(super) struct Row<'s, 'w> {
    serializer: &'s mut Serializer<'w>,
    start: usize,
    /// How many parts the head claims, to be put right if there turn out to be others.
    claimed: u32,
    index: usize,
    kind: Kind,
    form: Form<'static>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    List,
    Tuple,
    Map,
    Fields,
}

impl Row<'_, '_> {
    fn element<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<()> {
        let index = self.index;
        self.index += 1;
        value
            .serialize(&mut *self.serializer)
            .map_err(|error| error.at_index(index))
    }

    fn field<T: Serialize + ?Sized>(&mut self, name: &'static str, value: &T) -> Result<()> {
        self.index += 1;
        match self.form {
            Form::Record(_) => {}
            Form::Keyword => {
                self.serializer.writer.tuple(2);
                self.serializer.atom(name)?;
            }
            Form::Map | Form::Elixir(_) => self.serializer.atom(name)?,
        }
        value
            .serialize(&mut *self.serializer)
            .map_err(|error| error.in_field(name))
    }

    fn finish(self) -> Result<()> {
        let writer = &mut *self.serializer.writer;
        match self.kind {
            Kind::List if self.index == 0 => {
                writer.truncate(self.start);
                writer.nil();
            }
            Kind::List => {
                writer.nil();
                if self.claimed != count(self.index) {
                    writer.set_length(self.start, count(self.index));
                }
                writer.compact_string(self.start, self.index);
            }
            Kind::Map if self.claimed != count(self.index) => {
                writer.set_length(self.start, count(self.index));
            }
            Kind::Fields if self.form == Form::Keyword => writer.nil(),
            Kind::Map | Kind::Tuple | Kind::Fields => {}
        }
        Ok(())
    }
}

impl<'s, 'w> ser::Serializer for &'s mut Serializer<'w> {
    type Ok = ();
    type Error = SerdeError;
    type SerializeSeq = Row<'s, 'w>;
    type SerializeTuple = Row<'s, 'w>;
    type SerializeTupleStruct = Row<'s, 'w>;
    type SerializeTupleVariant = Row<'s, 'w>;
    type SerializeMap = Row<'s, 'w>;
    type SerializeStruct = Row<'s, 'w>;
    type SerializeStructVariant = Row<'s, 'w>;

    fn is_human_readable(&self) -> bool {
        false
    }

    fn serialize_bool(self, value: bool) -> Result<()> {
        self.writer.atom(if value { "true" } else { "false" });
        Ok(())
    }

    fn serialize_i8(self, value: i8) -> Result<()> {
        self.serialize_i64(value.into())
    }

    fn serialize_i16(self, value: i16) -> Result<()> {
        self.serialize_i64(value.into())
    }

    fn serialize_i32(self, value: i32) -> Result<()> {
        self.serialize_i64(value.into())
    }

    fn serialize_i64(self, value: i64) -> Result<()> {
        self.writer.integer(value);
        Ok(())
    }

    fn serialize_i128(self, value: i128) -> Result<()> {
        match i64::try_from(value) {
            Ok(value) => self.writer.integer(value),
            Err(_) => wide(self.writer, value < 0, value.unsigned_abs()),
        }
        Ok(())
    }

    fn serialize_u8(self, value: u8) -> Result<()> {
        self.serialize_i64(value.into())
    }

    fn serialize_u16(self, value: u16) -> Result<()> {
        self.serialize_i64(value.into())
    }

    fn serialize_u32(self, value: u32) -> Result<()> {
        self.serialize_i64(value.into())
    }

    fn serialize_u64(self, value: u64) -> Result<()> {
        self.writer.unsigned(value);
        Ok(())
    }

    fn serialize_u128(self, value: u128) -> Result<()> {
        match u64::try_from(value) {
            Ok(value) => self.writer.unsigned(value),
            Err(_) => wide(self.writer, false, value),
        }
        Ok(())
    }

    fn serialize_f32(self, value: f32) -> Result<()> {
        self.serialize_f64(value.into())
    }

    fn serialize_f64(self, value: f64) -> Result<()> {
        if !value.is_finite() {
            return Err(SerdeErrorKind::NotFinite(value).into());
        }
        self.writer.float(value);
        Ok(())
    }

    fn serialize_char(self, value: char) -> Result<()> {
        self.serialize_str(value.encode_utf8(&mut [0; 4]))
    }

    fn serialize_str(self, value: &str) -> Result<()> {
        match self.mapping.text {
            Text::Binary => self.writer.binary(value.as_bytes()),
            Text::Charlist => self.writer.charlist(value),
        }
        Ok(())
    }

    fn serialize_bytes(self, value: &[u8]) -> Result<()> {
        self.writer.binary(value);
        Ok(())
    }

    fn serialize_none(self) -> Result<()> {
        self.absent();
        Ok(())
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<()> {
        value.serialize(self)
    }

    fn serialize_unit(self) -> Result<()> {
        self.unit = Some(self.writer.len());
        self.absent();
        Ok(())
    }

    fn serialize_unit_struct(self, name: &'static str) -> Result<()> {
        match Form::of(name) {
            Form::Record(tag) => {
                self.writer.tuple(1);
                self.atom(tag)
            }
            Form::Map => self.atom(name),
            form => self.fields(form, 0)?.finish(),
        }
    }

    fn serialize_unit_variant(self, name: &'static str, _: u32, name_of: &'static str) -> Result<()> {
        self.atom(variant(name, name_of))
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(self, name: &'static str, value: &T) -> Result<()> {
        match (name, Form::of(name)) {
            (ATOM | TERM, _) => value.serialize(Special {
                writer: self.writer,
                atom: name == ATOM,
            }),
            (_, Form::Record(tag)) => {
                let mut row = self.tuple(Some(tag), 1)?;
                row.element(value)?;
                row.finish()
            }
            _ => value.serialize(self),
        }
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        name: &'static str,
        _: u32,
        name_of: &'static str,
        value: &T,
    ) -> Result<()> {
        let start = self.writer.len();
        let tag = variant(name, name_of);
        self.writer.tuple(2);
        self.atom(tag)?;
        let inner = self.writer.len();
        value.serialize(&mut *self).map_err(|error| error.in_field(tag))?;
        if name == "Result" && tag == "ok" && self.unit == Some(inner) {
            // `Ok(())` is `ok`.
            self.writer.truncate(start);
            self.writer.atom(tag);
        }
        Ok(())
    }

    fn serialize_seq(self, len: Option<usize>) -> Result<Row<'s, 'w>> {
        Ok(self.open(len, Writer::list))
    }

    fn serialize_tuple(self, len: usize) -> Result<Row<'s, 'w>> {
        self.tuple(None, len)
    }

    fn serialize_tuple_struct(self, name: &'static str, len: usize) -> Result<Row<'s, 'w>> {
        match Form::of(name) {
            Form::Record(tag) => self.tuple(Some(tag), len),
            _ => self.tuple(None, len),
        }
    }

    fn serialize_tuple_variant(
        self,
        name: &'static str,
        _: u32,
        name_of: &'static str,
        len: usize,
    ) -> Result<Row<'s, 'w>> {
        self.tuple(Some(variant(name, name_of)), len)
    }

    fn serialize_map(self, len: Option<usize>) -> Result<Row<'s, 'w>> {
        Ok(Row {
            kind: Kind::Map,
            ..self.open(len, Writer::map)
        })
    }

    fn serialize_struct(self, name: &'static str, len: usize) -> Result<Row<'s, 'w>> {
        self.fields(Form::of(name), len)
    }

    fn serialize_struct_variant(
        self,
        name: &'static str,
        _: u32,
        name_of: &'static str,
        len: usize,
    ) -> Result<Row<'s, 'w>> {
        self.writer.tuple(2);
        self.atom(variant(name, name_of))?;
        self.fields(Form::Map, len)
    }
}

macro_rules! elements {
    ($($trait:ident $method:ident;)*) => {$(
        impl ser::$trait for Row<'_, '_> {
            type Ok = ();
            type Error = SerdeError;

            fn $method<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<()> {
                self.element(value)
            }

            fn end(self) -> Result<()> {
                self.finish()
            }
        }
    )*};
}

elements! {
    SerializeSeq serialize_element;
    SerializeTuple serialize_element;
    SerializeTupleStruct serialize_field;
    SerializeTupleVariant serialize_field;
}

macro_rules! fields {
    ($($trait:ident;)*) => {$(
        impl ser::$trait for Row<'_, '_> {
            type Ok = ();
            type Error = SerdeError;

            fn serialize_field<T: Serialize + ?Sized>(&mut self, name: &'static str, value: &T) -> Result<()> {
                self.field(name, value)
            }

            fn skip_field(&mut self, _: &'static str) -> Result<()> {
                // A record has a place for each of its fields.
                if matches!(self.form, Form::Record(_)) {
                    self.serializer.absent();
                }
                Ok(())
            }

            fn end(self) -> Result<()> {
                self.finish()
            }
        }
    )*};
}

fields! {
    SerializeStruct;
    SerializeStructVariant;
}

impl ser::SerializeMap for Row<'_, '_> {
    type Ok = ();
    type Error = SerdeError;

    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Result<()> {
        self.index += 1;
        key.serialize(&mut *self.serializer)
    }

    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<()> {
        let index = self.index - 1;
        value
            .serialize(&mut *self.serializer)
            .map_err(|error| error.at_index(index))
    }

    fn end(self) -> Result<()> {
        self.finish()
    }
}

/// Writes our own types: atoms from their text, other terms from their bytes.
struct Special<'w> {
    writer: &'w mut Writer,
    atom: bool,
}

macro_rules! refuse {
    ($($method:ident $type:ty;)*) => {$(
        fn $method(self, _: $type) -> Result<()> {
            Err(ser::Error::custom("not one of our own types"))
        }
    )*};
}

impl ser::Serializer for Special<'_> {
    type Ok = ();
    type Error = SerdeError;
    type SerializeSeq = Impossible<(), SerdeError>;
    type SerializeTuple = Impossible<(), SerdeError>;
    type SerializeTupleStruct = Impossible<(), SerdeError>;
    type SerializeTupleVariant = Impossible<(), SerdeError>;
    type SerializeMap = Impossible<(), SerdeError>;
    type SerializeStruct = Impossible<(), SerdeError>;
    type SerializeStructVariant = Impossible<(), SerdeError>;

    fn serialize_str(self, text: &str) -> Result<()> {
        if self.atom && is_short_enough(text) {
            self.writer.atom(text);
            return Ok(());
        }
        Err(SerdeErrorKind::NameTooLong.into())
    }

    fn serialize_bytes(self, bytes: &[u8]) -> Result<()> {
        self.writer.raw(bytes);
        Ok(())
    }

    refuse! {
        serialize_bool bool;
        serialize_i8 i8;
        serialize_i16 i16;
        serialize_i32 i32;
        serialize_i64 i64;
        serialize_u8 u8;
        serialize_u16 u16;
        serialize_u32 u32;
        serialize_u64 u64;
        serialize_f32 f32;
        serialize_f64 f64;
        serialize_char char;
        serialize_unit_struct &'static str;
    }

    fn serialize_none(self) -> Result<()> {
        Err(ser::Error::custom("not one of our own types"))
    }

    fn serialize_some<T: Serialize + ?Sized>(self, _: &T) -> Result<()> {
        self.serialize_none()
    }

    fn serialize_unit(self) -> Result<()> {
        self.serialize_none()
    }

    fn serialize_unit_variant(self, _: &'static str, _: u32, _: &'static str) -> Result<()> {
        self.serialize_none()
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(self, _: &'static str, _: &T) -> Result<()> {
        self.serialize_none()
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        _: &T,
    ) -> Result<()> {
        self.serialize_none()
    }

    fn serialize_seq(self, _: Option<usize>) -> Result<Self::SerializeSeq> {
        Err(ser::Error::custom("not one of our own types"))
    }

    fn serialize_tuple(self, _: usize) -> Result<Self::SerializeTuple> {
        self.serialize_seq(None)
    }

    fn serialize_tuple_struct(self, _: &'static str, _: usize) -> Result<Self::SerializeTupleStruct> {
        self.serialize_seq(None)
    }

    fn serialize_tuple_variant(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        _: usize,
    ) -> Result<Self::SerializeTupleVariant> {
        self.serialize_seq(None)
    }

    fn serialize_map(self, _: Option<usize>) -> Result<Self::SerializeMap> {
        self.serialize_seq(None)
    }

    fn serialize_struct(self, _: &'static str, _: usize) -> Result<Self::SerializeStruct> {
        self.serialize_seq(None)
    }

    fn serialize_struct_variant(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        _: usize,
    ) -> Result<Self::SerializeStructVariant> {
        self.serialize_seq(None)
    }
}
