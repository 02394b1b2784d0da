//! The handle of a process: its own view of itself.

use std::sync::Arc;

use super::cell::{Birth, Cell, Telling};
use super::connections::Route;
use super::error::ConnectError;
use super::message::Item;
use super::signal::Outbox;
use super::{Destination, ExitReason, Node, Until, task};
use crate::dist::Unsendable;
use crate::dist::control::{self, Control, Exit2, GroupLeader, Target};
use crate::etf::{Encode, RawTerm};
use crate::term::{Atom, Pid, Reference, Term};

/// A process of this node: a pid, and a mailbox that only this handle reads.
///
/// Dropping the handle that [`Node::process`] gave ends the process, with the reason `normal` unless
/// [`exit`](Self::exit) gave another. A process that [`Node::spawn`] started ends with its task.
#[derive(Debug)]
pub struct Process {
    node: Node,
    cell: Arc<Cell>,
    /// Whether the end of the handle is the end of the process. Not so where a task stands behind it, which ends it.
    owns: bool,
    /// How many functions have called one another for it since its task was begun.
    pub(crate) nesting: u8,
}

/// How a monitor is to be; as the options of `erlang:monitor/3`.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct MonitorOptions {
    /// The reference is an alias too, for that long: `{alias, explicit_unalias}` and its kin.
    pub alias: Option<Until>,
    /// What the message begins with in place of `'DOWN'`: `{tag, Tag}`.
    pub tag: Option<Term>,
    /// The message is received before others that wait: `priority` of OTP 28.
    pub priority: bool,
}

/// Why a message could not be sent.
///
/// As in Erlang, a message to a process that does not exist is no error: nobody knows.
#[derive(Debug, Clone, thiserror::Error)]
pub enum SendError {
    /// The receiver's node cannot be reached.
    #[error(transparent)]
    Connect(#[from] ConnectError),
    /// The connection to the receiver's node ended while the message waited to be sent.
    #[error("the connection to {node} ended before the message was sent")]
    ConnectionLost {
        /// The receiver's node.
        node: Atom,
    },
    /// The connection to the receiver's node is busy: [`Process::try_send`] does not wait.
    #[error("the connection to {node} is busy")]
    Busy {
        /// The receiver's node.
        node: Atom,
    },
    /// The receiver's node is not connected: [`Process::try_send`] does not connect.
    #[error("{node} is not connected")]
    NotConnected {
        /// The receiver's node.
        node: Atom,
    },
    /// The receiver's node does not understand this kind of message, or it is too large.
    #[error(transparent)]
    Unsendable(#[from] Unsendable),
    /// No process of this node has that name.
    #[error("no process is registered as {name} on this node")]
    NotRegistered {
        /// The name.
        name: Atom,
    },
    /// The destination names no process that could exist.
    #[error("a registered name has at most 255 characters")]
    Nobody,
    /// The sending process has ended.
    #[error("the sending process has ended")]
    Exited,
}

/// Why a name could not be registered.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RegisterError {
    /// The name belongs to another process of this node.
    #[error("another process is registered as {name}")]
    Taken {
        /// The name.
        name: Atom,
    },
    /// The process has a name already: as in Erlang, it can have one.
    #[error("the process is registered as {name} already")]
    HasName {
        /// The name that it has.
        name: Atom,
    },
    /// `undefined`, and what is too long for an atom, is no name.
    #[error("{name:?} cannot be a registered name")]
    Illegal {
        /// The name that was asked for.
        name: String,
    },
    /// The process has ended.
    #[error("the process has ended")]
    Exited,
}

impl Process {
    pub(crate) fn new(node: Node, cell: Arc<Cell>) -> Self {
        Self {
            node,
            cell,
            owns: true,
            nesting: 0,
        }
    }

    /// Another handle, to send as this process, which does not end it.
    pub(crate) fn handle(&self) -> Self {
        let mut handle = Self::new(self.node.clone(), Arc::clone(&self.cell)).disown();
        handle.nesting = self.nesting;
        handle
    }

    /// Runs `body` as this process, which ends with it.
    pub(crate) fn run<F>(self, body: impl FnOnce(Self) -> F) -> Pid
    where
        F: Future<Output = Result<(), ExitReason>> + Send + 'static,
    {
        task::run(self, body)
    }

