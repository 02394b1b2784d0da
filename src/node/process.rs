//! The handle of a process: its own view of itself.

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use futures_core::Stream;

use super::cell::Cell;
use super::error::ConnectError;
use super::mailbox::Place;
use super::message::{Item, Message};
use super::signal::{Outbox, reason};
use super::{Destination, ExitReason, Node, task};
use crate::dist::Unsendable;
use crate::dist::control::{self, Control, Exit2, Link, MonitorP, MonitorPExit, Monitored, Target};
use crate::etf::{Encode, RawTerm};
use crate::term::{Atom, Pid, Reference};

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
        }
    }

    /// Another handle, to send as this process, which does not end it.
    pub(crate) fn handle(&self) -> Self {
        Self::new(self.node.clone(), Arc::clone(&self.cell)).disown()
    }

    /// Runs `body` as this process, which ends with it.
    pub(crate) fn run<F>(self, body: impl FnOnce(Self) -> F) -> Pid
    where
        F: Future<Output = Result<(), ExitReason>> + Send + 'static,
    {
        task::run(self, body)
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
        if !self.cell.is_alive() {
            return Err(SendError::Exited);
        }
        self.node
            .send_from(self.pid(), to.into(), RawTerm::new(&message))
            .await
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
            message: RawTerm::new(&message),
        };
        self.node
            .send_signal(alias.node().clone(), Control::Send(send))
            .await
    }

    /// Sends `message` to `to` if that takes no waiting for a connection or for room in its queue: for services, which one slow
    /// peer must not keep from serving the others.
    pub(crate) fn post(&self, to: impl Into<Destination>, message: impl Encode) {
        self.node.post(self.pid(), to.into(), RawTerm::new(&message));
    }

    /// The next message, in the order of arrival. `None` once the process has been ended from outside, or the node
    /// has stopped.
    ///
    /// Cancelling the wait loses no message.
    pub async fn recv(&mut self) -> Option<Message> {
        poll_fn(|cx| self.cell.poll_receive(cx)).await
    }

    /// The first message that `select` gives something for; the others stay, in their order. Erlang's selective
    /// `receive`.
    ///
    /// `None` once the process has been ended from outside. Cancelling the wait loses no message.
    pub async fn recv_select<T>(&mut self, mut select: impl FnMut(&Message) -> Option<T>) -> Option<T> {
        let mut place = Place::default();
        poll_fn(|cx| self.cell.poll_select(cx, &mut place, &mut select)).await
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
    /// reached, that signal (`noproc`, `noconnection`) comes at once.
    pub async fn link(&self, pid: &Pid) {
        if pid == self.pid() {
            return;
        }
        let mut out = Outbox::default();
        let gone = match self.node.route_to(pid.node()).await {
            Ok(via) => match self.cell.link(pid, via.as_ref()) {
                Ok(true) => {
                    let link = Link {
                        from: self.pid().clone(),
                        to: pid.clone(),
                    };
                    out.push(Control::Link(link), via);
                    false
                }
                Ok(false) => false,
                Err(_) => true,
            },
            Err(_) => true,
        };
        if gone {
            // A link that never was is told as one that broke.
            let _ = self.cell.link(pid, None);
            let (from, to) = (pid.clone(), self.pid().clone());
            let exit = control::Exit {
                from,
                to,
                token: None,
                reason: reason("noconnection"),
            };
            out.push(Control::Exit(exit), None);
        }
        self.node.deliver(out);
    }

    /// Starts a process that runs `body`, linked with this one from the start, as `spawn_link/1`. See [`Node::spawn`].
    pub fn spawn_link<F>(&self, body: impl FnOnce(Self) -> F) -> Pid
    where
        F: Future<Output = Result<(), ExitReason>> + Send + 'static,
    {
        let child = self.child();
        let link = Link {
            from: self.pid().clone(),
            to: child.pid().clone(),
        };
        if matches!(self.cell.link(child.pid(), None), Ok(true)) {
            self.node.deliver(Outbox::of(Control::Link(link), None));
        }
        child.run(body)
    }

    /// Starts a process that runs `body`, monitored by this one from the start, as `spawn_monitor/1`. See [`Node::spawn`].
    pub fn spawn_monitor<F>(&self, body: impl FnOnce(Self) -> F) -> (Pid, Reference)
    where
        F: Future<Output = Result<(), ExitReason>> + Send + 'static,
    {
        let child = self.child();
        let (reference, pid) = (self.node.make_ref(), child.pid().clone());
        if self
            .cell
            .monitor(reference.clone(), Item::Pid(pid.clone()), None)
            .is_ok()
        {
            let (from, to) = (self.pid().clone(), Monitored::Pid(pid));
            let monitor = MonitorP {
                from,
                to,
                reference: reference.clone(),
            };
            self.node.deliver(Outbox::of(Control::MonitorP(monitor), None));
        }
        (child.run(body), reference)
    }

    /// A new process with the group leader of this one.
    fn child(&self) -> Self {
        let child = self.node.process();
        child.set_group_leader(self.group_leader());
        child
    }

    /// Takes the link with `pid` away, as `erlang:unlink/1`: no exit signal from it comes afterwards.
    pub fn unlink(&self, pid: &Pid) {
        let mut out = Outbox::default();
        self.cell.unlink(pid, &mut out);
        self.node.deliver(out);
    }

    /// Whether exit signals become [`Message::Exit`] messages, as `process_flag(trap_exit, Trap)`. Says what it was.
    pub fn trap_exit(&self, trap: bool) -> bool {
        self.cell.set_trap_exit(trap)
    }

    /// Sends an exit signal to `pid`, as `erlang:exit/2`. [`ExitReason::KILL`] cannot be trapped.
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
        let mut out = Outbox::default();
        out.push(Control::Exit2(exit), self.node.route_to(pid.node()).await?);
        self.node.deliver(out);
        Ok(())
    }

    /// Ends this process with `reason`, as `erlang:exit/1`.
    pub fn exit(self, reason: impl Into<ExitReason>) {
        self.end(reason.into());
    }

    // Monitors

    /// Monitors a process, as `erlang:monitor(process, Item)`: a [`Message::Down`] comes when it ends, or at once when
    /// it does not exist (`noproc`) or its node cannot be reached (`noconnection`).
    pub async fn monitor(&self, item: impl Into<Item>) -> Reference {
        self.monitor_as(self.node.make_ref(), item.into()).await
    }

    pub(super) async fn monitor_as(&self, reference: Reference, item: Item) -> Reference {
        let mut out = Outbox::default();
        let to = Monitored::from(item.clone());
        let noted = match self.node.route_to(item.node()).await {
            Ok(via) => match self.cell.monitor(reference.clone(), item.clone(), via.as_ref()) {
                Ok(()) => {
                    let from = self.pid().clone();
                    let monitor = MonitorP {
                        from,
                        to: to.clone(),
                        reference: reference.clone(),
                    };
                    out.push(Control::MonitorP(monitor), via);
                    true
                }
                Err(_) => false,
            },
            Err(_) => false,
        };
        if !noted {
            let _ = self.cell.monitor(reference.clone(), item.clone(), None);
            let down = MonitorPExit {
                process: None,
                from: to,
                to: self.pid().clone(),
                reference: reference.clone(),
                reason: reason("noconnection"),
            };
            out.push(Control::MonitorPExit(down), None);
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
        let mut out = Outbox::default();
        self.cell.exit(reason.raw(), &mut out);
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

/// The messages, as [`Process::recv`] gives them.
impl Stream for Process {
    type Item = Message;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Message>> {
        self.cell.poll_receive(cx)
    }
}
