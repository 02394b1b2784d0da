//! The way out: what processes send over a connection, until the task that owns the socket takes it.
//!
//! Who sends makes the bytes of the message, under the lock of the connection's writing half; the task only writes them. Who answers a question
//! that has come alone writes the answer itself: for one message, to wake the task would cost as much as to write.
//!
//! The queue is bounded in bytes as BEAM's distribution buffer is (`+zdbbl`): over the limit the connection is *busy*, and
//! who sends waits. Small messages go between the fragments of large ones of other processes, and so do not wait until those are
//! through, as long as the peer reads. What must not wait, because it answers a peer or cleans up, is queued all the same, up to a limit of its own, at
//! which the connection ends: a peer that asks for answers and never reads them must not fill our memory.

use super::driver::clock;
use super::link::CloseReason;
use crate::dist::{Control, Flags, Ticks, Transmit, Unsendable, WriteHalf};
use bytes::Buf;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Waker};
use std::time::{Duration, Instant};
use tokio::sync::{Notify, watch};

/// From how many queued bytes on a connection is busy, unless configured: 1 MiB, as BEAM's `+zdbbl`.
pub const DEFAULT_BUSY_LIMIT: usize = 1 << 20;

/// How many bytes may wait to be written at the most, unless configured: 256 MiB. BEAM has no such limit.
pub const DEFAULT_UNREAD_LIMIT: usize = 256 << 20;

/// A peer that has taken nothing for so long is not about to take the rest of a large message: what could pass it waits too.
const STALLED: Duration = Duration::from_millis(100);

/// How long what nobody waits for can be put off.
const PUT_OFF: Duration = Duration::from_millis(1);

/// Up to how many bytes who answers a question writes itself.
const ANSWER: usize = 16 * 1024;

/// The sending end of a connection. Cheap to clone; every clone is the same connection.
///
/// What one task sends by any of the methods is transmitted in that order, save that a message of one process may overtake
/// a large one of another.
#[derive(Clone)]
pub struct Outbound {
    shared: Arc<Shared>,
}

/// Why something cannot be sent.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SendError {
    /// The connection has ended.
    #[error("the connection has ended")]
    Closed,
    /// The connection is busy. Only [`Outbound::try_send`] says so.
    #[error("the connection is busy")]
    Busy,
    /// The peer does not know this kind of message, or it is too large.
    #[error(transparent)]
    Unsendable(#[from] Unsendable),
}

/// Who can write in the place of the connection's task.
pub(super) trait WriteInPlace: Send + Sync {
    /// Writes what is ready, unless the task is at work; `backlog` is how many bytes are left that the socket does not take. `false` if the
    /// task has to go on.
    fn write_in_place(&self, task: &Waker, queue: &mut WriteHalf, backlog: &mut usize) -> bool;
}

/// What the driver has got of its queue.
#[derive(Debug)]
pub(super) struct Taken {
    /// Whether there was something to write.
    pub(super) any: bool,
    /// Why the connection is to be closed.
    pub(super) closing: Option<CloseReason>,
    /// New values for the ticks, and their transition.
    pub(super) ticks: Option<(Ticks, Duration)>,
    /// Until when what is left is put off.
    pub(super) put_off: Option<Instant>,
}

struct Shared {
    state: Mutex<State>,
    /// Told when there is room again, and at the end.
    room: Notify,
    /// Held by the one whose turn it is to wait for room: with a message that passes large ones, and with any other.
    turns: [tokio::sync::Mutex<()>; 2],
    busy: watch::Sender<bool>,
    /// What both ends can do.
    flags: Flags,
    limit: usize,
    unread_limit: usize,
}

