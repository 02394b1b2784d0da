//! Reading one part of a term that has been gone over: what cannot be has been ruled out before.

use super::parts::{AtomRef, BigIntegerRef, FunRef, PidRef, PortRef, RecordRef, ReferenceRef};
use super::{Elements, Row, View};
use crate::etf::scan::{Rest, atom_bytes, byte, chunk, creation, float_text, integer, skip, word};
use crate::etf::tag;
use crate::term::Atom;
use crate::term::number::{small, trim};

/// Reads the next part, a compound's head only. What cannot be has been ruled out before.
#[inline]
pub(super) fn read<'a>(rest: &mut Rest<'a>, atoms: &'a [Atom]) -> Option<View<'a>> {
    let tag = byte(rest).ok()?;
    Some(match tag {
        tag::SMALL_INTEGER => View::Integer(byte(rest).ok()?.into()),
        tag::INTEGER => View::Integer(i32::from_be_bytes(chunk(rest).ok()?).into()),
        tag::NIL => View::Nil,
        tag::SMALL_ATOM_UTF8 => {
            let len = byte(rest).ok()?;
            View::Atom(AtomRef {
                bytes: rest.split_off(..usize::from(len))?,
                latin1: false,
            })
        }
        tag::BINARY => {
            let len = word(rest).ok()?;
            View::Binary(rest.split_off(..len)?)
        }
        tag::SMALL_TUPLE => {
            let left = byte(rest).ok()?.into();
            View::Tuple(Elements {
                rest,
                atoms,
                left,
                row: Row::Terms,
            })
        }
        tag::LIST => {
            let left = word(rest).ok()?;
            if left == 0 {
                // No elements: what stands here is the tail.
                return read_tail(rest, atoms);
            }
            View::List(Elements {
                rest,
                atoms,
                left,
                row: Row::List,
            })
        }
        tag::MAP => {
            let left = word(rest).ok()?.checked_mul(2)?;
            View::Map(Elements {
                rest,
                atoms,
                left,
                row: Row::Terms,
            })
        }
        tag::STRING => {
            let len = u16::from_be_bytes(chunk(rest).ok()?);
            let bytes = rest.split_off(..usize::from(len))?;
            if bytes.is_empty() {
                View::Nil
            } else {
                View::String(bytes)
            }
        }
        tag::NEW_FLOAT => View::Float(f64::from_be_bytes(chunk(rest).ok()?)),
        _ => return read_rare(tag, rest, atoms),
    })
}

/// Reads past any number of list heads without elements.
#[cold]
fn read_tail<'a>(rest: &mut Rest<'a>, atoms: &'a [Atom]) -> Option<View<'a>> {
    while let [tag::LIST, 0, 0, 0, 0, after @ ..] = *rest {
        *rest = after;
    }
    read(rest, atoms)
}

fn read_rare<'a>(tag: u8, rest: &mut Rest<'a>, atoms: &'a [Atom]) -> Option<View<'a>> {
    Some(match tag {
        tag::ATOM_CACHE_REF | tag::ATOM_UTF8 | tag::ATOM | tag::SMALL_ATOM => {
            View::Atom(atom(tag, rest, atoms)?)
        }
        tag::LARGE_TUPLE => {
            let left = word(rest).ok()?;
            View::Tuple(Elements {
                rest,
                atoms,
                left,
                row: Row::Terms,
            })
        }
        tag::SMALL_BIG | tag::LARGE_BIG => {
            let len = if tag == tag::SMALL_BIG {
                byte(rest).ok()?.into()
            } else {
                word(rest).ok()?
            };
            let negative = byte(rest).ok()? != 0;
            big(negative, rest.split_off(..len)?)
        }
        tag::BIT_BINARY => {
            let len = word(rest).ok()?;
            let bits = byte(rest).ok()?;
            let bytes = rest.split_off(..len)?;
            if bits == 8 {
                View::Binary(bytes)
            } else {
                View::BitString(bytes, bits)
            }
        }
        tag::FLOAT => View::Float(float_text(&chunk::<31>(rest).ok()?)?),
        tag::NEW_PID | tag::PID => View::Pid(pid(tag, rest, atoms)?),
        tag::NEW_PORT | tag::PORT | tag::V4_PORT => {
            let node = next_atom(rest, atoms)?;
            let id = if tag == tag::V4_PORT {
                u64::from_be_bytes(chunk(rest).ok()?)
            } else {
                u32::from_be_bytes(chunk(rest).ok()?).into()
            };
            let creation = creation(rest, tag == tag::PORT).ok()?;
            View::Port(PortRef {
                node,
                id,
                creation,
                old: tag != tag::V4_PORT,
            })
        }
        tag::REFERENCE => {
            let node = next_atom(rest, atoms)?;
            let words = rest.split_off(..4)?;
            View::Reference(ReferenceRef {
                node,
                words,
                creation: creation(rest, true).ok()?,
            })
        }
        tag::NEW_REFERENCE | tag::NEWER_REFERENCE => {
            let count = u16::from_be_bytes(chunk(rest).ok()?);
            let node = next_atom(rest, atoms)?;
            let creation = creation(rest, tag == tag::NEW_REFERENCE).ok()?;
            let words = rest.split_off(..usize::from(count) * 4)?;
            View::Reference(ReferenceRef {
                node,
                creation,
                words,
            })
        }
        tag::EXPORT | tag::NEW_FUN | tag::FUN => View::Fun(fun(tag, rest, atoms)?),
        tag::RECORD => {
            let fields = u32::from_be_bytes(chunk(rest).ok()?);
            let exported = byte(rest).ok()? == 1;
            let head = *rest;
            for _ in 0..u64::from(fields) + 2 {
                next_atom(rest, atoms)?;
            }
            View::Record(RecordRef {
                head,
                atoms,
                fields,
                exported,
            })
        }
        _ => return None,
    })
}