    /// Answers the spawn request that the process comes from, unless that is done: it is to be before the process does anything.
    pub(super) fn confirm(&self) {
        let mut out = Outbox::default();
        self.cell.answer(&mut out);
        self.node.deliver(out);
    }

    /// Leaves the process's end to whoever holds `self.cell()`.
    pub(crate) fn disown(mut self) -> Self {
        self.owns = false;
        self
    }

    /// The process's pid.
    #[must_use]
    pub fn pid(&self) -> &Pid {
        self.cell.pid()
    }

    /// The node that the process lives on.
    #[must_use]
    pub fn node(&self) -> &Node {
        &self.node
    }

    /// The node on whose behalf the process runs, where another had it made.
    pub(crate) fn origin(&self) -> Option<&Atom> {
        self.cell.birth()?.origin.as_ref()
    }

    /// The process that spawned this one, if one did.
    pub(crate) fn parent(&self) -> Option<&Pid> {
        Some(&self.cell.birth()?.parent)
    }

    /// Notes on whose behalf it runs, and what.
    pub(crate) fn born_of(&self, parent: &Pid, function: (Atom, Atom, usize)) {
        let ours = parent.node() == self.node.name();
        let origin = (!ours).then(|| parent.node().clone());
        self.cell.born(Birth {
            origin,
            parent: parent.clone(),
            function: Some(function),
        });
    }

    /// Takes over on whose behalf `other` runs.
    pub(crate) fn inherit(&self, other: &Self) {
        if let Some(birth) = other.cell.birth() {
            self.cell.born(Birth {
                origin: birth.origin.clone(),
                parent: other.pid().clone(),
                function: birth.function.clone(),
            });
        }
    }

    pub(crate) fn cell(&self) -> &Arc<Cell> {
        &self.cell
    }

    /// Registers the process under `name`, as `erlang:register/2`.
    ///
    /// The name is free again when the process ends.
    ///
    /// # Errors
    /// When the name is taken or illegal, or the process has a name or has ended.
    pub fn register(&self, name: &str) -> Result<(), RegisterError> {
        self.node.register(name, self.pid())
    }

    /// The process's registered name.
    pub(crate) fn name(&self) -> Option<Atom> {
        self.cell.name()
    }

    /// Gives up the process's registered name, and says which it was.
    pub fn unregister(&self) -> Option<Atom> {
        let name = self.cell.name()?;
        self.node.unregister(&name).then_some(name)
    }

    /// The process's group leader, as `group_leader/0`.
    #[must_use]
    pub fn group_leader(&self) -> Pid {
        self.cell.leader()
    }

    /// Gives this process another group leader, as `group_leader/2`.
    pub fn set_group_leader(&self, leader: Pid) {
        self.cell.set_leader(leader);
    }

    // Messages

    /// Sends `message` to `to`, as `to ! message`.
    ///
    /// Connects to the receiver's node when that is not connected yet, and waits while more is queued for that
    /// node than its busy limit allows (BEAM's `+zdbbl`). What one process sends to another arrives in order.
    ///
    /// # Errors
    /// When the receiver's node cannot be reached, or a local name does not exist. That the receiver
    /// exists, or gets the message, is not known; monitor it for that.
    pub async fn send(&self, to: impl Into<Destination>, message: impl Encode) -> Result<(), SendError> {
        self.node.send_from(&self.cell, to.into(), message.to_raw()).await
    }

    /// Sends `message` to `to` if that takes no waiting, as `erlang:send(To, Message, [nosuspend, noconnect])`.
    ///
    /// [`Node::watch_busy`] tells when a node that was busy is free again.
    ///
    /// # Errors
    /// [`Busy`](SendError::Busy) where [`send`](Self::send) waits for room, [`NotConnected`](SendError::NotConnected) where it connects:
    /// nothing is sent then. Else as there.
    pub fn try_send(&self, to: impl Into<Destination>, message: impl Encode) -> Result<(), SendError> {
        self.node.try_send_from(&self.cell, to.into(), message.to_raw())
    }

