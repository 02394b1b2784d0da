//! Streams between nodes, as TCP is: what is written arrives in order, cut anywhere, some time later or never.

use crate::random::Random;
use std::collections::VecDeque;
use std::time::Duration;

/// How much may be under way in one direction before the writer has to wait.
const WINDOW: usize = 200_000;

/// One direction of a stream.
#[derive(Debug, Default)]
pub(crate) struct Pipe {
    under_way: VecDeque<(Duration, Piece)>,
    bytes: usize,
    /// Nothing arrives before what was sent earlier.
    last: Duration,
    /// Until when nothing gets through.
    silent: Duration,
}

/// What arrives at once.
#[derive(Debug)]
pub(crate) enum Piece {
    Bytes(Vec<u8>),
    End,
}

impl Pipe {
    /// How much may be written now.
    pub(crate) fn room(&self) -> usize {
        WINDOW.saturating_sub(self.bytes)
    }

    /// Writes, and gives the times at which something will arrive.
    pub(crate) fn write(&mut self, now: Duration, mut bytes: &[u8], random: &mut Random) -> Vec<Duration> {
        let mut times = Vec::new();
        self.bytes += bytes.len();
        while !bytes.is_empty() {
            // Half of all writes arrive in one piece; of the others some byte by byte at first.
            let size = match random.below(4) {
                0 => 1 + random.below(8),
                1 => 1 + random.below(bytes.len()),
                _ => bytes.len(),
            };
            let (piece, rest) = bytes.split_at(size.min(bytes.len()));
            times.push(self.send(now, Piece::Bytes(piece.to_vec()), random));
            bytes = rest;
        }
        times
    }

    /// Ends the direction, and gives the time at which the other end sees it.
    pub(crate) fn end(&mut self, now: Duration, random: &mut Random) -> Duration {
        self.send(now, Piece::End, random)
    }

    fn send(&mut self, now: Duration, piece: Piece, random: &mut Random) -> Duration {
        let delay = Duration::from_micros(50 + random.below(20_000) as u64);
        self.last = self.last.max(now.max(self.silent) + delay);
        self.under_way.push_back((self.last, piece));
        self.last
    }

    /// Nothing that is sent from now on gets through before `until`.
    pub(crate) fn silence(&mut self, until: Duration) {
        self.silent = self.silent.max(until);
    }

    /// What has arrived by now.
    pub(crate) fn arrived(&mut self, now: Duration) -> Option<Piece> {
        self.under_way.front().filter(|(time, _)| *time <= now)?;
        let (_, piece) = self.under_way.pop_front()?;
        if let Piece::Bytes(bytes) = &piece {
            self.bytes -= bytes.len();
        }
        Some(piece)
    }

    /// The link is cut: all that is under way is lost.
    pub(crate) fn cut(&mut self) {
        self.under_way.clear();
        self.bytes = 0;
    }
}
