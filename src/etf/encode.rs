//! From terms to bytes, as `term_to_binary/1` of OTP 26 and later has them.

mod terms;
mod types;

use super::raw::{Atoms, MAX_ATOMS, RawTerm};
use super::tag;
use crate::term::walk::PidRef;
use crate::term::{Atom, Pid, Port, Reference, Term, mask};
use bytes::Bytes;
use std::hint::select_unpredictable;

/// Encodes a term, version byte first.
///
/// ```
/// use beamnode::etf;
/// use beamnode::term::Term;
///
/// assert_eq!(etf::encode(&Term::from((1, "a"))), [131, 104, 2, 97, 1, 109, 0, 0, 0, 1, b'a']);
/// ```
#[must_use]
pub fn encode(term: &Term) -> Vec<u8> {
    Encoder::new().encode(term)
}

/// Turns terms into bytes, with the options of `term_to_binary/2`.
///
/// ```
/// use beamnode::etf::Encoder;
/// use beamnode::term;
///
/// let term = term!(#{ b => 1, a => 2 });
/// let sorted = Encoder::new().deterministic(true).encode(&term);
/// assert_eq!(sorted, [131, 116, 0, 0, 0, 2, 119, 1, b'a', 97, 2, 119, 1, b'b', 97, 1]);
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct Encoder {
    format: Format,
    /// 0 for none.
    level: u8,
}

/// How terms are written.
#[derive(Clone, Copy, Debug, Default)]
struct Format {
    minor_version: MinorVersion,
    deterministic: bool,
}

/// The option `minor_version` of `term_to_binary/2`: what floats and atoms look like.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum MinorVersion {
    /// Floats as text, atoms in latin1 where they can be.
    V0,
    /// Floats as eight bytes, atoms in latin1 where they can be: what OTP 25 and older do unless told otherwise.
    V1,
    /// Floats as eight bytes, atoms in UTF-8: what OTP 26 and later do.
    #[default]
    V2,
}

impl Encoder {
    /// An encoder that does what `term_to_binary/1` of OTP 26 and later does.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets the `minor_version`.
    #[must_use]
    pub const fn minor_version(mut self, version: MinorVersion) -> Self {
        self.format.minor_version = version;
        self
    }

    /// Whether the pairs of maps are sorted by their keys, so that equal terms give equal bytes. If not, they come in the order
    /// the map has them.
    #[must_use]
    pub const fn deterministic(mut self, deterministic: bool) -> Self {
        self.format.deterministic = deterministic;
        self
    }

    /// Compresses with this level from 0, not at all, to 9, best; more counts as 9. A term that would not get shorter is
    /// left as it is. `term_to_binary(Term, [compressed])` is level 6.
    #[must_use]
    pub const fn compressed(mut self, level: u8) -> Self {
        self.level = if level > 9 { 9 } else { level };
        self
    }

    /// Encodes a value, version byte first.
    #[must_use]
    pub fn encode<T: Encode + ?Sized>(&self, value: &T) -> Vec<u8> {
        let mut writer = Writer {
            bytes: Vec::with_capacity(ROOM),
            format: self.format,
            ..Writer::default()
        };
        writer.bytes.push(tag::VERSION);
        value.encode(&mut writer);
        match writer.bytes.split_first() {
            Some((_, term)) if self.level > 0 => {
                super::compress::deflate(term, self.level).unwrap_or(writer.bytes)
            }
            _ => writer.bytes,
        }
    }
}

/// What can be written as a term.
pub trait Encode {
    /// Writes this as exactly one term.
    fn encode(&self, writer: &mut Writer);

    /// This as it stands in a message of the distribution.
    fn to_raw(&self) -> RawTerm {
        RawTerm::new(self)
    }
}

/// Where terms are written, part by part, without version byte.
///
/// A compound is written by its head and then its parts: `tuple(2)` and two terms, `list(2)`, two terms and a tail, which is
/// [`nil`](Self::nil) for a proper list, `map(1)` and a key and a value. It is the caller's to write as many as announced.
///
/// A writer for distribution messages collects the atoms that it meets and refers to them by number (tag 82).
///
/// ```
/// use beamnode::etf::Writer;
///
/// let mut writer = Writer::new();
/// writer.tuple(2);
/// writer.atom("ok");
/// writer.integer(7);
/// assert_eq!(writer.into_bytes(), [104, 2, 119, 2, b'o', b'k', 97, 7]);
/// ```
#[derive(Debug, Default)]
pub struct Writer {
    bytes: Vec<u8>,
    format: Format,
    /// Atoms to be referred to by number, in a writer for distribution messages.
    table: Option<Vec<Atom>>,
    /// Write ports in the form before OTP 24 where they fit, as OTP 25 does: OTP 23 knows no other, and every release takes
    /// it.
    old_ports: bool,
}

