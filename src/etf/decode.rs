//! From bytes to terms: the limits, the entry points.
//!
//! The work is done by the parser beside this; here stands what may precede a term: the version byte, and the tags of compressed and
//! local terms.

use super::error::{DecodeError, DecodeErrorKind};
use super::parse::Parser;
use super::tag;
use crate::term::block::Block;
use crate::term::{Atom, Term};
use bytes::Bytes;
use std::sync::Arc;

/// How large a term may be.
///
/// The default lets through whatever a BEAM node can send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The most parts a term may have, counting all terms within it; up to 16 bytes of memory each.
    pub parts: u32,
    /// How deep terms may stand within terms.
    pub depth: u32,
    /// The most bytes that a compressed term may inflate to. Nodes never send compressed terms; files hold them.
    pub inflated: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            parts: u32::MAX - 1,
            depth: u32::MAX,
            inflated: 256 << 20,
        }
    }
}

/// Turns bytes into terms, within limits.
///
/// ```
/// use beamnode::etf::{DecodeErrorKind, Decoder, Limit, Limits};
///
/// let decoder = Decoder::new().limits(Limits { depth: 2, ..Limits::default() });
/// assert!(decoder.decode(&[131, 104, 1, 104, 0][..]).is_ok());
/// let error = decoder.decode(&[131, 104, 1, 104, 1, 104, 1, 106][..]).unwrap_err();
/// assert_eq!(error.kind, DecodeErrorKind::Limit(Limit::Depth));
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct Decoder {
    limits: Limits,
}

impl Decoder {
    /// A decoder with the default limits.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The same with other limits.
    #[must_use]
    pub const fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// Decodes bytes that are one term, from the version byte on.
    ///
    /// # Errors
    /// If they are not, or go beyond the limits.
    pub fn decode(&self, bytes: impl Into<Bytes>) -> Result<Term, DecodeError> {
        let bytes = bytes.into();
        let len = bytes.len();
        let (term, used) = self.decode_prefix(bytes)?;
        if used < len {
            return Err(DecodeErrorKind::TrailingBytes.at(used));
        }
        Ok(term)
    }

    /// Decodes the term that the bytes begin with, from the version byte on, and says how many bytes it took.
    ///
    /// # Errors
    /// If they do not begin with one, or it goes beyond the limits.
    pub fn decode_prefix(&self, bytes: impl Into<Bytes>) -> Result<(Term, usize), DecodeError> {
        let bytes = bytes.into();
        match bytes.get(..2) {
            Some([tag::VERSION, tag::COMPRESSED]) => {
                let (inflated, used) = super::compress::inflate(&bytes, self.limits.inflated)?;
                let len = inflated.len();
                let (term, end) = self.bare(inflated, 0, None)?;
                if end < len {
                    return Err(DecodeErrorKind::TrailingBytes.at(end));
                }
                Ok((term, used))
            }
            Some([tag::VERSION, tag::LOCAL]) => self.local(bytes),
            Some([tag::VERSION, _]) => self.bare(bytes, 1, None),
            _ => Err(match bytes.first() {
                None => DecodeErrorKind::Truncated.at(0),
                Some(&tag::VERSION) => DecodeErrorKind::Truncated.at(1),
                Some(_) => DecodeErrorKind::NoVersion.at(0),
            }),
        }
    }

    /// Decodes the term that stands, without version byte, at an offset, and says where it ends.
    pub(crate) fn bare(
        &self,
        source: Bytes,
        start: usize,
        table: Option<Arc<[Atom]>>,
    ) -> Result<(Term, usize), DecodeError> {
        let atoms = table.as_deref().unwrap_or_default();
        if let Some(found) = self
            .lone_atom(&source, start, atoms)
            .or_else(|| self.lone_binary(&source, start))
        {
            return Ok(found);
        }
        let (nodes, links, end) = Parser::new(&source, atoms, self.limits).run(start)?;
        let block = Block {
            nodes,
            source,
            table,
            links,
        };
        Ok((block.into_term(), end))
    }

    /// The term at an offset, if it is an atom of the table: what many a message says.
    fn lone_atom(&self, source: &Bytes, start: usize, atoms: &[Atom]) -> Option<(Term, usize)> {
        let [tag::ATOM_CACHE_REF, index] = *source.get(start..)?.first_chunk()? else {
            return None;
        };
        let atom = atoms.get(usize::from(index)).filter(|_| self.limits.parts > 0)?;
        Some((Term::Atom(atom.clone()), start + 2))
    }

    /// The term at an offset, if it is a binary: the one term of any size that needs no nodes.
    fn lone_binary(&self, source: &Bytes, start: usize) -> Option<(Term, usize)> {
        let [tag::BINARY, a, b, c, d] = *source.get(start..)?.first_chunk()? else {
            return None;
        };
        let begin = start + 5;
        let end = begin.checked_add(u32::from_be_bytes([a, b, c, d]) as usize)?;
        if end > source.len() || self.limits.parts == 0 {
            return None;
        }
        Some((Term::Binary(source.slice(begin..end)), end))
    }

    /// Decodes what `term_to_binary(Term, [local])` wrote: the node's own identifiers come without its name.
    fn local(&self, source: Bytes) -> Result<(Term, usize), DecodeError> {
        // After version and tag come four bytes by which the node knows its own.
        const START: usize = 6;
        let (nodes, links, end) = Parser::new(&source, &[], self.limits)
            .with_local_node()
            .run(START)?;
        let block = Block {
            nodes,
            source,
            table: None,
            links,
        };
        Ok((block.into_term(), end))
    }
}

/// Decodes bytes that are one term, from the version byte on, with the default limits.
///
/// Binaries of the term share the input's memory.
///
/// # Errors
/// If they are not one term.
///
/// ```
/// use beamnode::etf;
///
/// let term = etf::decode(vec![131, 108, 0, 0, 0, 1, 119, 2, b'o', b'k', 106])?;
/// assert_eq!(term.to_string(), "[ok]");
/// # Ok::<(), etf::DecodeError>(())
/// ```
pub fn decode(bytes: impl Into<Bytes>) -> Result<Term, DecodeError> {
    Decoder::new().decode(bytes)
}

impl DecodeErrorKind {
    /// The error at an offset.
    pub(crate) const fn at(self, offset: usize) -> DecodeError {
        DecodeError { kind: self, offset }
    }
}
