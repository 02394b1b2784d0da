//! The task that owns a socket.
//!
//! It is one future: read in large gulps, hand each message to the router, take what processes have sent, write many
//! messages with one vectored write, tick. It never waits for a process, and nobody else touches the socket.

use super::link::{CloseReason, Link, Router};
use super::outbound::Outbound;
use crate::dist::{ConnectionError, ReadHalf, Transmit};
use bytes::Buf;
use std::future::poll_fn;
use std::io::{self, IoSlice};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Instant;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::{Sleep, sleep_until};
use tracing::debug;

/// How many pieces one write may have.
const PIECES: usize = 64;

/// How many rounds of reading and writing are made before other tasks get their turn, and how many bytes are moved: in the time
/// that a large message takes, others want to answer small ones.
const ROUNDS: usize = 16;
const SHARE: usize = 256 * 1024;

/// With so much to write, no more is waited for.
const ENOUGH: usize = 64 * 1024;

/// The task of a connection; nothing happens on it unless [`run`](Self::run) is polled. When it is dropped, the connection is
/// closed and nothing can be sent any more.
#[derive(Debug)]
pub struct Driver<T = TcpStream> {
    link: Link<T>,
    connection: ReadHalf,
    outbound: Ending,
    /// What was taken from there and is not written yet.
    unwritten: Transmit,
    /// Whether something was written since something was read.
    answered: bool,
    /// Whether others have had their turn since then, who may have more to write.
    gathered: bool,
}

/// Ends the queue when it is dropped.
#[derive(Debug)]
struct Ending(Outbound);

impl Drop for Ending {
    fn drop(&mut self) {
        self.0.end();
    }
}

impl<T: AsyncRead + AsyncWrite + Unpin> Driver<T> {
    pub(super) fn new(link: Link<T>, connection: ReadHalf, outbound: Outbound) -> Self {
        Self {
            link,
            connection,
            outbound: Ending(outbound),
            unwritten: Transmit::default(),
            answered: false,
            gathered: false,
        }
    }

    /// Runs the connection until it ends, and says why it did. All that came in before is with the router by then.
    pub async fn run(mut self, mut router: impl Router) -> CloseReason {
        let mut sleep = pin!(sleep_until(self.connection.poll_timeout().into()));
        let reason = poll_fn(|cx| self.poll(cx, &mut router, sleep.as_mut())).await;
        debug!(peer = %self.link.established().peer.name, %reason, "connection ended");
        reason
    }

    fn poll(
        &mut self,
        cx: &mut Context<'_>,
        router: &mut impl Router,
        mut sleep: Pin<&mut Sleep>,
    ) -> Poll<CloseReason> {
        let mut moved = 0;
        for _ in 0..ROUNDS {
            let now = clock();
            let read = match self.read(cx, router, now) {
                Ok(count) => count,
                Err(reason) => return Poll::Ready(reason),
            };
            if self.gathers(cx) {
                return Poll::Pending;
            }
            let closing = self.take(cx, now);
            let written = match self.write(cx, now) {
                Ok(count) => count,
                Err(reason) => return Poll::Ready(reason),
            };
            let idle = closing.is_pending();
            if let Poll::Ready(Some(reason)) = closing {
                return Poll::Ready(reason);
            }
            let mut ticked = false;
            // Earlier than it was when the ticks have changed, or there is something to give back.
            let due = self.connection.poll_timeout().into();
            if due < sleep.deadline() {
                sleep.as_mut().reset(due);
            }
            while sleep.as_mut().poll(cx).is_ready() {
                ticked = true;
                match self.connection.handle_timeout(clock()) {
                    Ok(true) => self.outbound.0.tick(&mut self.unwritten),
                    Ok(false) => {}
                    Err(error) => return Poll::Ready(error.into()),
                }
                if self.link.input.is_empty() {
                    self.link.input = bytes::BytesMut::new();
                }
                sleep.as_mut().reset(self.connection.poll_timeout().into());
            }
            if read.is_none() && written == 0 && !ticked && idle {
                return Poll::Pending;
            }
            moved += read.unwrap_or_default() + written;
            if moved >= SHARE {
                break;
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
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
        while let Some(control) = self.connection.handle_input(now, input)? {
            done.get_or_insert(0);
            router.control(control);
        }
        Ok(done)
    }

    /// Whether a write is put off until those have had their turn who are about to go on: then this is polled again after them. Where one
    /// question waits for one answer, nobody else is about to. It is when there is more than one write to what was read last that one write
    /// for many makes the difference.
    fn gathers(&mut self, cx: &mut Context<'_>) -> bool {
        let gathers = self.answered && !self.gathered && (1..ENOUGH).contains(&self.outbound.0.ready_bytes());
        if gathers {
            // Wakes this task once others have run, without waking another thread for it.
            let _ = pin!(tokio::task::yield_now()).poll(cx);
        }
        self.gathered = gathers;
        gathers
    }

    /// Takes what was sent since the last time. Ready if there was something, or with why the connection is to be closed.
    fn take(&mut self, cx: &Context<'_>, now: Instant) -> Poll<Option<CloseReason>> {
        let closing = self.outbound.0.poll_take(cx, &mut self.unwritten);
        if let Some((ticks, transition)) = self.outbound.0.take_ticks() {
            self.connection.set_ticks(ticks, transition, now);
        }
        closing
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

/// The clock of the runtime, which a test may have stopped.
pub(super) fn clock() -> Instant {
    tokio::time::Instant::now().into_std()
}

impl From<ConnectionError> for CloseReason {
    fn from(error: ConnectionError) -> Self {
        match error {
            ConnectionError::Silent(time) => Self::NetTickTimeout(time),
            error => Self::Protocol(error),
        }
    }
}
