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
pub(crate) mod tag;

pub use decode::{Decoder, Limits, decode};
pub use encode::{Encode, Encoder, MinorVersion, Writer, encode};
pub use error::{DecodeError, DecodeErrorKind, Limit, Type};
pub use raw::{Atoms, RawTerm};
pub use reader::Reader;

#[cfg(test)]
mod tests;
