//! Numbers beyond Rust's own: integers of any size, and floats that are always finite.

use bytes::Bytes;
use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};

/// A float as Erlang has them: 64 bits and finite.
///
/// Equality and hash are exact, by bits, as Erlang's `=:=` from OTP 27 on: `0.0` and `-0.0` differ. The order is by value,
/// `-0.0` before `0.0`.
///
/// ```
/// use beamnode::term::Float;
///
/// assert_eq!(Float::new(1.5).map(Float::value), Some(1.5));
/// assert_eq!(Float::new(f64::NAN), None);
/// ```
#[derive(Clone, Copy)]
pub struct Float(f64);

impl Float {
    /// The float, unless it is infinite or not a number.
    #[must_use]
    pub const fn new(value: f64) -> Option<Self> {
        if value.is_finite() {
            Some(Self(value))
        } else {
            None
        }
    }

    /// The float, which the caller has seen to be finite.
    pub(crate) const fn from_finite(value: f64) -> Self {
        debug_assert!(value.is_finite());
        Self(value)
    }

    /// Rust's own.
    #[must_use]
    pub const fn value(self) -> f64 {
        self.0
    }
}

impl PartialEq for Float {
    fn eq(&self, other: &Self) -> bool {
        self.0.to_bits() == other.0.to_bits()
    }
}

impl Eq for Float {}

impl PartialEq<f64> for Float {
    fn eq(&self, other: &f64) -> bool {
        self.0.to_bits() == other.to_bits()
    }
}

impl PartialOrd for Float {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Float {
    fn cmp(&self, other: &Self) -> Ordering {
        self.0.total_cmp(&other.0)
    }
}

impl Hash for Float {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.to_bits().hash(state);
    }
}

impl From<Float> for f64 {
    fn from(value: Float) -> Self {
        value.0
    }
}

/// An integer that does not fit in `i64`.
///
/// Sign and magnitude; a value that fits in `i64` is never held here, it is a [`Term::Integer`](super::Term::Integer).
///
/// ```
/// use beamnode::term::Term;
///
/// let big = Term::from(u64::MAX);
/// assert_eq!(u64::try_from(&big), Ok(u64::MAX));
/// assert_eq!(big.to_string(), "18446744073709551615");
/// let Term::BigInteger(big) = big else { panic!("more than 64 bits") };
/// assert!(!big.is_negative());
/// assert_eq!(big.magnitude(), [255; 8]);
/// ```
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct BigInteger {
    negative: bool,
    /// Least significant byte first, the last not zero.
    magnitude: Bytes,
}

impl BigInteger {
    /// Digits whose last byte is not zero and whose value does not fit in `i64`.
    pub(crate) const fn from_canonical(negative: bool, magnitude: Bytes) -> Self {
        Self { negative, magnitude }
    }

    /// Whether the integer is below zero.
    #[must_use]
    pub const fn is_negative(&self) -> bool {
        self.negative
    }

    /// The bytes of the absolute value, least significant first, the last not zero.
    #[must_use]
    pub fn magnitude(&self) -> &[u8] {
        &self.magnitude
    }
}

impl PartialOrd for BigInteger {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for BigInteger {
    fn cmp(&self, other: &Self) -> Ordering {
        compare_big(
            (self.negative, &self.magnitude),
            (other.negative, &other.magnitude),
        )
    }
}

impl fmt::Display for BigInteger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_decimal(f, self.negative, &self.magnitude)
    }
}

impl fmt::Debug for BigInteger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Orders two integers by sign and magnitude without leading zeros.
pub(crate) fn compare_big(a: (bool, &[u8]), b: (bool, &[u8])) -> Ordering {
    let magnitudes = || {
        a.1.len()
            .cmp(&b.1.len())
            .then_with(|| a.1.iter().rev().cmp(b.1.iter().rev()))
    };
    match (a.0, b.0) {
        (false, false) => magnitudes(),
        (true, true) => magnitudes().reverse(),
        (true, false) => Ordering::Less,
        (false, true) => Ordering::Greater,
    }
}

/// Takes the zeros off the end of a magnitude.
pub(crate) fn trim(mut magnitude: &[u8]) -> &[u8] {
    while let [rest @ .., 0] = magnitude {
        magnitude = rest;
    }
    magnitude
}

/// The value of a trimmed magnitude with its sign, if it fits.
#[inline]
pub(crate) fn small(negative: bool, magnitude: &[u8]) -> Option<i64> {
    let value = match (magnitude.first_chunk::<4>(), magnitude.last_chunk::<4>()) {
        _ if magnitude.len() > 8 => return None,
        // Four to eight bytes: the first and the last four of them, which may overlap.
        (Some(first), Some(last)) => {
            let high = u64::from(u32::from_le_bytes(*last)) << (8 * (magnitude.len() - 4));
            u64::from(u32::from_le_bytes(*first)) | high
        }
        _ => magnitude
            .iter()
            .rev()
            .fold(0, |value, byte| value << 8 | u64::from(*byte)),
    };
    if negative {
        0_i64.checked_sub_unsigned(value)
    } else {
        i64::try_from(value).ok()
    }
}

/// The value of a trimmed magnitude with its sign, if it fits.
pub(crate) fn medium(negative: bool, magnitude: &[u8]) -> Option<i128> {
    let mut bytes = [0; 16];
    bytes.get_mut(..magnitude.len())?.copy_from_slice(magnitude);
    let value = u128::from_le_bytes(bytes);
    if negative {
        0_i128.checked_sub_unsigned(value)
    } else {
        i128::try_from(value).ok()
    }
}

/// Writes a magnitude in decimal.
fn write_decimal(f: &mut fmt::Formatter<'_>, negative: bool, magnitude: &[u8]) -> fmt::Result {
    f.pad_integral(!negative, "", &decimal(magnitude))
}

/// The decimal digits of a magnitude.
///
/// Quadratic in its length: limits on what is printed are the caller's.
pub(crate) fn decimal(magnitude: &[u8]) -> String {
    const CHUNK: u64 = 1_000_000_000;
    let mut words: Vec<u32> = magnitude
        .chunks(4)
        .map(|chunk| {
            chunk
                .iter()
                .rev()
                .fold(0, |word, byte| word << 8 | u32::from(*byte))
        })
        .collect();
    let mut chunks = Vec::new();
    while !words.is_empty() {
        let mut rest = 0;
        for word in words.iter_mut().rev() {
            let value = rest << 32 | u64::from(*word);
            *word = u32::try_from(value / CHUNK).unwrap_or(0);
            rest = value % CHUNK;
        }
        chunks.push(rest);
        while words.last() == Some(&0) {
            words.pop();
        }
    }
    let mut text = chunks.pop().unwrap_or(0).to_string();
    for chunk in chunks.iter().rev() {
        use fmt::Write as _;
        let _ = write!(text, "{chunk:09}");
    }
    text
}
