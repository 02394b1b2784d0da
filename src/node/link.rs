//! Making connections and being connected to: where a node's name leads, who may come, and what becomes of a link
//! that is up.

use std::net::SocketAddr;
use std::sync::Arc;

use tokio::sync::Notify;
use tracing::{debug, warn};

use super::connections::{AttemptId, Connection, Connections, Incoming};
use super::naming::GivenName;
use super::signal::{Outbox, Wakes};
use super::{ConnectError, DownReason, Node};
use crate::dist::control::Control;
use crate::dist::handshake::{Dialed, HandshakeError, Local, LocalName, Refusal};
use crate::dist::{Flags, NodeName};
use crate::epmd::{self, ResolveError, Resolver};
use crate::net::{
    self, Attempt, CloseReason, Decision, Gatekeeper, Link, LinkOptions, Listener, Naming, Router, SetupError,
};
use crate::term::Atom;

/// Begins an attempt of ours, as a task.
pub(super) fn dial(node: &Node, peer: &Atom, flags: Flags, id: AttemptId, cancel: Arc<Notify>) {
    let (node, peer) = (node.clone(), peer.clone());
    node.0.runtime.clone().spawn(async move {
        let attempt = Dialing {
            node: &node,
            peer: &peer,
            flags,
            id,
        };
        let result = tokio::select! {
            // Given way to an attempt of the peer, which our waiters now wait for.
            () = cancel.notified() => return,
            result = attempt.run() => result,
        };
        match result {
            Ok(link) => up(&node, &peer, id, link, None),
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
    flags: Flags,
    id: AttemptId,
}

impl Dialing<'_> {
    async fn run(&self) -> Result<Link, ConnectError> {
        let inner = &self.node.0;
        let name: NodeName = self.peer.as_str().parse()?;
        name.expect_kind(inner.name.kind())?;
        if !inner.allowed.includes(&name) {
            return Err(ConnectError::NotAllowed { name });
        }
        let addresses = resolve(&*inner.resolver, &name).await?;
        let dialed = Dialed {
            name: LocalName::Named(inner.name.clone()),
            flags: self.flags,
            creation: inner.creation,
            cookie: self.node.cookie(self.peer),
            peer: name,
        };
        Ok(net::connect(&addresses, dialed, inner.setup_time, self).await?)
    }
}

impl Attempt for Dialing<'_> {
    fn begin(&self) -> bool {
        self.node.0.connections.begin_handshake(self.peer, self.id)
    }

    fn replaces(&self) -> bool {
        self.node.0.connections.is_current(self.peer, self.id)
    }

    /// When it comes, this attempt is cancelled, and those who wait for it get the peer's.
    fn waits_for_peer(&self) -> bool {
        true
    }
}

/// Where the node listens. One that is not registered is told with those that are: most likely the name is misspelt.
pub(super) async fn resolve(
    resolver: &dyn Resolver,
    name: &NodeName,
) -> Result<Vec<SocketAddr>, ConnectError> {
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
    /// The name that it got from us.
    given: Option<GivenName>,
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
        if *name == inner.name
            || name.expect_kind(inner.name.kind()).is_err()
            || *inner.stopping.borrow()
            || !inner.allowed.includes(name)
        {
            return Decision::Refuse(Refusal::NotAllowed);
        }
        let cookie = self.node.cookie(&peer);
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
                    given: None,
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
                    given: None,
                };
                Decision::Alive { admission, cookie }
            }
            Incoming::Nok => Decision::Refuse(Refusal::Nok),
            Incoming::Busy => Decision::Refuse(Refusal::Busy),
        }
    }

    fn name(&self, host: &str, _: Flags, _: Option<SocketAddr>) -> Naming<Admission> {
        let inner = &self.node.0;
        let given = inner
            .names
            .give(host)
            .filter(|given| inner.allowed.includes(&given.name));
        let Some(given) = given else {
            return Naming::Refuse(Refusal::NotAllowed);
        };
        let Ok(peer) = Atom::new(given.name.as_str()) else {
            return Naming::Refuse(Refusal::NotAllowed);
        };
        let (name, creation) = (given.name.clone(), given.creation);
        match inner.connections.incoming(&inner.name, &name, &peer) {
            Incoming::Accept { attempt, cancel, .. } => {
                let cookie = self.node.cookie(&peer);
                let node = self.node.clone();
                let admission = Admission {
                    node,
                    peer,
                    attempt,
                    cancel,
                    old: None,
                    given: Some(given),
                };
                Naming::Name {
                    admission,
                    name,
                    creation,
                    cookie,
                }
            }
            // It is in use: a node that goes by that name without having it from us.
            _ => Naming::Refuse(Refusal::NotAllowed),
        }
    }

    async fn verified(&self, admission: &Admission) -> bool {
        if let Some(old) = &admission.old {
            old.close(DownReason::WaitPending);
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

    fn established(&self, mut admission: Admission, link: Link) {
        up(
            &self.node,
            &admission.peer,
            admission.attempt,
            link,
            admission.given.take(),
        );
    }

    fn failed(&self, admission: Admission, error: SetupError) {
        self.node
            .0
            .connections
            .failed(&admission.peer, admission.attempt, error.into());
    }
}

/// The handshake is done: the connection goes on the table, and its task starts. A name that was given comes back when it ends.
pub(super) fn up(node: &Node, peer: &Atom, attempt: AttemptId, link: Link, given: Option<GivenName>) {
    let established = link.established().clone();
    let at = (established.peer, link.address());
    let ticks = node.0.ticktime.initial();
    let (outbound, driver) = link.open(LinkOptions { ticks, ..node.0.link });
    let mut out = Outbox::default();
    let connection = node
        .0
        .connections
        .established(peer, attempt, at, outbound, &mut out);
    node.deliver(out);
    let Some(connection) = connection else {
        debug!(%peer, "connected too late: another attempt was preferred");
        return;
    };
    node.0.ticktime.catch_up(&connection, ticks);
    let (node, runtime) = (node.clone(), node.0.runtime.clone());
    runtime.spawn(async move {
        let route = Route {
            node: node.clone(),
            connection: Arc::clone(&connection),
            out: Outbox::default(),
        };
        let ended = driver.run(route).await;
        let reason = match &ended {
            CloseReason::Disconnected => connection.closing().unwrap_or(DownReason::Disconnect),
            CloseReason::NetTickTimeout(_) => DownReason::NetTickTimeout,
            CloseReason::ConnectionClosed
            | CloseReason::Unread(_)
            | CloseReason::CutOff
            | CloseReason::Protocol(_)
            | CloseReason::Io(_) => DownReason::ConnectionClosed,
        };
        match &ended {
            CloseReason::Disconnected | CloseReason::ConnectionClosed => {
                debug!(peer = %connection.name(), reason = %ended, "connection ended");
            }
            CloseReason::CutOff
            | CloseReason::Unread(_)
            | CloseReason::NetTickTimeout(_)
            | CloseReason::Protocol(_)
            | CloseReason::Io(_) => {
                warn!(peer = %connection.name(), reason = %ended, "connection ended");
            }
        }
        node.connection_down(&connection, reason);
        drop(given);
    });
}

/// Stops the node when its connection to `peer` ends, which gave it its name: the name is then another's.
pub(super) fn stop_without(node: &Node, peer: &Atom) {
    let Some(connection) = node.0.connections.up(peer) else {
        return;
    };
    let node = node.clone();
    node.0.runtime.clone().spawn(async move {
        Connections::gone(&connection).await;
        if !*node.0.stopping.borrow() {
            warn!(peer = %connection.name(), node = %node.name(), "the node that gave this one its name is gone: stopping");
            node.shutdown().await;
        }
    });
}

/// Takes what comes over a connection to where it belongs.
struct Route {
    node: Node,
    connection: Arc<Connection>,
    /// Empty between signals.
    out: Outbox,
}

impl Router for Route {
    fn begin(&mut self) {
        self.out.wakes = Wakes::OneAndTogether;
    }

    fn control(&mut self, signal: Control) {
        let Self {
            node,
            connection,
            out,
        } = self;
        node.deliver_here(signal, Some(connection), out);
        node.deliver_all(out);
    }
}
