//! A view of a term in its bytes: nothing is allocated, nothing is copied.
//!
//! A [`TermRef`] is made from bytes that have been gone over once, so taking it apart cannot fail. There are two ways to do that: by
//! [`view`](TermRef::view), whose compounds are iterators over views of their parts — good for picking; and by
//! [`walk`](TermRef::walk), which goes over all parts in the order in which they stand — the fastest way to see everything, at
//! any depth. An iterator over the parts of a compound has to step over each part to find the next.

use super::decode::Decoder;
use super::error::{DecodeError, DecodeErrorKind};
use super::raw::{Atoms, RawTerm};
use super::scan::{Rest, atom_bytes, byte, chunk, creation, float_text, integer, scan, skip, word};
use super::tag;
use crate::term::number::{small, trim};
use crate::term::{Atom, BitString, Pid, Port, Reference, Term};
use bytes::Bytes;
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
    pub fn as_str(self) -> Option<&'a str> {
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
        Ok(TermRef {
            rest: self.bytes(),
            atoms: self.atoms(),
        })
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

/// All parts of a term, see [`TermRef::walk`].
#[derive(Clone, Debug)]
pub struct Walk<'a> {
    rest: Rest<'a>,
    atoms: &'a [Atom],
    /// How many terms are still to come, not counting what they hold.
    left: usize,
}

impl<'a> Walk<'a> {
    /// Reads the next part, whatever it is.
    fn read(&mut self) -> Option<View<'a>> {
        let view = read(&mut self.rest, self.atoms)?;
        self.left += match view {
            View::Tuple(Elements { left, .. }) | View::Map(Elements { left, .. }) => left,
            View::List(Elements { left, .. }) => left + 1,
            View::Fun(FunRef { free, .. }) => free as usize,
            View::Record(RecordRef { fields, .. }) => fields as usize,
            _ => 0,
        };
        Some(view)
    }
}

impl<'a> Iterator for Walk<'a> {
    type Item = View<'a>;

    fn next(&mut self) -> Option<View<'a>> {
        self.left = self.left.checked_sub(1)?;
        self.read()
    }

    /// As the loop that it is, each common kind of part for itself, so that what is done with a part is known by its
    /// kind: several times as fast as part by part.
    fn fold<B, F>(self, init: B, mut f: F) -> B
    where
        F: FnMut(B, View<'a>) -> B,
    {
        let mut all = init;
        // In variables of their own, so that they need not be kept in memory.
        let Self {
            mut rest,
            atoms,
            mut left,
        } = self;
        while left > 0 {
            left -= 1;
            let elements = |rest: Rest<'a>, left: usize, row: Row| Elements {
                rest,
                atoms,
                left,
                row,
            };
            let Some((&tag, after)) = rest.split_first() else {
                break;
            };
            all = match tag {
                tag::SMALL_INTEGER => {
                    let Some((value, after)) = after.split_first() else {
                        break;
                    };
                    rest = after;
                    f(all, View::Integer((*value).into()))
                }
                tag::INTEGER => {
                    let Some((value, after)) = after.split_first_chunk() else {
                        break;
                    };
                    rest = after;
                    f(all, View::Integer(i32::from_be_bytes(*value).into()))
                }
                tag::NIL => {
                    rest = after;
                    f(all, View::Nil)
                }
                tag::NEW_FLOAT => {
                    let Some((value, after)) = after.split_first_chunk() else {
                        break;
                    };
                    rest = after;
                    f(all, View::Float(f64::from_be_bytes(*value)))
                }
                tag::SMALL_ATOM_UTF8
                    if let Some((len, after)) = after.split_first()
                        && let Some((bytes, after)) = after.split_at_checked((*len).into()) =>
                {
                    rest = after;
                    f(all, View::Atom(AtomRef { bytes, latin1: false }))
                }
                tag::BINARY
                    if let Some((len, after)) = after.split_first_chunk()
                        && let Some((bytes, after)) = after.split_at_checked(length(*len)) =>
                {
                    rest = after;
                    f(all, View::Binary(bytes))
                }
                tag::STRING
                    if let Some((len, after)) = after.split_first_chunk()
                        && let Some((bytes @ [_, ..], after)) =
                            after.split_at_checked(u16::from_be_bytes(*len).into()) =>
                {
                    rest = after;
                    f(all, View::String(bytes))
                }
                tag::SMALL_TUPLE if let Some((arity, after)) = after.split_first() => {
                    rest = after;
                    left += usize::from(*arity);
                    f(all, View::Tuple(elements(after, (*arity).into(), Row::Terms)))
                }
                tag::LIST
                    if let Some((len, after)) = after.split_first_chunk()
                        && *len != [0; 4] =>
                {
                    rest = after;
                    left += length(*len) + 1;
                    f(all, View::List(elements(after, length(*len), Row::List)))
                }
                tag::SMALL_BIG
                    if let [len, sign, after @ ..] = after
                        && let Some((magnitude, after)) = after.split_at_checked((*len).into()) =>
                {
                    rest = after;
                    f(all, big(*sign != 0, magnitude))
                }
                _ => {
                    let mut walk = Walk { rest, atoms, left };
                    let Some(view) = walk.read() else { break };
                    (rest, left) = (walk.rest, walk.left);
                    f(all, view)
                }
            };
        }
        all
    }
}

