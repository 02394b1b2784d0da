//! A connection after its handshake: frames in, messages out, and the other way round.
//!
//! Follows "Protocol between Connected Nodes" of Erlang's *Distribution Protocol* and "Distribution Header" of the *External
//! Term Format*. See [`Connection`] for how it is driven.

use super::atom_cache::{HeaderError, Incoming};
use super::control::{Control, ControlError, Decoded, Ends};
use super::fragment::{Assembly, Filled, FragmentError, Joined};
use super::handshake::Established;
use super::outgoing::Outgoing;
use super::tick::{Clock, Due};
use super::{Flags, Ticks, Transmit};
use crate::etf::{Atoms, RawTerm};
use crate::term::Atom;
use bytes::buf::Limit;
use bytes::{Buf, BufMut, Bytes, BytesMut};
use std::time::{Duration, Instant};

/// How many bytes of messages that have begun to arrive and are not complete may be held, unless configured: 1 GiB.
pub const DEFAULT_UNFINISHED_LIMIT: usize = 1 << 30;

/// Payloads below this size are copied out of the input, so that a short message that is kept does not keep with it all that
/// was read at the same time.
const SHARED_FROM: usize = 4 * 1024;

/// How much is read at a time, at least.
const GULP: usize = 64 * 1024;

/// For how long after a large message memory is kept for the next.
const KEEP_SPARES: Duration = Duration::from_secs(1);

/// What a further fragment has before its bytes: length, kind, sequence and number.
const FRAGMENT_HEADER: usize = 4 + 2 + 8 + 8;

/// How a connection is to behave.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// How often to tick and when a silent peer is down.
    pub ticks: Ticks,
    /// How many bytes of messages that have begun to arrive and are not complete may be held.
    pub unfinished_limit: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            ticks: Ticks::default(),
            unfinished_limit: DEFAULT_UNFINISHED_LIMIT,
        }
    }
}

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
    /// The payload of a frame without header must begin with 131.
    #[error("a payload that does not begin with 131")]
    NoVersion,
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

/// The protocol of one established connection, as a pure state machine.
///
/// It is driven by three kinds of methods, and does nothing by itself:
///
/// * *The outside world has done something:* [`handle_input`](Self::handle_input) when bytes were read,
///   [`handle_written`](Self::handle_written) when bytes were written, [`handle_timeout`](Self::handle_timeout) when
///   the time of [`poll_timeout`](Self::poll_timeout) has come.
/// * *The node wants something:* [`send`](Self::send), [`set_ticks`](Self::set_ticks).
/// * *What is to be done now:* write what [`transmit`](Self::transmit) has, come back at
///   [`poll_timeout`](Self::poll_timeout).
///
/// Time is passed in. After any method has given an error, the connection is to be closed.
#[derive(Debug)]
pub struct Connection {
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
    outgoing: Outgoing,
    unfinished_limit: usize,
}

impl Connection {
    /// The connection that the handshake has led to.
    pub fn new(established: &Established, settings: Settings, now: Instant) -> Self {
        let negotiated = established.peer.negotiated;
        Self {
            ends: Ends {
                local: Atom::from(&established.local.name),
                creation: established.local.creation,
                peer: Atom::from(&established.peer.name),
            },
            negotiated,
            incoming: Incoming::default(),
            assembly: Assembly::new(settings.unfinished_limit),
            missing: 0,
            large: now,
            in_fragments: false,
            clock: Clock::new(settings.ticks, now),
            outgoing: Outgoing::new(negotiated),
            unfinished_limit: settings.unfinished_limit,
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
            if frame.is_empty() {
                input.advance(4);
                continue;
            }
            let parsed = self.frame(frame)?;
            self.in_fragments = matches!(parsed, Parsed::First { .. });
            let control = match parsed {
                Parsed::First {
                    sequence,
                    fragment,
                    atoms,
                    start,
                } => {
                    let part = take(input, length, start);
                    match self.assembly.first(sequence, fragment, atoms, part)? {
                        Some(joined) => Some(self.joined(joined)?),
                        None => None,
                    }
                }
                Parsed::Whole {
                    control,
                    payload: Some((atoms, start)),
                } => Some(control.with_payload(RawTerm::from_parts(take(input, length, start), atoms))),
                Parsed::Whole {
                    control,
                    payload: None,
                } => {
                    input.advance(4 + length);
                    Some(control)
                }
            };
            if control.is_some() {
                return Ok(control);
            }
        }
    }

    /// This many bytes were written of what [`transmit`](Self::transmit) has.
    pub fn handle_written(&mut self, now: Instant, count: usize) {
        self.clock.sent(now);
        self.outgoing.written(count);
    }

