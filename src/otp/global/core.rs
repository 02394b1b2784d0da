//! `global_name_server` as a state machine: what it is told goes in, what is to be done comes out.
//!
//! A session with a peer that has come up runs as follows; see FLOW in [`super`] for the whole.
//!
//! ```text
//!  node up ──init_connect──► peer's init_connect ──► the locker has both partitions locked
//!     │                                                     │ exchange: all names
//!     │   in_sync from a peer that has learnt               ▼
//!     └── of us through others ends it                   conflicts resolved, on the node of the lesser name
//!                                                           │ resolved: what came of them, and who else is known
//!                                                           ▼
//!                              new_nodes to those known before; unlock; in_sync to the peer's nodes
//! ```
//!
//! Nothing here does I/O, and nothing waits: inputs are the methods that `handle` something, outputs what [`Core::poll_output`]
//! gives until there is no more. Time and chance come from outside.

use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};
use std::time::Duration;

use super::locker::Locker;
use super::message::{self, Operation};
use super::partitions::{Loss, Losses};
use super::registrar::{Change, Registrar};
use super::sessions::{Session, Stranger, Theirs};
use super::tables::{Entry, Locks, Names};
use crate::otp::call::Caller;
use crate::term::{Atom, Pid, Term};

/// Identifies a monitor of a process that has a name or holds a lock.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct MonitorId(pub(super) u64);

/// Identifies a call to several name servers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct CallId(pub(super) u64);

/// Who set a timer. Locker and registrar have at most one that counts, the last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Timer {
    Locker(u64),
    Registrar(u64),
    /// Of those that only the partition's troubles set, each counts.
    Stranger(u64),
}

/// A name that both partitions have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Conflict {
    pub(super) his: Entry,
    pub(super) mine: Entry,
}

/// What is to be done.
#[derive(Debug)]
pub(super) enum Output {
    /// To the name server of a node, which is to be connected to if it is not. What goes to one node arrives in order.
    Cast {
        node: Atom,
        request: Term,
    },
    /// To the name server of a node, if it is connected.
    Info {
        node: Atom,
        message: Term,
    },
    /// To a process.
    Send {
        to: Pid,
        message: Term,
    },
    /// Call the name server of a node, which is to be connected to if it is not; [`Core::handle_answer`] takes what comes of it.
    Call {
        id: CallId,
        node: Atom,
        request: Term,
    },
    Reply {
        to: Caller,
        reply: Term,
    },
    Monitor {
        id: MonitorId,
        pid: Pid,
    },
    Demonitor {
        id: MonitorId,
    },
    /// Connect to the node; [`Core::handle_connected`] takes what comes of it.
    Connect {
        node: Atom,
    },
    Disconnect {
        node: Atom,
    },
    /// Call [`Core::handle_timer`] then.
    Timer {
        timer: Timer,
        after: Duration,
    },
    /// Resolve these; [`Core::handle_resolved`] takes what comes of it.
    Resolve {
        node: Atom,
        tag: i64,
        conflicts: Vec<Conflict>,
    },
    /// A name leads there now, or nowhere.
    Name {
        name: Term,
        pid: Option<Pid>,
    },
}

/// What a node decides for itself.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Settings {
    /// Whether the node joins those that it connects to.
    pub(crate) connect_all: bool,
    /// Kernel's `prevent_overlapping_partitions`.
    pub(crate) prevent_overlapping_partitions: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            connect_all: true,
            prevent_overlapping_partitions: true,
        }
    }
}

/// A call of `global:sync`, and the nodes that it waits for.
#[derive(Debug)]
pub(super) struct Syncer {
    pub(super) caller: Caller,
    pub(super) waits_for: HashSet<Atom>,
}

/// Whose call it was that was answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Owner {
    Locker,
    Registrar,
    Nobody,
}

/// A call to several name servers.
#[derive(Debug)]
struct MultiCall {
    owner: Owner,
    waits_for: HashSet<Atom>,
    replies: Vec<(Atom, Term)>,
}

