//! Going over the bytes of a term without building anything.
//!
//! All that needs to be known between one part and the next is how many terms are still to come, so one counter serves for any depth.
//! What is left unchecked, because it cannot be said without keeping more, is that the keys of each map and the fields of
//! each record differ.

use super::error::{DecodeError, DecodeErrorKind, Type};
use super::tag;
use crate::term::number::{small, trim};
use crate::term::{MAX_REFERENCE_WORDS, is_short_enough};
use std::hint::select_unpredictable;

type Result<T, E = DecodeErrorKind> = std::result::Result<T, E>;

/// What is left of the input.
pub(super) type Rest<'a> = &'a [u8];

/// Goes over the term that stands at an offset and says where it ends. `reference` is told of each reference to an atom of the table: the
/// offset of its tag, and its number.
pub(super) fn scan(
    input: &[u8],
    start: usize,
    atoms: usize,
    mut reference: impl FnMut(usize, u8),
) -> Result<usize, DecodeError> {
    let mut scan = Scan {
        rest: input.get(start..).unwrap_or_default(),
        part: 0,
        length: input.len(),
        atoms,
        reference: &mut reference,
    };
    match scan.terms(1) {
        Ok(()) => Ok(input.len() - scan.rest.len()),
        Err(DecodeErrorKind::Truncated) => Err(DecodeErrorKind::Truncated.at(input.len())),
        Err(kind) => Err(kind.at(input.len() - scan.part)),
    }
}

struct Scan<'a, 'f, F> {
    rest: Rest<'a>,
    /// How many bytes were left where the part began that is being read.
    part: usize,
    length: usize,
    atoms: usize,
    reference: &'f mut F,
}

impl<F: FnMut(usize, u8)> Scan<'_, '_, F> {
    /// Goes over so many terms with all that they hold.
    fn terms(&mut self, mut left: usize) -> Result<()> {
        while left > 0 {
            left = self.common(left);
            if left == 0 {
                break;
            }
            left -= 1;
            self.part = self.rest.len();
            let tag = byte(&mut self.rest)?;
            let more = match tag {
                tag::SMALL_INTEGER => return Err(DecodeErrorKind::Truncated),
                tag::INTEGER => skip(&mut self.rest, 4).map(|()| 0)?,
                tag::NIL => 0,
                tag::BINARY => {
                    let len = word(&mut self.rest)?;
                    skip(&mut self.rest, len).map(|()| 0)?
                }
                tag::SMALL_TUPLE => byte(&mut self.rest)?.into(),
                tag::LARGE_TUPLE => word(&mut self.rest)?,
                tag::LIST => word(&mut self.rest)?.saturating_add(1),
                tag::MAP => word(&mut self.rest)?.saturating_mul(2),
                tag::SMALL_ATOM_UTF8 | tag::ATOM_CACHE_REF | tag::ATOM_UTF8 | tag::ATOM | tag::SMALL_ATOM => {
                    self.atom(tag).map(|()| 0)?
                }
                tag::STRING => {
                    let len = u16::from_be_bytes(chunk(&mut self.rest)?);
                    skip(&mut self.rest, len.into()).map(|()| 0)?
                }
                tag::NEW_FLOAT => match f64::from_be_bytes(chunk(&mut self.rest)?).is_finite() {
                    true => 0,
                    false => return Err(DecodeErrorKind::BadFloat),
                },
                _ => self.rare(tag)?,
            };
            left = left.saturating_add(more);
            if left > self.rest.len() {
                return Err(DecodeErrorKind::Truncated);
            }
        }
        Ok(())
    }

