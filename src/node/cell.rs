//! What a node holds of one process: its mailbox, its links, its monitors, and what each signal does to it.
//!
//! Every signal is handled under the process's own lock, which is never held while another process's is
//! taken: consequences go to an [`Outbox`].

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use tracing::error;

use super::connections::Connection;
use super::links::Links;
use super::message::{self, Down, Item, Message};
use super::process::RegisterError;
use super::signal::{Ended, Outbox, reason};
use super::table::Number;
use crate::dist::control::{Control, DemonitorP, Exit, MonitorPExit, Monitored, Unlink, UnlinkIdAck};
use crate::etf::RawTerm;
use crate::term::{Atom, Pid, Reference, Term};

/// One process, alive or just ended.
#[derive(Debug)]
pub(crate) struct Cell {
    pid: Pid,
    number: Number,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    /// Why the process ended; `None` while it lives.
    exited: Option<RawTerm>,
    mailbox: VecDeque<Message>,
    mailbox_bytes: usize,
    mailbox_limit: usize,
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
    /// Connections that know of this process, so that they tell it when they are gone.
    attached: Vec<Arc<Connection>>,
}

#[derive(Debug)]
struct Monitor {
    item: Item,
    via: Option<Arc<Connection>>,
}

#[derive(Debug)]
struct Watcher {
    pid: Pid,
    /// The item as the watcher gave it.
    item: Monitored,
    via: Option<Arc<Connection>>,
}

impl Cell {
    pub(crate) fn new(pid: Pid, number: Number, leader: Pid, mailbox_limit: usize) -> Self {
        let state = State {
            exited: None,
            mailbox: VecDeque::new(),
            mailbox_bytes: 0,
            mailbox_limit,
            receiver: None,
            task: None,
            trap_exit: false,
            name: None,
            leader,
            links: Links::default(),
            monitors: HashMap::new(),
            watchers: HashMap::new(),
            attached: Vec::new(),
        };
        Self {
            pid,
            number,
            state: Mutex::new(state),
        }
    }

