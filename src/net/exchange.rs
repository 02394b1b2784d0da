//! What is read from a socket, and what is written to it.
//!
//! Read in large gulps, hand each message to the router, take what processes have sent, write many messages with one vectored write.

use super::driver::clock;
use super::link::{CloseReason, Link, Router};
use super::outbound::{Outbound, Taken, WriteInPlace};
use crate::dist::{NodeName, ReadHalf, Transmit, WriteHalf};
use bytes::{Buf, BytesMut};
use std::io::{self, IoSlice};
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};
use std::time::Instant;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite};

/// How many pieces one write may have.
const PIECES: usize = 64;

/// How many rounds of reading and writing are made before other tasks get their turn, and how many bytes are moved: in the time
/// that a large message takes, others want to answer small ones.
const ROUNDS: usize = 16;
const SHARE: usize = 256 * 1024;

/// With so much to write, no more is waited for.
const ENOUGH: usize = 64 * 1024;

/// A question may come in so many messages: a monitor and what is asked.
const QUESTION: u64 = 2;

/// The two ends of a socket and what is between them and the queue. The connection's task has it, or, for a moment, who sends.
#[derive(Debug)]
pub(super) struct Exchange<T> {
    link: Link<T>,
    pub(super) connection: ReadHalf,
    /// What was taken from the queue and is not written yet.
    unwritten: Transmit,
    /// Whether something was written since something was read.
    answered: bool,
    /// Whether others have had their turn since then, who may have more to write.
    gathered: bool,
    /// How many messages were read, since that was told last, and whether the last are no more than one question.
    received: u64,
    question: bool,
    /// Until when what could be written is put off.
    put_off: Option<Instant>,
    /// Why a write in the place of the task has failed.
    failed: Option<CloseReason>,
}

impl<T: AsyncRead + AsyncWrite + Unpin> Exchange<T> {
    pub(super) fn new(link: Link<T>, connection: ReadHalf) -> Self {
        Self {
            link,
            connection,
            unwritten: Transmit::default(),
            answered: false,
            gathered: false,
            received: 0,
            question: false,
            put_off: None,
            failed: None,
        }
    }

    pub(super) fn peer(&self) -> &NodeName {
        &self.link.established().peer.name
    }

    /// When there is something to be done without anything being read or sent.
    pub(super) fn due(&self) -> Instant {
        let due = self.connection.poll_timeout();
        self.put_off.map_or(due, |until| until.min(due))
    }

    /// Does what is due on the connection.
    pub(super) fn keep_time(&mut self, outbound: &Outbound, now: Instant) -> Result<(), CloseReason> {
        if now < self.connection.poll_timeout() {
            return Ok(());
        }
        if self.connection.handle_timeout(now)? {
            outbound.tick(&mut self.unwritten);
        }
        if self.link.input.is_empty() {
            self.link.input = BytesMut::new();
        }
        Ok(())
    }

    /// Reads and writes until there is nothing to be read and nothing that the socket takes, or others are to have their turn.
    pub(super) fn run(
        &mut self,
        cx: &mut Context<'_>,
        outbound: &Outbound,
        router: &mut impl Router,
        now: Instant,
    ) -> Result<(), CloseReason> {
        if let Some(reason) = self.failed.take() {
            return Err(reason);
        }
        outbound.attend();
        let (mut moved, mut reads, mut writes) = (0, true, true);
        for _ in 0..ROUNDS {
            // What has had nothing for us will wake this task.
            if reads {
                let read = self.read(cx, router, now)?;
                reads = read.is_some();
                moved += read.unwrap_or_default();
            }
            if !reads && !writes {
                return Ok(());
            }
            if self.gathers(cx, outbound) {
                return Ok(());
            }
            let received = (
                std::mem::take(&mut self.received),
                std::mem::take(&mut self.question),
            );
            let Taken {
                any,
                closing,
                ticks,
                put_off,
            } = outbound.take(cx, &mut self.unwritten, received, now);
            self.put_off = put_off;
            if let Some((ticks, transition)) = ticks {
                self.connection.set_ticks(ticks, transition, now);
            }
            let written = self.write(cx, now)?;
            if let Some(reason) = closing {
                return Err(reason);
            }
            writes = any || written > 0;
            moved += written;
            if moved >= SHARE {
                break;
            }
        }
        after_others(cx);
        Ok(())
    }