    /// Goes over what comes most often, each with a single look at what is left, and says how many of `left` terms are still
    /// to come then. Whatever is wrong is left to the general way.
    fn common(&mut self, mut left: usize) -> usize {
        let (mut rest, mut part) = (self.rest, self.part);
        while left > 0 {
            let begin = rest.len();
            let Some((&tag, after)) = rest.split_first() else {
                break;
            };
            // How many bytes of it follow, and how many terms.
            let (size, more) = match tag {
                tag::NIL => (0, 0),
                tag::SMALL_INTEGER => (1, 0),
                tag::INTEGER => (4, 0),
                tag::NEW_FLOAT => match after.first_chunk() {
                    Some(value) if f64::from_be_bytes(*value).is_finite() => (8, 0),
                    _ => break,
                },
                tag::SMALL_ATOM_UTF8 => match after.split_first() {
                    Some((&len, after)) if after.get(..len.into()).is_some_and(<[u8]>::is_ascii) => {
                        (usize::from(len) + 1, 0)
                    }
                    _ => break,
                },
                tag::BINARY => match after.first_chunk() {
                    Some(len) => ((u32::from_be_bytes(*len) as usize).saturating_add(4), 0),
                    None => break,
                },
                tag::STRING => match after.first_chunk() {
                    Some(len) => (usize::from(u16::from_be_bytes(*len)) + 2, 0),
                    None => break,
                },
                tag::SMALL_BIG => match after.first() {
                    Some(len) => (usize::from(*len) + 2, 0),
                    None => break,
                },
                tag::SMALL_TUPLE => match after.first() {
                    Some(arity) => (1, usize::from(*arity)),
                    None => break,
                },
                tag::LIST => match after.first_chunk() {
                    Some(len) => (4, (u32::from_be_bytes(*len) as usize).saturating_add(1)),
                    None => break,
                },
                tag::MAP => match after.first_chunk() {
                    Some(len) => (4, (u32::from_be_bytes(*len) as usize).saturating_mul(2)),
                    None => break,
                },
                _ => break,
            };
            let Some(after) = after.get(size..) else { break };
            // As many as are claimed, and those still to come, must have a byte each; if not, the general way says so.
            if more > 0 && (left - 1).saturating_add(more) > after.len() {
                break;
            }
            rest = after;
            part = begin;
            left = left - 1 + more;
            if tag == tag::LIST && more > ROW {
                (rest, left) = integers(rest, left);
            }
        }
        (self.rest, self.part) = (rest, part);
        left
    }

    /// Goes over a part of the rarer kinds, and says how many terms it holds.
    fn rare(&mut self, tag: u8) -> Result<usize> {
        match tag {
            tag::SMALL_BIG => {
                let len = byte(&mut self.rest)?;
                skip(&mut self.rest, usize::from(len) + 1)?;
            }
            tag::LARGE_BIG => {
                let len = word(&mut self.rest)?;
                skip(&mut self.rest, len.saturating_add(1))?;
            }
            tag::BIT_BINARY => {
                let len = word(&mut self.rest)?;
                let bits = byte(&mut self.rest)?;
                if len == 0 || !(1..=8).contains(&bits) {
                    return Err(DecodeErrorKind::BadBits(bits));
                }
                skip(&mut self.rest, len)?;
            }
            tag::FLOAT => {
                let text: [u8; 31] = chunk(&mut self.rest)?;
                float_text(&text).ok_or(DecodeErrorKind::BadFloat)?;
            }
            tag::NEW_PID | tag::PID => self.pid(tag)?,
            tag::NEW_PORT | tag::PORT | tag::V4_PORT => {
                self.next_atom()?;
                skip(&mut self.rest, if tag == tag::V4_PORT { 8 } else { 4 })?;
                creation(&mut self.rest, tag == tag::PORT)?;
            }
            tag::REFERENCE => {
                self.next_atom()?;
                skip(&mut self.rest, 4)?;
                creation(&mut self.rest, true)?;
            }
            tag::NEW_REFERENCE | tag::NEWER_REFERENCE => {
                let words = u16::from_be_bytes(chunk(&mut self.rest)?);
                if usize::from(words) > MAX_REFERENCE_WORDS {
                    return Err(DecodeErrorKind::ReferenceTooLong(words));
                }
                self.next_atom()?;
                creation(&mut self.rest, tag == tag::NEW_REFERENCE)?;
                skip(&mut self.rest, usize::from(words) * 4)?;
            }
            tag::EXPORT => {
                self.next_atom()?;
                self.next_atom()?;
                u8::try_from(integer(&mut self.rest)?).map_err(|_| DecodeErrorKind::BadArity)?;
            }
            tag::NEW_FUN => {
                skip(&mut self.rest, 4 + 1 + 16 + 4)?;
                let free = word(&mut self.rest)?;
                self.next_atom()?;
                integer(&mut self.rest)?;
                integer(&mut self.rest)?;
                self.next_pid()?;
                return Ok(free);
            }
            tag::FUN => {
                let free = word(&mut self.rest)?;
                self.next_pid()?;
                self.next_atom()?;
                integer(&mut self.rest)?;
                integer(&mut self.rest)?;
                return Ok(free);
            }
            tag::RECORD => {
                let fields = word(&mut self.rest)?;
                let flags = byte(&mut self.rest)?;
                if flags > 1 {
                    return Err(DecodeErrorKind::BadRecordFlags(flags));
                }
                for _ in 0..fields.saturating_add(2) {
                    self.next_atom()?;
                }
                return Ok(fields);
            }
            unknown => return Err(DecodeErrorKind::UnknownTag(unknown)),
        }
        Ok(0)
    }