    pub(crate) fn pid(&self) -> &Pid {
        &self.pid
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing foreign runs under the lock, so a poisoned state is a whole one.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    // What others do to the process.

    /// Handles one signal that came over `via`, or from this node.
    pub(crate) fn receive(&self, signal: Control, via: Option<&Arc<Connection>>, out: &mut Outbox) {
        let mut state = self.lock();
        if state.exited.is_some() {
            drop(state);
            return out.refuse(signal, via);
        }
        match signal {
            Control::Send(send) => self.put(&mut state, Message::Term(send.message), out),
            Control::Link(link) => {
                if state.links.linked_by(link.from, via) {
                    self.attach(&mut state, via);
                }
            }
            Control::Unlink(unlink) => {
                state.links.unlinked_by(&unlink.from);
                if let Some(id) = unlink.id {
                    let ack = UnlinkIdAck {
                        from: unlink.to,
                        to: unlink.from,
                        id,
                    };
                    out.push(Control::UnlinkIdAck(ack), via.cloned());
                }
            }
            Control::UnlinkIdAck(ack) => {
                state.links.acknowledged(&ack.from, ack.id);
            }
            Control::Exit(exit) => {
                if state.links.exited(&exit.from) == Some(true) {
                    self.exit_signal(&mut state, exit.from, exit.reason, out);
                }
            }
            Control::Exit2(exit) => {
                if is_atom(&exit.reason, "kill") {
                    self.end(&mut state, reason("killed"), out);
                } else if exit.from == self.pid && !state.trap_exit {
                    self.end(&mut state, exit.reason, out);
                } else {
                    self.exit_signal(&mut state, exit.from, exit.reason, out);
                }
            }
            Control::MonitorP(monitor) => {
                let watcher = Watcher {
                    pid: monitor.from,
                    item: monitor.to,
                    via: via.cloned(),
                };
                state.watchers.insert(monitor.reference, watcher);
                self.attach(&mut state, via);
            }
            Control::DemonitorP(demonitor) => {
                if state
                    .watchers
                    .get(&demonitor.reference)
                    .is_some_and(|watcher| watcher.pid == demonitor.from)
                {
                    state.watchers.remove(&demonitor.reference);
                }
            }
            Control::MonitorPExit(MonitorPExit {
                reference, reason, ..
            }) => {
                // The item is told as it was asked for, whatever the peer made of it.
                if let Some(Monitor { item, .. }) = state.monitors.remove(&reference) {
                    self.put(
                        &mut state,
                        Message::Down(Down {
                            reference,
                            item,
                            reason,
                        }),
                        out,
                    );
                }
            }
            Control::GroupLeader(change) => state.leader = change.leader,
            Control::SpawnRequest(_) | Control::SpawnReply(_) => {}
        }
    }

    /// The connection is gone: every link and monitor over it fires, once.
    pub(crate) fn disconnected(&self, connection: &Connection, out: &mut Outbox) {
        let mut state = self.lock();
        if state.exited.is_some() {
            return;
        }
        state
            .attached
            .retain(|attached| !std::ptr::eq(Arc::as_ptr(attached), connection));
        let over =
            |via: &Option<Arc<Connection>>| via.as_deref().is_some_and(|via| std::ptr::eq(via, connection));
        state.watchers.retain(|_, watcher| !over(&watcher.via));
        let fired: Vec<_> = state
            .monitors
            .extract_if(|_, monitor| over(&monitor.via))
            .collect();
        for (reference, Monitor { item, .. }) in fired {
            self.put(
                &mut state,
                Message::Down(Down {
                    reference,
                    item,
                    reason: reason("noconnection"),
                }),
                out,
            );
        }
        for from in state.links.disconnected(connection) {
            if state.exited.is_some() {
                break;
            }
            self.exit_signal(&mut state, from, reason("noconnection"), out);
        }
    }

    /// Ends the process with `reason`; nothing happens when it has ended before.
    pub(crate) fn exit(&self, reason: RawTerm, out: &mut Outbox) {
        let mut state = self.lock();
        if state.exited.is_none() {
            self.end(&mut state, reason, out);
        }
    }

    // What the process does itself.

    /// The next message. Ready with `None` once the process has ended and nothing is left.
    pub(crate) fn poll_receive(&self, cx: &mut Context<'_>) -> Poll<Option<Message>> {
        let mut state = self.lock();
        if let Some(message) = state.take(0) {
            return Poll::Ready(Some(message));
        }
        if state.exited.is_some() {
            return Poll::Ready(None);
        }
        set_waker(&mut state.receiver, cx);
        Poll::Pending
    }

    /// Takes the first message at or after `from` that `select` accepts; when there is none, `Pending` with how
    /// far it looked.
    pub(crate) fn poll_select<T>(
        &self,
        cx: &mut Context<'_>,
        seen: &mut usize,
        select: &mut impl FnMut(&Message) -> Option<T>,
    ) -> Poll<Option<T>> {
        // Candidates are copied out (two counters each) so that the selector, foreign code, never runs under the lock.
        loop {
            let candidate = {
                let mut state = self.lock();
                match state.mailbox.get(*seen) {
                    Some(message) => message.clone(),
                    None if state.exited.is_some() => return Poll::Ready(None),
                    None => {
                        set_waker(&mut state.receiver, cx);
                        return Poll::Pending;
                    }
                }
            };
            if let Some(selected) = select(&candidate) {
                self.lock().take(*seen);
                return Poll::Ready(Some(selected));
            }
            *seen += 1;
        }
    }

    /// Ready with the reason once the process has ended.
    pub(crate) fn poll_exited(&self, cx: &mut Context<'_>) -> Poll<RawTerm> {
        let mut state = self.lock();
        match &state.exited {
            Some(reason) => Poll::Ready(reason.clone()),
            None => {
                set_waker(&mut state.task, cx);
                Poll::Pending
            }
        }
    }

    pub(crate) fn is_alive(&self) -> bool {
        self.lock().exited.is_none()
    }

    /// Links the process to `to`; `true` when a link signal must go there. Fails when the connection is gone.
    pub(crate) fn link(&self, to: &Pid, via: Option<&Arc<Connection>>) -> Result<bool, Gone> {
        let mut state = self.lock();
        if state.exited.is_some() {
            return Ok(false);
        }
        if !self.attach(&mut state, via) {
            return Err(Gone);
        }
        Ok(state.links.link(to, via))
    }

    /// Takes the link to `to` away.
    pub(crate) fn unlink(&self, to: &Pid, out: &mut Outbox) {
        let mut state = self.lock();
        let Some((id, via)) = state.links.unlink(to) else {
            return;
        };
        if via.as_ref().is_some_and(|via| !via.acknowledges_unlink()) {
            state.links.remove(to);
        }
        let unlink = Unlink {
            from: self.pid.clone(),
            to: to.clone(),
            id: Some(id),
        };
        out.push(Control::Unlink(unlink), via);
    }

    /// Notes a monitor. Fails when the connection is gone.
    pub(crate) fn monitor(
        &self,
        reference: Reference,
        item: Item,
        via: Option<&Arc<Connection>>,
    ) -> Result<(), Gone> {
        let mut state = self.lock();
        if state.exited.is_some() {
            return Ok(());
        }
        if !self.attach(&mut state, via) {
            return Err(Gone);
        }
        state.monitors.insert(
            reference,
            Monitor {
                item,
                via: via.cloned(),
            },
        );
        Ok(())
    }

    /// Takes a monitor away; `false` when it fired before, or never was.
    pub(crate) fn demonitor(&self, reference: &Reference, out: &mut Outbox) -> bool {
        let Some(monitor) = self.lock().monitors.remove(reference) else {
            return false;
        };
        let to = monitor.item.into();
        let demonitor = DemonitorP {
            from: self.pid.clone(),
            to,
            reference: reference.clone(),
        };
        out.push(Control::DemonitorP(demonitor), monitor.via);
        true
    }

    /// Removes the `'DOWN'` message of `reference` from the mailbox, if it is there: the option `flush`.
    pub(crate) fn flush_down(&self, reference: &Reference) -> bool {
        let mut state = self.lock();
        let found = state
            .mailbox
            .iter()
            .position(|message| matches!(message, Message::Down(down) if down.reference == *reference));
        found.and_then(|index| state.take(index)).is_some()
    }

    pub(crate) fn set_trap_exit(&self, trap: bool) -> bool {
        std::mem::replace(&mut self.lock().trap_exit, trap)
    }

    /// Notes the name that the process is about to be registered under.
    pub(crate) fn claim_name(&self, name: &Atom) -> Result<(), RegisterError> {
        let mut state = self.lock();
        if state.exited.is_some() {
            return Err(RegisterError::Exited);
        }
        match &state.name {
            Some(name) => Err(RegisterError::HasName { name: name.clone() }),
            None => {
                state.name = Some(name.clone());
                Ok(())
            }
        }
    }

    pub(crate) fn disclaim_name(&self) {
        self.lock().name = None;
    }

    pub(crate) fn name(&self) -> Option<Atom> {
        self.lock().name.clone()
    }

    pub(crate) fn mailbox_len(&self) -> usize {
        self.lock().mailbox.len()
    }

    // Below, all under the lock.

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
    fn exit_signal(&self, state: &mut State, from: Pid, reason: RawTerm, out: &mut Outbox) {
        if state.trap_exit {
            self.put(state, Message::Exit(message::Exit { from, reason }), out);
        } else if !is_atom(&reason, "normal") {
            self.end(state, reason, out);
        }
    }

    fn put(&self, state: &mut State, message: Message, out: &mut Outbox) {
        state.mailbox_bytes += weight(&message);
        if state.mailbox_bytes > state.mailbox_limit {
            error!(
                pid = %self.pid, name = ?state.name, messages = state.mailbox.len(), bytes = state.mailbox_bytes,
                limit = state.mailbox_limit, "mailbox over its limit: the process is killed"
            );
            return self.end(state, reason("killed"), out);
        }
        state.mailbox.push_back(message);
        if let Some(waker) = state.receiver.take() {
            waker.wake();
        }
    }

    fn end(&self, state: &mut State, reason: RawTerm, out: &mut Outbox) {
        state.mailbox = VecDeque::new();
        state.mailbox_bytes = 0;
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
                out.push(Control::Exit(exit), via);
            }
        }
        for (reference, watcher) in std::mem::take(&mut state.watchers) {
            let reason = reason.clone();
            let down = MonitorPExit {
                from: watcher.item,
                to: watcher.pid,
                reference,
                reason,
            };
            out.push(Control::MonitorPExit(down), watcher.via);
        }
        for (reference, monitor) in std::mem::take(&mut state.monitors) {
            let demonitor = DemonitorP {
                from: self.pid.clone(),
                to: monitor.item.into(),
                reference,
            };
            out.push(Control::DemonitorP(demonitor), monitor.via);
        }
        for connection in std::mem::take(&mut state.attached) {
            connection.detach(self.number);
        }
        state.exited = Some(reason);
        for waker in [state.receiver.take(), state.task.take()].into_iter().flatten() {
            waker.wake();
        }
    }
}

impl State {
    fn take(&mut self, index: usize) -> Option<Message> {
        let message = self.mailbox.remove(index)?;
        self.mailbox_bytes -= weight(&message);
        Some(message)
    }
}

/// The connection that a link or monitor was to go over is gone.
#[derive(Debug)]
pub(crate) struct Gone;

/// What a message counts against the mailbox's limit.
fn weight(message: &Message) -> usize {
    let payload = match message {
        Message::Term(raw) => raw,
        Message::Exit(exit) => &exit.reason,
        Message::Down(down) => &down.reason,
    };
    size_of::<Message>() + payload.bytes().len()
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
