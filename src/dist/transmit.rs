//! What is ready to be written to the socket: many messages, in as few pieces as it takes.
//!
//! Small things are put one after another into one buffer; large payloads are not copied but kept as they are between
//! two such buffers. As a [`Buf`] the whole is a list of slices for vectored writes.

use bytes::{Buf, BufMut, Bytes, BytesMut};
use std::collections::VecDeque;
use std::io::IoSlice;

/// Payloads from this size on are written from where they are; a copy of anything smaller costs less than one more piece to
/// write.
const SHARED_FROM: usize = 8 * 1024;

/// The bytes of a connection that wait to be written.
#[derive(Debug, Default)]
pub struct Transmit {
    /// What comes before `tail`.
    pieces: VecDeque<Bytes>,
    /// Where small things are put.
    tail: BytesMut,
    /// The bytes of `pieces`.
    length: usize,
}

impl Transmit {
    /// Where to write the next small thing.
    pub(super) fn tail(&mut self) -> &mut BytesMut {
        &mut self.tail
    }

    /// Adds bytes, without a copy if there are many.
    pub(super) fn put(&mut self, bytes: &Bytes) {
        if bytes.len() < SHARED_FROM {
            self.tail.put_slice(bytes);
        } else {
            self.seal();
            self.length += bytes.len();
            self.pieces.push_back(bytes.clone());
        }
    }

    /// Adds what another has, and leaves that one empty.
    pub(super) fn append(&mut self, more: &mut Self) {
        // Of the two buffers one is filled while the other is written.
        if self.has_remaining() {
            self.seal();
            self.length += std::mem::take(&mut more.length);
            self.pieces.append(&mut more.pieces);
            std::mem::swap(&mut self.tail, &mut more.tail);
        } else {
            std::mem::swap(self, more);
        }
    }

    /// Gives back what memory is not in use.
    pub(crate) fn release(&mut self) {
        if !self.has_remaining() {
            *self = Self::default();
        }
    }

    fn seal(&mut self) {
        if !self.tail.is_empty() {
            self.length += self.tail.len();
            self.pieces.push_back(self.tail.split().freeze());
        }
    }
}

impl Buf for Transmit {
    fn remaining(&self) -> usize {
        self.length + self.tail.len()
    }

    fn chunk(&self) -> &[u8] {
        self.pieces.front().map_or(&self.tail, |piece| piece)
    }

    fn chunks_vectored<'a>(&'a self, slices: &mut [IoSlice<'a>]) -> usize {
        let pieces = self.pieces.iter().map(Bytes::as_ref);
        let all = pieces
            .chain(std::iter::once(self.tail.as_ref()))
            .filter(|piece| !piece.is_empty());
        slices
            .iter_mut()
            .zip(all)
            .map(|(slice, piece)| *slice = IoSlice::new(piece))
            .count()
    }

    fn advance(&mut self, mut count: usize) {
        while let Some(piece) = self.pieces.front_mut() {
            let part = count.min(piece.len());
            piece.advance(part);
            self.length -= part;
            count -= part;
            if !piece.is_empty() {
                return;
            }
            self.pieces.pop_front();
        }
        self.tail.advance(count);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn slices(transmit: &Transmit) -> Vec<usize> {
        let mut slices = [IoSlice::new(&[]); 8];
        let count = transmit.chunks_vectored(&mut slices);
        slices[..count].iter().map(|slice| slice.len()).collect()
    }

    #[test]
    fn small_things_are_joined_and_large_ones_shared() {
        let mut transmit = Transmit::default();
        let large = Bytes::from(vec![b'l'; SHARED_FROM]);
        transmit.tail().put_slice(b"one ");
        transmit.put(&Bytes::from_static(b"two "));
        transmit.put(&large);
        transmit.put(&large);
        transmit.tail().put_slice(b"end");
        assert_eq!(slices(&transmit), [8, SHARED_FROM, SHARED_FROM, 3]);
        assert_eq!(transmit.pieces[1].as_ptr(), large.as_ptr(), "not copied");
        let length = 11 + 2 * SHARED_FROM;
        assert_eq!(transmit.remaining(), length);
        let mut all = Vec::new();
        for step in [3, 5, 100, SHARED_FROM]
            .into_iter()
            .chain(std::iter::repeat(7000))
        {
            if transmit.remaining() == 0 {
                break;
            }
            let step = step.min(transmit.chunk().len());
            all.extend_from_slice(&transmit.chunk()[..step]);
            transmit.advance(step);
        }
        assert_eq!(all, [&b"one two "[..], &large, &large, b"end"].concat());
    }

    #[test]
    fn advancing_over_pieces() {
        let mut transmit = Transmit::default();
        let large = Bytes::from(vec![b'l'; SHARED_FROM]);
        transmit.put(&large);
        transmit.tail().put_slice(b"end");
        transmit.advance(SHARED_FROM + 1);
        assert_eq!((transmit.remaining(), transmit.chunk()), (2, &b"nd"[..]));
        transmit.advance(2);
        assert_eq!(slices(&transmit), [0_usize; 0]);
    }
}
