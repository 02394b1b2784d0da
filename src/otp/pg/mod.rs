//! `pg`: process groups that span the nodes of a cluster, without a leader and without a lock.
//!
//! A **scope** is a set of groups, and a process of that name on each node that takes part. Scopes of the same name find each other and
//! tell each other which of their node's processes are in which groups; each keeps the view of all that it hears, so that asking for the
//! members of a group is a look into a table. Views become equal once nodes are connected and nobody joins or leaves any more.
//! It speaks with the `pg` of every release since OTP 23 at once, and keeps none of them from speaking with others.
//!
//! ```no_run
//! # async fn example(node: beamnode::node::Node) -> Result<(), Box<dyn std::error::Error>> {
//! use beamnode::term::Term;
//!
//! let pg = node.pg("chat")?;
//! let me = node.process();
//! pg.join(Term::atom("lobby"), me.pid())?;
//! for member in pg.members(Term::atom("lobby")) {
//!     me.send(&member, Term::atom("hello")).await?;
//! }
//! # Ok(())
//! # }
//! ```
//!
//! | module | holds |
//! |---|---|
//! | `scope` | what a scope knows and does: pure |
//! | `wire` | the messages of all releases |
//! | `functions` | the module `pg` for other nodes to call |

mod functions;
mod scope;
#[cfg(test)]
mod tests;
mod wire;

use std::collections::HashMap;
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use tracing::debug;

pub use self::scope::ChangeKind;
use self::scope::{Action, Change, Scope};
use self::wire::Received;
use crate::etf::{DecodeError, RawTerm};
use crate::node::{Destination, Message, Node, NodeMonitor, NodeType, Process, RegisterError};
use crate::term::{Atom, Pid, Reference, Term};

pub(super) use functions::start;

/// The scope that the functions without one mean.
const DEFAULT: &str = "pg";

/// The scopes of one node.
#[derive(Debug, Default)]
pub(crate) struct Scopes {
    running: Mutex<HashMap<Atom, Pg>>,
}

impl Scopes {
    /// The running scope of that name.
    fn find(&self, name: &str) -> Option<Pg> {
        let running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        running.get(name).filter(|pg| pg.is_running()).cloned()
    }

    /// The scope of that name, and whether it is a new one.
    fn find_or_start(&self, node: &Node, name: Atom) -> Result<(Pg, bool), RegisterError> {
        let mut running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(pg) = running.get(&name).filter(|pg| pg.is_running()) {
            return Ok((pg.clone(), false));
        }
        let pg = Pg::start(node, name.clone())?;
        running.insert(name, pg.clone());
        Ok((pg, true))
    }
}

impl Node {
    /// The scope `name` of process groups, started if it does not run yet: `pg:start(Name)`.
    ///
    /// As on a BEAM node, no scope runs before somebody starts it, the default one, `pg`, included.
    ///
    /// # Errors
    /// When the name is illegal, or another process of this node has it.
    pub fn pg(&self, name: &str) -> Result<Pg, RegisterError> {
        let illegal = |_| RegisterError::Illegal {
            name: name.to_owned(),
        };
        let name = Atom::new(name).map_err(illegal)?;
        self.services().pg.find_or_start(self, name).map(|(pg, _)| pg)
    }
}

/// A scope of process groups on this node. Cheap to clone; the scope runs until [`stop`](Self::stop), or until its node stops.
#[derive(Debug, Clone)]
pub struct Pg(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    name: Atom,
    /// Speaks as the scope's process.
    me: Process,
    /// Everything that follows from a change is done before the lock is given back, so that all who are told are told in one order.
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    /// `None` once the scope has ended.
    scope: Option<Scope>,
    monitors: HashMap<Pid, Reference>,
    monitored: HashMap<Reference, Pid>,
}

/// Why a process cannot join a group.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum JoinError {
    /// Only processes of this node can join here.
    #[error("{0} is not a process of this node")]
    NotLocal(Pid),
    /// The scope has ended.
    #[error("the scope has ended")]
    Ended,
}

/// Why a process cannot leave a group.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LeaveError {
    /// None of the processes is in the group.
    #[error("no such process is in the group")]
    NotJoined,
    /// Only processes of this node can leave here.
    #[error("{0} is not a process of this node")]
    NotLocal(Pid),
    /// The scope has ended.
    #[error("the scope has ended")]
    Ended,
}

/// One process or several, to join or leave a group: a `&Pid`, a `Pid`, a slice or a vector of them. The same one may be there several
/// times.
#[derive(Debug, Clone)]
pub struct Pids(Vec<Pid>);

impl From<Pid> for Pids {
    fn from(pid: Pid) -> Self {
        Self(vec![pid])
    }
}

impl From<&Pid> for Pids {
    fn from(pid: &Pid) -> Self {
        Self(vec![pid.clone()])
    }
}

impl From<Vec<Pid>> for Pids {
    fn from(pids: Vec<Pid>) -> Self {
        Self(pids)
    }
}

