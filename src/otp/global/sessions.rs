//! Sessions: how two partitions of a cluster become one.
//!
//! Each of two nodes that connect tells the other its names while both partitions are locked, and each tells its own partition what
//! came of it. Messages of a session carry tags, so that those of one that is over are known to be that.

use std::collections::HashSet;
use std::time::Duration;

use super::core::{Conflict, Core, Output, Syncer, Timer};
use super::locker::Him;
use super::message::{self, Operation, Peer};
use super::partitions::Loss;
use super::tables::Entry;
use crate::otp::call::Caller;
use crate::term::{Atom, Term, Tuple};

/// How long a node that knows us may be unknown to us: what tells us of it is under way.
const PATIENCE: Duration = Duration::from_secs(15);

/// A peer that has come up, until both know each other's names.
#[derive(Debug)]
pub(super) struct Session {
    /// Ours, which tells this session from earlier and later ones.
    tag: i64,
    his: Option<His>,
    /// `{global, Requester}`, once both partitions are locked.
    lock: Option<Term>,
    /// His names, if they came before the lock.
    names: Option<Vec<Entry>>,
    ours: Ours,
    theirs: Option<Theirs>,
}

#[derive(Debug)]
struct His {
    tag: Term,
    /// That of the two which is the less.
    version: i64,
}

/// What we make of his names.
#[derive(Debug, Default)]
enum Ours {
    #[default]
    Unknown,
    /// All but the conflicts, which are being resolved.
    Resolving(Vec<Operation>),
    /// All, and he has been told.
    Sent(Vec<Operation>),
}

/// What he makes of ours, and whom he knows.
#[derive(Debug)]
pub(super) struct Theirs {
    pub(super) operations: Vec<Operation>,
    pub(super) known: Vec<Peer>,
    pub(super) external: Term,
}

/// A node that says it knows us.
#[derive(Debug)]
pub(super) struct Stranger {
    /// The timer that ends our patience.
    timer: u64,
    /// How many changes of names there had been when it said so first. It knows nothing of those that came after.
    changes: u64,
}

impl Core {
    pub(super) fn begin_session(&mut self, node: &Atom) {
        if self.known.contains_key(node) || self.sessions.contains_key(node) {
            return;
        }
        let tag = i64::try_from(self.count()).unwrap_or(i64::MAX);
        let known: Vec<Atom> = self.known.keys().cloned().collect();
        let locker = (
            Term::atom("locker"),
            Term::atom("no_longer_a_pid"),
            known,
            self.me.clone(),
        );
        let us = self.node().clone();
        self.cast(
            node,
            (Term::atom("init_connect"), (message::VERSION, tag), us, locker),
        );
        let session = Session {
            tag,
            his: None,
            lock: None,
            names: None,
            ours: Ours::Unknown,
            theirs: None,
        };
        self.sessions.insert(node.clone(), session);
    }

    pub(super) fn is_current(&self, node: &Atom, tag: &Term) -> bool {
        let session = self.sessions.get(node);
        session.is_some_and(|session| Term::from(session.tag) == *tag)
    }

    /// The tag of the session with `node`.
    pub(super) fn session_tag(&self, node: &Atom) -> Option<i64> {
        self.sessions.get(node).map(|session| session.tag)
    }

    /// The session with that tag.
    fn session(&mut self, node: &Atom, tag: i64) -> Option<&mut Session> {
        self.sessions.get_mut(node).filter(|session| session.tag == tag)
    }

