//! Joins the fragments of large messages.
//!
//! Follows "Distribution Header for Fragmented Messages" of Erlang's *External Term Format*. A message comes as a first
//! fragment, which has the header, and further ones whose numbers count down to 1. Fragments of several messages,
//! and whole messages, may come in between.
//!
//! What is kept is what has come, never what was announced; the sum of it over all unfinished messages is limited.

use crate::etf::Atoms;
use bytes::{Bytes, BytesMut};
use std::collections::HashMap;

/// Why fragments cannot be joined.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FragmentError {
    /// It ends before its numbers are complete.
    #[error("the fragment is cut off")]
    CutOff,
    /// A number that a fragment cannot have: sequence 0 or fragment 0.
    #[error("fragment {fragment} of sequence {sequence}: neither may be 0")]
    Zero {
        /// The sequence.
        sequence: u64,
        /// The fragment.
        fragment: u64,
    },
    /// A second first fragment of a sequence that is not finished.
    #[error("sequence {0} begins again before it is finished")]
    BegunTwice(u64),
    /// A further fragment of a sequence that has not begun.
    #[error("fragment of sequence {0}, which has not begun")]
    NotBegun(u64),
    /// Not the fragment whose turn it is.
    #[error("fragment {got} of sequence {sequence} in place of {expected}")]
    OutOfOrder {
        /// The sequence.
        sequence: u64,
        /// Whose turn it is.
        expected: u64,
        /// What has come.
        got: u64,
    },
    /// More bytes of unfinished messages than the limit.
    #[error("over {limit} bytes of unfinished messages")]
    TooMuch {
        /// The limit.
        limit: usize,
    },
}

/// What an unfinished message takes beside its bytes, so that empty ones cannot be begun without end.
const OVERHEAD: usize = 512;

/// A message joined of its fragments.
#[derive(Debug)]
pub(super) struct Joined {
    pub(super) atoms: Atoms,
    pub(super) bytes: Bytes,
}

/// The unfinished messages of a connection.
#[derive(Debug)]
pub(super) struct Assembly {
    sequences: HashMap<u64, Sequence>,
    /// The bytes of all of them.
    bytes: usize,
    limit: usize,
}

#[derive(Debug)]
struct Sequence {
    atoms: Atoms,
    bytes: BytesMut,
    /// The number of the next fragment.
    next: u64,
}

impl Assembly {
    pub(super) fn new(limit: usize) -> Self {
        Self {
            sequences: HashMap::new(),
            bytes: 0,
            limit,
        }
    }

    /// How many bytes of unfinished messages there are.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Takes the first fragment of a message: what follows its header. Gives the message if it is the only one.
    pub(super) fn first(
        &mut self,
        sequence: u64,
        fragment: u64,
        atoms: Atoms,
        part: Bytes,
    ) -> Result<Option<Joined>, FragmentError> {
        if sequence == 0 || fragment == 0 {
            return Err(FragmentError::Zero { sequence, fragment });
        }
        if self.sequences.contains_key(&sequence) {
            return Err(FragmentError::BegunTwice(sequence));
        }
        if fragment == 1 {
            return Ok(Some(Joined { atoms, bytes: part }));
        }
        self.count(part.len() + OVERHEAD)?;
        self.sequences.insert(
            sequence,
            Sequence {
                atoms,
                bytes: BytesMut::from(part),
                next: fragment - 1,
            },
        );
        Ok(None)
    }

    /// Takes a further fragment. Gives the message if it is the last.
    pub(super) fn further(
        &mut self,
        sequence: u64,
        fragment: u64,
        part: &[u8],
    ) -> Result<Option<Joined>, FragmentError> {
        self.count(part.len())?;
        let unfinished = self
            .sequences
            .get_mut(&sequence)
            .ok_or(FragmentError::NotBegun(sequence))?;
        if unfinished.next != fragment {
            return Err(FragmentError::OutOfOrder {
                sequence,
                expected: unfinished.next,
                got: fragment,
            });
        }
        unfinished.bytes.extend_from_slice(part);
        unfinished.next = fragment - 1;
        if fragment > 1 {
            return Ok(None);
        }
        let joined = self.sequences.remove(&sequence);
        Ok(joined.map(|Sequence { atoms, bytes, .. }| {
            self.bytes -= bytes.len() + OVERHEAD;
            Joined {
                atoms,
                bytes: bytes.freeze(),
            }
        }))
    }

    fn count(&mut self, more: usize) -> Result<(), FragmentError> {
        self.bytes += more;
        if self.bytes > self.limit {
            Err(FragmentError::TooMuch { limit: self.limit })
        } else {
            Ok(())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn first(assembly: &mut Assembly, sequence: u64, fragment: u64, part: &'static [u8]) -> Option<Bytes> {
        let joined = assembly
            .first(sequence, fragment, Atoms::default(), Bytes::from_static(part))
            .unwrap();
        joined.map(|joined| joined.bytes)
    }

    fn further(assembly: &mut Assembly, sequence: u64, fragment: u64, part: &[u8]) -> Option<Bytes> {
        assembly
            .further(sequence, fragment, part)
            .unwrap()
            .map(|joined| joined.bytes)
    }

    #[test]
    fn interleaved_senders() {
        let mut all = Assembly::new(10_000);
        assert_eq!(first(&mut all, 7, 3, b"ab"), None);
        assert_eq!(first(&mut all, 9, 2, b"x"), None);
        assert_eq!(further(&mut all, 7, 2, b""), None);
        assert_eq!(first(&mut all, 8, 1, b"alone").as_deref(), Some(&b"alone"[..]));
        assert_eq!(all.bytes(), 3 + 2 * OVERHEAD);
        assert_eq!(further(&mut all, 9, 1, b"y").as_deref(), Some(&b"xy"[..]));
        assert_eq!(further(&mut all, 7, 1, b"c").as_deref(), Some(&b"abc"[..]));
        assert_eq!(all.bytes(), 0);
        assert_eq!(
            first(&mut all, 7, 2, b"again"),
            None,
            "a finished sequence's number may be used again"
        );
    }

    #[test]
    fn out_of_order() {
        let mut all = Assembly::new(10_000);
        first(&mut all, 7, 3, b"");
        let error = |result: Result<Option<Joined>, FragmentError>| result.unwrap_err();
        assert_eq!(error(all.further(8, 2, b"")), FragmentError::NotBegun(8));
        assert_eq!(
            error(all.further(7, 1, b"")),
            FragmentError::OutOfOrder {
                sequence: 7,
                expected: 2,
                got: 1
            }
        );
        assert_eq!(
            error(all.first(7, 2, Atoms::default(), Bytes::new())),
            FragmentError::BegunTwice(7)
        );
        let zero = error(all.first(0, 2, Atoms::default(), Bytes::new()));
        assert_eq!(
            zero,
            FragmentError::Zero {
                sequence: 0,
                fragment: 2
            }
        );
        let zero = error(all.first(1, 0, Atoms::default(), Bytes::new()));
        assert_eq!(
            zero,
            FragmentError::Zero {
                sequence: 1,
                fragment: 0
            }
        );
    }

    #[test]
    fn unfinished_bytes_are_limited() {
        let limit = 4 + 2 * OVERHEAD;
        let mut all = Assembly::new(limit);
        first(&mut all, 1, u64::MAX, b"ab");
        first(&mut all, 2, 9, b"cd");
        assert_eq!(
            all.further(2, 8, b"e").unwrap_err(),
            FragmentError::TooMuch { limit }
        );
    }
}
