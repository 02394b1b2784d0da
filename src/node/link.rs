//! Making connections and being connected to: where a node's name leads, who may come, and what becomes of a link
//! that is up.

use std::net::SocketAddr;
use std::sync::Arc;

use tokio::sync::Notify;
use tracing::{debug, warn};

use super::connections::{AttemptId, Connection, Connections, Incoming};
use super::signal::Outbox;
use super::{ConnectError, DownReason, Node};
use crate::dist::control::Control;
use crate::dist::handshake::{Dialed, HandshakeError, Local, LocalName, Refusal, SETUP_TIME};
use crate::dist::{Flags, NodeName};
use crate::epmd::{self, ResolveError, Resolver};
use crate::net::{
    self, Attempt, CloseReason, Decision, Gatekeeper, Link, Listener, Naming, Router, SetupError,
};
use crate::term::Atom;

/// Begins an attempt of ours, as a task.
pub(super) fn dial(node: &Node, peer: &Atom, id: AttemptId, cancel: Arc<Notify>) {
    let (node, peer) = (node.clone(), peer.clone());
    node.0.runtime.clone().spawn(async move {
        let attempt = Dialing {
            node: &node,
            peer: &peer,
            id,
        };
        let result = tokio::select! {
            // Given way to an attempt of the peer, which our waiters now wait for.
            () = cancel.notified() => return,
            result = attempt.run() => result,
        };
        match result {
            Ok(link) => up(&node, &peer, id, link),
            Err(error) => {
                debug!(%peer, %error, "cannot connect");
                node.0.connections.failed(&peer, id, error);
            }
        }
    });
}

/// One attempt of ours.
struct Dialing<'a> {
    node: &'a Node,
    peer: &'a Atom,
    id: AttemptId,
}

impl Dialing<'_> {
    async fn run(&self) -> Result<Link, ConnectError> {
        let inner = &self.node.0;
        let name: NodeName = self.peer.as_str().parse()?;
        name.expect_kind(inner.name.kind())?;
        let addresses = resolve(&*inner.resolver, &name).await?;
        let dialed = Dialed {
            name: LocalName::Named(inner.name.clone()),
            flags: inner.flags,
            creation: inner.creation,
            cookie: self.node.cookie_for(self.peer),
            peer: name,
        };
        Ok(net::connect(&addresses, dialed, SETUP_TIME, self).await?)
    }
}

impl Attempt for Dialing<'_> {
    fn begin(&self) -> bool {
        self.node.0.connections.begin_handshake(self.peer, self.id)
    }

    fn replaces(&self) -> bool {
        self.node.0.connections.is_current(self.peer, self.id)
    }
}

/// Where the node listens. One that is not registered is told with those that are: most likely the name is misspelt.
async fn resolve(resolver: &dyn Resolver, name: &NodeName) -> Result<Vec<SocketAddr>, ConnectError> {
    let unregistered = |registered| ConnectError::NotRegistered {
        name: name.clone(),
        registered,
    };
    let Ok(alive) = epmd::Name::new(name.alive()) else {
        return Err(unregistered(Vec::new()));
    };
    match resolver.resolve(&alive, name.host()).await {
        Ok(location) => Ok(location.addresses),
        Err(ResolveError::NotRegistered { host, .. }) => {
            let known = epmd::Client::new(&host)
                .names()
                .await
                .map(|known| known.names)
                .unwrap_or_default();
            Err(unregistered(
                known.iter().map(|entry| entry.name.to_string()).collect(),
            ))
        }
        Err(error) => Err(ConnectError::Resolve(Arc::new(error))),
    }
}

/// Accepts connections until the node stops.
pub(super) fn accept(node: &Node, listener: Listener) {
    let mut stop = node.0.stopping.subscribe();
    let gate = Arc::new(Gate { node: node.clone() });
    node.0.runtime.spawn(async move {
        tokio::select! {
            () = listener.serve(gate) => {}
            _ = stop.wait_for(|stop| *stop) => {}
        }
    });
}

/// Decides who may come.
struct Gate {
    node: Node,
}

/// One attempt of a peer. Should it vanish without success, the attempt is off the table.
struct Admission {
    node: Node,
    peer: Atom,
    attempt: AttemptId,
    cancel: Arc<Notify>,
    /// The connection that it replaces.
    old: Option<Arc<Connection>>,
}

