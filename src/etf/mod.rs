//! The external term format.

mod compress;
mod decode;
mod encode;
mod error;
mod raw;
mod reader;
pub(crate) mod tag;

pub use decode::{Decoder, Limits, decode};
pub use encode::{Encode, Encoder, Writer, encode};
pub use error::{DecodeError, DecodeErrorKind, Limit, Type};
pub use raw::{Atoms, RawTerm};
pub use reader::Reader;

#[cfg(test)]
mod tests;
