//! What one scope of one node knows, and what follows from what it hears: a state machine without sockets, tasks or clock.
//!
//! - Changed by its node's processes: [`join`](Scope::join), [`leave`](Scope::leave), [`watch`](Scope::watch), [`unwatch`](Scope::unwatch).
//! - Told by whoever drives it: [`node_up`](Scope::node_up), [`receive`](Scope::receive), [`down`](Scope::down).
//! - After each of these, what is to be done is drained from [`poll_action`](Scope::poll_action), in order.
//!
//! Scopes of the same name on different nodes find each other by `discover`, sent to every node that comes up; each answers with all
//! its members, and tells of changes from then on. A scope holds apart what each peer has said, so that a peer's end, or all
//! that it says anew after a netsplit, changes exactly its own part. Multiplicity counts: who joined twice is a member twice.

use std::collections::{HashMap, VecDeque};

use super::wire::Message;
use crate::term::{Atom, Pid, Reference, Term};

/// Pids by group; one that joined twice stands there twice.
pub(super) type Members = HashMap<Term, Vec<Pid>>;

/// What is to be done.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Action {
    /// Send the message to the scope of the same name on `node`.
    Discover {
        node: Atom,
        message: Message,
    },
    /// Send the message to these scopes.
    Send {
        to: Vec<Pid>,
        message: Message,
    },
    /// Tell a process that watches.
    Notify {
        watcher: Pid,
        reference: Reference,
        change: Change,
    },
    /// Watch the end of a process; it is told by [`Scope::down`].
    Monitor(Pid),
    Demonitor(Pid),
}

/// A change of one group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Change {
    pub(super) kind: ChangeKind,
    pub(super) group: Term,
    pub(super) pids: Vec<Pid>,
}

/// What happened to members of a group.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ChangeKind {
    /// They joined.
    Join,
    /// They left, or ended, or their node is not connected any more.
    Leave,
}

/// A group, never empty.
#[derive(Debug, Default)]
struct Group {
    all: Vec<Pid>,
    /// Those of this node.
    local: Vec<Pid>,
}

#[derive(Debug)]
struct Watch {
    watcher: Pid,
    /// `None` for all.
    group: Option<Term>,
}

/// One scope of one node.
#[derive(Debug)]
pub(super) struct Scope {
    /// The process that stands for it.
    me: Pid,
    groups: HashMap<Term, Group>,
    /// The groups of each member of this node, with repeats.
    local: HashMap<Pid, Vec<Term>>,
    /// What the scope of each other node has said of its members.
    peers: HashMap<Pid, Members>,
    watches: HashMap<Reference, Watch>,
    /// For how many things the end of a process matters: being a member, each watch, being a peer.
    monitored: HashMap<Pid, usize>,
    actions: VecDeque<Action>,
}

impl Scope {
    pub(super) fn new(me: Pid) -> Self {
        Self {
            me,
            groups: HashMap::new(),
            local: HashMap::new(),
            peers: HashMap::new(),
            watches: HashMap::new(),
            monitored: HashMap::new(),
            actions: VecDeque::new(),
        }
    }

    // What is known

    pub(super) fn members(&self, group: &Term) -> Vec<Pid> {
        self.groups
            .get(group)
            .map_or_else(Vec::new, |group| group.all.clone())
    }

    pub(super) fn local_members(&self, group: &Term) -> Vec<Pid> {
        self.groups
            .get(group)
            .map_or_else(Vec::new, |group| group.local.clone())
    }

    pub(super) fn groups(&self) -> Vec<Term> {
        self.groups.keys().cloned().collect()
    }

    pub(super) fn local_groups(&self) -> Vec<Term> {
        let local = self.groups.iter().filter(|(_, group)| !group.local.is_empty());
        local.map(|(name, _)| name.clone()).collect()
    }

    /// Every group with all its members.
    pub(super) fn view(&self) -> Members {
        let all = self.groups.iter();
        all.map(|(name, group)| (name.clone(), group.all.clone()))
            .collect()
    }

    // What this node's processes do

    /// Adds processes of this node to a group.
    pub(super) fn join(&mut self, group: &Term, pids: Vec<Pid>) {
        if pids.is_empty() {
            return;
        }
        for pid in &pids {
            if !self.local.contains_key(pid) {
                self.monitor(pid);
            }
            self.local.entry(pid.clone()).or_default().push(group.clone());
        }
        self.groups
            .entry(group.clone())
            .or_default()
            .local
            .extend_from_slice(&pids);
        self.broadcast(Message::Join {
            peer: self.me.clone(),
            group: group.clone(),
            pids: pids.clone(),
        });
        self.joined(group, pids);
    }

