//! The locker: locks our partition, and has a peer's locker lock his, one peer after another.
//!
//! ```text
//!            timer: choose a peer                         lock_set true      cancel, at the end of the session
//!  Idle ───────────────────────► Locking ──► AwaitHis ────────────────► Holding ─────► Unlocking ──► Idle
//!   │  lock_set true of a peer      │            │ lock_set false, cancel                 ▲
//!   └──────────────────────────► Locking ────────┼───────────────────────► Holding        │
//!                                   │            └───────────────────────────────────────►┤
//!                                   └─ somebody else has a lock: what was locked is given back ─► Idle
//! ```
//!
//! The node with the greatest name of a partition is locked first: who has lost there need not try the others. Both sides lock as
//! the same requester, so that nodes that both know give them the lock. A peer whose locker waits for ours always hears from it.

use std::collections::VecDeque;
use std::time::Duration;

use super::core::{Core, Output, Owner, Timer, all_gave, givers};
use super::message;
use crate::term::{Atom, Pid, Term};

/// A peer to lock with.
#[derive(Debug, Clone)]
pub(super) struct Him {
    pub(super) node: Atom,
    pub(super) locker: Pid,
    /// That of the two which is the less.
    pub(super) version: i64,
    /// The session, as we name it.
    pub(super) tag: i64,
    /// As he does.
    pub(super) his_tag: Term,
}

#[derive(Debug, Default)]
pub(super) struct Locker {
    state: State,
    peers: Vec<Him>,
    /// Lockers that said `true` while we were busy, with the sessions that they spoke of.
    heard: VecDeque<(Pid, Option<i64>)>,
    just_synced: bool,
    /// Whether a timer is to be set as soon as nothing else is to be done.
    rests: bool,
    timer: u64,
}

#[derive(Debug, Default)]
enum State {
    #[default]
    Idle,
    Locking(Locking),
    /// Our partition is locked.
    AwaitHis(Locked),
    /// Both are; until the session ends.
    Holding(Locked),
    /// All but the boss have been asked to free the lock.
    Unlocking {
        requester: Term,
        boss: Option<Atom>,
    },
}

#[derive(Debug)]
struct Locking {
    him: Him,
    /// Whether he is to hear of it first, or has spoken first.
    active: bool,
    requester: Term,
    step: Step,
    /// Who was the boss when this began.
    boss: Atom,
    /// The nodes that are locked.
    nodes: Vec<Atom>,
    /// The session ended meanwhile.
    cancelled: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    Boss,
    /// Our own node, and the peer's where we are the active side.
    Ours,
    Others,
}

#[derive(Debug)]
struct Locked {
    him: Him,
    requester: Term,
    nodes: Vec<Atom>,
}

impl Core {
    /// A session has begun.
    pub(super) fn locker_add(&mut self, him: Him) {
        self.locker.peers.push(him);
        self.locker.rests = true;
    }

    /// A session has ended, for better or worse.
    pub(super) fn locker_cancel(&mut self, node: &Atom, tag: i64) {
        let is_it = |him: &Him| him.node == *node && him.tag == tag;
        self.locker.peers.retain(|him| !is_it(him));
        match &mut self.locker.state {
            State::Locking(locking) if is_it(&locking.him) => locking.cancelled = true,
            State::AwaitHis(locked) | State::Holding(locked) if is_it(&locked.him) => {
                let (requester, nodes) = (locked.requester.clone(), std::mem::take(&mut locked.nodes));
                self.unlock(requester, nodes);
            }
            _ => {}
        }
    }

    /// A peer's locker has said whether his partition is locked.
    pub(super) fn locker_heard(&mut self, locker: Pid, set: bool) {
        match &self.locker.state {
            State::AwaitHis(locked) if locked.him.node == *locker.node() => self.his_answer(set),
            // Nobody asked.
            _ if !set => {}
            _ => {
                let tag = self.session_tag(locker.node());
                self.locker.heard.push_back((locker, tag));
                self.locker.rests = true;
            }
        }
    }

    fn his_answer(&mut self, set: bool) {
        let State::AwaitHis(locked) = std::mem::take(&mut self.locker.state) else {
            return;
        };
        if set {
            self.hold(locked);
        } else {
            self.unlock(locked.requester, locked.nodes);
        }
    }

    fn hold(&mut self, locked: Locked) {
        let (node, tag, requester) = (locked.him.node.clone(), locked.him.tag, locked.requester.clone());
        self.locker.state = State::Holding(locked);
        self.locker.just_synced = true;
        self.locked(&node, tag, &requester);
    }

