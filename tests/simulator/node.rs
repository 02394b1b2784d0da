//! One simulated node: its table of connections, and what its processes are waiting for.

use beamnode::dist::arbitration::Held;
use beamnode::dist::handshake::Local;
use std::collections::{BTreeMap, BTreeSet};

/// One end of a stream: the stream, and which of its two ends.
pub(crate) type End = (usize, usize);

/// What a node holds for a peer.
#[derive(Debug, Default)]
pub(crate) struct Slot {
    pub(crate) up: Option<End>,
    /// The end that an attempt is on, ours or the peer's.
    pub(crate) attempt: Option<(End, Held)>,
    /// Who waits for the attempt.
    pub(crate) waiting: BTreeSet<u64>,
}

impl Slot {
    pub(crate) fn held(&self) -> Held {
        match (self.up, self.attempt) {
            (None, None) => Held::Nothing,
            (None, Some((_, held))) => held,
            (Some(_), None) => Held::Up,
            (Some(_), Some(_)) => Held::UpPending,
        }
    }

    pub(crate) fn is_attempt(&self, end: End) -> bool {
        self.attempt.is_some_and(|(attempt, _)| attempt == end)
    }
}

#[derive(Debug)]
pub(crate) struct Node {
    pub(crate) local: Local,
    pub(crate) slots: BTreeMap<usize, Slot>,
    /// Questions asked over a connection and not answered yet: by number, the end.
    pub(crate) asked: BTreeMap<u32, End>,
    /// The number of the last message that each process of ours has sent to each of a peer: (peer, from, to).
    pub(crate) sent: BTreeMap<(usize, u32, u32), i64>,
    /// And has had from it: (peer, from, to), with the end it came over.
    pub(crate) received: BTreeMap<(usize, u32, u32), (i64, End)>,
}