impl Drop for Admission {
    fn drop(&mut self) {
        self.node
            .0
            .connections
            .failed(&self.peer, self.attempt, HandshakeError::Superseded.into());
    }
}

impl Gatekeeper for Gate {
    type Admission = Admission;

    fn local(&self) -> Local {
        let inner = &self.node.0;
        Local {
            name: inner.name.clone(),
            flags: inner.flags,
            creation: inner.creation,
        }
    }

    fn connection(&self, name: &NodeName, _: Flags, _: Option<SocketAddr>) -> Decision<Admission> {
        let inner = &self.node.0;
        let Ok(peer) = Atom::new(name.as_str()) else {
            return Decision::Refuse(Refusal::NotAllowed);
        };
        if *name == inner.name || name.expect_kind(inner.name.kind()).is_err() || *inner.stopping.borrow() {
            return Decision::Refuse(Refusal::NotAllowed);
        }
        let cookie = self.node.cookie_for(&peer);
        match inner.connections.incoming(&inner.name, name, &peer) {
            Incoming::Accept {
                attempt,
                cancel,
                simultaneous,
            } => {
                let admission = Admission {
                    node: self.node.clone(),
                    peer,
                    attempt,
                    cancel,
                    old: None,
                };
                Decision::Accept {
                    admission,
                    simultaneous,
                    cookie,
                }
            }
            Incoming::Alive { attempt, cancel, old } => {
                let admission = Admission {
                    node: self.node.clone(),
                    peer,
                    attempt,
                    cancel,
                    old: Some(old),
                };
                Decision::Alive { admission, cookie }
            }
            Incoming::Nok => Decision::Refuse(Refusal::Nok),
            Incoming::Busy => Decision::Refuse(Refusal::Busy),
        }
    }

    fn name(&self, _: &str, _: Flags, _: Option<SocketAddr>) -> Naming<Admission> {
        Naming::Refuse(Refusal::NotAllowed)
    }

    async fn verified(&self, admission: &Admission) -> bool {
        if let Some(old) = &admission.old {
            old.close(DownReason::ConnectionClosed);
            Connections::gone(old).await;
        }
        self.node
            .0
            .connections
            .is_current(&admission.peer, admission.attempt)
    }

    async fn withdrawn(&self, admission: &Admission) {
        admission.cancel.notified().await;
    }

    fn established(&self, admission: Admission, link: Link) {
        up(&self.node, &admission.peer, admission.attempt, link);
    }

    fn failed(&self, admission: Admission, error: SetupError) {
        self.node
            .0
            .connections
            .failed(&admission.peer, admission.attempt, error.into());
    }
}

/// The handshake is done: the connection goes on the table, and its task starts.
fn up(node: &Node, peer: &Atom, attempt: AttemptId, link: Link) {
    let established = link.established().clone();
    let (outbound, driver) = link.open(node.0.link);
    let Some(connection) = node
        .0
        .connections
        .established(peer, attempt, established.peer, outbound)
    else {
        debug!(%peer, "connected too late: another attempt was preferred");
        return;
    };
    let (node, runtime) = (node.clone(), node.0.runtime.clone());
    runtime.spawn(async move {
        let route = Route {
            node: node.clone(),
            connection: Arc::clone(&connection),
        };
        let ended = driver.run(route).await;
        let reason = match &ended {
            CloseReason::Disconnected => connection.closing().unwrap_or(DownReason::Disconnect),
            CloseReason::NetTickTimeout(_) => DownReason::NetTickTimeout,
            CloseReason::ConnectionClosed | CloseReason::Protocol(_) | CloseReason::Io(_) => {
                DownReason::ConnectionClosed
            }
        };
        match &ended {
            CloseReason::Disconnected | CloseReason::ConnectionClosed => {
                debug!(peer = %connection.name(), reason = %ended, "connection ended");
            }
            CloseReason::NetTickTimeout(_) | CloseReason::Protocol(_) | CloseReason::Io(_) => {
                warn!(peer = %connection.name(), reason = %ended, "connection ended");
            }
        }
        node.connection_down(&connection, reason);
    });
}

/// Takes what comes over a connection to where it belongs.
struct Route {
    node: Node,
    connection: Arc<Connection>,
}

impl Router for Route {
    fn control(&mut self, signal: Control) {
        let mut out = Outbox::default();
        self.node.deliver_here(signal, Some(&self.connection), &mut out);
        self.node.deliver(out);
    }
}