/// A length of four bytes.
const fn length(bytes: [u8; 4]) -> usize {
    u32::from_be_bytes(bytes) as usize
}

/// An integer that is written as a big one, though it need not be one.
#[inline]
fn big(negative: bool, magnitude: &[u8]) -> View<'_> {
    let magnitude = trim(magnitude);
    match small(negative, magnitude) {
        Some(value) => View::Integer(value),
        None => View::BigInteger(BigIntegerRef { negative, magnitude }),
    }
}

impl FusedIterator for Walk<'_> {}

/// An integer by sign and magnitude.
#[derive(Clone, Copy, Debug)]
pub struct BigIntegerRef<'a> {
    /// Whether it is below zero.
    pub negative: bool,
    /// The bytes of the absolute value, least significant first, the last not zero.
    pub magnitude: &'a [u8],
}

/// The text of an atom.
#[derive(Clone, Copy)]
pub struct AtomRef<'a> {
    bytes: &'a [u8],
    /// Latin1 beyond ASCII; otherwise UTF-8.
    latin1: bool,
}

impl<'a> AtomRef<'a> {
    const EMPTY: Self = Self {
        bytes: &[],
        latin1: false,
    };

    /// The text, unless it is in latin1 and has more than ASCII, as atoms from OTP 25 and older can.
    #[must_use]
    pub fn as_str(self) -> Option<&'a str> {
        if self.latin1 {
            None
        } else {
            std::str::from_utf8(self.bytes).ok()
        }
    }

    /// The atom, as a copy.
    #[must_use]
    pub fn to_atom(self) -> Atom {
        match self.as_str() {
            Some(text) => Atom::from_checked(text),
            None => Atom::from_checked(&self.bytes.iter().copied().map(char::from).collect::<String>()),
        }
    }
}

impl PartialEq<str> for AtomRef<'_> {
    fn eq(&self, other: &str) -> bool {
        if self.latin1 {
            self.bytes.iter().copied().map(char::from).eq(other.chars())
        } else {
            self.bytes == other.as_bytes()
        }
    }
}

impl PartialEq<&str> for AtomRef<'_> {
    fn eq(&self, other: &&str) -> bool {
        self == *other
    }
}

impl fmt::Debug for AtomRef<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.to_atom(), f)
    }
}

/// A pid in its bytes.
#[derive(Clone, Copy, Debug)]
pub struct PidRef<'a> {
    /// The node that the process runs on.
    pub node: AtomRef<'a>,
    /// The number of the process.
    pub id: u32,
    /// How often the numbers had been used up.
    pub serial: u32,
    /// The incarnation of the node.
    pub creation: u32,
}

impl PidRef<'_> {
    /// The pid, as a copy.
    #[must_use]
    pub fn to_pid(self) -> Pid {
        Pid::new(self.node.to_atom(), self.id, self.serial, self.creation)
    }
}

/// A port in its bytes.
#[derive(Clone, Copy, Debug)]
pub struct PortRef<'a> {
    /// The node that the port is open on.
    pub node: AtomRef<'a>,
    /// The number of the port.
    pub id: u64,
    /// The incarnation of the node.
    pub creation: u32,
    old: bool,
}

impl PortRef<'_> {
    /// The port, as a copy.
    #[must_use]
    pub fn to_port(self) -> Port {
        Port::in_form(self.node.to_atom(), self.id, self.creation, self.old)
    }
}

