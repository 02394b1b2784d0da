//! What can be wrong with encoded terms.

use std::fmt;

/// Why bytes are not a term, and where.
///
/// ```
/// use beamnode::etf::{self, DecodeErrorKind};
///
/// let error = etf::decode(&[131, 104, 2, 97, 1][..]).unwrap_err();
/// assert_eq!(error.kind, DecodeErrorKind::Truncated);
/// assert_eq!(error.offset, 5);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DecodeError {
    /// What is wrong.
    pub kind: DecodeErrorKind,
    /// Where: the offset in the input of the term that is wrong, or of what is missing; within a compressed
    /// term, in what it inflates to.
    pub offset: usize,
}

impl fmt::Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at byte {}", self.kind, self.offset)
    }
}

impl std::error::Error for DecodeError {}

/// What is wrong with bytes that are not a term.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecodeErrorKind {
    /// The bytes end inside the term.
    #[error("the term is cut short")]
    Truncated,
    /// The first byte is not the version, 131.
    #[error("the first byte is not 131")]
    NoVersion,
    /// More bytes than the term has.
    #[error("bytes are left after the term")]
    TrailingBytes,
    /// No term begins with this byte.
    #[error("unknown tag {0}")]
    UnknownTag(u8),
    /// A term of another type than must stand here.
    #[error("expected {0}")]
    Expected(Type),
    /// A reference to an atom that the message does not bring.
    #[error("atom {0} is not in the table")]
    NoSuchAtom(u8),
    /// An atom of more than 255 characters.
    #[error("an atom has more than 255 characters")]
    AtomTooLong,
    /// An atom that is not UTF-8.
    #[error("an atom is not UTF-8")]
    AtomNotUtf8,
    /// A float that is infinite, not a number, or not the text of one.
    #[error("a float is not a finite number")]
    BadFloat,
    /// A bit string without bytes, or whose last byte counts no bits or more than 8.
    #[error("a bit string with {0} bits in its last byte")]
    BadBits(u8),
    /// A reference of more than five words.
    #[error("a reference has {0} words")]
    ReferenceTooLong(u16),
    /// The creation of an identifier in the old form, which has only two bits.
    #[error("creation {0} in an identifier of the old form")]
    BadCreation(u8),
    /// The arity of an export that is no small integer from 0 to 255.
    #[error("the arity of a fun is not within 0 to 255")]
    BadArity,
    /// A map with the same key twice.
    #[error("a map has the same key twice")]
    DuplicateKey,
    /// A record with the same field twice.
    #[error("a record has the same field twice")]
    DuplicateField,
    /// A record with another flag than those known.
    #[error("flags {0} of a record")]
    BadRecordFlags(u8),
    /// Compressed data that are not zlib's.
    #[error("the compressed data are damaged")]
    BadCompression,
    /// Compressed data that inflate to another length than they say.
    #[error("the compressed data inflate to another length than {0} bytes")]
    WrongInflatedLength(u32),
    /// More than [`Limits`](super::Limits) allow.
    #[error("the term is beyond the limit of {0}")]
    Limit(Limit),
}

/// What must stand at a place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Type {
    /// An atom.
    Atom,
    /// An integer, within the range that the place has.
    Integer,
    /// A pid.
    Pid,
    /// A reference.
    Reference,
    /// A port.
    Port,
    /// A tuple.
    Tuple,
    /// A list.
    List,
    /// A map.
    Map,
    /// A binary.
    Binary,
}

impl fmt::Display for Type {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Atom => "an atom",
            Self::Integer => "an integer",
            Self::Pid => "a pid",
            Self::Reference => "a reference",
            Self::Port => "a port",
            Self::Tuple => "a tuple",
            Self::List => "a list",
            Self::Map => "a map",
            Self::Binary => "a binary",
        })
    }
}

/// One of the limits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Limit {
    /// How many parts a term has.
    Parts,
    /// How deep terms stand in terms.
    Depth,
    /// How many bytes a compressed term inflates to.
    Inflated,
}

impl fmt::Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Parts => "parts",
            Self::Depth => "depth",
            Self::Inflated => "inflated bytes",
        })
    }
}