    /// Sends a priority message to an alias that was made for them, as `erlang:send(Alias, Message, [priority])`. It is received
    /// before others that wait. A node before OTP 28, and an alias that was not made for them, takes it for an ordinary one.
    ///
    /// # Errors
    /// As [`send`](Self::send).
    pub async fn send_priority(&self, alias: &Reference, message: impl Encode) -> Result<(), SendError> {
        if !self.cell.is_alive() {
            return Err(SendError::Exited);
        }
        let send = control::Send {
            from: Some(self.pid().clone()),
            to: Target::Alias(alias.clone()),
            priority: true,
            token: None,
            message: message.to_raw(),
        };
        self.node
            .send_signal(alias.node().clone(), Control::Send(send))
            .await
    }

    /// Sends `message` to `to` if that takes no waiting for a connection or for room in its queue: for services, which one slow
    /// peer must not keep from serving the others.
    pub(crate) fn post(&self, to: impl Into<Destination>, message: impl Encode) {
        self.node.post(self.pid(), to.into(), message.to_raw());
    }

    /// Sends `message` the way that a monitor has taken, and no other: over a later connection, the answer could come when the end of
    /// this one has been told.
    pub(crate) async fn send_over(
        &self,
        route: Option<Route>,
        to: Destination,
        message: RawTerm,
    ) -> Result<(), SendError> {
        self.node.send_over(&self.cell, route, to, message).await
    }

    /// How many messages wait.
    #[must_use]
    pub fn mailbox_len(&self) -> usize {
        self.cell.mailbox_len()
    }

    // Links and exits

    /// Links this process with `pid`, as `erlang:link/1`.
    ///
    /// When one of the two ends, the other gets an exit signal. If `pid` does not exist, or its node cannot be
    /// reached, that signal (`noproc`, `noconnection`) comes at once. Waits for room on a busy connection, as a message does.
    pub async fn link(&self, pid: &Pid) {
        self.link_as(pid, false).await;
    }

    /// Links this process with `pid`, as `erlang:link(Pid, [priority])` of OTP 28: if this process traps exits, the message of
    /// the link's exit signal is received before others that wait. Whatever the release of the other side.
    pub async fn link_with_priority(&self, pid: &Pid) {
        self.link_as(pid, true).await;
    }

    async fn link_as(&self, pid: &Pid, priority: bool) {
        if pid == self.pid() {
            return;
        }
        let mut out = Outbox::default();
        match self.node.free_route_to(pid.node()).await {
            Ok(Some(via)) => self.cell.link_far(pid, &via, priority, &mut out),
            Ok(None) => match self.node.cell(pid) {
                Some(other) => self.cell.link_near(&other, priority, &mut out),
                None => self.cell.link_to_none(pid, "noproc", priority, &mut out),
            },
            Err(_) => self.cell.link_to_none(pid, "noconnection", priority, &mut out),
        }
        self.node.deliver(out);
    }

    /// Starts a process that runs `body`, linked with this one from the start, as `spawn_link/1`. See [`Node::spawn`].
    pub fn spawn_link<F>(&self, body: impl FnOnce(Self) -> F) -> Pid
    where
        F: Future<Output = Result<(), ExitReason>> + Send + 'static,
    {
        let child = self.child();
        let mut out = Outbox::default();
        self.cell.link_near(&child.cell, false, &mut out);
        self.node.deliver(out);
        child.run(body)
    }

    /// Starts a process that runs `body`, monitored by this one from the start, as `spawn_monitor/1`. See [`Node::spawn`].
    pub fn spawn_monitor<F>(&self, body: impl FnOnce(Self) -> F) -> (Pid, Reference)
    where
        F: Future<Output = Result<(), ExitReason>> + Send + 'static,
    {
        let child = self.child();
        let (reference, item) = (self.node.make_ref(), Item::Pid(child.pid().clone()));
        let mut out = Outbox::default();
        self.cell
            .monitor_near(&child.cell, reference.clone(), item, Telling::default(), &mut out);
        self.node.deliver(out);
        (child.run(body), reference)
    }

