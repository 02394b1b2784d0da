//! What a node holds of one process: its mailbox, its links, its monitors, and what each signal does to it.
//!
//! Every signal is handled under the process's own lock, which is never held while another process's is
//! taken: consequences go to an [`Outbox`].

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use tokio::sync::oneshot;
use tracing::error;

use super::alias::{AliasKind, Until};
use super::connections::Connection;
use super::events;
use super::links::Links;
use super::mailbox::{Mailbox, MailboxLimits, Place};
use super::message::{self, Down, Item, Message};
use super::process::RegisterError;
use super::signal::{Ended, Outbox, reason};
use super::table::Number;
use crate::dist::control::{
    Control, DemonitorP, Exit, MonitorPExit, Monitored, Send, SpawnReply, Target, Unlink, UnlinkIdAck,
};
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
    mailbox: Mailbox,
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
    /// Spawn requests that have no answer yet.
    spawning: HashMap<Reference, Spawning>,
    /// Connections whose end is to be told, and how often.
    node_monitors: Vec<(Arc<Connection>, usize)>,
    /// Connections that know of this process, so that they tell it when they are gone.
    attached: Vec<Arc<Connection>>,
}

#[derive(Debug)]
struct Monitor {
    item: Item,
    via: Option<Arc<Connection>>,
}

