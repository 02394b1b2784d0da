//! The registrar: changes names on every node of the partition, while it holds the lock on all of them.
//!
//! ```text
//!  Idle ─► Boss ─► All ─► Applying ─► Freeing ─► the callers are answered
//!            └──────┴─ somebody else has the lock: Resting for a random time, then again
//! ```

use std::collections::VecDeque;
use std::time::Duration;

use super::core::{Core, Output, Owner, Timer, all_gave, givers};
use super::message;
use super::tables::Entry;
use crate::otp::call::Caller;
use crate::term::{Atom, Term, Tuple};

/// A change of one name.
#[derive(Debug, Clone)]
pub(super) enum Change {
    /// `register_name`: if nobody has the name, and the process has none.
    Register(Entry),
    /// `register_name_external`: if nobody has the name.
    RegisterExternal(Entry),
    /// `re_register_name`.
    Reregister(Entry),
    /// `unregister_name`.
    Unregister(Term),
}

impl Change {
    /// `{change, Function, Name}` or `{change, Function, Name, Pid, Method}`: a call that only this node's own processes make, as
    /// those of a BEAM node send their name server a fun.
    pub(super) fn read(tuple: &Tuple) -> Option<Self> {
        if let Some([_, Term::Atom(function), name]) = tuple.array::<3>() {
            return (function == *"unregister_name").then_some(Self::Unregister(name));
        }
        let [_, Term::Atom(function), name, Term::Pid(pid), method] = tuple.array::<5>()? else {
            return None;
        };
        let entry = Entry { name, pid, method };
        match function.as_str() {
            "register_name" => Some(Self::Register(entry)),
            "register_name_external" => Some(Self::RegisterExternal(entry)),
            "re_register_name" => Some(Self::Reregister(entry)),
            _ => None,
        }
    }
}

#[derive(Debug, Default)]
pub(super) struct Registrar {
    state: State,
    queue: VecDeque<(Caller, Change)>,
    /// How often the lock was not to be had.
    failures: u32,
    timer: u64,
}

#[derive(Debug, Default)]
enum State {
    #[default]
    Idle,
    Boss {
        boss: Atom,
        /// Us and those that are known.
        nodes: Vec<Atom>,
    },
    All {
        boss: Atom,
        nodes: Vec<Atom>,
    },
    Applying {
        nodes: Vec<Atom>,
        caller: Caller,
        reply: Term,
    },
    Freeing {
        boss: Option<Atom>,
        caller: Caller,
        reply: Term,
    },
    Resting,
}

impl Core {
    /// Has a change made, when those before it are.
    pub(super) fn enqueue(&mut self, caller: Caller, change: Change) {
        if let Change::Unregister(name) = &change
            && self.names.get(name).is_none()
        {
            let reply = Term::atom("ok");
            return self.push(Output::Reply { to: caller, reply });
        }
        self.registrar.queue.push_back((caller, change));
    }

    /// The lock of names has us as its requester.
    fn registrar_id(&self) -> Term {
        Term::from(self.me.clone())
    }

    /// Does what can be done at once; `false` when there is nothing.
    pub(super) fn registrar_proceed(&mut self) -> bool {
        if !matches!(self.registrar.state, State::Idle) || self.registrar.queue.is_empty() {
            return false;
        }
        let boss = self.boss();
        let mut nodes = vec![self.node().clone()];
        nodes.extend(self.known.keys().cloned());
        self.registrar.state = State::Boss {
            boss: boss.clone(),
            nodes,
        };
        self.registrar_asks([boss]);
        true
    }

    fn registrar_asks(&mut self, nodes: impl IntoIterator<Item = Atom>) {
        let request = Term::from((Term::atom("set_lock"), message::lock_id(&self.registrar_id())));
        self.multi_call(Owner::Registrar, nodes, &request);
    }

    pub(super) fn registrar_timer(&mut self, number: u64) {
        if number == self.registrar.timer && matches!(self.registrar.state, State::Resting) {
            self.registrar.state = State::Idle;
        }
    }

