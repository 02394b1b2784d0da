//! Reading a term part by part.

use super::decode::Decoder;
use super::error::{DecodeError, DecodeErrorKind, Type};
use super::raw::Atoms;
use super::scan::scan;
use super::tag;
use crate::term::{Atom, MAX_REFERENCE_WORDS, Pid, Port, Reference, Term};
use bytes::Bytes;

/// Reads bare terms (without version byte) part by part: the control messages of the distribution, where a [`Term`] would
/// be more than is needed.
///
/// After an error the position is that of the part that was not as expected.
///
/// ```
/// use beamnode::etf::{Atoms, Reader};
/// use bytes::Bytes;
///
/// let bytes = Bytes::from_static(&[104, 2, 97, 2, 119, 0, 106]);
/// let atoms = Atoms::NONE;
/// let mut reader = Reader::new(&bytes, &atoms);
/// assert_eq!(reader.tuple()?, 2);
/// assert_eq!(reader.integer()?, 2);
/// assert_eq!(reader.atom()?, "");
/// assert_eq!(reader.position(), 6);
/// # Ok::<(), beamnode::etf::DecodeError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Reader<'a> {
    bytes: &'a Bytes,
    atoms: &'a Atoms,
    at: usize,
}

impl<'a> Reader<'a> {
    /// A reader at the beginning.
    #[must_use]
    pub const fn new(bytes: &'a Bytes, atoms: &'a Atoms) -> Self {
        Self { bytes, atoms, at: 0 }
    }

    /// How many bytes have been read.
    #[must_use]
    pub const fn position(&self) -> usize {
        self.at
    }

    /// The bytes that have not been read.
    #[must_use]
    pub fn rest(&self) -> Bytes {
        self.bytes.slice(self.at.min(self.bytes.len())..)
    }

    /// The tag of the next term.
    #[must_use]
    pub fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    /// Reads the head of a tuple and says how many elements follow.
    ///
    /// # Errors
    /// If something else comes next.
    pub fn tuple(&mut self) -> Result<u32, DecodeError> {
        match self.bytes.get(self.at..) {
            Some([tag::SMALL_TUPLE, arity, ..]) => {
                self.at += 2;
                Ok((*arity).into())
            }
            Some([tag::LARGE_TUPLE, a, b, c, d, ..]) => {
                self.at += 5;
                Ok(u32::from_be_bytes([*a, *b, *c, *d]))
            }
            rest => Err(self.expected(rest, Type::Tuple)),
        }
    }

    /// Reads a term that may be anything.
    ///
    /// # Errors
    /// If no well-formed term comes next.
    pub fn term(&mut self) -> Result<Term, DecodeError> {
        let (term, end) = Decoder::new().bare(self.bytes.clone(), self.at, self.atoms.shared())?;
        self.at = end;
        Ok(term)
    }

    /// Steps over a term.
    ///
    /// # Errors
    /// If no well-formed term comes next.
    pub fn skip_term(&mut self) -> Result<(), DecodeError> {
        self.at = scan(self.bytes, self.at, self.atoms.len(), |_, _| {})?;
        Ok(())
    }

    /// Reads an integer that fits in 64 bits.
    ///
    /// # Errors
    /// If something else comes next.
    pub fn integer(&mut self) -> Result<i64, DecodeError> {
        match self.bytes.get(self.at..) {
            Some([tag::SMALL_INTEGER, value, ..]) => {
                self.at += 2;
                Ok((*value).into())
            }
            Some([tag::INTEGER, a, b, c, d, ..]) => {
                self.at += 5;
                Ok(i32::from_be_bytes([*a, *b, *c, *d]).into())
            }
            _ => self.one(Type::Integer, |term| term.as_integer()),
        }
    }

    /// Reads an integer from 0 to 2⁶⁴−1.
    ///
    /// # Errors
    /// If something else comes next.
    pub fn unsigned(&mut self) -> Result<u64, DecodeError> {
        self.one(Type::Integer, |term| u64::try_from(term).ok())
    }

