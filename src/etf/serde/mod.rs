//! Rust types to and from terms, by serde.
//!
//! [`to_bytes`] and [`from_bytes`] go straight between Rust values and the external term format; [`to_term`] and [`from_term`]
//! between Rust values and [`Term`]s. What corresponds to what:
//!
//! | Rust | term |
//! |---|---|
//! | `bool` | `true`, `false` |
//! | integers, to 128 bits | integer |
//! | `f32`, `f64` | float (finite); an integer is taken for one too |
//! | `&str`, `String`, `char` | binary, or charlist if the [`Mapping`] says so; all of binary, charlist and atom are taken |
//! | bytes (`serde_bytes`, [`Bytes`](bytes::Bytes)) | binary |
//! | `None`, `()` | `nil`, or `undefined` if the [`Mapping`] says so; both are taken |
//! | `Some(x)` | what `x` is |
//! | `Vec`, other sequences | list |
//! | tuples and tuple structs | tuple |
//! | maps | map |
//! | structs | map with atoms as keys; taken from keyword lists, proplists, records and native records as well |
//! | unit structs | atom |
//! | `enum` variants: `A`, `B(x)`, `C(x, y)`, `D { … }` | `'A'`, `{'B', x}`, `{'C', x, y}`, `{'D', #{…}}` |
//! | `Result` | `{ok, x}`, `{error, e}`; `ok` for `Ok(())` |
//! | [`Term`], [`Atom`](crate::term::Atom), [`Pid`](crate::term::Pid), … | themselves |
//!
//! The name of a struct, given with `#[serde(rename = "…")]`, can ask for another form:
//!
//! | name | term |
//! |---|---|
//! | `"#person"` | Erlang record: `{person, Field1, …}`; so do tuple structs get a tag |
//! | `"%MyApp.User"` | Elixir struct: map with `'__struct__' => 'Elixir.MyApp.User'`, and no other is taken |
//! | `"[options]"` | keyword list: `[{field1, Value1}, …]` |
//!
//! Keys of structs that the Rust type has no field for are ignored, as serde does unless told otherwise.
//!
//! Types nest at most 128 deep in what is read: serde recurses, and input must not decide how far.

mod access;
mod de;
mod error;
mod ser;
mod source;
mod types;

pub use error::{SerdeError, SerdeErrorKind};

use super::encode::Writer;
use super::error::DecodeErrorKind;
use super::raw::{Atoms, RawTerm};
use super::tag;
use crate::term::Term;
use de::Deserializer;
use ser::Serializer;
use serde::{Deserialize, Serialize};
use source::{BytesSource, TermSource};

/// The choices that serde leaves open, for writing. Reading takes all forms.
///
/// ```
/// use beamnode::etf::{Absent, Mapping, Text};
///
/// let erlang = Mapping::new().absent(Absent::Undefined).text(Text::Charlist);
/// let term = erlang.to_term(&(None::<u8>, "hi"))?;
/// assert_eq!(format!("{term:#}"), "{undefined,\"hi\"}");
/// let bytes = erlang.to_bytes(&(None::<u8>, "hi"))?;
/// assert_eq!(beamnode::etf::decode(bytes)?, term);
/// assert_eq!(erlang.to_raw(&(None::<u8>, "hi"))?.decode()?, term);
/// # Ok::<(), beamnode::etf::SerdeError>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Mapping {
    absent: Absent,
    text: Text,
}

/// What stands for `None` and `()`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Absent {
    /// `nil`, as in Elixir.
    #[default]
    Nil,
    /// `undefined`, as in Erlang.
    Undefined,
}

/// What text is written as.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Text {
    /// Binaries.
    #[default]
    Binary,
    /// Lists of code points.
    Charlist,
}

impl Mapping {
    /// `nil` and binaries.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets what stands for `None` and `()`.
    #[must_use]
    pub const fn absent(mut self, absent: Absent) -> Self {
        self.absent = absent;
        self
    }

    /// Sets what text is written as.
    #[must_use]
    pub const fn text(mut self, text: Text) -> Self {
        self.text = text;
        self
    }

    /// Encodes a value, version byte first.
    ///
    /// # Errors
    /// As [`to_bytes`].
    pub fn to_bytes<T: Serialize + ?Sized>(self, value: &T) -> Result<Vec<u8>, SerdeError> {
        let mut writer = Writer::new();
        writer.raw(&[tag::VERSION]);
        value.serialize(&mut Serializer::new(&mut writer, self))?;
        Ok(writer.into_bytes())
    }

    /// Makes a term of a value.
    ///
    /// # Errors
    /// As [`to_bytes`].
    pub fn to_term<T: Serialize + ?Sized>(self, value: &T) -> Result<Term, SerdeError> {
        Ok(super::decode(self.to_bytes(value)?)?)
    }

    /// Encodes a value for a message of the distribution.
    ///
    /// # Errors
    /// As [`to_bytes`].
    pub fn to_raw<T: Serialize + ?Sized>(self, value: &T) -> Result<RawTerm, SerdeError> {
        let mut writer = Writer::with_atoms(&Atoms::NONE);
        value.serialize(&mut Serializer::new(&mut writer, self))?;
        let (bytes, atoms) = writer.into_parts();
        Ok(RawTerm::from_parts(bytes.into(), atoms))
    }
}

/// Encodes a value, version byte first.
///
/// # Errors
/// If the value holds something that no term can be: a float that is not finite, a name of more than 255 characters.
///
/// ```
/// use beamnode::etf;
/// use serde::Serialize;
///
/// #[derive(Serialize)]
/// #[serde(rename = "#point")]
/// struct Point {
///     x: i32,
///     y: i32,
/// }
///
/// let bytes = etf::to_bytes(&Point { x: 1, y: 2 })?;
/// assert_eq!(bytes, etf::encode(&beamnode::term!({point, 1, 2})));
/// # Ok::<(), etf::SerdeError>(())
/// ```
pub fn to_bytes<T: Serialize + ?Sized>(value: &T) -> Result<Vec<u8>, SerdeError> {
    Mapping::new().to_bytes(value)
}

