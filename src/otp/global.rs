//! `global_name_server`, as a node that takes no part in `global`.
//!
//! On the nodes of a cluster, `global:sync/0` waits for every visible node. Told `in_sync` at once, they count us as
//! synchronised and never wait, and never hold the cluster's name lock for us. Locks that others ask of us by name
//! (`global:set_lock/3` with a list of nodes) are granted and freed as `global` does, so that nobody waits for those either.

use std::collections::HashMap;

use tracing::debug;

use super::call::Request;
use crate::node::{Message, Node, Process};
use crate::term::{Atom, Pid, Reference, Term};

const NAME: &str = "global_name_server";

pub(super) fn start(node: &Node) {
    node.spawn_service(NAME, super::MAILBOX, async |me| {
        Server {
            me,
            locks: HashMap::new(),
        }
        .run()
        .await;
        Ok(())
    });
}

struct Server {
    me: Process,
    /// By the resource that is locked.
    locks: HashMap<Term, Lock>,
}

struct Lock {
    /// Who asked; the same requester may hold a lock through several processes.
    requester: Term,
    holders: Vec<(Pid, Reference)>,
}

impl Server {
    async fn run(mut self) {
        while let Some(message) = self.me.recv().await {
            if let Message::Down(down) = &message {
                self.release(|_, monitor| *monitor == down.reference);
                continue;
            }
            match Request::read(&message) {
                Ok(Request::Cast(request)) => self.cast(&request),
                Ok(Request::Call(caller, request)) => {
                    if let Some(reply) = self.call(caller.pid(), &request).await {
                        caller.reply(&self.me, reply);
                    } else {
                        debug!(from = %caller.pid(), %request, "global: a request that is not served");
                    }
                }
                Ok(Request::Info(_)) | Err(_) => {}
            }
        }
    }

    /// The one cast that matters is the `init_connect` of a node that has just connected.
    fn cast(&self, request: &Term) {
        let Some(tuple) = request.as_tuple() else { return };
        if let (Some(Term::Atom(tag)), Some(Term::Atom(peer))) = (tuple.get(0), tuple.get(2))
            && tag == *"init_connect"
        {
            let in_sync = (
                Atom::from_static("in_sync"),
                self.me.node().name().clone(),
                Term::from(true),
            );
            self.me.post_cast((NAME, peer.as_str()), Term::from(in_sync));
        }
    }

    async fn call(&mut self, caller: &Pid, request: &Term) -> Option<Term> {
        let [Term::Atom(operation), id] = request.as_tuple()?.array::<2>()? else {
            return None;
        };
        let [resource, requester] = id.as_tuple()?.array::<2>()?;
        match operation.as_str() {
            "set_lock" => Some(Term::from(self.set_lock(caller, resource, requester).await)),
            "del_lock" => {
                let held = self
                    .locks
                    .get(&resource)
                    .is_some_and(|lock| lock.requester == requester);
                if held {
                    self.release_of(&resource, |holder, _| holder == caller);
                }
                Some(Term::from(true))
            }
            _ => None,
        }
    }

    async fn set_lock(&mut self, caller: &Pid, resource: Term, requester: Term) -> bool {
        if self
            .locks
            .get(&resource)
            .is_some_and(|lock| lock.requester != requester)
        {
            return false;
        }
        let monitor = self.me.monitor(caller).await;
        let lock = self.locks.entry(resource).or_insert_with(|| Lock {
            requester,
            holders: Vec::new(),
        });
        lock.holders.push((caller.clone(), monitor));
        true
    }

    /// Frees what the holders for which `gone` holds have of every lock.
    fn release(&mut self, gone: impl Fn(&Pid, &Reference) -> bool) {
        let resources: Vec<Term> = self.locks.keys().cloned().collect();
        for resource in resources {
            self.release_of(&resource, &gone);
        }
    }

    /// Frees one holding of `resource` for which `gone` holds.
    fn release_of(&mut self, resource: &Term, gone: impl Fn(&Pid, &Reference) -> bool) {
        let Some(lock) = self.locks.get_mut(resource) else {
            return;
        };
        if let Some(index) = lock.holders.iter().position(|(pid, monitor)| gone(pid, monitor)) {
            let (_, monitor) = lock.holders.swap_remove(index);
            self.me.demonitor_flush(&monitor);
        }
        if lock.holders.is_empty() {
            self.locks.remove(resource);
        }
    }
}