/// A reference in its bytes.
#[derive(Clone, Copy, Debug)]
pub struct ReferenceRef<'a> {
    /// The node that made the reference.
    pub node: AtomRef<'a>,
    /// The incarnation of the node.
    pub creation: u32,
    /// Up to five words, big-endian.
    words: &'a [u8],
}

impl<'a> ReferenceRef<'a> {
    /// The words, least significant first.
    pub fn words(self) -> impl ExactSizeIterator<Item = u32> + use<'a> {
        self.words
            .as_chunks::<4>()
            .0
            .iter()
            .map(|word| u32::from_be_bytes(*word))
    }

    /// The reference, as a copy.
    #[must_use]
    pub fn to_reference(self) -> Reference {
        let mut words = [0; 5];
        let mut count = 0;
        for (to, from) in words.iter_mut().zip(self.words()) {
            *to = from;
            count += 1;
        }
        Reference::from_checked(self.node.to_atom(), words, count, self.creation)
    }
}

/// A fun in its bytes.
#[derive(Clone, Copy, Debug)]
pub struct FunRef<'a> {
    /// From behind the tag on.
    head: Rest<'a>,
    atoms: &'a [Atom],
    tag: u8,
    /// How many values it closed over, and how far into `head` they begin.
    free: u32,
    offset: u32,
}

impl<'a> FunRef<'a> {
    /// The module it belongs to.
    #[must_use]
    pub fn module(self) -> AtomRef<'a> {
        let mut rest = self.head;
        let module = match self.tag {
            tag::EXPORT => next_atom(&mut rest, self.atoms),
            tag::NEW_FUN => skip(&mut rest, 4 + 1 + 16 + 4 + 4)
                .ok()
                .and_then(|()| next_atom(&mut rest, self.atoms)),
            _ => skip(&mut rest, 4)
                .ok()
                .and_then(|()| next_pid(&mut rest, self.atoms))
                .and_then(|_| next_atom(&mut rest, self.atoms)),
        };
        module.unwrap_or(AtomRef::EMPTY)
    }

    /// The name of an export; nothing for any other fun.
    #[must_use]
    pub fn function(self) -> Option<AtomRef<'a>> {
        let mut rest = self.head;
        if self.tag != tag::EXPORT {
            return None;
        }
        next_atom(&mut rest, self.atoms)?;
        next_atom(&mut rest, self.atoms)
    }

    /// How many arguments it takes; not known of a fun in the form of before OTP R8.
    #[must_use]
    pub fn arity(self) -> Option<u8> {
        let mut rest = self.head;
        match self.tag {
            tag::EXPORT => {
                next_atom(&mut rest, self.atoms)?;
                next_atom(&mut rest, self.atoms)?;
                u8::try_from(integer(&mut rest).ok()?).ok()
            }
            tag::NEW_FUN => self.head.get(4).copied(),
            _ => None,
        }
    }

    /// The values it closed over.
    #[must_use]
    pub fn free(self) -> Elements<'a> {
        Elements {
            rest: self.head.get(self.offset as usize..).unwrap_or_default(),
            atoms: self.atoms,
            left: self.free as usize,
            row: Row::Terms,
        }
    }
}

/// A native record in its bytes.
#[derive(Clone, Copy, Debug)]
pub struct RecordRef<'a> {
    /// From the name of the module on.
    head: Rest<'a>,
    atoms: &'a [Atom],
    fields: u32,
    exported: bool,
}

impl<'a> RecordRef<'a> {
    /// The module that defines it.
    #[must_use]
    pub fn module(self) -> AtomRef<'a> {
        next_atom(&mut { self.head }, self.atoms).unwrap_or(AtomRef::EMPTY)
    }

    /// Its name.
    #[must_use]
    pub fn name(self) -> AtomRef<'a> {
        let mut rest = self.head;
        next_atom(&mut rest, self.atoms)
            .and_then(|_| next_atom(&mut rest, self.atoms))
            .unwrap_or(AtomRef::EMPTY)
    }

    /// Whether its definition is visible outside its module.
    #[must_use]
    pub const fn exported(self) -> bool {
        self.exported
    }

    /// The fields in order.
    pub fn fields(self) -> impl Iterator<Item = (AtomRef<'a>, TermRef<'a>)> {
        let mut names = self.elements(2);
        names.left = self.fields as usize;
        names.filter_map(TermRef::as_atom).zip(self.values())
    }

    /// The values of its fields.
    #[must_use]
    pub fn values(self) -> Elements<'a> {
        self.elements(self.fields as usize + 2)
    }

    /// As many parts as there are fields, behind so many atoms.
    fn elements(self, atoms: usize) -> Elements<'a> {
        let mut rest = self.head;
        (0..atoms).all(|_| next_atom(&mut rest, self.atoms).is_some());
        Elements {
            rest,
            atoms: self.atoms,
            left: self.fields as usize,
            row: Row::Terms,
        }
    }
}

