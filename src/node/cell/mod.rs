//! What a node holds of one process: its mailbox, its links, its monitors.
//!
//! Every signal is handled under the process's own lock. What follows from it for a process of another node is queued on the
//! connection under that lock too, so that the order on the wire is the order in which things happened; what follows for processes
//! of this node goes to an [`Outbox`]. Two locks are held only where two processes of this node are linked or
//! monitor each other, the one with the lower number first.

mod own;
mod signals;

use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::task::{Context, Waker};

use tracing::error;

use super::HashMap;
use super::alias::{AliasKind, Until};
use super::connections::Connection;
use super::links::Links;
use super::mailbox::{Mailbox, MailboxLimits, Place};
use super::message::{self, Down, Item, Message};
use super::process::RegisterError;
use super::signal::{Ended, Outbox, reason};
use super::table::Number;
use crate::dist::control::{Control, DemonitorP, Exit, MonitorPExit, Monitored};
use crate::etf::RawTerm;
use crate::term::{Atom, Pid, Reference, Term};

pub(crate) use signals::abandon;

/// One process, alive or just ended.
#[derive(Debug)]
pub(crate) struct Cell {
    pid: Pid,
    number: Number,
    /// How it came into being, where another process, a spawn request or a call did that.
    birth: OnceLock<Box<Birth>>,
    state: Mutex<State>,
}

/// Who had a process made, and what it was made to run.
#[derive(Debug)]
pub(crate) struct Birth {
    /// The node on whose behalf it runs, if not this one.
    pub(crate) origin: Option<Atom>,
    pub(crate) parent: Pid,
    /// Module, name and arity, if it has a name.
    pub(crate) function: Option<(Atom, Atom, usize)>,
}

#[derive(Debug)]
struct State {
    /// Why the process ended; `None` while it lives.
    exited: Option<RawTerm>,
    mailbox: Mailbox,
    /// The answer to the spawn request that the process comes from, until it is sent: nothing may go there before it.
    answer: Option<(Control, Arc<Connection>)>,
    /// Woken by a new message.
    receiver: Option<Waker>,
    /// Woken when the process ends, so that its task does too.
    task: Option<Waker>,
    trap_exit: bool,
    name: Option<Atom>,
    leader: Pid,
    links: Links,
    /// Monitors that this process holds.
    monitors: HashMap<Reference, Monitor>,
    /// Monitors that others hold on this process.
    watchers: HashMap<Reference, Watcher>,
    aliases: HashMap<Reference, AliasKind>,
    /// Spawn requests whose callers have no answer yet.
    spawning: HashMap<Reference, Spawning>,
    /// Connections whose end is to be told, and how often.
    node_monitors: Vec<(Arc<Connection>, usize)>,
    /// Connections that know of this process, so that they tell it when they are gone.
    attached: Vec<Arc<Connection>>,
}

#[derive(Debug)]
struct Monitor {
    item: Item,
    /// The connection that it goes over; `None` for a process of this node.
    via: Option<Arc<Connection>>,
    /// Who had the name when it was monitored, for a name of this node.
    named: Option<Pid>,
    tag: Option<Box<Term>>,
    priority: bool,
}

/// How a monitor tells that it fires.
#[derive(Debug, Default)]
pub(crate) struct Telling {
    /// What the message begins with in place of `'DOWN'`.
    pub(crate) tag: Option<Box<Term>>,
    /// Whether it comes before other messages.
    pub(crate) priority: bool,
}

/// A spawn request under way.
#[derive(Debug)]
struct Spawning {
    via: Option<Arc<Connection>>,
    /// What it came to, until the caller has seen it.
    outcome: Option<Result<Pid, SpawnFailure>>,
    /// The caller.
    waker: Option<Waker>,
}

/// What there is to know of a process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProcessInfo {
    /// Its registered name.
    pub registered_name: Option<Atom>,
    /// How many messages wait.
    pub message_queue_len: usize,
    /// What they take, in bytes.
    pub mailbox_bytes: usize,
    /// The processes that it is linked with.
    pub links: Vec<Pid>,
    /// What it monitors.
    pub monitors: Vec<Item>,
    /// Who monitors it.
    pub monitored_by: Vec<Pid>,
    /// Whether exit signals become messages.
    pub trap_exit: bool,
    /// Its group leader.
    pub group_leader: Pid,
    /// The module, name and arity of the function that it was spawned to run, if it was.
    pub initial_call: Option<(Atom, Atom, usize)>,
    /// Who spawned it by such a function.
    pub parent: Option<Pid>,
}

