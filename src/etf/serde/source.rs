//! Where a value is read from: bytes, or the parts of a term.

use super::error::SerdeError;
use crate::etf::error::{DecodeError, DecodeErrorKind};
use crate::etf::scan::{byte, chunk, scan, word};
use crate::etf::view::{AtomRef, TermRef, View};
use crate::etf::{RawTerm, tag};
use crate::term::walk::{Cursor, Item};
use crate::term::{Atom, Term};
use bytes::Bytes;
use std::borrow::Cow;
use std::fmt;

/// One part of a term, as far as serde has a use for it.
#[derive(Clone, Debug)]
pub(super) enum Part<'de> {
    Integer(i64),
    BigInteger {
        negative: bool,
        magnitude: Cow<'de, [u8]>,
    },
    Float(f64),
    Atom(Cow<'de, str>),
    Nil,
    /// A list of small integers, not empty.
    Bytes(&'de [u8]),
    /// So many elements and then a tail follow.
    List(usize),
    Tuple(usize),
    /// So many pairs follow.
    Map(usize),
    Binary(&'de [u8]),
    /// The names of as many fields; their values follow.
    Record {
        names: Vec<Cow<'de, str>>,
    },
    /// What serde has no word for.
    Other(&'static str),
}

impl fmt::Display for Part<'_> {
    /// What an error says was found.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Integer(value) => write!(f, "integer {value}"),
            Self::BigInteger { .. } => f.write_str("an integer of more than 64 bits"),
            Self::Float(value) => write!(f, "float {}", Term::from(*value)),
            Self::Atom(text) => match Atom::new(text) {
                Ok(atom) => write!(f, "atom {atom}"),
                Err(_) => f.write_str("an atom"),
            },
            Self::Nil => f.write_str("an empty list"),
            Self::Bytes(_) | Self::List(_) => f.write_str("a list"),
            Self::Tuple(arity) => write!(f, "a tuple of {arity}"),
            Self::Map(_) => f.write_str("a map"),
            Self::Binary(bytes) => match std::str::from_utf8(bytes) {
                Ok(text) if text.chars().count() <= 32 => write!(f, "binary {text:?}"),
                _ => write!(f, "a binary of {} bytes", bytes.len()),
            },
            Self::Record { .. } => f.write_str("a native record"),
            Self::Other(what) => f.write_str(what),
        }
    }
}

/// What a value is read from, part by part in preorder.
pub(super) trait Source<'de> {
    /// The next part.
    fn next(&mut self) -> Result<Part<'de>, SerdeError>;

    /// The next part, which stays.
    fn peek(&self) -> Result<Part<'de>, SerdeError>;

    /// The whole next term, decoded.
    fn term(&mut self) -> Result<Term, SerdeError>;

    /// Steps over the whole next term.
    fn skip(&mut self) -> Result<(), SerdeError>;
}

/// Bytes and the atoms that they refer to.
#[derive(Clone, Copy, Debug)]
pub(super) struct BytesSource<'de> {
    input: &'de [u8],
    rest: &'de [u8],
    atoms: &'de [Atom],
}

impl<'de> BytesSource<'de> {
    pub(super) fn new(input: &'de [u8], start: usize, atoms: &'de [Atom]) -> Self {
        Self {
            input,
            rest: input.get(start..).unwrap_or_default(),
            atoms,
        }
    }

    pub(super) const fn position(&self) -> usize {
        self.input.len() - self.rest.len()
    }

    fn error(&self, kind: DecodeErrorKind, part: usize) -> DecodeError {
        match kind {
            DecodeErrorKind::Truncated => kind.at(self.input.len()),
            kind => kind.at(self.input.len() - part),
        }
    }

