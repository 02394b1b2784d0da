//! The way in of a connection, frames to messages, and its clock.
//!
//! Follows "Protocol between Connected Nodes" of Erlang's *Distribution Protocol* and "Distribution Header" of the *External
//! Term Format*.

use super::atom_cache::{HeaderError, Incoming};
use super::control::{Control, ControlError, Ends, Send, Source, Target};
use super::fragment::{Assembly, Filled, FragmentError, Joined};
use super::handshake::Established;
use super::tick::{Clock, Due};
use super::{Flags, Settings, Ticks};
use crate::etf::{Atoms, RawTerm};
use crate::term::{Atom, Pid};
use bytes::buf::Limit;
use bytes::{Buf, BufMut, BytesMut};
use std::time::{Duration, Instant};

/// Payloads below this size are copied out of the input, so that a short message that is kept does not keep with it all that
/// was read at the same time.
const SHARED_FROM: usize = 4 * 1024;

/// How much is read at a time, at least.
const GULP: usize = 64 * 1024;

/// For how long after a large message memory is kept for the next.
const KEEP_SPARES: Duration = Duration::from_secs(1);

/// What a further fragment has before its bytes: length, kind, sequence and number.
const FRAGMENT_HEADER: usize = 4 + 2 + 8 + 8;

/// Why a connection cannot go on. All but the first are the peer's fault.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConnectionError {
    /// Nothing was received for the tick time.
    #[error("nothing was received for {0:?}")]
    Silent(Duration),
    /// A frame longer than what may be held of unfinished messages.
    #[error("a frame of {length} bytes, over the limit of {limit}")]
    FrameTooLong {
        /// What it claims to be.
        length: usize,
        /// The limit.
        limit: usize,
    },
    /// A frame of another kind than the flags of both ends agree on, and how it begins.
    #[error("a frame that begins with {0:?}, a kind that the flags do not agree on")]
    WrongKind(Vec<u8>),
    /// The header cannot be read.
    #[error(transparent)]
    Header(#[from] HeaderError),
    /// The fragments cannot be joined.
    #[error(transparent)]
    Fragment(#[from] FragmentError),
    /// The control message cannot be understood.
    #[error("invalid control message: {0}")]
    Control(#[from] ControlError),
}

/// The way in of a [`Connection`](super::Connection), on its own, and its clock: makes messages of bytes.
#[derive(Debug)]
pub struct ReadHalf {
    ends: Ends,
    negotiated: Flags,
    incoming: Incoming,
    assembly: Assembly,
    /// How many bytes the frame at the front of the input still lacks; 0 if there is none.
    missing: usize,
    /// When the last fragmented message was complete.
    large: Instant,
    /// Whether the last frame was a fragment, and not the last of its message: most likely another follows.
    in_fragments: bool,
    clock: Clock,
    unfinished_limit: usize,
    last: Option<Last>,
}

/// The control tuple of a message from a process to a process, the atoms that it refers to, and what it says.
#[derive(Debug)]
struct Last {
    tuple: Vec<u8>,
    atoms: Atoms,
    from: Option<Pid>,
    to: Pid,
}

impl ReadHalf {
    pub(super) fn new(established: &Established, settings: Settings, now: Instant) -> Self {
        Self {
            ends: Ends {
                local: Atom::from(&established.local.name),
                creation: established.local.creation,
                peer: Atom::from(&established.peer.name),
            },
            negotiated: established.peer.negotiated,
            incoming: Incoming::default(),
            assembly: Assembly::new(settings.unfinished_limit),
            missing: 0,
            large: now,
            in_fragments: false,
            clock: Clock::new(settings.ticks, now),
            unfinished_limit: settings.unfinished_limit,
            last: None,
        }
    }

    /// Takes the next message from the front of what was read. To be called until it gives none, which is when there is
    /// none that is complete.
    ///
    /// Payloads are not looked at, but for where they begin. What follows them is ignored, as BEAM does.
    pub fn handle_input(
        &mut self,
        now: Instant,
        input: &mut BytesMut,
    ) -> Result<Option<Control>, ConnectionError> {
        loop {
            match self.assembly.fill(input) {
                None => {}
                Some(Filled::Partly { missing, progress }) => {
                    if progress {
                        self.clock.received(now);
                    }
                    self.missing = missing;
                    return Ok(None);
                }
                Some(Filled::Fragment) => {
                    self.clock.received(now);
                    self.missing = 0;
                }
                Some(Filled::Message(joined)) => {
                    self.clock.received(now);
                    self.missing = 0;
                    self.in_fragments = false;
                    self.large = now;
                    return self.joined(joined).map(Some);
                }
            }
            if let Some((sequence, fragment, length)) = self.begins_fragment(input)? {
                self.assembly.further(sequence, fragment, length)?;
                self.in_fragments = true;
                input.advance(FRAGMENT_HEADER);
                continue;
            }
            let Some((length, rest)) = input.split_first_chunk() else {
                self.missing = if input.is_empty() { 0 } else { 4 - input.len() };
                return Ok(None);
            };
            let length = usize::try_from(u32::from_be_bytes(*length)).unwrap_or(usize::MAX);
            let Some((frame, _)) = rest.split_at_checked(length) else {
                if length > self.unfinished_limit {
                    return Err(ConnectionError::FrameTooLong {
                        length,
                        limit: self.unfinished_limit,
                    });
                }
                self.clock.received(now);
                self.missing = length - rest.len();
                return Ok(None);
            };
            self.missing = 0;
            self.clock.received(now);
            let message = match *frame {
                [] => {
                    input.advance(4);
                    continue;
                }
                _ if length < SHARED_FROM => {
                    let message = self.frame(Source::copied(frame))?;
                    input.advance(4 + length);
                    message
                }
                _ => {
                    input.advance(4);
                    let frame = input.split_to(length).freeze();
                    self.frame(Source::shared(&frame))?
                }
            };
            self.in_fragments = message.is_none();
            if message.is_some() {
                return Ok(message);
            }
        }
    }

    /// Something was written to the peer.
    pub fn handle_written(&mut self, now: Instant) {
        self.clock.sent(now);
    }

    /// The time of [`poll_timeout`](Self::poll_timeout) has come, or may have. `true` if a tick is due: then
    /// [`WriteHalf::tick`](super::WriteHalf::tick) is to be called.
    ///
    /// # Errors
    /// When the peer was silent for too long.
    pub fn handle_timeout(&mut self, now: Instant) -> Result<bool, ConnectionError> {
        if now >= self.large + KEEP_SPARES {
            self.assembly.release();
        }
        match self.clock.due(now) {
            Due::Nothing => Ok(false),
            Due::Tick => {
                // If there is something to write that the peer does not take, one more tick would not help.
                self.clock.sent(now);
                Ok(true)
            }
            Due::Silent(time) => Err(ConnectionError::Silent(time)),
        }
    }

    /// When to call [`handle_timeout`](Self::handle_timeout). It may move with everything read and written, and with other values
    /// for the ticks; coming early does no harm.
    pub fn poll_timeout(&self) -> Instant {
        let due = self.clock.timeout();
        if self.assembly.has_spares() {
            due.min(self.large + KEEP_SPARES)
        } else {
            due
        }
    }

    /// Takes other values for the ticks. Until `transition` has passed, in which the peer is to be told too, the connection ticks as
    /// often as the faster of both has it, and waits for the peer as long as the slower does.
    pub fn set_ticks(&mut self, ticks: Ticks, transition: Duration, now: Instant) {
        self.clock.change(ticks, transition, now);
    }

    /// How many bytes the frame at the front of the input still lacks, as far as it is known; 0 if nothing has come
    /// of it.
    pub fn missing(&self) -> usize {
        self.missing
    }

    /// How many bytes of fragmented messages are held that are not complete.
    pub fn unfinished_bytes(&self) -> usize {
        self.assembly.bytes()
    }

    /// Where to read to, and at most how much: the end of `input`, or while a large message comes, that message's own place.
    /// [`handle_input`](Self::handle_input) is to be called afterwards, and sees what was read in either.
    ///
    /// Reading to the end of `input` oneself is as good, only slower.
    pub fn read_into<'a>(&'a mut self, input: &'a mut BytesMut) -> Limit<&'a mut BytesMut> {
        if !input.is_empty() || !self.assembly.is_filling() {
            // Of a large frame never more than what has come of it, so that no length is believed.
            let room = self.missing.min(input.len()).max(GULP);
            if input.capacity() - input.len() < room / 2 {
                input.reserve(room);
            }
            // The bytes of the fragment that comes next are to be read to their place, and so not along with its numbers.
            let limit = if self.in_fragments && input.len() < FRAGMENT_HEADER {
                FRAGMENT_HEADER - input.len()
            } else {
                usize::MAX
            };
            return input.limit(limit);
        }
        self.assembly.place().unwrap_or_else(|| input.limit(GULP))
    }

    /// The numbers and length of the further fragment that `input` begins with, if it does. It need not be there in full.
    fn begins_fragment(&self, input: &[u8]) -> Result<Option<(u64, u64, usize)>, ConnectionError> {
        let Some(([a, b, c, d, 131, FRAGMENT], rest)) = input.split_first_chunk() else {
            return Ok(None);
        };
        let length = u32::from_be_bytes([*a, *b, *c, *d]);
        let length = usize::try_from(length).unwrap_or(usize::MAX);
        if !self.negotiated.contains(Flags::FRAGMENTS) || length < FRAGMENT_HEADER - 4 || rest.len() < 16 {
            return Ok(None);
        }
        let (sequence, fragment, _) = numbers(rest)?;
        let length = length - (FRAGMENT_HEADER - 4);
        if length > self.unfinished_limit {
            let limit = self.unfinished_limit;
            return Err(ConnectionError::FrameTooLong { length, limit });
        }
        Ok(Some((sequence, fragment, length)))
    }

    /// The message of a frame; none if more of it is to come.
    fn frame(&mut self, frame: Source<'_>) -> Result<Option<Control>, ConnectionError> {
        let headed = self
            .negotiated
            .intersects(Flags::DIST_HDR_ATOM_CACHE | Flags::FRAGMENTS);
        match *frame.bytes() {
            [131, HEADER, ref rest @ ..] if headed => {
                let (atoms, message) = self.incoming.read(rest)?;
                self.headed(frame, message, atoms).map(Some)
            }
            [131, FIRST_FRAGMENT, ref rest @ ..] if self.negotiated.contains(Flags::FRAGMENTS) => {
                let (sequence, fragment, rest) = numbers(rest)?;
                let (atoms, part) = self.incoming.read(rest)?;
                let part = frame.keep(part);
                match self.assembly.first(sequence, fragment, atoms, part)? {
                    Some(joined) => self.joined(joined).map(Some),
                    None => Ok(None),
                }
            }
            // Else it would have been taken before it came here.
            [131, FRAGMENT, ..] if self.negotiated.contains(Flags::FRAGMENTS) => {
                Err(FragmentError::CutOff.into())
            }
            // The first byte, 112, is not looked at by a BEAM either.
            [_, 131, ref message @ ..] if !headed => Ok(Some(Control::read(
                message,
                frame.with_version(),
                &Atoms::NONE,
                &self.ends,
            )?)),
            _ => Err(ConnectionError::WrongKind(
                frame.bytes().iter().copied().take(2).collect(),
            )),
        }
    }

    /// The message of a frame with a header, from the control tuple on.
    fn headed(
        &mut self,
        frame: Source<'_>,
        message: &[u8],
        atoms: Atoms,
    ) -> Result<Control, ConnectionError> {
        // Where one process sends another many, it is the last tuple once more.
        if let Some(last) = &self.last
            && let Some(payload @ [_, ..]) = message.strip_prefix(&*last.tuple)
            && atoms.is_same(&last.atoms)
        {
            return Ok(Control::Send(Send {
                from: last.from.clone(),
                to: Target::Pid(last.to.clone()),
                priority: false,
                token: None,
                message: RawTerm::from_parts(frame.keep(payload), atoms),
            }));
        }
        let control = Control::read(message, frame, &atoms, &self.ends)?;
        if let Control::Send(Send {
            from,
            to: Target::Pid(to),
            priority: false,
            token: None,
            message: payload,
        }) = &control
        {
            let length = message.len() - payload.bytes().len();
            let mut tuple = self.last.take().map_or_else(Vec::new, |last| last.tuple);
            tuple.clear();
            tuple.extend_from_slice(message.get(..length).unwrap_or_default());
            self.last = Some(Last {
                tuple,
                atoms,
                from: from.clone(),
                to: to.clone(),
            });
        }
        Ok(control)
    }

    fn joined(&self, joined: Joined) -> Result<Control, ConnectionError> {
        let Joined { atoms, bytes } = joined;
        Ok(Control::read(&bytes, Source::shared(&bytes), &atoms, &self.ends)?)
    }
}

/// The second byte of a frame with a header.
const HEADER: u8 = 68;
/// Of the first fragment of a message.
const FIRST_FRAGMENT: u8 = 69;
/// Of a further fragment.
const FRAGMENT: u8 = 70;

/// The sequence and fragment numbers of a fragment, and what follows.
fn numbers(input: &[u8]) -> Result<(u64, u64, &[u8]), FragmentError> {
    let (sequence, rest) = input.split_first_chunk().ok_or(FragmentError::CutOff)?;
    let (fragment, rest) = rest.split_first_chunk().ok_or(FragmentError::CutOff)?;
    Ok((u64::from_be_bytes(*sequence), u64::from_be_bytes(*fragment), rest))
}