/// A spawn request under way.
#[derive(Debug)]
struct Spawning {
    via: Option<Arc<Connection>>,
    /// Tells the caller; gone when the caller no longer waits.
    tell: oneshot::Sender<Result<Pid, SpawnFailure>>,
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

impl Cell {
    pub(crate) fn new(pid: Pid, number: Number, leader: Pid, limits: MailboxLimits) -> Self {
        let state = State {
            exited: None,
            mailbox: Mailbox::new(limits),
            receiver: None,
            task: None,
            trap_exit: false,
            name: None,
            leader,
            links: Links::default(),
            monitors: HashMap::new(),
            watchers: HashMap::new(),
            aliases: HashMap::new(),
            spawning: HashMap::new(),
            node_monitors: Vec::new(),
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

    pub(crate) fn number(&self) -> Number {
        self.number
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
            Control::Send(send) => self.message(&mut state, send, out),
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
                if let Target::Alias(alias) = &exit.to
                    && !self.pass_alias(&mut state, alias, out)
                {
                    return;
                }
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
            Control::MonitorPExit(down) => self.fire(&mut state, down.reference, down.reason, out),
            Control::GroupLeader(change) => state.leader = change.leader,
            Control::SpawnReply(reply) => self.spawned(&mut state, reply, via, out),
            Control::SpawnRequest(_) => {}
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
        let fired = state.monitors.iter().filter(|(_, monitor)| over(&monitor.via));
        let fired: Vec<_> = fired.map(|(reference, _)| reference.clone()).collect();
        for reference in fired {
            self.fire(&mut state, reference, reason("noconnection"), out);
        }
        for (_, spawning) in state.spawning.extract_if(|_, spawning| over(&spawning.via)) {
            let _ = spawning.tell.send(Err(SpawnFailure::NoConnection));
        }
        for from in state.links.disconnected(connection) {
            if state.exited.is_some() {
                break;
            }
            self.exit_signal(&mut state, from, reason("noconnection"), out);
        }
        let down = |(via, _): &mut (Arc<Connection>, usize)| std::ptr::eq(Arc::as_ptr(via), connection);
        let told: usize = state
            .node_monitors
            .extract_if(.., down)
            .map(|(_, count)| count)
            .sum();
        for _ in 0..told {
            if state.exited.is_none() {
                self.put(&mut state, events::nodedown(connection.name()), false, out);
            }
        }
    }

    /// A message that the node itself has for the process.
    pub(crate) fn tell(&self, message: Message, out: &mut Outbox) {
        let mut state = self.lock();
        if state.exited.is_none() {
            self.put(&mut state, message, false, out);
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
        if let Some(message) = state.mailbox.pop() {
            return Poll::Ready(Some(message));
        }
        if state.exited.is_some() {
            return Poll::Ready(None);
        }
        set_waker(&mut state.receiver, cx);
        Poll::Pending
    }

    /// Takes the first message from `place` on that `select` accepts, and moves `place` past those that it does not.
    pub(crate) fn poll_select<T>(
        &self,
        cx: &mut Context<'_>,
        place: &mut Place,
        select: &mut impl FnMut(&Message) -> Option<T>,
    ) -> Poll<Option<T>> {
        // Candidates are copied out (two counters each) so that the selector, foreign code, never runs under the lock. Only
        // this process takes messages out, so a place is right for as long as none comes in before it.
        loop {
            let (candidate, moved) = {
                let mut state = self.lock();
                place.follow(&state.mailbox);
                match state.mailbox.get(place.index) {
                    Some(message) => (message.clone(), state.mailbox.moved()),
                    None if state.exited.is_some() => return Poll::Ready(None),
                    None => {
                        set_waker(&mut state.receiver, cx);
                        return Poll::Pending;
                    }
                }
            };
            let selected = select(&candidate);
            let mut state = self.lock();
            if state.mailbox.moved() != moved {
                continue;
            }
            match selected {
                Some(selected) => {
                    state.mailbox.remove(place.index);
                    return Poll::Ready(Some(selected));
                }
                None => place.index += 1,
            }
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
        self.unmonitor(&mut self.lock(), reference, out)
    }

    /// Removes the `'DOWN'` message of `reference` from the mailbox, if it is there: the option `flush`.
    pub(crate) fn flush_down(&self, reference: &Reference) -> bool {
        let mut state = self.lock();
        let found = state
            .mailbox
            .position(|message| matches!(message, Message::Down(down) if down.reference == *reference));
        found.and_then(|index| state.mailbox.remove(index)).is_some()
    }

    /// Has the process told once of the connection's end. Fails when it is gone.
    pub(crate) fn monitor_node(&self, via: &Arc<Connection>) -> Result<(), Gone> {
        let mut state = self.lock();
        if state.exited.is_some() {
            return Ok(());
        }
        if !self.attach(&mut state, Some(via)) {
            return Err(Gone);
        }
        let known = state
            .node_monitors
            .iter_mut()
            .find(|(known, _)| Arc::ptr_eq(known, via));
        match known {
            Some((_, count)) => *count += 1,
            None => state.node_monitors.push((Arc::clone(via), 1)),
        }
        Ok(())
    }

    /// Takes one of those back.
    pub(crate) fn demonitor_node(&self, node: &str) {
        let mut state = self.lock();
        if let Some((_, count)) = state
            .node_monitors
            .iter_mut()
            .find(|(via, _)| *via.name() == *node)
        {
            *count -= 1;
        }
        state.node_monitors.retain(|(_, count)| *count > 0);
    }

    /// Makes an alias.
    pub(crate) fn alias(&self, reference: Reference, kind: AliasKind) {
        let mut state = self.lock();
        if state.exited.is_none() {
            state.aliases.insert(reference, kind);
        }
    }

    /// Deactivates an alias; `false` when it was not active.
    pub(crate) fn unalias(&self, reference: &Reference) -> bool {
        self.lock().aliases.remove(reference).is_some()
    }

    /// Whether the process can be reached under the alias.
    pub(crate) fn has_alias(&self, reference: &Reference) -> bool {
        self.lock().aliases.contains_key(reference)
    }

    /// Notes a spawn request, and gives what its answer comes through. Fails when the connection is gone.
    pub(crate) fn spawning(
        &self,
        reference: Reference,
        via: Option<&Arc<Connection>>,
    ) -> Result<oneshot::Receiver<Result<Pid, SpawnFailure>>, Gone> {
        let mut state = self.lock();
        if state.exited.is_some() || !self.attach(&mut state, via) {
            return Err(Gone);
        }
        let (tell, answer) = oneshot::channel();
        state.spawning.insert(
            reference,
            Spawning {
                via: via.cloned(),
                tell,
            },
        );
        Ok(answer)
    }

    /// The request could not be sent.
    pub(crate) fn not_spawning(&self, reference: &Reference) {
        self.lock().spawning.remove(reference);
    }

    pub(crate) fn info(&self) -> Option<ProcessInfo> {
        let state = self.lock();
        state.exited.is_none().then(|| ProcessInfo {
            registered_name: state.name.clone(),
            message_queue_len: state.mailbox.len(),
            mailbox_bytes: state.mailbox.bytes(),
            links: state.links.pids().cloned().collect(),
            monitors: state
                .monitors
                .values()
                .map(|monitor| monitor.item.clone())
                .collect(),
            monitored_by: state
                .watchers
                .values()
                .map(|watcher| watcher.pid.clone())
                .collect(),
            trap_exit: state.trap_exit,
            group_leader: state.leader.clone(),
        })
    }

    pub(crate) fn leader(&self) -> Pid {
        self.lock().leader.clone()
    }

    pub(crate) fn set_leader(&self, leader: Pid) {
        self.lock().leader = leader;
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
            self.put(state, Message::Exit(message::Exit { from, reason }), false, out);
        } else if !is_atom(&reason, "normal") {
            self.end(state, reason, out);
        }
    }

    /// A message came, to this process by whatever the sender knew of it.
    fn message(&self, state: &mut State, send: Send, out: &mut Outbox) {
        let mut priority = false;
        if let Target::Alias(alias) = &send.to {
            // Only an alias made for them lets priority messages in before others.
            priority = send.priority && state.aliases.get(alias).is_some_and(|kind| kind.priority);
            if !self.pass_alias(state, alias, out) {
                return;
            }
        }
        self.put(state, Message::Term(send.message), priority, out);
    }

    /// Whether the alias is active. One that is for a single reply is not any more, afterwards.
    fn pass_alias(&self, state: &mut State, alias: &Reference, out: &mut Outbox) -> bool {
        let Some(kind) = state.aliases.get(alias) else {
            return false;
        };
        match kind.until {
            Until::Unalias | Until::Demonitor => {}
            Until::Reply => {
                state.aliases.remove(alias);
            }
            Until::ReplyDemonitor => {
                self.unmonitor(state, alias, out);
            }
        }
        true
    }

    /// A monitor of this process fires.
    fn fire(&self, state: &mut State, reference: Reference, reason: RawTerm, out: &mut Outbox) {
        // The item is told as it was asked for, whatever the peer made of it.
        let Some(Monitor { item, .. }) = state.monitors.remove(&reference) else {
            return;
        };
        end_with_monitor(state, &reference);
        self.put(
            state,
            Message::Down(Down {
                reference,
                item,
                reason,
            }),
            false,
            out,
        );
    }

    fn unmonitor(&self, state: &mut State, reference: &Reference, out: &mut Outbox) -> bool {
        let Some(monitor) = state.monitors.remove(reference) else {
            return false;
        };
        end_with_monitor(state, reference);
        let demonitor = DemonitorP {
            from: self.pid.clone(),
            to: monitor.item.into(),
            reference: reference.clone(),
        };
        out.push(Control::DemonitorP(demonitor), monitor.via);
        true
    }

    /// The answer to a spawn request of this process.
    fn spawned(&self, state: &mut State, reply: SpawnReply, via: Option<&Arc<Connection>>, out: &mut Outbox) {
        let Some(spawning) = state.spawning.remove(&reply.reference) else {
            return abandon(&self.pid, reply, via, out);
        };
        let outcome = reply.result.clone().map_err(SpawnFailure::Refused);
        if let Err(_unheard) = spawning.tell.send(outcome) {
            return abandon(&self.pid, reply, via, out);
        }
        if let Ok(pid) = reply.result {
            if reply.linked {
                state.links.linked_by(pid.clone(), via);
            }
            if reply.monitored {
                state.monitors.insert(
                    reply.reference,
                    Monitor {
                        item: Item::Pid(pid),
                        via: via.cloned(),
                    },
                );
            }
        }
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
            waker.wake();
        }
    }

    fn end(&self, state: &mut State, reason: RawTerm, out: &mut Outbox) {
        state.mailbox.clear();
        state.aliases = HashMap::new();
        state.spawning = HashMap::new();
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
                out.push(Control::Exit(exit), via);
            }
        }
        for (reference, watcher) in std::mem::take(&mut state.watchers) {
            let reason = reason.clone();
            let down = MonitorPExit {
                process: Some(self.pid.clone()),
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

/// The connection that a link or monitor was to go over is gone.
#[derive(Debug)]
pub(crate) struct Gone;

/// An alias that is to live as long as the monitor of the same reference is over.
fn end_with_monitor(state: &mut State, reference: &Reference) {
    let ends = |kind: &AliasKind| matches!(kind.until, Until::Demonitor | Until::ReplyDemonitor);
    if state.aliases.get(reference).is_some_and(ends) {
        state.aliases.remove(reference);
    }
}

/// A process was spawned that nobody waits for any more: nothing of it may stay behind here, and if it was to be linked,
/// it ends.
pub(crate) fn abandon(spawner: &Pid, reply: SpawnReply, via: Option<&Arc<Connection>>, out: &mut Outbox) {
    let Ok(pid) = reply.result else { return };
    if reply.monitored {
        let to = Monitored::Pid(pid.clone());
        let demonitor = DemonitorP {
            from: spawner.clone(),
            to,
            reference: reply.reference,
        };
        out.push(Control::DemonitorP(demonitor), via.cloned());
    }
    if reply.linked {
        let exit = Exit {
            from: spawner.clone(),
            to: pid,
            token: None,
            reason: reason("abandoned"),
        };
        out.push(Control::Exit(exit), via.cloned());
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