impl From<&[Pid]> for Pids {
    fn from(pids: &[Pid]) -> Self {
        Self(pids.to_vec())
    }
}

impl<const N: usize> From<[Pid; N]> for Pids {
    fn from(pids: [Pid; N]) -> Self {
        Self(pids.into())
    }
}

/// A change of a group, as who [monitors](Pg::monitor) it receives it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupChange {
    /// What [`Pg::monitor`] or [`Pg::monitor_scope`] gave.
    pub reference: Reference,
    /// Whether they joined or left.
    pub kind: ChangeKind,
    /// The group.
    pub group: Term,
    /// Who joined or left. One that did so twice at once is there twice.
    pub pids: Vec<Pid>,
}

impl GroupChange {
    /// Reads a message `{Reference, join, Group, Pids}` or `{Reference, leave, Group, Pids}`; `None` for any other.
    ///
    /// # Errors
    /// When the message is no term.
    pub fn read(message: &Message) -> Result<Option<Self>, DecodeError> {
        let change = Change::read(&message.term()?);
        Ok(change.map(|(reference, Change { kind, group, pids })| Self {
            reference,
            kind,
            group,
            pids,
        }))
    }
}

impl Pg {
    fn start(node: &Node, name: Atom) -> Result<Self, RegisterError> {
        let process = node.process_with(super::MAILBOX);
        process.register(&name)?;
        let inner = Inner {
            name,
            me: process.handle(),
            state: Mutex::new(State {
                scope: Some(Scope::new(process.pid().clone())),
                monitors: HashMap::new(),
                monitored: HashMap::new(),
            }),
        };
        let pg = Self(Arc::new(inner));
        // Who comes up between the two is looked for twice, which does no harm.
        process.monitor_nodes(NodeMonitor::default());
        pg.change(|scope| {
            for peer in node.nodes(NodeType::Visible) {
                scope.node_up(peer);
            }
        });
        let ended = Ended(pg.clone());
        process.run(async move |mut me| {
            let Ended(pg) = &ended;
            while let Some(message) = me.recv().await {
                pg.receive(&message);
            }
            Ok(())
        });
        Ok(pg)
    }

    /// The scope's name.
    #[must_use]
    pub fn name(&self) -> &Atom {
        &self.0.name
    }

    /// The process that stands for the scope, registered under its name.
    #[must_use]
    pub fn pid(&self) -> &Pid {
        self.0.me.pid()
    }

    /// Adds processes of this node to a group, as `pg:join/3`. One that is in it becomes a member once more. Members that end are
    /// taken out.
    ///
    /// # Errors
    /// When a process is of another node, or the scope has ended.
    pub fn join(&self, group: impl Into<Term>, pids: impl Into<Pids>) -> Result<(), JoinError> {
        let (group, Pids(pids)) = (group.into(), pids.into());
        if let Some(other) = self.not_local(&pids) {
            return Err(JoinError::NotLocal(other.clone()));
        }
        self.change(|scope| scope.join(&group, pids))
            .ok_or(JoinError::Ended)
    }

    /// Takes processes of this node out of a group, each once for each time that it is named, as `pg:leave/3`.
    ///
    /// # Errors
    /// When none of them is in it, one is of another node, or the scope has ended.
    pub fn leave(&self, group: impl Into<Term>, pids: impl Into<Pids>) -> Result<(), LeaveError> {
        let (group, Pids(pids)) = (group.into(), pids.into());
        if let Some(other) = self.not_local(&pids) {
            return Err(LeaveError::NotLocal(other.clone()));
        }
        match self.change(|scope| scope.leave(&group, &pids)) {
            Some(true) => Ok(()),
            Some(false) => Err(LeaveError::NotJoined),
            None => Err(LeaveError::Ended),
        }
    }

    /// The members of a group on all nodes, in no particular order, as `pg:get_members/2`. One that joined twice is there twice.
    #[must_use]
    pub fn members(&self, group: impl Into<Term>) -> Vec<Pid> {
        self.read(|scope| scope.members(&group.into()))
    }

    /// The members of a group on this node, as `pg:get_local_members/2`.
    #[must_use]
    pub fn local_members(&self, group: impl Into<Term>) -> Vec<Pid> {
        self.read(|scope| scope.local_members(&group.into()))
    }

    /// The groups that have members, as `pg:which_groups/1`.
    #[must_use]
    pub fn groups(&self) -> Vec<Term> {
        self.read(Scope::groups)
    }

    /// The groups that have members on this node, as `pg:which_local_groups/1`.
    #[must_use]
    pub fn local_groups(&self) -> Vec<Term> {
        self.read(Scope::local_groups)
    }