    /// Takes processes of this node out of a group, each as often as it is named; `false` when none of them was in it.
    pub(super) fn leave(&mut self, group: &Term, pids: &[Pid]) -> bool {
        let Some(known) = self.groups.get_mut(group) else {
            return false;
        };
        let gone = remove_each(&mut known.local, pids);
        if gone.is_empty() {
            return false;
        }
        for pid in &gone {
            let Some(groups) = self.local.get_mut(pid) else {
                continue;
            };
            if let Some(index) = groups.iter().position(|other| other == group) {
                groups.swap_remove(index);
            }
            if groups.is_empty() {
                self.local.remove(pid);
                self.demonitor(pid);
            }
        }
        self.broadcast(Message::Leave {
            peer: self.me.clone(),
            pids: gone.clone(),
            groups: vec![group.clone()],
        });
        self.left(group, &gone);
        true
    }

    /// Tells `watcher` of every change of the group, or of all groups, from now on. Gives what there is now.
    pub(super) fn watch(&mut self, watcher: Pid, reference: Reference, group: Option<Term>) {
        self.monitor(&watcher);
        self.watches.insert(reference, Watch { watcher, group });
    }

    /// Ends that; `false` when there was none.
    pub(super) fn unwatch(&mut self, reference: &Reference) -> bool {
        let Some(watch) = self.watches.remove(reference) else {
            return false;
        };
        self.demonitor(&watch.watcher);
        true
    }

    // What is heard

    /// A node is up that may have this scope, too.
    pub(super) fn node_up(&mut self, node: Atom) {
        let message = Message::Discover {
            peer: self.me.clone(),
        };
        self.actions.push_back(Action::Discover { node, message });
    }

    /// A message of another node's scope. Joins and leaves of one that was not discovered, or is down, mean nothing: it will say all
    /// that it has when it is.
    pub(super) fn receive(&mut self, message: Message) {
        match message {
            Message::Discover { peer } => self.discovered(peer),
            Message::Sync { peer, groups } => self.synced(peer, groups),
            Message::Join { peer, group, pids } => self.remote_join(&peer, &group, pids),
            Message::Leave { peer, pids, groups } => {
                for group in groups {
                    self.remote_leave(&peer, &group, &pids);
                }
            }
            Message::Update { peer, changes } => {
                for (group, joined, left) in changes {
                    self.remote_join(&peer, &group, joined);
                    self.remote_leave(&peer, &group, &left);
                }
            }
        }
    }

    /// A process whose end was to be watched has ended, or is out of reach.
    pub(super) fn down(&mut self, pid: &Pid) {
        self.monitored.remove(pid);
        if let Some(members) = self.peers.remove(pid) {
            for (group, pids) in members {
                self.left(&group, &pids);
            }
        }
        self.watches.retain(|_, watch| watch.watcher != *pid);
        let Some(groups) = self.local.remove(pid) else {
            return;
        };
        self.broadcast(Message::Leave {
            peer: self.me.clone(),
            pids: vec![pid.clone()],
            groups: groups.clone(),
        });
        for group in groups {
            if let Some(known) = self.groups.get_mut(&group) {
                remove_each(&mut known.local, std::slice::from_ref(pid));
            }
            self.left(&group, std::slice::from_ref(pid));
        }
    }

    /// What is to be done next.
    pub(super) fn poll_action(&mut self) -> Option<Action> {
        self.actions.pop_front()
    }

    /// Somebody looks for us: gets all that we have, and is asked for the same if it is new.
    fn discovered(&mut self, peer: Pid) {
        if peer == self.me {
            return;
        }
        let groups = self.groups.iter().filter(|(_, group)| !group.local.is_empty());
        let message = Message::Sync {
            peer: self.me.clone(),
            groups: groups
                .map(|(name, group)| (name.clone(), group.local.clone()))
                .collect(),
        };
        self.send(vec![peer.clone()], message);
        if self.is_new(&peer) {
            let message = Message::Discover {
                peer: self.me.clone(),
            };
            self.send(vec![peer], message);
        }
    }

    /// Everything that a peer has: what differs from what it had said before has changed unseen.
    fn synced(&mut self, peer: Pid, groups: Members) {
        if peer == self.me {
            return;
        }
        self.is_new(&peer);
        let mut before = self.peers.insert(peer, groups.clone()).unwrap_or_default();
        for (group, now) in groups {
            let before = before.remove(&group).unwrap_or_default();
            let (gone, new) = (difference(&before, &now), difference(&now, &before));
            self.joined(&group, new);
            self.left(&group, &gone);
        }
        for (group, gone) in before {
            self.left(&group, &gone);
        }
    }