#[derive(Debug)]
pub(super) struct Core {
    /// The process that this is.
    pub(super) me: Pid,
    pub(super) settings: Settings,
    /// The nodes that we share all names with, and their versions.
    pub(super) known: BTreeMap<Atom, i64>,
    /// Those that we are about to share them with, and theirs.
    pub(super) pending: BTreeMap<Atom, i64>,
    /// Those whose connection is to go, so that its end says nothing.
    pub(super) removing: HashSet<Atom>,
    pub(super) connected: HashSet<Atom>,
    pub(super) synced: HashSet<Atom>,
    pub(super) sessions: HashMap<Atom, Session>,
    /// Those that say they know us, and that we did not know then.
    pub(super) strangers: HashMap<Atom, Stranger>,
    /// How often names were changed here, on whomever's behalf.
    pub(super) changes: u64,
    /// Those that are to be connected to anew.
    pub(super) estranged: HashSet<Atom>,
    /// Those whose old connection has been ended for a new one: its end says nothing.
    pub(super) renewed: HashSet<Atom>,
    pub(super) syncers: Vec<Syncer>,
    pub(super) names: Names,
    pub(super) locks: Locks,
    /// Whether the last holder of the global lock ended without giving it back.
    lock_lost: bool,
    pub(super) losses: Losses,
    pub(super) locker: Locker,
    pub(super) registrar: Registrar,
    calls: HashMap<CallId, MultiCall>,
    /// Calls with all their answers.
    answered: VecDeque<(Owner, Vec<(Atom, Term)>)>,
    counter: u64,
    random: u64,
    out: VecDeque<Output>,
}

impl Core {
    /// The name server whose pid is `me`. `seed` is all the chance there is in it.
    pub(super) fn new(me: Pid, settings: Settings, seed: u64) -> Self {
        let mut core = Self {
            me,
            settings,
            known: BTreeMap::new(),
            pending: BTreeMap::new(),
            removing: HashSet::new(),
            connected: HashSet::new(),
            synced: HashSet::new(),
            sessions: HashMap::new(),
            strangers: HashMap::new(),
            changes: 0,
            estranged: HashSet::new(),
            renewed: HashSet::new(),
            syncers: Vec::new(),
            names: Names::default(),
            locks: Locks::default(),
            lock_lost: false,
            losses: Losses::default(),
            locker: Locker::default(),
            registrar: Registrar::default(),
            calls: HashMap::new(),
            answered: VecDeque::new(),
            counter: 0,
            random: seed,
            out: VecDeque::new(),
        };
        core.losses = Losses::new(core.random(), core.me.creation());
        core
    }

    pub(super) fn node(&self) -> &Atom {
        self.me.node()
    }

    /// What is to be done next.
    pub(super) fn poll_output(&mut self) -> Option<Output> {
        self.out.pop_front()
    }

    pub(super) fn push(&mut self, output: Output) {
        self.out.push_back(output);
    }

    pub(super) fn cast(&mut self, node: &Atom, request: impl Into<Term>) {
        let (node, request) = (node.clone(), request.into());
        self.push(Output::Cast { node, request });
    }

    pub(super) fn info(&mut self, node: &Atom, message: impl Into<Term>) {
        let (node, message) = (node.clone(), message.into());
        self.push(Output::Info { node, message });
    }