struct State {
    write: WriteHalf,
    /// How many messages have been received and sent.
    received: u64,
    sent: u64,
    /// The bytes that the driver has taken and not yet written.
    backlog: usize,
    /// When the socket last took some of the backlog, as far as that was looked at: while the connection is busy.
    taken: Instant,
    /// Whether what passes large messages has to wait.
    full: bool,
    /// Until when what is queued is put off, when it is nothing that somebody waits for.
    put_off: Option<Instant>,
    phase: Phase,
    /// New values for the ticks, and their transition.
    ticks: Option<(Ticks, Duration)>,
    /// The driver, when it has nothing to do.
    driver: Option<Waker>,
    /// Until the connection ends.
    in_place: Option<Arc<dyn WriteInPlace>>,
    /// Whether a question was read alone, so that the answer is not one of many that are best written together.
    question: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Open,
    /// To be ended by us.
    Closing,
    /// To be ended by us because the peer does not read.
    Overrun,
    Ended,
}

impl Outbound {
    pub(super) fn new(write: WriteHalf, flags: Flags, limit: usize, unread_limit: usize) -> Self {
        let state = State {
            write,
            received: 0,
            sent: 0,
            backlog: 0,
            taken: clock(),
            full: false,
            put_off: None,
            phase: Phase::Open,
            ticks: None,
            driver: None,
            in_place: None,
            question: false,
        };
        let shared = Shared {
            state: Mutex::new(state),
            room: Notify::new(),
            turns: Default::default(),
            busy: watch::Sender::new(false),
            flags,
            limit,
            unread_limit,
        };
        Self {
            shared: Arc::new(shared),
        }
    }

    /// Sends, once there is room: while as much as the limit goes before it, it waits.
    ///
    /// What is left of large messages does not go before a small one of another process, unless the peer has taken nothing for 100 ms.
    ///
    /// Dropping the future before it is done sends nothing.
    pub async fn send(&self, control: Control) -> Result<(), SendError> {
        control.check(self.shared.flags)?;
        let sent = self.when_free(Some(&control), |state| self.push(state, &control));
        sent.await?
    }

    /// Waits until there is room for a small message. Ready also when the connection has ended.
    pub async fn free(&self) {
        let _ = self.when_free(None, |_| ()).await;
    }

    /// Does that once there is room. Who waits does so in turn: one that sends much queues behind the others each time.
    async fn when_free<T>(
        &self,
        control: Option<&Control>,
        act: impl FnOnce(MutexGuard<'_, State>) -> T,
    ) -> Result<T, SendError> {
        if let Some(state) = self.if_free(control)? {
            return Ok(act(state));
        }
        // Whoever waits for all that is queued must not stand before those who do not.
        let [passing, others] = &self.shared.turns;
        let passes = self.lock().passes(control);
        let _turn = if passes { passing } else { others }.lock().await;
        loop {
            let room = self.shared.room.notified();
            let mut room = std::pin::pin!(room);
            // From here on no notice is missed.
            room.as_mut().enable();
            if let Some(state) = self.if_free(control)? {
                return Ok(act(state));
            }
            room.await;
        }
    }

    /// The state, if there is room; without a message, for a small one.
    fn if_free(&self, control: Option<&Control>) -> Result<Option<MutexGuard<'_, State>>, SendError> {
        let state = self.lock();
        match state.phase {
            Phase::Open => {}
            Phase::Closing | Phase::Overrun | Phase::Ended => return Err(SendError::Closed),
        }
        if state.bytes() < self.shared.limit {
            return Ok(Some(state));
        }
        let reads = clock() - state.taken < STALLED;
        let room = reads && state.passes(control) && state.passed() < self.shared.limit;
        Ok(room.then_some(state))
    }

    /// Sends if there is room at once, as [`send`](Self::send) counts it.
    pub fn try_send(&self, control: &Control) -> Result<(), SendError> {
        if let Some(state) = self.if_free(Some(control))? {
            return self.push(state, control);
        }
        control.check(self.shared.flags)?;
        Err(SendError::Busy)
    }

    /// Sends even if the connection is busy: for what answers the peer, or tells it of an end, and must not wait.
    ///
    /// The connection ends when more than its [`unread_limit`](super::LinkOptions::unread_limit) waits to be written.
    pub fn send_now(&self, control: Control) -> Result<(), SendError> {
        let mut state = self.lock();
        if state.phase != Phase::Open {
            return Err(SendError::Closed);
        }
        if state.bytes().saturating_add(control.size()) <= self.shared.unread_limit {
            return self.push(state, &control);
        }
        control.check(self.shared.flags)?;
        state.phase = Phase::Overrun;
        let driver = state.driver.take();
        drop(state);
        self.shared.room.notify_waiters();
        if let Some(driver) = driver {
            driver.wake();
        }
        Err(SendError::Closed)
    }