/// Why there is no new process.
#[derive(Debug)]
pub(crate) enum SpawnFailure {
    /// The node says so.
    Refused(Atom),
    /// The connection to the node has ended.
    NoConnection,
}

#[derive(Debug)]
struct Watcher {
    pid: Pid,
    /// The item as the watcher gave it.
    item: Monitored,
    via: Option<Arc<Connection>>,
}

impl Watcher {
    /// The monitor is over: whoever holds it by name is no longer looked for here.
    fn forget(&self, reference: &Reference) {
        if let (Monitored::Name(_), Some(via)) = (&self.item, &self.via) {
            via.forget_named(reference);
        }
    }
}

impl Cell {
    pub(crate) fn new(pid: Pid, number: Number, leader: Pid, limits: MailboxLimits) -> Self {
        let state = State {
            exited: None,
            mailbox: Mailbox::new(limits),
            answer: None,
            receiver: None,
            task: None,
            trap_exit: false,
            name: None,
            leader,
            links: Links::default(),
            monitors: HashMap::default(),
            watchers: HashMap::default(),
            aliases: HashMap::default(),
            spawning: HashMap::default(),
            node_monitors: Vec::new(),
            attached: Vec::new(),
        };
        Self {
            pid,
            number,
            birth: OnceLock::new(),
            state: Mutex::new(state),
        }
    }

    pub(crate) fn pid(&self) -> &Pid {
        &self.pid
    }

    pub(crate) fn number(&self) -> Number {
        self.number
    }

    pub(crate) fn birth(&self) -> Option<&Birth> {
        self.birth.get().map(Box::as_ref)
    }

    pub(crate) fn born(&self, birth: Birth) {
        let _ = self.birth.set(Box::new(birth));
    }

    /// Keeps the answer to a spawn request that came over a connection, for [`answer`](Self::answer) or the end of the process,
    /// whichever comes first.
    pub(crate) fn will_answer(&self, answer: Control, via: &Arc<Connection>) {
        self.lock().answer = Some((answer, Arc::clone(via)));
    }