    /// Does what can be done at once; `false` when there is nothing.
    pub(super) fn locker_proceed(&mut self) -> bool {
        if !matches!(self.locker.state, State::Idle) {
            return false;
        }
        if let Some((locker, tag)) = self.locker.heard.pop_front() {
            self.answer_locker(locker, tag);
            return true;
        }
        if std::mem::take(&mut self.locker.rests) {
            // Only who waits already comes at once. One who comes up later waits as any other: he may still be answering those whose
            // sessions with him ours will end.
            let just_synced = std::mem::take(&mut self.locker.just_synced);
            if !self.locker.peers.is_empty() {
                self.set_locker_timer(just_synced);
            }
        }
        false
    }

    fn set_locker_timer(&mut self, just_synced: bool) {
        let known = u64::try_from(self.known.len()).unwrap_or(u64::MAX);
        let milliseconds = if just_synced {
            0
        } else if known == 0 {
            200
        } else {
            // Longer than it takes another node of the partition to notice that the lock is free again.
            known.saturating_mul(100).saturating_add(1000).min(3000)
        };
        self.locker.timer = self.count();
        let timer = Timer::Locker(self.locker.timer);
        let after = Duration::from_millis(milliseconds);
        self.push(Output::Timer { timer, after });
    }

    pub(super) fn locker_timer(&mut self, number: u64) {
        if number != self.locker.timer || !matches!(self.locker.state, State::Idle) {
            return;
        }
        if self.locks.is_set(&message::global()) {
            self.locker.rests = true;
            return;
        }
        self.choose();
    }

    /// Begins with one of the peers, those on our own host first.
    fn choose(&mut self) {
        let host = |node: &Atom| node.as_str().split_once('@').map(|(_, host)| host.to_owned());
        let ours = host(self.node());
        let known = &self.known;
        self.locker.peers.retain(|him| !known.contains_key(&him.node));
        let near: Vec<&Him> = self
            .locker
            .peers
            .iter()
            .filter(|him| host(&him.node) == ours)
            .collect();
        let all: Vec<&Him> = self.locker.peers.iter().collect();
        let candidates = if near.is_empty() { all } else { near };
        if candidates.is_empty() {
            return;
        }
        let candidates: Vec<Him> = candidates.into_iter().cloned().collect();
        let index = usize::try_from(self.random() >> 1).unwrap_or(0) % candidates.len();
        if let Some(him) = candidates.into_iter().nth(index) {
            self.lock_with(him, true);
        }
    }

    /// A peer's locker has locked his partition, and waits for ours.
    fn answer_locker(&mut self, locker: Pid, tag: Option<i64>) {
        let spoke = |him: &&Him| him.node == *locker.node() && Some(him.tag) == tag;
        match self.locker.peers.iter().find(spoke).cloned() {
            Some(mut him) => {
                him.locker = locker;
                self.lock_with(him, false);
            }
            None => {
                // He is out of step; not in a form that says for which session.
                let message = self.lock_set_message(false, None);
                self.push(Output::Send { to: locker, message });
                self.locker.rests = true;
            }
        }
    }

    fn lock_with(&mut self, him: Him, active: bool) {
        let requester = message::common_requester(&self.me, &him.locker);
        let boss = self.boss();
        let locking = Locking {
            him,
            active,
            requester: requester.clone(),
            step: Step::Boss,
            boss: boss.clone(),
            nodes: Vec::new(),
            cancelled: false,
        };
        // To lock ourselves here could stop one who has locked the boss.
        if boss != *self.node() && !self.locks.can_set(&message::global(), &requester) {
            return self.not_locked(&locking);
        }
        self.locker.state = State::Locking(locking);
        self.ask_for_lock(&requester, [boss]);
    }

    fn ask_for_lock(&mut self, requester: &Term, nodes: impl IntoIterator<Item = Atom>) {
        let request = Term::from((Term::atom("set_lock"), message::lock_id(requester)));
        self.multi_call(Owner::Locker, nodes, &request);
    }

    /// Who is locked first: the greatest name of the partition.
    pub(super) fn boss(&self) -> Atom {
        let greatest = self.known.last_key_value().map(|(node, _)| node);
        greatest
            .filter(|node| *node > self.node())
            .unwrap_or(self.node())
            .clone()
    }

