//! Where a value is read from: bytes, or the parts of a term.

use super::error::SerdeError;
use crate::etf::error::{DecodeError, DecodeErrorKind};
use crate::etf::scan::{atom_bytes, byte, chunk, scan, word};
use crate::etf::view::{AtomRef, TermRef, View};
use crate::etf::{Atoms, RawTerm, Writer, tag};
use crate::term::number::{small, trim};
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
        magnitude: &'de [u8],
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
///
/// Beside [`next`](Source::next), which takes whatever comes, there are ways to take what is most of what there is if it comes next: they are what
/// makes reading straight from bytes fast, and a source may do without.
pub(super) trait Source<'de> {
    /// A place to come back to.
    type Mark: Clone;

    /// The next part.
    fn next(&mut self) -> Result<Part<'de>, SerdeError>;

    /// Where it is now.
    fn mark(&self) -> Self::Mark;

    /// The part at a place where it has been.
    fn part_at(&self, mark: &Self::Mark) -> Result<Part<'de>, SerdeError>;

    /// The next part, which stays.
    fn peek(&self) -> Result<Part<'de>, SerdeError> {
        self.part_at(&self.mark())
    }

    /// The whole next term, encoded without version byte and without references to atoms of a table.
    fn encoded(&mut self) -> Result<Cow<'de, [u8]>, SerdeError>;

    /// Steps over the whole next term.
    fn skip(&mut self) -> Result<(), SerdeError>;

    /// Takes an integer that fits.
    #[inline]
    fn take_integer(&mut self) -> Option<i64> {
        None
    }

    /// Takes a float.
    #[inline]
    fn take_float(&mut self) -> Option<f64> {
        None
    }

    /// Takes a binary.
    #[inline]
    fn take_binary(&mut self) -> Option<&'de [u8]> {
        None
    }

    /// Takes an atom.
    #[inline]
    fn take_atom(&mut self) -> Option<&'de str> {
        None
    }

    /// Takes the atom with this text.
    #[inline]
    fn take_word(&mut self, _: &[u8]) -> bool {
        false
    }

    /// Takes an atom that is ASCII.
    #[inline]
    fn take_ascii(&mut self) -> Option<&'de [u8]> {
        None
    }

    /// Takes the head of a tuple.
    #[inline]
    fn take_tuple(&mut self) -> Option<usize> {
        None
    }

    /// Takes the head of a list that is not empty.
    #[inline]
    fn take_list(&mut self) -> Option<usize> {
        None
    }

    /// Takes the head of a map.
    #[inline]
    fn take_map(&mut self) -> Option<usize> {
        None
    }

    /// Takes nil.
    #[inline]
    fn take_nil(&mut self) -> bool {
        false
    }

    /// Whether the next part is certainly no atom.
    #[inline]
    fn is_no_atom(&self) -> bool {
        false
    }
}

/// Bytes and the atoms that they refer to.
#[derive(Clone, Copy, Debug)]
pub(super) struct BytesSource<'de> {
    rest: &'de [u8],
    input: &'de [u8],
    atoms: &'de [Atom],
}

impl<'de> BytesSource<'de> {
    pub(super) fn new(input: &'de [u8], start: usize, atoms: &'de [Atom]) -> Self {
        Self {
            rest: input.get(start..).unwrap_or_default(),
            input,
            atoms,
        }
    }

    pub(super) const fn position(&self) -> usize {
        self.input.len() - self.rest.len()
    }

    #[cold]
    fn error(&self, kind: DecodeErrorKind, part: usize) -> SerdeError {
        let offset = match kind {
            DecodeErrorKind::Truncated => self.input.len(),
            _ => self.input.len() - part,
        };
        kind.at(offset).into()
    }

