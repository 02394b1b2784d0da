//! A connection after its handshake: its two halves, and both together.
//!
//! See [`Connection`] for how it is driven.

use super::control::Control;
use super::handshake::Established;
use super::{ConnectionError, ReadHalf, Ticks, Transmit, WriteHalf};
use bytes::BytesMut;
use bytes::buf::Limit;
use std::time::{Duration, Instant};

/// How many bytes of messages that have begun to arrive and are not complete may be held, unless configured: 1 GiB.
pub const DEFAULT_UNFINISHED_LIMIT: usize = 1 << 30;

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
///
/// Where who sends and who reads are not the same, [`into_split`](Self::into_split) gives the two halves.
#[derive(Debug)]
pub struct Connection {
    read: ReadHalf,
    write: WriteHalf,
}

impl Connection {
    /// The connection that the handshake has led to.
    pub fn new(established: &Established, settings: Settings, now: Instant) -> Self {
        Self {
            read: ReadHalf::new(established, settings, now),
            write: WriteHalf::new(established.peer.negotiated),
        }
    }

    /// Its halves, which share nothing: what is written is to be told to the reading half, which has the clock, and what that says of
    /// ticks to the writing half.
    pub fn into_split(self) -> (ReadHalf, WriteHalf) {
        (self.read, self.write)
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
        self.read.handle_input(now, input)
    }

    /// This many bytes were written of what [`transmit`](Self::transmit) has.
    pub fn handle_written(&mut self, now: Instant, count: usize) {
        self.read.handle_written(now);
        self.write.written(count);
    }

    /// The time of [`poll_timeout`](Self::poll_timeout) has come, or may have. Fails when the peer was silent for too
    /// long; else there may be a tick to write.
    pub fn handle_timeout(&mut self, now: Instant) -> Result<(), ConnectionError> {
        if self.read.handle_timeout(now)? {
            self.write.tick();
            self.write.release();
        }
        Ok(())
    }

    /// When to call [`handle_timeout`](Self::handle_timeout). It may move with everything read and written, and with other values
    /// for the ticks; coming early does no harm.
    pub fn poll_timeout(&self) -> Instant {
        self.read.poll_timeout()
    }

    /// Sends a message. One that the peer cannot take, see [`Control::check`], is left out.
    pub fn send(&mut self, control: Control) {
        let _ = self.write.send(&control);
    }

    /// Takes other values for the ticks. Until `transition` has passed, in which the peer is to be told too, the connection ticks as
    /// often as the faster of both has it, and waits for the peer as long as the slower does.
    pub fn set_ticks(&mut self, ticks: Ticks, transition: Duration, now: Instant) {
        self.read.set_ticks(ticks, transition, now);
    }

    /// What is ready to be written. Not all there is to write: while large messages are under way, fragments are made as
    /// this is written.
    pub fn transmit(&mut self) -> &Transmit {
        self.write.transmit()
    }

    /// How many bytes are to be written in all.
    pub fn queued_bytes(&self) -> usize {
        self.write.bytes()
    }

    /// How many bytes the frame at the front of the input still lacks, as far as it is known; 0 if nothing has come
    /// of it.
    pub fn missing(&self) -> usize {
        self.read.missing()
    }

    /// How many bytes of fragmented messages are held that are not complete.
    pub fn unfinished_bytes(&self) -> usize {
        self.read.unfinished_bytes()
    }

    /// Where to read to, and at most how much: the end of `input`, or while a large message comes, that message's own place.
    /// [`handle_input`](Self::handle_input) is to be called afterwards, and sees what was read in either.
    ///
    /// Reading to the end of `input` oneself is as good, only slower.
    pub fn read_into<'a>(&'a mut self, input: &'a mut BytesMut) -> Limit<&'a mut BytesMut> {
        self.read.read_into(input)
    }
}
