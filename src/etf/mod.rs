//! The external term format.

#![warn(
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    clippy::unwrap_used,
    clippy::expect_used
)]

mod compress;
mod decode;
mod encode;
mod error;
mod keys;
mod parse;
mod raw;
mod reader;
mod scan;
#[cfg(feature = "serde")]
mod serde;
pub(crate) mod tag;
mod view;

pub use decode::{Decoder, Limits, decode};
pub use encode::{Encode, Encoder, MinorVersion, Writer, encode};
pub use error::{DecodeError, DecodeErrorKind, Limit, Type};
pub use raw::{Atoms, RawTerm};
pub use reader::Reader;
#[cfg(feature = "serde")]
pub use serde::{
    Absent, Mapping, SerdeError, SerdeErrorKind, Text, from_bytes, from_term, to_bytes, to_term,
};
pub use view::{
    AtomRef, BigIntegerRef, Elements, FunRef, PidRef, PortRef, RecordRef, ReferenceRef, TermRef, View, Walk,
};

#[cfg(test)]
mod tests;
