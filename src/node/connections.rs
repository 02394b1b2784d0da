//! The connections of a node: at most one to each peer, and at most one attempt at one.
//!
//! Whoever needs a connection waits for the attempt that is under way, whoever began it: an attempt of ours that gives
//! way to one of the peer passes its waiters on. The rules are in [`arbitration`](crate::dist::arbitration); this is the
//! table that they speak of.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use tokio::sync::{Notify, watch};

use super::calls::Calls;
use super::events::{NodeEvent, NodeType, Subscribers};
use super::reconnect::AutoConnect;
use super::signal::Outbox;
use super::table::Number;
use super::{ConnectError, DownReason};
use super::{HashMap, HashSet};
use crate::dist::arbitration::{self, Held, Verdict};
use crate::dist::handshake::Peer;
use crate::dist::{Flags, NodeName};
use crate::net::Outbound;
use crate::term::{Atom, Reference};

/// An established connection.
pub(crate) struct Connection {
    name: Atom,
    /// That of the attempt which made it.
    id: AttemptId,
    peer: Peer,
    /// Where the peer is.
    address: Option<SocketAddr>,
    pub(crate) outbound: Outbound,
    /// The processes that have a link or monitor over it; `None` once it is gone.
    attached: Mutex<Option<HashSet<Number>>>,
    /// The functions that the peer runs for this node.
    pub(crate) calls: Calls,
    /// Which process each monitor of the peer is on that is on a name: the name may be another's when it is taken away.
    named: Mutex<HashMap<Reference, Number>>,
    /// Why this side ends it, once it does.
    closing: OnceLock<DownReason>,
    /// Whether it is off the table.
    gone: watch::Sender<bool>,
}

impl Connection {
    /// The number of the attempt that it came of.
    pub(crate) fn number(&self) -> u64 {
        self.id.0
    }

    pub(crate) fn name(&self) -> &Atom {
        &self.name
    }

    /// Where the peer is.
    pub(crate) fn address(&self) -> Option<SocketAddr> {
        self.address
    }

    /// Whether both ends have the flag.
    pub(crate) fn has(&self, flag: Flags) -> bool {
        self.peer.negotiated.contains(flag)
    }

    /// Whether unlinking is acknowledged; not before OTP 24.
    pub(crate) fn acknowledges_unlink(&self) -> bool {
        self.has(Flags::UNLINK_ID)
    }

    /// Has the process told when the connection ends; `false` when it has ended.
    pub(crate) fn attach(&self, number: Number) -> bool {
        self.attached()
            .as_mut()
            .map(|attached| attached.insert(number))
            .is_some()
    }

    pub(crate) fn detach(&self, number: Number) {
        if let Some(attached) = self.attached().as_mut() {
            attached.remove(&number);
        }
    }

    /// The peer monitors by name the process with this number.
    pub(crate) fn note_named(&self, monitor: Reference, number: Number) {
        self.named().insert(monitor, number);
    }

    /// That monitor is over.
    pub(crate) fn forget_named(&self, monitor: &Reference) {
        self.named().remove(monitor);
    }

    /// The process that this monitor is on, if it is on a name.
    pub(crate) fn named_at(&self, monitor: &Reference) -> Option<Number> {
        self.named().get(monitor).copied()
    }

    /// How many processes and names are attached, and how many calls are under way.
    #[cfg(test)]
    pub(crate) fn held(&self) -> [usize; 3] {
        let attached = self.attached().as_ref().map_or(0, HashSet::len);
        [attached, self.named().len(), self.calls.len()]
    }

    fn named(&self) -> MutexGuard<'_, HashMap<Reference, Number>> {
        self.named.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Ends the connection from this side; `reason` is what everybody is told.
    pub(crate) fn close(&self, reason: DownReason) {
        let _ = self.closing.set(reason);
        self.outbound.close();
    }

    /// Why this side has ended the connection, if it has.
    pub(crate) fn closing(&self) -> Option<DownReason> {
        self.closing.get().copied()
    }

    /// The connection has ended: the processes to tell. None can be attached any more.
    pub(crate) fn ended(&self) -> HashSet<Number> {
        self.attached().take().unwrap_or_default()
    }

    fn attached(&self) -> MutexGuard<'_, Option<HashSet<Number>>> {
        self.attached.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The way to a node: its connection, or none where it is this node.
pub(crate) type Route = Option<Arc<Connection>>;

impl std::fmt::Debug for Connection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Connection({})", self.name)
    }
}

/// What an attempt came to; `None` while it goes on.
type Outcome = Option<Result<Arc<Connection>, ConnectError>>;

/// Identifies one attempt at a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct AttemptId(u64);

#[derive(Debug)]
struct Attempt {
    id: AttemptId,
    held: Held,
    /// Tells the task behind the attempt to give up.
    cancel: Arc<Notify>,
    outcome: watch::Sender<Outcome>,
}

#[derive(Debug, Default)]
struct Slot {
    up: Option<Arc<Connection>>,
    attempt: Option<Attempt>,
}

