//! How signals travel: from a process to a connection or to a process of this node, and from a connection to the processes it is for.

use std::sync::Arc;

use super::cell::Cell;
use super::connections::{Connection, Connections, Reason, Route, Wanted};
use super::message::{Item, Message};
use super::signal::{self, Outbox, Receiver};
use super::table::Number;
use super::{ConnectError, Destination, DownReason, Node, SendError, alias, link, spawn};
use crate::dist::Flags;
use crate::dist::control::{self, Control, Target};
use crate::etf::RawTerm;
use crate::net;
use crate::term::{Atom, Pid, Reference};

impl Node {
    /// The process behind `pid`, if it is of this incarnation of this node and lives.
    pub(super) fn cell(&self, pid: &Pid) -> Option<Arc<Cell>> {
        let ours = pid.creation() == self.0.creation && *pid.node() == self.0.atom;
        self.0.table.get(Number::of(pid).filter(|_| ours)?)
    }

    /// The process that a monitor on `item`, of this node, would watch.
    pub(super) fn cell_of(&self, item: &Item) -> Option<Arc<Cell>> {
        match item {
            Item::Pid(pid) => self.cell(pid),
            Item::Name { name, .. } => self.0.table.whereis(name),
        }
    }

    /// The process that can be reached under `alias`.
    pub(super) fn alias_cell(&self, alias: &Reference) -> Option<Arc<Cell>> {
        let ours = alias.creation() == self.0.creation && *alias.node() == self.0.atom;
        let cell = self.0.table.get(alias::owner(alias).filter(|_| ours)?)?;
        cell.has_alias(alias).then_some(cell)
    }

    /// The connection to `node`, made if need be; `None` for this node.
    pub(super) async fn route_to(&self, node: &Atom) -> Result<Route, ConnectError> {
        self.route(node, self.0.flags, Reason::Use).await
    }

    /// As [`route_to`](Self::route_to), waiting while the connection is busy.
    pub(super) async fn free_route_to(&self, node: &Atom) -> Result<Route, ConnectError> {
        let route = self.route_to(node).await?;
        if let Some(connection) = &route {
            connection.outbound.free().await;
        }
        Ok(route)
    }

    /// The connection to `node` if it is up, `None` for this node; nothing when there is none.
    pub(super) fn route_now(&self, node: &Atom) -> Option<Route> {
        if *node == self.0.atom {
            return Some(None);
        }
        self.0.connections.up(node).map(Some)
    }

    /// As [`route_to`](Self::route_to), with these flags for a connection that is made.
    pub(super) async fn route(
        &self,
        node: &Atom,
        flags: Flags,
        reason: Reason,
    ) -> Result<Route, ConnectError> {
        if *node == self.0.atom {
            return Ok(None);
        }
        loop {
            match self.0.connections.want(node, reason) {
                // One that is being closed is worth waiting for, so that its end is over before a new one begins.
                Wanted::Up(connection) if connection.closing().is_some() => {
                    Connections::gone(&connection).await
                }
                Wanted::Up(connection) => return Ok(Some(connection)),
                Wanted::Stopped => return Err(ConnectError::Stopped),
                Wanted::NotAutomatic => return Err(ConnectError::NotAutomatic { node: node.clone() }),
                Wanted::Wait(waiter) => return waiter.outcome().await.map(Some),
                Wanted::Dial(attempt, cancel, waiter) => {
                    link::dial(self, node, flags, attempt, cancel);
                    return waiter.outcome().await.map(Some);
                }
            }
        }
    }

    /// Where a message goes, and what its control message says of that. `None` when nobody can be there.
    pub(super) fn locate(&self, to: Destination) -> Option<(Atom, Target)> {
        Some(match to {
            Destination::Nobody => return None,
            Destination::Name(name) => (self.0.atom.clone(), Target::Name(name)),
            Destination::Remote { name, node } => (node, Target::Name(name)),
            Destination::Pid(pid) => (pid.node().clone(), Target::Pid(pid)),
            Destination::Alias(alias) => (alias.node().clone(), Target::Alias(alias)),
        })
    }

    /// Sends a message of a process of this node, waiting while the connection is busy.
    pub(super) async fn send_from(
        &self,
        from: &Cell,
        to: Destination,
        message: RawTerm,
    ) -> Result<(), SendError> {
        match self.send_at_once(from, to, message)? {
            None => Ok(()),
            Some((node, signal)) => self.send_signal(node, signal).await,
        }
    }

    /// Sends a message of a process of this node if that takes no waiting.
    pub(super) fn try_send_from(
        &self,
        from: &Cell,
        to: Destination,
        message: RawTerm,
    ) -> Result<(), SendError> {
        match self.send_at_once(from, to, message)? {
            None => Ok(()),
            Some((node, _)) if self.0.connections.up(&node).is_some() => Err(SendError::Busy { node }),
            Some((node, _)) => Err(SendError::NotConnected { node }),
        }
    }

    /// Sends a message of a process of this node, unless it has to wait, for room or for a connection: then gives it back with the node
    /// that it goes to.
    pub(super) fn send_at_once(
        &self,
        from: &Cell,
        to: Destination,
        message: RawTerm,
    ) -> Result<Option<(Atom, Control)>, SendError> {
        if let Destination::Name(name) = &to
            && self.0.table.whereis(name).is_none()
        {
            return Err(if from.is_alive() {
                SendError::NotRegistered { name: name.clone() }
            } else {
                SendError::Exited
            });
        }
        let (node, to) = self.locate(to).ok_or(SendError::Nobody)?;
        let signal = send(from.pid(), to, message);
        if node == self.0.atom {
            if !from.is_alive() {
                return Err(SendError::Exited);
            }
            let mut out = Outbox::default();
            self.deliver_here(signal, None, &mut out);
            self.deliver(out);
            return Ok(None);
        }
        // One that is being closed is worth waiting for.
        let up = self.0.connections.up(&node);
        let sent = match up.filter(|via| via.closing().is_none()) {
            Some(via) => from.while_alive(|| via.outbound.try_send(&signal)),
            None => from.while_alive(|| Err(net::SendError::Busy)),
        };
        match sent.ok_or(SendError::Exited)? {
            Ok(()) => Ok(None),
            Err(net::SendError::Busy) => Ok(Some((node, signal))),
            Err(error) => Err(not_sent(error, node)),
        }
    }