    /// Ends the connection. What was sent before is still written as far as the socket takes it at once.
    pub fn close(&self) {
        let driver = {
            let mut state = self.lock();
            if state.phase == Phase::Open {
                state.phase = Phase::Closing;
            }
            state.driver.take()
        };
        self.shared.room.notify_waiters();
        if let Some(driver) = driver {
            driver.wake();
        }
    }

    /// Changes the ticks, as `net_kernel:set_net_ticktime/2`. Until the transition is over, during which the peer is to be told
    /// too, the connection ticks as often as the faster of both values has it and waits as long as the slower does.
    pub fn set_ticks(&self, ticks: Ticks, transition: Duration) {
        let driver = {
            let mut state = self.lock();
            state.ticks = Some((ticks, transition));
            state.driver.take()
        };
        if let Some(driver) = driver {
            driver.wake();
        }
    }

    /// What both ends can do.
    pub fn flags(&self) -> Flags {
        self.shared.flags
    }

    /// Whether more than the limit is queued.
    pub fn is_busy(&self) -> bool {
        *self.shared.busy.borrow()
    }

    /// Follows the connection becoming busy and free again, as `busy_dist_port` of `erlang:system_monitor/2`. Ends with the
    /// connection. A change that is undone at once may go unseen.
    pub fn watch_busy(&self) -> watch::Receiver<bool> {
        self.shared.busy.subscribe()
    }

    /// How many bytes wait to be written.
    pub fn queued_bytes(&self) -> usize {
        self.lock().bytes()
    }

    /// How many messages have been received over the connection and how many have been sent, ticks aside.
    pub fn messages(&self) -> (u64, u64) {
        let state = self.lock();
        (state.received, state.sent)
    }

    fn push(&self, mut state: MutexGuard<'_, State>, control: &Control) -> Result<(), SendError> {
        let first = state.bytes() == 0;
        state.write.send(control)?;
        state.sent += 1;
        if state.puts_off(control, first) {
            // The driver is to know until when.
            let driver = state.driver.take_if(|_| first);
            drop(state);
            if let Some(driver) = driver {
                driver.wake();
            }
            return Ok(());
        }
        let busy = state.bytes() >= self.shared.limit;
        state.full |= busy && state.passed() >= self.shared.limit;
        if busy {
            self.set_busy(true);
        }
        let written = state.write_in_place(control);
        let driver = if written { None } else { state.driver.take() };
        drop(state);
        if let Some(driver) = driver {
            driver.wake();
        }
        Ok(())
    }