    /// The parts that are most of what there is.
    #[inline]
    fn common(&mut self) -> Result<Option<Part<'de>>, DecodeErrorKind> {
        let before = self.rest;
        let rest = &mut self.rest;
        Ok(Some(match byte(rest)? {
            tag::SMALL_INTEGER => Part::Integer(byte(rest)?.into()),
            tag::INTEGER => Part::Integer(i32::from_be_bytes(chunk(rest)?).into()),
            tag::SMALL_ATOM_UTF8 => {
                let len = byte(rest)?;
                let bytes = rest
                    .split_off(..usize::from(len))
                    .ok_or(DecodeErrorKind::Truncated)?;
                let text = std::str::from_utf8(bytes).map_err(|_| DecodeErrorKind::AtomNotUtf8)?;
                Part::Atom(Cow::Borrowed(text))
            }
            tag::BINARY => {
                let len = word(rest)?;
                Part::Binary(rest.split_off(..len).ok_or(DecodeErrorKind::Truncated)?)
            }
            tag::NIL => Part::Nil,
            tag::SMALL_TUPLE => Part::Tuple(byte(rest)?.into()),
            tag::LIST => match word(rest)? {
                0 => return self.common(),
                len => Part::List(len),
            },
            tag::MAP => Part::Map(word(rest)?),
            tag::NEW_FLOAT => {
                let value = f64::from_be_bytes(chunk(rest)?);
                if !value.is_finite() {
                    return Err(DecodeErrorKind::BadFloat);
                }
                Part::Float(value)
            }
            tag::STRING => {
                let len = u16::from_be_bytes(chunk(rest)?);
                let bytes = rest
                    .split_off(..usize::from(len))
                    .ok_or(DecodeErrorKind::Truncated)?;
                if bytes.is_empty() {
                    Part::Nil
                } else {
                    Part::Bytes(bytes)
                }
            }
            _ => {
                self.rest = before;
                return Ok(None);
            }
        }))
    }

    /// All others: looked at as a whole first.
    fn rare(&mut self) -> Result<Part<'de>, DecodeError> {
        let end = scan(self.input, self.position(), self.atoms.len(), |_, _| {})?;
        let term = TermRef::checked(self.rest, self.atoms);
        // A leaf ends where the term does; of the others the parts follow.
        let after = self.input.get(end..).unwrap_or_default();
        Ok(match term.view() {
            View::Integer(value) => {
                self.rest = after;
                Part::Integer(value)
            }
            View::BigInteger(value) => {
                self.rest = after;
                Part::BigInteger {
                    negative: value.negative,
                    magnitude: Cow::Borrowed(value.magnitude),
                }
            }
            View::Float(value) => {
                self.rest = after;
                Part::Float(value)
            }
            View::Atom(atom) => {
                self.rest = after;
                Part::Atom(match atom.as_str() {
                    Some(text) => Cow::Borrowed(text),
                    None => Cow::Owned(atom.to_atom().as_str().to_owned()),
                })
            }
            View::Binary(bytes) => {
                self.rest = after;
                Part::Binary(bytes)
            }
            View::Tuple(elements) => {
                let arity = elements.size_hint().0;
                self.rest = elements.rest();
                Part::Tuple(arity)
            }
            View::Record(record) => {
                self.rest = record.values.rest();
                let text = |atom: AtomRef<'de>| match atom.as_str() {
                    Some(text) => Cow::Borrowed(text),
                    None => Cow::Owned(atom.to_atom().as_str().to_owned()),
                };
                let names = record.fields().map(|(name, _)| text(name)).collect();
                Part::Record { names }
            }
            other => {
                self.rest = after;
                Part::Other(match other {
                    View::Reference(_) => "a reference",
                    View::Fun(_) => "a fun",
                    View::Port(_) => "a port",
                    View::Pid(_) => "a pid",
                    _ => "a bit string",
                })
            }
        })
    }
}

impl<'de> Source<'de> for BytesSource<'de> {
    fn next(&mut self) -> Result<Part<'de>, SerdeError> {
        let part = self.rest.len();
        match self.common() {
            Ok(Some(part)) => Ok(part),
            Ok(None) => Ok(self.rare()?),
            Err(kind) => Err(self.error(kind, part).into()),
        }
    }

    fn peek(&self) -> Result<Part<'de>, SerdeError> {
        let mut ahead = *self;
        ahead.next()
    }

    fn term(&mut self) -> Result<Term, SerdeError> {
        let start = self.position();
        self.skip()?;
        let bytes = self.input.get(start..self.position()).unwrap_or_default();
        let raw = RawTerm::from_parts(
            Bytes::copy_from_slice(bytes),
            self.atoms.iter().cloned().collect(),
        );
        raw.decode()
            .map_err(|error| error.kind.at(start + error.offset).into())
    }

    fn skip(&mut self) -> Result<(), SerdeError> {
        let end = scan(self.input, self.position(), self.atoms.len(), |_, _| {})?;
        self.rest = self.input.get(end..).unwrap_or_default();
        Ok(())
    }
}

/// A term.
#[derive(Clone, Debug)]
pub(super) struct TermSource<'de>(Cursor<'de>);

impl<'de> TermSource<'de> {
    pub(super) const fn new(term: &'de Term) -> Self {
        Self(Cursor::new(term))
    }
}

impl<'de> Source<'de> for TermSource<'de> {
    fn next(&mut self) -> Result<Part<'de>, SerdeError> {
        Ok(match self.0.next().unwrap_or(Item::Nil) {
            Item::Integer(value) => Part::Integer(value),
            Item::BigInteger { negative, magnitude } => Part::BigInteger {
                negative,
                magnitude: Cow::Borrowed(magnitude),
            },
            Item::Float(value) => Part::Float(value),
            Item::Atom(text) => Part::Atom(Cow::Borrowed(text)),
            Item::Nil => Part::Nil,
            Item::Bytes(bytes) => Part::Bytes(bytes),
            Item::Binary(bytes) => Part::Binary(bytes),
            Item::List(len) => Part::List(len as usize),
            Item::Tuple(arity) => Part::Tuple(arity as usize),
            Item::Map(len) => Part::Map(len as usize),
            Item::Record { fields, .. } => {
                let names = (0..fields).map(|_| match self.0.next() {
                    Some(Item::Atom(name)) => Cow::Borrowed(name),
                    _ => Cow::Borrowed(""),
                });
                Part::Record {
                    names: names.collect(),
                }
            }
            Item::BitString { .. } => Part::Other("a bit string"),
            Item::Pid(_) => Part::Other("a pid"),
            Item::Port { .. } => Part::Other("a port"),
            Item::Reference { .. } => Part::Other("a reference"),
            Item::Export { .. } => Part::Other("a fun"),
            Item::Fun(fun) => {
                (0..fun.free).for_each(|_| self.0.skip());
                Part::Other("a fun")
            }
        })
    }

    fn peek(&self) -> Result<Part<'de>, SerdeError> {
        self.clone().next()
    }

    fn term(&mut self) -> Result<Term, SerdeError> {
        Ok(self.0.take_term())
    }

    fn skip(&mut self) -> Result<(), SerdeError> {
        self.0.skip();
        Ok(())
    }
}

/// What an error says of a term that was found.
pub(super) fn describe(term: &Term) -> String {
    TermSource::new(term)
        .next()
        .map_or_else(|_| "a term".to_owned(), |part| part.to_string())
}