    /// Tells `watcher` of every change of a group from now on, as `pg:monitor/2`: by messages that [`GroupChange`] reads. Gives the
    /// reference that those have, and the members that the group has now.
    pub fn monitor(&self, watcher: &Process, group: impl Into<Term>) -> (Reference, Vec<Pid>) {
        let (reference, group) = (watcher.node().make_ref(), group.into());
        let members = self.change(|scope| {
            scope.watch(watcher.pid().clone(), reference.clone(), Some(group.clone()));
            scope.members(&group)
        });
        (reference, members.unwrap_or_default())
    }

    /// Tells `watcher` of every change of every group from now on, as `pg:monitor_scope/1`. Gives the reference, and all groups with
    /// their members.
    pub fn monitor_scope(&self, watcher: &Process) -> (Reference, HashMap<Term, Vec<Pid>>) {
        let reference = watcher.node().make_ref();
        let groups = self.change(|scope| {
            scope.watch(watcher.pid().clone(), reference.clone(), None);
            scope.view()
        });
        (reference, groups.unwrap_or_default())
    }

    /// Ends one of the two, and takes its messages out of the mailbox of `watcher`, as `pg:demonitor/2`; `false` when there is none.
    pub fn demonitor(&self, watcher: &mut Process, reference: &Reference) -> bool {
        let watched = self.change(|scope| scope.unwatch(reference)) == Some(true);
        let mut flush = || {
            let change = watcher.recv_select(|message| {
                let change = GroupChange::read(message).ok().flatten()?;
                (change.reference == *reference).then_some(())
            });
            let polled = pin!(change).poll(&mut Context::from_waker(Waker::noop()));
            matches!(polled, Poll::Ready(Some(())))
        };
        while watched && flush() {}
        watched
    }

    /// Ends the scope on this node: others forget its members.
    pub fn stop(&self) {
        self.0.me.end(crate::node::ExitReason::SHUTDOWN);
    }

    fn is_running(&self) -> bool {
        self.lock().scope.is_some() && self.0.me.cell().is_alive()
    }

    fn not_local<'a>(&self, pids: &'a [Pid]) -> Option<&'a Pid> {
        let here = self.0.me.node().name();
        pids.iter().find(|pid| pid.node() != here)
    }

    fn receive(&self, message: &Message) {
        if let Message::Down(down) = message {
            return self.down(&down.reference);
        }
        let term = match message.term() {
            Ok(term) => term,
            Err(error) => return debug!(scope = %self.name(), %error, "pg: a message that is no term"),
        };
        match wire::read(&term) {
            Some(Received::NodeUp(node)) => drop(self.change(|scope| scope.node_up(node))),
            Some(Received::Peer(message)) => drop(self.change(|scope| scope.receive(message))),
            None => debug!(scope = %self.name(), message = %term, "pg: ignored"),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn read<T: Default>(&self, read: impl FnOnce(&Scope) -> T) -> T {
        let state = self.lock();
        // Between the end of its process and that of its task there is nothing any more, either.
        let scope = state.scope.as_ref().filter(|_| self.0.me.cell().is_alive());
        scope.map(read).unwrap_or_default()
    }

    fn down(&self, reference: &Reference) {
        let mut state = self.lock();
        let state = &mut *state;
        if let (Some(pid), Some(scope)) = (state.monitored.remove(reference), &mut state.scope) {
            state.monitors.remove(&pid);
            scope.down(&pid);
            self.act(state);
        }
    }

    /// Changes what the scope knows, and does what follows from that. `None` when it has ended.
    fn change<T>(&self, change: impl FnOnce(&mut Scope) -> T) -> Option<T> {
        let mut state = self.lock();
        let scope = state.scope.as_mut().filter(|_| self.0.me.cell().is_alive())?;
        let result = change(scope);
        self.act(&mut state);
        Some(result)
    }

    /// Does what is to be done.
    fn act(&self, state: &mut State) {
        let me = &self.0.me;
        while let Some(action) = state.scope.as_mut().and_then(Scope::poll_action) {
            match action {
                Action::Discover { node, message } => {
                    let name = self.0.name.clone();
                    me.post(Destination::Remote { name, node }, message.term());
                }
                Action::Send { to, message } => {
                    let message = RawTerm::new(&message.term());
                    for peer in to {
                        me.node().post(me.pid(), Destination::Pid(peer), message.clone());
                    }
                }
                Action::Notify {
                    watcher,
                    reference,
                    change,
                } => me.post(Destination::Pid(watcher), change.term(&reference)),
                Action::Monitor(pid) => {
                    let reference = me.monitor_now(&pid);
                    state.monitored.insert(reference.clone(), pid.clone());
                    state.monitors.insert(pid, reference);
                }
                Action::Demonitor(pid) => {
                    if let Some(reference) = state.monitors.remove(&pid) {
                        state.monitored.remove(&reference);
                        me.demonitor_flush(&reference);
                    }
                }
            }
        }
    }
}

/// At the end of the scope's process, whatever that is, nothing more is known.
struct Ended(Pg);

impl Drop for Ended {
    fn drop(&mut self) {
        let mut state = self.0.lock();
        state.scope = None;
        state.monitors.clear();
        state.monitored.clear();
    }
}