/// Reads the next part, a compound's head only. What cannot be has been ruled out before.
#[inline]
fn read<'a>(rest: &mut Rest<'a>, atoms: &'a [Atom]) -> Option<View<'a>> {
    let tag = byte(rest).ok()?;
    Some(match tag {
        tag::SMALL_INTEGER => View::Integer(byte(rest).ok()?.into()),
        tag::INTEGER => View::Integer(i32::from_be_bytes(chunk(rest).ok()?).into()),
        tag::NIL => View::Nil,
        tag::SMALL_ATOM_UTF8 => {
            let len = byte(rest).ok()?;
            View::Atom(AtomRef {
                bytes: rest.split_off(..usize::from(len))?,
                latin1: false,
            })
        }
        tag::BINARY => {
            let len = word(rest).ok()?;
            View::Binary(rest.split_off(..len)?)
        }
        tag::SMALL_TUPLE => {
            let left = byte(rest).ok()?.into();
            View::Tuple(Elements {
                rest,
                atoms,
                left,
                row: Row::Terms,
            })
        }
        tag::LIST => {
            let left = word(rest).ok()?;
            if left == 0 {
                // No elements: what stands here is the tail.
                return read_tail(rest, atoms);
            }
            View::List(Elements {
                rest,
                atoms,
                left,
                row: Row::List,
            })
        }
        tag::MAP => {
            let left = word(rest).ok()?.checked_mul(2)?;
            View::Map(Elements {
                rest,
                atoms,
                left,
                row: Row::Terms,
            })
        }
        tag::STRING => {
            let len = u16::from_be_bytes(chunk(rest).ok()?);
            let bytes = rest.split_off(..usize::from(len))?;
            if bytes.is_empty() {
                View::Nil
            } else {
                View::String(bytes)
            }
        }
        tag::NEW_FLOAT => View::Float(f64::from_be_bytes(chunk(rest).ok()?)),
        _ => return read_rare(tag, rest, atoms),
    })
}

/// Reads past any number of list heads without elements.
#[cold]
fn read_tail<'a>(rest: &mut Rest<'a>, atoms: &'a [Atom]) -> Option<View<'a>> {
    while let [tag::LIST, 0, 0, 0, 0, after @ ..] = *rest {
        *rest = after;
    }
    read(rest, atoms)
}

