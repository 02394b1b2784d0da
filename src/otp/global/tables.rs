//! What `global_name_server` keeps: names, and locks.
//!
//! Both are held by processes anywhere in the cluster, each under a monitor of its own. Nothing here knows why an entry comes or
//! goes.

use std::collections::{BTreeMap, HashMap};

use super::core::MonitorId;
use crate::term::{Atom, Pid, Term};

/// A name and who has it, as nodes tell each other: `{Name, Pid, Method}`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) name: Term,
    pub(super) pid: Pid,
    /// The fun that resolves a conflict. Whatever form it came in is how it goes on.
    pub(super) method: Term,
}

impl Entry {
    pub(super) fn read(term: &Term) -> Option<Self> {
        let [name, Term::Pid(pid), method] = term.as_tuple()?.array::<3>()? else {
            return None;
        };
        Some(Self { name, pid, method })
    }

    pub(super) fn term(&self) -> Term {
        Term::from((self.name.clone(), self.pid.clone(), self.method.clone()))
    }
}

#[derive(Debug)]
struct Held {
    pid: Pid,
    method: Term,
    monitor: MonitorId,
}

/// The names.
#[derive(Debug, Default)]
pub(super) struct Names {
    /// In order, so that what follows from a seed is always the same.
    by_name: BTreeMap<Term, Held>,
    /// How many names a process has: more than one only if a peer says so.
    by_pid: HashMap<Pid, usize>,
    by_monitor: HashMap<MonitorId, Term>,
    /// Names of processes whose own nodes have no `global`, with the node that registered them.
    external: HashMap<Term, (Pid, Atom)>,
}

impl Names {
    pub(super) fn get(&self, name: &Term) -> Option<&Pid> {
        self.by_name.get(name).map(|held| &held.pid)
    }

    pub(super) fn entry(&self, name: &Term) -> Option<Entry> {
        let (name, held) = self.by_name.get_key_value(name)?;
        Some(Entry {
            name: name.clone(),
            pid: held.pid.clone(),
            method: held.method.clone(),
        })
    }

    pub(super) fn has_name(&self, pid: &Pid) -> bool {
        self.by_pid.contains_key(pid)
    }

    pub(super) fn entries(&self) -> impl Iterator<Item = Entry> {
        self.by_name.iter().map(|(name, held)| Entry {
            name: name.clone(),
            pid: held.pid.clone(),
            method: held.method.clone(),
        })
    }

    /// Puts a name in; the monitor of the one that it replaces is given back.
    pub(super) fn insert(&mut self, entry: Entry, monitor: MonitorId) -> Option<MonitorId> {
        let old = self.remove(&entry.name);
        *self.by_pid.entry(entry.pid.clone()).or_default() += 1;
        self.by_monitor.insert(monitor, entry.name.clone());
        let Entry { name, pid, method } = entry;
        self.by_name.insert(name, Held { pid, method, monitor });
        old
    }

    /// Takes a name out, and gives back its monitor.
    pub(super) fn remove(&mut self, name: &Term) -> Option<MonitorId> {
        let held = self.by_name.remove(name)?;
        self.external.remove(name);
        self.by_monitor.remove(&held.monitor);
        if let Some(count) = self.by_pid.get_mut(&held.pid) {
            *count -= 1;
            if *count == 0 {
                self.by_pid.remove(&held.pid);
            }
        }
        Some(held.monitor)
    }

    /// The name that is under that monitor.
    pub(super) fn under(&self, monitor: MonitorId) -> Option<&Term> {
        self.by_monitor.get(&monitor)
    }

    pub(super) fn set_external(&mut self, name: Term, pid: Pid, node: Atom) {
        self.external.insert(name, (pid, node));
    }

    /// `[{Name, Pid, Node}]`.
    pub(super) fn external(&self) -> Term {
        let entries = self.external.iter();
        let terms = entries.map(|(name, (pid, node))| Term::from((name.clone(), pid.clone(), node.clone())));
        Term::from(terms.collect::<Vec<_>>())
    }
}

#[derive(Debug)]
struct Lock {
    requester: Term,
    /// The same requester may hold a lock by several processes. The monitor of a process of `global` itself is missing.
    holders: Vec<(Pid, Option<MonitorId>)>,
}

/// The locks, by the resource that is locked.
#[derive(Debug, Default)]
pub(super) struct Locks {
    by_resource: HashMap<Term, Lock>,
    by_monitor: HashMap<MonitorId, Term>,
}

impl Locks {
    pub(super) fn is_set(&self, resource: &Term) -> bool {
        self.by_resource.contains_key(resource)
    }

    /// Whether the requester could have the lock, or has it.
    pub(super) fn can_set(&self, resource: &Term, requester: &Term) -> bool {
        let lock = self.by_resource.get(resource);
        lock.is_none_or(|lock| lock.requester == *requester)
    }

    pub(super) fn requester(&self, resource: &Term) -> Option<&Term> {
        self.by_resource.get(resource).map(|lock| &lock.requester)
    }

    pub(super) fn is_held_by(&self, resource: &Term, pid: &Pid) -> bool {
        let lock = self.by_resource.get(resource);
        lock.is_some_and(|lock| lock.holders.iter().any(|(holder, _)| holder == pid))
    }

    /// Adds a holder to a lock that it can have.
    pub(super) fn add(&mut self, resource: &Term, requester: &Term, pid: &Pid, monitor: Option<MonitorId>) {
        if let Some(monitor) = monitor {
            self.by_monitor.insert(monitor, resource.clone());
        }
        let lock = self.by_resource.entry(resource.clone()).or_insert_with(|| Lock {
            requester: requester.clone(),
            holders: Vec::new(),
        });
        lock.holders.push((pid.clone(), monitor));
    }

    /// Takes a holder off, and gives back its monitor. Without holders a lock is free.
    pub(super) fn remove(&mut self, resource: &Term, requester: &Term, pid: &Pid) -> Option<MonitorId> {
        let lock = self.by_resource.get_mut(resource)?;
        if lock.requester != *requester {
            return None;
        }
        let index = lock.holders.iter().position(|(holder, _)| holder == pid)?;
        let (_, monitor) = lock.holders.swap_remove(index);
        if lock.holders.is_empty() {
            self.by_resource.remove(resource);
        }
        if let Some(monitor) = monitor {
            self.by_monitor.remove(&monitor);
        }
        monitor
    }

    /// The holder under that monitor has ended. The resource, if that was its last one.
    pub(super) fn down(&mut self, monitor: MonitorId) -> Option<Term> {
        let resource = self.by_monitor.remove(&monitor)?;
        let lock = self.by_resource.get_mut(&resource)?;
        lock.holders.retain(|(_, held)| *held != Some(monitor));
        if !lock.holders.is_empty() {
            return None;
        }
        self.by_resource.remove(&resource);
        Some(resource)
    }
}