    pub(super) fn init_connect(&mut self, version: &Term, node: &Atom, locker: &Term) -> Option<()> {
        let (version, locker) = (version.as_tuple()?, locker.as_tuple()?);
        let (Term::Integer(his_version), tag) = (version.get(0)?, version.get(1)?) else {
            return None;
        };
        let Term::Pid(locker) = locker.get(3)? else {
            return None;
        };
        if self.known.contains_key(node) {
            // It does not know us yet, or not any more; BEAM nodes say nothing here. There is no session to acknowledge: OTP 27 and later
            // forget the names of who acknowledges one that is over.
            self.pending.remove(node);
            self.cancel(node, Vec::new());
            self.say_in_sync(node);
            return Some(());
        }
        if self.pending.contains_key(node) {
            if his_version < message::VERIFIES {
                self.push(Output::Disconnect { node: node.clone() });
                return None;
            }
            self.send_cancel(node, tag.clone());
            self.restart(node);
        }
        // There is none where we do not join others.
        let session = self.sessions.get_mut(node)?;
        let version = his_version.min(message::VERSION);
        let ours = session.tag;
        session.his = Some(His {
            tag: tag.clone(),
            version,
        });
        self.pending.insert(node.clone(), his_version);
        if his_version >= message::VERIFIES {
            let us = self.node().clone();
            self.info(node, (Term::atom("init_connect_ack"), us, tag.clone(), ours));
        }
        self.locker_add(Him {
            node: node.clone(),
            locker,
            version,
            tag: ours,
            his_tag: tag,
        });
        Some(())
    }

    pub(super) fn init_connect_ack(&mut self, node: &Atom, ours: &Term, his: &Term) {
        // Where there is none, he has been told, or is about to be; OTP 27 and later forget the names of who cancels one.
        let Some(session) = self.sessions.get(node) else {
            return;
        };
        let known = session.his.as_ref();
        if Term::from(session.tag) != *ours || known.is_none_or(|known| known.tag != *his) {
            self.send_cancel(node, his.clone());
            self.restart(node);
        }
    }

    /// The two sides are out of step: another session, if the node is one to have a session with.
    pub(super) fn restart(&mut self, node: &Atom) {
        let again = self.sessions.contains_key(node);
        self.cancel(node, Vec::new());
        self.pending.remove(node);
        if again {
            self.begin_session(node);
        }
    }

    /// Ends the session with `node`, if there is one. A peer that is in step with us is told. Messages go before the locks that the
    /// session holds are given back.
    pub(super) fn cancel(&mut self, node: &Atom, messages: Vec<Output>) {
        let Some(session) = self.sessions.remove(node) else {
            return;
        };
        let version = self.pending.get(node);
        if version.is_some_and(|&version| version >= message::VERIFIES)
            && let Some(his) = session.his
        {
            self.send_cancel(node, his.tag);
        }
        for message in messages {
            self.push(message);
        }
        self.locker_cancel(node, session.tag);
    }

    fn send_cancel(&mut self, node: &Atom, tag: Term) {
        let us = self.node().clone();
        self.info(node, (Term::atom("cancel_connect"), us, tag));
    }

    /// A peer's locker has, or has not, locked its partition. Those of version 8 say for which session.
    pub(super) fn lock_set(&mut self, tuple: &Tuple) -> Option<()> {
        let (Term::Pid(locker), Term::Atom(set)) = (tuple.get(1)?, tuple.get(2)?) else {
            return None;
        };
        let tag = tuple.get(4);
        // The peer is told of a session that is over by other means.
        if tag.is_none_or(|tag| self.is_current(locker.node(), &tag)) {
            self.locker_heard(locker, set.as_bool()?);
        }
        Some(())
    }

    /// The locker has both partitions locked.
    pub(super) fn locked(&mut self, node: &Atom, tag: i64, requester: &Term) {
        let names: Vec<Term> = self.names.entries().map(|entry| entry.term()).collect();
        let us = self.node().clone();
        let Some(session) = self.session(node, tag) else {
            return;
        };
        let Some(his) = &session.his else { return };
        let exchange = (Term::atom("exchange"), us, names, Term::NIL, his.tag.clone());
        session.lock = Some(message::lock_id(requester));
        let early = session.names.take();
        self.cast(node, exchange);
        if let Some(names) = early {
            self.compare(node, names);
        }
    }

    pub(super) fn exchange(&mut self, node: &Atom, names: Vec<Entry>, tag: &Term) {
        if !self.is_current(node, tag) {
            return;
        }
        let Some(session) = self.sessions.get_mut(node) else {
            return;
        };
        if session.lock.is_some() {
            self.compare(node, names);
        } else {
            session.names = Some(names);
        }
    }