impl Writer {
    /// A writer that writes atoms as they are.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// A writer that refers to atoms by number: first those of the given table, then, up to 255 in all, others as they come.
    #[must_use]
    pub fn with_atoms(atoms: &Atoms) -> Self {
        Self {
            table: Some(atoms.to_vec()),
            old_ports: true,
            ..Self::default()
        }
    }

    /// A writer for distribution messages that writes atoms as they are.
    pub(crate) fn without_atoms() -> Self {
        Self {
            old_ports: true,
            ..Self::default()
        }
    }

    /// What has been written.
    #[must_use]
    pub fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }

    /// What has been written, and the atoms that it refers to.
    #[must_use]
    pub fn into_parts(self) -> (Vec<u8>, Atoms) {
        (self.bytes, Atoms::from(self.table.unwrap_or_default()))
    }

    /// What has been written; the writer can be used again. Much is passed on as it is, a little copied, so that the room for it is kept.
    pub(super) fn take_bytes(&mut self) -> Bytes {
        if self.bytes.len() > KEPT {
            return std::mem::take(&mut self.bytes).into();
        }
        let bytes = Bytes::copy_from_slice(&self.bytes);
        self.bytes.clear();
        bytes
    }

    /// The atoms that what was written refers to.
    pub(super) fn take_atoms(&mut self) -> Atoms {
        match &mut self.table {
            Some(table) if !table.is_empty() => table.drain(..).collect(),
            _ => Atoms::NONE,
        }
    }

    /// How many bytes have been written.
    pub(crate) const fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Takes back what was written beyond so many bytes.
    pub(crate) fn truncate(&mut self, len: usize) {
        self.bytes.truncate(len);
    }

    /// Writes bytes that are a term, or a piece of one, already.
    pub(crate) fn raw(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    /// Puts right the length in the head, of five bytes, that stands at an offset.
    #[cfg(feature = "serde")]
    pub(crate) fn set_length(&mut self, start: usize, length: u32) {
        if let Some(slot) = self.bytes.get_mut(start + 1..start + 5) {
            slot.copy_from_slice(&length.to_be_bytes());
        }
    }

    /// Turns the list that begins at an offset and has just been ended into a string, if its elements are integers from 0 to
    /// 255.
    #[cfg(feature = "serde")]
    pub(crate) fn compact_string(&mut self, start: usize, length: usize) {
        const HEAD: usize = 5;
        let elements = self.bytes.get(start + HEAD..).unwrap_or_default();
        let (pairs, nil) = elements.as_chunks::<2>();
        let string = length <= MAX_STRING
            && elements.len() == length * 2 + 1
            && nil == [tag::NIL]
            && pairs.iter().all(|[tag, _]| *tag == tag::SMALL_INTEGER);
        if string {
            let bytes: Vec<u8> = pairs.iter().map(|[_, value]| *value).collect();
            self.bytes.truncate(start);
            self.string(&bytes);
        }
    }

    /// Writes the list of the code points of a text.
    #[cfg(feature = "serde")]
    pub(crate) fn charlist(&mut self, text: &str) {
        let latin1 = latin1(text).filter(|bytes| bytes.len() <= MAX_STRING);
        match latin1 {
            Some(bytes) if bytes.is_empty() => self.nil(),
            Some(bytes) => self.string(&bytes),
            None => {
                self.tag_and_length(tag::LIST, text.chars().count());
                text.chars().for_each(|c| self.integer(u32::from(c).into()));
                self.nil();
            }
        }
    }

    /// Writes an integer.
    #[inline]
    pub fn integer(&mut self, value: i64) {
        let Ok(short) = i32::try_from(value) else {
            return self.long_integer(value);
        };
        let (bytes, len) = short_integer(short);
        self.bytes.extend_from_slice(&bytes);
        self.bytes.truncate(self.bytes.len() + len - bytes.len());
    }

    /// Writes an integer of more than 32 bits.
    fn long_integer(&mut self, value: i64) {
        // All eight bytes, and then those taken back that are zero: no copy whose length is only known here.
        let magnitude = value.unsigned_abs();
        let zeros = magnitude.leading_zeros() / 8;
        #[expect(clippy::cast_possible_truncation, reason = "at most 8")]
        let len = 8 - zeros as u8;
        let [a, b, c, d, e, f, g, h] = magnitude.to_le_bytes();
        let sign = (value < 0).into();
        self.bytes
            .extend_from_slice(&[tag::SMALL_BIG, len, sign, a, b, c, d, e, f, g, h]);
        self.bytes.truncate(self.bytes.len() - zeros as usize);
    }

    /// Writes an unsigned integer.
    pub fn unsigned(&mut self, value: u64) {
        match i64::try_from(value) {
            Ok(value) => self.integer(value),
            Err(_) => self.big(false, &value.to_le_bytes()),
        }
    }

    pub(crate) fn big(&mut self, negative: bool, magnitude: &[u8]) {
        match u8::try_from(magnitude.len()) {
            Ok(len) => self.bytes.extend_from_slice(&[tag::SMALL_BIG, len]),
            Err(_) => self.tag_and_length(tag::LARGE_BIG, magnitude.len()),
        }
        self.bytes.push(negative.into());
        self.bytes.extend_from_slice(magnitude);
    }

    /// Writes a finite float; any other is written as [`Term::from`] has it.
    pub fn float(&mut self, value: f64) {
        if value.is_finite() && self.format.minor_version == MinorVersion::V0 {
            self.bytes.push(tag::FLOAT);
            self.bytes.extend_from_slice(&float_text(value));
        } else if value.is_finite() {
            let [a, b, c, d, e, f, g, h] = value.to_be_bytes();
            self.bytes
                .extend_from_slice(&[tag::NEW_FLOAT, a, b, c, d, e, f, g, h]);
        } else {
            Term::from(value).encode(self);
        }
    }

    /// Writes an atom; of text of more than 255 characters the first 255.
    pub fn atom(&mut self, text: &str) {
        let text = if crate::term::is_short_enough(text) {
            text
        } else {
            let end = text.char_indices().nth(crate::term::MAX_ATOM_CHARACTERS);
            end.and_then(|(end, _)| text.get(..end)).unwrap_or(text)
        };
        if let Some(table) = &mut self.table {
            let known = table.iter().position(|atom| atom == text).or_else(|| {
                (table.len() < MAX_ATOMS).then(|| {
                    table.push(Atom::from_checked(text));
                    table.len() - 1
                })
            });
            if let Some(index) = known.and_then(|index| u8::try_from(index).ok()) {
                self.bytes.extend_from_slice(&[tag::ATOM_CACHE_REF, index]);
                return;
            }
        }
        if self.format.minor_version < MinorVersion::V2
            && let Some(latin1) = latin1(text)
        {
            let len = u16::try_from(latin1.len()).unwrap_or(u16::MAX);
            self.bytes.push(tag::ATOM);
            self.bytes.extend_from_slice(&len.to_be_bytes());
            self.bytes.extend_from_slice(&latin1);
            return;
        }
        match u8::try_from(text.len()) {
            Ok(len) => self.bytes.extend_from_slice(&[tag::SMALL_ATOM_UTF8, len]),
            Err(_) => {
                self.bytes.push(tag::ATOM_UTF8);
                let len = u16::try_from(text.len()).unwrap_or(u16::MAX);
                self.bytes.extend_from_slice(&len.to_be_bytes());
            }
        }
        self.bytes.extend_from_slice(text.as_bytes());
    }

    fn tag_and_length(&mut self, tag: u8, length: usize) {
        let length = u32::try_from(length).unwrap_or(u32::MAX);
        let [a, b, c, d] = length.to_be_bytes();
        self.bytes.extend_from_slice(&[tag, a, b, c, d]);
    }

    /// Writes a binary.
    pub fn binary(&mut self, bytes: &[u8]) {
        self.tag_and_length(tag::BINARY, bytes.len());
        self.bytes.extend_from_slice(bytes);
    }

    /// Writes the head of a tuple.
    pub fn tuple(&mut self, arity: u32) {
        match u8::try_from(arity) {
            Ok(arity) => self.bytes.extend_from_slice(&[tag::SMALL_TUPLE, arity]),
            Err(_) => self.tag_and_length(tag::LARGE_TUPLE, arity as usize),
        }
    }

    /// Writes the head of a list; nothing for a list without elements, which is its tail.
    pub fn list(&mut self, len: u32) {
        if len > 0 {
            self.tag_and_length(tag::LIST, len as usize);
        }
    }

    /// Writes `[]`.
    pub fn nil(&mut self) {
        self.bytes.push(tag::NIL);
    }

    /// Writes the head of a map.
    pub fn map(&mut self, len: u32) {
        self.tag_and_length(tag::MAP, len as usize);
    }

    /// Writes a pid.
    pub fn pid(&mut self, pid: &Pid) {
        let (id, serial, creation) = (pid.id(), pid.serial(), pid.creation());
        self.pid_parts(PidRef {
            node: pid.node(),
            id,
            serial,
            creation,
        });
    }

    fn pid_parts(&mut self, pid: PidRef<'_>) {
        self.bytes.push(tag::NEW_PID);
        self.atom(pid.node);
        for word in [pid.id, pid.serial, pid.creation] {
            self.bytes.extend_from_slice(&word.to_be_bytes());
        }
    }

    /// Writes a reference.
    pub fn reference(&mut self, reference: &Reference) {
        let (words, count) = reference.all_words();
        let words = words.map(u32::to_be_bytes);
        let words = words.as_flattened().get(..usize::from(count) * 4);
        let words = words.unwrap_or_default();
        self.reference_bytes(reference.node(), reference.creation(), count, words);
    }

    /// Writes a port.
    pub fn port(&mut self, port: &Port) {
        self.port_parts(port.node(), port.creation(), port.id(), port.is_old());
    }

    /// A port in the form it came in; in a distribution message as OTP 25 does it, so that OTP 23 understands it too: it has
    /// no tag for wider numbers.
    fn port_parts(&mut self, node: &str, creation: u32, id: u64, old: bool) {
        let narrow = u32::try_from(id)
            .ok()
            .filter(|id| old || (self.old_ports && *id < 1 << 28));
        if let Some(id) = narrow {
            self.bytes.push(tag::NEW_PORT);
            self.atom(node);
            self.bytes.extend_from_slice(&id.to_be_bytes());
        } else {
            self.bytes.push(tag::V4_PORT);
            self.atom(node);
            self.bytes.extend_from_slice(&id.to_be_bytes());
        }
        self.bytes.extend_from_slice(&creation.to_be_bytes());
    }

    /// Writes a reference whose words are already big-endian.
    fn reference_bytes(&mut self, node: &str, creation: u32, count: u8, words: &[u8]) {
        self.bytes.extend_from_slice(&[tag::NEWER_REFERENCE, 0, count]);
        self.atom(node);
        self.bytes.extend_from_slice(&creation.to_be_bytes());
        self.bytes.extend_from_slice(words);
    }

    fn bit_string(&mut self, bytes: &[u8], bits: u8) {
        let Some((last, whole)) = bytes.split_last() else {
            return self.binary(bytes);
        };
        self.tag_and_length(tag::BIT_BINARY, bytes.len());
        self.bytes.push(bits);
        self.bytes.extend_from_slice(whole);
        self.bytes.push(last & mask(bits));
    }

    /// Writes a list of 1 to 65535 small integers.
    fn string(&mut self, bytes: &[u8]) {
        self.bytes.push(tag::STRING);
        self.bytes
            .extend_from_slice(&u16::try_from(bytes.len()).unwrap_or(u16::MAX).to_be_bytes());
        self.bytes.extend_from_slice(bytes);
    }
}