    fn atom(&mut self, tag: u8) -> Result<()> {
        if tag == tag::ATOM_CACHE_REF {
            let offset = self.length - self.rest.len() - 1;
            let index = byte(&mut self.rest)?;
            if usize::from(index) >= self.atoms {
                return Err(DecodeErrorKind::NoSuchAtom(index));
            }
            (self.reference)(offset, index);
            return Ok(());
        }
        atom_bytes(tag, &mut self.rest).map(drop)
    }

    fn next_atom(&mut self) -> Result<()> {
        let tag = byte(&mut self.rest)?;
        self.atom(tag)
    }

    fn next_pid(&mut self) -> Result<()> {
        match byte(&mut self.rest)? {
            tag @ (tag::NEW_PID | tag::PID) => self.pid(tag),
            _ => Err(DecodeErrorKind::Expected(Type::Pid)),
        }
    }

    fn pid(&mut self, tag: u8) -> Result<()> {
        self.next_atom()?;
        skip(&mut self.rest, 8)?;
        creation(&mut self.rest, tag == tag::PID).map(drop)
    }
}

/// The text of an atom that is written out, whose tag has been read: its bytes, and whether they are latin1 beyond ASCII.
pub(super) fn atom_bytes<'a>(tag: u8, rest: &mut Rest<'a>) -> Result<(&'a [u8], bool)> {
    const MAX: usize = 255;
    let len = match tag {
        tag::SMALL_ATOM_UTF8 | tag::SMALL_ATOM => byte(rest)?.into(),
        tag::ATOM_UTF8 | tag::ATOM => usize::from(u16::from_be_bytes(chunk(rest)?)),
        _ => return Err(DecodeErrorKind::Expected(Type::Atom)),
    };
    let bytes = rest.split_off(..len).ok_or(DecodeErrorKind::Truncated)?;
    let latin1 = matches!(tag, tag::ATOM | tag::SMALL_ATOM);
    if bytes.is_ascii() || latin1 {
        if len > MAX {
            return Err(DecodeErrorKind::AtomTooLong);
        }
        return Ok((bytes, latin1 && !bytes.is_ascii()));
    }
    let text = std::str::from_utf8(bytes).map_err(|_| DecodeErrorKind::AtomNotUtf8)?;
    if is_short_enough(text) {
        Ok((bytes, false))
    } else {
        Err(DecodeErrorKind::AtomTooLong)
    }
}