    /// What becomes of his names: those that are new to us are ours too; conflicts are resolved by the node of the lesser name.
    fn compare(&mut self, node: &Atom, names: Vec<Entry>) {
        let (mut ours, mut conflicts) = (Vec::new(), Vec::new());
        for his in names {
            match self.names.entry(&his.name) {
                None => ours.push(Operation::Insert(his)),
                Some(mine) if mine.pid == his.pid => {}
                Some(mine) if self.node() < node => conflicts.push(Conflict { his, mine }),
                Some(_) => {}
            }
        }
        let Some(session) = self.sessions.get_mut(node) else {
            return;
        };
        if !matches!(session.ours, Ours::Unknown) {
            return;
        }
        session.ours = Ours::Resolving(ours);
        let (node, tag) = (node.clone(), session.tag);
        if conflicts.is_empty() {
            self.send_resolved(&node, &[]);
        } else {
            self.push(Output::Resolve { node, tag, conflicts });
        }
    }

    /// The conflicts are resolved: for each, what the method gave, or `None` when it could not be asked.
    pub(super) fn conflicts_resolved(
        &mut self,
        node: &Atom,
        tag: i64,
        outcomes: Vec<(Conflict, Option<Term>)>,
    ) {
        let Some(session) = self.session(node, tag) else {
            return;
        };
        let Ours::Resolving(ours) = &mut session.ours else {
            return;
        };
        let mut resolved = Vec::new();
        for (Conflict { his, mine }, outcome) in outcomes {
            match outcome {
                Some(Term::Pid(pid)) if pid == mine.pid => resolved.push(Operation::Insert(mine)),
                Some(Term::Pid(pid)) if pid == his.pid => ours.push(Operation::Insert(his)),
                Some(_) => {
                    ours.push(Operation::Delete(mine.name));
                    resolved.push(Operation::Delete(his.name));
                }
                // The process's node is gone, and the process with it.
                None => ours.push(Operation::Insert(his)),
            }
        }
        self.send_resolved(node, &resolved);
    }

    fn send_resolved(&mut self, node: &Atom, resolved: &[Operation]) {
        let known: Vec<Peer> = self
            .known
            .iter()
            .map(|(node, version)| (node.clone(), *version))
            .collect();
        let (us, external) = (self.node().clone(), self.names.external());
        let Some(session) = self.sessions.get_mut(node) else {
            return;
        };
        let Some(his) = &session.his else { return };
        let message = (
            Term::atom("resolved"),
            us,
            message::operations_term(resolved),
            message::peers_term(&known, his.version),
            Term::atom("unused"),
            external,
            his.tag.clone(),
        );
        if let Ours::Resolving(ours) = std::mem::take(&mut session.ours) {
            session.ours = Ours::Sent(ours);
        }
        self.cast(node, message);
        self.join(node);
    }

    pub(super) fn resolved(&mut self, node: &Atom, theirs: Theirs, tag: &Term) {
        if !self.is_current(node, tag) {
            return;
        }
        if let Some(session) = self.sessions.get_mut(node) {
            session.theirs = Some(theirs);
        }
        self.join(node);
    }

    /// Joins the partitions, once both sides have said what they make of the other's names.
    fn join(&mut self, node: &Atom) {
        let Some(session) = self.sessions.get_mut(node) else {
            return;
        };
        let (Ours::Sent(_), Some(_)) = (&session.ours, &session.theirs) else {
            return;
        };
        let (Ours::Sent(mut operations), Some(theirs)) =
            (std::mem::take(&mut session.ours), session.theirs.take())
        else {
            return;
        };
        operations.extend(theirs.operations);
        let lock = session.lock.clone();
        let version = session.his.as_ref().map_or(0, |his| his.version);
        let his_version = self.pending.get(node).copied().unwrap_or(0);
        let mut peers = vec![(node.clone(), his_version)];
        peers.extend(theirs.known);
        let others: Vec<Atom> = peers.iter().skip(1).map(|(node, _)| node.clone()).collect();

        self.renew(&peers);
        self.sync_others(&others);
        self.operate(&operations, lock.as_ref(), &theirs.external);
        self.synced_with(node);
        for other in &others {
            self.pending.remove(other);
            self.cancel(other, Vec::new());
        }
        let news = self.new_nodes(&operations, &theirs.external, &peers, version, lock);
        self.pending.remove(node);
        self.cancel(node, news);
        self.strangers.remove(node);
        self.add_known(&peers);
        self.synced.insert(node.clone());
    }

