//! A view of a term in its bytes: nothing is allocated, nothing is copied.
//!
//! A [`TermRef`] is made from bytes that have been gone over once, so taking it apart cannot fail. There are two ways to do that: by
//! [`view`](TermRef::view), whose compounds are iterators over views of their parts — good for picking; and by
//! [`walk`](TermRef::walk), which goes over all parts in the order in which they stand — the fastest way to see everything, at
//! any depth. An iterator over the parts of a compound has to step over each part to find the next.

mod parts;
mod read;
mod walk;

pub use parts::{AtomRef, BigIntegerRef, FunRef, PidRef, PortRef, RecordRef, ReferenceRef};
pub use walk::Walk;

use super::decode::Decoder;
use super::error::{DecodeError, DecodeErrorKind};
use super::raw::{Atoms, RawTerm};
use super::scan::{Rest, byte, scan, word};
use super::tag;
use crate::term::{Atom, BitString, Term};
use bytes::Bytes;
use read::{length, read};
use std::fmt;
use std::iter::FusedIterator;

/// A term in its bytes, which are known to be well-formed.
///
/// ```
/// use beamnode::etf::{self, TermRef, View};
/// use beamnode::term;
///
/// let bytes = etf::encode(&term!({ok, [1, 2, 3], "text"}));
/// let term = TermRef::parse(&bytes)?;
/// let View::Tuple(elements) = term.view() else { panic!("a tuple") };
/// let [tag, list, text] = elements.array().ok_or("three elements")?;
/// assert!(tag.is_atom("ok"));
/// assert_eq!(list.elements().filter_map(|element| element.as_integer()).sum::<i64>(), 6);
/// assert_eq!(text.as_binary(), Some(&b"text"[..]));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy)]
pub struct TermRef<'a> {
    /// From the term's tag to the end of the input.
    rest: Rest<'a>,
    atoms: &'a [Atom],
}

