//! The way out of a connection, messages to frames: headers, fragments, and whose turn it is.
//!
//! Small messages become frames at once. A message larger than a fragment goes out fragment by fragment, between which messages of
//! other processes may go; further messages of the same process wait until it is through, so that what one
//! process sends arrives in the order sent. Several large ones take turns.

use super::atom_cache;
use super::control::{Control, Send, Target, Unsendable, Writer};
use super::{Flags, Transmit};
use crate::etf::{Atoms, RawTerm};
use crate::term::Pid;
use bytes::{Buf, BufMut, Bytes, BytesMut};
use std::collections::{HashMap, VecDeque};

/// Messages up to this size are not cut: 64 KiB, as BEAM.
const WHOLE: usize = 64 * 1024;

/// Payloads up to this size fit into one frame whatever comes before them.
const SMALL: usize = 32 * 1024;

/// How much the first fragment of a message holds. It is small because the peer has to copy it: where the further ones belong, it
/// knows by then.
const FIRST: usize = 16 * 1024;

/// How much of a message a further fragment holds: more than BEAM's 64 KiB, which spares both ends some work, and still little enough to
/// let others through in between.
const FRAGMENT: usize = 256 * 1024;

/// Further fragments are made ready when less than this is.
const LOW: usize = 128 * 1024;

/// The way out of a [`Connection`](super::Connection), on its own: makes bytes of messages.
///
/// What is sent is ready to be written at once, so that who sends may do so under a lock, and who writes [`take`](Self::take)s the
/// bytes and writes them without.
#[derive(Debug)]
pub struct WriteHalf {
    negotiated: Flags,
    cache: atom_cache::Outgoing,
    transmit: Transmit,
    /// What comes before the control tuple being made, and the tuple.
    head: Vec<u8>,
    scratch: Vec<u8>,
    /// The processes with an unfinished message, and what they have sent since.
    unfinished: HashMap<Option<Pid>, Unfinished>,
    /// Whose turn it is.
    turns: VecDeque<Option<Pid>>,
    /// The bytes in `unfinished`.
    waiting: usize,
    /// The number of the last fragmented message.
    sequence: u64,
    /// Whose message `head` and `scratch` are.
    last: Option<Last>,
}

/// A message that fits into one frame, by what makes its header and control tuple.
#[derive(Debug)]
struct Last {
    from: Pid,
    to: Pid,
    atoms: Atoms,
}

#[derive(Debug)]
struct Unfinished {
    sequence: u64,
    /// The number of the next fragment.
    next: u64,
    rest: Bytes,
    then: VecDeque<Control>,
}

impl WriteHalf {
    /// So many bytes of fragments are ready at the most, the last with its head of 22 bytes.
    pub const READY_FRAGMENTS: usize = LOW + FRAGMENT + 22;

    /// For what both ends can do.
    pub(crate) fn new(negotiated: Flags) -> Self {
        Self {
            negotiated,
            cache: atom_cache::Outgoing::default(),
            transmit: Transmit::default(),
            head: Vec::new(),
            scratch: Vec::new(),
            unfinished: HashMap::new(),
            turns: VecDeque::new(),
            waiting: 0,
            sequence: 0,
            last: None,
        }
    }