    /// SplitMix64.
    pub(super) fn random(&mut self) -> u64 {
        self.random = self.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.random;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number that none before it was.
    pub(super) fn count(&mut self) -> u64 {
        self.counter += 1;
        self.counter
    }

    // What happens

    /// A connection that both ends publish is up.
    pub(super) fn handle_node_up(&mut self, node: &Atom) {
        self.connected.insert(node.clone());
        self.removing.remove(node);
        if self.settings.connect_all {
            self.begin_session(node);
        }
        self.settle();
    }

    /// Such a connection is gone. What was monitored over it has been told before.
    pub(super) fn handle_node_down(&mut self, node: &Atom) {
        if self.renewed.remove(node) {
            return self.settle();
        }
        self.connected.remove(node);
        self.strangers.remove(node);
        self.sync_without(node);
        self.lose(node, Loss::Disconnected);
        if self.estranged.remove(node) {
            self.push(Output::Connect { node: node.clone() });
        }
        self.settle();
    }

    /// The node asked for by [`Output::Connect`] is connected, or cannot be.
    pub(super) fn handle_connected(&mut self, node: &Atom, connected: bool) {
        // One that is not known any more has gone or been left meanwhile.
        if !self.known.contains_key(node) {
            self.sync_without(node);
        } else if connected || self.connected.contains(node) {
            self.say_in_sync(node);
        } else {
            // It went while the partitions joined, and no nodedown tells of it.
            self.sync_without(node);
            self.lose(node, Loss::Disconnected);
        }
        self.settle();
    }

    /// The process under the monitor has ended, or its connection has.
    pub(super) fn handle_down(&mut self, monitor: MonitorId) {
        if let Some(resource) = self.locks.down(monitor)
            && resource == message::global()
        {
            self.lock_lost = true;
        }
        if let Some(name) = self.names.under(monitor).cloned() {
            self.names.remove(&name);
            self.push(Output::Name { name, pid: None });
        }
        self.settle();
    }

    /// A name server has answered a call; `None` when there is no answer to come.
    pub(super) fn handle_answer(&mut self, id: CallId, node: &Atom, reply: Option<Term>) {
        if let Some(call) = self.calls.get_mut(&id)
            && call.waits_for.remove(node)
        {
            call.replies.extend(reply.map(|reply| (node.clone(), reply)));
        }
        self.complete(id);
        self.settle();
    }

    pub(super) fn handle_timer(&mut self, timer: Timer) {
        match timer {
            Timer::Locker(number) => self.locker_timer(number),
            Timer::Registrar(number) => self.registrar_timer(number),
            Timer::Stranger(number) => self.stranger_timer(number),
        }
        self.settle();
    }

    /// The conflicts of a session are resolved: for each, what its method gave, or `None` when it could not be asked.
    pub(super) fn handle_resolved(&mut self, node: &Atom, tag: i64, outcomes: Vec<(Conflict, Option<Term>)>) {
        self.conflicts_resolved(node, tag, outcomes);
        self.settle();
    }

    /// `{'$gen_cast', Request}`. What is not understood is passed over.
    pub(super) fn handle_cast(&mut self, request: &Term) {
        let _ = self.cast_of(request);
        self.settle();
    }

    fn cast_of(&mut self, request: &Term) -> Option<()> {
        let tuple = request.as_tuple()?;
        let at = |index| tuple.get(index);
        let tag = at(0)?;
        match tag.as_atom()?.as_str() {
            "init_connect" => self.init_connect(&at(1)?, at(2)?.as_atom()?, &at(3)?)?,
            "lock_set" => self.lock_set(tuple)?,
            "exchange" => self.exchange(at(1)?.as_atom()?, message::entries(&at(2)?)?, &at(4)?),
            "resolved" => {
                let node = at(1)?;
                let theirs = Theirs {
                    operations: message::operations(&at(2)?)?,
                    known: message::peers(&at(3)?)?,
                    external: at(5)?,
                };
                self.resolved(node.as_atom()?, theirs, &at(6)?);
            }
            "new_nodes" => {
                let (node, operations, external) = (at(1)?, message::operations(&at(2)?)?, at(3)?);
                let (peers, lock) = (message::peers(&at(4)?)?, message::property(&at(5)?, "lock"));
                // What one tells that we have left, or that has left us, is of a partition that it was in then.
                if !self.known.contains_key(node.as_atom()?) {
                    return None;
                }
                self.renew(&peers);
                let added = self.add_known(&peers);
                self.sync_others(&added);
                self.operate(&operations, lock.as_ref(), &external);
            }
            "in_sync" => self.in_sync(at(1)?.as_atom()?),
            _ => {}
        }
        Some(())
    }

    /// Any message that is neither call nor cast.
    pub(super) fn handle_info(&mut self, message: &Term, now: Duration) {
        let _ = self.info_of(message, now);
        self.settle();
    }

    fn info_of(&mut self, message: &Term, now: Duration) -> Option<()> {
        let tuple = message.as_tuple()?;
        let tag = tuple.get(0)?;
        match tag.as_atom()?.as_str() {
            "init_connect_ack" => {
                let [_, Term::Atom(node), ours, his] = tuple.array::<4>()? else {
                    return None;
                };
                self.init_connect_ack(&node, &ours, &his);
            }
            "cancel_connect" => {
                let [_, Term::Atom(node), tag] = tuple.array::<3>()? else {
                    return None;
                };
                if self.is_current(&node, &tag) {
                    self.restart(&node);
                }
            }
            // From the lockers of OTP 23, to the locker.
            "lock_set" => self.lock_set(tuple)?,
            "lost_connection" => self.lost_connection(message, now)?,
            "remove_connection" => {
                if let Some(Term::Atom(node)) = tuple.get(1) {
                    self.remove_connection(&node);
                }
            }
            _ => {}
        }
        Some(())
    }

    /// `{'$gen_call', From, Request}`. `false` when the request is not understood, and nobody answers it.
    pub(super) fn handle_call(&mut self, caller: Caller, request: &Term) -> bool {
        let served = self.call_of(caller, request).is_some();
        self.settle();
        served
    }

    fn call_of(&mut self, caller: Caller, request: &Term) -> Option<()> {
        if let Some(atom) = request.as_atom() {
            let reply = match atom.as_str() {
                "get_known" => Term::from(self.known.keys().cloned().collect::<Vec<_>>()),
                "get_synced" => Term::from(self.synced.iter().cloned().collect::<Vec<_>>()),
                "get_protocol_version" => Term::from(message::VERSION),
                "get_names_ext" => self.names.external(),
                "info" => self.description(),
                "disconnect" => self.disconnect(),
                _ => return None,
            };
            self.push(Output::Reply { to: caller, reply });
            return Some(());
        }
        let tuple = request.as_tuple()?;
        let tag = tuple.get(0)?;
        let reply = match tag.as_atom()?.as_str() {
            "set_lock" => {
                let [resource, requester] = tuple.get(1)?.as_tuple()?.array::<2>()?;
                Term::from(self.set_lock(&resource, &requester, caller.pid()))
            }
            "del_lock" => {
                let [resource, requester] = tuple.get(1)?.as_tuple()?.array::<2>()?;
                self.del_lock(&resource, &requester, caller.pid());
                Term::from(true)
            }
            "sync" => {
                let nodes = tuple.get(1)?;
                let nodes = nodes.as_list()?.iter().filter_map(|node| node.as_atom().cloned());
                self.sync(caller, nodes.collect());
                return Some(());
            }
            "change" => {
                let change = Change::read(tuple)?;
                self.enqueue(caller, change);
                return Some(());
            }
            _ => self.applied(caller.pid().clone(), request)?,
        };
        self.push(Output::Reply { to: caller, reply });
        Some(())
    }

    /// What a registrar, ours or a peer's, asks of every node while it holds the lock.
    pub(super) fn applied(&mut self, registrar: Pid, request: &Term) -> Option<Term> {
        let tuple = request.as_tuple()?;
        let (tag, name) = (tuple.get(0)?, tuple.get(1)?);
        let held = |core: &Self| {
            let is_set = core.locks.is_set(&message::global());
            (is_set && core.locks.is_held_by(&message::global(), &registrar)) || (!is_set && !core.lock_lost)
        };
        match (tag.as_atom()?.as_str(), tuple.len()) {
            ("register", 4) | ("register_ext", 5) => {
                let (Term::Pid(pid), method) = (tuple.get(2)?, tuple.get(3)?) else {
                    return None;
                };
                if !self.may_change(&name, &registrar) {
                    return Some(Term::atom("yes"));
                }
                self.changes += 1;
                let held = held(self);
                let external = tuple
                    .get(4)
                    .and_then(|node| Some((name.clone(), pid.clone(), node.as_atom()?.clone())));
                self.insert(Entry { name, pid, method }, held);
                if let (Some((name, pid, node)), true) = (external, held) {
                    self.names.set_external(name, pid, node);
                }
                Some(Term::atom("yes"))
            }
            ("unregister", 2) => {
                if self.may_change(&name, &registrar) {
                    self.changes += 1;
                    self.delete(&name);
                }
                Some(Term::atom("ok"))
            }
            _ => None,
        }
    }

    // Names and locks

    /// A node that is not known here does not know all that have names here: it changes those of its own processes. Of the others
    /// the session with it will decide.
    fn may_change(&self, name: &Term, registrar: &Pid) -> bool {
        let node = registrar.node();
        let shares = node == self.node() || self.known.contains_key(node);
        shares || self.names.get(name).is_none_or(|pid| pid.node() == node)
    }

    /// `{set_lock, {Resource, Requester}}`, asked by `holder`.
    pub(super) fn set_lock(&mut self, resource: &Term, requester: &Term, holder: &Pid) -> bool {
        if !self.locks.can_set(resource, requester) {
            return false;
        }
        if !self.locks.is_held_by(resource, holder) {
            // Our own end frees our locks without being told.
            let monitor = (*holder != self.me).then(|| self.monitor(holder));
            self.locks.add(resource, requester, holder, monitor);
        }
        true
    }

    pub(super) fn del_lock(&mut self, resource: &Term, requester: &Term, holder: &Pid) {
        let was_set = self.locks.is_set(resource);
        if let Some(id) = self.locks.remove(resource, requester, holder) {
            self.push(Output::Demonitor { id });
        }
        // One who comes too late, when the lock is lost already, gives nothing back.
        if *resource == message::global() && was_set && !self.locks.is_set(resource) {
            self.lock_lost = false;
        }
    }

    fn monitor(&mut self, pid: &Pid) -> MonitorId {
        let id = MonitorId(self.count());
        self.push(Output::Monitor { id, pid: pid.clone() });
        id
    }

    /// Puts a name in. Not so if those who had it put in no longer hold the lock: then nobody has the name.
    fn insert(&mut self, entry: Entry, held: bool) {
        if !held {
            return self.delete(&entry.name);
        }
        let monitor = self.monitor(&entry.pid);
        let (name, pid) = (entry.name.clone(), Some(entry.pid.clone()));
        if let Some(id) = self.names.insert(entry, monitor) {
            self.push(Output::Demonitor { id });
        }
        self.push(Output::Name { name, pid });
    }

    pub(super) fn delete(&mut self, name: &Term) {
        if let Some(id) = self.names.remove(name) {
            self.push(Output::Demonitor { id });
            let name = name.clone();
            self.push(Output::Name { name, pid: None });
        }
    }

    /// Does what two partitions that join have found, under the lock that they hold.
    pub(super) fn operate(&mut self, operations: &[Operation], lock: Option<&Term>, external: &Term) {
        let requester = self.locks.requester(&message::global());
        let held = match requester {
            Some(requester) => lock == Some(&message::lock_id(requester)),
            None => !self.lock_lost,
        };
        for operation in operations {
            match operation {
                Operation::Insert(entry) => self.insert(entry.clone(), held),
                Operation::Delete(_) => {}
            }
        }
        for (name, pid, node) in message::external(external) {
            if self.names.get(&name) == Some(&pid) {
                self.names.set_external(name, pid, node);
            }
        }
        for operation in operations {
            if let Operation::Delete(name) = operation {
                self.delete(name);
            }
        }
    }

    // Calls to name servers

    /// Asks every one of `nodes`; `owner` gets the answers.
    pub(super) fn multi_call(&mut self, owner: Owner, nodes: impl IntoIterator<Item = Atom>, request: &Term) {
        let id = CallId(self.count());
        let mut call = MultiCall {
            owner,
            waits_for: HashSet::new(),
            replies: Vec::new(),
        };
        for node in nodes {
            if node == *self.node() {
                let reply = self.answer_ourselves(request);
                call.replies.push((node, reply));
            } else if call.waits_for.insert(node.clone()) {
                let request = request.clone();
                self.push(Output::Call { id, node, request });
            }
        }
        self.calls.insert(id, call);
        self.complete(id);
    }

    fn answer_ourselves(&mut self, request: &Term) -> Term {
        let me = self.me.clone();
        let lock = || -> Option<[Term; 3]> {
            let [tag, id] = request.as_tuple()?.array::<2>()?;
            let [resource, requester] = id.as_tuple()?.array::<2>()?;
            Some([tag, resource, requester])
        };
        match lock() {
            Some([tag, resource, requester]) if tag.is_atom("set_lock") => {
                Term::from(self.set_lock(&resource, &requester, &me))
            }
            Some([tag, resource, requester]) if tag.is_atom("del_lock") => {
                self.del_lock(&resource, &requester, &me);
                Term::from(true)
            }
            _ => self.applied(me, request).unwrap_or(Term::NIL),
        }
    }

    fn complete(&mut self, id: CallId) {
        if self.calls.get(&id).is_some_and(|call| call.waits_for.is_empty())
            && let Some(call) = self.calls.remove(&id)
        {
            self.answered.push_back((call.owner, call.replies));
        }
    }

    /// Goes on with whatever can go on. Every input ends with it.
    fn settle(&mut self) {
        loop {
            match self.answered.pop_front() {
                Some((Owner::Locker, replies)) => self.locker_answered(&replies),
                Some((Owner::Registrar, replies)) => self.registrar_answered(&replies),
                Some((Owner::Nobody, _)) => {}
                None if self.locker_proceed() || self.registrar_proceed() => {}
                None => return,
            }
        }
    }
}

/// Whether every node that answered a request for a lock gave it. Nodes that are gone hinder nobody.
pub(super) fn all_gave(replies: &[(Atom, Term)]) -> bool {
    replies.iter().all(|(_, reply)| reply.as_bool() != Some(false))
}

/// Those that gave the lock.
pub(super) fn givers(replies: &[(Atom, Term)]) -> Vec<Atom> {
    let gave = replies.iter().filter(|(_, reply)| reply.as_bool() == Some(true));
    gave.map(|(node, _)| node.clone()).collect()
}