    /// What our partition is told before it is unlocked.
    fn new_nodes(
        &self,
        operations: &[Operation],
        external: &Term,
        peers: &[Peer],
        version: i64,
        lock: Option<Term>,
    ) -> Vec<Output> {
        let extra = Term::from(vec![
            Term::from((Term::atom("vsn"), version)),
            Term::from((Term::atom("lock"), lock.unwrap_or(Term::NIL))),
        ]);
        // Names of the new nodes' processes that we had all along, another of our partition may have lost with its connection.
        let new: HashSet<&Atom> = peers.iter().map(|(node, _)| node).collect();
        let mut operations = operations.to_vec();
        let told: HashSet<Term> = operations
            .iter()
            .map(|operation| operation.name().clone())
            .collect();
        let others = self.names.entries();
        let others = others.filter(|entry| new.contains(entry.pid.node()) && !told.contains(&entry.name));
        operations.extend(others.map(Operation::Insert));
        let operations = message::operations_term(&operations);
        let message = |version: &i64| {
            let nodes = message::peers_term(peers, *version);
            let us = self.node().clone();
            let tag = Term::atom("new_nodes");
            Term::from((
                tag,
                us,
                operations.clone(),
                external.clone(),
                nodes,
                extra.clone(),
            ))
        };
        let told = self.known.iter().map(|(node, version)| Output::Cast {
            node: node.clone(),
            request: message(version),
        });
        told.collect()
    }

    /// These nodes are known from now on; gives those that were not.
    pub(super) fn add_known(&mut self, peers: &[Peer]) -> Vec<Atom> {
        let mut added = Vec::new();
        for (node, version) in peers {
            if node == self.node() {
                continue;
            }
            match self.known.get_mut(node) {
                // Nobody had said.
                Some(known) if *known == 0 => *known = *version,
                Some(_) => {}
                None => {
                    self.known.insert(node.clone(), *version);
                    // One that has missed a change is still to be connected to anew.
                    if self
                        .strangers
                        .get(node)
                        .is_some_and(|one| one.changes == self.changes)
                    {
                        self.strangers.remove(node);
                    }
                    added.push(node.clone());
                }
            }
        }
        added
    }

    /// Others have told us of these, and join them with us. Where a connection to one is still there that it has been asked to end,
    /// what we have of it would soon go with that, and nobody would be told: it ends now, and makes room for another.
    pub(super) fn renew(&mut self, peers: &[Peer]) {
        for (node, _) in peers {
            if self.removing.remove(node) && self.connected.remove(node) {
                self.renewed.insert(node.clone());
                self.push(Output::Disconnect { node: node.clone() });
            }
        }
    }

    /// Has us connected to these, to tell them that we know them.
    pub(super) fn sync_others(&mut self, nodes: &[Atom]) {
        for node in nodes {
            if node != self.node() {
                self.push(Output::Connect { node: node.clone() });
            }
        }
    }

    /// A node that has learnt of us through others says so.
    pub(super) fn in_sync(&mut self, node: &Atom) {
        self.synced_with(node);
        self.synced.insert(node.clone());
        // It knows that the session is over.
        self.pending.remove(node);
        self.cancel(node, Vec::new());
        if self.connected.contains(node) && !self.known.contains_key(node) {
            self.patience(node, PATIENCE);
        }
    }

    pub(super) fn say_in_sync(&mut self, node: &Atom) {
        let us = self.node().clone();
        self.cast(node, (Term::atom("in_sync"), us, true));
    }

    // Strangers

    fn patience(&mut self, node: &Atom, after: Duration) {
        let timer = self.count();
        let before = self.strangers.get(node).map(|one| one.changes);
        let changes = before.unwrap_or(self.changes);
        self.strangers.insert(node.clone(), Stranger { timer, changes });
        let timer = Timer::Stranger(timer);
        self.push(Output::Timer { timer, after });
    }