    /// How many bytes are to be written and have not been taken.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.transmit.remaining() + self.waiting
    }

    /// Of these, how many are ready to be taken.
    #[must_use]
    pub fn ready(&self) -> usize {
        self.transmit.remaining()
    }

    /// Whether large messages are under way.
    #[must_use]
    pub fn is_streaming(&self) -> bool {
        !self.turns.is_empty()
    }

    /// Whether the message, sent now, would go between the fragments of large ones: it takes at most 64 KiB, and none of
    /// them is of its process.
    #[must_use]
    pub fn passes(&self, control: &Control) -> bool {
        control.size() <= WHOLE
            && (self.unfinished.is_empty() || !self.unfinished.contains_key(&control.sender().cloned()))
    }

    /// This much of what was ready has been written.
    pub(super) fn written(&mut self, count: usize) {
        self.transmit.advance(count);
    }

    /// Sends a message: it is ready to be taken, unless an earlier large one of the same process is still under way.
    ///
    /// # Errors
    /// If the peer cannot be sent such a message, as [`Control::check`] says; nothing is sent then.
    pub fn send(&mut self, control: &Control) -> Result<(), Unsendable> {
        if let Control::Send(send) = control
            && self.is_like_last(send)
        {
            self.finish(send.message.bytes());
            return Ok(());
        }
        control.check(self.negotiated)?;
        if !self.unfinished.is_empty()
            && let Some(before) = self.unfinished.get_mut(&control.sender().cloned())
        {
            self.waiting += control.size();
            before.then.push_back(control.clone());
        } else if let Some(unfinished) = self.begin(control) {
            let sender = control.sender().cloned();
            self.turns.push_back(sender.clone());
            self.unfinished.insert(sender, unfinished);
        }
        Ok(())
    }

    /// Whether the message differs from the last one in nothing but its payload: so do most, where one process sends another many.
    fn is_like_last(&self, send: &Send) -> bool {
        let Some(last) = &self.last else { return false };
        send.from.as_ref().is_some_and(|from| is_same(from, &last.from))
            && matches!(&send.to, Target::Pid(to) if is_same(to, &last.to))
            && send.token.is_none()
            && !send.priority
            && send.message.atoms() == &last.atoms
            && send.message.bytes().len() <= SMALL
            && self.unfinished.is_empty()
    }

    /// Sends an empty frame, unless there is something to write anyway.
    pub fn tick(&mut self) {
        if self.bytes() == 0 {
            self.transmit.tail().put_u32(0);
        }
    }

    /// What is ready to be written.
    pub(super) fn transmit(&mut self) -> &Transmit {
        self.make_ready(0);
        &self.transmit
    }

    /// Adds what is ready to be written to what the caller still has to write, unless that is 128 KiB already. `true` if that was
    /// something.
    pub fn take(&mut self, unwritten: &mut Transmit) -> bool {
        let more = unwritten.remaining();
        if more >= LOW {
            return false;
        }
        self.make_ready(more);
        let any = self.transmit.has_remaining();
        unwritten.append(&mut self.transmit);
        any
    }

    /// Makes fragments ready while little is, there being so much more that was before.
    fn make_ready(&mut self, more: usize) {
        while self.transmit.remaining() + more < LOW {
            let Some(sender) = self.turns.pop_front() else {
                break;
            };
            if self.go_on(sender.clone()) {
                self.turns.push_back(sender);
            }
        }
    }

    /// Gives back what memory is not in use.
    pub fn release(&mut self) {
        self.transmit.release();
        if self.turns.is_empty() {
            (self.head, self.scratch, self.last) = <_>::default();
            (self.unfinished, self.turns) = <_>::default();
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
        self.last = None;
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
        if !headed {
            self.pass_through(payload.map(RawTerm::inline).as_ref());
            return None;
        }
        let inline;
        let payload = match payload {
            None => &Bytes::new(),
            Some(payload) if cached => payload.bytes(),
            Some(payload) => {
                inline = payload.inline();
                inline.bytes()
            }
        };
        let length = self.scratch.len() + payload.len();
        if length <= WHOLE || !has(Flags::FRAGMENTS) {
            self.whole(payload);
            if cached && !self.cache.has_new() {
                self.last = Last::of(control);
            }
            return None;
        }
        Some(self.first_fragment(payload.clone()))
    }

    /// The frame of a peer that knows neither header nor fragments.
    fn pass_through(&mut self, payload: Option<&RawTerm>) {
        let payload = payload.map(RawTerm::bytes);
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
        self.head.clear();
        self.head.extend_from_slice(&[0, 0, 0, 0, 131, 68]);
        self.put_head(payload);
    }

    fn first_fragment(&mut self, mut payload: Bytes) -> Unfinished {
        // The whole control tuple must be in the first one.
        let part = payload.split_to(FIRST.saturating_sub(self.scratch.len()).min(payload.len()));
        let more = u64::try_from(payload.len().div_ceil(FRAGMENT)).unwrap_or(u64::MAX);
        self.sequence += 1;
        self.head.clear();
        self.head.extend_from_slice(&[0, 0, 0, 0, 131, 69]);
        self.head.extend_from_slice(&self.sequence.to_be_bytes());
        self.head.extend_from_slice(&(more + 1).to_be_bytes());
        self.put_head(&part);
        self.waiting += payload.len();
        Unfinished {
            sequence: self.sequence,
            next: more,
            rest: payload,
            then: VecDeque::new(),
        }
    }

    /// Makes a frame ready: what is in `head`, the header, the control tuple, and of the payload this much.
    fn put_head(&mut self, part: &Bytes) {
        self.cache.write(&mut self.head);
        self.finish(part);
    }

    /// Makes a frame ready of `head`, with the length put right, the control tuple, and of the payload this much.
    fn finish(&mut self, part: &Bytes) {
        let length = self.head.len() - 4 + self.scratch.len() + part.len();
        if let Some(place) = self.head.first_chunk_mut() {
            *place = u32::try_from(length).unwrap_or(u32::MAX).to_be_bytes();
        }
        let tail = self.transmit.tail();
        tail.reserve(self.head.len() + self.scratch.len());
        tail.put_slice(&self.head);
        tail.put_slice(&self.scratch);
        self.transmit.put(part);
    }
}

impl Last {
    /// If the message is one from a process to a process and has nothing more to it.
    fn of(control: &Control) -> Option<Self> {
        match control {
            Control::Send(Send {
                from: Some(from),
                to: Target::Pid(to),
                priority: false,
                token: None,
                message,
            }) => Some(Self {
                from: from.clone(),
                to: to.clone(),
                atoms: message.atoms().clone(),
            }),
            _ => None,
        }
    }
}

/// Whether two pids are the same; the numbers, which tell most apart, first.
fn is_same(a: &Pid, b: &Pid) -> bool {
    a.id() == b.id() && a.serial() == b.serial() && a == b
}

/// Writes the length of a frame.
fn put_length(out: &mut BytesMut, length: usize) {
    // Larger ones are refused before they come here.
    out.put_u32(u32::try_from(length).unwrap_or(u32::MAX));
}