    /// A call of the locker's has all its answers.
    pub(super) fn locker_answered(&mut self, replies: &[(Atom, Term)]) {
        match std::mem::take(&mut self.locker.state) {
            State::Locking(locking) => self.step(locking, replies),
            State::Unlocking { requester, boss } => match boss {
                Some(boss) => {
                    self.locker.state = State::Unlocking {
                        requester: requester.clone(),
                        boss: None,
                    };
                    self.free_lock(Owner::Locker, &requester, [boss]);
                }
                None => self.locker.rests = true,
            },
            state => self.locker.state = state,
        }
    }

    fn step(&mut self, mut locking: Locking, replies: &[(Atom, Term)]) {
        locking.nodes.extend(givers(replies));
        if !all_gave(replies) {
            let nodes = std::mem::take(&mut locking.nodes);
            self.free_lock(Owner::Nobody, &locking.requester, nodes);
            return self.not_locked(&locking);
        }
        let boss = &locking.boss;
        let next: Vec<Atom> = match locking.step {
            Step::Boss => {
                locking.step = Step::Ours;
                let his = locking.active.then_some(&locking.him.node);
                let ours = [self.node()].into_iter().chain(his);
                ours.filter(|node| *node != boss).cloned().collect()
            }
            Step::Ours => {
                locking.step = Step::Others;
                self.known.keys().filter(|node| *node != boss).cloned().collect()
            }
            Step::Others => return self.partition_locked(locking),
        };
        let requester = locking.requester.clone();
        self.locker.state = State::Locking(locking);
        self.ask_for_lock(&requester, next);
    }

    fn not_locked(&mut self, locking: &Locking) {
        if !locking.active {
            self.send_lock_set(&locking.him, false);
        }
        self.locker.just_synced = false;
        self.locker.rests = true;
    }

    fn partition_locked(&mut self, locking: Locking) {
        let Locking {
            him,
            active,
            requester,
            nodes,
            cancelled,
            ..
        } = locking;
        if cancelled {
            if !active {
                self.send_lock_set(&him, false);
            }
            return self.unlock(requester, nodes);
        }
        self.send_lock_set(&him, true);
        let (node, tag) = (him.node.clone(), him.tag);
        let locked = Locked {
            him,
            requester,
            nodes,
        };
        if !active {
            return self.hold(locked);
        }
        self.locker.state = State::AwaitHis(locked);
        // He may have had the same thought.
        let his = |(locker, spoke): &(Pid, Option<i64>)| *locker.node() == node && *spoke == Some(tag);
        if let Some(index) = self.locker.heard.iter().position(his) {
            self.locker.heard.remove(index);
            self.his_answer(true);
        }
    }

    fn lock_set_message(&self, set: bool, tag: Option<&Term>) -> Term {
        let known: Vec<Atom> = self.known.keys().cloned().collect();
        let (kind, me) = (Term::atom("lock_set"), self.me.clone());
        match tag {
            Some(tag) => Term::from((kind, me, set, known, tag.clone())),
            None => Term::from((kind, me, set, known)),
        }
    }

    fn send_lock_set(&mut self, him: &Him, set: bool) {
        let tag = (him.version >= message::VERIFIES).then_some(&him.his_tag);
        let message = self.lock_set_message(set, tag);
        if him.version < message::THROUGH_SERVER {
            let to = him.locker.clone();
            self.push(Output::Send { to, message });
        } else {
            self.cast(&him.node, message);
        }
    }

    /// Frees the lock everywhere, on the boss last: until then nobody else begins.
    fn unlock(&mut self, requester: Term, nodes: Vec<Atom>) {
        let boss = nodes.iter().max().cloned();
        let others: Vec<Atom> = nodes
            .into_iter()
            .filter(|node| boss.as_ref() != Some(node))
            .collect();
        self.locker.state = State::Unlocking {
            requester: requester.clone(),
            boss,
        };
        self.free_lock(Owner::Locker, &requester, others);
    }

    /// Asks for the lock to be freed. A node that is gone has freed it by itself, and is not to be connected to for that.
    pub(super) fn free_lock(
        &mut self,
        owner: Owner,
        requester: &Term,
        nodes: impl IntoIterator<Item = Atom>,
    ) {
        let request = Term::from((Term::atom("del_lock"), message::lock_id(requester)));
        let there = |node: &Atom| node == self.node() || self.connected.contains(node);
        let nodes: Vec<Atom> = nodes.into_iter().filter(there).collect();
        self.multi_call(owner, nodes, &request);
    }
}