    /// Sends a message of a process of this node by this way and no other, waiting while the connection is busy.
    pub(super) async fn send_over(
        &self,
        from: &Cell,
        route: Option<Route>,
        to: Destination,
        message: RawTerm,
    ) -> Result<(), SendError> {
        let Some(Some(via)) = route else {
            return match route {
                Some(_) => self.send_from(from, to, message).await,
                None if from.is_alive() => Ok(()),
                None => Err(SendError::Exited),
            };
        };
        let (node, to) = self.locate(to).ok_or(SendError::Nobody)?;
        let signal = send(from.pid(), to, message);
        let sent = from.while_alive(|| via.outbound.try_send(&signal));
        let sent = match sent.ok_or(SendError::Exited)? {
            Err(net::SendError::Busy) => via.outbound.send(signal).await,
            sent => sent,
        };
        sent.map_err(|error| not_sent(error, node))
    }

    /// Sends a signal to `node`, connecting if need be and waiting while the connection is busy.
    pub(super) async fn send_signal(&self, node: Atom, signal: Control) -> Result<(), SendError> {
        let Some(connection) = self.route_to(&node).await? else {
            self.deliver(Outbox::of(signal));
            return Ok(());
        };
        let sent = connection.outbound.send(signal).await;
        sent.map_err(|error| not_sent(error, node))
    }

    /// Sends a message for a process of this node without waiting, and only where a connection is up already.
    pub(crate) fn post(&self, from: &Pid, to: Destination, message: RawTerm) {
        let Some((node, to)) = self.locate(to) else { return };
        let via = self.0.connections.up(&node);
        if via.is_some() || node == self.0.atom {
            let mut out = Outbox::default();
            out.push(send(from, to, message), via.as_ref());
            self.deliver(out);
        }
    }

    /// Delivers what is in `out`, and what comes of it, until nothing is left. Never waits.
    pub(super) fn deliver(&self, mut out: Outbox) {
        self.deliver_all(&mut out);
    }

    /// The same, and leaves it empty.
    pub(super) fn deliver_all(&self, out: &mut Outbox) {
        loop {
            for ended in out.ended.drain(..) {
                self.0.table.remove(&ended);
            }
            if let Some(signal) = out.near.pop_front() {
                self.deliver_here(signal, None, out);
            } else if let Some(start) = out.starts.pop_front() {
                start.begin(self);
            } else {
                break;
            }
        }
    }

    /// Delivers one signal to a process of this node, or answers that there is none.
    pub(super) fn deliver_here(&self, signal: Control, via: Option<&Arc<Connection>>, out: &mut Outbox) {
        if let Some(connection) = via
            && !self.admits(connection.name(), &signal)
        {
            return out.refuse(signal, via);
        }
        // What most signals are: their message alone goes on.
        let signal = match signal {
            Control::Send(control::Send {
                to: Target::Pid(pid),
                message,
                ..
            }) => {
                if let Some(cell) = self.cell(&pid) {
                    cell.tell(Message::Term(message), out);
                }
                return;
            }
            Control::SpawnReply(reply) if via.is_some_and(|via| via.calls.spawned(&reply, out)) => return,
            Control::MonitorPExit(down) if via.is_some_and(|via| via.calls.ended(&down, out)) => return,
            signal => signal,
        };
        let cell = match signal::receiver(&signal) {
            Receiver::Pid(pid) => self.cell(pid),
            Receiver::Name(name) => match (&signal, via) {
                (Control::DemonitorP(demonitor), Some(via)) => via
                    .named_at(&demonitor.reference)
                    .and_then(|number| self.0.table.get(number)),
                _ => self.0.table.whereis(name),
            },
            Receiver::Alias(alias) => self.alias_cell(alias),
            Receiver::Node => None,
        };
        match (cell, signal) {
            (Some(cell), signal) => cell.receive(signal, via, out),
            (None, Control::SpawnRequest(request)) => spawn::serve(self, *request, via, out),
            (None, signal) => out.refuse(signal, via),
        }
    }

    /// The connection has ended: every link and monitor over it fires, then everybody is told.
    pub(super) fn connection_down(&self, connection: &Arc<Connection>, reason: DownReason) {
        let mut out = Outbox::default();
        connection.calls.disconnected(connection.closing(), &mut out);
        for number in connection.ended() {
            if let Some(cell) = self.0.table.get(number) {
                cell.disconnected(connection, &mut out);
            }
        }
        self.deliver(out);
        let mut out = Outbox::default();
        self.0.connections.down(connection, reason, &mut out);
        self.deliver(out);
    }
}

fn not_sent(error: net::SendError, node: Atom) -> SendError {
    match error {
        net::SendError::Unsendable(error) => SendError::Unsendable(error),
        net::SendError::Closed => SendError::ConnectionLost { node },
        net::SendError::Busy => SendError::Busy { node },
    }
}

/// The control message for a message from `from`.
fn send(from: &Pid, to: Target, message: RawTerm) -> Control {
    Control::Send(control::Send {
        from: Some(from.clone()),
        to,
        priority: false,
        token: None,
        message,
    })
}