impl Slot {
    fn held(&self) -> Held {
        match (&self.up, &self.attempt) {
            (None, None) => Held::Nothing,
            (None, Some(attempt)) => attempt.held,
            (Some(_), None) => Held::Up,
            (Some(_), Some(_)) => Held::UpPending,
        }
    }
}

/// A slot's answer to somebody who needs a connection.
#[derive(Debug)]
pub(crate) enum Wanted {
    Up(Arc<Connection>),
    /// Somebody is at it.
    Wait(Waiter),
    /// The caller is to begin an attempt, and others wait for it.
    Dial(AttemptId, Arc<Notify>, Waiter),
    /// There are no connections any more.
    Stopped,
    /// There is none, and this node makes none by itself.
    NotAutomatic,
}

/// Why somebody wants a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reason {
    /// Something is to be sent.
    Use,
    /// It was asked for.
    Asked,
}

/// Waits for an attempt.
#[derive(Debug)]
pub(crate) struct Waiter(watch::Receiver<Outcome>);

impl Waiter {
    pub(crate) async fn outcome(mut self) -> Result<Arc<Connection>, ConnectError> {
        match self.0.wait_for(Option::is_some).await {
            Ok(outcome) => outcome.clone().unwrap_or(Err(ConnectError::Stopped)),
            Err(_) => Err(ConnectError::Stopped),
        }
    }
}

/// The answer to a peer that connects.
#[derive(Debug)]
pub(crate) enum Incoming {
    /// Go on as this attempt; `simultaneous` when ours gave way.
    Accept {
        attempt: AttemptId,
        cancel: Arc<Notify>,
        simultaneous: bool,
    },
    /// Ask whether it replaces the connection that is up.
    Alive {
        attempt: AttemptId,
        cancel: Arc<Notify>,
        old: Arc<Connection>,
    },
    Nok,
    Busy,
}

#[derive(Debug, Default)]
pub(crate) struct Connections {
    slots: Mutex<HashMap<Atom, Slot>>,
    attempts: AtomicU64,
    /// Read and written under the lock of `slots`.
    stopped: AtomicBool,
    pub(crate) subscribers: Subscribers,
    auto_connect: AutoConnect,
    /// Nodes that were connected, where that matters.
    lost: Mutex<HashSet<Atom>>,
}