fn read_rare<'a>(tag: u8, rest: &mut Rest<'a>, atoms: &'a [Atom]) -> Option<View<'a>> {
    Some(match tag {
        tag::ATOM_CACHE_REF | tag::ATOM_UTF8 | tag::ATOM | tag::SMALL_ATOM => {
            View::Atom(atom(tag, rest, atoms)?)
        }
        tag::LARGE_TUPLE => {
            let left = word(rest).ok()?;
            View::Tuple(Elements {
                rest,
                atoms,
                left,
                row: Row::Terms,
            })
        }
        tag::SMALL_BIG | tag::LARGE_BIG => {
            let len = if tag == tag::SMALL_BIG {
                byte(rest).ok()?.into()
            } else {
                word(rest).ok()?
            };
            let negative = byte(rest).ok()? != 0;
            big(negative, rest.split_off(..len)?)
        }
        tag::BIT_BINARY => {
            let len = word(rest).ok()?;
            let bits = byte(rest).ok()?;
            let bytes = rest.split_off(..len)?;
            if bits == 8 {
                View::Binary(bytes)
            } else {
                View::BitString(bytes, bits)
            }
        }
        tag::FLOAT => View::Float(float_text(&chunk::<31>(rest).ok()?)?),
        tag::NEW_PID | tag::PID => View::Pid(pid(tag, rest, atoms)?),
        tag::NEW_PORT | tag::PORT | tag::V4_PORT => {
            let node = next_atom(rest, atoms)?;
            let id = if tag == tag::V4_PORT {
                u64::from_be_bytes(chunk(rest).ok()?)
            } else {
                u32::from_be_bytes(chunk(rest).ok()?).into()
            };
            let creation = creation(rest, tag == tag::PORT).ok()?;
            View::Port(PortRef {
                node,
                id,
                creation,
                old: tag != tag::V4_PORT,
            })
        }
        tag::REFERENCE => {
            let node = next_atom(rest, atoms)?;
            let words = rest.split_off(..4)?;
            View::Reference(ReferenceRef {
                node,
                words,
                creation: creation(rest, true).ok()?,
            })
        }
        tag::NEW_REFERENCE | tag::NEWER_REFERENCE => {
            let count = u16::from_be_bytes(chunk(rest).ok()?);
            let node = next_atom(rest, atoms)?;
            let creation = creation(rest, tag == tag::NEW_REFERENCE).ok()?;
            let words = rest.split_off(..usize::from(count) * 4)?;
            View::Reference(ReferenceRef {
                node,
                creation,
                words,
            })
        }
        tag::EXPORT | tag::NEW_FUN | tag::FUN => View::Fun(fun(tag, rest, atoms)?),
        tag::RECORD => {
            let fields = u32::from_be_bytes(chunk(rest).ok()?);
            let exported = byte(rest).ok()? == 1;
            let head = *rest;
            for _ in 0..u64::from(fields) + 2 {
                next_atom(rest, atoms)?;
            }
            View::Record(RecordRef {
                head,
                atoms,
                fields,
                exported,
            })
        }
        _ => return None,
    })
}

fn atom<'a>(tag: u8, rest: &mut Rest<'a>, atoms: &'a [Atom]) -> Option<AtomRef<'a>> {
    if tag == tag::ATOM_CACHE_REF {
        let bytes = atoms.get(usize::from(byte(rest).ok()?))?.as_str().as_bytes();
        return Some(AtomRef { bytes, latin1: false });
    }
    let (bytes, latin1) = atom_bytes(tag, rest).ok()?;
    Some(AtomRef { bytes, latin1 })
}

fn next_atom<'a>(rest: &mut Rest<'a>, atoms: &'a [Atom]) -> Option<AtomRef<'a>> {
    let tag = byte(rest).ok()?;
    atom(tag, rest, atoms)
}

fn pid<'a>(tag: u8, rest: &mut Rest<'a>, atoms: &'a [Atom]) -> Option<PidRef<'a>> {
    let node = next_atom(rest, atoms)?;
    let id = u32::from_be_bytes(chunk(rest).ok()?);
    let serial = u32::from_be_bytes(chunk(rest).ok()?);
    let creation = creation(rest, tag == tag::PID).ok()?;
    Some(PidRef {
        node,
        id,
        serial,
        creation,
    })
}

/// Reads a fun up to the values it closed over.
fn fun<'a>(tag: u8, rest: &mut Rest<'a>, atoms: &'a [Atom]) -> Option<FunRef<'a>> {
    let head = *rest;
    let mut free = 0;
    match tag {
        tag::EXPORT => {
            next_atom(rest, atoms)?;
            next_atom(rest, atoms)?;
            integer(rest).ok()?;
        }
        tag::NEW_FUN => {
            skip(rest, 4 + 1 + 16 + 4).ok()?;
            free = u32::from_be_bytes(chunk(rest).ok()?);
            next_atom(rest, atoms)?;
            integer(rest).ok()?;
            integer(rest).ok()?;
            next_pid(rest, atoms)?;
        }
        _ => {
            free = u32::from_be_bytes(chunk(rest).ok()?);
            next_pid(rest, atoms)?;
            next_atom(rest, atoms)?;
            integer(rest).ok()?;
            integer(rest).ok()?;
        }
    }
    // A few names and numbers.
    let offset = u32::try_from(head.len() - rest.len()).ok()?;
    Some(FunRef {
        head,
        atoms,
        tag,
        free,
        offset,
    })
}

fn next_pid<'a>(rest: &mut Rest<'a>, atoms: &'a [Atom]) -> Option<PidRef<'a>> {
    let tag = byte(rest).ok()?;
    pid(tag, rest, atoms)
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
