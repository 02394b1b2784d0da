//! Signals on their way: what one process does to another, on this node or over a connection.
//!
//! "Signals" in Erlang's reference manual. A signal is a [`Control`] message wherever it goes: two processes of this node
//! exchange the very messages that they would exchange over a connection, so that both kinds of pair behave alike.

use std::collections::VecDeque;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Waker};

use super::cell;
use super::connections::Connection;
use super::spawn::Start;
use super::table::Number;
use crate::dist::control::{Control, Exit, MonitorP, MonitorPExit, Monitored, Target, UnlinkIdAck};
use crate::etf::RawTerm;
use crate::term::{Atom, Pid, Reference, Term};

/// What the handling of one signal leads to: more signals, and processes that ended or are to begin.
///
/// Handlers put work here and never call one another, so a chain of a million links that breaks takes a queue
/// and not a million stack frames.
#[derive(Debug, Default)]
pub(crate) struct Outbox {
    /// Signals for processes of this node.
    pub(crate) near: VecDeque<Control>,
    pub(crate) ended: Vec<Ended>,
    /// Processes whose spawn requests are answered, so that they may begin.
    pub(crate) starts: VecDeque<Start>,
    /// When those are woken who wait for what has come.
    pub(crate) wakes: Wakes,
}

/// When tasks are woken that wait for what has come.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) enum Wakes {
    /// Each at once.
    #[default]
    Each,
    /// The next at once, the others together: for what comes with one read.
    OneAndTogether,
    /// Together, when nothing else is left to do.
    Together,
}

/// A process that has just ended, to be taken off the node's tables.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) number: Number,
    pub(crate) name: Option<Atom>,
}

impl Outbox {
    /// Wakes a task that waits for what has just come.
    ///
    /// A worker of the runtime wakes another thread for every task but the first that it wakes; that finds little to do, and sleeps again. Those that
    /// are woken together it wakes when it has nothing else to do, or at the latest when it looks for what there is to read.
    pub(crate) fn wake(&mut self, waker: Waker) {
        match self.wakes {
            Wakes::Each => waker.wake(),
            Wakes::OneAndTogether => {
                self.wakes = Wakes::Together;
                waker.wake();
            }
            Wakes::Together => {
                let _ = pin!(tokio::task::yield_now()).poll(&mut Context::from_waker(&waker));
            }
        }
    }

    /// With one signal in it, for a process of this node.
    pub(crate) fn of(signal: Control) -> Self {
        let mut out = Self::default();
        out.near.push_back(signal);
        out
    }

    /// Sends a signal over a connection, at once, so that what happens under one process's lock goes out in that order; one for
    /// a process of this node waits here.
    pub(crate) fn push(&mut self, signal: Control, via: Option<&Arc<Connection>>) {
        let Some(connection) = via else {
            return self.near.push_back(signal);
        };
        if let Err(error) = connection.outbound.send_now(signal) {
            tracing::debug!(peer = %connection.name(), %error, "signal not sent");
        }
    }

    /// Answers a signal whose receiver does not exist, as Erlang does: `noproc` for what waits for an answer.
    pub(crate) fn refuse(&mut self, signal: Control, via: Option<&Arc<Connection>>) {
        let answer = match signal {
            Control::Link(link) => Control::Exit(Exit {
                from: link.to,
                to: link.from,
                token: None,
                reason: reason("noproc"),
            }),
            Control::MonitorP(MonitorP { from, to, reference }) => Control::MonitorPExit(MonitorPExit {
                process: None,
                from: to,
                to: from,
                reference,
                reason: reason("noproc"),
            }),
            Control::Unlink(unlink) => match unlink.id {
                Some(id) => Control::UnlinkIdAck(UnlinkIdAck {
                    from: unlink.to,
                    to: unlink.from,
                    id,
                }),
                None => return,
            },
            Control::SpawnReply(reply) => return cell::abandon(&reply.to.clone(), reply, via, self),
            _ => return,
        };
        self.push(answer, via);
    }
}

/// Whom `signal` is for.
pub(crate) fn receiver(signal: &Control) -> Receiver<'_> {
    match signal {
        Control::Send(send) => Receiver::from(&send.to),
        Control::Exit2(exit) => Receiver::from(&exit.to),
        Control::MonitorP(monitor) => Receiver::from(&monitor.to),
        Control::DemonitorP(demonitor) => Receiver::from(&demonitor.to),
        Control::Link(link) => Receiver::Pid(&link.to),
        Control::Unlink(unlink) => Receiver::Pid(&unlink.to),
        Control::UnlinkIdAck(ack) => Receiver::Pid(&ack.to),
        Control::Exit(exit) => Receiver::Pid(&exit.to),
        Control::GroupLeader(change) => Receiver::Pid(&change.to),
        Control::MonitorPExit(down) => Receiver::Pid(&down.to),
        Control::SpawnReply(reply) => Receiver::Pid(&reply.to),
        Control::SpawnRequest(_) => Receiver::Node,
    }
}

/// Whom a signal is for.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Receiver<'a> {
    Pid(&'a Pid),
    Name(&'a Atom),
    Alias(&'a Reference),
    /// The node itself.
    Node,
}

impl<'a> From<&'a Target> for Receiver<'a> {
    fn from(target: &'a Target) -> Self {
        match target {
            Target::Pid(pid) => Self::Pid(pid),
            Target::Name(name) => Self::Name(name),
            Target::Alias(alias) => Self::Alias(alias),
        }
    }
}

impl<'a> From<&'a Monitored> for Receiver<'a> {
    fn from(item: &'a Monitored) -> Self {
        match item {
            Monitored::Pid(pid) => Self::Pid(pid),
            Monitored::Name(name) => Self::Name(name),
        }
    }
}

/// A reason that is an atom.
pub(crate) fn reason(text: &'static str) -> RawTerm {
    RawTerm::new(&Term::atom(text))
}