    /// Notes a peer; whether it was not known.
    fn is_new(&mut self, peer: &Pid) -> bool {
        if self.peers.contains_key(peer) {
            return false;
        }
        self.peers.insert(peer.clone(), Members::new());
        self.monitor(peer);
        true
    }

    fn remote_join(&mut self, peer: &Pid, group: &Term, pids: Vec<Pid>) {
        let Some(known) = self.peers.get_mut(peer) else {
            return;
        };
        if pids.is_empty() {
            return;
        }
        match known.get_mut(group) {
            Some(known) => known.extend_from_slice(&pids),
            None => drop(known.insert(group.clone(), pids.clone())),
        }
        self.joined(group, pids);
    }

    fn remote_leave(&mut self, peer: &Pid, group: &Term, pids: &[Pid]) {
        let Some(known) = self.peers.get_mut(peer) else {
            return;
        };
        let Some(members) = known.get_mut(group) else {
            return;
        };
        let gone = remove_each(members, pids);
        if members.is_empty() {
            known.remove(group);
        }
        self.left(group, &gone);
    }

    // What follows

    /// They are members now, wherever they are.
    fn joined(&mut self, group: &Term, pids: Vec<Pid>) {
        if pids.is_empty() {
            return;
        }
        self.groups
            .entry(group.clone())
            .or_default()
            .all
            .extend_from_slice(&pids);
        self.notify(ChangeKind::Join, group, &pids);
    }

    /// They are no members any more.
    fn left(&mut self, group: &Term, pids: &[Pid]) {
        let Some(known) = self.groups.get_mut(group) else {
            return;
        };
        let gone = remove_each(&mut known.all, pids);
        if known.all.is_empty() {
            self.groups.remove(group);
        }
        self.notify(ChangeKind::Leave, group, &gone);
    }

    fn notify(&mut self, kind: ChangeKind, group: &Term, pids: &[Pid]) {
        if pids.is_empty() {
            return;
        }
        for (reference, watch) in &self.watches {
            if watch.group.as_ref().is_none_or(|watched| watched == group) {
                let change = Change {
                    kind,
                    group: group.clone(),
                    pids: pids.to_vec(),
                };
                self.actions.push_back(Action::Notify {
                    watcher: watch.watcher.clone(),
                    reference: reference.clone(),
                    change,
                });
            }
        }
    }

    fn broadcast(&mut self, message: Message) {
        let peers = self.peers.keys().cloned().collect();
        self.send(peers, message);
    }

    fn send(&mut self, to: Vec<Pid>, message: Message) {
        if !to.is_empty() {
            self.actions.push_back(Action::Send { to, message });
        }
    }

    fn monitor(&mut self, pid: &Pid) {
        let count = self.monitored.entry(pid.clone()).or_default();
        *count += 1;
        if *count == 1 {
            self.actions.push_back(Action::Monitor(pid.clone()));
        }
    }

    fn demonitor(&mut self, pid: &Pid) {
        let Some(count) = self.monitored.get_mut(pid) else {
            return;
        };
        *count -= 1;
        if *count == 0 {
            self.monitored.remove(pid);
            self.actions.push_back(Action::Demonitor(pid.clone()));
        }
    }
}

/// Removes each of `unwanted` once from `pids`, and gives those that were there.
fn remove_each(pids: &mut Vec<Pid>, unwanted: &[Pid]) -> Vec<Pid> {
    if let [pid] = unwanted {
        let found = pids.iter().position(|other| other == pid);
        return found.map(|index| pids.swap_remove(index)).into_iter().collect();
    }
    let mut counts = counts(unwanted);
    let mut removed = Vec::new();
    pids.retain(|pid| match counts.get_mut(pid) {
        Some(count) if *count > 0 => {
            *count -= 1;
            removed.push(pid.clone());
            false
        }
        _ => true,
    });
    removed
}

/// What is in `these` more often than in `those`.
fn difference(these: &[Pid], those: &[Pid]) -> Vec<Pid> {
    if these == those {
        return Vec::new();
    }
    let mut counts = counts(those);
    let surplus = these.iter().filter(|pid| match counts.get_mut(*pid) {
        Some(count) if *count > 0 => {
            *count -= 1;
            false
        }
        _ => true,
    });
    surplus.cloned().collect()
}

fn counts(pids: &[Pid]) -> HashMap<&Pid, usize> {
    let mut counts = HashMap::new();
    for pid in pids {
        *counts.entry(pid).or_default() += 1;
    }
    counts
}
