//! Joins the fragments of large messages.
//!
//! Follows "Distribution Header for Fragmented Messages" of Erlang's *External Term Format*. A message comes as a first
//! fragment, which has the header, and further ones whose numbers count down to 1. Fragments of several messages,
//! and whole messages, may come in between.
//!
//! What is kept is what has come, never what was announced; the sum of it over all unfinished messages is limited.
//!
//! A further fragment need not be there in full: once its numbers are, what comes of it goes straight to its place behind the ones
//! before, so that the bytes of a large message are read to where they stay.

use crate::etf::Atoms;
use bytes::buf::Limit;
use bytes::{Buf, BufMut, Bytes, BytesMut};
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

/// So much may be reserved for a message of which less has come.
const LEAST: usize = 64 * 1024;

/// How many buffers are kept for the messages to come, and how large all of them may be. Memory fresh from the system costs more than
/// what is read into it.
const SPARES: usize = 8;
const SPARE_BYTES: usize = 144 << 20;

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
    /// The fragment that is being read.
    filling: Option<Filling>,
    /// Buffers of earlier messages, which can be used again once nobody has those any more, and how large they are.
    spares: Vec<(BytesMut, usize)>,
    /// The bytes of all of them, without those of the fragment that is being read.
    bytes: usize,
    limit: usize,
}

/// A further fragment that has begun.
#[derive(Debug)]
struct Filling {
    sequence: u64,
    /// How long its message was before, has been when last looked at, and will be with all of it.
    start: usize,
    seen: usize,
    end: usize,
}