/// What a term is.
#[derive(Clone, Copy, Debug)]
pub enum View<'a> {
    /// An integer that fits in 64 bits.
    Integer(i64),
    /// Any other integer.
    BigInteger(BigIntegerRef<'a>),
    /// A float, which is finite.
    Float(f64),
    /// An atom.
    Atom(AtomRef<'a>),
    /// A reference.
    Reference(ReferenceRef<'a>),
    /// A fun, an export among them.
    Fun(FunRef<'a>),
    /// A port.
    Port(PortRef<'a>),
    /// A pid.
    Pid(PidRef<'a>),
    /// A tuple and its elements.
    Tuple(Elements<'a>),
    /// A map and its keys and values in turn.
    Map(Elements<'a>),
    /// The empty list.
    Nil,
    /// A list that is not empty and its elements, the tail not among them.
    List(Elements<'a>),
    /// A list of integers from 0 to 255, not empty.
    String(&'a [u8]),
    /// A binary.
    Binary(&'a [u8]),
    /// A bit string that is no binary: its bytes, and how many bits of the last one count, 1 to 7. The others may be set.
    BitString(&'a [u8], u8),
    /// A native record.
    Record(RecordRef<'a>),
}

impl<'a> TermRef<'a> {
    /// A view of bytes that are one term, from the version byte on. Goes over them once.
    ///
    /// That the keys of each map differ is not looked at.
    ///
    /// # Errors
    /// If the bytes are not one term; if it is compressed or local, which only [`decode`](super::decode()) can take.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, DecodeError> {
        match bytes.first() {
            Some(&tag::VERSION) => {}
            None => return Err(DecodeErrorKind::Truncated.at(0)),
            Some(_) => return Err(DecodeErrorKind::NoVersion.at(0)),
        }
        let end = scan(bytes, 1, 0, |_, _| {})?;
        if end < bytes.len() {
            return Err(DecodeErrorKind::TrailingBytes.at(end));
        }
        Ok(Self {
            rest: bytes.get(1..).unwrap_or_default(),
            atoms: &[],
        })
    }

    /// A view of bytes that have been gone over.
    #[cfg(feature = "serde")]
    pub(super) const fn checked(rest: &'a [u8], atoms: &'a [Atom]) -> Self {
        Self { rest, atoms }
    }

    /// What the term is.
    #[must_use]
    pub fn view(self) -> View<'a> {
        let mut rest = self.rest;
        read(&mut rest, self.atoms).unwrap_or(View::Nil)
    }

    /// All parts of the term, the term itself first, each compound followed by its parts: the elements of a tuple; the elements
    /// of a list and then its tail, `Nil` if it is proper (or a list that goes on with it, which no BEAM writes); the keys and values of a map in turn; the free variables of
    /// a fun; the values of a record.
    ///
    /// ```
    /// use beamnode::etf::{self, TermRef, View};
    /// use beamnode::term;
    ///
    /// let bytes = etf::encode(&term!([1, {2, [x, 3]}]));
    /// let integers = TermRef::parse(&bytes)?.walk().filter(|part| matches!(part, View::Integer(_)));
    /// assert_eq!(integers.count(), 3);
    /// # Ok::<(), etf::DecodeError>(())
    /// ```
    #[must_use]
    pub const fn walk(self) -> Walk<'a> {
        Walk {
            rest: self.rest,
            atoms: self.atoms,
            left: 1,
        }
    }

    /// The elements of a tuple of so many. They are gone over to see where the next begins, but for the last, which may be anything.
    #[cfg(feature = "node")]
    pub(crate) fn tuple<const N: usize>(self) -> Option<[Self; N]> {
        let View::Tuple(elements) = self.view() else {
            return None;
        };
        if elements.left != N {
            return None;
        }
        let mut rest = elements.rest;
        let mut places = [rest; N];
        for place in places.iter_mut().skip(1) {
            let end = scan(rest, 0, self.atoms.len(), |_, _| {}).ok()?;
            rest = rest.get(end..)?;
            *place = rest;
        }
        let atoms = self.atoms;
        Some(places.map(|rest| Self { rest, atoms }))
    }

    /// The one element of a list and its tail, if the element is no compound.
    #[cfg(feature = "node")]
    pub(crate) fn cons(self) -> Option<(View<'a>, View<'a>)> {
        let View::List(elements) = self.view() else {
            return None;
        };
        let mut rest = elements.rest;
        let element = read(&mut rest, self.atoms).filter(|_| elements.left == 1)?;
        Some((element, read(&mut rest, self.atoms)?))
    }

    /// The bytes from the term on.
    #[cfg(feature = "node")]
    pub(super) const fn to_end(self) -> &'a [u8] {
        self.rest
    }

    /// The integer, if it is one that fits.
    #[must_use]
    pub fn as_integer(self) -> Option<i64> {
        if let View::Integer(value) = self.view() {
            Some(value)
        } else {
            None
        }
    }

    /// The float, if it is one.
    #[must_use]
    pub fn as_float(self) -> Option<f64> {
        if let View::Float(value) = self.view() {
            Some(value)
        } else {
            None
        }
    }

    /// The atom, if it is one.
    #[must_use]
    pub fn as_atom(self) -> Option<AtomRef<'a>> {
        if let View::Atom(atom) = self.view() {
            Some(atom)
        } else {
            None
        }
    }

    /// Whether it is the atom with this text.
    #[must_use]
    pub fn is_atom(self, text: &str) -> bool {
        self.as_atom().is_some_and(|atom| atom == text)
    }

    /// The bytes, if it is a binary.
    #[must_use]
    pub fn as_binary(self) -> Option<&'a [u8]> {
        if let View::Binary(bytes) = self.view() {
            Some(bytes)
        } else {
            None
        }
    }

    /// The text, if it is a binary that is UTF-8.
    #[must_use]
    pub fn as_utf8(self) -> Option<&'a str> {
        std::str::from_utf8(self.as_binary()?).ok()
    }

    /// The elements of a tuple, or of a list without its tail; none for anything else.
    #[must_use]
    pub fn elements(self) -> Elements<'a> {
        match self.view() {
            View::Tuple(elements) | View::List(elements) => elements,
            View::String(bytes) => Elements {
                rest: bytes,
                atoms: &[],
                left: bytes.len(),
                row: Row::Bytes,
            },
            _ => Elements {
                rest: &[],
                atoms: &[],
                left: 0,
                row: Row::Terms,
            },
        }
    }

    /// The pairs of a map; none for anything else.
    pub fn pairs(self) -> impl Iterator<Item = (TermRef<'a>, TermRef<'a>)> {
        let mut elements = match self.view() {
            View::Map(elements) => elements,
            _ => Elements {
                rest: &[],
                atoms: &[],
                left: 0,
                row: Row::Terms,
            },
        };
        std::iter::from_fn(move || Some((elements.next()?, elements.next()?)))
    }

    /// The value of a map whose key is this atom.
    #[must_use]
    pub fn get(self, key: &str) -> Option<Self> {
        self.pairs()
            .find(|(name, _)| name.is_atom(key))
            .map(|(_, value)| value)
    }

    /// The bytes of the term, without version byte.
    #[must_use]
    pub fn bytes(self) -> &'a [u8] {
        let end = scan(self.rest, 0, self.atoms.len(), |_, _| {}).unwrap_or(0);
        self.rest.get(..end).unwrap_or_default()
    }

    /// The term, as a copy.
    ///
    /// # Errors
    /// If a map has a key twice.
    pub fn to_term(self) -> Result<Term, DecodeError> {
        let atoms = Atoms::from(self.atoms.to_vec());
        let (term, _) = Decoder::new().bare(Bytes::copy_from_slice(self.bytes()), 0, atoms.shared())?;
        Ok(term)
    }
}

impl fmt::Debug for TermRef<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.to_term() {
            Ok(term) => fmt::Debug::fmt(&term, f),
            Err(error) => fmt::Display::fmt(&error, f),
        }
    }
}

impl RawTerm {
    /// A view of the term. Goes over the bytes once.
    ///
    /// # Errors
    /// If the bytes are not a term.
    ///
    /// ```
    /// use beamnode::etf::RawTerm;
    /// use beamnode::term;
    ///
    /// let raw = RawTerm::from(term!({ok, 7}));
    /// assert!(raw.view()?.elements().next().is_some_and(|first| first.is_atom("ok")));
    /// # Ok::<(), beamnode::etf::DecodeError>(())
    /// ```
    pub fn view(&self) -> Result<TermRef<'_>, DecodeError> {
        self.check()?;
        Ok(self.glance())
    }

    /// A view of bytes that need not have been gone over. What is no term in them looks like `[]`, or like the end of the compound
    /// that it stands in.
    pub(crate) fn glance(&self) -> TermRef<'_> {
        TermRef {
            rest: self.bytes(),
            atoms: self.atoms(),
        }
    }
}