    /// A new process with this one for its parent, its group leader, and on whose behalf it runs.
    fn child(&self) -> Self {
        let child = self.node.process();
        child.set_group_leader(self.group_leader());
        child.cell.born(Birth {
            origin: self.origin().cloned(),
            parent: self.pid().clone(),
            function: None,
        });
        child
    }

    /// Takes the link with `pid` away, as `erlang:unlink/1`: no exit signal from it comes afterwards.
    pub fn unlink(&self, pid: &Pid) {
        let mut out = Outbox::default();
        match self.node.cell(pid) {
            Some(other) if other.pid() != self.pid() => self.cell.unlink_near(&other),
            Some(_) => {}
            None => self.cell.unlink_far(pid, &mut out),
        }
        self.node.deliver(out);
    }

    /// Whether exit signals become [`Message::Exit`](super::Message::Exit) messages, as `process_flag(trap_exit, Trap)`. Says what it was.
    pub fn trap_exit(&self, trap: bool) -> bool {
        self.cell.set_trap_exit(trap)
    }

    /// Sends an exit signal to `pid`, as `erlang:exit/2`. [`ExitReason::KILL`] cannot be trapped. Waits for room on a busy
    /// connection, as a message does.
    ///
    /// # Errors
    /// When the node of `pid` cannot be reached.
    pub async fn exit_other(&self, pid: &Pid, reason: impl Into<ExitReason>) -> Result<(), ConnectError> {
        let exit = Exit2 {
            from: self.pid().clone(),
            to: Target::Pid(pid.clone()),
            priority: false,
            token: None,
            reason: reason.into().raw(),
        };
        match self.node.route_to(pid.node()).await? {
            // A connection that ends takes the signal with it, as one that is lost on its way.
            Some(via) => drop(via.outbound.send(Control::Exit2(exit)).await),
            None => self.node.deliver(Outbox::of(Control::Exit2(exit))),
        }
        Ok(())
    }

    /// Gives any process another group leader, as `erlang:group_leader/2`; `false` when it is one of this node that does not live.
    pub(crate) async fn lead(&self, pid: &Pid, leader: Pid) -> bool {
        if pid.node() == self.node.name() {
            return self.node.set_group_leader(pid, leader);
        }
        let change = GroupLeader {
            from: Some(self.pid().clone()),
            leader,
            to: pid.clone(),
        };
        let signal = Control::GroupLeader(change);
        // As in Erlang, nobody is told that it could not be sent.
        self.node.send_signal(pid.node().clone(), signal).await.ok();
        true
    }

    /// Sends an exit signal to the process behind an alias, as `erlang:exit(Alias, Reason, [priority])` of OTP 28: one that traps
    /// exits receives the message before others that wait, if it made the alias for that.
    ///
    /// # Errors
    /// When the alias's node cannot be reached, or is of a release before OTP 28.
    pub async fn exit_priority(
        &self,
        alias: &Reference,
        reason: impl Into<ExitReason>,
    ) -> Result<(), SendError> {
        self.exit_alias(alias, reason, true).await
    }

    /// The same, and without priority as well.
    pub(crate) async fn exit_alias(
        &self,
        alias: &Reference,
        reason: impl Into<ExitReason>,
        priority: bool,
    ) -> Result<(), SendError> {
        let exit = Exit2 {
            from: self.pid().clone(),
            to: Target::Alias(alias.clone()),
            priority,
            token: None,
            reason: reason.into().raw(),
        };
        self.node
            .send_signal(alias.node().clone(), Control::Exit2(exit))
            .await
    }

    /// Ends this process with `reason`, as `erlang:exit/1`.
    pub fn exit(self, reason: impl Into<ExitReason>) {
        self.end(reason.into());
    }

    // Monitors

    /// Monitors a process, as `erlang:monitor(process, Item)`: a [`Message::Down`](super::Message::Down) comes when it ends, or at once when
    /// it does not exist (`noproc`) or its node cannot be reached (`noconnection`). Waits for room on a busy connection, as a
    /// message does.
    pub async fn monitor(&self, item: impl Into<Item>) -> Reference {
        self.monitor_with(item, MonitorOptions::default()).await
    }