    /// Reads an atom.
    ///
    /// # Errors
    /// If something else comes next.
    pub fn atom(&mut self) -> Result<Atom, DecodeError> {
        if let Some([tag::ATOM_CACHE_REF, index, ..]) = self.bytes.get(self.at..) {
            let atom = self.atoms.get(usize::from(*index));
            let atom = atom.ok_or_else(|| DecodeErrorKind::NoSuchAtom(*index).at(self.at))?;
            self.at += 2;
            return Ok(atom.clone());
        }
        if let Some([tag::SMALL_ATOM_UTF8, len, rest @ ..]) = self.bytes.get(self.at..)
            && let Some(text) = rest.get(..usize::from(*len))
        {
            let text = std::str::from_utf8(text).map_err(|_| DecodeErrorKind::AtomNotUtf8.at(self.at))?;
            self.at += 2 + text.len();
            return Ok(Atom::from_checked(text));
        }
        self.one(Type::Atom, |term| term.as_atom().cloned())
    }

    /// Reads a pid.
    ///
    /// # Errors
    /// If something else comes next.
    pub fn pid(&mut self) -> Result<Pid, DecodeError> {
        if self.peek() != Some(tag::NEW_PID) {
            return self.one(Type::Pid, |term| term.as_pid().cloned());
        }
        // A reader of its own, so that an error leaves this one where it was.
        let mut ahead = Reader {
            at: self.at + 1,
            ..*self
        };
        let node = ahead.atom()?;
        let pid = Pid::new(node, ahead.word()?, ahead.word()?, ahead.word()?);
        self.at = ahead.at;
        Ok(pid)
    }

    /// Reads a reference.
    ///
    /// # Errors
    /// If something else comes next.
    pub fn reference(&mut self) -> Result<Reference, DecodeError> {
        let Some([tag::NEWER_REFERENCE, 0, count @ 0..=5, ..]) = self.bytes.get(self.at..) else {
            return self.one(Type::Reference, |term| term.as_reference().cloned());
        };
        let mut ahead = Reader {
            at: self.at + 3,
            ..*self
        };
        let node = ahead.atom()?;
        let creation = ahead.word()?;
        let mut words = [0; MAX_REFERENCE_WORDS];
        for word in words.iter_mut().take(usize::from(*count)) {
            *word = ahead.word()?;
        }
        self.at = ahead.at;
        Ok(Reference::from_checked(node, words, *count, creation))
    }

    /// Reads a port.
    ///
    /// # Errors
    /// If something else comes next.
    pub fn port(&mut self) -> Result<Port, DecodeError> {
        self.one(Type::Port, |term| term.as_port().cloned())
    }

    /// Reads four bytes.
    fn word(&mut self) -> Result<u32, DecodeError> {
        match self.bytes.get(self.at..) {
            Some([a, b, c, d, ..]) => {
                self.at += 4;
                Ok(u32::from_be_bytes([*a, *b, *c, *d]))
            }
            _ => Err(DecodeErrorKind::Truncated.at(self.bytes.len())),
        }
    }

    fn one<T>(&mut self, expected: Type, take: impl Fn(&Term) -> Option<T>) -> Result<T, DecodeError> {
        let at = self.at;
        let term = self.term()?;
        take(&term).ok_or_else(|| {
            self.at = at;
            DecodeErrorKind::Expected(expected).at(at)
        })
    }

    fn expected(&self, rest: Option<&[u8]>, expected: Type) -> DecodeError {
        match rest {
            None | Some([] | [tag::SMALL_TUPLE | tag::LARGE_TUPLE, ..]) => {
                DecodeErrorKind::Truncated.at(self.bytes.len())
            }
            Some(_) => DecodeErrorKind::Expected(expected).at(self.at),
        }
    }
}
