//! What a view of a scalar, a fun or a record knows of itself.

use super::read::{next_atom, next_pid};
use super::{Elements, Rest, Row, TermRef};
use crate::etf::scan::{integer, skip};
use crate::etf::tag;
use crate::term::{Atom, Pid, Port, Reference};
use std::fmt;

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
    pub(super) bytes: &'a [u8],
    /// Latin1 beyond ASCII; otherwise UTF-8.
    pub(super) latin1: bool,
}

impl<'a> AtomRef<'a> {
    pub(super) const EMPTY: Self = Self {
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
    pub(super) old: bool,
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
    pub(super) words: &'a [u8],
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
    pub(super) head: Rest<'a>,
    pub(super) atoms: &'a [Atom],
    pub(super) tag: u8,
    /// How many values it closed over, and how far into `head` they begin.
    pub(super) free: u32,
    pub(super) offset: u32,
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
    pub(super) head: Rest<'a>,
    pub(super) atoms: &'a [Atom],
    pub(super) fields: u32,
    pub(super) exported: bool,
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