/// Takes one byte.
pub(super) fn byte(rest: &mut Rest<'_>) -> Result<u8> {
    let (first, after) = rest.split_first().ok_or(DecodeErrorKind::Truncated)?;
    *rest = after;
    Ok(*first)
}

/// Takes `N` bytes.
pub(super) fn chunk<const N: usize>(rest: &mut Rest<'_>) -> Result<[u8; N]> {
    let (first, after) = rest.split_first_chunk().ok_or(DecodeErrorKind::Truncated)?;
    *rest = after;
    Ok(*first)
}

/// Takes a length of four bytes.
pub(super) fn word(rest: &mut Rest<'_>) -> Result<usize> {
    Ok(u32::from_be_bytes(chunk(rest)?) as usize)
}

/// Steps over so many bytes.
pub(super) fn skip(rest: &mut Rest<'_>, count: usize) -> Result<()> {
    *rest = rest.get(count..).ok_or(DecodeErrorKind::Truncated)?;
    Ok(())
}

/// Takes an integer that fits in 64 bits, in whatever form, which must come next.
pub(super) fn integer(rest: &mut Rest<'_>) -> Result<i64> {
    let len = match byte(rest)? {
        tag::SMALL_INTEGER => return Ok(byte(rest)?.into()),
        tag::INTEGER => return Ok(i32::from_be_bytes(chunk(rest)?).into()),
        tag::SMALL_BIG => byte(rest)?.into(),
        tag::LARGE_BIG => word(rest)?,
        _ => return Err(DecodeErrorKind::Expected(Type::Integer)),
    };
    let negative = byte(rest)? != 0;
    let magnitude = rest.split_off(..len).ok_or(DecodeErrorKind::Truncated)?;
    small(negative, trim(magnitude)).ok_or(DecodeErrorKind::Expected(Type::Integer))
}

/// Steps over integers of at most 32 bits until something else comes; no more than `left`, which is what is still to come.
#[inline]
fn integers(mut rest: Rest<'_>, mut left: usize) -> (Rest<'_>, usize) {
    while left > 0
        && let [tag @ (tag::SMALL_INTEGER | tag::INTEGER), _, ..] = rest
        && let Some(after) = rest.get(select_unpredictable(*tag == tag::INTEGER, 5, 2)..)
    {
        rest = after;
        left -= 1;
    }
    (rest, left)
}

/// How many elements a list has of which it is worth while to see whether they are integers.
pub(super) const ROW: usize = 8;

/// The integer of at most 32 bits that these bytes begin with, if they do, and how many of them are its own. No jump depends on which of
/// its two forms it has: where forms follow each other at random, as in text, every second such jump would be guessed wrong.
#[inline]
pub(super) fn short_integer(window: [u8; 8]) -> Option<(i64, usize)> {
    let [tag, small, ..] = window;
    let [_, a, b, c, d, ..] = window;
    if tag.wrapping_sub(tag::SMALL_INTEGER) > 1 {
        return None;
    }
    let is_small = tag == tag::SMALL_INTEGER;
    let value = i64::from(i32::from_be_bytes([a, b, c, d]));
    Some((
        select_unpredictable(is_small, small.into(), value),
        select_unpredictable(is_small, 2, 5),
    ))
}

/// Takes the creation of an identifier: a word, or in the old forms a byte of which two bits count.
pub(super) fn creation(rest: &mut Rest<'_>, old: bool) -> Result<u32> {
    if !old {
        return Ok(u32::from_be_bytes(chunk(rest)?));
    }
    match byte(rest)? {
        creation @ 0..=3 => Ok(creation.into()),
        creation => Err(DecodeErrorKind::BadCreation(creation)),
    }
}

/// A float from the text that `sprintf("%.20e")` made, filled up with zeros.
pub(super) fn float_text(text: &[u8]) -> Option<f64> {
    let text = text.split(|byte| *byte == 0).next()?;
    let value: f64 = std::str::from_utf8(text).ok()?.parse().ok()?;
    value.is_finite().then_some(value)
}