    /// The parts that can be told without looking at what they hold.
    fn common(&mut self) -> Result<Option<Part<'de>>, DecodeErrorKind> {
        // A list of no elements is what stands in the place of its tail.
        while let [tag::LIST, 0, 0, 0, 0, rest @ ..] = self.rest {
            self.rest = rest;
        }
        let before = self.rest;
        let rest = &mut self.rest;
        Ok(Some(match byte(rest)? {
            tag::SMALL_INTEGER => Part::Integer(byte(rest)?.into()),
            tag::INTEGER => Part::Integer(i32::from_be_bytes(chunk(rest)?).into()),
            tag @ (tag::SMALL_ATOM_UTF8 | tag::ATOM_UTF8 | tag::ATOM | tag::SMALL_ATOM) => {
                let (bytes, latin1) = atom_bytes(tag, rest)?;
                Part::Atom(if latin1 {
                    Cow::Owned(bytes.iter().copied().map(char::from).collect())
                } else {
                    Cow::Borrowed(std::str::from_utf8(bytes).map_err(|_| DecodeErrorKind::AtomNotUtf8)?)
                })
            }
            tag::ATOM_CACHE_REF => {
                let index = byte(rest)?;
                let atom = self.atoms.get(usize::from(index));
                Part::Atom(Cow::Borrowed(
                    atom.ok_or(DecodeErrorKind::NoSuchAtom(index))?.as_str(),
                ))
            }
            tag::BINARY => {
                let len = word(rest)?;
                Part::Binary(rest.split_off(..len).ok_or(DecodeErrorKind::Truncated)?)
            }
            tag::NIL => Part::Nil,
            tag::SMALL_TUPLE => Part::Tuple(byte(rest)?.into()),
            tag::LARGE_TUPLE => Part::Tuple(word(rest)?),
            tag::LIST => Part::List(word(rest)?),
            tag::MAP => Part::Map(word(rest)?),
            tag::NEW_FLOAT => {
                let value = f64::from_be_bytes(chunk(rest)?);
                if !value.is_finite() {
                    return Err(DecodeErrorKind::BadFloat);
                }
                Part::Float(value)
            }
            tag @ (tag::SMALL_BIG | tag::LARGE_BIG) => {
                let len = if tag == tag::SMALL_BIG {
                    byte(rest)?.into()
                } else {
                    word(rest)?
                };
                let negative = byte(rest)? != 0;
                let magnitude = trim(rest.split_off(..len).ok_or(DecodeErrorKind::Truncated)?);
                match small(negative, magnitude) {
                    Some(value) => Part::Integer(value),
                    None => Part::BigInteger { negative, magnitude },
                }
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
        // A leaf ends where the term does; of a record the values follow.
        let after = self.input.get(end..).unwrap_or_default();
        let part = match term.view() {
            View::Float(value) => Part::Float(value),
            View::Binary(bytes) => Part::Binary(bytes),
            View::Record(record) => {
                self.rest = record.values().rest();
                let text = |atom: AtomRef<'de>| match atom.as_str() {
                    Some(text) => Cow::Borrowed(text),
                    None => Cow::Owned(atom.to_atom().as_str().to_owned()),
                };
                let names = record.fields().map(|(name, _)| text(name)).collect();
                return Ok(Part::Record { names });
            }
            View::Reference(_) => Part::Other("a reference"),
            View::Fun(_) => Part::Other("a fun"),
            View::Port(_) => Part::Other("a port"),
            View::Pid(_) => Part::Other("a pid"),
            _ => Part::Other("a bit string"),
        };
        self.rest = after;
        Ok(part)
    }

    /// Steps over the next term and gives its bytes.
    fn term(&mut self) -> Result<&'de [u8], SerdeError> {
        let start = self.position();
        self.skip()?;
        Ok(self.input.get(start..self.position()).unwrap_or_default())
    }
}

impl<'de> Source<'de> for BytesSource<'de> {
    type Mark = &'de [u8];