    /// Sends that answer, unless it has been.
    pub(crate) fn answer(&self, out: &mut Outbox) {
        let mut state = self.lock();
        if let Some((signal, via)) = state.answer.take() {
            out.push(signal, Some(&via));
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing foreign runs under the lock, so a poisoned state is a whole one.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The locks of this process and another one.
    fn lock_both<'a>(&'a self, other: &'a Self) -> (MutexGuard<'a, State>, MutexGuard<'a, State>) {
        if self.number.get() < other.number.get() {
            let mine = self.lock();
            (mine, other.lock())
        } else {
            let theirs = other.lock();
            (self.lock(), theirs)
        }
    }

    /// Has the connection tell this process of its end. `false` when it has ended already.
    fn attach(&self, state: &mut State, via: Option<&Arc<Connection>>) -> bool {
        let Some(via) = via else { return true };
        if state.attached.iter().any(|attached| Arc::ptr_eq(attached, via)) {
            return true;
        }
        if !via.attach(self.number) {
            return false;
        }
        state.attached.push(Arc::clone(via));
        true
    }

    /// An exit signal that is not `kill`: a message, the end, or nothing.
    fn exit_signal(&self, state: &mut State, from: Pid, reason: RawTerm, priority: bool, out: &mut Outbox) {
        if state.trap_exit {
            self.put(
                state,
                Message::Exit(Box::new(message::Exit { from, reason })),
                priority,
                out,
            );
        } else if !is_atom(&reason, "normal") {
            self.end(state, reason, out);
        }
    }

    /// A monitor of this process fires.
    fn fire(&self, state: &mut State, reference: Reference, reason: RawTerm, out: &mut Outbox) {
        // The item is told as it was asked for, whatever the peer made of it.
        let Some(monitor) = state.monitors.remove(&reference) else {
            return;
        };
        end_with_monitor(state, &reference, |until| until != Until::Unalias);
        let down = Down {
            reference,
            item: monitor.item,
            reason,
            tag: monitor.tag,
        };
        self.put(state, Message::Down(Box::new(down)), monitor.priority, out);
    }

    fn unmonitor(&self, state: &mut State, reference: &Reference, out: &mut Outbox) -> bool {
        let Some(monitor) = state.monitors.remove(reference) else {
            return false;
        };
        end_with_monitor(state, reference, |until| {
            matches!(until, Until::Demonitor | Until::ReplyDemonitor)
        });
        self.tell_demonitor(reference.clone(), monitor, out);
        true
    }

    fn tell_demonitor(&self, reference: Reference, monitor: Monitor, out: &mut Outbox) {
        let demonitor = DemonitorP {
            from: self.pid.clone(),
            to: monitor.named.map_or_else(|| monitor.item.into(), Monitored::Pid),
            reference,
        };
        out.push(Control::DemonitorP(demonitor), monitor.via.as_ref());
    }

    fn put(&self, state: &mut State, message: Message, priority: bool, out: &mut Outbox) {
        if state.mailbox.push(message, priority).is_err() {
            error!(
                pid = %self.pid, name = ?state.name, messages = state.mailbox.len(), bytes = state.mailbox.bytes(),
                "mailbox over its limits: the process is killed"
            );
            return self.end(state, reason("killed"), out);
        }
        if let Some(waker) = state.receiver.take() {
            out.wake(waker);
        }
    }

    fn end(&self, state: &mut State, reason: RawTerm, out: &mut Outbox) {
        if let Some((signal, via)) = state.answer.take() {
            out.push(signal, Some(&via));
        }
        state.mailbox.clear();
        state.aliases = HashMap::default();
        for spawning in std::mem::take(&mut state.spawning).into_values() {
            if let Some(waker) = spawning.waker {
                out.wake(waker);
            }
        }
        state.node_monitors = Vec::new();
        out.ended.push(Ended {
            number: self.number,
            name: state.name.take(),
        });
        for (peer, via, active) in state.links.drain() {
            if active {
                let exit = Exit {
                    from: self.pid.clone(),
                    to: peer,
                    token: None,
                    reason: reason.clone(),
                };
                out.push(Control::Exit(exit), via.as_ref());
            }
        }
        for (reference, watcher) in std::mem::take(&mut state.watchers) {
            watcher.forget(&reference);
            let reason = reason.clone();
            let down = MonitorPExit {
                process: Some(self.pid.clone()),
                from: watcher.item,
                to: watcher.pid,
                reference,
                reason,
            };
            out.push(Control::MonitorPExit(down), watcher.via.as_ref());
        }
        for (reference, monitor) in std::mem::take(&mut state.monitors) {
            self.tell_demonitor(reference, monitor, out);
        }
        for connection in std::mem::take(&mut state.attached) {
            connection.detach(self.number);
        }
        state.exited = Some(reason);
        for waker in [state.receiver.take(), state.task.take()].into_iter().flatten() {
            out.wake(waker);
        }
    }
}

#[cfg(test)]
impl Cell {
    /// How many links (also those that wait for an acknowledgement), monitors, watchers and spawn requests there are.
    pub(crate) fn held(&self) -> [usize; 4] {
        let state = self.lock();
        [
            state.links.len(),
            state.monitors.len(),
            state.watchers.len(),
            state.spawning.len(),
        ]
    }

    /// How many aliases are active.
    pub(crate) fn aliases(&self) -> usize {
        self.lock().aliases.len()
    }
}

/// The monitor of the same reference is over, and so is the alias if it is of a kind that ends with that.
fn end_with_monitor(state: &mut State, reference: &Reference, ends: impl FnOnce(Until) -> bool) {
    if state.aliases.get(reference).is_some_and(|kind| ends(kind.until)) {
        state.aliases.remove(reference);
    }
}

fn is_atom(reason: &RawTerm, name: &str) -> bool {
    matches!(reason.decode(), Ok(Term::Atom(atom)) if atom == *name)
}

fn set_waker(slot: &mut Option<Waker>, cx: &Context<'_>) {
    match slot {
        Some(waker) => waker.clone_from(cx.waker()),
        None => *slot = Some(cx.waker().clone()),
    }
}
