//! Bit strings whose length is not a whole number of bytes.

use bytes::Bytes;

/// A bit string that is not a binary: its last byte counts only in part.
///
/// ```
/// use beamnode::term::{BitString, Term};
///
/// let bits = BitString::new(&[0b1010_0000], 3).ok_or("whole bytes make a binary")?;
/// assert_eq!(bits.bit_len(), 3);
/// assert_eq!((&bits.bytes()[..], bits.last_bits()), (&[0b1010_0000][..], 3));
/// assert_eq!(Term::from(bits).to_string(), "<<5:3>>");
/// # Ok::<(), &str>(())
/// ```
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct BitString {
    /// The unused bits of the last byte are zero.
    bytes: Bytes,
    /// 1 to 7.
    bits: u8,
}

impl BitString {
    /// The bit string of these bytes, of the last of which only the upper `bits` count.
    ///
    /// Nothing if `bits` is not 1 to 7 or there is no byte; what has 8 bits in each byte is a
    /// [`Term::Binary`](super::Term::Binary).
    #[must_use]
    pub fn new(bytes: &[u8], bits: u8) -> Option<Self> {
        ((1..8).contains(&bits) && !bytes.is_empty())
            .then(|| Self::from_parts(Bytes::copy_from_slice(bytes), bits))
    }

    /// At least one byte, 1 to 7 bits; unused bits may be set.
    pub(crate) fn from_parts(bytes: Bytes, bits: u8) -> Self {
        let clean = bytes.last().is_none_or(|last| last & !mask(bits) == 0);
        let bytes = if clean {
            bytes
        } else {
            let mut copy = bytes.to_vec();
            if let Some(last) = copy.last_mut() {
                *last &= mask(bits);
            }
            Bytes::from(copy)
        };
        Self { bytes, bits }
    }

    /// The bytes; the bits of the last one that do not count are zero.
    #[must_use]
    pub const fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    /// How many bits of the last byte count, 1 to 7.
    #[must_use]
    pub const fn last_bits(&self) -> u8 {
        self.bits
    }

    /// The length in bits.
    #[must_use]
    pub const fn bit_len(&self) -> u64 {
        self.bytes.len() as u64 * 8 - 8 + self.bits as u64
    }
}

/// The upper `bits` bits of a byte.
pub(crate) const fn mask(bits: u8) -> u8 {
    if bits >= 8 { 0xff } else { !(0xff >> bits) }
}
