//! Binaries and bit strings, segment by segment.

use super::words::{blank, character, characters_after, number, run, strings, word};
use super::{ParseErrorKind, Result2};
use crate::term::{BitString, Term};
use bytes::Bytes;
use nom::character::complete::{char, digit1};
use nom::combinator::{map_opt, opt};
use nom::multi::separated_list1;
use nom::sequence::preceded;

/// The bits of a binary that is being read.
#[derive(Default)]
struct Bits {
    bytes: Vec<u8>,
    /// How many bits of the last byte are used, 0 for all.
    used: u32,
}

/// The most bits that a segment may ask for: text must not make memory grow by a number in it.
const MAX_SEGMENT: u64 = 1 << 16;

impl Bits {
    fn byte(&mut self, byte: u8, bits: u32) {
        // The wanted bits are the lower ones.
        let byte = if bits < 8 { byte << (8 - bits) } else { byte };
        if self.used == 0 {
            self.bytes.push(byte);
        } else {
            if let Some(last) = self.bytes.last_mut() {
                *last |= byte >> self.used;
            }
            if self.used + bits > 8 {
                self.bytes.push(byte << (8 - self.used));
            }
        }
        self.used = (self.used + bits) % 8;
    }

    /// An integer in so many bits, least significant byte last.
    fn integer(&mut self, value: &Term, size: u64, little: bool) {
        let (negative, magnitude) = match value {
            Term::Integer(value) => (*value < 0, value.unsigned_abs().to_le_bytes().to_vec()),
            Term::BigInteger(value) => (value.is_negative(), value.magnitude().to_vec()),
            _ => (false, Vec::new()),
        };
        let length = usize::try_from(size.div_ceil(8)).unwrap_or(0);
        let mut bytes = magnitude;
        bytes.resize(length, 0);
        if negative {
            // Two's complement.
            let mut carry = true;
            for byte in &mut bytes {
                let (sum, over) = (!*byte).overflowing_add(carry.into());
                *byte = sum;
                carry = over;
            }
        }
        let rest = u32::try_from(size % 8).unwrap_or(0);
        let top = if rest == 0 { 8 } else { rest };
        if little {
            let last = bytes.len().saturating_sub(1);
            for (index, byte) in bytes.iter().enumerate() {
                self.byte(
                    byte & low(if index == last { top } else { 8 }),
                    if index == last { top } else { 8 },
                );
            }
        } else {
            for (index, byte) in bytes.iter().rev().enumerate() {
                self.byte(
                    byte & low(if index == 0 { top } else { 8 }),
                    if index == 0 { top } else { 8 },
                );
            }
        }
    }

    fn term(self) -> Term {
        let bits = u8::try_from(self.used).unwrap_or(0);
        match BitString::new(&self.bytes, bits) {
            Some(bits) => Term::BitString(bits),
            None => Term::Binary(Bytes::from(self.bytes)),
        }
    }
}

/// A byte with its lower bits set.
const fn low(bits: u32) -> u8 {
    if bits >= 8 { 0xff } else { !(0xff << bits) }
}

/// A binary: integers and texts with a size and a type each.
pub(super) fn binary(text: &str) -> Result2<'_, (&str, Term)> {
    let mut bits = Bits::default();
    let mut rest = blank(characters_after(text, 2));
    if let Some(after) = rest.strip_prefix(">>") {
        return Ok((after, bits.term()));
    }
    loop {
        rest = blank(segment(rest, &mut bits)?);
        if let Some(after) = rest.strip_prefix(">>") {
            return Ok((after, bits.term()));
        }
        rest = blank(
            rest.strip_prefix(',')
                .ok_or((ParseErrorKind::Expected("`,` or `>>`"), rest))?,
        );
    }
}

/// The type of a segment.
#[derive(Clone, Copy, Default)]
struct Type {
    float: bool,
    utf8: bool,
    little: bool,
}

/// Reads a segment of a binary into it, and gives the rest of the text.
fn segment<'t>(text: &'t str, bits: &mut Bits) -> Result2<'t, &'t str> {
    let wrong = (ParseErrorKind::Segment, text);
    let (rest, values) = match text.chars().next() {
        Some('"') => {
            let (rest, text) = strings(text)?;
            (rest, text.chars().map(|c| Term::from(u32::from(c))).collect())
        }
        Some('$') => {
            let (rest, character) = run(preceded(char('$'), character(None)), text)?;
            (rest, vec![Term::from(u32::from(character))])
        }
        _ => {
            let (rest, number) = run(number, text).map_err(|_| wrong)?;
            (rest, vec![number])
        }
    };
    let size = opt(preceded(
        char(':'),
        map_opt(digit1, |digits: &str| digits.parse::<u64>().ok()),
    ));
    let words = opt(preceded(char('/'), separated_list1(char('-'), word)));
    let (rest, (size, words)) = run((size, words), rest).map_err(|_| wrong)?;
    let mut kind = Type::default();
    for word in words.unwrap_or_default() {
        match word {
            "integer" | "big" | "unsigned" | "signed" => {}
            "little" => kind.little = true,
            "float" => kind.float = true,
            "utf8" => kind.utf8 = true,
            _ => return Err(wrong),
        }
    }
    for value in values {
        match &value {
            Term::Integer(point) if kind.utf8 && size.is_none() => {
                let c = u32::try_from(*point).ok().and_then(char::from_u32).ok_or(wrong)?;
                c.encode_utf8(&mut [0; 4])
                    .bytes()
                    .for_each(|byte| bits.byte(byte, 8));
            }
            Term::Float(float) if kind.float => {
                let mut bytes = match size.unwrap_or(64) {
                    64 => float.value().to_be_bytes().to_vec(),
                    #[expect(clippy::cast_possible_truncation, reason = "that many bits were asked for")]
                    32 => (float.value() as f32).to_be_bytes().to_vec(),
                    _ => return Err(wrong),
                };
                if kind.little {
                    bytes.reverse();
                }
                bytes.iter().for_each(|byte| bits.byte(*byte, 8));
            }
            Term::Integer(_) | Term::BigInteger(_) if !kind.utf8 && !kind.float => {
                let size = size.unwrap_or(8);
                if size > MAX_SEGMENT {
                    return Err(wrong);
                }
                bits.integer(&value, size, kind.little);
            }
            _ => return Err(wrong),
        }
    }
    Ok(rest)
}
