//! The parts that hold no others, or no more than atoms. Each gives its last node; those before it are written then.

use super::{Parser, Result};
use crate::etf::error::{DecodeErrorKind, Limit};
use crate::etf::scan::{self, Rest, atom_bytes, byte, chunk, float_text, integer};
use crate::etf::tag;
use crate::term::block::Node;
use crate::term::number::{small, trim};
use crate::term::{Atom, MAX_REFERENCE_WORDS, Term};

impl<'a> Parser<'a> {
    /// An atom's node.
    pub(super) fn atom(&mut self, tag: u8, rest: &mut Rest<'a>) -> Result<Node> {
        if tag == tag::ATOM_CACHE_REF {
            let index = byte(rest)?;
            let known = usize::from(index) < self.table.len();
            return if known {
                Ok(Node::TableAtom(index.into()))
            } else {
                Err(DecodeErrorKind::NoSuchAtom(index))
            };
        }
        if tag == tag::NIL && self.local {
            // What local terms have in the place of their node's name.
            return self.side_atom("nonode@nohost");
        }
        let (bytes, latin1) = atom_bytes(tag, rest)?;
        if latin1 {
            let text: String = bytes.iter().copied().map(char::from).collect();
            return self.side_atom(&text);
        }
        let offset = self.input.len() - rest.len() - bytes.len();
        // At most 255 characters.
        let len = u32::try_from(bytes.len()).unwrap_or(0);
        Ok(Node::Atom {
            len,
            offset: offset as u64,
        })
    }

    /// An atom whose text is not in the input.
    fn side_atom(&mut self, text: &str) -> Result<Node> {
        let atom = Term::Atom(Atom::from_checked(text));
        let index = u32::try_from(self.side.len()).map_err(|_| DecodeErrorKind::Limit(Limit::Parts))?;
        self.side.push(atom);
        Ok(Node::SideAtom(index))
    }

    /// The atom that must come next.
    fn next_atom(&mut self, rest: &mut Rest<'a>) -> Result<Node> {
        let tag = byte(rest)?;
        self.atom(tag, rest)
    }

    /// The node of a big integer, or of a small one that was written as a big one.
    pub(super) fn big(&self, tag: u8, rest: &mut Rest<'a>) -> Result<Node> {
        let len = if tag == tag::SMALL_BIG {
            byte(rest)?.into()
        } else {
            u32::from_be_bytes(chunk(rest)?)
        };
        let negative = byte(rest)? != 0;
        let before = *rest;
        let offset = self.take(rest, len as usize)?;
        let magnitude = trim(before.get(..len as usize).unwrap_or_default());
        Ok(match small(negative, magnitude) {
            Some(value) => Node::Integer(value),
            None => Node::BigInteger {
                negative,
                len: u32::try_from(magnitude.len()).unwrap_or(len),
                offset,
            },
        })
    }

    pub(super) fn pid(&mut self, tag: u8, rest: &mut Rest<'a>) -> Result<Node> {
        let node = self.next_atom(rest)?;
        let id = u32::from_be_bytes(chunk(rest)?);
        let serial = u32::from_be_bytes(chunk(rest)?);
        let creation = scan::creation(rest, tag == tag::PID)?;
        self.nodes.push(Node::Pid { id, serial, creation });
        Ok(node)
    }

    pub(super) fn reference(&mut self, tag: u8, rest: &mut Rest<'a>) -> Result<Node> {
        let words = if tag == tag::REFERENCE {
            1
        } else {
            u16::from_be_bytes(chunk(rest)?)
        };
        let count = u8::try_from(words)
            .ok()
            .filter(|count| usize::from(*count) <= MAX_REFERENCE_WORDS)
            .ok_or(DecodeErrorKind::ReferenceTooLong(words))?;
        let node = self.next_atom(rest)?;
        let size = usize::from(count) * 4;
        let (offset, creation) = match tag {
            tag::NEWER_REFERENCE => {
                let creation = scan::creation(rest, false)?;
                (self.take(rest, size)?, creation)
            }
            tag::NEW_REFERENCE => {
                let creation = scan::creation(rest, true)?;
                (self.take(rest, size)?, creation)
            }
            _ => (self.take(rest, size)?, scan::creation(rest, true)?),
        };
        self.nodes.push(Node::Reference {
            count,
            creation,
            offset,
        });
        Ok(node)
    }

    pub(super) fn port(&mut self, tag: u8, rest: &mut Rest<'a>) -> Result<Node> {
        let node = self.next_atom(rest)?;
        let id = match tag {
            tag::V4_PORT => u64::from_be_bytes(chunk(rest)?),
            _ => u32::from_be_bytes(chunk(rest)?).into(),
        };
        let creation = scan::creation(rest, tag == tag::PORT)?;
        let old = tag != tag::V4_PORT;
        self.nodes.push(Node::Port { old, creation, id });
        Ok(node)
    }

    pub(super) fn export(&mut self, rest: &mut Rest<'a>) -> Result<Node> {
        let module = self.next_atom(rest)?;
        let function = self.next_atom(rest)?;
        let arity = u8::try_from(integer(rest)?).map_err(|_| DecodeErrorKind::BadArity)?;
        self.nodes.extend([Node::Export { arity }, module]);
        Ok(function)
    }

    pub(super) fn bit_string(&mut self, rest: &mut Rest<'a>) -> Result<Node> {
        let len = u32::from_be_bytes(chunk(rest)?);
        let bits = byte(rest)?;
        let offset = self.take(rest, len as usize)?;
        match bits {
            1..8 if len > 0 => Ok(Node::BitString { bits, len, offset }),
            8 if len > 0 => Ok(Node::Binary { len, offset }),
            _ => Err(DecodeErrorKind::BadBits(bits)),
        }
    }

    pub(super) fn float(&self, rest: &mut Rest<'a>) -> Result<Node> {
        let value = f64::from_be_bytes(chunk(rest)?);
        if value.is_finite() {
            Ok(Node::Float(value))
        } else {
            Err(DecodeErrorKind::BadFloat)
        }
    }

    /// A float as the text that `printf("%.20e")` made, filled up with zeros.
    pub(super) fn old_float(&mut self, rest: &mut Rest<'a>) -> Result<Node> {
        let text: [u8; 31] = chunk(rest)?;
        let value = float_text(&text).ok_or(DecodeErrorKind::BadFloat)?;
        Ok(Node::Float(value))
    }
}