    /// A node that knows us is still not known to us: what should have told us of it came before its connection was lost and made
    /// again, or never. Or it was not known when a name changed here. It is left without a word to others and connected to anew, so that there
    /// is a session.
    pub(super) fn stranger_timer(&mut self, number: u64) {
        let is_it = |(_, one): &(&Atom, &Stranger)| one.timer == number;
        let Some(node) = self.strangers.iter().find(is_it).map(|(node, _)| node.clone()) else {
            return;
        };
        self.strangers.remove(&node);
        if self.estranged.insert(node.clone()) {
            tracing::info!(%node, "global: the node knew us and was not known here: connecting anew");
            let us = self.node().clone();
            self.info(&node, (Term::atom("remove_connection"), us));
            self.lose(&node, Loss::Removed);
            // It ends the connection if it understands.
            self.patience(&node, PATIENCE);
        } else {
            self.push(Output::Disconnect { node });
        }
    }

    // sync

    /// Answers once every one of `nodes` has the names that we have, or is gone.
    pub(super) fn sync(&mut self, caller: Caller, nodes: HashSet<Atom>) {
        let waits_for: HashSet<Atom> = nodes
            .into_iter()
            .filter(|node| {
                node != self.node() && self.connected.contains(node) && !self.synced.contains(node)
            })
            .collect();
        self.syncers.push(Syncer { caller, waits_for });
        self.answer_syncers();
    }

    fn synced_with(&mut self, node: &Atom) {
        self.sync_without(node);
    }

    /// Nobody waits for this node any more.
    pub(super) fn sync_without(&mut self, node: &Atom) {
        for syncer in &mut self.syncers {
            syncer.waits_for.remove(node);
        }
        self.answer_syncers();
    }

    fn answer_syncers(&mut self) {
        for syncer in self
            .syncers
            .extract_if(.., |syncer| syncer.waits_for.is_empty())
            .collect::<Vec<_>>()
        {
            self.push(Output::Reply {
                to: syncer.caller,
                reply: Term::atom("ok"),
            });
        }
    }

    // Others

    /// The node is gone from our partition.
    pub(super) fn lose(&mut self, node: &Atom, loss: Loss) {
        self.cancel(node, Vec::new());
        match loss {
            Loss::Removed => {
                self.removing.insert(node.clone());
                // Its names go with it, though its connection may take a while to end. Another partition may have other ones for it by
                // then.
                let names = self.names.entries().filter(|entry| entry.pid.node() == node);
                for entry in names.collect::<Vec<_>>() {
                    self.delete(&entry.name);
                }
            }
            Loss::Disconnected => {
                if !self.removing.remove(node) {
                    self.tell_loss(node);
                }
            }
        }
        self.pending.remove(node);
        self.known.remove(node);
        self.synced.remove(node);
    }

    /// `global:disconnect/0`: leaves every node without telling others of a loss.
    pub(super) fn disconnect(&mut self) -> Term {
        let nodes: Vec<Atom> = self.connected.iter().cloned().collect();
        for node in &nodes {
            self.push(Output::Disconnect { node: node.clone() });
            self.lose(node, Loss::Removed);
        }
        Term::from(nodes)
    }

    /// `global:info/0`: as much of `global`'s own record as there is here.
    pub(super) fn description(&self) -> Term {
        let atom = |text| Term::atom(text);
        let conf = (
            atom("conf"),
            self.settings.connect_all,
            self.settings.prevent_overlapping_partitions,
        );
        let known = self
            .known
            .iter()
            .map(|(node, version)| (Term::from(node), Term::from(*version)));
        let pending = self.pending.iter().map(|(node, version)| {
            let key = Term::from((atom("pending"), node.clone()));
            (key, Term::from(*version))
        });
        let known = Term::Map(known.chain(pending).collect());
        let synced: Vec<Term> = self.synced.iter().map(Term::from).collect();
        let parts = [
            atom("state"),
            Term::from(conf),
            known,
            Term::from(synced),
            Term::NIL,
            Term::NIL,
            Term::from(self.node()),
            Term::from(self.me.clone()),
            Term::from(self.me.clone()),
            atom("no_trace"),
            Term::from(false),
        ];
        Term::Tuple(parts.into_iter().collect())
    }
}