    fn next(&mut self) -> Result<Part<'de>, SerdeError> {
        let part = self.rest.len();
        match self.common() {
            Ok(Some(part)) => Ok(part),
            Ok(None) => Ok(self.rare()?),
            Err(kind) => Err(self.error(kind, part)),
        }
    }

    #[inline]
    fn mark(&self) -> Self::Mark {
        self.rest
    }

    fn part_at(&self, mark: &Self::Mark) -> Result<Part<'de>, SerdeError> {
        Self { rest: mark, ..*self }.next()
    }

    fn encoded(&mut self) -> Result<Cow<'de, [u8]>, SerdeError> {
        let bytes = self.term()?;
        if self.atoms.is_empty() {
            return Ok(Cow::Borrowed(bytes));
        }
        let atoms: Atoms = self.atoms.iter().cloned().collect();
        let raw = RawTerm::from_parts(Bytes::copy_from_slice(bytes), atoms);
        Ok(Cow::Owned(raw.inline().bytes().to_vec()))
    }

    fn skip(&mut self) -> Result<(), SerdeError> {
        let end = scan(self.input, self.position(), self.atoms.len(), |_, _| {})?;
        self.rest = self.input.get(end..).unwrap_or_default();
        Ok(())
    }

    #[inline]
    fn take_integer(&mut self) -> Option<i64> {
        // By jumps, though they may be guessed wrong: what is left stands in memory here, and a chain through that takes longer.
        match *self.rest {
            [tag::SMALL_INTEGER, value, ref rest @ ..] => {
                self.rest = rest;
                Some(value.into())
            }
            [tag::INTEGER, a, b, c, d, ref rest @ ..] => {
                self.rest = rest;
                Some(i32::from_be_bytes([a, b, c, d]).into())
            }
            // Of the bytes behind it, those that belong to it.
            [tag::SMALL_BIG, len @ 1..=8, sign, a, b, c, d, e, f, g, h, ..] => {
                let magnitude =
                    u64::from_le_bytes([a, b, c, d, e, f, g, h]) & (u64::MAX >> (64 - 8 * u32::from(len)));
                let value = i64::try_from(magnitude).ok()?;
                self.rest = self.rest.get(3 + usize::from(len)..)?;
                Some(if sign == 0 { value } else { -value })
            }
            _ => None,
        }
    }

    #[inline]
    fn take_float(&mut self) -> Option<f64> {
        let [tag::NEW_FLOAT, a, b, c, d, e, f, g, h, rest @ ..] = self.rest else {
            return None;
        };
        let value = f64::from_be_bytes([*a, *b, *c, *d, *e, *f, *g, *h]);
        self.rest = if value.is_finite() { rest } else { return None };
        Some(value)
    }

    #[inline]
    fn take_binary(&mut self) -> Option<&'de [u8]> {
        let [tag::BINARY, a, b, c, d, rest @ ..] = self.rest else {
            return None;
        };
        let (bytes, rest) = rest.split_at_checked(u32::from_be_bytes([*a, *b, *c, *d]) as usize)?;
        self.rest = rest;
        Some(bytes)
    }

    #[inline]
    fn take_atom(&mut self) -> Option<&'de str> {
        let (text, rest) = match *self.rest {
            [tag::SMALL_ATOM_UTF8, len, ref rest @ ..] => {
                let (bytes, rest) = rest.split_at_checked(len.into())?;
                (std::str::from_utf8(bytes).ok()?, rest)
            }
            [tag::ATOM_CACHE_REF, index, ref rest @ ..] => {
                (self.atoms.get(usize::from(index))?.as_str(), rest)
            }
            _ => return None,
        };
        self.rest = rest;
        Some(text)
    }

    #[inline]
    fn take_word(&mut self, word: &[u8]) -> bool {
        if let [tag::SMALL_ATOM_UTF8, len, rest @ ..] = self.rest
            && usize::from(*len) == word.len()
            && let Some(rest) = rest.strip_prefix(word)
        {
            self.rest = rest;
            return true;
        }
        false
    }

    #[inline]
    fn take_ascii(&mut self) -> Option<&'de [u8]> {
        let (bytes, rest) = match *self.rest {
            [tag::SMALL_ATOM_UTF8, len, ref rest @ ..] => rest.split_at_checked(len.into())?,
            [tag::ATOM_CACHE_REF, index, ref rest @ ..] => {
                (self.atoms.get(usize::from(index))?.as_str().as_bytes(), rest)
            }
            _ => return None,
        };
        self.rest = if bytes.is_ascii() { rest } else { return None };
        Some(bytes)
    }

    #[inline]
    fn take_tuple(&mut self) -> Option<usize> {
        let [tag::SMALL_TUPLE, arity, rest @ ..] = self.rest else {
            return None;
        };
        self.rest = rest;
        Some((*arity).into())
    }

    #[inline]
    fn take_list(&mut self) -> Option<usize> {
        let [tag::LIST, a, b, c, d, rest @ ..] = self.rest else {
            return None;
        };
        match u32::from_be_bytes([*a, *b, *c, *d]) {
            0 => None,
            len => {
                self.rest = rest;
                Some(len as usize)
            }
        }
    }

    #[inline]
    fn take_map(&mut self) -> Option<usize> {
        let [tag::MAP, a, b, c, d, rest @ ..] = self.rest else {
            return None;
        };
        self.rest = rest;
        Some(u32::from_be_bytes([*a, *b, *c, *d]) as usize)
    }

    #[inline]
    fn take_nil(&mut self) -> bool {
        if let [tag::NIL, rest @ ..] = self.rest {
            self.rest = rest;
            return true;
        }
        false
    }

    #[inline]
    fn is_no_atom(&self) -> bool {
        !matches!(
            self.rest,
            [
                tag::SMALL_ATOM_UTF8 | tag::ATOM_UTF8 | tag::ATOM | tag::SMALL_ATOM | tag::ATOM_CACHE_REF,
                ..
            ] | []
        )
    }
}

/// A small integer that stands in a string, a byte of its own.
#[derive(Clone, Copy, Debug)]
pub(super) struct Byte(pub(super) u8);

impl<'de> Source<'de> for Byte {
    type Mark = Self;

    fn next(&mut self) -> Result<Part<'de>, SerdeError> {
        Ok(Part::Integer(self.0.into()))
    }

    fn mark(&self) -> Self {
        *self
    }

    fn part_at(&self, mark: &Self) -> Result<Part<'de>, SerdeError> {
        Ok(Part::Integer(mark.0.into()))
    }

    fn encoded(&mut self) -> Result<Cow<'de, [u8]>, SerdeError> {
        Ok(Cow::Owned(vec![tag::SMALL_INTEGER, self.0]))
    }

    fn skip(&mut self) -> Result<(), SerdeError> {
        Ok(())
    }

    #[inline]
    fn take_integer(&mut self) -> Option<i64> {
        Some(self.0.into())
    }

    #[inline]
    fn is_no_atom(&self) -> bool {
        true
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
    type Mark = Self;

    fn next(&mut self) -> Result<Part<'de>, SerdeError> {
        Ok(match self.0.next().unwrap_or(Item::Nil) {
            Item::Integer(value) => Part::Integer(value),
            Item::BigInteger { negative, magnitude } => Part::BigInteger { negative, magnitude },
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

    fn mark(&self) -> Self {
        self.clone()
    }

    fn part_at(&self, mark: &Self) -> Result<Part<'de>, SerdeError> {
        mark.clone().next()
    }

    fn encoded(&mut self) -> Result<Cow<'de, [u8]>, SerdeError> {
        let mut writer = Writer::new();
        writer.term(&self.0.take_term());
        Ok(Cow::Owned(writer.into_bytes()))
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