/// What an integer of at most 32 bits is written as: so many of these bytes. Both forms without a jump, as which of them comes next is
/// often not to be foreseen.
#[inline]
fn short_integer(value: i32) -> ([u8; 8], usize) {
    let small = (0..256).contains(&value);
    let value = value.cast_unsigned();
    let bytes = select_unpredictable(
        small,
        u64::from(value) << 8 | u64::from(tag::SMALL_INTEGER),
        u64::from(value.swap_bytes()) << 8 | u64::from(tag::INTEGER),
    );
    (bytes.to_le_bytes(), select_unpredictable(small, 2, 5))
}

/// The text of an atom in latin1, if it has nothing beyond.
fn latin1(text: &str) -> Option<Vec<u8>> {
    text.chars().map(|c| u8::try_from(c).ok()).collect()
}

/// A float as `sprintf("%.20e")` writes it, filled up with zeros.
fn float_text(value: f64) -> [u8; 31] {
    let text = format!("{value:.20e}");
    let (mantissa, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    let sign = if exponent < 0 { '-' } else { '+' };
    let text = format!("{mantissa}e{sign}{:02}", exponent.unsigned_abs());
    let mut field = [0; 31];
    for (to, from) in field.iter_mut().zip(text.bytes()) {
        *to = from;
    }
    field
}

/// How much room an encoder begins with: enough for most messages.
const ROOM: usize = 256;

/// How much room is kept by a writer that is used again.
const KEPT: usize = 4 * 1024;

/// The most elements of a list that is written as a string.
const MAX_STRING: usize = 65535;