    /// Monitors a process with options, as `erlang:monitor/3`.
    ///
    /// ```no_run
    /// # async fn example(mut me: beamnode::node::Process) {
    /// use beamnode::node::{Message, MonitorOptions};
    /// use beamnode::term::Term;
    ///
    /// let options = MonitorOptions { tag: Some(Term::atom("lost")), ..MonitorOptions::default() };
    /// me.monitor_with(("store", "alice@build"), options).await;
    /// if let Some(message @ Message::Down(_)) = me.recv().await {
    ///     println!("{}", message.term().unwrap()); // {lost, Reference, process, {store, alice@build}, Reason}
    /// }
    /// # }
    /// ```
    pub async fn monitor_with(&self, item: impl Into<Item>, options: MonitorOptions) -> Reference {
        self.monitor_and_route(item.into(), options).await.0
    }

    /// The same, with the way that the monitor has taken, if there was one.
    pub(crate) async fn monitor_and_route(
        &self,
        item: Item,
        options: MonitorOptions,
    ) -> (Reference, Option<Route>) {
        let telling = Telling {
            tag: options.tag.map(Box::new),
            priority: options.priority,
        };
        // Nothing is held while this waits: whoever gives the wait up leaves nothing behind.
        let route = self.node.free_route_to(item.node()).await.ok();
        let reference = match options.alias {
            None => self.node.make_ref(),
            Some(until) => {
                let alias = self.node.alias_of(&self.cell);
                self.cell.alias(alias.clone(), until.into());
                alias
            }
        };
        let reference = self.monitor_over(route.as_ref(), reference, item, telling);
        (reference, route)
    }

    /// Monitors with a reference that the caller has made, before there is a way to the item's node. Does not wait for room: for
    /// services, as [`post`](Self::post).
    pub(crate) async fn monitor_under(&self, reference: Reference, item: Item) -> Reference {
        let route = self.node.route_to(item.node()).await.ok();
        self.monitor_over(route.as_ref(), reference, item, Telling::default())
    }

    /// Monitors a process of this node, or of one that is connected: without a connection it fires at once.
    pub(crate) fn monitor_now(&self, item: impl Into<Item>) -> Reference {
        let item = item.into();
        let route = self.node.route_now(item.node());
        self.monitor_over(route.as_ref(), self.node.make_ref(), item, Telling::default())
    }

    /// Monitors over the route to the item's node, if there is one.
    fn monitor_over(
        &self,
        route: Option<&Route>,
        reference: Reference,
        item: Item,
        telling: Telling,
    ) -> Reference {
        let mut out = Outbox::default();
        let (cell, noted) = (&self.cell, reference.clone());
        match route {
            Some(Some(via)) => cell.monitor_far(via, noted, item, telling, &mut out),
            Some(None) => match self.node.cell_of(&item) {
                // Nobody sees their own end.
                Some(other) if other.pid() == self.pid() => {}
                Some(other) => cell.monitor_near(&other, noted, item, telling, &mut out),
                None => cell.monitor_none(noted, item, "noproc", telling, &mut out),
            },
            None => cell.monitor_none(noted, item, "noconnection", telling, &mut out),
        }
        self.node.deliver(out);
        reference
    }

    /// Takes a monitor away, as `erlang:demonitor(Reference, [info])`: `true` if it had not fired.
    pub fn demonitor(&self, reference: &Reference) -> bool {
        let mut out = Outbox::default();
        let held = self.cell.demonitor(reference, &mut out);
        self.node.deliver(out);
        held
    }

    /// Takes a monitor away together with its message, as `erlang:demonitor(Reference, [flush])`: `true` if it had not
    /// fired.
    pub fn demonitor_flush(&self, reference: &Reference) -> bool {
        let held = self.demonitor(reference);
        if !held {
            self.cell.flush_down(reference);
        }
        held
    }

    pub(crate) fn end(&self, reason: ExitReason) {
        self.end_with(reason.raw());
    }

    /// The same with an encoded reason.
    pub(crate) fn end_with(&self, reason: RawTerm) {
        let mut out = Outbox::default();
        self.cell.exit(reason, &mut out);
        self.node.deliver(out);
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if self.owns {
            self.end(ExitReason::NORMAL);
        }
    }
}