fn atom<'a>(tag: u8, rest: &mut Rest<'a>, atoms: &'a [Atom]) -> Option<AtomRef<'a>> {
    if tag == tag::ATOM_CACHE_REF {
        let bytes = atoms.get(usize::from(byte(rest).ok()?))?.as_str().as_bytes();
        return Some(AtomRef { bytes, latin1: false });
    }
    let (bytes, latin1) = atom_bytes(tag, rest).ok()?;
    Some(AtomRef { bytes, latin1 })
}

pub(super) fn next_atom<'a>(rest: &mut Rest<'a>, atoms: &'a [Atom]) -> Option<AtomRef<'a>> {
    let tag = byte(rest).ok()?;
    atom(tag, rest, atoms)
}

fn pid<'a>(tag: u8, rest: &mut Rest<'a>, atoms: &'a [Atom]) -> Option<PidRef<'a>> {
    let node = next_atom(rest, atoms)?;
    let id = u32::from_be_bytes(chunk(rest).ok()?);
    let serial = u32::from_be_bytes(chunk(rest).ok()?);
    let creation = creation(rest, tag == tag::PID).ok()?;
    Some(PidRef {
        node,
        id,
        serial,
        creation,
    })
}

/// Reads a fun up to the values it closed over.
fn fun<'a>(tag: u8, rest: &mut Rest<'a>, atoms: &'a [Atom]) -> Option<FunRef<'a>> {
    let head = *rest;
    let mut free = 0;
    match tag {
        tag::EXPORT => {
            next_atom(rest, atoms)?;
            next_atom(rest, atoms)?;
            integer(rest).ok()?;
        }
        tag::NEW_FUN => {
            skip(rest, 4 + 1 + 16 + 4).ok()?;
            free = u32::from_be_bytes(chunk(rest).ok()?);
            next_atom(rest, atoms)?;
            integer(rest).ok()?;
            integer(rest).ok()?;
            next_pid(rest, atoms)?;
        }
        _ => {
            free = u32::from_be_bytes(chunk(rest).ok()?);
            next_pid(rest, atoms)?;
            next_atom(rest, atoms)?;
            integer(rest).ok()?;
            integer(rest).ok()?;
        }
    }
    // A few names and numbers.
    let offset = u32::try_from(head.len() - rest.len()).ok()?;
    Some(FunRef {
        head,
        atoms,
        tag,
        free,
        offset,
    })
}

pub(super) fn next_pid<'a>(rest: &mut Rest<'a>, atoms: &'a [Atom]) -> Option<PidRef<'a>> {
    let tag = byte(rest).ok()?;
    pid(tag, rest, atoms)
}

/// A length of four bytes.
pub(super) const fn length(bytes: [u8; 4]) -> usize {
    u32::from_be_bytes(bytes) as usize
}

/// An integer that is written as a big one, though it need not be one.
#[inline]
pub(super) fn big(negative: bool, magnitude: &[u8]) -> View<'_> {
    let magnitude = trim(magnitude);
    match small(negative, magnitude) {
        Some(value) => View::Integer(value),
        None => View::BigInteger(BigIntegerRef { negative, magnitude }),
    }
}