/// What became of the fragment that is being read.
#[derive(Debug)]
pub(super) enum Filled {
    /// More of it is to come.
    Partly {
        /// How many bytes.
        missing: usize,
        /// Whether any have come since the last time.
        progress: bool,
    },
    /// It is complete, and its message is not.
    Fragment,
    /// It was the last of its message.
    Message(Joined),
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
            filling: None,
            spares: Vec::new(),
            bytes: 0,
            limit,
        }
    }

    /// How many bytes of unfinished messages there are.
    pub(super) fn bytes(&self) -> usize {
        let come =
            |filling: &Filling| Some(self.sequences.get(&filling.sequence)?.bytes.len() - filling.start);
        self.bytes + self.filling.as_ref().and_then(come).unwrap_or(0)
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
        let mut bytes = self.spare(part.len());
        bytes.extend_from_slice(&part);
        let next = fragment - 1;
        self.sequences.insert(sequence, Sequence { atoms, bytes, next });
        Ok(None)
    }

    /// Begins a further fragment of that many bytes, which [`fill`](Self::fill) takes.
    pub(super) fn further(
        &mut self,
        sequence: u64,
        fragment: u64,
        length: usize,
    ) -> Result<(), FragmentError> {
        if self.bytes.saturating_add(length) > self.limit {
            return Err(FragmentError::TooMuch { limit: self.limit });
        }
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
        unfinished.next = fragment - 1;
        let have = unfinished.bytes.len();
        // What is announced is not believed beyond what has come of it.
        let announced = usize::try_from(fragment)
            .unwrap_or(usize::MAX)
            .saturating_mul(length);
        unfinished.bytes.reserve(announced.min((3 * have).max(LEAST)));
        self.filling = Some(Filling {
            sequence,
            start: have,
            seen: have,
            end: have + length,
        });
        Ok(())
    }

    /// Where to read to while a fragment is being read, and at most how much.
    pub(super) fn place(&mut self) -> Option<Limit<&mut BytesMut>> {
        let filling = self.filling.as_ref()?;
        let bytes = &mut self.sequences.get_mut(&filling.sequence)?.bytes;
        let missing = filling.end - bytes.len();
        if bytes.capacity() == bytes.len() {
            bytes.reserve(missing.min((3 * bytes.len()).max(LEAST)));
        }
        Some(bytes.limit(missing))
    }

    /// Moves what has come of the fragment that is being read to its place. `None` if there is no such fragment.
    pub(super) fn fill(&mut self, input: &mut BytesMut) -> Option<Filled> {
        let filling = self.filling.as_mut()?;
        let unfinished = self.sequences.get_mut(&filling.sequence)?;
        let part = input.len().min(filling.end - unfinished.bytes.len());
        unfinished
            .bytes
            .extend_from_slice(input.get(..part).unwrap_or_default());
        input.advance(part);
        let seen = std::mem::replace(&mut filling.seen, unfinished.bytes.len());
        let missing = filling.end - filling.seen;
        if missing > 0 {
            return Some(Filled::Partly {
                missing,
                progress: filling.seen > seen,
            });
        }
        let (sequence, start) = (filling.sequence, filling.start);
        self.filling = None;
        if unfinished.next > 0 {
            self.bytes += unfinished.bytes.len() - start;
            return Some(Filled::Fragment);
        }
        let Sequence { atoms, mut bytes, .. } = self.sequences.remove(&sequence)?;
        self.bytes -= start + OVERHEAD;
        let size = bytes.capacity();
        // A message that is kept does not keep a much larger buffer.
        let message = if bytes.len() < size / 2 {
            Bytes::copy_from_slice(&bytes.split())
        } else {
            bytes.split().freeze()
        };
        let held: usize = self.spares.iter().map(|(_, size)| size).sum();
        if self.spares.len() < SPARES && held + size <= SPARE_BYTES {
            self.spares.push((bytes, size));
        }
        Some(Filled::Message(Joined {
            atoms,
            bytes: message,
        }))
    }

    /// An empty buffer with room for that much, an earlier one if there is one.
    fn spare(&mut self, room: usize) -> BytesMut {
        // All of it or nothing: what is behind the message in its buffer would do for the beginning of one only.
        let free = |(spare, size): &mut (BytesMut, usize)| *size >= room && spare.try_reclaim(*size);
        match self.spares.iter_mut().position(free) {
            Some(place) => self.spares.swap_remove(place).0,
            None => BytesMut::with_capacity(room),
        }
    }

    /// Whether there are buffers that [`release`](Self::release) would give back.
    pub(super) fn has_spares(&self) -> bool {
        !self.spares.is_empty()
    }

    /// Gives back what memory is not in use.
    pub(super) fn release(&mut self) {
        self.spares = Vec::new();
    }

    /// Whether a fragment is being read.
    pub(super) fn is_filling(&self) -> bool {
        self.filling.is_some()
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
        assembly.further(sequence, fragment, part.len()).unwrap();
        let mut input = BytesMut::from(part);
        match assembly.fill(&mut input).unwrap() {
            Filled::Message(joined) => Some(joined.bytes),
            Filled::Fragment => None,
            Filled::Partly { .. } => panic!("all of it was there"),
        }
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
        assert_eq!(all.further(8, 2, 0).unwrap_err(), FragmentError::NotBegun(8));
        assert_eq!(
            all.further(7, 1, 0).unwrap_err(),
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
            all.further(2, 8, 1).unwrap_err(),
            FragmentError::TooMuch { limit }
        );
    }

    #[test]
    fn buffers_are_used_again_when_nobody_has_their_message() {
        let mut all = Assembly::new(1 << 30);
        let large = vec![7; 4 * LEAST];
        first(&mut all, 1, 2, b"x");
        let message = further(&mut all, 1, 1, &large).unwrap();
        let place = message.as_ptr();
        first(&mut all, 1, 2, b"x");
        let second = further(&mut all, 1, 1, &large).unwrap();
        assert_ne!(second.as_ptr(), place, "the first is still held");
        drop(message);
        first(&mut all, 1, 2, b"x");
        let third = further(&mut all, 1, 1, &large).unwrap();
        assert_eq!(third.as_ptr(), place);
        drop((second, third));
        first(&mut all, 1, 2, b"x");
        let short = further(&mut all, 1, 1, b"y").unwrap();
        assert_eq!(short, b"xy"[..]);
        assert!(
            !all.spares.is_empty(),
            "what is short does not keep a large buffer"
        );
    }

    #[test]
    fn what_is_read_in_place_counts_and_what_is_announced_does_not() {
        let mut all = Assembly::new(1 << 40);
        first(&mut all, 1, u64::MAX, b"ab");
        all.further(1, u64::MAX - 1, 1 << 30).unwrap();
        let mut place = all.place().unwrap();
        assert!(place.get_ref().capacity() <= 2 * LEAST);
        place.put_slice(b"cde");
        let filled = all.fill(&mut BytesMut::from(&b"fg"[..]));
        assert!(
            matches!(filled, Some(Filled::Partly { missing, progress: true }) if missing == (1 << 30) - 5),
            "{filled:?}"
        );
        assert_eq!(all.bytes(), 7 + OVERHEAD);
        let filled = all.fill(&mut BytesMut::new());
        assert!(
            matches!(filled, Some(Filled::Partly { progress: false, .. })),
            "{filled:?}"
        );
    }
}