impl Connections {
    pub(crate) fn new(auto_connect: AutoConnect) -> Self {
        Self {
            auto_connect,
            ..Self::default()
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Atom, Slot>> {
        self.slots.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn new_attempt(&self, held: Held, outcome: watch::Sender<Outcome>) -> Attempt {
        let id = AttemptId(self.attempts.fetch_add(1, Ordering::Relaxed));
        Attempt {
            id,
            held,
            cancel: Arc::new(Notify::new()),
            outcome,
        }
    }

    /// The connection to `node`, if one is up.
    pub(crate) fn up(&self, node: &str) -> Option<Arc<Connection>> {
        self.lock().get(node)?.up.clone()
    }

    /// Every connection of that type.
    pub(crate) fn all(&self, wanted: NodeType) -> Vec<Arc<Connection>> {
        let up = |slot: &Slot| slot.up.clone().filter(|up| wanted.includes(up.peer.hidden));
        self.lock().values().filter_map(up).collect()
    }

    /// Somebody needs a connection to `node`.
    pub(crate) fn want(&self, node: &Atom, reason: Reason) -> Wanted {
        let mut slots = self.lock();
        if self.stopped.load(Ordering::Relaxed) {
            return Wanted::Stopped;
        }
        let held = slots.get(node);
        if let Some(up) = held.and_then(|slot| slot.up.as_ref()) {
            return Wanted::Up(Arc::clone(up));
        }
        let is_held = held.is_some_and(|slot| slot.attempt.is_some());
        if !is_held && reason == Reason::Use && !self.connects_to(node) {
            return Wanted::NotAutomatic;
        }
        let slot = slots.entry(node.clone()).or_default();
        if let Some(attempt) = &slot.attempt {
            return Wanted::Wait(Waiter(attempt.outcome.subscribe()));
        }
        let (outcome, waiter) = watch::channel(None);
        let attempt = self.new_attempt(Held::Dialing, outcome);
        let answer = Wanted::Dial(attempt.id, Arc::clone(&attempt.cancel), Waiter(waiter));
        slot.attempt = Some(attempt);
        answer
    }

    /// Whether sending to `node` connects to it.
    fn connects_to(&self, node: &Atom) -> bool {
        match self.auto_connect {
            AutoConnect::OnUse => true,
            AutoConnect::Never => false,
            AutoConnect::Once => !self.lost().contains(node),
        }
    }

    fn lost(&self) -> MutexGuard<'_, HashSet<Atom>> {
        self.lost.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Our attempt is about to send our name. `false` when it has given way and must stop.
    pub(crate) fn begin_handshake(&self, node: &Atom, id: AttemptId) -> bool {
        let mut slots = self.lock();
        let attempt = slots
            .get_mut(node)
            .and_then(|slot| slot.attempt.as_mut())
            .filter(|attempt| attempt.id == id);
        attempt.map(|attempt| attempt.held = Held::Pending).is_some()
    }

    /// `peer` connects to `us`.
    pub(crate) fn incoming(&self, us: &NodeName, peer: &NodeName, node: &Atom) -> Incoming {
        let mut slots = self.lock();
        let slot = slots.entry(node.clone()).or_default();
        match arbitration::incoming(us, peer, slot.held()) {
            Verdict::Nok => Incoming::Nok,
            Verdict::Busy => Incoming::Busy,
            verdict => {
                // Whoever waits for the attempt that gives way waits for this one.
                let outcome = match slot.attempt.take() {
                    Some(attempt) => {
                        attempt.cancel.notify_one();
                        attempt.outcome
                    }
                    None => watch::Sender::new(None),
                };
                let new = self.new_attempt(Held::Pending, outcome);
                let (attempt, cancel) = (new.id, Arc::clone(&new.cancel));
                slot.attempt = Some(new);
                match &slot.up {
                    Some(old) => Incoming::Alive {
                        attempt,
                        cancel,
                        old: Arc::clone(old),
                    },
                    None => {
                        let simultaneous = verdict == Verdict::OkSimultaneous;
                        Incoming::Accept {
                            attempt,
                            cancel,
                            simultaneous,
                        }
                    }
                }
            }
        }
    }

    /// Whether the attempt is still the one that counts.
    pub(crate) fn is_current(&self, node: &Atom, id: AttemptId) -> bool {
        self.lock()
            .get(node)
            .and_then(|slot| slot.attempt.as_ref())
            .is_some_and(|attempt| attempt.id == id)
    }

    /// The attempt has failed. Those who wait for it are told, unless it was no longer the one that counts.
    pub(crate) fn failed(&self, node: &Atom, id: AttemptId, error: ConnectError) {
        let mut slots = self.lock();
        let Some(slot) = slots.get_mut(node) else { return };
        if let Some(attempt) = slot.attempt.take_if(|attempt| attempt.id == id) {
            attempt.outcome.send_replace(Some(Err(error)));
        }
        if slot.up.is_none() && slot.attempt.is_none() {
            slots.remove(node);
        }
    }

    /// The attempt has succeeded: the connection is up, and everybody is told. `None` when it was not the one that counts.
    pub(crate) fn established(
        &self,
        node: &Atom,
        id: AttemptId,
        (peer, address): (Peer, Option<SocketAddr>),
        outbound: Outbound,
        out: &mut Outbox,
    ) -> Option<Arc<Connection>> {
        let mut slots = self.lock();
        let slot = slots.get_mut(node)?;
        if slot.up.is_some() {
            return None;
        }
        let attempt = slot.attempt.take_if(|attempt| attempt.id == id)?;
        let hidden = peer.hidden;
        let connection = Arc::new(Connection {
            name: node.clone(),
            id,
            peer,
            address,
            outbound,
            attached: Mutex::new(Some(HashSet::default())),
            calls: Calls::default(),
            named: Mutex::new(HashMap::default()),
            closing: OnceLock::new(),
            gone: watch::Sender::new(false),
        });
        slot.up = Some(Arc::clone(&connection));
        attempt.outcome.send_replace(Some(Ok(Arc::clone(&connection))));
        // Under the lock, so that nodeup and nodedown of one node never change places.
        let up = NodeEvent::NodeUp {
            node: node.clone(),
            hidden,
            connection_id: id.0,
        };
        self.subscribers.tell(&up, out);
        Some(connection)
    }

    /// The connection has ended and its links and monitors have fired: off the table, and everybody is told.
    pub(crate) fn down(&self, connection: &Arc<Connection>, reason: DownReason, out: &mut Outbox) {
        let mut slots = self.lock();
        if let Some(slot) = slots.get_mut(&connection.name)
            && slot.up.take_if(|up| Arc::ptr_eq(up, connection)).is_some()
        {
            let down = NodeEvent::NodeDown {
                node: connection.name.clone(),
                hidden: connection.peer.hidden,
                connection_id: connection.id.0,
                reason,
            };
            self.subscribers.tell(&down, out);
            if self.auto_connect == AutoConnect::Once {
                self.lost().insert(connection.name.clone());
            }
            if slot.attempt.is_none() {
                slots.remove(&connection.name);
            }
        }
        connection.gone.send_replace(true);
    }

    /// Waits until the connection is off the table.
    pub(crate) async fn gone(connection: &Connection) {
        // The sender lives as long as the connection.
        let _ = connection.gone.subscribe().wait_for(|gone| *gone).await;
    }

    /// Ends every attempt, and lets no other begin.
    pub(crate) fn stop(&self) {
        let mut slots = self.lock();
        self.stopped.store(true, Ordering::Relaxed);
        for slot in slots.values_mut() {
            if let Some(attempt) = slot.attempt.take() {
                attempt.cancel.notify_one();
                attempt.outcome.send_replace(Some(Err(ConnectError::Stopped)));
            }
        }
    }
}