    /// Under the lock, so that the last to change it is right.
    fn set_busy(&self, busy: bool) {
        self.shared
            .busy
            .send_if_modified(|now| std::mem::replace(now, busy) != busy);
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.shared.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Who sends may write by that.
    pub(super) fn write_in_place_by(&self, in_place: Arc<dyn WriteInPlace>) {
        self.lock().in_place = Some(in_place);
    }

    /// The driver is at work, and takes what there is before it rests: until then nobody needs to wake it, least of all itself when it
    /// answers what it reads.
    pub(super) fn attend(&self) {
        let driver = self.lock().driver.take();
        drop(driver);
    }

    /// The driver takes what is ready to be written and adds it to what it has not written yet; where that is nothing, it rests and is woken for
    /// what comes. `received` is how many messages it has just read, and whether they are but a question.
    pub(super) fn take(
        &self,
        cx: &Context<'_>,
        unwritten: &mut Transmit,
        (received, question): (u64, bool),
        now: Instant,
    ) -> Taken {
        let mut state = self.lock();
        state.received += received;
        let progress = state.backlog == 0 || unwritten.remaining() < state.backlog;
        let open = state.phase == Phase::Open;
        state.put_off = state.put_off.filter(|until| open && now < *until);
        let any = state.put_off.is_none() && state.write.take(unwritten);
        state.backlog = unwritten.remaining();
        let goes_on = progress
            && *self.shared.busy.borrow()
            && now.saturating_duration_since(std::mem::replace(&mut state.taken, now)) >= STALLED;
        let closing = match state.phase {
            Phase::Closing => Some(CloseReason::Disconnected),
            Phase::Overrun => Some(CloseReason::Unread(state.bytes())),
            Phase::Open | Phase::Ended => None,
        };
        // Not at once when there is room for one more, lest every message wakes everybody.
        let low = self.shared.limit / 2;
        let free = state.bytes() <= low && *self.shared.busy.borrow();
        if free {
            self.set_busy(false);
        }
        let room = free | goes_on | (state.full && state.passed() <= low);
        state.full &= !room;
        let idle = !any && closing.is_none();
        state.question = idle && question;
        if idle {
            state.driver = Some(cx.waker().clone());
        }
        let taken = Taken {
            any,
            closing,
            ticks: state.ticks.take(),
            put_off: state.put_off,
        };
        drop(state);
        if room {
            self.shared.room.notify_waiters();
        }
        taken
    }

    /// How many bytes the driver could take now, and does not put off.
    pub(super) fn ready_bytes(&self) -> usize {
        let state = self.lock();
        if state.put_off.is_some() {
            0
        } else {
            state.write.ready()
        }
    }

    /// A tick is due; and what memory is not in use is given back.
    pub(super) fn tick(&self, unwritten: &mut Transmit) {
        unwritten.release();
        let mut state = self.lock();
        if !unwritten.has_remaining() {
            state.write.tick();
            state.put_off = None;
        }
        state.write.release();
    }

    /// The connection has ended: nothing can be sent any more.
    pub(super) fn end(&self) {
        let mut state = self.lock();
        state.phase = Phase::Ended;
        state.write = WriteHalf::new(self.shared.flags);
        (state.backlog, state.driver) = (0, None);
        let in_place = state.in_place.take();
        self.set_busy(false);
        drop(state);
        drop(in_place);
        self.shared.room.notify_waiters();
    }
}

impl State {
    /// Writes in the place of the driver, if that waits and this answers what it has read last. `false` if the driver is to write.
    fn write_in_place(&mut self, control: &Control) -> bool {
        use Control::{DemonitorP, Link, MonitorP, Unlink};
        // These are mostly followed by more.
        let alone = !matches!(control, Link(_) | Unlink(_) | MonitorP(_) | DemonitorP(_));
        let answers = alone && std::mem::take(&mut self.question) && self.bytes() <= ANSWER;
        let (Some(driver), Some(in_place), true) = (&self.driver, &self.in_place, answers) else {
            return false;
        };
        in_place.write_in_place(driver, &mut self.write, &mut self.backlog)
    }

    /// Whether what has just been queued is put off until more is sent or the time is over. All that is queued is, or nothing.
    fn puts_off(&mut self, control: &Control, first: bool) -> bool {
        if !matches!(control, Control::UnlinkIdAck(_)) || self.bytes() > ANSWER {
            self.put_off = None;
        } else if first {
            self.put_off = Some(clock() + PUT_OFF);
        }
        self.put_off.is_some()
    }

    fn bytes(&self) -> usize {
        self.write.bytes() + self.backlog
    }

    /// Whether the message passes large ones; what is not said which, does.
    fn passes(&self, control: Option<&Control>) -> bool {
        control.is_none_or(|control| self.write.passes(control))
    }

    /// Of these, what goes before a message that passes large ones. Their fragments that are ready go before it too, but are not
    /// why it should wait.
    fn passed(&self) -> usize {
        let ready = self.write.ready() + self.backlog;
        if self.write.is_streaming() {
            ready.saturating_sub(WriteHalf::READY_FRAGMENTS)
        } else {
            ready
        }
    }
}

impl fmt::Debug for Outbound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.lock();
        f.debug_struct("Outbound")
            .field("bytes", &state.bytes())
            .field("phase", &state.phase)
            .finish()
    }
}