    pub(super) fn registrar_answered(&mut self, replies: &[(Atom, Term)]) {
        match std::mem::take(&mut self.registrar.state) {
            State::Boss { boss, nodes } => {
                let ours = self.locks.can_set(&message::global(), &self.registrar_id());
                if !all_gave(replies) {
                    self.rest(Vec::new());
                } else if !ours {
                    self.rest(vec![boss]);
                } else {
                    let asked = nodes.clone();
                    self.registrar.state = State::All { boss, nodes };
                    self.registrar_asks(asked);
                }
            }
            State::All { boss, nodes } => {
                let more = self.known.keys().any(|node| !nodes.contains(node));
                if all_gave(replies) && !more {
                    self.apply(givers(replies));
                } else {
                    let mut locked = givers(replies);
                    if !locked.contains(&boss) {
                        locked.push(boss);
                    }
                    self.rest(locked);
                }
            }
            State::Applying { nodes, caller, reply } => {
                let boss = nodes.iter().max().cloned();
                let others = nodes.into_iter().filter(|node| boss.as_ref() != Some(node));
                let others: Vec<Atom> = others.collect();
                self.registrar.state = State::Freeing { boss, caller, reply };
                let id = self.registrar_id();
                self.free_lock(Owner::Registrar, &id, others);
            }
            State::Freeing { boss, caller, reply } => match boss {
                Some(boss) => {
                    let boss_freed = State::Freeing {
                        boss: None,
                        caller,
                        reply,
                    };
                    self.registrar.state = boss_freed;
                    let id = self.registrar_id();
                    self.free_lock(Owner::Registrar, &id, [boss]);
                }
                None => {
                    self.registrar.failures = 0;
                    self.push(Output::Reply { to: caller, reply });
                }
            },
            state @ (State::Idle | State::Resting) => self.registrar.state = state,
        }
    }

    /// Gives back what was locked, and tries again later.
    fn rest(&mut self, locked: Vec<Atom>) {
        let id = self.registrar_id();
        self.free_lock(Owner::Nobody, &id, locked);
        let most: u64 = if self.registrar.failures > 5 {
            8000
        } else {
            (1000 << self.registrar.failures) / 8
        };
        self.registrar.failures = self.registrar.failures.saturating_add(1);
        let after = Duration::from_millis(1 + self.random() % most);
        self.registrar.timer = self.count();
        self.registrar.state = State::Resting;
        let timer = Timer::Registrar(self.registrar.timer);
        self.push(Output::Timer { timer, after });
    }

    /// All nodes are locked.
    fn apply(&mut self, nodes: Vec<Atom>) {
        let Some((caller, change)) = self.registrar.queue.pop_front() else {
            return;
        };
        let entry_term = |tag: &'static str, entry: &Entry| {
            let Entry { name, pid, method } = entry.clone();
            Term::from((Term::atom(tag), name, pid, method))
        };
        let request = match &change {
            Change::Register(entry)
                if self.names.get(&entry.name).is_some() || self.names.has_name(&entry.pid) =>
            {
                None
            }
            Change::RegisterExternal(entry) if self.names.get(&entry.name).is_some() => None,
            Change::Register(entry) | Change::Reregister(entry) => Some(entry_term("register", entry)),
            Change::RegisterExternal(Entry { name, pid, method }) => Some(Term::from((
                Term::atom("register_ext"),
                name.clone(),
                pid.clone(),
                method.clone(),
                self.node().clone(),
            ))),
            Change::Unregister(name) => Some(Term::from((Term::atom("unregister"), name.clone()))),
        };
        let reply = Term::atom(match (&change, &request) {
            (Change::Unregister(_), _) => "ok",
            (_, Some(_)) => "yes",
            (_, None) => "no",
        });
        // Without a change there is nobody to ask, and the lock is given back at once. One that is gone meanwhile is not to be told behind
        // the back of those that it may have joined by then, nor one that is back and has given the lock, as long as it is not known.
        let shares = |node: &&Atom| *node == self.node() || self.known.contains_key(*node);
        let asked: Vec<Atom> = match &request {
            Some(_) => nodes.iter().filter(shares).cloned().collect(),
            None => Vec::new(),
        };
        self.registrar.state = State::Applying { nodes, caller, reply };
        self.multi_call(Owner::Registrar, asked, &request.unwrap_or(Term::NIL));
    }
}