    /// The time of [`poll_timeout`](Self::poll_timeout) has come, or may have. Fails when the peer was silent for too
    /// long; else there may be a tick to write.
    pub fn handle_timeout(&mut self, now: Instant) -> Result<(), ConnectionError> {
        if now >= self.large + KEEP_SPARES {
            self.assembly.release();
        }
        match self.clock.due(now) {
            Due::Nothing => {}
            Due::Tick => {
                self.outgoing.tick();
                self.outgoing.release();
                // If there is something to write that the peer does not take, one more tick would not help.
                self.clock.sent(now);
            }
            Due::Silent(time) => return Err(ConnectionError::Silent(time)),
        }
        Ok(())
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

    /// Sends a message. One that the peer cannot take, see [`Control::check`], is left out.
    pub fn send(&mut self, control: Control) {
        self.outgoing.send(control);
    }

    /// Takes other values for the ticks. Until `transition` has passed, in which the peer is to be told too, the connection ticks as
    /// often as the faster of both has it, and waits for the peer as long as the slower does.
    pub fn set_ticks(&mut self, ticks: Ticks, transition: Duration, now: Instant) {
        self.clock.change(ticks, transition, now);
    }

    /// What is ready to be written. Not all there is to write: while large messages are under way, fragments are made as
    /// this is written.
    pub fn transmit(&mut self) -> &Transmit {
        self.outgoing.transmit()
    }

    /// How many bytes are to be written in all.
    pub fn queued_bytes(&self) -> usize {
        self.outgoing.bytes()
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

    fn frame(&mut self, frame: &[u8]) -> Result<Parsed, ConnectionError> {
        let headed = self
            .negotiated
            .intersects(Flags::DIST_HDR_ATOM_CACHE | Flags::FRAGMENTS);
        match *frame {
            [131, HEADER, ref rest @ ..] if headed => {
                let (atoms, message) = self.incoming.read(rest)?;
                let start = frame.len() - message.len();
                let Decoded {
                    control,
                    end,
                    payload,
                } = Control::read(message, &atoms, &self.ends)?;
                Ok(Parsed::Whole {
                    control,
                    payload: payload.then_some((atoms, start + end)),
                })
            }
            [131, FIRST_FRAGMENT, ref rest @ ..] if self.negotiated.contains(Flags::FRAGMENTS) => {
                let (sequence, fragment, rest) = numbers(rest)?;
                let (atoms, part) = self.incoming.read(rest)?;
                Ok(Parsed::First {
                    sequence,
                    fragment,
                    atoms,
                    start: frame.len() - part.len(),
                })
            }
            // Else it would have been taken before it came here.
            [131, FRAGMENT, ..] if self.negotiated.contains(Flags::FRAGMENTS) => {
                Err(FragmentError::CutOff.into())
            }
            // The first byte, 112, is not looked at by a BEAM either.
            [_, 131, ref message @ ..] if !headed => {
                let Decoded {
                    control,
                    end,
                    payload,
                } = Control::read(message, &Atoms::NONE, &self.ends)?;
                if payload && message.get(end) != Some(&131) {
                    return Err(ConnectionError::NoVersion);
                }
                Ok(Parsed::Whole {
                    control,
                    payload: payload.then_some((Atoms::NONE, 2 + end + 1)),
                })
            }
            _ => Err(ConnectionError::WrongKind(
                frame.iter().copied().take(2).collect(),
            )),
        }
    }

    fn joined(&self, joined: Joined) -> Result<Control, ConnectionError> {
        let Joined { atoms, bytes } = joined;
        let Decoded {
            control,
            end,
            payload,
        } = Control::read(&bytes, &atoms, &self.ends)?;
        Ok(if payload {
            control.with_payload(RawTerm::from_parts(bytes.slice(end..), atoms))
        } else {
            control
        })
    }
}

/// The second byte of a frame with a header.
const HEADER: u8 = 68;
/// Of the first fragment of a message.
const FIRST_FRAGMENT: u8 = 69;
/// Of a further fragment.
const FRAGMENT: u8 = 70;

/// What a frame is, passed on at once. Offsets are from its beginning.
#[derive(Debug)]
#[expect(
    clippy::large_enum_variant,
    reason = "the large one is the usual one, and taken apart at once"
)]
enum Parsed {
    /// A message; its payload is to be put in.
    Whole {
        control: Control,
        payload: Option<(Atoms, usize)>,
    },
    First {
        sequence: u64,
        fragment: u64,
        atoms: Atoms,
        start: usize,
    },
}

/// Takes a frame of that length from the front of the input, and gives what it has from `start` on.
fn take(input: &mut BytesMut, length: usize, start: usize) -> Bytes {
    if length - start < SHARED_FROM {
        let part = Bytes::copy_from_slice(input.get(4 + start..4 + length).unwrap_or_default());
        input.advance(4 + length);
        part
    } else {
        input.split_to(4 + length).freeze().slice(4 + start..)
    }
}

/// The sequence and fragment numbers of a fragment, and what follows.
fn numbers(input: &[u8]) -> Result<(u64, u64, &[u8]), FragmentError> {
    let (sequence, rest) = input.split_first_chunk().ok_or(FragmentError::CutOff)?;
    let (fragment, rest) = rest.split_first_chunk().ok_or(FragmentError::CutOff)?;
    Ok((u64::from_be_bytes(*sequence), u64::from_be_bytes(*fragment), rest))
}
