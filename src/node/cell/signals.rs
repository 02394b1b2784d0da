//! What signals do to a process.
//!
//! "Signals" in Erlang's reference manual.

use std::sync::Arc;

use super::{Cell, Monitor, Monitored, Outbox, SpawnFailure, Spawning, State, Watcher, is_atom, reason};
use crate::dist::control::{Control, DemonitorP, Exit, Send, SpawnReply, Target, UnlinkIdAck};
use crate::etf::RawTerm;
use crate::node::alias::Until;
use crate::node::connections::Connection;
use crate::node::events;
use crate::node::message::{Item, Message};
use crate::term::{Pid, Reference};

impl Cell {
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
                    out.push(Control::UnlinkIdAck(ack), via);
                }
            }
            Control::UnlinkIdAck(ack) => {
                state.links.acknowledged(&ack.from, ack.id);
            }
            Control::Exit(exit) => {
                if let Some(priority) = state.links.exited(&exit.from) {
                    self.exit_signal(&mut state, exit.from, exit.reason, priority, out);
                }
            }
            Control::Exit2(exit) => {
                let mut priority = false;
                if let Target::Alias(alias) = &exit.to {
                    priority = exit.priority && is_for_priority(&state, alias);
                    if !self.pass_alias(&mut state, alias, out) {
                        return;
                    }
                }
                if is_atom(&exit.reason, "kill") {
                    self.end(&mut state, reason("killed"), out);
                } else if exit.from == self.pid && !state.trap_exit {
                    self.end(&mut state, exit.reason, out);
                } else {
                    self.exit_signal(&mut state, exit.from, exit.reason, priority, out);
                }
            }
            Control::MonitorP(monitor) => {
                if let (Monitored::Name(_), Some(via)) = (&monitor.to, via) {
                    via.note_named(monitor.reference.clone(), self.number);
                }
                let watcher = Watcher {
                    pid: monitor.from,
                    item: monitor.to,
                    via: via.cloned(),
                };
                state.watchers.insert(monitor.reference, watcher);
                self.attach(&mut state, via);
            }
            Control::DemonitorP(demonitor) => {
                let held = state.watchers.get(&demonitor.reference);
                if held.is_some_and(|watcher| watcher.pid == demonitor.from)
                    && let Some(watcher) = state.watchers.remove(&demonitor.reference)
                {
                    watcher.forget(&demonitor.reference);
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
        for spawning in state.spawning.values_mut() {
            if over(&spawning.via) && spawning.outcome.is_none() {
                spawning.answer(Err(SpawnFailure::NoConnection), out);
            }
        }
        for (from, priority) in state.links.disconnected(connection) {
            if state.exited.is_some() {
                break;
            }
            self.exit_signal(&mut state, from, reason("noconnection"), priority, out);
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

    /// A message to the process itself, not to a name or an alias of it.
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

    // Below, all under the lock.

    /// A message came, to this process by whatever the sender knew of it.
    fn message(&self, state: &mut State, send: Send, out: &mut Outbox) {
        let mut priority = false;
        if let Target::Alias(alias) = &send.to {
            // Only an alias made for them lets priority messages in before others.
            priority = send.priority && is_for_priority(state, alias);
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

    /// The answer to a spawn request of this process.
    fn spawned(&self, state: &mut State, reply: SpawnReply, via: Option<&Arc<Connection>>, out: &mut Outbox) {
        let spawning = state.spawning.get_mut(&reply.reference);
        let Some(spawning) = spawning.filter(|spawning| spawning.outcome.is_none()) else {
            return abandon(&self.pid, reply, via, out);
        };
        spawning.answer(reply.result.clone().map_err(SpawnFailure::Refused), out);
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
                        named: None,
                        tag: None,
                        priority: false,
                    },
                );
            }
        }
    }
}

impl Spawning {
    fn answer(&mut self, outcome: Result<Pid, SpawnFailure>, out: &mut Outbox) {
        self.outcome = Some(outcome);
        if let Some(waker) = self.waker.take() {
            out.wake(waker);
        }
    }
}

/// Whether the alias was made for priority messages: only such a one lets them in before others.
fn is_for_priority(state: &State, alias: &Reference) -> bool {
    state.aliases.get(alias).is_some_and(|kind| kind.priority)
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
        out.push(Control::DemonitorP(demonitor), via);
    }
    if reply.linked {
        let exit = Exit {
            from: spawner.clone(),
            to: pid,
            token: None,
            reason: reason("abandoned"),
        };
        out.push(Control::Exit(exit), via);
    }
}