/// The parts of a compound, each as a view.
#[derive(Clone, Copy)]
pub struct Elements<'a> {
    rest: Rest<'a>,
    atoms: &'a [Atom],
    left: usize,
    row: Row,
}

/// What stands in the row of parts.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Row {
    Terms,
    /// Terms and then the tail of a list, which may be written as a list of its own that goes on with this one.
    List,
    /// Small integers of a byte each.
    Bytes,
}

impl<'a> Elements<'a> {
    /// The elements, if there are exactly `N`.
    #[must_use]
    pub fn array<const N: usize>(mut self) -> Option<[TermRef<'a>; N]> {
        if self.left > N || self.count() != N {
            return None;
        }
        let none = TermRef {
            rest: &[],
            atoms: &[],
        };
        Some(std::array::from_fn(|_| self.next().unwrap_or(none)))
    }

    /// The bytes from the first part on.
    #[cfg(feature = "serde")]
    pub(super) const fn rest(self) -> &'a [u8] {
        self.rest
    }

    /// What follows the elements of an improper list.
    #[must_use]
    pub fn improper_tail(mut self) -> Option<TermRef<'a>> {
        self.by_ref().for_each(drop);
        let tail = TermRef {
            rest: self.rest,
            atoms: self.atoms,
        };
        (self.row == Row::List && !matches!(tail.view(), View::Nil)).then_some(tail)
    }

    /// Takes up a tail that is written as a list of its own.
    fn go_on(&mut self) {
        while self.left == 0 && self.row == Row::List {
            match *self.rest {
                [tag::LIST, ref after @ ..] => {
                    self.rest = after;
                    self.left = word(&mut self.rest).unwrap_or(0);
                }
                [tag::STRING, a, b, ref after @ ..] => {
                    self.rest = after;
                    self.left = u16::from_be_bytes([a, b]).into();
                    self.row = Row::Bytes;
                }
                _ => return,
            }
        }
    }
}

/// How small integers look, for the elements of a string.
static SMALL_INTEGERS: [[u8; 2]; 256] = {
    let mut all = [[tag::SMALL_INTEGER, 0]; 256];
    let mut value = 0;
    while value < 256 {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::indexing_slicing,
            reason = "below 256"
        )]
        {
            all[value] = [tag::SMALL_INTEGER, value as u8];
        }
        value += 1;
    }
    all
};

impl<'a> Iterator for Elements<'a> {
    type Item = TermRef<'a>;

    fn next(&mut self) -> Option<TermRef<'a>> {
        if self.left == 0 {
            self.go_on();
        }
        self.left = self.left.checked_sub(1)?;
        if self.row == Row::Bytes {
            let value = byte(&mut self.rest).ok()?;
            return SMALL_INTEGERS
                .get(usize::from(value))
                .map(|rest| TermRef { rest, atoms: &[] });
        }
        let term = TermRef {
            rest: self.rest,
            atoms: self.atoms,
        };
        self.rest = match *self.rest {
            [tag::SMALL_INTEGER, _, ref rest @ ..]
            | [tag::INTEGER, _, _, _, _, ref rest @ ..]
            | [tag::NEW_FLOAT, _, _, _, _, _, _, _, _, ref rest @ ..]
            | [tag::NIL, ref rest @ ..] => rest,
            [tag::SMALL_ATOM_UTF8, len, ref rest @ ..] => rest.get(usize::from(len)..)?,
            [tag::BINARY, a, b, c, d, ref rest @ ..] => rest.get(length([a, b, c, d])..)?,
            _ => {
                let end = scan(self.rest, 0, self.atoms.len(), |_, _| {}).ok()?;
                self.rest.get(end..)?
            }
        };
        Some(term)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (
            self.left,
            if self.row == Row::List {
                None
            } else {
                Some(self.left)
            },
        )
    }
}

impl FusedIterator for Elements<'_> {}

impl fmt::Debug for Elements<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(*self).finish()
    }
}

impl View<'_> {
    /// The bit string, as a copy, if it is one that is no binary.
    #[must_use]
    pub fn to_bit_string(self) -> Option<BitString> {
        if let View::BitString(bytes, bits) = self {
            BitString::new(bytes, bits)
        } else {
            None
        }
    }
}
