//! What a process does itself.

use std::sync::Arc;
use std::task::{Context, Poll};

use super::{
    AliasKind, Cell, Item, Message, Monitor, Monitored, Outbox, Place, ProcessInfo, RegisterError,
    SpawnFailure, Spawning, State, Telling, Watcher, reason, set_waker,
};
use crate::dist::control::{Control, Exit, Link, MonitorP, Unlink};
use crate::etf::RawTerm;
use crate::node::connections::Connection;
use crate::term::{Atom, Pid, Reference};

impl Cell {
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

    /// Does that, which queues a message, under the lock: a process that has ended sends nothing after the signals that tell of
    /// its end.
    pub(crate) fn while_alive<T>(&self, send: impl FnOnce() -> T) -> Option<T> {
        let state = self.lock();
        state.exited.is_none().then(send)
    }

    /// Links the process with another of this node.
    pub(crate) fn link_near(&self, other: &Self, priority: bool, out: &mut Outbox) {
        let (mut state, mut theirs) = self.lock_both(other);
        if state.exited.is_some() {
            return;
        }
        if theirs.exited.is_none() {
            state.links.link(&other.pid, None, priority);
            theirs.links.linked_by(self.pid.clone(), None);
            return;
        }
        drop(theirs);
        // Its exit signal may be under way still, and is not heard afterwards.
        state.links.exited(&other.pid);
        self.exit_signal(&mut state, other.pid.clone(), reason("noproc"), priority, out);
    }

    /// Links the process with one of another node.
    pub(crate) fn link_far(&self, to: &Pid, via: &Arc<Connection>, priority: bool, out: &mut Outbox) {
        let mut state = self.lock();
        if state.exited.is_some() {
            return;
        }
        if !self.attach(&mut state, Some(via)) {
            return self.exit_signal(&mut state, to.clone(), reason("noconnection"), priority, out);
        }
        if state.links.link(to, Some(via), priority) {
            let (from, to) = (self.pid.clone(), to.clone());
            out.push(Control::Link(Link { from, to }), Some(via));
        }
    }

    /// A link that cannot be is told as one that broke.
    pub(crate) fn link_to_none(&self, to: &Pid, why: &'static str, priority: bool, out: &mut Outbox) {
        let mut state = self.lock();
        if state.exited.is_none() {
            self.exit_signal(&mut state, to.clone(), reason(why), priority, out);
        }
    }

    /// Takes the link with another process of this node away.
    pub(crate) fn unlink_near(&self, other: &Self) {
        let (mut state, mut theirs) = self.lock_both(other);
        state.links.remove(&other.pid);
        theirs.links.remove(&self.pid);
    }

    /// Takes the link with a process away that is on another node, or has ended.
    pub(crate) fn unlink_far(&self, to: &Pid, out: &mut Outbox) {
        let mut state = self.lock();
        if to.node() == self.pid.node() {
            state.links.remove(to);
        } else if let Some((id, via)) = state.links.unlink(to) {
            let unlink = Unlink {
                from: self.pid.clone(),
                to: to.clone(),
                id: Some(id),
            };
            out.push(Control::Unlink(unlink), via.as_ref());
        }
    }

    /// Monitors another process of this node, which goes by the name in `item` if there is one.
    pub(crate) fn monitor_near(
        &self,
        other: &Self,
        reference: Reference,
        item: Item,
        telling: Telling,
        out: &mut Outbox,
    ) {
        let (mut state, mut theirs) = self.lock_both(other);
        if state.exited.is_some() {
            return;
        }
        let named = matches!(item, Item::Name { .. }).then(|| other.pid.clone());
        let watcher = Watcher {
            pid: self.pid.clone(),
            item: item.clone().into(),
            via: None,
        };
        let monitor = Monitor::new(item, None, named, telling);
        state.monitors.insert(reference.clone(), monitor);
        if theirs.exited.is_none() {
            theirs.watchers.insert(reference, watcher);
            return;
        }
        drop(theirs);
        self.fire(&mut state, reference, reason("noproc"), out);
    }

    /// Monitors a process of another node.
    pub(crate) fn monitor_far(
        &self,
        via: &Arc<Connection>,
        reference: Reference,
        item: Item,
        telling: Telling,
        out: &mut Outbox,
    ) {
        let mut state = self.lock();
        if state.exited.is_some() {
            return;
        }
        let attached = self.attach(&mut state, Some(via));
        let to = Monitored::from(item.clone());
        let monitor = Monitor::new(item, Some(Arc::clone(via)), None, telling);
        state.monitors.insert(reference.clone(), monitor);
        if !attached {
            return self.fire(&mut state, reference, reason("noconnection"), out);
        }
        let from = self.pid.clone();
        out.push(Control::MonitorP(MonitorP { from, to, reference }), Some(via));
    }