    /// Reads once and routes every message that is complete. How many bytes were read; `None` if there was nothing to do.
    fn read(
        &mut self,
        cx: &mut Context<'_>,
        router: &mut impl Router,
        now: Instant,
    ) -> Result<Option<usize>, CloseReason> {
        let input = &mut self.link.input;
        let mut place = self.connection.read_into(input);
        let read = pin!(self.link.io.read_buf(&mut place)).poll(cx);
        self.answered &= !read.is_ready();
        // What came with the handshake's last packet is there before anything is read.
        let mut done = match read {
            Poll::Ready(Ok(0)) => return Err(self.closed()),
            Poll::Ready(Ok(count)) => Some(count),
            Poll::Ready(Err(error)) => return Err(self.failed(error)),
            Poll::Pending if self.connection.missing() == 0 && !input.is_empty() => None,
            Poll::Pending => return Ok(None),
        };
        router.begin();
        let mut count = 0;
        while let Some(control) = self.connection.handle_input(now, input)? {
            done.get_or_insert(0);
            count += 1;
            router.control(control);
        }
        self.received += count;
        self.question = (1..=QUESTION).contains(&count);
        Ok(done)
    }

    /// Whether a write is put off until those have had their turn who are about to go on: then this is polled again after them. Where one
    /// question waits for one answer, nobody else is about to. It is when there is more than one write to what was read last that one write
    /// for many makes the difference.
    fn gathers(&mut self, cx: &mut Context<'_>, outbound: &Outbound) -> bool {
        let gathers = self.answered && !self.gathered && (1..ENOUGH).contains(&outbound.ready_bytes());
        if gathers {
            after_others(cx);
        }
        self.gathered = gathers;
        gathers
    }

    /// Writes as much as the socket takes. How many bytes that was.
    fn write(&mut self, cx: &mut Context<'_>, now: Instant) -> Result<usize, CloseReason> {
        let mut all = 0;
        while self.unwritten.has_remaining() {
            let mut slices = [IoSlice::new(&[]); PIECES];
            let count = self.unwritten.chunks_vectored(&mut slices);
            let slices = slices.get(..count).unwrap_or_default();
            match Pin::new(&mut self.link.io).poll_write_vectored(cx, slices) {
                Poll::Ready(Ok(0)) => return Err(self.closed()),
                Poll::Ready(Ok(written)) => {
                    all += written;
                    self.connection.handle_written(now);
                    self.unwritten.advance(written);
                }
                Poll::Ready(Err(error)) => return Err(self.failed(error)),
                Poll::Pending => break,
            }
        }
        self.answered |= all > 0;
        if all > 0
            && let Poll::Ready(Err(error)) = Pin::new(&mut self.link.io).poll_flush(cx)
        {
            return Err(self.failed(error));
        }
        Ok(all)
    }

    fn closed(&self) -> CloseReason {
        if self.link.input.is_empty() && self.connection.unfinished_bytes() == 0 {
            CloseReason::ConnectionClosed
        } else {
            CloseReason::CutOff
        }
    }

    /// A reset is what closing looks like when something was still under way to the peer.
    fn failed(&self, error: io::Error) -> CloseReason {
        use io::ErrorKind::{BrokenPipe, ConnectionReset, UnexpectedEof};
        match error.kind() {
            BrokenPipe | ConnectionReset | UnexpectedEof => self.closed(),
            _ => CloseReason::Io(Arc::new(error)),
        }
    }
}

/// Wakes this task once others have run. Another thread is woken for it only where there are no others on this one.
fn after_others(cx: &mut Context<'_>) {
    let _ = pin!(tokio::task::yield_now()).poll(cx);
}

impl<T: AsyncRead + AsyncWrite + Unpin + Send> WriteInPlace for Mutex<Exchange<T>> {
    fn write_in_place(&self, task: &Waker, queue: &mut WriteHalf, backlog: &mut usize) -> bool {
        let Ok(mut exchange) = self.try_lock() else {
            return false;
        };
        queue.take(&mut exchange.unwritten);
        let written = exchange.write(&mut Context::from_waker(task), clock());
        exchange.failed = written.err();
        *backlog = exchange.unwritten.remaining();
        *backlog == 0 && exchange.failed.is_none()
    }
}
