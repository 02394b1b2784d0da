//! Terms as bytes, kept to be forwarded or decoded later.

use super::decode::Decoder;
use super::encode::{Encode, Writer};
use super::error::DecodeError;
use super::scan::scan;
#[cfg(feature = "node")]
use super::view::TermRef;
use crate::term::{Atom, Term};
use bytes::Bytes;
use std::cell::Cell;
use std::ops::Deref;
use std::sync::Arc;

/// How many atoms a table can have.
pub(crate) const MAX_ATOMS: usize = 255;

thread_local! {
    static WRITER: Cell<Option<Writer>> = const { Cell::new(None) };
}

/// The atoms that a message of the distribution brings: what the tag `ATOM_CACHE_REF` in its terms refers to by number.
///
/// Cheap to clone.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Atoms(Option<Arc<[Atom]>>);

impl Atoms {
    /// No atoms.
    pub const NONE: Self = Self(None);

    /// Whether both are one table, and not only equal.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        match (&self.0, &other.0) {
            (Some(a), Some(b)) => Arc::ptr_eq(a, b),
            (None, None) => true,
            _ => false,
        }
    }

    pub(crate) fn shared(&self) -> Option<Arc<[Atom]>> {
        self.0.clone()
    }
}

impl From<Vec<Atom>> for Atoms {
    fn from(atoms: Vec<Atom>) -> Self {
        if atoms.is_empty() {
            Self::NONE
        } else {
            Self(Some(atoms.into()))
        }
    }
}

impl FromIterator<Atom> for Atoms {
    fn from_iter<I: IntoIterator<Item = Atom>>(atoms: I) -> Self {
        let atoms: Arc<[Atom]> = atoms.into_iter().collect();
        Self(Some(atoms).filter(|atoms| !atoms.is_empty()))
    }
}

impl Deref for Atoms {
    type Target = [Atom];

    fn deref(&self) -> &[Atom] {
        self.0.as_deref().unwrap_or_default()
    }
}

/// A term as it stands in a message of the distribution: without version byte, referring to atoms of the message's table.
///
/// What it holds is not looked at until it is asked for: [`check`](Self::check) goes over its structure and builds nothing,
/// [`decode`](Self::decode) makes the term.
///
/// ```
/// use beamnode::etf::RawTerm;
/// use beamnode::term::{Atom, Term};
///
/// let raw = RawTerm::new(&(Atom::from_static("ok"), 7));
/// assert_eq!(raw.bytes()[..], [104, 2, 82, 0, 97, 7]);
/// assert_eq!(raw.atoms()[0], "ok");
/// assert_eq!(raw.decode()?, Term::from((Atom::from_static("ok"), 7)));
/// assert_eq!(raw.inline().bytes()[..], [104, 2, 119, 2, b'o', b'k', 97, 7]);
/// # Ok::<(), beamnode::etf::DecodeError>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct RawTerm {
    bytes: Bytes,
    atoms: Atoms,
}

impl RawTerm {
    /// Encodes a value, its atoms in a table.
    #[must_use]
    pub fn new<T: Encode + ?Sized>(value: &T) -> Self {
        // The writer is used again, but for what it has written if that is much: the bytes of a message are allocated once, when it is
        // known how many they are. A value that in turn has another encoded meets an empty place, and makes a writer of its own.
        // So does what is sent while a thread ends.
        let kept = WRITER.try_with(Cell::take).ok().flatten();
        let mut writer = kept.unwrap_or_else(|| Writer::with_atoms(&Atoms::NONE));
        value.encode(&mut writer);
        let raw = Self {
            bytes: writer.take_bytes(),
            atoms: writer.take_atoms(),
        };
        let _ = WRITER.try_with(|place| place.set(Some(writer)));
        raw
    }

    /// Bytes as they came, which may be anything.
    #[must_use]
    pub const fn from_parts(bytes: Bytes, atoms: Atoms) -> Self {
        Self { bytes, atoms }
    }

    /// The bytes.
    #[must_use]
    pub const fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    /// The atoms that the bytes refer to.
    #[must_use]
    pub const fn atoms(&self) -> &Atoms {
        &self.atoms
    }

    /// Makes the term. Bytes after it are ignored, as a BEAM node does.
    ///
    /// # Errors
    /// If the bytes are not a term.
    pub fn decode(&self) -> Result<Term, DecodeError> {
        let (term, _) = Decoder::new().bare(self.bytes.clone(), 0, self.atoms.shared())?;
        Ok(term)
    }

    /// Whether the bytes begin with a well-formed term, and how many bytes it takes. Builds nothing.
    ///
    /// That the keys of each map differ is left to [`decode`](Self::decode).
    ///
    /// # Errors
    /// If they do not.
    pub fn check(&self) -> Result<usize, DecodeError> {
        scan(&self.bytes, 0, self.atoms.len(), |_, _| {})
    }

    /// A part of the term, with the bytes that follow it.
    #[cfg(feature = "node")]
    pub(crate) fn part(&self, part: TermRef<'_>) -> Self {
        Self::from_parts(self.bytes.slice_ref(part.to_end()), self.atoms.clone())
    }

    /// The same term with its atoms written out and no table. What is not well-formed is left as it is.
    #[must_use]
    pub fn inline(&self) -> Self {
        if self.atoms.is_empty() {
            return self.clone();
        }
        let mut writer = Writer::without_atoms();
        match self.copy(&mut writer) {
            Ok(()) => Self {
                bytes: writer.into_bytes().into(),
                atoms: Atoms::NONE,
            },
            Err(_) => self.clone(),
        }
    }

    /// Copies the term, its references to atoms turned into what the writer makes of those atoms.
    fn copy(&self, writer: &mut Writer) -> Result<(), DecodeError> {
        let mut copied = 0;
        let start = writer.len();
        let end = scan(&self.bytes, 0, self.atoms.len(), |offset, index| {
            writer.raw(self.bytes.get(copied..offset).unwrap_or_default());
            writer.atom(self.atoms.get(usize::from(index)).map_or("", Atom::as_str));
            copied = offset + 2;
        });
        match end {
            Ok(end) => writer.raw(self.bytes.get(copied..end).unwrap_or_default()),
            Err(_) => writer.truncate(start),
        }
        end.map(drop)
    }
}

impl From<&Term> for RawTerm {
    fn from(term: &Term) -> Self {
        Self::new(term)
    }
}

impl From<Term> for RawTerm {
    fn from(term: Term) -> Self {
        Self::new(&term)
    }
}

/// Written as the term that it is; what is not well-formed as `[]`.
impl Encode for RawTerm {
    fn encode(&self, writer: &mut Writer) {
        if self.copy(writer).is_err() {
            writer.nil();
        }
    }

    /// As it is, without a copy.
    fn to_raw(&self) -> RawTerm {
        match self.check() {
            Ok(end) => Self {
                bytes: self.bytes.slice(..end),
                atoms: self.atoms.clone(),
            },
            Err(_) => Self::new(self),
        }
    }
}
