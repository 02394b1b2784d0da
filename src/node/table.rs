//! The processes of a node by pid, and by registered name.
//!
//! A pid's `id` has 15 bits and its `serial` 13: OTP 23 ends the connection over anything larger. So there are 2²⁸
//! pids, handed out in turn; one comes round again only when all others were used.

use std::collections::hash_map::Entry;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use super::HashMap;
use super::cell::Cell;
use super::signal::Ended;
use crate::term::{Atom, Pid};

const ID_BITS: u32 = 15;
const SERIAL_BITS: u32 = 13;
const ID_MASK: u32 = (1 << ID_BITS) - 1;
const NUMBER_MASK: u32 = (1 << (ID_BITS + SERIAL_BITS)) - 1;

/// A local process's number: its pid without node and creation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Number(u32);

impl Number {
    /// The number in `pid`, which the caller knows to be one of this node; `None` when no pid of ours looks so.
    pub(crate) fn of(pid: &Pid) -> Option<Self> {
        (pid.id() <= ID_MASK && pid.serial() < 1 << SERIAL_BITS)
            .then(|| Self(pid.serial() << ID_BITS | pid.id()))
    }

    /// The number in the lower bits of `word`.
    pub(crate) fn from_bits(word: u32) -> Self {
        Self(word & NUMBER_MASK)
    }

    pub(crate) fn get(self) -> u32 {
        self.0
    }

    pub(crate) fn id(self) -> u32 {
        self.0 & ID_MASK
    }

    pub(crate) fn serial(self) -> u32 {
        self.0 >> ID_BITS
    }
}

/// All processes and names of one node.
#[derive(Debug, Default)]
pub(crate) struct Table {
    next: AtomicU32,
    cells: RwLock<HashMap<Number, Arc<Cell>>>,
    names: RwLock<HashMap<Atom, Arc<Cell>>>,
}

impl Table {
    /// Adds the process that `make` builds for a number that no living process has.
    pub(crate) fn insert(&self, make: impl Fn(Number) -> Arc<Cell>) -> Arc<Cell> {
        loop {
            let number = self.next();
            let cell = make(number);
            if let Entry::Vacant(vacant) = write(&self.cells).entry(number) {
                vacant.insert(Arc::clone(&cell));
                return cell;
            }
        }
    }

    /// A number that no living process has. One gets it when all others have been used.
    pub(crate) fn unused(&self) -> Number {
        loop {
            let number = self.next();
            if !read(&self.cells).contains_key(&number) {
                return number;
            }
        }
    }

    fn next(&self) -> Number {
        Number(self.next.fetch_add(1, Ordering::Relaxed) & NUMBER_MASK)
    }

    /// Takes a process that has ended off both lists.
    pub(crate) fn remove(&self, ended: &Ended) {
        let cell = write(&self.cells).remove(&ended.number);
        if let (Some(cell), Some(name)) = (cell, &ended.name) {
            self.unregister(name, &cell);
        }
    }

    pub(crate) fn get(&self, number: Number) -> Option<Arc<Cell>> {
        read(&self.cells).get(&number).cloned()
    }

    /// Every living process, in no particular order.
    pub(crate) fn all(&self) -> Vec<Arc<Cell>> {
        read(&self.cells).values().cloned().collect()
    }

    /// Gives `name` to `cell`; `false` when another process has it.
    pub(crate) fn register(&self, name: Atom, cell: &Arc<Cell>) -> bool {
        match write(&self.names).entry(name) {
            Entry::Occupied(_) => false,
            Entry::Vacant(vacant) => {
                vacant.insert(Arc::clone(cell));
                true
            }
        }
    }

    /// Takes `name` away from `cell`; `false` when it is not the one that has it.
    pub(crate) fn unregister(&self, name: &str, cell: &Cell) -> bool {
        let mut names = write(&self.names);
        let held = names
            .get(name)
            .is_some_and(|holder| std::ptr::eq(Arc::as_ptr(holder), cell));
        if held {
            names.remove(name);
        }
        held
    }

    pub(crate) fn whereis(&self, name: &str) -> Option<Arc<Cell>> {
        read(&self.names).get(name).cloned()
    }

    /// The registered names, in no particular order.
    pub(crate) fn registered(&self) -> Vec<Atom> {
        read(&self.names).keys().cloned().collect()
    }
}

// A panic while one of these is held cannot leave the map half-changed: nothing foreign runs under the lock.
fn read<T>(lock: &RwLock<T>) -> RwLockReadGuard<'_, T> {
    lock.read().unwrap_or_else(PoisonError::into_inner)
}

fn write<T>(lock: &RwLock<T>) -> RwLockWriteGuard<'_, T> {
    lock.write().unwrap_or_else(PoisonError::into_inner)
}