    /// A monitor that cannot be fires at once.
    pub(crate) fn monitor_none(
        &self,
        reference: Reference,
        item: Item,
        why: &'static str,
        telling: Telling,
        out: &mut Outbox,
    ) {
        let mut state = self.lock();
        if state.exited.is_none() {
            state
                .monitors
                .insert(reference.clone(), Monitor::new(item, None, None, telling));
            self.fire(&mut state, reference, reason(why), out);
        }
    }

    /// Takes a monitor away; `false` when it fired before, or never was.
    pub(crate) fn demonitor(&self, reference: &Reference, out: &mut Outbox) -> bool {
        self.unmonitor(&mut self.lock(), reference, out)
    }

    /// Removes the `'DOWN'` message of `reference` from the mailbox, if it is there: the option `flush`.
    pub(crate) fn flush_down(&self, reference: &Reference) -> bool {
        self.flush(|message| is_down(message, reference))
    }

    /// Removes the first message that fits, if there is one. The lock is held meanwhile.
    pub(crate) fn flush(&self, fits: impl FnMut(&Message) -> bool) -> bool {
        flush(&mut self.lock(), fits)
    }

    /// Has the process told once of the connection's end; `false` when that is over.
    pub(crate) fn monitor_node(&self, via: &Arc<Connection>) -> bool {
        let mut state = self.lock();
        if state.exited.is_some() {
            return true;
        }
        if !self.attach(&mut state, Some(via)) {
            return false;
        }
        let known = state
            .node_monitors
            .iter_mut()
            .find(|(known, _)| Arc::ptr_eq(known, via));
        match known {
            Some((_, count)) => *count += 1,
            None => state.node_monitors.push((Arc::clone(via), 1)),
        }
        true
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

    /// Notes a spawn request, whose answer [`poll_spawned`](Self::poll_spawned) gives. `false` when the process has ended, or the connection.
    pub(crate) fn spawning(&self, reference: Reference, via: Option<&Arc<Connection>>) -> bool {
        let mut state = self.lock();
        if state.exited.is_some() || !self.attach(&mut state, via) {
            return false;
        }
        let spawning = Spawning {
            via: via.cloned(),
            outcome: None,
            waker: None,
        };
        state.spawning.insert(reference, spawning);
        true
    }

    /// Ready with the answer to a spawn request, once, and with `None` when the process has ended.
    pub(crate) fn poll_spawned(
        &self,
        cx: &mut Context<'_>,
        reference: &Reference,
    ) -> Poll<Option<Result<Pid, SpawnFailure>>> {
        let mut state = self.lock();
        let Some(spawning) = state.spawning.get_mut(reference) else {
            return Poll::Ready(None);
        };
        if spawning.outcome.is_none() {
            set_waker(&mut spawning.waker, cx);
            return Poll::Pending;
        }
        let spawning = state.spawning.remove(reference);
        Poll::Ready(spawning.and_then(|spawning| spawning.outcome))
    }

    /// Nobody waits for the answer to a spawn request any more. If it has come, nothing of the new process stays here.
    pub(crate) fn give_up(&self, reference: &Reference, out: &mut Outbox) {
        let mut state = self.lock();
        let Some(Spawning {
            via,
            outcome: Some(Ok(pid)),
            ..
        }) = state.spawning.remove(reference)
        else {
            return;
        };
        // Its end may have been told already.
        if !self.unmonitor(&mut state, reference, out) {
            flush(&mut state, |message| is_down(message, reference));
        }
        if state.links.exited(&pid).is_none() {
            flush(
                &mut state,
                |message| matches!(message, Message::Exit(exit) if exit.from == pid),
            );
        } else {
            let exit = Exit {
                from: self.pid.clone(),
                to: pid,
                token: None,
                reason: reason("abandoned"),
            };
            out.push(Control::Exit(exit), via.as_ref());
        }
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
            initial_call: self.birth().and_then(|birth| birth.function.clone()),
            parent: self.birth().map(|birth| birth.parent.clone()),
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

    /// A copy of what waits.
    pub(crate) fn messages(&self) -> Vec<Message> {
        let state = self.lock();
        (0..)
            .map_while(|index| state.mailbox.get(index).cloned())
            .collect()
    }

    pub(crate) fn mailbox_len(&self) -> usize {
        self.lock().mailbox.len()
    }
}

fn flush(state: &mut State, fits: impl FnMut(&Message) -> bool) -> bool {
    let found = state.mailbox.position(fits);
    found
        .and_then(|index| state.mailbox.remove_aside(index))
        .is_some()
}

fn is_down(message: &Message, reference: &Reference) -> bool {
    matches!(message, Message::Down(down) if down.reference == *reference)
}

impl Monitor {
    fn new(item: Item, via: Option<Arc<Connection>>, named: Option<Pid>, telling: Telling) -> Self {
        let Telling { tag, priority } = telling;
        Self {
            item,
            via,
            named,
            tag,
            priority,
        }
    }
}