/// Decodes bytes that are one term, from the version byte on, into a Rust value, with no [`Term`] between.
///
/// # Errors
/// If they are not one term, or not such a value; the error says where in the value. A compressed term has to be decoded
/// with [`decode`](super::decode()) first.
///
/// ```
/// use beamnode::{etf, term};
/// use serde::Deserialize;
///
/// #[derive(Deserialize, Debug)]
/// struct Options<'a> {
///     name: &'a str,
///     timeout: u32,
/// }
///
/// let bytes = etf::encode(&term!(#{ name => "rust", timeout => 5000 }));
/// let options: Options<'_> = etf::from_bytes(&bytes)?;
/// assert_eq!((options.name, options.timeout), ("rust", 5000));
///
/// let bytes = etf::encode(&term!([{name, "rust"}, {timeout, infinity}]));
/// let error = etf::from_bytes::<Options<'_>>(&bytes).unwrap_err();
/// assert_eq!(error.to_string(), "timeout: expected integer, found atom infinity");
/// # Ok::<(), etf::SerdeError>(())
/// ```
pub fn from_bytes<'de, T: Deserialize<'de>>(bytes: &'de [u8]) -> Result<T, SerdeError> {
    match bytes {
        [tag::VERSION, tag::COMPRESSED | tag::LOCAL, ..] => return Err(SerdeErrorKind::Compressed.into()),
        [tag::VERSION, ..] => {}
        [] => return Err(DecodeErrorKind::Truncated.at(0).into()),
        _ => return Err(DecodeErrorKind::NoVersion.at(0).into()),
    }
    let mut deserializer = Deserializer::new(BytesSource::new(bytes, 1, &[]));
    let value = T::deserialize(&mut deserializer)?;
    let end = deserializer.source.position();
    if end < bytes.len() {
        return Err(DecodeErrorKind::TrailingBytes.at(end).into());
    }
    Ok(value)
}

/// Makes a term of a value.
///
/// # Errors
/// As [`to_bytes`].
///
/// ```
/// use beamnode::etf;
///
/// assert_eq!(etf::to_term(&Ok::<_, ()>(vec![1, 2]))?.to_string(), "{ok,[1,2]}");
/// # Ok::<(), etf::SerdeError>(())
/// ```
pub fn to_term<T: Serialize + ?Sized>(value: &T) -> Result<Term, SerdeError> {
    Mapping::new().to_term(value)
}

/// Takes a value from a term.
///
/// # Errors
/// If the term is not such a value; the error says where in the value.
///
/// ```
/// use beamnode::{etf, term};
///
/// let reply: Result<Vec<u64>, String> = etf::from_term(&term!({error, noproc}))?;
/// assert_eq!(reply, Err("noproc".to_owned()));
/// # Ok::<(), etf::SerdeError>(())
/// ```
pub fn from_term<'de, T: Deserialize<'de>>(term: &'de Term) -> Result<T, SerdeError> {
    T::deserialize(&mut Deserializer::new(TermSource::new(term)))
}

impl RawTerm {
    /// Takes a value from the term, with no [`Term`] between. Bytes after the term are ignored.
    ///
    /// # Errors
    /// If the bytes are not a term, or not such a value.
    ///
    /// ```
    /// use beamnode::etf::RawTerm;
    /// use beamnode::term;
    ///
    /// let raw = RawTerm::from(term!({ok, "text"}));
    /// let value: Result<&str, ()> = raw.deserialize()?;
    /// assert_eq!(value, Ok("text"));
    /// # Ok::<(), beamnode::etf::SerdeError>(())
    /// ```
    pub fn deserialize<'de, T: Deserialize<'de>>(&'de self) -> Result<T, SerdeError> {
        let source = BytesSource::new(self.bytes(), 0, self.atoms());
        T::deserialize(&mut Deserializer::new(source))
    }

    /// Encodes a value.
    ///
    /// # Errors
    /// As [`to_bytes`].
    ///
    /// ```
    /// use beamnode::etf::RawTerm;
    ///
    /// let raw = RawTerm::serialize(&(1, "text"))?;
    /// assert_eq!(raw.deserialize::<(i32, String)>()?, (1, "text".to_owned()));
    /// # Ok::<(), beamnode::etf::SerdeError>(())
    /// ```
    pub fn serialize<T: Serialize + ?Sized>(value: &T) -> Result<Self, SerdeError> {
        Mapping::new().to_raw(value)
    }
}

/// How deep values nest at most.
const MAX_DEPTH: u32 = 128;

/// What the name of a struct asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form<'a> {
    Map,
    /// With this tag.
    Record(&'a str),
    /// With this module, without `Elixir.`.
    Elixir(&'a str),
    Keyword,
}

impl<'a> Form<'a> {
    fn of(name: &'a str) -> Self {
        if let Some(tag) = name.strip_prefix('#') {
            Self::Record(tag)
        } else if let Some(module) = name.strip_prefix('%') {
            Self::Elixir(module)
        } else if name.starts_with('[') {
            Self::Keyword
        } else {
            Self::Map
        }
    }
}

/// The key that an Elixir struct has its module under.
const STRUCT: &str = "__struct__";

/// The names of the newtypes by which our own types are known to our own serializer and deserializer.
const TERM: &str = "$beamnode::Term";
const ATOM: &str = "$beamnode::Atom";

#[cfg(test)]
mod tests;
