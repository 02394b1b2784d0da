//! Erlang terms, their order and their text form.
//!
//! [`Term`] is any Erlang value. Cloning one is cheap whatever its size; taking it apart and dropping it recurse
//! nowhere, so no depth of nesting is dangerous.
//!
//! # Equality and order
//! Erlang has two of each, and so have we.
//!
//! * `==`, `Ord` and `Hash` of Rust are the **exact** ones: `=:=`, and the order of the keys of a map. `1` and `1.0` differ, integers come before
//!   floats, and (as from OTP 27 on) `0.0` and `-0.0` differ. They are what collections need.
//! * [`Term::equals`] and [`Term::compare`] are Erlang's `==` and `<`: numbers by their value, exactly and without
//!   rounding, `1 == 1.0`.
//!
//! Both orders have number < atom < reference < fun < port < pid < tuple < map < nil < list < bit string.
//!
//! # Text
//! `Display` prints what `io:format("~w", [Term])` prints, the alternate form (`{:#}`) what `~p` prints where the line
//! never ends. Identifiers of processes and the like carry their node's name, see [`Pid`].

mod atom;
mod binary;
pub(crate) mod block;
pub(crate) mod chain;
pub(crate) mod compare;
mod compound;
mod convert;
mod hash;
mod identifier;
mod macros;
#[cfg(feature = "num-bigint")]
mod num_bigint;
pub(crate) mod number;
mod parse;
mod print;
pub(crate) mod walk;

pub use atom::{Atom, AtomTooLong, MAX_ATOM_CHARACTERS};
pub use binary::BitString;
pub use compound::{Elements, Fun, List, ListElements, Map, Pairs, Record, Tuple};
pub use convert::NotInRange;
pub use identifier::{Local, MAX_REFERENCE_WORDS, Pid, Port, Reference, ReferenceTooLong};
#[doc(hidden)]
pub use macros::{Segment, Segments};
pub use number::{BigInteger, Float};
pub use parse::{ParseError, ParseErrorKind, Parser};
pub(crate) use {atom::is_short_enough, binary::mask, compound::Repr};

use block::Block;
use bytes::Bytes;
use std::sync::Arc;

/// Any Erlang value.
///
/// ```
/// use beamnode::term;
///
/// let request = term!({call, [1, 2.5, "text"]});
/// assert_eq!(request.to_string(), "{call,[1,2.5,<<116,101,120,116>>]}");
/// ```
///
/// What a term is, matching tells, or asking:
///
/// ```
/// use beamnode::term;
/// use beamnode::term::Term;
///
/// let term = term!({call, true, [1, 2.5, "text"]});
/// let [tag, flag, list] = term.as_tuple().and_then(|tuple| tuple.array()).ok_or("three elements")?;
/// assert!(tag.is_atom("call") && tag.as_atom().is_some());
/// assert_eq!(flag.as_bool(), Some(true));
/// let elements: Vec<Term> = list.as_list().ok_or("a list")?.iter().collect();
/// assert_eq!(elements[0].as_integer(), Some(1));
/// assert_eq!(elements[1].as_float(), Some(2.5));
/// assert_eq!(elements[2].as_utf8(), Some("text"));
/// assert_eq!(elements[2].as_binary().map(|bytes| bytes.len()), Some(4));
/// assert_eq!(Term::atom("ok"), term!(ok));
/// # Ok::<(), &str>(())
/// ```
///
/// Of those things that only a node makes there are values as well:
///
/// ```
/// use beamnode::term::Term;
///
/// let terms: Term = "[<a@b.84.0>, #Port<a@b.5>, #Ref<a@b.3.2.1>, fun lists:map/2, #{}, #m:r{}]".parse()?;
/// let terms: Vec<Term> = terms.as_list().ok_or("a list")?.iter().collect();
/// assert!(terms[0].as_pid().is_some() && terms[1].as_port().is_some() && terms[2].as_reference().is_some());
/// assert!(terms[3].as_fun().is_some() && terms[4].as_map().is_some() && terms[5].as_record().is_some());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub enum Term {
    /// An integer that fits in 64 bits.
    Integer(i64),
    /// An integer that does not.
    BigInteger(BigInteger),
    /// A float.
    Float(Float),
    /// An atom.
    Atom(Atom),
    /// A reference.
    Reference(Reference),
    /// A fun.
    Fun(Fun),
    /// A port.
    Port(Port),
    /// A pid.
    Pid(Pid),
    /// A tuple.
    Tuple(Tuple),
    /// A map.
    Map(Map),
    /// A list, nil among them.
    List(List),
    /// A binary.
    Binary(Bytes),
    /// A bit string that is no binary.
    BitString(BitString),
    /// A native record.
    Record(Record),
}

macro_rules! views {
    ($($(#[$doc:meta])* $name:ident $variant:ident $type:ty;)*) => {$(
        $(#[$doc])*
        #[must_use]
        pub const fn $name(&self) -> Option<&$type> {
            if let Self::$variant(value) = self { Some(value) } else { None }
        }
    )*};
}

impl Term {
    /// The empty list.
    pub const NIL: Self = Self::List(List::NIL);

    /// An atom known when the program is written.
    ///
    /// # Panics
    /// If `text` is longer than 255 bytes.
    #[must_use]
    pub const fn atom(text: &'static str) -> Self {
        Self::Atom(Atom::from_static(text))
    }

    /// The integer, if it is one that fits.
    #[must_use]
    pub const fn as_integer(&self) -> Option<i64> {
        if let Self::Integer(value) = self {
            Some(*value)
        } else {
            None
        }
    }

    /// The float, if it is one.
    #[must_use]
    pub const fn as_float(&self) -> Option<f64> {
        if let Self::Float(value) = self {
            Some(value.value())
        } else {
            None
        }
    }

    views! {
        /// The atom, if it is one.
        as_atom Atom Atom;
        /// The reference, if it is one.
        as_reference Reference Reference;
        /// The fun, if it is one.
        as_fun Fun Fun;
        /// The port, if it is one.
        as_port Port Port;
        /// The pid, if it is one.
        as_pid Pid Pid;
        /// The tuple, if it is one.
        as_tuple Tuple Tuple;
        /// The map, if it is one.
        as_map Map Map;
        /// The list, if it is one.
        as_list List List;
        /// The binary, if it is one.
        as_binary Binary Bytes;
        /// The native record, if it is one.
        as_record Record Record;
    }

    /// The text of a binary that is UTF-8.
    #[must_use]
    pub fn as_utf8(&self) -> Option<&str> {
        std::str::from_utf8(self.as_binary()?).ok()
    }

    /// What the atoms `true` and `false` say.
    #[must_use]
    pub fn as_bool(&self) -> Option<bool> {
        self.as_atom()?.as_bool()
    }

    /// Whether it is the atom with this text.
    #[must_use]
    pub fn is_atom(&self, text: &str) -> bool {
        self.as_atom().is_some_and(|atom| atom == text)
    }

    /// The block that a compound term stands in.
    pub(crate) fn into_block(self) -> Option<Arc<Block>> {
        match self {
            Self::Tuple(tuple) => Some(tuple.into_block()),
            Self::Map(map) => Some(map.into_block()),
            Self::List(list) => list.into_block(),
            Self::Fun(fun) => Some(fun.into_block()),
            Self::Record(record) => Some(record.into_block()),
            _ => None,
        }
    }
}
