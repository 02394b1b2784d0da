//! `global`: names and locks that a whole cluster shares, and the mesh that shares them.
//!
//! A visible node joins the cluster of every visible node that it connects to, as a BEAM node does: all nodes of the one
//! partition connect to all nodes of the other, and names that both have are resolved. A node that is hidden, or does not
//! [`connect_all`](crate::node::Builder::connect_all), keeps to itself.
//!
//! | file | holds |
//! |---|---|
//! | `core`, `sessions`, `locker`, `registrar`, `partitions`, `tables`, `message` | `global_name_server` as a state machine |
//! | `server` | the process that drives it |
//! | `api` | [`Global`], for Rust |
//! | `functions` | the module `global`, for other nodes |
//! | `tests` | one of the state machine, told message by message what BEAM nodes tell it |
//! | `simulation` | hundreds of the state machine in one thread, and a network that is cut |

mod api;
mod core;
mod functions;
mod locker;
mod message;
mod partitions;
mod registrar;
mod server;
mod sessions;
#[cfg(test)]
mod simulation;
mod tables;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::sync::{PoisonError, RwLock};

pub use api::{Global, GlobalError, LockId, Resolve};
pub(crate) use core::Settings;

use crate::node::Node;
use crate::term::{Pid, Term};

pub(super) const NAME: &str = "global_name_server";

/// The names as every process of the node sees them.
#[derive(Debug, Default)]
pub(crate) struct Globals {
    names: RwLock<HashMap<Term, Pid>>,
}

impl Globals {
    pub(crate) fn get(&self, name: &Term) -> Option<Pid> {
        self.names
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .get(name)
            .cloned()
    }

    fn names(&self) -> Vec<Term> {
        let names = self.names.read().unwrap_or_else(PoisonError::into_inner);
        names.keys().cloned().collect()
    }

    fn set(&self, name: Term, pid: Option<Pid>) {
        let mut names = self.names.write().unwrap_or_else(PoisonError::into_inner);
        match pid {
            Some(pid) => names.insert(name, pid),
            None => names.remove(&name),
        };
    }
}

pub(super) fn start(node: &Node, settings: Settings) {
    server::start(node, settings);
    functions::start(node);
}
