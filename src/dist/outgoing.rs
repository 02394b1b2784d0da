//! Messages to frames: headers, fragments, and whose turn it is.
//!
//! Small messages become frames at once. A message larger than a fragment goes out fragment by fragment, between which messages of
//! other processes may go; further messages of the same process wait until it is through, so that what one
//! process sends arrives in the order sent. Several large ones take turns.

use super::atom_cache;
use super::control::{Control, Writer};
use super::{Flags, Transmit};
use crate::term::Pid;
use bytes::{Buf, BufMut, Bytes, BytesMut};
use std::collections::{HashMap, VecDeque};

/// Messages up to this size are not cut: 64 KiB, as BEAM.
const WHOLE: usize = 64 * 1024;

/// How much the first fragment of a message holds. It is small because the peer has to copy it: where the further ones belong, it
/// knows by then.
const FIRST: usize = 16 * 1024;

/// How much of a message a further fragment holds: more than BEAM's 64 KiB, which spares both ends some work, and still little enough to
/// let others through in between.
const FRAGMENT: usize = 256 * 1024;

/// Further fragments are made ready when less than this is.
const LOW: usize = 128 * 1024;

/// The way out of a connection.
#[derive(Debug)]
pub(super) struct Outgoing {
    negotiated: Flags,
    cache: atom_cache::Outgoing,
    transmit: Transmit,
    /// The control tuple being made.
    scratch: BytesMut,
    /// The processes with an unfinished message, and what they have sent since.
    unfinished: HashMap<Option<Pid>, Unfinished>,
    /// Whose turn it is.
    turns: VecDeque<Option<Pid>>,
    /// The bytes in `unfinished`.
    waiting: usize,
    /// The number of the last fragmented message.
    sequence: u64,
}

#[derive(Debug)]
struct Unfinished {
    sequence: u64,
    /// The number of the next fragment.
    next: u64,
    rest: Bytes,
    then: VecDeque<Control>,
}

impl Outgoing {
    pub(super) fn new(negotiated: Flags) -> Self {
        Self {
            negotiated,
            cache: atom_cache::Outgoing::default(),
            transmit: Transmit::default(),
            scratch: BytesMut::new(),
            unfinished: HashMap::new(),
            turns: VecDeque::new(),
            waiting: 0,
            sequence: 0,
        }
    }

    /// How many bytes are to be written.
    pub(super) fn bytes(&self) -> usize {
        self.transmit.remaining() + self.waiting
    }

    /// This much of what was ready has been written.
    pub(super) fn written(&mut self, count: usize) {
        self.transmit.advance(count);
    }

    /// Takes a message. One that this peer cannot be sent is left out.
    pub(super) fn send(&mut self, control: Control) {
        if control.check(self.negotiated).is_err() {
            return;
        }
        if !self.unfinished.is_empty()
            && let Some(before) = self.unfinished.get_mut(&control.sender().cloned())
        {
            self.waiting += control.size();
            before.then.push_back(control);
            return;
        }
        if let Some(unfinished) = self.begin(&control) {
            let sender = control.sender().cloned();
            self.turns.push_back(sender.clone());
            self.unfinished.insert(sender, unfinished);
        }
    }

    /// An empty frame, unless there is something to write anyway.
    pub(super) fn tick(&mut self) {
        if self.bytes() == 0 {
            self.transmit.tail().put_u32(0);
        }
    }

    /// What is ready to be written.
    pub(super) fn transmit(&mut self) -> &Transmit {
        while self.transmit.remaining() < LOW {
            let Some(sender) = self.turns.pop_front() else {
                break;
            };
            if self.go_on(sender.clone()) {
                self.turns.push_back(sender);
            }
        }
        &self.transmit
    }

    /// Gives back what memory is not in use.
    pub(super) fn release(&mut self) {
        self.transmit.release();
        if self.turns.is_empty() {
            (self.scratch, self.unfinished, self.turns) = <_>::default();
        }
    }

    /// Makes the next fragment of a process's unfinished message ready, and if it is the last, what the process has sent since, up
    /// to its next large message. `false` if the process has nothing left.
    fn go_on(&mut self, sender: Option<Pid>) -> bool {
        let Some(unfinished) = self.unfinished.get_mut(&sender) else {
            return false;
        };
        let part = unfinished.rest.split_to(FRAGMENT.min(unfinished.rest.len()));
        self.waiting -= part.len();
        let tail = self.transmit.tail();
        put_length(tail, 18 + part.len());
        tail.put_slice(&[131, 70]);
        tail.put_u64(unfinished.sequence);
        tail.put_u64(unfinished.next);
        self.transmit.put(&part);
        unfinished.next -= 1;
        if unfinished.next > 0 {
            return true;
        }
        let mut then = std::mem::take(&mut unfinished.then);
        while let Some(control) = then.pop_front() {
            self.waiting -= control.size();
            if let Some(next) = self.begin(&control) {
                self.unfinished.insert(sender, Unfinished { then, ..next });
                return true;
            }
        }
        self.unfinished.remove(&sender);
        false
    }

    /// Makes a message ready, or if it is large its first fragment: then gives the rest.
    fn begin(&mut self, control: &Control) -> Option<Unfinished> {
        let has = |flags| self.negotiated.intersects(flags);
        let (cached, headed) = (
            has(Flags::DIST_HDR_ATOM_CACHE),
            has(Flags::DIST_HDR_ATOM_CACHE | Flags::FRAGMENTS),
        );
        self.scratch.clear();
        // The payload's references are the header's first, so that its bytes stay as they are.
        self.cache.begin(
            control
                .payload()
                .filter(|_| cached)
                .map_or(&[], |payload| payload.atoms()),
        );
        let cache = if cached { Some(&mut self.cache) } else { None };
        let mut writer = Writer {
            out: &mut self.scratch,
            cache,
        };
        let payload = control.write(self.negotiated, &mut writer);
        let payload = match payload {
            None => None,
            Some(payload) if cached => Some(payload.bytes().clone()),
            Some(payload) => Some(payload.inline().bytes().clone()),
        };
        if !headed {
            self.pass_through(payload.as_ref());
            return None;
        }
        let payload = payload.unwrap_or_default();
        let length = self.scratch.len() + payload.len();
        if length <= WHOLE || !has(Flags::FRAGMENTS) {
            self.whole(&payload);
            return None;
        }
        Some(self.first_fragment(payload))
    }

    /// The frame of a peer that knows neither header nor fragments.
    fn pass_through(&mut self, payload: Option<&Bytes>) {
        let length = 2 + self.scratch.len() + payload.map_or(0, |payload| 1 + payload.len());
        let tail = self.transmit.tail();
        put_length(tail, length);
        tail.put_slice(&[112, 131]);
        tail.put_slice(&self.scratch);
        if let Some(payload) = payload {
            tail.put_u8(131);
            self.transmit.put(payload);
        }
    }

    fn whole(&mut self, payload: &Bytes) {
        let tail = self.transmit.tail();
        let start = tail.len();
        tail.put_slice(&[0, 0, 0, 0, 131, 68]);
        self.cache.write(tail);
        tail.put_slice(&self.scratch);
        set_length(tail, start, payload.len());
        self.transmit.put(payload);
    }

    fn first_fragment(&mut self, mut payload: Bytes) -> Unfinished {
        // The whole control tuple must be in the first one.
        let part = payload.split_to(FIRST.saturating_sub(self.scratch.len()).min(payload.len()));
        let more = u64::try_from(payload.len().div_ceil(FRAGMENT)).unwrap_or(u64::MAX);
        self.sequence += 1;
        let tail = self.transmit.tail();
        let start = tail.len();
        tail.put_slice(&[0, 0, 0, 0, 131, 69]);
        tail.put_u64(self.sequence);
        tail.put_u64(more + 1);
        self.cache.write(tail);
        tail.put_slice(&self.scratch);
        set_length(tail, start, part.len());
        self.transmit.put(&part);
        self.waiting += payload.len();
        Unfinished {
            sequence: self.sequence,
            next: more,
            rest: payload,
            then: VecDeque::new(),
        }
    }
}

/// Writes the length of a frame.
fn put_length(out: &mut BytesMut, length: usize) {
    // Larger ones are refused before they come here.
    out.put_u32(u32::try_from(length).unwrap_or(u32::MAX));
}

/// Writes the length of the frame that begins at `start` with room for it, and which `more` bytes will follow.
fn set_length(out: &mut BytesMut, start: usize, more: usize) {
    let length = u32::try_from(out.len() - start - 4 + more).unwrap_or(u32::MAX);
    if let Some(place) = out.get_mut(start..start + 4) {
        place.copy_from_slice(&length.to_be_bytes());
    }
}
